"""Programs that pass on what others send, and that no name and no listener of their own gives away.

The gateway has closed its listener, so that a script with a session may be ended; what hands on may not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from simulator.launch import HeldSession, connect_once, free_port

from integration.desk import Desk, alive, until
from integration.modules import run_module

_PUMP = """
import os, socket, subprocess, sys, threading
def pump(read, write):
    try:
        while data := read(65536):
            write(data)
    except OSError:
        pass
def both(one, other):
    for pair in ((one.recv, other.sendall), (other.recv, one.sendall)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
here, gateway = map(int, sys.argv[1:3])
"""
#: As inetd, or sshd since OpenSSH 9.8: a child of another program gets the connection and has no listener.
_HANDED = (
    _PUMP
    + """
child = sys.argv[0] + ".child"
with socket.create_server(("127.0.0.1", here)) as server:
    while True:
        near, _ = server.accept()
        subprocess.Popen(["/opt/desk/session", child, "0", str(gateway)], executable=sys.argv[3], stdin=near)
        near.close()
"""
)
_CHILD = (
    _PUMP
    + """
both(socket.socket(fileno=0), socket.create_connection(("127.0.0.1", gateway)))
for each in threading.enumerate()[1:]:  # nobody ends it but who ends its connections
    each.join()
"""
)
#: A script that hands on for others and has an API connection for itself.
_BOTH = (
    _PUMP
    + """
own = socket.create_connection(("127.0.0.1", gateway))
own.sendall(b"API\\0" + bytes([0, 0, 0, 9]) + b"v157..176")
with socket.create_server(("127.0.0.1", here)) as server:
    while True:
        near, _ = server.accept()
        both(near, socket.create_connection(("127.0.0.1", gateway)))
"""
)
_KINDS = {"it was handed its connection": _HANDED, "it has a session of its own": _BOTH}


@pytest.fixture(params=_KINDS)
def behind(request: pytest.FixtureRequest, desk: Desk) -> tuple[HeldSession, list[int]]:
    """(a script behind what hands on, the pids of that); the gateway no longer listens."""
    desk.gateway("close-listener-on-second")
    port, program = free_port(), desk.folder / "tunnel"
    program.write_text(_KINDS[request.param])
    program.with_suffix(".child").write_text(_CHILD)
    command = ["/opt/desk/tunnel", str(program), str(port), str(desk.port), sys.executable]
    first = desk.bystander(*command, executable=sys.executable)
    until(lambda: desk.listening(port))
    script = desk.script(port=port)
    connect_once(desk.port, client_id=9)
    until(lambda: not desk.listening())
    children = subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True, check=False).stdout
    return script, [first.pid, *map(int, children.split())]


def look(desk: Desk, **entry: Any) -> dict[str, Any]:
    entries = [desk.entry(max_api_clients=None, **entry)]
    found: dict[str, Any] = run_module("ib_gateway_health", gateways=entries, probe="auto", probe_timeout=1.0)
    return dict(found["gateways"][0])


def test_what_hands_on_is_not_ended_however_it_got_its_connection(
    desk: Desk, behind: tuple[HeldSession, list[int]]
) -> None:
    _script, relays = behind
    found = look(desk)
    assert [each["action"] for each in found["plan"]["steps"]] == ["wait", "restart"], found["plan"]
    assert all(map(alive, relays))


def test_a_protected_script_behind_it_keeps_its_session(desk: Desk, behind: tuple[HeldSession, list[int]]) -> None:
    script, _relays = behind
    found = look(desk, protected_clients=[re.escape(str(script.script))])
    assert found["plan"]["steps"] == [], found["plan"]
    assert "behind which a script may be that protected_clients names" in " ".join(found["plan"]["withheld"])
