"""What a session can be denied or lose: each shows on the wire what options.py says of it."""

import socket
import time
from typing import List, Optional

import psutil
import pytest

from .conftest import OpenWire, StartGateway
from .launch import SimulatedGateway
from .wire import ERROR, MANAGED_ACCOUNTS, Wire


def knock(wire: Wire, client_id: int = 1) -> None:
    wire.hello()
    wire.receive_until("176")
    wire.start_api(client_id)


def rest_of(wire: Wire) -> List[List[str]]:
    """Every frame up to the gateway's close."""
    frames: List[List[str]] = []
    while (frame := wire.receive()) is not None:
        frames.append(frame)
    return frames


def waiting_in_queue(port: int) -> Optional[int]:
    """How many connections nobody has accepted, by the kernel's table."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for row in table:
            fields = row.split()
            if fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
                return int(fields[4].partition(":")[2], 16)
    return None


def test_a_pending_disclaimer_is_said_with_10141_and_the_connection_closes(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    wire = open_wire(start_gateway(faults=["disclaimer"]))

    knock(wire)

    assert [frame[:4] for frame in rest_of(wire)] == [["4", "2", "-1", "10141"]]


def test_without_an_order_id_everything_else_comes(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(faults=["no-order-id"]))

    knock(wire)

    assert wire.receive_until(MANAGED_ACCOUNTS)
    assert [(wire.receive() or [])[3] for _ in range(3)] == ["2104", "2106", "2158"]
    wire.send(8, 1, 1)
    assert wire.is_silent()
    assert wire.is_alive()


def test_silent_after_ready_opens_a_session_and_answers_nothing(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    wire = open_wire(start_gateway(faults=["silent-after-ready"]))
    wire.log_on(1)
    assert [(wire.receive() or [])[3] for _ in range(3)] == ["2104", "2106", "2158"]

    wire.send(49, 1)
    wire.send(61, 1)

    assert wire.is_silent()


def test_a_used_id_can_be_closed_without_a_word(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway(faults=["close-on-used-id"])
    holder, second = open_wire(gateway), open_wire(gateway)
    holder.log_on(7)

    knock(second, 7)

    assert rest_of(second) == []
    assert holder.is_alive()


def test_broken_farms_are_told_in_place_of_the_good_ones(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(faults=["farms-broken"]))

    wire.log_on(1)

    assert [(wire.receive() or [])[3] for _ in range(3)] == ["2103", "2105", "2157"]
    assert wire.is_alive()


def test_stop_accepting_lets_the_queue_grow_while_the_first_session_works(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(faults=["stop-accepting"])
    first = open_wire(gateway)
    first.log_on(1)
    late = [open_wire(gateway) for _ in range(3)]
    for wire in late:
        wire.hello()

    assert [wire.is_silent() for wire in late] == [True, True, True]
    assert first.is_alive()
    # The gateway may have been about to accept the first of them.
    assert waiting_in_queue(gateway.port) in (2, 3)


def test_a_lost_link_is_told_to_sessions_that_stand_and_to_those_that_come(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(settings={"event": "link-lost"})
    standing = open_wire(gateway)
    standing.log_on(1)
    assert [(standing.receive() or [])[3] for _ in range(3)] == ["2104", "2106", "2158"]

    gateway.happen()

    assert standing.receive_until(ERROR)[3] == "1100"
    coming = open_wire(gateway)
    coming.log_on(2)
    assert coming.receive_until(ERROR)[3] == "1100"
    assert standing.is_alive() and coming.is_alive()


def test_a_gateway_that_hangs_keeps_its_connections_and_says_nothing(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(settings={"event": "hang"})
    standing = open_wire(gateway)
    standing.log_on(1)
    assert [(standing.receive() or [])[3] for _ in range(3)] == ["2104", "2106", "2158"]

    gateway.happen()
    until_silent(standing)

    coming = open_wire(gateway)
    coming.hello()
    assert coming.is_silent()
    assert len(psutil.Process(gateway.pid).net_connections("tcp")) == 3


def until_silent(wire: Wire) -> None:
    """Asks until no answer comes: a signal takes its time."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        wire.send(49, 1)
        if wire.is_silent():
            return
        wire.receive()
    raise AssertionError("it went on answering")


@pytest.mark.parametrize("event", ["displaced", "login-again"])
def test_a_session_taken_over_closes_the_port_and_the_process_stays(
    event: str, start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(settings={"event": event, "login-again": 2, "ibc-log": "-"})
    wire = open_wire(gateway)
    wire.log_on(1)

    gateway.happen()

    assert rest_of(wire)
    refused(gateway)
    if event == "login-again":
        gateway.until_open()
        assert open_wire(gateway).log_on(1) == "176"
        assert "IBC: Re-login to session" in gateway.log_text()
    else:
        assert "IBC: End this session and let the other session proceed (scenario 2)" in gateway.log_text()
    assert psutil.Process(gateway.pid).is_running()


def test_a_port_that_is_toggled_closes_beside_a_session_that_goes_on_and_opens_again(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(settings={"event": "port-toggled"})
    wire = open_wire(gateway)
    wire.log_on(1)

    gateway.happen()
    until_refused(gateway)
    wire.send(49, 1)
    assert not wire.is_silent()

    gateway.happen()
    gateway.until_open()
    assert open_wire(gateway).log_on(2) == "176"


def until_refused(gateway: SimulatedGateway) -> None:
    """Connects until that is refused: a signal takes its time."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", gateway.port), 1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)  # faster than it accepts, its queue would be full
    raise AssertionError("its port stayed open")


def refused(gateway: SimulatedGateway) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port), 1)


def test_a_crash_ends_a_gateway_with_1(start_gateway: StartGateway) -> None:
    gateway = start_gateway(settings={"event": "crash", "event-after": 0})

    assert gateway.wait() == 1
    refused(gateway)
