"""What is to be sent soon, by one background thread of this process: its callers never wait for a server.

What comes under the same key while it waits is added up. The first of a quiet time leaves
at once; under load what has come together leaves every `gap_seconds`, or more rarely once
sending has taken more than a tenth of the time lately, but every `most_gap_seconds`. For hints only: what is too much,
what cannot be sent and what waits when the process is killed is lost.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from multiprocessing.util import Finalize
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
logger = logging.getLogger(__name__)

GAP_PER_SENDING = 9  # a sending's duration times this is the rest it asks for: a tenth of the time goes to hints
CREDIT_SECONDS = 0.1  # of rest that a quiet time saves up: one slow sending does not hold up what comes next
EXIT_SECONDS = 1.0  # a process that ends waits for its hints no longer than that
MOST_ENTRIES = 10_000
MOST_DETAILS = 24  # kept of one entry; the others are only counted


class Entry:
    """How much was put under a key, and some details."""

    __slots__ = ("count", "details")

    def __init__(self) -> None:
        self.count = 0
        self.details: list[Any] = []


class Outbox(Generic[K]):
    """One dict and one thread, which calls `send` with what has come together."""

    def __init__(
        self, send: Callable[[dict[K, Entry]], object], *, gap_seconds: float, most_gap_seconds: float
    ) -> None:
        """`gap_seconds`: from the end of one sending to the next."""
        self._send = send
        self._gap_seconds, self._most_gap_seconds = gap_seconds, most_gap_seconds
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)

    def put(self, key: K, *, count: int = 1, details: Sequence[Any] = ()) -> None:
        """Have it sent soon. Takes microseconds."""
        with self._changed:
            entry = self._waiting.get(key)
            if entry is None:
                if len(self._waiting) >= MOST_ENTRIES:
                    self._dropped += 1
                    return
                entry = self._waiting[key] = Entry()
                self._rouse()
            entry.count += count
            if details and len(entry.details) < MOST_DETAILS:
                entry.details += details[: MOST_DETAILS - len(entry.details)]

    def flush(self, seconds: float = EXIT_SECONDS) -> bool:
        """Wait until all that was put before is sent or dropped; whether that was within the time."""
        self._hurry.set()
        with self._changed:
            last = self._taken + bool(self._waiting)
            return self._changed.wait_for(lambda: self._done >= last, seconds)

    def _start_afresh(self) -> None:
        """Empty and without a thread. In a forked child: what was put before is its parent's to send."""
        self._changed = threading.Condition(threading.RLock())  # again by its own thread: signal handlers may put
        self._hurry = threading.Event()
        self._waiting: dict[K, Entry] = {}
        self._dropped = self._taken = self._done = 0
        self._thread: threading.Thread | None = None

    def _rouse(self) -> None:
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no more threads here, or the interpreter is on its way out
                self._thread = None
                logger.warning("No thread to send hints: %s", error)
            else:
                # atexit would do for a script, but a child of multiprocessing ends without it.
                Finalize(None, self.flush, exitpriority=0)

    def _run(self) -> None:
        rested_at = -math.inf
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, {}
                dropped, self._dropped = self._dropped, 0
                self._taken += 1
            if dropped:
                logger.warning("Dropped %s hints: more than %s waited to be sent", dropped, MOST_ENTRIES)
            started = time.monotonic()
            try:
                self._send(waiting)
            except Exception:  # the thread goes on whatever happens
                logger.exception("Dropped %s hints", len(waiting))
            now = time.monotonic()
            rested_at = max(rested_at, now - CREDIT_SECONDS) + (now - started) * GAP_PER_SENDING
            rested_at = min(rested_at, now + self._most_gap_seconds)
            with self._changed:
                self._done = self._taken
                self._changed.notify_all()
            self._hurry.wait(max(rested_at - now, self._gap_seconds))
            self._hurry.clear()
