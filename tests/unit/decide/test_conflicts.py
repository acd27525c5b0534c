"""Of two entries whose units systemd keeps from running together one run starts one, and says why not the other."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from ansible.module_utils.ib_gateway.base.plan import Diagnosis, Plan
from ansible.module_utils.ib_gateway.base.unit import UnitId
from ansible.module_utils.ib_gateway.decide.conflicts import apart
from ansible.module_utils.ib_gateway.decide.planning import plan
from unit.facts import FOLDER, gateway, judged, listener, snapshot, spec, told

LIVE: UnitId = ("", "live.service")
PAPER: UnitId = ("", "paper.service")


def down(name: str, unit: Optional[UnitId], *stops: UnitId, up: bool = False, **more: Any) -> Diagnosis:
    """An entry whose gateway is missing, or serves. stops: what a start of its unit stops."""
    look = snapshot(gateway(folder=FOLDER), listener()) if up else snapshot()
    found = judged(look, spec(name=name, **more))
    return found._replace(entry=found.entry._replace(starts_unit=unit, stops_units=frozenset(stops)))


def plans(*found: Diagnosis) -> List[Plan]:
    """As one look makes them."""
    return apart(found, [plan(each) for each in found])


def actions(found: List[Plan]) -> List[Tuple[str, ...]]:
    """Of each plan, what it does."""
    return [tuple(action for action, _pid in told(each.steps)) for each in found]


def test_the_one_that_comes_first_in_the_inventory_is_started_and_the_other_is_told_why_not() -> None:
    found = plans(down("live", LIVE, PAPER), down("paper", PAPER, LIVE))
    assert actions(found) == [("wait", "start"), ("wait",)]
    assert found[0].withheld == ()
    (why,) = found[1].withheld
    assert "a start of paper.service stops live.service, and this run brings the gateway of live by that" in why


def test_one_whose_start_stops_only_what_is_not_started_here_is_started() -> None:
    assert actions(plans(down("live", LIVE, PAPER), down("other", ("", "other.service"), PAPER))) == [
        ("wait", "start"),
        ("wait", "start"),
    ]
    assert actions(plans(down("live", None), down("paper", PAPER, LIVE)))[1] == ("wait", "start")


def test_a_unit_of_the_same_name_in_another_systemd_is_another_unit() -> None:
    assert actions(plans(down("live", ("trader", "live.service")), down("paper", PAPER, LIVE)))[1] == ("wait", "start")


def test_one_that_comes_first_but_is_not_started_keeps_nobody_from_being_started() -> None:
    latched = down("live", LIVE, PAPER)
    blocked = latched._replace(entry=latched.entry._replace(start_blocker="masked"))
    for first in (blocked, down("live", LIVE, PAPER, up=True)):
        assert actions(plans(first, down("paper", PAPER, LIVE)))[1] == ("wait", "start")


def test_what_the_first_start_stops_is_not_the_first_one_s_loss() -> None:
    """Only the later start ends something here: the first one's stop comes before the other is there."""
    assert actions(plans(down("live", LIVE, PAPER), down("paper", PAPER))) == [("wait", "start"), ("wait", "start")]


def test_one_whose_own_script_ends_what_was_started_before_is_not_started_and_the_command_is_told() -> None:
    paper = down("paper", None)
    ends = paper._replace(entry=paper.entry._replace(ends_to_come={"live": "`pkill -f ***`"}))
    found = plans(down("live", None), ends)
    assert actions(found) == [("wait", "start"), ("wait",)]
    assert "what starts it runs `pkill -f ***`, which would end the gateway of live as well" in found[1].withheld[0]
    assert actions(plans(ends, down("live", None))) == [("wait", "start")] * 2, "it ends nobody where it comes first"
    assert actions(plans(down("live", None, up=True), ends))[1] == ("wait", "start")
