"""REST of the log: parse, call a service or selector, answer."""

from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from logs import selectors, services
from logs.errors import GroupNotOwned, PartitionHeld
from logs.serializers import (
    AcquireInput,
    CommitInput,
    FetchInput,
    GroupInput,
    ResetInput,
    TopicInput,
    read_record,
    write_record,
)
from mqsite.authentication import acting_boundary, acting_name
from mqsite.boundaries import require_acting
from mqsite.errors import Invalid
from mqsite.parsing import checked


class TopicsView(APIView):
    """The topics, and a new one owned by the boundary that asks."""

    def get(self, request: Request) -> Response:
        return Response({"topics": selectors.overview(limit=100)})

    def post(self, request: Request) -> Response:
        given = checked(TopicInput, request.data)
        services.create_topic(owner=require_acting(acting_boundary(request)), **given)
        return Response(selectors.describe_topic(given["name"]), status=status.HTTP_201_CREATED)


class TopicView(APIView):
    """One topic: its partitions and where every group stands."""

    def get(self, request: Request, topic: str) -> Response:
        return Response(selectors.describe_topic(topic))


class RecordsView(APIView):
    """Publish one or many: `{"records": [{"key", "value", ...}]}`."""

    def post(self, request: Request, topic: str) -> Response:
        items = request.data.get("records") if isinstance(request.data, dict) else None
        if not isinstance(items, list) or not items:
            raise Invalid(reason='The body is {"records": [{"value": ...}, ...]} with at least one record.')
        published = services.publish_many(topic, map(read_record, items), boundary=acting_boundary(request))
        offsets = [place._asdict() for place in published or []]
        return Response({"offsets": offsets}, status=status.HTTP_201_CREATED)


class PartitionRecordsView(APIView):
    """Fetch `?offset=&max_records=&max_bytes=`. Reading removes nothing."""

    def get(self, request: Request, topic: str, partition: int) -> Response:
        given = checked(FetchInput, request.query_params)
        records = services.fetch(topic, partition, **given)
        following = records[-1].offset + 1 if records else given["offset"]
        return Response({"records": [write_record(r) for r in records], "next_offset": following})


class GroupsView(APIView):
    """The consumer groups, and a new one owned by the boundary that asks."""

    def get(self, request: Request) -> Response:
        return Response({"groups": selectors.groups()})

    def post(self, request: Request) -> Response:
        given = checked(GroupInput, request.data)
        services.create_group(owner=require_acting(acting_boundary(request)), **given)
        return Response(selectors.describe_group(given["name"]), status=status.HTTP_201_CREATED)


class GroupView(APIView):
    """One group: its position and lag on every partition."""

    def get(self, request: Request, group: str) -> Response:
        return Response(selectors.describe_group(group))


class AssignmentsView(APIView):
    """Become the reader of a partition: answers the epoch to commit with and where to go on reading."""

    def post(self, request: Request, group: str) -> Response:
        boundary = _require_reader(request, group)
        given = checked(AcquireInput, request.data)
        member = f"rest:{boundary}:{given.pop('member')}"
        assignment = services.acquire_partition(group, member=member, **given)
        if assignment is None:
            owner = selectors.holder_of(group, given["topic"], given["partition"])
            raise PartitionHeld(group=group, topic=given["topic"], partition=given["partition"], owner=owner)
        answer: dict[str, Any] = {"member": member, "epoch": assignment.epoch, "offset": assignment.position}
        return Response(answer, status=status.HTTP_201_CREATED)


class OffsetsView(APIView):
    """Commit the NEXT offset to read, with the epoch of the assignment."""

    def post(self, request: Request, group: str) -> Response:
        _require_reader(request, group)
        given = checked(CommitInput, request.data)
        services.commit_checked(group, given["topic"], given["partition"], epoch=given["epoch"], offset=given["offset"])
        return Response({"committed": given["offset"]})


class ResetView(APIView):
    """Move the group: `{"to": "earliest" | "latest" | offset, "topic", "partitions", "reason"}`."""

    def post(self, request: Request, group: str) -> Response:
        _require_reader(request, group)
        given = checked(ResetInput, request.data)
        moved = services.reset_offsets(group, given.pop("to"), actor=acting_name(request), **given)
        return Response({"group": group, "partitions": moved})


def _require_reader(request: Request, group: str) -> str:
    owner = selectors.require_group(group).owner.name
    boundary = acting_boundary(request)
    if boundary != owner and not getattr(request.user, "is_superuser", False):
        raise GroupNotOwned(owner=owner, verb="reads as", name=group, boundary=boundary or "nobody")
    return boundary or str(request.user)
