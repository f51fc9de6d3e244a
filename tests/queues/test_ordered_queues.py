"""Ordered queues: for each group key first in first out, one at a time, whatever happens to the head."""

import threading
from collections import defaultdict
from functools import partial

import pytest
from django.db import connection, transaction

from mqsite.errors import Invalid, ReadCommittedRequired
from queues import floors, selectors, services
from queues.declarations import Queue
from queues.errors import OrderedRefuses
from queues.models import Lease, Message
from queues.services import NewMessage
from tests.concurrency import all_at_once, elsewhere, held_open, in_thread
from tests.queues.conftest import sent_id
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trips(registries: None) -> Queue:
    queue = Queue("trips", owner="sales", is_ordered=True, max_receives=3, backoff_seconds=60)
    services.create_queue(queue.name, owner=queue.owner, **queue.settings)
    return queue


def send(*names: str) -> None:
    """`a1` is the message a1 of key a."""
    services.send_many("trips", [NewMessage(name, group_key=name[0]) for name in names])


def receive(most: int = 10) -> services.Lease:
    lease = services.receive("trips", holder="w", boundary="sales", max_messages=most)
    assert lease is not None, "nothing is ready"
    return lease


def texts(lease: services.Lease) -> list[str | None]:
    return [m.text for m in lease.messages]


def ack(lease: services.Lease, *names: str) -> None:
    ids = [m.id for m in lease.messages if not names or m.text in names]
    assert services.ack(lease.token, ids, queue="trips") == []


def is_empty() -> bool:
    return services.receive("trips", holder="w", boundary="sales") is None


def ids_of(lease: services.Lease) -> list[int]:
    return [m.id for m in lease.messages]


def test_one_message_of_a_key_at_a_time_and_keys_in_parallel(trips: Queue) -> None:
    send("a1", "a2", "b1", "a3", "b2")
    first = receive()
    assert texts(first) == ["a1", "b1"]
    assert is_empty()
    ack(first, "b1")
    second = receive()
    assert texts(second) == ["b2"]
    ack(first, "a1")
    ack(second)
    third = receive()
    assert texts(third) == ["a2"]
    ack(third)
    ack(receive())
    assert (Message.objects.count(), Lease.objects.count()) == (0, 0)


def test_a_message_of_a_lease_is_acknowledged_once_while_others_of_it_are_open(trips: Queue) -> None:
    send("a1", "b1")
    lease = receive()
    ack(lease, "a1")
    first, second = ids_of(lease)
    assert services.ack(lease.token, [first], queue="trips") == [first]
    assert services.ack(lease.token, [first, second], queue="trips") == [first]


def test_a_key_that_has_sent_much_waits_for_the_others(trips: Queue) -> None:
    send("a1", "a2", "a3", "b1", "c1")
    order = []
    for _ in range(5):
        lease = receive(1)
        order += texts(lease)
        ack(lease)
    assert order == ["a1", "b1", "c1", "a2", "a3"]


def test_messages_need_a_key_and_have_neither_priority_nor_delay(trips: Queue) -> None:
    for message in (
        NewMessage(1),
        NewMessage(1, group_key="a", priority=1),
        NewMessage(1, group_key="a", delay_seconds=1),
    ):
        with pytest.raises(OrderedRefuses, match="trips is ordered: each message has a group_key"):
            services.send_many("trips", [NewMessage(1, group_key="a"), message])
    services.send("trips", 1, group_key="a", priority=0, delay_seconds=0)


def test_the_order_of_a_key_is_that_of_the_commits(trips: Queue) -> None:
    with held_open(lambda: send("a1")) as commit:
        elsewhere(lambda: send("a2"))
        with transaction.atomic():
            send("a3")
            send("b1", "a4")
        commit()
    handled = []
    for _ in range(4):
        lease = receive()
        handled += texts(lease)
        ack(lease)
    assert handled == ["a2", "b1", "a3", "a4", "a1"]


def test_a_transaction_may_send_and_acknowledge_and_all_of_it_comes_with_its_commit(trips: Queue) -> None:
    send("a1", "a2")
    lease = receive()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ack(lease)
        send("a3")
        _ = 1 / 0
    assert is_empty()
    with transaction.atomic():
        ack(lease)
        send("a3")
        assert elsewhere(is_empty)
    for name in ("a2", "a3"):
        lease = receive()
        assert texts(lease) == [name]
        ack(lease)


def test_a_failed_message_stays_its_keys_head_and_when_it_dies_the_key_goes_on(trips: Queue) -> None:
    send("a1", "a2", "b1")
    for receives in (1, 2, 3):
        lease = receive()
        assert texts(lease)[0] == "a1"
        services.nack(lease.token, ids_of(lease)[:1], queue="trips", error="no seat")
        if receives == 1:
            ack(lease, "b1")
        if receives < 3:
            assert is_empty(), "a2 waits through the back-off of a1"
            Message.objects.filter(state=2).update(due_at="2000-01-01T00:00Z")
            services.promote()
    assert texts(receive()) == ["a2"]
    assert Message.objects.get(state=4).reason == "max_receives"


def test_whatever_ends_a_head_lets_its_key_go_on(trips: Queue) -> None:
    services.create_queue("lost", owner="sales")
    services.alter_queue("trips", dead_letter_queue="lost", actor="ann")
    send("a1", "a2", "a3", "a4", "a5", "a6")
    services.reject((lease := receive()).token, ids_of(lease), queue="trips")
    Message.objects.filter(state=0, queue__name="trips").update(expires_at="2000-01-01T00:00Z")
    assert services.expire() == 1
    (head,) = Message.objects.filter(state=0, queue__name="trips").values_list("id", flat=True)
    assert services.cancel("trips", [head]) == [head]
    lease = receive()
    assert texts(lease) == ["a4"]
    Message.objects.update(receives=3)
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    services.reap()
    lease = receive()
    assert texts(lease) == ["a5"]
    assert selectors.count_messages(["lost"])["lost"]["ready"] == 3
    services.give_back(lease.token, ids_of(lease), queue="trips")
    assert texts(receive()) == ["a5"]
    assert services.purge("trips", state="all", actor="ann") == 1


def test_what_waits_can_be_cancelled_but_not_inside_a_transaction(trips: Queue) -> None:
    send("a1", "a2", "a3")
    waiting = list(Message.objects.filter(state=Message.State.WAITING).order_by("id").values_list("id", flat=True))
    with transaction.atomic(), pytest.raises(Invalid, match="trips is ordered: cancel outside of a transaction"):
        services.cancel("trips", waiting)
    assert services.cancel("trips", waiting[:1]) == waiting[:1]
    ack(receive())
    assert texts(receive()) == ["a3"]


def test_an_expired_lease_comes_back_before_its_followers(trips: Queue) -> None:
    services.alter_queue("trips", backoff_seconds=0, actor="ann")
    send("a1", "a2")
    receive()
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    assert services.reap() == 1
    assert texts(receive()) == ["a1"]


def test_a_redriven_letter_goes_back_to_its_old_place(trips: Queue) -> None:
    send("a1", "a2", "a3")
    lease = receive()
    services.reject(lease.token, ids_of(lease), queue="trips")
    assert services.redrive("trips", actor="ann") == 1
    handled = []
    for _ in range(3):
        lease = receive()
        handled += texts(lease)
        ack(lease)
    assert handled == ["a2", "a1", "a3"], "a2 was the head already"


def test_a_duplicate_takes_no_place_in_its_key(trips: Queue) -> None:
    first = sent_id("trips", "a1", group_key="a", dedup_id="1")
    with transaction.atomic():
        assert services.send("trips", "again", group_key="a", dedup_id="1") == services.Sent(first, duplicate=True)
        services.send("trips", "a2", group_key="a", dedup_id="2")
    ack(receive())
    ack(receive())
    assert Message.objects.count() == 0


def test_a_stale_snapshot_may_not_end_a_head(trips: Queue) -> None:
    send("a1", "a2")
    lease = receive()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(ReadCommittedRequired):
            ack(lease)
        transaction.set_rollback(True)
    ack(lease)
    assert texts(receive()) == ["a2"]


def test_a_hundred_thousand_behind_one_blocked_key_slow_nobody(trips: Queue) -> None:
    send("a0")
    receive()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO queues_message (queue_id, state, ordered, priority, position, group_key, sender, payload)"
            " SELECT id, 3, true, 0, nextval('queues_message_id_seq'), 'a', '', 'x'"
            " FROM queues_queue, generate_series(1, 100000) WHERE name = 'trips'"
        )
    send("b1", "b2")
    located = selectors.locate_queue("trips")
    ranges = floors.read(located.queue_id, using="default")
    before = read_rows()
    for name in ("b1", "b2"):
        lease = receive()
        assert texts(lease) == [name]
        ack(lease)
    assert ranges.lows
    assert read_rows() - before < 200


def read_rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'queues_message'")
        return int(cursor.fetchone()[0])


def test_senders_and_consumers_at_once_keep_each_keys_order_and_lose_nothing(trips: Queue) -> None:
    """Senders that share keys, inside and outside of transactions; consumers that fail now and then."""
    services.alter_queue("trips", max_receives=100, backoff_seconds=0, actor="ann")
    keys, rounds = "abcde", 30
    handled: dict[str, list[str]] = defaultdict(list)
    open_keys: set[str] = set()
    lock = threading.Lock()
    sent = threading.Event()

    def send_all(sender: int) -> None:
        for n in range(rounds):
            names = [f"{key}{sender}-{n:03}" for key in (keys if n % 2 else keys[::-1])]
            if n % 3:
                send(*names)
            else:
                with transaction.atomic():
                    for name in names:
                        send(name)

    def consume(worker: int) -> None:
        while not (sent.is_set() and not Message.objects.exists()):
            lease = services.receive("trips", holder=f"w{worker}", boundary="sales", max_messages=3)
            if lease is None:
                continue
            with lock:
                mine = {m.text[0] for m in lease.messages if m.text}
                assert not mine & open_keys, "two holders of one key"
                open_keys.update(mine)
            for message in lease.messages:
                assert message.text
                with lock:
                    open_keys.discard(message.text[0])
                    fails = message.id % 7 == 0 and message.receives == 1
                    if not fails:
                        handled[message.text[0]].append(message.text)
                if fails:
                    assert services.nack(lease.token, [message.id], queue="trips", delay_seconds=0) == []
                else:
                    with transaction.atomic():
                        services.ack_handled(message)

    consumers = [in_thread(partial(consume, worker)) for worker in range(3)]
    all_at_once([partial(send_all, sender) for sender in range(3)], seconds=60)
    sent.set()
    for consumer in consumers:
        consumer.result(timeout=60)
    assert sorted(handled) == list(keys)
    for key, names in handled.items():
        assert len(names) == 3 * rounds
        for sender in range(3):
            of_sender = [name for name in names if name.startswith(f"{key}{sender}-")]
            assert of_sender == sorted(of_sender)


def test_transactions_that_end_heads_in_opposite_orders_do_not_deadlock(trips: Queue) -> None:
    for _ in range(10):
        send("a1", "b1", "c1", "a2", "b2", "c2")
        leases = [receive(1) for _ in range(3)]
        barrier = threading.Barrier(2)

        def end(ours: list[services.Lease], others: str, barrier: threading.Barrier) -> None:
            with transaction.atomic():
                for lease in ours:
                    ack(lease)
                barrier.wait(timeout=10)
                send(*others)

        all_at_once([partial(end, leases[:1], "cba", barrier), partial(end, leases[:0:-1], "abc", barrier)], seconds=20)
        while Message.objects.exists():
            ack(receive())


def test_a_waiting_receiver_is_woken_by_the_next_head(trips: Queue) -> None:
    send("a1", "a2")
    lease = receive()
    receiver = in_thread(lambda: services.receive("trips", holder="w", boundary="sales", wait_seconds=30))
    wait_until(lambda: not receiver.done())
    ack(lease)
    second = receiver.result(timeout=5)
    assert second is not None
    assert texts(second) == ["a2"]
