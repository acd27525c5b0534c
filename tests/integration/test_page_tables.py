"""The page's tables in a real browser: sorting, the scripts, and what keeps a repair from being made."""

from __future__ import annotations

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from unit import fleets

from integration.desk import until
from integration.pages import Show, cells, fleet, shown


def test_a_column_is_sorted_by_mouse_and_keyboard_up_down_and_back(browser: webdriver.Chrome, show: Show) -> None:
    show(fleet())
    worst_first = cells(browser, "table", 0)
    head = browser.find_element(By.CSS_SELECTOR, "#table th[data-c='0']")
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    assert cells(browser, "table", 0) == sorted(worst_first) and head.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert cells(browser, "table", 0) == sorted(worst_first, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.SPACE)
    assert cells(browser, "table", 0) == worst_first and head.get_attribute("aria-sort") is None


def test_numbers_sort_as_numbers_status_by_weight_and_empty_cells_come_last(
    browser: webdriver.Chrome, show: Show
) -> None:
    show(fleet())
    browser.find_element(By.CSS_SELECTOR, "#table th[data-c='2'] button").click()
    order = ["unreachable", "unhealthy", "degraded", "healthy", "healthy", "healthy"]
    assert cells(browser, "table", 2) == order
    browser.find_element(By.CSS_SELECTOR, "#table th[data-c='5'] button").click()
    assert cells(browser, "table", 5) == ["4001", "4001", "4001", "4001", "4002", ""]
    browser.find_element(By.CSS_SELECTOR, "#table th[data-c='5'] button").click()
    assert cells(browser, "table", 5) == ["4002", "4001", "4001", "4001", "4001", ""]
    assert len(browser.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1
    browser.find_element(By.ID, "q").send_keys("alpha")
    assert shown(browser) == ["alpha"]
    show({**fleet(), "audit": fleets.audit(1)})
    browser.find_element(By.CSS_SELECTOR, "#script-table th[data-c='2'] button").click()
    assert cells(browser, "script-table", 2) == ["3", "8", "13", "18"]


def test_the_scripts_are_filtered_by_host_severity_and_code_and_the_gateways_stay(
    browser: webdriver.Chrome, show: Show
) -> None:
    show({**fleet(), "audit": fleets.audit(4)})
    form = browser.find_element(By.CSS_SELECTOR, "form[data-for='script-table']")
    count = form.find_element(By.TAG_NAME, "output")
    assert count.text == "12 of 12 rows"
    browser.find_element(By.ID, "script-host").send_keys("desk0002")
    assert cells(browser, "script-table", 0) == ["desk0002.example.com"] * 4
    severities = cells(browser, "script-table", 4)
    browser.find_element(By.ID, "severity").find_element(By.XPATH, f"option[.='{severities[0]}']").click()
    assert cells(browser, "script-table", 4) == [each for each in severities if each == severities[0]]
    form.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    until(lambda: count.text == "12 of 12 rows")
    code = cells(browser, "script-table", 3)[0]
    browser.find_element(By.ID, "code").find_element(By.XPATH, f"option[.='{code}']").click()
    assert set(cells(browser, "script-table", 3)) == {code}
    hosts = set(cells(browser, "script-table", 0))
    sections = browser.find_elements(By.CSS_SELECTOR, "details.scripts")
    assert {each.find_element(By.TAG_NAME, "h3").text for each in sections if each.is_displayed()} == hosts
    assert len(shown(browser)) == 6


def test_the_scripts_of_a_host_are_opened_by_a_link_also_where_no_sweep_was_made(
    browser: webdriver.Chrome, show: Show
) -> None:
    show({**fleets.document(kind="audit"), "audit": fleets.audit(3, snippet="<b>15</b>")})
    browser.find_element(By.CSS_SELECTOR, "#script-table a[href='#scripts-desk0002.example.com']").send_keys(Keys.ENTER)
    section = browser.find_element(By.ID, "scripts-desk0002.example.com")
    until(lambda: section.get_attribute("open"))
    assert "<b>15</b>" in section.text and browser.switch_to.active_element.tag_name == "summary"


def test_what_keeps_repairs_from_being_made_is_found_by_its_word(browser: webdriver.Chrome, show: Show) -> None:
    look = fleets.held_up(
        fleets.looks()["good"], latched=[{"gateway": "live", "since": "noon", "reason": "still down"}]
    )
    show(fleets.document(fleets.host("alpha", look), fleets.host("beta", fleets.looks()["good"])))
    alarm = browser.find_element(By.CSS_SELECTOR, ".alarm")
    assert "1 gateway is not touched until" in alarm.text
    browser.find_element(By.ID, "q").send_keys("latched")
    assert shown(browser) == ["alpha"]
    alarm.find_element(By.LINK_TEXT, "alpha").click()
    until(lambda: "live is latched since noon: still down" in browser.find_element(By.ID, "host-alpha").text)
