"""Keeps the services of a house running, and stops them in order."""

import signal
import time
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from mqsite.stack.errors import StackError
from mqsite.stack.processes import Program
from mqsite.stack.terminal import say

POLL_SECONDS = 0.2
QUICK_SECONDS = 30  # whoever lived shorter failed quickly
QUICK_FAILURES = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10


class Service(Protocol):
    name: str

    def start(self) -> None: ...
    def ended(self) -> int | None: ...
    def stop(self) -> None: ...
    def last_lines(self) -> list[str]: ...


class Stop(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


@dataclass
class Watched:
    service: Service
    is_essential: bool
    started_at: float
    quick_failures: int = 0
    restart_at: float | None = None


class Supervisor:
    def __init__(self) -> None:
        self.watched: list[Watched] = []
        self.is_stopping = False
        self.is_hurried = False

    def catch_signals(self) -> None:
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self._on_signal)

    def start(self, service: Service, *, is_essential: bool = True) -> None:
        """What is not essential may end by itself, and its failing does not end the house."""
        # Listed first: a signal in the middle of its start must find it.
        self.watched.append(Watched(service, is_essential, time.monotonic()))
        service.start()

    def watch(self) -> None:
        """Restarts what ends, until a signal stops the house or something fails too often."""
        while True:
            for watched in list(self.watched):
                self._look_after(watched)
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Programs first, newest first and all at once; then the servers they use. A second Ctrl-C hurries."""
        self.is_stopping = True
        services = [watched.service for watched in reversed(self.watched)]
        programs = [service for service in services if isinstance(service, Program)]
        for program in programs:
            program.ask_to_stop()
        for program in programs:
            program.stop(hurried=lambda: self.is_hurried)
        for service in services:
            service.stop()

    def _look_after(self, watched: Watched) -> None:
        if watched.restart_at is not None:
            if time.monotonic() >= watched.restart_at:
                self._restart(watched)
            return
        code = watched.service.ended()
        if code is None:
            return
        if code == 0 and not watched.is_essential:
            say(f"{watched.service.name} has finished.")
            self.watched.remove(watched)
        else:
            self._plan_restart(watched, describe(code))

    def _restart(self, watched: Watched) -> None:
        watched.restart_at, watched.started_at = None, time.monotonic()
        try:
            watched.service.start()
        except StackError:
            self._plan_restart(watched, "did not start")
        else:
            say(f"{watched.service.name} was restarted.")

    def _plan_restart(self, watched: Watched, what: str) -> None:
        name = watched.service.name
        was_quick = time.monotonic() - watched.started_at < QUICK_SECONDS
        watched.quick_failures = watched.quick_failures + 1 if was_quick else 1
        if watched.quick_failures > QUICK_FAILURES:
            self._give_up(watched, what)
            return
        delay = min(FIRST_DELAY_SECONDS * 2 ** (watched.quick_failures - 1), LONGEST_DELAY_SECONDS)
        watched.restart_at = time.monotonic() + delay
        say(f"{name} {what}; it is restarted in {delay:g} s.")

    def _give_up(self, watched: Watched, what: str) -> None:
        sentence = f"{watched.service.name} {what}, {watched.quick_failures} times in a row. Its last lines:"
        text = "\n".join([sentence, *(f"  {line}" for line in watched.service.last_lines())])
        if watched.is_essential:
            raise StackError(text)
        say(f"{text}\nThe house goes on without it.")
        self.watched.remove(watched)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            raise Stop
        self.is_hurried = True


def describe(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
