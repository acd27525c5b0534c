"""Real clients judge the simulated gateway: IBKR's oldest and newest, ib_insync and ib_async, over all server versions.

Protobuf messages are held against the official client's own generated classes, too.
"""

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from . import protobuf
from .conftest import LIBRARIES, OpenWire, StartGateway, use_library
from .launch import CLIENTS
from .messages import PROTOBUF_SINCE
from .official import HIGHEST, folder
from .options import QUIRKS
from .wire import ERROR, MANAGED_ACCOUNTS, NEXT_VALID_ID

NEWEST = HIGHEST["newest"]
LISTS = ["account", "completed orders", "executions", "open orders", "positions", "summary"]
FARMS_OK = [2104, 2106, 2158]
COMPLETED_ORDERS_VERSION = 150


@dataclass(frozen=True)
class Told:
    """What clients/official_once.py printed, and its exit code."""

    returncode: int
    server_version: int
    time: str
    accounts: List[str]
    order_id: int
    now: int
    ended: List[str]
    values: List[str] = field(repr=False)
    codes: List[int]


def official_once(name: str, port: int, completed_orders: bool = True) -> Told:
    argv = [sys.executable, str(CLIENTS / "official_once.py"), f"--port={port}", "--client-id=1"]
    argv += ["--completed-orders=" + ("yes" if completed_orders else "no")]
    environment = {**os.environ, "PYTHONPATH": str(folder(name))}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout, done.stderr
    return Told(done.returncode, **json.loads(done.stdout))


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("oldest", 100),
        ("oldest", 130),
        ("oldest", HIGHEST["oldest"]),
        ("newest", 100),
        ("newest", 178),
        ("newest", 200),
        *(("newest", version) for version in sorted(set(PROTOBUF_SINCE.values()))),
        ("newest", NEWEST),
        ("newest", NEWEST + 1),
    ],
)
def test_an_official_client_gets_all_it_asks_for(name: str, offered: int, start_gateway: StartGateway) -> None:
    gateway = start_gateway(server_version=offered, accounts=["DU1", "DF2"])
    knows_completed_orders = offered >= COMPLETED_ORDERS_VERSION

    told = official_once(name, gateway.port, knows_completed_orders)

    assert told.returncode == 0
    assert told.server_version == min(offered, HIGHEST[name])
    assert (told.accounts, told.order_id, told.codes) == (["DU1", "DF2"], 1, FARMS_OK)
    assert told.ended == [each for each in LISTS if knows_completed_orders or each != "completed orders"]
    assert "NetLiquidation" in told.values


@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize("offered", [178, NEWEST])
def test_no_quirk_keeps_the_newest_official_client_out(quirk: str, offered: int, start_gateway: StartGateway) -> None:
    told = official_once("newest", start_gateway(server_version=offered, quirks=[quirk]).port)

    assert (told.returncode, told.server_version, told.ended) == (0, offered, LISTS)


@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_quirk_keeps_a_library_out(quirk: str, library: str, start_gateway: StartGateway) -> None:
    assert use_library(library, start_gateway(quirks=[quirk]).port).accounts == ["DU1234567"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_agrees_on_its_own_highest_version_with_the_newest_gateway(
    library: str, start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    session = use_library(library, start_gateway(server_version=NEWEST).port)

    assert session.server_version == {"ib_insync": 176, "ib_async": 178}[library]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_is_text_and_what_is_protobuf_follows_the_version(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    gateway = start_gateway(server_version=NEWEST)
    shapes = {}
    for version in (200, 202, 206, NEWEST):
        wire = open_wire(gateway)
        wire.hello(f"v100..{version}")
        wire.receive()
        wire.start_api(version)
        shapes[version] = [wire.receive_until(name) for name in (MANAGED_ACCOUNTS, NEXT_VALID_ID, ERROR)]
        shapes[version][2] = shapes[version][2][:3]

    assert shapes[200] == [["15", "1", "DU1234567,"], ["9", "1", "1"], ["4", "-1", "2104"]]
    assert shapes[202] == shapes[200]
    assert [each[:2] for each in shapes[206]] == [["15", "1"], ["9", "1"], ["4", "-1"]]
    assert shapes[NEWEST][:2] == [["15", "DU1234567,"], ["9", "1"]]


def test_a_session_is_started_and_asked_in_protobuf(start_gateway: StartGateway, open_wire: OpenWire) -> None:
    wire = open_wire(start_gateway(server_version=NEWEST))
    wire.hello(f"v100..{NEWEST}")
    wire.receive()

    wire.send_protobuf(71, (1, 4711))
    wire.receive_until(NEXT_VALID_ID)
    wire.send_protobuf(74, (1, 7), (2, "DU1234567"))

    assert wire.receive_until("72") == ["72", "7"]


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("ErrorMessage", [(1, -1), (2, 1795943239000), (3, 2104), (4, "Market data farm connection is OK:usfarm")]),
        ("ManagedAccounts", [(1, "DU1,DU2,")]),
        ("NextValidId", [(1, 2**31 - 1)]),
        ("AccountUpdateMulti", [(1, 3), (2, "DU1"), (3, "\u00e4"), (4, "k" * 200), (5, "v"), (6, "USD")]),
        ("OrderStatus", [(1, 0), (2, "Submitted"), (6, 2**62)]),
    ],
)
def test_the_official_classes_read_and_write_the_same_bytes(message: str, fields: List[Tuple[int, Any]]) -> None:
    program = (
        "import importlib, sys\n"
        "kind = getattr(importlib.import_module(f'ibapi.protobuf.{sys.argv[1]}_pb2'), sys.argv[1])\n"
        "found = kind.FromString(bytes.fromhex(sys.argv[2]))\n"
        "print(found.SerializeToString().hex(), [(each.number, value) for each, value in found.ListFields()])\n"
    )
    written = protobuf.encode(fields)

    done = subprocess.run(
        [sys.executable, "-c", program, message, written.hex()],
        env={**os.environ, "PYTHONPATH": str(folder("newest")), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=True,
    )

    assert done.stdout.strip() == f"{written.hex()} {fields}"
    assert protobuf.decode(written) == {number: str(value) for number, value in fields}


@pytest.mark.parametrize("cut", [b"\x08", b"\x12\x05abc", b"\x0b", b"\xff" * 11])
def test_bytes_that_are_no_protobuf_are_named_so(cut: bytes) -> None:
    with pytest.raises(protobuf.BadMessage):
        protobuf.decode(cut)


def test_an_unreadable_protobuf_request_is_an_error_and_not_the_end(
    start_gateway: StartGateway, open_wire: OpenWire
) -> None:
    wire = open_wire(start_gateway(server_version=NEWEST))
    wire.log_on(1, f"v100..{NEWEST}")
    for _ in FARMS_OK:
        wire.receive_until(ERROR)

    wire.send(262, "no protobuf")

    assert "320" in wire.receive_until(ERROR)
    assert wire.is_alive()


def test_the_installed_clients_are_the_ones_the_tests_speak_of() -> None:
    program = "from ibapi.server_versions import MAX_CLIENT_VER; print(MAX_CLIENT_VER)"
    for name, highest in HIGHEST.items():
        environment = {**os.environ, "PYTHONPATH": str(folder(name))}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        assert int(done.stdout) == highest
        assert Path(folder(name)).is_dir()
