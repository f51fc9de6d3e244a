"""A group is reset, put back, paused and resumed in a real browser while it is shown live."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import MARKS, WAIT_MS, is_live, log_in, run
from tests.house import House

pytestmark = [*MARKS, pytest.mark.usefixtures("admin")]

CREATE = """
import logs.services as l
l.create_topic("orders", owner="shop", partitions=2)
l.create_group("billing", owner="accounts", topics=["orders"])
for n in range(10):
    l.publish("orders", {"n": n}, partition=n % 2, boundary="shop")
for number in (0, 1):
    held = l.acquire_partition("billing", "orders", number, member="tester")
    l.commit_offset(held, 3)
    l.release_partition(held)
"""
RESET_ELSEWHERE = """
import logs.services as l
l.reset_offsets("billing", "to-offset", 2, topics={"orders": [1]}, actor="somebody", reason="first")
"""
JOIN = """
import logs.services as l
l.sync_member(l.join_group("billing", boundary="accounts", instance="till-1", client="host:1", session_seconds=600))
"""
PARK = """
import logs.services as l
held = l.acquire_partition("billing", "orders", 0, member="tester")
(record,) = l.fetch("orders", 0, 0, max_records=1)
l.park(held, record, reason="rejected", error="app.Refused: no credit", attempts=1)
l.release_partition(held)
"""


@pytest.fixture(scope="module")
def admin(house: House) -> tuple[str, str]:
    run(house, CREATE)
    return house.create_admin()


@pytest.fixture
def page(house: House, anonymous: Page, admin: tuple[str, str]) -> Page:
    """Of an operator, on the page of the group, with its socket open."""
    log_in(house, anonymous, admin)
    anonymous.goto(house.url("/groups/billing/"))
    is_live(anonymous)
    return anonymous


def behind(page: Page, partition: int) -> str:
    return page.locator(f'[data-p="{partition}"] [data-t=behind]').inner_text()


def test_a_group_is_reset_and_put_back(house: House, page: Page, complaints: list[str]) -> None:
    page.click("text=Reset offsets…")
    page.check("text=To the log start")  # the preview comes by itself
    expect(page.locator(".sumline")).to_have_text("billing would read 6 records again. No other group is touched.")
    page.fill("[name=reason]", "a bug in the handler")
    page.click(".pick summary")
    page.check('[value="orders:1"]')
    button = page.locator("#apply button")
    expect(button).to_have_text("Reset: 3 again")
    assert page.input_value("[name=reason]") == "a bug in the handler"
    assert page.url.endswith("/groups/billing/reset/?mode=to-earliest&at=orders%3A1")
    page.uncheck('[value="orders:1"]')
    expect(button).to_have_text("Reset: 6 again")
    expect(button).to_be_enabled()
    button.click()
    expect(page.locator("h1")).to_have_text("billing was reset to the log start")
    expect(page.locator("h1")).to_be_focused()
    page.click("text=Watch it catch up")
    is_live(page)
    assert [behind(page, number) for number in (0, 1)] == ["5 behind", "5 behind"]
    expect(page.locator("#resets")).to_contain_text("a bug in the handler")
    page.click("text=Put it back…")
    expect(page.locator("#apply button")).to_have_text("Reset: 6 skipped")
    page.fill("[name=reason]", "by mistake")
    page.click("#apply button")
    page.click("text=Watch it catch up")
    assert [behind(page, number) for number in (0, 1)] == ["2 behind", "2 behind"]
    expect(page.locator("#resets")).to_contain_text("put back by reset")
    assert complaints == []


def test_what_was_overtaken_is_shown_anew_and_the_group_page_hears_of_it(house: House, page: Page) -> None:
    other = page.context.new_page()
    other.goto(house.url("/groups/billing/reset/?mode=to-earliest"))
    run(house, RESET_ELSEWHERE)
    expect(page.locator("#resets")).to_contain_text("first")  # without a reload
    other.fill("[name=reason]", "second")
    other.click("#apply button")
    expect(other.locator("[role=alert]")).to_contain_text("Not reset: The plan is out of date: another reset moved")
    expect(other.locator("tr.open")).to_have_count(1)
    assert other.input_value("[name=reason]") == "second"


def test_a_group_is_paused_and_resumed_and_says_so_live(
    house: House, page: Page, browser: Browser, admin: tuple[str, str], complaints: list[str]
) -> None:
    page.locator(".head >> text=Pause…").click()
    page.fill("[name=reason]", "a look at the handler")
    page.click("button:has-text('Pause')")
    is_live(page)
    note = page.locator('[data-part="pauses:billing"] .note')
    expect(note).to_contain_text("billing is paused.")
    expect(note).to_contain_text("a look at the handler")
    expect(page.locator("h1")).to_have_text("billing is paused")
    expect(page.locator('[data-p="0"] .mk .hd')).to_have_attribute("href", "#hp")
    elsewhere = page.context.new_page()
    elsewhere.goto(house.url("/groups/billing/"))
    elsewhere.click("button:has-text('Resume')")
    expect(note).to_have_count(0)
    expect(page.locator('[data-p="0"] .mk .hd')).to_have_attribute("href", "#h1")
    assert complaints == []


def test_a_member_appears_without_a_reload(house: House, page: Page) -> None:
    expect(page.locator("#members")).to_contain_text("No members: nothing reads")
    run(house, JOIN)
    row = page.locator("#members tbody tr")
    expect(row).to_contain_text("till-1")
    expect(row).to_contain_text("orders 0, 1")
    expect(page.locator("#members [data-follow=state]")).to_have_text("Stable: everybody has what is theirs.")


def test_without_script_a_reset_is_previewed_and_applied(
    house: House, browser: Browser, admin: tuple[str, str]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(WAIT_MS)
    try:
        plain = context.new_page()
        log_in(house, plain, admin)
        plain.goto(house.url("/groups/billing/reset/"))
        plain.check("text=To an offset")
        plain.fill("[name=offset]", "4")
        plain.click("text=Show what would change")
        plain.fill("[name=reason]", "without script")
        plain.click("#apply button")
        expect(plain.locator("h1")).to_have_text("billing was reset to offset 4")
    finally:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_of_a_group_overflows(house: House, page: Page, complaints: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    done = page.locator("#resets a").first.get_attribute("href")
    assert done
    modes = ["", "?mode=to-latest", "?mode=shift-by&shift=1", "?mode=from-file&file=orders,0,1"]
    addresses = ["", "pause/", *(f"reset/{mode}" for mode in modes)]
    for address in [*(f"/groups/billing/{each}" for each in addresses), done, "/groups/"]:
        page.goto(house.url(address))
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{address} is {wide} px wide"
    assert complaints == []


def test_what_is_parked_shows_live_and_is_dropped_from_its_page(
    house: House, page: Page, complaints: list[str]
) -> None:
    run(house, PARK)
    expect(page.locator("h1")).to_contain_text("1 record parked")
    expect(page.locator("#parked tbody")).to_contain_text("app.Refused: no credit")
    page.click("#parked td a")
    page.click("summary >> text=Value, headers and error")
    expect(page.get_by_label("Value of orders-0@0")).to_have_text('{"n":0}')
    page.check("[name=id]")
    page.click("text=Drop chosen…")
    page.fill("[name=reason]", "a test order")
    page.click("text=Drop 1 record")
    expect(page.locator("h1")).to_have_text("billing has nothing parked")
    page.click(".side >> text=Workers")
    is_live(page)
    expect(page.locator("#processes tbody tr").first).to_contain_text("s ago")
    assert complaints == []
