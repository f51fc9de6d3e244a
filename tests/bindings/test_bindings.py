"""A topic bound to a queue: what matches becomes a message, once, and the group that does it is one as any other."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from bindings import consumer, selectors, services
from bindings.errors import BinderNotOwner, BindingAlreadyExists, BindingNotFound
from bindings.models import Binding
from logs import consumer as logs_consumer
from logs import handlers
from logs import selectors as logs_selectors
from logs import services as logs
from logs.errors import GroupNotFound, TopicNotFound
from logs.models import ConsumerGroup, ParkedRecord
from logs.services import NewRecord
from mqsite import workers
from mqsite.errors import Invalid
from mqsite.models import AuditEntry, WorkerProcess
from queues import selectors as queues_selectors
from queues import services as queues
from queues.errors import QueueNotFound
from tests.rest import client_of, get, post

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "invoices.from.orders"


@pytest.fixture(autouse=True)
def halves() -> Iterator[None]:
    """A topic of the shop, and a queue that billing handles."""
    logs.create_topic("orders", owner="shop", partitions=2)
    queues.create_queue("invoices", owner="billing")
    yield
    Binding.objects.all().delete()
    consumer.refresh()


def bind(**options: Any) -> str:
    return services.bind(
        "orders", "invoices", **{"boundary": "billing", "actor": "ann", "start": "earliest", **options}
    )


def publish(*records: NewRecord) -> None:
    logs.publish_many("orders", list(records), boundary="shop")


def work(name: str = NAME) -> None:
    """What a worker does: take up what is bound, and read both partitions."""
    consumer.refresh()
    for partition in range(2):
        logs_consumer.drain(name, "orders", partition, stop=lambda: False)


def sent(queue: str = "invoices") -> list[queues.Message]:
    return queues_selectors.search(queue, limit=100).messages


def position(name: str = NAME) -> list[int | None]:
    (topic,) = logs_selectors.describe_group(name)["topics"]
    return [partition["groups"][0]["committed"] for partition in topic["partitions"]]


def test_records_become_messages_with_their_content_and_where_they_come_from() -> None:
    assert bind() == NAME
    publish(
        NewRecord({"n": 1}, key="LH1", headers=[("ce_type", "placed")], partition=0),
        NewRecord(b"\xff", key=b"\xff", content_type="image/png", partition=0),
        NewRecord("text", partition=1),
        NewRecord(None, key="x" * 250, partition=1),
    )
    work()
    first, second, third, fourth = sent()
    assert (first.payload, first.content_type, first.group_key) == (b'{"n":1}', "application/json", "LH1")
    assert first.headers == [("ce_type", "placed"), ("mq-origin", "orders-0@0")]
    assert first.sender == "billing"
    assert (second.payload, second.content_type) == (b"\xff", "image/png")
    assert second.group_key == hashlib.sha256(b"\xff").hexdigest()
    assert (third.text, third.group_key) == ("text", None)
    assert (fourth.json(), len(fourth.group_key or "")) == (None, 64)
    work()
    assert len(sent()) == 4


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, "abcd"),
        ({"match_type": "placed"}, "ab"),
        ({"match_headers": {"region": "eu"}}, "bc"),
        ({"match_type": "placed", "match_headers": {"region": "eu"}}, "b"),
        ({"match_headers": {"region": "eu", "vip": ""}}, "c"),
        ({"match_type": "unheard"}, ""),
    ],
)
def test_only_what_matches_is_sent_and_all_of_it_is_passed(match: dict[str, Any], expected: str) -> None:
    bind(**match)
    publish(
        NewRecord("a", headers=[("ce_type", "placed")], partition=0),
        NewRecord("b", headers=[("type", "placed"), ("region", "us"), ("region", "eu")], partition=0),
        NewRecord("c", headers=[("vip", ""), ("region", "eu")], partition=0),
        NewRecord("d", partition=0),
    )
    work()
    assert "".join(str(message.text) for message in sent()) == expected
    assert position()[0] == 4


def test_an_ordered_queue_gets_a_key_for_each_record() -> None:
    queues.create_queue("ledger", owner="billing", is_ordered=True)
    services.bind("orders", "ledger", boundary="billing", actor="ann", start="earliest")
    publish(NewRecord("a", key="LH1", partition=0), NewRecord("b", partition=1))
    work("ledger.from.orders")
    assert [(m.text, m.group_key) for m in sent("ledger")] == [("a", "LH1"), ("b", "orders-1")]


def test_what_was_sent_and_the_offset_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    bind()
    publish(*(NewRecord(n, partition=0) for n in range(5)))
    with monkeypatch.context() as patch:
        patch.setattr(logs, "commit_offset", lambda *_, **__: 1 / 0)
        work()
    assert (sent(), position()[0]) == ([], None)
    ConsumerGroup.objects.get(name=NAME)
    logs.reset_offsets(NAME, "to-earliest", actor="ann")
    work()
    assert len(sent()) == 5


def test_a_full_queue_makes_the_records_wait_and_none_is_lost() -> None:
    queues.alter_queue("invoices", max_length=3, actor="ann")
    bind()
    publish(*(NewRecord(n, partition=0) for n in range(6)))
    work()
    assert not ParkedRecord.objects.exists()
    got = len(sent())
    assert got <= 3
    queues.alter_queue("invoices", max_length=None, actor="ann")
    logs.reset_offsets(NAME, "to-offset", position()[0] or 0, actor="ann")
    work()
    assert sorted(message.json() for message in sent()) == list(range(6))


def test_what_no_queue_can_take_is_set_aside_and_the_others_go_on() -> None:
    bind()
    publish(NewRecord("a", partition=0), NewRecord("b", headers=[("x", "y" * 2**20)], partition=0))
    publish(NewRecord("c", partition=0))
    work()
    assert [message.text for message in sent()] == ["a", "c"]
    (parked,) = ParkedRecord.objects.all()
    assert (parked.offset, "bytes; a queue takes at most" in parked.detail) == (1, True)


def test_a_queue_that_is_gone_is_told_and_waited_for() -> None:
    bind()
    queues.delete_queue("invoices", actor="ann")
    publish(NewRecord("a", partition=0))
    work()
    assert position()[0] is None
    assert not ParkedRecord.objects.exists()
    assert selectors.describe_binding(NAME)["problem"].startswith("Queue invoices is gone: records wait.")
    queues.create_queue("invoices", owner="others")
    assert "belongs to others by now" in selectors.describe_binding(NAME)["problem"]
    logs.reset_offsets(NAME, "to-earliest", actor="ann")
    work()
    assert sent() == [], "another boundary's queue by now"


def test_a_topic_that_is_gone_is_told() -> None:
    bind()
    logs.delete_topic("orders", actor="ann")
    assert selectors.describe_binding(NAME)["problem"].startswith("Topic orders is gone.")


def test_a_binding_begins_with_what_comes_unless_it_says_otherwise() -> None:
    publish(NewRecord("before", partition=0))
    services.bind("orders", "invoices", boundary="billing", actor="ann")
    publish(NewRecord("after", partition=0))
    work()
    assert [message.text for message in sent()] == ["after"]


def test_its_group_is_seen_as_a_consumer_and_can_be_paused_and_replayed() -> None:
    bind()
    publish(NewRecord("a", partition=0))
    work()
    assert "logs:invoices.from.orders:orders" in handlers.handled_names()
    assert NAME in logs_selectors.describe_topic("orders")["groups"]
    logs.reset_offsets(NAME, "to-earliest", actor="ann")
    logs.pause_group(NAME, actor="ann")
    work()
    assert len(sent()) == 1
    logs.resume_group(NAME, actor="ann")
    work()
    assert len(sent()) == 2


def test_a_removed_binding_lets_go_once_its_workers_have() -> None:
    bind(match_type="placed")
    workers.beat()
    assert handlers.handled_names().count(f"logs:{NAME}:orders") == 1
    workers.beat()
    services.unbind(NAME, actor="bob", reason="over")
    with pytest.raises(BindingNotFound):
        selectors.describe_binding(NAME)
    assert ConsumerGroup.objects.filter(name=NAME).exists(), "a worker still says that it handles it"
    for _ in range(3):  # it lets go, says so, and then sees that nobody handles it
        workers.beat()
    assert not ConsumerGroup.objects.filter(name=NAME).exists()
    assert not Binding.objects.exists()
    entries = AuditEntry.objects.filter(subject=NAME).values_list("action", "actor", "reason")
    assert list(entries) == [("delete group", "bob", "over"), ("unbind", "bob", "over"), ("bind", "ann", "")]
    WorkerProcess.objects.all().delete()
    bind()
    with pytest.raises(BindingAlreadyExists, match=f"consumer group {NAME} already"):
        bind()


def test_without_workers_a_binding_goes_at_once_also_when_its_group_is_gone() -> None:
    bind()
    services.unbind(NAME, actor="bob")
    bind()
    logs.delete_group(NAME, actor="bob")
    services.unbind(NAME, actor="bob")
    assert not Binding.objects.exists()
    with pytest.raises(GroupNotFound):
        logs_selectors.require_group(NAME)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"boundary": "shop"}, BinderNotOwner, "Only billing binds topics to invoices, whose messages it handles"),
        ({"topic": "nothing"}, TopicNotFound, "nothing"),
        ({"queue": "nothing"}, QueueNotFound, "nothing"),
        ({"name": "a b"}, Invalid, "cannot name a binding"),
        ({"start": "yesterday"}, Invalid, "yesterday"),
        ({"match_type": "x" * 250}, Invalid, "at most 249 characters"),
        ({"match_headers": {"a": 1}}, Invalid, "at most 249 characters"),
        ({"match_headers": {str(n): "" for n in range(21)}}, Invalid, "at most 20 names"),
    ],
)
def test_what_cannot_be_bound_is_refused_and_leaves_nothing(options: Any, error: Any, said: str) -> None:
    given = {"topic": "orders", "queue": "invoices", "boundary": "billing", "actor": "ann", **options}
    with pytest.raises(error, match=said):
        services.bind(given.pop("topic"), given.pop("queue"), **given)
    assert not Binding.objects.exists()
    assert not ConsumerGroup.objects.filter(name=NAME).exists()


# Over REST


def test_the_owner_of_the_queue_binds_over_rest() -> None:
    billing, shop = client_of("billing"), client_of("shop")
    body = {"topic": "orders", "queue": "invoices", "match_headers": {"region": "eu"}, "start": "earliest"}
    refused = post(shop, "bindings/", body)
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    made = post(billing, "bindings/", body)
    assert made.status_code == 201, made.data
    assert made.data["name"] == NAME
    assert shop.get(f"/api/bindings/{NAME}/").data["match_headers"] == {"region": "eu"}
    assert post(billing, "bindings/", body).status_code == 409
    assert post(billing, "bindings/", {**body, "colour": "red"}).status_code == 400
    assert shop.delete(f"/api/bindings/{NAME}/").status_code == 403
    assert billing.delete(f"/api/bindings/{NAME}/", {"reason": "over"}, format="json").status_code == 204
    assert billing.get(f"/api/bindings/{NAME}/").status_code == 404


def test_bindings_are_listed_by_name_page_by_page() -> None:
    names = [bind(name=f"binding-{n}") for n in range(3)]
    client = client_of("anybody")
    first = get(client, "/api/bindings/", limit=2, topic="orders").data
    assert ([b["name"] for b in first["bindings"]], first["next_after"]) == (names[:2], names[1])
    rest = get(client, "/api/bindings/", limit=2, after=names[1]).data
    assert ([b["name"] for b in rest["bindings"]], rest["next_after"]) == (names[2:], None)
    assert client.get("/api/bindings/", {"queue": "others"}).data["bindings"] == []


# In the admin


def test_a_superuser_binds_and_removes_in_the_admin(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    add = reverse("admin:bindings_binding_add")
    body = {"topic": "orders", "queue": "invoices", "match_headers": "{}", "start": "nonsense", "reason": "bills"}
    assert "nonsense" in client.post(add, body).content.decode()
    assert not Binding.objects.exists()
    client.post(add, {**body, "start": "latest"})
    row = Binding.objects.get()
    assert (row.name, row.owner, row.created_by) == (NAME, "billing", "ann")
    assert "at work" in client.get(reverse("admin:bindings_binding_changelist")).content.decode()
    client.post(reverse("admin:bindings_binding_delete", args=[row.pk]), {"post": "yes"})
    assert not Binding.objects.exists()
    assert AuditEntry.objects.filter(action="unbind", actor="ann").exists()
