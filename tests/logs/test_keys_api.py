"""Records by key and erasure over REST."""

import base64

import pytest
from rest_framework.test import APIClient

from logs import services
from logs.services import NewRecord
from mqsite.models import AuditEntry
from tests.rest import client_of, post

pytestmark = pytest.mark.django_db(transaction=True)

BY_KEY = "/api/topics/orders/records-by-key/"
ERASE = "topics/orders/erase-key/"


@pytest.fixture
def shop() -> APIClient:
    services.create_topic("orders", owner="shop", partitions=2, configs={"index.keys": True})
    records = [NewRecord(f"v{n}", f"k{n % 2}", partition=n // 5) for n in range(10)]
    services.publish_many("orders", [*records, NewRecord("bytes", b"\xff\xfe", partition=1)], boundary="shop")
    return client_of("shop")


def test_records_of_a_key_come_in_pages_the_newest_first(shop: APIClient) -> None:
    first = shop.get(f"{BY_KEY}?key=k1&limit=2").data
    assert [(r["partition"], r["offset"], r["value"]) for r in first["records"]] == [
        (0, 3, "v3"),
        (0, 1, "v1"),
        (1, 4, "v9"),
        (1, 2, "v7"),
    ]
    assert (first["incomplete"], first["next_before"]) == ([], "0:1,1:2")
    second = shop.get(f"{BY_KEY}?key=k1&limit=2&before={first['next_before']}").data
    assert ([r["value"] for r in second["records"]], second["next_before"]) == (["v5"], None)


def test_a_key_of_bytes_comes_in_base64(shop: APIClient) -> None:
    key = base64.b64encode(b"\xff\xfe").decode()
    answer = shop.get(BY_KEY, {"key_base64": key}).data
    assert [r["value"] for r in answer["records"]] == ["bytes"]


def test_only_the_owner_erases_and_who_asked_is_recorded(shop: APIClient) -> None:
    refused = post(client_of("billing"), ERASE, {"key": "k1"})
    assert (refused.status_code, "Only shop erases keys of orders" in refused.data["message"]) == (403, True)
    assert post(shop, ERASE, {"key": "k1", "reason": "a letter"}).data == {"topic": "orders", "erased": 5}
    assert {r["value"] for r in shop.get(f"{BY_KEY}?key=k1").data["records"]} == {None}
    assert AuditEntry.objects.get(action="erase key").reason == "a letter"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "either key or key_base64"),
        ("?key=a&key_base64=YQ==", "either key or key_base64"),
        ("?key_base64=%", "not base64"),
        ("?key=a&limit=0", "greater than or equal to 1"),
        ("?key=a&before=7", "partition:offset pairs"),
        ("?key=a&before=7:1", "it has 0 to 1"),
        ("?kye=a", "allowed are key"),
    ],
)
def test_refusals_say_what_is_allowed(shop: APIClient, query: str, message: str) -> None:
    answer = shop.get(BY_KEY + query)
    assert message in str(answer.data), answer.data
    assert answer.status_code in {400, 404}


def test_a_topic_without_the_index_says_how_to_get_one(shop: APIClient) -> None:
    services.alter_topic("orders", configs={"index.keys": False}, actor="ann")
    answer = shop.get(f"{BY_KEY}?key=a")
    assert (answer.status_code, answer.data["code"]) == (400, "keys_not_indexed")
