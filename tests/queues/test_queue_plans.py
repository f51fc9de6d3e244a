"""The plans of the hot statements: index scans that cost the same however much stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from queues import floors, rows, selectors, services, store
from queues.declarations import Queue
from queues.models import Handling, Lease, Message
from queues.services import NewMessage
from tests.concurrency import held_open
from tests.plans import plan_of, scans
from tests.queues.conftest import Receive

pytestmark = pytest.mark.django_db(transaction=True)

FILL = """
    INSERT INTO queues_message (queue_id, state, priority, position, due_at, sender, payload)
    SELECT %s, (ARRAY[0, 0, 0, 2, 4])[1 + n %% 5], n %% 3, n, now() + n * interval '1 min', '', 'x'
    FROM generate_series(1, 12000) n"""


@pytest.fixture(params=["fresh statistics", "statistics of an empty table"])
def standing(bookings: Queue, request: pytest.FixtureRequest) -> int:
    """Twelve thousand messages in three states; the id of their queue."""
    queue_id = selectors.locate_queue("bookings").queue_id
    with connection.cursor() as cursor:
        if request.param == "statistics of an empty table":
            cursor.execute("ANALYZE queues_message, queues_lease")
        cursor.execute(FILL, [queue_id])
        if request.param == "fresh statistics":
            cursor.execute("ANALYZE queues_message, queues_lease")
    return queue_id


MASS_DELETION = """
    DELETE FROM queues_message WHERE position > 200;
    INSERT INTO queues_message (queue_id, state, priority, ordered, group_key, position, sender, payload)
    SELECT %s,
        CASE WHEN n <= 9 THEN 0 ELSE 3 END, 0, true, n %% 9, 12000 + n, '', 'x' FROM generate_series(1, 2000) n"""


@pytest.fixture
def deleted(bookings: Queue, standing: int) -> Iterator[None]:
    """Most of it deleted at once, of which the statistics know nothing; and an ordered queue filled since."""
    trips = services.create_queue("trips", owner="sales", is_ordered=True)
    with held_open(hold_snapshot), connection.cursor() as cursor:
        cursor.execute(MASS_DELETION, [trips.id])
        yield


COUNTERS = ("seq_scan", "idx_scan", "idx_tup_fetch")


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """How the message table was read, counted by PostgreSQL inside one transaction."""
    found: dict[str, int] = {}
    with transaction.atomic():
        before = _counters()
        yield found
        found.update({name: now - then for name, now, then in zip(COUNTERS, _counters(), before, strict=True)})
        transaction.set_rollback(True)


def _counters() -> tuple[int, ...]:
    """Since the session last told the server's statistics, which it does between transactions."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COUNTERS)} FROM pg_stat_xact_user_tables WHERE relname = 'queues_message'")
        return tuple(cursor.fetchone())


def message_scans(name: str, **params: Any) -> set[str]:
    return scans(plan_of("queues", name, **params))["queues_message"] - {"ModifyTable"}


def test_a_receive_reads_the_front_of_the_ready_index(bookings: Queue, standing: int) -> None:
    with counted() as read:
        lease = services.receive(bookings, holder="a", max_messages=10)
        assert lease is not None
        assert [m.priority for m in lease.messages] == [2] * 10
    assert read["seq_scan"] == 0
    assert read["idx_scan"] <= 10
    assert read["idx_tup_fetch"] <= 30


def test_an_ack_looks_its_messages_up_by_id(bookings: Queue, standing: int, receive: Receive) -> None:
    lease = receive(10)
    with counted() as read:
        assert services.ack(lease.token, [m.id for m in lease.messages], queue=bookings) == []
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 30


@pytest.mark.parametrize("name", ["give_back", "extend"])
def test_what_else_a_holder_does_looks_messages_up_by_id(standing: int, receive: Receive, name: str) -> None:
    lease = receive(10)
    ids = [m.id for m in lease.messages]
    found = message_scans(name, token=lease.token, ids=ids, queue="bookings", seconds=None, own=True)
    assert found == {"queues_message_pkey"}


def test_a_nack_looks_its_messages_up_by_id(bookings: Queue, standing: int, receive: Receive) -> None:
    lease = receive(10)
    with counted() as read:
        assert services.nack(lease.token, [m.id for m in lease.messages], queue=bookings) == []
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 100


def test_a_reap_looks_messages_up_by_id(standing: int, receive: Receive) -> None:
    receive(10)
    Lease.objects.update(expires_at="2000-01-01T00:00Z")
    with counted() as read:
        assert services.reap() == 10
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 100


def test_a_promotion_reads_what_is_due_and_no_more(bookings: Queue, standing: int) -> None:
    Message.objects.filter(id__in=Message.objects.filter(state=2).order_by("due_at")[:5]).update(
        due_at="2000-01-01T00:00Z"
    )
    with counted() as read:
        assert services.promote() == 5
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 20


def test_a_redrive_reads_the_front_of_the_dead_index(bookings: Queue, standing: int) -> None:
    with counted() as read:
        assert services.redrive(bookings, limit=5, actor="ann") == 5
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 40


def test_the_pages_count_no_further_than_the_limit_and_scan_no_table(
    bookings: Queue, standing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "COUNT_LIMIT", 100)
    services.receive(bookings, holder="a", max_messages=10)
    with counted() as read:
        queue = selectors.describe_queue("bookings")
        assert selectors.find_waiting(["bookings"], limit=10) == ["bookings"]
    assert queue["counts"] == {"scheduled": 100, "ready": 100, "waiting": 0, "leased": 10, "dead": 100}
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] < 1_000


def test_a_preview_of_a_redrive_reads_the_front_of_the_indexes_of_letters(bookings: Queue, standing: int) -> None:
    nothing = dict.fromkeys(("ids", "only_reason", "only_text", "died_after", "died_before"))
    with counted() as read:
        looked_at, fitting = store.letters(standing, nothing, limit=20, using="default")
    assert (looked_at, fitting) == (20, 20)
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 40


def test_who_holds_messages_is_told_by_their_ids(standing: int, receive: Receive) -> None:
    receive(10)
    assert message_scans("holders", queue_id=standing, limit=100) == {"queues_message_pkey"}


def test_the_depth_of_one_queue_reads_past_no_others(bookings: Queue, standing: int) -> None:
    services.create_queue("quiet", owner="sales")
    services.send("quiet", 1, delay_seconds=60)
    with counted() as read:
        assert selectors.describe_queue("quiet")["counts"]["scheduled"] == 1
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] < 20


def test_what_has_gone_through_under_a_held_snapshot_is_not_walked_again(bookings: Queue, standing: int) -> None:
    """Nothing can clear the dead versions away; a scan begins behind them."""
    with held_open(hold_snapshot) as release:
        for _ in range(60):
            lease = services.receive(bookings, holder="a", max_messages=100)
            assert lease is not None
            services.ack(lease.token, [m.id for m in lease.messages], queue=bookings)
        located = selectors.locate_queue("bookings")
        from_the_bottom = buffers_of_a_receive(located, rows.Ranges([-100], [100], [-1], 0))
        along_the_floors = buffers_of_a_receive(located, floors.read(located.queue_id, using="default"))
        release()
    assert from_the_bottom > 100
    assert along_the_floors < 60


def test_after_a_mass_deletion_a_receive_reads_little(bookings: Queue, standing: int) -> None:
    with held_open(hold_snapshot) as release:
        services.purge(bookings, state="ready", actor="ann")
        id_ = services.send(bookings, "after it").id
        lease = services.receive(bookings, holder="a")
        assert lease is not None
        assert [m.id for m in lease.messages] == [id_]
        services.send(bookings, "and another")
        located = selectors.locate_queue("bookings")
        assert buffers_of_a_receive(located, floors.read(located.queue_id, using="default")) < 60
        release()


def test_an_expiry_and_a_cancel_read_what_they_take(bookings: Queue, standing: int) -> None:
    ids = list(Message.objects.filter(state=0).order_by("id").values_list("id", flat=True)[:10])
    Message.objects.filter(id__in=ids[:5]).update(expires_at="2000-01-01T00:00Z")
    with counted() as read:
        assert services.expire() == 5
        assert services.cancel(bookings, ids[5:]) == ids[5:]
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 100


def hold_snapshot() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM queues_queue")


def buffers_of_a_receive(located: rows.Located, ranges: rows.Ranges) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
            " SELECT * FROM queues_receive(%s, %s, %s::smallint[], %s::smallint[], %s::bigint[], 1, NULL, 9, 'a', 30)",
            [located.queue_id, located.revision, ranges.lows, ranges.highs, ranges.floors],
        )
        (answer,) = cursor.fetchone()
        plan = answer[0]["Plan"]
        assert plan["Actual Rows"] == 1
        transaction.set_rollback(True)
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_a_lost_lease_reads_no_message(standing: int) -> None:
    with counted() as read:
        services.ack(uuid4(), list(range(1, 100)), queue="bookings")
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] <= 99


def work_through_a_life(bookings: Queue) -> Iterator[str]:
    """Every hot statement once; after each its name."""
    sent = services.send_many(bookings, [NewMessage(n, dedup_id=str(n)) for n in range(5)])
    services.send_many("trips", [NewMessage(n, group_key=str(n)) for n in range(5)])
    services.place_sent()
    yield "send_placed"
    sent = services.send_many(bookings, [NewMessage(n) for n in range(5)])
    yield "send_ready"
    services.cancel(bookings, [each.id for each in services.send_many(bookings, [NewMessage(1, delay_seconds=9)] * 2)])
    yield "send"
    assert floors.rescan(selectors.locate_queue("bookings").queue_id, using="default")
    yield "heads"
    for queue in (bookings, "trips"):
        lease = services.receive(queue, holder="a", max_messages=4, boundary="sales")
        assert lease is not None
        yield "receive"
        first, second, third, fourth = [m.id for m in lease.messages]
        assert services.ack(lease.token, [first], queue=queue) == []
        services.place_sent()
        yield "ack"
        assert services.nack(lease.token, [second], queue=queue, delay_seconds=60) == []
        assert services.reject(lease.token, [third], queue=queue) == []
        services.place_sent()
        yield "nack"
        Lease.objects.update(expires_at="2000-01-01T00:00Z")
        assert services.reap() == 1
        yield "reap"
        taken = services.take(queue, max_messages=2, boundary="sales")
        services.ack_taken(taken[:1])
        services.place_sent()
        yield "take"
    Handling.objects.create(id="a", worker="a", seen_at="2000-01-01T00:00Z", message_ids=[sent[4].id], receives=[0])
    assert services.charge() == 1
    yield "charge"
    Message.objects.filter(id__in=[second, fourth]).update(due_at="2000-01-01T00:00Z")
    assert services.promote() == 2
    yield "promote"
    job = services.start_redrive(bookings, actor="ann")
    assert len(store.redrive_step(job, limit=5, using="default")) == 5
    services.place_sent()
    yield "redrive_step"
    selectors.count_messages(["bookings", "trips"])
    yield "depth"


def test_no_hot_statement_reads_the_table_after_a_mass_deletion(bookings: Queue, deleted: None) -> None:
    read: dict[str, tuple[int, int]] = {}
    with transaction.atomic():
        seq_scans, _, fetched = _counters()
        for name in work_through_a_life(bookings):
            before = seq_scans, fetched
            seq_scans, _, fetched = _counters()
            read[name] = seq_scans - before[0], fetched - before[1]
        transaction.set_rollback(True)
    assert {name: scans for name, (scans, _) in read.items() if scans} == {}
    depth = read.pop("depth")
    assert {name: rows for name, (_, rows) in read.items() if rows > 200} == {}
    assert depth[1] < 10_000
