"""The only door to raw SQL of the queue: one function per statement in sql/."""

from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg

from mqsite import beside
from mqsite.arrays import ByteaArray, Int8Array
from mqsite.errors import MessagingError, ReadCommittedRequired
from mqsite.sql import fetch_all, in_transaction, statement
from queues.errors import JsonPathInvalid, SearchMarkGone
from queues.rows import (
    Batch,
    Card,
    Depth,
    Holder,
    Lease,
    Located,
    Message,
    Moved,
    Named,
    Outcome,
    Ranges,
    Reply,
    Scheduled,
    Sent,
    Spent,
)


def _isolation_refused(error: psycopg.Error) -> MessagingError:
    return ReadCommittedRequired(verb="The queue", isolation="another isolation level", what="queue")


def _mark_gone(error: psycopg.Error) -> MessagingError:
    return SearchMarkGone()


_REFUSALS = {"MQ001": _isolation_refused, "queues_read_committed": _isolation_refused, "MQ003": _mark_gone}

# Syntax; a number or a regular expression in it.
_BAD_PATHS = ("42601", "22P02", "22003", "2201B")

new_tuple = tuple.__new__  # half the cost of the named tuple's own constructor

_POSITION, _PRIORITY = itemgetter(2), itemgetter(8)  # of a row that is received

# Prepared where the connection allows it.
_HOT = {"send", "send_one", "send_placed", "receive", "ack", "take", "suspects", "ack_taken"}


def _run(name: str, using: str, **params: Any) -> list[tuple[Any, ...]]:
    return fetch_all(using, statement("queues", name), params, refusals=_REFUSALS, prepare=name in _HOT)


def _run_relaxed(name: str, using: str, **params: Any) -> list[tuple[Any, ...]]:
    """Does not wait for the disk, unless it is in somebody's transaction."""
    return _run(name, using, own=not in_transaction(using), **params)


def send(located: Located, batch: Batch, *, sender: str, using: str) -> list[Sent]:
    """The ids in the batch's order; none = the queue is not what was remembered."""
    columns = batch._asdict() | {"payloads": ByteaArray(batch.payloads)}
    rows = _run("send", using, queue_id=located.queue_id, revision=located.revision, sender=sender, **columns)
    ids = rows[0][0] or []
    return list(map(new_tuple, repeat(Sent), zip(ids, repeat(False))))


def send_one(located: Located, batch: Batch, *, sender: str, using: str) -> list[Sent]:
    """As `send`, for a batch of one that may be received at once."""
    rows = _run(
        "send_one",
        using,
        queue_id=located.queue_id,
        revision=located.revision,
        sender=sender,
        payload=batch.payloads[0],
        content_type=batch.content_types and batch.content_types[0],
        headers=batch.headers and batch.headers[0],
        group_key=batch.group_keys and batch.group_keys[0],
    )
    return [Sent(id_) for (id_,) in rows]


def send_placed(located: Located, batch: Batch, *, own: bool, sender: str, using: str) -> list[Sent]:
    """As `send`, where ids or keys are looked at. `own`: the statement is a transaction of its own."""
    columns = batch._asdict() | {"payloads": ByteaArray(batch.payloads)}
    rows = _run(
        "send_placed",
        using,
        own=own,
        queue_id=located.queue_id,
        revision=located.revision,
        is_ordered=located.is_ordered,
        sender=sender,
        **columns,
    )
    return [Sent(*row) for row in rows]


def lock_room(queue_id: int, *, using: str) -> None:
    _run("lock_room", using, queue_id=queue_id)


def count_staged(queue_id: int, *, using: str) -> int:
    return int(_run("count_staged", using, queue_id=queue_id)[0][0])


def place_now(*, using: str) -> None:
    _run("place_now", using)


def shut(queue_id: int, *, using: str) -> None:
    _run("shut", using, queue_id=queue_id)


def cancel(queue_id: int, ids: Sequence[int], *, by: str, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("cancel", using, queue_id=queue_id, ids=list(ids), by=by)]


def purge(queue_id: int, states: Sequence[int], *, by: str, limit: int, using: str) -> list[Moved]:
    rows = _run("purge", using, queue_id=queue_id, states=[int(state) for state in states], by=by, limit=limit)
    return [Moved(*row) for row in rows]


def expire(*, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("expire", using, limit=limit)]


def schedule(queue_id: int, *, after: Scheduled | None, limit: int, using: str) -> list[Scheduled]:
    rows = _run(
        "schedule",
        using,
        queue_id=queue_id,
        after_due=after and after.due_at,
        after_id=after and after.id,
        limit=limit,
    )
    return [Scheduled(*row) for row in rows]


def outcomes(
    queue_id: int, *, message_id: int | None, correlation_id: str | None, limit: int, using: str
) -> list[Outcome]:
    asked = {"message_id": message_id, "correlation_id": correlation_id}
    return [Outcome(*row) for row in _run("outcomes", using, queue_id=queue_id, limit=limit, **asked)]


def forget_outcomes(*, most: int, limit: int, using: str) -> int:
    return int(_run("forget_outcomes", using, most=most, limit=limit)[0][0])


def forget_dedup(*, limit: int, using: str) -> int:
    return int(_run("forget_dedup", using, limit=limit)[0][0])


def locate(queue: str, *, using: str) -> Located | None:
    rows = _run("locate", using, queue=queue)
    return Located(*rows[0]) if rows else None


def unchanged(located: Located, *, using: str) -> bool:
    return bool(_run("unchanged", using, queue_id=located.queue_id, revision=located.revision))


def receive(
    queue: str,
    located: Located,
    ranges: Ranges,
    *,
    most: int,
    holder: str,
    seconds: float,
    using: str,
) -> Lease | None:
    """Up to `most` messages in the order to handle them; None = nothing is ready there."""
    rows = _run_relaxed(
        "receive",
        using,
        queue_id=located.queue_id,
        revision=located.revision,
        lows=ranges.lows,
        highs=ranges.highs,
        floors=ranges.floors,
        most=most,
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


def heads(queue_id: int, *, using: str) -> tuple[int, list[tuple[int, int]]]:
    """The last position given out before, and the first ready one of each priority."""
    (_, last), *found = _run("heads", using, queue_id=queue_id)
    return last, [(priority, position) for priority, position in found]


def arrived(waited: dict[int, Ranges], *, using: str) -> set[int]:
    """Those of the queues that have something ready in their ranges, or are gone."""
    rows = _run(
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
    rows = _run_relaxed("ack", using, token=token, ids=Int8Array(ids), queue=queue)
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
    rows = _run(
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
    return [Moved(*row) for row in _run("give_back", using, token=token, ids=list(ids), queue=queue, own=own)]


def extend(token: UUID, ids: Sequence[int], *, seconds: float | None, queue: str, using: str) -> list[int]:
    """Those of the ids that the lease still covers."""
    rows = _run(
        "extend", using, own=not in_transaction(using), token=token, ids=list(ids), seconds=seconds, queue=queue
    )
    return [id_ for (id_,) in rows]


def renew(holder: str, *, tokens: Sequence[UUID] | None, least_seconds: float, using: str) -> int:
    """How many leases the holder goes on holding."""
    chosen = None if tokens is None else list(tokens)
    return len(
        _run(
            "renew",
            using,
            own=not in_transaction(using),
            holder=holder,
            tokens=chosen,
            least_seconds=float(least_seconds),
        )
    )


def reap(*, dead_seconds: float, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("reap", using, dead_seconds=dead_seconds, limit=limit)]


def take(queue: str, located: Located, ranges: Ranges, *, most: int, using: str) -> list[Message]:
    """As `receive`, for the caller's transaction: its end is the end of the right to them.

    What was received before is taken alone: it may be what killed its worker.
    """
    rows = _run(
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
    messages = [new_tuple(Message, place + row) for row in rows]
    alone = next((n for n, message in enumerate(messages) if message.receives > 1), most)
    return messages[: max(1, alone)]


def take_one(message: Message, *, using: str) -> bool:
    return bool(_run("take_one", using, id=message.id, receives=message.receives - 1))


def suspects(handling: str, messages: Sequence[Message], *, using: str) -> set[int]:
    """Those that another worker had in hand, and has no more."""
    return {id_ for (id_,) in _run("suspects", using, handling=handling, **_columns(messages))}


def note(handling: str, worker: str, messages: Sequence[Message], *, using: str) -> None:
    params = {"handling": handling, "worker": worker, **_columns(messages)}
    beside.execute(using, statement("queues", "note"), params)


def forget_note(handling: str, *, using: str) -> None:
    _run_relaxed("forget_note", using, handling=handling)


def keep_notes(worker: str, *, using: str) -> None:
    _run_relaxed("keep_notes", using, worker=worker)


def ack_taken(ids: Sequence[int], *, by: str, using: str) -> list[Named]:
    return [Named(*row) for row in _run("ack_taken", using, ids=list(ids), by=by)]


def nack_taken(
    ids: Sequence[int], *, delay: float | None, error: str, most: int | None = None, using: str
) -> list[Moved]:
    reason = "rejected" if delay is None else "retry"
    delays, errors = [delay] * len(ids), [error] * len(ids)
    rows = _run("nack_taken", using, ids=list(ids), delays=delays, errors=errors, reason=reason, most=most)
    return [Moved(*row) for row in rows]


def charge(*, dead_seconds: float, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("charge", using, dead_seconds=dead_seconds, limit=limit)]


def _columns(messages: Sequence[Message]) -> dict[str, list[int]]:
    """With the receives that are written in the row: this one is not."""
    return {"ids": [m.id for m in messages], "receives": [m.receives - 1 for m in messages]}


def promote(*, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("promote", using, limit=limit)]


def redrive(queue: str, *, ids: Sequence[int] | None, limit: int, using: str) -> list[Moved]:
    chosen = None if ids is None else list(ids)
    return [Moved(*row) for row in _run("redrive", using, queue=queue, ids=chosen, limit=limit)]


def redrive_step(job: int, *, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("redrive_step", using, job=job, limit=limit)]


def edit_letter(
    queue_id: int, id_: int, *, payload: bytes, content_type: str | None, headers: str | None, using: str
) -> bool:
    """Whether it is a dead letter of the queue that nobody holds; it stays locked."""
    content = {"payload": payload, "content_type": content_type, "headers": headers}
    return bool(_run("edit_letter", using, queue_id=queue_id, id=id_, **content))


def revive(ids: Sequence[int], target_id: int | None, *, using: str) -> list[Moved]:
    return [Moved(*row) for row in _run("revive", using, ids=list(ids), target_id=target_id)]


def discard(queue_id: int, *, using: str) -> None:
    _run("discard", using, queue_id=queue_id)


def waiting(queues: Sequence[str], *, limit: int, using: str) -> list[str]:
    return [name for (name,) in _run("waiting", using, queues=list(queues), limit=limit)]


def depth(queue_ids: Sequence[int], *, limit: int, using: str) -> list[Depth]:
    return [Depth(*row) for row in _run("depth", using, queue_ids=list(queue_ids), limit=limit)]


def cards(queue_ids: Sequence[int], *, limit: int, detail_characters: int, using: str) -> list[Card]:
    rows = _run("cards", using, queue_ids=list(queue_ids), limit=limit, detail_characters=detail_characters)
    return [Card(*row) for row in rows]


def spend(sender: str, messages: int, bytes_: int, *, using: str) -> Spent | None:
    """None: the sender has no quota. Beside the transaction it is in, if it is in one."""
    params = {"sender": sender, "messages": messages, "bytes": bytes_}
    text = statement("queues", "spend")
    rows = beside.execute(using, text, params) if in_transaction(using) else fetch_all(using, text, params)
    return Spent(*rows[0]) if rows else None


def answer(headers: str, content_type: str | None, value: bytes | None, *, using: str) -> bool:
    """Whether the request in these headers was still waited for."""
    return bool(_run("answer", using, headers=headers, content_type=content_type, value=value)[0][0])


def replies(requests: Sequence[UUID], *, using: str) -> list[Reply]:
    return [Reply(*row) for row in _run("replies", using, requests=list(requests))]


def forget_replies(*, limit: int, using: str) -> int:
    return int(_run("forget_replies", using, limit=limit)[0][0])


def holders(queue_id: int, *, limit: int, using: str) -> list[Holder]:
    return [Holder(*row) for row in _run("holders", using, queue_id=queue_id, limit=limit)]


def letters(queue_id: int, fitting: dict[str, Any], *, limit: int, using: str) -> tuple[int, int]:
    """How many letters were looked at, and how many of them fit the filter."""
    ((looked_at, found),) = _run("letters", using, queue_id=queue_id, limit=limit, **fitting)
    return looked_at, found


def search(
    queue_id: int,
    state: int,
    *,
    group_key: str | None,
    text: str | None,
    json_path: str | None,
    after: tuple[int, int],
    limit: int,
    most_scanned: int,
    using: str,
) -> tuple[list[int], int, tuple[int, int] | None]:
    """The ids found, how many were looked at, and where to go on; None: that was all."""
    params = {
        "queue_id": queue_id,
        "state": int(state),
        "group_key": group_key,
        "text": text,
        "json_path": json_path,
        "after_priority": after[0],
        "after_position": after[1],
        "limit": limit,
        "most_scanned": most_scanned,
    }
    # The only text of ours that PostgreSQL parses.
    refusals = _REFUSALS | dict.fromkeys(_BAD_PATHS, lambda error: JsonPathInvalid(path=json_path, said=_say(error)))
    rows = fetch_all(using, statement("queues", "search"), params, refusals=refusals)
    *found, (_, scanned, priority, position) = rows
    return [row[0] for row in found], scanned, None if position is None else (priority, position)


def _say(error: psycopg.Error) -> str:
    return error.diag.message_primary or "it cannot be parsed"


def find_letters(
    queue_id: int, *, after: int, limit: int, most_scanned: int, using: str, **only: Any
) -> tuple[list[int], int, int | None]:
    """The ids of the dead letters that fit, how many were looked at, and where to go on; None: that was all.

    `only`: only_reason, only_text, died_after and died_before, None for any.
    """
    limits = {"after": after, "limit": limit, "most_scanned": most_scanned}
    *found, (_, scanned, position) = _run("find_letters", using, queue_id=queue_id, **limits, **only)
    return [row[0] for row in found], scanned, position


def peek(queue: str, ids: Sequence[int], *, using: str) -> list[Message]:
    return [Message(queue, *row) for row in _run("peek", using, queue=queue, ids=list(ids))]
