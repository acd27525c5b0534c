"""The simulated gateway serves real libraries, and hands out sessions as the real one does."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from .conftest import LIBRARIES, OpenWire, StartGateway, use_library
from .launch import HeldSession, connect_once
from .wire import ERROR, MANAGED_ACCOUNTS, NEXT_VALID_ID


@pytest.mark.parametrize(
    ("library", "offered", "negotiated"),
    [
        ("ib_insync", 157, 157),
        ("ib_insync", 166, 166),
        ("ib_insync", 176, 176),
        ("ib_insync", 200, 176),
        ("ib_async", 157, 157),
        ("ib_async", 166, 166),
        ("ib_async", 178, 178),
        ("ib_async", 200, 178),
    ],
)
def test_a_library_connects_fully_and_without_a_warning(
    library: str, offered: int, negotiated: int, start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gateway = start_gateway(server_version=offered)

    session = use_library(library, gateway.port)

    assert session.server_version == negotiated
    assert session.accounts == session.accounts_with_values == ["DU1234567"]
    assert max(session.clock_offsets) < 2
    assert session.elapsed < 0.8
    messages = [record.getMessage() for record in caplog.records]
    assert [code for code in ("2104", "2106", "2158") if not any(f"Warning {code}," in text for text in messages)] == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_gets_the_values_of_several_accounts(
    library: str, start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = ["DU1", "DF2", "DU3"]
    gateway = start_gateway(accounts=accounts)

    session = use_library(library, gateway.port)

    assert session.accounts == accounts
    assert session.accounts_with_values == sorted(accounts)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_trading_script_connects_and_reports_it(library: str, start_gateway: StartGateway) -> None:
    gateway = start_gateway(mode="live", launcher="ibc")

    outcome = connect_once(gateway.port, library=library)

    assert outcome.returncode == 0
    assert (outcome.connected, outcome.server_version, outcome.accounts) == (True, 176, ["U1234567"])
    assert outcome.error is None
    assert "Synchronization complete" in outcome.log


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_that_wants_a_newer_server_is_told_the_version_and_closed(
    library: str, start_gateway: StartGateway, open_wire: OpenWire, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(server_version=156)
    wire = open_wire(gateway)

    wire.hello("v157..176")
    version = wire.receive()

    assert version is not None
    assert version[0] == "156"
    assert wire.receive() is None
    with pytest.raises(asyncio.TimeoutError):
        use_library(library, gateway.port, timeout=0.5)
    assert "TWS/gateway version must be >= 972" in caplog.text


def test_an_error_has_the_shape_of_the_negotiated_version(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway(server_version=200)
    shapes = {}
    for version in (100, 165, 166, 193, 194, 200):
        wire = open_wire(gateway)
        assert wire.log_on(version, f"v100..{version}") == str(version)
        notice = wire.receive_until(ERROR)
        if version >= 194:
            assert abs(int(notice[-1]) / 1000 - time.time()) < 5  # milliseconds since 1970
            notice[-1] = "TIME"
        shapes[version] = notice

    text = "Market data farm connection is OK:usfarm"
    assert shapes[100] == shapes[165] == ["4", "2", "-1", "2104", text]
    assert shapes[166] == shapes[193] == ["4", "2", "-1", "2104", text, ""]
    assert shapes[194] == shapes[200] == ["4", "-1", "2104", text, "", "TIME"]


def test_a_used_client_id_gets_error_326_and_is_closed_half_a_second_later(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway()
    holder, second = open_wire(gateway), open_wire(gateway)
    holder.log_on(7)

    second.hello()
    second.receive()
    second.start_api(7)
    refusal, refused_at = second.receive_until(ERROR), time.monotonic()

    assert refusal[3] == "326"
    assert second.receive() is None
    assert 0.3 < time.monotonic() - refused_at < 1.5
    assert holder.is_alive()


def test_a_library_shows_a_used_client_id_as_a_timeout_and_names_it_in_the_log_only(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = start_gateway()
    with HeldSession(tmp_path, port=gateway.port, client_id=7):
        outcome = connect_once(gateway.port, client_id=7, timeout=1)

    assert outcome.error == "TimeoutError()"
    assert "Error 326" in outcome.log


def test_a_second_client_beyond_the_slots_is_stalled_until_the_holder_leaves(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(slots=2)
    holders = [open_wire(gateway) for _ in range(2)]
    for client_id, holder in enumerate(holders):
        holder.log_on(client_id)
    third = open_wire(gateway)

    third.hello()
    assert third.receive_until("176")
    third.start_api(9)
    third.send(49, 1)
    assert third.is_silent()
    holders[0].close()

    assert third.receive_until(MANAGED_ACCOUNTS)[2] == "DU1234567,"
    assert third.receive_until(NEXT_VALID_ID)
    assert third.receive_until("49")  # what it asked while it waited


def test_a_client_that_gives_up_waiting_does_not_take_the_slot(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(faults=["one-slot"])
    holder, impatient, next_one = (open_wire(gateway) for _ in range(3))
    holder.log_on(1)
    for client_id, wire in ((2, impatient), (3, next_one)):
        wire.hello()
        wire.receive_until("176")
        wire.start_api(client_id)

    assert next_one.is_silent()
    impatient.close()
    assert next_one.is_silent()
    holder.close()

    assert next_one.receive_until(NEXT_VALID_ID)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_slot_is_freed_when_its_holder_is_killed(library: str, start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway(faults=["one-slot"])
    holder = HeldSession(tmp_path, port=gateway.port, client_id=1, library=library)
    with holder:
        with pytest.raises(asyncio.TimeoutError):
            use_library(library, gateway.port, client_id=2, timeout=0.5)
        holder.kill()

        assert use_library(library, gateway.port, client_id=1).accounts == ["DU1234567"]


def test_a_connection_that_never_says_hello_takes_no_slot(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway(faults=["one-slot"])
    open_wire(gateway)
    open_wire(gateway).hello()

    assert open_wire(gateway).log_on(3) == "176"


def test_a_ready_session_answers_what_scripts_ask_later(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(accounts=["DU1", "DU2"]))
    wire.log_on(1)
    wire.receive_until(ERROR)
    answers = {}
    requests = {
        "order ids": ((8, 1, 1), "9"),
        "all open orders": ((16, 1), "53"),
        "managed accounts": ((17, 1), "15"),
        "account summary": ((62, 1, 5, "All", "NetLiquidation"), "63"),
        "positions of one account": ((74, 1, 7, "DU2", ""), "72"),
        "user": ((104, 8), "107"),
        "cut short": ((74, 1), "4"),
    }
    for name, (request, answered_by) in requests.items():
        wire.send(*request)
        answers[name] = wire.receive_until(answered_by)[1:]

    text = "Server error when reading an API client request."
    assert answers == {
        "order ids": ["1", "1"],
        "all open orders": ["1"],
        "managed accounts": ["1", "DU1,DU2,"],
        "account summary": ["1", "5", "DU1", "NetLiquidation", "1000000.00", "USD"],
        "positions of one account": ["1", "7"],
        "user": ["8", ""],
        "cut short": ["2", "-1", "320", text, ""],
    }


def test_a_stranger_to_the_protocol_is_closed(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    gateway = start_gateway()
    wire = open_wire(gateway)

    wire.send("GET / HTTP/1.1")

    assert wire.receive() is None
    assert open_wire(gateway).log_on(1) == "176"
