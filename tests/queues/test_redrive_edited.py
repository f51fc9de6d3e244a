"""One dead letter gets another chance with another content."""

import pytest

from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.models import AuditEntry
from queues import services
from queues.declarations import Queue
from queues.errors import LetterNotFound
from queues.models import Message
from tests.concurrency import elsewhere, held_open
from tests.queues.conftest import Receive, sent_id

pytestmark = pytest.mark.django_db(transaction=True)

HEADERS = [("trace", "t1")]


@pytest.fixture
def letter(bookings: Queue, receive: Receive) -> int:
    id_ = sent_id(bookings, {"seat": "7Z"}, headers=HEADERS)
    services.reject(receive().token, [id_], queue=bookings, error="no such seat")
    return id_


def edit(id_: int, queue: str = "bookings", **options: object) -> None:
    services.redrive_edited(queue, id_, actor="ann", reason="typing error", **options)  # type: ignore[arg-type]


def test_a_letter_starts_over_with_another_payload_and_keeps_the_rest(letter: int, receive: Receive) -> None:
    edit(letter, payload={"seat": "7A"})
    (message,) = receive().messages
    assert (message.id, message.json(), message.headers, message.receives) == (letter, {"seat": "7A"}, HEADERS, 1)
    entry = AuditEntry.objects.get(action="redrive edited")
    assert (entry.actor, entry.subject, entry.reason) == ("ann", "bookings", "typing error")
    assert entry.facts == {"id": letter, "to": "bookings", "changed": ["payload"], "bytes": {"from": 13, "to": 13}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (b'{"seat":"7Z"}', "application/json", HEADERS)),
        ({"payload": b"raw"}, (b"raw", None, HEADERS)),
        ({"payload": None}, (b"null", "application/json", HEADERS)),
        ({"payload": "text", "content_type": "text/x"}, (b"text", "text/x", HEADERS)),
        ({"content_type": None}, (b'{"seat":"7Z"}', None, HEADERS)),
        ({"headers": []}, (b'{"seat":"7Z"}', "application/json", [])),
        ({"headers": [("a", "b")]}, (b'{"seat":"7Z"}', "application/json", [("a", "b")])),
    ],
)
def test_what_is_not_given_stays(letter: int, receive: Receive, options: object, expected: object) -> None:
    edit(letter, **options)  # type: ignore[arg-type]
    (message,) = receive().messages
    assert (message.payload, message.content_type, message.headers) == expected


def test_a_letter_in_a_dead_letter_queue_goes_home_or_elsewhere(bookings: Queue, receive: Receive) -> None:
    services.create_queue("lost", owner="sales")
    services.create_queue("by-hand", owner="sales")
    services.alter_queue("bookings", dead_letter_queue="lost", actor="test")
    ids = [sent_id(bookings, n) for n in range(2)]
    services.reject(receive().token, ids, queue=bookings)
    edit(ids[0], queue="lost", payload="home")
    edit(ids[1], queue="lost", payload="elsewhere", to="by-hand")
    standing = Message.objects.filter(source=None).order_by("id").values_list("queue__name", "payload")
    assert [(name, bytes(p)) for name, p in standing] == [("bookings", b"home"), ("by-hand", b"elsewhere")]


def test_what_is_no_letter_of_the_queue_is_left(bookings: Queue, letter: int) -> None:
    services.create_queue("other", owner="sales")
    ready = sent_id(bookings, "x")
    for queue, id_ in (("bookings", ready), ("bookings", letter + 999), ("other", letter)):
        with pytest.raises(LetterNotFound, match=rf"Message {id_} is no dead letter of {queue}"):
            edit(id_, queue=queue, payload="y")
    assert [bytes(p) for p in Message.objects.order_by("id").values_list("payload", flat=True)] == [
        b'{"seat":"7Z"}',
        b"x",
    ]
    assert not AuditEntry.objects.filter(action="redrive edited").exists()


def test_of_two_that_edit_one_letter_one_is_refused_at_once(letter: int) -> None:
    def refused() -> bool:
        with pytest.raises(LetterNotFound):
            edit(letter, payload="second")
        return True

    with held_open(lambda: edit(letter, payload="first")) as commit:
        assert elsewhere(refused)
        commit()
    assert bytes(Message.objects.get().payload) == b"first"


def test_where_it_goes_and_what_is_in_it_follow_the_rules_of_a_send(letter: int) -> None:
    services.create_queue("trips", owner="sales", is_ordered=True)
    services.create_queue("foreign", owner="ops")
    for options, error, said in (
        ({"payload": b"x" * 2**20}, PayloadTooLarge, "The message"),
        ({"payload": {1, 2}}, Invalid, "JSON"),
        ({"content_type": "x" * 250}, Invalid, "content_type"),
        ({"headers": [("a", 1)]}, Invalid, "Headers are pairs"),
        ({"to": "trips"}, Invalid, "no group_key"),
        ({"to": "foreign"}, Invalid, "belongs to ops"),
    ):
        with pytest.raises(error, match=said):
            edit(letter, **options)
    assert Message.objects.get().state == Message.State.DEAD
