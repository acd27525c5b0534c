"""Each fault of the simulated gateway shows on the wire what its name says."""

import asyncio
import contextlib
import logging
import socket
import time
from pathlib import Path
from typing import Callable, List

import psutil
import pytest

from .conftest import LIBRARIES, OpenWire, StartGateway, converse, use_library
from .launch import HeldSession, SimulatedGateway, connect_once
from .wire import ERROR, Wire


def tcp_states(gateway: SimulatedGateway) -> List[str]:
    """The states of the gateway's own sockets."""
    return sorted(connection.status for connection in psutil.Process(gateway.pid).net_connections("tcp"))


@pytest.mark.parametrize(
    ("fault", "logged_on"),
    [
        ("stall", True),
        ("silent", False),
        ("drop-after-hello", True),
        ("never-accept", False),
        ("id-in-use", True),
        ("garbage", False),
        ("huge-prefix", False),
        ("trickle", False),
    ],
)
def test_both_libraries_show_every_fault_but_a_closed_port_as_the_same_timeout(
    fault: str, logged_on: bool, start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gateway = start_gateway(faults=[fault])

    async def connect_with_both() -> List[object]:
        attempts = [converse(library, gateway.port, client_id, 0.4) for client_id, library in enumerate(LIBRARIES)]
        return await asyncio.gather(*attempts, return_exceptions=True)

    outcomes = asyncio.run(connect_with_both())

    assert [repr(outcome) for outcome in outcomes] == ["TimeoutError()", "TimeoutError()"]
    for library in LIBRARIES:
        log = [record.getMessage() for record in caplog.records if record.name == f"{library}.client"]
        assert ("Logged on to server version 176" in log) is logged_on
        assert "API connection failed: TimeoutError()" in log


def test_stall_gives_everyone_the_server_version_and_nothing_else(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(faults=["stall"])
    wires = [open_wire(gateway) for _ in range(2)]
    for client_id, wire in enumerate(wires):
        wire.hello()
        wire.receive_until("176")
        wire.start_api(client_id)

    assert [wire.is_silent() for wire in wires] == [True, True]


@pytest.mark.parametrize("fault", ["silent", "never-accept"])
def test_a_mute_gateway_takes_the_connection_and_says_nothing(
    fault: str, start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(faults=[fault])
    wire = open_wire(gateway)
    wire.hello()

    assert wire.is_silent()
    accepted = [] if fault == "never-accept" else ["ESTABLISHED"]
    assert tcp_states(gateway) == [*accepted, "LISTEN"]


def test_never_accept_fills_the_backlog_of_a_jvm_and_lets_the_next_client_wait(start_gateway: StartGateway) -> None:
    gateway = start_gateway(faults=["never-accept"])
    with contextlib.ExitStack() as stack:
        for _ in range(51):  # the kernel takes one more than the backlog of 50
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 1))

        with pytest.raises(socket.timeout):
            socket.create_connection(("127.0.0.1", gateway.port), 0.3)


def test_drop_after_hello_closes_behind_the_server_version(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(faults=["drop-after-hello"]))

    wire.hello()

    assert wire.receive_until("176")
    assert wire.receive() is None


def test_a_second_client_closes_the_listener_for_good_and_the_first_session_lives_on(
    start_gateway: StartGateway, open_wire: OpenWire, tmp_path: Path
) -> None:
    gateway = start_gateway(faults=["close-listener-on-second"])
    with HeldSession(tmp_path, port=gateway.port, client_id=1) as holder:
        holder.stop()  # a client after a client is no second one
    first = open_wire(gateway)
    first.log_on(1)

    outcome = connect_once(gateway.port, client_id=2, timeout=1)

    assert "Logged on to server version 176" in outcome.log
    assert outcome.error == "TimeoutError()"
    with pytest.raises(ConnectionRefusedError):
        Wire(gateway.port)
    assert first.is_alive()
    first.close()
    with pytest.raises(ConnectionRefusedError):
        Wire(gateway.port)
    assert gateway.process is not None
    assert gateway.process.poll() is None


def test_a_gateway_without_a_listener_runs_and_refuses(start_gateway: StartGateway) -> None:
    gateway = start_gateway(faults=["no-listener"])

    with pytest.raises(ConnectionRefusedError):
        use_library("ib_insync", gateway.port)
    assert tcp_states(gateway) == []


def test_id_in_use_refuses_every_client_id(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(faults=["id-in-use"]))
    wire.hello()
    wire.receive_until("176")

    wire.start_api(4711)

    assert wire.receive_until(ERROR)[3] == "326"
    assert wire.receive() is None


@pytest.mark.parametrize("code", [1100, 2110])
def test_upstream_lost_gives_a_full_session_and_then_the_code(
    code: int, start_gateway: StartGateway, open_wire: OpenWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gateway = start_gateway(faults=["upstream-lost"], upstream_code=code)
    wire = open_wire(gateway)

    wire.log_on(1)

    assert wire.receive_until(ERROR)[3] == str(code)
    assert use_library("ib_insync", gateway.port, client_id=2).accounts == ["DU1234567"]
    assert f" {code}, reqId -1" in caplog.text


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
def test_no_close_keeps_slot_and_client_id_of_a_client_that_left(
    leave: Callable[[Wire], None], start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(faults=["no-close", "one-slot"])
    ghost, same_id, other_id = (open_wire(gateway) for _ in range(3))
    ghost.log_on(1)

    leave(ghost)
    for client_id, wire in ((1, same_id), (2, other_id)):
        wire.hello()
        wire.receive_until("176")
        wire.start_api(client_id)

    assert same_id.receive_until(ERROR)[3] == "326"
    assert other_id.is_silent()
    assert ("CLOSE_WAIT" in tcp_states(gateway)) is (leave is Wire.close)


def test_garbage_is_no_frame_with_a_server_version(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway(faults=["garbage"])
    answers = []
    for _ in range(2):
        wire = open_wire(gateway)
        wire.hello()
        answers.append(wire.receive_bytes())

    assert [len(answer) for answer in answers] == [64, 64]
    assert answers[0] != answers[1]


def test_a_huge_prefix_announces_four_gigabytes(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(faults=["huge-prefix"]))

    wire.hello()

    assert int.from_bytes(wire.receive_bytes()[:4], "big") == 2**32 - 1
    assert wire.is_silent()


def test_trickle_sends_one_byte_a_second(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(faults=["trickle"]))
    wire.hello()

    first, first_at = wire.receive_bytes(), time.monotonic()
    second, second_at = wire.receive_bytes(), time.monotonic()

    assert (len(first), len(second)) == (1, 1)
    assert 0.8 < second_at - first_at < 1.8


def test_ignore_sigterm_survives_sigterm_and_goes_on_serving(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway(faults=["ignore-sigterm"])
    wire = open_wire(gateway)
    wire.log_on(1)
    assert gateway.process is not None

    gateway.process.terminate()

    assert wire.is_alive()
    assert open_wire(gateway).log_on(2) == "176"
    assert gateway.stop(timeout=0.2) == -9
