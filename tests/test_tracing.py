"""One business flow over topics and queues: trace, correlation and causation go from a cause to what follows."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from logs import consumer as log_consumer
from logs import services as logs
from logs.declarations import Group, groups
from logs.handlers import Reads, subscribe, subscriptions
from logs.rows import Record
from mqsite import tracing
from mqsite.boundaries import ensure_boundary, issue_api_key
from queues import consumer as queue_consumer
from queues import services as queues
from queues.declarations import Queue
from queues.declarations import queues as declared_queues
from queues.handlers import handle, handled
from queues.rows import Message

pytestmark = pytest.mark.django_db(transaction=True)

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def orders() -> Iterator[Group]:
    """Topic orders, read by billing, and queue bookings, handled by sales."""
    logs.create_topic("orders", owner="shop")
    logs.create_group("billing", owner="billing", topics=["orders"])
    queues.create_queue("bookings", owner="sales")
    yield Group("billing", owner="billing")
    subscriptions._entries.pop(Reads("billing", "orders"), None)
    groups._entries.pop("billing", None)
    handled._entries.pop("bookings", None)
    declared_queues._entries.pop("bookings", None)


def handle_all() -> None:
    log_consumer.drain("billing", "orders", 0, stop=lambda: False)
    queue_consumer.drain("bookings", stop=lambda: False)


def test_a_flow_is_followed_from_a_record_to_a_message_to_a_record(orders: Group) -> None:
    sent: list[Message] = []

    @subscribe(orders, "orders")
    async def book(record: Record) -> None:
        if not sent:
            from asgiref.sync import sync_to_async

            await sync_to_async(queues.send)("bookings", "seat", headers=[("own", "1")])

    @handle(Queue("bookings", owner="sales"), delivery="at_least_once")
    def confirm(message: Message) -> None:
        sent.append(message)
        logs.publish("orders", "booked", boundary="shop")

    logs.publish("orders", "ordered", boundary="shop", headers=[("traceparent", TRACEPARENT), ("tracestate", "a=b")])
    handle_all()
    (message,) = sent
    carried = dict(message.headers)
    assert list(carried) == ["own", "traceparent", "tracestate", "correlation_id", "causation_id"]
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", carried["traceparent"])
    assert carried["traceparent"] != TRACEPARENT, "another span"
    assert (carried["tracestate"], carried["correlation_id"], carried["causation_id"]) == (
        "a=b",
        "orders-0@0",
        "orders-0@0",
    )
    record = dict(logs.fetch("orders", 0, 1)[0].headers)
    assert (record["correlation_id"], record["causation_id"]) == ("orders-0@0", str(message.id))
    assert record["traceparent"].split("-")[1] == TRACE


@pytest.mark.parametrize("spelled", ["correlation_id", "ce_correlationid"])
def test_what_the_caller_says_stands_and_what_the_cause_says_is_kept(orders: Group, spelled: str) -> None:
    @subscribe(orders, "orders")
    def book(record: Record) -> None:
        queues.send("bookings", 1)
        queues.send("bookings", 2, headers=[(spelled, "mine"), ("CAUSATION_ID", "me"), ("ce_traceparent", "none")])

    headers = [(spelled, "order-7"), ("traceparent", "not a trace")]
    logs.publish("orders", "ordered", boundary="shop", headers=headers)
    handle_all()
    lease = queues.receive("bookings", holder="x", boundary="sales")
    assert lease is not None
    assert [m.headers for m in lease.messages] == [
        [("correlation_id", "order-7"), ("causation_id", "orders-0@0")],
        [(spelled, "mine"), ("CAUSATION_ID", "me"), ("ce_traceparent", "none")],
    ]


def test_a_batch_names_the_cause_that_counts(orders: Group) -> None:
    @subscribe(orders, "orders", batch=True)
    def book(records: list[Record]) -> None:
        queues.send("bookings", "of all")
        with tracing.caused_by(records[1]):
            queues.send("bookings", "of one")

    logs.publish_many("orders", [logs.NewRecord(n) for n in range(2)], boundary="shop")
    handle_all()
    lease = queues.receive("bookings", holder="x", boundary="sales")
    assert lease is not None
    assert [dict(m.headers).get("causation_id") for m in lease.messages] == [None, "orders-0@1"]


def test_nothing_is_carried_where_nothing_is_handled(orders: Group) -> None:
    subscribe(orders, "orders")(lambda record: None)
    logs.publish("orders", 1, boundary="shop")
    handle_all()
    logs.publish("orders", 2, boundary="shop")
    assert [r.headers for r in logs.fetch("orders", 0, 0)] == [[], []]


def test_what_a_request_publishes_and_sends_belongs_to_its_trace(orders: Group, client: Client) -> None:
    _, key = issue_api_key(ensure_boundary("shop"), "test")
    given: dict[str, Any] = {
        "content_type": "application/json",
        "headers": {"Authorization": f"Bearer {key}", "traceparent": TRACEPARENT},
    }
    published = client.post("/api/topics/orders/records/", {"records": [{"value": 1}]}, **given)
    sent = client.post("/api/queues/bookings/messages/", {"messages": [{"payload": 1}]}, **given)
    assert (published.status_code, sent.status_code) == (201, 201), (published.content, sent.content)
    (record,) = logs.fetch("orders", 0, 0)
    lease = queues.receive("bookings", holder="x", boundary="sales")
    assert lease is not None
    for headers in (record.headers, lease.messages[0].headers):
        ((name, value),) = headers
        assert (name, value.split("-")[1]) == ("traceparent", TRACE)
