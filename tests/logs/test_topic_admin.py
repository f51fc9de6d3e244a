"""A superuser alters a topic in the admin, lets it grow, and deletes records or all of it; each with a reason."""

import html
import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from logs import selectors, services
from logs.models import Topic
from logs.services import NewRecord
from mqsite.errors import Conflict
from mqsite.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(client: Client) -> Client:
    """An operator before a topic with five records on each of two partitions, two of them read."""
    client.force_login(User.objects.create_superuser("ann"))
    services.create_topic("orders", owner="shop", partitions=2, configs={"retention.bytes": 5_000})
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    assignment = services.acquire_partition("billing", "orders", 0, member="a")
    assert assignment
    services.commit_offset(assignment, 2)
    return client


def at(verb: str) -> str:
    return reverse(f"admin:logs_topic_{verb}", args=[Topic.objects.get(name="orders").pk])


def opened(client: Client, verb: str) -> str:
    return html.unescape(client.get(at(verb)).content.decode())


def sent(client: Client, verb: str, **fields: Any) -> str:
    return html.unescape(client.post(at(verb), fields, follow=True).content.decode())


def shown(client: Client) -> dict[str, Any]:
    """What a browser sends back from the page of the topic when nothing was filled in."""
    form = client.get(at("change")).context["adminform"].form
    values = {}
    for field in form:
        value = "" if field.value() is None else field.value()
        if value is not False:
            values[field.html_name] = value
            values[field.html_initial_name] = value
    return values


def altered(client: Client, **fields: Any) -> str:
    return sent(client, "change", **{**shown(client), "reason": "a bug", **fields})


def configs() -> dict[str, Any]:
    found: dict[str, Any] = selectors.describe_topic("orders")["configs"]
    return found


def starts() -> list[int]:
    return [ends.log_start for ends in selectors.bounds("orders")]


# Configurations


def test_the_page_says_what_the_topic_holds_and_keeps(ann: Client) -> None:
    page = opened(ann, "change")
    assert "10 records in 2 partitions, 10 B" in page
    assert "7 days, at most 5.0 kB a partition" in page
    assert "How long records stay; -1 is forever. Default: 604800000 (7 days)." in page


def test_what_was_changed_is_altered_and_audited(ann: Client) -> None:
    page = altered(ann, retention_ms="1000", index_keys="on", cleanup_policy="compact", description="of the shop")
    assert "was changed successfully" in page
    found = {name: configs()[name] for name in ("retention.ms", "index.keys", "cleanup.policy", "retention.bytes")}
    assert found == {"retention.ms": 1000, "index.keys": True, "cleanup.policy": "compact", "retention.bytes": 5_000}
    entry = AuditEntry.objects.get(action="alter topic")
    assert (entry.actor, entry.reason) == ("ann", "a bug")
    changed = {"description", "retention.ms", "index.keys", "cleanup.policy"}
    assert set(entry.facts["changed"]) == changed


def test_an_empty_number_asks_for_the_default(ann: Client) -> None:
    altered(ann, retention_bytes="")
    assert configs()["retention.bytes"] == -1


def test_what_another_altered_meanwhile_stays(ann: Client) -> None:
    page = shown(ann)
    services.alter_topic("orders", configs={"retention.bytes": 7_000}, actor="bob")
    sent(ann, "change", **{**page, "retention_ms": "1000", "reason": "a bug"})
    assert (configs()["retention.ms"], configs()["retention.bytes"]) == (1000, 7_000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"retention_ms": "-2"}, "retention.ms is -2; allowed is a whole number from -1"),
        ({"max_message_bytes": "99999999"}, "max.message.bytes is 99999999; allowed is a whole number from 1"),
        ({"retention_ms": "soon"}, "Enter a whole number."),
        ({"cleanup_policy": "none"}, "Select a valid choice."),
        ({"retention_ms": "1000", "reason": ""}, "This field is required."),
        ({}, "Nothing is changed."),
    ],
)
def test_a_wrong_configuration_is_named_at_its_field(ann: Client, fields: dict[str, str], message: str) -> None:
    before = configs()
    assert message in altered(ann, **fields)
    assert configs() == before
    assert not AuditEntry.objects.exists()


def test_a_refusal_of_the_service_is_said(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise Conflict(reason="Somebody else is at it.")

    monkeypatch.setattr(services, "alter_topic", refuse)
    assert "Not altered: Somebody else is at it." in altered(ann, retention_ms="1000")


# Who may


def test_who_may_only_look_sees_the_configurations_and_changes_nothing(ann: Client) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    bob.user_permissions.add(*Permission.objects.filter(content_type__app_label="logs"))
    ann.force_login(bob)
    page = opened(ann, "change")
    assert "retention.bytes = 5000" in page
    assert "Delete topic…" not in page
    assert 'name="reason"' not in page
    for verb in ("change", "add_partitions", "delete_records", "delete_topic"):
        fields = {"name": "orders", "reason": "x", "total": "9", "targets": '{"0": 1}', "retention_ms": "1"}
        assert ann.post(at(verb), fields).status_code == 403
    assert not AuditEntry.objects.exists()


def test_a_topic_that_is_gone_is_not_found(ann: Client) -> None:
    for verb in ("add_partitions", "delete_records", "delete_topic"):
        assert ann.get(reverse(f"admin:logs_topic_{verb}", args=[999_999])).status_code == 404


# Partitions


def test_partitions_are_added_with_a_warning(ann: Client) -> None:
    assert "Keys move" in opened(ann, "add_partitions")
    page = sent(ann, "add_partitions", total="3", reason="more readers")
    assert "Added: orders has 3 partitions now, 2 before. Keys move" in page
    entry = AuditEntry.objects.get(action="add partitions")
    assert (entry.actor, entry.reason) == ("ann", "more readers")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"total": "1", "reason": "x"}, "orders has 2 partitions and cannot shrink to 1"),
        ({"total": "2000", "reason": "x"}, "allowed are 1 to 1024"),
        ({"total": "2", "reason": "x"}, "Nothing to add: orders has 2 partitions already."),
        ({"total": "3", "reason": ""}, "This field is required."),
    ],
)
def test_no_partition_is_added_and_it_is_said_why(ann: Client, fields: dict[str, str], message: str) -> None:
    assert message in sent(ann, "add_partitions", **fields)
    assert len(starts()) == 2
    assert not AuditEntry.objects.exists()


# Records


def test_a_deletion_says_first_what_would_go(ann: Client) -> None:
    page = sent(ann, "delete_records", what="offset", offset="4", partitions="0", reason="old")
    assert "4 records of 1 partition of orders will be gone for good." in page
    assert "billing has not read 2 of them, and never will." in page
    assert "Delete 4 records" in page
    assert starts() == [0, 0]


def test_what_was_shown_is_deleted_and_audited(ann: Client) -> None:
    answer = ann.post(at("delete_records"), {"what": "all", "reason": "old"})
    services.publish("orders", "later", partition=0, boundary="shop")
    form = answer.context["form"]
    assert form.initial["targets"] == {0: 5, 1: 5}
    page = sent(ann, "delete_records", targets=json.dumps(form.initial["targets"]), reason=form.initial["reason"])
    assert "Deleted: 2 partitions of orders begin later now." in page
    assert starts() == [5, 5]
    assert selectors.bounds("orders")[0].log_end == 6
    entry = AuditEntry.objects.get(action="delete records")
    assert (entry.actor, entry.reason) == ("ann", "old")


def test_records_before_a_time_are_found(ann: Client) -> None:
    page = sent(ann, "delete_records", what="time", time="2020-01-01T00:00", reason="old")
    assert "Nothing of orders is before that." in page
    assert "10 records of 2 partitions" in sent(ann, "delete_records", what="time", time="2999-01-01T00:00", reason="x")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"what": "offset", "reason": "x"}, "Which offset?"),
        ({"what": "time", "reason": "x"}, "Which time?"),
        ({"what": "all", "partitions": "0, first", "reason": "x"}, "These are no numbers of partitions."),
        ({"what": "all", "partitions": "2", "reason": "x"}, "Topic orders has no partition 2; it has 0 to 1."),
        ({"what": "all", "reason": ""}, "This field is required."),
        ({"targets": '{"0": 6}', "reason": "x"}, "Offset 6 of orders-0 is out of range"),
        ({"targets": '{"2": 0}', "reason": "x"}, "Topic orders has no partition 2"),
        ({"targets": "[1]", "reason": "x"}, "Nothing goes before you have seen what would."),
    ],
)
def test_no_record_is_deleted_and_it_is_said_why(ann: Client, fields: dict[str, str], message: str) -> None:
    assert message in sent(ann, "delete_records", **fields)
    assert starts() == [0, 0]
    assert not AuditEntry.objects.exists()


# The topic itself


def test_a_topic_is_deleted_by_its_name(ann: Client) -> None:
    page = opened(ann, "delete_topic")
    assert "10 records in 2 partitions, 10 B, will be gone for good." in page
    assert "So will the offsets of billing on it." in page
    for name in ("order", ""):
        assert "This topic is orders" in sent(ann, "delete_topic", name=name or "x", reason="moved")
    assert Topic.objects.filter(name="orders").exists()
    assert "Deleted: orders." in sent(ann, "delete_topic", name="orders", reason="moved")
    assert not Topic.objects.filter(name="orders").exists()
    assert AuditEntry.objects.get(action="delete topic").reason == "moved"
