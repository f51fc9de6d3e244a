"""How far groups are behind, in records and in seconds, for all of them at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from logs import metadata, selectors, services, store
from logs.models import ConsumerGroup, GroupPartition, Topic
from logs.rows import Lag
from logs.services import Assignment, NewRecord, upkeep
from mqsite import sql
from mqsite.models import WorkerProcess
from tests.concurrency import in_thread
from tests.plans import commit_often, counting_reads, plan_of, scans

pytestmark = pytest.mark.django_db(transaction=True)

SHARED = "logs_record_s0"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def group() -> str:
    """A group that has read nothing of ten records on each of two partitions; there is no other."""
    ConsumerGroup.objects.all().delete()
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    publish(20)
    return "billing"


def publish(count: int, *, topic: str = "orders", partitions: int = 2, hours_ago: float = 0.0) -> None:
    at = datetime.now(UTC) - hours_ago * HOUR
    batch = [NewRecord(n, partition=n % partitions, timestamp=at) for n in range(count)]
    services.publish_many(topic, batch, boundary="shop")


def hold(partition: int = 0, *, group: str = "billing", topic: str = "orders", member: str = "a") -> Assignment:
    assignment = services.acquire_partition(group, topic, partition, member=member)
    assert assignment
    return assignment


def commit(offset: int, *, partition: int = 0, group: str = "billing", topic: str = "orders") -> None:
    assignment = hold(partition, group=group, topic=topic)
    services.commit_offset(assignment, offset)
    services.release_partition(assignment)


def lag_of(group: str = "billing") -> Lag:
    (lag,) = store.lags([ConsumerGroup.objects.get(name=group).id], using="default")
    return lag


def summary_of(group: str = "billing") -> dict[str, Any]:
    return next(row for row in selectors.groups() if row["group"] == group)


def roll(topic: str = "orders", *, from_segment: int = 0) -> None:
    """The topic goes on in a segment of its own."""
    store.add_segment(limit=upkeep.MAX_SEGMENTS, using="default")
    topic_id = metadata.locate_topic(topic, using="default").topic_id
    assert store.roll(topic_id, from_segment=from_segment, using="default")


# In records and in seconds


def test_what_was_never_committed_lags_from_the_log_start_and_says_so() -> None:
    lag = lag_of()
    assert (lag.partitions, lag.lag, lag.log_end, lag.not_started) == (2, 20, 20, 2)
    assert lag.lag_seconds
    services.delete_records("orders", {0: 4}, actor="test")
    assert (lag_of().lag, lag_of().not_started) == (16, 2)


def test_a_commit_is_a_position_and_at_the_end_nothing_is_unread() -> None:
    commit(4)
    assert (lag_of().lag, lag_of().not_started) == (16, 1)
    commit(10)
    commit(10, partition=1)
    lag = lag_of()
    assert (lag.lag, lag.lag_seconds, lag.not_started) == (0, None, 0)


def test_an_empty_partition_is_no_lag() -> None:
    services.create_topic("empty", owner="shop", partitions=3)
    services.create_group("patient", owner="billing", topics=["empty"])
    lag = lag_of("patient")
    assert (lag.partitions, lag.lag, lag.lag_seconds, lag.log_end, lag.not_started) == (3, 0, None, 0, 3)


def test_seconds_are_the_age_of_the_oldest_record_not_read_on_any_partition() -> None:
    services.create_topic("aged", owner="shop", partitions=2)
    services.create_group("reader", owner="billing", topics=["aged"])
    for hours in (5, 3, 1):
        publish(2, topic="aged", hours_ago=hours)
    commit(2, group="reader", topic="aged")
    assert lag_of("reader").lag_seconds == pytest.approx(5 * 3600, abs=60)
    commit(1, partition=1, group="reader", topic="aged")
    assert lag_of("reader").lag_seconds == pytest.approx(3 * 3600, abs=60)


def test_a_commit_that_retention_has_passed_counts_from_the_log_start() -> None:
    commit(2)
    commit(10, partition=1)
    services.delete_records("orders", {0: 7}, actor="test")
    lag = lag_of()
    assert (lag.lag, lag.not_started) == (3, 0)
    assert lag.lag_seconds


def test_records_in_another_segment_have_their_age() -> None:
    roll()
    publish(4, hours_ago=2)
    roll(from_segment=Topic.objects.get(name="orders").partitions.all()[0].segment)
    publish(4, hours_ago=1)
    commit(10)
    commit(14, partition=1)
    lag = lag_of()
    assert (lag.lag, lag.log_end) == (4, 28)
    assert lag.lag_seconds == pytest.approx(2 * 3600, abs=60)
    commit(12)
    assert lag_of().lag_seconds == pytest.approx(3600, abs=60)


def test_where_nothing_is_left_in_a_segment_the_next_one_has_the_age() -> None:
    roll()
    publish(4, hours_ago=2)
    commit(8)
    commit(12, partition=1)
    with connection.cursor() as cursor:
        cursor.execute('DELETE FROM logs_record_s0 WHERE "offset" >= 8')
    lag = lag_of()
    assert lag.lag == 4
    assert lag.lag_seconds == pytest.approx(2 * 3600, abs=60)


def test_where_compaction_took_the_next_record_the_one_after_it_has_the_age() -> None:
    commit(10, partition=1)
    with connection.cursor() as cursor:
        cursor.execute('DELETE FROM logs_record_s0 WHERE "offset" < 3')
        cursor.execute('UPDATE logs_record_s0 SET "timestamp" = now() - interval \'3 hours\' WHERE "offset" = 3')
    lag = lag_of()
    assert lag.lag == 10
    assert lag.lag_seconds == pytest.approx(3 * 3600, abs=60)


def test_lag_is_never_negative_while_records_come_and_are_read() -> None:
    assignment = hold()
    services.commit_offset(assignment, 10)

    def follow() -> None:
        for offset in range(11, 111):
            services.publish("orders", "x", partition=0, boundary="shop")
            services.commit_offset(assignment, offset)

    following = in_thread(follow)
    found = []
    while not following.done():
        found.append(lag_of().lag)
    following.result()
    assert found
    assert min(found) >= 10  # of the other partition


# What holds it up


def test_failing_partitions_are_counted() -> None:
    services.record_failure(hold(), 0, error="KeyError", retry_seconds=60)
    assert (lag_of().failing, summary_of()["failing"]) == (1, 1)


def test_paused_partitions_are_counted_and_all_of_a_paused_group() -> None:
    GroupPartition.objects.filter(partition__number=1).update(paused_at=datetime.now(UTC))
    assert lag_of().paused == 1
    ConsumerGroup.objects.update(paused_at=datetime.now(UTC))
    assert (lag_of().paused, summary_of()["paused"]) == (2, 2)


def test_a_reader_counts_once_whether_it_holds_something_or_not() -> None:
    services.create_topic("fares", owner="shop")
    services.subscribe_group("billing", "fares")
    for topic, partition in (("orders", 0), ("orders", 1), ("fares", 0)):
        hold(partition, topic=topic)
    assert summary_of()["members"] == 1
    GroupPartition.objects.filter(partition__topic__name="orders").update(expires_at="2000-01-01T00:00Z")
    hold(1, member="b")
    assert summary_of()["members"] == 2
    GroupPartition.objects.update(expires_at="2000-01-01T00:00Z")
    assert summary_of()["members"] == 0
    services.join_group("billing", boundary="billing")
    WorkerProcess.objects.create(name="here:1", handles=["logs:billing:orders", "logs:billing:fares"])
    gone = WorkerProcess.objects.create(name="gone:1", handles=["logs:billing:orders"])
    WorkerProcess.objects.filter(pk=gone.pk).update(seen_at="2000-01-01T00:00Z")
    assert summary_of()["members"] == 2


# All groups at once


def test_a_group_sums_up_its_topics() -> None:
    services.create_topic("fares", owner="shop")
    services.subscribe_group("billing", "fares")
    publish(3, topic="fares", partitions=1, hours_ago=2)
    commit(10, partition=1)
    row = summary_of()
    assert row.pop("lag_seconds") == pytest.approx(2 * 3600, abs=60)
    assert row == {
        "group": "billing",
        "owner": "billing",
        "topics": ["fares", "orders"],
        "members": 0,
        "lag": 13,
        "failing": 0,
        "paused": 0,
        "not_started": 2,
    }
    ids = {t.name: t.id for t in Topic.objects.all()}
    found = {lag.topic_id: (lag.partitions, lag.lag, lag.not_started) for lag in store.lags(None, using="default")}
    assert found == {ids["fares"]: (1, 3, 1), ids["orders"]: (2, 10, 1)}


def test_a_group_that_reads_nothing_is_listed() -> None:
    services.create_group("idle", owner="billing")
    row = summary_of("idle")
    assert (row["topics"], row["lag"], row["lag_seconds"], row["not_started"]) == ([], 0, None, 0)


def test_the_furthest_behind_of_all_come_first_whatever_their_names() -> None:
    services.create_topic("old", owner="shop", partitions=2)
    publish(2, topic="old", hours_ago=9)
    for name, topic in (("alpha", "orders"), ("zulu", "old"), ("idle", None)):
        services.create_group(name, owner="billing", topics=[topic] if topic else [])
    commit(10)
    commit(10, partition=1)
    assert [row["group"] for row in selectors.groups()] == ["zulu", "alpha", "billing", "idle"]
    assert [row["group"] for row in selectors.groups(limit=1)] == ["zulu"]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those of the store."""
    found: list[str] = []
    run = sql.fetch_all

    def count(using: str, text: str, *args: Any, **kwargs: Any) -> Any:
        found.append(text)
        return run(using, text, *args, **kwargs)

    monkeypatch.setattr("logs.store.running.fetch_all", count)
    return found


@pytest.mark.parametrize(("what", "count"), [(selectors.groups, 1), (services.sample_lag, 3)], ids=["list", "sample"])
def test_many_groups_take_as_many_statements_as_one(
    what: Callable[[], object], count: int, statements: list[str]
) -> None:
    with CaptureQueriesContext(connection) as with_one:
        what()
    assert len(statements) == count
    for n in range(29):
        services.create_group(f"group-{n}", owner="billing", topics=["orders"])
    statements.clear()
    with CaptureQueriesContext(connection) as with_many:
        what()
    assert (len(statements), len(with_many)) == (count, len(with_one))
    assert len(with_one) <= 4  # names of groups and of topics, members, workers; or BEGIN and COMMIT


def test_each_end_is_looked_for_once_and_each_age_is_one_step() -> None:
    for n in range(29):
        services.create_group(f"group-{n}", owner="billing", topics=["orders"])
    services.create_topic("unread", owner="shop", partitions=8)
    publish(80, topic="unread", partitions=8)
    with counting_reads(SHARED) as reads:
        store.lags(None, using="default")
    ends, ages = 2, 60
    assert reads[0].seq_scans == 0
    assert 0 < reads[0].index_scans <= ends + ages
    with counting_reads(SHARED) as reads:
        store.lags([ConsumerGroup.objects.get(name="billing").id], using="default")
    assert reads[0].seq_scans == 0
    assert 0 < reads[0].index_scans <= 2 + 2


@pytest.mark.parametrize("is_analyzed", [False, True])
@pytest.mark.parametrize("is_one", [False, True])
@pytest.mark.parametrize("is_alone", [False, True])
def test_right_after_much_was_written_nothing_is_read_whole(*, is_analyzed: bool, is_one: bool, is_alone: bool) -> None:
    if is_alone:
        roll()
    for _ in range(4):
        publish(5_000)
    commit_often([hold().group_partition_id], 1_000)
    if is_analyzed:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE logs_record, logs_commit, logs_group_partition, logs_partition")
    group_ids = [ConsumerGroup.objects.get().id] if is_one else None
    found = scans(plan_of("logs", "lags", group_ids=group_ids))
    assert found["logs_commit"] == {"logs_commit_pkey"}
    assert [table for table in found if table.startswith("logs_record")] == []  # only through functions
    for _ in range(7):  # from the sixth on PostgreSQL keeps one plan for all parameters
        with counting_reads("logs_record_s%") as reads:
            store.lags(group_ids, using="default")
        ends, ages = 2, 2
        assert reads[0].seq_scans == 0
        assert 0 < reads[0].rows <= ends + ages
