"""Queues over REST: created, listed, altered, paused and deleted by their owner."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from mqsite.models import AuditEntry
from queues import services
from queues.models import Queue
from queues.settings import SETTINGS
from tests.rest import client_of, patch, post

pytestmark = pytest.mark.django_db

QUEUE = "queues/bookings/"


@pytest.fixture
def sales() -> APIClient:
    services.create_queue("bookings", owner="sales")
    return client_of("sales")


# Created and looked at


def test_a_queue_is_created_with_every_setting_and_shows_them(sales: APIClient) -> None:
    given = {
        "lease_seconds": 60,
        "max_receives": 9,
        "dead_letter_queue": "bookings",
        "max_length": 1_000,
        "message_ttl_seconds": 1.5,
        "dedup_seconds": 60,
        "is_ordered": True,
        "outcome_seconds": 3_600,
        "backoff_seconds": 0.25,
        "backoff_max_seconds": 10,
        "backoff_jitter": 0,
    }
    assert set(given) == set(SETTINGS)
    created = post(sales, "queues/", {"name": "seats", "description": "of planes", **given})
    assert created.status_code == 201, created.data
    assert created.data == {
        "name": "seats",
        "owner": "sales",
        "description": "of planes",
        **given,
        "paused": None,
        "counts": {"scheduled": 0, "ready": 0, "waiting": 0, "leased": 0, "dead": 0},
        "count_limit": 10_000,
        "oldest_ready_seconds": None,
    }
    assert sales.get("/api/queues/seats/").data == created.data
    described = {s["name"]: s for s in sales.get("/api/queues/seats/settings/").data["settings"]}
    assert {name: setting["value"] for name, setting in described.items()} == given
    kept = described["max_receives"]
    assert (kept["default"], kept["is_default"], kept["description"]) == (5, False, "After so many a message is dead.")


def test_what_is_not_given_is_the_default(sales: APIClient) -> None:
    described = sales.get("/api/queues/bookings/settings/").data["settings"]
    assert [s["name"] for s in described] == list(SETTINGS)
    assert all(s["is_default"] for s in described)


def test_the_depth_is_told_to_everybody_and_payloads_to_nobody(sales: APIClient) -> None:
    services.send_many("bookings", [services.NewMessage("secret"), services.NewMessage("secret", delay_seconds=60)])
    lease = services.receive("bookings", holder="w", boundary="sales")
    assert lease is not None
    services.reject(lease.token, [lease.messages[0].id], queue="bookings", error="secret")
    services.send("bookings", "secret", group_key="secret")
    told = client_of("web").get("/api/queues/bookings/")
    assert told.data["counts"] == {"scheduled": 1, "ready": 1, "waiting": 0, "leased": 0, "dead": 1}
    assert told.data["oldest_ready_seconds"] >= 0
    assert "secret" not in told.content.decode()


def test_the_list_is_paged_by_name_and_filtered(sales: APIClient) -> None:
    for name, owner in (("a-seats", "sales"), ("b-seats", "ops"), ("c", "ops"), ("Seats", "ops")):
        services.create_queue(name, owner=owner)

    def listed(**query: Any) -> tuple[list[str], str | None]:
        page = client_of("web").get("/api/queues/", query)
        assert page.status_code == 200, page.data
        return [queue["name"] for queue in page.data["queues"]], page.data["next_after"]

    everything, following = listed()
    assert ({"Seats", "a-seats", "b-seats", "bookings", "c"} <= set(everything), following) == (True, None)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = listed(limit=2, after=after)
        seen += page
    assert seen == everything
    assert listed(owner="ops", limit=3)[1] is None
    assert set(listed(name="seat")[0]) == {"Seats", "a-seats", "b-seats"}
    assert listed(name="seat", owner="sales") == (["a-seats"], None)
    assert listed(owner="nobody") == ([], None)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"limit": 0}, "greater than or equal to 1."),
        ({"limit": 101}, "less than or equal to 100."),
        ({"limit": "all"}, "A valid integer is required."),
        ({"sort": "depth"}, "No such field; allowed are name, owner, after, limit."),
        ({"name": "a\0"}, "Null characters are not allowed."),
    ],
)
def test_a_list_that_is_asked_for_wrongly_says_so(query: dict[str, Any], said: str) -> None:
    refused = client_of("web").get("/api/queues/", query)
    assert (refused.status_code, said in str(refused.data["fields"])) == (400, True), refused.data


# Altered, paused, deleted


def test_a_change_names_what_it_changes_and_leaves_the_rest(sales: APIClient) -> None:
    services.create_queue("lost", owner="sales")
    body = {"max_receives": 9, "dead_letter_queue": "lost", "max_length": 5, "description": "x", "reason": "slow bank"}
    changed = patch(sales, QUEUE, body)
    assert (changed.status_code, changed.data["description"], changed.data["lease_seconds"]) == (200, "x", 30)
    settings = [changed.data[name] for name in ("max_receives", "dead_letter_queue", "max_length")]
    assert settings == [9, "lost", 5]
    again = patch(sales, QUEUE, {"dead_letter_queue": None, "max_length": None})
    assert (again.data["dead_letter_queue"], again.data["max_length"], again.data["max_receives"]) == (None, None, 9)
    entry = AuditEntry.objects.filter(action="alter queue").order_by("id")[0]
    assert (entry.actor, entry.subject, entry.reason) == ("sales", "bookings", "slow bank")
    assert entry.facts["changed"]["max_receives"] == [5, 9]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Nothing to change: give description, lease_seconds, max_receives, dead_letter_queue"),
        ({"reason": "why not"}, "Nothing to change"),
        ({"lease_seconds": 0}, "Queue bookings: lease_seconds is 0; allowed are 1 to 43,200."),
        ({"lease_seconds": 1.5}, "lease_seconds is 1.5; allowed are 1 to 43,200."),
        ({"lease_seconds": "30"}, "lease_seconds is '30'; allowed are"),
        ({"lease_seconds": True}, "lease_seconds is True; allowed are"),
        ({"lease_seconds": None}, "lease_seconds is None; allowed are"),
        ({"max_receives": 2**70}, "allowed are 1 to 1,000."),
        ({"max_length": 0}, "max_length is 0; allowed are 1 to 10,000,000, or None."),
        ({"backoff_jitter": 1.1}, "backoff_jitter is 1.1; allowed are 0 to 1."),
        ({"backoff_seconds": [1]}, "backoff_seconds is [1]; allowed are"),
        ({"is_ordered": "yes"}, "is_ordered is 'yes'; allowed are true and false."),
        ({"is_ordered": True}, "is_ordered never changes"),
        ({"dead_letter_queue": "a b"}, "'a b' cannot name a queue"),
        (
            {"dead_letter_queue": "theirs"},
            "theirs cannot be the dead-letter queue of bookings: that is another queue of",
        ),
        ({"dead_letter_queue": "bookings"}, "bookings cannot be the dead-letter queue of bookings"),
        ({"max_receives": 9, "lease_seconds": 0}, "lease_seconds is 0"),
        ({"lease": 60}, "No such field; allowed are description, reason, lease_seconds"),
        ({"owner": "web"}, "No such field"),
        ({"description": None}, "This field may not be null."),
        ({"max_receives": 9, "reason": "x" * 10_001}, "no more than 10000 characters."),
        ([], "Invalid data. Expected a dictionary"),
    ],
)
def test_a_change_that_is_wrong_is_named_and_changes_nothing(sales: APIClient, body: Any, said: str) -> None:
    services.create_queue("theirs", owner="ops")
    before = Queue.objects.get(name="bookings").revision
    refused = patch(sales, QUEUE, body)
    assert refused.status_code == 400, refused.data
    assert said in str(refused.data.get("fields") or refused.data["message"])
    assert Queue.objects.get(name="bookings").revision == before
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": "a b"}, 400, "'a b' cannot name a queue"),
        ({"name": "bookings"}, 409, "Queue bookings exists already."),
        ({"name": "new", "lease_seconds": 0}, 400, "Queue new: lease_seconds is 0; allowed are 1 to 43,200."),
        ({"name": "new", "dead_letter_queue": "nowhere"}, 404, "no queue nowhere"),
        ({"name": "new", "lease": 60}, 400, "No such field; allowed are name, description, lease_seconds"),
        ({"lease_seconds": 60}, 400, "This field is required."),
    ],
)
def test_a_new_queue_that_is_wrong_is_named(sales: APIClient, body: Any, status: int, said: str) -> None:
    refused = post(sales, "queues/", body)
    assert refused.status_code == status, refused.data
    assert said in str(refused.data.get("fields") or refused.data["message"])
    assert not Queue.objects.filter(name="new").exists()


def test_nobody_receives_while_a_queue_is_paused(sales: APIClient) -> None:
    services.send("bookings", 1)
    paused = post(sales, f"{QUEUE}pause/", {"reason": "the bank is away"})
    assert paused.status_code == 200
    assert paused.data["paused"]["at"]
    assert (paused.data["paused"]["by"], paused.data["paused"]["reason"]) == ("sales", "the bank is away")
    assert post(sales, f"{QUEUE}leases/", {}).data["messages"] == []
    assert post(sales, f"{QUEUE}resume/", {"reason": "it is back"}).data["paused"] is None
    assert len(post(sales, f"{QUEUE}leases/", {}).data["messages"]) == 1
    entries = AuditEntry.objects.order_by("id").values_list("actor", "action", "reason")
    assert list(entries) == [
        ("sales", "pause queue", "the bank is away"),
        ("sales", "resume queue", "it is back"),
    ]


def test_a_queue_is_deleted_with_its_reason(sales: APIClient) -> None:
    services.create_queue("lost", owner="sales")
    patch(sales, QUEUE, {"dead_letter_queue": "lost"})
    refused = sales.delete("/api/queues/lost/")
    assert (refused.status_code, refused.data["code"]) == (409, "queue_in_use")
    gone = sales.delete("/api/queues/bookings/", {"reason": "moved"}, format="json")
    assert (gone.status_code, gone.data) == (204, None)
    assert AuditEntry.objects.get(action="delete queue").reason == "moved"
    assert sales.get("/api/queues/bookings/").status_code == 404
    assert sales.delete("/api/queues/lost/").status_code == 204


# Who may


@pytest.mark.parametrize(
    ("method", "path", "body", "verb"),
    [
        ("patch", "", {"max_receives": 9}, "alters"),
        ("delete", "", {}, "deletes"),
        ("post", "pause/", {}, "pauses"),
        ("post", "resume/", {}, "resumes"),
    ],
)
def test_only_the_owner_or_an_operator_changes_a_queue(
    sales: APIClient, method: str, path: str, body: dict[str, Any], verb: str
) -> None:
    address = f"/api/{QUEUE}{path}"
    refused = getattr(client_of("web"), method)(address, body, format="json")
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    assert refused.data["message"] == f"Only sales {verb} bookings; you act for web."
    missing = getattr(sales, method)(address.replace("bookings", "nowhere"), body, format="json")
    assert (missing.status_code, missing.data["code"]) == (404, "queue_not_found")
    for user in (User.objects.create_user("bob"), User.objects.create_superuser("ann")):
        person = APIClient()
        person.force_authenticate(user)
        answer = getattr(person, method)(address, body, format="json")
        assert (answer.status_code < 300) == user.is_superuser, answer.data
    assert AuditEntry.objects.get().actor == "ann"


def test_who_acts_for_no_boundary_creates_no_queue() -> None:
    person = APIClient()
    person.force_authenticate(User.objects.create_superuser("ann"))
    refused = post(person, "queues/", {"name": "new"})
    assert (refused.status_code, "X-Boundary" in refused.data["message"]) == (400, True)
    person.credentials(HTTP_X_BOUNDARY="sales")
    assert post(person, "queues/", {"name": "new"}).data["owner"] == "sales"


def test_a_queue_that_is_not_there_is_named(sales: APIClient) -> None:
    for path in ("", "settings/"):
        missing = sales.get(f"/api/queues/nowhere/{path}")
        assert (missing.status_code, missing.data["code"]) == (404, "queue_not_found")
