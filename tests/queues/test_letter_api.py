"""Dead letters and redrives over REST: listed and filtered alike, started, followed and cancelled."""

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from mqsite.models import AuditEntry
from queues import lookups, selectors, services
from queues.models import Message, Redrive
from queues.services import NewMessage
from tests.plans import counting_reads
from tests.queues.conftest import sent_ids
from tests.rest import client_of, found_ids, get, post, read_pages

pytestmark = pytest.mark.django_db

LETTERS = "/api/queues/bookings/dead-letters/"
REDRIVES = "queues/bookings/redrives/"


@pytest.fixture
def sales() -> APIClient:
    services.create_queue("bookings", owner="sales")
    return client_of("sales")


def kill(*messages: Any, error: str = "no seat", queue: str = "bookings") -> list[int]:
    """Sends messages and lets them die; their ids."""
    ids = sent_ids(queue, [NewMessage(message) for message in messages])
    lease = services.receive(queue, holder="w", boundary="sales", max_messages=1_000)
    assert lease is not None
    services.reject(lease.token, ids, queue=queue, error=error)
    return ids


def start(client: APIClient, **body: Any) -> dict[str, Any]:
    started = post(client, REDRIVES, body)
    assert started.status_code == 201, started.data
    return dict(started.data)


# Listed


def test_letters_are_listed_with_why_they_died(sales: APIClient) -> None:
    ids = kill("a", "b")
    page = sales.get(LETTERS).data
    assert ([m["id"] for m in page["messages"]], page["scanned"], page["next_after"]) == (ids, 2, None)
    letter = page["messages"][0]
    assert (letter["payload"], letter["state"], letter["reason"], letter["error"]) == (
        "a",
        "dead",
        "rejected",
        "no seat",
    )
    assert (letter["died_at"] is not None, letter["died_receives"], letter["source"]) == (True, 1, None)


def test_a_dead_letter_queue_lists_its_own_dead_and_what_was_sent_there_to_lie(sales: APIClient) -> None:
    services.create_queue("lost", owner="sales")
    first = kill("own", queue="lost")
    services.alter_queue("bookings", dead_letter_queue="lost", actor="ann")
    theirs = kill("theirs", "theirs")
    last = sent_ids("lost", [NewMessage("not a letter")])
    lease = services.receive("lost", holder="w", boundary="sales", max_messages=1_000)
    assert lease is not None
    services.give_back(lease.token, theirs[:1], queue="lost")
    services.reject(lease.token, theirs[1:], queue="lost")
    services.give_back(lease.token, last, queue="lost")
    pages = read_pages(sales, "/api/queues/lost/dead-letters/", limit=1)
    found = [m for page in pages for m in page.data["messages"]]
    assert [m["id"] for m in found] == [*first, *theirs]
    assert sum(page.data["scanned"] for page in pages) == 3
    assert [(m["state"], m["source"]) for m in found] == [("dead", None), ("ready", "bookings"), ("dead", "bookings")]


def test_the_list_shows_what_a_redrive_with_the_same_filter_moves(sales: APIClient) -> None:
    early = kill("seat 1", "seat 2", error="timeout é")
    middle = kill("seat 1", error="no seat")
    late = kill("seat 3", error="timeout é")
    for hour, ids in enumerate((early, middle, late)):
        Message.objects.filter(id__in=ids).update(died_at=f"2026-01-01T0{hour}:00Z")
    Message.objects.filter(id__in=middle).update(reason="max_receives")
    for only, fitting in (
        ({"only_text": "é"}, [*early, *late]),
        ({"only_text": "seat 1"}, [early[0], *middle]),
        ({"only_reason": "max_receives"}, middle),
        ({"died_after": "2026-01-01T01:00:00Z"}, [*middle, *late]),
        ({"died_before": "2026-01-01T03:00:00+02:00"}, early),
        ({"only_text": "timeout", "died_after": "2026-01-01T01:00:00Z"}, late),
    ):
        assert found_ids([get(sales, LETTERS, **only)]) == fitting, only
        told = start(sales, **only)
        services.cancel_redrive(told["id"], actor="ann")
        for name, value in only.items():
            assert told[name] == (datetime.fromisoformat(value) if name.startswith("died") else value)
    start(sales, only_text="timeout", died_after="2026-01-01T01:00:00Z")
    assert services.work_redrives() == 1
    assert found_ids([sales.get(LETTERS)]) == [*early, *middle]


def test_letters_are_paged_and_say_how_much_was_scanned(sales: APIClient) -> None:
    ids = kill(*(f"seat {n}" for n in range(10)))
    pages = read_pages(sales, LETTERS, limit=4)
    assert (found_ids(pages), [page.data["scanned"] for page in pages]) == (ids, [4, 4, 2])
    page = get(sales, LETTERS, only_text="seat 9", most_scanned=6).data
    assert (page["messages"], page["scanned"]) == ([], 6)
    rest = get(sales, LETTERS, only_text="seat 9", after=page["next_after"]).data
    assert ([m["id"] for m in rest["messages"]], rest["scanned"]) == (ids[9:], 4)


def test_a_page_of_many_letters_reads_little(sales: APIClient) -> None:
    queue_id = selectors.locate_queue("bookings").queue_id
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO queues_message (queue_id, state, priority, position, sender, payload, died_at, source_id) "
            "SELECT %s, CASE n %% 2 WHEN 0 THEN 4 ELSE 0 END, 0, n, '', 'x', now(), 7 FROM generate_series(1, 4000) n",
            [queue_id],
        )
    with counting_reads("queues_message") as reads:
        page = lookups.find_letters("bookings", after=2_000, limit=10)
    assert [look.message.position for look in page.looks] == list(range(2_001, 2_011))
    (read,) = reads
    assert (read.seq_scans, read.rows < 200) == (0, True), read


# Redriven


def test_a_redrive_is_started_followed_and_done(sales: APIClient) -> None:
    ids = kill("a", "b", "c")
    job = start(sales, ids=ids[:2], rate_per_second=1_000, reason="the bank is back")
    address = f"/api/{REDRIVES}{job['id']}/"
    assert job.pop("started_at")
    assert job == {
        "id": job["id"],
        "queue": "bookings",
        "to": None,
        "state": "running",
        "letters": 2,
        "count_limit": 10_000,
        "scanned": 0,
        "moved": 0,
        "rate_per_second": 1_000.0,
        "started_by": "sales",
        "ended_at": None,
        "ids": 2,
        "only_reason": None,
        "only_text": None,
        "died_after": None,
        "died_before": None,
    }
    entry = AuditEntry.objects.get(action="start redrive")
    assert (entry.actor, entry.subject, entry.reason) == ("sales", "bookings", "the bank is back")
    Redrive.objects.update(worked_at="2026-01-01T00:00Z", rate_per_second=None)
    assert services.work_redrives() == 2
    done = sales.get(address).data
    assert (done["state"], done["moved"], done["ended_at"] is not None) == ("done", 2, True)
    assert found_ids([sales.get(LETTERS)]) == ids[2:]
    late = post(sales, f"{REDRIVES}{job['id']}/cancel/", {"reason": "too late"})
    assert (late.status_code, late.data["cancelled"], late.data["state"]) == (200, False, "done")


def test_a_redrive_goes_to_another_queue_of_the_owner_only(sales: APIClient) -> None:
    kill("a")
    services.create_queue("again", owner="sales")
    services.create_queue("theirs", owner="ops")
    refused = post(sales, REDRIVES, {"to": "theirs"})
    assert (refused.status_code, refused.data["message"]) == (400, "theirs belongs to ops, bookings to sales.")
    assert start(sales, to="again")["to"] == "again"
    assert services.work_redrives() == 1
    assert sales.get("/api/queues/again/").data["counts"]["ready"] == 1


def test_a_redrive_is_cancelled_with_its_reason(sales: APIClient) -> None:
    kill("a")
    job = start(sales)
    cancelled = post(sales, f"{REDRIVES}{job['id']}/cancel/", {"reason": "still broken"})
    assert (cancelled.status_code, cancelled.data["cancelled"], cancelled.data["state"]) == (200, True, "cancelled")
    assert AuditEntry.objects.get(action="cancel redrive").reason == "still broken"
    assert services.work_redrives() == 0


def test_redrives_are_listed_the_latest_first(sales: APIClient) -> None:
    services.create_queue("other", owner="sales")
    other = services.start_redrive("other", actor="ann")
    ids = [start(sales)["id"] for _ in range(3)]
    first = get(sales, f"/api/{REDRIVES}", limit=2).data
    assert ([job["id"] for job in first["redrives"]], first["next_before"]) == ([ids[2], ids[1]], ids[1])
    second = get(sales, f"/api/{REDRIVES}", limit=2, before=first["next_before"]).data
    assert ([job["id"] for job in second["redrives"]], second["next_before"]) == ([ids[0]], None)
    for path in (f"{other}/", f"{2**70}/", f"{ids[2] + 1}/"):
        missing = sales.get(f"/api/{REDRIVES}{path}")
        assert (missing.status_code, missing.data["code"]) == (404, "redrive_not_found"), path
        assert post(sales, f"{REDRIVES}{path}cancel/", {}).status_code == 404
    assert selectors.describe_redrive(other)["state"] == "running"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"ids": []}, 400, "at least 1 elements."),
        ({"ids": [1] * 10_001}, 400, "no more than 10000 elements."),
        ({"rate_per_second": 0}, 400, "rate_per_second is 0.0; allowed are 0.01 to 1,000,000, or None."),
        ({"rate_per_second": "nan"}, 400, "A valid number is required."),
        ({"to": "nowhere"}, 404, "no queue nowhere"),
        ({"only_reason": "bad luck"}, 400, '"bad luck" is not a valid choice.'),
        ({"died_after": "2026-01-01"}, 400, "died_after is '2026-01-01'; it must be ISO 8601 with an offset"),
        ({"died_before": 7}, 400, "died_before is 7; it must be ISO 8601"),
        (
            {"text": "timeout"},
            400,
            "No such field; allowed are only_reason, only_text, died_after, died_before, ids, to",
        ),
        ({"only_text": "a\0"}, 400, "Null characters are not allowed."),
    ],
)
def test_a_redrive_that_is_wrong_is_named(sales: APIClient, body: dict[str, Any], status: int, said: str) -> None:
    refused = post(sales, REDRIVES, body)
    assert refused.status_code == status, refused.data
    assert said in str(refused.data.get("fields") or refused.data["message"])
    assert not Redrive.objects.exists()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"only_reason": "bad luck"}, "is not a valid choice."),
        ({"after": -1}, "greater than or equal to 0."),
        ({"after": 2**63}, "less than or equal to 9223372036854775807."),
        ({"limit": 101}, "less than or equal to 100."),
        ({"ids": 1}, "No such field; allowed are only_reason, only_text"),
    ],
)
def test_a_question_that_is_wrong_is_named(sales: APIClient, query: dict[str, Any], said: str) -> None:
    refused = get(sales, LETTERS, **query)
    assert (refused.status_code, said in str(refused.data["fields"])) == (400, True), refused.data


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("get", "dead-letters/", "handles"),
        ("get", "redrives/", "redrives"),
        ("post", "redrives/", "redrives"),
        ("get", "redrives/1/", "redrives"),
        ("post", "redrives/1/cancel/", "redrives"),
    ],
)
def test_only_the_owner_has_to_do_with_letters(sales: APIClient, method: str, path: str, verb: str) -> None:
    refused = getattr(client_of("web"), method)(f"/api/queues/bookings/{path}")
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    assert refused.data["message"] == f"Only sales {verb} bookings; you act for web."
    missing = getattr(sales, method)(f"/api/queues/nowhere/{path}")
    assert (missing.status_code, missing.data["code"]) == (404, "queue_not_found")
