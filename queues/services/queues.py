"""Queues come, change, rest and go."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from mqsite.audit import record_action
from mqsite.boundaries import ensure_boundary, require_name
from mqsite.errors import Invalid
from queues import selectors, store
from queues.errors import QueueAlreadyExists, QueueInUse, QueueNotFound
from queues.models import Queue
from queues.settings import parse_settings, read_settings


def create_queue(name: str, *, owner: str, description: str = "", using: str = "default", **settings: Any) -> Queue:
    """Create a queue that `owner` alone will handle. `settings`: see settings.py."""
    require_name(name, "queue")
    columns = parse_settings(name, settings)
    try:
        with transaction.atomic(using=using):
            queue = Queue(name=name, owner=ensure_boundary(owner, using=using), description=description)
            _set(queue, columns, using=using)
            queue.save(using=using, force_insert=True)
    except IntegrityError as error:
        raise QueueAlreadyExists(queue=name) from error
    return queue


def alter_queue(
    name: str,
    *,
    description: str | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
    **settings: Any,
) -> Queue:
    """Change the settings given, for every process from its next statement on."""
    columns = parse_settings(name, settings)
    with transaction.atomic(using=using):
        queue = _lock_queue(name, using=using)
        before = {"description": queue.description, **read_settings(queue)}
        if columns.get("is_ordered", queue.is_ordered) != queue.is_ordered:
            raise Invalid(reason=f"Queue {name}: is_ordered never changes. Create another queue.")
        _set(queue, columns, using=using)
        queue.description = queue.description if description is None else description
        queue.revision = uuid.uuid4()
        queue.save(using=using)
        after = {"description": queue.description, **read_settings(queue)}
        changed = {key: [before[key], value] for key, value in after.items() if value != before[key]}
        record_action(
            actor=actor, action="alter queue", subject=name, reason=reason, facts={"changed": changed}, using=using
        )
    return queue


def pause_queue(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Let nobody receive until it resumes. Sends, and what is received already, go on."""
    _pause(name, "pause queue", actor, reason, using, paused_at=Now(), paused_by=actor, paused_reason=reason)


def resume_queue(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    _pause(name, "resume queue", actor, reason, using, paused_at=None, paused_by="", paused_reason="")


def delete_queue(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Delete a queue with all its messages. Waits for open senders; who holds a lease on it loses it."""
    with transaction.atomic(using=using):
        queue_id = selectors.locate_queue(name, using=using).queue_id
        store.shut(queue_id, using=using)
        sources = Queue.objects.using(using).filter(dead_letter_queue_id=queue_id).exclude(id=queue_id)
        if names := sorted(sources.values_list("name", flat=True)):
            raise QueueInUse(queue=name, sources=", ".join(names))
        Queue.objects.using(using).filter(id=queue_id).delete()
        store.discard(queue_id, using=using)
        record_action(actor=actor, action="delete queue", subject=name, reason=reason, using=using)


def _pause(name: str, action: str, actor: str, reason: str, using: str, **columns: Any) -> None:
    with transaction.atomic(using=using):
        queue = _lock_queue(name, using=using)
        Queue.objects.using(using).filter(id=queue.id).update(revision=uuid.uuid4(), **columns)
        record_action(actor=actor, action=action, subject=name, reason=reason, using=using)


def _lock_queue(name: str, *, using: str) -> Queue:
    queue = Queue.objects.using(using).select_for_update(of=("self",)).filter(name=name).first()
    if queue is None:
        raise QueueNotFound(queue=name)
    return queue


def _set(queue: Queue, columns: dict[str, Any], *, using: str) -> None:
    for field, value in columns.items():
        if field == "dead_letter_queue":
            value = value and _require_letters(queue, value, using=using)
        setattr(queue, field, value)


def _require_letters(queue: Queue, name: str, *, using: str) -> Queue:
    """The dead-letter queue, of the same owner. It has none of its own, so that nothing dies in circles."""
    letters = Queue.objects.using(using).select_for_update(of=("self",)).filter(name=name).first()
    if letters is None:
        raise QueueNotFound(queue=name)
    if letters.owner_id != queue.owner_id or letters.is_ordered or letters.dead_letter_queue_id or name == queue.name:
        raise Invalid(
            reason=f"{name} cannot be the dead-letter queue of {queue.name}: that is another queue of the same owner, "
            "not ordered, and without a dead-letter queue of its own."
        )
    if queue.id and queue.sources.using(using).exists():
        raise Invalid(reason=f"{queue.name} is itself a dead-letter queue: it has none of its own.")
    return letters
