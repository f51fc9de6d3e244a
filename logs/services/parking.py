"""What a group's handler cannot do is parked: set aside, so that the group goes on, and tried again by hand."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from logs import rows, selectors
from logs.models import GroupPartition, ParkedRecord
from logs.services.holding import MAX_ERROR_CHARACTERS, Assignment
from mqsite.audit import record_action
from mqsite.errors import Invalid
from mqsite.payloads import end_of_text

MAX_PARKED_RECORDS = 10_000  # of a group; then it blocks as if it did not park
MAX_IDS = 1_000


def park(
    assignment: Assignment, record: rows.Record, *, reason: str, error: str, attempts: int, using: str = "default"
) -> bool:
    """Keep a copy of the record for the group, in the transaction of the commit past it; False: there is no room.

    A record that is parked already, since the group was reset, is parked once.
    """
    group_id = GroupPartition.objects.using(using).values_list("group_id").get(id=assignment.group_partition_id)[0]
    parked = ParkedRecord.objects.using(using)
    if parked.filter(group_id=group_id).order_by()[:MAX_PARKED_RECORDS].count() >= MAX_PARKED_RECORDS:
        return False
    parked.update_or_create(
        group_id=group_id,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        defaults={
            "timestamp": record.timestamp,
            "key": record.key,
            "value": record.value,
            "headers": record.raw_headers,
            "content_type": record.content_type,
            "reason": reason,
            "detail": end_of_text(error, MAX_ERROR_CHARACTERS),
            "attempts": attempts,
            "parked_at": Now(),
            "retry_asked_at": None,
        },
    )
    return True


def retry_parked(
    group: str, ids: Sequence[int] | None = None, *, actor: str, reason: str = "", using: str = "default"
) -> int:
    """Have the group's workers call the handler again, for this group alone, with these parked records or with all
    of them; how many. Who succeeds is dropped, in the handler's transaction; who fails stays parked."""
    with transaction.atomic(using=using):
        # Locked in one order, as a drop does it; those that a worker is at are being tried.
        free = _choose(group, ids, using=using).filter(retry_asked_at=None)
        locked = list(free.order_by("id").select_for_update(skip_locked=True).values_list("id", flat=True))
        chosen = ParkedRecord.objects.using(using).filter(id__in=locked)
        asked = chosen.update(retry_asked_at=Now(), retry_asked_by=actor)
        _record(group, "retry parked", asked, ids, actor=actor, reason=reason, using=using)
    return asked


def drop_parked(
    group: str, ids: Sequence[int] | None = None, *, actor: str, reason: str = "", using: str = "default"
) -> int:
    """Give up these parked records of the group, or all of them; how many. What a worker is at in a
    transaction stays; where a handler runs outside of one it may end after its record was dropped."""
    with transaction.atomic(using=using):
        free = _choose(group, ids, using=using).order_by("id").select_for_update(skip_locked=True)
        dropped, _ = ParkedRecord.objects.using(using).filter(id__in=list(free.values_list("id", flat=True))).delete()
        _record(group, "drop parked", dropped, ids, actor=actor, reason=reason, using=using)
    return dropped


def take_parked(group: str, topic: str, *, after: int, using: str = "default") -> tuple[int, rows.Record] | None:
    """The next parked record that is to be tried again, for the transaction this is called in: its id and
    itself. None: there is none that nobody is at."""
    asked = ParkedRecord.objects.using(using).filter(group__name=group, topic=topic, retry_asked_at__isnull=False)
    locked = asked.filter(id__gt=after).order_by("id").select_for_update(skip_locked=True, of=("self",))
    row = locked.first()
    return None if row is None else (row.id, selectors.parked_record(row))


def begin_parked(id_: int, *, using: str = "default") -> None:
    """It is being tried outside of the transaction that took it: nobody else shall, whatever becomes of this."""
    ParkedRecord.objects.using(using).filter(id=id_).update(retry_asked_at=None)


def end_parked(id_: int, *, using: str = "default") -> None:
    """It is done."""
    ParkedRecord.objects.using(using).filter(id=id_).delete()


def fail_parked(id_: int, *, reason: str, error: str, using: str = "default") -> None:
    """It failed again, and waits for the next time somebody asks."""
    said = end_of_text(error, MAX_ERROR_CHARACTERS)
    ParkedRecord.objects.using(using).filter(id=id_).update(
        attempts=F("attempts") + 1, reason=reason, detail=said, retry_asked_at=None
    )


def _choose(group: str, ids: Sequence[int] | None, *, using: str) -> "QuerySet[ParkedRecord]":
    row = selectors.require_group(group, using=using)
    chosen = ParkedRecord.objects.using(using).filter(group=row)
    if ids is None:
        return chosen
    if not 1 <= len(ids) <= MAX_IDS:
        raise Invalid(reason=f"There are {len(ids)} ids; allowed are 1 to {MAX_IDS:,}, or none at all for every one.")
    return chosen.filter(id__in=ids)


def _record(
    group: str, action: str, count: int, ids: Sequence[int] | None, *, actor: str, reason: str, using: str
) -> None:
    facts = {"records": count, "ids": None if ids is None else list(ids)}
    record_action(actor=actor, action=action, subject=group, reason=reason, facts=facts, using=using)
