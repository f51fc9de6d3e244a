"""Which function handles the messages of a queue, and how."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from asgiref.sync import sync_to_async

from mqsite.errors import Invalid
from mqsite.handling import TRANSACTION, Handler, Options, name_of, read_options
from mqsite.registry import Registry
from mqsite.retry import Retry
from queues import periodic, services
from queues.declarations import Queue
from queues.rows import Message


@dataclass(frozen=True, slots=True)
class Handled:
    """A declared queue and the one handler it has."""

    queue: Queue
    handler: Handler
    options: Options

    @property
    def call(self) -> Handler:
        """The handler; what it returns for a request is the reply. A batch answers by hand."""
        return self.handler if self.options.batch else _answering(self.handler)

    @property
    def limit_name(self) -> str:
        """Its limits count by this."""
        return f"queues:{self.queue}"

    def __str__(self) -> str:
        return name_of(self.handler)


handled: Registry[str, Handled] = Registry("Handler of")


def handle(
    queue: Queue,
    *,
    delivery: str = TRANSACTION,
    batch: bool | int = False,
    retry: Retry | None = None,
    concurrency: int | None = None,
    rate: float | None = None,
    seconds: float | None = None,
) -> Callable[[Handler], Handler]:
    """Make the function, plain or async, the handler of the queue.

    It gets one Message at a time, or a list of them with `batch`: up to so many, True for up to MAX_BATCH.
    `delivery`: "transaction" acknowledges with what the handler writes to the database, "at_least_once" after it,
    outside of a transaction, under a lease that is kept as long as it works, "at_most_once" before it.
    `retry` stands in place of the queue's max_receives and back-off.
    What it returns for a `request` is the reply.
    Limits over all workers: `concurrency` calls at the same time, `rate` messages a second; `seconds` of one call.
    """

    if not isinstance(queue, Queue):
        raise Invalid(reason=f"handle takes a declared Queue, not {queue!r}.")

    def register(handler: Handler) -> Handler:
        options = read_options(
            handler,
            delivery=delivery,
            batch=batch,
            retry=retry,
            concurrency=concurrency,
            rate=rate,
            seconds=seconds,
        )
        handled.add(queue.name, Handled(queue, handler, options))
        return handler

    return register


def _answering(handler: Handler) -> Handler:
    if inspect.iscoroutinefunction(handler):

        @wraps(handler)
        async def handle_async(message: Message) -> None:
            result = await handler(message)
            if services.wants_reply(message):
                await sync_to_async(services.reply_to)(message, result)

        return handle_async

    @wraps(handler)
    def handle_one(message: Message) -> None:
        services.reply_to(message, handler(message))

    return handle_one


def is_handled(queue: str) -> bool:
    """Whether this application handles the queue."""
    return handled.get(queue) is not None


def handled_names() -> list[str]:
    """What this process handles, and which schedules it sends by, as its heartbeat tells the others."""
    return [f"queues:{each.queue.name}" for each in handled] + periodic.handled_names()
