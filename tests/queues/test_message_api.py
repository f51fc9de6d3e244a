"""Messages over REST, without receiving them: looked for, scheduled, cancelled, purged, and what became of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from mqsite.models import AuditEntry
from queues import selectors, services
from queues.models import Message
from queues.services import NewMessage
from tests.queues.conftest import sent_id, sent_ids
from tests.rest import client_of, found_ids, get, post, read_pages

pytestmark = pytest.mark.django_db

QUEUE = "/api/queues/bookings/"
MESSAGES = f"{QUEUE}messages/"


@pytest.fixture
def sales() -> APIClient:
    services.create_queue("bookings", owner="sales", backoff_seconds=0, outcome_seconds=60)
    return client_of("sales")


# Looked for


def test_a_message_is_looked_at_with_all_that_is_known_of_it(sales: APIClient) -> None:
    services.create_queue("lost", owner="sales")
    services.alter_queue("bookings", dead_letter_queue="lost", actor="ann")
    id_ = sent_id("bookings", b"\xff", headers=[("a", "1")], sender="web", priority=3, group_key="LH1")
    (ready,) = sales.get(MESSAGES).data["messages"]
    assert ready.pop("enqueued_at")
    assert ready == {
        "id": id_,
        "payload_base64": "/w==",
        "headers": [("a", "1")],
        "content_type": None,
        "group_key": "LH1",
        "priority": 3,
        "receives": 0,
        "sender": "web",
        "state": "ready",
        "due_at": None,
        "expires_at": None,
        "dedup_id": None,
        "reason": None,
        "error": None,
        "died_at": None,
        "died_receives": None,
        "source": None,
        "holder": None,
        "leased_until": None,
    }
    lease = services.receive("bookings", holder="importer", boundary="sales")
    assert lease is not None
    (leased,) = get(sales, MESSAGES, state="leased").data["messages"]
    assert (leased["holder"], leased["leased_until"], leased["receives"]) == ("importer", lease.expires_at, 1)
    services.reject(lease.token, [id_], queue="bookings", error="no seat")
    (letter,) = sales.get("/api/queues/lost/messages/").data["messages"]
    assert (letter["reason"], letter["error"], letter["died_receives"]) == ("rejected", "no seat", 1)
    assert (letter["source"], letter["state"]) == ("bookings", "ready")


def test_a_search_is_paged_in_the_order_of_the_queue(sales: APIClient) -> None:
    ids = sent_ids("bookings", [NewMessage(f"seat {n}", priority=n % 3 - 1) for n in range(7)])
    order = sorted(ids, key=lambda id_: (-((ids.index(id_)) % 3), id_))
    pages = read_pages(sales, MESSAGES, limit=3)
    assert (found_ids(pages), [page.data["scanned"] for page in pages]) == (order, [3, 3, 1])
    assert Message.objects.filter(receives=0).count() == 7


def test_a_search_by_text_and_key_says_how_much_it_scanned(sales: APIClient) -> None:
    ids = sent_ids("bookings", [NewMessage(f"seat {n}", group_key="ab"[n % 2]) for n in range(30)])
    page = get(sales, MESSAGES, text="seat 29", most_scanned=20).data
    assert (page["messages"], page["scanned"]) == ([], 20)
    rest = get(sales, MESSAGES, text="seat 29", after=page["next_after"]).data
    assert ([m["id"] for m in rest["messages"]], rest["scanned"], rest["next_after"]) == (ids[29:], 10, None)
    assert found_ids([get(sales, MESSAGES, group_key="a", text="seat 1")]) == ids[10:20:2]
    assert found_ids([get(sales, MESSAGES, text=" seat")]) == []


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("messages/", {"state": "staged"}, '"staged" is not a valid choice.'),
        ("messages/", {"limit": 101}, "less than or equal to 100."),
        ("messages/", {"most_scanned": 100_001}, "less than or equal to 100000."),
        ("messages/", {"after": "7"}, "Give next_after of the page before, such as 0:100."),
        ("messages/", {"after": "40000:7"}, "Give next_after of the page before"),
        ("messages/", {"after": f"0:{2**63}"}, "Give next_after of the page before"),
        ("messages/", {"text": "a\0"}, "Null characters are not allowed."),
        ("messages/", {"text": "a" * 1_001}, "no more than 1000 characters."),
        (
            "messages/",
            {"q": "a"},
            "No such field; allowed are state, text, group_key, json_path, after, limit, most_scanned.",
        ),
        ("scheduled/", {"after": "7"}, "after is ''; it must be ISO 8601 with an offset"),
        ("scheduled/", {"after": "2031-05-01T08:00:00Z"}, "such as 2031-05-01T08:00:00Z,100."),
        ("scheduled/", {"after": "2031-05-01T08:00:00,7"}, "it must be ISO 8601 with an offset"),
        ("scheduled/", {"limit": 1_001}, "less than or equal to 1000."),
        ("outcomes/", {}, "Ask by the id of a message or by a correlation_id."),
        ("outcomes/", {"id": 1, "correlation_id": "a"}, "Ask by the id of a message or by a correlation_id."),
        ("outcomes/", {"id": 2**63}, "less than or equal to 9223372036854775807."),
        ("outcomes/", {"id": 1, "limit": 0}, "greater than or equal to 1."),
    ],
)
def test_a_question_that_is_wrong_is_named(sales: APIClient, path: str, query: dict[str, Any], said: str) -> None:
    refused = sales.get(f"{QUEUE}{path}", query)
    assert refused.status_code == 400, refused.data
    assert said in str(refused.data.get("fields") or refused.data["message"])


def test_what_moves_on_between_the_search_and_the_look_is_left_out(
    sales: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sent_ids("bookings", [NewMessage(n) for n in range(2)])
    search_ids = selectors.search_ids

    def receive_meanwhile(*args: Any, **kwargs: Any) -> Any:
        found = search_ids(*args, **kwargs)
        services.receive("bookings", holder="w", boundary="sales", max_messages=1)
        return found

    monkeypatch.setattr(selectors, "search_ids", receive_meanwhile)
    assert found_ids([get(sales, MESSAGES)]) == ids[1:]


def test_a_page_whose_mark_has_moved_on_is_a_conflict(sales: APIClient) -> None:
    ids = sent_ids("bookings", [NewMessage(n, delay_seconds=60 + n) for n in range(3)])
    page = get(sales, MESSAGES, state="scheduled", limit=1).data
    services.cancel("bookings", ids[:1])
    gone = get(sales, MESSAGES, state="scheduled", after=page["next_after"])
    assert (gone.status_code, gone.data["code"]) == (409, "search_mark_gone")


# Scheduled, cancelled, purged


def test_what_is_scheduled_is_listed_and_cancelled(sales: APIClient) -> None:
    due = datetime(2131, 5, 1, 8, 0, 0, 123456, tzinfo=UTC)
    scheduled = [NewMessage(1, due_at=due), NewMessage(2, due_at=due, priority=2), NewMessage(3, delay_seconds=90)]
    later, same, soon = sent_ids("bookings", scheduled)
    pages = read_pages(sales, f"{QUEUE}scheduled/", limit=1)
    assert found_ids(pages) == [soon, later, same]
    assert pages[2].data["messages"] == [{"id": same, "due_at": due, "group_key": None, "priority": 2, "receives": 0}]
    ready = sent_id("bookings", "x")
    cancelled = post(sales, "queues/bookings/cancel/", {"ids": [soon, 999, ready], "reason": "sold out"})
    assert (cancelled.status_code, cancelled.data) == (200, {"cancelled": [soon, ready]})
    entry = AuditEntry.objects.get(action="cancel")
    assert (entry.actor, entry.subject, entry.reason) == ("sales", "bookings", "sold out")
    assert set(Message.objects.values_list("id", flat=True)) == {later, same}


def test_a_purge_takes_a_state_and_leaves_what_somebody_holds(sales: APIClient) -> None:
    sent_ids("bookings", [NewMessage(n) for n in range(5)])
    services.send("bookings", 1, delay_seconds=60)
    assert services.receive("bookings", holder="w", boundary="sales", max_messages=1) is not None
    assert post(sales, "queues/bookings/purge/", {"state": "ready", "most": 3}).data == {"purged": 3}
    assert post(sales, "queues/bookings/purge/", {"state": "ready", "reason": "test data"}).data == {"purged": 1}
    entry = AuditEntry.objects.filter(action="purge").latest("id")
    assert (entry.actor, entry.reason, entry.facts) == ("sales", "test data", {"state": "ready", "count": 1})
    assert post(sales, "queues/bookings/purge/", {"state": "all"}).data == {"purged": 1}
    assert sales.get(QUEUE).data["counts"]["leased"] == 1


@pytest.mark.django_db(transaction=True)
def test_ordered_messages_are_cancelled_and_purged_too() -> None:
    services.create_queue("trips", owner="sales", is_ordered=True)
    ids = sent_ids("trips", [NewMessage(n, group_key="a") for n in range(3)])
    sales = client_of("sales")
    assert post(sales, "queues/trips/cancel/", {"ids": ids[1:2]}).data == {"cancelled": ids[1:2]}
    assert post(sales, "queues/trips/purge/", {"state": "ready"}).data == {"purged": 2}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("cancel/", {}, "This field is required."),
        ("cancel/", {"ids": []}, "at least 1 elements."),
        ("cancel/", {"ids": [1] * 1_001}, "no more than 1000 elements."),
        ("purge/", {}, "This field is required."),
        ("purge/", {"state": "leased"}, '"leased" is not a valid choice.'),
        ("purge/", {"state": "all", "most": 100_001}, "less than or equal to 100000."),
    ],
)
def test_what_is_taken_away_wrongly_stays(sales: APIClient, path: str, body: dict[str, Any], said: str) -> None:
    services.send("bookings", 1)
    refused = post(sales, f"queues/bookings/{path}", body)
    assert (refused.status_code, said in str(refused.data["fields"])) == (400, True), refused.data
    assert Message.objects.count() == 1


# What became of them


def test_whoever_sent_a_command_may_ask_what_became_of_it(sales: APIClient) -> None:
    headers = [("correlation_id", "order-7")]
    acked, died = sent_ids("bookings", [NewMessage(n, headers=headers) for n in range(2)])
    lease = post(sales, "queues/bookings/leases/", {}).data["token"]
    post(sales, f"queues/bookings/leases/{lease}/ack/", {"ids": [acked]})
    post(sales, f"queues/bookings/leases/{lease}/reject/", {"ids": [died], "error": "no seat"})
    web = client_of("web")
    (told,) = get(web, f"{QUEUE}outcomes/", id=acked).data["outcomes"]
    assert told.pop("at")
    assert told == {
        "id": acked,
        "correlation_id": "order-7",
        "outcome": "acked",
        "by": "rest:sales",
        "receives": 1,
        "reason": "",
    }
    both = get(web, f"{QUEUE}outcomes/", correlation_id="order-7").data["outcomes"]
    assert [(o["id"], o["outcome"], o["reason"]) for o in both] == [(died, "died", "rejected"), (acked, "acked", "")]
    assert len(get(web, f"{QUEUE}outcomes/", correlation_id="order-7", limit=1).data["outcomes"]) == 1
    assert get(web, f"{QUEUE}outcomes/", id=999).data == {"outcomes": []}


# Who may


@pytest.mark.parametrize(
    ("method", "path", "body", "verb"),
    [
        ("get", "messages/", {}, "handles"),
        ("get", "scheduled/", {}, "handles"),
        ("post", "cancel/", {"ids": [1]}, "cancels messages of"),
        ("post", "purge/", {"state": "all"}, "purges"),
    ],
)
def test_only_the_owner_or_an_operator_looks_at_messages_and_takes_them_away(
    sales: APIClient, method: str, path: str, body: dict[str, Any], verb: str
) -> None:
    services.send("bookings", 1)
    refused = getattr(client_of("web"), method)(f"{QUEUE}{path}", body, format="json")
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    assert refused.data["message"] == f"Only sales {verb} bookings; you act for web."
    missing = getattr(sales, method)(f"/api/queues/nowhere/{path}", body, format="json")
    assert (missing.status_code, missing.data["code"]) == (404, "queue_not_found")
    assert Message.objects.count() == 1
    operator = APIClient()
    operator.force_authenticate(User.objects.create_superuser("ann"))
    assert getattr(operator, method)(f"{QUEUE}{path}", body, format="json").status_code == 200
    assert set(AuditEntry.objects.values_list("actor", flat=True)) <= {"ann"}


def test_outcomes_are_of_a_queue_that_is_there() -> None:
    assert client_of("web").get("/api/queues/nowhere/outcomes/", {"id": 1}).status_code == 404


def test_a_receive_answers_no_more_bytes_than_asked_for(sales: APIClient) -> None:
    post(sales, "queues/bookings/messages/", {"messages": [{"payload": "x" * 100}] * 3})
    assert len(post(sales, "queues/bookings/leases/", {"max_bytes": 250}).data["messages"]) == 2
    refused = post(sales, "queues/bookings/leases/", {"max_bytes": 0})
    assert refused.status_code == 400
    assert "max_bytes" in refused.data["fields"]
