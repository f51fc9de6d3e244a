"""What of a group somebody has paused: since when, and why. Changes nothing."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count

from logs.models import ConsumerGroup, GroupPartition


def find_pauses(group: str, *, using: str = "default") -> list[dict[str, Any]]:
    """`{"topic", "partitions", "by", "at", "reason"}` each: the whole group first, with None for the topic and the
    partitions; then partitions paused by themselves, those of one topic together that one pause stopped."""
    found: dict[Any, dict[str, Any]] = {}
    for row in ConsumerGroup.objects.using(using).filter(name=group, paused_at__isnull=False):
        found[None] = {**_say_who(row), "topic": None, "partitions": None}
    stopped = (
        GroupPartition.objects.using(using)
        .filter(group__name=group, paused_at__isnull=False)
        .select_related("partition__topic")
        .order_by("partition__topic__name", "partition__number")
    )
    for held in stopped:
        topic = held.partition.topic.name
        key = (topic, held.paused_by, held.pause_reason)
        found.setdefault(key, {**_say_who(held), "topic": topic, "partitions": []})
        found[key]["partitions"].append(held.partition.number)
    return list(found.values())


def count_paused(groups: Iterable[str], *, using: str = "default") -> dict[str, int | None]:
    """Of the groups with anything paused: how many partitions, None for the whole group."""
    whole = ConsumerGroup.objects.using(using).filter(name__in=groups, paused_at__isnull=False)
    parts = GroupPartition.objects.using(using).filter(group__name__in=groups, paused_at__isnull=False)
    counts: dict[str, int | None] = dict(parts.values_list("group__name").annotate(Count("id")).order_by())
    return counts | dict.fromkeys(whole.values_list("name", flat=True), None)


def _say_who(row: ConsumerGroup | GroupPartition) -> dict[str, Any]:
    return {"by": row.paused_by, "at": row.paused_at, "reason": row.pause_reason}
