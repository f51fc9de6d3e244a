"""The queue against raw limits and pgmq's statements: sending, receiving, handlers that write.

All of it through `queues.services`, with payloads of 250 bytes, wake-ups and live hints included. Who sends
alone runs in this process, consumers and several senders in processes of their own.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import queue_calls, queue_raw
from benchmarks.business import make_business_table
from benchmarks.house import settle
from benchmarks.messaging import WAKING
from benchmarks.options import Options
from benchmarks.producers import Order, Producers, start_producers
from benchmarks.ratio import Goal, Operation, Row, compare, measure, run_operation

Rate = Callable[[], float]
FEWER = 10  # so many times fewer messages where each costs a flush or a row of a handler
UNCOUNTED = 2  # calls of each consumer: one connects, one warms up


def measure_batches(options: Options) -> Iterator[Row]:
    """send_many / INSERT ... SELECT unnest into an equal table with a primary key only; / pgmq's send.

    As many in each transaction on all sides, in tables that grow alike. Then 100 from 4 processes at once.
    """
    queue, sample = queue_calls.make_queue(), queue_raw.make_sample()
    for size, plain_goal, pgmq_goal in ((1000, Goal(0.6), Goal(1.0)), (100, None, None)):
        calls = max(1, options.messages // size)
        found = _measure_beside_plain(
            options,
            {
                "ours": _rate_of(partial(queue_calls.send_batches, queue, size, calls=calls)),
                "plain": _rate_of(partial(queue_raw.insert_batches, sample, size, calls=calls)),
                "pgmq": _rate_of(partial(queue_raw.send_pgmq, size, calls=calls)),
            },
        )
        case = f"send {size:,} at once"
        yield compare(f"{case} / plain INSERT … unnest of {size:,}", found["ours"], found["plain"], goal=plain_goal)
        yield compare(f"{case} / pgmq's send of {size:,}", found["ours"], found["pgmq"], goal=pgmq_goal)
    with start_producers(4) as producers:
        for_seconds = partial(_rate_of_orders, producers, options.seconds)
        found = _measure_beside_plain(
            options,
            {
                "ours": for_seconds([partial(queue_calls.send_batches, queue, 100)] * 4),
                "plain": for_seconds([partial(queue_raw.insert_batches, sample, 100)] * 4),
                "pgmq": for_seconds([partial(queue_raw.send_pgmq, 100)] * 4),
            },
        )
    yield compare("send 100 at once, 4 senders / 4 with plain INSERT … unnest", found["ours"], found["plain"])
    yield compare("send 100 at once, 4 senders / 4 with pgmq's send", found["ours"], found["pgmq"])
    queue_calls.drop_queue(queue)


def measure_singles(options: Options) -> Iterator[Row]:
    """send to a queue that has a handler, so that each send wakes / a prepared single-row INSERT in autocommit.

    From 1 and from 4 processes. No worker runs: what is woken costs what a hint costs.
    """
    sample = queue_raw.make_sample()
    with start_producers(4) as producers:
        for_seconds = partial(_rate_of_orders, producers, options.seconds)
        send: Order = partial(queue_calls.send_singles, WAKING.name)
        insert: Order = partial(queue_raw.insert_singles, sample)
        found = _measure_beside_plain(
            options,
            {
                "one": for_seconds([send]),
                "raw one": for_seconds([insert]),
                "four": for_seconds([send] * 4),
                "raw four": for_seconds([insert] * 4),
            },
        )
    queue_calls.empty_declared(WAKING.name)
    case = "send one, wake-up included"
    yield compare(f"{case} / prepared INSERT", found["one"], found["raw one"], goal=Goal(0.6))
    yield compare(f"{case}, 4 senders / 4 inserting", found["four"], found["raw four"])


def measure_receive(options: Options) -> Iterator[Row]:
    """receive and ack, leased, until a loaded queue is empty / pgmq's read and delete of as many in an equal queue.

    pgmq's table is analyzed once it is loaded; ours is as the product leaves it.
    """
    queue_raw.make_pgmq_table()
    with start_producers(4) as consumers:
        for size in (100, 10, 1):
            count = options.messages if size == 100 else options.messages // FEWER
            for number in (1, 4):
                sides = {
                    "ours": partial(drain, consumers, number, size, count),
                    "pgmq": partial(_drain_pgmq, consumers, number, size, count),
                }
                found = measure(options.rounds, sides)
                goal = Goal(1.2) if size == 100 else None
                who = "1 consumer" if number == 1 else f"{number} consumers"
                case = f"receive+ack of {size}, leased, {who} / pgmq's read and delete"
                yield compare(case, found["ours"], found["pgmq"], goal=goal)


def measure_handlers(options: Options) -> Iterator[Row]:
    """Batches of 100 whose handler writes a row for each message, one by one or with one INSERT: transaction mode /
    leased.

    Transaction mode takes, writes and acknowledges in one transaction. Leased receives on its own and writes and
    acknowledges in one. The transaction with the rows is durable on both sides; the rows are Django's INSERTs. The goal
    is that of handlers as workers call them: `measure_deliveries`.
    """
    make_business_table()
    ways = {
        "writes a row a message": (queue_calls.write_one_by_one, options.messages // FEWER),
        "writes the rows of a batch at once": (queue_calls.write_at_once, options.messages // 2),
    }
    with start_producers(4) as consumers:
        for (says, (write, count)), number in itertools.product(ways.items(), (1, 4)):
            taken = partial(drain, consumers, number, 100, count, make=partial(queue_calls.take_and_write, write))
            leased = partial(drain, consumers, number, 100, count, make=partial(queue_calls.receive_and_write, write))
            found = measure(options.rounds, {"taken": taken, "leased": leased})
            who = "1 consumer" if number == 1 else f"{number} consumers"
            case = f"a handler that {says}, {who}: transaction mode / leased"
            yield compare(case, found["taken"], found["leased"])


def drain(
    consumers: Producers,
    number: int,
    size: int,
    count: int,
    *,
    make: Callable[[str, int], Operation] = queue_calls.receive_and_ack,
) -> float:
    """Messages a second of so many consumers until a queue of its own with `count` messages is empty."""
    queue = queue_calls.make_queue()
    queue_calls.load_queue(queue, count + UNCOUNTED * number * size)
    settle()
    rate = consumers.run_out([partial(make, queue, size)] * number)
    queue_calls.drop_queue(queue)
    return rate


def _drain_pgmq(consumers: Producers, number: int, size: int, count: int) -> float:
    queue_raw.load_pgmq(count + UNCOUNTED * number * size)
    settle()
    return consumers.run_out([partial(queue_raw.read_and_delete_pgmq, size)] * number)


def _rate_of(make: Callable[[], Operation]) -> Rate:
    return lambda: run_operation(make())


def _rate_of_orders(producers: Producers, seconds: float, orders: list[Order]) -> Rate:
    return lambda: producers.run_for(orders, seconds)


def _measure_beside_plain(options: Options, sides: dict[str, Rate]) -> dict[str, list[float]]:
    queue_raw.make_plain_table()
    queue_raw.make_pgmq_table()
    return measure(options.rounds, sides)
