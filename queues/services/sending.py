"""Anyone sends."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mqsite.announce import announce
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import JSON, Headers, dump_json, encode, encode_headers, encode_text
from queues import rows, signals, store
from queues.declarations import Queue
from queues.errors import QueueNotFound

MAX_BATCH_MESSAGES = 10_000
MAX_PAYLOAD_BYTES = 1_048_576  # headers included, as in SQS
MAX_LABEL_CHARACTERS = 249
MAX_DELAY_SECONDS = 366 * 86_400.0
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100  # Django Tasks' range


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to send. `payload`: bytes, text, or anything JSON can say."""

    payload: Any
    group_key: str | None = None
    headers: Headers = ()
    content_type: str | None = None
    priority: int = 0  # higher first
    delay_seconds: float = 0.0


def send(
    queue: Queue | str,
    payload: Any,
    *,
    group_key: str | None = None,
    headers: Headers = (),
    content_type: str | None = None,
    priority: int = 0,
    delay_seconds: float = 0.0,
    sender: str | None = None,
    using: str = "default",
) -> int:
    """Send one message; its id. See `send_many`."""
    message = NewMessage(payload, group_key, headers, content_type, priority, delay_seconds)
    return send_many(queue, [message], sender=sender, using=using)[0]


def send_many(
    queue: Queue | str, messages: Iterable[NewMessage], *, sender: str | None = None, using: str = "default"
) -> list[int]:
    """Send a batch, all or nothing; the ids in its order.

    Inside a transaction the messages appear with its commit. `sender` is the boundary that sends.
    """
    name, given = str(queue), list(messages)
    if len(given) > MAX_BATCH_MESSAGES:
        raise Invalid(reason=f"A batch has at most {MAX_BATCH_MESSAGES:,} messages; this one has {len(given):,}.")
    if not given:
        return []
    ids = store.send(name, _encode(given), sender=sender or "", using=using)
    if not ids:
        raise QueueNotFound(queue=name)
    announce(
        signals.messages_sent,
        queue=name,
        messages=[(id_, message.group_key) for id_, message in zip(ids, given, strict=True)],
        ready=any(not message.delay_seconds for message in given),
        using=using,
    )
    return ids


def _encode(messages: list[NewMessage]) -> rows.Batch:
    batch = rows.Batch([], [], [], [], [], [])
    for index, message in enumerate(messages):
        payload, content_type = encode(message.payload, message.content_type)
        if payload is None:
            payload, content_type = dump_json(None), content_type or JSON
        headers = encode_headers(message.headers)
        size = len(payload) + len((headers or "").encode())
        if size > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(what=f"Message {index}", size=size, name="a queue", limit=MAX_PAYLOAD_BYTES)
        batch.payloads.append(payload)
        batch.content_types.append(_require_label("content_type", content_type))
        batch.headers.append(headers)
        batch.group_keys.append(_require_label("group_key", message.group_key))
        batch.priorities.append(_require_priority(message.priority))
        batch.delays.append(require_seconds("delay_seconds", message.delay_seconds, least=0.0, most=MAX_DELAY_SECONDS))
    return batch


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


def require_seconds(field: str, value: Any, *, least: float, most: float) -> float:
    """`value` as seconds between the limits, or a refusal that says them."""
    try:
        seconds = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not least <= seconds <= most:
        raise Invalid(reason=f"{field} is {value!r}; allowed are {least:g} to {most:,.0f} seconds.")
    return seconds
