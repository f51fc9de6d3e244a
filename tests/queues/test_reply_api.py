"""Requests and replies over REST."""

import pytest
from rest_framework.test import APIClient

from queues import services
from queues.declarations import Queue
from queues.models import Message
from queues.services.replies import REPLY_TO
from tests.concurrency import in_thread
from tests.queues.conftest import Receive
from tests.rest import client_of, get, post
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Q = "queues/bookings/"


@pytest.fixture
def sales(bookings: Queue) -> APIClient:
    return client_of("sales")


@pytest.fixture
def web(bookings: Queue) -> APIClient:
    return client_of("web")


def test_a_request_is_answered_over_rest_from_end_to_end(sales: APIClient, web: APIClient) -> None:
    asked = post(web, f"{Q}requests/", {"payload": {"seat": "7A"}, "headers": [["a", "b"]], "reply_seconds": 60})
    assert (asked.status_code, asked.data["reply"], asked.data["wait_refused"]) == (201, None, False)
    waited = in_thread(lambda: get(web, f"/api/{Q}requests/{asked.data['id']}/", wait_seconds=20).data["reply"])
    lease = post(sales, f"{Q}leases/", {}).data
    headers = dict(lease["messages"][0]["headers"])
    assert headers["a"] == "b"
    answer = {"reply_to": headers[REPLY_TO], "value": {"price": 12}}
    assert post(sales, f"{Q}replies/", answer).data == {"accepted": True}
    assert post(sales, f"{Q}replies/", answer).data == {"accepted": False}
    assert post(sales, f"{Q}leases/{lease['token']}/ack/", {"ids": [lease["messages"][0]["id"]]}).data == {"lost": []}
    reply = waited.result(timeout=10)
    assert (reply["value"], reply["content_type"], reply["is_error"]) == ('{"price":12}', "application/json", False)


def test_a_request_can_wait_at_once(web: APIClient, receive: Receive) -> None:
    asked = in_thread(lambda: post(web, f"{Q}requests/", {"payload": "x", "wait_seconds": 20}).data)
    wait_until(lambda: Message.objects.exists(), message="the request")
    (message,) = receive(1).messages
    services.answer_request(dict(message.headers)[REPLY_TO], b"\xff")
    assert asked.result(timeout=10)["reply"]["value_base64"] == "/w=="


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("requests/", {"payload": "x", "delay_seconds": 1}, "delay_seconds"),
        ("requests/", {"payload": "x", "reply_seconds": 0}, "reply_seconds is 0"),
        ("requests/", {"payload": "x", "wait_seconds": 31}, "wait_seconds"),
        ("requests/", {}, "payload"),
        ("replies/", {"value": 1}, "reply_to"),
        ("replies/", {"reply_to": "x"}, "A reply needs a value"),
    ],
)
def test_bad_input_is_refused_with_a_reason(sales: APIClient, path: str, body: object, said: str) -> None:
    refused = post(sales, f"{Q}{path}", body)
    assert refused.status_code == 400
    assert said in str(refused.data)


def test_only_the_owner_answers(web: APIClient) -> None:
    assert post(web, f"{Q}replies/", {"reply_to": "x", "value": 1}).status_code == 403


def test_payloads_are_searched_with_a_json_path_over_rest(sales: APIClient) -> None:
    services.send("bookings", {"row": 7})
    services.send("bookings", {"row": 8})
    found = get(sales, f"/api/{Q}messages/", json_path="$ ? (@.row > 7)").data
    assert ([m["payload"] for m in found["messages"]], found["scanned"]) == (['{"row":8}'], 2)
    assert get(sales, f"/api/{Q}messages/", json_path="$.").data["code"] == "json_path_invalid"
