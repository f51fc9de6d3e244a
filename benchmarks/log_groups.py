"""What many consumer groups cost: the list of all of them with how far each is behind."""

import random
import time
from collections.abc import Iterator

from benchmarks import log_calls
from benchmarks.house import settle
from benchmarks.messaging import OWNER
from benchmarks.options import Options
from benchmarks.ratio import Goal, Row, measure
from logs import metadata, selectors, services, store
from logs.models import Commit, ConsumerGroup, GroupPartition
from logs.services import NewRecord
from logs.services.upkeep import MAX_SEGMENTS
from mqsite.boundaries import ensure_boundary

GROUPS = 500
PARTITIONS = 16
GOAL = Goal(100, is_upper=True)
CALLS = 5  # in each round, of which the mean counts


def measure_lag(options: Options) -> Iterator[Row]:
    """selectors.groups: 500 groups that read one topic of 16 partitions. Half of them are behind, each partition of
    each at a place of its own; the others have read all. In the shared segment the age of a record is one step; in
    one of the topic's own, where topics that have grown stand, it is a function call."""
    for case in ("groups-lag", "groups-lag, topic in a segment of its own"):
        topic = log_calls.make_topic(PARTITIONS)
        if "own" in case:
            leave_shared_segment(topic)
        fill_topic(topic, options.batch_records)
        add_groups(topic)
        settle()
        times = measure(options.rounds, {"ours": time_list})["ours"]
        yield Row(f"{case}: list {GROUPS:,} x {PARTITIONS} partitions", times, [], times, GOAL, "ms")
        ConsumerGroup.objects.filter(name__startswith=topic).delete()


def leave_shared_segment(topic: str) -> None:
    store.add_segment(limit=MAX_SEGMENTS, using="default")
    topic_id = metadata.locate_topic(topic, using="default").topic_id
    assert store.roll(topic_id, from_segment=0, using="default")


def fill_topic(topic: str, count: int) -> None:
    """As many records in each partition."""
    with log_calls.silence_hints():
        for first in range(0, count, log_calls.LOAD_RECORDS):
            numbers = range(first, min(count, first + log_calls.LOAD_RECORDS))
            batch = [NewRecord(log_calls.VALUES[0], partition=n % PARTITIONS) for n in numbers]
            services.publish_many(topic, batch, boundary=OWNER)


def add_groups(topic: str) -> None:
    owner = ensure_boundary(OWNER, using="default")
    groups = ConsumerGroup.objects.bulk_create(ConsumerGroup(name=f"{topic}.{n}", owner=owner) for n in range(GROUPS))
    ends = {bound.partition_id: bound.log_end for bound in selectors.bounds(topic)}
    ids = metadata.locate_topic(topic, using="default").partition_ids
    held = GroupPartition.objects.bulk_create(GroupPartition(group=g, partition_id=id_) for g in groups for id_ in ids)
    behind = {group.id for group in groups[: GROUPS // 2]}
    Commit.objects.bulk_create(
        Commit(
            group_partition=row,
            number=number,
            committed=random.randrange(ends[row.partition_id]) if row.group_id in behind else ends[row.partition_id],
        )
        for number, row in enumerate(held, start=1)
    )


def time_list() -> float:
    """Milliseconds."""
    started = time.perf_counter()
    for _ in range(CALLS):
        assert len(selectors.groups(limit=GROUPS)) == GROUPS
    return (time.perf_counter() - started) / CALLS * 1_000
