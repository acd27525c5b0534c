"""Every fault of the simulator, looked at by ib_gateway_health: the exact findings, and what the plan would do."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from simulator.launch import CLIENTS, free_port

from integration.desk import Desk, alive, halt, until
from integration.modules import run_module


def look(desk: Desk, probe: str = "auto", patience: float = 0.0, **entry: Any) -> dict[str, Any]:
    """What ib_gateway_health says of the desk's gateway."""
    entry = {"start_timeout": 1, **entry}
    result = run_module(
        "ib_gateway_health",
        gateways=[desk.entry(**entry)],
        probe=probe,
        probe_timeout=1.0,
        probe_patience=patience,
        known_served=desk.known_served,
    )
    assert "gateways" in result, result
    found: dict[str, Any] = result["gateways"][0]
    return found


def codes(gateway: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in gateway["findings"]}


def actions(gateway: dict[str, Any]) -> list[str]:
    return [step["action"] for step in gateway["plan"]["steps"]]


def wait_until_older(pid: int, seconds: float) -> None:
    """Waits until the kernel says that a process has lived this long."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    while (age := float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")) < seconds:
        with contextlib.suppress(psutil.TimeoutExpired):
            psutil.Process(pid).wait(seconds - age)


def test_a_gateway_in_good_health_has_no_finding_and_no_plan(desk: Desk) -> None:
    desk.gateway()
    found = look(desk)
    assert (found["status"], found["verdict"], codes(found), actions(found)) == ("healthy", "healthy", set(), [])
    assert found["api"]["stage"] == "current_time"


@pytest.mark.parametrize(
    ("faults", "code", "planned"),
    [
        (("stall",), "handshake_stalled", ["restart"]),
        (("silent",), "handshake_silent", ["restart"]),
        (("drop-after-hello",), "handshake_dropped", ["restart"]),
        (("garbage",), "handshake_dropped", ["restart"]),
        (("huge-prefix",), "handshake_dropped", ["restart"]),
        (("trickle",), "handshake_silent", ["restart"]),
        (("no-order-id",), "session_incomplete", ["restart"]),
        (("silent-after-ready",), "session_silent", ["restart"]),
        (("disclaimer",), "disclaimer_pending", []),
        (("farms-broken",), "farm_broken", []),
        (("id-in-use",), "client_id_in_use", []),
        (("upstream-lost",), "upstream_down", ["wait"]),
    ],
)
def test_each_fault_of_the_handshake_has_its_own_finding(
    desk: Desk, faults: tuple[str, ...], code: str, planned: list[str]
) -> None:
    desk.gateway(*faults)
    found = look(desk)
    assert codes(found) == {code}
    assert found["verdict"] == code
    assert actions(found) == planned


def test_a_gateway_that_answers_late_is_told_as_slow_and_not_restarted_since_the_next_one_would_be_as_late(
    desk: Desk,
) -> None:
    desk.gateway(settings={"answer-after": 4.5})
    assert codes(look(desk)) == {"handshake_silent"}
    found = look(desk, patience=60.0)
    assert (codes(found), actions(found), found["status"]) == ({"session_slow"}, [], "degraded")
    assert found["plan"]["withheld"] == []


def test_a_gateway_that_runs_and_never_listened_is_starting_then_its_login_is_pending_and_both_are_waited_for(
    desk: Desk,
) -> None:
    gateway = desk.gateway("no-listener")
    young = look(desk, start_timeout=600)
    assert (codes(young), actions(young), young["status"]) == ({"gateway_starting"}, ["wait"], "degraded")
    wait_until_older(gateway.pid, 1.1)
    old = look(desk, start_timeout=1)
    assert (codes(old), actions(old), old["status"]) == ({"login_pending"}, ["wait"], "degraded")


def test_a_gateway_that_an_earlier_look_saw_serve_and_that_listens_no_more_is_restarted(desk: Desk) -> None:
    gateway = desk.gateway("no-listener")
    desk.has_served(gateway.pid)
    wait_until_older(gateway.pid, 1.1)
    found = look(desk)
    assert (codes(found), actions(found)) == ({"not_listening"}, ["wait", "restart"])


def test_a_gateway_whose_listener_closed_is_not_listening_however_young_it_is(desk: Desk) -> None:
    desk.gateway("close-listener-on-second")
    holder = desk.script()
    with socket.create_connection(("127.0.0.1", desk.port)):
        until(lambda: not desk.listening())
        found = look(desk, start_timeout=600)
    assert codes(found) == {"not_listening", "competing_clients"}
    assert [(step["action"], step["target"].get("pid")) for step in found["plan"]["steps"]] == [
        ("wait", None),
        ("stop_client", holder.pid),
        ("restart", None),
    ]


def test_no_gateway_at_all_is_not_running_and_is_missing_in_a_second_look_before_it_is_started(desk: Desk) -> None:
    found = look(desk)
    assert (codes(found), actions(found)) == ({"gateway_not_running"}, ["wait", "start"])
    assert [step["only_if_persists"] for step in found["plan"]["steps"]] == [False, True]
    assert found["plan"]["steps"][0]["target"]["timeout"] == 30


def test_a_gateway_on_another_port_is_on_the_wrong_port_and_both_are_named(desk: Desk) -> None:
    elsewhere = free_port()
    gateway = desk.gateway(port=elsewhere)
    wait_until_older(gateway.pid, 1.1)
    desk.script(port=elsewhere)
    found = look(desk, start_timeout=1)
    assert (codes(found), actions(found)) == ({"wrong_port"}, [])
    assert str(elsewhere) in found["summary"] and str(desk.port) in found["summary"]
    assert found["plan"]["withheld"] == ["a restart does not change the port of a gateway"]


def test_a_port_on_which_nobody_has_a_session_may_be_an_agent_s_and_is_waited_at(desk: Desk) -> None:
    elsewhere = free_port()
    gateway = desk.gateway(port=elsewhere)
    wait_until_older(gateway.pid, 1.1)
    found = look(desk, start_timeout=1)
    assert (codes(found), actions(found)) == ({"login_pending"}, ["wait"])
    assert str(elsewhere) in found["summary"] and str(desk.port) in found["summary"]


def test_a_second_gateway_beside_the_one_that_serves_is_the_surplus(desk: Desk) -> None:
    serving, surplus = desk.gateway(), desk.gateway("no-listener", launcher="ibc")
    young = look(desk, start_timeout=600)
    assert (codes(young), actions(young)) == ({"duplicate_gateways"}, []), "it may be a restart under way"
    wait_until_older(surplus.pid, 1.1)
    found = look(desk)
    assert codes(found) == {"duplicate_gateways"}
    assert [(step["action"], step["target"]["pid"]) for step in found["plan"]["steps"]] == [
        ("stop_gateway", surplus.pid)
    ]
    assert alive(serving.pid)


def test_a_port_that_another_program_holds_is_reported_and_nothing_is_planned(desk: Desk) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", desk.port))
        other.listen()
        found = look(desk)
    assert codes(found) == {"port_taken", "gateway_not_running"}
    assert found["verdict"] == "port_taken"
    assert actions(found) == []
    assert any("another program has its port" in reason for reason in found["plan"]["withheld"])


def test_two_connections_where_one_may_be_compete_and_the_slot_is_not_probed(desk: Desk) -> None:
    desk.gateway()
    first, second = desk.script(client_id=1), desk.script(client_id=2)
    found = look(desk)
    assert codes(found) == {"competing_clients"}
    assert found["api"] is None
    assert actions(found) == ["drop_connection", "stop_client"]
    cut, stopped = (step["target"] for step in found["plan"]["steps"])
    assert [each["pid"] for each in cut["client_processes"]] == [stopped["pid"]]
    assert stopped["pid"] in (first.pid, second.pid)


def test_a_full_slot_with_one_script_is_healthy_without_a_handshake(desk: Desk) -> None:
    desk.gateway("one-slot")
    script = desk.script()
    found = look(desk)
    assert (found["status"], found["api"]) == ("healthy", None)
    assert str(script.pid) in found["summary"]


def test_a_script_that_hangs_in_its_connect_does_not_make_a_stalled_gateway_look_in_use(desk: Desk) -> None:
    desk.gateway("stall")
    script = desk.bystander(
        sys.executable, str(CLIENTS / "connect_once.py"), f"--port={desk.port}", "--client-id=15", "--timeout=60"
    )
    until(lambda: any(each["accepted"] for each in look(desk, probe="never")["clients"]))
    found = look(desk)
    assert codes(found) == {"handshake_stalled"}
    assert [client["served"] for client in found["clients"]] == [False]
    assert actions(found) == ["restart"] and alive(script.pid)


def test_a_script_that_a_pattern_names_is_stopped_although_it_is_not_connected(desk: Desk) -> None:
    desk.gateway()
    path = desk.folder / "cleanup_positions.py"
    path.write_text("import time\ntime.sleep(300)\n")
    named = desk.bystander(sys.executable, str(path))
    desk.bystander(sys.executable, "-c", "import time; time.sleep(300)", str(path))
    desk.bystander("tail", "-f", str(path))
    found = look(desk, client_patterns=[str(path)])
    assert codes(found) == {"competing_clients"}
    assert [step["target"]["pid"] for step in found["plan"]["steps"]] == [named.pid], "who has its name is no script"


def test_a_protected_script_is_never_in_the_plan(desk: Desk) -> None:
    desk.gateway()
    desk.script(client_id=1, extra=("order_router.py",))
    other = desk.script(client_id=2)
    found = look(desk, protected_clients=["order_router"], client_patterns=[desk.scripts])
    assert [step["target"]["pid"] for step in found["plan"]["steps"]] == [other.pid]


def test_three_working_scripts_do_not_compete_where_no_limit_is_declared(desk: Desk) -> None:
    desk.gateway()
    for number in (1, 2, 3):
        desk.script(client_id=number)
    found = look(desk, max_api_clients=None)
    assert (found["status"], codes(found), actions(found)) == ("healthy", set(), [])


def test_a_gateway_that_a_signal_has_stopped_is_to_be_let_go_on(desk: Desk) -> None:
    gateway = desk.gateway()
    halt(gateway.pid)
    found = look(desk)
    assert (codes(found), actions(found)) == ({"gateway_frozen"}, ["resume"])
    assert found["plan"]["steps"][0]["target"]["pid"] == gateway.pid and found["plan"]["withheld"] == []


def test_connections_nobody_accepts_fill_the_queue_and_are_not_added_to(desk: Desk) -> None:
    desk.gateway("never-accept")
    with socket.create_connection(("127.0.0.1", desk.port)):
        found = look(desk)
    assert (codes(found), actions(found), found["api"]) == ({"accept_queue_full"}, ["restart"], None)
    queue = next(each for each in found["findings"] if each["code"] == "accept_queue_full")
    assert len(queue["evidence"]["samples"]) == 3 and all(queue["evidence"]["samples"])


def test_a_connection_whose_client_has_gone_and_that_blocks_the_slot_is_stale(desk: Desk) -> None:
    desk.gateway("one-slot", "no-close")
    desk.script().kill()
    found = look(desk)
    assert codes(found) == {"stale_connections", "handshake_stalled"}
    assert actions(found) == ["restart"]


def test_paper_accounts_behind_a_live_entry_are_reported_and_nothing_is_planned(desk: Desk) -> None:
    desk.gateway(accounts=["DU7654321"])
    found = look(desk)
    assert (codes(found), actions(found)) == ({"wrong_trading_mode"}, [])
    assert found["plan"]["withheld"]
    assert "7654321" not in str(found)


@pytest.mark.parametrize("version", [100, 157, 176, 187, 200])
def test_gateways_of_many_server_versions_are_judged_alike(desk: Desk, version: int) -> None:
    desk.gateway(server_version=version)
    found = look(desk)
    assert found["status"] == "healthy", found
    assert found["api"]["server_version"] == min(version, 176)
