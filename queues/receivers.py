"""The one exit of the queue: when the core says that something happened, wake consumers and push it live."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from mqsite import hints, nudge
from queues import signals, tasks
from queues.handlers import is_handled

Messages = Sequence[tuple[int, str | None]]


@receiver(signals.messages_sent)
def announce_sent(queue: str, messages: Messages, ready: bool, **_: Any) -> None:
    if ready:  # what is delayed the sweep promotes
        _wake(queue)
    _push("sent", queue, messages)


@receiver(signals.messages_received)
def announce_received(queue: str, messages: Messages, full: bool, **_: Any) -> None:
    if full:  # there is more than one worker can carry: the next one joins in
        _wake(queue)
    _push("received", queue, messages)


@receiver(signals.messages_acked)
def announce_acked(queue: str, messages: Messages, **_: Any) -> None:
    _push("acked", queue, messages)


@receiver(signals.messages_returned)
def announce_returned(queue: str, messages: Messages, ready: bool, **_: Any) -> None:
    if ready:
        _wake(queue)
    _push("returned", queue, messages)


@receiver(signals.messages_dead)
def announce_dead(queue: str, messages: Messages, **_: Any) -> None:
    _push("dead", queue, messages)


def _wake(queue: str) -> None:
    if is_handled(queue):
        nudge.wake(tasks.consume, queue)


def _push(event: str, queue: str, messages: Messages) -> None:
    named = [{"id": id_, "label": key or str(id_)} for id_, key in messages[: hints.MOST_MESSAGES]]
    hints.push_live("queues", queue, event, count=len(messages), messages=named)
