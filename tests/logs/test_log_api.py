"""The log over REST."""

import base64
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from logs import services
from tests.rest import client_of, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> APIClient:
    services.create_topic("orders", owner="shop", partitions=2)
    return client_of("shop")


def test_create_publish_and_fetch() -> None:
    shop = client_of("shop")
    created = post(shop, "topics/", {"name": "orders", "partitions": 2})
    assert (created.status_code, created.data["owner"]) == (201, "shop")
    body = {"records": [{"key": "o1", "value": {"total": 9.50}, "headers": [["ce_type", "Ordered"]], "partition": 1}]}
    placed = {"partition": 1, "offset": 0, "duplicate": False}
    assert post(shop, "topics/orders/records/", body).data == {"offsets": [placed]}
    got = client_of("anyone").get("/api/topics/orders/partitions/1/records/?offset=0").data
    assert got["next_offset"] == 1
    assert got["records"][0]["value"] == '{"total":9.5}'
    assert got["records"][0]["headers"] == [("ce_type", "Ordered")]


def test_numbers_are_stored_as_they_were_sent(shop: APIClient) -> None:
    text = '{"records":[{"value":{"big":9007199254740993,"price":1.10},"partition":0}]}'
    assert shop.post("/api/topics/orders/records/", text, content_type="application/json").status_code == 201
    (record,) = services.fetch("orders", 0, 0)
    assert record.value == b'{"big":9007199254740993,"price":1.10}'


def test_bytes_travel_in_base64(shop: APIClient) -> None:
    data = base64.b64encode(b"\xff\x00").decode()
    post(shop, "topics/orders/records/", {"records": [{"value_base64": data, "partition": 0}]})
    got = shop.get("/api/topics/orders/partitions/0/records/?offset=0").data
    assert got["records"][0]["value_base64"] == data


def test_a_member_acquires_commits_and_is_fenced_by_a_reset(shop: APIClient) -> None:
    post(shop, "topics/orders/records/", {"records": [{"value": n, "partition": 0} for n in range(5)]})
    billing = client_of("billing")
    assert post(billing, "groups/", {"name": "billing", "topics": ["orders"]}).status_code == 201
    target = {"topic": "orders", "partition": 0}
    held = post(billing, "groups/billing/assignments/", {**target, "member": "m1"})
    assert (held.status_code, held.data["offset"]) == (201, 0)
    epoch = held.data["epoch"]
    assert post(billing, "groups/billing/assignments/", {**target, "member": "m2"}).status_code == 409
    commit = {**target, "offset": 3, "epoch": epoch}
    assert post(billing, "groups/billing/offsets/", {"offsets": [commit]}).status_code == 200
    topics = [{"topic": "orders", "partitions": [0]}]
    reset = {"mode": "to-earliest", "topics": topics, "dry_run": False}
    moved = post(billing, "groups/billing/reset-offsets/", reset)
    assert moved.data["partitions"] == [{"topic": "orders", "partition": 0, "from": 3, "to": 0}]
    fenced = post(billing, "groups/billing/offsets/", {"offsets": [{**commit, "offset": 4}]})
    assert (fenced.status_code, fenced.data["code"]) == (409, "illegal_generation")


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "message"),
    [
        ("topics/nope/records/", {"records": [{"value": 1}]}, 404, "unknown_topic_or_partition", "no topic nope"),
        ("topics/orders/records/", {"records": []}, 400, "invalid", "at least one record"),
        ("topics/orders/records/", [], 400, "invalid", "at least one record"),
        ("topics/orders/records/", {"records": ["x"]}, 400, "invalid", "A record is an object"),
        ("topics/orders/records/", {"records": [{"val": 1}]}, 400, "invalid", "no field 'val'"),
        ("topics/orders/records/", {"records": [{"key": "k"}]}, 400, "invalid", "needs a value"),
        ("topics/orders/records/", {"records": [{"value": 1, "partition": 2}]}, 404, None, "it has 0 to 1"),
        ("topics/orders/records/", {"records": [{"value": 1, "partition": "0"}]}, 400, "invalid", "of type int"),
        ("topics/orders/records/", {"records": [{"value_base64": "%"}]}, 400, "invalid", "not base64"),
        ("topics/orders/records/", {"records": [{"value": "x" * 1_048_589}]}, 413, "payload_too_large", "1,048,588"),
        ("topics/", {"name": "orders"}, 409, "topic_already_exists", "exists already"),
        ("topics/", {"name": "a b"}, 400, "invalid", "a-z A-Z 0-9"),
        ("topics/", {"name": "x", "partitions": 0}, 400, "invalid", "allowed are 1 to"),
        ("groups/", {"name": "g", "auto_offset_reset": "begining"}, 400, "invalid", "'earliest', 'latest', 'none'"),
        ("groups/nope/reset-offsets/", {"mode": "to-earliest"}, 404, "group_id_not_found", "no consumer group nope"),
    ],
)
def test_bad_input_is_named(shop: APIClient, path: str, body: Any, status: int, code: str | None, message: str) -> None:
    response = post(shop, path, body)
    assert (response.status_code, message in response.data["message"]) == (status, True), response.data
    assert code in {None, response.data["code"]}


def test_a_body_that_is_no_json_and_fields_of_a_wrong_type_are_named(shop: APIClient) -> None:
    broken = shop.post("/api/topics/", "{", content_type="application/json")
    assert (broken.status_code, "not JSON" in broken.data["message"]) == (400, True)
    wrong = shop.get("/api/topics/orders/partitions/0/records/?offset=x&max_records=0")
    assert set(wrong.data["fields"]) == {"offset", "max_records"}
    endless = shop.get("/api/topics/orders/partitions/0/records/?offset=0&wait_seconds=nan")
    assert (endless.status_code, set(endless.data["fields"])) == (400, {"wait_seconds"})
    beyond = shop.get("/api/topics/orders/partitions/0/records/?offset=9")
    assert (beyond.status_code, beyond.data["code"]) == (400, "offset_out_of_range")
    assert beyond.data["facts"]["log_end"] == 0


def test_only_the_owner_publishes_and_only_its_reader_moves_a_group(shop: APIClient) -> None:
    services.create_group("billing", owner="billing", topics=["orders"])
    other = client_of("other")
    refused = post(other, "topics/orders/records/", {"records": [{"value": 1}]})
    assert (refused.status_code, refused.data["message"]) == (403, "Only shop publishes to orders; you act for other.")
    refused = post(other, "groups/billing/reset-offsets/", {"mode": "to-earliest"})
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")


def test_without_a_key_there_is_nothing_to_see() -> None:
    assert APIClient().get("/api/topics/").status_code == 401
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer mq_00_wrong")
    assert client.get("/api/topics/").status_code == 401


def test_an_operator_names_the_boundary(shop: APIClient) -> None:
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("ann", password="a"))
    body = {"records": [{"value": 1, "partition": 0}]}
    assert post(client, "topics/orders/records/", body).status_code == 403
    client.credentials(HTTP_X_BOUNDARY="shop")
    assert post(client, "topics/orders/records/", body).status_code == 201
