"""Messages and leases over REST: sent, received, given back, and refused."""

import base64
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.test import APIClient

from mqsite import long_poll
from queues import services
from queues.models import Lease, Message
from queues.services import waiting
from queues.services.sending import MAX_PAYLOAD_BYTES
from tests.concurrency import in_thread
from tests.rest import client_of, post
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

SEND = "queues/bookings/messages/"
LEASES = "queues/bookings/leases/"
ACK = f"bookings/leases/{UUID(int=7)}/ack/"
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sales() -> APIClient:
    services.create_queue("bookings", owner="sales", max_receives=2, backoff_seconds=0)
    return client_of("sales")


def send(client: APIClient, *messages: dict[str, Any]) -> list[int]:
    """The ids of messages just sent."""
    sent = post(client, SEND, {"messages": list(messages)})
    assert sent.status_code == 201, sent.data
    return [message["id"] for message in sent.data["messages"]]


def receive(client: APIClient, **body: Any) -> str:
    """The token of what must be there."""
    received = post(client, LEASES, body)
    assert received.status_code == 201, received.data
    return str(received.data["token"])


def act(client: APIClient, token: str, verb: str, ids: list[int], **body: Any) -> Response:
    return post(client, f"{LEASES}{token}/{verb}/", {"ids": ids, **body})


def test_create_send_receive_and_ack() -> None:
    sales, web = client_of("sales"), client_of("web")
    created = post(sales, "queues/", {"name": "bookings", "max_receives": 2, "lease_seconds": 60})
    assert (created.status_code, created.data["owner"], created.data["lease_seconds"]) == (201, "sales", 60)
    body = {"payload": {"seat": 7}, "group_key": "lh1", "headers": [["a", "1"]], "priority": 3}
    sent = post(web, "queues/bookings/messages/", body)
    assert sent.status_code == 201
    (answered,) = sent.data["messages"]
    id_ = answered.pop("id")
    assert answered == {"duplicate": False}
    received = post(sales, "queues/bookings/leases/", {"max_messages": 5, "lease_seconds": 90})
    assert received.status_code == 201
    (message,) = received.data["messages"]
    assert message.pop("enqueued_at")
    assert message == {
        "id": id_,
        "payload": '{"seat":7}',
        "headers": [("a", "1")],
        "content_type": "application/json",
        "group_key": "lh1",
        "priority": 3,
        "receives": 1,
        "sender": "web",
    }
    token = received.data["token"]
    acked = post(sales, f"queues/bookings/leases/{token}/ack/", {"ids": [id_]})
    assert (acked.status_code, acked.data) == (200, {"lost": []})
    empty = post(sales, "queues/bookings/leases/", {})
    nothing: dict[str, Any] = {"token": None, "expires_at": None, "messages": [], "wait_refused": False}
    assert (empty.status_code, empty.data) == (200, nothing)
    assert sales.get("/api/queues/bookings/").data["counts"]["ready"] == 0


def test_many_are_sent_in_order_all_or_nothing(sales: APIClient) -> None:
    ids = send(sales, *({"payload": n} for n in range(3)))
    assert ids == sorted(ids)
    refused = post(sales, SEND, {"messages": [{"payload": 1}, {"value": 1}]})
    assert refused.status_code == 400
    assert refused.data["message"].startswith("Message 1: A message has no field 'value'; allowed are ")
    assert Message.objects.count() == 3


@committed
def test_a_message_says_all_that_python_can_say(sales: APIClient) -> None:
    due = "2031-05-01T10:00:00.123456+02:00"
    body = {"payload": "x", "due_at": due, "ttl_seconds": 1.5, "dedup_id": "order-1", "content_type": "text/csv"}
    (id_,) = send(sales, body)
    sent = Message.objects.get()
    assert sent.due_at == datetime(2031, 5, 1, 8, 0, 0, 123456, tzinfo=UTC)
    assert sent.expires_at == sent.due_at + timedelta(seconds=1.5)
    assert (sent.state, sent.content_type, sent.dedup_id) == (Message.State.SCHEDULED, "text/csv", "order-1")
    again = post(sales, SEND, {"messages": [body, {"payload": 2, "priority": None, "delay_seconds": None}]})
    first, second = again.data["messages"]
    assert first == {"id": id_, "duplicate": True}
    assert (second["duplicate"], Message.objects.count()) == (False, 2)


def test_a_queue_says_what_it_takes() -> None:
    sales = client_of("sales")
    services.create_queue("trips", owner="sales", is_ordered=True)
    refused = post(sales, "queues/trips/messages/", {"payload": 1, "group_key": "a", "priority": 1})
    assert (refused.status_code, refused.data["code"]) == (400, "ordered_refuses")
    services.create_queue("small", owner="sales", max_length=2)
    refused = post(sales, "queues/small/messages/", {"messages": [{"payload": n} for n in range(3)]})
    assert (refused.status_code, refused.data["code"]) == (409, "queue_full")
    assert refused.data["message"] == "small has 0 messages and takes at most 2; 3 more were to be sent. Nothing was."


def test_a_boundary_of_the_longest_name_receives() -> None:
    services.create_queue("long", owner="b" * 249)
    services.send("long", 1)
    assert post(client_of("b" * 249), "queues/long/leases/", {}).status_code == 201


def test_numbers_and_bytes_are_stored_as_they_were_sent(sales: APIClient) -> None:
    text = '{"payload":{"big":9007199254740993,"price":1.10},"delay_seconds":0.0}'
    assert sales.post("/api/queues/bookings/messages/", text, content_type="application/json").status_code == 201
    post(sales, "queues/bookings/messages/", {"payload_base64": base64.b64encode(b"\xff\x00").decode()})
    first, second = post(sales, "queues/bookings/leases/", {}).data["messages"]
    assert first["payload"] == '{"big":9007199254740993,"price":1.10}'
    assert second["payload_base64"] == base64.b64encode(b"\xff\x00").decode()


def test_a_batch_ends_in_parts(sales: APIClient) -> None:
    ids = send(sales, *({"payload": n} for n in range(4)))
    assert act(sales, token := receive(sales), "extend", ids, lease_seconds=120).data == {"lost": []}
    assert Lease.objects.get().expires_at > timezone.now() + timedelta(seconds=100)
    assert act(sales, token, "nack", ids[:1], delay_seconds=30, error="no seat ").data == {"lost": []}
    assert act(sales, token, "reject", ids[1:2], error="bad").data == {"lost": []}
    assert act(sales, token, "give-back", ids[2:3]).data == {"lost": []}
    counts = sales.get("/api/queues/bookings/").data["counts"]
    assert counts == {"scheduled": 1, "ready": 1, "waiting": 0, "leased": 1, "dead": 1}
    assert act(sales, token, "ack", ids[3:]).data == {"lost": []}
    nacked, rejected, back = Message.objects.order_by("id")
    assert (nacked.detail, nacked.receives) == ("no seat ", 1)
    assert (rejected.state, rejected.detail) == (Message.State.DEAD, "bad")
    assert (back.state, back.receives, back.position) == (Message.State.READY, 0, ids[2])


def test_a_nack_without_a_delay_waits_for_the_queues_back_off() -> None:
    services.create_queue("slow", owner="sales", backoff_seconds=60, backoff_jitter=0)
    sales = client_of("sales")
    post(sales, "queues/slow/messages/", {"messages": [{"payload": 1}, {"payload": 2}]})
    lease = post(sales, "queues/slow/leases/", {}).data
    first, second = (message["id"] for message in lease["messages"])
    post(sales, f"queues/slow/leases/{lease['token']}/nack/", {"ids": [first]})
    post(sales, f"queues/slow/leases/{lease['token']}/nack/", {"ids": [second], "delay_seconds": 0})
    states = dict(Message.objects.values_list("id", "state"))
    assert states == {first: Message.State.SCHEDULED, second: Message.State.READY}


def test_a_lost_lease_is_a_conflict_that_names_the_lost_ids(sales: APIClient) -> None:
    (id_,) = send(sales, {"payload": 1})
    token = receive(sales)
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    services.reap()
    for verb in ("ack", "nack", "reject", "extend", "give-back"):
        refused = act(sales, token, verb, [id_])
        assert (refused.status_code, refused.data["lost"], refused.data["code"]) == (409, [id_], "lease_lost")
        assert refused.data["permanent"] is False
    assert Message.objects.get().state == Message.State.READY


def test_of_a_batch_that_is_lost_in_part_the_rest_is_done(sales: APIClient) -> None:
    mine, other = send(sales, {"payload": 1}, {"payload": 2})
    token = receive(sales, max_messages=1)
    refused = act(sales, token, "ack", [mine, other, 999])
    assert (refused.status_code, refused.data["lost"]) == (409, [other, 999])
    assert f"The lease on [{other}, 999] of bookings is lost" in refused.data["message"]
    assert Message.objects.get().id == other


def test_anyone_sends_but_only_the_owner_handles(sales: APIClient) -> None:
    web = client_of("web")
    assert post(web, "queues/bookings/messages/", {"payload": 1}).status_code == 201
    for path, body in (
        ("leases/", {}),
        (f"leases/{UUID(int=7)}/ack/", {"ids": [1]}),
        (f"leases/{UUID(int=7)}/nack/", {"ids": [1]}),
        (f"leases/{UUID(int=7)}/reject/", {"ids": [1]}),
        (f"leases/{UUID(int=7)}/extend/", {"ids": [1]}),
        (f"leases/{UUID(int=7)}/give-back/", {"ids": [1]}),
    ):
        refused = post(web, f"queues/bookings/{path}", body)
        assert refused.status_code == 403, path
        assert refused.data["message"] == "Only sales handles bookings; you act for web."
    assert Message.objects.get().receives == 0


def test_an_operator_acts_for_the_owner_by_naming_it(sales: APIClient) -> None:
    operator = APIClient()
    operator.force_login(User.objects.create_superuser("ann"))
    post(sales, "queues/bookings/messages/", {"payload": 1})
    assert post(operator, "queues/bookings/leases/", {}).status_code == 403
    operator.credentials(HTTP_X_BOUNDARY="sales")
    assert post(operator, "queues/bookings/leases/", {}).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        r'{"payload": "\ud800"}',
        r'{"payload": {"a": "\ud800"}}',
        r'{"payload": 1, "group_key": "\ud800"}',
        r'{"payload": 1, "headers": [["a", "\ud800"]]}',
        r'{"payload": 1, "content_type": "\ud800"}',
    ],
)
def test_half_a_character_is_refused(sales: APIClient, body: str) -> None:
    response = sales.post("/api/queues/bookings/messages/", body, content_type="application/json")
    assert (response.status_code, response.data["code"]) == (400, "invalid")


def test_nobody_is_let_in_without_a_key() -> None:
    assert APIClient().get("/api/queues/").status_code == 401


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "A message is an object"),
        ({"messages": []}, "at least one"),
        ({"messages": "x"}, "at least one"),
        ({"messages": [{"payload": 1}], "priority": 1}, "no field 'priority': give it with each message"),
        ({"messages": [{"payload": 1}] * 10_001}, "at most 10,000 messages; this one has more"),
        ({}, "needs a payload"),
        ({"payload": 1, "payload_base64": "AA=="}, "not both"),
        ({"payload": 1, "key": "a"}, "no field 'key'; allowed are content_type, dedup_id, delay_seconds"),
        ({"payload": 1, "group_key": 7}, "must be of type str"),
        ({"payload": 1, "group_key": "a\0"}, "group_key is text of at most 249 characters without NUL"),
        ({"payload": 1, "dedup_id": "x" * 250}, "dedup_id is text of at most 249 characters"),
        ({"payload": 1, "priority": "high"}, "must be of type int"),
        ({"payload": 1, "priority": 32768}, "priority is 32768; allowed are -100 to 100"),
        ({"payload": 1, "delay_seconds": "soon"}, "delay_seconds is 'soon'"),
        ({"payload": 1, "ttl_seconds": 0}, "ttl_seconds is 0; allowed are 0.001 to"),
        ({"payload": 1, "due_at": "2031-05-01T08:00:00"}, "due_at is '2031-05-01T08:00:00'; it must be ISO 8601 with"),
        ({"payload": 1, "due_at": "2031-05-01T08:00Z", "delay_seconds": 1}, "a delay_seconds or a due_at, not both"),
        ({"payload": 1, "headers": [["a"]]}, "pairs of name and value"),
        ({"payload": 1, "headers": {"a": "b"}}, "must be of type list"),
        ({"payload_base64": "%%"}, "not base64"),
    ],
)
def test_a_message_that_is_wrong_is_named(sales: APIClient, body: Any, said: str) -> None:
    refused = post(sales, SEND, body)
    assert (refused.status_code, refused.data["code"]) == (400, "invalid"), refused.data
    assert said in refused.data["message"]
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "said"),
    [
        ("nowhere/messages/", {"payload": 1}, 404, "queue_not_found", "no queue nowhere"),
        ("nowhere/leases/", {}, 404, "queue_not_found", "no queue nowhere"),
        (f"nowhere/leases/{UUID(int=7)}/ack/", {"ids": [1]}, 404, "queue_not_found", "no queue nowhere"),
        (
            "bookings/messages/",
            {"payload": "x" * (MAX_PAYLOAD_BYTES + 1)},
            413,
            "payload_too_large",
            "at most 1,048,576",
        ),
        ("bookings/leases/", {"max_messages": 0}, 400, "invalid", "greater than or equal to 1."),
        ("bookings/leases/", {"max_messages": 1001}, 400, "invalid", "less than or equal to 1000."),
        ("bookings/leases/", {"lease_seconds": 1e9}, 400, "invalid", "lease_seconds is 1000000000.0; allowed are"),
        ("bookings/leases/", {"lease_seconds": "nan"}, 400, "invalid", "A valid number is required."),
        ("bookings/leases/", {"wait_seconds": 31}, 400, "invalid", "less than or equal to 30."),
        ("bookings/leases/", {"wait": 1}, 400, "invalid", "allowed are max_messages, max_bytes, lease_secon"),
        (ACK, {}, 400, "invalid", "This field is required."),
        (ACK, {"ids": []}, 400, "invalid", "at least 1 elements."),
        (ACK, {"ids": [1] * 1001}, 400, "invalid", "no more than 1000 elements."),
        (ACK, {"ids": ["x"]}, 400, "invalid", "A valid integer is required."),
        (ACK, {"ids": [2**64]}, 400, "invalid", "less than or equal to 9223372036854775807."),
        (ACK, {"ids": [1], "error": "no seat"}, 400, "invalid", "No such field; allowed are ids."),
        (ACK.replace("ack", "nack"), {"ids": [1], "delay_seconds": -1}, 400, "invalid", "delay_seconds is -1"),
        (ACK, {"ids": [1]}, 409, "lease_lost", "is lost"),
    ],
)
def test_bad_input_is_refused_with_a_reason(
    sales: APIClient, path: str, body: Any, status: int, code: str, said: str
) -> None:
    response = post(sales, f"queues/{path}", body)
    assert (response.status_code, response.data["code"]) == (status, code), response.data
    assert said in str(response.data.get("fields") or response.data["message"])


# Receivers that wait


@committed
def test_a_receiver_waits_for_the_next_message(sales: APIClient) -> None:
    answer = in_thread(lambda: post(sales, LEASES, {"wait_seconds": 30}))
    wait_until(lambda: waiting._waiting.waits, message="the receiver waits")
    assert not answer.done()
    send(client_of("web"), {"payload": "here"})
    got = answer.result(timeout=10)
    assert (got.status_code, [m["payload"] for m in got.data["messages"]]) == (201, ["here"])
    assert got.data["wait_refused"] is False
    wait_until(lambda: waiting._waiting._looker is None, message="nobody looks any more")


@committed
def test_a_wait_ends_without_a_message(sales: APIClient) -> None:
    started = time.monotonic()
    got = post(sales, LEASES, {"wait_seconds": 0.2})
    assert time.monotonic() - started >= 0.2
    assert (got.status_code, got.data["token"], got.data["wait_refused"]) == (200, None, False)
    assert "Retry-After" not in got


@committed
def test_who_finds_all_places_to_wait_taken_is_told_so_at_once(
    sales: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(long_poll, "_places", places)
    assert places.acquire(blocking=False)
    refused = post(sales, LEASES, {"wait_seconds": 30})
    assert (refused.data["messages"], refused.data["wait_refused"], refused["Retry-After"]) == ([], True, "1")
    ids = send(sales, {"payload": 1}, {"payload": 2})
    got = post(sales, LEASES, {"wait_seconds": 30, "max_messages": 1})
    assert (got.data["wait_refused"], got.data["messages"][0]["id"]) == (False, ids[0])  # there is something
    places.release()
    assert post(sales, LEASES, {"wait_seconds": 30}).status_code == 201
    assert places.acquire(blocking=False)  # its place is free again
