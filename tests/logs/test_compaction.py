"""Compaction keeps the newest record of each key; order and offsets never change."""

import random

import pytest
from django.db import connection

from logs import selectors, services, store
from logs.errors import KeyRequired
from logs.models import Record
from logs.services import NewRecord, upkeep
from tests.concurrency import held_open, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def compact() -> None:
    while services.compact_topics():
        pass


Kept = list[tuple[int, str | None, str | None]]


@pytest.fixture(autouse=True)
def topic() -> str:
    """Compacted, one partition, tombstones go as soon as they may."""
    configs = {"cleanup.policy": "compact", "delete.retention.ms": 0, "retention.ms": -1}
    services.create_topic("prices", owner="shop", configs=configs)
    return "prices"


def publish(*pairs: tuple[str, object], topic: str = "prices") -> None:
    services.publish_many(topic, [NewRecord(value, key, partition=0) for key, value in pairs], boundary="shop")


def kept(topic: str = "prices", partition: int = 0) -> Kept:
    records = services.read_records(topic, partitions=[partition])
    return [(r.offset, r.key_text, r.text) for r in records]


def ends() -> tuple[int, int]:
    (bounds,) = selectors.bounds("prices")
    return bounds.log_start, bounds.log_end


def test_the_newest_record_of_each_key_stays_at_its_offset() -> None:
    publish(("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2), ("a", 3))
    compact()
    assert kept() == [(3, "c", "1"), (4, "b", "2"), (5, "a", "3")]
    assert ends() == (0, 6)
    publish(("c", 2))
    compact()
    assert kept() == [(4, "b", "2"), (5, "a", "3"), (6, "c", "2")]


def test_a_tombstone_stays_for_its_time_and_then_goes() -> None:
    services.alter_topic("prices", configs={"delete.retention.ms": 3_600_000}, actor="ann")
    publish(("a", 1), ("a", None), ("b", 1))
    compact()
    assert kept() == [(1, "a", None), (2, "b", "1")]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE logs_tombstone SET remove_at = remove_at - interval '2 hours'")
    compact()
    assert kept() == [(2, "b", "1")]


def test_the_last_record_of_a_partition_is_never_removed_so_that_offsets_do_not_come_back() -> None:
    publish(("a", 1), ("a", None))
    compact()
    assert kept() == [(1, "a", None)]
    publish(("b", 1))
    compact()
    assert (kept(), ends()) == ([(2, "b", "1")], (0, 3))


def test_a_key_that_comes_back_before_its_tombstone_goes_is_kept() -> None:
    services.alter_topic("prices", configs={"delete.retention.ms": 3_600_000}, actor="ann")
    publish(("a", 1), ("a", None))
    compact()
    publish(("a", 2), ("b", 1))
    compact()
    services.alter_topic("prices", configs={"delete.retention.ms": 0}, actor="ann")
    compact()
    assert kept() == [(2, "a", "2"), (3, "b", "1")]


def test_what_is_younger_than_the_lag_neither_goes_nor_takes_anything_along() -> None:
    services.alter_topic("prices", configs={"min.compaction.lag.ms": 3_600_000}, actor="ann")
    publish(("a", 1), ("a", 2))
    compact()
    assert kept() == [(0, "a", "1"), (1, "a", "2")]


def test_records_need_a_key() -> None:
    with pytest.raises(KeyRequired, match=r"Record 1 has no key\. prices is compacted"):
        services.publish_many("prices", [NewRecord(1, "a"), NewRecord(2)], boundary="shop")
    assert Record.objects.count() == 0


def test_the_same_bytes_are_the_same_key_and_nothing_else_is() -> None:
    publish(("", 1), ("a", 1), ("A", 1), ("", 2))
    compact()
    assert kept() == [(1, "a", "1"), (2, "A", "1"), (3, "", "2")]


def test_a_topic_that_becomes_compacted_takes_its_old_records_along() -> None:
    services.create_topic("late", owner="shop")
    publish(("a", 1), ("b", 1), ("a", 2), topic="late")
    services.alter_topic("late", configs={"cleanup.policy": "compact"}, actor="ann")
    publish(("b", 2), topic="late")
    compact()
    assert kept("late") == [(2, "a", "2"), (3, "b", "2")]


def test_compact_and_delete_do_both() -> None:
    services.alter_topic("prices", configs={"cleanup.policy": "delete, compact", "retention.bytes": 4}, actor="ann")
    publish(("a", 1), ("b", 1), ("a", 2), ("c", 1))
    services.run_upkeep()
    assert (kept(), ends()) == ([(2, "a", "2"), (3, "c", "1")], (2, 4))


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SHARED_RECORDS", 50)
    monkeypatch.setattr(upkeep, "SEGMENT_RECORDS", 50)


@pytest.mark.usefixtures("small_segments")
def test_across_segments_a_reader_meets_the_newest_of_each_key_in_order() -> None:
    services.alter_topic("prices", configs={"cleanup.policy": "compact,delete"}, actor="ann")
    newest: dict[str, tuple[int, str]] = {}
    chance = random.Random(7)
    for start in range(0, 1_000, 50):
        pairs = [(f"k{chance.randrange(300)}", n) for n in range(start, start + 50)]
        publish(*pairs)
        newest |= {key: (n, str(n)) for key, n in pairs}
        services.run_upkeep()
    assert len({r.segment for r in Record.objects.all()} | {0}) > 2
    expected = sorted((offset, key, value) for key, (offset, value) in newest.items())
    assert kept() == expected
    for offset in range(0, 1_000, 37):  # also from within the holes
        read = services.fetch("prices", 0, offset, max_records=5)
        assert [(r.offset, r.key_text, r.text) for r in read][:1] == [e for e in expected if e[0] >= offset][:1]


def test_publishers_and_readers_go_on_while_it_runs() -> None:
    publish(*[(f"k{n % 10}", n) for n in range(3_000)])
    with held_open(lambda: services.fetch("prices", 0, 0)):
        work = in_thread(compact)
        for n in range(3_000, 3_100):
            publish((f"k{n % 10}", n))
        work.result(timeout=30)
    compact()
    assert [value for _, _, value in kept()] == [str(n) for n in range(3_090, 3_100)]


def test_one_step_is_bounded_and_follows_what_is_new() -> None:
    publish(*[(f"k{n}", n) for n in range(2_500)])
    (partition,) = store.compactable(using="default")
    assert [store.compact(partition, limit=1_000, using="default") for _ in range(4)] == [1_000, 1_000, 500, 0]
    publish(("k0", "again"))
    assert store.compact(partition, limit=1_000, using="default") == 1
    assert len(kept()) == 2_500
