"""Pages of a group: its resets are previewed and do what was shown; it is paused, resumed, and says who did it."""

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from logs import pictures, selectors, services
from logs.services import NewRecord
from mqsite.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def ann(client: Client) -> Client:
    """An operator before a group that has read two of its five records on each of two partitions."""
    client.force_login(User.objects.create_superuser("ann"))
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    for partition in (0, 1):
        assignment = services.acquire_partition("billing", "orders", partition, member="a")
        assert assignment
        services.commit_offset(assignment, 2)
        services.release_partition(assignment)
    return client


def opened(client: Client, address: str = "/groups/billing/", **asked: Any) -> str:
    answer = client.get(f"{address}?{urlencode(asked, doseq=True)}" if asked else address)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def preview(client: Client, **asked: Any) -> str:
    return opened(client, "/groups/billing/reset/", **asked)


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, "the page shows no plan"
    return found[1]


def apply(
    client: Client, token: str, reason: str = "a bug", address: str = "/groups/billing/reset/", **asked: Any
) -> str:
    body = {"token": token, "reason": reason}
    answer = client.post(f"{address}?{urlencode(asked, doseq=True)}", body, follow=True)
    return html.unescape(answer.content.decode())


def committed() -> list[int | None]:
    partitions = selectors.describe_group("billing")["topics"][0]["partitions"]
    return [p["groups"][0]["committed"] for p in partitions]


def button(page: str) -> str:
    found = re.search(r'<button class="btn pri"( disabled)?>([^<]+)</button>', page)
    assert found
    return found[2]


# Resets


def at_three() -> None:
    services.create_group("other", owner="billing", topics=["orders"])
    services.reset_offsets("other", "to-offset", 3, actor="ann")


def pause() -> None:
    services.pause_group("billing", actor="ann", reason="a look")


@pytest.mark.parametrize(
    ("asked", "before", "said", "moved"),
    [
        ({"mode": "to-earliest"}, None, "Reset: 4 again", [0, 0]),
        ({"mode": "to-latest"}, None, "Reset: 6 skipped", [5, 5]),
        ({"mode": "to-offset", "offset": 1}, None, "Reset: 2 again", [1, 1]),
        ({"mode": "to-datetime", "time": "2000-01-01T08:00"}, None, "Reset: 4 again", [0, 0]),
        ({"mode": "to-datetime", "time": "2100-01-01T08:00:30"}, None, "Reset: 6 skipped", [5, 5]),
        ({"mode": "by-duration", "back": 3, "unit": "hours"}, None, "Reset: 4 again", [0, 0]),
        ({"mode": "by-duration", "back": 1, "unit": "days"}, None, "Reset: 4 again", [0, 0]),
        ({"mode": "shift-by", "shift": -1}, pause, "Reset: 2 again", [1, 1]),
        ({"mode": "shift-by", "shift": 2}, pause, "Reset: 4 skipped", [4, 4]),
        ({"mode": "from-group", "other": "other"}, at_three, "Reset: 2 skipped", [3, 3]),
        ({"mode": "from-file", "file": "orders,0,1\r\norders,1,4\r\n"}, None, "Reset: 1 again, 2 skipped", [1, 4]),
        ({"mode": "skip-one", "at": "orders:1"}, pause, "Reset: 1 skipped", [2, 3]),
        ({"mode": "to-earliest", "at": "orders:1"}, None, "Reset: 2 again", [2, 0]),
        ({"mode": "to-earliest", "at": ["orders:0", "orders:1"]}, None, "Reset: 4 again", [0, 0]),
        ({"mode": "to-latest", "at": "orders"}, None, "Reset: 6 skipped", [5, 5]),
    ],
)
def test_every_mode_is_previewed_and_applied_as_shown(
    ann: Client, asked: dict[str, Any], before: Callable[[], None] | None, said: str, moved: list[int]
) -> None:
    if before:
        before()
    page = preview(ann, **asked)
    assert button(page) == said
    assert committed() == [2, 2]
    page = apply(ann, token_in(page), **asked)
    assert "done at" in page
    assert committed() == moved


def test_a_preview_says_it_in_a_sentence_and_partition_by_partition(ann: Client) -> None:
    services.publish_many("orders", [NewRecord(n, partition=0) for n in range(1_000)], boundary="shop")
    page = preview(ann, mode="from-file", file="orders,0,1004\norders,1,0")
    assert 'billing would read <b>2 records again</b> and <b class="warn">skip 1,002 it never read</b>.' in page
    cells = re.findall(r'<td class="r(?: mono)?" data-l="[^"]+">(?:<[^>]+>)?([^<]+)', page)
    assert cells == ["0", "2", "1,004", "0", "1,002", "1", "2", "0", "2", "0", "2", "1,002"]
    assert "1,002 records that the group never read will be skipped." in page
    assert "All 2 partitions" in page


def test_of_several_topics_each_row_names_its_own_and_one_can_be_chosen(ann: Client) -> None:
    services.create_topic("refunds", owner="shop", partitions=1)
    services.subscribe_group("billing", "refunds")
    page = preview(ann, mode="to-earliest")
    assert "<th>Topic</th>" in page
    assert "<td>refunds</td>" in page
    page = preview(ann, mode="to-earliest", at="orders")
    assert "<th>Topic</th>" not in page
    assert "2 of 3 partitions" in page
    page = opened(ann)
    assert 'href="/groups/billing/reset/?at=refunds"' in page
    assert 'href="/groups/billing/pause/?at=orders"' in page


def test_a_group_that_reads_nothing_has_nothing_to_reset(ann: Client) -> None:
    services.create_group("new", owner="billing")
    page = opened(ann, "/groups/new/reset/", mode="to-earliest")
    assert "Group new reads no topic yet: there is nothing to reset." in page


def test_a_group_without_a_commit_has_not_started(ann: Client) -> None:
    services.create_group("late", owner="billing", topics=["orders"])
    page = opened(ann, "/groups/late/reset/", mode="to-earliest")
    assert page.count(">not started<") == 2
    assert button(page) == "Reset 2 partitions"


def test_what_is_there_already_cannot_be_reset(ann: Client) -> None:
    page = preview(ann, mode="to-offset", offset=2)
    assert "Nothing would change: billing is there already." in page
    assert '<button class="btn pri" disabled>Nothing to reset</button>' in page


def test_notes_say_what_is_clamped_live_or_beyond_the_end(ann: Client) -> None:
    assert services.acquire_partition("billing", "orders", 0, member="a")
    page = preview(ann, mode="to-offset", offset=99)
    assert "99 is higher than the log end: 5 is taken." in page
    assert "The group is live: what its members are at is fenced, and they go on from the new place." in page
    page = preview(ann, mode="to-datetime", time="2100-01-01T00:00")
    assert "No record at or after this time: it goes to the log end." in page


def test_what_counts_from_where_it_stands_offers_to_pause_first_and_comes_back(ann: Client) -> None:
    page = preview(ann, mode="shift-by", shift=-1, at="orders:1")
    assert "pause group billing first" in page
    link = re.search(r'href="(/groups/billing/pause/[^"]+)"', page)
    assert link
    form = ann.get(link[1])
    assert form.context["next"] == "/groups/billing/reset/?mode=shift-by&shift=-1&at=orders%3A1"
    back = ann.post(link[1], {"at": "orders:1", "reason": "a look", "next": form.context["next"]})
    assert button(html.unescape(ann.get(back["Location"]).content.decode())) == "Reset: 1 again"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mode": "to-offset"}, "To an offset: which?"),
        ({"mode": "to-offset", "offset": "x"}, "Enter a whole number."),
        ({"mode": "to-datetime", "time": "soon"}, "Enter a valid date/time."),
        ({"mode": "by-duration", "back": -1}, "greater than or equal to 0"),
        ({"mode": "from-group", "other": "nobody"}, "There is no consumer group nobody."),
        ({"mode": "from-file", "file": "orders,0"}, "Line 1 is ['orders', '0'], not `topic,partition,offset`."),
        ({"mode": "from-file", "file": "orders,7,0"}, "Group billing does not read topic orders, or not partition 7"),
        ({"mode": "from-file", "file": "x" * 4_001}, "at most 4000 characters"),
        ({"mode": "to-earliest", "at": "payments"}, "The group does not read payments."),
        ({"mode": "skip-one"}, "skip-one takes exactly one partition; 2 are chosen."),
        ({"mode": "anything"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_planned_says_why(ann: Client, asked: dict[str, Any], said: str) -> None:
    if asked["mode"] == "skip-one":
        pause()
    page = preview(ann, **asked)
    assert said in page
    assert 'name="token"' not in page


def test_before_anything_is_chosen_the_page_only_asks(ann: Client) -> None:
    page = preview(ann, at="orders:1")
    assert "Nothing is chosen yet" in page
    assert 'value="orders:1" checked' in page


def test_a_reset_is_kept_with_who_and_why_and_is_shown_again_by_its_address(ann: Client) -> None:
    page = apply(ann, token_in(preview(ann, mode="to-earliest")), reason=f"wrong {SCRIPT}", mode="to-earliest")
    (reset,) = selectors.find_resets("billing")
    entry = AuditEntry.objects.get(action="reset offsets")
    assert (reset["actor"], reset["reason"], entry.actor) == ("ann", f"wrong {SCRIPT}", "ann")
    assert "billing was reset to the log start" in page
    assert ">Watch it catch up</a>" in page
    for address in (f"/groups/billing/reset/?done={reset['id']}", "/groups/billing/"):
        assert SCRIPT not in ann.get(address).content.decode()


def test_nothing_moves_without_a_reason_or_a_plan_that_was_shown(ann: Client) -> None:
    page = apply(ann, token_in(preview(ann, mode="to-earliest")), reason="  ", mode="to-earliest")
    assert "Not reset: say why." in page
    page = apply(ann, "made-up", mode="to-earliest")
    assert "Not reset: This is no plan token of this installation." in page
    assert committed() == [2, 2]


def test_an_outdated_plan_moves_nothing_and_shows_the_new_one_with_the_changes_marked(ann: Client) -> None:
    shown = token_in(preview(ann, mode="to-earliest"))
    services.reset_offsets("billing", "to-offset", 4, topics={"orders": [1]}, actor="bob", reason="first")
    page = apply(ann, shown, reason="second", mode="to-earliest")
    assert "Not reset: The plan is out of date: another reset moved orders-1 meanwhile." in page
    assert "The new preview is below, with what has changed marked." in page
    assert page.count("changed since the preview") == 1
    assert 'name="reason" value="second"' in page
    assert (committed(), button(page)) == ([2, 4], "Reset: 6 again")
    apply(ann, token_in(page), mode="to-earliest")
    assert committed() == [0, 0]


def test_commits_meanwhile_are_no_reason_to_refuse(ann: Client) -> None:
    shown = token_in(preview(ann, mode="to-earliest"))
    assignment = services.acquire_partition("billing", "orders", 0, member="a")
    assert assignment
    services.commit_offset(assignment, 5)
    page = apply(ann, shown, mode="to-earliest")
    assert "billing was reset" in page
    assert ">5</td>" in page


def test_a_plan_of_another_group_is_not_executed_here(ann: Client) -> None:
    services.create_group("other", owner="billing", topics=["orders"])
    token = token_in(opened(ann, "/groups/other/reset/", mode="to-latest"))
    answer = ann.post("/groups/billing/reset/?mode=to-latest", {"token": token, "reason": "x"})
    assert answer.status_code == 404
    assert selectors.find_resets("other") == []


def test_a_reset_is_put_back_with_a_preview_of_its_own(ann: Client) -> None:
    reset = services.reset_offsets("billing", "to-earliest", actor="bob", reason="by mistake")
    assert f'href="/groups/billing/resets/{reset["id"]}/undo/"' in opened(ann)
    address = f"/groups/billing/resets/{reset['id']}/undo/"
    page = opened(ann, address)
    assert "Put billing back where it was" in page
    assert "by mistake" in page
    assert button(page) == "Reset: 4 skipped"
    assert committed() == [0, 0]
    apply(ann, token_in(page), address=address)
    assert committed() == [2, 2]
    assert "put back by reset" in opened(ann)


def test_older_resets_have_pages_of_their_own_that_stand_still(ann: Client) -> None:
    first, second = (services.reset_offsets("billing", "to-earliest", actor="bob")["id"] for _ in range(2))
    assert "Older resets" not in opened(ann)
    page = opened(ann, before=second)
    assert f"/resets/{first}/undo/" in page
    assert f"/resets/{second}/undo/" not in page
    assert 'data-part="resets:' not in page
    assert "No older reset" in opened(ann, before=first)
    assert f"/resets/{second}/undo/" in opened(ann, before="x" * 30)


def test_only_resets_of_this_group_are_put_back(ann: Client) -> None:
    services.create_group("other", owner="billing", topics=["orders"])
    reset = services.reset_offsets("other", "to-latest", actor="bob")
    assert ann.get(f"/groups/billing/resets/{reset['id']}/undo/").status_code == 404


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
