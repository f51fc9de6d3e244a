"""Shapes of topics and records over REST.

Offsets are 64-bit numbers: JavaScript bends those above 2^53, so parse them as big.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from logs.configs import MAX_BIGINT
from logs.rows import Bounds, Record
from logs.selectors import MAX_FOUND_RECORDS
from logs.services import NewRecord
from logs.services.reading import MAX_FETCH_BYTES, MAX_FETCH_RECORDS
from logs.services.topics import LOG_END
from mqsite.errors import Invalid
from mqsite.fields import NamedFields, SecondsField, read_time, reason_field
from mqsite.long_poll import MAX_WAIT_SECONDS
from mqsite.parsing import checked_item
from mqsite.payloads import bytes_or_text, decode_base64


class ConfigValue(serializers.Field):
    """Whatever was given: `configs.py` says what is allowed, and puts the words to it."""

    def to_internal_value(self, data: Any) -> Any:
        return str(data) if isinstance(data, Decimal) else data


def configs_field(**more: Any) -> serializers.DictField:
    return serializers.DictField(child=ConfigValue(allow_null=True), **more)


class TopicInput(NamedFields):
    name = serializers.CharField(max_length=249)
    partitions = serializers.IntegerField(default=1)
    description = serializers.CharField(default="", allow_blank=True, max_length=10_000)
    configs = configs_field(default=dict)


class TopicChange(NamedFields):
    configs = configs_field(required=False)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    partitions = serializers.IntegerField(required=False)
    reason = reason_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("configs") and not {"description", "partitions"} & set(attrs):
            raise Invalid(reason="Nothing to change: give configs, description or partitions.")
        return attrs


class NewLogStart(NamedFields):
    partition = serializers.IntegerField(min_value=0)
    offset = serializers.IntegerField(min_value=LOG_END, max_value=MAX_BIGINT)


class DeleteRecordsInput(NamedFields):
    offsets = NewLogStart(many=True, allow_empty=False)
    reason = reason_field()

    def validate_offsets(self, offsets: list[dict[str, int]]) -> dict[int, int]:
        """Partition to offset."""
        targets: dict[int, int] = {}
        for item in offsets:
            if item["partition"] in targets:
                raise serializers.ValidationError(f"Partition {item['partition']} is given twice.")
            targets[item["partition"]] = item["offset"]
        return targets


class FetchInput(NamedFields):
    offset = serializers.IntegerField(min_value=0, max_value=MAX_BIGINT)
    max_records = serializers.IntegerField(default=500, min_value=1, max_value=MAX_FETCH_RECORDS)
    max_bytes = serializers.IntegerField(default=1_048_576, min_value=1, max_value=MAX_FETCH_BYTES)
    wait_seconds = SecondsField(default=0.0, min_value=0, max_value=MAX_WAIT_SECONDS)


class OffsetsInput(NamedFields):
    time = serializers.CharField(required=False)


RECORD_FIELDS: dict[str, type] = {
    "key": str,
    "key_base64": object,
    "value": object,
    "value_base64": object,
    "headers": list,
    "content_type": str,
    "partition": int,
    "timestamp": object,
    "id": str,
}


def read_records(body: Any, *, partition: int | None = None) -> list[NewRecord]:
    """The batch of `{"records": [...]}`; a refusal says which record it is about."""
    items = body.get("records") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise Invalid(reason='The body is {"records": [{"value": ...}, ...]} with at least one record.')
    if unknown := sorted(set(body) - {"records"}):
        raise Invalid(reason=f"The body has no field {unknown[0]!r}; allowed is records.")
    records = []
    for index, item in enumerate(items):
        try:
            records.append(read_record(item, partition=partition))
        except Invalid as error:
            raise Invalid(reason=f"Record {index}: {error}") from error
    return records


class BeforeField(serializers.Field):
    """`0:100,1:80`: partition to offset, as `next_before` of the page before gave it."""

    def to_internal_value(self, data: Any) -> dict[int, int]:
        pairs = [pair.split(":") for pair in str(data).split(",") if pair]
        if not all(len(pair) == 2 and all(part.isdecimal() and len(part) <= 18 for part in pair) for pair in pairs):
            raise serializers.ValidationError("Give partition:offset pairs such as 0:100,1:80.")
        return {int(number): int(offset) for number, offset in pairs}


class KeyField(NamedFields):
    key = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    key_base64 = serializers.CharField(required=False)


class KeyInput(KeyField):
    limit = serializers.IntegerField(default=100, min_value=1, max_value=MAX_FOUND_RECORDS)
    before = BeforeField(default=dict)


class EraseInput(KeyField):
    reason = reason_field()


def read_key(given: Mapping[str, Any]) -> bytes | str:
    """The one key that was given, as text or in base64."""
    if ("key" in given) == ("key_base64" in given):
        raise Invalid(reason="Give either key or key_base64.")
    return decode_base64("key_base64", given["key_base64"]) if "key_base64" in given else given["key"]


def read_record(item: Any, *, partition: int | None = None) -> NewRecord:
    """`{"key", "value", "headers", "content_type", "partition", "timestamp", "id"}`; bytes as `key_base64` and
    `value_base64`.

    A `value` that is a JSON string becomes that text; any other JSON value is kept as JSON, number by number.
    """
    checked_item(item, "record", RECORD_FIELDS)
    if not {"value", "value_base64"} & set(item):
        raise Invalid(reason="A record needs a value (or value_base64); null is allowed.")
    given = item.get("partition")
    if partition is not None and given not in {None, partition}:
        raise Invalid(reason=f"partition is {given}, and the address says {partition}.")
    return NewRecord(
        value=decode_base64("value_base64", item["value_base64"]) if "value_base64" in item else item["value"],
        key=decode_base64("key_base64", item["key_base64"]) if "key_base64" in item else item.get("key"),
        headers=[tuple(h) if isinstance(h, list) else h for h in item.get("headers") or []],
        content_type=item.get("content_type"),
        partition=given if partition is None else partition,
        timestamp=None if item.get("timestamp") is None else read_time("timestamp", item["timestamp"]),
        id=item.get("id"),
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


def write_ends(ends: Bounds) -> dict[str, int]:
    return {
        "partition": ends.number,
        "log_start": ends.log_start,
        "log_end": ends.log_end,
        "size_bytes": ends.size_bytes,
    }
