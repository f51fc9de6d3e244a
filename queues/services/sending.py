"""Anyone sends."""

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from itertools import compress, repeat
from operator import not_
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from mqsite import tracing
from mqsite.announce import announce
from mqsite.batches import read_columns, require_size
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import JSON, Headers, dump_json, encode, encode_headers, encode_text
from mqsite.remembered import Remembered
from mqsite.sql import in_transaction
from queues import memory, rows, signals, store
from queues.declarations import Queue
from queues.errors import OrderedRefuses, QueueAltered, QueueFull
from queues.services import quotas
from queues.services.moves import lower_floors

MAX_PAYLOAD_BYTES = 1_048_576  # headers included, as in SQS
MAX_LABEL_CHARACTERS = 249
MAX_DELAY_SECONDS = 366 * 86_400.0 * 100
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100  # Django Tasks' range
ROOM_SECONDS = 1.0  # how long a count of a queue's length is good for
LEAST_ROOM = 1_000  # with less left it is counted at every send
ROOM_SHARE = 32  # a process takes no more than this part of what is left without counting

new_tuple = tuple.__new__  # half the cost of the named tuple's own constructor

# How many messages this process may send to a queue, as it is in one revision, before it counts again, and until when.
_rooms: Remembered[tuple[str, UUID], tuple[int, float]] = Remembered()


class NewMessage(NamedTuple):
    """A message to send. `payload`: bytes, text, or anything JSON can say.

    It may be received after `delay_seconds`, or from `due_at` on (with a time zone), and is dead `ttl_seconds` later.
    """

    payload: Any
    group_key: str | None = None
    headers: Headers = ()
    content_type: str | None = None
    priority: int = 0  # higher first
    delay_seconds: float = 0.0
    due_at: datetime | None = None
    ttl_seconds: float | None = None  # None: the queue's
    dedup_id: str | None = None


class _Given(NamedTuple):
    """Messages as they are given, a column for each field of NewMessage."""

    payloads: Sequence[Any]
    group_keys: Sequence[str | None]
    headers: Sequence[Headers]
    content_types: Sequence[str | None]
    priorities: Sequence[int]
    delays: Sequence[float]
    dues: Sequence[datetime | None]
    ttls: Sequence[float | None]
    dedup_ids: Sequence[str | None]


def send(
    queue: Queue | str,
    payload: Any,
    *,
    group_key: str | None = None,
    headers: Headers = (),
    content_type: str | None = None,
    priority: int = 0,
    delay_seconds: float = 0.0,
    due_at: datetime | None = None,
    ttl_seconds: float | None = None,
    dedup_id: str | None = None,
    sender: str | None = None,
    using: str = "default",
) -> rows.Sent:
    """Send one message; its id. See `send_many`."""
    message = NewMessage(
        payload, group_key, headers, content_type, priority, delay_seconds, due_at, ttl_seconds, dedup_id
    )
    return send_many(queue, [message], sender=sender, using=using)[0]


def send_many(
    queue: Queue | str, messages: Iterable[NewMessage | Any], *, sender: str | None = None, using: str = "default"
) -> list[rows.Sent]:
    """Send a batch, all or nothing; the ids in its order. `sender` is the boundary that sends.

    What is no `NewMessage` is a payload.

    Inside a transaction the messages appear with its commit.

    A message with a `dedup_id` is sent once within the queue's `dedup_seconds`: after that first time the answer is
    the ORIGINAL id, with duplicate=True. Concurrent senders of one id wait for each other, in a transaction at its
    COMMIT: of two that overlap, the later commits its own work without the message, whose id then names nothing.
    """
    given = _Given._make(read_columns(messages, NewMessage, "message"))
    count = len(given.payloads)
    if not count:
        return []
    if sender and quotas.may_be_limited(sender, using=using):  # once, however often the queue is looked for
        payloads, _ = _encode_all(given.payloads, given.content_types)
        quotas.spend(sender, count, sum(map(len, payloads)), using=using)
    return memory.use_queue(str(queue), partial(_send, str(queue), given, sender or "", using), using=using)


def _send(name: str, given: _Given, sender: str, using: str, located: rows.Located) -> list[rows.Sent]:
    batch = _check_batch(name, given, located)
    count = len(batch.payloads)
    own = not in_transaction(using)
    if located.max_length is None or _take_room(located, located.max_length, count, using):
        ids, fresh = _store(located, batch, own, sender, using)
    else:
        with transaction.atomic(using=using) if own else nullcontext():
            _require_room(name, located, located.max_length, count, own, using)
            ids, fresh = _store(located, batch, own, sender, using)
    _announce(name, located, ids, fresh, batch, using)
    return list(map(new_tuple, repeat(rows.Sent), zip(ids, map(not_, fresh) if fresh else repeat(False), strict=False)))


def _store(
    located: rows.Located, batch: rows.Batch, own: bool, sender: str, using: str
) -> tuple[list[int], list[bool] | None]:
    """The ids, and which are fresh; None: all."""
    fresh = None
    if located.is_ordered or batch.dedup_ids:
        ids, fresh = store.send_placed(located, batch, own=own, sender=sender, using=using)
    elif batch.priorities or batch.delays or batch.dues or batch.ttls:
        ids = store.send(located, batch, sender=sender, using=using)
    elif len(batch.payloads) == 1:
        ids = store.send_one(located, batch, sender=sender, using=using)
    else:
        ids = store.send_ready(located, batch, sender=sender, using=using)
    if not ids:
        raise QueueAltered
    return ids, fresh


def check_message(queue: Queue, message: NewMessage) -> None:
    """Refuse what a send to the queue, as it is declared, refuses."""
    _check_batch(queue.name, _Given._make(zip(message, strict=True)), queue)


def check_content(message: NewMessage) -> tuple[bytes, str | None, str | None]:
    """Payload, content type and headers as they are stored, or the refusal of a send."""
    payload, content_type = _encode(message.payload, message.content_type)
    headers = encode_headers(message.headers)
    size = len(payload) + len((headers or "").encode())
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(what="The message", size=size, name="a queue", limit=MAX_PAYLOAD_BYTES)
    return payload, _require_label("content_type", content_type), headers


def _announce(
    name: str, located: rows.Located, ids: list[int], fresh: list[bool] | None, batch: rows.Batch, using: str
) -> None:
    if fresh:
        ids = list(compress(ids, fresh))
        batch = rows.Batch._make(column and list(compress(column, fresh)) for column in batch)
        if not ids:
            return
    if not located.is_ordered:  # ids ascend: the first of a priority is its lowest
        firsts = {0: ids[0]}
        if batch.priorities:
            firsts = dict(zip(reversed(batch.priorities), reversed(ids), strict=True))
        lower_floors(located.queue_id, firsts.items(), using=using)
    delays, dues = batch.delays or repeat(0.0), batch.dues or repeat(None)
    announce(
        signals.messages_sent,
        queue=name,
        messages=list(zip(ids, batch.group_keys or repeat(None), strict=False)),
        ready=any(not delay and due is None for _, delay, due in zip(ids, delays, dues, strict=False)),
        using=using,
    )


def _check_batch(name: str, given: _Given, located: rows.Located | Queue) -> rows.Batch:
    payloads, content_types = _encode_all(given.payloads, given.content_types)
    headers = tracing.carry(given.headers)
    ttls, default = given.ttls, located.message_ttl_seconds
    batch = rows.Batch(
        payloads=payloads,
        content_types=_column(content_types, lambda kind: _require_label("content_type", kind)),
        headers=[encode_headers(each) for each in headers] if any(headers) else None,
        group_keys=_column(given.group_keys, lambda key: _require_label("group_key", key)),
        priorities=_column(given.priorities, _require_priority, absent=0),
        delays=_column(given.delays, _require_delay, absent=0.0),
        dues=_column(given.dues, _require_due),
        ttls=_column(ttls if default is None else [default if ttl is None else ttl for ttl in ttls], _require_ttl),
        dedup_ids=_column(given.dedup_ids, lambda id_: _require_label("dedup_id", id_)),
    )
    _require_sizes(batch)
    if batch.dues and batch.delays and any(due and delay for due, delay in zip(batch.dues, batch.delays, strict=True)):
        raise Invalid(reason="A message has a delay_seconds or a due_at, not both.")
    if located.is_ordered:
        _require_orderable(name, batch)
    return batch


def _encode_all(
    payloads: Sequence[Any], content_types: Sequence[str | None]
) -> tuple[Sequence[bytes], Sequence[str | None]]:
    if set(map(type, payloads)) == {bytes}:
        return payloads, content_types
    payloads, content_types = zip(*map(_encode, payloads, content_types), strict=True)
    return payloads, content_types


def _encode(payload: Any, content_type: str | None) -> tuple[bytes, str | None]:
    data, kind = encode(payload, content_type)
    return (dump_json(None), kind or JSON) if data is None else (data, kind)


def _column(values: Sequence[Any], check: Any, absent: Any = None) -> list[Any] | None:
    """The checked values, or None where all are absent."""
    if values.count(absent) == len(values):
        return None
    return [check(value) for value in values]


def _require_sizes(batch: rows.Batch) -> None:
    sizes = list(map(len, batch.payloads))
    if batch.headers:
        sizes = [size + len(text.encode()) if text else size for size, text in zip(sizes, batch.headers, strict=True)]
    if max(sizes) > MAX_PAYLOAD_BYTES:
        index = next(index for index, size in enumerate(sizes) if size > MAX_PAYLOAD_BYTES)
        raise PayloadTooLarge(what=f"Message {index}", size=sizes[index], name="a queue", limit=MAX_PAYLOAD_BYTES)
    require_size(sum(sizes), "send")


def _require_orderable(name: str, batch: rows.Batch) -> None:
    if not batch.group_keys or None in batch.group_keys or batch.priorities or batch.delays or batch.dues:
        raise OrderedRefuses(queue=name)


def _take_room(located: rows.Located, max_length: int, count: int, using: str) -> bool:
    """Whether there is so much room that nobody need count. Each process may use a part of it for a second."""
    room, until = _rooms.get((using, located.revision), (0, 0.0))
    if time.monotonic() > until or 0 < room < count:
        left = max_length - _measure(located, max_length, using)
        room, until = left // ROOM_SHARE if left > LEAST_ROOM else 0, time.monotonic() + ROOM_SECONDS
    enough = count <= room
    _rooms.remember((using, located.revision), (room - count if enough else room, until))
    return enough


def _require_room(name: str, located: rows.Located, max_length: int, count: int, own: bool, using: str) -> None:
    """Refuse what is more than max_length. Senders on their own come one after the other; a transaction does not
    hold up others, and counts what it has sent itself."""
    if own:
        store.lock_room(located.queue_id, using=using)
    length = _measure(located, max_length, using)
    if not own:
        length += store.count_staged(located.queue_id, using=using)
    if count > max_length - length:
        raise QueueFull(queue=name, length=length, limit=max_length, wanted=count)


def _measure(located: rows.Located, max_length: int, using: str) -> int:
    (depth,) = store.depth([located.queue_id], limit=max_length + 1, using=using)
    return depth.scheduled + depth.ready + depth.waiting + depth.leased


def _require_label(field: str, value: str | None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_LABEL_CHARACTERS or "\0" in value:
        raise Invalid(reason=f"{field} is text of at most {MAX_LABEL_CHARACTERS} characters without NUL, or None.")
    encode_text(value)
    return value


def _require_priority(value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not LOWEST_PRIORITY <= value <= HIGHEST_PRIORITY:
        raise Invalid(reason=f"priority is {value!r}; allowed are {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}.")
    return value


def _require_delay(value: Any) -> float:
    return require_seconds("delay_seconds", value, least=0.0, most=MAX_DELAY_SECONDS)


def _require_ttl(value: Any) -> float | None:
    return None if value is None else require_seconds("ttl_seconds", value, least=0.001, most=MAX_DELAY_SECONDS)


def _require_due(value: Any) -> datetime | None:
    if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
        raise Invalid(reason=f"due_at is {value!r}; it is a time with its time zone, or None.")
    return value


def require_seconds(field: str, value: Any, *, least: float, most: float) -> float:
    """`value` as seconds between the limits, or a refusal that says them."""
    try:
        seconds = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not least <= seconds <= most:
        raise Invalid(reason=f"{field} is {value!r}; allowed are {least:g} to {most:,.0f} seconds.")
    return seconds
