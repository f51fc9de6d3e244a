"""A send that wants the handler's result within a time."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import transaction

from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.handling import AT_LEAST_ONCE, TRANSACTION, Handler
from queues import consumer, selectors, services
from queues.declarations import Queue
from queues.errors import RequestFailed, RequestTimedOut
from queues.handlers import handle
from queues.models import Message, Reply
from queues.services.replies import REPLY_TO
from tests.concurrency import in_thread
from tests.queues.conftest import Receive
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ID = UUID(int=7)
Answering = Callable[[Handler], None]


@pytest.fixture(params=[TRANSACTION, AT_LEAST_ONCE])
def answering(bookings: Queue, request: pytest.FixtureRequest) -> Answering:
    """Makes a function the handler of bookings."""

    def register(handler: Handler) -> None:
        handle(bookings, delivery=request.param)(handler)

    return register


def drain() -> None:
    consumer.drain("bookings", stop=lambda: False)


def ask(payload: object = "7A", **options: object) -> services.Request:
    return services.request("bookings", payload, **options)  # type: ignore[arg-type]


def test_what_the_handler_returns_is_the_reply_and_can_be_read_again(answering: Answering) -> None:
    answering(lambda message: {"seat": message.text, "price": 12})
    asked = ask()
    assert services.find_reply(asked.id) is None
    drain()
    for _ in range(2):
        reply = services.find_reply(asked.id)
        assert reply
        assert (reply.json(), reply.content_type, reply.is_error) == (
            {"seat": "7A", "price": 12},
            "application/json",
            False,
        )
    assert not Message.objects.exists()


@pytest.mark.parametrize(("result", "text"), [(None, None), (b"raw", "raw"), ("é", "é"), (0, "0")])
def test_a_reply_is_bytes_text_json_or_nothing(answering: Answering, result: object, text: str | None) -> None:
    answering(lambda message: result)
    asked = ask()
    drain()
    reply = services.find_reply(asked.id)
    assert reply
    assert reply.text == text


def test_an_async_handler_answers_in_its_transaction_as_well(answering: Answering) -> None:
    async def double(message: services.Message) -> int:
        return 2 * int(message.json())

    answering(double)
    asked = ask(21)
    drain()
    reply = services.find_reply(asked.id)
    assert reply
    assert reply.json() == 42


def test_who_asks_for_no_reply_gets_none(answering: Answering) -> None:
    answering(lambda message: "unheard")
    services.send("bookings", "x", headers=[("a", "b")])
    drain()
    assert not Reply.objects.exists()


def test_a_handler_that_failed_has_replied_nothing_and_answers_once_it_succeeds(answering: Answering) -> None:
    receives = []

    def fail_once(message: services.Message) -> int:
        receives.append(message.receives)
        if len(receives) == 1:
            raise ValueError("not yet")
        return message.receives

    answering(fail_once)
    asked = ask()
    drain()
    reply = services.find_reply(asked.id)
    assert reply
    assert reply.json() == 2


def test_a_message_that_died_answers_with_why(answering: Answering) -> None:
    def fail(message: services.Message) -> None:
        raise ValueError("no such seat")

    answering(fail)
    asked = ask()
    drain()
    reply = services.find_reply(asked.id)
    assert reply
    assert reply.is_error
    assert reply.error.startswith("max_receives\n")
    assert "ValueError: no such seat" in reply.error


def test_a_result_that_cannot_be_sent_is_the_handlers_error(answering: Answering) -> None:
    answering(lambda message: object())
    asked = ask()
    drain()
    reply = services.find_reply(asked.id)
    assert reply
    assert "cannot be written as JSON" in reply.error


def test_rejected_and_expired_messages_answer_too(bookings: Queue, receive: Receive) -> None:
    rejected, expired = ask(), ask(reply_seconds=0.1)
    lease = receive(1)
    services.reject(lease.token, [rejected.message_id], queue=bookings, error="fully booked")
    wait_until(lambda: services.expire() == 1, message="the second to expire")
    first, second = services.find_reply(rejected.id), services.find_reply(expired.id)
    assert first
    assert first.error == "rejected\nfully booked"
    assert second
    assert second.error == "expired"


def test_call_waits_for_the_reply(answering: Answering) -> None:
    answering(lambda message: message.json() + 1)
    called = in_thread(lambda: services.call("bookings", 41, reply_seconds=20).json())
    wait_until(lambda: Message.objects.exists(), message="the request")
    drain()
    assert called.result(timeout=10) == 42


def test_a_call_that_is_not_answered_says_so_with_the_numbers(bookings: Queue) -> None:
    with pytest.raises(
        RequestTimedOut, match=r"No reply of bookings to request [0-9a-f-]{36} within 0.1 s. Message \d+"
    ):
        services.call(bookings, "x", reply_seconds=0.1)


def test_a_call_that_failed_says_why(bookings: Queue, receive: Receive) -> None:
    called = in_thread(lambda: services.call(bookings, "x", reply_seconds=20))
    wait_until(lambda: Message.objects.exists(), message="the request")
    lease = receive(1)
    services.reject(lease.token, [m.id for m in lease.messages], queue=bookings, error="fully booked")
    with pytest.raises(RequestFailed, match=r"bookings could not handle request .*: rejected\nfully booked"):
        called.result(timeout=10)


def test_a_request_in_a_transaction_goes_out_with_it_and_is_not_waited_for_in_it(bookings: Queue) -> None:
    with transaction.atomic():
        asked = ask()
        with pytest.raises(Invalid, match="nobody answers"):
            services.call(bookings, "x")
    assert [m.id for m in selectors.search("bookings").messages] == [asked.message_id]


def test_too_late_is_no_reply(bookings: Queue, receive: Receive) -> None:
    asked = ask()
    message = receive(1).messages[0]
    late = message._replace(raw_headers=f'[["{REPLY_TO}","{asked.id}/1000000000"]]')
    assert services.reply_to(late, "late") is False
    assert services.reply_to(message, "in time") is True
    assert services.reply_to(message, "again") is False
    reply = services.find_reply(asked.id)
    assert reply
    assert reply.text == "in time"


@pytest.mark.parametrize("header", ["", "x", "/", f"{ID}", f"{ID}/x", f"{ID}/{10**20}", "\0"])
def test_a_header_that_somebody_made_up_answers_nobody_and_hinders_nothing(
    bookings: Queue, receive: Receive, header: str
) -> None:
    services.send(bookings, "x", headers=[(REPLY_TO, header)])
    lease = receive(1)
    assert services.reply_to(lease.messages[0], "y") is False
    assert services.reject(lease.token, [m.id for m in lease.messages], queue=bookings) == []
    assert not Reply.objects.exists()


def test_replies_are_forgotten_a_minute_after_their_time(bookings: Queue, receive: Receive) -> None:
    asked = ask(reply_seconds=60)
    services.reply_to(receive(1).messages[0], "y")
    row = Reply.objects.get(request=asked.id)
    assert 119 <= (row.keep_until - datetime.now(UTC)).total_seconds() <= 122
    assert services.forget_replies() == 0
    Reply.objects.update(keep_until="2000-01-01T00:00Z")
    assert services.forget_replies() == 1


@pytest.mark.parametrize("seconds", [0, -1, 86_401, float("nan"), "30"])
def test_the_time_of_a_reply_has_limits(bookings: Queue, seconds: object) -> None:
    with pytest.raises(Invalid, match=r"reply_seconds is .*; allowed are 0.1 to 86,400"):
        ask(reply_seconds=seconds)
    assert not Message.objects.exists()


def test_a_reply_has_the_size_of_a_message_at_most(bookings: Queue, receive: Receive) -> None:
    ask()
    with pytest.raises(PayloadTooLarge, match="The reply"):
        services.reply_to(receive(1).messages[0], b"x" * (2**20 + 1))
