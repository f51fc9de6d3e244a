"""Wakes a consumer through Celery. A hint like any other: it may be lost, it may not fail its sender."""

import logging
from typing import Any

from celery import Task
from kombu.exceptions import OperationalError

from mqsite import hints

logger = logging.getLogger(__name__)


def wake(task: "Task[Any, Any]", *target: str | int) -> None:
    """Send the task for its target, unless one that has not started yet is on its way."""
    if not hints.claim_nudge(_name(task, target)):
        return
    try:
        task.apply_async(args=target, ignore_result=True)
    except (OperationalError, OSError) as error:
        logger.warning("Not woken, the sweep will find it: %s %s: %s", task.name, target, error)


def woken(task: "Task[Any, Any]", *target: str | int) -> None:
    """To be called first by the task: from here on a new wake-up needs a task of its own."""
    hints.clear_nudge(_name(task, target))


def _name(task: "Task[Any, Any]", target: tuple[str | int, ...]) -> str:
    return ":".join([task.name, *map(str, target)])
