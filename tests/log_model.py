"""The log as plain Python lists: what the model test holds PostgreSQL to."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

from django.db import transaction

from logs import metadata
from logs.partitioner import partition_for_key
from logs.rows import Record
from logs.services import NewRecord

T = TypeVar("T")
Memory = tuple[dict[Any, Any], dict[Any, Any]]  # what a process remembers of topics and of segments
LAST = 1_000_000  # sorts behind every partition


class Entry(NamedTuple):
    """A record as it must come back; the server's own timestamp is not known beforehand."""

    key: bytes | None
    value: bytes | None
    headers: str | None
    content_type: str | None
    timestamp: datetime | None

    @property
    def size(self) -> int:
        return len(self.key or b"") + len(self.value or b"") + len((self.headers or "").encode())

    @classmethod
    def of(cls, record: NewRecord, *, server_time: bool) -> "Entry":
        value, content_type = record.value, record.content_type
        if isinstance(value, str):
            value, content_type = value.encode(), content_type or "text/plain"
        elif isinstance(value, int):
            value, content_type = str(value).encode(), content_type or "application/json"
        key = record.key.encode() if isinstance(record.key, str) else record.key
        pairs = [list(pair) for pair in record.headers]
        headers = json.dumps(pairs, ensure_ascii=False, separators=(",", ":")) if pairs else None
        return cls(key, value, headers, content_type, None if server_time else record.timestamp)

    def is_like(self, record: Record) -> bool:
        same = (record.key, record.value, record.raw_headers, record.content_type) == self[:4]
        return same and self.timestamp in {None, record.timestamp}


@dataclass
class Partition:
    """All that was ever appended, by offset; what stands begins at `start`."""

    entries: list[Entry] = field(default_factory=list)
    start: int = 0
    committed: int | None = None  # by the group

    @property
    def end(self) -> int:
        return len(self.entries)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size for entry in self.entries[self.start :])

    def count_fetched(self, offset: int, max_records: int, max_bytes: int) -> int:
        sizes = [entry.size for entry in self.entries[offset : offset + max_records]]
        most = max(max_bytes, sizes[0])
        return sum(total <= most for total in accumulate(sizes))

    def find_time(self, time: datetime) -> int | None:
        for offset in range(self.start, self.end):
            timestamp = self.entries[offset].timestamp
            assert timestamp is not None
            if timestamp >= time:
                return offset
        return None

    def starts_by_retention(self, cutoff: datetime | None, limit_bytes: int) -> tuple[int, int]:
        """The least and the most the log start may be: equal unless a deleted record was newer than the cutoff.

        A record goes by time when it and ALL before it are older; whether those deleted already still
        count depends on whether their rows stand.
        """
        by_bytes = self._start_by_bytes(limit_bytes)
        least, most = (self._start_by_time(cutoff, counted_from) for counted_from in (0, self.start))
        return max(least, by_bytes), max(most, by_bytes)

    def _start_by_time(self, cutoff: datetime | None, counted_from: int) -> int:
        if cutoff is None:
            return self.start
        for offset in range(self.start, self.end):
            newest = max(e.timestamp for e in self.entries[counted_from : offset + 1] if e.timestamp)
            if newest >= cutoff:
                return offset
        return self.end

    def _start_by_bytes(self, limit: int) -> int:
        """The most that can go while at least `limit` bytes, and the newest record, stay."""
        start, left = self.start, self.size_bytes
        if limit < 0 or left <= limit:
            return start
        while start < self.end - 1 and left - self.entries[start].size >= limit:
            left -= self.entries[start].size
            start += 1
        return start


class Placed(NamedTuple):
    partition: int
    offset: int
    duplicate: bool


@dataclass
class Topic:
    name: str
    partitions: list[Partition]
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)
    retention_ms: int = 604_800_000
    retention_bytes: int = -1
    max_message_bytes: int = 1_048_588
    server_time: bool = False

    @property
    def count(self) -> int:
        return sum(partition.end for partition in self.partitions)

    def entry(self, record: NewRecord) -> Entry:
        return Entry.of(record, server_time=self.server_time)

    def accepts(self, batch: Sequence[NewRecord]) -> bool:
        return all(self.entry(record).size <= self.max_message_bytes for record in batch)

    def route(self, record: NewRecord, sticky: int | None) -> int:
        if record.partition is not None:
            return record.partition
        if record.key is not None:
            key = record.key.encode() if isinstance(record.key, str) else record.key
            return partition_for_key(key, len(self.partitions))
        return LAST if sticky is None else sticky

    def append(self, batch: Sequence[NewRecord], sticky: int | None) -> list[Placed]:
        """Where each record stands then. Of one id in a batch, the first in the order of partitions is stored."""
        routed = [self.route(record, sticky) for record in batch]
        placed: dict[int, Placed] = {}
        for index in sorted(range(len(batch)), key=routed.__getitem__):
            record, number = batch[index], routed[index]
            if record.id is not None and record.id in self.ids:
                placed[index] = Placed(*self.ids[record.id], True)
                continue
            assert number != LAST, f"{record} is nowhere"
            partition = self.partitions[number]
            placed[index] = Placed(number, partition.end, False)
            partition.entries.append(self.entry(record))
            if record.id is not None:
                self.ids[record.id] = (number, placed[index].offset)
        return [placed[index] for index in range(len(batch))]


def swap_memory(other: Memory) -> None:
    """Go on as another process, or as one that has not looked for long."""
    memories: Memory = (metadata._topics, metadata._stretches)
    for memory, kept in zip(memories, other, strict=True):
        now = dict(memory)
        memory.clear()
        memory.update(kept)
        kept.clear()
        kept.update(now)


def in_savepoint(manner: str, work: Callable[[], T]) -> T | None:
    if manner == "plain":
        return work()
    try:
        with transaction.atomic():
            done = work()
            if manner == "undone":
                raise KeyError
            return done
    except KeyError:
        return None


def is_sticky(record: NewRecord) -> bool:
    return record.partition is None and record.key is None
