"""What this process remembers of queues. Nothing here is trusted: the statements name the revision they rest on,
and are refused if the queue has changed since (docs/decisions/0007)."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mqsite.remembered import Remembered
from queues import rows, store
from queues.errors import QueueAltered, QueueNotFound

T = TypeVar("T")

_queues: Remembered[tuple[str, str], rows.Located] = Remembered()


def locate_queue(queue: str, *, using: str) -> rows.Located:
    """A fresh look."""
    located = store.locate(queue, using=using)
    if located is None:
        _queues.pop((using, queue), None)
        raise QueueNotFound(queue=queue)
    _queues.remember((using, queue), located)
    return located


def use_queue(queue: str, work: Callable[[rows.Located], T], *, using: str) -> T:
    """`work` with what is remembered of the queue. A refusal may rest on what has changed: look and try again."""
    look = partial(locate_queue, queue, using=using)
    return _queues.use((using, queue), work, look=look, stale=(QueueAltered,))
