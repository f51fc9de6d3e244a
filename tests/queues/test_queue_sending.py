"""Sending: due times, times to live, deduplication ids; and taking it back."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from logs import services as logs
from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from queues import selectors, services
from queues.declarations import Queue
from queues.models import Dedup, Lease, Message
from queues.services import NewMessage, Sent
from tests.concurrency import all_at_once, elsewhere, held_open, in_thread
from tests.queues.conftest import Receive, sent_id, sent_ids
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

FAR = datetime(2199, 1, 1, tzinfo=UTC)


def texts(state: Message.State = Message.State.READY) -> list[str]:
    return [bytes(m.payload).decode() for m in Message.objects.filter(state=state).order_by("position")]


def test_a_due_time_may_lie_at_any_distance_and_needs_its_time_zone(bookings: Queue) -> None:
    later = sent_id(bookings, "in 2199", due_at=FAR)
    past = sent_id(bookings, "overdue", due_at=datetime(2001, 1, 1, tzinfo=UTC))
    assert dict(Message.objects.values_list("id", "state")) == {later: 2, past: 0}
    with pytest.raises(Invalid, match="with its time zone"):
        services.send(bookings, 1, due_at=datetime(2199, 1, 1))  # noqa: DTZ001
    with pytest.raises(Invalid, match="not both"):
        services.send(bookings, 1, due_at=FAR, delay_seconds=1)


def test_scheduled_messages_are_listed_page_by_page_and_cancelled(bookings: Queue) -> None:
    same = [NewMessage(n, due_at=FAR, priority=3) for n in range(3)]
    ids = sent_ids(bookings, [*same, NewMessage("sooner", delay_seconds=60, group_key="lh1")])
    first = selectors.list_scheduled("bookings", limit=2)
    assert [(s.id, s.group_key, s.priority) for s in first] == [(ids[3], "lh1", 0), (ids[0], None, 3)]
    second = selectors.list_scheduled("bookings", after=first[-1], limit=9)
    assert [(s.id, s.due_at) for s in second] == [(ids[1], FAR), (ids[2], FAR)]
    assert services.cancel(bookings, [ids[1], 999, ids[1]]) == [ids[1]]
    assert services.cancel(bookings, [ids[1]], actor="ann", reason="too late") == []
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason, entry.facts["count"]) == ("cancel", "ann", "too late", 0)
    assert [s.id for s in selectors.list_scheduled("bookings")] == [ids[3], ids[0], ids[2]]


def test_what_is_received_or_dead_or_of_another_queue_is_not_cancelled(bookings: Queue, receive: Receive) -> None:
    services.create_queue("other", owner="sales")
    theirs = sent_id("other", 1)
    leased, dead, ready = sent_ids(bookings, [NewMessage(n) for n in range(3)])
    lease = receive(2)
    services.reject(lease.token, [dead], queue=bookings)
    assert services.cancel(bookings, [theirs, leased, dead, ready]) == [ready]
    assert services.ack(lease.token, [leased], queue=bookings) == []


def test_a_message_that_somebody_is_just_taking_is_not_waited_for(bookings: Queue, receive: Receive) -> None:
    taken, ready = sent_ids(bookings, [NewMessage(1), NewMessage(2)])
    with held_open(lambda: receive(1)) as commit:
        assert elsewhere(lambda: services.cancel(bookings, [taken, ready])) == [ready]
        commit()


def test_purges_take_a_state_in_batches_and_leave_what_is_held(
    bookings: Queue, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queues.services.removing.PURGE_BATCH", 2)
    services.send_many(bookings, [NewMessage(n) for n in range(7)])
    services.send_many(bookings, [NewMessage(n, delay_seconds=60) for n in range(3)])
    held = receive(1)
    rejected = receive(1)
    services.reject(rejected.token, [m.id for m in rejected.messages], queue=bookings)
    assert services.purge(bookings, state="ready", most=3, actor="ann") == 3
    assert services.purge(bookings, state="scheduled", actor="ann", reason="wrong import") == 3
    assert services.purge(bookings, state="dead", actor="ann") == 1
    assert services.purge(bookings, state="all", actor="ann") == 2
    assert list(Message.objects.values_list("id", flat=True)) == [held.messages[0].id]
    entry = AuditEntry.objects.get(reason="wrong import")
    assert (entry.action, entry.facts) == ("purge", {"state": "scheduled", "count": 3})
    with pytest.raises(Invalid, match="state is 'leased'; allowed are ready, scheduled, dead, all"):
        services.purge(bookings, state="leased", actor="ann")


def test_what_outlived_its_time_is_never_given_out_and_dies_as_expired(bookings: Queue, receive: Receive) -> None:
    services.alter_queue("bookings", message_ttl_seconds=3_600, actor="ann")
    short, default, waits = sent_ids(
        bookings, [NewMessage("short", ttl_seconds=60), NewMessage("default"), NewMessage("waits", delay_seconds=7_200)]
    )
    ends: dict[int, Any] = dict(Message.objects.values_list("id", "expires_at"))
    assert ends[default] - ends[short] == timedelta(seconds=3_540)
    assert ends[waits] - ends[default] == timedelta(seconds=7_200), "it counts from when it may be received"
    Message.objects.filter(id=short).update(expires_at="2000-01-01T00:00Z")
    assert [m.id for m in receive().messages] == [default]
    assert services.expire() == 1
    dead = Message.objects.get(id=short)
    assert (dead.state, dead.reason, dead.receives) == (Message.State.DEAD, "expired", 0)
    Message.objects.filter(id=default).update(expires_at="2000-01-01T00:00Z")
    assert services.expire() == 0, "whoever holds it may finish"


def test_a_duplicate_within_the_window_gets_the_originals_id(bookings: Queue) -> None:
    first = services.send(bookings, "a", dedup_id="order-1")
    assert services.send(bookings, "b", dedup_id="order-1") == Sent(first.id, duplicate=True)
    many = services.send_many(
        bookings,
        [
            NewMessage("c", dedup_id="x"),
            NewMessage("d"),
            NewMessage("e", dedup_id="x"),
            NewMessage(dedup_id="order-1", payload=1),
        ],
    )
    assert [s.duplicate for s in many] == [False, False, True, True]
    assert (many[2].id, many[3].id) == (many[0].id, first.id)
    assert texts() == ["a", "c", "d"]


def test_an_id_is_remembered_when_its_message_is_gone_and_forgotten_after_the_window(
    bookings: Queue, receive: Receive
) -> None:
    first = services.send(bookings, "a", dedup_id="1")
    services.ack(receive().token, [first.id], queue=bookings)
    assert services.send(bookings, "b", dedup_id="1") == Sent(first.id, duplicate=True)
    Dedup.objects.update(expires_at="2000-01-01T00:00Z")
    again = services.send(bookings, "c", dedup_id="1")
    assert not again.duplicate
    assert again.id != first.id
    services.send(bookings, "d", dedup_id="2")
    Dedup.objects.filter(dedup_id="1").update(expires_at="2000-01-01T00:00Z")
    assert (services.forget_dedup(), Dedup.objects.get().dedup_id) == (1, "2")


def test_an_id_is_of_its_queue(bookings: Queue) -> None:
    services.create_queue("other", owner="sales")
    assert not services.send(bookings, 1, dedup_id="1").duplicate
    assert not services.send("other", 1, dedup_id="1").duplicate


def test_inside_a_transaction_known_duplicates_are_told_and_the_rest_appears_with_the_commit(bookings: Queue) -> None:
    before = services.send(bookings, "before", dedup_id="0")
    with transaction.atomic():
        assert services.send(bookings, "x", dedup_id="0") == Sent(before.id, duplicate=True)
        mine = services.send(bookings, "mine", dedup_id="1", delay_seconds=60)
        assert services.send(bookings, "again", dedup_id="1") == Sent(mine.id, duplicate=True)
        services.send(bookings, "two", dedup_id="2")
        assert elsewhere(lambda: texts()) == ["before"]
    assert texts() == ["before", "two"]
    assert texts(Message.State.SCHEDULED) == ["mine"]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.send(bookings, "never", dedup_id="3")
        _ = 1 / 0
    assert not services.send(bookings, "three", dedup_id="3").duplicate


def test_what_a_savepoint_took_back_is_not_sent(bookings: Queue) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            services.send(bookings, "no", dedup_id="1")
            _ = 1 / 0
        assert not services.send(bookings, "yes", dedup_id="1").duplicate
    assert texts() == ["yes"]


def test_concurrent_senders_of_one_id_wait_for_each_other_and_one_is_stored(bookings: Queue) -> None:
    sent = all_at_once([lambda n=n: services.send(bookings, n, dedup_id="same") for n in range(8)])  # type: ignore[misc]
    assert sorted(s.duplicate for s in sent) == [False] + [True] * 7
    assert len({s.id for s in sent}) == 1
    assert Message.objects.count() == 1


def test_of_two_open_transactions_the_first_to_commit_sends_and_nobody_waits_before(bookings: Queue) -> None:
    with held_open(lambda: services.send(bookings, "slow", dedup_id="1")) as commit:
        assert not elsewhere(lambda: services.send(bookings, "fast", dedup_id="1")).duplicate
        commit()
    assert texts() == ["fast"]
    assert Message.objects.count() == 1


def test_ids_in_opposite_orders_never_deadlock(bookings: Queue) -> None:
    """Two transactions a round that have sent both ids before either commits."""

    def send_all(ids: list[str], barrier: threading.Barrier) -> None:
        with transaction.atomic():
            for id_ in ids:
                services.send(bookings, id_, dedup_id=id_)
            barrier.wait(timeout=10)

    for n in range(10):
        barrier = threading.Barrier(4)
        ids = [f"{n}-a", f"{n}-b", f"{n}-c"]
        orders = [ids, ids[::-1], [ids[1], ids[0], ids[2]], ids[::-1]]
        all_at_once([partial(send_all, order, barrier) for order in orders], seconds=20)
    assert sorted(texts()) == sorted(f"{n}-{x}" for n in range(10) for x in "abc")


def test_publishing_and_sending_in_opposite_orders_never_deadlock(bookings: Queue) -> None:
    logs.create_topic("orders", owner="shop")

    def both(publish_first: bool, id_: str, barrier: threading.Barrier) -> None:
        with transaction.atomic():
            works: list[Callable[[], object]] = [
                lambda: logs.publish("orders", 1, boundary="shop"),
                lambda: services.send(bookings, 1, dedup_id=id_),
            ]
            for work in works if publish_first else works[::-1]:
                work()
            barrier.wait(timeout=10)

    for n in range(10):
        barrier = threading.Barrier(4)
        all_at_once([partial(both, first, str(n), barrier) for first in (True, False, True, False)], seconds=20)
    assert Message.objects.count() == 10


def test_a_plain_send_in_an_open_transaction_holds_up_nobody(bookings: Queue) -> None:
    with held_open(lambda: services.send(bookings, 1, dedup_id="1")) as commit:
        elsewhere(lambda: services.send(bookings, 2, dedup_id="2"))
        elsewhere(lambda: services.alter_queue("bookings", max_receives=2, actor="ann"))
        deletion = in_thread(lambda: services.delete_queue("bookings", actor="ann"))
        wait_until(lambda: not deletion.done())
        commit()
    deletion.result(timeout=10)
    assert (Message.objects.count(), Dedup.objects.count(), Lease.objects.count()) == (0, 0, 0)


def test_an_id_that_another_has_committed_meanwhile_is_still_one_message_of_the_batch(bookings: Queue) -> None:
    """The transaction has sent it as well: both are known, the one that is committed counts."""
    with transaction.atomic():
        sent_id(bookings, "mine", dedup_id="a")
        first = elsewhere(lambda: sent_id(bookings, "theirs", dedup_id="a"))
        batch = [NewMessage("mine", dedup_id="a"), NewMessage("z", dedup_id="z"), NewMessage("y", dedup_id="z")]
        again, fresh, duplicate = services.send_many(bookings, batch)
    assert again == (first, True)
    assert duplicate == (fresh.id, True)
    assert {m.id: bytes(m.payload) for m in Message.objects.all()} == {first: b"theirs", fresh.id: b"z"}


def test_what_is_sent_after_the_constraints_were_checked_is_placed_as_well(bookings: Queue) -> None:
    """Django checks them within a transaction where fixtures are loaded, and so may anybody."""
    with transaction.atomic():
        sent_id(bookings, "a", dedup_id="a")
        sent_id(bookings, "b", dedup_id="b")
        connection.check_constraints()
        sent_id(bookings, "c", dedup_id="c")
    assert texts() == ["a", "b", "c"]
