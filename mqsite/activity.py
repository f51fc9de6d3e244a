"""What this process is working on, how much it has handled, and what failed last: for its heartbeat."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models.functions import Now

from mqsite.payloads import end_of_text

MINUTE_SECONDS = 60
MAX_ERROR_CHARACTERS = 2_000
MAX_WORKING_ON = 100  # names that are told; a process has few threads

_lock = threading.Lock()
_working_on: Counter[str] = Counter()
_by_second: dict[int, int] = {}
_told: dict[str, Any] = {"handled": 0, "last_error": "", "failed_for": "", "failed_at": None}


class Failure(NamedTuple):
    """A record or message that a handler failed on, and the error."""

    item: Any
    error: Exception


class Watch:
    """What was handled, and each failure, since it began."""

    def __init__(self) -> None:
        self.handled = 0
        self.failures: list[Failure] = []


_watches: list[Watch] = []


@contextmanager
def watching() -> Iterator[Watch]:
    """For tests: what the loops do inside, as it happens."""
    watch = Watch()
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.remove(watch)


@contextmanager
def working_on(name: str) -> Iterator[None]:
    """`orders-3 for billing`, while it lasts."""
    with _lock:
        _working_on[name] += 1
    try:
        yield
    finally:
        with _lock:
            _working_on[name] -= 1
            if not _working_on[name]:
                del _working_on[name]


def note_handled(count: int) -> None:
    """So many records or messages were handled just now."""
    second = int(time.monotonic())
    with _lock:
        _told["handled"] += count
        if second not in _by_second:
            _forget(second)
        _by_second[second] = _by_second.get(second, 0) + count
    for watch in _watches:
        watch.handled += count


def note_failure(said: str, failure: Failure | None = None, *, owner: str) -> None:
    """`failure`: of a handler. `owner`: the boundary that it works for. What is said may quote what it handled."""
    with _lock:
        _told["failed_for"] = owner
        _told["last_error"] = end_of_text(said, MAX_ERROR_CHARACTERS)
        _told["failed_at"] = time.monotonic()
    if failure is not None:
        for watch in _watches:
            watch.failures.append(failure)


def tell() -> dict[str, Any]:
    """The columns of this process's row."""
    with _lock:
        _forget(int(time.monotonic()))
        failed_at = _told["failed_at"]
        if failed_at is not None:  # by the database's clock, as all times of all processes
            failed_at = Now() - timedelta(seconds=time.monotonic() - failed_at)
        return {
            "working_on": sorted(_working_on)[:MAX_WORKING_ON],
            "handled_last_minute": sum(_by_second.values()),
            **_told,
            "failed_at": failed_at,
        }


def _forget(now: int) -> None:
    for second in [second for second in _by_second if second <= now - MINUTE_SECONDS]:
        del _by_second[second]
