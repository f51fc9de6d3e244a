"""Readers fetch. Reading removes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from logs import metadata, rows, selectors
from logs.errors import OffsetOutOfRange, PartitionGone, TopicNotFound
from logs.services.holding import Assignment, find_position
from logs.services.waiting import wait_for_any
from mqsite.errors import Invalid

MAX_FETCH_RECORDS = 10_000
MAX_FETCH_BYTES = 50 * 1024 * 1024  # Kafka's fetch.max.bytes
MAX_WAIT_SECONDS = 60.0


def fetch(
    topic: str,
    partition: int,
    offset: int,
    *,
    max_records: int = 500,
    max_bytes: int = MAX_FETCH_BYTES,
    wait_seconds: float = 0.0,
    using: str = "default",
) -> list[rows.Record]:
    """Records from `offset` on, in order; none when the offset is the log end.

    At least one record comes even if it alone is larger than `max_bytes` (key, value and headers
    count). At the log end it waits for the next record, up to `wait_seconds`.
    """
    if not 1 <= max_records <= MAX_FETCH_RECORDS:
        raise Invalid(reason=f"max_records is {max_records}; allowed are 1 to {MAX_FETCH_RECORDS:,}.")
    if not 0 <= wait_seconds <= MAX_WAIT_SECONDS:
        raise Invalid(reason=f"wait_seconds is {wait_seconds}; allowed are 0 to {MAX_WAIT_SECONDS:g}.")

    def read(located: rows.Located) -> list[rows.Record]:
        partition_id = metadata.pick_partition(located, topic, partition)
        get = partial(
            selectors.read_partition,
            topic,
            partition,
            partition_id=partition_id,
            offset=offset,
            max_records=max_records,
            max_bytes=max_bytes,
            using=using,
        )
        records = get()
        if not records and wait_seconds and wait_for_any({partition_id: offset}, seconds=wait_seconds, using=using):
            return get()
        return records

    return metadata.use_topic(topic, read, using=using)


def fetch_assigned(
    assignment: Assignment, position: int, *, max_records: int, max_bytes: int = MAX_FETCH_BYTES, using: str = "default"
) -> list[rows.Record]:
    """What a member reads next. A position that retention has passed moves to where auto.offset.reset says."""
    return fetch_on(assignment, position, max_records=max_records, max_bytes=max_bytes, using=using)[1]


def fetch_on(
    assignment: Assignment, position: int, *, max_records: int, max_bytes: int = MAX_FETCH_BYTES, using: str = "default"
) -> tuple[int, list[rows.Record]]:
    """As `fetch_assigned`, with where it read: another position where retention had passed the one it was to read."""
    read = partial(
        selectors.read_partition,
        assignment.topic,
        assignment.partition,
        partition_id=assignment.partition_id,
        max_records=max_records,
        max_bytes=max_bytes,
        replay_until=assignment.replay_until,
        using=using,
    )
    try:
        return position, read(offset=position)
    except OffsetOutOfRange:
        return _read_past_expired(read, find_position(assignment, using=using))
    except PartitionGone as error:
        raise TopicNotFound(topic=assignment.topic) from error


def read_records(
    topic: str,
    *,
    start: str | int | datetime | Mapping[int, int] = "earliest",
    partitions: Sequence[int] | None = None,
    wait_seconds: float = 0.0,
    using: str = "default",
) -> Iterator[rows.Record]:
    """Every record of a topic, without a group: for scripts and tests.

    From `start`: "earliest", "latest", an offset, a time, or an offset for each partition. In order
    within a partition, partitions taking turns. Ends at the log end, or once nothing has come for
    `wait_seconds`. What retention deletes meanwhile is passed over.
    """
    positions = selectors.find_offsets(topic, start, partitions=partitions, using=using)
    while positions:
        got = 0
        for partition in list(positions):
            read = partial(fetch, topic, partition, using=using)
            positions[partition], records = _read_past_expired(read, positions[partition])
            if records:
                positions[partition] = records[-1].offset + 1
                got += len(records)
                yield from records
        if not got and not _wait_for_any(topic, positions, seconds=wait_seconds, using=using):
            return


def _read_past_expired(read: Callable[..., list[rows.Record]], position: int) -> tuple[int, list[rows.Record]]:
    """Where it read in the end: retention may pass the log start again before it is read."""
    while True:
        try:
            return position, read(offset=position)
        except OffsetOutOfRange as error:
            if position >= error.facts["log_start"]:
                raise
            position = error.facts["log_start"]


def _wait_for_any(topic: str, positions: Mapping[int, int], *, seconds: float, using: str) -> bool:
    located = metadata.locate_topic(topic, using=using)
    wanted = {located.partition_ids[number]: offset for number, offset in positions.items()}
    return bool(seconds) and wait_for_any(wanted, seconds=seconds, using=using)
