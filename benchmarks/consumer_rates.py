"""How many records and messages a second reach handlers, against no-op tasks of Celery and Procrastinate.

What is to be handled is there before a worker starts. The rate is that from the begin of the first call to the begin
of the last one, so that neither start nor end of a worker counts, but every commit between does.
That agrees with the offsets and acks that the database shows to have been committed, polled meanwhile, within 1 %.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice

from benchmarks.business import make_business_table
from benchmarks.house import Worker, settle
from benchmarks.log_calls import VALUES
from benchmarks.messaging import BATCH_QUEUE, BATCHES, LEASED_ROW_QUEUE, OWNER, ROW_QUEUE, ROWS
from benchmarks.options import Options
from benchmarks.peer import Peer, run_peer
from benchmarks.queue_peers import CONCURRENCY, HANDLE_SECONDS, run_celery, run_stamped
from benchmarks.ratio import Goal, Row, compare, measure
from benchmarks.stamps import Stamps
from logs import services as logs
from logs.declarations import Topic
from mqsite.stack.errors import StackError
from queues import services as queues
from queues.declarations import Queue

LOAD = 10_000
MANY = 5  # times as many records: fewer are handled within half a second, and rounds differ by a factor of three
Rate = Callable[[], float]


def measure_batches(options: Options) -> Iterator[Row]:
    """Batches of up to 1,000, handlers that do nothing, a transaction a batch."""
    found = _measure(
        options,
        records=partial(_publish, BATCHES, MANY * options.batch_records),
        messages=partial(_send, BATCH_QUEUE, options.messages),
    )
    yield from _compare(found, "records", "no-op batches of records", Goal(60))
    yield from _compare(found, "messages", "no-op batches of messages", Goal(25))


def measure_rows(options: Options) -> Iterator[Row]:
    """One at a time, each call writes one row in the transaction of the commit or ack, which up to 100 calls share."""
    make_business_table()
    found = _measure(
        options,
        records=partial(_publish, ROWS, options.messages // 2),
        messages=partial(_send, ROW_QUEUE, options.messages // 2),
    )
    yield from _compare(found, "records", "records one at a time, a row each", Goal(8))
    yield from _compare(found, "messages", "messages one at a time, a row each", Goal(8))


def measure_deliveries(options: Options) -> Iterator[Row]:
    """One message at a time, each call writes a row that is durable once its message is acknowledged: transaction mode,
    where up to 100 calls and their acks share a transaction / leased, where each call commits its own."""
    make_business_table()
    count = options.messages // 5
    with run_stamped() as (stamps, worker):
        taken = partial(_handle, stamps, worker, partial(_send, ROW_QUEUE, count))
        leased = partial(_handle, stamps, worker, partial(_send, LEASED_ROW_QUEUE, count))
        found = measure(options.rounds, {"taken": taken, "leased": leased})
    case = "handlers of our worker that write a row a message: transaction mode / leased"
    yield compare(case, found["taken"], found["leased"], goal=Goal(1.2))


def _measure(options: Options, **loads: Callable[[], int]) -> dict[str, list[float]]:
    with (
        run_stamped() as (stamps, worker),
        run_celery() as (celery_stamps, celery_worker, celery),
        _run_procrastinate() as procrastinate,
    ):
        load_celery = partial(_load_peer, celery, options.jobs)
        sides: dict[str, Rate] = {name: partial(_handle, stamps, worker, load) for name, load in loads.items()}
        sides["celery"] = partial(_handle, celery_stamps, celery_worker, load_celery, is_single=True)
        sides["procrastinate"] = partial(_work_together, procrastinate, options.jobs)
        return measure(options.rounds, sides)


def _compare(found: dict[str, list[float]], side: str, case: str, goal: Goal) -> Iterator[Row]:
    yield compare(f"{case} / Celery's no-op tasks", found[side], found["celery"], goal=goal)
    yield compare(f"{case} / Procrastinate's no-op jobs", found[side], found["procrastinate"])


def _publish(topic: Topic, count: int) -> int:
    records = [logs.NewRecord(value) for value in islice(cycle(VALUES), count)]
    for first in range(0, count, LOAD):
        logs.publish_many(topic, records[first : first + LOAD], boundary=OWNER)
    return count


def _send(queue: Queue, count: int) -> int:
    messages = [queues.NewMessage(value) for value in islice(cycle(VALUES), count)]
    for first in range(0, count, LOAD):
        queues.send_many(queue, messages[first : first + LOAD], sender=OWNER)
    return count


def _load_peer(peer: Peer, count: int) -> int:
    peer.ask("clear")
    peer.ask("load", count=count)
    return count


def _handle(stamps: Stamps, worker: Worker, load: Callable[[], int], *, is_single: bool = False) -> float:
    """Load, start the worker, see it handle all; how many a second."""
    stamps.clear()
    count = load()
    settle()
    worker.ensure(is_running=True)
    pairs = (stamps.wait_for if is_single else stamps.wait_for_sum)(count, HANDLE_SECONDS)
    worker.ensure(is_running=False)
    handled = [1 if is_single else int(each) for each, _ in pairs]
    if sum(handled) != count:
        raise StackError(f"{sum(handled):,} of {count:,} were handled within {HANDLE_SECONDS:.0f} s.")
    return (count - handled[-1]) / (pairs[-1][1] - pairs[0][1])


@contextlib.contextmanager
def _run_procrastinate() -> Iterator[list[Peer]]:
    with run_peer("procrastinate") as one, run_peer("procrastinate") as other:
        yield [one, other]


def _work_together(peers: list[Peer], count: int) -> float:
    """A worker in each of two processes, with 10 jobs at once."""
    _load_peer(peers[0], count)
    settle()
    with ThreadPoolExecutor(len(peers)) as pool:
        return sum(pool.map(lambda peer: float(peer.ask("work", count=None, concurrency=CONCURRENCY)), peers))
