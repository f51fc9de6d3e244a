"""A group, a topic of it or single partitions stop and go on."""

import time
from collections.abc import Sequence

from django.db import transaction

from logs import rows, selectors, signals, store
from logs.models import ConsumerGroup, GroupPartition
from mqsite.announce import announce
from mqsite.audit import record_action, require_reason

GRACE_SECONDS = 5.0  # for the batches at work
LOOK_SECONDS = 0.05
FENCE_SECONDS = 1.0  # how long a paused partition looks held; nobody can take it anyway


def pause_group(
    group: str,
    *,
    actor: str,
    topic: str | None = None,
    partitions: Sequence[int] | None = None,
    reason: str = "",
    grace_seconds: float = GRACE_SECONDS,
    using: str = "default",
) -> None:
    """Stop reading: all of the group whatever it reads later, or one topic of it, or some of its partitions.

    Batches at work have `grace_seconds` to end; after that they are fenced and will be read again. When this
    returns nobody reads what was paused, and its offsets stand still. Not to be called inside a transaction.
    """
    require_reason(reason)
    chosen = selectors.choose_partitions(group, topic=topic, partitions=partitions, using=using)
    ids = [row.group_partition_id for row in chosen]
    with transaction.atomic(using=using, durable=True):
        row = selectors.require_group(group, using=using)
        if store.pause(row.id, None if topic is None else ids, actor=actor, reason=reason, using=using):
            facts = {"topic": topic, "partitions": None if partitions is None else list(partitions)}
            record_action(actor=actor, action="pause", subject=group, reason=reason, facts=facts, using=using)
    _wait_until_still(row, set(ids), actor=actor, seconds=grace_seconds, using=using)
    _announce(group, chosen, using=using)


def resume_group(
    group: str,
    *,
    actor: str,
    topic: str | None = None,
    partitions: Sequence[int] | None = None,
    reason: str = "",
    using: str = "default",
) -> None:
    """Go on reading. What was paused by itself stays paused when the whole group resumes."""
    chosen = selectors.choose_partitions(group, topic=topic, partitions=partitions, using=using)
    with transaction.atomic(using=using):
        row = selectors.require_group(group, using=using)
        ids = None if topic is None else [row.group_partition_id for row in chosen]
        if store.resume(row.id, ids, using=using):
            facts = {"topic": topic, "partitions": None if partitions is None else list(partitions)}
            record_action(actor=actor, action="resume", subject=group, reason=reason, facts=facts, using=using)
        _announce(group, chosen, using=using)


def retry_blocked(
    group: str,
    *,
    actor: str,
    topic: str | None = None,
    partitions: Sequence[int] | None = None,
    reason: str = "",
    using: str = "default",
) -> int:
    """Try failing records again at once, with their attempts counted anew, also where they were used up; how many
    partitions that is."""
    chosen = selectors.choose_partitions(group, topic=topic, partitions=partitions, using=using)
    with transaction.atomic(using=using):
        failing = GroupPartition.objects.using(using).filter(
            id__in=[row.group_partition_id for row in chosen], failing_offset__isnull=False
        )
        count = failing.update(retry_at=None, attempts=0, failing_offset=None)
        facts = {"topic": topic, "partitions": None if partitions is None else list(partitions)}
        record_action(actor=actor, action="retry blocked", subject=group, reason=reason, facts=facts, using=using)
        _announce(group, chosen, using=using)
    return count


def _wait_until_still(group: ConsumerGroup, ids: set[int], *, actor: str, seconds: float, using: str) -> None:
    deadline = time.monotonic() + seconds
    _wait_for_acquisitions(ids, using=using)
    while True:
        held = [h for h in store.holdings(group.id, using=using) if h.owner and h.group_partition_id in ids]
        if not held:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_SECONDS)
    fenced = [h.group_partition_id for h in held]
    with transaction.atomic(using=using, durable=True):
        taken = store.fence(fenced, holder=f"{selectors.PAUSING}{actor}", seconds=FENCE_SECONDS, using=using)
    for each in taken:
        store.release(each.group_partition_id, epoch=each.epoch, using=using)


def _wait_for_acquisitions(ids: set[int], *, using: str) -> None:
    """Those that had looked before the pause are visible then; all others see it."""
    with transaction.atomic(using=using, durable=True):
        chosen = GroupPartition.objects.using(using).filter(id__in=ids).order_by("id")
        list(chosen.select_for_update(no_key=True).values_list("id"))


def _announce(group: str, chosen: Sequence[rows.Resettable], *, using: str) -> None:
    for topic in sorted({row.topic for row in chosen}):
        numbers = [row.number for row in chosen if row.topic == topic]
        announce(signals.group_paused, topic=topic, group=group, partitions=numbers, using=using)
