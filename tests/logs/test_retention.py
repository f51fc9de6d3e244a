"""What expires, to the record; that nobody reads it any more, waits for it, or pays for it with disk."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from logs import selectors, services, store
from logs.errors import OffsetOutOfRange, TopicNotFound
from logs.models import Partition, Record, Segment
from logs.services import NewRecord, upkeep
from tests.concurrency import elsewhere, held_open, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_MS = 3_600_000
SLOW_SECONDS = 2.0  # what no publisher may take while others hold or wait for locks


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic that leaves the shared segment only when a test rolls it."""
    monkeypatch.setattr(upkeep, "SHARED_RECORDS", 10**9)
    monkeypatch.setattr(upkeep, "SEGMENT_RECORDS", 10**9)
    services.create_topic("orders", owner="shop", partitions=2)
    return "orders"


def publish(
    values: Sequence[bytes], *, hours_ago: Sequence[float] = (), partition: int = 0, topic: str = "orders"
) -> None:
    now = datetime.now(UTC)
    times: list[datetime | None] = [now - timedelta(hours=hours) for hours in hours_ago]
    batch = [NewRecord(v, partition=partition, timestamp=t) for v, t in zip_longest(values, times)]
    services.publish_many(topic, batch, boundary="shop")


def alter(**configs: object) -> None:
    services.alter_topic("orders", configs={n.replace("_", "."): v for n, v in configs.items()}, actor="test")


def start_of(partition: int = 0, topic: str = "orders") -> int:
    return selectors.bounds(topic)[partition].log_start


def roll(topic: str = "orders") -> int:
    """The segment the topic goes on in."""
    located = store.locate(topic, using="default")
    assert located
    present = Partition.objects.get(pk=located.partition_ids[0]).segment
    while True:
        rolled = store.roll(located.topic_id, from_segment=present, using="default")
        if rolled is not None:
            return rolled
        assert store.add_segment(limit=upkeep.MAX_SEGMENTS, using="default")


def texts(offset: int = 0, topic: str = "orders") -> list[str | None]:
    return [r.text for r in services.fetch(topic, 0, offset)]


# Which records


def test_by_time_all_that_is_older_goes_and_nothing_else() -> None:
    publish([b"a", b"b", b"c", b"d"], hours_ago=[30, 25, 23, 1])
    publish([b"e"], hours_ago=[1], partition=1)
    alter(retention_ms=24 * HOUR_MS)
    services.apply_retention()
    assert (start_of(0), start_of(1)) == (2, 0)
    assert texts(2) == ["c", "d"]


def test_by_time_even_the_newest_record_goes() -> None:
    publish([b"a", b"b"], hours_ago=[30, 25])
    alter(retention_ms=24 * HOUR_MS)
    services.apply_retention()
    assert selectors.bounds("orders")[0][2:] == (2, 2, 0)


def test_a_record_behind_a_newer_one_stays_as_long_as_that_one() -> None:
    publish([b"a", b"b", b"c"], hours_ago=[30, 1, 30])
    alter(retention_ms=24 * HOUR_MS)
    services.apply_retention()
    assert texts(1) == ["b", "c"]


@pytest.mark.parametrize(
    ("limit", "start"), [(-1, 0), (15, 0), (13, 0), (12, 1), (11, 1), (10, 2), (6, 3), (5, 4), (4, 4), (0, 4)]
)
def test_by_size_as_much_goes_as_leaves_the_limit_and_the_newest_record_stays(limit: int, start: int) -> None:
    """Sizes 3, 2, 4, 1, 5 from the oldest on: 15 bytes."""
    publish([b"x" * size for size in (3, 2, 4, 1, 5)])
    alter(retention_bytes=limit)
    services.apply_retention()
    found = selectors.bounds("orders")[0]
    assert (found.log_start, found.size_bytes) == (start, 15 - sum((3, 2, 4, 1, 5)[:start]))


def test_key_and_headers_count_as_well() -> None:
    services.publish("orders", "12", key="345", headers=[("a", "b")], partition=0, boundary="shop")
    assert selectors.bounds("orders")[0].size_bytes == 2 + 3 + len('[["a","b"]]')


def test_size_and_offsets_go_on_where_they_were_when_every_row_is_gone() -> None:
    publish([b"abc", b"de"])
    services.delete_records("orders", {0: -1}, actor="test")
    services.run_upkeep()
    assert Record.objects.count() == 0
    publish([b"f"])
    assert selectors.bounds("orders")[0][2:] == (2, 3, 1)
    assert texts(2) == ["f"]


def test_time_is_found_although_a_deleted_record_was_of_the_future() -> None:
    publish([b"a", b"b", b"c"], hours_ago=[-0.5, 3, 1])
    services.delete_records("orders", {0: 1}, actor="test")
    assert selectors.find_offset_for_time("orders", 0, datetime.now(UTC) - timedelta(hours=2)) == 2


# In what order


def test_the_log_start_moves_before_the_rows_go() -> None:
    publish([b"a", b"b", b"c"])
    alter(retention_bytes=1)
    services.apply_retention()
    assert Record.objects.count() == 3
    with pytest.raises(OffsetOutOfRange, match="from 2 up to 3"):
        texts(0)
    services.delete_expired()
    assert Record.objects.count() == 1
    assert texts(2) == ["c"]


def test_an_open_reader_keeps_what_it_has_read_and_is_told_at_its_next_fetch() -> None:
    publish([b"a", b"b"])
    with transaction.atomic():
        assert texts(0) == ["a", "b"]
        elsewhere(lambda: services.delete_records("orders", {0: 1}, actor="test"))
        with pytest.raises(OffsetOutOfRange, match="from 1 up to 2"):
            texts(0)


def test_a_group_that_retention_has_passed_goes_on_at_the_log_start() -> None:
    services.create_group("billing", owner="billing", topics=["orders"])
    publish([b"a", b"b", b"c"])
    services.delete_records("orders", {0: 2}, actor="test")
    assignment = services.acquire_partition("billing", "orders", 0, member="a")
    assert assignment
    assert [r.text for r in services.fetch_assigned(assignment, 0, max_records=10)] == ["c"]


@pytest.mark.parametrize("reader", ["group", "script"])
def test_a_reader_goes_on_at_the_log_start_even_if_that_moves_once_more_meanwhile(
    reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.create_group("billing", owner="billing", topics=["orders"])
    publish([b"a", b"b", b"c", b"d"])
    assignment = services.acquire_partition("billing", "orders", 0, member="a")
    records = services.read_records("orders", partitions=[0], start=0)
    assert assignment
    read, starts = selectors.read_partition, iter([1, 2, 3])

    def read_while_it_moves(*args: Any, **options: Any) -> list[services.Record]:
        for start in starts:
            services.delete_records("orders", {0: start}, actor="test")
            break
        return read(*args, **options)

    monkeypatch.setattr(selectors, "read_partition", read_while_it_moves)
    if reader == "group":
        assert [r.text for r in services.fetch_assigned(assignment, 0, max_records=10)] == ["d"]
    else:
        assert [r.text for r in records] == ["d"]


# Segments


def test_a_topic_goes_on_in_its_own_segment_and_is_read_across() -> None:
    publish([b"a", b"b"])
    first = roll()
    publish([b"c"])
    second = roll()
    assert second != first
    publish([b"d"])
    assert [r.text for r in services.read_records("orders", partitions=[0])] == ["a", "b", "c", "d"]
    assert [r.segment for r in Record.objects.filter(offset__gte=0).order_by("offset")] == [0, 0, first, second]


def test_an_expired_segment_is_emptied_and_its_disk_given_back() -> None:
    segment = roll()
    for _ in range(4):
        publish([random.randbytes(1_000_000)])
    roll()
    publish([b"new"])
    assert size_of(segment) > 3_000_000
    services.delete_records("orders", {0: 4}, actor="test")
    services.run_upkeep()
    assert size_of(segment) < 100_000
    assert texts(4) == ["new"]


def size_of(segment: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(format('logs_record_s%%s', %s::int)::regclass)", [segment])
        return int(cursor.fetchone()[0])


def test_what_expires_as_fast_as_it_comes_is_emptied_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few records stand at any time; the segment fills with expired ones all the same."""
    monkeypatch.setattr(upkeep, "SEGMENT_RECORDS", 10)
    alter(retention_bytes=1)
    roll()
    for _ in range(20):
        publish([b"x"] * 4)
        services.run_upkeep()
    assert Record.objects.count() <= 2 * 10 + 4
    assert selectors.bounds("orders")[0][2:] == (79, 80, 1)


def test_a_segment_stays_while_one_record_in_it_can_be_read() -> None:
    segment = roll()
    publish([b"a"])
    publish([b"b", b"c"], partition=1)
    roll()
    services.delete_records("orders", {0: -1, 1: 1}, actor="test")
    assert services.free_segments() == []
    assert [r.text for r in services.fetch("orders", 1, 1)] == ["c"]
    services.delete_records("orders", {1: 2}, actor="test")
    assert services.free_segments() == [segment]


@pytest.mark.parametrize("heir", ["orders", "others"])
def test_a_reader_that_remembers_a_segment_is_not_fooled_when_it_is_used_again(heir: str) -> None:
    """In this thread and in another: both know where offsets 0 to 2 stood."""
    services.create_topic("others", owner="shop", partitions=2)
    segment = roll()
    publish([b"a", b"b", b"c"])
    assert texts(0) == elsewhere(lambda: texts(0)) == ["a", "b", "c"]
    roll()
    publish([b"d"])
    services.delete_records("orders", {0: 3}, actor="test")
    assert services.free_segments() == [segment]
    assert roll(heir) == segment
    publish([b"e", b"f", b"g", b"h"], topic=heir)
    for run in (lambda work: work(), elsewhere):
        for offset in range(3):
            with pytest.raises(OffsetOutOfRange, match="from 3 up to"):
                run(partial(texts, offset))
        assert run(lambda: [r.text for r in services.read_records("orders")])[0] == "d"
        assert run(lambda: texts(0 if heir == "others" else 4, heir)) == ["e", "f", "g", "h"]


def test_emptying_a_segment_waits_for_no_reader_and_makes_nobody_wait() -> None:
    segment = roll()
    publish([b"a"])
    roll()
    publish([b"b"])
    with held_open(lambda: texts(0)) as commit:
        services.delete_records("orders", {0: 1}, actor="test")
        emptying = in_thread(services.free_segments)
        took = []
        while not emptying.done():
            started = time.monotonic()
            publish([b"c"])
            took.append(time.monotonic() - started)
        assert emptying.result() == []
        assert max(took) < SLOW_SECONDS
        assert len(took) > 1
        commit()
    assert services.free_segments() == [segment]


def test_a_topic_can_be_deleted_under_an_open_reader() -> None:
    segment = roll()
    publish([b"a"])
    with transaction.atomic():
        assert texts(0) == ["a"]
        elsewhere(lambda: services.delete_topic("orders", actor="test"))
        assert elsewhere(services.free_segments) == []
        with pytest.raises(TopicNotFound):
            texts(0)
    services.run_upkeep()
    assert not Segment.objects.filter(pk=segment, topic_id__isnull=False).exists()
    assert Record.objects.count() == 0


def test_the_log_end_never_goes_back_while_segments_are_emptied() -> None:
    """A statement that looks at many topics meets a segment that was emptied after it had begun."""
    services.create_topic("others", owner="shop", partitions=1)
    slow, emptied = roll(), roll("others")
    publish([b"a"])
    publish([b"b", b"c"], topic="others")
    ids = [b.partition_id for name in ("orders", "others") for b in selectors.bounds(name)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE logs_record_s{slow}")
        looking = in_thread(lambda: store.bounds(ids, using="default"))
        wait_until(someone_waits, message="the statement to reach the first topic")
        elsewhere(lambda: roll("others"))
        elsewhere(lambda: services.delete_records("others", {0: -1}, actor="test"))
        assert elsewhere(lambda: store.free_segment(emptied, quiet_seconds=0, using="default"))
    assert [b.log_end for b in looking.result(timeout=10)] == [1, 0, 2]


def someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_segment_is_left_alone_until_any_dump_that_began_before_the_roll_has_its_locks(settings: Settings) -> None:
    first = roll()
    publish([b"a"])
    roll()
    services.delete_records("orders", {0: -1}, actor="test")
    settings.MQSITE_SEGMENT_QUIET_SECONDS = 60
    assert services.free_segments() == []
    settings.MQSITE_SEGMENT_QUIET_SECONDS = 0
    assert services.free_segments() == [first]


def test_after_emptying_a_segment_the_disk_is_left_to_publishers_for_nine_times_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segments = [roll(), roll(), roll()]
    rests: list[float] = []
    monkeypatch.setattr("logs.services.upkeep.time.sleep", rests.append)
    started = time.monotonic()
    assert services.free_segments() == segments[:2]  # the last one is in use
    took = time.monotonic() - started
    assert len(rests) == 2
    assert 0 < sum(rests) <= 9 * took
    roll()
    assert services.free_segments(seconds=0) == [], "what is left waits for the next upkeep"


def test_the_segment_of_a_topic_that_fell_silent_is_emptied_too() -> None:
    segment = roll()
    publish([b"a", b"b"], hours_ago=[50, 50])
    alter(retention_ms=3_600_000)
    for _ in range(2):
        services.run_upkeep()
    assert not Record.objects.filter(segment=segment).exists()
    assert Segment.objects.get(pk=segment).topic_id is None
    (bounds, _) = selectors.bounds("orders")
    assert (bounds.log_start, bounds.log_end) == (2, 2)
