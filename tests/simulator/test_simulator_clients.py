"""The clients that desks have are real processes with real connections, and look like what they stand for."""

import os
from pathlib import Path
from typing import List

import psutil
import pytest

from .client_programs import Bot, HungBot, NohupBot, Relay, SupervisedBot, Viewer, socat, ssh_tunnel
from .conftest import OpenWire, StartGateway, use_library
from .launch import HeldSession, SimulatedGateway
from .program import marked
from .wire import ERROR


def connections(pid: int, gateway: SimulatedGateway) -> List[str]:
    """The states of a process's connections to the gateway."""
    rows = psutil.Process(pid).net_connections("tcp")
    return [row.status for row in rows if row.raddr and row.raddr.port == gateway.port]


def test_a_bot_has_two_connections_in_one_process(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway()

    with Bot(tmp_path, port=gateway.port, client_id=7) as bot:
        assert connections(bot.pid, gateway) == ["ESTABLISHED"] * 2


@pytest.mark.parametrize("kind", [NohupBot, SupervisedBot])
def test_a_bot_without_a_shell_has_another_parent_and_ends_with_its_test(
    kind: "type[NohupBot]", start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = start_gateway()

    with kind(tmp_path, port=gateway.port, client_id=7) as bot:
        assert bot.process is not None
        parent = psutil.Process(bot.pid).ppid()
        assert parent not in (os.getpid(), 0)
        assert (parent == bot.process.pid) is (kind is SupervisedBot)
        assert len(connections(bot.pid, gateway)) == 2

    assert marked(bot._mark) == []


def test_a_hung_bot_keeps_its_id(start_gateway: StartGateway, open_wire: OpenWire, tmp_path: Path) -> None:
    gateway = start_gateway()

    with HungBot(tmp_path, port=gateway.port, client_id=7) as bot:
        successor = open_wire(gateway)
        successor.hello()
        successor.receive()
        successor.start_api(7)

        assert successor.receive_until(ERROR)[3] == "326"
        assert connections(bot.pid, gateway) == ["ESTABLISHED"]


def test_a_viewer_takes_a_session_of_its_own(start_gateway: StartGateway, open_wire: OpenWire, tmp_path: Path) -> None:
    gateway = start_gateway(slots=1)

    with Viewer(tmp_path, port=gateway.port):
        late = open_wire(gateway)
        late.hello()
        late.receive()
        late.start_api(1)
        assert late.is_silent()


@pytest.mark.parametrize("looks", [socat, ssh_tunnel])
def test_a_relay_has_a_listener_and_looks_like_what_it_stands_for(
    looks: "type", start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = start_gateway()
    relay = Relay(tmp_path, target=gateway.port)
    relay.argv = looks(relay.port, gateway.port)

    with relay, HeldSession(tmp_path, port=relay.port, client_id=3) as script:
        process = psutil.Process(relay.pid)
        assert process.cmdline() == relay.argv
        assert (process.name(), Path(process.exe()).name) == (relay.argv[0], relay.argv[0])
        assert connections(relay.pid, gateway) == ["ESTABLISHED"]
        assert connections(script.pid, gateway) == []
        assert use_library("ib_async", relay.port, client_id=4).accounts == ["DU1234567"]
