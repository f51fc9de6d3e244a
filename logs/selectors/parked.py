"""What a group has parked. Changes nothing."""

from typing import Any

from logs import rows
from logs.models import ParkedRecord
from logs.selectors.groups import require_group
from mqsite.errors import Invalid
from mqsite.payloads import bytes_or_text

MAX_SHOWN_PARKED = 1_000
MAX_COUNTED_PARKED = 10_001  # more than a group may have


def list_parked(
    group: str, *, topic: str | None = None, after: int = 0, limit: int = 100, using: str = "default"
) -> list[dict[str, Any]]:
    """The group's parked records in the order they were parked, from behind the id `after` on."""
    if not 1 <= limit <= MAX_SHOWN_PARKED:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MAX_SHOWN_PARKED:,}.")
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using), id__gt=after)
    return [_describe(row) for row in (found if topic is None else found.filter(topic=topic)).order_by("id")[:limit]]


def count_parked(group: str, *, using: str = "default") -> int:
    """How many records the group has parked."""
    parked = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using))
    return parked.order_by()[:MAX_COUNTED_PARKED].count()


def find_asked(groups: list[str], *, using: str = "default") -> list[tuple[str, str]]:
    """(group, topic) where parked records are to be tried again, of those of these groups that are not paused."""
    asked = ParkedRecord.objects.using(using).filter(
        group__name__in=groups, group__paused_at__isnull=True, retry_asked_at__isnull=False
    )
    return list(asked.order_by("group__name", "topic").values_list("group__name", "topic").distinct())


def parked_record(row: ParkedRecord) -> rows.Record:
    """As the handler gets it: the group had passed it, so it is a replay."""
    key = None if row.key is None else bytes(row.key)
    value = None if row.value is None else bytes(row.value)
    place = (row.topic, row.partition, True, row.offset, row.timestamp)
    return rows.Record(*place, key, value, row.headers, row.content_type)


def _describe(row: ParkedRecord) -> dict[str, Any]:
    record = parked_record(row)
    return {
        "id": row.id,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "timestamp": row.timestamp.isoformat(),
        **bytes_or_text("key", record.key),
        **bytes_or_text("value", record.value),
        "headers": record.headers,
        "content_type": row.content_type,
        "reason": row.reason,
        "detail": row.detail,
        "attempts": row.attempts,
        "parked_at": row.parked_at.isoformat(),
        "retry_asked_by": row.retry_asked_by if row.retry_asked_at else None,
    }
