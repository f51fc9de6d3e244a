"""REST of dead letters and of the jobs that give them another chance. Only the owner, or an operator."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite.fields import ReasonInput
from mqsite.parsing import checked
from queues import lookups, services
from queues.api import require_queue_owner
from queues.letter_serializers import LettersInput, RedriveInput, RedrivesInput
from queues.serializers import write_looks


class DeadLettersView(APIView):
    """`?only_reason=&only_text=&died_after=&died_before=&after=&limit=&most_scanned=`: what died here, and what lies
    here as in a dead-letter queue, the first to die first."""

    def get(self, request: Request, queue: str) -> Response:
        require_queue_owner(request, queue, "handles")
        return Response(write_looks(lookups.find_letters(queue, **checked(LettersInput, request.query_params))))


class RedrivesView(APIView):
    """The redrive jobs of a queue, and a new one."""

    def get(self, request: Request, queue: str) -> Response:
        """`?before=&limit=`, the latest first."""
        require_queue_owner(request, queue, "redrives")
        redrives, following = lookups.list_redrives(queue, **checked(RedrivesInput, request.query_params))
        return Response({"redrives": redrives, "next_before": following})

    def post(self, request: Request, queue: str) -> Response:
        """`{"to", "ids", "only_reason", "only_text", "died_after", "died_before", "rate_per_second", "reason"}`, each
        optional: without any, all letters go back to where they died."""
        actor = require_queue_owner(request, queue, "redrives")
        job = services.start_redrive(queue, actor=actor, **checked(RedriveInput, request.data))
        return Response(lookups.find_redrive(queue, job), status=status.HTTP_201_CREATED)


class RedriveView(APIView):
    """How far a redrive is: letters, scanned, moved, state."""

    def get(self, request: Request, queue: str, job: int) -> Response:
        require_queue_owner(request, queue, "redrives")
        return Response(lookups.find_redrive(queue, job))


class CancelRedriveView(APIView):
    """Stop it: `{"reason"}`; `cancelled` says whether it was still going on. What has moved stays moved."""

    def post(self, request: Request, queue: str, job: int) -> Response:
        actor = require_queue_owner(request, queue, "redrives")
        given = checked(ReasonInput, request.data)
        lookups.find_redrive(queue, job)
        cancelled = services.cancel_redrive(job, actor=actor, **given)
        return Response({**lookups.find_redrive(queue, job), "cancelled": cancelled})
