"""Transaction mode: take messages, work and acknowledge in ONE transaction, with no lease written.

The row locks are the right to the messages: they fall with the transaction, so a worker that dies gives its
messages back at once. What it had in hand is written down beside the transaction, in the worker's heartbeat; a
message that kills its process is charged for it by the others, and dies like any other.
"""

import math
import threading
from collections.abc import Sequence
from functools import partial

from django.conf import settings

from mqsite import beside, workers
from mqsite.announce import announce
from mqsite.errors import Invalid
from mqsite.payloads import end_of_text
from mqsite.sql import in_transaction
from queues import memory, rows, signals, store
from queues.declarations import Queue
from queues.errors import ConsumerNotOwner
from queues.services.moves import announce_moved, lower_floors
from queues.services.receiving import (
    MAX_ERROR_CHARACTERS,
    MAX_RECEIVE_MESSAGES,
    take_along_floors,
)
from queues.services.sending import MAX_DELAY_SECONDS, require_seconds

CHARGE_WORKERS = 100


class HeldMore(Exception):
    """The transaction holds more messages than it may handle: roll it back, and take so many."""

    def __init__(self, max_messages: int) -> None:
        super().__init__(f"Only {max_messages} of the messages that were locked may be handled together.")
        self.max_messages = max_messages


def take(
    queue: Queue | str,
    *,
    max_messages: int = 10,
    strictly: bool = False,
    boundary: str | None = None,
    using: str = "default",
) -> list[rows.Message]:
    """Up to `max_messages` for the transaction this is called in; no other gets them before its end.

    What was received before is taken alone: it may be what killed its worker. What comes behind it is not handed out,
    and held all the same; `strictly`: HeldMore instead.

    Acknowledge with `ack_taken`, in the same transaction; what is not acknowledged is ready again, uncharged.
    """
    if not in_transaction(using):
        raise Invalid(reason="Take messages inside a transaction: its end gives them back.")
    if not 1 <= max_messages <= MAX_RECEIVE_MESSAGES:
        raise Invalid(reason=f"max_messages is {max_messages}; allowed are 1 to {MAX_RECEIVE_MESSAGES:,}.")
    acting = queue.owner if isinstance(queue, Queue) else boundary
    return memory.use_queue(str(queue), partial(_take, str(queue), acting, max_messages, strictly, using), using=using)


def begin_handling(messages: Sequence[rows.Message], *, using: str = "default") -> list[rows.Message]:
    """Those of the taken messages to handle now; they are written down. Let the others go: `let_go`.

    What another worker had written down and no longer holds may have killed it: it waits until it is charged,
    or is handled alone.
    """
    chosen = set(store.note(_handling(), workers.name(), messages, using=using))
    return [message for message in messages if message.id in chosen]


def end_handling(*, using: str = "default") -> None:
    """This thread has nothing in hand any more."""
    store.forget_note(_handling(), using=using)
    if not workers.has_timers():
        beside.close(using)


def keep_handling(*, using: str = "default") -> None:
    """The heartbeat."""
    store.keep_notes(workers.name(), using=using)


def let_go(messages: Sequence[rows.Message], *, using: str = "default") -> None:
    """Taken, but not to be handled in this transaction after all."""
    if messages:
        queue_id = memory.use_queue(messages[0].queue, lambda located: located.queue_id, using=using)
        lower_floors(queue_id, [(m.priority, m.position) for m in messages], using=using)


def ack_taken(messages: Sequence[rows.Message], *, using: str = "default") -> None:
    """The taken messages are done: gone with the commit."""
    if messages:
        acked = store.ack_taken([m.id for m in messages], by=workers.name(), using=using)
        announce(signals.messages_acked, queue=messages[0].queue, messages=acked, using=using)


def nack_taken(
    message: rows.Message,
    *,
    delay_seconds: float | None = None,
    max_receives: int | None = None,
    error: str = "",
    using: str = "default",
) -> None:
    """Give a taken message back with the commit, after a delay (None: the queue's back-off), and count the receive;
    dead after `max_receives` (None: the queue's)."""
    delay = math.nan
    if delay_seconds is not None:
        delay = require_seconds("delay_seconds", delay_seconds, least=0.0, most=MAX_DELAY_SECONDS)
    said = end_of_text(error, MAX_ERROR_CHARACTERS)
    moved = store.nack_taken([message.id], delay=delay, error=said, most=max_receives, using=using)
    announce_moved(moved, using=using)


def reject_taken(message: rows.Message, *, error: str = "", using: str = "default") -> None:
    """Send a taken message to the dead letters with the commit."""
    said = end_of_text(error, MAX_ERROR_CHARACTERS)
    announce_moved(store.nack_taken([message.id], delay=None, error=said, using=using), using=using)


def take_again(message: rows.Message, *, using: str = "default") -> bool:
    """Take the message once more, whose own transaction could not be committed; False: somebody else has it."""
    return store.take_one(message, using=using)


def charge(*, limit: int = CHARGE_WORKERS, using: str = "default") -> int:
    """Charge what dead workers had in hand; how many messages that was."""
    moved = store.charge(dead_seconds=settings.MQSITE_MEMBER_SECONDS, limit=limit, using=using)
    announce_moved(moved, using=using)
    return len(moved)


def _take(
    name: str, acting: str | None, most: int, strictly: bool, using: str, located: rows.Located
) -> list[rows.Message]:
    if acting != located.owner:
        raise ConsumerNotOwner(owner=located.owner, verb="handles", name=name, boundary=acting or "nobody")

    def scan(ranges: rows.Ranges) -> list[rows.Message] | None:
        held = store.take(name, located, ranges, most=most, using=using)
        first_suspect = next((n for n, message in enumerate(held) if message.receives > 1), most)
        taken = held[: max(1, first_suspect)]
        if strictly and len(taken) < len(held):
            raise HeldMore(len(taken))
        return taken or None

    taken = take_along_floors(located, scan, lambda messages: messages, using=using) or []
    if len(taken) == most:  # at once, not with the commit: there is more than one worker can carry
        named = [rows.Named(m.id, m.group_key) for m in taken]
        signals.messages_received.send_robust(sender=None, queue=name, messages=named, full=True)
    return taken


def _handling() -> str:
    return f"{workers.name()}/{threading.get_ident()}"
