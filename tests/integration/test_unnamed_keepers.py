"""A program that nothing names keeps a gateway: a compiled loop, an admin's wrapper, a bot that runs IBC.

What it was seen to carry is the evidence. Nothing is started beside it before it has had its time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway.base.host import Keeper
from ansible.module_utils.ib_gateway.observe import keepers

from integration.desk import Desk, alive, halt, until
from integration.modules import run_module
from integration.repair import Repair

#: Starts the next gateway some seconds after the last; without seconds it ends with its first one. Its command line
#: says nothing of it.
_KEEP = """
import json, pathlib, subprocess, sys, time
while True:
    command, gap = json.loads(pathlib.Path(sys.argv[1]).read_text())
    subprocess.call(command, stdin=subprocess.DEVNULL)
    if gap is None:
        raise SystemExit
    time.sleep(gap)
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepers of tests that run beside these, under the same account, are nobody's here."""
    everybody = keepers.keepers

    def own(*arguments: Any) -> tuple[Keeper, ...]:
        children = {each.pid for each in psutil.Process().children(recursive=True)}
        return tuple(each for each in everybody(*arguments) if each.pid in children)

    monkeypatch.setattr(keepers, "keepers", own)


def kept(desk: Desk, *faults: str, gap: float | None) -> psutil.Process:
    """A keeper whose gateway is ready."""
    told, gateway = desk.folder / "keep.json", desk.prepared(*faults)
    told.write_text(json.dumps([gateway.command(), gap]))
    process = desk.bystander("/opt/desk/keepalive", "-c", _KEEP, str(told), executable=sys.executable)
    until(gateway.ready_file.exists)
    return psutil.Process(process.pid)


def look(entry: dict[str, Any], **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = run_module("ib_gateway_health", gateways=[entry], probe="never", **options)["gateways"][0]
    return found


def served(desk: Desk, gap: float | None) -> tuple[dict[str, Any], psutil.Process, int]:
    """(the entry, the keeper, the pid of its gateway, which has served and listens no more)"""
    keeper = kept(desk, "no-listener", gap=gap)
    (java,) = desk.java()
    desk.has_served(java)
    return desk.entry(), keeper, java


def test_a_gateway_below_a_program_that_nothing_names_is_ended_and_none_is_started_beside_what_it_brings(
    desk: Desk,
) -> None:
    entry, keeper, java = served(desk, gap=3.0)
    repair = Repair(desk, entry).begin()
    steps = repair.health["gateways"][0]["plan"]["steps"]
    assert [each["action"] for each in steps] == ["wait", "stop_gateway", "start"]
    told = repair.steps("stop_gateway")[0]["reason"]
    assert "keepalive (pid %d of %s) may bring the next one" % (keeper.pid, keeper.username()) in told
    ended = repair.act("ib_process_stop", steps=repair.steps("stop_gateway"), then_look={"probe": "never"})
    (after,) = ended["health"]["gateways"]
    assert after["verdict"] == "gateway_coming_up", after
    assert "carried the last one and may bring the next" in after["findings"][0]["summary"]
    assert [each["action"] for each in after["plan"]["steps"]] == ["wait", "start"]
    until(desk.java)
    assert desk.java() != [java] and len(desk.java()) == 1


def test_the_next_run_knows_what_carried_the_gateway_that_the_last_one_ended(desk: Desk) -> None:
    entry, keeper, _java = served(desk, gap=300.0)
    repair = Repair(desk, entry).begin()
    repair.act("ib_process_stop", steps=repair.steps("stop_gateway"))
    until(lambda: not desk.java())
    found = look(entry, state_dir=str(repair.state_dir))
    assert [each["pid"] for each in found["findings"][0]["evidence"]["keepers"]] == [keeper.pid]
    keeper.kill()
    until(lambda: not alive(keeper.pid))
    assert look(entry, state_dir=str(repair.state_dir))["verdict"] == "gateway_not_running"


def test_what_ends_with_its_gateway_is_waited_for_no_longer_than_it_lives(desk: Desk) -> None:
    entry, keeper, _java = served(desk, gap=None)
    entry["start_timeout"] = 120
    repair = Repair(desk, entry).begin()
    repair.act("ib_process_stop", steps=repair.steps("stop_gateway"))
    until(lambda: not alive(keeper.pid))
    assert look(entry, state_dir=str(repair.state_dir))["verdict"] == "gateway_not_running"


def test_a_wait_ends_when_what_could_bring_the_gateway_has_ended(desk: Desk) -> None:
    entry = desk.entry(start_timeout=100)
    program = desk.folder / "start_ibgateway.sh"
    program.write_text("#!/bin/sh\nwhile read -r _; do ibcstart.sh; done\n")
    keeper = subprocess.Popen(["sh", str(program)], stdin=subprocess.PIPE)
    try:
        assert look(entry)["verdict"] == "gateway_coming_up"
        assert keeper.stdin is not None
        ends = subprocess.Popen(["sh", "-c", "sleep 1; kill %d" % keeper.pid])
        waited = run_module("ib_gateway_wait", gateways=[entry], only=["live"])
        ends.wait()
    finally:
        keeper.kill()
        keeper.communicate()
    assert waited["gateways"] == [{"name": "live", "answer": "not_listening"}] and waited["waited"] < 60


@pytest.mark.parametrize("word", ["java", "ibcstart.sh"])
def test_a_program_that_is_given_a_gateway_s_command_is_waited_for_while_none_runs(desk: Desk, word: str) -> None:
    command = desk.prepared().command() if word == "java" else ["/opt/ibc/scripts/ibcstart.sh", "1045", "-g"]
    keeper = desk.bystander(
        "/opt/desk/forever", "-c", "import time; time.sleep(300)", *command, executable=sys.executable
    )
    stand = desk.bystander("vim", "-c", "import time; time.sleep(300)", *command, executable=sys.executable)
    found = look(desk.entry())
    assert found["verdict"] == "gateway_coming_up", found
    pids = [each["pid"] for each in found["findings"][0]["evidence"]["keepers"]]
    assert keeper.pid in pids and stand.pid not in pids


def test_remediate_starts_none_beside_what_a_program_that_nothing_names_brings(desk: Desk) -> None:
    """Its gateway stalls; the next one, which the same keeper brings after a while, is well."""
    keeper = kept(desk, "stall", gap=4.0)
    (java,) = desk.java()
    (desk.folder / "keep.json").write_text(json.dumps([desk.prepared().command(), 4.0]))
    run = desk.play("remediate.yml", start_timeout=60)
    assert keeper.is_running() and len(desk.java()) == 1 and desk.java() != [java], run.output
    assert run.rc == 0, run.output


#: As somebody has compiled it: what it runs stands in a file, or in itself.
_COMPILED = """
#include <unistd.h>
static const char *const program = "%s";
int main(void) { return program[0] == 0 || pause(); }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a compiler")
@pytest.mark.parametrize(
    ("in_itself", "in_settings", "kept"),
    [
        ("/opt/ibc/scripts/ibcstart.sh", "", True),
        ("/bin/date", "run = ibcalpha.ibc.IbcGateway\n", True),
        ("x", "", False),
    ],
)
def test_a_compiled_program_is_known_by_what_it_or_its_settings_would_run(
    desk: Desk, in_itself: str, in_settings: str, kept: bool
) -> None:
    """Its gateway has ended by itself, and no run has seen it before."""
    source, program, settings = desk.folder / "keep.c", desk.folder / "keepalive", desk.folder / "keep.conf"
    source.write_text(_COMPILED % in_itself)
    settings.write_text(in_settings)
    subprocess.run(["cc", "-o", str(program), str(source)], check=True)
    keeper = desk.bystander(str(program), "--settings=%s" % settings)
    found = look(desk.entry())
    pids = [each["pid"] for each in found["findings"][0]["evidence"].get("keepers", ())]
    assert (keeper.pid in pids) is kept, found


def test_a_loop_that_a_signal_has_stopped_is_told_with_what_lets_it_go_on(desk: Desk) -> None:
    program = desk.folder / "start_ibgateway.sh"
    program.write_text("#!/bin/sh\nwhile :; do sleep 300; ibcstart.sh; done\n")
    keeper = desk.bystander("sh", str(program))
    halt(keeper.pid)
    assert "`kill -CONT %d` lets it go on" % keeper.pid in look(desk.entry())["findings"][0]["summary"]


def test_what_brings_the_next_gateway_unseen_gets_its_time_from_when_the_last_one_wrote(desk: Desk) -> None:
    """Nothing names the keeper, no run has seen its gateway, and its gap is longer than the look after the first."""
    assert _waited_for(desk) == 30
    written = desk.config_dir / "jts.ini"
    written.touch()
    assert 30 < _waited_for(desk) <= 120
    moment = time.time() - 3600
    os.utime(written, (moment, moment))
    assert _waited_for(desk) == 30


def _waited_for(desk: Desk) -> int:
    """Seconds that the plan waits for the missing gateway of a desk before it starts one."""
    wait, start = look(desk.entry())["plan"]["steps"]
    assert (wait["action"], start["action"], start["only_if_persists"]) == ("wait", "start", True)
    seconds: int = wait["target"]["timeout"]
    return seconds


#: Somebody's start_command that takes its time: it becomes the gateway once it is told to.
_SLOW = """#!%s
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
(here / "asked").open().read()
command = json.loads((here / "gateway.json").read_text())
os.execv(command[0], command)
"""


def test_a_start_command_that_somebody_has_run_is_waited_for_and_not_run_a_second_time(desk: Desk) -> None:
    """Nothing in its text names a gateway, and it takes longer than the look after the first."""
    program, asked = desk.folder / "up.py", desk.folder / "asked"
    program.write_text(_SLOW % sys.executable)
    program.chmod(0o755)
    os.mkfifo(asked)
    (desk.folder / "gateway.json").write_text(json.dumps(desk.prepared().command()))
    entry = desk.entry(start_command=[str(program)], start_timeout=90, client_patterns=[r"\bup\.py"])
    by_hand = desk.bystander(str(program))
    found = look(entry)
    assert found["verdict"] == "gateway_coming_up", found
    assert "up.py (pid %d of " % by_hand.pid in found["findings"][0]["summary"]
    assert "is its start_command, which already runs" in found["findings"][0]["summary"]
    assert [each["action"] for each in found["plan"]["steps"]] == ["wait"] and not found["clients"]
    with asked.open("w"):  # opens once it reads there
        pass
    until(desk.java)
    assert desk.java() == [by_hand.pid]
    until(lambda: look(entry)["verdict"] == "healthy")
