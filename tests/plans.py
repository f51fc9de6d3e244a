"""Query plans of statements as the store sends them."""

import json
from collections.abc import Iterator
from typing import Any

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


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
