"""Says what came back and what died."""

from itertools import groupby

from mqsite.announce import announce
from queues import rows, signals
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


def _name(moved: list[rows.Moved]) -> list[rows.Named]:
    return [rows.Named(m.id, m.group_key) for m in moved]
