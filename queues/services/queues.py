"""Queues come and go."""

from django.db import IntegrityError, transaction

from mqsite.audit import record_action
from mqsite.boundaries import ensure_boundary, require_name
from queues import selectors, store
from queues.declarations import require_settings
from queues.errors import QueueAlreadyExists
from queues.models import LEASE_SECONDS, MAX_RECEIVES, Queue


def create_queue(
    name: str,
    *,
    owner: str,
    lease_seconds: int = LEASE_SECONDS,
    max_receives: int = MAX_RECEIVES,
    description: str = "",
    using: str = "default",
) -> Queue:
    """Create a queue that `owner` alone will handle."""
    require_name(name, "queue")
    require_settings(name, lease_seconds=lease_seconds, max_receives=max_receives)
    try:
        with transaction.atomic(using=using):
            return Queue.objects.using(using).create(
                name=name,
                owner=ensure_boundary(owner, using=using),
                description=description,
                lease_seconds=lease_seconds,
                max_receives=max_receives,
            )
    except IntegrityError as error:
        raise QueueAlreadyExists(queue=name) from error


def delete_queue(name: str, *, actor: str, using: str = "default") -> None:
    """Delete a queue with all its messages. Waits for open senders; who holds a lease on it loses it."""
    with transaction.atomic(using=using):
        queue_id = selectors.locate_queue(name, using=using).queue_id
        Queue.objects.using(using).filter(id=queue_id).delete()
        store.discard(queue_id, using=using)
        record_action(actor=actor, action="delete queue", subject=name, using=using)
