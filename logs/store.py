"""The only door to raw SQL of the log: one function per statement in sql/."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from logs.errors import LockWaitTooLong, PartitionGone
from mqsite.errors import MessagingError, ReadCommittedRequired
from mqsite.payloads import as_text
from mqsite.sql import fetch_all, statement


@dataclass(frozen=True, slots=True)
class Record:
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
    """Records grouped by partition: `partitions` ascending, then all records in that order."""

    partitions: list[int]
    counts: list[int]
    keys: list[bytes | None]
    vals: list[bytes | None]
    headers: list[str | None]
    content_types: list[str | None]


class Located(NamedTuple):
    topic_id: int
    owner: str
    max_message_bytes: int
    partition_ids: list[int]  # by partition number


class Bounds(NamedTuple):
    partition_id: int
    number: int
    log_start: int
    log_end: int


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


def _isolation_refused(error: psycopg.Error) -> MessagingError:
    return ReadCommittedRequired(verb="Publishing", isolation="another isolation level", what="log")


_REFUSALS = {
    "MQ001": _isolation_refused,
    "logs_read_committed": _isolation_refused,
    "logs_partition_gone": lambda _: PartitionGone(),
    "55P03": lambda _: LockWaitTooLong(),
}


def _run(name: str, using: str, **params: Any) -> list[tuple[Any, ...]]:
    return fetch_all(using, statement("logs", name), params, refusals=_REFUSALS)


def append(batch: Batch, *, using: str) -> list[int]:
    """Append in a transaction of its own; the first offset per partition, in the batch's order."""
    ((firsts,),) = _run("append", using, **batch._asdict())
    return list(firsts)


def stage(batch: Batch, *, using: str) -> None:
    """Append when the surrounding transaction commits."""
    _run("stage", using, **batch._asdict())


def assign_now(*, using: str) -> None:
    """Give offsets to what this transaction staged, before it ends."""
    _run("assign_now", using)


def locate(topic: str, *, using: str) -> Located | None:
    rows = _run("locate", using, topic=topic)
    return Located(*rows[0]) if rows else None


def fetch(
    topic: str,
    partition: int,
    *,
    partition_id: int,
    offset: int,
    max_records: int,
    max_bytes: int,
    replay_until: int = 0,
    using: str,
) -> list[Record]:
    """Records from `offset` on, in order. Those below `replay_until` are marked as a replay."""
    rows = _run(
        "fetch",
        using,
        partition_id=partition_id,
        offset=offset,
        max_records=max_records,
        max_bytes=max_bytes,
        replay_until=replay_until,
    )
    return [Record(topic, partition, *row) for row in rows]


def bounds(partition_ids: Sequence[int], *, using: str) -> list[Bounds]:
    return [Bounds(*row) for row in _run("bounds", using, partition_ids=list(partition_ids))]


def truncate(partition_ids: Sequence[int], *, using: str) -> None:
    _run("truncate", using, partition_ids=list(partition_ids))


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
