"""The plans of the hot statements: index scans that cost the same however much stands."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import connection

from logs import metadata, selectors, services
from logs.models import Partition
from logs.services import NewRecord
from tests.plans import commit_often, counting_reads, plan_of, scans

SHARED = "logs_record_s0"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def standing() -> list[int]:
    """Twenty thousand records on eight partitions, a group, a thousand commits; partition ids."""
    services.create_topic("orders", owner="shop", partitions=8)
    services.create_group("billing", owner="billing", topics=["orders"])
    for _ in range(4):
        services.publish_many("orders", [NewRecord(n, partition=n % 8) for n in range(5_000)], boundary="shop")
    assignment = services.acquire_partition("billing", "orders", 0, member="a")
    assert assignment
    commit_often([assignment.group_partition_id], 1_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE logs_record, logs_commit")
    return metadata.locate_topic("orders", using="default").partition_ids


def test_fetch_reads_a_range_of_the_primary_key(standing: list[int]) -> None:
    nodes = plan_of("logs", "fetch", partition_id=standing[0], offset=1_000, max_records=100, max_bytes=10**6)
    # Bounded at both ends: whether in order or through a bitmap, no more is read than is given out.
    assert scans(nodes)["logs_record_s0"] <= {"logs_record_s0_pkey", "Bitmap Heap Scan"}
    bounds = [n["Index Cond"] for n in nodes if n.get("Index Name") == "logs_record_s0_pkey"]
    assert any(">=" in bound and "<" in bound for bound in bounds)


def test_a_position_is_one_step_into_the_newest_commits(standing: list[int]) -> None:
    nodes = plan_of("logs", "position", group_partition_ids=[1])
    assert scans(nodes)["logs_commit"] == {"logs_commit_pkey"}


def test_the_lag_of_a_topic_reads_only_newest_commits(standing: list[int]) -> None:
    topic_id = metadata.locate_topic("orders", using="default").topic_id
    nodes = plan_of("logs", "positions", topic_ids=[topic_id], group_id=None)
    assert "logs_record_s0" not in scans(nodes)  # only through logs_tail and logs_record_at
    assert scans(nodes)["logs_commit"] == {"logs_commit_pkey"}


@pytest.mark.parametrize(
    ("what", "most_steps"),
    [
        (lambda: services.publish("orders", "x", partition=0, boundary="shop"), 1),
        (lambda: selectors.bounds("orders"), 8),
        (lambda: selectors.describe_topic("orders"), 16),
        (lambda: selectors.find_offset_for_time("orders", 0, NOON), 1 + 13 + 1),
        (lambda: services.fetch("orders", 0, 1_000, max_records=1), 2),
    ],
    ids=["append", "bounds", "lag", "offset for time", "fetch"],
)
def test_a_statement_takes_single_steps_into_the_primary_key(
    standing: list[int], what: Callable[[], object], most_steps: int
) -> None:
    services.fetch("orders", 0, 999, max_records=1)  # where the segment is, is known from now on
    with counting_reads(SHARED) as reads:
        what()
    assert reads[0].seq_scans == 0
    assert 0 < reads[0].index_scans <= most_steps
    assert reads[0].rows <= most_steps


def test_deleting_what_expired_reads_no_more_than_that() -> None:
    services.delete_records("orders", {0: 1_000, 1: 500}, actor="test")
    with counting_reads(SHARED) as reads:
        assert services.delete_expired(limit=1_200) == 1_200
        assert services.delete_expired() == 300
        assert services.delete_expired() == 0
    assert (reads[0].seq_scans, reads[0].rows) == (0, 1_500)


def test_plans_kept_from_a_small_log_do_not_read_a_large_one_whole() -> None:
    services.create_topic("young", owner="shop")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE logs_record")
        for _ in range(10):  # from the sixth on PostgreSQL keeps one plan for all parameters
            services.publish("young", "x", boundary="shop")
            services.fetch("young", 0, 0)
        cursor.execute("ANALYZE logs_record")
        for _ in range(10):
            services.publish("young", "x", boundary="shop")
            services.fetch("young", 0, 0)
    for _ in range(3):
        services.publish_many("young", [NewRecord("x")] * 10_000, boundary="shop")
    with counting_reads(SHARED) as reads:
        services.publish("young", "x", boundary="shop")
        services.publish_many("young", [NewRecord("x")] * 2, boundary="shop")
        services.fetch("young", 0, 20_000, max_records=10)
    assert (reads[0].seq_scans, reads[0].rows <= 20) == (0, True)


def test_retention_looks_at_the_ends_of_each_partition() -> None:
    with counting_reads(SHARED) as reads:
        services.apply_retention()
    assert (reads[0].seq_scans, reads[0].index_scans) == (0, 2 * Partition.objects.count())
