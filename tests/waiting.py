"""Waiting without sleeping for luck: poll with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.02


def wait_until(predicate: Callable[[], T], seconds: float = 10, message: str = "") -> T:
    """Returns the first true value of the predicate; fails once the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {message or predicate}")
        time.sleep(POLL_SECONDS)
