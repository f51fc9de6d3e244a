"""Says what came, what came back and what died."""

from collections.abc import Iterable
from functools import partial
from itertools import groupby

from mqsite.announce import after_commit, announce
from mqsite.sql import in_transaction
from queues import floors, rows, signals
from queues.models import Message


def announce_moved(moved: list[rows.Moved], *, using: str) -> None:
    """Announce per queue what is to be received again, now or later, and what went to the dead letters."""
    for queue, group in groupby(sorted(moved, key=lambda m: m.queue), key=lambda m: m.queue):
        messages = list(group)
        dead = [m for m in messages if m.state == Message.State.DEAD]
        back = [m for m in messages if m.state != Message.State.DEAD]
        if dead:
            announce(signals.messages_dead, queue=queue, messages=_name(dead), using=using)
        if back:
            ready = any(m.state == Message.State.READY for m in back)
            announce(signals.messages_returned, queue=queue, messages=_name(back), ready=ready, using=using)


def lower_floors(queue_id: int, places: Iterable[tuple[int, int]], *, using: str) -> None:
    """Tell this process where messages stand: now for their own transaction, and once for all others."""
    lowest: dict[int, int] = {}
    for priority, position in places:
        lowest[priority] = min(position, lowest.get(priority, position))
    for priority, position in lowest.items():
        floors.lower_to(queue_id, priority, position, using=using)
        if in_transaction(using):
            after_commit(partial(floors.lower_to, queue_id, priority, position, using=using), using=using)


def _name(moved: list[rows.Moved]) -> list[rows.Named]:
    return [rows.Named(m.id, m.group_key) for m in moved]
