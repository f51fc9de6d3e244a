"""What a group has parked. Changes nothing."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db.models import BinaryField, Count, F, Func, IntegerField, QuerySet, Value
from django.db.models.functions import Coalesce, Length

from logs import rows, store
from logs.models import ParkedRecord
from logs.selectors.groups import require_group
from mqsite.errors import Invalid
from mqsite.payloads import bytes_or_text

MAX_SHOWN_PARKED = 1_000
MAX_COUNTED_PARKED = 10_001  # more than a group may have
MAX_PAGE_BYTES = 4 * 1024 * 1024  # of keys, values and headers in one page
MOST_LISTED = 25
MOST_COUNTED = 1_000  # of each group, where all groups are looked at
MOST_SUBJECTS = 100
MOST_CHOSEN = 1_000
SHOWN_BYTES = 2_000  # of a value on a page
MAX_BIGINT = 2**63 - 1


class ParkedPage(NamedTuple):
    """Parked records, and the id to go on from; None: that was all."""

    records: list[dict[str, Any]]
    mark: int | None


def list_parked(
    group: str, *, topic: str | None = None, after: int = 0, limit: int = 100, using: str = "default"
) -> list[dict[str, Any]]:
    """The group's parked records in the order they were parked, from behind the id `after` on."""
    if not 1 <= limit <= MAX_SHOWN_PARKED:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MAX_SHOWN_PARKED:,}.")
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using), id__gt=after)
    return [_describe(row) for row in (found if topic is None else found.filter(topic=topic)).order_by("id")[:limit]]


def page_parked(
    group: str, *, topic: str | None = None, after: int = 0, limit: int = 100, using: str = "default"
) -> ParkedPage:
    """As `list_parked`, but no more than fit into MAX_PAGE_BYTES; one at least."""
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using), id__gt=after)
    found = found if topic is None else found.filter(topic=topic)
    held = Coalesce(Length("key"), 0) + Coalesce(Length("value"), 0) + Coalesce(Length("headers"), 0)
    sizes = list(found.order_by("id").values_list("id", held)[: limit + 1])
    ids = _take_fitting(sizes[:limit])
    rows_ = ParkedRecord.objects.using(using).filter(id__in=ids).order_by("id")
    return ParkedPage([_describe(row) for row in rows_], ids[-1] if len(ids) < len(sizes) else None)


def newest_parked(
    group: str, *, topic: str | None = None, before: int | None = None, limit: int = MOST_LISTED, using: str = "default"
) -> ParkedPage:
    """The latest, or the latest `before` an id, each with the beginning of its value only."""
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using))
    found = found if topic is None else found.filter(topic=topic)
    found = found if before is None else found.filter(id__lt=before)
    records = _read_beginnings(found.order_by("-id")[: limit + 1])
    return ParkedPage(records[:limit], records[limit - 1]["id"] if len(records) > limit else None)


def chosen_parked(group: str, ids: Sequence[int], *, using: str = "default") -> list[dict[str, Any]]:
    """Those of the ids that the group has parked, the latest first; as `newest_parked`."""
    known = [id_ for id_ in ids if 0 < id_ <= MAX_BIGINT]
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using), id__in=known)
    return _read_beginnings(found.order_by("-id")[:MOST_CHOSEN])


def parked_topics(group: str, *, using: str = "default") -> list[str]:
    """The topics that the group has parked records of."""
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using))
    return list(found.order_by("topic").values_list("topic", flat=True).distinct())


def count_asked(group: str, *, using: str = "default") -> int:
    """How many of them are to be tried again."""
    found = ParkedRecord.objects.using(using).filter(group=require_group(group, using=using))
    return found.filter(retry_asked_at__isnull=False).count()


def count_parked_each(groups: Iterable[str], *, using: str = "default") -> dict[str, int]:
    """Of the groups with parked records: how many."""
    found = ParkedRecord.objects.using(using).filter(group__name__in=groups).order_by()
    return dict(found.values_list("group__name").annotate(Count("id")))


def summarise_parked(*, using: str = "default") -> list[rows.Parked]:
    """How much which group has parked of which topic and since when, the most first: of the oldest MOST_COUNTED of
    each group."""
    return store.parked(most=MOST_COUNTED, limit=MOST_SUBJECTS, using=using)


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


def _take_fitting(sizes: list[tuple[int, int]]) -> list[int]:
    """The ids, from the first on, whose bytes together stay within MAX_PAGE_BYTES."""
    ids: list[int] = []
    total = 0
    for id_, size in sizes:
        total += size
        if ids and total > MAX_PAGE_BYTES:
            break
        ids.append(id_)
    return ids


def _read_beginnings(found: "QuerySet[ParkedRecord]") -> list[dict[str, Any]]:
    """Of long values only the beginning leaves the database."""
    cut = Func(F("value"), Value(1), Value(SHOWN_BYTES), function="substr", output_field=BinaryField())
    size = Func(F("value"), function="octet_length", output_field=IntegerField())
    return [_tell(row) for row in found.defer("value").annotate(beginning=cut, size=size)]


def _tell(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "timestamp": row.timestamp,
        "key": None if row.key is None else bytes(row.key),
        "beginning": None if row.beginning is None else bytes(row.beginning),
        "size": row.size,
        "raw_headers": row.headers,
        "content_type": row.content_type,
        "reason": row.reason,
        "detail": row.detail,
        "attempts": row.attempts,
        "parked_at": row.parked_at,
        "retry_asked_by": row.retry_asked_by if row.retry_asked_at else None,
    }


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
