"""Resets on the pages of a group: previewed, applied as they were shown, kept, and put back."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from logs import selectors, services
from logs.services import NewRecord
from mqsite.models import AuditEntry
from tests.logs.group_page import SCRIPT, apply, become_operator, button, committed, opened, preview, token_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(client: Client) -> Client:
    return become_operator(client)


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
