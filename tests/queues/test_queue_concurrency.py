"""Several at once: nobody shares a message, nobody waits for somebody's open transaction, nothing deadlocks."""

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest
from django.db import connection, transaction

from mqsite.errors import ReadCommittedRequired
from queues import services
from queues.declarations import Queue
from queues.errors import QueueFull, QueueNotFound
from queues.models import Lease, Message
from queues.services import NewMessage
from tests.concurrency import all_at_once, elsewhere, held_open, in_thread
from tests.queues.conftest import Receive, sent_ids
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_four_receivers_get_each_message_once(bookings: Queue) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(200)])

    def receive_all(holder: str) -> list[int]:
        taken: list[int] = []
        while Message.objects.exists():
            lease = services.receive(bookings, holder=holder, max_messages=7)
            if lease is not None:
                got = [m.id for m in lease.messages]
                assert services.ack(lease.token, got, queue=bookings) == []
                taken += got
        return taken

    taken = all_at_once([lambda n=n: receive_all(f"worker-{n}") for n in range(4)])  # type: ignore[misc]
    assert Counter(id_ for ids_ in taken for id_ in ids_) == Counter(ids)
    assert Lease.objects.count() == 0


def test_a_receiver_passes_over_what_another_is_just_taking(bookings: Queue, receive: Receive) -> None:
    first, second = sent_ids(bookings, [NewMessage(1), NewMessage(2)])
    with held_open(lambda: receive(1)) as commit:
        lease = elsewhere(lambda: receive(10))
        assert [m.id for m in lease.messages] == [second]
        commit()
    assert Message.objects.filter(id=first, state=Message.State.LEASED).exists()


def test_acks_and_reaps_do_not_deadlock(bookings: Queue, receive: Receive) -> None:
    """Holders that acknowledge in any order, over leases that expire under them."""
    services.send_many(bookings, [NewMessage(n) for n in range(300)])
    leases = [receive(10) for _ in range(30)]
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    acked: list[int] = []

    def ack_all(reverse: bool) -> None:
        for lease in sorted(leases, key=lambda lease: lease.token, reverse=reverse):
            ids = [m.id for m in lease.messages][:: -1 if reverse else 1]
            lost = services.ack(lease.token, ids, queue=bookings)
            acked.extend(set(ids) - set(lost))

    def reap_all() -> None:
        while services.reap(limit=3):
            pass

    all_at_once([lambda: ack_all(False), lambda: ack_all(True), reap_all, reap_all], seconds=30)
    services.reap()
    assert len(acked) == len(set(acked))
    assert Message.objects.count() == 300 - len(acked)
    assert set(Message.objects.values_list("state", flat=True)) <= {Message.State.READY}
    assert Lease.objects.count() == 0


def test_a_reap_waits_for_no_open_ack_and_an_ack_that_came_first_holds(
    bookings: Queue, receive: Receive, expire: Callable[[services.Lease], None]
) -> None:
    services.send(bookings, 1)
    lease = receive()
    expire(lease)
    with held_open(lambda: services.ack_handled(lease.messages[0])) as commit:
        assert elsewhere(services.reap) == 0
        commit()
    assert Message.objects.count() == 0


def test_a_send_appears_with_its_commit_and_vanishes_with_a_rollback(bookings: Queue) -> None:
    with held_open(lambda: services.send(bookings, "from a transaction")) as commit:
        assert services.receive(bookings, holder="a") is None
        services.send(bookings, "after it")  # nobody waits for an open sender
        commit()
    lease = services.receive(bookings, holder="a")
    assert lease is not None
    assert [m.text for m in lease.messages] == ["from a transaction", "after it"]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.send(bookings, "never")
        _ = 1 / 0
    assert services.receive(bookings, holder="a") is None


def test_a_stale_snapshot_is_refused(bookings: Queue) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(ReadCommittedRequired, match="needs a READ COMMITTED"):
            services.send(bookings, 1)
        transaction.set_rollback(True)


def test_deleting_a_queue_waits_for_open_senders_and_takes_what_they_sent(bookings: Queue) -> None:
    with held_open(lambda: services.send(bookings, 1)) as commit:
        deletion = in_thread(lambda: services.delete_queue("bookings", actor="ann"))
        wait_until(lambda: _waiting_for_locks() == 1, message="the deletion waits")
        commit()
    deletion.result(timeout=10)
    assert Message.objects.count() == 0


def test_senders_at_once_do_not_go_over_the_length_together(bookings: Queue) -> None:
    services.alter_queue("bookings", max_length=20, actor="ann")

    def fill(id_: bool) -> None:
        with pytest.raises(QueueFull):
            for n in range(21):
                services.send(bookings, n, dedup_id=f"{threading.get_ident()} {n}" if id_ else None)

    all_at_once([partial(fill, n % 2 == 0) for n in range(4)])
    assert Message.objects.count() == 20


def test_a_transaction_counts_what_it_has_sent_itself(bookings: Queue) -> None:
    services.alter_queue("bookings", max_length=3, actor="ann")
    with transaction.atomic():
        services.send_many(bookings, [NewMessage(n, dedup_id=str(n)) for n in range(2)])
        services.send(bookings, 2)
        with pytest.raises(QueueFull):
            services.send(bookings, 3, dedup_id="3")
    assert Message.objects.count() == 3


@pytest.mark.parametrize("act", ["take", "receive", "ack", "nack", "give_back", "extend", "cancel"])
def test_a_deletion_waits_for_who_works_on_the_queue_and_then_sends_to_it(
    bookings: Queue, receive: Receive, act: str
) -> None:
    held, other = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    token = receive(1).token
    begun, go_on = threading.Event(), threading.Event()

    def begin() -> object:
        if act == "take":
            return services.take(bookings)
        if act == "receive":
            return receive(1)
        if act == "cancel":
            return services.cancel(bookings, [other])
        return getattr(services, act)(token, [held], queue=bookings)

    def work() -> None:
        with transaction.atomic():
            begin()
            begun.set()
            assert go_on.wait(timeout=10)
            services.send(bookings, "next")

    working = in_thread(work)
    assert begun.wait(timeout=10)
    deletion = in_thread(lambda: services.delete_queue("bookings", actor="ann"))
    wait_until(lambda: _waiting_for_locks() == 1, message="the deletion waits")
    go_on.set()
    working.result(timeout=10)
    deletion.result(timeout=10)
    assert (Message.objects.count(), Lease.objects.count()) == (0, 0)


def test_a_deletion_waits_for_who_ends_the_head_of_a_key(registries: None) -> None:
    """It would hold what waits behind the head, and wait for the head; the other way round for whom it meets."""
    services.create_queue("trips", owner="sales", is_ordered=True)
    (first, _) = sent_ids("trips", [NewMessage(n, group_key="a", ttl_seconds=9_000) for n in range(2)])
    lease = services.receive("trips", holder="w", boundary="sales")
    assert lease is not None
    services.nack(lease.token, [first], queue="trips", delay_seconds=0)  # its row lies behind the other's now
    Message.objects.filter(id=first).update(expires_at="2000-01-01T00:00Z")
    with held_open(services.expire) as commit:
        deletion = in_thread(lambda: services.delete_queue("trips", actor="ann"))
        wait_until(lambda: _waiting_for_locks() == 1, message="the deletion waits")
        commit()
    deletion.result(timeout=10)
    assert Message.objects.count() == 0


def test_a_sender_that_met_a_deletion_is_refused_not_lost(bookings: Queue) -> None:
    with held_open(lambda: services.delete_queue("bookings", actor="ann")) as commit:
        late = in_thread(lambda: services.send(bookings, 2))
        wait_until(lambda: _waiting_for_locks() == 1, message="the late sender waits")
        commit()
    with pytest.raises(QueueNotFound):
        late.result(timeout=10)
    assert Message.objects.count() == 0


def test_a_lease_is_kept_by_heartbeats_while_reaps_run(bookings: Queue) -> None:
    """Short leases, renewed in time, are never reaped."""
    ids = sent_ids(bookings, [NewMessage(n) for n in range(20)])
    lease = services.receive(bookings, holder="me", max_messages=20, lease_seconds=0.5)
    assert lease is not None
    stop = threading.Event()

    def renew(token: UUID) -> None:
        while not stop.is_set():
            services.renew_leases("me", tokens=[token])
            stop.wait(0.02)

    beating = in_thread(lambda: renew(lease.token))
    old_end = lease.expires_at
    wait_until(lambda: Lease.objects.get().expires_at > old_end)
    assert services.reap() == 0
    stop.set()
    beating.result(timeout=10)
    assert services.ack(lease.token, ids, queue=bookings) == []


def _waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])
