"""Query plans of statements as the store sends them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection

from mqsite.sql import statement


def plan_of(half: str, name: str, **params: Any) -> list[dict[str, Any]]:
    """Every node of the plan PostgreSQL chooses for `half/sql/name.sql`."""
    text = statement(half, name).replace(")b", ")s")  # EXPLAIN goes through Django's cursor
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {text}", params)
        answer = cursor.fetchone()[0]
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return list(_nodes(plan[0]["Plan"]))


def scans(nodes: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Table to the ways it is read: index names, or "Seq Scan"."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        if "Relation Name" in node:
            found.setdefault(node["Relation Name"], set()).add(node.get("Index Name", node["Node Type"]))
    return found


def commit_often(group_partition_ids: list[int], count: int) -> None:
    """Offsets 1 to count for each, one row each, as so many calls of `commit_offset` leave them until the sweep."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO logs_commit (group_partition_id, number, committed, at)"
            " SELECT id, nextval('logs_commit_number'), n, clock_timestamp()"
            " FROM unnest(%s::int[]) id, generate_series(1, %s) n",
            [group_partition_ids, count],
        )


class Reads(NamedTuple):
    seq_scans: int
    index_scans: int
    rows: int  # fetched through indexes


@contextmanager
def counting_reads(*tables: str) -> Iterator[list[Reads]]:
    """What this session reads of tables (LIKE patterns) inside the block; one entry, there once it has ended."""
    counted: list[Reads] = []
    before = _count_reads(tables)
    yield counted
    counted.append(Reads(*(now - then for now, then in zip(_count_reads(tables), before, strict=True))))


def _count_reads(tables: tuple[str, ...]) -> Reads:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT sum(seq_scan)::int, sum(coalesce(idx_scan, 0))::int, sum(coalesce(idx_tup_fetch, 0))::int"
            " FROM pg_stat_user_tables WHERE relname LIKE ANY (%s)",
            [list(tables)],
        )
        return Reads(*cursor.fetchone())


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
