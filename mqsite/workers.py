"""A process that consumes: its name, its heartbeat, its sweep.

The halves register what a heartbeat renews and what a sweep looks for; the wiring
starts the two timers in every worker process. Progress needs neither the broker
nor beat.
"""

import logging
import mmap
import os
import random
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connection, connections
from django.db.models import F
from django.db.models.functions import Now

from mqsite import activity, beside
from mqsite.errors import Invalid
from mqsite.models import WorkerProcess

logger = logging.getLogger(__name__)

STOP_SECONDS = 15.0
FORGET_SECONDS = 600.0  # how long a process that died is still known by name
MAX_PROCESSES = 100  # at once

Job = Callable[[], object]

_renewals: list[Job] = []
_sweeps: list[Job] = []
_handles: list[Callable[[], Iterable[str]]] = []
_threads: list[threading.Thread] = []
_stopped = threading.Event()


# Shared with the forked children: a drain that runs when the worker shuts down stops after its batch.
_stopping = mmap.mmap(-1, 1)


def stopping() -> bool:
    """Whether this worker is on its way down."""
    return _stopping[0] == 1 or _stopped.is_set()


def stop_soon() -> None:
    _stopping[0] = 1


def register(*, renew: Job, sweep: Job | None = None, handles: Callable[[], Iterable[str]] = tuple) -> None:
    """Called at start-up by each that has work here. `handles`: names of what this process has handlers for."""
    _renewals.append(renew)
    _handles.append(handles)
    if sweep is not None:
        _sweeps.append(sweep)


@contextmanager
def only(*, renew: Job, sweep: Job, handles: Callable[[], Iterable[str]]) -> Iterator[None]:
    """For a process that does this and nothing of what was registered at start-up."""
    lists: tuple[tuple[list[Any], Any], ...] = ((_renewals, renew), (_sweeps, sweep), (_handles, handles))
    before = [list(jobs) for jobs, _ in lists]
    for jobs, job in lists:
        jobs[:] = [job]
    try:
        yield
    finally:
        for (jobs, _), registered in zip(lists, before, strict=True):
            jobs[:] = registered


def name() -> str:
    """This process's name, as the holder of partitions and leases. Never used by another process."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{uuid.uuid4().hex[:8]}"


def beat() -> None:
    """Say that this process is alive and keep what it holds."""
    handled = sorted(name for each in _handles for name in each())
    told = {"seen_at": Now(), "handles": handled, **activity.tell()}
    WorkerProcess.objects.update_or_create(name=name(), defaults=told)
    for renew in _renewals:
        renew()


def sweep() -> None:
    """Look for work that no wake-up announced, and do it."""
    for look in _sweeps:
        look()
    forget_dead(FORGET_SECONDS)  # last: the looks take from the dead what they held


def leave() -> None:
    WorkerProcess.objects.filter(name=name()).delete()


def count_alive() -> dict[str, Any]:
    """Processes heard of within member_seconds, and how long ago the quietest of them was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), extract(epoch FROM max(clock_timestamp() - seen_at))::float8 FROM mqsite_workerprocess"
            " WHERE seen_at > clock_timestamp() - make_interval(secs => %s)",
            [settings.MQSITE_MEMBER_SECONDS],
        )
        alive, slowest = cursor.fetchone()
    return {"alive": alive, "slowest_heartbeat_seconds": slowest}


def list_processes(
    *, after: str = "", limit: int = MAX_PROCESSES, using: str = DEFAULT_DB_ALIAS
) -> tuple[list[dict[str, Any]], str | None]:
    """By name, from behind `after` on: the processes alive, and those that vanished and were not forgotten yet, as they
    told of themselves with their last heartbeat; and the name to go on after, None: that was all."""
    if not 1 <= limit <= MAX_PROCESSES:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MAX_PROCESSES:,}.")
    found = WorkerProcess.objects.using(using).filter(name__gt=after).annotate(silence=Now() - F("seen_at"))
    rows = list(found.order_by("name")[: limit + 1])
    return [_tell(row) for row in rows[:limit]], rows[limit - 1].name if len(rows) > limit else None


def _tell(row: Any) -> dict[str, Any]:
    seconds = max(0.0, row.silence.total_seconds())
    return {
        "name": row.name,
        "is_alive": seconds < settings.MQSITE_MEMBER_SECONDS,
        "started_at": row.started_at,
        "seen_at": row.seen_at,
        "heartbeat_seconds_ago": round(seconds, 3),
        "handles": row.handles,
        "working_on": row.working_on,
        "handled": row.handled,
        "handled_last_minute": row.handled_last_minute,
        "last_error": row.last_error,
        "failed_for": row.failed_for,
        "failed_at": row.failed_at,
    }


def find_vanished(*, using: str = DEFAULT_DB_ALIAS) -> list[tuple[str, list[str]]]:
    """The processes that are not heard of any more and did not say goodbye, each with what it handled."""
    alive_since = Now() - timedelta(seconds=settings.MQSITE_MEMBER_SECONDS)
    return list(WorkerProcess.objects.using(using).filter(seen_at__lte=alive_since).values_list("name", "handles"))


def find_handling(beginning: str, *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """The processes alive that handle something whose name begins so, by name."""
    found = find_alive(using=using)
    return [name for name, handles in found if any(handled.startswith(beginning) for handled in handles)]


def find_alive(*, using: str = DEFAULT_DB_ALIAS) -> list[tuple[str, list[str]]]:
    """The processes heard of within member_seconds, each with the names of what it handles."""
    alive_since = Now() - timedelta(seconds=settings.MQSITE_MEMBER_SECONDS)
    return list(WorkerProcess.objects.using(using).filter(seen_at__gt=alive_since).values_list("name", "handles"))


def list_handling(name: str, *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """The processes alive that handle what has exactly this name, such as `queues:bookings`."""
    alive_since = Now() - timedelta(seconds=settings.MQSITE_MEMBER_SECONDS)
    found = WorkerProcess.objects.using(using).filter(seen_at__gt=alive_since, handles__contains=[name])
    return list(found.values_list("name", flat=True))


def forget_dead(after_seconds: float) -> int:
    """Drop the rows of processes not heard of for `after_seconds`, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM mqsite_workerprocess WHERE seen_at < clock_timestamp() - make_interval(secs => %s)",
            [after_seconds],
        )
        return cursor.rowcount


def start_timers() -> None:
    """The two threads of a worker process. A beat never waits for a sweep, which may run handlers."""
    _stopped.clear()
    for job, seconds in ((beat, settings.MQSITE_HEARTBEAT_SECONDS), (sweep, settings.MQSITE_SWEEP_SECONDS)):
        thread = threading.Thread(target=_repeat, args=(job, seconds), name=job.__name__, daemon=True)
        thread.start()
        _threads.append(thread)


def has_timers() -> bool:
    """Whether this is a worker process, which goes on from task to task."""
    return bool(_threads)


def stop_timers() -> None:
    """End the threads after what they are doing, and take this process off the list."""
    if not _threads:
        return
    _stopped.set()
    while _threads:
        _threads.pop().join(timeout=STOP_SECONDS)
    leave()


def _repeat(job: Callable[[], None], seconds: float) -> None:
    pause = seconds * random.random()  # processes that are forked together do not all work at once from then on
    while not _stopped.is_set():
        try:
            close_old_connections()
            job()
        except Exception:  # the thread must outlive any outage of the database
            logger.exception("%s failed, next try in %s s", job.__name__, seconds)
            connections.close_all()
        _stopped.wait(pause)
        pause = seconds
    beside.close(DEFAULT_DB_ALIAS)
    connections.close_all()
