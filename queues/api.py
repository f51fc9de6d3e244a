"""REST of messages and leases: parse, call a service or selector, answer. Queues: `queue_api.py`; dead letters:
`letter_api.py`."""

from uuid import UUID

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite.authentication import acting_boundary, acting_name
from mqsite.boundaries import require_owner
from mqsite.long_poll import answer_wait, place_to_wait
from mqsite.parsing import checked
from queues import lookups, selectors, services
from queues.errors import LeaseLost
from queues.serializers import (
    AckInput,
    CancelInput,
    ExtendInput,
    NackInput,
    OutcomesInput,
    PurgeInput,
    ReceiveInput,
    RejectInput,
    ScheduledInput,
    SearchInput,
    read_messages,
    write_lease,
    write_looks,
    write_outcome,
    write_scheduled,
)
from queues.services.receiving import MAX_HOLDER_CHARACTERS


class MessagesView(APIView):
    """Anyone sends; the owner looks without receiving."""

    def get(self, request: Request, queue: str) -> Response:
        """`?state=&text=&group_key=&after=&limit=&most_scanned=`; says how many were looked at."""
        require_queue_owner(request, queue, "handles")
        return Response(write_looks(lookups.search(queue, **checked(SearchInput, request.query_params))))

    def post(self, request: Request, queue: str) -> Response:
        """One message, or many as `{"messages": [{"payload", ...}]}`, all or nothing."""
        sender = acting_boundary(request) or ""
        sent = services.send_many(queue, read_messages(request.data), sender=sender)
        return Response({"messages": [each._asdict() for each in sent]}, status=status.HTTP_201_CREATED)


class ScheduledView(APIView):
    """What waits for its time, the soonest first: `?after=&limit=`. Without payloads."""

    def get(self, request: Request, queue: str) -> Response:
        require_queue_owner(request, queue, "handles")
        given = checked(ScheduledInput, request.query_params)
        return Response(write_scheduled(selectors.list_scheduled(queue, **given), limit=given["limit"]))


class CancelView(APIView):
    """`{"ids", "reason"}`: take back what nobody has received yet; answers the ids really cancelled."""

    def post(self, request: Request, queue: str) -> Response:
        actor = require_queue_owner(request, queue, "cancels messages of")
        given = checked(CancelInput, request.data)
        cancelled = services.cancel(queue, given["ids"], actor=actor, reason=given["reason"])
        return Response({"cancelled": cancelled})


class PurgeView(APIView):
    """`{"state", "most", "reason"}`: delete what is in a state. What somebody holds stays."""

    def post(self, request: Request, queue: str) -> Response:
        actor = require_queue_owner(request, queue, "purges")
        return Response({"purged": services.purge(queue, actor=actor, **checked(PurgeInput, request.data))})


class OutcomesView(APIView):
    """What became of a message, by `?id=` or `?correlation_id=`, the latest first. Anyone who sent it may ask."""

    def get(self, request: Request, queue: str) -> Response:
        found = selectors.find_outcomes(queue, **checked(OutcomesInput, request.query_params))
        return Response({"outcomes": [write_outcome(outcome) for outcome in found]})


class LeasesView(APIView):
    """Receive with `{"max_messages", "lease_seconds", "wait_seconds"}`: the token to ack with, and the messages."""

    def post(self, request: Request, queue: str) -> Response:
        boundary = acting_boundary(request)
        given = checked(ReceiveInput, request.data)
        wanted_seconds = given.pop("wait_seconds")
        holder = f"rest:{boundary}"[:MAX_HOLDER_CHARACTERS]
        with place_to_wait(wanted_seconds) as seconds:
            lease = services.receive(queue, holder=holder, boundary=boundary, wait_seconds=seconds, **given)
        code = status.HTTP_201_CREATED if lease else status.HTTP_200_OK
        return answer_wait(write_lease(lease), refused=lease is None and seconds < wanted_seconds, code=code)


class AckView(APIView):
    """`{"ids": [...]}`: they are done and gone."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        require_queue_owner(request, queue, "handles")
        given = checked(AckInput, request.data)
        return _answer(queue, services.ack(token, given["ids"], queue=queue))


class NackView(APIView):
    """`{"ids", "delay_seconds", "error"}`: to be received again, without a delay after the queue's back-off."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        require_queue_owner(request, queue, "handles")
        given = checked(NackInput, request.data)
        return _answer(queue, services.nack(token, given.pop("ids"), queue=queue, **given))


class RejectView(APIView):
    """`{"ids", "error"}`: to the dead letters."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        require_queue_owner(request, queue, "handles")
        given = checked(RejectInput, request.data)
        return _answer(queue, services.reject(token, given.pop("ids"), queue=queue, **given))


class ExtendView(APIView):
    """`{"ids", "lease_seconds"}`: the whole lease lasts that long from now."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        require_queue_owner(request, queue, "handles")
        given = checked(ExtendInput, request.data)
        return _answer(queue, services.extend(token, given.pop("ids"), queue=queue, **given))


class GiveBackView(APIView):
    """`{"ids": [...]}`: nobody began to handle them; they stand in their old places, this receive uncounted."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        require_queue_owner(request, queue, "handles")
        given = checked(AckInput, request.data)
        return _answer(queue, services.give_back(token, given["ids"], queue=queue))


def require_queue_owner(request: Request, queue: str, verb: str) -> str:
    """Who asks, for the audit; a refusal unless it is the queue's owner or an operator."""
    owner = selectors.require_queue(queue).owner.name
    if not getattr(request.user, "is_superuser", False):
        require_owner(owner, acting_boundary(request), verb=verb, name=queue)
    return acting_name(request)


def _answer(queue: str, lost: list[int]) -> Response:
    """Which ids were lost; 409 with the refusal if any was, though the others were dealt with."""
    if not lost:
        return Response({"lost": []})
    error = LeaseLost(lost=lost, queue=queue)
    body = {"code": error.code, "message": str(error), "permanent": error.permanent, "lost": lost}
    return Response(body, status=status.HTTP_409_CONFLICT)
