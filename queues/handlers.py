"""Which function handles the messages of a queue."""

from collections.abc import Callable
from dataclasses import dataclass

from mqsite.errors import Invalid
from mqsite.registry import Registry
from queues.declarations import Queue
from queues.rows import Message

Handler = Callable[[Message], object]


TRANSACTION, AT_LEAST_ONCE = "transaction", "at_least_once"


@dataclass(frozen=True, slots=True)
class Handled:
    """A declared queue and the one handler it has."""

    queue: Queue
    handler: Handler
    delivery: str = TRANSACTION


handled: Registry[str, Handled] = Registry("Handler of")


def handle(queue: Queue, *, delivery: str = TRANSACTION) -> Callable[[Handler], Handler]:
    """Make the function the handler of the queue.

    It is called with one Message at a time. By default what it writes to the database and the ack are one
    transaction, which several messages share, each with a savepoint of its own: a failure undoes its own message's
    writes only. With delivery="at_least_once" it runs outside of a transaction, under a lease that is kept as long
    as it works, and is acknowledged afterwards: for what is slow, and for effects outside of the database.
    """
    if delivery not in (TRANSACTION, AT_LEAST_ONCE):
        raise Invalid(reason=f"delivery is {delivery!r}; allowed are {TRANSACTION!r} and {AT_LEAST_ONCE!r}.")

    def register(handler: Handler) -> Handler:
        handled.add(queue.name, Handled(queue, handler, delivery))
        return handler

    return register


def is_handled(queue: str) -> bool:
    """Whether this application handles the queue."""
    return handled.get(queue) is not None


def handled_names() -> list[str]:
    """What this process handles, as its heartbeat tells the others."""
    return [f"queues:{each.queue.name}" for each in handled]
