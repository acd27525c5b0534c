"""The live probe as engines and orchestrators run it: a process of its own against real gateways that fail."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import SimulatedGateway, free_port
from unit.live_probe import PROBE, oldest_python

from integration.desk import Desk, local

#: The Python that runs the tests, and the oldest one that a host may have.
PYTHONS = {"own": sys.executable, "3.8": oldest_python()}


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """Each Python that this machine has of them."""
    found = PYTHONS[request.param]
    if found is None:
        pytest.skip("this machine has no Python 3.8")
    return found


def ask(python: str, port: int, *options: str, timeout: float = 1.5) -> tuple[int, str]:
    """(exit code, the line) of one probe, which sees nothing but the standard library."""
    ran = subprocess.run(
        [python, "-I", "-S", str(PROBE), "--port", str(port), "--timeout", str(timeout), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not ran.stderr, ran.stderr
    (line,) = ran.stdout.splitlines()
    return ran.returncode, line


def codes(python: str, port: int, timeout: float = 1.5) -> tuple[int, int, int]:
    """The exit codes for health, liveness and Nagios."""
    found = [ask(python, port, "--for", each, timeout=timeout)[0] for each in ("healthcheck", "liveness", "nagios")]
    return found[0], found[1], found[2]


@pytest.mark.parametrize(
    ("faults", "settings", "expected"),
    [
        ([], {}, (0, 0, 0)),
        ([], {"server-version": 226}, (0, 0, 0)),
        (["silent"], {}, (1, 1, 2)),
        (["stall"], {}, (1, 1, 2)),
        (["no-order-id"], {}, (1, 1, 2)),
        (["silent-after-ready"], {}, (1, 1, 2)),
        (["drop-after-hello"], {}, (1, 0, 2)),
        (["disclaimer"], {}, (1, 0, 2)),
        (["id-in-use"], {}, (1, 0, 1)),
        (["upstream-lost"], {}, (1, 0, 2)),
        (["farms-broken"], {}, (0, 0, 1)),
        (["garbage"], {}, (1, 0, 2)),
        (["no-listener"], {}, (1, 0, 2)),
    ],
    ids=lambda value: "-".join(map(str, value)) if value else "none",
)
def test_each_state_has_its_exit_codes(
    desk: Desk, faults: list[str], settings: dict[str, object], expected: tuple[int, int, int]
) -> None:
    version = int(str(settings.get("server-version", 176)))
    gateway = desk.gateway(*faults, server_version=version)
    assert codes(sys.executable, gateway.port, timeout=1.5 if expected[0] else 5) == expected


@pytest.mark.parametrize(("fault", "expected"), [("", (0, 0, 0)), ("stall", (1, 1, 2)), ("no-listener", (1, 0, 2))])
def test_each_python_says_the_same(desk: Desk, python: str, fault: str, expected: tuple[int, int, int]) -> None:
    port = desk.gateway(*([fault] if fault else [])).port
    assert codes(python, port, timeout=1.5 if fault else 5) == expected


def test_a_version_that_cannot_be_read_is_unknown_and_no_reason_to_restart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        speaker = subprocess.Popen(
            [sys.executable, "-c", _FUTURE, str(server.fileno())], pass_fds=[server.fileno()], stdin=subprocess.PIPE
        )
        stack.callback(speaker.wait)
        stack.callback(speaker.kill)
        assert codes(sys.executable, server.getsockname()[1]) == (1, 0, 3)


#: Answers every hello with a server version of the far future.
_FUTURE = """
import socket, sys
server = socket.socket(fileno=int(sys.argv[1]))
while True:
    peer, _ = server.accept()
    peer.recv(100)
    peer.sendall(b"\\0\\0\\0\\x16" + b"999\\x0020260101 00:00:00\\0")
    peer.recv(100)
"""


def test_a_login_and_a_second_factor_are_alive_and_not_ready(tmp_path: Path) -> None:
    gateway = SimulatedGateway(tmp_path, bind="127.0.0.1", settings={"second-factor": 600})
    gateway.start(wait=False)
    try:
        assert codes(sys.executable, gateway.port) == (1, 0, 2)
    finally:
        gateway.stop()


def test_a_closed_port_is_alive() -> None:
    assert codes(sys.executable, free_port()) == (1, 0, 2)


def test_a_relay_with_nothing_behind_it_is_alive() -> None:
    """It accepts and closes while the gateway behind it logs in."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        closing = "import socket, sys\ns = socket.socket(fileno=int(sys.argv[1]))\nwhile True: s.accept()[0].close()"
        relay = subprocess.Popen([sys.executable, "-c", closing, str(server.fileno())], pass_fds=[server.fileno()])
        stack.callback(relay.wait)
        stack.callback(relay.kill)
        assert codes(sys.executable, server.getsockname()[1]) == (1, 0, 2)


def test_a_session_that_works_keeps_a_gateway_that_opens_no_other_from_being_restarted(desk: Desk, python: str) -> None:
    gateway = desk.gateway("one-slot")
    desk.script()
    code, line = ask(python, gateway.port, "--for", "liveness")
    assert code == 0 and "1 session may work" in line
    assert ask(python, gateway.port)[0] == 1


def test_json_has_the_whole_handshake_in_one_line(desk: Desk, python: str) -> None:
    gateway = desk.gateway()
    code, line = ask(python, gateway.port, "--json", "--depth", "full", "--client-id", "4711", "--for", "nagios")
    found: dict[str, Any] = json.loads(line)
    assert (code, found["exit_code"], found["status"], found["for"]) == (0, 0, "OK", "nagios")
    assert found["probe"]["client_id"] == 4711 and found["probe"]["stage"] == "sync"
    assert all(found["probe"]["sync"].values()) and found["probe"]["accounts"] == ["U*****67"]


@pytest.mark.parametrize(
    "options",
    [
        ("--client-id", "0"),
        ("--timeout", "0"),
        ("--timeout", "-1"),
        ("--timeout", "nan"),
        ("--depth", "deep"),
        ("--port", "70000"),
        ("--nonsense",),
    ],
)
@pytest.mark.parametrize(
    ("purpose", "expected"), [("healthcheck", 1), ("readiness", 1), ("liveness", 0), ("nagios", 3)]
)
def test_what_cannot_be_asked_is_told_with_the_code_of_who_asks(
    options: tuple[str, ...], purpose: str, expected: int
) -> None:
    code, line = ask(sys.executable, 4001, "--for=" + purpose, *options)
    assert code == expected and line.split(":")[0] in ("unknown", "UNKNOWN", "alive")


def test_liveness_is_asked_beside_the_gateway_only() -> None:
    code, line = ask(sys.executable, 4001, "--for", "liveness", "--host", "192.0.2.1")
    assert code == 0 and "beside the gateway" in line


def test_the_first_client_id_that_is_free_is_used(desk: Desk) -> None:
    gateway = desk.gateway()
    desk.script(client_id=900_000_001)
    found = json.loads(ask(sys.executable, gateway.port, "--json")[1])
    assert found["exit_code"] == 0 and found["probe"]["client_id"] == 900_000_002


def test_the_role_installs_it_changes_nothing_twice_and_removes_it(desk: Desk) -> None:
    installed = desk.folder / "ib_gateway_probe.py"
    playbook = desk.folder / "install.yml"
    plays = [{"hosts": "desk", "gather_facts": False, "roles": ["ib_live_probe"]}]
    playbook.write_text(json.dumps(plays), encoding="utf-8")
    settings = {
        "ib_live_probe_path": str(installed),
        "ib_live_probe_owner": pwd.getpwuid(os.getuid()).pw_name,
        "ib_live_probe_group": grp.getgrgid(os.getgid()).gr_name,
    }

    def changes(**more: str) -> int:
        ran = desk.play(str(playbook), inventory={"all": {"hosts": {"desk": local(**settings, **more)}}})
        assert ran.rc == 0, ran.output
        return ran.recap()["changed"]

    assert changes() == 1 and changes() == 0
    assert installed.read_bytes() == PROBE.read_bytes() and os.access(installed, os.X_OK)
    assert changes(ib_live_probe_state="absent") == 1 and not installed.exists()
