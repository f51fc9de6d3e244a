"""From the call of publish or send to the begin of the handler, one by one at a steady 100 a second.

Ours in a real worker of this project / a no-op task of Celery's in a worker of its own, 2 processes each, both running
all the time. From `sent` in the payload, taken just before the call; the first second does not count.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from benchmarks.messaging import OWNER, STAMPED, TIMED
from benchmarks.options import Options
from benchmarks.queue_calls import send_at_rate
from benchmarks.queue_peers import run_celery, run_stamped, wait_for
from benchmarks.ratio import Goal, Row, compare, measure
from benchmarks.stamps import Stamps
from logs import services as logs
from queues import services as queues

STEADY_RATE = 100.0
WARM_UP_SECONDS = 1.0
GOAL = Goal(1.5, is_upper=True)


class Latency(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float


def measure_latency(options: Options) -> Iterator[Row]:
    """Of both halves."""
    yield from _measure(
        options, publish=partial(logs.publish, TIMED, boundary=OWNER), send=partial(queues.send, STAMPED)
    )


def measure_sends(options: Options) -> Iterator[Row]:
    yield from _measure(options, send=partial(queues.send, STAMPED))


def _measure(options: Options, **calls: Callable[[bytes], object]) -> Iterator[Row]:
    with run_celery() as (peer_stamps, peer_worker, peer), run_stamped() as (stamps, worker):
        worker.ensure(is_running=True)
        peer_worker.ensure(is_running=True)
        count = int(STEADY_RATE * (options.latency_seconds + WARM_UP_SECONDS))
        sides: dict[str, Callable[[], Latency]] = {
            name: partial(_time_handlers, stamps, count, partial(send_at_rate, call, count=count, rate=STEADY_RATE))
            for name, call in calls.items()
        }
        steady = partial(peer.ask, "steady", rate=STEADY_RATE, count=count)
        sides["celery"] = partial(_time_handlers, peer_stamps, count, steady)
        found = measure(options.rounds, sides)
    for name in calls:
        for field in Latency._fields:
            ours, theirs = ([getattr(latency, field) for latency in found[side]] for side in (name, "celery"))
            case = f"{name} to handler at 100 a second, {field} / Celery's task"
            yield compare(case, ours, theirs, goal=GOAL, unit="ms")


def _time_handlers(stamps: Stamps, count: int, send: Callable[[], object]) -> Latency:
    stamps.clear()
    send()
    pairs = wait_for(stamps, count)
    first = min(sent for sent, _ in pairs)
    times = sorted((begun - sent) * 1e3 for sent, begun in pairs if sent >= first + WARM_UP_SECONDS)
    return Latency(times[len(times) // 2], times[int(len(times) * 0.99)])
