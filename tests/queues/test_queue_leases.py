"""What becomes of a message: sent, received, acknowledged, given back, dead, redriven."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.models import AuditEntry
from queues import selectors, services
from queues.declarations import Queue
from queues.errors import ConsumerNotOwner, LeaseLost, QueueAlreadyExists, QueueNotFound
from queues.models import Lease, Message
from queues.services import NewMessage
from queues.services.sending import MAX_PAYLOAD_BYTES
from tests.queues.conftest import Receive, sent_id, sent_ids

pytestmark = pytest.mark.django_db

Expire = Callable[[services.Lease], None]


def send(count: int, **fields: Any) -> list[int]:
    return sent_ids("bookings", [NewMessage(n, **fields) for n in range(count)])


def states() -> dict[int, int]:
    return dict(Message.objects.values_list("id", "state"))


def only(id_: int) -> Message:
    return Message.objects.get(id=id_)


def test_an_acknowledged_message_is_gone_and_its_lease_with_it(bookings: Queue, receive: Receive) -> None:
    id_ = sent_id(bookings, {"seat": 7}, group_key="lh1", headers=[("a", "1"), ("a", "2")], priority=5, sender="web")
    lease = receive()
    (message,) = lease.messages
    assert (message.id, message.queue, message.lease, message.receives) == (id_, "bookings", lease.token, 1)
    assert (message.json(), message.text, message.content_type) == ({"seat": 7}, '{"seat":7}', "application/json")
    assert (message.group_key, message.headers, message.priority) == ("lh1", [("a", "1"), ("a", "2")], 5)
    assert message.sender == "web"
    assert services.ack(lease.token, [id_], queue=bookings) == []
    assert (Message.objects.count(), Lease.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("payload", "stored"), [(b"\xff\x00", b"\xff\x00"), ("text", b"text"), (None, b"null"), ([1, 1.5], b"[1,1.5]")]
)
def test_a_payload_arrives_as_the_bytes_it_was(bookings: Queue, receive: Receive, payload: Any, stored: bytes) -> None:
    services.send(bookings, payload)
    assert receive().messages[0].payload == stored


@pytest.mark.parametrize(("most", "got"), [(None, 4), (1, 1), (199, 1), (200, 2), (10_000, 4)])
def test_a_receive_takes_no_more_bytes_than_wanted_but_at_least_one_message(
    bookings: Queue, receive: Receive, most: int | None, got: int
) -> None:
    ids = sent_ids(bookings, [NewMessage(b"x" * 100) for _ in range(4)])
    lease = services.receive(bookings, holder="a", max_messages=10, max_bytes=most)
    assert lease is not None
    assert [m.id for m in lease.messages] == ids[:got]
    assert Lease.objects.get().message_ids == ids[:got]
    if got < 4:
        assert [m.id for m in receive(10).messages] == ids[got:]


def test_headers_count_among_the_bytes_of_a_receive(bookings: Queue) -> None:
    sent_ids(bookings, [NewMessage(b"x", headers=[("a", "b" * 100)]) for _ in range(4)])
    lease = services.receive(bookings, holder="a", max_bytes=250)
    assert lease is not None
    assert len(lease.messages) == 2


def test_the_bytes_of_a_receive_have_a_limit(bookings: Queue) -> None:
    with pytest.raises(Invalid, match="max_bytes is 0; allowed are 1 to 52,428,800, or None"):
        services.receive(bookings, holder="a", max_bytes=0)


def test_higher_priorities_come_first_and_within_one_the_oldest(bookings: Queue, receive: Receive) -> None:
    priorities = [0, 5, -5, 0, 5, -100, 100]
    ids = sent_ids(bookings, [NewMessage(p, priority=p) for p in priorities])
    assert ids == sorted(ids)
    received = [m.id for m in receive(4).messages] + [m.id for m in receive(4).messages]
    assert received == [ids[n] for n in (6, 1, 4, 0, 3, 2, 5)]


def test_nothing_ready_is_no_lease(bookings: Queue) -> None:
    assert services.receive(bookings, holder="a") is None
    assert Lease.objects.count() == 0


def test_a_batch_may_be_acknowledged_in_parts(bookings: Queue, receive: Receive) -> None:
    first, second, third = send(3)
    lease = receive()
    assert services.ack(lease.token, [second], queue=bookings) == []
    assert services.ack(lease.token, [second, first], queue=bookings) == [second]
    assert states() == {third: Message.State.LEASED}
    assert Lease.objects.count() == 1
    assert services.ack(lease.token, [third, third], queue=bookings) == []
    assert Lease.objects.count() == 0


def test_a_lost_lease_changes_nothing_and_names_what_was_lost(
    bookings: Queue, receive: Receive, expire: Expire
) -> None:
    ids = send(2)
    lost = receive(holder="slow")
    expire(lost)
    services.reap()
    held = receive(holder="next")
    before = list(Message.objects.order_by("id").values())
    for verb in (services.ack, services.nack, services.reject, services.extend):
        assert verb(lost.token, ids, queue=bookings) == ids
    services.give_back(lost.token, ids, queue=bookings)
    with pytest.raises(LeaseLost, match=str(ids[0])):
        services.ack_handled(lost.messages[0])
    assert list(Message.objects.order_by("id").values()) == before
    assert services.ack(held.token, ids, queue=bookings) == []


def test_a_token_is_good_for_its_own_queue_and_its_own_messages_only(bookings: Queue, receive: Receive) -> None:
    services.create_queue("other", owner="sales")
    mine, theirs = send(2)
    lease, other = receive(1), receive(1)
    assert services.ack(lease.token, [mine], queue="other") == [mine]
    assert services.ack(other.token, [mine], queue=bookings) == [mine]
    assert services.ack(lease.token, [theirs], queue=bookings) == [theirs]
    assert services.ack(uuid4(), [mine, theirs], queue=bookings) == [mine, theirs]
    assert set(states().values()) == {Message.State.LEASED}


def test_a_nack_without_delay_goes_to_the_tail(bookings: Queue, receive: Receive) -> None:
    first, second = send(2)
    lease = receive(1)
    assert services.nack(lease.token, [first], queue=bookings, error="no seat") == []
    assert (only(first).reason, only(first).detail) == ("retry", "no seat")
    assert [m.id for m in receive().messages] == [second, first]


def test_a_nack_with_delay_waits_for_its_time_and_keeps_the_order_of_it(bookings: Queue, receive: Receive) -> None:
    later, sooner = send(2)
    lease = receive()
    services.nack(lease.token, [later], queue=bookings, delay_seconds=20)
    services.nack(lease.token, [sooner], queue=bookings, delay_seconds=10)
    assert set(states().values()) == {Message.State.SCHEDULED}
    assert (services.promote(), services.receive(bookings, holder="a")) == (0, None)
    Message.objects.filter(id=later).update(due_at="2000-01-01T00:00:02Z")
    Message.objects.filter(id=sooner).update(due_at="2000-01-01T00:00:01Z")
    assert services.promote() == 2
    assert [(m.id, m.receives) for m in receive().messages] == [(sooner, 2), (later, 2)]


def test_a_delayed_message_is_not_received_before_its_time(bookings: Queue, receive: Receive) -> None:
    delayed = sent_id(bookings, "later", delay_seconds=60)
    at_once = sent_id(bookings, "now")
    services.promote()
    assert [m.id for m in receive().messages] == [at_once]
    Message.objects.filter(id=delayed).update(due_at="2000-01-01T00:00Z")
    services.promote()
    assert [m.id for m in receive().messages] == [delayed]


def test_after_max_receives_a_nack_is_the_end(bookings: Queue, receive: Receive) -> None:
    (id_,) = send(1)
    for _ in range(3):
        services.nack(receive().token, [id_], queue=bookings, error="no seat")
    message = only(id_)
    assert (message.state, message.reason, message.detail) == (Message.State.DEAD, "max_receives", "no seat")
    assert (message.receives, message.lease_id) == (3, None)
    assert message.died_at
    assert Lease.objects.count() == 0


def test_a_rejected_message_is_dead_at_once(bookings: Queue, receive: Receive) -> None:
    (id_,) = send(1)
    assert services.reject(receive().token, [id_], queue=bookings, error="nul\0 and \ud800 are no text") == []
    assert (only(id_).state, only(id_).reason, only(id_).detail) == (
        Message.State.DEAD,
        "rejected",
        "nul and ? are no text",
    )


def test_an_expired_lease_comes_back_at_the_tail_and_dies_after_max_receives(
    bookings: Queue, receive: Receive, expire: Expire
) -> None:
    (id_,) = send(1)
    for receives in (1, 2):
        expire(receive())
        (second,) = send(1)
        assert services.reap() == 1
        assert (only(id_).state, only(id_).receives) == (Message.State.READY, receives)
        assert only(id_).position > only(second).position
        Message.objects.filter(id=second).delete()
    expire(receive())
    services.reap()
    message = only(id_)
    assert (message.state, message.reason, message.receives) == (Message.State.DEAD, "lease expired", 3)
    assert message.died_at


def test_a_live_lease_is_not_reaped(bookings: Queue, receive: Receive) -> None:
    send(1)
    receive()
    assert services.reap() == 0


def test_an_expired_lease_that_nobody_took_over_may_still_be_acknowledged(
    bookings: Queue, receive: Receive, expire: Expire
) -> None:
    (id_,) = send(1)
    lease = receive()
    expire(lease)
    assert services.extend(lease.token, [id_], queue=bookings) == [id_], "an expired lease is not revived"
    assert services.ack(lease.token, [id_], queue=bookings) == []


def test_a_message_on_its_last_receive_is_taken_alone(bookings: Queue, receive: Receive) -> None:
    ids = send(4)
    Message.objects.filter(id=ids[1]).update(receives=2)
    assert [[m.id for m in receive().messages] for _ in range(3)] == [[ids[0]], [ids[1]], ids[2:]]


def test_extend_moves_the_end_and_answers_what_the_lease_no_longer_covers(bookings: Queue, receive: Receive) -> None:
    done, open_ = send(2)
    lease = receive()
    services.ack(lease.token, [done], queue=bookings)
    assert services.extend(lease.token, [done, open_], queue=bookings, lease_seconds=3_600) == [done]
    moved = Lease.objects.get().expires_at - lease.expires_at
    assert 3_500 < moved.total_seconds() < 3_600


def test_a_heartbeat_keeps_what_its_holder_works_on_and_shortens_nothing(
    bookings: Queue, receive: Receive, expire: Expire
) -> None:
    send(4)
    kept, left, extended, expired = (receive(1) for _ in range(4))
    services.extend(extended.token, [extended.messages[0].id], queue=bookings, lease_seconds=3_600)
    ends = dict(Lease.objects.values_list("id", "expires_at"))
    expire(expired)
    worked_on = [kept.token, extended.token, expired.token]
    assert services.renew_leases("worker-1", tokens=worked_on) == 2
    assert services.renew_leases("worker-2") == 0
    now = dict(Lease.objects.values_list("id", "expires_at"))
    assert now[kept.token] > ends[kept.token]
    assert now[left.token] == ends[left.token]
    assert now[extended.token] == ends[extended.token]
    assert services.renew_leases("worker-1") == 3


def test_what_nobody_began_goes_back_to_its_place_uncharged(bookings: Queue, receive: Receive) -> None:
    ids = send(3)
    lease = receive(2)
    services.give_back(lease.token, ids[:2], queue=bookings)
    assert Lease.objects.count() == 0
    assert [(m.id, m.receives) for m in receive().messages] == [(id_, 1) for id_ in ids]


def test_redriven_letters_start_over_and_the_audit_says_who(bookings: Queue, receive: Receive) -> None:
    ids = send(3)
    services.reject(receive().token, ids, queue=bookings, error="no")
    assert services.redrive(bookings, ids=[ids[2], 999], actor="ann") == 1
    assert services.redrive(bookings, limit=1, actor="ann") == 1
    entry = AuditEntry.objects.filter(action="redrive").earliest("id")
    assert (entry.actor, entry.subject, entry.facts) == ("ann", "bookings", {"count": 1, "ids": [ids[2]]})
    again = receive().messages
    assert [(m.id, m.receives) for m in again] == [(ids[2], 1), (ids[0], 1)]
    assert (only(ids[0]).reason, only(ids[0]).detail, only(ids[0]).died_at) == (None, None, None)
    assert only(ids[1]).state == Message.State.DEAD


def test_redrive_leaves_alone_what_is_not_dead_or_of_another_queue(bookings: Queue, receive: Receive) -> None:
    services.create_queue("other", owner="sales")
    (ready,) = send(1)
    theirs = sent_id("other", "x")
    Message.objects.filter(id=theirs).update(state=Message.State.DEAD)
    assert services.redrive(bookings, ids=[ready, theirs], actor="ann") == 0
    assert states() == {ready: Message.State.READY, theirs: Message.State.DEAD}


def test_only_the_owner_receives_and_the_refusal_names_it(bookings: Queue) -> None:
    send(1)
    with pytest.raises(ConsumerNotOwner, match=r"^Only sales handles bookings; you act for web\.$"):
        services.receive("bookings", holder="a", boundary="web")
    with pytest.raises(ConsumerNotOwner, match="you act for nobody"):
        services.receive("bookings", holder="a")
    impostor = Queue("bookings", owner="support")
    with pytest.raises(ConsumerNotOwner, match="you act for support"):
        services.receive(impostor, holder="a")
    assert services.receive("bookings", holder="a", boundary="sales") is not None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"payload": float("nan")}, "cannot be written as JSON"),
        ({"payload": 1, "priority": 101}, "priority is 101; allowed are -100 to 100"),
        ({"payload": 1, "priority": True}, "priority is True"),
        ({"payload": 1, "delay_seconds": -1}, "delay_seconds is -1; allowed are 0 to"),
        ({"payload": 1, "delay_seconds": float("nan")}, "delay_seconds is nan"),
        ({"payload": 1, "delay_seconds": 1e12}, "delay_seconds is"),
        ({"payload": 1, "delay_seconds": "10"}, "delay_seconds is '10'"),
        ({"payload": 1, "group_key": "a\0b"}, "group_key is text of at most 249"),
        ({"payload": 1, "group_key": "a" * 250}, "group_key is text of at most 249"),
        ({"payload": 1, "headers": [("a", 1)]}, "Headers are pairs"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_rule(bookings: Queue, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        services.send_many(bookings, [NewMessage("fine"), NewMessage(**fields)])
    assert states() == {}


def test_a_payload_has_a_limit(bookings: Queue) -> None:
    services.send(bookings, b"x" * MAX_PAYLOAD_BYTES)
    with pytest.raises(PayloadTooLarge, match="1,048,577 bytes; a queue takes at most 1,048,576"):
        services.send(bookings, b"x" * (MAX_PAYLOAD_BYTES + 1))


def test_batches_have_a_limit(bookings: Queue) -> None:
    with pytest.raises(Invalid, match="at most 10,000 messages"):
        services.send_many(bookings, [NewMessage(0)] * 10_001)
    with pytest.raises(Invalid, match="1 to 1,000"):
        services.receive(bookings, holder="a", max_messages=1_001)
    with pytest.raises(Invalid, match="allowed are 1 to 1,000"):
        services.ack(uuid4(), [], queue=bookings)
    assert services.send_many(bookings, []) == []


def test_an_unknown_queue_is_named(bookings: Queue) -> None:
    for call in (
        lambda: services.send("nowhere", 1),
        lambda: services.receive("nowhere", holder="a", boundary="sales"),
        lambda: services.redrive("nowhere", actor="ann"),
        lambda: services.delete_queue("nowhere", actor="ann"),
        lambda: selectors.describe_queue("nowhere"),
    ):
        with pytest.raises(QueueNotFound, match="There is no queue nowhere"):
            call()


def test_a_queue_is_created_once_with_settings_it_can_have(bookings: Queue) -> None:
    with pytest.raises(QueueAlreadyExists, match="Queue bookings exists already"):
        services.create_queue("bookings", owner="sales")
    with pytest.raises(Invalid, match="lease_seconds is 0; allowed are 1 to 43,200"):
        services.create_queue("new", owner="sales", lease_seconds=0)
    with pytest.raises(Invalid, match="max_receives is 0"):
        services.create_queue("new", owner="sales", max_receives=0)
    with pytest.raises(Invalid, match="cannot name a queue"):
        services.create_queue("no spaces", owner="sales")


def test_a_deleted_queue_takes_its_messages_and_leases_along(bookings: Queue, receive: Receive) -> None:
    services.create_queue("other", owner="sales")
    kept = sent_id("other", "x")
    send(3)
    receive(1)
    services.send(bookings, "later", delay_seconds=60)
    services.delete_queue("bookings", actor="ann")
    assert states() == {kept: Message.State.READY}
    assert Lease.objects.count() == 0
    assert AuditEntry.objects.filter(actor="ann", action="delete queue", subject="bookings").exists()


@pytest.mark.parametrize("act", ["ack", "nack", "reject", "extend"])
def test_a_lease_that_holds_does_nothing_to_what_another_holds(bookings: Queue, receive: Receive, act: str) -> None:
    mine, theirs = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    lease, other = receive(1), receive(1, holder="worker-2")
    before = Message.objects.values().get(id=theirs)
    assert getattr(services, act)(lease.token, [theirs], queue=bookings) == [theirs]
    services.give_back(lease.token, [theirs], queue=bookings)
    assert Message.objects.values().get(id=theirs) == before
    assert services.ack(other.token, [theirs], queue=bookings) == []
    assert services.ack(lease.token, [mine], queue=bookings) == []


def test_a_message_is_counted_for_the_lease_that_holds_it(bookings: Queue, receive: Receive) -> None:
    first, _ = sent_ids(bookings, [NewMessage(n) for n in range(2)])
    lease = receive(2)
    services.nack(lease.token, [first], queue=bookings, delay_seconds=0)
    assert [m.id for m in receive(1, holder="worker-2").messages] == [first]
    assert selectors.count_messages(["bookings"])["bookings"]["leased"] == 2
