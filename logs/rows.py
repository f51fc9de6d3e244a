"""Shapes of what goes into the store and comes out of it: one tuple per row."""

import json
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from mqsite.arrays import ByteaArray, Int8Array
from mqsite.payloads import as_text, decode


class Record(NamedTuple):
    """One record as it is read. `value` and `key` are the publisher's bytes."""

    topic: str
    partition: int
    is_replay: bool  # the group had committed past this offset once, before it was reset
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    raw_headers: str | None
    content_type: str | None

    @property
    def headers(self) -> list[tuple[str, str]]:
        """In the publisher's order; a name may come several times."""
        return [(name, value) for name, value in json.loads(self.raw_headers)] if self.raw_headers else []

    @property
    def text(self) -> str | None:
        """The value as text, or in hex where it is not UTF-8."""
        return as_text(self.value)

    @property
    def key_text(self) -> str | None:
        return as_text(self.key)

    @property
    def cause_id(self) -> str:
        """What follows from this record names it so: `orders-3@812`."""
        return f"{self.topic}-{self.partition}@{self.offset}"

    def decode(self) -> Any:
        """The value as its content type says: text, parsed JSON, else the bytes. ValueError if it is neither."""
        return decode(self.value, self.content_type)

    def json(self) -> Any:
        """The value parsed as JSON."""
        return json.loads(self.value) if self.value is not None else None


class Batch(NamedTuple):
    """Records grouped by partition: `partitions` ascending, then all records in that order.

    A column that no record fills may be None instead of a list.
    """

    partitions: list[int]
    counts: list[int]
    keys: ByteaArray | None
    vals: ByteaArray | None
    headers: list[str | None] | None
    content_types: list[str | None] | None
    ends: Int8Array  # the running total of bytes within each partition
    timestamps: list[datetime | None] | None
    ids: list[str | None] | None


class Located(NamedTuple):
    topic_id: int
    revision: UUID
    owner: str
    max_message_bytes: int
    timestamp_type: str
    timestamp_after_max_ms: int
    cleanup_policy: str
    partition_ids: list[int]  # by partition number

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup_policy


class Extent(NamedTuple):
    log_start: int
    log_end: int
    found: int | None  # the first record at or after the offset asked for
    segment: int  # where it stands
    next_extent: int | None  # and up to which offset others do


class Bounds(NamedTuple):
    partition_id: int
    number: int
    log_start: int
    log_end: int
    size_bytes: int


class FoundByKey(NamedTuple):
    """One record of a key, or none of a partition: then `offset` is None."""

    number: int
    log_start: int
    complete_from: int
    offset: int | None
    timestamp: datetime
    key: bytes
    value: bytes | None
    raw_headers: str | None
    content_type: str | None


class Fenced(NamedTuple):
    group_partition_id: int
    epoch: int
    holder: str | None  # who held it before


class Moved(NamedTuple):
    group_partition_id: int
    committed: int | None
    target: int


class Standing(NamedTuple):
    """Where a group goes on reading a partition."""

    group_partition_id: int
    epoch: int
    replay_until: int
    attempts: int
    committed: int | None
    log_start: int
    log_end: int
    auto_offset_reset: str


class Acquired(NamedTuple):
    """The answer to who wants to read one partition."""

    standing: Standing | None  # None: it is not free, or nothing is unread
    group_partition_id: int
    partition_id: int
    boundary: str


class LiveMember(NamedTuple):
    name: str
    is_static: bool
    epoch: int
    topics: list[str] | None
    client: str
    session_seconds: float
    joined_at: datetime
    expires_at: datetime


class Holding(NamedTuple):
    """A partition a group reads, and the member that holds it now."""

    group_partition_id: int
    partition_id: int
    topic: str
    number: int
    owner: str | None
    epoch: int
    is_paused: bool


class Resettable(NamedTuple):
    """Where a group stands on a partition, for a plan."""

    group_partition_id: int
    partition_id: int
    topic: str
    number: int
    committed: int | None
    log_start: int
    log_end: int
    reset_epoch: int
    partition_count: int
    is_paused: bool
    owner: str | None
    metadata: str | None  # of the commit

    @property
    def position(self) -> int:
        """The next offset it reads."""
        return self.log_start if self.committed is None else max(self.committed, self.log_start)


class Position(NamedTuple):
    topic_id: int
    number: int
    log_start: int
    log_end: int
    size_bytes: int
    group: str | None
    committed: int | None
    lag: int
    lag_seconds: float | None
    owner: str | None
    epoch: int
    is_paused: bool
    failing_offset: int | None
    attempts: int
    error: str
    retry_in: float | None
    is_blocked: bool | None  # it is not tried again by itself


class Lag(NamedTuple):
    """How far a group is behind on one topic, over its partitions."""

    group_id: int
    topic_id: int
    partitions: int
    lag: int
    lag_seconds: float | None  # age of the oldest record not yet consumed; None: none
    log_end: int  # the sum
    failing: int  # partitions
    paused: int
    not_started: int  # without a commit, so they are read from the log start
    holders: list[str]  # members that hold a partition now


class LagPoint(NamedTuple):
    at: datetime
    lag: int
    lag_seconds: float | None
    log_end: int


class Behind(NamedTuple):
    group: str
    topic: str
    partition: int


class Parked(NamedTuple):
    """What a group has parked of a topic. `is_more`: it has more than were counted, maybe of this topic too."""

    group: str
    topic: str
    records: int
    asked: int  # that shall be tried again
    oldest_at: datetime
    oldest_seconds: float
    is_more: bool


class Inspected(NamedTuple):
    partition_id: int
    topic_id: int
    segment: int
    records: int
    records_in_segment: int
    target: int | None  # where retention wants the log start
