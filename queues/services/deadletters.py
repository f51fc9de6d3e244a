"""Dead letters get another chance, by hand."""

import json
import time
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models.functions import Now

from mqsite.audit import record_action
from mqsite.errors import Invalid
from mqsite.payloads import Headers
from queues import selectors, store
from queues.declarations import Queue
from queues.errors import LetterNotFound
from queues.models import Message, Redrive
from queues.models import Queue as QueueRow
from queues.services.moves import announce_moved
from queues.services.sending import NewMessage, check_content

MAX_REDRIVE_MESSAGES = 10_000
MOST_RATE = 1_000_000
STEP_MESSAGES = 1_000
REDRIVE_SECONDS = 1.0  # of one sweep
MOST_JOBS = 100  # at a time


class Kept(Enum):
    """Of what is not given and stays as it is; None is something else."""

    KEPT = "kept"


KEPT: Final = Kept.KEPT


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


def redrive_edited(
    queue: Queue | str,
    id_: int,
    *,
    payload: Any = KEPT,
    content_type: str | Kept | None = KEPT,
    headers: Headers | Kept = KEPT,
    to: Queue | str | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
) -> None:
    """Give one dead letter another chance with another payload, content type or headers; what is not given stays.

    It goes to the queue it died in, or `to` another of the same owner, under its id. The audit keeps which of the
    three were changed and the sizes of the payload, not what was in them. `payload` is encoded as in a send, which
    also says the content type then, unless it is given.
    """
    with transaction.atomic(using=using):
        source, target = _find_target(queue, to, using=using)
        letter = Message.objects.using(using).filter(id=id_, queue=source).first()
        if letter is None:
            raise LetterNotFound(queue=source.name, id=id_)
        new = _edit(letter, payload, content_type, headers)
        if not store.edit_letter(source.id, id_, **new._asdict(), using=using):
            raise LetterNotFound(queue=source.name, id=id_)
        moved = store.revive([id_], None if target is None else target.id, using=using)
        if not moved:
            raise Invalid(reason=f"Message {id_} has no group_key, and the queue it would go to is ordered.")
        facts = {
            "id": id_,
            "to": moved[0].queue,
            "changed": [field for field, was in _content(letter)._asdict().items() if was != getattr(new, field)],
            "bytes": {"from": len(letter.payload), "to": len(new.payload)},
        }
        record_action(
            actor=actor, action="redrive edited", subject=source.name, reason=reason, facts=facts, using=using
        )
        announce_moved(moved, using=using)


class _Content(NamedTuple):
    payload: bytes
    content_type: str | None
    headers: str | None


def _content(letter: Message) -> _Content:
    return _Content(bytes(letter.payload), letter.content_type, letter.headers)


def _edit(letter: Message, payload: Any, content_type: str | Kept | None, headers: Headers | Kept) -> _Content:
    """The letter's new content, checked as in a send."""
    was = _content(letter)
    kind = was.content_type if content_type is KEPT and payload is KEPT else content_type
    message = NewMessage(
        payload=was.payload if payload is KEPT else payload,
        content_type=None if isinstance(kind, Kept) else kind,
        headers=json.loads(was.headers or "[]") if isinstance(headers, Kept) else headers,
    )
    return _Content(*check_content(message))


def _find_target(queue: Queue | str, to: Queue | str | None, *, using: str) -> tuple[QueueRow, QueueRow | None]:
    source = selectors.require_queue(str(queue), using=using)
    target = None if to is None else selectors.require_queue(str(to), using=using)
    if target is not None and target.owner_id != source.owner_id:
        raise Invalid(reason=f"{target.name} belongs to {target.owner.name}, {source.name} to {source.owner.name}.")
    return source, target


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
        source, target = _find_target(queue, to, using=using)
        end = store.last_position(using=using)
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
