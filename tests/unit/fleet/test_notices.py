"""Notices: a person is told of what has changed, once, and of nothing that nobody knows."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import notices
from ansible.module_utils.ib_fleet.run import notify
from ansible.module_utils.ib_fleet.store import told
from unit import fleets

DOWN = "gateway_not_running: start after a second look"
AT = ("desk", "live")


def look(name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = fleets.looks()[name]
    return found


def login(asked: bool) -> Dict[str, Any]:
    """A gateway in its login, which waits for the second factor or does not."""
    found = json.loads(json.dumps(look(DOWN)))
    gateway = found["gateways"][0]
    state = "second_factor_pending" if asked else "logging_in"
    gateway.update(status="degraded", verdict="login_pending", summary="it waits")
    gateway["findings"] = [
        {"code": "login_pending", "severity": "degraded", "summary": "", "evidence": {"state": state}, "steps": []}
    ]
    return {**found, "status": "degraded"}


def sweep(now: Any) -> Dict[str, Any]:
    return fleets.document(fleets.host("desk", now))


def repair(before: Any, after: Any, *taken: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    found = fleets.host("desk", before, after, **fleets.repaired(*taken))
    return fleets.document(found, **{"kind": "remediate", "check_mode": False, **more})


def restarted() -> Dict[str, Any]:
    done = fleets.outcome("restart", {"port": 4001, "by": "start_command"})
    return {"action": "restart", "changed": True, "outcomes": [done]}


def over(*documents: Dict[str, Any], least: str = "unhealthy") -> List[List[Tuple[str, str, str]]]:
    """What each of several runs in turn has to tell."""
    before: Dict[str, Dict[str, str]] = {}
    found = []
    for each in documents:
        found.append([one[:3] for one in notices.notices(each, before, least)])
        before = notices.after(each, before, least)
    return found


def test_a_gateway_that_breaks_is_told_once_and_again_when_it_is_well() -> None:
    down, good = sweep(look(DOWN)), sweep(look("good"))
    assert over(good, down, down, good, good) == [[], [("broken", *AT)], [], [("recovered", *AT)], []]


def test_one_that_broke_and_was_repaired_in_the_same_run_is_told_as_repaired_with_what_was_done() -> None:
    run = repair(look(DOWN), look("good"), restarted())
    [found] = notices.notices(run, {})
    assert found.event == notices.REPAIRED and "live by its start_command" in found.why
    assert notices.after(run, {}) == {}


def test_a_repair_that_was_not_possible_is_told_and_a_later_sweep_says_nothing_new() -> None:
    failed, down = repair(look(DOWN), look(DOWN)), sweep(look(DOWN))
    assert over(down, failed, down, failed) == [[("broken", *AT)], [("not_repaired", *AT)], [], []]


def test_a_second_factor_is_told_whatever_the_status_and_another_part_of_a_login_is_not() -> None:
    assert over(sweep(login(True)), sweep(login(True)), sweep(login(False)), sweep(look("good"))) == [
        [("second_factor", *AT)],
        [],
        [],
        [("recovered", *AT)],
    ]
    assert over(sweep(login(False))) == [[]]


def test_what_cannot_be_judged_is_neither_broken_nor_well() -> None:
    away, down = sweep(fleets.UNREACHABLE), sweep(look(DOWN))
    assert over(away, down, away, down) == [[], [("broken", *AT)], [], []]


def test_degraded_counts_as_broken_only_where_that_is_wanted() -> None:
    assert over(sweep(login(False)), least="degraded") == [[("broken", *AT)]]


def test_a_host_that_the_run_was_not_about_keeps_what_was_told_of_it() -> None:
    other = fleets.document(fleets.host("other", look("good")))
    assert notices.after(other, {"desk": {"live": "broken"}}) == {"desk": {"live": "broken"}}


def test_a_storm_is_one_message_that_names_some_and_counts_the_others() -> None:
    hosts = [fleets.host("desk%03d" % number, look(DOWN)) for number in range(50)]
    fleet = {**fleets.document(*hosts), "next": [{"why": "look again", "command": "ansible-playbook x"}]}
    found = notices.message(notices.notices(fleet, {}), fleet)
    assert found.title == "IB Gateways: 50 broke"
    lines = found.body.split("\n")
    assert lines[0].startswith("live on desk000 (port 4001) broke: ") and lines[20:] == [
        "and 30 gateways more",
        "To look again: ansible-playbook x",
    ]


def test_what_a_host_says_cannot_break_out_of_its_line() -> None:
    host = fleets.host("desk\nSubject: owned\x1b[2J", look(DOWN))
    found = notices.message(notices.notices(fleets.document(host), {}), {})
    assert "\n" not in found.title and "\x1b" not in found.title + found.body and len(found.body.split("\n")) == 1


def test_in_check_mode_nobody_is_told_and_it_says_what_would_be(tmp_path: Path) -> None:
    run = repair(look(DOWN), look("good"), check_mode=True)
    assert notices.notices(run, {}) == []
    down = repair(look(DOWN), look(DOWN), check_mode=True)
    found = notify.tell(down, tmp_path, ["json://127.0.0.1:1/"], "unhealthy")
    assert found.lines == ["check mode: would have told of 1 gateway"] and not list(tmp_path.iterdir())


def test_without_an_address_nothing_is_read_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / told.FILE).write_text("damaged")
    assert notify.tell(sweep(look(DOWN)), tmp_path, [], "unhealthy") == notify.Sent()


@pytest.mark.parametrize(
    ("addresses", "least", "says"),
    [
        ("json://x", "unhealthy", "ib_notify_urls is no list"),
        (["json://x"], "sometimes", "ib_notify_on is 'sometimes'"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, addresses: Any, least: str, says: str) -> None:
    found = notify.tell(sweep(look(DOWN)), tmp_path, addresses, least)
    assert len(found.problems) == 1 and says in found.problems[0]


def test_an_address_that_apprise_does_not_know_is_told_by_its_place_alone(tmp_path: Path) -> None:
    found = notify.tell(sweep(look(DOWN)), tmp_path, ["nosuch://user:SECRET@host"], "unhealthy")
    assert found.problems == [
        "not told: ib_notify_urls, address 1, which is no address that Apprise knows: it did not take the message"
    ]
    assert not (tmp_path / told.FILE).exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"desk": {"live": "odd"}}', '{"desk": 5}', "[" * 100_000])
def test_a_damaged_file_of_what_was_told_is_named_and_begun_anew(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / told.FILE).write_text(content)
    monkeypatch.setattr(notify, "_send", lambda *_: (["somebody"], []))
    found = notify.tell(sweep(look(DOWN)), tmp_path, ["json://x"], "unhealthy")
    assert "begun anew" in found.problems[0] and told.read(tmp_path) == {"desk": {"live": "broken"}}


def test_a_service_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    released = threading.Event()
    monkeypatch.setattr(apprise.Apprise, "notify", lambda *_, **__: released.wait(60))
    found = notify.tell(sweep(look(DOWN)), tmp_path, ["json://127.0.0.1:1/"], "unhealthy", patience=0.05)
    released.set()
    assert found.problems == ["not told: ib_notify_urls, address 1 (JSON): no answer within 0.05 s"]
