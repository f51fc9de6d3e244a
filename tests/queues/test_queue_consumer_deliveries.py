"""The three deliveries, batches, async handlers and retries of a queue's handler."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from mqsite import calling, workers
from mqsite.errors import NotFound
from mqsite.models import AuditEntry
from mqsite.retry import Reject, Retry, RetryIn
from queues import consumer, services
from queues.declarations import Queue
from queues.handlers import handle, handled
from queues.models import Lease, Message
from queues.services import NewMessage
from tests.concurrency import elsewhere
from tests.queues.conftest import sent_ids

pytestmark = pytest.mark.django_db(transaction=True)

Got = services.Message


def send(count: int) -> list[int]:
    return sent_ids("bookings", [NewMessage(n) for n in range(count)])


def drain() -> bool:
    return consumer.drain("bookings", stop=lambda: False)


def write(*messages: Got) -> None:
    for message in messages:
        AuditEntry.objects.create(actor="handler", action=message.text or "", subject="")


def written() -> list[int]:
    entries = AuditEntry.objects.filter(actor="handler").order_by("id")
    return [int(action) for action in entries.values_list("action", flat=True)]


def standing() -> list[tuple[int, str, str | None]]:
    """What is left: payload, state, why."""
    rows = Message.objects.order_by("id")
    return [(int(bytes(m.payload)), Message.State(m.state).name, m.reason) for m in rows]


def test_messages_share_one_savepoint_and_a_failure_undoes_its_own_writes_only(bookings: Queue) -> None:
    def fail_on_two(message: Got) -> None:
        write(message)
        if message.json() == 2:
            raise ValueError("no")

    services.alter_queue("bookings", backoff_seconds=60, actor="ann")
    handle(bookings)(fail_on_two)
    send(5)
    drain()
    assert written() == [0, 1, 3, 4]
    assert standing() == [(2, "SCHEDULED", "retry")]


def catch_a_database_error() -> None:
    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def ask_for_a_rollback() -> None:
    transaction.set_rollback(True)


@pytest.mark.parametrize("spoil", [catch_a_database_error, ask_for_a_rollback])
@pytest.mark.parametrize("count", [1, 3])
def test_a_handler_that_spoils_the_transaction_and_returns_has_failed(
    bookings: Queue, spoil: Callable[[], None], count: int
) -> None:
    def spoil_at_zero(message: Got) -> None:
        write(message)
        if message.json() == 0:
            spoil()

    services.alter_queue("bookings", backoff_seconds=60, actor="ann")
    handle(bookings)(spoil_at_zero)
    send(count)
    drain()
    assert written() == list(range(1, count))
    assert standing() == [(0, "SCHEDULED", "retry")]


@pytest.mark.parametrize("count", [1, 3])
def test_what_a_failed_handler_wanted_after_the_commit_does_not_happen(bookings: Queue, count: int) -> None:
    after: list[int] = []

    def fail_on_zero(message: Got) -> None:
        transaction.on_commit(lambda: after.append(message.json()))
        if message.json() == 0:
            raise ValueError("no")

    services.alter_queue("bookings", backoff_seconds=60, actor="ann")
    handle(bookings)(fail_on_zero)
    send(count)
    drain()
    assert after == list(range(1, count))


def test_at_most_once_the_message_is_gone_before_the_handler_runs_and_a_failure_is_passed(bookings: Queue) -> None:
    seen: list[tuple[int, int]] = []

    def fail_on_one(message: Got) -> None:
        seen.append((message.json(), elsewhere(Message.objects.count)))
        if message.json() == 1:
            raise ValueError("no")

    handle(bookings, delivery="at_most_once")(fail_on_one)
    send(3)
    assert drain() is False
    assert seen == [(0, 2), (1, 1), (2, 0)]


def test_at_most_once_a_batch_goes_as_a_whole(bookings: Queue) -> None:
    sizes: list[tuple[int, int]] = []
    handle(bookings, delivery="at_most_once", batch=2)(
        lambda messages: sizes.append((len(messages), elsewhere(Message.objects.count)))
    )
    send(3)
    drain()
    assert sizes == [(2, 1), (1, 0)]


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once"])
def test_poison_in_a_batch_is_found_by_halving_and_its_neighbours_are_handled(bookings: Queue, delivery: str) -> None:
    sizes: list[int] = []

    def fail_on_five(messages: list[Got]) -> None:
        sizes.append(len(messages))
        if any(message.json() == 5 for message in messages):
            raise Reject("no such seat")
        write(*messages)

    handle(bookings, batch=8, delivery=delivery)(fail_on_five)
    send(10)
    drain()
    assert sorted(written()) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert standing() == [(5, "DEAD", "rejected")]
    assert sizes[:6] == [8, 4, 4, 2, 1, 1]
    assert Lease.objects.count() == 0


def test_a_batch_is_as_large_as_asked_for(bookings: Queue) -> None:
    sizes: list[int] = []
    handle(bookings, batch=True)(lambda messages: sizes.append(len(messages)))
    send(1_200)
    drain()
    assert sizes == [1_000, 200]


@pytest.mark.parametrize("batch", [False, 4])
def test_what_an_async_handler_wrote_is_undone_with_its_message(bookings: Queue, batch: bool | int) -> None:
    async def fail_on_two(got: Any) -> None:
        for message in got if batch else [got]:
            await AuditEntry.objects.acreate(actor="handler", action=message.text, subject="")
            if message.json() == 2:
                raise Reject

    handle(bookings, batch=batch)(fail_on_two)
    send(4)
    drain()
    assert written() == [0, 1, 3]
    assert standing() == [(2, "DEAD", "rejected")]


FATES: list[tuple[Exception, Retry | None, tuple[str, str]]] = [
    (RetryIn(3_600), None, ("SCHEDULED", "retry")),
    (Reject("no"), None, ("DEAD", "rejected")),
    (NotFound(what="It"), None, ("DEAD", "rejected")),
    (ValueError(), Retry(permanent=(ValueError,)), ("DEAD", "rejected")),
    (ValueError(), Retry(attempts=1), ("DEAD", "max_receives")),
    (ValueError(), Retry(initial_seconds=3_600, max_seconds=3_600), ("SCHEDULED", "retry")),
]


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once"])
def test_the_handler_and_its_policy_say_what_becomes_of_a_message(bookings: Queue, delivery: str) -> None:
    for error, retry, left in FATES:

        def fail(message: Got, error: Exception = error) -> None:
            raise error

        handled._entries.clear()
        handle(bookings, delivery=delivery, retry=retry)(fail)
        send(1)
        drain()
        assert standing() == [(0, *left)], (error, retry)
        Message.objects.all().delete()


def test_a_handlers_attempts_stand_in_place_of_the_queues_receives(bookings: Queue) -> None:
    """The queue allows three."""
    calls: list[int] = []

    def fail(message: Got) -> None:
        calls.append(message.receives)
        raise ValueError

    handle(bookings, retry=Retry(attempts=4, initial_seconds=0))(fail)
    send(1)
    drain()
    assert calls == [1, 2, 3, 4]
    assert standing() == [(0, "DEAD", "max_receives")]


def test_at_least_once_what_was_done_is_acknowledged_together(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    handle(bookings, delivery="at_least_once")(lambda message: left.append(elsewhere(Message.objects.count)))
    monkeypatch.setattr(calling, "SETTLE_SECONDS", 60.0)
    send(3)
    drain()
    monkeypatch.setattr(calling, "SETTLE_SECONDS", 0.0)
    send(3)
    drain()
    assert left == [3, 3, 3, 3, 2, 1]


def test_a_handler_extends_its_lease(bookings: Queue) -> None:
    seconds: list[float] = []

    def work_long(message: Got) -> None:
        services.extend_handled(message, lease_seconds=3_000)
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM queues_lease")
            seconds.append(float(cursor.fetchone()[0]))

    handle(bookings, delivery="at_least_once")(work_long)
    send(1)
    drain()
    assert 2_990 < seconds[0] <= 3_000


def test_a_workers_lease_outlives_its_heartbeat_no_longer_than_the_worker_would(
    bookings: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain that ended with its connection, or an ack that a crash of the server took back, leaves the lease."""
    services.alter_queue("bookings", lease_seconds=3_600, actor="ann")
    seconds: list[float] = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM max(expires_at) - clock_timestamp()) FROM queues_lease")
            seconds.append(float(cursor.fetchone()[0]))

    def look_twice(message: Got) -> None:
        look()
        elsewhere(consumer.beat)
        look()

    handle(bookings, delivery="at_least_once")(look_twice)
    for has_timers in (True, False):
        monkeypatch.setattr(workers, "has_timers", lambda has_timers=has_timers: has_timers)
        send(1)
        drain()
    assert max(seconds[:2]) <= 9
    assert min(seconds[2:]) > 3_500, "nobody's heartbeat would keep it"


def test_what_nobody_here_handles_is_left_alone_and_said_once(
    bookings: Queue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_left_alone", set())
    send(1)
    for _ in range(3):
        assert drain() is False
    assert Message.objects.get().receives == 0
    assert caplog.text.count("No handler here handles bookings; left to other workers.") == 1


def test_what_a_payload_cannot_be_decoded_as_is_the_handlers_error(bookings: Queue) -> None:
    decoded: list[object] = []
    handle(bookings, retry=Retry(attempts=1))(lambda message: decoded.append(message.decode()))
    services.send("bookings", b"\x00\xff", content_type="application/x-unheard-of; v=9")
    services.send("bookings", b"{", content_type="application/json")
    services.send("bookings", "text")
    drain()
    assert decoded[-2:] == [b"\x00\xff", "text"]
    assert [(m.state, "JSONDecodeError" in (m.detail or "")) for m in Message.objects.all()] == [
        (Message.State.DEAD, True)
    ]
