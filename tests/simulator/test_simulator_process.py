"""The simulated gateway looks like a JVM, is started like one, and never outlives its welcome."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import OpenWire, StartGateway, use_library
from .launch import HeldSession, SimulatedGateway, free_port
from .options import FAULTS, MAIN_CLASSES, parse
from .shapes import PASSWORD_CANARY, SHAPES
from .wire import Wire


def argv_of(pid: int) -> "list[str]":
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")[:-1]


@pytest.mark.parametrize("launcher", ["native", "ibc"])
def test_a_gateway_is_a_java_process_with_its_main_class_in_argv(launcher: str, start_gateway: StartGateway) -> None:
    gateway = start_gateway(launcher=launcher, mode="live")

    argv = argv_of(gateway.pid)

    assert argv == gateway.command()
    assert argv[0] == str(gateway.folder / "jre/bin/java")
    assert f"-DjtsConfigDir={gateway.config_dir}" in argv
    assert SHAPES[launcher].main_class in argv
    assert (PASSWORD_CANARY in argv) is (launcher == "ibc")
    assert Path(f"/proc/{gateway.pid}/comm").read_text(encoding="utf-8") == "java\n"
    assert os.readlink(f"/proc/{gateway.pid}/cwd") == str(gateway.config_dir)
    assert len(os.listdir(f"/proc/{gateway.pid}/task")) > 1


def test_a_gateway_listens_dual_stack_on_one_socket(start_gateway: StartGateway) -> None:
    gateway = start_gateway(bind=None)

    for host in ["127.0.0.1", "::1"] if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6") else ["127.0.0.1"]:
        wire = Wire(gateway.port, host)
        assert wire.log_on(1) == "176"
        wire.close()
    listening = f"{gateway.port:04X} "
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    assert not [row for row in rows if listening in row and " 0A " in row]


def test_a_gateway_under_ibc_runs_in_its_settings_directory_wherever_it_was_started(tmp_path: Path) -> None:
    class Elsewhere(SimulatedGateway):
        working_dir = Path("/")

    with Elsewhere(tmp_path, launcher="ibc", bind="127.0.0.1", lifetime=10) as gateway:
        assert os.readlink(f"/proc/{gateway.pid}/cwd") == str(gateway.config_dir)


def test_a_gateway_restarts_at_once_on_a_port_it_closed_sessions_on(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway()
    wire = open_wire(gateway)
    wire.log_on(1)
    gateway.stop()
    while wire.receive():
        pass  # to the end: the gateway closed first, so its side of the connection lingers

    assert open_wire(start_gateway(port=gateway.port)).log_on(1) == "176"


def test_a_slow_login_opens_the_port_later(start_gateway: StartGateway) -> None:
    gateway = start_gateway(listen_after=0.6, wait=False)

    with pytest.raises(ConnectionRefusedError):
        Wire(gateway.port)

    assert gateway.wait_ready() == {"pid": gateway.pid, "port": gateway.port, "listening": True}
    assert use_library("ib_insync", gateway.port).accounts == ["DU1234567"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_gateway_with_its_sessions(
    number: int, start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(faults=["one-slot"])
    holder, waiting = open_wire(gateway), open_wire(gateway)
    holder.log_on(1)
    waiting.hello()
    waiting.receive_until("176")
    waiting.start_api(2)

    os.kill(gateway.pid, number)

    assert gateway.wait() == 0
    assert waiting.receive() is None
    assert gateway.log_text() == ""


def test_sigterm_ends_a_gateway_that_is_still_logging_in(start_gateway: StartGateway) -> None:
    gateway = start_gateway(listen_after=60, wait=False)

    assert gateway.stop() in (0, -signal.SIGTERM)  # the latter when it came before Python was up


def test_a_gateway_ends_with_the_process_it_was_told_to_follow(start_gateway: StartGateway) -> None:
    followed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        gateway = start_gateway(exit_with=followed.pid, faults=["ignore-sigterm"])
    finally:
        followed.communicate()

    assert gateway.wait() == 0


def test_a_gateway_whose_owner_is_gone_already_ends_at_once(start_gateway: StartGateway) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    assert start_gateway(exit_with=gone.pid, wait=False).wait() == 0


def test_a_gateway_ends_when_its_lifetime_is_over(start_gateway: StartGateway) -> None:
    assert start_gateway(lifetime=0.2, faults=["ignore-sigterm", "never-accept"], wait=False).wait() == 0


def test_a_held_session_ends_on_sigterm_and_its_id_is_free(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway()
    with HeldSession(tmp_path, port=gateway.port, client_id=5, library="ib_async") as holder:
        assert holder.wait_ready()["accounts"] == ["DU1234567"]
        assert holder.stop() == 0

    assert use_library("ib_async", gateway.port, client_id=5).server_version == 176


def test_a_held_session_that_cannot_connect_says_so(tmp_path: Path) -> None:
    holder = HeldSession(tmp_path, port=free_port())

    with pytest.raises(RuntimeError, match=r"holder ended with 1: .*ConnectionRefusedError"):
        holder.start()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--nonsense=hunter2", "--nonsense"),
        ("--port=hunter2", "--port"),
        ("--port=65536", "--port"),
        ("--server-version=301", "--server-version"),
        ("--fault=hunter2", "--fault"),
        ("--slots", "--slots"),
        ("--lifetime=nan", "--lifetime"),
        ("--bind=192.0.2.1", "--bind"),
    ],
)
def test_a_bad_option_is_named_in_one_line_without_its_value(option: str, named: str, tmp_path: Path) -> None:
    gateway = SimulatedGateway(tmp_path, extra=[option], lifetime=5)

    done = subprocess.run(gateway.command(), capture_output=True, text=True, timeout=10, check=False)

    assert done.returncode == 2
    assert done.stdout == ""
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_a_taken_port_is_a_bad_option(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway()
    twin = SimulatedGateway(tmp_path, name="twin", port=gateway.port, bind="127.0.0.1")

    with pytest.raises(RuntimeError, match=r"twin ended with 2: .*--port.*in use"):
        twin.start()


def test_a_twin_of_the_same_name_is_ready_only_when_it_says_so_itself(
    start_gateway: StartGateway, open_wire: OpenWire, tmp_path: Path
) -> None:
    first = start_gateway()

    with SimulatedGateway(tmp_path, bind="127.0.0.1", lifetime=10) as twin:
        assert twin.name == first.name
        assert open_wire(twin).log_on(1) == "176"


def test_a_start_command_brings_the_same_gateway_up_in_good_health(start_gateway: StartGateway) -> None:
    broken = start_gateway(faults=["stall"])

    argv = broken.command(faults=(), accounts=["DU9"])
    options = parse(argv[2:])

    assert options.port == broken.port
    assert (options.faults, options.accounts) == (frozenset(), ("DU9",))
    assert broken.faults == ["stall"]


@pytest.mark.parametrize("main_class", MAIN_CLASSES)
def test_every_main_class_is_known_among_what_launchers_pass(main_class: str) -> None:
    options = parse(["-Xmx768m", main_class, "config.ini", "user", "secret", "live", "-DjtsConfigDir=/d", "--pw=x"])

    assert (options.main_class, options.config_dir, options.port) == (main_class, "/d", 4001)


def test_every_fault_is_accepted_and_described(tmp_path: Path) -> None:
    gateway = SimulatedGateway(tmp_path, faults=list(FAULTS))

    assert parse(gateway.command()[2:]).faults == frozenset(FAULTS)
    assert all(FAULTS.values())


def test_the_ready_file_is_whole_json(start_gateway: StartGateway) -> None:
    gateway = start_gateway(faults=["no-listener"])

    state = json.loads(gateway.ready_file.read_text(encoding="utf-8"))

    assert state == {"pid": gateway.pid, "port": gateway.port, "listening": False}
