"""Each other kind of command that a run gives to be run next, run as it stands, and the list of all kinds."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.document import next_commands
from simulator.launch import free_port

from integration import test_next_commands, test_ordinary_account
from integration.desk import PROJECT, Desk, alive, local, until
from integration.modules import run_module
from integration.test_login_states import under_ibc, wait_for
from integration.test_next_commands import follow, no_activated_venv, started, whys
from integration.test_ordinary_account import OTHER, OWNER, as_account, give, own, python, theirs

__all__ = ["no_activated_venv", "theirs"]

SWEEP = "playbooks/health_sweep.yml"


def ended(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))


def test_this_machine_that_was_looked_for_by_ssh_is_looked_at_without(desk: Desk) -> None:
    desk.gateway()
    host = {**local(ib_gateways=[desk.entry()]), "ansible_connection": "ssh", "ansible_ssh_timeout": 5}
    run = desk.play(SWEEP, inventory={"trading_hosts": {"hosts": {"localhost": host}}})
    assert whys(run) == ["look at this machine itself, without ssh (in the inventory: ansible_connection: local)"]
    done = follow(run)
    assert done.returncode == 0 and "healthy" in done.stdout, done.stdout


def test_of_a_host_that_is_not_reached_the_reason_is_shown(desk: Desk) -> None:
    host = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh", "ansible_ssh_timeout": 5}
    run = desk.play(SWEEP, inventory={"trading_hosts": {"hosts": {"far": {**host, "ib_gateways": [desk.entry()]}}}})
    assert whys(run) == ["see why the host is not reached"]
    done = follow(run)
    assert done.returncode == 4 and "UNREACHABLE" in done.stdout and "port 1: " in done.stdout, done.stdout


def test_a_journal_that_cannot_be_used_is_set_aside(desk: Desk) -> None:
    assert desk.play("remediate.yml").rc == 0
    ended(*desk.java())
    journal = desk.folder / "state" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("start", "stort"))
    run = desk.play("remediate.yml")
    assert whys(run) == ["set the journal aside and begin a new one, when you know why it cannot be used"]
    done = follow(run)
    assert done.returncode == 0 and "stort" not in journal.read_text(), done.stdout


def test_a_pause_of_the_controller_is_ended(desk: Desk) -> None:
    pause = desk.folder / "stop.json"
    controller = ("-e", "ib_repair_pause_controller=true", "-e", f"ib_repair_pause_file={pause}")
    assert desk.play("playbooks/pause.yml", *controller, "-e", "ib_repair_reason=migration").rc == 0
    run = desk.play("remediate.yml", *controller[2:])
    assert whys(run) == ["end the pause of this controller"]
    assert follow(run).returncode == 0 and not pause.exists()


def test_a_limit_is_passed_by_who_does_not_want_to_wait(desk: Desk) -> None:
    free = ("-e", "ib_gateway_repair_backoff=0")
    assert desk.play("remediate.yml", *free).rc == 0
    ended(*desk.java())
    run = desk.play("remediate.yml", *free, "-e", "ib_gateway_repair_per_hour=1")
    assert "limit:" in str(run.host()["repair"]) and desk.java() == []
    assert whys(run) == ["repair it before the time that is named, without the limits"]
    done = follow(run)
    assert started(desk, done), done.stdout


def test_after_check_mode_the_repair_itself(desk: Desk) -> None:
    run = desk.play("remediate.yml", "--check")
    assert whys(run) == ["repair it"] and desk.java() == []
    done = follow(run)
    assert started(desk, done), done.stdout


def test_where_another_run_repairs_the_host_the_repair_once_more(desk: Desk) -> None:
    authorization = {"run": "other-run", "by": "alice@control pid 7", "state_dir": str(desk.folder / "state")}
    assert run_module("ib_repair_begin", authorization=authorization, gateways=["live"])["begun"]
    run = desk.play("remediate.yml")
    assert whys(run) == ["run the repair once more"] and desk.java() == []
    assert run_module("ib_repair_end", authorization=authorization, results=[])["ended"]
    done = follow(run)
    assert started(desk, done), done.stdout


def test_after_a_sweep_what_a_repair_would_do_and_then_the_repair(desk: Desk) -> None:
    run = desk.play(SWEEP)
    assert whys(run) == ["see what a repair would do"]
    done = follow(run)
    assert "start live" in done.stdout and desk.java() == [], done.stdout


def test_a_wait_that_nobody_may_take_is_looked_at_again(desk: Desk) -> None:
    gateway, log = under_ibc(desk, **{"second-factor": 200})
    asking = desk.bystander(*gateway.command())
    wait_for(log, "Second Factor Authentication initiated")
    run = desk.play("remediate.yml", remediation="plan_only")
    assert whys(run) == ["look again after the wait that is planned"], run.output
    done = follow(run)
    assert done.returncode == 2 and "login" in done.stdout and alive(asking.pid), done.stdout


def test_an_entry_without_a_start_gets_one_and_the_plan_is_shown(desk: Desk) -> None:
    entry = desk.entry()
    start = entry.pop("start_command")
    host = local(ib_gateways=[entry])
    inventory: dict[str, Any] = {"trading_hosts": {"hosts": {"desk": host}}}
    run = desk.play("remediate.yml", inventory=inventory)
    assert whys(run) == ["see what a repair would do, once its entry has service or start_command"]
    entry["start_command"] = start
    (desk.folder / "inventory.json").write_text(json.dumps(inventory))
    done = follow(run)
    assert "start live" in done.stdout and desk.java() == [], done.stdout


def test_what_a_person_has_to_see_to_is_looked_at_again(desk: Desk) -> None:
    other = desk.listener("other")
    run = desk.play("remediate.yml")
    assert whys(run) == ["look again, when the cause was seen to"], run.output
    other.kill()
    other.wait()
    desk.gateway()
    done = follow(run)
    assert done.returncode == 0, done.stdout


def test_where_a_session_was_lost_that_no_step_had_named_it_is_shown_who_has_one_now(desk: Desk) -> None:
    """A start script that ends a bot of another gateway, as one does that kills whatever is left over."""
    paper = free_port()
    folder = desk.folder / "paper"
    gateway = desk.gateway(mode="paper", port=paper, config_dir=folder)
    bot, other = desk.script(paper), desk.script(paper, client_id=16)
    start = desk.folder / "start.sh"
    start.write_text("#!/bin/sh\nkill -9 %d\nexec %s\n" % (bot.pid, shlex.join(desk.prepared().command())))
    start.chmod(0o755)
    second = {"trading_mode": "paper", "port": paper, "config_dir": str(folder), "max_api_clients": None}
    entries = [desk.entry(start_command=[str(start)]), desk.entry(name="paper", **second)]
    run = desk.play("remediate.yml", inventory={"trading_hosts": {"hosts": {"desk": local(ib_gateways=entries)}}})
    assert (run.rc, run.host()["status"], run.host()["lost"][0]["planned"]) == (2, "healthy", False), run.output
    assert whys(run) == ["see who has a session now"]
    done = follow(run)
    shown = " ".join(done.stdout.split())
    assert done.returncode == 0 and f"in use by pid {other.pid} (" in shown and f"pid {bot.pid} (" not in shown, shown
    assert alive(gateway.pid)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that will be another account's, in none that is a third one's."""
    folder = Path(tempfile.mkdtemp(prefix="ordinary-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")
def test_what_an_ordinary_account_does_not_see_root_looks_at(theirs: Desk, home: Path) -> None:
    test_ordinary_account.gateway(theirs)
    # su, because not every host has sudo.
    host = local(
        ib_gateways=[theirs.entry(user=OWNER, start_command=None)],
        ansible_python_interpreter=python(),
        ansible_remote_tmp=str(home / "remote"),
        ansible_become_method="su",
        # Nobody trusts a folder in which another account may write.
        ib_repair_state_dir="{{ lookup('env', 'HOME') }}/ib-state-of-nobody",
    )
    del theirs.settings["ib_repair_state_dir"]
    inventory, reports = home / "inventory.json", home / "reports"
    inventory.write_text(json.dumps({"trading_hosts": {"hosts": {"desk": host}}}))
    own(theirs)
    give(home, OTHER)
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [
        program,
        "-i",
        str(inventory),
        SWEEP,
        "-e",
        json.dumps({**theirs.settings, "ib_report_dir": str(reports)}),
    ]
    done = subprocess.run(
        as_account(OTHER, *command),
        cwd=PROJECT,
        env={**os.environ, "HOME": str(home), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(home / "tmp")},
        capture_output=True,
        text=True,
        timeout=test_next_commands.LIMIT,
        check=False,
    )
    report: Any = json.loads((reports / "fleet.json").read_text())
    (told,) = report["next"]
    assert told["why"] == "look again as root, who sees everything", done.stdout
    again = subprocess.run(
        ["/bin/sh", "-c", told["command"]],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=test_next_commands.LIMIT,
        check=False,
    )
    assert again.returncode == 0 and "healthy" in again.stdout, again.stdout


#: Every kind, with the test that runs its command.
KINDS = {
    "look at this machine itself, without ssh (in the inventory: ansible_connection: local)": "this_machine",
    "see why the host is not reached": "of_a_host",
    "repair the first of them alone, and see whether that cures it": "after_a_frozen_run",
    "repair them although the cause may be common": "after_a_frozen_run",
    "set the journal aside and begin a new one, when you know why it cannot be used": "a_journal",
    "let repairs act on it again, when the cause was seen to": "after_a_repair_that_failed",
    "repair it then": "after_a_repair_that_failed",
    "end the pause of this controller": "a_pause_of_the_controller",
    "end the pause": "after_a_pause",
    "repair it in the blackout all the same": "what_holds_a_repair_up",
    "repair it before the time that is named, without the limits": "a_limit",
    "repair it": "after_check_mode",
    "run the repair once more": "where_another_run",
    "see what a repair would do": "after_a_sweep",
    "repair it: %s in its entry, then run" % next_commands.ALLOW: "a_plan_that_is_only_shown",
    "look again after the wait that is planned": "a_wait_that_nobody",
    "look again as root, who sees everything": "what_an_ordinary_account",
    "see who has a session now": "where_a_session_was_lost",
    "see what a repair would do, once its entry has service or start_command": "an_entry_without_a_start",
    "look again, when the cause was seen to": "what_a_person",
}


def test_no_kind_of_command_is_without_a_test_that_runs_it() -> None:
    assert {why for way in next_commands._WAYS for why, *_rest in way.commands} == set(KINDS)
    tests = [name for module in (test_next_commands, sys.modules[__name__]) for name in vars(module)]
    assert [name for name in KINDS.values() if not any(each.startswith("test_" + name) for each in tests)] == []
