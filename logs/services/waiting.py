"""Waiting for new records: the statement that looks for all who wait in this process."""

from collections.abc import Mapping

from logs import store
from mqsite.waiting import Waiting

Offsets = Mapping[int, int]  # partition id to the offset that is waited for


def wait_for_any(offsets: Offsets, *, seconds: float, using: str) -> bool:
    """Whether one of the partitions (by id) has a record at or after its offset within `seconds`."""
    return _waiting.wait(offsets, seconds=seconds, using=using)


def _look(waited: list[Offsets], using: str) -> list[bool]:
    ids = sorted({id_ for offsets in waited for id_ in offsets})
    ends = {b.partition_id: b.log_end for b in store.bounds(ids, using=using)}
    # A partition that is gone has ended as well: its reader shall hear of it.
    return [any(ends.get(id_, offset + 1) > offset for id_, offset in offsets.items()) for offsets in waited]


_waiting = Waiting(_look)
