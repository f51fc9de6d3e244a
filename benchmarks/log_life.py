"""What time does to the log: much of it, a snapshot held open, expiry, and readers to wake."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

from django.db import connection

from benchmarks import log_calls
from benchmarks.house import connect, run_worker, settle
from benchmarks.log_raw import measure_log_bytes
from benchmarks.messaging import READER, WOKEN
from benchmarks.options import Options
from benchmarks.producers import Order, start_producers
from benchmarks.ratio import Goal, Operation, Row, compare, measure, run_operation, stop_after
from logs import selectors
from mqsite import sql
from mqsite.stack.errors import StackError

RECENT_RECORDS = 10_000
STANDING_RECORDS = 20_000  # written in each measurement beside standing ones: the smallest topic should stay small
LAST_CHURNED = 0.05
CATCH_UP_SECONDS = 120


class Append(NamedTuple):
    """The mean time of one, in microseconds."""

    synchronous: float
    asynchronous: float


def measure_standing(options: Options) -> Iterator[Row]:
    """Beside much that stands / beside little: topics of different sizes in one database.

    The smallest is made anew for each measurement, or it would grow large; the others get as many records
    more, so that all have just been written to. Fetched are random 1,000 of the newest 10,000: what is not
    in memory is the disk's affair.
    """
    little, *much = sorted(options.standing)
    topics = {size: log_calls.make_topic() for size in much}
    for size, topic in topics.items():
        log_calls.load_topic(topic, size)
    settle()

    def find(size: int) -> str:
        topic = topics.get(size) or log_calls.make_topic()
        log_calls.load_topic(topic, little)
        return topic

    for name, run in _standing_runs(options).items():
        found = measure(options.rounds, {str(size): partial(run, find, size) for size in (little, *much)})
        for size in much:
            case = f"{name} with {size:,} standing / with {little:,}"
            yield compare(case, found[str(size)], found[str(little)], goal=Goal(0.9))


def _standing_runs(options: Options) -> dict[str, Callable[[Callable[[int], str], int], float]]:
    def run_finite(make: Callable[..., Operation], find: Callable[[int], str], size: int) -> float:
        return run_operation(make(find(size)))

    def run_singles(find: Callable[[int], str], size: int) -> float:
        return run_operation(log_calls.publish_singles(find(size)), stop=stop_after(options.seconds))

    def publish(count: int) -> Callable[..., Operation]:
        calls = min(STANDING_RECORDS, options.batch_records) // count
        return lambda topic: log_calls.publish_batches(topic, count, calls=calls)

    fetch = partial(log_calls.fetch_batches, size=1000, calls=options.batch_records // 1000, newest=RECENT_RECORDS)
    return {
        "publish 1,000": partial(run_finite, publish(1000)),
        "publish 100": partial(run_finite, publish(100)),
        "publish one": run_singles,
        "fetch the recent 1,000": partial(run_finite, fetch),
    }


def measure_snapshot(options: Options) -> Iterator[Row]:
    """The time of one append after many single ones, made while a REPEATABLE READ snapshot is held / while none is.

    The many are committed asynchronously and without hints, to save time; the append that counts is a
    publish like any other. A flush hides what the server does, so the last of the many are shown as well.
    """
    found = measure(
        options.rounds,
        {
            "held": partial(_append_churned, options, is_held=True),
            "free": partial(_append_churned, options, is_held=False),
        },
        warm_up=False,
    )
    case = f"one append after {options.churn:,} under a held snapshot / after as many without"
    for name, field in (("", "synchronous"), (", asynchronous commit", "asynchronous")):
        held, free = ([getattr(append, field) for append in found[side]] for side in ("held", "free"))
        yield compare(case + name, held, free, goal=None if name else Goal(1.5, is_upper=True), unit="µs")


def _append_churned(options: Options, *, is_held: bool) -> Append:
    topic = log_calls.make_topic()
    last = int(options.churn * LAST_CHURNED)
    with hold_snapshot() if is_held else contextlib.nullcontext():
        with commit_asynchronously():
            churn = log_calls.publish_singles(topic, is_silent=True)
            _exhaust(churn, options.churn - last)
            asynchronous = _time_of_one(churn, last)
            churn.close()
        rate = run_operation(log_calls.publish_singles(topic), stop=stop_after(options.seconds))
    settle()  # leaves nothing of it to the next
    return Append(1e6 / rate, asynchronous)


def _exhaust(operation: Operation, steps: int) -> None:
    for _ in range(steps):
        next(operation)


def _time_of_one(operation: Operation, steps: int) -> float:
    started = time.perf_counter()
    _exhaust(operation, steps)
    return (time.perf_counter() - started) / steps * 1e6


@contextlib.contextmanager
def hold_snapshot() -> Iterator[None]:
    with connect() as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM logs_partition")
        yield


@contextlib.contextmanager
def commit_asynchronously() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        yield
        cursor.execute("RESET synchronous_commit")


def measure_expiry(options: Options) -> Iterator[Row]:
    """publish_many of 100 while a large topic expires / undisturbed; how long that takes; what it gives back.

    The time is that of the statements, so an upper bound of what the database spends; the upkeep rests in between.
    """
    expiring, other = log_calls.make_topic(), log_calls.make_topic()
    publish: Order = partial(log_calls.publish_batches, other, 100)
    seconds, all_seconds, full, left = list[float](), list[float](), list[float](), list[float]()
    with start_producers(1) as producers:

        def expire() -> None:
            started = time.perf_counter()
            with time_statements() as spent:
                log_calls.expire_topic(expiring)
            seconds.append(sum(spent))
            all_seconds.append(time.perf_counter() - started)

        def run_disturbed() -> float:
            empty = measure_log_bytes()
            log_calls.load_topic(expiring, options.expiring)
            settle()
            full.append(measure_log_bytes() - empty)
            rate = producers.run([publish], meanwhile=expire)
            log_calls.expire_topic(other)  # what was published meanwhile is not left of the 5 million
            left.append(measure_log_bytes() - empty)
            return rate

        sides = {"undisturbed": lambda: producers.run_for([publish], options.seconds), "disturbed": run_disturbed}
        found = measure(options.rounds, sides, warm_up=False)
    size = f"{options.expiring:,}"
    yield compare(
        f"publish 100 while {size} records expire / undisturbed",
        found["disturbed"],
        found["undisturbed"],
        goal=Goal(0.9),
    )
    yield Row(f"expiry of {size} records", seconds, [], seconds, Goal(2, is_upper=True), "s")
    yield Row("the same, with the rests in between", all_seconds, [], all_seconds, None, "s")
    case = f"disk of {size} records after their expiry / before"
    yield compare(case, _megabytes(left), _megabytes(full), goal=Goal(0.1, is_upper=True), unit="MB")


@contextlib.contextmanager
def time_statements() -> Iterator[list[float]]:
    """The seconds of each of the log's statements in this process."""
    spent: list[float] = []
    kept = sql.fetch_all

    def fetch_all(*args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        started = time.perf_counter()
        try:
            return kept(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - started)

    with patch("logs.store.running.fetch_all", fetch_all):
        yield spent


def _megabytes(sizes: list[float]) -> list[float]:
    return [size / 1e6 for size in sizes]


def measure_waking(options: Options) -> Iterator[Row]:
    """4 single producers whose hints wake a group's consumers / with hints that go nowhere.

    Without a worker it is the hints alone. With one (2 processes, a handler that does nothing) on both
    sides it reads everything either way: woken, or by its sweep every 4 seconds. The third row has the
    worker on one side only, so all that consuming takes from the two cores is in it.
    """
    with start_producers(4) as producers, run_worker() as worker:

        def run(*, is_silent: bool, has_worker: bool) -> float:
            worker.ensure(is_running=has_worker)
            if has_worker:
                _wait_until_read()
            return producers.run_for(_publish_to_readers(is_silent=is_silent), options.seconds)

        sides = {
            "waking": partial(run, is_silent=False, has_worker=False),
            "silent": partial(run, is_silent=True, has_worker=False),
            "silent beside a worker": partial(run, is_silent=True, has_worker=True),
            "waking a worker": partial(run, is_silent=False, has_worker=True),
        }
        found = measure(options.rounds, sides)
    goal = Goal(0.85)
    yield compare("4 producers with hints / without, no worker", found["waking"], found["silent"], goal=goal)
    case = "4 producers with hints / without, a worker consuming beside both"
    yield compare(case, found["waking a worker"], found["silent beside a worker"], goal=goal)
    case = "4 producers with hints and a worker consuming / with neither"
    yield compare(case, found["waking a worker"], found["silent"])


def _publish_to_readers(*, is_silent: bool) -> list[Order]:
    return [
        partial(log_calls.publish_singles, WOKEN.name, partition=number, is_silent=is_silent)
        for number in range(WOKEN.partitions)
    ]


def _wait_until_read() -> None:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while any(g["lag"] for p in _describe_woken()["partitions"] for g in p["groups"]):
        if time.monotonic() > deadline:
            raise StackError("The worker does not catch up with what was published.")
        time.sleep(0.1)


def _describe_woken() -> dict[str, Any]:
    return next(t for t in selectors.describe_group(READER.name)["topics"] if t["name"] == WOKEN.name)
