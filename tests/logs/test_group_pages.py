"""Pages of a group: it is paused, resumed, says who did it and who reads; and who may do so."""

import html
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from logs import pictures, selectors, services
from mqsite.models import AuditEntry
from tests.logs.group_page import SCRIPT, become_operator, opened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(client: Client) -> Client:
    return become_operator(client)


# Pauses


def test_a_group_is_paused_with_a_reason_and_resumed(ann: Client) -> None:
    page = html.unescape(ann.post("/groups/billing/pause/", {"reason": "a look"}, follow=True).content.decode())
    assert "billing is paused." in page
    assert re.search(r"ann paused it at \d\d:\d\d:\d\d: a look", page)
    assert '<use class="hd g1" href="#hp"' in page
    assert ">Pause…</a>" not in page
    assert "paused</span>" in opened(ann, "/groups/")
    page = ann.post("/groups/billing/resume/", follow=True).content.decode()
    assert "paused it" not in page
    assert [entry.action for entry in AuditEntry.objects.filter(subject="billing")].count("resume") == 1


def test_one_topic_or_one_partition_is_paused_and_resumed_by_itself(ann: Client) -> None:
    ann.post("/groups/billing/pause/", {"reason": "a look", "at": "orders:1"})
    page = opened(ann)
    assert "billing is paused on partition 1 of orders." in page
    assert '<input type="hidden" name="at" value="orders:1">' in page
    assert "keeping up, paused on 1 partition" in opened(ann, "/groups/")
    ann.post("/groups/billing/pause/", {"reason": "a look", "at": "orders:0"})
    assert "billing is paused on orders." in opened(ann)
    ann.post("/groups/billing/resume/", {"at": "orders:0"})
    assert [pause["partitions"] for pause in selectors.find_pauses("billing")] == [[1]]


def test_what_was_paused_by_itself_stays_so_when_the_group_resumes(ann: Client) -> None:
    ann.post("/groups/billing/pause/", {"reason": "one", "at": "orders:1"})
    ann.post("/groups/billing/pause/", {"reason": "all"})
    assert [pause["topic"] for pause in selectors.find_pauses("billing")] == [None, "orders"]
    ann.post("/groups/billing/resume/")
    assert [pause["reason"] for pause in selectors.find_pauses("billing")] == ["one"]


def test_a_pause_asks_why_and_leads_nowhere_else(ann: Client) -> None:
    page = ann.post("/groups/billing/pause/", {"reason": ""}).content.decode()
    assert "Why? It is kept in the audit." in page
    assert selectors.find_pauses("billing") == []
    answer = ann.post("/groups/billing/pause/", {"reason": "x", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/groups/billing/"


def test_a_paused_group_is_no_problem_and_is_drawn_with_two_bars(ann: Client) -> None:
    services.pause_group("billing", actor="ann", topic="orders", partitions=[0])
    group = selectors.describe_group("billing")
    for partition in group["topics"][0]["partitions"]:
        partition["groups"][0]["lag_seconds"] = 900.0
    (problem,) = pictures.find_problems(group["topics"])
    assert "1 of 1 partition" in problem["lead"]
    marks = [p["marks"][0] for p in pictures.draw_topic(group["topics"][0])["partitions"]]
    assert [(mark["mark"], mark["state"]) for mark in marks] == [("hp", "pause"), ("h1", "warn")]


def test_the_reason_of_a_pause_is_text(ann: Client) -> None:
    ann.post("/groups/billing/pause/", {"reason": SCRIPT})
    assert SCRIPT not in ann.get("/groups/billing/").content.decode()
    assert SCRIPT in opened(ann)


# Members


def test_members_are_listed_with_what_they_hold_and_their_names_are_text(ann: Client) -> None:
    member = services.join_group("billing", boundary="billing", instance="till-1", client=SCRIPT)
    services.sync_member(member)
    raw = ann.get("/groups/billing/").content.decode()
    assert SCRIPT not in raw
    page = html.unescape(raw)
    assert "Stable: everybody has what is theirs." in page
    assert "<td data-c>static</td>" in page
    assert "orders 0, 1</td>" in page


def test_a_group_without_members_says_that_nothing_reads(ann: Client) -> None:
    page = opened(ann)
    assert "Empty: nobody reads." in page
    assert "No members: nothing reads" in page


# Who may


PAGES = ["/groups/billing/reset/", "/groups/billing/pause/", "/groups/billing/resets/1/undo/"]


def test_who_may_not_reset_sees_no_button_and_is_refused(ann: Client) -> None:
    services.reset_offsets("billing", "to-latest", actor="bob")
    services.pause_group("billing", actor="bob", topic="orders")
    visitor = Client()
    visitor.force_login(User.objects.create_user("eve", is_staff=True))
    page = opened(visitor)
    assert "billing is paused on orders." in page
    assert not [word for word in ("Reset offsets…", "Pause", "Resume", "Put it back", "Settings") if word in page]
    for address in PAGES:
        assert visitor.get(address).status_code == 403
        assert visitor.post(address, {"reason": "x"}).status_code == 403
    assert visitor.post("/groups/billing/resume/").status_code == 403
    assert len(selectors.find_pauses("billing")) == 1


def test_the_permission_to_change_offsets_is_enough_for_staff(ann: Client) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    bob.user_permissions.add(Permission.objects.get(codename="change_grouppartition"))
    client = Client()
    client.force_login(bob)
    assert "Reset offsets…" in opened(client)
    assert client.get("/groups/billing/reset/").status_code == 200
    User.objects.filter(username="bob").update(is_staff=False)
    assert client.get("/groups/billing/reset/").status_code == 403


@pytest.mark.parametrize("address", [*PAGES, "/groups/billing/"])
def test_without_a_login_every_page_asks_for_one(ann: Client, address: str) -> None:
    assert Client().get(address)["Location"].startswith("/login/")


@pytest.mark.parametrize("page", ["", "reset/", "pause/", "resets/1/undo/"])
def test_a_group_that_is_not_there_is_not_found(ann: Client, page: str) -> None:
    assert ann.get(f"/groups/nobody/{page}").status_code == 404
