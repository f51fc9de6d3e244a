"""The one exit: after the commit, consumers are woken and pages told, and neither can fail the sender."""

from typing import Any

import pytest
from django.db import transaction

from mqsite import hints, nudge
from queues import consumer, services, tasks
from queues.declarations import Queue
from queues.handlers import handle
from queues.models import Lease, Message
from queues.services import NewMessage
from tests.queues.conftest import Receive, sent_ids

pytestmark = pytest.mark.django_db(transaction=True)

Told = list[tuple[Any, ...]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Wake-ups as ("wake", queue), pushes as (event, queue, count, messages)."""
    heard: Told = []

    def push(half: str, name: str, event: str, *, count: int, messages: list[dict[str, Any]]) -> None:
        assert half == "queues"
        heard.append((event, name, count, messages))

    monkeypatch.setattr(hints, "push_live", push)
    monkeypatch.setattr(nudge, "wake", lambda task, *target: heard.append(("wake", *target)))
    return heard


@pytest.fixture
def served(bookings: Queue) -> Queue:
    handle(bookings)(lambda message: None)
    return bookings


def events(told: Told) -> list[str]:
    return [fact[0] for fact in told]


def test_a_send_wakes_and_is_pushed_with_the_commit(served: Queue, told: Told) -> None:
    with transaction.atomic():
        first, second = sent_ids(served, [NewMessage(1, group_key="lh1"), NewMessage(2)])
        assert told == []
    named = [{"id": first, "label": "lh1"}, {"id": second, "label": str(second)}]
    assert told == [("wake", "bookings"), ("sent", "bookings", 2, named)]


def test_a_rolled_back_send_says_nothing(served: Queue, told: Told) -> None:
    with transaction.atomic():
        services.send(served, 1)
        transaction.set_rollback(True)
    assert told == []


def test_a_delayed_send_wakes_nobody(served: Queue, told: Told) -> None:
    services.send(served, 1, delay_seconds=60)
    assert events(told) == ["sent"]
    Message.objects.update(due_at="2000-01-01T00:00Z")
    services.promote()
    assert events(told) == ["sent", "wake", "returned"]


def test_only_a_queue_handled_here_is_woken(bookings: Queue, told: Told) -> None:
    services.send(bookings, 1)
    assert events(told) == ["sent"]


def test_each_turn_of_a_message_is_pushed(served: Queue, receive: Receive, told: Told) -> None:
    ids = sent_ids(served, [NewMessage(n) for n in range(4)])
    lease = receive(10)
    told.clear()
    services.ack(lease.token, ids[:1], queue=served)
    services.nack(lease.token, ids[1:2], queue=served, delay_seconds=9)
    services.reject(lease.token, ids[2:3], queue=served)
    services.give_back(lease.token, ids[3:], queue=served)
    services.redrive(served, actor="ann")
    assert events(told) == ["acked", "returned", "dead", "wake", "returned", "wake", "returned"]
    told.clear()
    receive(10)
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    services.reap()
    assert events(told) == ["received", "wake", "returned"]


def test_a_full_receive_calls_the_next_worker(served: Queue, receive: Receive, told: Told) -> None:
    services.send_many(served, [NewMessage(n) for n in range(5)])
    told.clear()
    receive(3)
    receive(3)
    assert events(told) == ["wake", "received", "received"]


def test_what_was_lost_is_not_pushed(served: Queue, receive: Receive, told: Told) -> None:
    services.send(served, 1)
    lease = receive()
    services.ack(lease.token, [lease.messages[0].id], queue=served)
    told.clear()
    services.ack(lease.token, [lease.messages[0].id], queue=served)
    assert told == []


def test_many_messages_are_counted_and_few_named(served: Queue, told: Told) -> None:
    services.send_many(served, [NewMessage(n) for n in range(100)])
    _, _, count, named = told[-1]
    assert (count, len(named)) == (100, 24)


def test_a_failing_receiver_does_not_fail_the_sender(served: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no Valkey")

    monkeypatch.setattr(hints, "push_live", fail)
    services.send(served, 1)
    assert Message.objects.count() == 1


def test_who_was_woken_finishes_the_queue(served: Queue) -> None:
    services.send(served, 1)
    assert not tasks.consume("bookings")
    assert Message.objects.count() == 0


def test_who_ran_out_of_time_says_that_there_is_more(served: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    services.send(served, 1)
    monkeypatch.setattr(consumer, "DRAIN_SECONDS", -1.0)
    assert tasks.consume("bookings")


def test_beat_reaps_and_promotes(served: Queue, receive: Receive) -> None:
    services.send(served, 1)
    receive()
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    services.send(served, 2, delay_seconds=60)
    Message.objects.filter(state=2).update(due_at="2000-01-01T00:00Z")
    tasks.sweep()
    assert set(Message.objects.values_list("state", flat=True)) == {Message.State.READY}
