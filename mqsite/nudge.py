"""Wakes a consumer. A hint like any other: it may be lost, it may not fail its sender.

An errand is what a worker is to look for: the queue `bookings`, say. A worker that stands by gets it at once. Else it
goes on a list, and a Celery task makes a worker look at that: of the many that want it looked for one claims a key, and
who takes it off the list drops the key and then looks for work. All this is tried after the work was committed, however
much later: a claim that is refused has an errand on its way that will find it.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import redis
from celery import shared_task
from django.conf import settings
from redis.client import Pipeline

from mqsite import hints, workers
from mqsite.outbox import Entry

NUDGE_SECONDS = 5  # an errand that is lost blocks the next one for that long
STANDBY_SECONDS = 0.25  # a worker that had something to do waits so long for more: a Celery task costs milliseconds
TASK_SECONDS = 10.0  # then whatever else waits in the broker has its turn
MOST_ERRANDS = 10_000  # on the list, while no worker runs
MOST_CALLS = 32  # tasks in the broker: each that begins sees to the whole list

Run = Callable[..., bool]  # takes a target; whether more is left to do

# To the worker that came last: the others are the sooner free for what else is in the broker.
_GIVE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local now = tonumber(redis.call('TIME')[1]) + redis.call('TIME')[2] / 1e6
local last = redis.call('ZPOPMAX', KEYS[3])
if last[1] and tonumber(last[2]) > now then
    redis.call('RPUSH', KEYS[3] .. ':' .. last[1], ARGV[1])
    redis.call('EXPIRE', KEYS[3] .. ':' .. last[1], ARGV[2])
    return 0
end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[1], 1, 'EX', ARGV[2])
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
if not redis.call('LPOS', KEYS[2], ARGV[1]) then redis.call('RPUSH', KEYS[2], ARGV[1]) end
if tonumber(redis.call('GET', KEYS[4]) or 0) >= tonumber(ARGV[4]) then return 0 end
redis.call('INCR', KEYS[4])
redis.call('EXPIRE', KEYS[4], ARGV[2])
return 1
"""
# What is on the list, with its claim dropped, or this worker stands by.
_STAND_BY = """
local errand = redis.call('LPOP', KEYS[1])
if errand then
    redis.call('DEL', cjson.decode(errand)[1])
    return errand
end
local now = tonumber(redis.call('TIME')[1]) + redis.call('TIME')[2] / 1e6
redis.call('ZADD', KEYS[2], string.format('%.6f', now + ARGV[2]), ARGV[1])
return false
"""
# A call has begun. Not below zero: the count may have been forgotten, and a worker out of time calls uncounted.
_BEGIN = """
if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end
"""

logger = logging.getLogger(__name__)

_runs: dict[str, Run] = {}


def errand(run: Run) -> Run:
    """Decorates what sees to one kind of errand, in a worker of any process that imports it."""
    _runs[_name(run)] = run
    return run


def wake(run: Run, *target: str | int) -> None:
    """Have it run for its target soon, unless that is on its way already."""
    if settings.MQSITE_CELERY:  # else errands would pile up
        hints.give(Nudge(_name(run), target))


def run_errands() -> None:
    """In a worker: see to what is on the list, and stand by for more."""
    until = time.monotonic() + TASK_SECONDS
    while (taken := _take()) is not None:
        _run(taken)
        if workers.stopping() or time.monotonic() > until:
            _call_worker()  # more may be on the list
            break


@shared_task(name="mqsite.consume")
def consume() -> None:
    """Celery's way in. What there is to do, the list and the database know."""
    hints.attempt(lambda: hints.client().eval(_BEGIN, 1, _key("calls")))
    run_errands()


class Nudge(NamedTuple):
    """An errand on its way."""

    name: str
    target: Sequence[str | int]

    def ask(self, pipeline: Pipeline, entry: Entry) -> None:
        keys = (self.key(), _key("errands"), _key("standby"), _key("calls"))
        errand = json.dumps([self.key(), *self])  # the key: whoever takes it off the list drops it
        pipeline.eval(_GIVE, len(keys), *keys, errand, NUDGE_SECONDS, MOST_ERRANDS, MOST_CALLS)

    def hear(self, needs_worker: int) -> None:
        if needs_worker:
            _call_worker()

    def key(self) -> str:
        return _key("nudge", self.name, *map(str, self.target))

    def __hash__(self) -> int:
        return hash((self.name, *self.target))


def _run(taken: Nudge) -> None:
    run = _runs.get(taken.name)
    if run is None:
        logger.warning("Nothing here sees to %s; left to the sweeps of other workers.", taken.name)
    elif run(*taken.target):
        wake(run, *taken.target)


def _take() -> Nudge | None:
    """From the list, or what is given within STANDBY_SECONDS. From here on a new wake-up needs an errand of its own."""
    me = f"{workers.name()}/{threading.get_ident()}"
    given = _key("standby", me)

    def wait() -> Any:
        errand = hints.client().eval(_STAND_BY, 2, _key("errands"), _key("standby"), me, STANDBY_SECONDS)
        if errand is None and (came := _patient_client().blpop([given], STANDBY_SECONDS)):
            errand = came[1]
        return errand or leave()

    def leave() -> Any:
        with hints.client().pipeline() as pipeline:
            pipeline.zrem(_key("standby"), me)
            pipeline.lpop(given)  # given in the last moment
            return pipeline.execute()[1]

    errand = hints.attempt(wait)
    if errand is None:
        return None
    _, *taken = json.loads(errand)
    return Nudge(*taken)


def _call_worker() -> None:
    hints.attempt(lambda: consume.apply_async(ignore_result=True))


@cache
def _patient_client() -> "redis.Redis":
    return hints.connect(STANDBY_SECONDS + hints.ANSWER_SECONDS)


def _name(run: Run) -> str:
    return f"{run.__module__}.{run.__qualname__}"


def _key(*parts: str) -> str:
    return ":".join([settings.MQSITE_PREFIX, *parts])
