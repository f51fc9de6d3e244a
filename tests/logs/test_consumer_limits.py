"""A handler of a log with limits: no partition is forgotten for another that always has more."""

import time

import pytest

from logs import consumer, services
from logs.handlers import Reads, subscriptions
from logs.rows import Record
from logs.services import NewRecord
from mqsite import limits
from tests.concurrency import elsewhere
from tests.logs.conftest import Subscribed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def full(subscribed: Subscribed) -> Subscribed:
    """Three partitions with 4 records each."""
    services.add_partitions("orders", 3, actor="ann")
    for partition in range(3):
        services.publish_many("orders", [NewRecord(n, partition=partition) for n in range(4)], boundary="shop")
    return subscribed


def test_the_limited_partitions_of_a_group_take_turns(full: Subscribed, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    full(lambda record: seen.append(record.partition), concurrency=1)
    monkeypatch.setattr(consumer, "DRAIN_SECONDS", -1.0)
    assert consumer.drain("billing", "orders", 0, stop=lambda: False) is False, (
        "no wake-up for itself: the others' turn"
    )
    monkeypatch.setattr(consumer, "DRAIN_SECONDS", 10.0)
    consumer.sweep(stop=lambda: False)
    assert sorted(seen) == [0] * 4 + [1] * 4 + [2] * 4


def test_no_more_partitions_are_read_at_once_than_the_handler_wants(full: Subscribed) -> None:
    others: list[bool] = []

    def drain_another(record: Record) -> None:
        if not others:
            others.append(elsewhere(lambda: consumer.drain("billing", "orders", 1, stop=lambda: False)))
            seen.clear()
        seen.append(record.partition)

    seen: list[int] = []
    full(drain_another, concurrency=1)
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    assert (others, seen) == ([False], [0] * 4)


@pytest.mark.parametrize("looks", [0, 3], ids=["before it begins", "while it waits for its rate"])
def test_a_worker_on_its_way_down_leaves_a_limited_partition_to_another_at_once(full: Subscribed, looks: int) -> None:
    """Not to the sweep: what it was woken for, nobody else is."""
    seen: list[int] = []
    looked: list[None] = []

    def stop() -> bool:
        looked.append(None)
        return len(looked) > looks

    full(lambda record: seen.append(record.offset), rate=1)
    limits.take_tokens(subscriptions._entries[Reads("billing", "orders")].limit_name, 1, 1, halt=lambda: False)
    assert consumer.drain("billing", "orders", 0, stop=stop) is True
    assert seen == []


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once", "at_most_once"])
def test_a_log_is_handled_no_faster_than_its_rate(full: Subscribed, delivery: str) -> None:
    done: list[float] = []
    full(lambda record: done.append(time.monotonic()), delivery=delivery, rate=40)
    name = subscriptions._entries[Reads("billing", "orders")].limit_name
    assert limits.take_tokens(name, 40, 40, halt=lambda: False) == 40
    started = time.monotonic()
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    assert len(done) == 4
    assert done[-1] - started > 0.09, "4 at 40 a second, and the bucket was empty"
