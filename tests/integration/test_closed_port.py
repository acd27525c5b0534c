"""A gateway closes its port for a while, as one that logs in anew does, and works on: remediate.yml waits for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from simulator.launch import HeldSession, SimulatedGateway, free_port

from integration.desk import Desk, Run, alive, until
from integration.repair import Repair

TOGGLED = {"settings": {"event": "port-toggled"}}


def closed(desk: Desk) -> tuple[SimulatedGateway, HeldSession]:
    """A gateway that has closed its port, and a script whose session goes on."""
    gateway = desk.gateway(**TOGGLED)
    script = desk.script()
    gateway.happen()
    until(lambda: not desk.listening())
    return gateway, script


#: A script with a session on each of several ports: it opens the next one when it is sent a line, and answers.
PAIR = """
import asyncio, sys

async def hold():
    from ib_insync import IB
    sessions = []
    for port in sys.argv[1:]:
        sys.stdin.readline()
        sessions.append(IB())
        await sessions[-1].connectAsync("127.0.0.1", int(port), clientId=21, timeout=8)
        print(port, flush=True)
    await asyncio.sleep(300)

asyncio.run(hold())
"""


class Pair:
    """A desk's script for its gateway and for one on another port, which no entry declares."""

    def __init__(self, desk: Desk) -> None:
        port = free_port()
        self.other = desk.gateway(port=port, config_dir=desk.folder / "other", mode="paper")
        self.path = desk.folder / "pair_trader.py"
        self.path.write_text(PAIR)
        argv = [sys.executable, str(self.path), str(desk.port), str(port)]
        self.process = desk.bystander(*argv, input_=subprocess.PIPE, output=subprocess.PIPE)
        self.pid = self.process.pid

    def connects(self) -> None:
        """Has it open its next session, and returns when that stands."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline()


def done(run: Run) -> list[tuple[str, str]]:
    """What a run did, and what that came to."""
    return [(act["action"], each["result"]) for act in run.host()["done"] for each in act["outcomes"]]


def connected(script: HeldSession | Pair, gateway: SimulatedGateway) -> bool:
    """Whether the script has a session on the gateway, by psutil."""
    connections = psutil.Process(script.pid).net_connections("tcp")
    return any((row.raddr and row.raddr.port, row.status) == (gateway.port, "ESTABLISHED") for row in connections)


def remediated(desk: Desk, meanwhile: Any, **entry: Any) -> Run:
    """A run of remediate.yml; meanwhile: what happens once the host has been looked at and its repair has begun."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(desk.play, "remediate.yml", **entry)
        until(lambda: run.done() or (desk.folder / "state" / "lease.json").exists(), 60)
        assert not run.done(), run.result().output
        meanwhile()
        return run.result()


@pytest.mark.parametrize("limit", [1, None])
def test_a_port_that_opens_again_by_itself_costs_neither_a_session_nor_a_login(desk: Desk, limit: int | None) -> None:
    gateway, script = closed(desk)

    run = remediated(desk, gateway.happen, max_api_clients=limit)

    assert run.codes() == {"not_listening"}
    assert (run.rc, run.recap()["changed"]) == (0, 0), run.output
    assert (run.host()["status"], done(run)) == ("healthy", [("wait", "done")])
    assert desk.listening() == [gateway.pid] == desk.java()
    assert connected(script, gateway)


def test_a_gateway_that_ends_after_its_port_has_closed_is_left_to_what_brings_the_next_one(desk: Desk) -> None:
    """So does one at its nightly restart; a second one beside it would cost both their logins."""
    prepared = desk.prepared(**TOGGLED)
    command, again = desk.folder / "gateway.json", desk.folder / "again"
    command.write_text(json.dumps(prepared.command()))
    os.mkfifo(again)
    loop = "import json, subprocess; argv = json.load(open({!r}))\nwhile True: subprocess.call(argv); open({!r}).read()"
    # Below this name a look knows what keeps a gateway; it starts the next one when the test says so.
    keeper = desk.bystander("ibcstart.sh", "-c", loop.format(str(command), str(again)), executable=sys.executable)
    until(prepared.ready_file.exists)
    (first,) = desk.java()
    desk.script()
    os.kill(first, signal.SIGUSR1)
    until(lambda: not desk.listening())

    def ends_and_comes_back() -> None:
        time.sleep(3)  # as many as are left of its work when the port has closed: the run waits by then
        os.kill(first, signal.SIGTERM)
        until(lambda: not alive(first))
        time.sleep(2)  # a gap, such as nightly restarts have: the run sees that no gateway is there
        again.write_text("")

    run = remediated(desk, ends_and_comes_back, start_timeout=60)

    assert (run.host()["status"], run.recap()["changed"]) == ("healthy", 0), run.output
    assert {action for action, _ in done(run)} == {"wait"}, run.output
    assert len(desk.java()) == 1 and desk.java() == desk.listening() != [first]
    assert alive(keeper.pid)


@pytest.mark.parametrize("named", [False, True], ids=["nobody's", "named by client_patterns"])
def test_a_script_that_works_on_an_undeclared_gateway_too_loses_the_session_of_the_closed_port_alone(
    desk: Desk, named: bool
) -> None:
    gateway, script = desk.gateway(**TOGGLED), Pair(desk)
    script.connects()
    script.connects()
    gateway.happen()
    until(lambda: not desk.listening())

    patterns = [re.escape(str(script.path))] if named else []
    run = desk.play("remediate.yml", max_api_clients=None, client_patterns=patterns, start_timeout=20)

    assert run.host()["status"] == "healthy", run.output
    assert done(run) == [("wait", "done"), ("restart", "done")], run.output
    assert alive(script.pid) and connected(script, script.other) and not connected(script, gateway)
    assert [each["planned"] for each in run.host()["lost"]] == [True] and run.rc == 0, run.output


def test_a_script_that_comes_to_work_on_another_gateway_once_the_plan_is_made_is_not_stopped(desk: Desk) -> None:
    gateway, script = desk.gateway(**TOGGLED), Pair(desk)
    script.connects()
    gateway.happen()
    until(lambda: not desk.listening())
    repair = Repair(desk, desk.entry(max_api_clients=None)).begin()
    steps = repair.steps("stop_client")
    assert [each["target"]["pid"] for each in steps] == [script.pid]
    script.connects()
    (outcome,) = repair.act("ib_process_stop", steps=steps)["outcomes"]
    assert outcome["result"] == "refused" and "works on another gateway" in outcome["reason"]
    assert alive(script.pid) and connected(script, script.other)


def test_check_mode_says_what_would_be_ended_if_the_port_stays_closed_and_touches_nothing(desk: Desk) -> None:
    gateway, script = closed(desk)

    run = desk.play("remediate.yml", "--check", max_api_clients=None)

    assert done(run) == [("wait", "would"), ("stop_client", "would"), ("restart", "would")], run.output
    assert "would stop script" in run.output and ", if it persists" in run.output
    assert desk.java() == [gateway.pid] and connected(script, gateway)
