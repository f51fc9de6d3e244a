"""Readers fetch. Reading removes nothing."""

from functools import partial

from logs import selectors, store
from logs.errors import OffsetOutOfRange, TopicNotFound
from logs.services.groups import Assignment, out_of_range
from mqsite.errors import Invalid

MAX_FETCH_RECORDS = 10_000
MAX_FETCH_BYTES = 50 * 1024 * 1024  # Kafka's fetch.max.bytes


def fetch(
    topic: str,
    partition: int,
    offset: int,
    *,
    max_records: int = 500,
    max_bytes: int = MAX_FETCH_BYTES,
    using: str = "default",
) -> list[store.Record]:
    """Records from `offset` on, in order; none when the offset is the log end.

    At least one record comes even if it alone is larger than `max_bytes`.
    """
    if not 1 <= max_records <= MAX_FETCH_RECORDS:
        raise Invalid(reason=f"max_records is {max_records}; allowed are 1 to {MAX_FETCH_RECORDS:,}.")
    partition_id = selectors.locate_partition(topic, partition, using=using)
    return _fetch(
        topic,
        partition,
        partition_id=partition_id,
        offset=offset,
        max_records=max_records,
        max_bytes=max_bytes,
        using=using,
    )


def fetch_assigned(
    assignment: Assignment, position: int, *, max_records: int, max_bytes: int = MAX_FETCH_BYTES, using: str = "default"
) -> list[store.Record]:
    """What a member reads next. A position that retention has passed moves to the log start."""
    read = partial(
        _fetch,
        assignment.topic,
        assignment.partition,
        partition_id=assignment.partition_id,
        max_records=max_records,
        max_bytes=max_bytes,
        replay_until=assignment.replay_until,
        using=using,
    )
    try:
        return read(offset=position)
    except OffsetOutOfRange as error:
        if position > error.facts["log_start"]:
            raise
        return read(offset=error.facts["log_start"])


def _fetch(
    topic: str, partition: int, *, partition_id: int, offset: int, using: str, **limits: int
) -> list[store.Record]:
    records = store.fetch(topic, partition, partition_id=partition_id, offset=offset, using=using, **limits)
    if records:
        return records
    ends = store.bounds([partition_id], using=using)
    if not ends:
        raise TopicNotFound(topic=topic)
    if not ends[0].log_start <= offset <= ends[0].log_end:
        raise out_of_range(topic, partition, offset, ends[0])
    return []
