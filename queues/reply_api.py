"""REST of requests and their replies: parse, call a service, answer."""

from typing import Any
from uuid import UUID

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite.authentication import acting_boundary
from mqsite.errors import Invalid
from mqsite.long_poll import answer_wait, place_to_wait
from mqsite.parsing import checked
from mqsite.payloads import bytes_or_text, decode_base64
from queues import services
from queues.api import require_queue_owner
from queues.rows import Reply
from queues.serializers import ReplyInput, ReplyWaitInput, RequestInput, read_message

SENT_FIELDS = ("payload", "payload_base64", "content_type", "headers", "priority", "group_key")


class RequestsView(APIView):
    """Send a message whose reply is wanted: `{"payload", ..., "reply_seconds", "wait_seconds"}`."""

    def post(self, request: Request, queue: str) -> Response:
        body = request.data if isinstance(request.data, dict) else {}
        given = checked(RequestInput, {k: v for k, v in body.items() if k not in SENT_FIELDS})
        sent = {k: v for k, v in body.items() if k in SENT_FIELDS}
        message = read_message(sent)
        asked = services.request(
            queue,
            message.payload,
            reply_seconds=given["reply_seconds"],
            headers=message.headers,
            group_key=message.group_key,
            content_type=message.content_type,
            priority=message.priority,
            sender=acting_boundary(request) or "",
        )
        answer = {"id": asked.id, "message_id": asked.message_id}
        return _wait(asked.id, given["wait_seconds"], answer, code=status.HTTP_201_CREATED)


class RequestView(APIView):
    """The reply of a request, `?wait_seconds=`; null: none yet. Whoever knows the id may ask."""

    def get(self, request: Request, queue: str, request_id: UUID) -> Response:
        given = checked(ReplyWaitInput, request.query_params)
        return _wait(request_id, given["wait_seconds"], {"id": request_id})


class RepliesView(APIView):
    """Answer a message that was received over REST, before it is acknowledged: `{"reply_to"}`, the value of its header
    mq-reply-to, and `value` or `value_base64`; false: nobody waits any more."""

    def post(self, request: Request, queue: str) -> Response:
        require_queue_owner(request, queue, "handles")
        body = request.data if isinstance(request.data, dict) else {}
        given = checked(ReplyInput, {k: v for k, v in body.items() if k not in ("value", "value_base64")})
        if len({"value", "value_base64"} & set(body)) != 1:
            raise Invalid(reason="A reply needs a value, or value_base64, not both; null is allowed.")
        value = decode_base64("value_base64", body["value_base64"]) if "value_base64" in body else body["value"]
        return Response({"accepted": services.answer_request(given.pop("reply_to"), value, **given)})


def _wait(request_id: UUID, wanted_seconds: float, answer: dict[str, Any], *, code: int = 200) -> Response:
    with place_to_wait(wanted_seconds) as seconds:
        reply = services.find_reply(request_id, wait_seconds=seconds)
    body = {**answer, "reply": reply and _write(reply)}
    return answer_wait(body, refused=reply is None and seconds < wanted_seconds, code=code)


def _write(reply: Reply) -> dict[str, Any]:
    return {
        **bytes_or_text("value", reply.value),
        "content_type": reply.content_type,
        "is_error": reply.is_error,
        "error": reply.error,
        "at": reply.at,
    }
