"""Which connections a plan cuts before it stops anybody, and which it leaves to a stop or to themselves."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from unit.facts import (
    BOOT,
    GATEWAY,
    SCRIPT,
    UNIT,
    Fact,
    connection,
    gateway,
    listener,
    planned,
    probe,
    script,
    snapshot,
    spec,
)

OURS = gateway(unit=UNIT)
FIRST, SECOND = 801, 802


def look(*clients: Tuple[Process, Dict[str, Any]]) -> Snapshot:
    """A gateway in order, and these clients, each with a connection that has a cookie of its own."""
    facts: List[Fact] = [OURS, listener()]
    for one, more in clients:
        facts += [one, connection(one.pid, **{"cookie": one.pid * 10, **more})]
    return snapshot(*facts)


CROWD = look((script(FIRST, age=60.0), {"idle": 9.0}), (script(SECOND), {"idle": 1.0}))


def steps(plan: Plan) -> List[Tuple[str, bool]]:
    return [(each.action, each.only_if_persists) for each in plan.steps]


def cut(plan: Plan) -> List[int]:
    return [each.target["cookie"] for each in plan.steps if each.action == "drop_connection"]


def stopped(plan: Plan) -> List[int]:
    return [each.target["pid"] for each in plan.steps if each.action == "stop_client"]


def test_a_surplus_connection_is_cut_and_its_script_is_stopped_only_if_that_does_not_help() -> None:
    plan = planned(CROWD)
    assert steps(plan) == [("drop_connection", False), ("stop_client", True)]
    assert (cut(plan), stopped(plan)) == ([FIRST * 10], [FIRST])


def test_a_cut_names_both_ends_the_cookie_and_everybody_who_holds_it() -> None:
    one = script(FIRST, age=60.0)
    target = dict(planned(look((one, {"idle": 9.0}), (script(SECOND), {}))).steps[0].target)
    ours, theirs = target.pop("gateway_process"), target.pop("client_processes")
    assert target == {
        "gateway": "live",
        "port": 4001,
        "client": "127.0.0.1",
        "client_port": 50_000 + FIRST,
        "server": "127.0.0.1",
        "cookie": FIRST * 10,
    }
    for found, process, role in ((ours, OURS, "gateway"), (theirs[0], one, "client")):
        assert found == {
            "pid": process.pid,
            "started_ticks": process.started_ticks,
            "boot_id": BOOT,
            "role": role,
            "argv_digest": process.argv_digest,
            "user": process.user,
            "command": list(process.command),
        }
    assert len(theirs) == 1


def test_a_script_that_the_inventory_names_is_stopped_at_once() -> None:
    plan = planned(CROWD, spec(client_patterns=("bot",)))
    assert steps(plan) == [("stop_client", False), ("stop_client", False)]


@pytest.mark.parametrize("shaken", [probe("stalled"), None], ids=["it blocks the API", "the API was not asked"])
def test_the_connection_of_a_named_script_that_a_signal_has_stopped_is_cut_since_it_cannot_be_told_to_end(
    shaken: Any,
) -> None:
    plan = planned(look((script(FIRST, state="T"), {"idle": 9.0})), spec(client_patterns=("bot",)), shaken)
    assert steps(plan)[:2] == [("drop_connection", False), ("stop_client", True)]
    assert cut(plan) == [FIRST * 10]


def test_a_forgotten_connection_is_cut_before_its_script_is_stopped_and_the_gateway_restarted() -> None:
    plan = planned(look((script(FIRST), {"idle": 600.0})), spec(max_api_clients=2), probe("stalled"))
    assert steps(plan) == [("drop_connection", False), ("stop_client", True), ("restart", True)]


@pytest.mark.parametrize(
    "more",
    [{"cookie": None}, {"gateway_pids": frozenset((GATEWAY, 5))}, {"gateway_pids": frozenset((5,)), "port": 4001}],
    ids=["no cookie", "two holders of the gateway's end", "held by somebody else"],
)
def test_what_cannot_be_named_exactly_is_not_cut(more: Dict[str, Any]) -> None:
    clients = [(script(FIRST), {"idle": 9.0, **more}), (script(SECOND), {"idle": 1.0, **more})]
    assert cut(planned(look(*clients))) == []


def test_without_a_cookie_the_script_is_stopped_as_before() -> None:
    plan = planned(look((script(FIRST), {"idle": 9.0, "cookie": None}), (script(SECOND), {})))
    assert steps(plan) == [("stop_client", False)] and stopped(plan) == [FIRST]


@pytest.mark.parametrize("shaken", [None, probe("stalled")], ids=["one too many", "a stalled API"])
def test_a_connection_that_a_protected_script_holds_as_well_is_left_with_both_of_its_holders(shaken: Any) -> None:
    held = connection(FIRST, SECOND, cookie=7, idle=900.0)
    more = connection(SECOND, cookie=8, client_port=1)
    look = snapshot(OURS, listener(), script(FIRST), script(SECOND, "router.py"), held, more)
    found = planned(look, spec(protected_clients=("router",)), shaken)
    assert found.steps == (), "to stop the one that may go would not close the connection"


def test_a_connection_that_a_named_script_shares_with_another_is_not_cut() -> None:
    held = connection(FIRST, SECOND, cookie=7)
    look = snapshot(OURS, listener(), script(FIRST, "cleanup.py"), script(SECOND), held)
    found = planned(look, spec(client_patterns=("cleanup",)))
    assert cut(found) == [] and stopped(found) == [FIRST]


def test_a_connection_of_several_processes_is_cut_once_and_names_all_of_them() -> None:
    held = connection(FIRST, SECOND, cookie=7, idle=50.0)
    pair = [script(FIRST, age=60.0), script(SECOND, age=60.0)]
    plan = planned(snapshot(OURS, listener(), *pair, script(SCRIPT), held, connection(SCRIPT)))
    assert cut(plan) == [7]
    assert [each["pid"] for each in plan.steps[0].target["client_processes"]] == [FIRST, SECOND]
    assert [(each.target["pid"], each.only_if_persists) for each in plan.steps[1:]] == [(FIRST, True), (SECOND, True)]


def test_all_forgotten_connections_of_a_script_are_cut_for_two_too_many() -> None:
    both = [connection(FIRST, cookie=7, idle=700.0), connection(FIRST, cookie=8, client_port=1, idle=700.0)]
    plan = planned(snapshot(OURS, listener(), script(FIRST), script(SCRIPT), *both, connection(SCRIPT, cookie=9)))
    assert cut(plan) == [7, 8] and stopped(plan) == [FIRST]


def test_of_a_script_s_forgotten_connections_one_is_cut_for_one_too_many_and_the_script_stays() -> None:
    both = [connection(FIRST, cookie=7, idle=700.0), connection(FIRST, cookie=8, client_port=1, idle=900.0)]
    plan = planned(snapshot(OURS, listener(), script(FIRST), *both))
    assert cut(plan) == [8] and stopped(plan) == []


def test_no_connection_of_a_gateway_that_no_longer_listens_is_cut() -> None:
    facts: List[Fact] = [*CROWD.processes.values(), *CROWD.connections]
    plan = planned(snapshot(*facts))
    assert [action for action, _ in steps(plan)] == ["wait", "stop_client", "stop_client", "restart"]


@pytest.mark.parametrize(
    "special", [{"own_run": True}, {"relay": "socat"}, {"argv": ("python3", "router.py"), "command": ()}], ids=str
)
def test_what_is_never_stopped_is_never_cut_either(special: Dict[str, Any]) -> None:
    untouchable = [(script(pid)._replace(**special), {"idle": 9.0}) for pid in (FIRST, SECOND)]
    plan = planned(look(*untouchable), spec(protected_clients=("router",)))
    assert plan.steps == () and "not ours to close" in plan.withheld[0]


def test_a_client_on_another_host_is_not_cut() -> None:
    facts: List[Fact] = [OURS, listener()]
    facts += [connection(remote_host="10.0.0.%d" % n, client_port=n, cookie=n) for n in (1, 2)]
    assert planned(snapshot(*facts)).steps == ()


# --- a restart although clients work -----------------------------------------------------------------------------

WORKING = look((script(FIRST), {"sent": 5000}))
FREE = spec(max_api_clients=2)
ALLOWED = FREE._replace(allow_restart_with_clients=True)
GUARDED = ALLOWED._replace(protected_clients=("bot",))


@pytest.mark.parametrize(("one", "restarted"), [(FREE, False), (ALLOWED, True), (GUARDED, False)])
def test_clients_keep_a_restart_away_unless_the_entry_allows_it_and_protected_ones_always(
    one: GatewaySpec, restarted: bool
) -> None:
    plan = planned(WORKING, one, probe("stalled"))
    assert [action for action, _ in steps(plan)] == (["restart"] if restarted else [])
    assert restarted or "cut off pid %d" % FIRST in plan.withheld[0]


@pytest.mark.parametrize("relay", [{"relay": "socat"}, {"pairs": True}], ids=["by name", "by what it does"])
@pytest.mark.parametrize(("one", "restarted"), [(ALLOWED, True), (GUARDED, False)], ids=["nobody", "protected"])
def test_a_relay_with_a_session_keeps_a_restart_away_where_a_protected_script_may_be_behind_it(
    relay: Dict[str, Any], one: GatewaySpec, restarted: bool
) -> None:
    plan = planned(look((script(FIRST, "hands_on.py", **relay), {"sent": 5000})), one, probe("stalled"))
    assert [action for action, _ in steps(plan)] == (["restart"] if restarted else [])
    assert "and whoever uses this relay" in plan.steps[0].costs if restarted else "pid %d" % FIRST in plan.withheld[0]
    assert restarted or "a script may be that protected_clients names" in plan.withheld[0]


def test_a_relay_that_has_no_session_costs_nobody_behind_it_anything() -> None:
    plan = planned(look((script(FIRST, "hands_on.py", pairs=True), {"sent": 0})), GUARDED, probe("stalled"))
    assert [action for action, _ in steps(plan)] == ["restart"]


def test_a_gateway_too_many_is_left_while_a_relay_that_may_serve_a_protected_script_has_a_session_with_it() -> None:
    facts: List[Fact] = [gateway(), gateway(SECOND), script(FIRST, "hands_on.py", pairs=True)]
    held = snapshot(*facts, connection(FIRST, server=SECOND, sent=5000))
    assert [step.action for step in planned(held, GUARDED).steps if step.action == "stop_gateway"] == []


def test_an_unseen_session_of_this_host_keeps_a_restart_away_where_a_script_is_protected() -> None:
    """An ordinary account cannot see which script of another account holds a session: it may be the protected one."""
    look = snapshot(OURS._replace(served_before=True), connection(cookie=7, sent=900, received=400))
    guarded = planned(look, spec(protected_clients=("router",)))
    assert guarded.steps == ()
    assert "a client that cannot be seen, which protected_clients may name" in " ".join(guarded.withheld)
    assert [each.action for each in planned(look, spec()).steps] == ["wait", "restart"]


def test_a_remote_session_keeps_a_restart_away_also_where_another_connection_is_cut_first() -> None:
    forgotten = connection(FIRST, cookie=7, idle=900.0)
    remote = connection(cookie=8, client="10.8.0.7", client_port=1, remote_host="10.8.0.7", sent=900, received=400)
    look = snapshot(OURS, listener(), script(FIRST), forgotten, remote)
    found = planned(look, spec(max_api_clients=None), probe("stalled"))
    assert "restart" not in [each.action for each in found.steps]
    assert "10.8.0.7" in " ".join(found.withheld)


# --- who works on another gateway too --------------------------------------------------------------------------------


NEIGHBOUR = (gateway(GATEWAY + 1, folder="/srv/ibgateway/paper"), listener(4002, GATEWAY + 1))
THERE: Dict[str, Any] = {"server": GATEWAY + 1, "port": 4002, "client_port": 41_000, "sent": 5000, "received": 500}
#: By name, what makes FIRST work elsewhere too.
ELSEWHERE = {
    "on a gateway of no entry": connection(FIRST, **THERE),
    "through another network namespace": connection(FIRST, **{**THERE, "gateway_pids": frozenset(), "accepted": False}),
}


def beside(look: Snapshot, *facts: Fact) -> Snapshot:
    """The look, with a gateway beside that is none of the entry's, and what else is there."""
    more = snapshot(*NEIGHBOUR, *facts)
    return look._replace(
        processes={**look.processes, **more.processes},
        listeners=(*look.listeners, *more.listeners),
        connections=(*look.connections, *more.connections),
    )


@pytest.mark.parametrize("other", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_script_that_works_on_another_gateway_too_is_cut_off_this_one_and_never_stopped(other: Any) -> None:
    surplus = planned(beside(CROWD, other))
    assert (cut(surplus), stopped(surplus)) == ([FIRST * 10], [])
    named = planned(beside(CROWD, other), spec(client_patterns=("bot",)))
    assert (cut(named), stopped(named)) == ([FIRST * 10], [SECOND])
    forgotten = beside(look((script(FIRST), {"idle": 600.0})), other)
    assert steps(planned(forgotten, spec(max_api_clients=2), probe("stalled"))) == [
        ("drop_connection", False),
        ("restart", True),
    ]


def test_a_script_that_uses_a_gateway_of_another_host_is_cut_off_and_not_stopped() -> None:
    plan = planned(CROWD._replace(away=frozenset((FIRST,))))
    assert (cut(plan), stopped(plan)) == ([FIRST * 10], [])


def test_an_attempt_at_another_gateway_is_no_work_there() -> None:
    attempt = connection(FIRST, **{**THERE, "sent": 20})
    assert stopped(planned(beside(CROWD, attempt))) == [FIRST]
    unused = connection(FIRST, **{**THERE, "received": 40})
    assert stopped(planned(beside(CROWD, unused))) == [], "it may wait there for what it trades on"


def test_the_session_of_a_port_that_closed_ends_with_the_gateway_where_its_script_works_elsewhere_too() -> None:
    held = [connection(each, cookie=each, client_port=each) for each in (FIRST, SECOND)]
    silent = snapshot(OURS, script(FIRST), script(SECOND), *held)
    assert stopped(planned(silent)) == [FIRST, SECOND]
    plan = planned(beside(silent, connection(FIRST, **THERE)))
    assert (cut(plan), stopped(plan), plan.steps[-1].action) == ([], [SECOND], "restart")
    assert "pid %d" % FIRST in plan.steps[-1].costs, "the restart says whose sessions end with it"
    shared = connection(FIRST, SECOND, cookie=7)
    both = snapshot(OURS, script(FIRST), script(SECOND), shared)
    assert stopped(planned(beside(both, connection(FIRST, **THERE)))) == [], "the connection would stay open"


def test_who_works_elsewhere_and_cannot_be_cut_off_stays_and_the_plan_says_so() -> None:
    clients = [(script(FIRST, age=60.0), {"cookie": None}), (script(SECOND), {"cookie": None})]
    others = [connection(each, **{**THERE, "client_port": each}) for each in (FIRST, SECOND)]
    for more in ({}, {"client_patterns": ("bot",), "max_api_clients": None}):
        plan = planned(beside(look(*clients), *others), spec(**more))
        assert plan.steps == () and "works on another gateway as well" in plan.withheld[0]


def test_a_script_is_not_stopped_through_a_unit_of_which_another_process_works_elsewhere() -> None:
    unit: Dict[str, Any] = {"unit": "bots.service", "unit_is_own": True}
    crowd = look((script(FIRST, age=60.0, **unit), {}), (script(SECOND), {}))
    assert stopped(planned(crowd)) == [FIRST]
    sibling = script(SCRIPT, "sibling.py", **unit)
    plan = planned(beside(crowd, sibling, connection(SCRIPT, **THERE)))
    assert (cut(plan), stopped(plan)) == ([FIRST * 10], [])
