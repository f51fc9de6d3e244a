"""Waiting for what others will commit: ONE thread of a process looks for all who wait in it."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import close_old_connections, connections

S = TypeVar("S")
logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.05  # one statement for all who wait


@dataclass(eq=False, slots=True)
class Wait(Generic[S]):
    using: str
    subject: S
    arrived: threading.Event


class Waiting(Generic[S]):
    """`look(subjects, using)` answers for each subject whether what it waits for is there."""

    def __init__(self, look: Callable[[list[S], str], Sequence[bool]]) -> None:
        self.waits: set[Wait[S]] = set()
        self._look = look
        self._lock = threading.Lock()
        self._looker: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forget)

    def wait(self, subject: S, *, seconds: float, using: str) -> bool:
        """Whether it came within `seconds`."""
        return self.wait_for_any([subject], seconds=seconds, using=using)

    def wait_for_any(self, subjects: Iterable[S], *, seconds: float, using: str) -> bool:
        """Whether one of them came within `seconds`."""
        arrived = threading.Event()
        waits = [Wait(using, subject, arrived) for subject in subjects]
        with self._lock:
            self.waits.update(waits)
            self._start_looking()
        try:
            return arrived.wait(seconds)
        finally:
            with self._lock:
                self.waits.difference_update(waits)

    def _start_looking(self) -> None:
        if self._looker is None or not self._looker.is_alive():
            self._looker = threading.Thread(target=self._run, name="waiting", daemon=True)
            self._looker.start()

    def _run(self) -> None:
        """Until nobody waits any more; the next one starts it again."""
        while True:
            with self._lock:
                waits = list(self.waits)
                if not waits:
                    self._looker = None
                    break
            started = time.monotonic()
            for using in {wait.using for wait in waits}:
                self._look_for([wait for wait in waits if wait.using == using], using)
            time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - started)))
        connections.close_all()

    def _look_for(self, waits: list[Wait[S]], using: str) -> None:
        try:
            close_old_connections()
            found = self._look([wait.subject for wait in waits], using)
        except Exception:  # the database is away: those who wait may wait on
            logger.exception("Could not look for what is waited for")
            connections[using].close()
            return
        for wait, arrived in zip(waits, found, strict=True):
            if arrived:
                wait.arrived.set()

    def _forget(self) -> None:
        """In a forked child: the thread did not come along."""
        self._lock, self._looker = threading.Lock(), None
        self.waits.clear()
