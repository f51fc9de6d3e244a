"""Groups over REST: created, altered, paused and deleted by their owner; what is refused."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.response import Response
from rest_framework.test import APIClient

from logs import selectors, services
from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from tests.concurrency import in_thread
from tests.group_rest import (
    GROUP,
    RESET,
    beat,
    committed,
    create_orders,
    fetch,
    join,
    leave,
    move_to,
    numbers,
    read_places,
)
from tests.rest import client_of, patch, post
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
rolled_back = pytest.mark.django_db  # for refusals, which leave nothing


@pytest.fixture(autouse=True)
def orders() -> None:
    create_orders()


@pytest.fixture
def billing() -> APIClient:
    return client_of("billing")


def test_a_group_says_who_reads_and_what_is_paused(billing: APIClient) -> None:
    group = post(billing, "groups/", {"name": "late", "topics": ["orders"], "auto_offset_reset": "latest"})
    assert group.status_code == 201
    assert {name: group.data[name] for name in ("group", "owner", "auto_offset_reset", "state", "members")} == {
        "group": "late",
        "owner": "billing",
        "auto_offset_reset": "latest",
        "state": "Empty",
        "members": 0,
    }
    assert (group.data["paused"], group.data["paused_partitions"]) == (None, [])
    assert len(group.data["topics"][0]["partitions"]) == 4


@rolled_back
def test_why_a_group_fails_is_told_to_its_owner_and_to_staff(billing: APIClient) -> None:
    held = services.acquire_partition("billing", "orders", 1, member="worker")
    assert held
    services.record_failure(held, 0, error="app.Refused: Ann Smith", retry_seconds=60)
    bob = APIClient()
    bob.force_authenticate(User.objects.create_user("bob", is_staff=True))
    for asking, is_told in ((billing, True), (bob, True), (client_of("shop"), False)):
        group = asking.get("/api/groups/billing/")
        assert group.data["topics"][0]["partitions"][1]["groups"][0]["failing"] == {
            "offset": 0,
            "attempts": 1,
            "error": "app.Refused: Ann Smith" if is_told else None,
            "retry_in": pytest.approx(60, abs=5),
        }
        for answer in (group, asking.get("/api/topics/orders/"), asking.get("/api/topics/")):
            assert ("Ann Smith" in answer.content.decode()) == is_told, answer.request["PATH_INFO"]
    altered = patch(client_of("shop"), "topics/orders/", {"description": "of the shop"})
    assert (altered.status_code, "Ann Smith" in altered.content.decode()) == (200, False)


def test_where_a_group_begins_is_altered_with_a_reason(billing: APIClient) -> None:
    changed = patch(billing, GROUP, {"auto_offset_reset": "by_duration:PT1H", "reason": "old ones are stale"})
    assert (changed.status_code, changed.data["auto_offset_reset"]) == (200, "by_duration:PT1H")
    entry = AuditEntry.objects.get(action="alter group")
    assert (entry.actor, entry.reason) == ("billing", "old ones are stale")


def test_subscribing_again_changes_nothing_and_an_unknown_topic_subscribes_to_none(billing: APIClient) -> None:
    services.create_topic("refunds", owner="shop")
    refused = post(billing, f"{GROUP}subscriptions/", {"topics": ["refunds", "nope"]})
    assert (refused.status_code, refused.data["code"]) == (404, "unknown_topic_or_partition")
    move_to(4)
    done = post(billing, f"{GROUP}subscriptions/", {"topics": ["orders", "refunds"]})
    assert (done.status_code, [t["name"] for t in done.data["topics"]]) == (200, ["orders", "refunds"])
    assert committed(billing) == [4, None, None, None, None]


def test_a_topic_in_use_is_kept_and_otherwise_its_offsets_are_forgotten(billing: APIClient) -> None:
    member = join(billing)
    refused = billing.delete(f"/api/{GROUP}topics/orders/", {}, format="json")
    assert (refused.status_code, refused.data["code"]) == (409, "group_subscribed_to_topic")
    assert member["member"] in refused.data["message"]
    leave(billing, member)
    assert billing.delete(f"/api/{GROUP}topics/orders/", {"reason": "moved"}, format="json").status_code == 204
    assert AuditEntry.objects.get(action="delete offsets").reason == "moved"
    assert billing.get(f"/api/{GROUP}").data["topics"] == []
    assert billing.delete(f"/api/{GROUP}topics/orders/").data["code"] == "not_subscribed"


def test_a_group_in_use_is_not_deleted_and_an_empty_one_is(billing: APIClient) -> None:
    member = join(billing)
    refused = billing.delete(f"/api/{GROUP}", {}, format="json")
    assert (refused.status_code, refused.data["code"]) == (409, "non_empty_group")
    assert member["member"] in refused.data["message"]
    leave(billing, member)
    assert billing.delete(f"/api/{GROUP}", {"reason": "replaced"}, format="json").status_code == 204
    assert AuditEntry.objects.get(action="delete group").reason == "replaced"
    assert billing.get(f"/api/{GROUP}").data["code"] == "group_id_not_found"


def test_a_pause_takes_partitions_from_members_and_a_resume_gives_them_back(billing: APIClient) -> None:
    member = join(billing)
    pausing = in_thread(lambda: post(billing, f"{GROUP}pause/", {"topic": "orders", "partitions": [1], "reason": "x"}))
    wait_until(lambda: numbers(beat(billing, member).data["revoked"]) == [1])
    assert numbers(fetch(billing, member).data["partitions"]) == [0, 2, 3]
    paused = pausing.result(timeout=10)
    assert (paused.status_code, paused.data["paused"]) == (200, None)
    (place,) = paused.data["paused_partitions"]
    assert (place["topic"], place["partition"], place["by"], place["reason"]) == ("orders", 1, "billing", "x")
    assert numbers(fetch(billing, member).data["partitions"]) == [0, 2, 3]
    resumed = post(billing, f"{GROUP}resume/", {"topic": "orders", "partitions": [1]})
    assert resumed.data["paused_partitions"] == []
    assert numbers(fetch(billing, member).data["partitions"]) == [0, 1, 2, 3]


def test_a_paused_group_says_who_paused_it_and_why(billing: APIClient) -> None:
    paused = post(billing, f"{GROUP}pause/", {"reason": "the ledger is full"}).data
    assert (paused["paused"]["by"], paused["paused"]["reason"]) == ("billing", "the ledger is full")
    assert paused["paused"]["at"].tzinfo is not None
    assert paused["paused_partitions"] == [], "none by itself"
    assert join(billing)["partitions"] == []
    assert post(billing, f"{GROUP}resume/", {}).data["paused"] is None


def test_lag_is_told_per_partition_and_in_all(billing: APIClient) -> None:
    move_to(10, 7, 2, 9)
    lag = client_of("anyone").get(f"/api/{GROUP}lag/").data
    assert (lag["max_lag"], lag["max_lag_topic"], lag["max_lag_partition"], lag["total_lag"]) == (8, "orders", 2, 12)
    assert [p["lag"] for p in lag["partitions"]] == [0, 3, 8, 1]
    assert set(lag["partitions"][0]) == {"topic", "partition", "committed", "log_end", "lag", "lag_seconds"}
    assert lag["partitions"][0]["lag_seconds"] is None
    assert lag["partitions"][1]["lag_seconds"] > 0
    post(billing, "groups/", {"name": "idle"})
    idle = billing.get("/api/groups/idle/lag/").data
    assert idle == {
        "group": "idle",
        "max_lag": 0,
        "max_lag_topic": None,
        "max_lag_partition": None,
        "total_lag": 0,
        "partitions": [],
    }


# Who may, and what is refused


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("patch", GROUP, {"auto_offset_reset": "latest"}),
    ("delete", GROUP, {}),
    ("post", f"{GROUP}subscriptions/", {"topics": ["orders"]}),
    ("delete", f"{GROUP}topics/orders/", {}),
    ("post", f"{GROUP}pause/", {}),
    ("post", f"{GROUP}resume/", {}),
    ("post", f"{GROUP}members/", {}),
    ("post", f"{GROUP}members/m/heartbeat/", {"epoch": 1}),
    ("post", f"{GROUP}members/m/records/", {"epoch": 1}),
    ("delete", f"{GROUP}members/m/", {"epoch": 1}),
    ("post", f"{GROUP}assignments/", {"topic": "orders", "partition": 0, "member": "m"}),
    ("post", f"{GROUP}offsets/", {"offsets": [{"topic": "orders", "partition": 0, "offset": 1, "epoch": 0}]}),
    ("post", RESET, {"mode": "to-latest"}),
    ("post", f"{GROUP}resets/1/undo/", {}),
]


def send(client: APIClient, verb: str, path: str, body: Any) -> Response:
    return getattr(client, verb)(f"/api/{path}", body, format="json")


@rolled_back
@pytest.mark.parametrize(("verb", "path", "body"), CHANGES)
def test_only_the_owner_changes_a_group_and_reads_as_it(verb: str, path: str, body: dict[str, Any]) -> None:
    refused = send(client_of("shop"), verb, path, body)
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    assert refused.data["message"] == "Only billing reads as billing; you act for shop."


@rolled_back
@pytest.mark.parametrize(("verb", "path", "body"), CHANGES)
def test_a_field_that_does_not_exist_is_refused(billing: APIClient, verb: str, path: str, body: dict[str, Any]) -> None:
    refused = send(billing, verb, path, {**body, "raeson": "x"})
    assert (refused.status_code, list(refused.data["fields"])) == (400, ["raeson"])
    assert refused.data["fields"]["raeson"][0].startswith("No such field; allowed are ")


@rolled_back
@pytest.mark.parametrize("path", ["", "offsets/", "members/", "lag/", "resets/"])
def test_descriptions_need_a_login_alone(path: str) -> None:
    assert client_of("anyone").get(f"/api/{GROUP}{path}").status_code == 200
    assert APIClient().get(f"/api/{GROUP}{path}").status_code == 401
    missing = client_of("anyone").get(f"/api/groups/nope/{path}")
    assert (missing.status_code, missing.data["code"]) == (404, "group_id_not_found")


def test_an_operator_reads_and_moves_any_group() -> None:
    ann = APIClient()
    ann.force_authenticate(User.objects.create_superuser("ann", password="a"))
    member = join(ann)
    assert len(fetch(ann, member).data["records"]) == 40
    assert leave(ann, member).status_code == 204
    assert post(ann, RESET, {"mode": "to-latest", "dry_run": False}).status_code == 200
    assert selectors.find_resets("billing")[0]["actor"] == "ann"


COMMIT = {"topic": "orders", "partition": 0, "offset": 0, "epoch": 0}
BIG = 2**63


@rolled_back
@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("groups/", {"name": "x", "topic": ["orders"]}, "topic"),
        ("groups/", {"name": "x", "topics": ["orders"] * 1_001}, "topics"),
        (f"{GROUP}subscriptions/", {"topics": []}, "topics"),
        (f"{GROUP}pause/", {"partitions": [0]}, "Partitions of which topic?"),
        (f"{GROUP}pause/", {"topic": "orders", "partitions": []}, "partitions"),
        (f"{GROUP}pause/", {"topic": "orders", "partitions": [4]}, "not partition 4 of it"),
        (f"{GROUP}members/", {"session_seconds": 0.5}, "allowed are 1 to 1800"),
        (f"{GROUP}members/", {"session_seconds": "nan"}, "session_seconds"),
        (f"{GROUP}members/", {"instance": "a/b"}, "'a/b' cannot name a static member"),
        (f"{GROUP}members/", {"client": "a b"}, "'a b' cannot name a client"),
        (f"{GROUP}members/", {"topics": ["nope"]}, "no topic nope"),
        (f"{GROUP}members/m/heartbeat/", {}, "epoch"),
        (f"{GROUP}members/m/heartbeat/", {"epoch": 1}, "has no member m"),
        (f"{GROUP}members/m/records/", {"epoch": 1, "max_records": 0}, "max_records"),
        (f"{GROUP}members/m/records/", {"epoch": 1, "wait_seconds": 31}, "wait_seconds"),
        (f"{GROUP}members/m/records/", {"epoch": 1, "wait_seconds": "nan"}, "wait_seconds"),
        (f"{GROUP}members/m/records/", {"epoch": 1, "positions": [COMMIT, COMMIT]}, "positions"),
        (f"{GROUP}members/m/records/", {"epoch": 1, "positions": [{**COMMIT, "offset": BIG}]}, "positions"),
        (f"{GROUP}offsets/", {"offsets": []}, "offsets"),
        (f"{GROUP}offsets/", {"offsets": [COMMIT, COMMIT]}, "offsets"),
        (f"{GROUP}offsets/", {"offsets": [{**COMMIT, "offset": BIG}]}, "offsets"),
        (f"{GROUP}offsets/", {"offsets": [{**COMMIT, "epoch": -1}]}, "offsets"),
        (f"{GROUP}offsets/", {"offsets": [{**COMMIT, "ofset": 1}]}, "offsets"),
        (f"{GROUP}offsets/", {"offsets": [{**COMMIT, "partition": n} for n in range(1_001)]}, "offsets"),
        (f"{GROUP}assignments/", {"topic": "orders", "partition": 0, "member": "m", "seconds": "nan"}, "seconds"),
        (f"{GROUP}assignments/", {"topic": "orders", "partition": BIG, "member": "m"}, "partition"),
        (RESET, {}, "Give a mode, or the plan_token"),
        (RESET, {"mode": "to-erliest"}, "There is no mode 'to-erliest' of reset; allowed are to-earliest"),
        (RESET, {"mode": "to-offset"}, "to-offset takes exactly one of: offset"),
        (RESET, {"mode": "to-offset", "offset": -1}, "offset"),
        (RESET, {"mode": "to-offset", "offset": BIG}, "offset"),
        (RESET, {"mode": "to-earliest", "offset": 1}, "to-earliest does not take offset"),
        (RESET, {"mode": "from-file"}, "from-file takes exactly one of: file, offsets"),
        (
            RESET,
            {"mode": "from-file", "file": "a,0,0", "offsets": [{"topic": "a", "partition": 0, "offset": 0}]},
            "one",
        ),
        (RESET, {"mode": "from-file", "file": "orders,0"}, "Line 1 is ['orders', '0']"),
        (RESET, {"mode": "to-datetime", "datetime": "2026-01-01T00:00:00"}, "ISO 8601 with an offset"),
        (RESET, {"mode": "by-duration", "duration": "12h"}, "ISO 8601 duration"),
        (RESET, {"mode": "shift-by", "shift_by": 1}, "pause group billing first"),
        (RESET, {"mode": "to-latest", "topics": []}, "topics"),
        (RESET, {"mode": "to-latest", "topics": [{"topic": "orders"}, {"topic": "orders"}]}, "topics"),
        (RESET, {"mode": "to-latest", "if_active": "kill"}, "if_active"),
        (RESET, {"mode": "to-latest", "plan_token": "x", "dry_run": False}, "mode does not go with it"),
        (RESET, {"plan_token": "x"}, "execute it with dry_run false"),
        (RESET, {"plan_token": "x", "dry_run": False, "topics": [{"topic": "orders"}]}, "topics does not go with it"),
        (RESET, {"plan_token": "x", "dry_run": False}, "no plan token"),
    ],
)
def test_what_is_refused_is_named(billing: APIClient, path: str, body: Any, message: str) -> None:
    refused = post(billing, path, body)
    assert refused.status_code in {400, 404, 409}, refused.data
    assert message in {*refused.data.get("fields", ())} or message in refused.data["message"], refused.data


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(RESET, {"mode": "from-file", "file": "x" * 140_000}, id="a field longer than csv allows"),
        pytest.param(RESET, {"mode": "by-duration", "duration": "P99999999999D"}, id="longer than a timedelta"),
        pytest.param(RESET, {"mode": "by-duration", "duration": "P1000000D"}, id="to before the year 1"),
        pytest.param(
            "groups/", {"name": "x", "auto_offset_reset": "by_duration:P99999999999D"}, id="the same as policy"
        ),
    ],
)
def test_a_file_or_duration_beyond_all_bounds_is_refused(billing: APIClient, path: str, body: Any) -> None:
    assert post(billing, path, body).status_code == 400


def test_a_group_that_begins_before_the_year_1_begins_at_the_log_start_or_is_refused(billing: APIClient) -> None:
    body = {"name": "x", "topics": ["orders"], "auto_offset_reset": "by_duration:P1000000D"}
    assert post(billing, "groups/", body).status_code in {201, 400}


def test_a_reset_to_where_a_group_with_a_long_name_is(billing: APIClient) -> None:
    name = "g" * 249
    services.create_group(name, owner="billing", topics=["orders"])
    assert post(billing, RESET, {"mode": "from-group", "from_group": name, "dry_run": False}).status_code == 200


def test_partitions_of_no_topic_are_not_taken_for_all_of_the_group() -> None:
    with pytest.raises(Invalid):
        services.pause_group("billing", actor="ann", partitions=[0])


def test_offsets_on_a_topic_the_group_does_not_read_are_not_in_use(billing: APIClient) -> None:
    join(billing)
    assert billing.delete(f"/api/{GROUP}topics/nope/").data["code"] == "not_subscribed"


def test_an_undo_of_which_nothing_is_left_is_refused(billing: APIClient) -> None:
    reset = post(billing, RESET, {"mode": "to-latest", "dry_run": False}).data["id"]
    billing.delete(f"/api/{GROUP}topics/orders/")
    assert post(billing, f"{GROUP}resets/{reset}/undo/", {"dry_run": False}).status_code >= 400


def test_a_group_that_was_altered_to_latest_misses_nothing_between_two_fetches(billing: APIClient) -> None:
    patch(billing, GROUP, {"auto_offset_reset": "latest"})
    member = join(billing)
    assert fetch(billing, member).data["records"] == []
    services.publish("orders", b"new", partition=0, boundary="shop")
    assert read_places(fetch(billing, member)) == [(0, 10)]


@pytest.mark.parametrize("path", ["groups/a%00b/", "topics/a%00b/", "queues/a%00b/", "groups/billing/members/a%00b/"])
def test_a_name_that_no_database_can_look_for_is_not_found(billing: APIClient, path: str) -> None:
    assert billing.delete(f"/api/{path}").status_code == 404
