"""Topics over REST: created, altered, emptied and deleted by their owner; timestamps, ids and waiting readers."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from logs import selectors, services
from logs.models import Topic
from logs.services import NewRecord, waiting
from mqsite import long_poll
from mqsite.models import AuditEntry
from tests.concurrency import in_thread
from tests.rest import client_of, patch, post
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
rolled_back = pytest.mark.django_db  # for refusals, which leave nothing

FETCH = "/api/topics/orders/partitions/0/records/"
OFFSETS = "/api/topics/orders/partitions/0/offsets/"


@pytest.fixture
def shop() -> APIClient:
    services.create_topic("orders", owner="shop", partitions=2)
    return client_of("shop")


def publish(*records: dict[str, Any], client: APIClient, partition: int = 0) -> Any:
    return post(client, f"topics/orders/partitions/{partition}/records/", {"records": list(records)})


def starts() -> list[int]:
    return [ends.log_start for ends in selectors.bounds("orders")]


# Configurations


def test_a_topic_is_created_with_configurations_and_shows_them() -> None:
    shop = client_of("shop")
    created = post(shop, "topics/", {"name": "orders", "configs": {"retention.ms": 1000, "cleanup.policy": "compact"}})
    assert (created.status_code, created.data["configs"]["retention.ms"]) == (201, 1000)
    assert shop.get("/api/topics/orders/").data["configs"]["cleanup.policy"] == "compact"
    described = {c["name"]: c for c in shop.get("/api/topics/orders/configs/").data["configs"]}
    kept = described["retention.ms"]
    assert (kept["value"], kept["default"], kept["is_default"]) == (1000, 604_800_000, False)
    assert described["retention.bytes"]["is_default"]
    assert "PARTITION" in described["retention.bytes"]["description"]


def test_a_change_names_what_it_changes_and_null_is_the_default(shop: APIClient) -> None:
    body = {"configs": {"retention.ms": 1000, "index.keys": True}, "description": "of the shop", "reason": "audit"}
    changed = patch(shop, "topics/orders/", body)
    assert (changed.status_code, changed.data["description"]) == (200, "of the shop")
    assert changed.data["configs"]["retention.ms"] == 1000
    assert "warning" not in changed.data
    again = patch(shop, "topics/orders/", {"configs": {"retention.ms": None}})
    assert again.data["configs"]["retention.ms"] == 604_800_000
    assert again.data["configs"]["index.keys"] is True
    entry = AuditEntry.objects.filter(action="alter topic").order_by("id")[0]
    assert (entry.actor, entry.reason) == ("shop", "audit")
    assert entry.facts["changed"]["description"] == ["", "of the shop"]


def test_more_partitions_come_with_a_warning_and_the_same_number_without(shop: APIClient) -> None:
    services.create_group("billing", owner="billing", topics=["orders"])
    grown = patch(shop, "topics/orders/", {"partitions": 4})
    assert (grown.status_code, len(grown.data["partitions"])) == (200, 4)
    assert "Keys move" in grown.data["warning"]
    assert "1 group starts at offset 0" in grown.data["warning"]
    assert "warning" not in patch(shop, "topics/orders/", {"partitions": 4}).data
    assert AuditEntry.objects.filter(action="add partitions").count() == 1


@rolled_back
@pytest.mark.parametrize(
    "refused",
    [
        {"partitions": 1, "configs": {"retention.ms": 1000}},
        {"partitions": 2_000, "configs": {"retention.ms": 1000}},
        {"partitions": 4, "configs": {"retention.ms": -2}},
        {"partitions": 4, "description": "new", "configs": {"retention": 1}},
    ],
)
def test_a_change_that_is_refused_in_part_changes_nothing(shop: APIClient, refused: dict[str, Any]) -> None:
    before = shop.get("/api/topics/orders/").data
    revision = Topic.objects.get(name="orders").revision
    assert patch(shop, "topics/orders/", refused).status_code == 400
    assert shop.get("/api/topics/orders/").data == before
    assert Topic.objects.get(name="orders").revision == revision
    assert not AuditEntry.objects.exists()


@rolled_back
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Nothing to change"),
        ({"configs": {}}, "Nothing to change"),
        ({"reason": "why not"}, "Nothing to change"),
        (
            {"configs": {"retention.sec": 1}},
            "There is no topic configuration 'retention.sec'; there are cleanup.policy",
        ),
        ({"configs": {"retention.ms": "soon"}}, "retention.ms is 'soon'; allowed is a whole number from -1"),
        ({"configs": {"retention.ms": 1.5}}, "retention.ms is '1.5'; allowed is a whole number"),
        ({"configs": {"retention.ms": True}}, "retention.ms is True; allowed is a whole number"),
        ({"configs": {"retention.ms": 2**63 - 1}}, "whole number from -1 to 100,000,000,000,000"),
        ({"configs": {"retention.bytes": 2**63}}, "retention.bytes is 9223372036854775808; allowed is"),
        ({"configs": {"retention.bytes": [1]}}, "retention.bytes is [1]; allowed is"),
        ({"configs": {"cleanup.policy": "none"}}, "cleanup.policy is 'none'; allowed is 'delete' or 'compact'"),
        ({"configs": {"index.keys": "maybe"}}, "index.keys is 'maybe'; allowed is true or false"),
        ({"configs": {"max.message.bytes": 0}}, "max.message.bytes is 0; allowed is"),
        ({"partitions": 1}, "orders has 2 partitions and cannot shrink to 1"),
        ({"partitions": 0}, "allowed are 1 to 1024"),
        ({"configs": ["retention.ms"]}, {"configs"}),
        ({"configs": None}, {"configs"}),
        ({"partitions": "many"}, {"partitions"}),
        ({"config": {"retention.ms": 1}}, {"config"}),
        ({"description": None}, {"description"}),
        ([], {"non_field_errors"}),
    ],
)
def test_a_change_that_is_wrong_is_named(shop: APIClient, body: Any, message: str | set[str]) -> None:
    refused = patch(shop, "topics/orders/", body)
    assert refused.status_code == 400, refused.data
    if isinstance(message, str):
        assert message in refused.data["message"]
    else:
        assert set(refused.data["fields"]) == message
    assert not AuditEntry.objects.exists()


def test_a_misspelt_field_of_a_new_topic_is_named() -> None:
    refused = post(client_of("shop"), "topics/", {"name": "orders", "config": {"retention.ms": 1}})
    allowed = "No such field; allowed are name, partitions, description, configs."
    assert (refused.status_code, refused.data["fields"]) == (400, {"config": [allowed]})
    assert not Topic.objects.filter(name="orders").exists()


# Who may


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("patch", "/api/topics/orders/", "alters"),
        ("delete", "/api/topics/orders/", "deletes"),
        ("post", "/api/topics/orders/delete-records/", "deletes records of"),
    ],
)
def test_only_the_owner_or_an_operator_changes_a_topic(shop: APIClient, method: str, path: str, verb: str) -> None:
    body = {"patch": {"partitions": 3}, "delete": {}, "post": {"offsets": [{"partition": 0, "offset": -1}]}}[method]
    refused = getattr(client_of("other"), method)(path, body, format="json")
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    assert refused.data["message"] == f"Only shop {verb} orders; you act for other."
    for user in (User.objects.create_user("bob"), User.objects.create_superuser("ann")):
        person = APIClient()
        person.force_authenticate(user)
        answer = getattr(person, method)(path, body, format="json")
        assert (answer.status_code < 300) == user.is_superuser, answer.data
    assert AuditEntry.objects.get().actor == "ann"
    missing = getattr(shop, method)(path.replace("orders", "nope"), body, format="json")
    assert (missing.status_code, missing.data["code"]) == (404, "unknown_topic_or_partition")


def test_a_topic_is_deleted_with_its_reason(shop: APIClient) -> None:
    gone = shop.delete("/api/topics/orders/", {"reason": "moved"}, format="json")
    assert (gone.status_code, gone.data) == (204, None)
    assert AuditEntry.objects.get(action="delete topic").reason == "moved"
    assert shop.get("/api/topics/orders/").status_code == 404
    services.create_topic("orders", owner="shop")
    assert shop.delete("/api/topics/orders/").status_code == 204


# Records that go


def test_records_before_an_offset_are_deleted_and_minus_one_is_all(shop: APIClient) -> None:
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    offsets = [{"partition": 0, "offset": 3}, {"partition": 1, "offset": -1}]
    deleted = post(shop, "topics/orders/delete-records/", {"offsets": offsets, "reason": "old"})
    assert deleted.data == {"partitions": [{"partition": 0, "log_start": 3}, {"partition": 1, "log_start": 5}]}
    assert shop.get(FETCH, {"offset": 2}).data["code"] == "offset_out_of_range"
    assert AuditEntry.objects.get(action="delete records").reason == "old"


@rolled_back
@pytest.mark.parametrize(
    ("offsets", "status"),
    [
        ([{"partition": 0, "offset": 1}, {"partition": 2, "offset": 0}], 404),
        ([{"partition": 0, "offset": 1}, {"partition": 1, "offset": 6}], 400),
        ([{"partition": 0, "offset": 1}, {"partition": 0, "offset": 2}], 400),
        ([{"partition": 0, "offset": -2}], 400),
        ([{"partition": 0, "offset": 2**63}], 400),
        ([{"partition": 0}], 400),
        ([{"partition": 0, "offset": 1, "until": 2}], 400),
        ([], 400),
        ({"0": 1}, 400),
    ],
)
def test_a_deletion_that_is_wrong_in_part_deletes_nothing(shop: APIClient, offsets: Any, status: int) -> None:
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    services.assign_published()
    assert post(shop, "topics/orders/delete-records/", {"offsets": offsets}).status_code == status
    assert starts() == [0, 0]


# Publishing


def test_a_timestamp_keeps_its_microseconds_and_finds_its_offset(shop: APIClient) -> None:
    publish({"value": 1, "timestamp": "2026-01-01T02:00:00.123456+02:00"}, client=shop)
    publish({"value": 2, "timestamp": "2026-01-01T00:00:01Z"}, client=shop)
    (first, _) = shop.get(FETCH, {"offset": 0}).json()["records"]
    assert first["timestamp"] == "2026-01-01T00:00:00.123456Z"
    found = {
        time: shop.get(OFFSETS, {"time": time}).data["offset"]
        for time in ("2026-01-01T00:00:00.123456Z", "2026-01-01T01:00:00.123457+01:00", "2026-01-01T00:00:02Z")
    }
    assert list(found.values()) == [0, 1, None]


def test_an_id_is_published_once_and_answers_the_first_place(shop: APIClient) -> None:
    record = {"value": 1, "id": "o-1"}
    (first,) = publish(record, client=shop).data["offsets"]
    (second,) = publish(record, client=shop).data["offsets"]
    assert first == {"partition": 0, "offset": 0, "duplicate": False}
    assert second == {"partition": 0, "offset": 0, "duplicate": True}


def test_the_address_may_name_the_partition(shop: APIClient) -> None:
    published = publish({"value": 1, "key": "k"}, {"value": 2, "partition": 1}, client=shop, partition=1)
    assert [place["partition"] for place in published.data["offsets"]] == [1, 1]
    assert publish({"value": 1}, client=shop, partition=2).status_code == 404


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"value": 1, "timestamp": "2026-01-01T00:00:00"}, "Record 1: timestamp is '2026-01-01T00:00:00'; it must be"),
        ({"value": 1, "timestamp": "yesterday"}, "ISO 8601 with an offset, such as '2026-"),
        ({"value": 1, "timestamp": 1767225600000}, "Record 1: timestamp is 1767225600000; it must be ISO 8601"),
        ({"value": 1, "timestamp": "0001-01-01T00:00:00+02:00"}, "Record 1: timestamp is '0001-"),
        ({"value": 1, "timestamp": "9999-12-31T23:59:59-02:00"}, "Record 1: timestamp is '9999-"),
        ({"value": 1, "timestamp": "2999-01-01T00:00:00Z"}, "ahead of the clock (message.timestamp.after.max.ms)"),
        ({"value": 1, "id": ""}, "Record 1: an id is text of 1 to 512 characters"),
        ({"value": 1, "id": "x" * 513}, "Record 1: an id is text of 1 to 512 characters"),
        ({"value": 1, "id": 7}, "Record 1: id is 7; it must be of type str."),
        ({"value": 1, "partition": 1}, "Record 1: partition is 1, and the address says 0."),
        ({"val": 1}, "Record 1: A record has no field 'val'; allowed are"),
        ("x", "Record 1: A record is an object, not str."),
    ],
)
def test_a_batch_is_published_whole_or_not_at_all(shop: APIClient, record: Any, message: str) -> None:
    refused = publish({"value": 0}, record, client=shop)
    assert refused.status_code == 400, refused.data
    assert message in refused.data["message"]
    assert [ends.log_end for ends in selectors.bounds("orders")] == [0, 0]


# Where a log begins and ends


def test_both_ends_and_sizes_are_answered(shop: APIClient) -> None:
    services.publish_many("orders", [NewRecord("12345", partition=0)] * 2, boundary="shop")
    services.delete_records("orders", {0: 1}, actor="ann")
    first = {"partition": 0, "log_start": 1, "log_end": 2, "size_bytes": 5}
    second = {"partition": 1, "log_start": 0, "log_end": 0, "size_bytes": 0}
    assert shop.get("/api/topics/orders/offsets/").data == {"partitions": [first, second]}
    assert shop.get(OFFSETS).data == first


@rolled_back
@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        (OFFSETS, {"time": "2026-01-01T00:00:00"}, 400, "with an offset, such as"),
        (OFFSETS, {"time": "noon"}, 400, "time is 'noon'; it must be ISO 8601"),
        (OFFSETS, {"at": "2026-01-01T00:00:00Z"}, 400, "not accepted"),
        (OFFSETS.replace("/0/", "/2/"), {}, 404, "Topic orders has no partition 2; it has 0 to 1."),
        (OFFSETS.replace("orders", "nope"), {}, 404, "no topic nope"),
        ("/api/topics/nope/offsets/", {}, 404, "no topic nope"),
        ("/api/topics/nope/configs/", {}, 404, "no topic nope"),
        (FETCH, {"offset": 2**63}, 400, "not accepted"),
        (FETCH, {"offset": 0, "wait_seconds": 31}, 400, "not accepted"),
        (FETCH, {"offset": 0, "wait_seconds": "nan"}, 400, "not accepted"),
        (FETCH, {"offset": 0, "wait": 1}, 400, "not accepted"),
    ],
)
def test_a_question_that_is_wrong_is_named(
    shop: APIClient, path: str, query: dict[str, Any], status: int, message: str
) -> None:
    refused = shop.get(path, query)
    assert (refused.status_code, message in refused.data["message"]) == (status, True), refused.data


# Readers that wait


def test_a_reader_waits_for_the_next_record(shop: APIClient) -> None:
    answer = in_thread(lambda: shop.get(FETCH, {"offset": 0, "wait_seconds": 30}))
    wait_until(lambda: waiting._waiting.waits, message="the reader waits")
    assert not answer.done()
    services.publish("orders", "here", partition=0, boundary="shop")
    got = answer.result(timeout=10).data
    assert ([r["value"] for r in got["records"]], got["wait_refused"]) == (["here"], False)
    wait_until(lambda: waiting._waiting._looker is None, message="nobody looks any more")


def test_who_finds_all_places_to_wait_taken_is_told_so_at_once(
    shop: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(long_poll, "_places", places)
    assert places.acquire(blocking=False)
    refused = shop.get(FETCH, {"offset": 0, "wait_seconds": 30})
    assert (refused.data["records"], refused.data["wait_refused"], refused["Retry-After"]) == ([], True, "1")
    services.publish("orders", "here", partition=0, boundary="shop")
    assert not shop.get(FETCH, {"offset": 0, "wait_seconds": 30}).data["wait_refused"]  # there is something to read
    places.release()
    assert shop.get(FETCH, {"offset": 0, "wait_seconds": 30}).data["next_offset"] == 1
    assert places.acquire(blocking=False)  # its place is free again
