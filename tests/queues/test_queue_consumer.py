"""The loop: a handler's writes and the ack are one transaction, and poison dies alone."""

from collections.abc import Callable

import pytest
from django.db import OperationalError, connection

from mqsite import calling, workers
from mqsite.errors import Invalid
from mqsite.handling import Handler
from mqsite.models import AuditEntry
from queues import consumer, selectors, services
from queues.declarations import Queue
from queues.errors import ConsumerNotOwner
from queues.handlers import handle, handled
from queues.models import Lease, Message
from queues.services import NewMessage
from tests.concurrency import all_at_once, elsewhere
from tests.queues.conftest import sent_ids

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handled_by(bookings: Queue) -> Callable[[Handler], None]:
    """Makes a function the handler of bookings, for one test."""

    def register(handler: Handler) -> None:
        handle(bookings)(handler)

    return register


def send(count: int) -> list[int]:
    return sent_ids("bookings", [NewMessage(n) for n in range(count)])


def drain() -> bool:
    return consumer.drain("bookings", stop=lambda: False)


def write(message: services.Message) -> None:
    AuditEntry.objects.create(actor="handler", action=message.text or "", subject=str(message.id))


def written() -> list[int]:
    entries = AuditEntry.objects.filter(actor="handler").order_by("id")
    return [int(action) for action in entries.values_list("action", flat=True)]


def make_due() -> None:
    Message.objects.filter(state=Message.State.SCHEDULED).update(due_at="2000-01-01T00:00Z")
    services.promote()


def test_a_queue_is_emptied_in_order(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    send(50)
    assert drain() is False
    assert written() == list(range(50))
    assert (Message.objects.count(), Lease.objects.count()) == (0, 0)


def test_poison_dies_with_its_traceback_and_its_neighbours_are_handled(handled_by: Callable[[Handler], None]) -> None:
    def fail_on_two(message: services.Message) -> None:
        write(message)
        if message.json() == 2:
            raise KeyError("YV")

    services.alter_queue("bookings", backoff_seconds=60, actor="ann")
    handled_by(fail_on_two)
    ids = send(5)
    drain()
    assert written() == [0, 1, 3, 4], "what a failing handler wrote is undone, and only that"
    waiting = Message.objects.get()
    assert (waiting.id, waiting.state, waiting.receives) == (ids[2], Message.State.SCHEDULED, 1)
    for _ in range(2):
        make_due()
        drain()
    dead = Message.objects.get()
    assert (dead.state, dead.reason, dead.receives) == (Message.State.DEAD, "max_receives", 3)
    assert "KeyError: 'YV'" in (dead.detail or "")
    assert "fail_on_two" in (dead.detail or "")
    assert written() == [0, 1, 3, 4]


def test_a_lost_lease_ends_its_whole_batch_and_its_message_is_handled_again(
    bookings: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lost its lease is in other hands already: no handler is started on it for nothing."""
    monkeypatch.setattr(calling, "SETTLE_SECONDS", 0)
    seen: list[int] = []

    def steal_once() -> None:
        Lease.objects.update(expires_at="2000-01-01T00:00Z")
        services.reap()

    def lose_the_first(message: services.Message) -> None:
        seen.append(message.id)
        if len(seen) == 1:
            elsewhere(steal_once)

    handle(bookings, delivery="at_least_once")(lose_the_first)
    ids = send(3)
    drain()
    assert seen[0] == ids[0]
    assert sorted(seen[1:]) == ids
    assert Message.objects.count() == 0


def test_at_least_once_a_handler_runs_outside_of_a_transaction_and_its_failure_keeps_what_it_wrote(
    bookings: Queue,
) -> None:
    def write_and_fail(message: services.Message) -> None:
        assert connection.get_autocommit()
        write(message)
        if message.receives == 1:
            raise ValueError("no seat")

    handle(bookings, delivery="at_least_once")(write_and_fail)
    send(1)
    drain()
    assert written() == [0, 0]
    assert (Message.objects.count(), Lease.objects.count()) == (0, 0)


def test_a_delivery_that_is_unknown_is_refused(bookings: Queue) -> None:
    with pytest.raises(Invalid, match="delivery is 'exactly_twice'"):
        handle(bookings, delivery="exactly_twice")(write)


def test_many_workers_handle_each_message_once(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    send(200)
    all_at_once([drain] * 4)
    assert sorted(written()) == list(range(200))


def test_a_stopping_worker_gives_the_rest_back_uncharged(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    ids = send(20)
    assert consumer.drain("bookings", stop=lambda: len(written()) >= 3) is True
    assert written() == [0, 1, 2]
    rest = list(Message.objects.order_by("position").values_list("id", "state", "receives"))
    assert rest == [(id_, Message.State.READY, 0) for id_ in ids[3:]]
    assert Lease.objects.count() == 0


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once"])
def test_a_lost_connection_is_not_the_handlers_failure(bookings: Queue, delivery: str) -> None:
    cut = [True]

    def cut_once(message: services.Message) -> None:
        if cut[0] and message.json() == 1:
            cut[0] = False
            pid = connection.connection.info.backend_pid
            elsewhere(lambda: _terminate(pid))
        write(message)

    handle(bookings, delivery=delivery)(cut_once)
    send(4)
    with pytest.raises(OperationalError):
        drain()
    assert consumer.beat() == 0, "a lease nobody works on any more is left to expire"
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    consumer.sweep(stop=lambda: False)
    assert sorted(written()) == [0, 1, 2, 3]
    assert Message.objects.count() == 0


def _terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_the_heartbeat_renews_what_a_slow_handler_works_on(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "has_timers", lambda: True)
    kept: list[int] = []

    def look(message: services.Message) -> None:
        before = Lease.objects.get().expires_at
        kept.append(elsewhere(consumer.beat))
        assert Lease.objects.get().expires_at > before

    handle(bookings, delivery="at_least_once")(look)
    send(2)
    drain()
    assert kept == [1, 1]
    assert consumer.beat() == 0


def test_a_queue_of_another_boundary_is_refused_by_name(bookings: Queue) -> None:
    impostor = Queue("bookings", owner="support")
    handle(impostor)(write)
    send(1)
    with pytest.raises(ConsumerNotOwner, match="Only sales handles bookings; you act for support"):
        drain()
    assert written() == []
    assert Message.objects.get().receives == 0


def test_the_sweep_reaps_promotes_and_drains_what_no_wake_up_announced(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    send(1)
    services.send("bookings", 1, delay_seconds=60)
    Message.objects.update(due_at="2000-01-01T00:00Z")
    services.send("bookings", 2)
    lease = services.receive("bookings", holder="gone", boundary="sales", max_messages=1)
    assert lease is not None
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    assert consumer.sweep(stop=lambda: False) == 1
    assert sorted(written()) == [0, 1, 2]
    assert consumer.sweep(stop=lambda: False) == 0


def test_a_refused_queue_does_not_hold_up_the_sweep(handled_by: Callable[[Handler], None]) -> None:
    services.create_queue("another", owner="sales")
    handle(Queue("another", owner="support"))(write)
    services.send("another", 9)
    handled_by(write)
    send(1)
    consumer.sweep(stop=lambda: False)
    assert written() == [0]


def test_a_queue_without_a_handler_here_is_left_to_others(bookings: Queue) -> None:
    send(1)
    assert drain() is False
    assert consumer.sweep(stop=lambda: False) == 0
    assert selectors.describe_queue("bookings")["counts"]["ready"] == 1


def test_a_second_handler_of_a_queue_is_a_clash(bookings: Queue) -> None:
    handle(bookings)(write)
    handle(bookings)(write)
    assert handled.clashes == []
    handle(bookings)(lambda message: None)
    assert len(handled.clashes) == 1
    assert handled.clashes[0].startswith("Handler of bookings is declared twice, differently")
