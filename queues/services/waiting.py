"""Waiting for a first message: the statement that looks for all who wait in this process."""

from collections.abc import Collection

from mqsite.waiting import Waiting
from queues import floors, store

MAX_WAIT_SECONDS = 60.0


def wait_for_message(queue_id: int, *, seconds: float, using: str) -> bool:
    """Whether there is something to receive within `seconds`. Others may be faster."""
    return _waiting.wait(queue_id, seconds=seconds, using=using)


def wait_for_any(queue_ids: Collection[int], *, seconds: float, using: str = "default") -> bool:
    """As `wait_for_message`, for the first message of several queues."""
    return _waiting.wait_for_any(queue_ids, seconds=seconds, using=using)


def _look(queue_ids: list[int], using: str) -> list[bool]:
    for queue_id in set(queue_ids):
        if floors.is_rescan_due(queue_id, using=using):
            floors.rescan(queue_id, using=using)
    arrived = store.arrived({id_: floors.read(id_, using=using) for id_ in queue_ids}, using=using)
    return [queue_id in arrived for queue_id in queue_ids]


_waiting = Waiting(_look)
