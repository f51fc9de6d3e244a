"""Keeps the history of lag: a sample a minute for a day, one in a quarter of an hour for a week, then nothing."""

import random

from django.db import transaction

from logs import store

FINE_SECONDS = 24 * 3_600.0  # a sample a minute
COARSE_SECONDS = 7 * 24 * 3_600.0  # then the first of each step, until this age
COARSE_STEP_SECONDS = 15 * 60.0
THIN_BATCH = 10_000
THIN_SLICES = 60  # of all groups and topics: at an upkeep every 10 s each has its turn every 10 minutes or so


def sample_lag(*, using: str = "default") -> int:
    """Note how far each group is behind on each topic, once a minute; how many samples that were."""
    if not (due := store.unsampled(using=using)):
        return 0
    with transaction.atomic(using=using):
        # The statement after the claim sees what the claimant before wrote.
        return store.sample_lags(due, using=using) if store.claim_history(using=using) else 0


def thin_history(*, limit: int = THIN_BATCH, using: str = "default") -> int:
    """Delete samples that are too old to be kept, or to be kept so densely, at most `limit`; how many went.

    Of a slice of the groups and topics, taken at random: in turn, some would never have theirs where the upkeep
    runs seldom and always at the same minute.
    """
    with transaction.atomic(using=using):
        if not store.claim_history(using=using):
            return 0
        return store.thin_lags(
            fine_seconds=FINE_SECONDS,
            kept_seconds=COARSE_SECONDS,
            step_seconds=COARSE_STEP_SECONDS,
            slices=THIN_SLICES,
            slice_=random.randrange(THIN_SLICES),
            limit=limit,
            using=using,
        )
