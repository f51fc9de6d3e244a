"""The pages in a real browser, on a real house: they move without a reload, and survive the web process."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import MARKS, is_live, log_in, run
from tests.house import House
from tests.waiting import wait_until

HOUSE_ENVIRONMENT = {"MQSITE_OPEN_OVERVIEW": "1"}

pytestmark = [*MARKS, pytest.mark.usefixtures("admin")]

CREATE = """
import logs.services as l, queues.services as q
l.create_topic("orders", owner="shop", partitions=2)
l.create_group("billing", owner="accounts", topics=["orders"])
q.create_queue("mail", owner="post")
"""
PUBLISH_TEN = """
import logs.services as l
for n in range(10):
    l.publish("orders", {"n": n}, key="secret key", partition=0, boundary="shop")
"""
COMMIT_FIVE = """
import logs.services as l
held = l.acquire_partition("billing", "orders", 0, member="tester")
l.commit_offset(held, 5)
l.release_partition(held)
"""
SEND = """
import queues.services as q
q.send("mail", {"to": "someone"}, group_key="secret key", sender="shop")
"""
RECEIVE = """
import queues.services as q
q.receive("mail", holder="tester", boundary="post")
"""
ACK = """
import queues.services as q
from queues.models import Lease
lease = Lease.objects.get()
q.ack(lease.id, lease.message_ids, queue="mail")
"""
LIVE_FOR_A_MOMENT = """
import queues.services as q
id_ = q.send("mail", {}, group_key="brief", sender="shop")
lease = q.receive("mail", holder="tester", boundary="post")
q.ack(lease.token, [m.id for m in lease.messages], queue="mail")
"""
REJECT_ONE = """
import queues.services as q
q.send("mail", {}, group_key="secret key", sender="shop")
lease = q.receive("mail", holder="tester", boundary="post")
q.reject(lease.token, [m.id for m in lease.messages], queue="mail", error="secret error")
"""
PAGES = (
    *("/", "/topics/", "/topics/orders/", "/topics/orders/?window=whole"),
    *("/groups/", "/groups/billing/", "/queues/", "/queues/mail/", "/periodic/"),
)
NOTE_WHERE_BRIEF_IS = """() => {
  window.seen = [];
  new MutationObserver(() => {
    for (const card of document.querySelectorAll('.card')) {
      const lane = card.closest('.lane')?.dataset.lane ?? 'leaving';
      if (card.textContent.startsWith('brief') && window.seen.at(-1) !== lane) window.seen.push(lane);
    }
  }).observe(document.body, { childList: true, subtree: true });
}"""


@pytest.fixture(scope="module")
def admin(house: House) -> tuple[str, str]:
    run(house, CREATE)
    run(house, PUBLISH_TEN)
    return house.create_admin()


@pytest.fixture
def page(house: House, anonymous: Page, admin: tuple[str, str]) -> Page:
    """Of somebody who is logged in, on the overview, with its socket open."""
    log_in(house, anonymous, admin)
    is_live(anonymous)
    anonymous.evaluate("window.neverReloaded = true")
    return anonymous


def was_not_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.neverReloaded === true"))


# What moves


def test_a_marker_moves_when_its_group_commits(house: House, page: Page, complaints: list[str]) -> None:
    row = page.locator('[data-part="topic:orders"] [data-p="0"]')
    expect(row.locator("[data-t=end]")).to_have_text("10")
    mark = row.locator('.mk[data-m="billing"]')
    was = mark.get_attribute("x")
    run(house, COMMIT_FIVE)
    expect(mark).not_to_have_attribute("x", str(was))
    expect(mark).to_have_attribute("x", "50.00%")
    expect(row.locator('[data-g="billing"] [data-t=behind]')).to_have_text("5 behind")
    assert was_not_reloaded(page)
    assert complaints == []


def test_a_card_goes_from_lane_to_lane_and_vanishes_when_acked(house: House, page: Page, complaints: list[str]) -> None:
    queue = page.locator('[data-part="queue:mail"]')
    run(house, SEND)
    ready = queue.locator("[data-lane=ready] .card")
    expect(ready).to_contain_text("secret key")
    number = ready.get_attribute("data-id")
    run(house, RECEIVE)
    expect(queue.locator(f'[data-lane=leased] .card[data-id="{number}"]')).to_contain_text("tester")
    gone = int(queue.locator("[data-gone]").inner_text())
    run(house, ACK)
    expect(queue.locator(f'.card[data-id="{number}"]')).to_have_count(0)
    expect(queue.locator("[data-gone]")).to_have_text(str(gone + 1))
    assert was_not_reloaded(page)
    assert complaints == []


def test_a_message_that_lives_for_milliseconds_is_seen_leaving(house: House, page: Page) -> None:
    queue = page.locator('[data-part="queue:mail"]')
    page.evaluate(NOTE_WHERE_BRIEF_IS)
    run(house, LIVE_FOR_A_MOMENT)
    expect(queue.locator("[data-slot]")).to_have_text("brief acked")
    assert page.evaluate("window.seen") == ["ready", "leased", "leaving"]
    expect(queue.locator(".card", has_text="brief")).to_have_count(0)


def test_a_new_topic_appears_without_a_reload(house: House, page: Page) -> None:
    run(house, "import logs.services as l; l.create_topic('payments', owner='accounts', partitions=1)")
    expect(page.locator('[data-part="topic:payments"]')).to_be_visible()
    assert was_not_reloaded(page)


def test_held_still_nothing_moves_until_it_is_let_go(house: House, page: Page) -> None:
    queue = page.locator('[data-part="queue:mail"]')
    page.click("#hold")
    expect(page.locator("#live")).to_contain_text("Held still by you")
    run(house, SEND)
    expect(page.locator("#live")).to_have_text(re.compile(r"[1-9]\d* updates waiting"))
    assert queue.locator("[data-lane=ready] .card").count() == 0
    page.click("#hold")
    expect(queue.locator("[data-lane=ready] .card")).to_have_count(1)
    run(house, RECEIVE + ACK)


def test_the_page_survives_a_restart_of_the_web_process(house: House, page: Page) -> None:
    end = page.locator('[data-part="topic:orders"] [data-p="0"] [data-t=end]')
    published = int(end.inner_text())
    house.stop_web()
    expect(page.locator("#live")).to_contain_text("Reconnecting; as of ")
    expect(end).to_have_text(str(published))  # the content stays
    run(house, PUBLISH_TEN)
    house.start_web()
    is_live(page)
    expect(end).to_have_text(str(published + 10))
    assert was_not_reloaded(page)


def test_the_page_of_a_topic_shows_what_is_published_now(house: House, page: Page) -> None:
    page.goto(house.url("/topics/orders/"))
    is_live(page)
    newest = page.locator("table.rec tbody tr").first.locator("td").nth(2)
    before = int(newest.inner_text())
    run(house, PUBLISH_TEN)
    expect(newest).to_have_text(str(before + 10))


def test_a_topic_is_altered_and_its_records_are_deleted_by_hand(
    house: House, page: Page, complaints: list[str]
) -> None:
    run(house, "import logs.services as l; l.create_topic('drafts', owner='shop', partitions=2)")
    run(house, "import logs.services as l; [l.publish('drafts', n, partition=0, boundary='shop') for n in range(7)]")
    page.goto(house.url("/topics/drafts/"))
    expect(page.locator("main .meta").first).to_contain_text("7 records7 B2 partitionskeeps 7 days")  # dots are CSS
    page.click("text=Settings")
    page.fill("#id_retention_bytes", "1200000000")
    page.fill("#id_reason", "the disk is small")
    page.click("[name=_continue]")
    expect(page.locator(".field-keeps")).to_contain_text("7 days, at most 1.2 GB a partition")
    page.click("text=Delete records…")
    page.fill("#id_reason", "drafts")
    page.click("text=See what would go")
    page.click("text=Delete 7 records")
    expect(page.locator(".field-holds")).to_contain_text("0 records in 2 partitions, 0 B")
    page.goto(house.url("/topics/"))
    row = page.locator("tr", has_text="drafts")
    expect(row.locator("[data-l=keeps]")).to_have_text("7 days, at most 1.2 GB a partition")
    expect(row.locator("[data-l=size]")).to_have_text("0 B")
    assert complaints == []


# Who sees what


def test_without_a_login_no_key_and_no_error_leaves_the_server(
    house: House, anonymous: Page, complaints: list[str]
) -> None:
    run(house, REJECT_ONE)
    heard: list[str] = []
    anonymous.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    anonymous.goto(house.url("/"))
    is_live(anonymous)
    html = anonymous.content()
    dead = anonymous.locator('[data-part="queue:mail"] [data-lane=dead] [data-count]')
    before = int(dead.inner_text())
    run(house, REJECT_ONE)
    expect(dead).to_have_text(str(before + 1))
    assert "orders" in html
    assert "secret" not in html + anonymous.content() + "".join(heard)
    assert complaints == []


@pytest.mark.parametrize("address", PAGES[1:])
def test_every_other_page_asks_for_a_login(house: House, anonymous: Page, address: str) -> None:
    anonymous.goto(house.url(address))
    expect(anonymous).to_have_title("Log in · mqsite")


# What every page keeps


@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_overflows_violates_the_csp_or_logs_an_error(
    house: House, page: Page, complaints: list[str], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for address in PAGES:
        page.goto(house.url(address))
        if page.locator("body").get_attribute("data-live"):
            is_live(page)
        wide = wait_until(lambda: page.evaluate("document.documentElement.scrollWidth"))
        assert wide <= width, f"{address} is {wide} px wide"
    assert complaints == []


def test_what_an_empty_partition_says_stays_on_its_strip(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 844})  # two columns, as narrow as they get
    note = page.locator('[data-part="topic:orders"] [data-p="1"] .s-note').bounding_box()
    strip = page.locator('[data-part="topic:orders"] [data-p="1"] .strip').bounding_box()
    assert note
    assert strip
    assert note["x"] + note["width"] <= strip["x"] + strip["width"]


def test_without_script_the_overview_shows_the_same_places(house: House, browser: Browser, page: Page) -> None:
    with_script = page.locator('[data-part="topic:orders"] [data-p="0"] .mk').get_attribute("x")
    context = browser.new_context(java_script_enabled=False)
    try:
        plain = context.new_page()
        plain.goto(house.url("/"))
        assert plain.locator('[data-part="topic:orders"] [data-p="0"] .mk').get_attribute("x") == with_script
        expect(plain.locator("#live")).to_contain_text("As of ")
    finally:
        context.close()
