"""Resets over REST: shown first, executed by their token, undone."""

from typing import Any

import pytest
from django.core import signing
from rest_framework.test import APIClient

from logs import selectors, services
from logs.services.reset_plans import SALT
from tests.group_rest import GROUP, RESET, committed, create_orders, join, move_to
from tests.rest import client_of, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def orders() -> None:
    create_orders()


@pytest.fixture
def billing() -> APIClient:
    return client_of("billing")


@pytest.fixture
def source() -> None:
    """Another group, at 1, 2, 3 and 4."""
    services.create_group("other", owner="billing", topics=["orders"])
    for partition in range(4):
        taken = services.acquire_partition("other", "orders", partition, member="m")
        assert taken
        services.commit_offset(taken, partition + 1)


MODES: list[tuple[dict[str, Any], list[int]]] = [
    ({"mode": "to-earliest"}, [0, 0, 0, 0]),
    ({"mode": "to-latest"}, [10, 10, 10, 10]),
    ({"mode": "to-current"}, [2, 4, 6, 8]),
    ({"mode": "to-offset", "offset": 7}, [7, 7, 7, 7]),
    ({"mode": "to-datetime", "datetime": "2026-01-01T01:03:00+01:00"}, [3, 3, 3, 3]),
    ({"mode": "by-duration", "duration": "P7000D"}, [0, 0, 0, 0]),
    ({"mode": "shift-by", "shift_by": -2}, [0, 2, 4, 6]),
    ({"mode": "from-file", "file": "orders,0,1\norders,1,2\norders,2,3\norders,3,4\n"}, [1, 2, 3, 4]),
    (
        {"mode": "from-file", "offsets": [{"topic": "orders", "partition": p, "offset": p + 5} for p in range(4)]},
        [5, 6, 7, 8],
    ),
    ({"mode": "from-group", "from_group": "other"}, [1, 2, 3, 4]),
    ({"mode": "skip-one", "offset": 2, "topics": [{"topic": "orders", "partitions": [0]}]}, [3]),
    ({"mode": "skip-one", "topics": [{"topic": "orders", "partitions": [0]}]}, [3]),
]


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(("body", "targets"), MODES, ids=[body["mode"] for body, _ in MODES])
def test_every_mode_shows_what_it_would_do_and_its_token_does_exactly_that(
    billing: APIClient, body: dict[str, Any], targets: list[int]
) -> None:
    before = [2, 4, 6, 8]
    move_to(*before)
    services.pause_group("billing", actor="ann")
    shown = post(billing, RESET, body)
    assert (shown.status_code, shown.data["dry_run"], shown.data["mode"]) == (200, True, body["mode"]), shown.data
    assert [r["new_offset"] for r in shown.data["results"]] == targets
    assert [r["current_offset"] for r in shown.data["results"]] == before[: len(targets)]
    assert shown.data["records_to_skip"] == sum(max(0, new - old) for old, new in zip(before, targets, strict=False))
    assert shown.data["records_to_replay"] == sum(max(0, old - new) for old, new in zip(before, targets, strict=False))
    assert committed(billing) == before
    done = post(billing, RESET, {"plan_token": shown.data["plan_token"], "dry_run": False, "reason": "as shown"})
    assert (done.status_code, done.data["dry_run"], done.data["says"]) == (200, False, shown.data["says"])
    assert [p["to"] for p in done.data["partitions"]] == targets
    assert committed(billing)[: len(targets)] == targets
    (reset,) = billing.get(f"/api/{GROUP}resets/").data["resets"]
    assert (reset["id"], reset["actor"], reset["reason"]) == (done.data["id"], "billing", "as shown")


def test_resets_are_listed_page_by_page(billing: APIClient) -> None:
    made = [services.reset_offsets("billing", "to-earliest", actor="ann")["id"] for _ in range(3)]
    first = billing.get(f"/api/{GROUP}resets/?limit=2").data
    assert ([r["id"] for r in first["resets"]], first["next_before"]) == (made[:0:-1], made[1])
    rest = billing.get(f"/api/{GROUP}resets/?limit=2&before={made[1]}").data
    assert ([r["id"] for r in rest["resets"]], rest["next_before"]) == (made[:1], None)
    assert billing.get(f"/api/{GROUP}resets/?limit=101").status_code == 400


def test_a_dry_run_has_one_shape_and_says_what_it_had_to_bend(billing: APIClient) -> None:
    move_to(2)
    topics = [{"topic": "orders", "partitions": [0]}]
    shown = post(billing, RESET, {"mode": "to-offset", "offset": 99, "topics": topics}).data
    assert shown.pop("plan_token")
    assert shown == {
        "group": "billing",
        "mode": "to-offset",
        "says": "to offset 99",
        "dry_run": True,
        "results": [
            {
                "topic": "orders",
                "partition": 0,
                "current_offset": 2,
                "new_offset": 10,
                "records_to_replay": 0,
                "records_to_skip": 8,
                "clamped": "log end",
                "warning": "99 is higher than the log end: 10 is taken.",
            }
        ],
        "records_to_replay": 0,
        "records_to_skip": 8,
        "warnings": ["8 records that the group never read will be skipped."],
    }
    plain = post(billing, RESET, {"mode": "to-earliest", "topics": topics}).data["results"][0]
    assert (plain["clamped"], plain["warning"]) == (None, None)


def test_without_a_dry_run_a_mode_is_executed_at_once(billing: APIClient) -> None:
    move_to(5, 5, 5, 5)
    body = {"mode": "to-earliest", "topics": [{"topic": "orders", "partitions": [1, 3]}], "dry_run": False}
    moved = post(billing, RESET, body).data
    assert moved["partitions"] == [{"topic": "orders", "partition": p, "from": 5, "to": 0} for p in (1, 3)]
    assert committed(billing) == [5, 0, 5, 0]


def test_a_plan_that_another_reset_overtook_moves_nothing_and_says_so(billing: APIClient) -> None:
    token = post(billing, RESET, {"mode": "to-earliest"}).data["plan_token"]
    post(billing, RESET, {"mode": "to-latest", "dry_run": False})
    refused = post(billing, RESET, {"plan_token": token, "dry_run": False})
    assert (refused.status_code, refused.data["code"]) == (409, "plan_outdated")
    assert refused.data["message"] == (
        "The plan is out of date: another reset moved orders-0 meanwhile. Nothing was moved; make a new one."
    )
    assert committed(billing) == [10, 10, 10, 10]


def test_a_token_is_good_for_its_own_group_alone(billing: APIClient) -> None:
    services.create_group("other", owner="billing", topics=["orders"])
    token = post(billing, "groups/other/reset-offsets/", {"mode": "to-latest"}).data["plan_token"]
    refused = post(billing, RESET, {"plan_token": token, "dry_run": False})
    assert (refused.status_code, refused.data["message"]) == (400, "This plan is not one of group billing.")
    forged = signing.dumps({"group": "billing"}, salt=SALT, key="x" * 50)
    assert "no plan token" in post(billing, RESET, {"plan_token": forged, "dry_run": False}).data["message"]
    assert committed(billing) == [None] * 4


def test_a_reset_of_a_group_in_use_fences_or_is_refused_as_asked(billing: APIClient) -> None:
    member = join(billing)
    assert "live" in post(billing, RESET, {"mode": "to-latest"}).data["warnings"][0]
    body = {"mode": "to-latest", "dry_run": False, "if_active": "refuse"}
    refused = post(billing, RESET, body)
    assert (refused.status_code, refused.data["code"]) == (409, "non_empty_group")
    assert member["member"] in refused.data["message"]
    assert committed(billing) == [None] * 4
    assert post(billing, RESET, {**body, "if_active": "fence"}).status_code == 200
    assert committed(billing) == [10] * 4


def test_an_undo_is_shown_first_and_goes_back_to_before(billing: APIClient) -> None:
    move_to(2, 4, 6, 8)
    reset = post(billing, RESET, {"mode": "to-latest", "dry_run": False, "reason": "slip"}).data["id"]
    shown = post(billing, f"{GROUP}resets/{reset}/undo/", {})
    assert ([r["new_offset"] for r in shown.data["results"]], shown.data["mode"]) == ([2, 4, 6, 8], "undo")
    assert committed(billing) == [10] * 4
    done = post(billing, f"{GROUP}resets/{reset}/undo/", {"dry_run": False, "reason": "back"})
    assert (done.status_code, committed(billing)) == (200, [2, 4, 6, 8])
    newest, oldest = billing.get(f"/api/{GROUP}resets/").data["resets"]
    assert (newest["undoes"], newest["reason"], oldest["undone_by"]) == (reset, "back", [newest["id"]])
    assert oldest["partitions"][0] == {"topic": "orders", "partition": 0, "from": 2, "to": 10}


def test_the_token_of_an_undo_is_executed_as_any_other(billing: APIClient) -> None:
    move_to(2, 4, 6, 8)
    reset = post(billing, RESET, {"mode": "to-latest", "dry_run": False}).data["id"]
    token = post(billing, f"{GROUP}resets/{reset}/undo/", {}).data["plan_token"]
    assert post(billing, RESET, {"plan_token": token, "dry_run": False}).data["mode"] == "undo"
    assert committed(billing) == [2, 4, 6, 8]


def test_a_reset_of_another_group_is_not_undone_here(billing: APIClient) -> None:
    services.create_group("other", owner="shop", topics=["orders"])
    reset = services.reset_offsets("other", "to-latest", actor="ann")["id"]
    for id_ in (reset, 10**30):
        refused = post(billing, f"{GROUP}resets/{id_}/undo/", {"dry_run": False})
        assert (refused.status_code, refused.data["code"]) == (404, "not_found")
    assert len(selectors.find_resets("other")) == 1
