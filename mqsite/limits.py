"""Over all workers: how many calls of a handler run at the same time, and how much it gets a second.

Rows, not advisory locks: those belong to a session, which a pooler shares out. A slot is kept by the heartbeat of
its process and free again MQSITE_MEMBER_SECONDS after the last one, by the database's clock.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from mqsite import workers
from mqsite.handling import Stop

LOOK_SECONDS = 0.05  # while waiting for a token
BURST_SECONDS = 1.0  # what was not used in this time is lost
TRIES = 3  # others may take the slot that was seen free

# A free slot, or one whose holder is not heard of.
_TAKE_SLOT = """
INSERT INTO mqsite_handlerslot AS s (handler, number, token, worker, seen_at)
SELECT %(handler)s, n, %(token)s, %(worker)s, clock_timestamp() FROM generate_series(1, %(most)s) n
WHERE NOT EXISTS (SELECT FROM mqsite_handlerslot h WHERE h.handler = %(handler)s AND h.number = n
                  AND h.seen_at >= clock_timestamp() - make_interval(secs => %(dead_seconds)s))
ORDER BY random() LIMIT 1
ON CONFLICT (handler, number) DO UPDATE SET token = EXCLUDED.token, worker = EXCLUDED.worker, seen_at = EXCLUDED.seen_at
WHERE s.seen_at < clock_timestamp() - make_interval(secs => %(dead_seconds)s)
RETURNING number
"""

# A bucket that fills by `rate` a second: as much of it as is wanted, in whole ones. Who waited for the row reads a
# clock that stood still meanwhile.
_FULL = "least(%(burst)s, r.tokens + %(rate)s * greatest(0, extract(epoch FROM statement_timestamp() - r.at)))"
_TAKE_TOKENS = f"""
INSERT INTO mqsite_handlerrate AS r (handler, granted, tokens, at)
VALUES (%(handler)s, least(%(wanted)s, floor(%(burst)s)), %(burst)s - least(%(wanted)s, floor(%(burst)s)),
        statement_timestamp())
ON CONFLICT (handler) DO UPDATE SET granted = least(%(wanted)s, floor({_FULL})),
    tokens = {_FULL} - least(%(wanted)s, floor({_FULL})), at = greatest(r.at, statement_timestamp())
RETURNING granted, tokens
"""

_held: set[uuid.UUID] = set()
_held_lock = threading.Lock()


@contextmanager
def slot(handler: str, most: int | None) -> Iterator[bool]:
    """Whether the handler may run here now. Held until the end of the block."""
    if most is None:
        yield True
        return
    token = uuid.uuid4()
    is_free = any(_take_slot(handler, most, token) for _ in range(TRIES))
    if not is_free:
        yield False
        return
    with _held_lock:
        _held.add(token)
    try:
        yield True
    finally:
        with _held_lock:
            _held.discard(token)
        _free_slot(token)


def keep_slots() -> None:
    """The heartbeat."""
    with _held_lock:
        held = list(_held)
    if held:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE mqsite_handlerslot SET seen_at = clock_timestamp() WHERE token = ANY (%s)", [held])


def take_tokens(handler: str, rate: float | None, wanted: int, *, halt: Stop) -> int:
    """How many of the wanted records or messages may be handled now: at least one, waited for; 0 once `halt` says
    so, or where another worker waits already: one is enough, the others have better to do.

    One statement a batch; not to be called inside a transaction, which would hold the row.
    """
    if rate is None:
        return wanted
    granted, left = _take_tokens(handler, rate, wanted)
    if granted:
        return granted
    with slot(f"{handler} waits", 1) as is_first:
        while is_first and not granted and _sleep((1 - left) / rate, halt):
            granted, left = _take_tokens(handler, rate, wanted)
    return granted


def give_back_tokens(handler: str, rate: float | None, count: int) -> None:
    """They were not needed after all."""
    if rate is not None and count > 0:
        _take_tokens(handler, rate, -count)


def _sleep(seconds: float, halt: Stop) -> bool:
    """False: halted."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if halt():
            return False
        time.sleep(min(LOOK_SECONDS, left))
    return True


def _take_slot(handler: str, most: int, token: uuid.UUID) -> bool:
    params: dict[str, Any] = {
        "handler": handler,
        "most": most,
        "token": token,
        "worker": workers.name(),
        "dead_seconds": settings.MQSITE_MEMBER_SECONDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_SLOT, params)
        return cursor.fetchone() is not None


def _free_slot(token: uuid.UUID) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM mqsite_handlerslot WHERE token = %s", [token])
    except (DatabaseError, InterfaceError):
        pass  # the database went away: the slot is free once its heartbeat stopped


def _take_tokens(handler: str, rate: float, wanted: int) -> tuple[int, float]:
    """How many, and what is left in the bucket."""
    burst = float(max(1.0, rate * BURST_SECONDS))
    params: dict[str, Any] = {"handler": handler, "rate": float(rate), "burst": burst, "wanted": wanted}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_TOKENS, params)
        granted, left = cursor.fetchone()
        return int(granted), float(left)
