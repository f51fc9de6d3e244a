"""Shapes of dead letters and redrives over REST."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from mqsite.fields import NamedFields, SecondsField, read_time, reason_field
from queues.lookups import DEATHS, MAX_REDRIVES
from queues.serializers import MAX_ID, MAX_PAGE_MESSAGES, IdsField, id_field, page_field, scanned_field, text_field
from queues.services.deadletters import MAX_REDRIVE_MESSAGES


class TimeField(serializers.Field):
    """ISO 8601 with an offset."""

    def to_internal_value(self, data: Any) -> datetime:
        return read_time(str(self.field_name), data)


class LetterFilter(NamedFields):
    """The list shows what a redrive with the same filter moves."""

    only_reason = serializers.ChoiceField(choices=list(DEATHS), default=None, allow_null=True)
    only_text = text_field()
    died_after = TimeField(default=None, allow_null=True)
    died_before = TimeField(default=None, allow_null=True)


class LettersInput(LetterFilter):
    after = serializers.IntegerField(default=-1, min_value=0, max_value=MAX_ID)
    limit = page_field(MAX_PAGE_MESSAGES, default=20)
    most_scanned = scanned_field()


class RedriveInput(LetterFilter):
    ids = IdsField(max_length=MAX_REDRIVE_MESSAGES, default=None, allow_null=True)
    to = serializers.CharField(default=None, allow_null=True, max_length=249)
    rate_per_second = SecondsField(default=None, allow_null=True)
    reason = reason_field()


class RedrivesInput(NamedFields):
    before = id_field(default=None, allow_null=True)
    limit = page_field(MAX_REDRIVES)
