"""A bot that started its gateway itself, as ib_insync's Watchdog does, is that gateway's client and its parent in one.

What ends it may end the gateway, and nothing would bring the next one.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from simulator.launch import connect_once

from integration.desk import Desk, until
from integration.modules import run_module
from integration.repair import Repair

_BOT = """
import json, pathlib, socket, subprocess, sys, time
command, port, folder = json.loads(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL)
while not (folder / "go").exists():
    time.sleep(0.02)
session = socket.create_connection(("127.0.0.1", port))
session.sendall(b"API\\0" + bytes([0, 0, 0, 9]) + b"v157..176")
session.recv(1)
(folder / "connected").touch()
gateway.wait()
time.sleep(300)
"""


def started(desk: Desk, *faults: str) -> tuple[Path, psutil.Process]:
    """(the bot's script, the bot), whose gateway is ready. It connects when the file `go` is beside its script."""
    gateway, script = desk.prepared(*faults), desk.folder / "bot" / "trader.py"
    script.parent.mkdir()
    script.write_text(_BOT)
    bot = desk.bystander(sys.executable, str(script), json.dumps(gateway.command()), str(desk.port), str(script.parent))
    until(gateway.ready_file.exists)
    return script, psutil.Process(bot.pid)


def connected(script: Path) -> None:
    (script.parent / "go").touch()
    until((script.parent / "connected").exists)


def look(desk: Desk, **entry: Any) -> dict[str, Any]:
    entries = [desk.entry(**{"max_api_clients": None, **entry})]
    found: dict[str, Any] = run_module("ib_gateway_health", gateways=entries, probe="never")
    return dict(found["gateways"][0])


def test_where_its_gateway_listens_no_more_that_is_ended_and_not_the_bot_that_brings_the_next_one(desk: Desk) -> None:
    script, bot = started(desk, "close-listener-on-second")
    connected(script)
    other = desk.script()
    connect_once(desk.port, client_id=9)
    until(lambda: not desk.listening())
    repair = Repair(desk, desk.entry(max_api_clients=None)).begin()
    steps = repair.health["gateways"][0]["plan"]["steps"]
    assert [each["action"] for each in steps] == ["wait", "stop_client", "stop_gateway", "start"], steps
    assert steps[1]["target"]["pid"] == other.pid
    assert "trader.py (pid %d" % bot.pid in steps[2]["reason"]
    repair.act("ib_process_stop", steps=repair.steps("stop_gateway"))
    assert bot.is_running() and bot.status() != psutil.STATUS_ZOMBIE


def test_a_pattern_that_names_it_does_not_end_it(desk: Desk) -> None:
    script, _bot = started(desk)
    connected(script)
    found = look(desk, client_patterns=[re.escape(str(script))])
    assert (found["plan"]["steps"], found["verdict"]) == ([], "healthy"), found


@pytest.mark.parametrize("first", [True, False], ids=["the oldest", "the newest"])
def test_its_connection_is_not_the_one_too_many_nor_is_another_for_its_sake(desk: Desk, first: bool) -> None:
    script, bot = started(desk)
    if first:
        connected(script)
    desk.script()
    if not first:
        connected(script)
    found = look(desk, max_api_clients=1)
    assert found["plan"]["steps"] == [], found["plan"]
    assert "pid %d (a gateway runs below it, which may end with it)" % bot.pid in " ".join(found["plan"]["withheld"])
