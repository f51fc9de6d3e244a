"""What time does to the queue: a snapshot held open, many messages standing; and what it writes to the WAL."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from benchmarks import queue_calls
from benchmarks.house import connect, settle
from benchmarks.log_life import hold_snapshot
from benchmarks.options import Options
from benchmarks.ratio import Goal, Operation, Row, compare, measure, run_operation
from mqsite.stack.errors import StackError
from queues import services

BATCH = 100
WINDOW_SECONDS = 2.0
WAL_MESSAGES = 10_000
WAL_PAYLOAD = b'"' + b"x" * 1_022 + b'"'  # 1 KB
RELOAD_SECONDS = 10.0

Consume = Callable[[str, int], Operation]


class Drained(NamedTuple):
    """Messages a second: all the time, in its first two seconds, in its last two."""

    all: float
    first: float
    last: float


def measure_snapshot(options: Options) -> Iterator[Row]:
    """Batches of 100 from a loaded queue until it is empty, under a REPEATABLE READ snapshot / while none is held.

    The snapshot is taken when the queue is loaded and held until it is empty, so that nothing of what is
    acknowledged can be vacuumed. One consumer, in this process. `last / first` are two seconds of the held side
    each, or a half of it where all of it takes less than four.
    """
    yield from _compare_held(options, "leased", queue_calls.receive_and_ack, Goal(0.85), Goal(0.8))
    yield from _compare_held(options, "transaction mode", queue_calls.take_and_ack, Goal(0.7), Goal(0.7))


def _compare_held(options: Options, mode: str, consume: Consume, all_goal: Goal, last_goal: Goal) -> Iterator[Row]:
    sides = {
        "held": partial(_drain_churned, consume, options.churned, is_held=True),
        "free": partial(_drain_churned, consume, options.churned, is_held=False),
    }
    found = measure(options.rounds, sides, warm_up=False)
    held, free = found["held"], found["free"]
    case = f"receive+ack of {options.churned:,}, {mode}, a snapshot held"
    yield compare(f"{case} / free", [each.all for each in held], [each.all for each in free], goal=all_goal)
    last, first = [each.last for each in held], [each.first for each in held]
    yield compare(f"{case}: its last 2 s / its first 2 s", last, first, goal=last_goal)


def _drain_churned(consume: Consume, count: int, *, is_held: bool) -> Drained:
    queue = queue_calls.make_queue()
    queue_calls.load_queue(queue, count)
    settle()
    ended, counts = list[float](), list[int]()
    with hold_snapshot() if is_held else contextlib.nullcontext():
        started = time.perf_counter()
        for done in consume(queue, BATCH):
            ended.append(time.perf_counter() - started)
            counts.append(done)
    if sum(counts) != count:
        raise StackError(f"{sum(counts):,} of {count:,} messages were received.")
    queue_calls.drop_queue(queue)
    whole = ended[-1]
    window = min(WINDOW_SECONDS, whole / 2)
    first = sum(done for end, done in zip(ended, counts, strict=True) if end <= window)
    last = sum(done for end, done in zip(ended, counts, strict=True) if end > whole - window)
    return Drained(count / whole, first / window, last / window)


def measure_standing(options: Options) -> Iterator[Row]:
    """receive+ack of 100, leased, from the head of a queue with much behind it / with little.

    Each measurement makes its queue anew and alone, with what is received on top of what stands; one consumer, in
    this process. Loading keeps the two of a pair ten seconds apart, in which a shared machine changes its pace, so
    three times as many rounds are taken.
    """
    little, *much = sorted(options.standing)
    sides = {str(size): partial(_drain_standing, size, options.messages) for size in (little, *much)}
    found = measure(3 * options.rounds, sides, warm_up=False)
    for size in much:
        case = f"receive+ack of 100 with {size:,} standing / with {little:,}"
        goal = Goal(0.9) if size == max(much) else None
        yield compare(case, found[str(size)], found[str(little)], goal=goal)


def _drain_standing(standing: int, count: int) -> float:
    calls = max(1, count // BATCH)
    queue = queue_calls.make_queue()
    queue_calls.load_queue(queue, standing + (calls + 1) * BATCH)
    settle()
    rate = run_operation(queue_calls.receive_and_ack(queue, BATCH, calls=calls))
    queue_calls.drop_queue(queue)
    return rate


def measure_wal(options: Options) -> Iterator[Row]:
    """Bytes of WAL per message with a payload of 1,024 bytes: sent by 100, then received and acknowledged by 100.

    From differences of pg_current_wal_insert_lsn, since the last asynchronous commits may not be written yet. As
    many went through the same queue before and were vacuumed, so that it writes into space that was used, as it
    does in the long run. Full-page images depend on how long ago the last checkpoint was. They are kept out by a
    checkpoint after `full_page_writes` was switched off, for this case only; the second figure of each has it on
    and begins right after a checkpoint, so that each page is logged whole once. What autovacuum writes meanwhile
    is part of both.
    """
    yield from _count_wal(options, "leased", queue_calls.receive_and_ack, Goal(2_000, is_upper=True))
    yield from _count_wal(options, "transaction mode", queue_calls.take_and_ack, Goal(1_600, is_upper=True))


def _count_wal(options: Options, mode: str, consume: Consume, goal: Goal) -> Iterator[Row]:
    calls = max(1, min(WAL_MESSAGES, options.messages) // BATCH)
    sides = {
        "without images": partial(_measure_wal, consume, calls, has_images=False),
        "with images": partial(_measure_wal, consume, calls, has_images=True),
    }
    found = measure(options.rounds, sides, warm_up=False)
    case = f"WAL per message of 1 KB, send + receive + ack, {mode}"
    plain, imaged = found["without images"], found["with images"]
    yield Row(case, plain, [], plain, goal, "B")
    yield Row(f"{case}, with the full-page images after a checkpoint", imaged, [], imaged, None, "B")


def _measure_wal(consume: Consume, calls: int, *, has_images: bool) -> float:
    queue = queue_calls.make_queue()
    with contextlib.nullcontext() if has_images else omit_images():
        _move_large(consume, queue, calls, extra=1)  # what stays keeps VACUUM from cutting the table off
        settle()
        before = read_wal_position()
        count = _move_large(consume, queue, calls)
        after = read_wal_position()
    queue_calls.drop_queue(queue)
    return (after - before) / count


def _move_large(consume: Consume, queue: str, calls: int, *, extra: int = 0) -> int:
    """Send so many batches and `extra`, receive and acknowledge so many; how many messages the latter were."""
    batch = [services.NewMessage(WAL_PAYLOAD)] * BATCH
    for _ in range(calls + extra):
        services.send_many(queue, batch)
    with contextlib.closing(consume(queue, BATCH)) as operation:
        count = sum(itertools.islice(operation, calls))
    if count != calls * BATCH:
        raise StackError(f"{count:,} of {calls * BATCH:,} messages were received.")
    return count


def read_wal_position() -> int:
    with connect() as connection:
        ((position,),) = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchall()
        return int(position)


@contextlib.contextmanager
def omit_images() -> Iterator[None]:
    """Whoever checkpoints next makes sure that the server has heard of it."""
    _set_images("SET full_page_writes = off", "off")
    try:
        yield
    finally:
        _set_images("RESET full_page_writes", "on")


def _set_images(change: str, expected: str) -> None:
    deadline = time.monotonic() + RELOAD_SECONDS
    with connect() as connection:
        connection.execute(f"ALTER SYSTEM {change}".encode())
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute("SHOW full_page_writes").fetchall() != [(expected,)]:
            if time.monotonic() > deadline:
                raise StackError(f"full_page_writes did not become {expected}.")
            time.sleep(0.02)
