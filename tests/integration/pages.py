"""What the tests of the page in a browser share: the browser, a page in it, and what can be read off it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.render.page import page
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from unit import fleets
from unit.fleet.test_report_page import past

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --window-size=1360,1000"
)
Show = Callable[[dict[str, Any]], str]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own; the system's, for the tests install nothing."""
    chromium, driver = shutil.which("chromium") or "", shutil.which("chromedriver") or ""
    if not (chromium and driver):
        reason = "chromium and chromedriver are not installed (Debian: chromium, chromium-driver)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS.split(), "--user-data-dir=%s" % tmp_path_factory.mktemp("profile")):
        options.add_argument(flag)
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        found.set_page_load_timeout(60)
        yield found
    finally:
        found.quit()


@pytest.fixture
def show(browser: webdriver.Chrome, tmp_path: Path) -> Show:
    """Opens the page of a document, with a past; gives back its address."""

    def opened(document: dict[str, Any]) -> str:
        path = tmp_path / "index.html"
        path.write_text(page(document, past(document)), encoding="utf-8")
        browser.get("about:blank")
        browser.get(path.as_uri())
        return path.as_uri()

    return opened


def shown(browser: webdriver.Chrome) -> list[str]:
    """The hosts whose rows are shown."""
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')].filter(each => each.offsetParent)"
        ".map(each => each.querySelector('th').textContent)"
    )
    return found


def counted(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "count").text


def fleet() -> dict[str, Any]:
    looks = {"alpha": "good", "beta": "not_listening: restart", "gamma": "two", "delta": "gateway_starting: wait"}
    hosts = [fleets.host(name, fleets.looks()[look], groups=("london",)) for name, look in looks.items()]
    return fleets.document(*hosts, fleets.host("omega", fleets.UNREACHABLE, groups=("tokyo",)))


def cells(browser: webdriver.Chrome, table: str, column: int) -> list[str]:
    """The texts of a column, row by row, as they are shown."""
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#' + arguments[0] + ' tbody tr')].filter(each => each.offsetParent)"
        ".map(each => each.children[arguments[1]].textContent.trim())",
        table,
        column,
    )
    return found
