"""What is declared comes into being; what expired or is due moves on."""

from queues import store
from queues.declarations import queues as declared_queues
from queues.models import Queue
from queues.services.moves import announce_moved
from queues.services.queues import create_queue


def create_declared(*, using: str = "default") -> list[str]:
    """Create the declared queues that are missing; a sentence for each. Changes nothing else."""
    created = []
    for queue in declared_queues:
        if not Queue.objects.using(using).filter(name=queue.name).exists():
            create_queue(
                queue.name,
                owner=queue.owner,
                lease_seconds=queue.lease_seconds,
                max_receives=queue.max_receives,
                description=queue.description,
                using=using,
            )
            created.append(f"Created queue {queue.name} of {queue.owner}.")
    return created


def reap(*, limit: int = 100, using: str = "default") -> int:
    """End at most `limit` expired leases; how many messages came back or died."""
    moved = store.reap(limit=limit, using=using)
    announce_moved(moved, using=using)
    return len(moved)


def promote(*, limit: int = 1_000, using: str = "default") -> int:
    """Make ready what is due, at most `limit` messages of each queue; how many that was."""
    moved = store.promote(limit=limit, using=using)
    announce_moved(moved, using=using)
    return len(moved)
