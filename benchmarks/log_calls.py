"""What a user of the log calls, as operations: generators that do one call a step and yield its records."""

import contextlib
import itertools
import random
from collections.abc import Iterator
from typing import Any

from django.db import transaction

from benchmarks.business import insert_business_row
from benchmarks.messaging import OWNER
from benchmarks.ratio import Operation
from logs import selectors, services
from logs.services import NewRecord
from logs.services.topics import LOG_END
from mqsite import hints, nudge

VALUE_BYTES = 250
VALUES = [b'{"event": "OrderPlaced", "number": %d, "note": "' % n for n in range(1000)]
VALUES = [value.ljust(VALUE_BYTES - 2, b"x") + b'"}' for value in VALUES]
KEYS = [b"order-%06d" % n for n in range(10_000)]  # drawn at random, so that each comes again, as they do
LOAD_RECORDS = 10_000
UPKEEP_RECORDS = 250_000  # at the rate of loading the upkeep runs every few seconds
numbers = itertools.count(1)


def make_topic(partitions: int = 1) -> str:
    name = f"benchmark-{next(numbers)}"
    services.create_topic(name, owner=OWNER, partitions=partitions, configs={"retention.ms": -1})
    return name


def load_topic(topic: str, count: int) -> None:
    """Through publish_many, with the upkeep running now and then, as it does beside a producer."""
    size = min(LOAD_RECORDS, count)
    batch = [NewRecord(value) for value in itertools.islice(itertools.cycle(VALUES), size)]
    with silence_hints():
        for done in range(size, count + 1, size):
            services.publish_many(topic, batch, boundary=OWNER)
            if done % UPKEEP_RECORDS < size:
                services.run_upkeep(seconds=60)


def expire_topic(topic: str) -> None:
    """Everything in it, and give its space back."""
    services.delete_records(topic, dict.fromkeys(range(len(selectors.bounds(topic))), LOG_END), actor=OWNER)
    services.run_upkeep(seconds=60)


def publish_singles(topic: str, *, partition: int | None = None, is_silent: bool = False) -> Operation:
    """Wake-ups and live hints included, unless silent."""
    with silence_hints() if is_silent else contextlib.nullcontext():
        for value in itertools.cycle(VALUES):
            services.publish(topic, value, partition=partition, boundary=OWNER)
            yield 1


def publish_batches(topic: str, size: int, *, calls: int | None = None, is_keyed: bool = False) -> Operation:
    """NewRecord is ours, so making them is part of it."""
    values = VALUES[:size]
    for _ in steps(calls):
        if is_keyed:
            batch = [NewRecord(value, key) for value, key in zip(values, random.choices(KEYS, k=size), strict=True)]
        else:
            batch = [NewRecord(value) for value in values]
        services.publish_many(topic, batch, boundary=OWNER)
        yield size


def publish_built(topic: str, size: int, *, calls: int) -> Operation:
    """Records that were made before."""
    batch = VALUES[:size]
    for _ in steps(calls):
        services.publish_many(topic, batch, boundary=OWNER)
        yield size


def publish_in_transaction(topic: str, size: int, *, calls: int, with_business_row: bool = False) -> Operation:
    for _ in steps(calls):
        with transaction.atomic():
            if with_business_row:
                insert_business_row()
            services.publish_many(topic, VALUES[:size], boundary=OWNER)
        yield size


def publish_after_business(topic: str, size: int, *, calls: int) -> Operation:
    """Two transactions: what is given up by not publishing in the first."""
    for _ in steps(calls):
        insert_business_row()
        services.publish_many(topic, VALUES[:size], boundary=OWNER)
        yield size


def fetch_batches(topic: str, size: int, *, calls: int, newest: int | None = None) -> Operation:
    """From random places, of all the records or of the newest."""
    (ends,) = selectors.bounds(topic)
    first = max(ends.log_start, ends.log_end - newest) if newest else ends.log_start
    for _ in steps(calls):
        records = services.fetch(topic, 0, random.randrange(first, ends.log_end - size + 1), max_records=size)
        assert len(records) == size
        yield size


@contextlib.contextmanager
def silence_hints() -> Iterator[None]:
    """As if there were nobody to wake and no page open."""
    kept = nudge.wake, hints.push_live
    nudge.wake = hints.push_live = _say_nothing
    try:
        yield
    finally:
        nudge.wake, hints.push_live = kept


def _say_nothing(*_: Any, **__: Any) -> None:
    pass


def steps(calls: int | None) -> Iterator[int]:
    """One more than asked for, since the first step does not count."""
    return itertools.count() if calls is None else iter(range(calls + 1))
