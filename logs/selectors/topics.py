"""Topics, their records and their bounds, as they are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.db.models import Count

from logs import metadata, rows, store
from logs.configs import MAX_BIGINT, describe_configs, read_configs
from logs.errors import KeysNotIndexed, OffsetOutOfRange, PartitionGone, PartitionNotFound, TopicNotFound
from logs.models import ConsumerGroup, Topic
from mqsite.errors import Invalid
from mqsite.payloads import as_text, encode_key

SHOWN_VALUE_BYTES = 2_000
MAX_FOUND_RECORDS = 1_000


def bounds(topic: str, *, using: str = "default") -> list[rows.Bounds]:
    """Log start, log end and size of each partition, by number."""
    found = store.bounds(metadata.locate_topic(topic, using=using).partition_ids, using=using)
    return sorted(found, key=lambda b: b.number)


def partition_bounds(topic: str, partition: int, *, using: str = "default") -> rows.Bounds:
    """Log start, log end and size of one partition."""
    found = store.bounds([metadata.locate_partition(topic, partition, using=using)], using=using)
    if not found:
        raise TopicNotFound(topic=topic)
    return found[0]


def find_offset_for_time(topic: str, partition: int, time: datetime, *, using: str = "default") -> int | None:
    """The earliest offset whose timestamp is at or after `time`; None if there is none yet."""
    if time.tzinfo is None:
        raise Invalid(reason=f"The time {time} has no time zone.")
    return store.offset_for_time(metadata.locate_partition(topic, partition, using=using), time, using=using)


def find_offsets(
    topic: str,
    start: str | int | datetime | Mapping[int, int],
    *,
    partitions: Sequence[int] | None = None,
    using: str = "default",
) -> dict[int, int]:
    """Partition to offset: "earliest", "latest", one offset for all, a time, or as the mapping says."""
    ends = {b.number: b for b in bounds(topic, using=using)}
    chosen = list(start) if isinstance(start, Mapping) else list(ends if partitions is None else partitions)
    for number in chosen:
        if number not in ends:
            raise PartitionNotFound(topic=topic, partition=number, last=len(ends) - 1)
    return {number: _find_offset(topic, ends[number], start, using=using) for number in chosen}


def _find_offset(topic: str, ends: rows.Bounds, start: str | int | datetime | Mapping[int, int], *, using: str) -> int:
    if isinstance(start, Mapping):
        return start[ends.number]
    if isinstance(start, datetime):
        found = find_offset_for_time(topic, ends.number, start, using=using)
        return ends.log_end if found is None else found
    if start == "earliest":
        return ends.log_start
    if start == "latest":
        return ends.log_end
    if isinstance(start, int) and not isinstance(start, bool) and start >= 0:
        return start
    raise Invalid(reason=f"Cannot start at {start!r}; allowed are 'earliest', 'latest', an offset or a time.")


def read_partition(
    topic: str, partition: int, *, partition_id: int, offset: int, using: str, **limits: int
) -> list[rows.Record]:
    """Records from `offset` on: from the segment where it was last seen; if it is not there, look anew."""
    get = partial(store.fetch, topic, partition, partition_id=partition_id, using=using, **limits)
    position = min(max(offset, -1), MAX_BIGINT // 2)  # beyond, PostgreSQL could not even compare
    segment = metadata.find_segment(partition_id, position, using=using)
    if segment is not None and (records := get(segment=segment, offset=position)):
        return records
    extent = store.extent(partition_id, position, using=using)
    if extent is None:
        raise PartitionGone
    if not extent.log_start <= offset <= extent.log_end:
        raise out_of_range(topic, partition, offset, extent)
    if extent.found is None:
        return []
    metadata.remember_segment(partition_id, extent, using=using)
    return get(segment=extent.segment, offset=extent.found)


class FoundRecords(NamedTuple):
    """Records of one key, and what the answer rests on."""

    records: list[rows.Record]  # newest first within a partition
    #: Partition to the offset from which on nothing is missed, where older keys are still being indexed.
    incomplete: dict[int, int]
    #: Partition to the offset before which to go on looking.
    next_before: dict[int, int]


def find_by_key(
    topic: str,
    key: str | bytes,
    *,
    before: Mapping[int, int] | None = None,
    limit: int = 100,
    using: str = "default",
) -> FoundRecords:
    """Up to `limit` records a partition with exactly this key, through the index (config index.keys).

    Complete by construction: the index is written with the records, in all partitions.
    """
    row = Topic.objects.using(using).filter(name=topic).first()
    if row is not None and not indexes_keys(row):
        raise KeysNotIndexed(topic=topic)
    if not 1 <= limit <= MAX_FOUND_RECORDS:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MAX_FOUND_RECORDS:,}.")
    wanted = encode_key(key)
    if wanted is None:
        raise Invalid(reason="Which key? Records without one are not indexed.")
    ids = metadata.locate_topic(topic, using=using).partition_ids
    starts = dict.fromkeys(ids, MAX_BIGINT)
    for number, offset in (before or {}).items():
        starts[metadata.locate_partition(topic, number, using=using)] = offset
    if before:
        starts = {id_: offset for id_, offset in starts.items() if offset != MAX_BIGINT}
    found = store.find_key(starts, wanted, limit=limit, using=using)
    records = [
        rows.Record(topic, f.number, False, f.offset, f.timestamp, f.key, f.value, f.raw_headers, f.content_type)
        for f in found
        if f.offset is not None
    ]
    counts = Counter(record.partition for record in records)
    return FoundRecords(
        records=records,
        incomplete={f.number: f.complete_from for f in found if f.complete_from > f.log_start},
        next_before={record.partition: record.offset for record in records if counts[record.partition] == limit},
    )


def out_of_range(topic: str, partition: int, offset: int, ends: rows.Bounds | rows.Extent) -> OffsetOutOfRange:
    return OffsetOutOfRange(
        topic=topic, partition=partition, offset=offset, log_start=ends.log_start, log_end=ends.log_end
    )


def indexes_keys(topic: Topic) -> bool:
    """Whether each record's key is hashed for the index: asked for, or needed by compaction."""
    return topic.index_keys or "compact" in topic.cleanup_policy


def overview(limit: int = 20, *, using: str = "default") -> list[dict[str, Any]]:
    """The topics whose readers are furthest behind, then the rest by name."""
    topics = list(stored_topics(using)[: limit * 5])
    described = describe_topics(topics, using=using)
    return sorted(described, key=_worst_lag)[:limit]


def describe_topic(name: str, *, using: str = "default") -> dict[str, Any]:
    topic = stored_topics(using).filter(name=name).first()
    if topic is None:
        raise TopicNotFound(topic=name)
    return describe_topics([topic], using=using)[0]


def describe_topic_configs(name: str, *, using: str = "default") -> list[dict[str, Any]]:
    """Every configuration of a topic with its default and what it does."""
    return describe_configs(require_topic(name, using=using))


def require_topic(name: str, *, using: str = "default") -> Topic:
    topic = Topic.objects.using(using).select_related("owner").filter(name=name).first()
    if topic is None:
        raise TopicNotFound(topic=name)
    return topic


def newest_records(topic: str, limit: int = 50, *, using: str = "default") -> list[dict[str, Any]]:
    """The newest records of all partitions, newest first, values cut to what fits a table."""
    records: list[rows.Record] = []
    for end in bounds(topic, using=using):
        start = max(end.log_start, end.log_end - limit)
        limits = {"max_records": limit, "max_bytes": 1_000_000}
        with suppress(OffsetOutOfRange):  # retention has just passed it
            records += read_partition(
                topic, end.number, partition_id=end.partition_id, offset=start, using=using, **limits
            )
    records.sort(key=lambda r: (r.timestamp, r.offset), reverse=True)
    return [_shown(record) for record in records[:limit]]


def stored_topics(using: str) -> Any:
    return Topic.objects.using(using).select_related("owner").annotate(partition_count=Count("partitions"))


def describe_topics(
    topics: Iterable[Any], *, using: str, only_group: ConsumerGroup | None = None
) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {
        topic.id: {
            "name": topic.name,
            "owner": topic.owner.name,
            "description": topic.description,
            "records": 0,
            "size_bytes": 0,
            "partition_count": topic.partition_count,
            "configs": read_configs(topic),
            "groups": [],
            "partitions": [],
        }
        for topic in topics
    }
    for row in store.positions(list(found), group_id=only_group.id if only_group else None, using=using):
        _add_position(found[row.topic_id], row)
    return list(found.values())


def _add_position(topic: dict[str, Any], row: rows.Position) -> None:
    partitions = topic["partitions"]
    if not partitions or partitions[-1]["number"] != row.number:
        ends = {"log_start": row.log_start, "log_end": row.log_end, "size_bytes": row.size_bytes}
        partitions.append({"number": row.number, **ends, "groups": []})
        topic["records"] += row.log_end - row.log_start
        topic["size_bytes"] += row.size_bytes
    if row.group is None:
        return
    if row.group not in topic["groups"]:
        topic["groups"].append(row.group)
    partitions[-1]["groups"].append(
        {
            "group": row.group,
            "committed": row.committed,
            "lag": row.lag,
            "lag_seconds": row.lag_seconds,
            "owner": row.owner,
            "epoch": row.epoch,
            "is_paused": row.is_paused,
            "failing": _failing(row),
        }
    )


def _failing(row: rows.Position) -> dict[str, Any] | None:
    if not row.attempts:
        return None
    return {
        "offset": row.failing_offset,
        "attempts": row.attempts,
        "error": row.error,
        "retry_in": None if row.is_blocked else max(0.0, row.retry_in or 0.0),
    }


def _worst_lag(topic: dict[str, Any]) -> tuple[float, str]:
    ages = [g["lag_seconds"] or 0 for p in topic["partitions"] for g in p["groups"]]
    return -max(ages, default=0), topic["name"]


def _shown(record: rows.Record) -> dict[str, Any]:
    value = record.value or b""
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.isoformat(),
        "key": record.key_text,
        "value": _cut(value),
        "size": len(value),
        "content_type": record.content_type or "",
        "truncated": len(value) > SHOWN_VALUE_BYTES,
    }


def _cut(value: bytes) -> str:
    """The first bytes as text, or in hex where they are not UTF-8."""
    start = value[:SHOWN_VALUE_BYTES]
    try:
        return start.decode()
    except UnicodeDecodeError as error:
        cut_in_a_character = len(value) > len(start) and error.start > len(start) - 4
        return start.decode(errors="ignore") if cut_in_a_character else as_text(start) or ""
