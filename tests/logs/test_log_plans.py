"""The plans of the hot statements: index scans that cost the same however much stands."""

import pytest
from django.db import connection

from logs import selectors, services
from logs.services import NewRecord
from tests.plans import plan_of, scans

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
    for offset in range(1_000):
        services.commit_offset(assignment, offset)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return selectors.locate_topic("orders").partition_ids


def test_fetch_reads_a_range_of_the_primary_key(standing: list[int]) -> None:
    nodes = plan_of(
        "logs", "fetch", partition_id=standing[0], offset=1_000, max_records=100, max_bytes=10**6, replay_until=0
    )
    assert scans(nodes)["logs_record"] == {"logs_record_pkey"}
    assert not [n for n in nodes if n["Node Type"] == "Sort"]


def test_the_log_end_is_one_step_into_the_primary_key(standing: list[int]) -> None:
    nodes = plan_of("logs", "bounds", partition_ids=standing[:1])
    assert scans(nodes)["logs_record"] == {"logs_record_pkey"}
    assert [n["Scan Direction"] for n in nodes if n.get("Index Name") == "logs_record_pkey"] == ["Backward"]


def test_a_position_is_one_step_into_the_newest_commits(standing: list[int]) -> None:
    nodes = plan_of("logs", "position", group_partition_id=1)
    assert scans(nodes)["logs_commit"] == {"logs_commit_pkey"}


def test_the_lag_of_a_topic_reads_no_range_of_records(standing: list[int]) -> None:
    topic_id = selectors.locate_topic("orders").topic_id
    nodes = plan_of("logs", "positions", topic_ids=[topic_id])
    assert scans(nodes)["logs_record"] == {"logs_record_pkey"}
    assert scans(nodes)["logs_commit"] == {"logs_commit_pkey"}


def test_an_append_reads_nothing_but_the_last_record(standing: list[int]) -> None:
    before = _reads_of_records()
    services.publish("orders", "x", partition=0, boundary="shop")
    seq_scans, index_scans, rows = (now - then for now, then in zip(_reads_of_records(), before, strict=True))
    assert (seq_scans, index_scans) == (0, 1)
    assert rows <= 1


def _reads_of_records() -> tuple[int, int, int]:
    """Sequential scans, index scans, rows fetched by index, as this session counts them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT seq_scan, idx_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'logs_record'"
        )
        counted: tuple[int, int, int] = cursor.fetchone()
    return counted
