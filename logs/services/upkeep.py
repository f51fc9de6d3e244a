"""What is declared comes into being; what is superseded or expired goes. Every step is bounded and short."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError
from django.db.models.functions import Now

from logs import rows, selectors, store
from logs.declarations import Group
from logs.declarations import groups as declared_groups
from logs.declarations import topics as declared_topics
from logs.errors import LockWaitTooLong
from logs.models import ConsumerGroup, GroupPartition, Topic
from logs.services.compaction import compact_topics
from logs.services.groups import create_group, subscribe_group
from logs.services.history import sample_lag, thin_history
from logs.services.members import forget_members
from logs.services.topics import create_topic

logger = logging.getLogger(__name__)

UPKEEP_SECONDS = 8.0  # of one run
PAGE_PARTITIONS = 2_000
EXPIRED_BATCH = 10_000
SWEEP_BATCH = 10_000
BLOCKED_YEAR = 9999  # of the next try of what waits until somebody says so
# A topic leaves the shared segment past this, and goes on to the next of its own past a quarter of what it keeps.
SHARED_RECORDS = 250_000
SEGMENT_RECORDS = 1_000_000
MAX_SEGMENTS = 1_000
FREE_TRIES = 20  # to empty a segment that somebody still reads
FREE_PAUSE_SECONDS = 0.02
FREE_RESTS = 9  # times as long as emptying one took: unlinking half a gigabyte takes the disk from publishers


def run_upkeep(*, seconds: float = UPKEEP_SECONDS, using: str = "default") -> None:
    """One round of all that keeps the log in shape, for about `seconds`; what is left waits for the next."""
    deadline = time.monotonic() + seconds
    # The sample first: it is to be of its minute also where the rest takes longer.
    steps = (sample_lag, apply_retention, free_segments, delete_expired, compact_topics)
    for step in (*steps, sweep_commits, sweep_producer_ids, forget_members, thin_history):
        try:
            while step(using=using) and time.monotonic() < deadline:
                pass
        except DatabaseError:  # say a deadlock with somebody's own statement: the other steps go on
            logger.exception("%s failed; the next upkeep tries again", step.__name__)


def apply_retention(*, using: str = "default") -> None:
    """Move log starts to where retention wants them, and let topics that have grown go on in the next segment."""
    after_id = 0
    while page := store.inspect(after_id=after_id, limit=PAGE_PARTITIONS, using=using):
        for found in page:
            if found.target is not None:
                store.move_log_start({found.partition_id: found.target}, using=using)
        after_id = page[-1].partition_id
        _roll_grown(page, using=using)


def _roll_grown(page: list[rows.Inspected], *, using: str) -> None:
    records: dict[tuple[int, int], int] = defaultdict(int)
    present: dict[tuple[int, int], int] = defaultdict(int)
    for found in page:
        topic = (found.topic_id, found.segment)
        records[topic] += found.records
        present[topic] += found.records_in_segment
    for (topic_id, segment), count in present.items():
        limit = max(SEGMENT_RECORDS, records[topic_id, segment] // 4) if segment else SHARED_RECORDS
        is_all_expired = segment and count and not records[topic_id, segment]
        if count >= limit or is_all_expired:
            _roll(topic_id, segment, using=using)


def _roll(topic_id: int, segment: int, *, using: str) -> None:
    rolled = store.roll(topic_id, from_segment=segment, using=using)
    if rolled is None and store.add_segment(limit=MAX_SEGMENTS, using=using):
        rolled = store.roll(topic_id, from_segment=segment, using=using)
    if rolled is not None:
        logger.info("Topic %s goes on in segment %s.", topic_id, rolled)


def free_segments(*, seconds: float = UPKEEP_SECONDS, using: str = "default") -> list[int]:
    """Empty the segments in which nothing can be read any more; which these were. Nobody waits for it.

    One after the other with rests in between, for about `seconds`.
    """
    deadline = time.monotonic() + seconds
    freed: list[int] = []
    for segment in store.occupied_segments(using=using):
        started = time.monotonic()
        if started > deadline:
            break
        if _free_segment(segment, using=using):
            freed.append(segment)
            time.sleep(FREE_RESTS * (time.monotonic() - started))
    return freed


def _free_segment(segment: int, *, using: str) -> bool:
    for _ in range(FREE_TRIES):
        try:
            return store.free_segment(segment, quiet_seconds=settings.MQSITE_SEGMENT_QUIET_SECONDS, using=using)
        except LockWaitTooLong:  # somebody still reads what he began to read
            time.sleep(FREE_PAUSE_SECONDS)
    return False


def delete_expired(*, limit: int = EXPIRED_BATCH, using: str = "default") -> int:
    """Delete expired records of the shared segment, at most `limit`; how many offsets are done with."""
    return store.delete_expired(limit=limit, using=using)


def sweep_producer_ids(*, limit: int = SWEEP_BATCH, using: str = "default") -> int:
    """Forget producer ids older than MQSITE_PRODUCER_ID_SECONDS, at most `limit`; how many went."""
    return store.sweep_producer_ids(window_seconds=settings.MQSITE_PRODUCER_ID_SECONDS, limit=limit, using=using)


def sweep_commits(*, limit: int = SWEEP_BATCH, using: str = "default") -> int:
    """Delete commits that newer ones replaced, at most `limit`; how many went."""
    return store.sweep_commits(limit=limit, using=using)


def assign_published(*, using: str = "default") -> None:
    """For tests that run inside a transaction: what it published becomes readable in it now."""
    store.assign_now(using=using)


def hurry_retries(may_try: Callable[[str, str, int], bool], *, using: str = "default") -> None:
    """For tests: what waits for another try may be tried now, if `may_try` says so to the group, the topic and the
    attempts so far. What is blocked stays so."""
    waiting = GroupPartition.objects.using(using).filter(retry_at__year__lt=BLOCKED_YEAR)
    found = waiting.values_list("id", "group__name", "partition__topic__name", "attempts")
    ids = [id_ for id_, group, topic, attempts in found if may_try(group, topic, attempts)]
    if ids:
        waiting.filter(id__in=ids).update(retry_at=Now())


def create_declared(*, using: str = "default") -> list[str]:
    """Create the declared topics and groups that are missing; a sentence for each. Changes nothing else."""
    created = []
    for topic in declared_topics:
        if not Topic.objects.using(using).filter(name=topic.name).exists():
            create_topic(
                topic.name,
                owner=topic.owner,
                partitions=topic.partitions,
                description=topic.description,
                configs=topic.configs,
                using=using,
            )
            created.append(f"Created topic {topic.name} of {topic.owner} with {topic.partitions} partitions.")
    for group in declared_groups:
        if not ConsumerGroup.objects.using(using).filter(name=group.name).exists():
            create_group(group.name, owner=group.owner, auto_offset_reset=group.auto_offset_reset, using=using)
            created.append(f"Created consumer group {group.name} of {group.owner}.")
    return created


def subscribe_declared(group: Group, topic: str, *, using: str = "default") -> list[str]:
    """Subscribe a declared group to a topic; a sentence where that cannot be done yet."""
    row = selectors.require_group(group.name, using=using)
    if row.owner.name != group.owner:
        return [f"Group {group.name} belongs to {row.owner.name}, not to {group.owner}: its handlers will not run."]
    if not Topic.objects.using(using).filter(name=topic).exists():
        return [f"Group {group.name} reads {topic}, which does not exist yet: migrate again once it does."]
    subscribe_group(group.name, topic, using=using)
    return []
