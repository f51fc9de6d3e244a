"""What may be set on a queue, by whom it was changed, and that every process minds it at once."""

from typing import Any

import pytest

from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from queues import selectors, services
from queues.declarations import Queue
from queues.errors import QueueFull, QueueInUse, QueueNotFound
from queues.models import Message
from queues.models import Queue as QueueRow
from queues.services import NewMessage
from tests.queues.conftest import Receive, sent_ids

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lease_seconds": 0}, "lease_seconds is 0; allowed are 1 to 43,200"),
        ({"max_length": 0}, "max_length is 0; allowed are 1 to 10,000,000, or None"),
        ({"message_ttl_seconds": -1}, "message_ttl_seconds is -1"),
        ({"dedup_seconds": True}, "dedup_seconds is True"),
        ({"is_ordered": 1}, "is_ordered is 1; allowed are true and false"),
        ({"backoff_jitter": 1.5}, "backoff_jitter is 1.5; allowed are 0 to 1"),
        ({"backoff_seconds": float("nan")}, "backoff_seconds is nan"),
        ({"dead_letter_queue": "a b"}, "cannot name a queue"),
        ({"colour": "red"}, "There is no queue setting 'colour'; there are lease_seconds"),
    ],
)
def test_a_setting_no_queue_can_have_is_refused(bookings: Queue, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        services.create_queue("new", owner="sales", **settings)
    with pytest.raises(Invalid, match=said):
        services.alter_queue("bookings", actor="ann", **settings)


def test_an_alteration_is_audited_with_what_changed_and_why(bookings: Queue) -> None:
    services.create_queue("lost", owner="sales")
    services.alter_queue(
        "bookings", max_receives=9, dead_letter_queue="lost", description="x", actor="ann", reason="flaky partner"
    )
    entry = AuditEntry.objects.get(action="alter queue")
    assert (entry.actor, entry.subject, entry.reason) == ("ann", "bookings", "flaky partner")
    changed = {"max_receives": [3, 9], "dead_letter_queue": [None, "lost"], "description": ["", "x"]}
    assert entry.facts == {"changed": changed}


def test_a_process_that_remembers_a_queue_minds_its_alteration(bookings: Queue) -> None:
    services.send(bookings, 1)
    services.alter_queue("bookings", max_length=1, actor="ann")
    with pytest.raises(QueueFull):
        services.send(bookings, 2)
    services.alter_queue("bookings", max_length=None, actor="ann")
    services.send(bookings, 2)
    services.delete_queue("bookings", actor="ann")
    with pytest.raises(QueueNotFound):
        services.send(bookings, 3)


def test_a_full_queue_refuses_with_the_numbers_and_stores_nothing(bookings: Queue, receive: Receive) -> None:
    services.alter_queue("bookings", max_length=5, actor="ann")
    services.send_many(bookings, [NewMessage(0), NewMessage(1, delay_seconds=60), NewMessage(2), NewMessage(3)])
    lease = receive(1)
    with pytest.raises(QueueFull, match="bookings has 4 messages and takes at most 5; 2 more were to be sent"):
        services.send_many(bookings, [NewMessage(4), NewMessage(5)])
    services.send(bookings, 4)
    services.reject(lease.token, [lease.messages[0].id], queue=bookings)
    services.send(bookings, 5)  # a dead letter takes no room
    assert Message.objects.count() == 6


def test_ordering_never_changes(bookings: Queue) -> None:
    with pytest.raises(Invalid, match="is_ordered never changes"):
        services.alter_queue("bookings", is_ordered=True, actor="ann")


def test_a_paused_queue_is_not_received_from_until_it_resumes(bookings: Queue, receive: Receive) -> None:
    services.send(bookings, 1)
    assert services.receive(bookings, holder="a", max_messages=1)
    services.pause_queue("bookings", actor="ann", reason="partner is down")
    services.send(bookings, 2)
    assert services.receive(bookings, holder="a") is None
    row = QueueRow.objects.get(name="bookings")
    assert (row.paused_by, row.paused_reason) == ("ann", "partner is down")
    assert row.paused_at
    assert selectors.describe_queue("bookings")["paused"] is True
    services.resume_queue("bookings", actor="bob")
    assert [m.text for m in receive().messages] == ["2"]
    assert set(AuditEntry.objects.values_list("action", "actor")) == {("pause queue", "ann"), ("resume queue", "bob")}


def test_a_lower_limit_is_minded_although_there_was_much_room_a_moment_ago(bookings: Queue) -> None:
    services.alter_queue("bookings", max_length=1_000_000, actor="ann")
    services.send(bookings, 0)
    services.alter_queue("bookings", max_length=2, actor="ann")
    with pytest.raises(QueueFull):
        services.send_many(bookings, [NewMessage(n) for n in range(2)])


def test_dead_letters_go_to_the_dead_letter_queue_and_are_received_there(bookings: Queue, receive: Receive) -> None:
    services.create_queue("lost", owner="sales", max_receives=1)
    services.alter_queue("bookings", dead_letter_queue="lost", actor="ann")
    ids = sent_ids(bookings, [NewMessage(n, headers=[("a", "1")]) for n in range(2)])
    services.reject(receive().token, ids, queue=bookings, error="no seat")
    assert selectors.count_messages(["bookings", "lost"])["lost"]["ready"] == 2
    lease = services.receive("lost", holder="a", boundary="sales")
    assert lease is not None
    letter = lease.messages[0]
    assert (letter.text, letter.headers, letter.receives) == ("0", [("a", "1")], 1)
    row = Message.objects.get(id=ids[0])
    assert (row.source_id, row.reason, row.detail) == (QueueRow.objects.get(name="bookings").id, "rejected", "no seat")
    assert (row.died_receives, row.died_at is not None) == (1, True)
    services.nack(lease.token, [letter.id], queue="lost")
    assert Message.objects.get(id=ids[0]).state == Message.State.DEAD, "it has no dead-letter queue of its own"


def test_a_dead_letter_queue_is_another_plain_queue_of_the_same_owner(bookings: Queue) -> None:
    services.create_queue("theirs", owner="support")
    services.create_queue("lost", owner="sales")
    services.create_queue("ordered", owner="sales", is_ordered=True)
    for name in ("theirs", "ordered", "bookings"):
        with pytest.raises(Invalid, match=f"{name} cannot be the dead-letter queue of bookings"):
            services.alter_queue("bookings", dead_letter_queue=name, actor="ann")
    with pytest.raises(QueueNotFound, match="no queue nowhere"):
        services.alter_queue("bookings", dead_letter_queue="nowhere", actor="ann")
    services.alter_queue("bookings", dead_letter_queue="lost", actor="ann")
    services.create_queue("third", owner="sales")
    with pytest.raises(Invalid, match="lost is itself a dead-letter queue"):
        services.alter_queue("lost", dead_letter_queue="third", actor="ann")
    with pytest.raises(QueueInUse, match="lost is the dead-letter queue of bookings"):
        services.delete_queue("lost", actor="ann")
    services.delete_queue("bookings", actor="ann")
    services.delete_queue("lost", actor="ann", reason="done")
    assert AuditEntry.objects.get(subject="lost", action="delete queue").reason == "done"


def test_declared_queues_are_created_after_their_dead_letter_queues(registries: None) -> None:
    Queue("a", owner="sales", dead_letter_queue="z", backoff_seconds=5)
    Queue("z", owner="sales")
    assert services.create_declared() == ["Created queue z of sales.", "Created queue a of sales."]
    assert selectors.drift() == []
    services.alter_queue("a", dead_letter_queue=None, max_length=7, actor="ann")
    assert selectors.drift() == [
        "Queue a: dead_letter_queue is z in code and None in the database.",
        "Queue a: max_length is None in code and 7 in the database.",
    ]


def test_a_failure_waits_longer_each_time_as_the_queue_says(bookings: Queue, receive: Receive) -> None:
    services.alter_queue(
        "bookings", max_receives=9, backoff_seconds=10, backoff_max_seconds=30, backoff_jitter=0, actor="ann"
    )
    (id_,) = sent_ids(bookings, [NewMessage(1)])
    waits = []
    for _ in range(4):
        services.nack(receive().token, [id_], queue=bookings)
        card = selectors.describe_queue("bookings")["cards"]["scheduled"][0]
        waits.append(round(card["due_in"]))
        Message.objects.update(due_at="2000-01-01T00:00Z")
        services.promote()
    assert waits == [10, 20, 30, 30]
    services.alter_queue("bookings", backoff_jitter=1, actor="ann")
    services.nack(receive().token, [id_], queue=bookings)
    assert selectors.describe_queue("bookings")["cards"]["scheduled"][0]["due_in"] <= 30
