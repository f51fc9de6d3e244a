"""Statements about dead letters."""

from collections.abc import Sequence
from typing import Any

from queues.rows import (
    Moved,
)
from queues.store.running import run


def redrive(queue: str, *, ids: Sequence[int] | None, limit: int, using: str) -> list[Moved]:
    chosen = None if ids is None else list(ids)
    return [Moved(*row) for row in run("redrive", using, queue=queue, ids=chosen, limit=limit)]


def redrive_step(job: int, *, limit: int, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("redrive_step", using, job=job, limit=limit)]


def edit_letter(
    queue_id: int, id_: int, *, payload: bytes, content_type: str | None, headers: str | None, using: str
) -> bool:
    """Whether it is a dead letter of the queue that nobody holds; it stays locked."""
    content = {"payload": payload, "content_type": content_type, "headers": headers}
    return bool(run("edit_letter", using, queue_id=queue_id, id=id_, **content))


def revive(ids: Sequence[int], target_id: int | None, *, using: str) -> list[Moved]:
    return [Moved(*row) for row in run("revive", using, ids=list(ids), target_id=target_id)]


def letters(queue_id: int, fitting: dict[str, Any], *, limit: int, using: str) -> tuple[int, int]:
    """How many letters were looked at, and how many of them fit the filter."""
    ((looked_at, found),) = run("letters", using, queue_id=queue_id, limit=limit, **fitting)
    return looked_at, found


def find_letters(
    queue_id: int, *, after: int, limit: int, most_scanned: int, using: str, **only: Any
) -> tuple[list[int], int, int | None]:
    """The ids of the dead letters that fit, how many were looked at, and where to go on; None: that was all.

    `only`: only_reason, only_text, died_after and died_before, None for any.
    """
    limits = {"after": after, "limit": limit, "most_scanned": most_scanned}
    *found, (_, scanned, position) = run("find_letters", using, queue_id=queue_id, **limits, **only)
    return [row[0] for row in found], scanned, position


def discard(queue_id: int, *, using: str) -> None:
    run("discard", using, queue_id=queue_id)
