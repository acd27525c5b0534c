"""When IBC's command server is asked for a restart that keeps the login, or to reconnect, and when not."""

from __future__ import annotations

from typing import Any, List, Optional

import pytest
from ansible.module_utils.ib_gateway.base.command_server import CommandServer, ServerAddress
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.login import DISPLACED, LoginState
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.probe import Probe
from unit.facts import GATEWAY, SECOND, connection, gateway, listener, planned, probe, script, snapshot, spec

WHERE = ServerAddress(7462, "127.0.0.1", 77)
GOOD = CommandServer(GATEWAY, WHERE, loop=True, own_time=True, login_due=False, route=True)
SERVING = snapshot(gateway(), listener())
LOST = probe(notices=(1100,))


def plan(look: Snapshot = SERVING, shaken: Optional[Probe] = None, one: Any = None, **server: Any) -> Plan:
    known = {"command_servers": (GOOD._replace(**server),), "unit_members": ()}
    return planned(look, one or spec(), shaken or probe("stalled"), **known)


def actions(found: Plan) -> List[str]:
    return [each.action for each in found.steps]


@pytest.mark.parametrize("outcome", ["stalled", "dropped", "silent", "refused"])
def test_the_restart_that_keeps_the_login_comes_first_and_the_other_only_if_the_fault_persists(outcome: str) -> None:
    found = plan(shaken=probe(outcome))
    assert actions(found) == ["soft_restart", "restart"]
    assert [each.only_if_persists for each in found.steps] == [False, True]
    target = found.steps[0].target
    assert target["process"]["pid"] == GATEWAY and target["command_server"] == WHERE.as_target()


def test_a_gateway_that_has_served_and_listens_no_more_is_restarted_so_as_well() -> None:
    assert actions(plan(snapshot(gateway(served_before=True)))) == ["wait", "soft_restart", "restart"]


@pytest.mark.parametrize("server", [{"loop": False}, {"login_due": True}, {"pid": SECOND}])
def test_without_the_loop_the_login_or_the_right_process_the_plan_is_as_without_a_command_server(server: Any) -> None:
    assert actions(plan(**server)) == ["restart"]


def test_a_plan_says_that_a_person_is_needed_where_the_broker_has_ended_the_login() -> None:
    assert "a person has to give the second factor" in plan(login_due=True).steps[0].reason
    assert "person" not in plan(login_due=True, loop=False).steps[0].reason


@pytest.mark.parametrize(
    ("own_time", "told"),
    [(True, ""), (False, "do not set AutoRestartTime"), (None, "unless IBC's settings set AutoRestartTime")],
)
def test_a_plan_says_that_the_daily_restart_moves_unless_ibc_is_seen_to_set_it(
    own_time: Optional[bool], told: str
) -> None:
    first = plan(own_time=own_time).steps[0]
    assert ("daily restart" in first.costs) is bool(told) and told in first.costs
    assert first.target["own_time"] is own_time


def test_a_login_that_has_not_completed_is_never_interrupted() -> None:
    for age in (1.0, 9000.0):
        assert actions(planned(snapshot(gateway(age=age)), command_servers=(GOOD,))) == ["wait"]


def test_a_gateway_that_another_login_has_displaced_is_left_to_it() -> None:
    login = LoginState(DISPLACED, GATEWAY, log="/x", scenario=2)
    known = {"command_servers": (GOOD,), "login": login}
    assert planned(snapshot(gateway(served_before=True)), None, None, **known).steps == ()


@pytest.mark.parametrize("state", ["T", "t"])
def test_a_gateway_that_is_stopped_by_a_signal_is_not_asked(state: str) -> None:
    assert set(actions(plan(snapshot(gateway(state=state), listener())))) <= {"resume"}


def test_a_working_session_keeps_both_restarts_away() -> None:
    look = snapshot(gateway(), script(), listener(), connection(815, sent=9000, received=9000))
    assert not {"soft_restart", "restart"} & set(actions(plan(look, one=spec(max_api_clients=3))))


# --- the broker's link -----------------------------------------------------------------------------------------------


def test_a_link_that_stays_lost_is_made_anew_and_then_the_gateway_restarted_with_its_login() -> None:
    found = plan(shaken=LOST)
    assert actions(found) == ["wait", "reconnect", "soft_restart"]
    assert [each.only_if_persists for each in found.steps] == [False, True, True]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({"route": False}, ["wait"]),
        ({"pid": SECOND}, ["wait"]),
        ({"loop": False}, ["wait", "reconnect"]),
        ({"login_due": True}, ["wait", "reconnect"]),
    ],
)
def test_a_lost_link_never_costs_a_login(server: Any, expected: List[str]) -> None:
    assert actions(plan(shaken=LOST, **server)) == expected


def test_a_working_session_keeps_the_restart_away_and_not_the_reconnect() -> None:
    look = snapshot(gateway(), script(), listener(), connection(815, sent=9000, received=9000))
    found = plan(look, LOST)
    assert actions(found) == ["wait", "reconnect"] and "815" in found.withheld[0]


def test_a_gateway_that_is_ended_is_named_with_its_command_server() -> None:
    assert plan().steps[1].target["process"]["command_server"] == WHERE.as_target()
    assert "command_server" not in plan(pid=SECOND).steps[0].target["process"]
