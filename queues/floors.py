"""Where a scan for ready messages begins: for each queue and priority the lowest position that can still be ready.

Below it lie only the dead row versions of what was received before, and while somebody holds an old snapshot
nothing clears them away. A floor is a HINT: positions do not commit in their order, so a message may appear
below it. Messages sent by this process lower it; a rescan from the bottom finds the rest, and no queue is called
empty without one.
"""

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from queues import rows, store
from queues.errors import QueueAltered

LEAST, MOST = -32_768, 32_767  # of a priority
BOTTOM = -1
RESCAN_SECONDS = 1.0
RESCAN_SHARE = 20  # and never more than this part of the time
MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class _Known:
    floors: dict[int, int] = field(default_factory=dict)
    others: int = BOTTOM  # of the priorities without one: what was given out before the last rescan lies below
    lowered: int = 0  # how often, so that a scan that began before does not raise it again
    rescan_at: float = 0.0


_lock = threading.Lock()
_known: dict[tuple[str, int], _Known] = {}


def read(queue_id: int, *, using: str) -> rows.Ranges:
    """What to scan, the highest priority first."""
    with _lock:
        known = _known.get((using, queue_id))
        if known is None:
            if len(_known) >= MAX_REMEMBERED:
                _known.clear()
            known = _known[using, queue_id] = _Known()
        floors, others, lowered = dict(known.floors), known.others, known.lowered
    ranges = rows.Ranges([], [], [], lowered)
    above = MOST + 1
    for priority in sorted(floors, reverse=True):
        _add(ranges, priority + 1, above - 1, others)
        _add(ranges, priority, priority, floors[priority])
        above = priority
    _add(ranges, LEAST, above - 1, others)
    return ranges


def raise_to(queue_id: int, taken: Iterable[tuple[int, int]], *, since: rows.Ranges, using: str) -> None:
    """`taken`: (priority, position) of what a scan along `since` took; nothing before it is ready any more."""
    with _lock:
        known = _known.get((using, queue_id))
        if known is not None and known.lowered == since.lowered:
            for priority, position in taken:
                known.floors[priority] = max(known.floors.get(priority, known.others), position + 1)


def lower_to(queue_id: int, priority: int, position: int, *, using: str) -> None:
    """A message has appeared there."""
    with _lock:
        known = _known.get((using, queue_id))
        if known is not None:
            known.floors[priority] = min(known.floors.get(priority, known.others), position)
            known.lowered += 1


def is_rescan_due(queue_id: int, *, using: str) -> bool:
    known = _known.get((using, queue_id))
    return known is None or time.monotonic() >= known.rescan_at


def rescan(queue_id: int, *, revision: UUID | None = None, using: str) -> bool:
    """Look from the bottom; whether anything is ready. QueueAltered: it is not of that revision any more."""
    since = read(queue_id, using=using)
    started = time.monotonic()
    found = store.heads(queue_id, revision=revision, using=using)
    if found is None:
        raise QueueAltered
    last, heads = found
    took = time.monotonic() - started
    with _lock:
        known = _known.setdefault((using, queue_id), _Known())
        known.rescan_at = time.monotonic() + max(RESCAN_SECONDS, RESCAN_SHARE * took)
        known.others = max(known.others, last + 1)
        for priority, position in heads:
            lowest = position if known.lowered == since.lowered else min(known.floors.get(priority, position), position)
            known.floors[priority] = lowest
        known.lowered += 1
    return bool(heads)


def _add(ranges: rows.Ranges, low: int, high: int, floor: int) -> None:
    if low <= high:
        ranges.lows.append(low)
        ranges.highs.append(high)
        ranges.floors.append(floor)


def forget() -> None:
    """All of it."""
    global _lock
    _lock = threading.Lock()
    _known.clear()


os.register_at_fork(after_in_child=forget)
