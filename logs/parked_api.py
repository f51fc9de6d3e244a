"""REST of what a group has parked: looked at, tried again, dropped. Only the group's owner, or an operator."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from logs import selectors, services
from logs.group_api import require_reader
from logs.group_serializers import bigint_field, name_field
from logs.services.parking import MAX_IDS
from mqsite.authentication import acting_name
from mqsite.fields import NamedFields, reason_field
from mqsite.parsing import checked

MAX_PAGE_RECORDS = 100


class ParkedInput(NamedFields):
    topic = name_field(default=None, allow_null=True)
    after = bigint_field(default=0)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_PAGE_RECORDS, default=20)


def ids_field(**more: Any) -> serializers.ListField:
    return serializers.ListField(child=bigint_field(least=1), allow_empty=False, max_length=MAX_IDS, **more)


class RetryInput(NamedFields):
    """Without ids all of them."""

    ids = ids_field(default=None, allow_null=True)
    reason = reason_field()


class DropInput(NamedFields):
    ids = ids_field()
    reason = reason_field()


class ParkedView(APIView):
    """`?topic=&after=&limit=`: the oldest first, with values, headers and tracebacks. `parked_count`: all there are;
    a page with large records may be shorter than its limit."""

    def get(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        page = selectors.page_parked(group, **checked(ParkedInput, request.query_params))
        return Response({"parked": page.records, "next_after": page.mark, **_count(group)})


class RetryParkedView(APIView):
    """Have the group's workers call the handler again: `{"ids", "reason"}`. `asked`: how many that were not already."""

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        asked = services.retry_parked(group, actor=acting_name(request), **checked(RetryInput, request.data))
        return Response({"asked": asked, **_count(group)})


class DropParkedView(APIView):
    """Give them up: `{"ids", "reason"}`. `dropped`: how many; what a worker is at in a transaction stays."""

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        dropped = services.drop_parked(group, actor=acting_name(request), **checked(DropInput, request.data))
        return Response({"dropped": dropped, **_count(group)})


def _count(group: str) -> dict[str, int]:
    return {"parked_count": selectors.count_parked(group)}
