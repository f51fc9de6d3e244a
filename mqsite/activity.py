"""What this process is working on, how much it has handled, and what failed last: for its heartbeat."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone

from mqsite.payloads import end_of_text

MINUTE_SECONDS = 60
MAX_ERROR_CHARACTERS = 2_000
MAX_WORKING_ON = 100  # names that are told; a process has few threads

_lock = threading.Lock()
_working_on: Counter[str] = Counter()
_by_second: dict[int, int] = {}
_told: dict[str, Any] = {"handled": 0, "last_error": "", "failed_for": "", "failed_at": None}


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


def note_failure(error: str, *, owner: str) -> None:
    """`owner`: the boundary that the handler works for. The text may quote what it handled."""
    with _lock:
        _told["failed_for"] = owner
        _told["last_error"] = end_of_text(error, MAX_ERROR_CHARACTERS)
        _told["failed_at"] = timezone.now()


def tell() -> dict[str, Any]:
    """The columns of this process's row."""
    with _lock:
        _forget(int(time.monotonic()))
        return {
            "working_on": sorted(_working_on)[:MAX_WORKING_ON],
            "handled_last_minute": sum(_by_second.values()),
            **_told,
        }


def _forget(now: int) -> None:
    for second in [second for second in _by_second if second <= now - MINUTE_SECONDS]:
        del _by_second[second]
