"""Shapes of queues and their settings over REST."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from mqsite.errors import Invalid
from mqsite.fields import NamedFields, reason_field
from queues.lookups import MAX_QUEUES
from queues.serializers import page_field
from queues.settings import SETTINGS

MAX_DESCRIPTION_CHARACTERS = 10_000


class SettingField(serializers.Field):
    """Whatever was given: `settings.py` says what is allowed, and puts the words to it."""

    def to_internal_value(self, data: Any) -> Any:
        return float(data) if isinstance(data, Decimal) else data


class SettingsInput(NamedFields):
    """With a field for each setting."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        settings = {name: SettingField(required=False, allow_null=True) for name in SETTINGS}
        return {**super().get_fields(), **settings}


class QueueInput(SettingsInput):
    name = serializers.CharField(max_length=249)
    description = serializers.CharField(default="", allow_blank=True, max_length=MAX_DESCRIPTION_CHARACTERS)


class QueueChange(SettingsInput):
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_DESCRIPTION_CHARACTERS)
    reason = reason_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if set(attrs) == {"reason"}:
            raise Invalid(reason=f"Nothing to change: give description, {', '.join(SETTINGS)}.")
        return attrs


class QueuesInput(NamedFields):
    name = serializers.CharField(default="", max_length=249)
    owner = serializers.CharField(default=None, allow_null=True, max_length=249)
    after = serializers.CharField(default="", max_length=249)
    limit = page_field(MAX_QUEUES)
