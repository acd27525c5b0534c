"""What a repair did is told rung by rung, and what was refused as plainly as what was done."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_fleet.document import repair_log

STOPPED = {"pid": 815, "user": "trader", "command": ["python3", "bot.py"], "reason": "ended after SIGTERM"}
REFUSED = {"pid": 816, "user": "trader", "command": ["java"], "reason": "it is no gateway any more"}
CUT = {"client": "127.0.0.1", "client_port": 50123, "port": 4001, "reason": "cut"}
WITHHELD = {"gateway": "live", "action": "restart", "reason": "2 restarts within the hour"}


def told(name: str, check_mode: bool = False, **result: Any) -> List[str]:
    """The lines of one registered result."""
    found = repair_log.done({"ib_gateway_repair_%s" % name: result})
    return [line for act in found for line in repair_log.told(act, check_mode)]


def test_acts_stand_in_the_order_of_the_rungs_and_waits_are_none() -> None:
    facts = {
        "ib_gateway_repair_start": {"changed": True, "started": [{"name": "live", "pid": 1}]},
        "ib_gateway_repair_stop_client": {"changed": True, "stopped": [STOPPED], "refused": [], "already_gone": []},
        "ib_gateway_repair_drop_connection": {"changed": True, "dropped": [CUT]},
        "ib_gateway_repair_wait": {"changed": False},
    }
    assert repair_log.done(facts) == [
        {"action": "drop_connection", "changed": True, "dropped": [CUT]},
        {"action": "stop_client", "changed": True, "stopped": [STOPPED]},
        {"action": "start", "changed": True, "started": [{"name": "live", "pid": 1}]},
    ]


def test_both_rounds_of_cuts_are_told() -> None:
    facts = {
        "ib_gateway_repair_drop_connection": {"changed": True, "dropped": [{**CUT, "client_port": 50999}]},
        "ib_gateway_repair_first_cuts": {"changed": True, "dropped": [CUT]},
    }
    assert [each["dropped"][0]["client_port"] for each in repair_log.done(facts)] == [50123, 50999]
    assert [each["action"] for each in repair_log.done(facts)] == ["drop_connection", "drop_connection"]


def test_what_was_skipped_was_not_done() -> None:
    assert repair_log.done({"ib_gateway_repair_start": {"skipped": True, "changed": False}}) == []
    assert repair_log.done({}) == []


def test_an_act_that_failed_says_so() -> None:
    assert told("start", failed=True, msg="the module failed") == ["failed: the module failed"]


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ({"stopped": [STOPPED]}, "stopped pid 815 of trader: python3 bot.py"),
        ({"dropped": [CUT]}, "cut the connection of 127.0.0.1:50123 to port 4001"),
        ({"started": [{"name": "live", "unit": None}]}, "started live"),
        ({"restarted": [{"name": "live", "unit": "gw.service"}]}, "restarted live by unit gw.service"),
    ],
)
def test_what_was_done_is_said_as_such_and_in_check_mode_as_what_would_be(result: Dict[str, Any], line: str) -> None:
    assert told("restart", **result) == [line]
    assert told("restart", check_mode=True, **result) == ["would have " + line]


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ({"refused": [REFUSED]}, "left pid 816 alone: it is no gateway any more"),
        ({"refused": [dict(CUT, reason="gone")]}, "left the connection of 127.0.0.1:50123 to port 4001 alone: gone"),
        ({"refused": [{"name": "live", "reason": "no such unit"}]}, "left live alone: no such unit"),
        ({"unsupported": [CUT]}, "did not cut the connection of 127.0.0.1:50123 to port 4001: cut"),
        ({"not_started": [{"name": "live", "reason": "no such account"}]}, "not started live: no such account"),
        ({"not_restarted": [{"name": "live", "reason": "timed out"}]}, "not restarted live: timed out"),
        ({"withheld": [WITHHELD]}, "did not restart on live: 2 restarts within the hour"),
    ],
)
def test_what_was_not_done_is_told_with_its_reason(result: Dict[str, Any], line: str) -> None:
    assert told("restart", **result) == [line] == told("restart", check_mode=True, **result)


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
