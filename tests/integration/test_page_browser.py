"""The page in a real browser: filter, open a host, dark mode, a thousand hosts, hostile names and evidence."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from unit import fleets

from integration.desk import until
from integration.pages import Show, counted, fleet, shown

#: From a key that is pressed to the rows that are painted: a figure for docs/reports.md, printed and not asserted.
FILTER = """
const done = arguments[1], field = document.getElementById('q'), began = performance.now();
field.value = arguments[0];
field.dispatchEvent(new Event('input', {bubbles: true}));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0));
"""

#: The rows that are shown when the last of some texts has been typed, and before the page gets another turn.
TYPED = """
const field = document.getElementById('q');
for (const text of arguments[0]) {
  field.value = text;
  field.dispatchEvent(new Event('input', {bubbles: true}));
}
return [...document.querySelectorAll('#table tbody tr')].filter(each => !each.hidden)
  .map(each => each.querySelector('th').textContent);
"""


def test_the_filter_takes_text_status_verdict_and_group_and_says_how_many_fit(
    browser: webdriver.Chrome, show: Show
) -> None:
    show(fleet())
    assert counted(browser) == "6 of 6 rows"
    browser.find_element(By.TAG_NAME, "body").send_keys("/")
    browser.switch_to.active_element.send_keys("eta not_listening")
    assert shown(browser) == ["beta"] and counted(browser) == "1 of 6 rows"
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: len(shown(browser)) == 6)
    for name, choice, hosts in (
        ("status", "not healthy", ["omega", "beta", "delta"]),
        ("verdict", "gateway_starting", ["delta"]),
        ("group", "tokyo", ["omega"]),
    ):
        select = browser.find_element(By.ID, name)
        select.find_element(By.XPATH, f"option[.='{choice}']").click()
        assert shown(browser) == hosts, name
        select.find_element(By.XPATH, "option[.='all']").click()
    tile = browser.find_element(By.CSS_SELECTOR, "button.t-unhealthy")
    tile.click()
    assert shown(browser) == ["beta"] and tile.get_attribute("aria-pressed") == "true"
    sections = browser.find_elements(By.CSS_SELECTOR, "details.host")
    assert [each.get_attribute("id") for each in sections if each.is_displayed()] == ["host-beta"]
    browser.find_element(By.ID, "q").send_keys("nobody")
    assert browser.find_element(By.ID, "nothing").is_displayed()


def test_a_host_is_opened_by_its_link_also_from_the_keyboard_and_when_it_is_filtered_out(
    browser: webdriver.Chrome, show: Show
) -> None:
    address = show(fleet())
    browser.find_element(By.LINK_TEXT, "beta").send_keys(Keys.ENTER)
    section = browser.find_element(By.ID, "host-beta")
    until(lambda: section.get_attribute("open"))
    assert "not_listening" in section.text and "restart live by unit" in section.text
    assert browser.switch_to.active_element.tag_name == "summary"
    browser.find_element(By.ID, "q").send_keys("alpha")
    assert not section.is_displayed()
    browser.get(address + "#host-omega")
    until(lambda: browser.find_element(By.ID, "host-omega").get_attribute("open"))


def test_dark_mode_follows_the_system_until_somebody_chooses(browser: webdriver.Chrome, show: Show) -> None:
    def paper() -> str:
        return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))

    show(fleet())
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    )
    light = paper()
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    dark = paper()
    assert light == "rgb(246, 246, 244)" and dark == "rgb(20, 23, 26)"
    button = browser.find_element(By.ID, "theme")
    until(lambda: button.get_attribute("aria-label") == "Show in light colours")
    button.click()
    assert paper() == light and button.text == "Dark"
    button.click()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_of_a_thousand_hosts_a_key_brings_back_a_portion_at_once_and_all_of_them_soon(
    browser: webdriver.Chrome, show: Show
) -> None:
    show(fleets.some(1000))
    everything = shown(browser)
    assert len(set(everything)) == 1000
    at_once = browser.execute_script(TYPED, ["nobody", ""])
    assert 0 < len(at_once) < 200 and at_once == everything[: len(at_once)]
    until(lambda: shown(browser) == everything)
    times = [browser.execute_async_script(FILTER, text) for text in ("desk00", "desk0012", "", "not_listening", "")]
    ready = browser.execute_script("return performance.getEntriesByType('navigation')[0].domInteractive")
    print("ready after %.0f ms, filtered in %s ms" % (ready, ", ".join("%.0f" % each for each in times)))


def test_what_a_filter_asks_for_is_there_at_once_also_while_an_earlier_one_still_brings_rows_back(
    browser: webdriver.Chrome, show: Show
) -> None:
    show(fleets.some(1000))
    everything = len(shown(browser))
    # In one turn of the page's loop: nothing that waits for a timer gets its turn in between.
    for texts in (["nobody", "", "desk0999"], ["nobody", "", "desk0", "desk0999"], ["desk0999", "", "desk0999"]):
        assert browser.execute_script(TYPED, texts) == ["desk0999.example.com"], texts
    browser.execute_script(TYPED, [""])
    until(lambda: len(shown(browser)) == everything)


def test_hostile_names_and_evidence_are_text_and_nothing_is_fetched_or_run(
    browser: webdriver.Chrome, show: Show
) -> None:
    document = fleets.hostile()
    show(document)
    assert browser.execute_script("return window.hacked === undefined && document.images.length === 0")
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    for section in browser.find_elements(By.CSS_SELECTOR, "details.host"):
        browser.execute_script("arguments[0].open = true", section)
    assert browser.execute_script("return window.hacked") is None
    log: Callable[[str], list[dict[str, str]]] = browser.get_log
    rows = len(browser.find_elements(By.CSS_SELECTOR, "#table tbody tr"))
    assert rows == len(document["hosts"]) == len(browser.find_elements(By.CSS_SELECTOR, "details.host"))
    assert not [each for each in log("browser") if "Content Security Policy" in each["message"]]


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: webdriver.Chrome, show: Show) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        long = {**fleet(), "audit": fleets.audit(3, file="/srv/" + "deep/" * 40 + "bot.py", snippet="x" * 160)}
        for document in (fleet(), fleets.hostile(), long, {**fleets.document(kind="audit"), "audit": long["audit"]}):
            show(document)
            browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_is_whole_without_a_script(browser: webdriver.Chrome, show: Show) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(fleet())
        assert not browser.find_element(By.CSS_SELECTOR, "form.filter").is_displayed()
        assert "not_listening" in browser.find_element(By.ID, "host-beta").text
        section = browser.find_element(By.ID, "host-alpha")
        assert "What was found" not in section.text
        section.find_element(By.TAG_NAME, "summary").click()
        assert "What was found" in section.text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_every_control_is_reached_by_tab_and_its_focus_is_seen(browser: webdriver.Chrome, show: Show) -> None:
    show(fleet())
    reached = []
    for _ in range(20):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        now = browser.switch_to.active_element
        reached.append(now.get_attribute("id") or now.get_attribute("value") or now.text or now.tag_name)
        assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {"theme", "unhealthy", "q", "status", "verdict", "group", "Host"} <= set(reached), reached


def test_an_address_with_any_fragment_breaks_nothing(browser: webdriver.Chrome, show: Show) -> None:
    address = show(fleet())
    for fragment in ("%", "__proto__", "host-none", urllib.parse.quote("<b>")):
        browser.get("about:blank")
        browser.get(f"{address}#{fragment}")
        assert counted(browser) == "6 of 6 rows"
