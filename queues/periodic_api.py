"""REST of periodic commands: anyone looks, the owner of the queue that they are sent to pauses and resumes them."""

from collections.abc import Callable

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite.fields import NamedFields, ReasonInput
from mqsite.parsing import checked
from queues import listings, services
from queues.api import require_queue_owner
from queues.serializers import page_field


class PeriodicsInput(NamedFields):
    queue = serializers.CharField(default=None, allow_null=True, max_length=249)
    after = serializers.CharField(default="", max_length=249)
    limit = page_field(listings.MOST_PERIODIC)


class PeriodicsView(APIView):
    """`?queue=&after=&limit=`: what is sent by the clock, by name, with last and next tick."""

    def get(self, request: Request) -> Response:
        found, following = listings.list_periodic(**checked(PeriodicsInput, request.query_params))
        return Response({"periodic": found, "next_after": following})


class PeriodicView(APIView):
    """One of them."""

    def get(self, request: Request, periodic: str) -> Response:
        return Response(listings.read_periodic(periodic))


class PausePeriodicView(APIView):
    """Send nothing for the ticks that come until it resumes, also not later: `{"reason"}`."""

    def post(self, request: Request, periodic: str) -> Response:
        return _act(request, periodic, services.pause_periodic, "pauses what is sent by the clock to")


class ResumePeriodicView(APIView):
    """Go on with the first tick after this moment: `{"reason"}`."""

    def post(self, request: Request, periodic: str) -> Response:
        return _act(request, periodic, services.resume_periodic, "resumes what is sent by the clock to")


def _act(request: Request, periodic: str, act: Callable[..., None], verb: str) -> Response:
    actor = require_queue_owner(request, listings.read_periodic(periodic)["queue"], verb)
    act(periodic, actor=actor, **checked(ReasonInput, request.data))
    return Response(listings.read_periodic(periodic))
