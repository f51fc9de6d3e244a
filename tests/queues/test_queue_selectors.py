"""What the pages ask: counts with a limit, cards with a limit, few statements."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mqsite import sql
from queues import selectors, services
from queues.declarations import Queue
from queues.models import Message
from queues.services import NewMessage
from tests.queues.conftest import Receive, sent_id, sent_ids

pytestmark = pytest.mark.django_db


def test_a_queue_is_described_by_state(bookings: Queue, receive: Receive) -> None:
    dead, leased, ready = sent_ids(
        bookings, [NewMessage(1), NewMessage(2, group_key="lh1"), NewMessage(3, group_key="lh2")]
    )
    scheduled = sent_id(bookings, 4, delay_seconds=60)
    services.reject(receive(1).token, [dead], queue=bookings, error="no seat")
    receive(1, holder="host:1:0a1b2c3d")
    queue = selectors.describe_queue("bookings")
    cards = queue.pop("cards")
    assert queue.pop("oldest_ready_seconds") >= 0
    assert queue == {
        "name": "bookings",
        "owner": "sales",
        "description": "",
        "lease_seconds": 30,
        "max_receives": 3,
        "is_ordered": False,
        "paused": False,
        "pause": None,
        "counts": {"scheduled": 1, "ready": 1, "waiting": 0, "leased": 1, "dead": 1},
        "count_limit": 10_000,
    }
    (waits,), (stands,), (held,), (lies,) = (cards[state] for state in ("scheduled", "ready", "leased", "dead"))
    assert (waits["id"], waits["label"]) == (scheduled, str(scheduled))
    assert 50 < waits["due_in"] <= 60
    assert (stands["id"], stands["label"], stands["receives"]) == (ready, "lh2", 0)
    assert 0 <= stands["age"] < 60
    assert (held["id"], held["label"], held["worker"], held["receives"]) == (leased, "lh1", "host:1:0a1b2c3d", 1)
    assert 20 < held["lease_left"] <= 30
    assert (lies["id"], lies["reason"], lies["detail"], lies["receives"]) == (dead, "rejected", "no seat", 1)
    assert lies["died_at"].endswith("+00:00")


def test_cards_are_few_and_the_oldest_first(bookings: Queue, receive: Receive) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(60)])
    lease = receive(30)
    services.reject(lease.token, ids[:1], queue=bookings)
    services.reject(lease.token, ids[1:30], queue=bookings, error="x" * 5_000)
    cards = selectors.describe_queue("bookings")["cards"]
    assert [card["id"] for card in cards["ready"]] == ids[30:54]
    assert len(cards["dead"]) == 24
    assert [card["id"] for card in cards["dead"][:2]] == ids[:2]
    assert len(cards["dead"][1]["detail"]) == selectors.SHOWN_DETAIL_CHARACTERS


def test_counts_stop_at_the_limit(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "COUNT_LIMIT", 5)
    services.send_many(bookings, [NewMessage(n) for n in range(9)])
    assert selectors.count_messages(["bookings"])["bookings"]["ready"] == 5


def test_the_oldest_waits_in_any_priority_and_since_it_may_be_received(bookings: Queue, receive: Receive) -> None:
    low = sent_id(bookings, "low", priority=-3)
    services.send(bookings, "high", priority=3)
    Message.objects.filter(id=low).update(enqueued_at="2000-01-01T00:00Z")
    decades = 20 * 365 * 86_400
    assert selectors.describe_queue("bookings")["oldest_ready_seconds"] > decades
    lease = receive()
    services.nack(lease.token, [m.id for m in lease.messages], queue=bookings)
    assert selectors.describe_queue("bookings")["oldest_ready_seconds"] < 60, "it came back just now"
    Message.objects.all().delete()
    assert selectors.describe_queue("bookings")["oldest_ready_seconds"] is None


def test_a_delayed_message_is_late_from_when_it_was_due(bookings: Queue) -> None:
    services.send(bookings, "later", delay_seconds=3_600)
    Message.objects.update(enqueued_at="2000-01-01T00:00Z", due_at="2000-01-01T01:00Z")
    services.promote()
    age = selectors.describe_queue("bookings")["cards"]["ready"][0]["age"]
    Message.objects.update(due_at=None)
    since_sent = selectors.describe_queue("bookings")["cards"]["ready"][0]["age"]
    assert since_sent - age == pytest.approx(3_600, abs=60)


def test_the_overview_ranks_by_whole_minutes_of_waiting_then_by_name(bookings: Queue) -> None:
    for name in ("alpha", "late", "zulu"):
        services.create_queue(name, owner="sales")
        services.send(name, 1)
    Message.objects.filter(queue__name="late").update(enqueued_at="2000-01-01T00:00Z")
    names = [queue["name"] for queue in selectors.overview()]
    assert [name for name in names if name != "rebooking"] == ["late", "alpha", "bookings", "zulu"]
    assert [queue["name"] for queue in selectors.overview(limit=1)] == ["late"]


def test_the_overview_takes_as_many_statements_for_many_queues_as_for_one(
    bookings: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    run = sql.fetch_all

    def count(using: str, text: str, *args: Any, **kwargs: Any) -> Any:
        statements.append(text)
        return run(using, text, *args, **kwargs)

    monkeypatch.setattr("queues.store.running.fetch_all", count)
    for n in range(9):
        services.create_queue(f"queue-{n}", owner="sales")
    with CaptureQueriesContext(connection) as orm:
        selectors.overview()
    assert (len(statements), len(orm)) == (2, 1)


def test_who_paused_a_queue_and_why_is_told(bookings: Queue) -> None:
    services.pause_queue("bookings", actor="ann", reason="down")
    pause = selectors.describe_queue("bookings")["pause"]
    assert (pause["by"], pause["reason"]) == ("ann", "down")
    assert pause["at"].endswith("+00:00")


@pytest.mark.django_db(transaction=True)
def test_what_waits_behind_a_head_is_told(registries: None) -> None:
    services.create_queue("ledger", owner="sales", is_ordered=True)
    ids = sent_ids("ledger", [NewMessage(n, group_key="a") for n in range(3)])
    waiting = selectors.describe_queue("ledger")["cards"]["waiting"]
    assert [(card["id"], card["label"], card["receives"]) for card in waiting] == [(id_, "a", 0) for id_ in ids[1:]]
