"""Which clients a plan stops: of those too many those that cost least, and never protected ones or relays."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import ApiConnection, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import (
    ALIEN,
    FOLDER,
    GATEWAY,
    UNIT,
    Fact,
    connection,
    gateway,
    listener,
    planned,
    probe,
    process,
    script,
    snapshot,
    spec,
)

OURS = gateway(unit="ibgateway.service")
FIRST, SECOND, THIRD = 801, 802, 803
SOCAT = process(THIRD, "socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001")


def with_clients(*clients: Tuple[Process, Dict[str, Any]]) -> Snapshot:
    """A gateway in order, and these clients with what is special about their connections."""
    facts: List[Fact] = [OURS, listener()]
    for one, more in clients:
        facts += [one, connection(one.pid, **more)]
    return snapshot(*facts)


def stopped(plan: Plan) -> List[int]:
    return [each.target["pid"] for each in plan.steps if each.action == "stop_client"]


# --- who goes first --------------------------------------------------------------------------------------------------

WAITS, FORGOTTEN, WORKS = {"sent": 30, "idle": 1.0}, {"idle": 5000.0}, {"idle": 10.0}


@pytest.mark.parametrize(
    ("first", "first_held", "second", "second_held"),
    [
        ({"age": 1e6}, WAITS, {"age": 9.0}, FORGOTTEN),
        ({"age": 1e6}, WAITS, {"age": 9.0}, WORKS),
        ({"age": 1e6}, FORGOTTEN, {"age": 9.0}, WORKS),
        ({"age": 1e6}, {"idle": 5000.0}, {"age": 9.0}, {"idle": 700.0}),
        ({"age": 9.0}, WORKS, {"age": 1e6}, WORKS),
        ({"age": 9.0}, {"idle": None}, {"age": 1e6}, {"idle": None}),
        ({"age": 9.0}, {"idle": 1.0}, {"age": 1e6, "ppid": 1}, {"idle": 500.0}),
    ],
    ids=[
        "who waits for a session, before who has forgotten his",
        "who waits for a session, before who works",
        "who has forgotten his session, before who works",
        "of two forgotten ones the one that is silent longer",
        "of two that work the newer",
        "of two of which nothing tells the silence the newer",
        "an orphan that works stays before a newer one",
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_whoever_loses_least_gives_way_first(
    first: Dict[str, Any], first_held: Dict[str, Any], second: Dict[str, Any], second_held: Dict[str, Any], turned: bool
) -> None:
    pids = (SECOND, FIRST) if turned else (FIRST, SECOND)
    look = with_clients((script(pids[0], **first), first_held), (script(pids[1], **second), second_held))
    assert stopped(planned(look)) == [pids[0]]


def test_only_the_surplus_is_stopped() -> None:
    look = with_clients(*[(script(pid), {"idle": float(pid)}) for pid in (FIRST, SECOND, THIRD)])
    assert stopped(planned(look, spec(max_api_clients=3))) == []
    assert stopped(planned(look, spec(max_api_clients=2))) == [THIRD]
    assert stopped(planned(look, spec(max_api_clients=1))) == [THIRD, SECOND]


def test_without_a_limit_only_who_a_pattern_names_gives_way() -> None:
    look = with_clients(*[(script(pid), {}) for pid in (FIRST, SECOND, THIRD)])
    assert stopped(planned(look, spec(max_api_clients=None))) == []
    look = look._replace(processes={**look.processes, THIRD: script(THIRD, "cleanup.py")})
    plan = planned(look, spec(max_api_clients=None, client_patterns=("cleanup",)))
    assert stopped(plan) == [THIRD] and plan.withheld == ()


def test_a_named_script_with_two_connections_is_stopped_once() -> None:
    held = [connection(FIRST), connection(FIRST, client_port=1), connection(SECOND)]
    look = snapshot(OURS, listener(), script(FIRST, "cleanup.py"), script(SECOND), *held)
    assert stopped(planned(look, spec(client_patterns=("cleanup",)))) == [FIRST]


def test_of_several_sessions_of_one_script_nobody_can_tell_which_is_too_many() -> None:
    held = [connection(FIRST), connection(FIRST, client_port=1)]
    plan = planned(snapshot(OURS, listener(), script(FIRST), *held))
    assert plan.steps == () and "connections of one script" in plan.withheld[0]


def test_a_newer_viewer_goes_for_one_too_many_and_an_older_bot_keeps_both_of_its_sessions() -> None:
    held = [connection(FIRST, cookie=1), connection(FIRST, client_port=1, cookie=2), connection(SECOND, cookie=3)]
    plan = planned(snapshot(OURS, listener(), script(FIRST), script(SECOND, age=60.0), *held), spec(max_api_clients=2))
    assert [each.target.get("cookie") for each in plan.steps] == [3, None] and stopped(plan) == [SECOND]


def test_whom_a_pattern_names_goes_before_the_others_and_connected_or_not() -> None:
    look = with_clients((script(FIRST, "cleanup.py"), {}), (script(SECOND, ppid=1), {"idle": 9e3}))
    look = look._replace(processes={**look.processes, THIRD: script(THIRD, "cleanup.py")})
    assert stopped(planned(look, spec(client_patterns=("cleanup",)))) == [FIRST, THIRD]


def test_one_connection_that_two_processes_hold_costs_nobody_his_session() -> None:
    look = snapshot(OURS, listener(), script(FIRST), script(SECOND), connection(FIRST, SECOND))
    assert stopped(planned(look)) == []


# --- who never goes --------------------------------------------------------------------------------------------------


ROUTER = script(FIRST, "router.py", ppid=1)
UNTOUCHABLE = [
    (ROUTER, {}, "pid %d (protected)" % FIRST),
    (process(FIRST, "socat", "TCP-LISTEN:4003", "TCP:127.0.0.1:4001"), {}, "pid %d (the relay socat)" % FIRST),
    (script(FIRST, "proxy.py", pairs=True), {}, "pid %d (others are connected to it, as to a relay)" % FIRST),
    (script(FIRST, own_run=True), {}, "pid %d (this run)" % FIRST),
    (process(FIRST, "dbus-daemon", user="messagebus"), {"client_user": "trader"}, "it did not open the connection"),
    (process(FIRST, "monitord", user="zabbix", unit="zabbix.service"), {}, "a system service of zabbix"),
]


@pytest.mark.parametrize(("untouchable", "more", "says"), UNTOUCHABLE, ids=[each[2] for each in UNTOUCHABLE])
def test_what_must_not_be_stopped_is_left_and_said(untouchable: Process, more: Dict[str, Any], says: str) -> None:
    one = spec(protected_clients=("router",))
    plan = planned(with_clients((untouchable, more), (script(SECOND, "router.py"), {})), one)
    assert plan.steps == () and says in plan.withheld[0]


@pytest.mark.parametrize(("untouchable", "more", "says"), UNTOUCHABLE[1:], ids=[each[2] for each in UNTOUCHABLE[1:]])
def test_a_working_session_stays_beside_others_that_nobody_can_compare_it_with(
    untouchable: Process, more: Dict[str, Any], says: str
) -> None:
    plan = planned(with_clients((untouchable, {"idle": 9e5, **more}), (script(SECOND), {"idle": 0.1})))
    assert plan.steps == () and says in plan.withheld[0]


def test_beside_a_protected_session_the_other_one_goes_for_one_too_many() -> None:
    look = with_clients((ROUTER, {"idle": 9e5}), (script(SECOND), {"idle": 0.1}))
    assert stopped(planned(look, spec(protected_clients=("router",)))) == [SECOND]


def test_a_relay_is_left_and_named_even_when_a_pattern_means_it() -> None:
    plan = planned(with_clients((SOCAT, {}), (SOCAT, {"client_port": 1})), spec(client_patterns=("socat",)))
    assert plan.steps == () and "socat" in plan.withheld[0]


@pytest.mark.parametrize(("host", "says"), [("10.0.0.9", "a client on 10.0.0.9"), (None, "cannot be seen")])
def test_a_client_that_is_not_here_is_withheld(host: Optional[str], says: str) -> None:
    look = snapshot(OURS, listener(), connection(remote_host=host), connection(remote_host=host, client_port=1))
    plan = planned(look)
    assert plan.steps == () and says in plan.withheld[0]


def test_protection_weighs_more_than_a_pattern() -> None:
    one = spec(client_patterns=("bot",), protected_clients=(r"bot\.py --keep",))
    look = snapshot(OURS, listener(), process(FIRST, "python3", "bot.py", "--keep"), script(SECOND))
    assert stopped(planned(look, one)) == [SECOND]


OWN: Dict[str, Any] = {"unit": "desk.service", "unit_is_own": True}


def test_a_client_with_a_unit_of_its_own_is_stopped_through_that_unit() -> None:
    found = planned(snapshot(OURS, listener(), script(FIRST, **OWN)), spec(client_patterns=("bot",))).steps
    assert [each.target["unit"] for each in found] == ["desk.service"]


@pytest.mark.parametrize(
    ("other", "held", "ends"),
    [
        (script(SECOND, "router.py", **OWN), connection(SECOND), False),
        (script(SECOND, "router.py", **OWN), None, False),
        (script(SECOND, "other.py", **OWN), connection(SECOND), False),
        (script(SECOND, "other.py", **OWN), connection(SECOND, sent=20), True),
        (script(SECOND, "other.py", **OWN), None, True),
        (script(SECOND, "other.py"), connection(SECOND), True),
    ],
    ids=["protected", "protected, not connected", "at work", "only an attempt", "idle", "not of its unit"],
)
def test_a_client_is_not_stopped_where_its_service_would_end_what_else_lives_in_it(
    other: Process, held: Optional[ApiConnection], ends: bool
) -> None:
    """systemd ends what is left of a service when its main process has, whether it was told to stop it or not."""
    look = snapshot(OURS, listener(), script(FIRST, **OWN), other, *filter(None, [held]))
    found = planned(look, spec(client_patterns=("bot",), protected_clients=("router",)))
    assert [each.target["pid"] for each in found.steps] == [FIRST] * ends
    assert ends or "or what ends with it does or is to stay" in " ".join(found.withheld)


def test_a_client_is_not_stopped_through_the_gateway_s_unit() -> None:
    look = snapshot(gateway(**OWN), listener(), script(FIRST, **OWN))
    found = planned(look, spec(client_patterns=("bot",))).steps
    assert [(each.target["pid"], each.target["unit"]) for each in found] == [(FIRST, None)]


# --- clients and restarts --------------------------------------------------------------------------------------------


def test_a_named_script_without_a_connection_that_is_busy_elsewhere_is_no_client() -> None:
    """It may work on a gateway of another host whose port nobody here knows. A worker's script is spared with it."""
    named = spec(client_patterns=("bot",))
    look = snapshot(gateway(), listener(), script(FIRST), script(SECOND, worker_of=FIRST))
    assert {each.target["pid"] for each in planned(look, named).steps} == {FIRST, SECOND}
    assert planned(look._replace(busy=frozenset((SECOND,))), named).steps == ()
    connected = snapshot(gateway(), listener(), script(FIRST), connection(FIRST))
    assert planned(connected._replace(busy=frozenset((FIRST,))), named).steps != ()


def test_a_script_that_was_handed_another_account_s_connection_keeps_it_and_only_its_own_is_cut() -> None:
    own = connection(FIRST, idle=3600.0, cookie=1)
    handed = connection(FIRST, idle=3600.0, cookie=2, client_port=50_001, client_user="bob")
    look = snapshot(gateway(), script(FIRST), listener(), own, handed)
    steps = planned(look, spec(max_api_clients=None), probe("stalled")).steps
    assert "stop_client" not in [each.action for each in steps]
    alone = planned(
        snapshot(gateway(), script(FIRST), listener(), own), spec(max_api_clients=None), probe("stalled")
    ).steps
    assert "stop_client" in [each.action for each in alone]


@pytest.mark.parametrize("outcome", ["stalled", "silent", "dropped", "refused"])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("ppid", [1, 700])
def test_a_forgotten_session_ends_before_a_restart(outcome: str, limit: Optional[int], ppid: int) -> None:
    look = with_clients((script(FIRST, ppid=ppid), {"idle": 600.0}))
    found = planned(look, spec(max_api_clients=limit), probe(outcome)).steps
    assert [(each.action, each.only_if_persists) for each in found] == [("stop_client", False), ("restart", True)]


@pytest.mark.parametrize("ppid", [1, 700])
def test_a_gateway_that_a_client_works_on_is_not_restarted_for_others(ppid: int) -> None:
    look = with_clients((script(FIRST, ppid=ppid), {"sent": 5000, "idle": 599.0}))
    plan = planned(look, spec(max_api_clients=2), probe("stalled"))
    assert plan.steps == () and "cut off pid %d" % FIRST in plan.withheld[0]


def test_a_client_that_was_never_served_does_not_keep_a_restart_away() -> None:
    look = with_clients((script(FIRST), {"sent": 30}))
    assert [each.action for each in planned(look, spec(max_api_clients=2), probe("stalled")).steps] == ["restart"]


def test_a_protected_client_always_keeps_a_restart_away() -> None:
    look = snapshot(OURS, script(FIRST), connection(FIRST))
    plan = planned(look, spec(protected_clients=("bot",)))
    assert plan.steps == () and "cut off pid %d" % FIRST in plan.withheld[0]


def test_nobody_is_stopped_for_a_restart_that_a_protected_client_keeps_away() -> None:
    look = snapshot(OURS, script(FIRST, "router.py"), script(SECOND), connection(FIRST), connection(SECOND))
    plan = planned(look, spec(max_api_clients=2, protected_clients=("router",)))
    assert plan.steps == ()


# --- any host --------------------------------------------------------------------------------------------------------

ARGVS = st.sampled_from(
    [
        ("python3", "bot.py"),
        ("python3", "router.py"),
        ("bash", "cleanup.py"),
        ("vim", "cleanup.py"),
        ("socat", "TCP-LISTEN:4001", "TCP:127.0.0.1:4002"),
        ("docker-proxy", "-host-port", "4001"),
        ("java", "-jar", "cleanup.jar"),
        ("java", "-DjtsConfigDir=" + FOLDER, "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini"),
        ("java", "-DjtsConfigDir=/srv/other", "ibgateway.GWClient"),
    ]
)
PIDS = st.sampled_from([1, 1, 2, 800, 801])


@st.composite
def processes(draw: st.DrawFn) -> Process:
    argv, pid = draw(ARGVS), draw(PIDS)
    ours = "java" in argv[0] and FOLDER in argv[1]
    return process(
        pid + 5000 if ours else pid,
        *argv,
        user=draw(st.sampled_from(["trader", "trader", "bob"])),
        ppid=draw(st.sampled_from([1, 700])),
        age=draw(st.sampled_from([10.0, 5000.0])),
        unit=draw(st.sampled_from([None, "ibgateway.service"])),
        own_run=False if ours else draw(st.booleans()),
    )


ANY_PID = st.sampled_from([1, 2, 800, 801, GATEWAY, 5001, 5801])
PORTS = st.sampled_from([4001, 4001, 4001, 4002, 4444])
LISTENERS = st.builds(lambda port, pid: listener(port, pid), PORTS, ANY_PID)
MORE = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["ESTABLISHED", "ESTABLISHED", "CLOSE_WAIT"]),
        "accepted": st.sampled_from([True, True, False]),
        "idle": st.sampled_from([None, 1.0, 700.0]),
        "sent": st.sampled_from([None, 30, 5000]),
        "client_port": st.integers(50_000, 50_009),
    }
)
CONNECTIONS = st.builds(
    lambda clients, server, port, more: connection(*clients, server=server, port=port, **more),
    st.lists(PIDS, min_size=1, max_size=2) | st.lists(ANY_PID, max_size=2),
    st.sampled_from([GATEWAY, GATEWAY, 5001, ALIEN]),
    PORTS,
    MORE,
)
#: What makes a plan likely: a gateway of the entry, listening or not, with a stuck client that may be anything.
BARE = gateway()
CORES = st.sampled_from(
    [(), (OURS,), (BARE,), (OURS, listener()), (BARE, listener()), (OURS, gateway(5001), listener())]
)
HOSTS = st.builds(
    lambda *parts: snapshot(*[each for part in parts for each in part]),
    CORES,
    st.lists(processes(), max_size=7),
    st.lists(LISTENERS, max_size=1),
    st.lists(CONNECTIONS, max_size=6),
)
SPECS = st.builds(
    lambda clients, service, patterns: spec(
        max_api_clients=clients, service=service, client_patterns=patterns, protected_clients=("router",)
    ),
    st.integers(1, 2),
    st.sampled_from([None, "ibgateway"]),
    st.sampled_from([(), ("cleanup",), ("socat|router|jts|cleanup",)]),
)
PROBES = st.one_of(
    st.none(), st.builds(probe, st.sampled_from(["ready", "stalled", "silent", "refused", "dropped", "id_in_use"]))
)


@settings(max_examples=400, deadline=None)
@given(HOSTS, SPECS, PROBES)
def test_no_plan_ever_targets_a_bystander(look: Snapshot, one: GatewaySpec, shaken: Any) -> None:
    for step in planned(look, one, shaken).steps:
        target = step.target if "pid" in step.target else step.target.get("process")
        if target is None:
            continue
        victim = look.processes[target["pid"]]
        assert (target["started_ticks"], target["argv_digest"]) == (victim.started_ticks, victim.argv_digest)
        assert victim.pid != 1 and not victim.own_run and victim.relay is None
        if step.action == "stop_client":
            assert victim.gateway is None and "router.py" not in victim.argv
        else:
            assert victim.gateway and victim.user == "trader"
            assert victim.gateway.config_dir == FOLDER or victim.unit == UNIT, "by its folder, or by systemd's word"
