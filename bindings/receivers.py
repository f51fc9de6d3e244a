"""Wakes the workers of a binding when its topic has new records, wherever they were published."""

import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError
from django.dispatch import receiver

from bindings import selectors
from logs import signals, tasks
from mqsite import nudge
from mqsite.remembered import Remembered

KNOWN_SECONDS = 5.0  # a binding that is new is woken by the sweep until then

_known: Remembered[str, tuple[float, list[str]]] = Remembered()


@receiver(signals.records_published)
def wake_bound(topic: str, partitions: Sequence[int], **_: Any) -> None:
    for group in _find_bound(topic):
        for partition in partitions:
            nudge.wake(tasks.consume, group, topic, partition)


def _find_bound(topic: str) -> list[str]:
    until, groups = _known.get(topic, (0.0, []))
    if time.monotonic() > until:
        try:
            groups = selectors.bound_to(topic)
        except DatabaseError:  # the records are published: whoever sweeps finds them
            groups = []
        _known.remember(topic, (time.monotonic() + KNOWN_SECONDS, groups))
    return groups
