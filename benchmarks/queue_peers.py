"""The queue against peers that pip can install, each in a process of its own, on the same PostgreSQL and Valkey.

What a peer's worker handles does nothing. Its rate is that from the end of its first batch to its last job, so that
neither its start nor its end is charged to it.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import queue_calls, queue_rates
from benchmarks.house import Worker, run_worker, settle
from benchmarks.messaging import OWNER, STAMPED, WAKING
from benchmarks.options import Options
from benchmarks.peer import PYTHON, Peer, make_environment, require, run_peer
from benchmarks.producers import start_producers
from benchmarks.ratio import Goal, Operation, Row, compare, measure, run_operation, stop_after
from benchmarks.stamps import Stamps, open_stamps
from mqsite.stack.errors import StackError
from queues import services

BATCH = 100
CONCURRENCY = 10  # of Procrastinate's worker
HANDLE_SECONDS = 120.0
CELERY_WORKER = (str(PYTHON), "-m", "celery", "-A", "benchmarks.peers.celery", "worker", "--queues", "peer")


def measure_pgqueuer(options: Options) -> Iterator[Row]:
    """PGQueuer: one worker with batches of 100 / our receive+ack of 100 leased by one consumer; and its sends."""
    with run_peer("pgqueuer") as peer, start_producers(1) as consumers:
        yield from _compare_sends(options, "PGQueuer", peer, sizes=(1, 1000))
        sides = {
            "ours": partial(queue_rates.drain, consumers, 1, BATCH, options.messages // 2),
            "theirs": partial(_work, peer, options.messages // 2, batch=BATCH),
        }
        found = measure(options.rounds, sides)
        case = "receive+ack of 100, leased, 1 consumer / PGQueuer's one worker with batches of 100"
        yield compare(case, found["ours"], found["theirs"], goal=Goal(2.5))
        work = partial(_work, peer, options.messages // 2, batch=BATCH)  # of so few jobs as ours it makes one bite
        yield from _compare_workers(options, "PGQueuer's, batches of 100", work)


def measure_procrastinate(options: Options) -> Iterator[Row]:
    """Procrastinate: its sends, and one worker with 10 jobs at once / our worker's handlers."""
    with run_peer("procrastinate") as peer:
        yield from _compare_sends(options, "Procrastinate", peer, sizes=(1, 1000))
        work = partial(_work, peer, options.jobs, concurrency=CONCURRENCY)
        yield from _compare_workers(options, "Procrastinate's, 10 at once", work)


def measure_celery(options: Options) -> Iterator[Row]:
    """Celery: its sends, and its worker / our worker's handlers, 2 processes each. It has no sends of many."""
    with run_celery() as (stamps, worker, peer):
        yield from _compare_sends(options, "Celery", peer, sizes=(1,))

        def work() -> float:
            peer.ask("clear")
            peer.ask("load", count=options.jobs)
            return _run_stamped(stamps, worker, options.jobs)

        yield from _compare_workers(options, "Celery's, 2 processes", work)


def _compare_sends(options: Options, name: str, peer: Peer, *, sizes: tuple[int, ...]) -> Iterator[Row]:
    """One by one to a queue whose handlers are woken, and many at once. Both sides until the seconds are over."""
    queue = queue_calls.make_queue()
    ours = {1: queue_calls.send_singles(WAKING.name), 1000: queue_calls.send_batches(queue, 1000)}
    for size in sizes:
        with contextlib.closing(ours[size]) as operation:
            found = measure(
                options.rounds,
                {
                    "ours": partial(_send_for, operation, options.seconds),
                    "theirs": partial(_ask_for_sends, peer, size, options.seconds),
                },
            )
        case = "send one, wake-up included" if size == 1 else f"send {size:,} at once"
        yield compare(f"{case} / {name}'s", found["ours"], found["theirs"])
    peer.ask("clear")
    queue_calls.empty_declared(WAKING.name)
    queue_calls.drop_queue(queue)


def _send_for(operation: Operation, seconds: float) -> float:
    return run_operation(operation, stop=stop_after(seconds))


def _ask_for_sends(peer: Peer, size: int, seconds: float) -> float:
    rate: float = peer.ask("send", size=size, seconds=seconds)
    return rate


def _compare_workers(options: Options, whose: str, work: Callable[[], float]) -> Iterator[Row]:
    """Jobs a second of a real worker of ours (2 processes, a transaction a message) / of the peer's."""
    with run_stamped() as (stamps, worker):

        def work_ourselves() -> float:
            queue_calls.empty_declared(STAMPED.name)
            payload = queue_calls.make_stamped(0.0)
            services.send_many(STAMPED, [services.NewMessage(payload)] * options.jobs, sender=OWNER)
            return _run_stamped(stamps, worker, options.jobs)

        sides: dict[str, Callable[[], float]] = {"ours": work_ourselves, "theirs": work}
        found = measure(options.rounds, sides)
    yield compare(f"handlers of our worker, 2 processes / {whose}", found["ours"], found["theirs"])


def _work(peer: Peer, count: int, **settings: int) -> float:
    peer.ask("clear")
    peer.ask("load", count=count)
    settle()
    rate: float = peer.ask("work", count=count, **settings)
    return rate


def _run_stamped(stamps: Stamps, worker: Worker, count: int) -> float:
    """Start the worker on what is there already: messages a second from the first handler to the last one."""
    settle()
    stamps.clear()
    worker.ensure(is_running=True)
    begun = [begin for _, begin in wait_for(stamps, count)]
    worker.ensure(is_running=False)
    return (count - 1) / (begun[-1] - begun[0])


def wait_for(stamps: Stamps, count: int) -> list[tuple[float, float]]:
    pairs = stamps.wait_for(count, HANDLE_SECONDS)
    if len(pairs) != count:
        raise StackError(f"{len(pairs):,} of {count:,} messages were handled within {HANDLE_SECONDS:.0f} s.")
    return pairs


@contextlib.contextmanager
def run_stamped() -> Iterator[tuple[Stamps, Worker]]:
    """A worker of this project whose handler of STAMPED stamps. Not started yet."""
    with open_stamps("ours") as stamps, run_worker() as worker:
        yield stamps, worker


@contextlib.contextmanager
def run_celery() -> Iterator[tuple[Stamps, Worker, Peer]]:
    """A worker of Celery alone, not started yet, and who sends to it."""
    require("celery")
    with (
        open_stamps("celery") as stamps,
        run_worker(CELERY_WORKER, make_environment()) as worker,
        run_peer("celery") as peer,
    ):
        yield stamps, worker, peer
