"""Take, work and acknowledge in one transaction: no lease, nothing lost, and poison is charged for its process."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from mqsite import calling
from mqsite.errors import Invalid
from mqsite.models import AuditEntry, WorkerProcess
from queues import consumer, services
from queues.declarations import Queue
from queues.errors import ConsumerNotOwner
from queues.handlers import handle
from queues.models import Handling, Lease, Message
from queues.services import NewMessage
from tests.concurrency import all_at_once, elsewhere, held_open
from tests.house import PROJECT, replace_path
from tests.queues.conftest import sent_id, sent_ids
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def take(most: int = 10) -> list[services.Message]:
    return services.take("bookings", max_messages=most, boundary="sales")


def ids_of(messages: list[services.Message]) -> list[int]:
    return [m.id for m in messages]


def handled() -> list[str]:
    return list(AuditEntry.objects.filter(actor="handler").order_by("id").values_list("action", flat=True))


def write(message: services.Message) -> None:
    AuditEntry.objects.create(actor="handler", action=message.text or "", subject=str(message.id))


def drain() -> None:
    consumer.drain("bookings", stop=lambda: False)


def test_what_a_transaction_takes_is_gone_with_its_commit_and_back_with_its_rollback(bookings: Queue) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(3)])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.ack_taken(take(2))
        _ = 1 / 0
    with transaction.atomic():
        taken = take(2)
        assert [(m.id, m.receives, m.lease) for m in taken] == [(ids[0], 1, None), (ids[1], 1, None)]
        assert elsewhere(lambda: _take_in_transaction()) == ids[2:], "the others pass over what is taken"
        services.ack_taken(taken[:1])
    assert list(Message.objects.order_by("id").values_list("id", "receives")) == [(ids[1], 0), (ids[2], 0)]
    assert Lease.objects.count() == 0


def _take_in_transaction() -> list[int]:
    with transaction.atomic():
        return ids_of(take())


def test_it_needs_a_transaction_and_the_owner(bookings: Queue) -> None:
    with pytest.raises(Invalid, match="inside a transaction"):
        take()
    with transaction.atomic(), pytest.raises(ConsumerNotOwner):
        services.take("bookings", boundary="support")


def test_a_failed_message_is_counted_in_the_transaction_that_did_the_others(bookings: Queue) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(3)])
    with transaction.atomic():
        first, second, third = take()
        services.ack_taken([first])
        services.nack_taken(second, delay_seconds=60, error="no seat")
        services.reject_taken(third, error="bad")
    rows = {m.id: (m.state, m.receives, m.reason, m.detail) for m in Message.objects.all()}
    assert rows == {
        ids[1]: (Message.State.SCHEDULED, 1, "retry", "no seat"),
        ids[2]: (Message.State.DEAD, 1, "rejected", "bad"),
    }


def test_one_received_before_is_taken_alone(bookings: Queue) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(4)])
    Message.objects.filter(id=ids[1]).update(receives=1)
    batches = []
    for _ in range(3):
        with transaction.atomic():
            taken = take()
            services.ack_taken(taken)
        batches.append(ids_of(taken))
    assert batches == [ids[:1], ids[1:2], ids[2:]]


@pytest.mark.parametrize("suspect", [0, 2])
def test_neighbours_of_one_received_before_are_free_while_it_is_handled(bookings: Queue, suspect: int) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(5)])
    Message.objects.filter(id=ids[suspect]).update(receives=1)
    free: dict[int, list[int]] = {}

    def look(message: services.Message) -> None:
        free[message.id] = elsewhere(_take_in_transaction)

    handle(bookings)(look)
    drain()
    assert list(free) == ids
    assert free[ids[suspect]] == ids[suspect + 1 :]
    assert free[ids[0]] == ids[1:] if suspect == 0 else ids[2:3], "it is taken alone elsewhere, too"


def test_what_is_in_hand_is_written_down_beside_the_transaction_and_forgotten_after_it(bookings: Queue) -> None:
    noted: list[tuple[list[int], list[int]]] = []

    def look(message: services.Message) -> None:
        row = elsewhere(lambda: Handling.objects.get())
        noted.append((row.message_ids, row.receives))

    handle(bookings)(look)
    ids = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    drain()
    assert noted == [(ids, [0, 0])] * 2
    assert Handling.objects.count() == 0


def count_heap_fetches() -> int:
    """Of a look for what is ready: dead index entries that no scan has cleared away."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
        cursor.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT priority, position FROM queues_message"
            " WHERE queue_id = (SELECT id FROM queues_queue WHERE name = 'bookings') AND state = 0"
            " ORDER BY priority DESC, position LIMIT 1"
        )
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_sort")
    (scan,) = [p for p in plan["Plans"] if p["Node Type"] == "Index Only Scan" and p["Index Name"] == "queues_ready"]
    return int(scan["Heap Fetches"])


@pytest.mark.parametrize("count", [1, 20])
def test_scans_clear_away_what_was_acknowledged(bookings: Queue, count: int) -> None:
    """They cannot where a row was locked under one transaction id and deleted under another."""
    handle(bookings)(write)
    services.send_many(bookings, [NewMessage(n) for n in range(count)])
    drain()
    assert len(handled()) == count
    wait_until(lambda: count_heap_fetches() == 0)


def test_a_commit_that_fails_is_blamed_on_the_message_that_fails_alone(bookings: Queue) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE strict_once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    def insert(message: services.Message) -> None:
        write(message)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO strict_once VALUES (%s)", [message.json()])

    handle(bookings)(insert)
    services.send_many(bookings, [NewMessage(n) for n in (1, 2, 2, 3)])
    drain()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE strict_once")
    assert handled() == ["1", "2", "3"]
    dead = Message.objects.get()
    assert (dead.state, dead.receives, dead.reason) == (Message.State.DEAD, 3, "max_receives")
    assert "strict_once" in (dead.detail or "")


def test_what_a_long_batch_did_not_come_to_is_let_go_uncharged(
    bookings: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "SHARED_SECONDS", -1.0)
    handle(bookings)(write)
    services.send_many(bookings, [NewMessage(n) for n in range(4)])
    drain()
    assert handled() == ["0", "1", "2", "3"]


def note(ids: list[int], *, receives: int = 0, worker: str = "dead") -> None:
    Handling.objects.create(
        id=worker,
        worker=worker,
        seen_at=timezone.now() - timedelta(minutes=1),
        message_ids=ids,
        receives=[receives] * len(ids),
    )


def test_a_dead_workers_messages_are_charged_once_and_die_of_it(bookings: Queue) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    for receives in range(3):
        note(ids[:1], receives=receives)
        assert services.charge() == 1
        assert services.charge() == 0
    dead = Message.objects.get(id=ids[0])
    assert (dead.state, dead.reason, dead.receives) == (Message.State.DEAD, "worker died", 3)
    assert Message.objects.get(id=ids[1]).receives == 0


def test_what_somebody_holds_is_not_charged_until_he_lets_it_go(bookings: Queue) -> None:
    held, free = sent_ids(bookings, [NewMessage(1), NewMessage(2)])
    note([held, free])
    with held_open(lambda: take(1)) as commit:
        assert elsewhere(services.charge) == 1
        assert Message.objects.get(id=free).receives == 1
        assert Handling.objects.get().message_ids == [held]
        commit()
    assert services.charge() == 1
    assert Handling.objects.count() == 0


def test_a_worker_that_is_heard_of_is_charged_nothing(bookings: Queue) -> None:
    (id_,) = sent_ids(bookings, [NewMessage(1)])
    note([id_])
    Handling.objects.update(seen_at=timezone.now())
    assert services.charge() == 0
    note([id_], receives=4, worker="other")
    assert services.charge() == 0, "its receive is counted already"


def test_suspects_are_left_until_nothing_else_is_there_and_then_taken_alone(bookings: Queue) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(4)])
    note(ids[:2])
    chosen = []
    for _ in range(3):
        with transaction.atomic():
            taken = take()
            mine = services.begin_handling(taken)
            services.ack_taken(mine)
            services.let_go([m for m in taken if m not in mine])
        chosen.append(ids_of(mine))
    services.end_handling()
    assert chosen == [ids[2:], ids[:1], ids[1:2]]


POISONED = """
import os, signal, django
django.setup()
from django.db import connection
from mqsite.models import AuditEntry
from queues import consumer, declarations
from queues.handlers import handle
queue = declarations.Queue("bookings", owner="sales")
def work(message):
    if message.text == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    AuditEntry.objects.create(actor="handler", action=message.text, subject=str(message.id))
handle(queue)(work)
consumer.drain("bookings", stop=lambda: False)
"""


def run_worker() -> int:
    url = replace_path(os.environ["DATABASE_URL"], str(connection.settings_dict["NAME"]))
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "mqsite.settings"}
    return subprocess.run([sys.executable, "-c", POISONED], env=environment, cwd=PROJECT, timeout=60).returncode


def test_poison_that_kills_the_process_dies_and_its_neighbours_do_not(bookings: Queue) -> None:
    texts = ["a", "b", "poison", "c", "d"]
    ids = sent_ids(bookings, [NewMessage(text) for text in texts])
    for _ in range(8):
        died = run_worker() != 0
        if not died:
            break
        Handling.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
        wait_until(lambda: services.charge() > 0, message="the dead session's locks to fall")
    dead = Message.objects.get()
    assert (dead.id, dead.state, dead.reason, dead.receives) == (ids[2], Message.State.DEAD, "worker died", 3)
    assert sorted(handled()) == ["a", "b", "c", "d"]


def test_ordered_messages_are_taken_one_of_a_key_and_the_key_goes_on_with_the_commit(registries: None) -> None:
    trips = Queue("trips", owner="sales", is_ordered=True)
    services.create_queue("trips", owner="sales", is_ordered=True)
    order: list[str] = []
    handle(trips)(lambda message: order.append(message.text or ""))
    services.send_many(trips, [NewMessage(name, group_key=name[0]) for name in ("a1", "a2", "b1", "a3", "b2")])
    consumer.drain("trips", stop=lambda: False)
    assert order == ["a1", "b1", "a2", "b2", "a3"]
    assert Message.objects.count() == 0


def test_workers_in_both_modes_handle_each_message_once(bookings: Queue) -> None:
    handle(bookings)(write)
    services.send_many(bookings, [NewMessage(n) for n in range(300)])

    def receive_all() -> None:
        while (lease := services.receive(bookings, holder="leased", max_messages=5)) is not None:
            for message in lease.messages:
                with transaction.atomic():
                    write(message)
                    services.ack_handled(message)

    works: list[Callable[[], None]] = [drain, drain, receive_all, receive_all]
    all_at_once(works)
    drain()
    assert sorted(map(int, handled())) == list(range(300))


def test_a_dead_workers_leases_end_however_long_they_are_and_a_living_ones_do_not(bookings: Queue) -> None:
    for name in ("dead", "alive"):
        WorkerProcess.objects.create(name=name)
        services.send(bookings, name)
        assert services.receive(bookings, holder=name, max_messages=1, lease_seconds=3_600)
    services.send(bookings, "script")
    services.receive(bookings, holder="a script", max_messages=1, lease_seconds=3_600)
    WorkerProcess.objects.filter(name="dead").update(seen_at=timezone.now() - timedelta(seconds=10))
    consumer.beat()
    back = Message.objects.get(state=Message.State.READY)
    assert (bytes(back.payload), back.receives) == (b"dead", 1)
    assert set(Lease.objects.values_list("holder", flat=True)) == {"alive", "a script"}


def test_the_heartbeat_keeps_what_is_in_hand(bookings: Queue) -> None:
    kept: list[bool] = []

    def work_long(message: services.Message) -> None:
        def age_and_beat() -> None:
            Handling.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
            consumer.beat()
            kept.append(Handling.objects.get().seen_at > timezone.now() - timedelta(seconds=30))

        elsewhere(age_and_beat)

    handle(bookings)(work_long)
    sent_id(bookings, 1)
    drain()
    assert kept == [True]
