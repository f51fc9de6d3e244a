"""A customer tests an application: what it published and sent, and its handlers, without workers."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, transaction
from django.test import TestCase

import queues.services
from examples.flights.messaging import FLIGHTS, REBOOKING
from examples.flights.models import BoardRow, Rebooking
from examples.flights.schedule import read_departures
from examples.flights.services import record_departures
from logs.declarations import Group, groups
from logs.handlers import subscribe
from logs.services import NewRecord, publish, publish_many, reset_offsets
from mqsite import activity, announce, hints
from mqsite.models import Boundary
from mqsite.testcase import Messages, MessagesMixin, collect_messages
from queues.declarations import Queue
from queues.errors import QuotaExceeded
from queues.handlers import handle
from queues.models import Handling, Quota
from queues.rows import Message
from queues.services import NewMessage, find_reply, request, send, send_many, set_quota
from tests.nudging import forget_all
from tests.shop import Shop, both, committed, deliveries, in_test_transaction, open_shop

pytest_plugins = ["mqsite.testing"]


@pytest.fixture
def shop(mq: Messages, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return open_shop(monkeypatch)


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

    async def test_an_async_test_runs_them_in_the_thread_of_its_transaction(self) -> None:
        await sync_to_async(record_departures)(list(read_departures(1))[:1])
        assert await sync_to_async(self.mq.run)() == 2
        assert await BoardRow.objects.acount() == 1

    def test_callbacks_of_a_commit_wake_nobody(self) -> None:
        hints.flush()
        forget_all()  # what tests before it woke is claimed for seconds
        with self.captureOnCommitCallbacks(execute=True):
            record_departures(list(read_departures(1))[:20])
            self.mq.run()
        hints.flush()
        assert hints.client().keys(f"{settings.MQSITE_PREFIX}:nudge:*") == []


class BeforeTheTest(MessagesMixin, TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        record_departures(list(read_departures(1))[:3])

    def test_what_stood_there_before_is_not_listed_but_handled(self) -> None:
        assert self.mq.published(FLIGHTS) == []
        assert self.mq.run() == 6


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


HOW = ((False, "plain"), (True, "async"))


@pytest.mark.parametrize(
    ("delivery", "batch", "kind"),
    [pytest.param(each, *how, marks=in_test_transaction) for each in deliveries for how in HOW]
    + [pytest.param(each, True, "async", marks=committed, id=f"{each}-committed") for each in deliveries[:2]],
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
@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_a_handler_outside_of_a_transaction_may_want_one_that_is_durable(
    delivery: str, shop: Shop, mq: Messages
) -> None:
    @shop.handles(delivery=delivery)
    def pack(message: Message) -> None:
        with transaction.atomic(durable=True):
            shop.write("w1")

    send(shop.parcels, "a")
    assert mq.run() == 1
    assert shop.written() == ["w1"]


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


@in_test_transaction
def test_what_was_remembered_before_does_not_count(shop: Shop) -> None:
    send(shop.parcels, "a", sender="web")  # it has no quota, and for 5 seconds nobody looks again
    with collect_messages():
        Quota.objects.create(boundary=Boundary.objects.create(name="web"), max_messages=1)
        with pytest.raises(QuotaExceeded):
            send(shop.parcels, "b", sender="web")


def test_it_listens_only_while_its_test_runs(db: None) -> None:
    assert announce.listeners == []
    assert activity.tell()["working_on"] == []
