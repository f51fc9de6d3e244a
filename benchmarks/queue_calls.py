"""What a user of the queue calls, as operations: generators that do one call a step and yield its messages."""

import itertools
import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.db import transaction

from benchmarks.business import insert_business_row, insert_business_rows
from benchmarks.house import settle
from benchmarks.log_calls import VALUES, silence_hints, steps
from benchmarks.log_life import commit_asynchronously
from benchmarks.messaging import OWNER
from benchmarks.ratio import Operation
from queues import services
from queues.services import Message, NewMessage

PAYLOADS = VALUES  # 1,000 of 250 bytes
PAYLOAD_BYTES = len(PAYLOADS[0])
KEYS = [f"order-{n:06d}" for n in range(1_000)]
LOAD_MESSAGES = 10_000
HOLDER = "benchmark"
LONG_SECONDS = 3_600
numbers = itertools.count(1)


def work_in_transaction(queue: str, size: int, work: Callable[[list[Message]], object]) -> int:
    """Take, work and acknowledge in ONE transaction without a lease; how many messages that were."""
    with transaction.atomic():
        messages = services.take(queue, max_messages=size, boundary=OWNER)
        if messages:
            work(messages)
        services.ack_taken(messages)
    return len(messages)


def make_ordered_queue() -> str:
    """First in first out per group key, one holder per key."""
    return make_queue(is_ordered=True)


def make_queue(**settings: object) -> str:
    name = f"benchmark-{next(numbers)}"
    services.create_queue(name, owner=OWNER, **settings)  # type: ignore[arg-type]
    return name


def load_queue(queue: str, count: int, *, make: Callable[[int], NewMessage] | None = None) -> None:
    """Through send_many, committing asynchronously and without hints, to save time."""
    new = make or (lambda number: NewMessage(PAYLOADS[number % len(PAYLOADS)]))
    with silence_hints(), commit_asynchronously():
        for first in range(0, count, LOAD_MESSAGES):
            services.send_many(queue, [new(n) for n in range(first, min(first + LOAD_MESSAGES, count))])


def drop_queue(queue: str) -> None:
    """With all that is in it, leaving nothing of it to what is measured next."""
    services.delete_queue(queue, actor=OWNER)
    settle()


def empty_declared(queue: str) -> None:
    """A declared queue, made anew."""
    drop_queue(queue)
    services.create_declared()


def send_batches(
    queue: str, size: int, *, calls: int | None = None, find_key: Callable[[int, int], str] | None = None
) -> Operation:
    """With `find_key`, which is asked with the call and the place in it, making the NewMessages is part of it."""
    payloads = PAYLOADS[:size]
    for call in steps(calls):
        batch: Iterable[Any] = payloads
        if find_key:
            batch = (NewMessage(payload, find_key(call, place)) for place, payload in enumerate(payloads))
        services.send_many(queue, batch)
        yield size


def send_singles(queue: str) -> Operation:
    """Wake-ups and live hints included."""
    for payload in itertools.cycle(PAYLOADS):
        services.send(queue, payload)
        yield 1


def receive_and_ack(queue: str, size: int, *, calls: int | None = None) -> Operation:
    """Leased. Until the queue is empty, or for so many calls."""
    for _ in steps(calls):
        lease = services.receive(queue, holder=HOLDER, max_messages=size, boundary=OWNER)
        if lease is None:
            return
        ids = [message.id for message in lease.messages]
        lost = services.ack(lease.token, ids, queue=queue)
        assert not lost
        yield len(ids)


def take_and_ack(queue: str, size: int, *, work: Callable[[list[Message]], object] = id) -> Operation:
    """Transaction mode, until the queue is empty. Each transaction commits durably."""
    while count := work_in_transaction(queue, size, work):
        yield count


def receive_and_write(write: Callable[[list[Message]], object], queue: str, size: int) -> Operation:
    """Leased: a handler's transaction writes a row for each message of the batch and acknowledges it, durably."""
    while lease := services.receive(queue, holder=HOLDER, max_messages=size, boundary=OWNER):
        with transaction.atomic():
            write(lease.messages)
            lost = services.ack(lease.token, [message.id for message in lease.messages], queue=queue)
            assert not lost
        yield len(lease.messages)


def take_and_write(write: Callable[[list[Message]], object], queue: str, size: int) -> Operation:
    """Transaction mode: the same rows in the transaction that takes and acknowledges, durably."""
    return take_and_ack(queue, size, work=write)


def write_one_by_one(messages: list[Message]) -> None:
    for _ in messages:
        insert_business_row()


def write_at_once(messages: list[Message]) -> None:
    insert_business_rows(len(messages))


def send_steadily(queue: str, *, rate: float, seconds: float) -> int:
    """One by one at a steady rate, each with the time just before its send; how many."""
    count = int(rate * seconds)
    send_at_rate(partial(services.send, queue), count=count, rate=rate)
    return count


def send_at_rate(send: Callable[[bytes], object], *, count: int, rate: float) -> None:
    started = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        send(make_stamped(time.monotonic()))


def make_stamped(sent: float) -> bytes:
    """A payload of the usual size with the time it was sent at."""
    return json.dumps({"sent": sent, "note": "x" * (PAYLOAD_BYTES - 42)}).encode()


def hold_one(queue: str, key: str) -> None:
    """Send one message of the key and keep it leased, for longer than a benchmark runs."""
    services.send(queue, PAYLOADS[0], group_key=key)
    lease = services.receive(queue, holder=HOLDER, max_messages=1, boundary=OWNER, lease_seconds=LONG_SECONDS)
    assert lease is not None


def spread_over_keys(number: int) -> NewMessage:
    return NewMessage(PAYLOADS[number % len(PAYLOADS)], KEYS[number % len(KEYS)])
