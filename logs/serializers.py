"""Shapes of the log's REST API."""

from typing import Any

from rest_framework import serializers

from logs.services import NewRecord
from logs.services.reading import MAX_FETCH_BYTES, MAX_FETCH_RECORDS
from logs.store import Record
from mqsite.errors import Invalid
from mqsite.parsing import checked_item
from mqsite.payloads import bytes_or_text, decode_base64


class TopicInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=249)
    partitions = serializers.IntegerField(default=1)
    description = serializers.CharField(default="", allow_blank=True, max_length=10_000)


class GroupInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=249)
    topics = serializers.ListField(child=serializers.CharField(), default=list, max_length=1_000)
    start_at = serializers.CharField(default="earliest")


class FetchInput(serializers.Serializer[Any]):
    offset = serializers.IntegerField(min_value=0)
    max_records = serializers.IntegerField(default=500, min_value=1, max_value=MAX_FETCH_RECORDS)
    max_bytes = serializers.IntegerField(default=1_048_576, min_value=1, max_value=MAX_FETCH_BYTES)


class AcquireInput(serializers.Serializer[Any]):
    topic = serializers.CharField()
    partition = serializers.IntegerField(min_value=0)
    member = serializers.CharField(max_length=100)
    seconds = serializers.FloatField(default=30, min_value=1, max_value=300)


class CommitInput(serializers.Serializer[Any]):
    topic = serializers.CharField()
    partition = serializers.IntegerField(min_value=0)
    offset = serializers.IntegerField(min_value=0)
    epoch = serializers.IntegerField(min_value=0)


class ResetInput(serializers.Serializer[Any]):
    to = serializers.JSONField()
    topic = serializers.CharField(default=None, allow_null=True)
    partitions = serializers.ListField(child=serializers.IntegerField(min_value=0), default=None, allow_null=True)
    reason = serializers.CharField(default="", allow_blank=True, max_length=10_000)


RECORD_FIELDS: dict[str, type] = {
    "key": str,
    "key_base64": object,
    "value": object,
    "value_base64": object,
    "headers": list,
    "content_type": str,
    "partition": int,
}


def read_record(item: Any) -> NewRecord:
    """`{"key", "value", "headers", "content_type", "partition"}`; bytes come as `key_base64`, `value_base64`.

    A `value` that is a JSON string becomes that text; any other JSON value is kept as JSON, number by number.
    """
    checked_item(item, "record", RECORD_FIELDS)
    if not {"value", "value_base64"} & set(item):
        raise Invalid(reason="A record needs a value (or value_base64); null is allowed.")
    return NewRecord(
        value=decode_base64("value_base64", item["value_base64"]) if "value_base64" in item else item["value"],
        key=decode_base64("key_base64", item["key_base64"]) if "key_base64" in item else item.get("key"),
        headers=[tuple(h) if isinstance(h, list) else h for h in item.get("headers") or []],
        content_type=item.get("content_type"),
        partition=item.get("partition"),
    )


def write_record(record: Record) -> dict[str, Any]:
    """The record with its bytes untouched: as text where they are UTF-8, else in base64."""
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        **bytes_or_text("key", record.key),
        **bytes_or_text("value", record.value),
        "headers": record.headers,
        "content_type": record.content_type,
    }
