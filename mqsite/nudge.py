"""Wakes a consumer through Celery. A hint like any other: it may be lost, it may not fail its sender.

Of the many that want to wake the same consumer one claims a key and sends the task; the
task clears the key before it looks for work. A claim is tried after its work was
committed, however much later: one that is refused has a task on its way that will find it.
"""

from typing import Any, NamedTuple

from celery import Task
from django.conf import settings
from redis.client import Pipeline

from mqsite import hints
from mqsite.outbox import Entry


def wake(task: "Task[Any, Any]", *target: str | int) -> None:
    """Send the task for its target soon, unless one that has not started yet is on its way."""
    if settings.MQSITE_CELERY:  # else its tasks would pile up in the broker
        hints.give(Nudge(task, target))


def woken(task: "Task[Any, Any]", *target: str | int) -> None:
    """To be called first by the task: from here on a new wake-up needs a task of its own."""
    key = Nudge(task, target).key()
    hints.attempt(lambda: hints.client().delete(key))


class Nudge(NamedTuple):
    """For the consumer that the task starts."""

    task: "Task[Any, Any]"
    target: tuple[str | int, ...]

    def __hash__(self) -> int:
        return hash(self.target)  # a shared task is a proxy, which looks its task up each time it is asked for a hash

    def ask(self, pipeline: Pipeline, entry: Entry) -> None:
        pipeline.set(self.key(), 1, nx=True, ex=hints.NUDGE_SECONDS)

    def hear(self, claimed: bool | None) -> None:
        if claimed:
            hints.attempt(lambda: self.task.apply_async(args=self.target, ignore_result=True))

    def key(self) -> str:
        return ":".join([settings.MQSITE_PREFIX, "nudge", self.task.name, *map(str, self.target)])
