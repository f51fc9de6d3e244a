"""What became of a message that is gone: asked by its id, or by the correlation id of its headers."""

import pytest
from django.db import transaction

from mqsite import workers
from mqsite.errors import Invalid
from queues import selectors, services
from queues.declarations import Queue
from queues.models import Message, Outcome
from queues.services import NewMessage
from tests.queues.conftest import Receive, sent_id, sent_ids

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def told(bookings: Queue) -> None:
    services.alter_queue("bookings", outcome_seconds=3_600, actor="ann")


def outcomes(id_: int) -> list[tuple[str, str, int, str]]:
    return [(o.outcome, o.by, o.receives, o.reason) for o in selectors.find_outcomes("bookings", id=id_)]


def test_who_acknowledged_it_and_after_how_many_receives(bookings: Queue, receive: Receive) -> None:
    (id_,) = sent_ids(bookings, [NewMessage(1)])
    services.nack(receive().token, [id_], queue=bookings)
    assert outcomes(id_) == [], "it is still there"
    services.ack(receive(holder="worker-2").token, [id_], queue=bookings)
    assert outcomes(id_) == [("acked", "worker-2", 2, "")]
    (found,) = selectors.find_outcomes("bookings", id=id_)
    assert (found.id, found.at is not None) == (id_, True)


def test_a_worker_that_acknowledged_in_its_transaction_is_named(bookings: Queue) -> None:
    id_ = sent_id(bookings, 1)
    with transaction.atomic():
        services.ack_taken(services.take(bookings))
    assert outcomes(id_) == [("acked", workers.name(), 1, "")]
    id_ = sent_id(bookings, 1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.ack_taken(services.take(bookings))
        _ = 1 / 0
    assert outcomes(id_) == []


def test_death_expiry_and_cancellation_are_told_apart(bookings: Queue, receive: Receive) -> None:
    died, expired, cancelled, purged = sent_ids(bookings, [NewMessage(n) for n in range(4)])
    services.reject(receive(1).token, [died], queue=bookings)
    Message.objects.filter(id=expired).update(expires_at="2000-01-01T00:00Z")
    services.expire()
    services.cancel(bookings, [cancelled], actor="bob")
    services.purge(bookings, state="all", actor="ann")
    assert outcomes(died) == [("died", "", 1, "rejected")]
    assert outcomes(expired) == [("expired", "", 0, "expired")]
    assert outcomes(cancelled) == [("cancelled", "bob", 0, "")]
    assert outcomes(purged) == [("cancelled", "ann", 0, "")]


def test_a_redriven_letter_has_two_outcomes_the_latest_first(bookings: Queue, receive: Receive) -> None:
    (id_,) = sent_ids(bookings, [NewMessage(1)])
    services.reject(receive().token, [id_], queue=bookings)
    services.redrive(bookings, actor="ann")
    services.ack(receive().token, [id_], queue=bookings)
    assert [o.outcome for o in selectors.find_outcomes("bookings", id=id_)] == ["acked", "died"]


@pytest.mark.parametrize("name", ["correlation_id", "ce_correlationid", "Correlation_ID"])
def test_a_correlation_id_finds_what_belongs_together(bookings: Queue, receive: Receive, name: str) -> None:
    ids = sent_ids(bookings, [NewMessage(n, headers=[("a", "1"), (name, "order-7")]) for n in range(2)])
    services.send(bookings, 3, headers=[(name, "order-8")])
    lease = receive()
    services.ack(lease.token, [m.id for m in lease.messages], queue=bookings)
    found = selectors.find_outcomes("bookings", correlation_id="order-7")
    assert sorted(o.id for o in found) == ids
    assert {o.correlation_id for o in found} == {"order-7"}


def test_headers_that_postgresql_cannot_read_hold_up_no_ack(bookings: Queue, receive: Receive) -> None:
    (id_,) = sent_ids(bookings, [NewMessage(1, headers=[("correlation_id", "a\0b")])])
    assert services.ack(receive().token, [id_], queue=bookings) == []
    assert outcomes(id_) == [("acked", "worker-1", 1, "")]


def test_a_queue_that_keeps_none_writes_none(bookings: Queue, receive: Receive) -> None:
    services.alter_queue("bookings", outcome_seconds=0, actor="ann")
    acked, died = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    lease = receive()
    services.ack(lease.token, [acked], queue=bookings)
    services.reject(lease.token, [died], queue=bookings)
    assert Outcome.objects.count() == 0


def test_outcomes_are_forgotten_after_their_time_and_above_their_number(
    bookings: Queue, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(5)])
    services.ack(receive().token, ids, queue=bookings)
    Outcome.objects.filter(message_id=ids[4]).update(expires_at="2000-01-01T00:00Z")
    assert services.forget_outcomes() == 1
    monkeypatch.setattr("queues.services.upkeep.MOST_OUTCOMES", 2)
    assert services.forget_outcomes() == 2
    assert Outcome.objects.count() == 2


def test_one_asks_by_one_thing(bookings: Queue) -> None:
    for question in ({}, {"id": 1, "correlation_id": "x"}):
        with pytest.raises(Invalid, match="by the id of a message or by a correlation_id"):
            selectors.find_outcomes("bookings", **question)  # type: ignore[arg-type]
