"""The launches that were seen in the field, as /proc shows them; and the ports that are no API."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from .client_programs import FullBacklog
from .conftest import OpenWire, StartGateway, use_library
from .launch import SimulatedGateway
from .shapes import PLACEHOLDER_ARGUMENTS, PLACEHOLDER_DIR, SHAPES
from .wire import ERROR


def argv_of(pid: int) -> "list[str]":
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")[:-1]


@pytest.mark.parametrize("launcher", SHAPES)
def test_every_launch_is_a_java_process_that_runs_its_main_class(launcher: str, start_gateway: StartGateway) -> None:
    gateway = start_gateway(launcher=launcher)

    argv = argv_of(gateway.pid)

    assert argv == gateway.command()
    assert argv.count(SHAPES[launcher].main_class) == 1
    assert os.readlink(f"/proc/{gateway.pid}/cwd") == str(gateway.working_dir)
    assert Path(f"/proc/{gateway.pid}/comm").read_text(encoding="utf-8") == "java\n"
    assert [word for word in argv if word.endswith(".py") or word.startswith("--port")] == [] or not gateway.shape.exact
    assert gateway.ready_state()["listening"] is SHAPES[launcher].api


def test_an_installed_gateway_has_placeholders_in_argv_and_the_folder_in_its_answers(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(launcher="installed")

    argv = argv_of(gateway.pid)
    answers = (gateway.install_dir / ".install4j" / "response.varfile").read_text(encoding="utf-8")

    assert PLACEHOLDER_DIR in argv and argv[-1] == PLACEHOLDER_ARGUMENTS
    assert f"jtsConfigDir={gateway.config_dir}\n" in answers
    assert not [word for word in argv if str(gateway.config_dir) in word]
    assert use_library("ib_async", gateway.port).accounts == ["DU1234567"]


def test_the_last_of_two_properties_of_one_name_is_behind_the_first(start_gateway: StartGateway) -> None:
    gateway = start_gateway(launcher="installed", jvm_last=["-DjtsConfigDir=/srv/Jts_live"])

    folders = [word for word in argv_of(gateway.pid) if word.startswith("-DjtsConfigDir=")]

    assert folders == [PLACEHOLDER_DIR, "-DjtsConfigDir=/srv/Jts_live"]


@pytest.mark.parametrize("word", ["live", "PAPER", "--mode=PAPER", ""])
def test_the_mode_can_stand_in_argv_only(word: str, start_gateway: StartGateway) -> None:
    gateway = start_gateway(launcher="ibc-java", mode_word=word, mode_in_ini=False)

    argv = argv_of(gateway.pid)

    assert argv[argv.index("ibcalpha.ibc.IbcGateway") + 4 :] == ([word] if word else [])
    assert (gateway.config_dir / "config.ini").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("launcher", ["native", "installed"])
def test_a_renamed_process_is_java_by_its_file(launcher: str, start_gateway: StartGateway) -> None:
    gateway = start_gateway(launcher=launcher, argv0="ibgateway-live")

    assert argv_of(gateway.pid)[0] == "ibgateway-live"
    assert os.readlink(f"/proc/{gateway.pid}/exe") == str(gateway.folder / "jre/bin/java")


def test_a_start_command_needs_nothing_but_its_argv(tmp_path: Path) -> None:
    gateway = SimulatedGateway(tmp_path, launcher="ibc-java", bind="127.0.0.1", lifetime=20)
    argv = gateway.command()

    process = subprocess.Popen(argv, env={}, cwd="/", stdin=subprocess.DEVNULL)
    try:
        gateway.until_open()
        assert argv_of(process.pid) == argv
        assert os.readlink(f"/proc/{process.pid}/cwd") == str(gateway.config_dir)
    finally:
        process.kill()
        process.wait()


def test_a_restarter_stands_for_the_gateway_until_the_next_one_comes(start_gateway: StartGateway) -> None:
    gateway = start_gateway(launcher="installed", settings={"event": "auto-restart", "restarter-gap": 1})
    first = gateway.pid

    gateway.happen()
    assert gateway.wait() == 0
    between = [each for each in psutil.process_iter() if started_for(each, gateway)]
    assert [each.cmdline()[-2:] for each in between] == [["launch", "restarter"]]

    gateway.until_open()
    second = next(each for each in psutil.process_iter() if started_for(each, gateway) and each not in between)
    assert second.pid != first
    assert [word for word in second.cmdline() if word.startswith("-Drestart=")]
    assert use_library("ib_insync", gateway.port).accounts == ["DU1234567"]


def started_for(process: psutil.Process, gateway: SimulatedGateway) -> bool:
    try:
        return process.cmdline()[:1] == [str(gateway.folder / "jre/bin/java")]
    except psutil.Error:
        return False


def test_a_pending_second_factor_keeps_the_port_closed_and_is_in_ibcs_log(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    log = tmp_path / "ibc.log"
    settings = {"second-factor": 1.5, "second-factor-limit": 1, "ibc-log": log}
    gateway = start_gateway(launcher="ibc-java", wait=False, settings=settings)
    deadline = time.monotonic() + 10
    while not log.exists() or "initiated" not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port), 1)

    gateway.wait_ready()

    said = [line.partition(" IBC: ")[2] for line in log.read_text(encoding="utf-8").splitlines()]
    assert said == [
        "Starting session: will exit if login dialog is not displayed within 60 seconds",
        "Login attempt: 1",
        "Second Factor Authentication initiated",
        "Duration since login: 1 seconds",
        "Re-login after second factor authentication timeout in 5 second",
        "Login attempt: 2",
        "Second Factor Authentication initiated",
        "Duration since login: 0 seconds",
        "If login has not completed, IBC will exit in 60 seconds",
        "Login has completed",
    ]


def test_helper_ports_listen_on_loopback_and_are_no_api(start_gateway: StartGateway) -> None:
    gateway = start_gateway(settings={"command-port": 0, "also-listen": 0})
    state = gateway.ready_state()

    with socket.create_connection(("127.0.0.1", state["also"][0]), 2) as agent:
        agent.sendall(b"API\0\0\0\0\x09v100..176")
        agent.settimeout(0.3)
        with pytest.raises(TimeoutError):
            agent.recv(1)
    assert sorted(
        connection.laddr.port
        for connection in psutil.Process(gateway.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ) == sorted([gateway.port, state["command_port"], *state["also"]])


@pytest.mark.parametrize(
    ("launcher", "mode", "said", "answers"),
    [
        ("ibc-java", "works", ["ENABLEAPI"], ["ERROR ENABLEAPI is not valid for the IB Gateway"]),
        ("ibc-tws", "works", ["ENABLEAPI"], ["OK "]),
        ("ibc-java", "works", ["RECONNECTDATA", "reconnectaccount"], ["OK ", "OK "]),
        ("ibc-fix", "works", ["RECONNECTACCOUNT"], ["ERROR RECONNECTACCOUNT is not valid for the FIX Gateway"]),
        ("ibc-fix", "works", ["RESTART"], ["ERROR RESTART is not valid for the FIX Gateway"]),
        ("ibc-java", "works", ["", "NONSENSE"], ["ERROR Command invalid"]),
        ("ibc-java", "refused", ["RESTART"], ["ERROR RESTART already in progress"]),
        ("ibc-java", "works", ["EXIT"], ["OK Goodbye"]),
    ],
)
def test_the_command_server_answers_as_ibcs_does(
    launcher: str, mode: str, said: "list[str]", answers: "list[str]", start_gateway: StartGateway
) -> None:
    gateway = start_gateway(launcher=launcher, settings={"command-port": 0, "restart-command": mode})

    with socket.create_connection(("127.0.0.1", gateway.ready_state()["command_port"]), 3) as connection:
        connection.sendall("".join(f"{line}\n" for line in said).encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile(encoding="ascii") as lines:
            assert lines.read().splitlines() == answers


@pytest.mark.parametrize(("mode", "lines"), [("never", 2), ("silent", 0)])
def test_a_restart_that_never_comes(mode: str, lines: int, start_gateway: StartGateway, open_wire: OpenWire) -> None:
    settings = {"command-port": 0, "restart-command": mode, "restart-delay": 0}
    gateway = start_gateway(launcher="ibc-java", settings=settings)

    with socket.create_connection(("127.0.0.1", gateway.ready_state()["command_port"]), 3) as connection:
        connection.sendall(b"RESTART\n")
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile(encoding="ascii") as answer:
            assert len(answer.read().splitlines()) == lines

    assert open_wire(gateway).log_on(1) == "176"


@pytest.mark.parametrize("helps", ["yes", "no"])
def test_a_reconnect_brings_a_lost_link_back_where_that_helps(
    helps: str, start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    settings = {"command-port": 0, "reconnect-helps": helps}
    gateway = start_gateway(launcher="ibc-java", faults=["upstream-lost"], settings=settings)
    standing = open_wire(gateway)
    standing.log_on(1)
    assert standing.receive_until(ERROR)[3] == "1100"

    with socket.create_connection(("127.0.0.1", gateway.ready_state()["command_port"]), 3) as connection:
        connection.sendall(b"RECONNECTACCOUNT\n")
        assert connection.recv(100) == b"OK \n"

    if helps == "yes":
        assert standing.receive_until(ERROR)[3] == "1102"
    coming = open_wire(gateway)
    coming.log_on(2)
    assert coming.receive_until(ERROR)[3] == ("2104" if helps == "yes" else "1100")


def test_a_broker_that_takes_no_connection_leaves_the_gateway_in_syn_sent(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    with FullBacklog(tmp_path) as broker:
        gateway = start_gateway(settings={"broker": f"127.0.0.1:{broker.port}"})
        process = psutil.Process(gateway.pid)

        states = [each.status for each in process.net_connections("tcp") if each.raddr]

    assert states == [psutil.CONN_SYN_SENT]


def test_a_stopped_gateway_keeps_its_port_and_goes_on_later(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway()
    wire = open_wire(gateway)
    wire.log_on(1)
    for _ in range(3):
        wire.receive()

    os.kill(gateway.pid, signal.SIGSTOP)
    wire.send(49, 1)
    assert wire.is_silent()
    assert psutil.Process(gateway.pid).status() == psutil.STATUS_STOPPED
    os.kill(gateway.pid, signal.SIGCONT)

    assert wire.receive_until("49")
