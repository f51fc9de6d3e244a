"""The only door to raw SQL of the log: one function per statement in sql/."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from logs.errors import LockWaitTooLong, PartitionGone, TopicAltered
from mqsite.arrays import ByteaArray, Int8Array
from mqsite.errors import MessagingError, ReadCommittedRequired
from mqsite.payloads import as_text
from mqsite.sql import fetch_all, statement


class Record(NamedTuple):
    """One record as it is read. `value` and `key` are the publisher's bytes."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    raw_headers: str | None
    content_type: str | None
    is_replay: bool  # the group had committed past this offset once, before it was reset

    @property
    def headers(self) -> list[tuple[str, str]]:
        """In the publisher's order; a name may come several times."""
        return [(name, value) for name, value in json.loads(self.raw_headers)] if self.raw_headers else []

    @property
    def text(self) -> str | None:
        """The value as text, or in hex where it is not UTF-8."""
        return as_text(self.value)

    @property
    def key_text(self) -> str | None:
        return as_text(self.key)

    def json(self) -> Any:
        """The value parsed as JSON."""
        return json.loads(self.value) if self.value is not None else None


class Batch(NamedTuple):
    """Records grouped by partition: `partitions` ascending, then all records in that order.

    A column that no record fills may be None instead of a list.
    """

    partitions: list[int]
    counts: list[int]
    keys: ByteaArray | None
    vals: ByteaArray | None
    headers: list[str | None] | None
    content_types: list[str | None] | None
    ends: Int8Array  # the running total of bytes within each partition
    timestamps: list[datetime | None] | None
    ids: list[str | None] | None


class Located(NamedTuple):
    topic_id: int
    revision: UUID
    owner: str
    max_message_bytes: int
    timestamp_type: str
    timestamp_after_max_ms: int
    cleanup_policy: str
    partition_ids: list[int]  # by partition number

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup_policy


class Extent(NamedTuple):
    log_start: int
    log_end: int
    found: int | None  # the first record at or after the offset asked for
    segment: int  # where it stands
    next_extent: int | None  # and up to which offset others do


class Bounds(NamedTuple):
    partition_id: int
    number: int
    log_start: int
    log_end: int
    size_bytes: int


class FoundByKey(NamedTuple):
    """One record of a key, or none of a partition: then `offset` is None."""

    number: int
    log_start: int
    complete_from: int
    offset: int | None
    timestamp: datetime
    key: bytes
    value: bytes | None
    raw_headers: str | None
    content_type: str | None


class Assigned(NamedTuple):
    epoch: int
    replay_until: int
    attempts: int


class Fenced(NamedTuple):
    group_partition_id: int
    epoch: int
    partition_id: int
    number: int
    topic: str


class Moved(NamedTuple):
    group_partition_id: int
    committed: int | None
    target: int


class Position(NamedTuple):
    topic_id: int
    number: int
    log_start: int
    log_end: int
    size_bytes: int
    group: str | None
    committed: int | None
    lag: int
    lag_seconds: float | None
    owner: str | None
    epoch: int
    failing_offset: int | None
    attempts: int
    error: str
    retry_in: float | None


class Behind(NamedTuple):
    group: str
    topic: str
    partition: int


class Inspected(NamedTuple):
    partition_id: int
    topic_id: int
    segment: int
    records: int
    records_in_segment: int
    target: int | None  # where retention wants the log start


def _isolation_refused(error: psycopg.Error) -> MessagingError:
    return ReadCommittedRequired(verb="Publishing", isolation="another isolation level", what="log")


_REFUSALS = {
    "MQ001": _isolation_refused,
    "logs_read_committed": _isolation_refused,
    "MQ002": lambda _: TopicAltered(),
    "logs_partition_gone": lambda _: PartitionGone(),
    "55P03": lambda _: LockWaitTooLong(),
}


# Prepared where the connection allows it. Not fetch: a plan made while a segment was small would read it whole.
_HOT = {"append", "append_one", "append_once", "stage", "begin_batch", "commit_offset"}


def _run(name: str, using: str, *, child: int = 0, **params: Any) -> list[tuple[Any, ...]]:
    return fetch_all(using, _text(name, child), params, refusals=_REFUSALS, prepare=name in _HOT)


@cache
def _text(name: str, child: int) -> str:
    """A statement that names a segment locks and plans for that child alone."""
    return statement("logs", name).replace("logs_record_s0", f"logs_record_s{int(child)}")


def append(batch: Batch, *, revision: UUID, using: str) -> list[int]:
    """Append in a transaction of its own; the first offset per partition, in the batch's order."""
    ((firsts,),) = _run("append", using, **batch._asdict(), revision=revision)
    return list(firsts)


def append_one(
    partition_id: int,
    record: tuple[bytes | None, bytes | None, str | None, str | None, datetime | None],
    size: int,
    *,
    revision: UUID,
    using: str,
) -> int:
    """The offset of one record: (key, value, headers, content type, timestamp)."""
    key, value, headers, content_type, timestamp = record
    ((offset,),) = _run(
        "append_one",
        using,
        partition_id=partition_id,
        key=key,
        value=value,
        headers=headers,
        content_type=content_type,
        timestamp=timestamp,
        size=size,
        revision=revision,
    )
    return int(offset)


def append_once(batch: Batch, *, revision: UUID, using: str) -> list[tuple[int, int, bool]]:
    """As `append` for records with producer ids: partition id, offset and "known before", per record."""
    ((partitions, offsets, duplicates),) = _run("append_once", using, **batch._asdict(), revision=revision)
    return list(zip(partitions, offsets, duplicates, strict=True))


def stage(batch: Batch, *, topic_id: int, revision: UUID, using: str) -> bool:
    """Append when the surrounding transaction commits. False = the topic is not what the caller knew."""
    return bool(_run("stage", using, **batch._asdict(), topic_id=topic_id, revision=revision))


def assign_now(*, using: str) -> None:
    """Give offsets to what this transaction staged, before it ends."""
    _run("assign_now", using)


def locate(topic: str, *, using: str) -> Located | None:
    rows = _run("locate", using, topic=topic)
    return Located(*rows[0]) if rows else None


def extent(partition_id: int, offset: int, *, using: str) -> Extent | None:
    """Where an offset stands; None for a partition that is gone."""
    rows = _run("extent", using, partition_id=partition_id, offset=offset)
    return Extent(*rows[0]) if rows else None


def fetch(
    topic: str,
    partition: int,
    *,
    partition_id: int,
    segment: int,
    offset: int,
    max_records: int,
    max_bytes: int,
    replay_until: int = 0,
    using: str,
) -> list[Record]:
    """The record at `offset` and those after it in its segment, in order; none if that very one is not there.

    Those below `replay_until` are marked as a replay.
    """
    rows = _run(
        "fetch",
        using,
        child=segment,
        partition_id=partition_id,
        offset=offset,
        max_records=max_records,
        max_bytes=max_bytes,
        replay_until=replay_until,
    )
    place = (topic, partition)
    return [tuple.__new__(Record, place + row) for row in rows]


def bounds(partition_ids: Sequence[int], *, using: str) -> list[Bounds]:
    return [Bounds(*row) for row in _run("bounds", using, partition_ids=list(partition_ids))]


def offset_for_time(partition_id: int, time: datetime, *, using: str) -> int | None:
    rows = _run("offset_for_time", using, partition_id=partition_id, time=time)
    return rows[0][0] if rows else None


def move_log_start(targets: dict[int, int], *, using: str) -> dict[int, int]:
    """Partition id to the log start it shall have; answers the one it has."""
    ids = list(targets)
    return dict(_run("move_log_start", using, partition_ids=ids, targets=list(targets.values())))


def adopt_topic(topic_id: int, *, revision: UUID, hash_keys: bool, using: str) -> None:
    """The topic's partitions take over its revision, and whether keys are hashed."""
    _run("adopt_topic", using, topic_id=topic_id, revision=revision, hash_keys=hash_keys)


def note_deleted(partition_ids: Sequence[int], *, using: str) -> None:
    _run("note_deleted", using, partition_ids=list(partition_ids))


def delete_expired(*, limit: int, using: str) -> int:
    """How many offsets of the shared segment are done with; 0 when none is left."""
    return int(_run("delete_expired", using, limit=limit)[0][0])


def inspect(*, after_id: int, limit: int, using: str) -> list[Inspected]:
    """One page of partitions, by id."""
    return [Inspected(*row) for row in _run("inspect", using, after_id=after_id, limit=limit)]


def roll(topic_id: int, *, from_segment: int, using: str) -> int | None:
    """The segment the topic goes on in; None: no emptied one is free, or it has moved already."""
    segment: int | None = _run("roll", using, topic_id=topic_id, from_segment=from_segment)[0][0]
    return segment


def add_segment(*, limit: int, using: str) -> bool:
    """False: there are `limit` already."""
    return bool(_run("add_segment", using, limit=limit))


def occupied_segments(*, using: str) -> list[int]:
    return [row[0] for row in _run("occupied_segments", using)]


def free_segment(segment: int, *, using: str) -> bool:
    """False: something in it can still be read. LockWaitTooLong: somebody still reads it."""
    return bool(_run("free_segment", using, segment=segment)[0][0])


def compactable(*, using: str) -> list[int]:
    """Ids of partitions with work for compaction, or for hashing older keys."""
    return [row[0] for row in _run("compactable", using)]


def compact(partition_id: int, *, limit: int, using: str) -> int:
    """One step; how many offsets it passed."""
    return int(_run("compact", using, partition_id=partition_id, limit=limit)[0][0])


def hash_older_keys(partition_id: int, *, limit: int, using: str) -> int:
    """One step; how many offsets it passed."""
    return int(_run("hash_older_keys", using, partition_id=partition_id, limit=limit)[0][0])


def remove_tombstones(*, limit: int, using: str) -> int:
    return int(_run("remove_tombstones", using, limit=limit)[0][0])


def find_key(before: dict[int, int], key: bytes, *, limit: int, using: str) -> list[FoundByKey]:
    """Partition id to the offset before which to look; the newest first within each."""
    rows = _run("find_key", using, partition_ids=list(before), before=list(before.values()), key=key, limit=limit)
    return [FoundByKey(*row) for row in rows]


def erase_key(partition_ids: Sequence[int], key: bytes, *, using: str) -> tuple[int, list[int]]:
    """How many records lost value or headers, and the segments to vacuum."""
    ((erased, segments),) = _run("erase_key", using, partition_ids=list(partition_ids), key=key)
    return erased, segments or []


def vacuum(segment: int, *, using: str) -> None:
    """Not inside a transaction."""
    _run("vacuum", using, child=segment)


def sweep_producer_ids(*, window_seconds: float, limit: int, using: str) -> int:
    return len(_run("sweep_producer_ids", using, window_seconds=window_seconds, limit=limit))


def acquire(group_partition_id: int, *, member: str, seconds: float, using: str) -> Assigned | None:
    rows = _run("acquire", using, group_partition_id=group_partition_id, member=member, seconds=seconds)
    return Assigned(*rows[0]) if rows else None


def position(group_partition_id: int, *, using: str) -> tuple[int | None, int]:
    """(committed or None, log start)."""
    ((committed, log_start),) = _run("position", using, group_partition_id=group_partition_id)
    return committed, log_start


def renew(member: str, *, group_partition_ids: Sequence[int], seconds: float, using: str) -> int:
    """How many partitions the member goes on holding."""
    return len(_run("renew", using, member=member, group_partition_ids=list(group_partition_ids), seconds=seconds))


def release(group_partition_id: int, *, epoch: int, using: str) -> bool:
    return bool(_run("release", using, group_partition_id=group_partition_id, epoch=epoch))


def begin_batch(group_partition_id: int, *, epoch: int, using: str) -> bool:
    """False = fenced."""
    return bool(_run("begin_batch", using, group_partition_id=group_partition_id, epoch=epoch))


def commit_offset(group_partition_id: int, *, epoch: int, offset: int, using: str) -> bool:
    """False = fenced: nothing was written."""
    return bool(_run("commit_offset", using, group_partition_id=group_partition_id, epoch=epoch, offset=offset))


def record_failure(
    group_partition_id: int, *, epoch: int, offset: int, error: str, retry_seconds: float, using: str
) -> int | None:
    """How often the record has failed by now; None = fenced."""
    rows = _run(
        "record_failure",
        using,
        group_partition_id=group_partition_id,
        epoch=epoch,
        offset=offset,
        error=error,
        retry_seconds=retry_seconds,
    )
    return rows[0][0] if rows else None


def clear_failure(group_partition_id: int, *, epoch: int, using: str) -> bool:
    return bool(_run("clear_failure", using, group_partition_id=group_partition_id, epoch=epoch))


def fence(
    group: str, *, topic: str | None, partitions: Sequence[int] | None, holder: str, seconds: float, using: str
) -> list[Fenced]:
    """Take partitions of a group away from whoever holds them, by id."""
    rows = _run(
        "fence",
        using,
        group=group,
        topic=topic,
        partitions=None if partitions is None else list(partitions),
        holder=holder,
        seconds=seconds,
    )
    return sorted(Fenced(*row) for row in rows)


def limit_lock_wait(*, seconds: float, using: str) -> None:
    """For the rest of the transaction; 0 waits for ever again."""
    _run("limit_lock_wait", using, milliseconds=int(seconds * 1_000))


def lock_fenced(fenced: Sequence[Fenced], *, using: str) -> int:
    """Wait for the handlers' transactions that were fenced; how many partitions are still ours."""
    ids, epochs = [f.group_partition_id for f in fenced], [f.epoch for f in fenced]
    return len(_run("lock_fenced", using, group_partition_ids=ids, epochs=epochs))


def reset(fenced: Sequence[Fenced], targets: Sequence[int], *, using: str) -> list[Moved]:
    """Move what is fenced and locked to its targets, by id."""
    ids = [f.group_partition_id for f in fenced]
    return [Moved(*row) for row in _run("reset", using, group_partition_ids=ids, targets=list(targets))]


def positions(topic_ids: Sequence[int], *, using: str) -> list[Position]:
    return [Position(*row) for row in _run("positions", using, topic_ids=list(topic_ids))]


def behind(groups: Sequence[str], *, limit: int, using: str) -> list[Behind]:
    return [Behind(*row) for row in _run("behind", using, groups=list(groups), limit=limit)]


def unread(group: str, topic: str, partition: int, *, using: str) -> bool:
    return bool(_run("unread", using, group=group, topic=topic, partition=partition))


def sweep_commits(*, limit: int, using: str) -> int:
    return len(_run("sweep_commits", using, limit=limit))
