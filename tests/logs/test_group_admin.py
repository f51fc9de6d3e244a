"""From the admin a group is paused, reset, altered and deleted; each with a reason, refused where somebody reads."""

import html
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from logs import selectors, services
from logs.models import ConsumerGroup, GroupPartition
from logs.services import NewRecord
from mqsite.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)

OFFSETS = "admin:logs_grouppartition_changelist"
GROUPS = "admin:logs_consumergroup_changelist"


@pytest.fixture
def ann(client: Client) -> Client:
    """A superuser before a group that reads two partitions."""
    client.force_login(User.objects.create_superuser("ann"))
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    return client


def bob(*codenames: str) -> Client:
    """Staff with some permissions."""
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def at(verb: str) -> str:
    return reverse(f"admin:logs_consumergroup_{verb}", args=[ConsumerGroup.objects.get(name="billing").pk])


def sent(client: Client, address: str, **fields: Any) -> str:
    return html.unescape(client.post(address, fields, follow=True).content.decode())


def act(client: Client, name: str, action: str, rows: Any) -> Any:
    body = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(reverse(name), body)


def offsets(**chosen: Any) -> Any:
    return GroupPartition.objects.filter(**chosen).order_by("pk")


def audited(action: str) -> tuple[str, str, str]:
    entry = AuditEntry.objects.get(action=action)
    return entry.actor, entry.subject, entry.reason


# To the pages that preview


def test_from_each_offset_one_click_leads_to_its_reset(ann: Client) -> None:
    page = html.unescape(ann.get(reverse(OFFSETS)).content.decode())
    address = "/groups/billing/reset/?at=orders%3A1"
    assert f'<a href="{address}">Reset…</a>' in page
    assert 'value="orders:1" checked' in ann.get(address).content.decode()


@pytest.mark.parametrize(("action", "page"), [("reset_offsets", "reset"), ("pause", "pause")])
def test_chosen_offsets_lead_to_the_page_of_their_group(ann: Client, action: str, page: str) -> None:
    answer = act(ann, OFFSETS, action, offsets(group__name="billing"))
    assert answer["Location"] == f"/groups/billing/{page}/?at=orders%3A0&at=orders%3A1"
    answer = act(ann, GROUPS, action, ConsumerGroup.objects.filter(name__in=["billing", "other"]))
    assert answer["Location"] == f"/groups/billing/{page}/"


def test_offsets_of_two_groups_are_not_reset_together(ann: Client) -> None:
    services.create_group("other", owner="billing", topics=["orders"])
    for name, rows in ((OFFSETS, offsets()), (GROUPS, ConsumerGroup.objects.filter(name__in=["billing", "other"]))):
        answer = act(ann, name, "reset_offsets", rows)
        assert answer["Location"] == reverse(name)
    page = ann.get(reverse(OFFSETS)).content.decode()
    assert "Choose offsets of one group" in page
    assert "Choose one group" in page


def test_chosen_offsets_are_resumed(ann: Client) -> None:
    services.pause_group("billing", actor="bob", topic="orders")
    act(ann, OFFSETS, "resume", offsets(partition__number=1))
    assert [pause["partitions"] for pause in selectors.find_pauses("billing")] == [[0]]
    page = ann.get(reverse(OFFSETS)).content.decode()
    assert "Resumed: billing on orders, partition 1." in page


def test_resuming_an_offset_of_a_paused_group_says_what_still_holds_it(ann: Client) -> None:
    services.pause_group("billing", actor="bob")
    act(ann, OFFSETS, "resume", offsets(partition__number=1))
    assert "All of billing is still paused" in ann.get(reverse(OFFSETS)).content.decode()
    act(ann, GROUPS, "resume", ConsumerGroup.objects.filter(name__in=["billing", "other"]))
    assert selectors.find_pauses("billing") == []


def test_who_may_only_look_is_offered_nothing(ann: Client) -> None:
    client = bob("view_grouppartition", "view_consumergroup")
    services.pause_group("billing", actor="ann")
    for name, rows in ((OFFSETS, offsets()), (GROUPS, ConsumerGroup.objects.filter(name__in=["billing", "other"]))):
        page = client.get(reverse(name)).content.decode()
        assert not [word for word in ("Reset", "Pause…", "Resume") if word in page]
        act(client, name, "resume", rows)
    assert len(selectors.find_pauses("billing")) == 1
    page = client.get(at("change")).content.decode()
    assert not [word for word in ("Reset", "Pause…", "Delete") if word in page]


def test_who_may_change_offsets_operates_groups_but_neither_alters_nor_deletes_them(ann: Client) -> None:
    client = bob("view_consumergroup", "change_grouppartition")
    assert "Resume" in client.get(reverse(GROUPS)).content.decode()
    page = client.get(at("change")).content.decode()
    assert "Reset offsets…" in page
    assert "Delete" not in page
    assert client.get(at("delete_group")).status_code == 403
    assert client.post(at("delete_offsets"), {"topic": "orders", "reason": "x"}).status_code == 403
    assert client.post(at("change"), {"auto_offset_reset": "latest", "reason": "x"}).status_code == 403


# Altered and deleted


def test_where_a_group_begins_is_altered_with_a_reason(ann: Client) -> None:
    page = sent(ann, at("change"), auto_offset_reset="by_duration:PT12H", reason="half a day")
    assert "was changed successfully" in page
    assert selectors.require_group("billing").auto_offset_reset == "by_duration:PT12H"
    assert audited("alter group") == ("ann", "billing", "half a day")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"auto_offset_reset": "newest", "reason": "x"}, "auto_offset_reset is 'newest'; allowed are"),
        ({"auto_offset_reset": "latest", "reason": ""}, "This field is required."),
    ],
)
def test_what_is_no_policy_or_has_no_reason_is_refused(ann: Client, fields: dict[str, str], said: str) -> None:
    assert said in sent(ann, at("change"), **fields)
    assert selectors.require_group("billing").auto_offset_reset == "earliest"


def test_a_group_is_deleted_by_its_typed_name(ann: Client) -> None:
    page = html.unescape(ann.get(at("delete_group")).content.decode())
    assert "The offsets of billing on 2 partitions will be gone" in page
    assert "This group is billing, not biling." in sent(ann, at("delete_group"), name="biling", reason="old")
    assert "Deleted: billing." in sent(ann, at("delete_group"), name="billing", reason="old")
    assert not ConsumerGroup.objects.filter(name="billing").exists()
    assert audited("delete group") == ("ann", "billing", "old")


def test_offsets_of_a_topic_are_deleted(ann: Client) -> None:
    page = sent(ann, at("delete_offsets"), topic="orders", reason="old")
    assert "Deleted: billing has no offsets on orders, and does not read it any more." in page
    assert audited("delete offsets") == ("ann", "billing", "old")
    assert "billing reads no topic" in ann.get(at("delete_offsets")).content.decode()


def test_nothing_is_deleted_while_members_are_there(ann: Client) -> None:
    services.join_group("billing", boundary="billing", instance="till-1")
    page = sent(ann, at("delete_group"), name="billing", reason="old")
    assert "Group billing is in use by till-1. Nothing was deleted." in page
    page = sent(ann, at("delete_offsets"), topic="orders", reason="old")
    assert "Group billing reads orders at the moment, as till-1." in page
    assert GroupPartition.objects.filter(group__name="billing").count() == 2


# Lists


def test_members_and_resets_are_only_looked_at(ann: Client) -> None:
    services.join_group("billing", boundary="billing", instance="till-1", client="<script>alert(1)</script>")
    services.reset_offsets("billing", "to-latest", actor="ann", reason="<script>alert(2)</script>")
    for name in ("member", "reset"):
        page = ann.get(reverse(f"admin:logs_{name}_changelist")).content.decode()
        assert "billing" in page
        assert "<script>alert" not in page
        assert ann.get(reverse(f"admin:logs_{name}_add")).status_code == 403
        assert 'name="action"' not in page
