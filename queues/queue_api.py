"""REST of queues: created, looked at, altered, paused and deleted. Only their owner, or an operator, changes them."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite.authentication import acting_boundary
from mqsite.boundaries import require_acting
from mqsite.fields import ReasonInput
from mqsite.parsing import checked
from queues import lookups, services
from queues.api import require_queue_owner
from queues.queue_serializers import QueueChange, QueueInput, QueuesInput


class QueuesView(APIView):
    """The queues, and a new one owned by the boundary that asks."""

    def get(self, request: Request) -> Response:
        """`?name=&owner=&after=&limit=`, by name."""
        queues, following = lookups.list_queues(**checked(QueuesInput, request.query_params))
        return Response({"queues": queues, "next_after": following})

    def post(self, request: Request) -> Response:
        """`{"name", "description"}` and any of the settings."""
        given = checked(QueueInput, request.data)
        services.create_queue(owner=require_acting(acting_boundary(request)), **given)
        return Response(lookups.read_queue(given["name"]), status=status.HTTP_201_CREATED)


class QuotaView(APIView):
    """What the boundary that asks may have standing and send, and what it has used of it; null: as much as it likes."""

    def get(self, request: Request) -> Response:
        return Response({"quota": lookups.read_quota(require_acting(acting_boundary(request)))})


class QueueView(APIView):
    """One queue: its settings, whether it is paused, and its depth."""

    def get(self, request: Request, queue: str) -> Response:
        return Response(lookups.read_queue(queue))

    def patch(self, request: Request, queue: str) -> Response:
        """Any of the settings, `description` and `reason`: all or nothing, minded from the next statement on."""
        actor = require_queue_owner(request, queue, "alters")
        services.alter_queue(queue, actor=actor, **checked(QueueChange, request.data))
        return Response(lookups.read_queue(queue))

    def delete(self, request: Request, queue: str) -> Response:
        """With all that is in it: `{"reason"}`."""
        actor = require_queue_owner(request, queue, "deletes")
        services.delete_queue(queue, actor=actor, **checked(ReasonInput, request.data))
        return Response(status=status.HTTP_204_NO_CONTENT)


class SettingsView(APIView):
    """Every setting of a queue with its default and what it does."""

    def get(self, request: Request, queue: str) -> Response:
        return Response({"settings": lookups.describe_settings(queue)})


class PauseView(APIView):
    """Let nobody receive: `{"reason"}`. Sends, and what is received already, go on."""

    def post(self, request: Request, queue: str) -> Response:
        actor = require_queue_owner(request, queue, "pauses")
        services.pause_queue(queue, actor=actor, **checked(ReasonInput, request.data))
        return Response(lookups.read_queue(queue))


class ResumeView(APIView):
    """Go on: `{"reason"}`."""

    def post(self, request: Request, queue: str) -> Response:
        actor = require_queue_owner(request, queue, "resumes")
        services.resume_queue(queue, actor=actor, **checked(ReasonInput, request.data))
        return Response(lookups.read_queue(queue))
