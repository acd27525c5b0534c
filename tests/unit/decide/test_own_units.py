"""What a plan says of the units of those that it ends is what becomes of them; it ends nobody whom nothing names."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.unit import OwnUnit, UnitMember
from ansible.module_utils.ib_gateway.decide.targets import ended_by
from unit.facts import GATEWAY, SCRIPT, SECOND, connection, gateway, listener, planned, probe, script, snapshot, spec

UNIT = "sched.service"
FILLED = {"sent": 5000, "received": 500}
JOB = UnitMember(7, "quant", ("sleep", "7201"), "other")
STOPPED = "its unit sched.service is stopped and stays so until somebody starts it"
MAY = "its unit sched.service is not stopped; should that end with the process, so does what else lives there: "


def duplicate(unit: Optional[OwnUnit], **more: Any) -> Plan:
    """The plan where a second gateway of the entry is surplus; unit: what is known of the unit it lives in."""
    look = snapshot(gateway(), gateway(SECOND, unit=UNIT, unit_is_own=True, served_before=True), listener())
    return planned(look, own_units={} if unit is None else {SECOND: unit}, **more)


def rival(unit: OwnUnit) -> Plan:
    """The plan where a script that client_patterns name is to end."""
    named = script(name="cleanup.py", unit=UNIT, unit_is_own=True)
    look = snapshot(gateway(), listener(), named, connection(SCRIPT, **FILLED))
    return planned(look, spec(client_patterns=("cleanup",)), own_units={SCRIPT: unit})


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        (OwnUnit(UNIT, stopped=True), STOPPED),
        (
            OwnUnit(UNIT, stopped=True, members=(JOB,)),
            STOPPED + "; what else lives in that ends as well: pid 7 (sleep 7201) of quant",
        ),
        (OwnUnit(UNIT, apart=True), "only the process ends, and its unit sched.service goes on"),
        (OwnUnit(UNIT, members=(JOB,)), MAY + "pid 7 (sleep 7201) of quant"),
        (OwnUnit(UNIT), None),
    ],
)
def test_the_unit_is_told_as_stopped_only_where_it_is(unit: OwnUnit, told: Optional[str]) -> None:
    for found, action in ((duplicate(unit), "stop_gateway"), (rival(unit), "stop_client")):
        (step,) = (each for each in found.steps if each.action == action)
        assert found.withheld == () and step.target["unit"] == (UNIT if unit.stopped else None)
        assert [each for each in step.costs.split("; ")[1:-1]] == (told.split("; ") if told else []), step.costs


def test_of_a_unit_that_nobody_has_asked_about_nothing_is_told() -> None:
    (step,) = duplicate(None).steps
    assert step.costs == "ends no working session; no login" and step.target["unit"] == UNIT


def test_a_restart_tells_of_the_process_s_unit_where_it_ends_that_itself_and_not_where_the_entry_s_unit_does() -> None:
    by_command = spec(service=None, start_command=("/opt/start",))
    look = snapshot(gateway(unit=UNIT, unit_is_own=True), listener())
    unit = {GATEWAY: OwnUnit(UNIT, stopped=True)}
    (step,) = planned(look, by_command, probe("silent"), own_units=unit).steps
    assert step.target["by"] == "identity" and STOPPED in step.costs
    assert ended_by(step) == step.target["process"]
    (step,) = planned(look, spec(service=UNIT), probe("silent")).steps
    assert step.target["by"] == "unit" and ended_by(step) is None


PROTECTED = JOB._replace(protected=True)
WORKS = JOB._replace(works_elsewhere=True)
OTHER = JOB._replace(kind="gateway")


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (OwnUnit(UNIT, refused="bot.service goes down with it"), "bot.service goes down with it"),
        (OwnUnit(UNIT, members=(PROTECTED,)), "carries pid 7 (sleep 7201) of quant, protected, as well, which may end"),
        (OwnUnit(UNIT, stopped=True, members=(WORKS,)), "quant, at work elsewhere, as well, which would end with it"),
        (OwnUnit(UNIT, stopped=True, members=(OTHER, JOB)), "quant, another gateway, as well, which would end with it"),
    ],
)
def test_nothing_is_done_where_the_act_would_be_refused_or_would_end_somebody_who_is_to_stay(
    unit: OwnUnit, reason: str
) -> None:
    for found, pid in ((duplicate(unit), SECOND), (rival(unit), SCRIPT)):
        assert found.steps == ()
        (told,) = found.withheld
        assert told.startswith("nothing is done on live: pid %d is not ended: " % pid) and reason in told


def test_a_script_that_a_cut_may_make_needless_is_left_and_cut_off_all_the_same() -> None:
    bot = script(unit=UNIT, unit_is_own=True)
    held: Tuple[Any, ...] = (connection(SCRIPT, cookie=7, idle=700.0, **FILLED),)
    look = snapshot(gateway(), listener(), bot, *held)
    one = spec(max_api_clients=2)
    both: Dict[str, Any] = {each.action: each for each in planned(look, one, probe("stalled")).steps}
    assert {"drop_connection", "stop_client"} <= set(both) and both["stop_client"].only_if_persists
    found = planned(look, one, probe("stalled"), own_units={SCRIPT: OwnUnit(UNIT, refused="bot.service goes down")})
    assert [each.action for each in found.steps] == [each for each in both if each != "stop_client"]
    assert "pid 815 is not ended: bot.service goes down" in found.withheld
