"""REST of topics and records: parse, call a service or selector, answer. Groups: `group_api.py`."""

from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from logs import selectors, services
from logs.serializers import (
    DeleteRecordsInput,
    EraseInput,
    FetchInput,
    KeyInput,
    OffsetsInput,
    TopicChange,
    TopicInput,
    read_key,
    read_records,
    write_ends,
    write_record,
)
from mqsite.authentication import acting_boundary, acting_name, may_read_errors
from mqsite.boundaries import require_acting, require_owner
from mqsite.fields import ReasonInput, read_time
from mqsite.long_poll import answer_wait, place_to_wait
from mqsite.parsing import checked


class TopicsView(APIView):
    """The topics, and a new one owned by the boundary that asks."""

    def get(self, request: Request) -> Response:
        return Response({"topics": hide_errors(request, selectors.overview(limit=100))})

    def post(self, request: Request) -> Response:
        given = checked(TopicInput, request.data)
        services.create_topic(owner=require_acting(acting_boundary(request)), **given)
        return Response(selectors.describe_topic(given["name"]), status=status.HTTP_201_CREATED)


class TopicView(APIView):
    """One topic: its partitions, its configurations and where every group stands."""

    def get(self, request: Request, topic: str) -> Response:
        (described,) = hide_errors(request, [selectors.describe_topic(topic)])
        return Response(described)

    def patch(self, request: Request, topic: str) -> Response:
        """`{"configs": {name: value or null for its default}, "description", "partitions", "reason"}`, all or nothing.

        More partitions: the answer has a `warning` that says what it means for keys.
        """
        actor = _require_topic_owner(request, topic, "alters")
        warning = services.change_topic(topic, actor=actor, **checked(TopicChange, request.data))
        (described,) = hide_errors(request, [selectors.describe_topic(topic)])
        return Response({**described, "warning": warning} if warning else described)

    def delete(self, request: Request, topic: str) -> Response:
        actor = _require_topic_owner(request, topic, "deletes")
        services.delete_topic(topic, actor=actor, **checked(ReasonInput, request.data))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConfigsView(APIView):
    """Every configuration of a topic with its default and what it does."""

    def get(self, request: Request, topic: str) -> Response:
        return Response({"configs": selectors.describe_topic_configs(topic)})


class TopicOffsetsView(APIView):
    """Log start, log end and size of each partition."""

    def get(self, request: Request, topic: str) -> Response:
        return Response({"partitions": [write_ends(ends) for ends in selectors.bounds(topic)]})


class PartitionOffsetsView(APIView):
    """Both ends of a partition; with `?time=` also the first `offset` at or after it, null if there is none yet."""

    def get(self, request: Request, topic: str, partition: int) -> Response:
        given = checked(OffsetsInput, request.query_params)
        found = {}
        if "time" in given:
            time = read_time("time", given["time"])
            found["offset"] = selectors.find_offset_for_time(topic, partition, time)
        return Response({**write_ends(selectors.partition_bounds(topic, partition)), **found})


class DeleteRecordsView(APIView):
    """Delete `{"offsets": [{"partition", "offset"}], "reason"}`: what is before each offset, all of it for -1."""

    def post(self, request: Request, topic: str) -> Response:
        actor = _require_topic_owner(request, topic, "deletes records of")
        given = checked(DeleteRecordsInput, request.data)
        starts = services.delete_records(topic, given["offsets"], actor=actor, reason=given["reason"])
        moved = [{"partition": number, "log_start": start} for number, start in starts.items()]
        return Response({"partitions": moved})


class KeyRecordsView(APIView):
    """The records of one key, the newest first: `?key=` (or `key_base64`), `limit`, `before=0:100,1:80`."""

    def get(self, request: Request, topic: str) -> Response:
        given = checked(KeyInput, request.query_params)
        found = selectors.find_by_key(topic, read_key(given), before=given["before"], limit=given["limit"])
        return Response(
            {
                "records": [write_record(r) for r in found.records],
                "incomplete": [{"partition": p, "complete_from": o} for p, o in found.incomplete.items()],
                "next_before": ",".join(f"{p}:{o}" for p, o in found.next_before.items()) or None,
            }
        )


class EraseKeyView(APIView):
    """The right to be forgotten: `{"key": ..., "reason": ...}`. Every record of the key loses value and headers."""

    def post(self, request: Request, topic: str) -> Response:
        actor = _require_topic_owner(request, topic, "erases keys of")
        given = checked(EraseInput, request.data)
        erased = services.erase_key(topic, read_key(given), actor=actor, reason=given["reason"])
        return Response({"topic": topic, "erased": erased})


class RecordsView(APIView):
    """Publish one or many, all or nothing: `{"records": [{"key", "value", "timestamp", "id", ...}]}`."""

    def post(self, request: Request, topic: str) -> Response:
        return _publish(request, topic)


class PartitionRecordsView(APIView):
    """The records of one partition."""

    def get(self, request: Request, topic: str, partition: int) -> Response:
        """Fetch `?offset=&max_records=&max_bytes=&wait_seconds=`. Reading removes nothing."""
        given = checked(FetchInput, request.query_params)
        with place_to_wait(given["wait_seconds"]) as seconds:
            records = services.fetch(topic, partition, **{**given, "wait_seconds": seconds})
        refused = not records and seconds < given["wait_seconds"]
        following = records[-1].offset + 1 if records else given["offset"]
        return answer_wait({"records": [write_record(r) for r in records], "next_offset": following}, refused=refused)

    def post(self, request: Request, topic: str, partition: int) -> Response:
        """Publish to this partition."""
        return _publish(request, topic, partition)


def _publish(request: Request, topic: str, partition: int | None = None) -> Response:
    records = read_records(request.data, partition=partition)
    published = services.publish_many(topic, records, boundary=acting_boundary(request))
    offsets = [place._asdict() for place in published or []]
    return Response({"offsets": offsets}, status=status.HTTP_201_CREATED)


def hide_errors(request: Request, topics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The topics as described; why a group fails is null but for the group's owner and for staff."""
    failing = [g for t in topics for p in t["partitions"] for g in p["groups"] if g["failing"]]
    owners = selectors.find_owners({group["group"] for group in failing}) if failing else {}
    for group in failing:
        if not may_read_errors(request, owners.get(group["group"])):
            group["failing"]["error"] = None
    return topics


def _require_topic_owner(request: Request, topic: str, verb: str) -> str:
    """Who asks, for the audit; a refusal unless it is the topic's owner or an operator."""
    owner = selectors.require_topic(topic).owner.name
    if not getattr(request.user, "is_superuser", False):
        require_owner(owner, acting_boundary(request), verb=verb, name=topic)
    return acting_name(request)
