"""One look by three ways, on real processes and sockets: netlink, /proc/net/tcp and psutil must tell the same."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.observe import addresses, linux, portable, sockets
from ansible.module_utils.ib_gateway.observe.snapshot import look
from simulator.launch import free_port

from integration.desk import Desk, until
from integration.modules import run_module


def told(snapshot: Snapshot, port: int) -> dict[str, Any]:
    """What all three ways can tell, in one shape."""
    return {
        "gateways": {
            (p.pid, p.user, p.command, p.cwd, p.gateway) for p in snapshot.processes.values() if p.gateway is not None
        },
        "listeners": {
            (each.port, each.address, each.families, each.pids) for each in snapshot.listeners if each.port == port
        },
        "connections": {
            (c.client, c.client_port, c.server, c.state, c.accepted, c.gateway_pids, c.client_pids, c.remote_host)
            for c in snapshot.connections
            if c.port == port
        },
    }


@pytest.mark.parametrize("bind", ["::", "127.0.0.1", "::1", "0.0.0.0"])  # noqa: S104 - as a gateway binds
def test_netlink_procfs_and_psutil_agree_on_gateways_clients_and_bystanders(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, bind: str
) -> None:
    desk.gateway(bind=bind, launcher="ibc")
    desk.gateway("no-listener")
    desk.bystander("tail", "-f", "/dev/null", "ibgateway.GWClient")
    host = "::1" if bind == "::1" else "127.0.0.1"
    with socket.create_connection((host, desk.port)):
        until(lambda: all(each.accepted for each in look([desk.port]).connections if each.port == desk.port))
        by_netlink = look([desk.port], read=linux.read)
        by_psutil = look([desk.port], read=portable.read)
        monkeypatch.setattr(sockets, "read_netlink", _refused)
        by_procfs = look([desk.port], read=linux.read)
    ours = [_own(told(each, desk.port), desk) for each in (by_netlink, by_procfs, by_psutil)]
    assert len(ours[0]["gateways"]) == 2 and len(ours[0]["connections"]) == 1 and len(ours[0]["listeners"]) == 1
    assert ours[0] == ours[1]
    assert ours[0] == ours[2]


def _refused(*_arguments: object) -> list[addresses.SocketRow]:
    raise PermissionError("netlink is refused")


def _own(found: dict[str, Any], desk: Desk) -> dict[str, Any]:
    """Without the gateways of others, which may come and go between two looks."""
    folder = str(desk.folder)
    return {**found, "gateways": {each for each in found["gateways"] if any(folder in word for word in each[2])}}


def test_a_listener_that_two_processes_hold_has_both_as_owners(desk: Desk) -> None:
    code = (
        "import os, socket, time; s = socket.create_server(('127.0.0.1', %d)); os.fork(); time.sleep(300)" % desk.port
    )
    parent = desk.bystander(sys.executable, "-c", code)
    until(lambda: len(desk.listening()) == 2)
    try:
        rows = run_module("ib_listener_info", ports=[desk.port])["listeners"]
        assert [row["pids"] for row in rows] == [desk.listening()]
        assert rows[0]["is_gateway"] is False
    finally:
        for pid in desk.listening():
            if pid != parent.pid:
                os.kill(pid, 9)


def test_a_relay_is_named_as_one(desk: Desk) -> None:
    desk.listener(name="socat")
    rows = run_module("ib_listener_info", ports=[desk.port])["listeners"]
    assert [row["relay"] for row in rows] == ["socat"]
    found = run_module("ib_gateway_health", gateways=[desk.entry()])["gateways"][0]
    taken = next(each for each in found["findings"] if each["code"] == "port_taken")
    assert taken["evidence"]["relay"] == "socat" and "socat" in taken["summary"]


def test_a_script_is_named_with_both_ends_of_its_connection(desk: Desk) -> None:
    gateway = desk.gateway()
    script = desk.script()
    rows = [row for row in run_module("ib_client_info", ports=[desk.port])["clients"] if row["port"] == desk.port]
    assert [(row["pid"], row["connected"], row["state"]) for row in rows] == [(script.pid, True, "ESTABLISHED")]
    assert rows[0]["remote"] == f"127.0.0.1:{desk.port}" and rows[0]["remote_host"] is None
    assert run_module("ib_gateway_info", gateways=[desk.entry()])["gateways"][0]["pid"] == gateway.pid


def _zombie(desk: Desk) -> None:
    desk.bystander("true")  # its parent, this test, waits for it after the looks


def _raw_bytes(desk: Desk) -> None:
    code = "import time; time.sleep(300)"
    desk.bystander(sys.executable, "-c", code, os.fsdecode(b"\xff\xfe ibgateway.GWClient \x80"))


def _huge_argv(desk: Desk) -> None:
    words = ["ibgateway.GWClient" + "x" * 100_000] * 15
    desk.bystander(sys.executable, "-c", "import time; time.sleep(300)", *words)


def _strange_name(desk: Desk) -> None:
    program = desk.folder / "a) R 1 (b\nc"
    program.symlink_to(Path("/bin/sleep").resolve())
    desk.bystander(str(program), "300")


def _vanishing(desk: Desk) -> None:
    code = (
        "import subprocess, time\n"
        "until = time.monotonic() + 20\n"
        "while time.monotonic() < until: subprocess.run(['true'])"
    )
    desk.bystander(sys.executable, "-c", code)


@pytest.mark.parametrize("guest", [_zombie, _raw_bytes, _huge_argv, _strange_name, _vanishing])
def test_hostile_guests_in_the_process_table_change_nothing(desk: Desk, guest: Callable[[Desk], None]) -> None:
    gateway = desk.gateway()
    guest(desk)
    for _ in range(5):
        found = run_module("ib_gateway_health", gateways=[desk.entry()])
        assert found["status"] == "healthy"
        assert [each["pid"] for each in found["gateways"][0]["processes"]] == [gateway.pid]


def test_a_gateway_with_bytes_in_argv_that_are_no_text_is_still_known(desk: Desk) -> None:
    gateway = desk.gateway(extra=[os.fsdecode(b"-Dextra=\xff\xfe")])
    found = run_module("ib_gateway_health", gateways=[desk.entry()])
    assert [each["pid"] for each in found["gateways"][0]["processes"]] == [gateway.pid]
    assert "extra" not in str(found["gateways"][0]["processes"][0]["argv"]), "what is not known is not shown"


#: Holds a connection to a port, or a listener that a connection was made to, until it is ended.
_AT = "import socket, sys, time; at = '127.0.0.1', int(sys.argv[1]); "
CALLS = _AT + "s = socket.create_connection(at); time.sleep(300)"
SERVES = _AT + "s = socket.create_server(at); c = s.accept(); time.sleep(300)"


def test_a_named_script_that_is_somebody_else_s_client_is_busy_and_no_client_of_a_gateway(
    desk: Desk, tmp_path: Path
) -> None:
    """It may work on a gateway of another host, on whatever port."""
    for name, code in (("calls", CALLS), ("serves", SERVES), ("idle", "import time; time.sleep(300)")):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    served, patterns = free_port(), [r"(calls|serves|idle)\.py"]

    def start(name: str, *arguments: str) -> int:
        return desk.bystander(sys.executable, str(tmp_path / f"{name}.py"), *arguments).pid

    with contextlib.ExitStack() as stack:
        other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        calls, serves, idle = start("calls", str(other.getsockname()[1])), start("serves", str(served)), start("idle")
        stack.enter_context(other.accept()[0])
        until(lambda: any(each.port == served for each in look([served]).listeners))
        stack.enter_context(socket.create_connection(("127.0.0.1", served)))
        until(lambda: {calls, serves, idle} <= set(look([desk.port], patterns).processes))
        found = look([desk.port], patterns)
        told = run_module("ib_gateway_health", gateways=[desk.entry(client_patterns=patterns)], probe="never")
    assert calls in found.busy and not found.busy & {serves, idle}
    assert {each["pid"] for each in told["gateways"][0]["clients"]} == {serves, idle}
