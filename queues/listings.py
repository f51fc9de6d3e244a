"""What the pages list of queues: each list is bounded, and nothing is received by being looked at."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Unpack

from django.db.models import BinaryField, F, Func, IntegerField, Max, Q, QuerySet, Value
from django.db.models.functions import Now

from mqsite import workers
from mqsite.errors import Invalid
from queues import rows, selectors, store
from queues.errors import PeriodicNotFound
from queues.models import Dedup, Lease, Message, Outcome, PeriodicCommand, Queue, Redrive
from queues.periodic import handled_name

MOST_LISTED = 50
MOST_PERIODIC = 100
MOST_HOLDERS = 100
MOST_REDRIVES = 10
MOST_OUTCOMES = 20
OUTCOMES_SCANNED = 10_000  # of all queues: their table has no index for the latest of one queue
SHOWN_REDRIVE_SECONDS = 3_600  # after its end
EXCERPT_BYTES = 300
SHOWN_BYTES = 100_000
LAST_ID = 2**63 - 1


class Page(NamedTuple):
    """Messages as dicts, how many were looked at for them, and the mark to go on from; None: that was all."""

    messages: list[dict[str, Any]]
    scanned: int
    after: tuple[int, int] | None


def list_queues(
    *, text: str = "", after: str = "", limit: int, using: str = "default"
) -> tuple[list[dict[str, Any]], str | None]:
    """Queues whose name or owner contains `text`, from behind the name `after` on; and the name to go on after, None:
    that was all. Within the page those whose messages wait longest come first."""
    found = Queue.objects.using(using).select_related("owner").filter(name__gt=after)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(owner__name__icontains=text))
    queues = list(found.order_by("name")[: limit + 1])
    more = queues[limit - 1].name if len(queues) > limit else None
    queues = queues[:limit]
    depths = {d.queue_id: d for d in store.depth([q.id for q in queues], limit=selectors.COUNT_LIMIT, using=using)}
    told = [_tell_queue(queue, depths[queue.id]) for queue in queues]
    return sorted(told, key=lambda q: -((q["oldest_ready_seconds"] or 0.0) // selectors.BEHIND_SECONDS)), more


def list_periodic(
    *, text: str = "", queue: str | None = None, after: str = "", limit: int = MOST_LISTED, using: str = "default"
) -> tuple[list[dict[str, Any]], str | None]:
    """The schedules by name, from behind the name `after` on: of one queue, or those whose name or queue contains
    `text`; and the name to go on after, None: that was all. Each as `read_periodic` tells it."""
    if not 1 <= limit <= MOST_PERIODIC:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MOST_PERIODIC}.")
    found = PeriodicCommand.objects.using(using).filter(name__gt=after)
    if queue is not None:
        found = found.filter(queue=queue)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(queue__icontains=text))
    schedules = list(found.order_by("name")[: limit + 1])
    return _tell_periodic(schedules[:limit], using), schedules[limit - 1].name if len(schedules) > limit else None


def read_periodic(name: str, *, using: str = "default") -> dict[str, Any]:
    """A schedule with its last and next tick, the message sent for the last, and the processes alive that send it.
    `next_tick` None: a worker's next look says; `declared_by` empty: nobody sends it."""
    found = list(PeriodicCommand.objects.using(using).filter(name=name))
    if not found:
        raise PeriodicNotFound(name=name)
    return _tell_periodic(found, using)[0]


def find_declaring(schedules: Sequence[tuple[str, str]], *, using: str = "default") -> dict[str, list[str]]:
    """The processes alive that declare each of the schedules, given by name and revision."""
    alive = workers.find_alive(using=using) if schedules else []
    return {
        name: [process for process, handles in alive if handled_name(name, revision) in handles]
        for name, revision in schedules
    }


def list_messages(queue: str, *, using: str = "default", **sought: Unpack[selectors.Sought]) -> Page:
    """As `selectors.search`, of a state that is named, with the beginning of each payload only."""
    sought.setdefault("limit", MOST_LISTED)
    ids, scanned, mark = selectors.search_ids(queue, using=using, **sought)
    found = _read(Message.objects.using(using).filter(id__in=ids), EXCERPT_BYTES, using)
    # What moved on between the two statements is left out.
    return Page([found[i] for i in ids if i in found and found[i]["state"] == sought["state"]], scanned, mark)


def find_message(id_: int, *, using: str = "default") -> dict[str, Any] | None:
    """A message wherever it is now, with at most SHOWN_BYTES of its payload."""
    if not 0 < id_ <= LAST_ID:
        return None
    found = _read(Message.objects.using(using).filter(id=id_), SHOWN_BYTES, using).get(id_)
    return None if found is None or found["state"] == "staged" else found


def list_chosen(queue: str, ids: Sequence[int], *, using: str = "default") -> list[dict[str, Any]]:
    """Those of the messages that are in the queue now."""
    known = [id_ for id_ in ids if 0 < id_ <= LAST_ID]
    found = _read(Message.objects.using(using).filter(id__in=known, queue__name=queue), EXCERPT_BYTES, using)
    return [found[id_] for id_ in known if id_ in found]


def find_deduplicated(queue: str, dedup_id: str, *, using: str = "default") -> int | None:
    """The id of the message that a deduplication id stands for."""
    found = Dedup.objects.using(using).filter(queue__name=queue, dedup_id=dedup_id, expires_at__gt=Now())
    return found.values_list("message_id", flat=True).first()


def list_holders(queue: str, *, using: str = "default") -> list[dict[str, Any]]:
    """Who handles a queue now: the worker processes alive that have its handler, and whoever holds leases on it."""
    queue_id = selectors.locate_queue(queue, using=using).queue_id
    alive = set(workers.list_handling(f"queues:{queue}", using=using))
    told = {name: _tell_holder(name, is_worker=True) for name in sorted(alive)}
    for holder in store.holders(queue_id, limit=MOST_HOLDERS, using=using):
        row = told.setdefault(holder.name, _tell_holder(holder.name, is_worker=False))
        row["messages"] += holder.messages
        if holder.seconds is not None:
            row["lease_left"] = max(0.0, holder.seconds)
    return list(told.values())[:MOST_HOLDERS]


def list_unclaimed(handled: Collection[str], *, limit: int, using: str = "default") -> list[str]:
    """Queues that are not among those `handled` and that nobody holds a lease on, by name. Not those that others send
    their dead letters to: these wait for a person."""
    leased = Lease.objects.using(using).filter(expires_at__gt=Now()).values("queue_id")
    found = Queue.objects.using(using).filter(sources__isnull=True).exclude(name__in=handled).exclude(id__in=leased)
    return list(found.order_by("name").values_list("name", flat=True)[:limit])


def list_redrives(queue: str, *, using: str = "default") -> list[dict[str, Any]]:
    """The redrive jobs at work, and those that ended within the hour, the latest first."""
    recent = Now() - timedelta(seconds=SHOWN_REDRIVE_SECONDS)
    found = Redrive.objects.using(using).filter(queue__name=queue).filter(Q(state=0) | Q(ended_at__gt=recent))
    jobs = found.select_related("queue", "target").order_by("state", "-id")[:MOST_REDRIVES]
    return [
        selectors.tell_redrive(job)
        | {name: getattr(job, name) for name in ("only_reason", "only_text", "died_after", "died_before")}
        | {"is_chosen": job.ids is not None}
        for job in jobs
    ]


def list_outcomes(queue: str, *, limit: int = MOST_OUTCOMES, using: str = "default") -> list[rows.Outcome]:
    """The latest outcomes of a queue, as far as they are among the last OUTCOMES_SCANNED of all queues."""
    last = Outcome.objects.using(using).aggregate(last=Max("id"))["last"] or 0
    queue_id = selectors.locate_queue(queue, using=using).queue_id
    found = Outcome.objects.using(using).filter(queue_id=queue_id, id__gt=last - OUTCOMES_SCANNED).order_by("-id")
    fields = ("message_id", "correlation_id", "outcome", "by", "receives", "reason", "at")
    return [rows.Outcome(*row) for row in found.values_list(*fields)[:limit]]


def count_fitting(
    queue: str,
    *,
    ids: Sequence[int] | None = None,
    only_reason: str | None = None,
    only_text: str | None = None,
    died_after: datetime | None = None,
    died_before: datetime | None = None,
    using: str = "default",
) -> tuple[int, int]:
    """How many dead letters were looked at, up to COUNT_LIMIT of either kind, and how many of them a redrive with this
    filter would take."""
    fitting = {
        "ids": None if ids is None else list(ids),
        "only_reason": only_reason,
        "only_text": only_text,
        "died_after": died_after,
        "died_before": died_before,
    }
    queue_id = selectors.locate_queue(queue, using=using).queue_id
    return store.letters(queue_id, fitting, limit=selectors.COUNT_LIMIT, using=using)


def _tell_queue(queue: Queue, depth: rows.Depth) -> dict[str, Any]:
    return {
        "name": queue.name,
        "owner": queue.owner.name,
        "description": queue.description,
        "paused": queue.paused_at is not None,
        "counts": {state: getattr(depth, state) for state in ("scheduled", "ready", "waiting", "leased", "dead")},
        "count_limit": selectors.COUNT_LIMIT,
        "oldest_ready_seconds": None if depth.oldest_ready_seconds is None else max(0.0, depth.oldest_ready_seconds),
    }


def _tell_periodic(schedules: list[PeriodicCommand], using: str) -> list[dict[str, Any]]:
    declaring = find_declaring([(row.name, row.revision) for row in schedules], using=using)
    told = ("name", "queue", "crontab", "timezone", "missed", "grace_seconds")
    ticks = ("next_tick", "last_tick", "sent_at", "message_id")
    return [
        {
            **{field: getattr(row, field) for field in (*told, *ticks)},
            "paused": row.paused_at and {"at": row.paused_at, "by": row.paused_by, "reason": row.paused_reason},
            "declared_by": declaring[row.name],
        }
        for row in schedules
    ]


def _tell_holder(name: str, *, is_worker: bool) -> dict[str, Any]:
    return {"name": name, "is_worker": is_worker, "messages": 0, "lease_left": None}


def _read(found: QuerySet[Message], most_bytes: int, using: str) -> dict[int, dict[str, Any]]:
    """By id. Of long payloads only the beginning leaves the database."""
    cut = Func(F("payload"), Value(1), Value(most_bytes), function="substr", output_field=BinaryField())
    size = Func(F("payload"), function="octet_length", output_field=IntegerField())
    annotated = found.select_related("queue", "source").defer("payload").annotate(beginning=cut, size=size)
    messages = list(annotated)
    held = {m.lease_id for m in messages if m.lease_id}
    leases = {lease.id: lease for lease in Lease.objects.using(using).filter(id__in=held)} if held else {}
    return {message.id: _tell_message(message, leases) for message in messages}


def _tell_message(message: Any, leases: dict[Any, Lease]) -> dict[str, Any]:
    lease = leases.get(message.lease_id)
    source = message.source
    return {
        "id": message.id,
        "queue": message.queue.name,
        "state": Message.State(message.state).name.lower(),
        "group_key": message.group_key,
        "priority": message.priority,
        "sender": message.sender,
        "enqueued_at": message.enqueued_at,
        "due_at": message.due_at,
        "expires_at": message.expires_at,
        "receives": message.receives,
        "dedup_id": message.dedup_id,
        "content_type": message.content_type,
        "raw_headers": message.headers,
        "beginning": bytes(message.beginning),
        "size": message.size,
        "reason": message.reason,
        "detail": message.detail,
        "died_at": message.died_at,
        "source": source and source.name,
        "died_receives": message.died_receives,
        "is_letter": message.state == Message.State.DEAD
        or (message.state == Message.State.READY and message.source_id is not None),
        "holder": lease and lease.holder,
        "lease_until": lease and lease.expires_at,
    }
