"""What becomes of a message that failed."""

import logging
from typing import NamedTuple

from mqsite import activity
from mqsite.calling import Ran
from mqsite.retry import Retry, RetryIn
from queues.handlers import Handled
from queues.rows import Message

logger = logging.getLogger(__name__)


class Fate(NamedTuple):
    """Dead at once, or back after a delay, None: the queue's back-off; dead after max_receives, None: the queue's."""

    is_dead: bool
    delay_seconds: float | None = None
    max_receives: int | None = None


def judge(subject: Handled, message: Message, error: Exception) -> Fate:
    retry = subject.options.retry
    verdict = (retry or Retry()).judge(error, message.receives)
    if verdict.is_hopeless:
        return Fate(is_dead=True)
    if retry is None:
        return Fate(False, verdict.seconds if isinstance(error, RetryIn) else None)
    return Fate(False, verdict.seconds, retry.attempts)


def note_failure(subject: Handled, message: Message, error: Exception) -> None:
    said = f"{message.queue} message {message.id}: {error!r}"
    activity.note_failure(said, activity.Failure(message, error), owner=subject.queue.owner)
    logger.warning("%s failed on message %s, receive %s: %s", message.queue, message.id, message.receives, error)


def split(messages: list[Message], ran: Ran) -> list[list[Message]]:
    """To be handled again, so that the one that failed is found: it alone where it is known, else by halves."""
    middle = ran.done if ran.is_known else len(messages) // 2
    parts = [messages[:middle], messages[middle : middle + 1], messages[middle + 1 :]]
    if not ran.is_known:
        parts = [messages[:middle], messages[middle:]]
    return [part for part in parts if part]
