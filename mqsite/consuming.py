"""A process that consumes without Celery: for debugging, and for small sites.

Handlers run in the main thread, one after the other. Two threads beside it beat and do the upkeep. What there is to do
is found by looking (`mqsite.waiting`), so neither the broker nor its hints are needed.
"""

import logging
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

from mqsite import activity, beside, checks, hints, keepalive, workers

M = TypeVar("M")
logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5  # at a time: so soon a signal is heeded
LEAST_REST_SECONDS = 0.05  # doubled while something is there that cannot be handled now


class Work(NamedTuple, Generic[M]):
    """What one half does here."""

    handles: Callable[[], Iterable[str]]  # names, for the heartbeat
    renew: Callable[[], object]  # part of the heartbeat
    upkeep: Callable[[], object]
    mark: Callable[[], M]  # before a look: what to wait for if it finds nothing
    drain: Callable[[], int]  # handle all there is; how many lanes had something
    wait: Callable[[M, float], bool]  # for so many seconds; whether something came


class ConsumingCommand(BaseCommand):
    """Started by itself it is a process of its own, which gives its database up as a worker does."""

    def run_from_argv(self, argv: list[str]) -> None:
        keepalive.guard_connections(workers.name())
        super().run_from_argv(argv)

    def say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def consume(work: Work[Any], *, once: bool, say: Callable[[str], object], verbosity: int = 1) -> None:
    """Handle what comes until SIGINT or SIGTERM, or with `once` until nothing is left that can be handled now."""
    before = _count_handled()
    with workers.only(renew=work.renew, sweep=work.upkeep, handles=work.handles), _warm_shutdown():
        workers.start_timers()
        try:
            work.upkeep()
            _loop(work, once, say if verbosity > 1 else _say_nothing)
            stopped = "Stopped. " if workers.stopping() else ""
        finally:
            workers.stop_timers()
            beside.close(DEFAULT_DB_ALIAS)
            hints.flush()
    say(f"{stopped}Handled {_count_handled() - before:,}.")


def require_startable() -> None:
    """As a Celery worker: refuse to start with what the checks find."""
    if faults := checks.find_faults():
        raise CommandError("This process does not start:\n" + "\n".join(f"  {fault}" for fault in faults))


def choose(wanted: Collection[str], known: Sequence[str], what: str) -> list[str]:
    """Those of `known` that are wanted, all for none; or a refusal that names what there is."""
    unknown = sorted(set(wanted) - set(known))
    if unknown or not known:
        there = ", ".join(sorted(set(known))) or "nothing: no installed app has a handler in its module consumers"
        raise CommandError(f"No handler here for {what} {', '.join(unknown) or 'at all'}. Handled here: {there}.")
    return [name for name in known if not wanted or name in wanted]


def _loop(work: Work[Any], once: bool, say: Callable[[str], object]) -> None:
    rest = 0.0
    while not workers.stopping():
        try:
            close_old_connections()
            mark = work.mark()
            before = _count_handled()
            found = work.drain()
            handled = _count_handled() - before
            if handled:
                say(f"Handled {handled:,}.")
                rest = 0.0
                continue
            if once:
                break
            _rest(rest)
            is_there = _wait(work, mark) or bool(found)
            rest = min(max(2 * rest, LEAST_REST_SECONDS), settings.MQSITE_SWEEP_SECONDS) if is_there else 0.0
        except Exception:  # as a worker, it outlives any outage of the database
            if once:
                raise
            logger.exception("Looking for work failed, next try in %s s", settings.MQSITE_SWEEP_SECONDS)
            connections.close_all()
            _rest(settings.MQSITE_SWEEP_SECONDS)


def _wait(work: Work[Any], mark: Any) -> bool:
    """For a sweep's time: that also finds what nobody can wait for."""
    until = time.monotonic() + settings.MQSITE_SWEEP_SECONDS
    while not workers.stopping() and (left := until - time.monotonic()) > 0:
        if work.wait(mark, min(left, WAIT_SECONDS)):
            return True
    return False


def _rest(seconds: float) -> None:
    until = time.monotonic() + seconds
    while not workers.stopping() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, WAIT_SECONDS))


@contextmanager
def _warm_shutdown() -> Iterator[None]:
    """The first signal ends the loop after what is in hand; the second of its kind means it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heed(number: int, frame: object) -> None:
        workers.stop_soon()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _count_handled() -> int:
    handled: int = activity.tell()["handled"]
    return handled


def _say_nothing(_: str) -> None: ...
