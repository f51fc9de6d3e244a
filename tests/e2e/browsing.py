"""What tests in a browser share beside their fixtures."""

import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from tests.house import House

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MS = 20_000
MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: NO PAGE WAS TESTED IN A BROWSER"),
    pytest.mark.timeout(240),
]
expect.set_options(timeout=WAIT_MS)


def run(house: House, code: str) -> None:
    house.manage("shell", "--verbosity", "0", "-c", code)


def log_in(house: House, page: Page, admin: tuple[str, str]) -> None:
    user, password = admin
    page.goto(house.url("/login/"))
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    page.press("#id_password", "Enter")
    expect(page).to_have_title(re.compile("Overview"))


def is_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
