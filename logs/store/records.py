"""Statements about topics, records and where they stand."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from logs.rows import Batch, Bounds, Extent, FoundByKey, Inspected, Located, Record
from logs.store.running import run


def append(batch: Batch, *, revision: UUID, using: str) -> list[int]:
    """Append in a transaction of its own; the first offset per partition, in the batch's order."""
    ((firsts,),) = run("append", using, **batch._asdict(), revision=revision)
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
    ((offset,),) = run(
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
    ((partitions, offsets, duplicates),) = run("append_once", using, **batch._asdict(), revision=revision)
    return list(zip(partitions, offsets, duplicates, strict=True))


def stage(batch: Batch, *, topic_id: int, revision: UUID, using: str) -> bool:
    """Append when the surrounding transaction commits. False = the topic is not what the caller knew."""
    return bool(run("stage", using, **batch._asdict(), topic_id=topic_id, revision=revision))


def assign_now(*, using: str) -> None:
    """Give offsets to what this transaction staged, before it ends."""
    run("assign_now", using)


def locate(topic: str, *, using: str) -> Located | None:
    rows = run("locate", using, topic=topic)
    return Located(*rows[0]) if rows else None


def extent(partition_id: int, offset: int, *, using: str) -> Extent | None:
    """Where an offset stands; None for a partition that is gone."""
    rows = run("extent", using, partition_id=partition_id, offset=offset)
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
    rows = run(
        "fetch",
        using,
        child=segment,
        partition_id=partition_id,
        offset=offset,
        max_records=max_records,
        max_bytes=max_bytes,
    )
    again, anew = (topic, partition, True), (topic, partition, False)
    return [tuple.__new__(Record, (again if row[0] < replay_until else anew) + row) for row in rows]


def bounds(partition_ids: Sequence[int], *, using: str) -> list[Bounds]:
    return [Bounds(*row) for row in run("bounds", using, partition_ids=list(partition_ids))]


def offset_for_time(partition_id: int, time: datetime, *, using: str) -> int | None:
    rows = run("offset_for_time", using, partition_id=partition_id, time=time)
    return rows[0][0] if rows else None


def move_log_start(targets: dict[int, int], *, using: str) -> dict[int, int]:
    """Partition id to the log start it shall have; answers the one it has."""
    ids = list(targets)
    return dict(run("move_log_start", using, partition_ids=ids, targets=list(targets.values())))


def adopt_topic(topic_id: int, *, revision: UUID, hash_keys: bool, using: str) -> None:
    """The topic's partitions take over its revision, and whether keys are hashed."""
    run("adopt_topic", using, topic_id=topic_id, revision=revision, hash_keys=hash_keys)


def note_deleted(partition_ids: Sequence[int], *, using: str) -> None:
    run("note_deleted", using, partition_ids=list(partition_ids))


def delete_expired(*, limit: int, using: str) -> int:
    """How many offsets of the shared segment are done with; 0 when none is left."""
    return int(run("delete_expired", using, limit=limit)[0][0])


def inspect(*, after_id: int, limit: int, using: str) -> list[Inspected]:
    """One page of partitions, by id."""
    return [Inspected(*row) for row in run("inspect", using, after_id=after_id, limit=limit)]


def roll(topic_id: int, *, from_segment: int, using: str) -> int | None:
    """The segment the topic goes on in; None: no emptied one is free, or it has moved already."""
    segment: int | None = run("roll", using, topic_id=topic_id, from_segment=from_segment)[0][0]
    return segment


def add_segment(*, limit: int, using: str) -> bool:
    """False: there are `limit` already."""
    return bool(run("add_segment", using, limit=limit))


def occupied_segments(*, using: str) -> list[int]:
    return [row[0] for row in run("occupied_segments", using)]


def free_segment(segment: int, *, quiet_seconds: float, using: str) -> bool:
    """False: it can still be read, or its topic left it less than `quiet_seconds` ago.

    LockWaitTooLong: somebody reads it just now.
    """
    return bool(run("free_segment", using, segment=segment, quiet_seconds=quiet_seconds)[0][0])


def compactable(*, using: str) -> list[int]:
    """Ids of partitions with work for compaction, or for hashing older keys."""
    return [row[0] for row in run("compactable", using)]


def compact(partition_id: int, *, limit: int, using: str) -> int:
    """One step; how many offsets it passed."""
    return int(run("compact", using, partition_id=partition_id, limit=limit)[0][0])


def hash_older_keys(partition_id: int, *, limit: int, using: str) -> int:
    """One step; how many offsets it passed."""
    return int(run("hash_older_keys", using, partition_id=partition_id, limit=limit)[0][0])


def remove_tombstones(*, limit: int, using: str) -> int:
    return int(run("remove_tombstones", using, limit=limit)[0][0])


def find_key(before: dict[int, int], key: bytes, *, limit: int, using: str) -> list[FoundByKey]:
    """Partition id to the offset before which to look; the newest first within each."""
    rows = run("find_key", using, partition_ids=list(before), before=list(before.values()), key=key, limit=limit)
    return [FoundByKey(*row) for row in rows]


def erase_key(partition_ids: Sequence[int], key: bytes, *, using: str) -> tuple[int, list[int]]:
    """How many records lost value or headers, and the segments to vacuum."""
    ((erased, segments),) = run("erase_key", using, partition_ids=list(partition_ids), key=key)
    return erased, segments or []


def vacuum(segment: int, *, using: str) -> None:
    """Not inside a transaction."""
    run("vacuum", using, child=segment)


def sweep_producer_ids(*, window_seconds: float, limit: int, using: str) -> int:
    return len(run("sweep_producer_ids", using, window_seconds=window_seconds, limit=limit))
