"""The log against the raw limit: publishing in batches, one by one and in transactions, and fetching.

All of it through `logs.services`, with values of 250 bytes, wake-ups and live hints included.
"""

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import log_calls, log_raw
from benchmarks.business import make_business_table
from benchmarks.messaging import OWNER, READER, SINGLES
from benchmarks.options import Options
from benchmarks.producers import Order, Producers, start_producers
from benchmarks.ratio import Goal, Operation, Row, compare, measure, run_operation, stop_after
from logs import services

Rate = Callable[[], float]


def measure_batches(options: Options) -> Iterator[Row]:
    """publish_many into one partition / binary COPY of the same rows, as many in each transaction."""
    for size, goal in ((1000, Goal(0.7)), (100, Goal(0.6))):
        calls = options.batch_records // size
        topic = log_calls.make_topic()
        sides = {
            "ours": _rate_of(partial(log_calls.publish_batches, topic, size, calls=calls)),
            "raw": _rate_of_copy(log_raw.make_sample(size), size, calls),
            "built": _rate_of(partial(log_calls.publish_built, topic, size, calls=calls)),
        }
        found = _measure_beside_plain(options, sides)
        yield compare(f"publish {size:,} to one partition / COPY", found["ours"], found["raw"], goal=goal)
        yield compare(f"the same, NewRecords made before / COPY of {size:,}", found["built"], found["raw"])


def measure_keys(options: Options) -> Iterator[Row]:
    """publish_many of 1,000 by key (10,000 different ones, at random) / COPY of such rows, in the same order."""
    size, calls = 1000, options.batch_records // 1000
    for partitions, goal in ((8, Goal(0.6)), (16, None)):
        topic = log_calls.make_topic(partitions)
        sample = log_raw.make_sample(size, partitions=partitions, is_keyed=True)
        sides = {
            "ours": _rate_of(partial(log_calls.publish_batches, topic, size, calls=calls, is_keyed=True)),
            "raw": _rate_of_copy(sample, size, calls),
        }
        found = _measure_beside_plain(options, sides)
        case = f"publish {size:,} by key over {partitions} partitions / COPY"
        yield compare(case, found["ours"], found["raw"], goal=goal)


def measure_singles(options: Options) -> Iterator[Row]:
    """publish / a prepared single-row INSERT in autocommit, from 1 and from 4 processes."""
    topic, sample = SINGLES.name, log_raw.make_sample(1)  # a group reads it, so each publish wakes
    with start_producers(4) as producers:
        for_seconds = partial(_rate_of_orders, producers, options.seconds)
        sides: dict[str, Rate] = {
            "one": for_seconds(lambda: [_publish_to(topic, 0)]),
            "raw one": for_seconds(lambda: [_insert(sample)]),
            "apart": for_seconds(lambda: [_publish_to(topic, number) for number in range(4)]),
            "raw four": for_seconds(lambda: [_insert(sample) for _ in range(4)]),
            "together": for_seconds(lambda: [_publish_to(topic, 0) for _ in range(4)]),
        }
        found = _measure_beside_plain(options, sides)
    services.reset_offsets(READER.name, "to-latest", topics={topic: None}, actor=OWNER)
    one, four = found["raw one"], found["raw four"]
    yield compare("publish one, 1 producer / prepared INSERT", found["one"], one, goal=Goal(0.55))
    yield compare("publish one, 4 producers, 4 partitions / 4 inserting", found["apart"], four, goal=Goal(0.5))
    yield compare("publish one, 4 producers, ONE partition / the same 4", found["together"], four, goal=Goal(0.35))


def measure_producers(options: Options) -> Iterator[Row]:
    """publish_many of 100 by key over 16 partitions from 4 processes / 4 processes with COPY of 100."""
    topic, size = log_calls.make_topic(16), 100
    sample = log_raw.make_sample(size, partitions=16, is_keyed=True)
    publish: Order = partial(log_calls.publish_batches, topic, size, is_keyed=True)
    calls = options.batch_records // size

    def copy() -> Order:
        return partial(log_raw.copy_batches, sample, size, calls=calls, place=log_raw.take_place())

    with start_producers(4) as producers:
        for_seconds = partial(_rate_of_orders, producers, options.seconds)
        sides = {"ours": for_seconds(lambda: [publish] * 4), "raw": for_seconds(lambda: [copy() for _ in range(4)])}
        found = _measure_beside_plain(options, sides)
    yield compare("publish 100 by key over 16 partitions, 4 producers / 4 with COPY", found["ours"], found["raw"])


def measure_transactions(options: Options) -> Iterator[Row]:
    """publish_many of 100 inside `transaction.atomic()` / in autocommit.

    The goal is for publishing alone: both sides commit once, so the ratio is what staging costs. With a
    business row on both sides, the one transaction is compared with the two it stands for, which is
    what a user would do else, and flushes twice.
    """
    make_business_table()
    topic, size, calls = log_calls.make_topic(), 100, options.batch_records // 100
    inside = partial(log_calls.publish_in_transaction, topic, size, calls=calls)
    sides = {
        "inside": _rate_of(inside),
        "outside": _rate_of(partial(log_calls.publish_batches, topic, size, calls=calls)),
        "one": _rate_of(partial(inside, with_business_row=True)),
        "two": _rate_of(partial(log_calls.publish_after_business, topic, size, calls=calls)),
    }
    found = measure(options.rounds, sides)
    yield compare("publish 100 in a transaction / outside", found["inside"], found["outside"], goal=Goal(0.6))
    yield compare("business row and publish 100 in one transaction / in two", found["one"], found["two"])


def measure_fetch(options: Options) -> Iterator[Row]:
    """fetch, as Record objects / a SELECT of the same columns by key range, as tuples, prepared, in binary.

    The plain table is analyzed. The log's is as the product leaves it: a fetch that needs statistics
    nobody has gathered yet is slow for its users, too.
    """
    topic = log_calls.make_topic()
    log_calls.load_topic(topic, options.batch_records)
    log_raw.make_plain_table()
    log_raw.fill_plain_table(topic)
    for size, goal in ((1000, Goal(0.6)), (100, None)):
        calls = options.batch_records // size
        sides = {
            "ours": _rate_of(partial(log_calls.fetch_batches, topic, size, calls=calls)),
            "raw": _rate_of(partial(log_raw.select_batches, topic, size, calls=calls)),
        }
        found = measure(options.rounds, sides)
        yield compare(f"fetch {size:,} as objects / SELECT of rows", found["ours"], found["raw"], goal=goal)


def measure_in_process(operation: Operation, seconds: float) -> float:
    return run_operation(operation, stop=stop_after(seconds))


def _rate_of(make: Callable[[], Operation]) -> Rate:
    return lambda: run_operation(make())


def _rate_of_copy(sample: str, size: int, calls: int) -> Rate:
    return lambda: run_operation(log_raw.copy_batches(sample, size, calls=calls, place=log_raw.take_place()))


def _rate_of_orders(producers: Producers, seconds: float, make: Callable[[], list[Order]]) -> Rate:
    return lambda: producers.run_for(make(), seconds)


def _publish_to(topic: str, partition: int) -> Order:
    return partial(log_calls.publish_singles, topic, partition=partition)


def _insert(sample: str) -> Order:
    return partial(log_raw.insert_singles, sample, place=log_raw.take_place())


def _measure_beside_plain(options: Options, sides: dict[str, Rate]) -> dict[str, list[float]]:
    log_raw.make_plain_table()
    return measure(options.rounds, sides)
