"""A relay that publishes a gateway's port on the one that the entry names, with a real one in between."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import connect_once, free_port

from integration.desk import Desk, alive, until
from integration.modules import run_module

#: As socat with fork: a listener, and for each connection one of its own to the other port.
_HAND_ON = """
import socket, sys, threading
def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for each in (one, other):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
ways = [int(word.split(",")[0].rpartition(":")[2]) for word in sys.argv[1:]]
with socket.create_server(("127.0.0.1", ways[0])) as server:
    while True:
        near, _ = server.accept()
        far = socket.create_connection(("127.0.0.1", ways[1]))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
"""


def published(desk: Desk, tmp_path: Path) -> int:
    """The port on which a relay publishes the desk's own one."""
    port = free_port()
    program = tmp_path / "hand_on.py"
    program.write_text(_HAND_ON)
    desk.bystander(
        "socat", str(program), f"TCP-LISTEN:{port},fork", f"TCP:127.0.0.1:{desk.port}", executable=sys.executable
    )
    until(lambda: desk.listening(port))
    return port


def look(desk: Desk, port: int, probe: str = "auto") -> dict[str, Any]:
    entry = desk.entry(port=port, max_api_clients=8)
    found: dict[str, Any] = run_module("ib_gateway_health", gateways=[entry], probe=probe, probe_timeout=1.0)
    return dict(found["gateways"][0])


@pytest.mark.parametrize("through", [True, False], ids=["a script through the relay", "a script beside it"])
def test_a_gateway_behind_a_relay_is_proven_through_it(desk: Desk, tmp_path: Path, through: bool) -> None:
    desk.gateway()
    port = published(desk, tmp_path)
    desk.script(port=port if through else desk.port)
    found = look(desk, port)
    assert (found["status"], found["api"]["ok"], found["plan"]["steps"]) == ("healthy", True, [])
    assert [each["code"] for each in found["findings"]] == ["port_relayed"]
    assert found["findings"][0]["evidence"]["leads_to"] == desk.port


def test_a_gateway_that_stalls_behind_a_relay_is_told_and_nobody_is_touched(desk: Desk, tmp_path: Path) -> None:
    gateway = desk.gateway("one-slot")
    port = published(desk, tmp_path)
    script = desk.script(port=desk.port)
    found = look(desk, port)
    assert found["status"] != "healthy" and found["plan"]["steps"] == [], found
    assert alive(gateway.pid) and alive(script.pid)


@pytest.mark.parametrize("protects", [True, False])
def test_a_protected_script_behind_a_relay_keeps_its_session(desk: Desk, tmp_path: Path, protects: bool) -> None:
    """Its gateway has closed its listener, and every other session may end for a restart."""
    desk.gateway("close-listener-on-second")
    script = desk.script(port=published(desk, tmp_path))
    connect_once(desk.port, client_id=9)
    until(lambda: not desk.listening())
    names = [re.escape(str(script.script))] if protects else []
    entry = desk.entry(max_api_clients=None, allow_restart_with_clients=True, protected_clients=names)
    (found,) = run_module("ib_gateway_health", gateways=[entry], probe="auto", probe_timeout=1.0)["gateways"]
    told = " ".join(found["plan"]["withheld"])
    assert [each["action"] for each in found["plan"]["steps"]] == ([] if protects else ["wait", "restart"]), found
    assert ("behind which a script may be that protected_clients names" in told) is protects


#: As `ssh -L /run/gateway.sock:...` or a socket proxy: one listens on a UNIX socket, one on a TCP port before it.
_OVER_UNIX = (
    _HAND_ON.partition("ways = ")[0]
    + """
def listen(way):
    if way.isdigit():
        return socket.create_server(("127.0.0.1", int(way)))
    server = socket.socket(socket.AF_UNIX)
    server.bind(way)
    server.listen()
    return server
def connect(way):
    if way.isdigit():
        return socket.create_connection(("127.0.0.1", int(way)))
    far = socket.socket(socket.AF_UNIX)
    far.connect(way)
    return far
server = listen(sys.argv[1])
while True:
    near, _ = server.accept()
    far = connect(sys.argv[2])
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
)


@pytest.fixture
def many_unix_sockets() -> Iterator[None]:
    """As on any host: the kernel's table of them is longer than what one read returns."""
    with ExitStack() as stack:
        for _ in range(150):
            for end in socket.socketpair():
                stack.enter_context(end)
        yield


def published_over_unix(desk: Desk) -> tuple[int, int]:
    """(the port on which a chain of two relays publishes the desk's own one, the pid of the one next to the gateway)"""
    port, path, program = free_port(), desk.folder / "gateway.sock", desk.folder / "tunnel"
    program.write_text(_OVER_UNIX)
    near = desk.bystander("/opt/near", str(program), str(path), str(desk.port), executable=sys.executable)
    until(path.exists)
    desk.bystander("/opt/far", str(program), str(port), str(path), executable=sys.executable)
    until(lambda: desk.listening(port))
    return port, near.pid


@pytest.mark.usefixtures("many_unix_sockets")
def test_a_relay_that_listens_on_a_unix_socket_is_no_script_and_is_never_ended(desk: Desk) -> None:
    """Its gateway has closed its listener; a script that nobody protects is behind the relay."""
    desk.gateway("close-listener-on-second")
    port, relay = published_over_unix(desk)
    script = desk.script(port=port)
    connect_once(desk.port, client_id=9)
    until(lambda: not desk.listening())
    run = desk.play("remediate.yml", max_api_clients=None, start_timeout=20)
    assert alive(relay) and alive(script.pid), run.output
    assert run.rc == 0 and len(desk.listening()) == 1, run.output


@pytest.mark.usefixtures("many_unix_sockets")
@pytest.mark.parametrize("limit", [None, 1])
def test_a_protected_script_behind_a_unix_socket_keeps_its_session(desk: Desk, limit: int | None) -> None:
    desk.gateway("close-listener-on-second")
    port, relay = published_over_unix(desk)
    script = desk.script(port=port)
    connect_once(desk.port, client_id=9)
    until(lambda: not desk.listening())
    entry = desk.entry(max_api_clients=limit, protected_clients=[re.escape(str(script.script))])
    (found,) = run_module("ib_gateway_health", gateways=[entry], probe="auto", probe_timeout=1.0)["gateways"]
    assert [each["action"] for each in found["plan"]["steps"]] == [], json.dumps(found, indent=1)
    assert "pid %d (others are connected to it, as to a relay), behind which a script may be" % relay in " ".join(
        found["plan"]["withheld"]
    )
