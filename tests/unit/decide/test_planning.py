"""What a plan does about each finding: the least disruptive step, exactly named, and what it leaves alone."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Folder, Keeper, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.base.unit import UnitState
from unit.facts import (
    ALIEN,
    FOLDER,
    GATEWAY,
    SCRIPT,
    SECOND,
    UNIT,
    Fact,
    connection,
    gateway,
    judged,
    listener,
    planned,
    probe,
    script,
    snapshot,
    spec,
    told,
)

OURS = gateway(unit=UNIT)
#: The same, seen to have served before.
SERVED = gateway(unit=UNIT, served_before=True)
FINE = snapshot(OURS, listener())
ROOM, WAITING = (snapshot(OURS, listener(accept_queue=waiting)) for waiting in (0, 3))
TIMED_OUT = {"code": None, "message": "no connection to 127.0.0.1 port 4001: ETIMEDOUT (Connection timed out)"}
REJECTED = {"code": None, "message": "no connection to 127.0.0.1 port 4001: ECONNREFUSED (Connection refused)"}
NO_MEANS = spec(service=None)
COMMAND = spec(service=None, start_command=("/opt/start", "--pw=x"))

Told = Tuple[Tuple[str, Optional[int]], ...]
RESTART: Told = (("restart", None),)


def steps(look: Snapshot, one: Optional[GatewaySpec] = None, shaken: Optional[Probe] = None) -> Told:
    return told(planned(look, one, shaken).steps)


def reasons(plan: Plan) -> str:
    return "; ".join(plan.withheld)


# --- one finding, one step -------------------------------------------------------------------------------------------

LEAST: Dict[str, Tuple[Snapshot, Optional[Probe], Told]] = {
    "healthy: nothing": (FINE, probe(), ()),
    "gateway_not_running: start after a second look": (snapshot(), None, (("wait", None), ("start", None))),
    "gateway_starting: wait for a unit that is coming up": (snapshot(units={UNIT: 5.0}), None, (("wait", None),)),
    "gateway_starting: wait": (snapshot(gateway(age=30.0, unit=UNIT)), None, (("wait", None),)),
    "duplicate_gateways: stop the surplus": (
        snapshot(OURS, gateway(SECOND), listener()),
        None,
        (("stop_gateway", SECOND),),
    ),
    "not_listening: restart": (snapshot(SERVED), None, (("wait", None), *RESTART)),
    "login_pending: wait, however long it has run": (snapshot(OURS), None, (("wait", None),)),
    "no_broker_route: wait": (snapshot(gateway(unit=UNIT, unanswered=2)), None, (("wait", None),)),
    "gateway_frozen: it is let go on": (
        snapshot(gateway(unit=UNIT, state="T"), listener()),
        None,
        (("resume", GATEWAY),),
    ),
    "gateway_frozen by a debugger: nothing is done": (snapshot(gateway(state="t"), listener()), None, ()),
    "gateway_coming_up: wait": (
        snapshot()._replace(keepers=(Keeper(600, "trader", "ibcstart.sh", 900.0),)),
        None,
        (("wait", None),),
    ),
    "disk_full: nothing is started": (
        snapshot()._replace(folders={FOLDER: Folder(FOLDER, "trader", 0)}),
        None,
        (),
    ),
    "claimed_by_another_account: nothing": (
        snapshot(
            OURS, gateway(SECOND, user="bob"), listener(4001, GATEWAY), listener(4001, SECOND, address="127.0.0.2")
        ),
        None,
        (),
    ),
    "not_listening: stop what holds it, then restart": (
        snapshot(OURS, script(), connection(SCRIPT, state="CLOSE_WAIT")),
        None,
        (("wait", None), ("stop_client", SCRIPT), ("restart", None)),
    ),
    "wrong_port: told, since a restart does not change it": (snapshot(OURS, listener(4002)), None, ()),
    "port_taken: nothing by itself": (snapshot(script(ALIEN), listener(4001, ALIEN)), None, ()),
    "competing_clients: the newest of two sessions gives way": (
        snapshot(OURS, listener(), script(), script(817, age=60.0), connection(SCRIPT), connection(817)),
        None,
        (("stop_client", 817),),
    ),
    "competing_clients: of two sessions the one that a hung script keeps gives way": (
        snapshot(OURS, listener(), script(state="T"), script(817, age=60.0), connection(SCRIPT), connection(817)),
        None,
        (("stop_client", SCRIPT),),
    ),
    "competing_clients: nothing where nobody can tell which is the newest": (
        snapshot(OURS, listener(), script(), connection(SCRIPT), connection(remote_host="10.0.0.9")),
        None,
        (),
    ),
    "stale_remote_session: cut what TCP shows to have gone": (
        snapshot(OURS, listener(), connection(remote_host="10.8.0.7", lost_for=900.0, cookie=7)),
        None,
        (("drop_connection", None),),
    ),
    "stale_remote_session: cut where it takes the last place": (
        snapshot(OURS, listener(), connection(remote_host="10.8.0.7", lost_for=60.0, cookie=7)),
        None,
        (("drop_connection", None),),
    ),
    "stale_connections: restart when the slot stays blocked": (
        snapshot(OURS, listener(), connection(state="CLOSE_WAIT")),
        probe("silent"),
        RESTART,
    ),
    "stale_connections: nothing while the slot works": (
        snapshot(OURS, listener(), connection(state="CLOSE_WAIT")),
        probe(),
        (),
    ),
    "stale_connections: nothing while nobody knows whether the slot is blocked": (
        snapshot(OURS, listener(), connection(state="CLOSE_WAIT")),
        None,
        (),
    ),
    "accept_queue_full: restart": (snapshot(OURS, listener(), queues={4001: (2, 2, 2)}), None, RESTART),
    "handshake_refused: restart": (FINE, probe("refused"), RESTART),
    "handshake_refused by a packet filter: nothing": (ROOM, probe("refused", error=TIMED_OUT), ()),
    "handshake_refused by a packet filter that answers with a reset: nothing": (
        ROOM,
        probe("refused", error=REJECTED),
        (),
    ),
    "handshake_refused with connections that wait: restart": (WAITING, probe("refused", error=TIMED_OUT), RESTART),
    "handshake_silent: restart": (FINE, probe("silent"), RESTART),
    "handshake_dropped: restart": (FINE, probe("dropped"), RESTART),
    "handshake_stalled: restart": (FINE, probe("stalled"), RESTART),
    "client_id_in_use: use another id": (FINE, probe("id_in_use"), ()),
    "wrong_trading_mode: nothing by itself": (FINE, probe(trading_mode="paper"), ()),
    "upstream_down: wait": (FINE, probe(notices=(1100,)), (("wait", None),)),
    "partial_visibility: nothing": (snapshot(gateway(other_netns=True)), None, ()),
}


@pytest.mark.parametrize(("look", "shaken", "least"), LEAST.values(), ids=LEAST)
def test_each_finding_has_its_least_disruptive_step(look: Snapshot, shaken: Optional[Probe], least: Told) -> None:
    assert steps(look, shaken=shaken) == least


@pytest.mark.parametrize(
    ("away", "limit", "severity", "expected"),
    [
        (60.0, None, "info", ()),
        (60.0, 2, "info", ()),
        (60.0, 1, "degraded", ("drop_connection",)),
        (20.0, 1, "info", ()),
        (301.0, None, "degraded", ("drop_connection",)),
    ],
)
def test_a_session_whose_way_may_come_back_is_cut_only_where_it_takes_the_last_place(
    away: float, limit: Optional[int], severity: str, expected: Tuple[str, ...]
) -> None:
    look = snapshot(OURS, listener(), connection(remote_host="10.8.0.7", lost_for=away, cookie=7))
    found = judged(look, spec(max_api_clients=limit))
    assert [(each.code, each.severity) for each in found.findings] == [("stale_remote_session", severity)]
    assert tuple(each.action for each in planned(look, spec(max_api_clients=limit)).steps) == expected


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (UnitState(UNIT, active="inactive"), ["start"]),
        (UnitState(UNIT, active="failed"), ["start"]),
        (UnitState(UNIT, active="failed", result="start-limit-hit"), ["start"]),
        (UnitState(UNIT, active="active", sub="running"), ["wait"]),
        (UnitState(UNIT, active="activating", sub="auto-restart"), ["wait"]),
        (UnitState(UNIT, active="deactivating", sub="stop-sigterm"), ["wait"]),
        (UnitState(UNIT, active="active", sub="exited", remains_after_exit=True), ["wait", "restart"]),
        (UnitState(UNIT, active="activating", sub="auto-restart", result="exit-code", restarts=9), []),
    ],
    ids=lambda each: "%s (%s)" % (each.active, each.sub) if isinstance(each, UnitState) else "",
)
def test_what_the_unit_says_decides_whether_a_missing_gateway_is_started_at_once(
    state: UnitState, steps: List[str]
) -> None:
    found = planned(snapshot(), unit_state=state).steps
    assert [each.action for each in found] == steps
    assert all(each.only_if_persists for each in found[1:])


@pytest.mark.parametrize("look", [FINE, snapshot(OURS, listener(), script(), connection(SCRIPT))])
@pytest.mark.parametrize("shaken", [None, probe()])
def test_what_has_no_finding_has_no_plan(look: Snapshot, shaken: Optional[Probe]) -> None:
    """So that a look that finds nothing need not load what plans."""
    assert judged(look, shaken=shaken).findings == ()
    assert planned(look, shaken=shaken) == Plan()


# --- what suppresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "look", [snapshot(), snapshot(OURS), snapshot(OURS, gateway(SECOND)), snapshot(OURS, listener(4002))]
)
def test_a_taken_port_lets_nothing_be_started_stopped_or_restarted(look: Snapshot) -> None:
    facts: List[Fact] = [*look.processes.values(), *look.listeners, script(ALIEN), listener(4001, ALIEN)]
    plan = planned(snapshot(*facts))
    assert plan.steps == ()
    assert "another program has its port" in reasons(plan)


def test_the_clients_of_a_program_that_took_the_port_are_left_alone() -> None:
    held = [connection(SCRIPT, server=ALIEN), connection(817, server=ALIEN)]
    look = snapshot(OURS, script(ALIEN, "server.py"), listener(4001, ALIEN), script(), script(817), *held)
    assert steps(look) == ()


@pytest.mark.parametrize("outcome", ["ready", "stalled", "dropped"])
def test_a_lost_upstream_never_restarts(outcome: str) -> None:
    look = snapshot(OURS, listener(), connection(state="CLOSE_WAIT"), queues={4001: (2, 2, 2)})
    plan = planned(look, shaken=probe(outcome, notices=(1100,)))
    assert told(plan.steps) == (("wait", None),)
    assert plan.steps[0].target["for"] == "upstream"


def test_a_gateway_of_the_other_mode_is_not_touched_whatever_else_is_wrong() -> None:
    look = snapshot(OURS, gateway(SECOND), listener(), script(), connection(SCRIPT), connection(817))
    plan = planned(look, shaken=probe("stalled", trading_mode="paper"))
    assert plan.steps == () and "other trading mode" in reasons(plan)


# --- without the means to start anew ---------------------------------------------------------------------------------

HELD = connection(SCRIPT, state="CLOSE_WAIT")


@pytest.mark.parametrize(
    ("look", "shaken"),
    [
        (snapshot(), None),
        (snapshot(gateway(served_before=True)), None),
        (snapshot(gateway(), script(), HELD), None),
        (snapshot(gateway(), gateway(SECOND)), None),
        (snapshot(gateway(), listener()), probe("silent")),
        (snapshot(gateway(), listener(), queues={4001: (2, 2, 2)}), None),
    ],
)
def test_without_service_or_start_command_nothing_is_stopped(look: Snapshot, shaken: Optional[Probe]) -> None:
    plan = planned(look, NO_MEANS, shaken)
    assert plan.steps == ()
    assert "neither service nor start_command" in reasons(plan)


def test_a_surplus_gateway_is_stopped_even_without_the_means_to_start_one() -> None:
    assert steps(snapshot(gateway(), gateway(SECOND), listener()), NO_MEANS) == (("stop_gateway", SECOND),)


# --- waiting and order -----------------------------------------------------------------------------------------------


def test_waiting_takes_as_long_as_the_youngest_may_need() -> None:
    target = planned(snapshot(gateway(age=30.5), gateway(SECOND, age=100.0))).steps[0].target
    assert target["for"] == "listener" and 89 <= target["timeout"] <= 91


def test_steps_come_least_disruptive_first() -> None:
    look = snapshot(gateway(age=30.0), gateway(SECOND, age=40.0), script())
    found = planned(look, spec(client_patterns=("bot",))).steps
    assert [each.action for each in found] == ["wait", "stop_client", "stop_gateway", "stop_gateway", "start"]


def test_what_comes_after_a_wait_is_only_for_the_case_that_it_does_not_help() -> None:
    found = planned(snapshot(gateway(age=30.0), gateway(SECOND, age=40.0))).steps
    assert [each.only_if_persists for each in found] == [False, True, True, True]


@pytest.mark.parametrize("extra", [gateway(SECOND), script()])
def test_a_restart_after_another_step_is_only_for_the_case_that_it_does_not_help(extra: Process) -> None:
    found = planned(snapshot(OURS, listener(), extra), spec(client_patterns=("bot",)), probe("stalled")).steps
    assert [each.only_if_persists for each in found] == [False, True]
    assert found[-1].action == "restart"


def test_a_restart_alone_is_not_conditional() -> None:
    assert [each.only_if_persists for each in planned(FINE, shaken=probe("stalled")).steps] == [False]


# --- a closed port ---------------------------------------------------------------------------------------------------

HOLDER = connection(SCRIPT, sent=900, received=400)
SECOND_LOOKS: Dict[str, Tuple[Snapshot, Optional[GatewaySpec]]] = {
    "a working session": (snapshot(OURS, script(), HOLDER), None),
    "nobody": (snapshot(SERVED), None),
    "several gateways": (snapshot(gateway(), gateway(SECOND, served_before=True)), None),
    "a named client": (snapshot(SERVED, script(), HOLDER), spec(client_patterns=("bot",))),
    "too many clients": (snapshot(OURS, script(), script(817), HOLDER, connection(817)), spec(max_api_clients=1)),
    "one that may still start": (
        snapshot(gateway(served_before=True), gateway(SECOND, age=30.0), script(), HOLDER),
        None,
    ),
}


@pytest.mark.parametrize(("look", "one"), SECOND_LOOKS.values(), ids=SECOND_LOOKS)
def test_nothing_is_ended_for_a_closed_port_before_it_had_half_a_minute_to_open_again(
    look: Snapshot, one: Optional[GatewaySpec]
) -> None:
    found = planned(look, one).steps
    waits = [each for each in found if each.action == "wait"]
    assert found[: len(waits)] == tuple(waits) and len(found) > len(waits)
    (second,) = [each for each in waits if each.finding == "not_listening"]
    assert (second.target["for"], second.target["timeout"], second.only_if_persists) == ("listener", 30, False)
    assert all(each.only_if_persists or each.finding == "competing_clients" for each in found[len(waits) :])


def test_a_closed_port_for_which_nothing_would_be_ended_is_not_waited_for() -> None:
    assert planned(snapshot(SERVED), NO_MEANS).steps == ()
    guarded = planned(snapshot(OURS, script(), HOLDER), spec(protected_clients=("bot",)))
    assert guarded.steps == () and "not restarted" in reasons(guarded)


def test_a_surplus_gateway_beside_one_that_listens_is_ended_without_a_second_look() -> None:
    look = snapshot(OURS, gateway(SECOND, served_before=True), listener())
    assert steps(look) == (("stop_gateway", SECOND),)


#: A session that was served and on which its script has asked for nothing yet, as one that waits for a signal.
UNUSED = connection(SCRIPT, sent=203, received=40)


@pytest.mark.parametrize(
    ("look", "shaken", "restarts"),
    [
        (snapshot(OURS, listener(), script(), UNUSED, queues={4001: (2, 2, 2)}), None, False),
        (snapshot(OURS, listener(), script(), UNUSED), probe("dropped"), False),
        (snapshot(OURS, listener(), script(), UNUSED), probe("refused"), False),
        (snapshot(OURS, listener(), script(), UNUSED), probe("stalled"), True),
        (snapshot(OURS, listener(), script(), UNUSED._replace(sent=40)), probe("dropped"), True),
    ],
    ids=["queue", "dropped", "refused", "sessions stall, as this one may", "only an attempt"],
)
def test_what_meets_new_connections_alone_costs_no_session_that_was_served_and_not_yet_used(
    look: Snapshot, shaken: Optional[Probe], restarts: bool
) -> None:
    found = planned(look, spec(max_api_clients=None), shaken=shaken)
    assert [each.action for each in found.steps] == ["restart"] * restarts
    assert restarts or "not restarted: that would cut off pid %d" % SCRIPT in reasons(found)
