"""Fields of REST input that both halves have."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from mqsite.audit import MAX_REASON_CHARACTERS
from mqsite.errors import Invalid


class NamedFields(serializers.Serializer[Any]):
    """Refuses a field it does not have: a slip of the pen must not pass for the default."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            allowed = ", ".join(self.fields)
            raise serializers.ValidationError({name: [f"No such field; allowed are {allowed}."] for name in unknown})
        return super().to_internal_value(data)


class SecondsField(serializers.FloatField):
    """A finite number: nothing is before or after "nan" seconds."""

    def to_internal_value(self, data: Any) -> float:
        seconds = super().to_internal_value(data)
        if not math.isfinite(seconds):
            self.fail("invalid")
        return seconds


def reason_field() -> serializers.CharField:
    return serializers.CharField(default="", allow_blank=True, max_length=MAX_REASON_CHARACTERS)


class ReasonInput(NamedFields):
    reason = reason_field()


def read_time(name: str, given: Any) -> datetime:
    """ISO 8601 with an offset, in UTC. What is finer than a microsecond is cut off."""
    try:
        time = datetime.fromisoformat(given)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Invalid(
        reason=f"{name} is {given!r}; it must be ISO 8601 with an offset, such as '2026-01-31T12:00:00.123456Z'."
    )
