"""Shapes of messages and leases over REST. Ids are 64-bit numbers: JavaScript bends those above 2^53."""

import re
from typing import Any

from rest_framework import serializers

from mqsite.errors import Invalid
from mqsite.fields import NamedFields, SecondsField, read_time, reason_field
from mqsite.long_poll import MAX_WAIT_SECONDS
from mqsite.parsing import checked_item
from mqsite.payloads import bytes_or_text, decode_base64
from queues.lookups import Look, Looks
from queues.rows import Outcome, Scheduled
from queues.selectors import COUNT_LIMIT, MAX_SCANNED, MAX_SCHEDULE_PAGE, STATES
from queues.services import Lease, Message, NewMessage
from queues.services.receiving import MAX_RECEIVE_BYTES, MAX_RECEIVE_MESSAGES
from queues.services.removing import MAX_CANCEL_MESSAGES, PURGED_STATES

MAX_ID = 2**63 - 1
MAX_PAGE_MESSAGES = 100  # with their payloads
MAX_TEXT_CHARACTERS = 1_000
MAX_PURGE_MESSAGES = 100_000
MAX_PRIORITY = 32_767


class IdsField(serializers.ListField):
    """Message ids, at least one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=id_field(), min_length=1, **kwargs)


def id_field(**more: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=MAX_ID, **more)


def text_field(**more: Any) -> serializers.CharField:
    """What is looked for: as it stands, blanks included."""
    return serializers.CharField(
        default=None, allow_null=True, trim_whitespace=False, max_length=MAX_TEXT_CHARACTERS, **more
    )


def page_field(most: int, default: int = 100) -> serializers.IntegerField:
    return serializers.IntegerField(default=min(default, most), min_value=1, max_value=most)


def scanned_field() -> serializers.IntegerField:
    return serializers.IntegerField(default=COUNT_LIMIT, min_value=1, max_value=MAX_SCANNED)


class MarkField(serializers.Field):
    """`priority:position`, as `next_after` of the page before gave it."""

    def to_internal_value(self, data: Any) -> tuple[int, int]:
        priority, _, position = data.partition(":") if re.fullmatch(r"-?\d{1,5}:\d{1,19}", str(data)) else ("", "", "")
        if not priority or abs(int(priority)) > MAX_PRIORITY or int(position) > MAX_ID:
            raise serializers.ValidationError("Give next_after of the page before, such as 0:100.")
        return int(priority), int(position)


class ScheduledMarkField(serializers.Field):
    """`due_at,id`, as `next_after` of the page before gave it."""

    def to_internal_value(self, data: Any) -> Scheduled:
        time, _, id_ = str(data).rpartition(",")
        if not re.fullmatch(r"\d{1,19}", id_) or int(id_) > MAX_ID:
            raise serializers.ValidationError("Give next_after of the page before, such as 2031-05-01T08:00:00Z,100.")
        return Scheduled(int(id_), read_time("after", time), None, 0, 0)


class SearchInput(NamedFields):
    state = serializers.ChoiceField(choices=sorted(STATES.values()), default="ready")
    text = text_field()
    group_key = text_field()
    json_path = text_field()
    after = MarkField(default=None)
    limit = page_field(MAX_PAGE_MESSAGES, default=20)
    most_scanned = scanned_field()


class ScheduledInput(NamedFields):
    after = ScheduledMarkField(default=None)
    limit = page_field(MAX_SCHEDULE_PAGE)


class OutcomesInput(NamedFields):
    id = id_field(required=False)
    correlation_id = serializers.CharField(required=False, trim_whitespace=False, max_length=MAX_TEXT_CHARACTERS)
    limit = page_field(MAX_SCHEDULE_PAGE)


class CancelInput(NamedFields):
    ids = IdsField(max_length=MAX_CANCEL_MESSAGES)
    reason = reason_field()


class PurgeInput(NamedFields):
    state = serializers.ChoiceField(choices=list(PURGED_STATES))
    most = serializers.IntegerField(default=MAX_PURGE_MESSAGES, min_value=1, max_value=MAX_PURGE_MESSAGES)
    reason = reason_field()


class ReceiveInput(NamedFields):
    max_messages = serializers.IntegerField(default=10, min_value=1, max_value=MAX_RECEIVE_MESSAGES)
    max_bytes = serializers.IntegerField(default=16 * 1024 * 1024, min_value=1, max_value=MAX_RECEIVE_BYTES)
    lease_seconds = SecondsField(default=None, allow_null=True)
    wait_seconds = SecondsField(default=0.0, min_value=0, max_value=MAX_WAIT_SECONDS)


class ReplyWaitInput(NamedFields):
    wait_seconds = SecondsField(default=0.0, min_value=0, max_value=MAX_WAIT_SECONDS)


class RequestInput(ReplyWaitInput):
    reply_seconds = SecondsField(default=30.0)


class ReplyInput(NamedFields):
    reply_to = serializers.CharField(max_length=100)
    content_type = serializers.CharField(default=None, allow_null=True)


class AckInput(NamedFields):
    ids = IdsField(max_length=MAX_RECEIVE_MESSAGES)


class RejectInput(AckInput):
    error = serializers.CharField(default="", allow_blank=True, trim_whitespace=False)


class NackInput(RejectInput):
    delay_seconds = SecondsField(default=None, allow_null=True)


class ExtendInput(AckInput):
    lease_seconds = SecondsField(default=None, allow_null=True)


MESSAGE_FIELDS: dict[str, type] = {
    "payload": object,
    "payload_base64": object,
    "content_type": str,
    "headers": list,
    "priority": int,
    "delay_seconds": object,
    "due_at": str,
    "ttl_seconds": object,
    "group_key": str,
    "dedup_id": str,
}


def read_messages(body: Any) -> list[NewMessage]:
    """One message, or `{"messages": [...]}`; a refusal says which of many it is about."""
    if not isinstance(body, dict) or "messages" not in body:
        return [read_message(body)]
    items = body["messages"]
    if not isinstance(items, list) or not items:
        raise Invalid(reason='Many messages come as {"messages": [{"payload": ...}, ...]}, at least one.')
    if unknown := sorted(set(body) - {"messages"}):
        raise Invalid(reason=f"Beside messages the body has no field {unknown[0]!r}: give it with each message.")
    messages = []
    for index, item in enumerate(items):
        try:
            messages.append(read_message(item))
        except Invalid as error:
            raise Invalid(reason=f"Message {index}: {error}") from error
    return messages


def read_message(item: Any) -> NewMessage:
    """`{"payload", "content_type", "headers", "priority", "delay_seconds" or "due_at", "ttl_seconds", "group_key",
    "dedup_id"}`; bytes: `payload_base64`.

    A `payload` that is a JSON string becomes that text; any other JSON value is kept as JSON, number by number.
    """
    checked_item(item, "message", MESSAGE_FIELDS)
    if len({"payload", "payload_base64"} & set(item)) != 1:
        raise Invalid(reason="A message needs a payload, or payload_base64, not both; null is allowed.")
    given = {name: value for name, value in item.items() if value is not None and not name.startswith("payload")}
    if "headers" in given:
        given["headers"] = [tuple(h) if isinstance(h, list) else h for h in given["headers"]]
    if "due_at" in given:
        given["due_at"] = read_time("due_at", given["due_at"])
    payload = decode_base64("payload_base64", item["payload_base64"]) if "payload_base64" in item else item["payload"]
    return NewMessage(payload, **given)


def write_message(message: Message) -> dict[str, Any]:
    """The message with its payload untouched: as text where it is UTF-8, else in base64."""
    return {
        "id": message.id,
        **bytes_or_text("payload", message.payload),
        "headers": message.headers,
        "content_type": message.content_type,
        "group_key": message.group_key,
        "priority": message.priority,
        "receives": message.receives,
        "enqueued_at": message.enqueued_at,
        "sender": message.sender,
    }


def write_looks(page: Looks) -> dict[str, Any]:
    """Messages that were only looked at, with all that is known of them."""
    mark = page.after
    return {
        "messages": [_write_look(look) for look in page.looks],
        "scanned": page.scanned,
        "next_after": ":".join(map(str, mark)) if isinstance(mark, tuple) else mark,
    }


def _write_look(look: Look) -> dict[str, Any]:
    rest = look._asdict()
    return {**write_message(rest.pop("message")), **rest}


def write_scheduled(page: list[Scheduled], *, limit: int) -> dict[str, Any]:
    last = page[-1] if len(page) == limit else None
    return {
        "messages": [scheduled._asdict() for scheduled in page],
        "next_after": last and f"{last.due_at.isoformat().replace('+00:00', 'Z')},{last.id}",
    }


def write_outcome(outcome: Outcome) -> dict[str, Any]:
    return outcome._asdict()


def write_lease(lease: Lease | None) -> dict[str, Any]:
    """The token and the messages; without a lease, because nothing is ready, null and none."""
    return {
        "token": lease and str(lease.token),
        "expires_at": lease and lease.expires_at,
        "messages": [write_message(message) for message in lease.messages] if lease else [],
    }
