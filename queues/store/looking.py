"""Statements that look."""

from collections.abc import Sequence

import psycopg

from mqsite.sql import fetch_all, statement
from queues.errors import JsonPathInvalid
from queues.rows import (
    Card,
    Depth,
    Holder,
    Message,
    Outcome,
)
from queues.store.running import REFUSALS, run

# Syntax; a number or a regular expression in it.
_BAD_PATHS = ("42601", "22P02", "22003", "2201B")


def waiting(queues: Sequence[str], *, limit: int, using: str) -> list[str]:
    return [name for (name,) in run("waiting", using, queues=list(queues), limit=limit)]


def depth(queue_ids: Sequence[int], *, limit: int, using: str) -> list[Depth]:
    return [Depth(*row) for row in run("depth", using, queue_ids=list(queue_ids), limit=limit)]


def cards(queue_ids: Sequence[int], *, limit: int, detail_characters: int, using: str) -> list[Card]:
    rows = run("cards", using, queue_ids=list(queue_ids), limit=limit, detail_characters=detail_characters)
    return [Card(*row) for row in rows]


def holders(queue_id: int, *, limit: int, using: str) -> list[Holder]:
    return [Holder(*row) for row in run("holders", using, queue_id=queue_id, limit=limit)]


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
    refusals = REFUSALS | dict.fromkeys(_BAD_PATHS, lambda error: JsonPathInvalid(path=json_path, said=_say(error)))
    rows = fetch_all(using, statement("queues", "search"), params, refusals=refusals)
    *found, (_, scanned, priority, position) = rows
    return [row[0] for row in found], scanned, None if position is None else (priority, position)


def _say(error: psycopg.Error) -> str:
    return error.diag.message_primary or "it cannot be parsed"


def peek(queue: str, ids: Sequence[int], *, using: str) -> list[Message]:
    return [Message(queue, *row) for row in run("peek", using, queue=queue, ids=list(ids))]


def outcomes(
    queue_id: int, *, message_id: int | None, correlation_id: str | None, limit: int, using: str
) -> list[Outcome]:
    asked = {"message_id": message_id, "correlation_id": correlation_id}
    return [Outcome(*row) for row in run("outcomes", using, queue_id=queue_id, limit=limit, **asked)]


def forget_outcomes(*, most: int, limit: int, using: str) -> int:
    return int(run("forget_outcomes", using, most=most, limit=limit)[0][0])
