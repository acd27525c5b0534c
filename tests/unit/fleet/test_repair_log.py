"""What a repair did is told step by step, and what was refused as plainly as what was done."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_fleet.document import repair_log
from ansible.module_utils.ib_gateway.base.actions import ACTIONS, IN_VAIN, Action
from unit.fleets import outcome, repaired, stopped

HOLDER = {"pid": 815, "user": "trader", "command": ["python3", "bot.py"]}
CUT = {"client": "127.0.0.1", "client_port": 50123, "port": 4001, "client_processes": [HOLDER]}
#: A target for each action, as an outcome has it.
COMMANDED = {"port": 4001, "process": {"pid": 816}, "command_server": {"port": 7462, "address": "127.0.0.1"}}
TARGETS: Dict[str, Dict[str, Any]] = {
    "wait": {"for": "listener", "port": 4001},
    "resume": {"pid": 816, "user": "trader", "command": ["java"]},
    "reconnect": COMMANDED,
    "drop_connection": CUT,
    "stop_client": HOLDER,
    "soft_restart": COMMANDED,
    "stop_gateway": {"pid": 816, "user": "trader", "command": ["java"]},
    "start": {"service": None},
    "restart": {"service": "gw.service", "by": "unit"},
}
LINES = {
    "wait": "waited for port 4001 to open",
    "resume": "resumed pid 816 of trader (java)",
    "reconnect": "reconnected live (pid 816) to the broker by IBC's command server on port 7462",
    "drop_connection": "cut the connection of pid 815 of trader (python3 bot.py) to port 4001",
    "stop_client": "stopped script pid 815 of trader (python3 bot.py)",
    "soft_restart": "soft-restarted live (pid 816) by IBC's command server on port 7462",
    "stop_gateway": "stopped gateway pid 816 of trader (java)",
    "start": "started live by its start_command",
    "restart": "restarted live by unit gw.service",
}
every_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda each: each.name)


def told(*outcomes: Dict[str, Any], **more: Any) -> List[str]:
    """The lines about one action with these outcomes."""
    facts = repaired({"action": outcomes[0]["action"], "changed": True, "outcomes": list(outcomes), **more})
    return [line for act in repair_log.done(facts) for line in repair_log.told(act)]


def test_what_was_done_stands_in_the_order_in_which_it_was_done_both_rounds_of_cuts_included() -> None:
    first, second = (outcome("drop_connection", {**CUT, "client_port": port}) for port in (50123, 50999))
    stop = {"action": "stop_client", "changed": True, "outcomes": [stopped()], "stopped": [{"pid": 815}], "refused": []}
    facts = repaired(
        {"action": "drop_connection", "changed": True, "outcomes": [first]},
        {"action": "drop_connection", "changed": True, "outcomes": [second]},
        stop,
    )
    found = repair_log.done(facts)
    assert [each["action"] for each in found] == ["drop_connection", "drop_connection", "stop_client"]
    assert [each["outcomes"][0]["target"]["client_port"] for each in found[:2]] == [50123, 50999]
    assert found[2] == {"action": "stop_client", "changed": True, "outcomes": [stopped()], "stopped": [{"pid": 815}]}


def test_where_no_repair_was_begun_nothing_was_done() -> None:
    assert repair_log.done({}) == [] == repair_log.done(repaired())


@pytest.mark.parametrize("how", ["failed", "unreachable"])
def test_an_action_whose_module_failed_says_so(how: str) -> None:
    facts = repaired(action="start", **{how: True, "msg": "the module ended"})
    (act,) = repair_log.done(facts)
    assert act == {"action": "start", "changed": False, "outcomes": [], "error": "the module ended"}
    assert repair_log.told(act) == ["failed: start: the module ended"]


@every_action
def test_what_was_done_is_told_as_done_and_in_check_mode_as_what_would_be(action: Action) -> None:
    target = TARGETS[action.name]
    assert told(outcome(action.name, target)) == ["done: " + LINES[action.name]]
    (line,) = told(outcome(action.name, target, "would"))
    assert line == "would " + LINES[action.name].replace(action.past, action.infinitive)
    assert line.count("would") == 1 and "done" not in line


@every_action
@pytest.mark.parametrize(
    ("result", "begins"),
    [
        ("already", "not needed: "),
        ("refused", "refused: "),
        ("failed", "failed: "),
        ("unknown", "not known whether done: "),
    ],
)
def test_what_was_not_done_is_told_with_its_reason(action: Action, result: str, begins: str) -> None:
    (line,) = told(outcome(action.name, TARGETS[action.name], result, reason="no such unit"))
    assert line.startswith(begins + action.infinitive + " ") and line.endswith(": no such unit")
    assert "would" not in line


def test_an_action_of_another_version_is_told_by_its_name() -> None:
    assert told(outcome("thaw", {}, "refused", reason="x")) == ["refused: thaw live: x"]
    assert repair_log.told({"action": "stop_client", "changed": True}) == ["done: stop client"]


def test_a_host_on_which_no_repair_was_tried_has_none() -> None:
    assert repair_log.repair({}) is None


def test_a_repair_tells_whether_it_was_begun_and_what_was_proven() -> None:
    begin = {"begun": True, "reason": "", "refused": [{"gateway": "paper", "reason": "latched"}], "changed": False}
    end = {"ended": True, "reason": "", "succeeded": ["live"], "unsuccessful": ["x"], "lifted": ["paper"]}
    found = repair_log.repair({"ib_gateway_repair_begin": begin, "ib_gateway_repair_end": end})
    assert found == {
        "begun": True,
        "reason": "",
        "refused": [{"gateway": "paper", "reason": "latched"}],
        "ended": {"succeeded": ["live"], "failed": ["x"], "lifted": ["paper"], "reason": ""},
    }


def test_a_repair_that_could_not_even_begin_tells_the_reason() -> None:
    found = repair_log.repair({"ib_gateway_repair_begin": {"failed": True, "msg": "no space left"}})
    assert found == {"begun": False, "reason": "no space left", "refused": [], "ended": None}


def test_a_wait_that_has_not_brought_what_it_was_for_says_so() -> None:
    waited = outcome("wait", TARGETS["wait"])
    assert told({**waited, "reason": IN_VAIN}) == ["done: waited in vain for port 4001 to open"]
    assert told({**waited, "reason": "it listens"}) == ["done: waited for port 4001 to open"]
