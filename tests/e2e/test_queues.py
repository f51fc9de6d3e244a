"""A queue is watched, paused, purged and redriven in a real browser while it is shown live."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import MARKS, WAIT_MS, is_live, log_in, run
from tests.house import House

pytestmark = [*MARKS, pytest.mark.usefixtures("admin")]

CREATE = """
import queues.services as q
q.create_queue("bookings", owner="sales", lease_seconds=600, outcome_seconds=3600)
q.create_queue("drafts", owner="sales")
q.create_queue("ledger", owner="sales", is_ordered=True)
q.send_many("drafts", [q.NewMessage({"seat": n}, group_key=f"LH{n}") for n in range(4)], sender="web")
lease = q.receive("drafts", holder="till-1", boundary="sales", max_messages=1)
q.reject(lease.token, [lease.messages[0].id], queue="drafts", error="no seat " * 100)
q.send_many("ledger", [q.NewMessage(n, group_key="acc") for n in range(3)], sender="web")
"""
SEND = """
import queues.services as q
q.send_many("bookings", [q.NewMessage({"seat": n}, group_key=f"LH{n}") for n in range(3)], sender="web")
"""
REJECT_FIRST = """
import queues.services as q
lease = q.receive("bookings", holder="till-1", boundary="sales", max_messages=1)
q.reject(lease.token, [lease.messages[0].id], queue="bookings", error="Traceback\\nRefused: no seat")
"""
RECEIVE = """
import queues.services as q
q.receive("bookings", holder="till-1", boundary="sales", max_messages=3)
"""
ACK = """
import queues.services as q
from queues.models import Lease
lease = Lease.objects.get()
q.ack(lease.id, lease.message_ids, queue="bookings")
"""
RECEIVE_AND_ACK_ORDERED = """
import queues.services as q
lease = q.receive("ledger", holder="till-1", boundary="sales", max_messages=3)
q.ack(lease.token, [m.id for m in lease.messages], queue="ledger")
"""


@pytest.fixture(scope="module")
def admin(house: House) -> tuple[str, str]:
    run(house, CREATE)
    return house.create_admin()


@pytest.fixture
def page(house: House, anonymous: Page, admin: tuple[str, str]) -> Page:
    """Of an operator, on the page of the queue, with its socket open."""
    log_in(house, anonymous, admin)
    anonymous.goto(house.url("/queues/bookings/"))
    is_live(anonymous)
    anonymous.evaluate("window.neverReloaded = true")
    return anonymous


def test_a_queue_is_paused_a_letter_redriven_and_what_is_acked_vanishes(
    house: House, page: Page, complaints: list[str]
) -> None:
    ready, dead = page.locator("[data-lane=ready] [data-count]"), page.locator("#dead tbody tr")
    run(house, SEND)
    expect(ready).to_have_text("3")
    elsewhere = page.context.new_page()
    elsewhere.goto(house.url("/queues/bookings/"))
    elsewhere.click("text=Pause…")
    elsewhere.fill("[name=reason]", "partner is down")
    elsewhere.press("[name=reason]", "Enter")
    note = page.locator('[data-part="pauses:bookings"] .note')
    expect(note).to_contain_text("partner is down")  # without a reload
    elsewhere.click("button:has-text('Resume')")
    expect(note).to_have_count(0)

    run(house, REJECT_FIRST)
    expect(dead).to_have_count(1)
    expect(dead).to_contain_text("Refused: no seat")
    expect(dead.locator("a").last).to_have_accessible_name(re.compile(r"^Redrive \d+$"))
    assert page.evaluate("window.neverReloaded") is True
    number = dead.locator("a").first.inner_text()
    expect(page.locator("[data-lane=dead] .card a")).to_have_attribute("href", f"/queues/bookings/messages/{number}/")
    dead.locator("a").first.click()  # a row that the script made leads to its message
    expect(page.locator("#error")).to_contain_text("Traceback")
    page.click("text=Redrive…")
    expect(page.locator(".sumline")).to_have_text("1 dead letter would go to the tail of the queue each died in.")
    page.fill("#apply [name=reason]", "partner is back")
    page.click("#apply button")

    is_live(page)
    expect(page.locator("[role=status]").first).to_contain_text("has begun")
    expect(page.locator("#redrives tbody tr")).to_contain_text("done at")  # by the worker's sweep
    expect(ready).to_have_text("3")
    expect(dead).to_have_count(0)

    run(house, RECEIVE)
    expect(page.locator("[data-lane=leased] .card")).to_have_count(3)
    expect(page.locator("#holders tbody tr", has_text="till-1")).to_contain_text("3 messages")
    run(house, ACK)
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("[data-gone]")).to_have_text("3")
    expect(page.locator("#outcomes tbody")).to_contain_text("acknowledged by till-1")
    page.locator("#outcomes a").first.click()
    expect(page.locator(".meta")).to_contain_text("Acknowledged by till-1")
    assert complaints == []


def test_what_waits_behind_a_head_moves_up_when_the_head_is_acked(
    house: House, page: Page, complaints: list[str]
) -> None:
    page.goto(house.url("/queues/ledger/"))
    is_live(page)
    waiting = page.locator("[data-lane=waiting] .card")
    expect(waiting).to_have_count(2)
    expect(page.locator("[data-lane=ready] .card")).to_have_count(1)
    run(house, RECEIVE_AND_ACK_ORDERED)
    expect(waiting).to_have_count(1)
    expect(page.locator("[data-gone]")).to_have_text("1")
    assert complaints == []


def test_without_script_messages_are_searched_chosen_and_purged(
    house: House, browser: Browser, admin: tuple[str, str]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(WAIT_MS)
    try:
        plain = context.new_page()
        log_in(house, plain, admin)
        plain.goto(house.url("/queues/drafts/"))
        plain.click("text=Messages >> nth=0")
        plain.fill("[name=key]", "LH1")
        plain.press("[name=key]", "Enter")
        expect(plain.locator(".pager [role=status]")).to_have_text("1 found, 3 looked at: all there are.")
        plain.check("[name=id]")
        plain.click("text=Cancel chosen…")
        plain.fill("[name=reason]", "sent twice")
        plain.click("button:has-text('Cancel 1 message')")
        expect(plain.locator("main [role=status]")).to_have_text("Cancelled 1 message of drafts.")
        plain.goto(house.url("/queues/drafts/purge/?state=ready"))
        plain.fill("[name=reason]", "a test")
        plain.click("button:has-text('Purge 2 ready messages')")
        expect(plain.locator("main [role=status]")).to_have_text("Purged 2 ready messages from drafts.")
    finally:
        context.close()


def test_no_page_of_a_queue_overflows_and_every_field_has_a_label(
    house: House, page: Page, complaints: list[str]
) -> None:
    page.goto(house.url("/queues/drafts/messages/?state=dead"))
    letter = page.locator("td a").first.get_attribute("href")
    assert letter
    verbs = ["", "messages/", "pause/", "purge/?state=all", "redrive/", "delete/"]
    for address in ["/queues/", *(f"/queues/drafts/{verb}" for verb in verbs), "/queues/ledger/", letter]:
        page.goto(house.url(address))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{address} is {wide} px wide"
        unnamed = page.evaluate(
            "[...document.querySelectorAll('main :is(input:not([type=hidden]), select)')]"
            ".filter(field => !field.labels.length && !field.ariaLabel).map(field => field.name)"
        )
        assert unnamed == [], f"on {address} fields have no label"
    assert complaints == []
