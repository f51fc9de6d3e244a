"""A customer tests an application: what it published and sent, and its handlers, without workers."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test import TestCase

import logs.services
import queues.services
from examples.flights.messaging import FLIGHTS, REBOOKING
from examples.flights.models import BoardRow, Rebooking
from examples.flights.schedule import read_departures
from examples.flights.services import record_departures
from logs.declarations import Group, Topic, groups, topics
from logs.handlers import Reads, subscribe, subscriptions
from logs.rows import Record
from logs.selectors import list_parked
from logs.services import NewRecord, publish, publish_many, reset_offsets, retry_parked
from mqsite import activity, announce, hints
from mqsite.models import Boundary
from mqsite.rehearsal import ENDLESS_ATTEMPTS, NeverEnds
from mqsite.retry import Reject, Retry, RetryIn
from mqsite.testcase import Messages, MessagesMixin
from queues.declarations import Queue
from queues.declarations import queues as declared_queues
from queues.errors import QuotaExceeded
from queues.handlers import handle, handled
from queues.models import Handling
from queues.models import Message as MessageRow
from queues.rows import Message
from queues.services import NewMessage, find_reply, request, send, send_many, set_quota

pytest_plugins = ["mqsite.testing"]

in_test_transaction = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


class FlightsTest(MessagesMixin, TestCase):
    """With unittest."""

    def test_a_late_departure_goes_over_the_board_to_rebooking(self) -> None:
        late = next(d for d in read_departures(1) if (d.delay_minutes or 0) > 60)
        record_departures([late])
        (event,) = self.mq.published(FLIGHTS)
        assert event.json()["flight"] == late.flight
        assert self.mq.sent(REBOOKING) == []
        assert self.mq.run() == 3  # both groups read the event, the message is handled
        (message,) = self.mq.sent(REBOOKING)
        assert message.json()["delay_minutes"] == late.delay_minutes
        assert dict(message.headers)["causation_id"] == event.cause_id
        assert Rebooking.objects.get().flight == late.flight
        self.mq.assert_nothing_left()

    def test_the_next_test_starts_with_nothing(self) -> None:
        assert (self.mq.published(FLIGHTS), self.mq.sent(REBOOKING), self.mq.run()) == ([], [], 0)
        assert not BoardRow.objects.exists()

    def test_callbacks_of_a_commit_wake_nobody(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            record_departures(list(read_departures(1))[:20])
            self.mq.run()
        hints.flush()
        assert hints.client().keys(f"{settings.MQSITE_PREFIX}:nudge:*") == []


class Shop:
    """An application that a test makes up: what it declares and handles is gone afterwards."""

    def __init__(self) -> None:
        self.orders = Topic("orders", owner="shop", partitions=4)
        self.billing = Group("billing", owner="shop")
        self.parcels = Queue("parcels", owner="shop", max_receives=3)
        self.told: list[Any] = []

    def reads(self, **options: Any) -> Callable[[Any], Any]:
        return subscribe(self.billing, self.orders, **options)

    def handles(self, **options: Any) -> Callable[[Any], Any]:
        return handle(self.parcels, **options)

    def tell(self, item: Record | Message) -> None:
        self.told.append(item.decode())

    def write(self, name: str) -> None:
        Boundary.objects.create(name=name)

    def written(self) -> list[str]:
        return sorted(Boundary.objects.exclude(name="shop").filter(name__startswith="w").values_list("name", flat=True))


@pytest.fixture
def shop(mq: Messages) -> Iterator[Shop]:
    shop = Shop()
    logs.services.create_declared()
    queues.services.create_declared()
    yield shop
    subscriptions.discard(Reads("billing", "orders"))
    topics.discard("orders")
    groups.discard("billing")
    for name in ("parcels", "trips"):
        declared_queues.discard(name)
        handled.discard(name)


both = pytest.mark.parametrize(
    "mode", [pytest.param("enclosed", marks=in_test_transaction), pytest.param("committed", marks=committed)]
)


# What was published and sent


@both
def test_it_is_listed_in_the_order_of_the_calls_whatever_its_partition(mode: str, shop: Shop, mq: Messages) -> None:
    publish_many(shop.orders, [NewRecord(n, key=f"k{n}") for n in range(20)])
    with transaction.atomic():
        publish_many(shop.orders, [NewRecord(n, key=f"k{n}") for n in range(20, 40)])
        publish(shop.orders, 40, partition=0)
        send_many(shop.parcels, [NewMessage(n, priority=n) for n in range(3)])
    assert [record.json() for record in mq.published(shop.orders)] == list(range(41))
    assert [message.json() for message in mq.sent("parcels")] == [0, 1, 2]


@both
def test_what_is_rolled_back_was_never_published_nor_sent(mode: str, shop: Shop, mq: Messages) -> None:
    for n in range(2):
        with transaction.atomic():
            publish(shop.orders, n, partition=0)
            send(shop.parcels, n, dedup_id="once")
            transaction.set_rollback(n == 0)
    assert [record.json() for record in mq.published(shop.orders)] == [1]
    assert [message.json() for message in mq.sent(shop.parcels)] == [1]


@both
def test_duplicates_are_listed_once(mode: str, shop: Shop, mq: Messages) -> None:
    for _ in range(2):
        publish_many(shop.orders, [NewRecord("a", id="1"), NewRecord("b", id="2"), NewRecord("c", key="k")])
        send_many(shop.parcels, [NewMessage("a", dedup_id="1"), NewMessage("b")])
    assert sorted(record.text or "" for record in mq.published(shop.orders)) == ["a", "b", "c", "c"]
    assert [message.text for message in mq.sent(shop.parcels)] == ["a", "b", "b"]


# Running handlers


deliveries = ("transaction", "at_least_once", "at_most_once")


@pytest.mark.parametrize(
    ("delivery", "batch", "kind"),
    [pytest.param(*cell, marks=in_test_transaction) for cell in product(deliveries, (False, True), ("plain", "async"))]
    + [pytest.param(delivery, True, "async", marks=committed, id=f"{delivery}-committed") for delivery in deliveries],
)
def test_a_flow_is_followed_to_its_end(delivery: str, batch: bool, kind: str, shop: Shop, mq: Messages) -> None:
    def forward(item: Any) -> None:
        for record in item if batch else [item]:
            send(shop.parcels, record.json())

    def pack(item: Any) -> None:
        for message in item if batch else [item]:
            shop.write(f"w{message.json()}")
            if message.json() < 3:
                publish(shop.orders, message.json() + 1)

    async def forward_async(item: Any) -> None:
        await sync_to_async(forward)(item)

    async def pack_async(item: Any) -> None:
        await sync_to_async(pack)(item)

    is_plain = kind == "plain"
    shop.reads(delivery=delivery, batch=batch)(forward if is_plain else forward_async)
    shop.handles(delivery=delivery, batch=batch)(pack if is_plain else pack_async)
    publish(shop.orders, 0)
    assert mq.run() == 8
    assert shop.written() == ["w0", "w1", "w2", "w3"]
    assert [message.json() for message in mq.sent(shop.parcels)] == [0, 1, 2, 3]
    mq.assert_nothing_left()
    assert mq.run() == 0


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


@in_test_transaction
def test_a_replay_is_one(shop: Shop, mq: Messages) -> None:
    shop.reads()(lambda record: shop.told.append((record.offset, record.is_replay)))
    publish_many(shop.orders, [NewRecord("a", partition=0), NewRecord("b", partition=0)])
    mq.run()
    reset_offsets("billing", "to-earliest", actor="test")
    publish(shop.orders, "c", partition=0)
    assert mq.run() == 3
    assert shop.told == [(0, False), (1, False), (0, True), (1, True), (2, False)]


@in_test_transaction
def test_a_trace_goes_from_the_publisher_to_what_handlers_send(shop: Shop, mq: Messages) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    shop.reads()(lambda record: send(shop.parcels, "x"))
    publish(shop.orders, "a", partition=1, headers=[("traceparent", f"00-{trace}-b7ad6b7169203331-01")])
    mq.run()
    headers = dict(mq.sent(shop.parcels)[0].headers)
    assert headers["traceparent"].split("-")[1] == trace
    assert headers["causation_id"] == headers["correlation_id"] == "orders-1@0"


@in_test_transaction
def test_nobody_waits_for_a_rate_or_a_slot(shop: Shop, mq: Messages) -> None:
    shop.handles(rate=0.001, concurrency=1)(shop.tell)
    send_many(shop.parcels, [NewMessage(n) for n in range(200)])
    assert mq.run() == 200


@in_test_transaction
def test_what_is_sent_for_later_waits_unless_asked_for(shop: Shop, mq: Messages) -> None:
    shop.handles()(shop.tell)
    send(shop.parcels, "later", delay_seconds=3_600)
    assert mq.run() == 0
    with pytest.raises(AssertionError, match="has 1 messages in parcels"):
        mq.assert_nothing_left()
    assert mq.run(with_scheduled=True) == 1


@in_test_transaction
def test_an_ordered_queue_goes_on_key_by_key(shop: Shop, mq: Messages) -> None:
    ordered = Queue("trips", owner="shop", is_ordered=True)
    queues.services.create_declared()
    handle(ordered)(shop.tell)
    send_many(ordered, [NewMessage(n, group_key=f"k{n % 2}") for n in range(6)])
    assert mq.run() == 6
    assert [n for n in shop.told if n % 2 == 0] == [0, 2, 4]


@in_test_transaction
def test_a_request_has_its_reply(shop: Shop, mq: Messages) -> None:
    shop.handles()(lambda message: {"seat": message.json() + 1})
    asked = request(shop.parcels, 6)
    assert mq.run() == 1
    reply = find_reply(asked.id)
    assert reply is not None
    assert reply.json() == {"seat": 7}


# What it leaves behind


@in_test_transaction
def test_a_quota_of_this_test_counts_and_nobody_looks_from_another_connection(shop: Shop, mq: Messages) -> None:
    shop.handles()(shop.tell)
    set_quota("web", max_messages=2, actor="test")
    send_many(shop.parcels, [NewMessage("a"), NewMessage("b")], sender="web")
    with pytest.raises(QuotaExceeded):
        send(shop.parcels, "c", sender="web")
    assert mq.run() == 2
    assert not Handling.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone() == (1,)


@in_test_transaction
def test_a_group_that_reads_the_latest_gets_what_this_test_publishes(shop: Shop, mq: Messages) -> None:
    groups.discard("billing")
    subscribe(Group("billing", owner="shop", auto_offset_reset="latest"), shop.orders)(shop.tell)
    mq.run()
    publish(shop.orders, "a")
    assert mq.run() == 1


def test_it_listens_only_while_its_test_runs(db: None) -> None:
    assert announce.listeners == []
    assert activity.tell()["working_on"] == []
