"""Parked records over REST: the group's owner and operators read, try again and drop them."""

import base64
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from logs.models import ParkedRecord
from mqsite.models import AuditEntry
from tests.logs.parking import TRACEBACK, create_billing, park
from tests.rest import client_of, get, post, read_pages

pytestmark = pytest.mark.django_db

PARKED = "groups/billing/parked/"


@pytest.fixture
def billing() -> APIClient:
    create_billing()
    return client_of("billing")


def test_they_are_read_page_by_page_the_oldest_first(billing: APIClient) -> None:
    ids = park(5)
    pages = read_pages(billing, f"/api/{PARKED}", limit=2)
    assert [[record["id"] for record in page.data["parked"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    assert pages[0].data["parked_count"] == 5
    first = pages[0].data["parked"][0]
    assert (first["topic"], first["partition"], first["offset"]) == ("orders", 0, 0)
    assert (first["reason"], first["attempts"], first["detail"]) == ("attempts", 3, TRACEBACK)
    assert (first["key"][:2], first["headers"][0][0], first["content_type"]) == ("k0", "h", "text/plain")
    assert first["retry_asked_by"] is None
    park(topic="refunds")
    found = get(billing, f"/api/{PARKED}", topic="refunds").data
    assert ([record["topic"] for record in found["parked"]], found["next_after"]) == (["refunds"], None)


def test_bytes_that_are_no_text_come_in_base64(billing: APIClient) -> None:
    park(value=b"\xff\x00")
    (record,) = get(billing, f"/api/{PARKED}").data["parked"]
    assert base64.b64decode(record["value_base64"]) == b"\xff\x00"


def test_some_or_all_are_tried_again(billing: APIClient) -> None:
    first, *_ = park(3)
    answer = post(billing, f"{PARKED}retry/", {"ids": [first], "reason": "credit was given"})
    assert (answer.status_code, answer.data) == (200, {"asked": 1, "parked_count": 3})
    assert ParkedRecord.objects.get(retry_asked_at__isnull=False).id == first
    assert post(billing, f"{PARKED}retry/", {}).data["asked"] == 2
    (named, _) = AuditEntry.objects.filter(action="retry parked").order_by("id")
    assert named.reason == "credit was given"
    assert named.actor == ParkedRecord.objects.get(id=first).retry_asked_by


def test_chosen_ones_are_dropped(billing: APIClient) -> None:
    first, second, third = park(3)
    answer = post(billing, f"{PARKED}drop/", {"ids": [first, second, 999_999], "reason": "test orders"})
    assert (answer.status_code, answer.data) == (200, {"dropped": 2, "parked_count": 1})
    assert ParkedRecord.objects.get().id == third
    assert AuditEntry.objects.get(action="drop parked").reason == "test orders"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("drop", {}),
        ("drop", {"ids": None}),
        ("drop", {"ids": []}),
        ("drop", {"ids": [0]}),
        ("drop", {"ids": ["x"]}),
        ("drop", {"ids": list(range(1, 1_002))}),
        ("drop", {"ids": [2**63]}),
        ("drop", {"id": [1]}),
        ("retry", {"ids": []}),
        ("retry", {"ids": [1], "reason": "x" * 10_001}),
        ("retry", {"all": True}),
    ],
)
def test_what_cannot_be_meant_is_refused(billing: APIClient, verb: str, body: dict[str, Any]) -> None:
    park()
    answer = post(billing, f"{PARKED}{verb}/", body)
    assert (answer.status_code, answer.data["code"]) == (400, "invalid"), answer.data
    assert ParkedRecord.objects.get().retry_asked_at is None


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 101}, {"after": -1}, {"after": "x"}, {"before": 1}])
def test_a_page_that_cannot_be_is_refused(billing: APIClient, asked: dict[str, Any]) -> None:
    assert get(billing, f"/api/{PARKED}", **asked).status_code == 400


def test_only_the_owner_and_operators_may(billing: APIClient) -> None:
    (id_,) = park()
    shop = client_of("shop")
    answers = [get(shop, f"/api/{PARKED}"), *(post(shop, f"{PARKED}{v}/", {"ids": [id_]}) for v in ("retry", "drop"))]
    assert [(a.status_code, a.data["code"]) for a in answers] == [(403, "not_owner")] * 3
    assert get(APIClient(), f"/api/{PARKED}").status_code in (401, 403)
    assert get(billing, "/api/groups/nobody/parked/").data["code"] == "group_id_not_found"
    operator = APIClient()
    operator.force_login(User.objects.create_superuser("ann"))
    assert post(operator, f"{PARKED}retry/", {}).data["asked"] == 1
