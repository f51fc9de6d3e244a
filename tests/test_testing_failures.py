"""A customer tests what becomes of it when a handler fails."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError

from logs.rows import Record
from logs.selectors import list_parked
from logs.services import NewRecord, publish, publish_many, retry_parked
from mqsite.rehearsal import ENDLESS_ATTEMPTS, NeverEnds
from mqsite.retry import Reject, Retry, RetryIn
from mqsite.testcase import Messages
from queues.models import Message as MessageRow
from queues.rows import Message
from queues.services import NewMessage, send, send_many
from tests.shop import Shop, both, deliveries, in_test_transaction, open_shop

pytest_plugins = ["mqsite.testing"]


@pytest.fixture
def shop(mq: Messages, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return open_shop(monkeypatch)


@in_test_transaction
@pytest.mark.parametrize("delivery", deliveries)
def test_the_error_of_a_handler_is_raised(delivery: str, shop: Shop, mq: Messages) -> None:
    @shop.handles(delivery=delivery)
    def pack(message: Message) -> None:
        shop.write("w1")
        send(shop.parcels, "more")
        raise KeyError("seat")

    send(shop.parcels, "a")
    with pytest.raises(KeyError, match="seat"):
        mq.run()
    assert [(failure.item.text, type(failure.error)) for failure in mq.failures] == [("a", KeyError)]
    is_undone = delivery == "transaction"
    assert shop.written() == ([] if is_undone else ["w1"])
    assert [message.text for message in mq.sent(shop.parcels)] == (["a"] if is_undone else ["a", "more"])


@in_test_transaction
@pytest.mark.parametrize("delivery", deliveries)
@pytest.mark.parametrize("half", ["logs", "queues"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_error_of_the_database_does_not_end_the_test(
    delivery: str, half: str, kind: str, shop: Shop, mq: Messages
) -> None:
    def write_twice_plain(item: Any) -> None:
        shop.write("w1")
        shop.write("w1")

    async def write_twice_async(item: Any) -> None:
        await sync_to_async(write_twice_plain)(item)

    write_twice = write_twice_plain if kind == "plain" else write_twice_async

    if half == "logs":
        shop.reads(delivery=delivery, retry=None if delivery == "at_most_once" else Retry(attempts=2))(write_twice)
        publish(shop.orders, "a")
    else:
        shop.handles(delivery=delivery)(write_twice)
        send(shop.parcels, "a")
    with pytest.raises(IntegrityError):
        mq.run()
    mq.run(raise_errors=False)
    attempts = {"at_most_once": 1, "transaction": 2 if half == "logs" else 3}
    attempts["at_least_once"] = attempts["transaction"]
    assert len(mq.failures) == attempts[delivery]


@in_test_transaction
def test_what_an_error_of_the_database_undid_was_not_sent(shop: Shop, mq: Messages) -> None:
    @shop.handles(delivery="at_most_once")
    def pack(message: Message) -> None:
        send(shop.parcels, "more")
        shop.write("w1")
        shop.write("w1")

    send(shop.parcels, "a")
    mq.run(raise_errors=False)
    assert [message.text for message in mq.sent(shop.parcels)] == ["a"]


@both
def test_retries_do_not_wait_and_what_keeps_failing_dies(mode: str, shop: Shop, mq: Messages) -> None:
    receives = []

    @shop.handles()
    def pack(message: Message) -> None:
        receives.append(message.receives)
        if message.text != "good" or message.receives == 1:
            raise ValueError(message.text)

    send_many(shop.parcels, [NewMessage("good"), NewMessage("bad")])
    assert mq.run(raise_errors=False) == 1
    assert max(receives) == 3
    assert [str(failure.error) for failure in mq.failures].count("bad") == 3
    assert MessageRow.objects.get().state == MessageRow.State.DEAD
    mq.assert_nothing_left()


@in_test_transaction
def test_retry_in_is_not_an_error_but_another_call(shop: Shop, mq: Messages) -> None:
    calls = []

    @shop.reads()
    def bill(record: Record) -> None:
        calls.append(record.offset)
        if len(calls) == 1:
            raise RetryIn(3_600)

    publish(shop.orders, "a")
    assert mq.run() == 1
    assert calls == [0, 0]


@in_test_transaction
def test_parked_records_are_parked_and_tried_again_when_asked(shop: Shop, mq: Messages) -> None:
    broken = {"a"}

    @shop.reads(on_failure="park")
    def bill(record: Record) -> None:
        if record.text in broken:
            raise Reject("no such customer")
        shop.told.append((record.text, record.is_replay))

    publish_many(shop.orders, [NewRecord("a", partition=0), NewRecord("b", partition=0)])
    assert mq.run(raise_errors=False) == 1
    assert [parked["reason"] for parked in list_parked("billing")] == ["rejected"]
    broken.clear()
    retry_parked("billing", actor="test")
    assert mq.run() == 1
    assert shop.told == [("b", False), ("a", True)]


@in_test_transaction
def test_a_record_that_is_tried_for_ever_is_left_after_some_attempts(shop: Shop, mq: Messages) -> None:
    @shop.reads()
    def bill(record: Record) -> None:
        raise ValueError("not today")

    publish(shop.orders, "a", partition=2)
    assert mq.run(raise_errors=False) == 0
    assert len(mq.failures) == ENDLESS_ATTEMPTS
    with pytest.raises(AssertionError, match=r"has not read orders to the end, partitions \[2\]"):
        mq.assert_nothing_left()


@in_test_transaction
def test_a_flow_that_does_not_end_is_ended(shop: Shop, mq: Messages) -> None:
    @shop.handles()
    def pack(message: Message) -> None:
        send(shop.parcels, "again")

    send(shop.parcels, "a")
    with pytest.raises(NeverEnds, match=r"After 10 records.*has 1 messages in parcels"):
        mq.run(most=10)
