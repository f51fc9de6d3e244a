"""What this process remembers of queues. Nothing here is trusted: the statements name the revision they rest on,
and are refused if the queue has changed since (docs/decisions/0007)."""

from collections.abc import Callable
from typing import TypeVar

from mqsite.errors import DiskFull, MessagingError, ReadCommittedRequired
from queues import rows, store
from queues.errors import QueueAltered, QueueNotFound

T = TypeVar("T")

MAX_REMEMBERED = 50_000
MAX_LOOKS = 10  # at a queue that is altered all the time

_queues: dict[tuple[str, str], rows.Located] = {}


def locate_queue(queue: str, *, using: str) -> rows.Located:
    """A fresh look."""
    located = store.locate(queue, using=using)
    if located is None:
        _queues.pop((using, queue), None)
        raise QueueNotFound(queue=queue)
    if len(_queues) >= MAX_REMEMBERED:
        _queues.clear()
    _queues[using, queue] = located
    return located


def use_queue(queue: str, work: Callable[[rows.Located], T], *, using: str) -> T:
    """`work` with what is remembered of the queue. A refusal may rest on what has changed: look and try again."""
    remembered = _queues.get((using, queue))
    if remembered is not None:
        try:
            return work(remembered)
        except MessagingError as error:
            if isinstance(error, ReadCommittedRequired | DiskFull):
                raise
    for _ in range(MAX_LOOKS - 1):
        try:
            return work(locate_queue(queue, using=using))
        except QueueAltered:
            continue
    return work(locate_queue(queue, using=using))
