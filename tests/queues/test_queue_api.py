"""The queue over REST."""

import base64
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from queues import services
from queues.models import Lease, Message
from queues.services.sending import MAX_PAYLOAD_BYTES
from tests.rest import client_of, post

TOKEN = UUID(int=7)  # of no lease

pytestmark = pytest.mark.django_db


@pytest.fixture
def sales() -> APIClient:
    services.create_queue("bookings", owner="sales", max_receives=2, backoff_seconds=0)
    return client_of("sales")


def test_create_send_receive_and_ack() -> None:
    sales, web = client_of("sales"), client_of("web")
    created = post(sales, "queues/", {"name": "bookings", "max_receives": 2, "lease_seconds": 60})
    assert (created.status_code, created.data["owner"], created.data["lease_seconds"]) == (201, "sales", 60)
    body = {"payload": {"seat": 7}, "group_key": "lh1", "headers": [["a", "1"]], "priority": 3}
    sent = post(web, "queues/bookings/messages/", body)
    assert sent.status_code == 201
    (id_,) = sent.data["ids"]
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
    assert (empty.status_code, empty.data) == (200, {"token": None, "expires_at": None, "messages": []})
    assert sales.get("/api/queues/bookings/").data["counts"]["ready"] == 0
    assert "bookings" in {queue["name"] for queue in sales.get("/api/queues/").data["queues"]}


def test_many_are_sent_in_order_all_or_nothing(sales: APIClient) -> None:
    ids = post(sales, "queues/bookings/messages/", {"messages": [{"payload": n} for n in range(3)]}).data["ids"]
    assert ids == sorted(ids)
    assert post(sales, "queues/bookings/messages/", {"messages": [{"payload": 1}, {"value": 1}]}).status_code == 400
    assert Message.objects.count() == 3


def test_numbers_and_bytes_are_stored_as_they_were_sent(sales: APIClient) -> None:
    text = '{"payload":{"big":9007199254740993,"price":1.10},"delay_seconds":0.0}'
    assert sales.post("/api/queues/bookings/messages/", text, content_type="application/json").status_code == 201
    post(sales, "queues/bookings/messages/", {"payload_base64": base64.b64encode(b"\xff\x00").decode()})
    first, second = post(sales, "queues/bookings/leases/", {}).data["messages"]
    assert first["payload"] == '{"big":9007199254740993,"price":1.10}'
    assert second["payload_base64"] == base64.b64encode(b"\xff\x00").decode()


def test_nack_reject_extend_and_redrive(sales: APIClient) -> None:
    first, second = post(sales, "queues/bookings/messages/", {"messages": [{"payload": 1}, {"payload": 2}]}).data["ids"]
    token = post(sales, "queues/bookings/leases/", {}).data["token"]
    lease = f"queues/bookings/leases/{token}"
    assert post(sales, f"{lease}/extend/", {"ids": [first, second], "lease_seconds": 120}).data == {"lost": []}
    assert post(sales, f"{lease}/nack/", {"ids": [first], "delay_seconds": 30, "error": "no seat"}).data["lost"] == []
    assert post(sales, f"{lease}/reject/", {"ids": [second], "error": "bad"}).data["lost"] == []
    queue = sales.get("/api/queues/bookings/").data
    assert queue["counts"] == {"scheduled": 1, "ready": 0, "waiting": 0, "leased": 0, "dead": 1}
    assert queue["cards"]["dead"][0]["detail"] == "bad"
    peeked = sales.get("/api/queues/bookings/messages/?state=dead").data["messages"]
    assert [m["payload"] for m in peeked] == ["2"]
    assert post(sales, "queues/bookings/redrive/", {"ids": [second]}).data == {"redriven": 1}


def test_a_lost_lease_is_a_conflict_that_names_the_lost_ids(sales: APIClient) -> None:
    (id_,) = post(sales, "queues/bookings/messages/", {"payload": 1}).data["ids"]
    token = post(sales, "queues/bookings/leases/", {}).data["token"]
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    services.reap()
    for verb in ("ack", "nack", "reject", "extend"):
        refused = post(sales, f"queues/bookings/leases/{token}/{verb}/", {"ids": [id_]})
        assert (refused.status_code, refused.data["lost"], refused.data["code"]) == (409, [id_], "lease_lost")
        assert refused.data["permanent"] is False
    assert Message.objects.get().state == Message.State.READY


def test_anyone_sends_but_only_the_owner_handles(sales: APIClient) -> None:
    web = client_of("web")
    assert post(web, "queues/bookings/messages/", {"payload": 1}).status_code == 201
    for path, body in (
        ("leases/", {}),
        (f"leases/{TOKEN}/ack/", {"ids": [1]}),
        (f"leases/{TOKEN}/nack/", {"ids": [1]}),
        (f"leases/{TOKEN}/reject/", {"ids": [1]}),
        (f"leases/{TOKEN}/extend/", {"ids": [1]}),
        ("redrive/", {}),
    ):
        refused = post(web, f"queues/bookings/{path}", body)
        assert refused.status_code == 403, path
        assert refused.data["message"] == "Only sales handles bookings; you act for web."
    assert web.get("/api/queues/bookings/messages/").status_code == 403
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
    ("path", "body", "status", "code", "said"),
    [
        ("", {"name": "a b"}, 400, "invalid", "cannot name a queue"),
        ("", {"name": "bookings"}, 409, "queue_already_exists", "exists already"),
        ("", {"name": "new", "lease_seconds": 0}, 400, "invalid", "lease_seconds is 0"),
        ("nowhere/messages/", {"payload": 1}, 404, "queue_not_found", "no queue nowhere"),
        ("nowhere/leases/", {}, 404, "queue_not_found", "no queue nowhere"),
        ("bookings/messages/", [], 400, "invalid", "A message is an object"),
        ("bookings/messages/", {"messages": []}, 400, "invalid", "at least one"),
        ("bookings/messages/", {"messages": "x"}, 400, "invalid", "at least one"),
        ("bookings/messages/", {}, 400, "invalid", "needs a payload"),
        ("bookings/messages/", {"payload": 1, "key": "a"}, 400, "invalid", "no field 'key'"),
        ("bookings/messages/", {"payload": 1, "group_key": 7}, 400, "invalid", "must be of type str"),
        ("bookings/messages/", {"payload": 1, "priority": "high"}, 400, "invalid", "must be of type int"),
        ("bookings/messages/", {"payload": 1, "priority": 32768}, 400, "invalid", "-100 to 100"),
        ("bookings/messages/", {"payload": 1, "delay_seconds": "soon"}, 400, "invalid", "delay_seconds is 'soon'"),
        ("bookings/messages/", {"payload": 1, "headers": [["a"]]}, 400, "invalid", "pairs of name and value"),
        ("bookings/messages/", {"payload": 1, "headers": {"a": "b"}}, 400, "invalid", "must be of type list"),
        ("bookings/messages/", {"payload_base64": "%%"}, 400, "invalid", "not base64"),
        ("bookings/messages/", {"payload": "x" * (MAX_PAYLOAD_BYTES + 1)}, 413, "payload_too_large", "at most"),
        ("bookings/leases/", {"max_messages": 0}, 400, "invalid", "not accepted"),
        ("bookings/leases/", {"lease_seconds": 1e9}, 400, "invalid", "lease_seconds is"),
        (f"bookings/leases/{TOKEN}/ack/", {}, 400, "invalid", "not accepted"),
        (f"bookings/leases/{TOKEN}/ack/", {"ids": []}, 400, "invalid", "not accepted"),
        (f"bookings/leases/{TOKEN}/ack/", {"ids": ["x"]}, 400, "invalid", "not accepted"),
        (f"bookings/leases/{TOKEN}/ack/", {"ids": [2**64]}, 400, "invalid", "not accepted"),
        (
            f"bookings/leases/{TOKEN}/nack/",
            {"ids": [1], "delay_seconds": -1},
            400,
            "invalid",
            "delay_seconds is -1",
        ),
        (f"bookings/leases/{TOKEN}/ack/", {"ids": [1]}, 409, "lease_lost", "is lost"),
        ("bookings/redrive/", {"limit": 0}, 400, "invalid", "not accepted"),
    ],
)
def test_bad_input_is_refused_with_a_reason(
    sales: APIClient, path: str, body: Any, status: int, code: str, said: str
) -> None:
    response = post(sales, f"queues/{path}", body)
    assert (response.status_code, response.data["code"]) == (status, code), response.data
    assert said in response.data["message"]
