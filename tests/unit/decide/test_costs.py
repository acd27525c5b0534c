"""What a plan says of its costs: whose sessions end, whether a login is needed, for how long no session can be had."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest
from ansible.module_utils.ib_fleet.document import plan_text
from ansible.module_utils.ib_gateway.base.actions import ORDER
from ansible.module_utils.ib_gateway.base.host import Keeper, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.unit import UnitMember, UnitState
from ansible.module_utils.ib_gateway.decide.costs import _COSTS
from ansible.module_utils.ib_gateway.lifecycle.unit_facts import kills_after
from unit.facts import (
    GATEWAY,
    OTHER_SCRIPT,
    SCRIPT,
    SECOND,
    UNIT,
    connection,
    gateway,
    health,
    listener,
    planned,
    probe,
    process,
    script,
    snapshot,
    spec,
)

ALONE = spec(max_api_clients=None, allow_restart_with_clients=True)
FILLED = {"sent": 5000, "received": 500}


def costs(plan: Plan) -> Dict[str, str]:
    """By action, what the plan says of it; the last step of several."""
    return {each.action: each.costs for each in plan.steps}


def test_every_action_has_a_say_on_costs() -> None:
    assert tuple(_COSTS) == ORDER


def test_a_restart_names_whose_working_sessions_it_ends_the_login_and_the_time_without() -> None:
    look = snapshot(
        gateway(),
        listener(),
        script(),
        connection(SCRIPT, **FILLED),
        connection(client="10.0.0.7", client_port=40_001, remote_host="10.0.0.7", **FILLED),
        connection(client="10.0.0.8", client_port=40_002, remote_host="10.0.0.8", sent=20),
    )
    assert costs(planned(look, ALONE, probe("stalled")))["restart"] == (
        "ends 2 working sessions: pid 815 (python3 bot.py) of trader, a client on 10.0.0.7; "
        "a login, and a second factor is to be expected; no session can be had for up to 120 s"
    )


def test_a_connection_of_several_processes_is_one_session_and_all_of_them_are_named() -> None:
    look = snapshot(gateway(), listener(), script(), script(OTHER_SCRIPT, "child.py"), connection(815, 816, **FILLED))
    told = costs(planned(look, ALONE, probe("stalled")))["restart"]
    assert told.startswith("ends 1 working session: pid 815 (python3 bot.py) of trader, pid 816 (python3 child.py)")


def test_who_else_lives_in_the_unit_of_a_gateway_is_named_with_its_restart() -> None:
    member = UnitMember(99, "trader", ("Xvfb", ":1"), "other")
    look = snapshot(gateway(unit=UNIT, unit_is_own=True, served_before=True))
    told = costs(planned(look, unit_members=(member, UnitMember(GATEWAY, "trader", ("java",), "gateway"))))["restart"]
    assert "what else lives in its unit ends as well: pid 99 (Xvfb :1) of trader; " in told
    bound = costs(planned(look, unit_members=(member._replace(unit="display.service"),)))["restart"]
    assert "that go down with its unit ends as well, and may stay down: pid 99 (Xvfb :1) of trader in display" in bound
    by_identity = costs(planned(snapshot(gateway(served_before=True)), unit_members=(member,)))["restart"]
    assert "lives in its unit" not in by_identity


@pytest.mark.parametrize(
    ("look", "action"),
    [
        (snapshot(), "start"),
        (snapshot(gateway(served_before=True)), "restart"),
        (snapshot(gateway(unit=UNIT, served_before=True)), "restart"),
    ],
)
def test_who_ends_by_a_start_of_the_unit_is_named_with_each_step_that_makes_one(look: Snapshot, action: str) -> None:
    member = UnitMember(99, "trader", ("Xvfb", ":1"), "other", unit="display.service", by_start=True)
    named = "units that a start of its unit stops ends as well: pid 99 (Xvfb :1) of trader in display.service; a login"
    assert named in costs(planned(look, unit_members=(member,)))[action]


@pytest.mark.parametrize(
    ("seconds", "allowed", "told"),
    [
        (90.0, True, "has not ended after 90 s (TimeoutStopSec=)"),
        (90.0, False, "it is not restarted if it does not end when asked (allow_kill is off)"),
        (None, True, ""),
        (None, False, ""),
    ],
)
def test_a_kill_by_systemd_is_announced_with_its_time_where_it_is_allowed(
    seconds: Optional[float], allowed: bool, told: str
) -> None:
    state = UnitState(UNIT, active="active", sub="running", kills_after=seconds)
    look = snapshot(gateway(unit=UNIT, unit_is_own=True, served_before=True))
    found = costs(planned(look, spec(allow_kill=allowed), unit_state=state))["restart"]
    assert told in found and ("systemd kills" in found) is bool(seconds and allowed)


@pytest.mark.parametrize(
    ("shown", "seconds"),
    [
        ({"SendSIGKILL": "yes", "TimeoutStopUSec": "1min 30s"}, 90.0),
        ({"SendSIGKILL": "yes", "TimeoutStopUSec": "500ms"}, 0.5),
        ({"SendSIGKILL": "yes", "TimeoutStopUSec": "infinity"}, None),
        ({"SendSIGKILL": "no", "TimeoutStopUSec": "1min 30s"}, None),
        ({"SendSIGKILL": "no", "KillSignal": "9", "TimeoutStopUSec": "1min 30s"}, 0.0),
        ({}, None),
    ],
)
def test_when_systemd_kills_is_read_as_it_tells_it(shown: Dict[str, str], seconds: Optional[float]) -> None:
    assert kills_after(shown) == seconds


def test_a_start_costs_a_login_and_no_session() -> None:
    assert costs(planned(snapshot(), spec(start_timeout=300)))["start"] == (
        "ends no session; a login, and a second factor is to be expected; no session can be had for up to 300 s"
    )


def test_a_cut_names_the_script_that_goes_on_and_needs_no_login() -> None:
    held = connection(SCRIPT, cookie=7, idle=700.0, **FILLED)
    look = snapshot(gateway(), listener(), script(), held, connection(9, client_port=1, remote_host="10.0.0.9"))
    assert costs(planned(look, spec()))["drop_connection"] == (
        "ends 1 working session: pid 815 (python3 bot.py) of trader; the script goes on; no login"
    )


def test_a_cut_of_what_never_was_a_session_says_so() -> None:
    held = connection(SCRIPT, cookie=7, idle=700.0, sent=20)
    look = snapshot(gateway(), listener(), script(), held, connection(9, client_port=1, remote_host="10.0.0.9"))
    assert costs(planned(look, spec()))["drop_connection"] == (
        "ends no working session: pid 815 (python3 bot.py) of trader has none on it; the script goes on; no login"
    )


@pytest.mark.parametrize(
    ("idle", "told"), [(4.0, " (data last passed 4 s ago)"), (900.0, " (data last passed 15 min ago)")]
)
def test_a_script_of_a_gateway_that_no_longer_listens_is_told_with_the_use_that_its_session_is_of(
    idle: float, told: str
) -> None:
    look = snapshot(gateway(), script(), connection(SCRIPT, idle=idle, **FILLED))
    found = planned(look, ALONE)
    assert [each.action for each in found.steps] == ["wait", "stop_client", "restart"]
    assert costs(found)["stop_client"].startswith(
        "ends the script pid 815 (python3 bot.py) of trader and its 1 working session%s" % told
    )


def test_a_script_without_a_working_session_is_told_as_one() -> None:
    look = snapshot(gateway(), listener(), script(name="cleanup.py"), connection(SCRIPT, sent=20))
    told = costs(planned(look, spec(client_patterns=("cleanup",))))["stop_client"]
    assert told == "ends the script pid 815 (python3 cleanup.py) of trader, which has no working session; no login"


def test_a_surplus_gateway_that_never_served_loses_its_login_and_a_kill_is_announced_where_it_is_allowed() -> None:
    look = snapshot(gateway(), gateway(SECOND), listener())
    assert costs(planned(look)) == {
        "stop_gateway": "ends no working session; the login that it has or is making is lost"
    }
    served = snapshot(gateway(), gateway(SECOND, served_before=True), listener())
    assert costs(planned(served)) == {"stop_gateway": "ends no working session; no login"}
    allowed = costs(planned(look, spec(allow_kill=True)))["stop_gateway"]
    assert "it is killed if it does not end when asked (allow_kill)" in allowed


def test_a_gateway_that_its_loop_brings_again_costs_a_login() -> None:
    loop = Keeper(600, "trader", "run_gateway.sh", 900.0, gateways=frozenset({GATEWAY}))
    one = spec(service=None, start_command=("/opt/start",))
    found = costs(planned(snapshot(gateway(served_before=True)), one, carriers=(loop,)))
    assert "a login, and a second factor is to be expected" in found["stop_gateway"]


def test_waiting_costs_nothing() -> None:
    assert set(costs(planned(snapshot(gateway(age=30.0))))) == {"wait"}
    assert costs(planned(snapshot(gateway(age=30.0)))) == {"wait": ""}


def test_no_cost_gives_a_password_away() -> None:
    rival = process(SCRIPT, "python3", "cleanup.py", "--password=hunter2")
    look = snapshot(gateway(), listener(), rival, connection(SCRIPT, **FILLED))
    assert "hunter2" not in str(costs(planned(look, spec(client_patterns=("cleanup",)))))


def test_the_plan_that_is_shown_has_the_cost_below_each_step() -> None:
    found: Any = health((spec(), snapshot(), None))
    step, told = plan_text.lines(found)[-2:]
    assert step.startswith("  start live") and told.startswith("    cost: ends no session; a login")
