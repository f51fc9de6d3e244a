"""REST of the queue: parse, call a service or selector, answer."""

from uuid import UUID

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite.authentication import acting_boundary, acting_name
from mqsite.boundaries import require_acting
from mqsite.errors import Invalid
from mqsite.parsing import checked
from queues import selectors, services
from queues.errors import ConsumerNotOwner, LeaseLost
from queues.serializers import (
    AckInput,
    ExtendInput,
    NackInput,
    PeekInput,
    QueueInput,
    ReceiveInput,
    RedriveInput,
    RejectInput,
    read_message,
    write_lease,
    write_message,
)


class QueuesView(APIView):
    """The queues, and a new one owned by the boundary that asks."""

    def get(self, request: Request) -> Response:
        return Response({"queues": selectors.overview(limit=100)})

    def post(self, request: Request) -> Response:
        given = checked(QueueInput, request.data)
        services.create_queue(owner=require_acting(acting_boundary(request)), **given)
        return Response(selectors.describe_queue(given["name"]), status=status.HTTP_201_CREATED)


class QueueView(APIView):
    """One queue: its depth and the first messages of each state."""

    def get(self, request: Request, queue: str) -> Response:
        return Response(selectors.describe_queue(queue))


class MessagesView(APIView):
    """Send one message, or many as `{"messages": [{"payload", ...}]}`; the owner may look without receiving."""

    def get(self, request: Request, queue: str) -> Response:
        _require_owner(request, queue)
        messages = selectors.peek(queue, **checked(PeekInput, request.query_params))
        return Response({"messages": [write_message(message) for message in messages]})

    def post(self, request: Request, queue: str) -> Response:
        body = request.data
        items = body["messages"] if isinstance(body, dict) and "messages" in body else [body]
        if not isinstance(items, list) or not items:
            raise Invalid(reason='Many messages come as {"messages": [{"payload": ...}, ...]}, at least one.')
        sender = acting_boundary(request) or ""
        sent = services.send_many(queue, map(read_message, items), sender=sender)
        return Response({"ids": [each.id for each in sent]}, status=status.HTTP_201_CREATED)


class LeasesView(APIView):
    """Receive: the token to ack with, and the messages. Only the owner."""

    def post(self, request: Request, queue: str) -> Response:
        boundary = acting_boundary(request)
        given = checked(ReceiveInput, request.data)
        lease = services.receive(queue, holder=f"rest:{boundary}", boundary=boundary, **given)
        return Response(write_lease(lease), status=status.HTTP_201_CREATED if lease else status.HTTP_200_OK)


class AckView(APIView):
    """`{"ids": [...]}`: they are done and gone."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        _require_owner(request, queue)
        given = checked(AckInput, request.data)
        return _answer(queue, services.ack(token, given["ids"], queue=queue))


class NackView(APIView):
    """`{"ids", "delay_seconds", "error"}`: to be received again."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        _require_owner(request, queue)
        given = checked(NackInput, request.data)
        return _answer(queue, services.nack(token, given.pop("ids"), queue=queue, **given))


class RejectView(APIView):
    """`{"ids", "error"}`: to the dead letters."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        _require_owner(request, queue)
        given = checked(RejectInput, request.data)
        return _answer(queue, services.reject(token, given.pop("ids"), queue=queue, **given))


class ExtendView(APIView):
    """`{"ids", "lease_seconds"}`: the whole lease lasts that long from now."""

    def post(self, request: Request, queue: str, token: UUID) -> Response:
        _require_owner(request, queue)
        given = checked(ExtendInput, request.data)
        return _answer(queue, services.extend(token, given.pop("ids"), queue=queue, **given))


class RedriveView(APIView):
    """`{"ids"}` or `{"limit"}`: dead letters are ready again."""

    def post(self, request: Request, queue: str) -> Response:
        _require_owner(request, queue)
        given = checked(RedriveInput, request.data)
        return Response({"redriven": services.redrive(queue, actor=acting_name(request), **given)})


def _require_owner(request: Request, queue: str) -> None:
    owner = selectors.require_queue(queue).owner.name
    boundary = acting_boundary(request)
    if boundary != owner and not getattr(request.user, "is_superuser", False):
        raise ConsumerNotOwner(owner=owner, verb="handles", name=queue, boundary=boundary or "nobody")


def _answer(queue: str, lost: list[int]) -> Response:
    """Which ids were lost; 409 with the refusal if any was, though the others were dealt with."""
    if not lost:
        return Response({"lost": []})
    error = LeaseLost(lost=lost, queue=queue)
    body = {"code": error.code, "message": str(error), "permanent": error.permanent, "lost": lost}
    return Response(body, status=status.HTTP_409_CONFLICT)
