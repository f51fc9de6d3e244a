"""The only door to raw SQL of the log: one function per statement in sql/."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import psycopg

from logs.errors import LockWaitTooLong, PartitionGone, TopicAltered
from logs.rows import (
    Assigned,
    Batch,
    Behind,
    Bounds,
    Extent,
    Fenced,
    FoundByKey,
    Inspected,
    Located,
    Moved,
    Position,
    Record,
)
from mqsite.errors import MessagingError, ReadCommittedRequired
from mqsite.sql import fetch_all, statement


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
    record: Sequence[bytes | str | datetime | None],
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


def free_segment(segment: int, *, quiet_seconds: float, using: str) -> bool:
    """False: it can still be read, or its topic left it less than `quiet_seconds` ago.

    LockWaitTooLong: somebody reads it just now.
    """
    return bool(_run("free_segment", using, segment=segment, quiet_seconds=quiet_seconds)[0][0])


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
