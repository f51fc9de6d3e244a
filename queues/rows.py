"""Shapes of what goes into the store and comes out of it: one tuple per row."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from mqsite.payloads import as_text, decode


class Message(NamedTuple):
    """One message as it is received. `payload` is the sender's bytes."""

    queue: str
    lease: UUID | None  # None where it was only looked at
    position: int
    id: int
    payload: bytes
    content_type: str | None
    raw_headers: str | None
    group_key: str | None
    priority: int
    receives: int  # this one included
    enqueued_at: datetime
    sender: str  # the boundary that sent it, or ""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """In the sender's order; a name may come several times."""
        return [(name, value) for name, value in json.loads(self.raw_headers)] if self.raw_headers else []

    @property
    def text(self) -> str | None:
        """The payload as text, or in hex where it is not UTF-8."""
        return as_text(self.payload)

    @property
    def cause_id(self) -> str:
        """What follows from this message names it so."""
        return str(self.id)

    def decode(self) -> Any:
        """The payload as its content type says: text, parsed JSON, else the bytes. ValueError if it is neither."""
        return decode(self.payload, self.content_type)

    def json(self) -> Any:
        """The payload parsed as JSON."""
        return json.loads(self.payload)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to messages until it expires. The token is what ack, nack and extend are asked with."""

    token: UUID
    queue: str
    expires_at: datetime
    messages: list[Message]


class Batch(NamedTuple):
    """Messages to send, in order."""

    payloads: Sequence[bytes]
    content_types: list[str | None] | None
    headers: list[str | None] | None  # None, here and below: nobody has any
    group_keys: list[str | None] | None
    priorities: list[int] | None
    delays: list[float] | None
    dues: list[datetime | None] | None
    ttls: list[float | None] | None
    dedup_ids: list[str | None] | None


class Located(NamedTuple):
    """A queue as this process remembers it, until `revision` is another."""

    queue_id: int
    revision: UUID
    owner: str
    lease_seconds: int
    max_receives: int
    max_length: int | None
    message_ttl_seconds: float | None
    is_ordered: bool
    is_paused: bool


class Sent(NamedTuple):
    """The id of a message; `duplicate`: of one sent before under the same deduplication id."""

    id: int
    duplicate: bool = False


class Ranges(NamedTuple):
    """Of priority, each with the position to begin at, in the order to scan them."""

    lows: list[int]
    highs: list[int]
    floors: list[int]
    lowered: int  # how often a floor had been lowered then


class Outcome(NamedTuple):
    """What became of a message: acked, died, expired or cancelled."""

    id: int
    correlation_id: str | None
    outcome: str
    by: str  # who acknowledged or cancelled it
    receives: int
    reason: str  # why it died
    at: datetime


class Spent(NamedTuple):
    """A boundary's quota and what it has used of it, before what it wants to send now."""

    granted: bool
    max_messages: int | None
    max_bytes: int | None
    max_per_second: float | None
    used_messages: int
    used_bytes: int
    tokens: float | None


class Reply(NamedTuple):
    """What the handler of a request answered, or why the request died."""

    request: UUID
    is_error: bool
    content_type: str | None
    value: bytes | None  # None: the handler answered nothing
    error: str
    at: datetime

    @property
    def text(self) -> str | None:
        """The value as text, or in hex where it is not UTF-8."""
        return as_text(self.value)

    def json(self) -> Any:
        """The value parsed as JSON."""
        return json.loads(self.value) if self.value is not None else None


class Found(NamedTuple):
    """What a search found, how many messages it looked at, and the mark from which to go on; None: that was all."""

    messages: list[Message]
    scanned: int
    after: tuple[int, int] | None


class Scheduled(NamedTuple):
    """A message that waits for its time."""

    id: int
    due_at: datetime
    group_key: str | None
    priority: int
    receives: int  # 0: as it was sent; else it comes back after a failure


class Named(NamedTuple):
    """What a page calls a message by."""

    id: int
    group_key: str | None


class Moved(NamedTuple):
    """A message that left a lease, a schedule or the dead letters, and the state it is in now."""

    queue: str
    id: int
    group_key: str | None
    state: int
    priority: int = 0
    position: int | None = None  # where it went back to its old place


class Depth(NamedTuple):
    queue_id: int
    scheduled: int
    ready: int
    waiting: int
    leased: int
    dead: int
    oldest_ready_seconds: float | None


class Card(NamedTuple):
    queue_id: int
    state: int
    id: int
    group_key: str | None
    receives: int
    reason: str | None
    detail: str | None
    seconds: float | None  # scheduled: until it is due; ready: since when; leased: until it expires
    holder: str | None
    died_at: datetime | None


class Holder(NamedTuple):
    """Who has messages of a queue in hand: under leases, or in a transaction of its own."""

    name: str
    messages: int
    seconds: float | None  # until the first of its leases ends; None: no lease
