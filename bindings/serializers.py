"""Shapes of what comes over REST."""

from rest_framework import serializers

from bindings.selectors import MOST_LISTED
from mqsite.fields import NamedFields, reason_field


class BindingInput(NamedFields):
    topic = serializers.CharField(max_length=249)
    queue = serializers.CharField(max_length=249)
    name = serializers.CharField(max_length=249, default=None, allow_null=True)
    match_type = serializers.CharField(default="", allow_blank=True, max_length=249)
    match_headers = serializers.DictField(child=serializers.CharField(max_length=249, allow_blank=True), default=dict)
    start = serializers.CharField(default="latest", max_length=100)
    reason = reason_field()


class BindingsInput(NamedFields):
    topic = serializers.CharField(max_length=249, default=None, allow_null=True)
    queue = serializers.CharField(max_length=249, default=None, allow_null=True)
    after = serializers.CharField(default="", allow_blank=True, max_length=249)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_LISTED, default=MOST_LISTED)
