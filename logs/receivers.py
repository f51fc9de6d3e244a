"""The one exit of the log: when the core says that something happened, wake consumers and push it live."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from logs import signals, tasks
from logs.handlers import readers_of
from mqsite import hints, nudge


@receiver(signals.records_published)
def announce_published(topic: str, partitions: Sequence[int], count: int, **_: Any) -> None:
    for group in readers_of(topic):
        _wake(group, topic, partitions)
    hints.push_live("logs", topic, "published", count=count)


@receiver(signals.offsets_committed)
def announce_committed(topic: str, count: int, **_: Any) -> None:
    hints.push_live("logs", topic, "committed", count=count)


@receiver(signals.offsets_reset)
def announce_reset(topic: str, group: str, partitions: Sequence[int], **_: Any) -> None:
    _wake(group, topic, partitions)
    hints.push_live("logs", topic, "reset", count=len(partitions))


@receiver(signals.group_paused)
def announce_paused(topic: str, group: str, partitions: Sequence[int], **_: Any) -> None:
    """Also when it resumes: who is woken and finds it paused lets it lie."""
    _wake(group, topic, partitions)
    hints.push_live("logs", topic, "paused", count=len(partitions))


def _wake(group: str, topic: str, partitions: Sequence[int]) -> None:
    for partition in partitions:
        nudge.wake(tasks.consume, group, topic, partition)
