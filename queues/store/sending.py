"""Statements of who sends: into the queue, out of it again, and the replies."""

from collections.abc import Sequence
from uuid import UUID

from mqsite import beside
from mqsite.arrays import ByteaArray
from mqsite.sql import fetch_all, in_transaction, statement
from queues.rows import (
    Batch,
    Located,
    Moved,
    Reply,
    Scheduled,
    Spent,
)
from queues.store.running import run


def send(located: Located, batch: Batch, *, sender: str, using: str) -> list[int]:
    """The ids in the batch's order; none = the queue is not what was remembered."""
    columns = batch._asdict() | {"payloads": ByteaArray(batch.payloads)}
    rows = run("send", using, queue_id=located.queue_id, revision=located.revision, sender=sender, **columns)
    return rows[0][0] or []


def send_ready(located: Located, batch: Batch, *, sender: str, using: str) -> list[int]:
    """As `send`, for a batch without priorities that may be received at once."""
    rows = run(
        "send_ready",
        using,
        queue_id=located.queue_id,
        revision=located.revision,
        sender=sender,
        payloads=ByteaArray(batch.payloads),
        content_types=batch.content_types,
        headers=batch.headers,
        group_keys=batch.group_keys,
    )
    return rows[0][0] or []


def send_one(located: Located, batch: Batch, *, sender: str, using: str) -> list[int]:
    """As `send`, for a batch of one that may be received at once."""
    rows = run(
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
    return [id_ for (id_,) in rows]


def send_placed(
    located: Located, batch: Batch, *, own: bool, sender: str, using: str
) -> tuple[list[int], list[bool] | None]:
    """As `send`, where ids or keys are looked at, and which are fresh; None = all, else the others were sent before.

    `own`: the statement is a transaction of its own.
    """
    columns = batch._asdict() | {"payloads": ByteaArray(batch.payloads)}
    rows = run(
        "send_placed",
        using,
        own=own,
        queue_id=located.queue_id,
        revision=located.revision,
        is_ordered=located.is_ordered,
        sender=sender,
        **columns,
    )
    ids, fresh = rows[0]
    return ids or [], fresh


def lock_room(queue_id: int, *, using: str) -> None:
    run("lock_room", using, queue_id=queue_id)


def count_staged(queue_id: int, *, using: str) -> int:
    return int(run("count_staged", using, queue_id=queue_id)[0][0])


def place_now(*, using: str) -> None:
    run("place_now", using)


def shut(queue_id: int, *, using: str) -> None:
    run("shut", using, queue_id=queue_id)


def cancel(queue_id: int, ids: Sequence[int], *, by: str, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("cancel", using, queue_id=queue_id, ids=list(ids), by=by)]


def purge(queue_id: int, states: Sequence[int], *, by: str, limit: int, using: str) -> list[Moved]:
    rows = run("purge", using, queue_id=queue_id, states=[int(state) for state in states], by=by, limit=limit)
    return [Moved(*row) for row in rows]


def expire(*, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("expire", using, limit=limit)]


def schedule(queue_id: int, *, after: Scheduled | None, limit: int, using: str) -> list[Scheduled]:
    rows = run(
        "schedule",
        using,
        queue_id=queue_id,
        after_due=after and after.due_at,
        after_id=after and after.id,
        limit=limit,
    )
    return [Scheduled(*row) for row in rows]


def promote(*, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("promote", using, limit=limit)]


def locate(queue: str, *, using: str) -> Located | None:
    rows = run("locate", using, queue=queue)
    return Located(*rows[0]) if rows else None


def unchanged(located: Located, *, using: str) -> bool:
    return bool(run("unchanged", using, queue_id=located.queue_id, revision=located.revision))


def spend(sender: str, messages: int, bytes_: int, *, using: str) -> Spent | None:
    """None: the sender has no quota. Beside the transaction it is in, if it is in one."""
    params = {"sender": sender, "messages": messages, "bytes": bytes_}
    text = statement("queues", "spend")
    rows = beside.execute(using, text, params) if in_transaction(using) else fetch_all(using, text, params)
    return Spent(*rows[0]) if rows else None


def answer(headers: str, content_type: str | None, value: bytes | None, *, using: str) -> bool:
    """Whether the request in these headers was still waited for."""
    return bool(run("answer", using, headers=headers, content_type=content_type, value=value)[0][0])


def replies(requests: Sequence[UUID], *, using: str) -> list[Reply]:
    return [Reply(*row) for row in run("replies", using, requests=list(requests))]


def forget_replies(*, limit: int, using: str) -> int:
    return int(run("forget_replies", using, limit=limit)[0][0])


def forget_dedup(*, limit: int, using: str) -> int:
    return int(run("forget_dedup", using, limit=limit)[0][0])
