"""What REST tells of queues, messages and letters, a page at a time. Nothing is received by being looked at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Unpack

from django.db.models import OuterRef, QuerySet, Subquery

from mqsite.errors import Invalid
from queues import rows, selectors, store
from queues.errors import RedriveNotFound
from queues.models import Lease, Message, Queue, Quota, Redrive
from queues.selectors import COUNT_LIMIT, MAX_FOUND, MAX_SCANNED
from queues.settings import SETTINGS, read_settings

MAX_QUEUES = 100
MAX_REDRIVES = 100
DEATHS = ("max_receives", "rejected", "lease expired", "worker died", "expired")
FILTERS = ("only_reason", "only_text", "died_after", "died_before")


class Look(NamedTuple):
    """A message with all that is known of it. `source`: the queue it died in, where that is another one."""

    message: rows.Message
    state: str
    due_at: datetime | None
    expires_at: datetime | None
    dedup_id: str | None
    reason: str | None
    error: str | None
    died_at: datetime | None
    died_receives: int | None
    source: str | None
    holder: str | None
    leased_until: datetime | None


class Looks(NamedTuple):
    """A page, how many messages were looked at for it, and the mark to go on from; None: that was all."""

    looks: list[Look]
    scanned: int
    after: Any


def list_queues(
    *, name: str = "", owner: str | None = None, after: str = "", limit: int = MAX_QUEUES, using: str = "default"
) -> tuple[list[dict[str, Any]], str | None]:
    """By name, from behind `after` on: queues whose name has `name` in it, of one owner; and the name to go on after,
    None: that was all."""
    _require_limit("limit", limit, MAX_QUEUES)
    found = _queues(using).filter(name__icontains=name, name__gt=after)
    if owner is not None:
        found = found.filter(owner__name=owner)
    queues = list(found.order_by("name")[: limit + 1])
    following = queues[limit - 1].name if len(queues) > limit else None
    return _describe(queues[:limit], using=using), following


def read_queue(name: str, *, using: str = "default") -> dict[str, Any]:
    """A queue with its settings, whether it is paused, and its depth."""
    return _describe([selectors.require_queue(name, using=using)], using=using)[0]


def describe_settings(name: str, *, using: str = "default") -> list[dict[str, Any]]:
    """Every setting of a queue with its default and what it does."""
    return [
        {
            "name": setting,
            "value": value,
            "default": SETTINGS[setting].default,
            "is_default": value == SETTINGS[setting].default,
            "description": SETTINGS[setting].description,
        }
        for setting, value in read_settings(selectors.require_queue(name, using=using)).items()
    ]


def search(queue: str, *, using: str = "default", **sought: Unpack[selectors.Sought]) -> Looks:
    """As `selectors.search`, with all that is known of each message."""
    ids, scanned, mark = selectors.search_ids(queue, using=using, **sought)
    looks = _look_at(queue, ids, using=using)
    # What moved on between the two statements is left out.
    state = sought.get("state", "ready")
    return Looks([look for look in looks if look.state == state], scanned, mark)


def find_letters(
    queue: str,
    *,
    only_reason: str | None = None,
    only_text: str | None = None,
    died_after: datetime | None = None,
    died_before: datetime | None = None,
    after: int = -1,
    limit: int = 20,
    most_scanned: int = COUNT_LIMIT,
    using: str = "default",
) -> Looks:
    """The dead letters that a redrive with this filter would move, the first to die first."""
    _require_limit("limit", limit, MAX_FOUND)
    _require_limit("most_scanned", most_scanned, MAX_SCANNED)
    ids, scanned, mark = store.find_letters(
        selectors.locate_queue(queue, using=using).queue_id,
        only_reason=only_reason,
        only_text=only_text,
        died_after=died_after,
        died_before=died_before,
        after=after,
        limit=limit,
        most_scanned=most_scanned,
        using=using,
    )
    looks = _look_at(queue, ids, using=using)
    return Looks([look for look in looks if look.died_at is not None], scanned, mark)


def list_redrives(
    queue: str, *, before: int | None = None, limit: int = MAX_REDRIVES, using: str = "default"
) -> tuple[list[dict[str, Any]], int | None]:
    """The redrive jobs of a queue, the latest first, and the id to go on before; None: that was all."""
    _require_limit("limit", limit, MAX_REDRIVES)
    found = _redrives(queue, using)
    if before is not None:
        found = found.filter(id__lt=before)
    jobs = list(found.order_by("-id")[: limit + 1])
    return [_tell_redrive(job) for job in jobs[:limit]], jobs[limit - 1].id if len(jobs) > limit else None


def find_redrive(queue: str, job: int, *, using: str = "default") -> dict[str, Any]:
    """How far a redrive of this queue is, and what it moves."""
    row = _redrives(queue, using).filter(id=job).first()
    if row is None:
        raise RedriveNotFound(job=job)
    return _tell_redrive(row)


def _describe(queues: list[Queue], *, using: str) -> list[dict[str, Any]]:
    found = store.depth([queue.id for queue in queues], limit=COUNT_LIMIT, using=using)
    depths = {depth.queue_id: depth for depth in found}
    return [
        {
            "name": queue.name,
            "owner": queue.owner.name,
            "description": queue.description,
            **read_settings(queue),
            "paused": _tell_pause(queue),
            "counts": {state: getattr(depths[queue.id], state) for state in selectors.STATES.values()},
            "count_limit": COUNT_LIMIT,
            "oldest_ready_seconds": depths[queue.id].oldest_ready_seconds,
        }
        for queue in queues
    ]


def _tell_pause(queue: Queue) -> dict[str, Any] | None:
    if queue.paused_at is None:
        return None
    return {"at": queue.paused_at, "by": queue.paused_by, "reason": queue.paused_reason}


def _look_at(queue: str, ids: Sequence[int], *, using: str) -> list[Look]:
    """Those that are there, in the order of their ids as given."""
    held = Lease.objects.using(using).filter(id=OuterRef("lease_id"))
    found = Message.objects.using(using).filter(id__in=ids, queue__name=queue).select_related("source")
    found = found.annotate(holder=Subquery(held.values("holder")), leased_until=Subquery(held.values("expires_at")))
    looks = {message.id: _tell_message(queue, message) for message in found}
    return [looks[id_] for id_ in ids if id_ in looks]


def _tell_message(queue: str, m: Any) -> Look:
    return Look(
        rows.Message(
            queue=queue,
            lease=m.lease_id,
            position=m.position,
            id=m.id,
            payload=bytes(m.payload),
            content_type=m.content_type,
            raw_headers=m.headers,
            group_key=m.group_key,
            priority=m.priority,
            receives=m.receives,
            enqueued_at=m.enqueued_at,
            sender=m.sender,
        ),
        state=Message.State(m.state).name.lower(),
        due_at=m.due_at,
        expires_at=m.expires_at,
        dedup_id=m.dedup_id,
        reason=m.reason,
        error=m.detail,
        died_at=m.died_at,
        died_receives=m.died_receives,
        source=m.source and m.source.name,
        holder=m.holder,
        leased_until=m.leased_until,
    )


def _tell_redrive(job: Redrive) -> dict[str, Any]:
    chosen = {"ids": None if job.ids is None else len(job.ids)}
    return selectors.tell_redrive(job) | chosen | {name: getattr(job, name) for name in FILTERS}


def _queues(using: str) -> QuerySet[Queue]:
    return Queue.objects.using(using).select_related("owner", "dead_letter_queue")


def _redrives(queue: str, using: str) -> QuerySet[Redrive]:
    found = Redrive.objects.using(using).filter(queue=selectors.require_queue(queue, using=using))
    return found.select_related("queue", "target")


def _require_limit(name: str, limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise Invalid(reason=f"{name} is {limit}; allowed are 1 to {most:,}.")


def read_quota(boundary: str, *, using: str = "default") -> dict[str, Any] | None:
    """The quota of a boundary and what is used of it, as of `counted_at`; None: it has none."""
    fields = ("max_messages", "max_bytes", "max_per_second", "used_messages", "used_bytes", "counted_at")
    return Quota.objects.using(using).filter(boundary__name=boundary).values(*fields).first()
