"""Which function handles the messages of a queue."""

from collections.abc import Callable
from dataclasses import dataclass

from mqsite.registry import Registry
from queues.declarations import Queue
from queues.rows import Message

Handler = Callable[[Message], object]


@dataclass(frozen=True, slots=True)
class Handled:
    """A declared queue and the one handler it has."""

    queue: Queue
    handler: Handler


handled: Registry[str, Handled] = Registry("Handler of")


def handle(queue: Queue) -> Callable[[Handler], Handler]:
    """Make the function the handler of the queue.

    It is called with one Message at a time. What it writes to the database and the ack are one
    transaction.
    """

    def register(handler: Handler) -> Handler:
        handled.add(queue.name, Handled(queue, handler))
        return handler

    return register


def is_handled(queue: str) -> bool:
    """Whether this application handles the queue."""
    return handled.get(queue) is not None


def handled_names() -> list[str]:
    """What this process handles, as its heartbeat tells the others."""
    return [f"queues:{each.queue.name}" for each in handled]
