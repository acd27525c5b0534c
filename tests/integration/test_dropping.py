"""ib_connection_drop on real connections: the one that was meant ends, its script, its gateway and all others go on."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.run import escalation
from ansible.module_utils.ib_gateway.act import drop_connection
from ansible.module_utils.ib_gateway.observe import processes, sockets
from simulator.launch import HeldSession, SimulatedGateway

from integration.desk import Desk, alive, until
from integration.modules import run_module, run_module_as
from integration.network import HOST, LAPTOP, Network
from integration.repair import Repair

pytestmark = pytest.mark.skipif(
    not drop_connection._capabilities() >> 12 & 1, reason="needs the right to cut connections (root, or CAP_NET_ADMIN)"
)


def crowd(desk: Desk) -> tuple[SimulatedGateway, HeldSession, HeldSession]:
    """A gateway and two scripts where there is room for one."""
    return desk.gateway(), desk.script(client_id=15), desk.script(client_id=16)


def pids_connected(desk: Desk) -> set[int]:
    """The scripts with an open connection to this desk's gateway, as the module that lists clients sees them."""
    found = run_module("ib_client_info", ports=[desk.port])["clients"]
    return {each["pid"] for each in found if each["state"] == "ESTABLISHED" and each["accepted"]}


def drop(repair: Repair, **options: Any) -> dict[str, Any]:
    return run_module("ib_connection_drop", connections=repair.targets("drop_connection"), **options)


def test_a_surplus_connection_is_cut_and_everybody_lives(desk: Desk) -> None:
    gateway, *scripts = crowd(desk)
    repair = Repair(desk)
    surplus = repair.targets("drop_connection")[0]["client_processes"][0]["pid"]
    assert [step["only_if_persists"] for step in repair.steps("stop_client")] == [True]
    found = drop(repair)
    assert (found["changed"], [row["pids"] for row in found["dropped"]]) == (True, [[surplus]])
    stays = {each.pid for each in scripts} - {surplus}
    until(lambda: pids_connected(desk) == stays)
    assert alive(gateway.pid) and all(alive(each.pid) for each in scripts)
    again = drop(repair)
    assert (again["changed"], len(again["already_gone"]), again["dropped"]) == (False, 1, [])
    assert repair.look()["gateways"][0]["plan"]["steps"] == []


@pytest.mark.parametrize("check", [True, False])
def test_a_stop_that_would_follow_a_cut_is_foretold_although_scripts_come_and_go(desk: Desk, check: bool) -> None:
    _gateway, *scripts = crowd(desk)
    repair = Repair(desk).begin()
    steps = repair.steps("stop_client")
    desk.script(client_id=17)
    (outcome,) = repair.act("ib_process_stop", check=check, steps=steps)["outcomes"]
    assert outcome["result"] == ("would" if check else "refused") and all(alive(each.pid) for each in scripts)
    assert check or "the evidence has changed" in outcome["reason"]


def test_the_slot_is_free_again_for_the_next_one(desk: Desk) -> None:
    """The gateway itself sees the end of the connection: a session that could not be opened now is."""
    desk.gateway("one-slot")
    holder = desk.script(client_id=15)
    code = f"import socket, sys; s = socket.create_connection(('127.0.0.1', {desk.port})); s.recv(1)"
    knocking = desk.bystander(sys.executable, "-c", code, "monitor.py")
    until(lambda: pids_connected(desk) == {holder.pid, knocking.pid})
    # Who is protected stays, so the script is the one that has to give way.
    repair = Repair(desk, desk.entry(max_api_clients=1, protected_clients=[r"monitor\.py"]))
    assert [each["pid"] for each in repair.targets("drop_connection")[0]["client_processes"]] == [holder.pid]
    assert len(drop(repair)["dropped"]) == 1
    until(lambda: pids_connected(desk) == {knocking.pid})
    waiting = desk.script(client_id=16)
    assert pids_connected(desk) == {knocking.pid, waiting.pid}


def test_check_mode_says_what_would_be_cut_and_cuts_nothing(desk: Desk) -> None:
    _gateway, *scripts = crowd(desk)
    repair = Repair(desk)
    found = run_module("ib_connection_drop", True, True, connections=repair.targets("drop_connection"))
    assert found["changed"] and len(found["dropped"]) == 1
    assert str(found["dropped"][0]["client_port"]) in found["diff"]["before"]
    assert pids_connected(desk) == {each.pid for each in scripts}


def test_a_later_connection_of_the_same_ports_is_left_alone(desk: Desk) -> None:
    _gateway, *scripts = crowd(desk)
    planned = Repair(desk).targets("drop_connection")[0]
    with client(desk.port) as first:
        until(lambda: os.getpid() in pids_connected(desk))
        target = {**planned, **ends(first.getsockname()[1], desk.port)}
        own_port = first.getsockname()[1]
        reset(first)
        with client(desk.port, own_port):
            until(lambda: os.getpid() in pids_connected(desk))
            assert cookie_of(own_port, desk.port) != target["cookie"]
            found = run_module("ib_connection_drop", connections=[target])
            assert (found["changed"], len(found["already_gone"])) == (False, 1)
            assert pids_connected(desk) == {os.getpid(), *(each.pid for each in scripts)}


def client(port: int, own_port: int = 0) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", own_port))
    one.connect(("127.0.0.1", port))
    return one


def reset(one: socket.socket) -> None:
    """Ends a connection without leaving anything of it behind."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.close()


def cookie_of(own_port: int, port: int) -> int | None:
    rows = [each for each in sockets.connections([port]) if (each.local_port, each.remote_port) == (port, own_port)]
    return rows[0].cookie


def ends(own_port: int, port: int) -> dict[str, Any]:
    until(lambda: cookie_of(own_port, port))
    return {"client_port": own_port, "cookie": cookie_of(own_port, port)}


def test_a_connection_of_this_very_run_is_refused(desk: Desk) -> None:
    crowd(desk)
    target = Repair(desk).targets("drop_connection")[0]
    with client(desk.port) as own:
        stat = processes.read_stat(os.getpid())
        assert stat is not None
        identity = {"pid": os.getpid(), "started_ticks": stat.started_ticks, "boot_id": processes.boot_id()}
        named = {**target, **ends(own.getsockname()[1], desk.port), "client_processes": [identity]}
        found = run_module("ib_connection_drop", connections=[named])
        assert "this very run" in found["refused"][0]["reason"] and os.getpid() in pids_connected(desk)


def test_a_holder_that_is_not_the_one_of_the_plan_keeps_the_connection(desk: Desk) -> None:
    _gateway, *scripts = crowd(desk)
    target = Repair(desk).targets("drop_connection")[0]
    for change in ({"started_ticks": 1}, {"boot_id": "another"}, {"argv_digest": "0" * 16}):
        others = [
            {**target, "gateway_process": {**target["gateway_process"], **change}},
            {**target, "client_processes": [{**target["client_processes"][0], **change}]},
        ]
        found = run_module("ib_connection_drop", connections=others)
        assert (found["changed"], len(found["refused"])) == (False, 2), change
    assert pids_connected(desk) == {each.pid for each in scripts}


@contextlib.contextmanager
def shared(port: int) -> Iterator[tuple[int, int]]:
    """A connection that a process and its child hold together; their pids."""
    code = (
        "import os, socket, sys, time\n"
        f"s = socket.create_connection(('127.0.0.1', {port}))\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        try:
            yield parent.pid, int(parent.stdout.readline())
        finally:
            parent.kill()


def test_a_connection_that_somebody_else_holds_as_well_is_refused(desk: Desk) -> None:
    desk.gateway()
    desk.script(client_id=15)
    with shared(desk.port) as (parent, child):
        until(lambda: {parent, child} <= pids_connected(desk))
        repair = Repair(desk)
        target = repair.targets("drop_connection")[0]
        assert {each["pid"] for each in target["client_processes"]} == {parent, child}
        alone = {**target, "client_processes": target["client_processes"][:1]}
        found = run_module("ib_connection_drop", connections=[alone])
        assert "held by others" in found["refused"][0]["reason"]
        assert len(run_module("ib_connection_drop", connections=[target])["dropped"]) == 1


def nobody() -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("check", [False, True])
def test_without_the_right_to_it_a_cut_is_unsupported_and_no_failure(desk: Desk, check: bool) -> None:
    _gateway, *scripts = crowd(desk)
    found = run_module_as(
        nobody, "ib_connection_drop", check=check, connections=Repair(desk).targets("drop_connection")
    )
    assert not found.get("failed") and not found["changed"]
    assert "become" in found["unsupported"][0]["reason"] and found["dropped"] == []
    assert pids_connected(desk) == {each.pid for each in scripts}


# --- under an authorization ------------------------------------------------------------------------------------------


def test_a_cut_is_written_down_before_it_is_made_and_when_it_is(desk: Desk) -> None:
    crowd(desk)
    repair = Repair(desk).begin()
    found = repair.act("ib_connection_drop", connections=repair.targets("drop_connection"))
    assert found["changed"] and found["withheld"] == []
    assert repair.told() == [("intent", "drop_connection"), ("outcome", "drop_connection", "done")]
    assert repair.journal()[0]["target"]["cookie"] == found["dropped"][0]["cookie"]


def test_another_session_since_the_plan_was_made_withholds_the_cut(desk: Desk) -> None:
    _gateway, *scripts = crowd(desk)
    repair = Repair(desk).begin()
    third = desk.script(client_id=17)
    found = repair.act("ib_connection_drop", connections=repair.targets("drop_connection"))
    assert not found["changed"] and found["dropped"] == found["refused"] == []
    assert [(each["gateway"], each["action"]) for each in found["withheld"]] == [("live", "drop_connection")]
    assert pids_connected(desk) == {each.pid for each in (*scripts, third)}
    assert [each[0] for each in repair.told()] == ["refuse"]


def test_nothing_is_cut_by_a_run_that_has_not_begun(desk: Desk) -> None:
    _gateway, *scripts = crowd(desk)
    repair = Repair(desk)
    found = repair.act("ib_connection_drop", connections=repair.targets("drop_connection"))
    assert not found["changed"] and len(found["withheld"]) == 1
    assert pids_connected(desk) == {each.pid for each in scripts}


# --- a client on another host, whose network goes away ---------------------------------------------------------------


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make networks")
    with contextlib.ExitStack() as stack:
        yield Network(stack)


def at_the_desk(desk: Desk, network: Network) -> tuple[SimulatedGateway, HeldSession, HeldSession]:
    """A gateway, a script beside it, and one on the laptop; both have a session."""
    gateway = desk.gateway(settings={"event": "link-back"})
    near = desk.script(client_id=15)
    with network.on_the_laptop():
        far = desk.script(client_id=16, host=HOST)
    return gateway, near, far


def lost(desk: Desk) -> list[str]:
    """The addresses of which this host's TCP waits in vain for an answer."""
    return [each.remote for each in sockets.connections([desk.port]) if each.lost_for is not None]


def sessions(desk: Desk) -> list[str]:
    """The addresses with an open connection to the gateway, by the kernel's table."""
    found = sockets.connections([desk.port])
    return sorted(each.remote for each in found if each.local_port == desk.port and each.state == "ESTABLISHED")


def told_in_vain(desk: Desk, gateway: SimulatedGateway) -> None:
    """The gateway says something to its sessions, and TCP waits in vain for the laptop's answer.

    So long that it is given up where its place is needed.
    """
    gateway.happen()
    until(lambda: lost(desk) == [LAPTOP], 30)
    until(lambda: any((each.lost_for or 0) > 30 for each in sockets.connections([desk.port])), 60)


def repaired(desk: Desk) -> Repair:
    return Repair(desk, desk.entry(max_api_clients=2))


def test_the_session_of_a_host_whose_network_is_gone_is_cut_and_the_next_look_is_healthy(
    network: Network, desk: Desk
) -> None:
    gateway, near, far = at_the_desk(desk, network)
    assert repaired(desk).health["status"] == "healthy"
    network.vanish()
    told_in_vain(desk, gateway)
    repair = repaired(desk).begin()
    assert repair.health["status"] == "degraded"
    chosen = escalation.next_step(repair.health)
    assert (chosen["action"], [each["target"]["remote_host"] for each in chosen["steps"]]) == (
        "drop_connection",
        [LAPTOP],
    )
    foretold = repair.act("ib_connection_drop", check=True, steps=chosen["steps"])
    assert [each["result"] for each in foretold["outcomes"]] == ["would"] and LAPTOP in sessions(desk)
    found = repair.act("ib_connection_drop", steps=chosen["steps"])
    assert [each["result"] for each in found["outcomes"]] == ["done"] and found["changed"]
    until(lambda: sessions(desk) == ["127.0.0.1"])
    assert alive(gateway.pid) and alive(near.pid) and alive(far.pid)
    after = repair.look()
    assert (after["status"], escalation.next_step(after, chosen)["action"]) == ("healthy", None)
    again = repair.act("ib_connection_drop", steps=chosen["steps"])
    assert [each["result"] for each in again["outcomes"]] == ["already"] and not again["changed"]


def test_the_session_of_a_host_that_answers_again_stays_and_the_gateway_is_not_latched(
    network: Network, desk: Desk
) -> None:
    gateway, *_scripts = at_the_desk(desk, network)
    network.vanish()
    told_in_vain(desk, gateway)
    repair = repaired(desk).begin()
    steps = escalation.next_step(repair.health)["steps"]
    network.come_back()
    until(lambda: lost(desk) == [], 60)  # TCP tries again, at longer and longer intervals
    found = repair.act("ib_connection_drop", steps=steps)
    assert not found["changed"] and "nothing waits in vain" in found["refused"][0]["reason"]
    assert sessions(desk) == ["127.0.0.1", LAPTOP]
    assert [each[0] for each in repair.told()] == []
    ended = run_module("ib_repair_end", authorization=repair.authorization, results=[])
    assert (ended["ended"], ended["latched"]) == (True, [])


def test_the_session_of_a_host_that_is_only_silent_stays_whatever_the_step_says(network: Network, desk: Desk) -> None:
    at_the_desk(desk, network)
    target = {**named(desk, LAPTOP), "remote_host": LAPTOP}
    for each, why in (
        (target, "nothing waits in vain"),
        ({**target, "remote_host": None}, "names no process"),
        ({**target, "remote_host": "192.0.2.3"}, "not there"),
        ({**named(desk, "127.0.0.1"), "remote_host": "127.0.0.1"}, "not there"),
    ):
        found = run_module("ib_connection_drop", connections=[each])
        assert not found["changed"] and why in found["refused"][0]["reason"]
    assert sessions(desk) == ["127.0.0.1", LAPTOP]


def named(desk: Desk, client: str) -> dict[str, Any]:
    """A target for the connection of a client's address that names no process that holds it."""
    found = sockets.connections([desk.port])
    row = next(each for each in found if (each.local_port, each.remote) == (desk.port, client))
    (pid,) = desk.java()
    stat = processes.read_stat(pid)
    assert stat is not None
    return {
        "gateway": "live",
        "port": desk.port,
        "client": row.remote,
        "client_port": row.remote_port,
        "server": row.local,
        "cookie": row.cookie,
        "gateway_process": {"pid": pid, "started_ticks": stat.started_ticks, "boot_id": processes.boot_id()},
        "client_processes": [],
    }
