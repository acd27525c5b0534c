"""The first screen in a real browser: the summary, what is wrong, and the next command to copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.document.fleet_document import with_next
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from unit import fleets

from integration.desk import until
from integration.pages import Show, fleet, shown

#: Words of names that lie on more than one line.
BROKEN = """
const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode;
  if (!node.parentElement.offsetParent) continue;
  for (const word of node.textContent.matchAll(/execution|reconciliation|london|example/g)) {
    const range = document.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    if (range.getClientRects().length > 1) found.push(word[0]);
  }
}
return found;
"""
#: What of the table and its bars is cut off at the right.
CUT = """
const room = document.querySelector('#table').closest('.scroll').getBoundingClientRect().right;
return [...document.querySelectorAll('#table .strip, #table td')].filter(each => each.offsetWidth !== 0)
  .filter(each => each.getBoundingClientRect().right > room + 1).length;
"""
SCREENS = [(1200, 900), (800, 900), (390, 844)]


@contextmanager
def screen(browser: webdriver.Chrome, width: int, height: int) -> Iterator[None]:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def copied(browser: webdriver.Chrome, number: int) -> bool:
    return browser.find_elements(By.CSS_SELECTOR, ".command .copy")[number].text == "Copied"


def told(document: dict[str, Any]) -> dict[str, Any]:
    return with_next(document, "-i inventory/hosts.yml --become")


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_of_a_thousand_hosts_the_first_screen_shows_the_summary_and_what_is_wrong_first(
    browser: webdriver.Chrome, show: Show, width: int, height: int
) -> None:
    with screen(browser, width, height):
        show(told(fleets.some(1000)))
        for selector in ("#h-summary", "button.tile.t-healthy", ".problems li"):
            bottom = browser.execute_script(
                "return document.querySelector(arguments[0]).getBoundingClientRect().bottom", selector
            )
            assert 0 < bottom <= height, selector
        assert browser.find_element(By.ID, "h-summary").text.startswith("1")


@pytest.mark.parametrize(("width", "height"), [*SCREENS, (1360, 1000), (1680, 1000)])
def test_no_name_breaks_inside_a_word_and_no_bar_is_cut_off(
    browser: webdriver.Chrome, show: Show, width: int, height: int
) -> None:
    broken = fleets.looks()["not_listening: restart"]
    hosts = [
        fleets.host(name, broken) for name in ("execution.london.example.com", "reconciliation.london.example.com")
    ]
    with screen(browser, width, height):
        show(told(fleets.document(*hosts, fleets.host("ny4", fleets.looks()["good"]))))
        assert browser.execute_script(BROKEN) == []
        assert browser.execute_script(CUT) == 0
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "plain HTTP"])
def test_the_next_command_is_copied_from_the_keyboard(browser: webdriver.Chrome, show: Show, clipboard: bool) -> None:
    document = told(fleet())
    show(document)
    if not clipboard:
        browser.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    assert len(document["next"]) > 1
    for number, each in enumerate(document["next"]):
        browser.find_elements(By.CSS_SELECTOR, ".command .copy")[number].send_keys(Keys.ENTER)
        until(partial(copied, browser, number))
        field = browser.find_element(By.ID, "q")
        field.clear()
        field.send_keys(Keys.CONTROL, "v")
        assert field.get_attribute("value") == each["command"]


def test_how_many_more_is_a_button_that_shows_them_in_the_table(browser: webdriver.Chrome, show: Show) -> None:
    down, good = fleets.looks()["not_listening: restart"], fleets.looks()["good"]
    names = ["a", "b", "c", "d", "e"]
    show(fleets.document(*(fleets.host(name, down) for name in names), fleets.host("well", good)))
    more = browser.find_element(By.CSS_SELECTOR, "button.more")
    assert more.text == "2 more"
    more.send_keys(Keys.ENTER)
    assert shown(browser) == names and browser.switch_to.active_element.get_attribute("id") == "gateways"


def test_unhealthy_hosts_are_open_from_the_start(browser: webdriver.Chrome, show: Show) -> None:
    show(fleet())
    opened = [each.get_attribute("id") for each in browser.find_elements(By.CSS_SELECTOR, "details.host[open]")]
    assert opened == ["host-omega", "host-beta", "host-delta"]
