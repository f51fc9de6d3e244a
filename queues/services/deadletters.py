"""Dead letters get another chance, by hand."""

from collections.abc import Sequence

from django.db import transaction

from mqsite.audit import record_action
from mqsite.errors import Invalid
from queues import selectors, store
from queues.declarations import Queue
from queues.services.moves import announce_moved

MAX_REDRIVE_MESSAGES = 10_000


def redrive(
    queue: Queue | str,
    *,
    ids: Sequence[int] | None = None,
    limit: int = 1_000,
    actor: str,
    using: str = "default",
) -> int:
    """Make dead letters ready again, as if never received: those of `ids`, or the oldest; how many.

    They go to the tail. What is no dead letter of this queue is left as it is.
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
