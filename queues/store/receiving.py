"""Statements of who receives: under a lease, or in a transaction of its own."""

from collections.abc import Sequence
from operator import itemgetter
from uuid import UUID

from mqsite import beside
from mqsite.arrays import Int8Array
from mqsite.sql import in_transaction, statement
from queues.rows import (
    Lease,
    Located,
    Message,
    Moved,
    Named,
    Ranges,
)
from queues.store.running import new_tuple, run, run_relaxed

_POSITION, _PRIORITY = itemgetter(2), itemgetter(8)  # of a row that is received


def receive(
    queue: str,
    located: Located,
    ranges: Ranges,
    *,
    most: int,
    most_bytes: int | None = None,
    holder: str,
    seconds: float,
    using: str,
) -> Lease | None:
    """Up to `most` messages in the order to handle them; None = nothing is ready there."""
    rows = run_relaxed(
        "receive",
        using,
        queue_id=located.queue_id,
        revision=located.revision,
        lows=ranges.lows,
        highs=ranges.highs,
        floors=ranges.floors,
        most=most,
        most_bytes=most_bytes,
        alone_from=located.max_receives - 1,
        holder=holder,
        seconds=float(seconds),
    )
    if not rows:
        return None
    rows.sort(key=_POSITION)
    rows.sort(key=_PRIORITY, reverse=True)  # stable
    token, expires_at, *_ = rows[0]
    return Lease(token, queue, expires_at, [new_tuple(Message, (queue, token, *row[2:])) for row in rows])


def heads(queue_id: int, *, revision: UUID | None = None, using: str) -> tuple[int, list[tuple[int, int]]] | None:
    """The last position given out before, and the first ready one of each priority; None: of another revision."""
    (_, last), *found = run("heads", using, queue_id=queue_id, revision=revision)
    return None if last is None else (last, [(priority, position) for priority, position in found])


def last_position(*, using: str) -> int:
    return int(run("last_position", using)[0][0])


def arrived(waited: dict[int, Ranges], *, using: str) -> set[int]:
    """Those of the queues that have something ready in their ranges, or are gone."""
    rows = run(
        "arrived",
        using,
        queue_ids=[queue_id for queue_id, ranges in waited.items() for _ in ranges.lows],
        lows=[low for ranges in waited.values() for low in ranges.lows],
        highs=[high for ranges in waited.values() for high in ranges.highs],
        floors=[floor for ranges in waited.values() for floor in ranges.floors],
    )
    return {queue_id for (queue_id,) in rows}


def ack(token: UUID, ids: Sequence[int], *, queue: str, using: str) -> list[Named]:
    """What was acknowledged and is gone now."""
    rows = run_relaxed("ack", using, token=token, ids=Int8Array(ids), queue=queue)
    return [new_tuple(Named, each) for acked, keys in rows for each in zip(acked or (), keys or (), strict=True)]


def nack(
    token: UUID,
    ids: Sequence[int],
    *,
    delays: Sequence[float | None],
    errors: Sequence[str],
    most: int | None = None,
    queue: str,
    using: str,
) -> list[Moved]:
    """Give back, each after its delay in seconds; NaN is the queue's back-off, None for all rejects.

    `most`: dead after so many receives, None: the queue's max_receives."""
    reason = "rejected" if None in delays else "retry"
    rows = run(
        "nack",
        using,
        token=token,
        ids=list(ids),
        delays=list(delays),
        errors=list(errors),
        reason=reason,
        most=most,
        queue=queue,
        own=not in_transaction(using),
    )
    return [Moved(*row) for row in rows]


def give_back(token: UUID, ids: Sequence[int], *, queue: str, using: str) -> list[Moved]:
    own = not in_transaction(using)
    return [Moved(*row) for row in run("give_back", using, token=token, ids=list(ids), queue=queue, own=own)]


def extend(token: UUID, ids: Sequence[int], *, seconds: float | None, queue: str, using: str) -> list[int]:
    """Those of the ids that the lease still covers."""
    rows = run("extend", using, own=not in_transaction(using), token=token, ids=list(ids), seconds=seconds, queue=queue)
    return [id_ for (id_,) in rows]


def renew(holder: str, *, tokens: Sequence[UUID] | None, seconds: float | None, using: str) -> int:
    """How many leases the holder goes on holding."""
    chosen = None if tokens is None else list(tokens)
    return len(
        run(
            "renew",
            using,
            own=not in_transaction(using),
            holder=holder,
            tokens=chosen,
            seconds=seconds,
        )
    )


def reap(*, dead_seconds: float, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("reap", using, dead_seconds=dead_seconds, limit=limit)]


def take(queue: str, located: Located, ranges: Ranges, *, most: int, using: str) -> list[Message]:
    """As `receive`, for the caller's transaction: its end is the end of the right to them."""
    rows = run(
        "take",
        using,
        queue_id=located.queue_id,
        revision=located.revision,
        lows=ranges.lows,
        highs=ranges.highs,
        floors=ranges.floors,
        most=most,
    )
    place = (queue, None)
    return [new_tuple(Message, place + row) for row in rows]


def take_one(message: Message, *, using: str) -> bool:
    return bool(run("take_one", using, id=message.id, receives=message.receives - 1))


def note(handling: str, worker: str, messages: Sequence[Message], *, using: str) -> list[int]:
    """The ids of those to handle now."""
    params = {"handling": handling, "worker": worker, **_columns(messages)}
    ((ids,),) = beside.execute(using, statement("queues", "note"), params)
    return list(ids)


def forget_note(handling: str, *, using: str) -> None:
    run_relaxed("forget_note", using, handling=handling)


def keep_notes(worker: str, *, using: str) -> None:
    run_relaxed("keep_notes", using, worker=worker)


def ack_taken(ids: Sequence[int], *, by: str, using: str) -> list[Named]:
    return [Named(*row) for row in run("ack_taken", using, ids=list(ids), by=by)]


def nack_taken(
    ids: Sequence[int], *, delay: float | None, error: str, most: int | None = None, using: str
) -> list[Moved]:
    reason = "rejected" if delay is None else "retry"
    delays, errors = [delay] * len(ids), [error] * len(ids)
    rows = run("nack_taken", using, ids=list(ids), delays=delays, errors=errors, reason=reason, most=most)
    return [Moved(*row) for row in rows]


def charge(*, dead_seconds: float, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("charge", using, dead_seconds=dead_seconds, limit=limit)]


def _columns(messages: Sequence[Message]) -> dict[str, list[int]]:
    """With the receives that are written in the row: this one is not."""
    return {"ids": [m.id for m in messages], "receives": [m.receives - 1 for m in messages]}
