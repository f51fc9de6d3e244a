"""Shapes of the queue's REST API."""

from typing import Any

from rest_framework import serializers

from mqsite.errors import Invalid
from mqsite.parsing import checked_item
from mqsite.payloads import bytes_or_text, decode_base64
from queues.models import LEASE_SECONDS, MAX_RECEIVES
from queues.selectors import STATES
from queues.services import Lease, Message, NewMessage
from queues.services.deadletters import MAX_REDRIVE_MESSAGES
from queues.services.receiving import MAX_RECEIVE_MESSAGES

MAX_ID = 2**63 - 1
MAX_PEEK_MESSAGES = 100


class IdsField(serializers.ListField):
    """Message ids, at least one."""

    def __init__(self, **kwargs: Any) -> None:
        child = serializers.IntegerField(min_value=1, max_value=MAX_ID)
        super().__init__(child=child, min_length=1, **kwargs)


class QueueInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=249)
    lease_seconds = serializers.IntegerField(default=LEASE_SECONDS)
    max_receives = serializers.IntegerField(default=MAX_RECEIVES)
    description = serializers.CharField(default="", allow_blank=True, max_length=10_000)


class PeekInput(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=sorted(STATES.values()), default="ready")
    limit = serializers.IntegerField(default=10, min_value=1, max_value=MAX_PEEK_MESSAGES)


class ReceiveInput(serializers.Serializer[Any]):
    max_messages = serializers.IntegerField(default=10, min_value=1, max_value=MAX_RECEIVE_MESSAGES)
    lease_seconds = serializers.FloatField(default=None, allow_null=True)


class AckInput(serializers.Serializer[Any]):
    ids = IdsField(max_length=MAX_RECEIVE_MESSAGES)


class NackInput(AckInput):
    delay_seconds = serializers.FloatField(default=0.0)
    error = serializers.CharField(default="", allow_blank=True)


class RejectInput(AckInput):
    error = serializers.CharField(default="", allow_blank=True)


class ExtendInput(AckInput):
    lease_seconds = serializers.FloatField(default=None, allow_null=True)


class RedriveInput(serializers.Serializer[Any]):
    ids = IdsField(max_length=MAX_REDRIVE_MESSAGES, default=None, allow_null=True)
    limit = serializers.IntegerField(default=1_000, min_value=1, max_value=MAX_REDRIVE_MESSAGES)


MESSAGE_FIELDS: dict[str, type] = {
    "payload": object,
    "payload_base64": object,
    "group_key": str,
    "headers": list,
    "content_type": str,
    "priority": int,
    "delay_seconds": object,
}


def read_message(item: Any) -> NewMessage:
    """`{"payload", "group_key", "headers", "content_type", "priority", "delay_seconds"}`; bytes: `payload_base64`.

    A `payload` that is a JSON string becomes that text; any other JSON value is kept as JSON, number by number.
    """
    checked_item(item, "message", MESSAGE_FIELDS)
    if not {"payload", "payload_base64"} & set(item):
        raise Invalid(reason="A message needs a payload (or payload_base64); null is allowed.")
    return NewMessage(
        payload=decode_base64("payload_base64", item["payload_base64"])
        if "payload_base64" in item
        else item["payload"],
        group_key=item.get("group_key"),
        headers=[tuple(h) if isinstance(h, list) else h for h in item.get("headers") or []],
        content_type=item.get("content_type"),
        priority=item.get("priority") or 0,
        delay_seconds=item.get("delay_seconds") or 0.0,
    )


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


def write_lease(lease: Lease | None) -> dict[str, Any]:
    """The token and the messages; without a lease, because nothing is ready, null and none."""
    return {
        "token": lease and str(lease.token),
        "expires_at": lease and lease.expires_at,
        "messages": [write_message(message) for message in lease.messages] if lease else [],
    }
