"""A send that wants the handler's result: the request goes with the message, the reply into a table of its own."""

from typing import Any, NamedTuple
from uuid import UUID, uuid4

from mqsite import sql
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import Headers, encode, encode_headers
from mqsite.sql import in_transaction
from mqsite.waiting import Waiting
from queues import rows, store
from queues.declarations import Queue
from queues.errors import RequestFailed, RequestTimedOut
from queues.services.sending import MAX_PAYLOAD_BYTES, require_seconds, send
from queues.services.waiting import MAX_WAIT_SECONDS

REPLY_TO = "mq-reply-to"
LEAST_REPLY_SECONDS, MOST_REPLY_SECONDS = 0.1, 86_400.0


class Request(NamedTuple):
    """What a reply is found by, and the message that carries the request."""

    id: UUID
    message_id: int


def request(
    queue: Queue | str,
    payload: Any,
    *,
    reply_seconds: float = 30.0,
    headers: Headers = (),
    group_key: str | None = None,
    content_type: str | None = None,
    priority: int = 0,
    sender: str | None = None,
    using: str = "default",
) -> Request:
    """Send a message whose handler's result is wanted within `reply_seconds`, 0.1 to 86,400.

    A handler that has not begun by then never begins: the message dies as "expired". What it returns is the reply; if
    the message dies, the reply says why. Inside a transaction the request goes out with its COMMIT, and can only be
    waited for after it.
    """
    require_seconds("reply_seconds", reply_seconds, least=LEAST_REPLY_SECONDS, most=MOST_REPLY_SECONDS)
    if any(name == REPLY_TO for name, _ in headers):
        raise Invalid(reason=f"The header {REPLY_TO} is the request's own.")
    id_ = uuid4()
    until = int(sql.now(using).timestamp() + reply_seconds) + 1
    sent = send(
        queue,
        payload,
        headers=[*headers, (REPLY_TO, f"{id_}/{until}")],
        group_key=group_key,
        content_type=content_type,
        priority=priority,
        ttl_seconds=reply_seconds,
        sender=sender,
        using=using,
    )
    return Request(id_, sent.id)


def find_reply(request_id: UUID, *, wait_seconds: float = 0.0, using: str = "default") -> rows.Reply | None:
    """The reply of a request, as soon as it is there; None if it is not within `wait_seconds`, at most 60.

    It can be read again until a minute after the request's time.
    """
    require_seconds("wait_seconds", wait_seconds, least=0.0, most=MAX_WAIT_SECONDS)
    found = store.replies([request_id], using=using)
    if not found and wait_seconds and _waiting.wait(request_id, seconds=wait_seconds, using=using):
        found = store.replies([request_id], using=using)
    return found[0] if found else None


def call(queue: Queue | str, payload: Any, *, reply_seconds: float = 30.0, **options: Any) -> rows.Reply:
    """`request`, and wait for its reply, at most 60 s. RequestFailed if the message died, RequestTimedOut if there
    was no reply in time. Not inside a transaction: nobody would see the request before its COMMIT."""
    using = options.get("using", "default")
    if in_transaction(using):
        raise Invalid(reason="Inside a transaction nobody answers: request() in it, and find_reply() after its COMMIT.")
    require_seconds("reply_seconds", reply_seconds, least=LEAST_REPLY_SECONDS, most=MAX_WAIT_SECONDS)
    asked = request(queue, payload, reply_seconds=reply_seconds, **options)
    reply = find_reply(asked.id, wait_seconds=reply_seconds, using=using)
    if reply is None:
        raise RequestTimedOut(queue=str(queue), request=asked.id, message=asked.message_id, seconds=reply_seconds)
    if reply.is_error:
        raise RequestFailed(queue=str(queue), request=asked.id, error=reply.error)
    return reply


def wants_reply(message: rows.Message) -> bool:
    """Whether the message says so; perhaps nobody waits any more."""
    return message.raw_headers is not None and REPLY_TO in message.raw_headers


def reply_to(message: rows.Message, value: Any, *, content_type: str | None = None, using: str = "default") -> bool:
    """Answer the request a message carries, in the transaction that acknowledges it; whether anybody still waits.

    Nothing happens where no reply is wanted. `value`: bytes, text, anything JSON can say, or None.
    """
    if message.raw_headers is None or not wants_reply(message):
        return False
    return _answer(message.raw_headers, value, content_type, using=using)


def answer_request(reply_to: str, value: Any, *, content_type: str | None = None, using: str = "default") -> bool:
    """As `reply_to`, for who kept only the value of the header mq-reply-to."""
    return _answer(encode_headers([(REPLY_TO, reply_to)]) or "", value, content_type, using=using)


def _answer(headers: str, value: Any, content_type: str | None, *, using: str) -> bool:
    data, kind = encode(value, content_type)
    if data is not None and len(data) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(what="The reply", size=len(data), name="a queue", limit=MAX_PAYLOAD_BYTES)
    return store.answer(headers, kind, data, using=using)


def _look(requests: list[UUID], using: str) -> list[bool]:
    there = {reply.request for reply in store.replies(requests, using=using)}
    return [request_id in there for request_id in requests]


_waiting = Waiting(_look)
