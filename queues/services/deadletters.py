"""Dead letters get another chance, by hand."""

import time
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from mqsite.audit import record_action
from mqsite.errors import Invalid
from queues import selectors, store
from queues.declarations import Queue
from queues.models import Redrive
from queues.services.moves import announce_moved

MAX_REDRIVE_MESSAGES = 10_000
MOST_RATE = 1_000_000
STEP_MESSAGES = 1_000
REDRIVE_SECONDS = 1.0  # of one sweep
MOST_JOBS = 100  # at a time


def redrive(
    queue: Queue | str,
    *,
    ids: Sequence[int] | None = None,
    limit: int = 1_000,
    actor: str,
    using: str = "default",
) -> int:
    """Make dead letters ready again, as if never received: those of `ids`, or the oldest; how many.

    They go to the tail of the queue they died in. What is no dead letter of this queue is left as it is. For many,
    or with a filter: `start_redrive`.
    """
    if not 1 <= limit <= MAX_REDRIVE_MESSAGES or len(ids or ()) > MAX_REDRIVE_MESSAGES:
        raise Invalid(reason=f"Redrive at most {MAX_REDRIVE_MESSAGES:,} messages at a time, and at least one.")
    name = str(queue)
    with transaction.atomic(using=using):
        selectors.locate_queue(name, using=using)
        moved = store.redrive(name, ids=ids, limit=limit, using=using)
        facts = {"count": len(moved), "ids": [m.id for m in moved]}
        record_action(actor=actor, action="redrive", subject=name, facts=facts, using=using)
        announce_moved(moved, using=using)
    return len(moved)


def start_redrive(
    queue: Queue | str,
    *,
    to: Queue | str | None = None,
    ids: Sequence[int] | None = None,
    only_reason: str | None = None,
    only_text: str | None = None,
    died_after: datetime | None = None,
    died_before: datetime | None = None,
    rate_per_second: float | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
) -> int:
    """Begin to give the dead letters of a queue another chance; the id of the job, which the workers' sweep does.

    Dead letters are the dead of the queue, and what lies ready in it as a dead-letter queue. Each goes to the queue
    it died in, or all go `to` another of the same owner. `only_text` is looked for in the error, the headers and the
    payload. What dies after this moment is left.
    """
    if ids is not None and not 1 <= len(ids) <= MAX_REDRIVE_MESSAGES:
        raise Invalid(reason=f"There are {len(ids)} ids; allowed are 1 to {MAX_REDRIVE_MESSAGES:,}.")
    if rate_per_second is not None and not 0.01 <= rate_per_second <= MOST_RATE:
        raise Invalid(reason=f"rate_per_second is {rate_per_second!r}; allowed are 0.01 to {MOST_RATE:,}, or None.")
    with transaction.atomic(using=using):
        source = selectors.require_queue(str(queue), using=using)
        target = None if to is None else selectors.require_queue(str(to), using=using)
        if target is not None and target.owner_id != source.owner_id:
            raise Invalid(reason=f"{target.name} belongs to {target.owner.name}, {source.name} to {source.owner.name}.")
        end, _ = store.heads(source.id, using=using)
        job = Redrive.objects.using(using).create(
            queue=source,
            target=target,
            ids=None if ids is None else list(ids),
            only_reason=only_reason,
            only_text=only_text,
            died_after=died_after,
            died_before=died_before,
            rate_per_second=rate_per_second,
            letters=len(ids) if ids is not None else selectors.count_letters(source, using=using),
            end_position=end,
            started_by=actor,
        )
        facts = {"job": job.id, "to": target and target.name, "letters": job.letters, "rate": rate_per_second}
        record_action(actor=actor, action="start redrive", subject=source.name, reason=reason, facts=facts, using=using)
    return int(job.id)


def cancel_redrive(job: int, *, actor: str, reason: str = "", using: str = "default") -> bool:
    """Stop a redrive after the step it is at; whether it was still going on. What has moved stays moved."""
    with transaction.atomic(using=using):
        found = Redrive.objects.using(using).select_for_update(of=("self",)).select_related("queue").filter(id=job)
        row = found.filter(state=Redrive.State.RUNNING).first()
        if row is None:
            return False
        row.state, row.ended_at = Redrive.State.CANCELLED, Now()
        row.save(using=using, update_fields=["state", "ended_at"])
        facts = {"job": job, "moved": row.moved}
        record_action(
            actor=actor, action="cancel redrive", subject=row.queue.name, reason=reason, facts=facts, using=using
        )
    return True


def work_redrives(*, seconds: float = REDRIVE_SECONDS, using: str = "default") -> int:
    """Take the running redrives on, step by step, for about `seconds`; how many messages moved."""
    moved, deadline = 0, time.monotonic() + seconds
    running = Redrive.objects.using(using).filter(state=Redrive.State.RUNNING).order_by("id")
    for job in running.values_list("id", flat=True)[:MOST_JOBS]:
        while time.monotonic() < deadline:
            before = running.filter(id=job).values("worked_at").first()
            step = store.redrive_step(job, limit=STEP_MESSAGES, using=using)
            announce_moved(step, using=using)
            moved += len(step)
            if not step and running.filter(id=job).values("worked_at").first() in (before, None):
                break  # done, cancelled, in another's hands, or its rate allows none yet
    return moved
