"""Scans begin at a floor, which is a hint: what appears below it is found, and no queue is empty without a look."""

from typing import Any

import pytest
from django.db import connection, transaction

from queues import floors, selectors, services, store
from queues.declarations import Queue
from queues.services import NewMessage
from tests.concurrency import elsewhere, held_open, in_thread
from tests.queues.conftest import Receive, sent_id, sent_ids
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every sender were another process."""
    monkeypatch.setattr(floors, "lower_to", lambda *_, **__: None)


@pytest.fixture
def no_timed_rescans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "is_rescan_due", lambda *_, **__: False)


def received(receive: Receive, count: int) -> list[int]:
    return [m.id for m in receive(count).messages]


def floor_of(priority: int = 0) -> int:
    ranges = floors.read(selectors.locate_queue("bookings").queue_id, using="default")
    return dict(zip(ranges.lows, ranges.floors, strict=True)).get(priority, -1)


def test_a_receive_raises_the_floor_behind_what_it_took(bookings: Queue, receive: Receive) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(5)])
    assert received(receive, 3) == ids[:3]
    assert floor_of() == ids[2] + 1
    assert received(receive, 3) == ids[3:]


def test_what_commits_below_the_floor_is_found_at_once_where_nothing_else_is(
    bookings: Queue, receive: Receive, no_hints: None, no_timed_rescans: None
) -> None:
    with held_open(lambda: services.send(bookings, "slow")) as commit:
        ids = sent_ids(bookings, [NewMessage("fast")])
        assert received(receive, 9) == ids
        commit()
    assert floor_of() > ids[0]
    assert receive(9).messages[0].text == "slow"


def test_what_commits_below_the_floor_of_a_busy_queue_is_found_by_the_rescan(
    bookings: Queue, receive: Receive, no_hints: None
) -> None:
    with held_open(lambda: services.send(bookings, "slow")) as commit:
        services.send_many(bookings, [NewMessage(n) for n in range(1_000)])
        received(receive, 1)
        received(receive, 1)
        commit()
    wait_until(lambda: receive(1).messages[0].text == "slow", seconds=5)


def test_a_message_this_process_sends_lowers_the_floor(
    bookings: Queue, receive: Receive, no_timed_rescans: None
) -> None:
    slow: list[int] = []
    with held_open(lambda: slow.append(sent_id(bookings, "slow"))) as commit:
        sent_ids(bookings, [NewMessage(n) for n in range(3)])
        received(receive, 1)
        assert floor_of() > slow[0]
        commit()
    assert received(receive, 1) == slow


def test_a_higher_priority_of_another_process_comes_first_at_once(
    bookings: Queue, receive: Receive, no_hints: None, no_timed_rescans: None
) -> None:
    services.send_many(bookings, [NewMessage(n, priority=p) for n in range(3) for p in (0, 5)])
    assert receive(1).messages[0].priority == 5
    above, between, below = sent_ids(bookings, [NewMessage(1, priority=p) for p in (9, 3, -2)])
    assert received(receive, 1) == [above]
    received(receive, 2)
    assert received(receive, 1) == [between]
    received(receive, 3)
    assert received(receive, 1) == [below]


def test_a_claim_that_is_rolled_back_is_found_again(bookings: Queue, receive: Receive, no_timed_rescans: None) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(4)])
    with transaction.atomic():
        received(receive, 2)
        transaction.set_rollback(True)
    assert received(receive, 4) == ids


def test_what_is_given_back_is_the_next_one_again(bookings: Queue, receive: Receive, no_timed_rescans: None) -> None:
    first, _ = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    assert floors.rescan(selectors.locate_queue("bookings").queue_id, using="default")
    lease = receive(1)
    assert floor_of() > first
    services.give_back(lease.token, [first], queue=bookings)
    assert received(receive, 1) == [first]


def test_rescans_take_no_more_than_a_twentieth_of_the_time(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("queues.floors.time.monotonic", lambda: clock[0])

    def look_slowly(*_: Any, **__: Any) -> tuple[int, list[Any]]:
        clock[0] += 2.0
        return 0, []

    monkeypatch.setattr(store, "heads", look_slowly)
    queue_id = selectors.locate_queue("bookings").queue_id
    floors.rescan(queue_id, using="default")
    clock[0] += 39.0
    assert not floors.is_rescan_due(queue_id, using="default")
    clock[0] += 2.0
    assert floors.is_rescan_due(queue_id, using="default")


def test_claims_and_acks_wait_for_no_disk_and_a_callers_transaction_does(bookings: Queue) -> None:
    services.send_many(bookings, [NewMessage(n) for n in range(20)])
    unflushed = []
    for _ in range(10):
        lease = services.receive(bookings, holder="a", max_messages=2)
        assert lease is not None
        services.ack(lease.token, [m.id for m in lease.messages], queue=bookings)
        unflushed.append(ask("SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"))
    assert any(unflushed)
    services.send(bookings, 1)
    with transaction.atomic():
        lease = services.receive(bookings, holder="a")
        assert lease is not None
        services.extend(lease.token, [m.id for m in lease.messages], queue=bookings)
        services.ack(lease.token, [m.id for m in lease.messages], queue=bookings)
        assert ask("SELECT current_setting('synchronous_commit')") == "on"


def ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_a_deleted_or_altered_queue_is_noticed_by_who_remembers_it(bookings: Queue, receive: Receive) -> None:
    services.send(bookings, 1)
    received(receive, 1)
    elsewhere(lambda: services.pause_queue("bookings", actor="ann"))
    services.send(bookings, 2)
    assert services.receive(bookings, holder="a") is None
    resumed = in_thread(lambda: services.resume_queue("bookings", actor="ann"))
    resumed.result(timeout=10)
    assert receive(1).messages[0].text == "2"
