"""What is declared comes into being; what expired or is due moves on."""

import logging
from collections.abc import Collection

from django.conf import settings
from django.db import DatabaseError
from django.db.models.functions import Now

from queues import store
from queues.declarations import queues as declared_queues
from queues.models import Message, Queue
from queues.services.deadletters import work_redrives
from queues.services.moves import announce_moved
from queues.services.periodic import retire_periodic, send_ticks
from queues.services.queues import create_queue
from queues.services.removing import expire
from queues.services.taking import charge

logger = logging.getLogger(__name__)

FORGET_BATCH = 10_000
MOST_OUTCOMES = 1_000_000


def create_declared(*, using: str = "default") -> list[str]:
    """Create the declared queues that are missing; a sentence for each. Changes nothing else."""
    created = []
    for queue in sorted(declared_queues, key=lambda queue: queue.dead_letter_queue is not None):
        if not Queue.objects.using(using).filter(name=queue.name).exists():
            create_queue(queue.name, owner=queue.owner, description=queue.description, using=using, **queue.settings)
            created.append(f"Created queue {queue.name} of {queue.owner}.")
    return created


def run_upkeep(*, using: str = "default") -> None:
    """One bounded round of what goes by the clock."""
    moving = (reap, charge, send_ticks, promote, expire, work_redrives)
    for step in (*moving, retire_periodic, forget_dedup, forget_outcomes, forget_replies):
        try:
            step(using=using)
        except DatabaseError:  # the other steps go on
            logger.exception("%s failed; the next upkeep tries again", step.__name__)


def reap(*, limit: int = 100, using: str = "default") -> int:
    """End at most `limit` leases that expired, and as many of dead workers; how many messages came back or died."""
    moved = store.reap(dead_seconds=settings.MQSITE_MEMBER_SECONDS, limit=limit, using=using)
    announce_moved(moved, using=using)
    return len(moved)


def promote(*, limit: int = 1_000, using: str = "default") -> int:
    """Make ready what is due, at most `limit` messages of each queue; how many that was."""
    moved = store.promote(limit=limit, using=using)
    announce_moved(moved, using=using)
    return len(moved)


def place_sent(*, using: str = "default") -> None:
    """For tests that run inside a transaction: what it sent can be received in it now, and keys go on."""
    store.place_now(using=using)


def hurry_retries(queues: Collection[str], *, with_scheduled: bool = False, using: str = "default") -> None:
    """For tests: what came back to these queues after a failure is ready now, without its delay; `with_scheduled`: and
    what was sent for later."""
    waiting = Message.objects.using(using).filter(state=Message.State.SCHEDULED, queue__name__in=queues)
    (waiting if with_scheduled else waiting.filter(receives__gt=0)).update(due_at=Now())
    promote(using=using)


def forget_dedup(*, limit: int = FORGET_BATCH, using: str = "default") -> int:
    """Forget deduplication ids whose time is over, at most `limit`; how many went."""
    return store.forget_dedup(limit=limit, using=using)


def forget_outcomes(*, limit: int = FORGET_BATCH, using: str = "default") -> int:
    """Forget what became of messages when its time is over, or where there is too much of it; how many went."""
    return store.forget_outcomes(most=MOST_OUTCOMES, limit=limit, using=using)


def forget_replies(*, limit: int = FORGET_BATCH, using: str = "default") -> int:
    """Forget the replies of requests whose time is over, at most `limit`; how many went."""
    return store.forget_replies(limit=limit, using=using)
