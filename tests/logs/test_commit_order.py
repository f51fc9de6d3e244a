"""Offsets are dense and in commit order, whatever transactions do meanwhile."""

import random
import threading
import time
from functools import partial
from itertools import chain

import pytest
from django.db import IntegrityError, connection, transaction

from logs import services
from logs.models import Record, Topic
from logs.services import NewRecord, Published
from mqsite.errors import NotFound, ReadCommittedRequired
from tests.concurrency import all_at_once, elsewhere, held_open, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PARTITIONS = 4


@pytest.fixture(autouse=True)
def topic() -> str:
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    return "orders"


def publish(value: object, partition: int = 0) -> object:
    return services.publish("orders", value, partition=partition, boundary="shop")


def texts(partition: int = 0) -> list[str | None]:
    return [r.text for r in services.fetch("orders", partition, 0, max_records=10_000)]


def test_an_open_transaction_that_published_holds_up_nobody() -> None:
    with held_open(lambda: [publish("early", p) for p in range(PARTITIONS)]) as commit:
        for partition in range(PARTITIONS):
            assert publish("late", partition) == Published(partition, 0)
        elsewhere(lambda: _publish_in_transaction("also late"))
        assert texts() == ["late", "also late"]
        commit()
    assert texts() == ["late", "also late", "early"]


def test_transactions_that_publish_in_opposite_order_do_not_deadlock() -> None:
    def transactions(order: list[int]) -> None:
        for _ in range(50):
            with transaction.atomic():
                for partition in order:
                    publish("x", partition)

    orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]]
    all_at_once([partial(transactions, order) for order in orders])
    assert [len(texts(p)) for p in range(PARTITIONS)] == [200] * PARTITIONS


def test_no_reader_ever_passes_a_record_that_commits_later() -> None:
    """Publishers in every manner, two readers that follow: dense, in order, nothing missed, counts exact."""
    done = threading.Event()
    sent = all_at_once_with_readers(done)
    for partition in range(PARTITIONS):
        records = services.fetch("orders", partition, 0, max_records=10_000)
        assert [r.offset for r in records] == list(range(len(records)))
        assert len(records) == sent.count(partition)


def all_at_once_with_readers(done: threading.Event) -> list[int]:
    publishers = [partial(_publish_at_random, seed) for seed in range(4)]
    readers = [in_thread(partial(_follow, p, done)) for p in range(PARTITIONS)]
    try:
        sent = list(chain.from_iterable(all_at_once(publishers)))
    finally:
        done.set()
    seen = [reader.result(timeout=20) for reader in readers]
    assert seen == [sent.count(p) for p in range(PARTITIONS)]
    return sent


def _publish_at_random(seed: int) -> list[int]:
    """Direct, staged, rolled back, with savepoints; the partitions that got a record."""
    chance = random.Random(seed)
    sent = []
    for _ in range(60):
        order = chance.sample(range(PARTITIONS), chance.randint(1, PARTITIONS))
        manner = chance.choice(["direct", "staged", "rolled back", "savepoint"])
        if manner == "direct":
            services.publish_many("orders", [NewRecord("x", partition=p) for p in order], boundary="shop")
            sent += order
            continue
        try:
            with transaction.atomic():
                for partition in order:
                    publish("x", partition)
                    time.sleep(chance.random() / 500)  # not a wait: it makes the transactions overlap
                if manner == "rolled back":
                    raise ZeroDivisionError
                if manner == "savepoint":
                    _roll_back_a_savepoint()
            sent += order
        except ZeroDivisionError:
            pass
    return sent


def _roll_back_a_savepoint() -> None:
    try:
        with transaction.atomic():
            publish("undone", 0)
            raise KeyError
    except KeyError:
        pass


def _follow(partition: int, done: threading.Event) -> int:
    position = 0
    while True:
        last_look = done.is_set()
        for record in services.fetch("orders", partition, position):
            assert record.offset == position, "a record appeared behind the reader"
            position += 1
        if last_look:
            return position


def _publish_in_transaction(value: str) -> None:
    with transaction.atomic():
        publish(value)


def test_a_foreign_key_that_fails_at_commit_takes_the_records_along() -> None:
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        publish("never")
        Topic.objects.create(name="orphan", owner_id=424242)
    assert publish("next") == Published(0, 0)


def test_offsets_are_assigned_after_the_checks_at_commit_so_that_a_slow_one_holds_up_nobody() -> None:
    with connection.cursor() as cursor:
        cursor.execute(SLOW_CHECK)
        cursor.execute("SELECT pg_advisory_lock(4242)")
    try:
        slow = in_thread(_commit_slowly)
        wait_until(lambda: _waiting_for("advisory"), message="the commit to wait in its deferred check")
        assert elsewhere(lambda: publish("fast")) == Published(0, 0)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(4242)")
    slow.result(timeout=10)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE slow_check; DROP FUNCTION slow_check()")
    assert texts() == ["fast", "slow"]


SLOW_CHECK = """
CREATE TABLE slow_check (x int);
CREATE FUNCTION slow_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(4242); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_check AFTER INSERT ON slow_check
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_check();
"""


def _commit_slowly() -> None:
    with transaction.atomic():
        publish("slow")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO slow_check VALUES (1)")


def _waiting_for(event: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = %s", [event])
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_other_isolation_levels_are_refused_at_the_publish(level: str) -> None:
    with pytest.raises(ReadCommittedRequired, match="Publishing needs a READ COMMITTED transaction"):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            publish("never")
    assert texts() == []


def test_a_connection_of_another_isolation_level_is_refused_too() -> None:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        publish("never")

    with pytest.raises(ReadCommittedRequired):
        elsewhere(run)


def test_each_publish_of_a_transaction_costs_its_commit_the_same_however_many_there_are() -> None:
    def rows_read(publishes: int) -> int:
        before = _staged_rows_read()
        with transaction.atomic():
            for _ in range(publishes):
                publish("x")
        return _staged_rows_read() - before

    few = rows_read(50)
    assert 0 < rows_read(400) < 12 * few


def _staged_rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'logs_staged'")
        return int(cursor.fetchone()[0])


def test_constraints_that_are_checked_in_the_middle_of_a_transaction_lose_no_later_record() -> None:
    with transaction.atomic():
        publish("a")
        publish("b")
        connection.check_constraints()  # SET CONSTRAINTS ALL IMMEDIATE, and deferred again
        publish("c")
    assert texts() == ["a", "b", "c"]


def test_staging_leaves_nothing_behind() -> None:
    for _ in range(3):
        _publish_in_transaction("x")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM logs_staged")
        assert cursor.fetchone() == (0,)


def test_deleting_a_topic_under_its_publishers_never_deadlocks_and_leaves_no_record() -> None:
    done = threading.Event()

    def publish_to_all() -> int:
        published = 0
        while not done.is_set():
            try:
                services.publish_many("orders", [NewRecord("x", partition=p) for p in (3, 1, 0, 2)], boundary="shop")
                published += 1
            except NotFound:  # deleted meanwhile
                pass
        return published

    publishers = [in_thread(publish_to_all) for _ in range(3)]
    try:
        for _ in range(20):
            services.delete_topic("orders", actor="test")
            services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    finally:
        done.set()
    assert sum(publisher.result(timeout=20) for publisher in publishers) > 0
    services.delete_topic("orders", actor="test")
    services.run_upkeep()
    assert Record.objects.count() == 0


def test_a_topic_deleted_under_a_handler_that_publishes_to_it_waits_for_the_handler() -> None:
    services.create_group("echo", owner="shop", topics=["orders"])
    publish("first")
    assignment = services.acquire_partition("echo", "orders", 0, member="a")
    assert assignment
    with transaction.atomic():
        services.begin_batch(assignment)
        publish("echo")
        deletion = in_thread(lambda: services.delete_topic("orders", actor="test"))
        wait_until(lambda: elsewhere(_someone_waits), message="the deletion to wait for the handler")
        services.commit_offset(assignment, 1)
    deletion.result(timeout=10)
    services.run_upkeep()
    assert Record.objects.count() == 0


def _someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
