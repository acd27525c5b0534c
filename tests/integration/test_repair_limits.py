"""What keeps a repair from doing harm: pause, blackout, storm, other runs, latch, limits, an unusable journal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from simulator.launch import free_port

from integration.desk import Desk, Run, alive, halt, local, until
from integration.modules import run_module

ALL_DAY = [
    {"name": "morning", "zone": "UTC", "start": "00:00", "end": "12:00"},
    {"name": "evening", "zone": "UTC", "start": "12:00", "end": "00:00"},
]


def journal(desk: Desk) -> list[dict[str, Any]]:
    """The journal's records, oldest first."""
    return [json.loads(line) for line in (desk.folder / "state" / "journal.jsonl").read_text().splitlines()]


def kinds(desk: Desk) -> list[str]:
    """What was written down, in order, with the result where there is one."""
    return [":".join(filter(None, (each["kind"], each.get("result")))) for each in journal(desk)]


def fallen(desk: Desk) -> int:
    """The desk's gateway closes every connection right after its version: only a restart helps. Its pid."""
    return desk.gateway("drop-after-hello").pid


def remediate(desk: Desk, *options: str, **entry: Any) -> Run:
    """A run without the wait that backoff puts between two repairs."""
    return desk.play("remediate.yml", "-e", "ib_gateway_repair_backoff=0", *options, **entry)


def nothing_was_done(run: Run, desk: Desk) -> bool:
    """Whether a run that saw a fault has left the host as it was, and says so by its exit code."""
    changed = run.recap()["changed"], [act for act in run.host()["done"] if act["changed"]]
    return run.rc != 0 and changed == (0, []) and desk.java() == []


# --- the journal -----------------------------------------------------------------------------------------------------


def test_what_was_done_is_on_the_host_intent_before_outcome_and_for_its_owner_only(desk: Desk) -> None:
    fallen(desk)
    assert remediate(desk).rc == 0
    assert kinds(desk) == ["begin", "intent", "outcome:done", "end:success"]
    assert {(each["action"], each["gateway"]) for each in journal(desk)[1:3]} == {("restart", "live")}
    folder = desk.folder / "state"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()} == {0o600}
    assert not (folder / "lease.json").exists()


def test_a_healthy_host_and_a_sweep_write_no_journal(desk: Desk) -> None:
    desk.gateway()
    assert desk.play("remediate.yml").rc == 0
    assert desk.play("playbooks/health_sweep.yml").rc == 0
    assert not (desk.folder / "state").exists()


def test_check_mode_writes_no_journal_and_starts_nothing(desk: Desk) -> None:
    run = remediate(desk, "--check")
    assert "would start live by its start_command" in run.output and "would have" not in run.output
    assert not (desk.folder / "state").exists() and desk.java() == []


# --- the latch -------------------------------------------------------------------------------------------------------


def failed_once(desk: Desk) -> int:
    """A repair that brought up a gateway which never listens; its pid."""
    fallen(desk)
    run = remediate(desk, start_command=desk.prepared("no-listener").command(), start_timeout=1)
    assert run.rc != 0 and kinds(desk)[-1] == "end:failure", run.output
    (pid,) = desk.java()
    return pid


def test_after_a_repair_that_failed_nobody_acts_until_a_person_lifts_the_latch(desk: Desk) -> None:
    os.kill(failed_once(desk), signal.SIGKILL)
    until(lambda: not desk.java())
    worse = fallen(desk)
    held = remediate(desk, start_timeout=1)
    assert held.rc != 0 and held.recap()["changed"] == 0 and desk.java() == [worse]
    assert "after a repair that did not succeed" in held.host()["repair"]["refused"][0]["reason"]
    swept = desk.play("playbooks/health_sweep.yml", start_timeout=1)
    assert [each["gateway"] for each in swept.host()["before"]["repairs"]["latched"]] == ["live"]
    released = desk.play("playbooks/release.yml", "-e", "ib_repair_reason=seen-to")
    assert released.rc == 0 and "desk: live may be repaired again" in released.output, released.output
    assert re.search(r"^  \S*ansible-playbook remediate\.yml -i ", released.output, re.MULTILINE)
    again = remediate(desk, start_timeout=3)
    assert again.rc == 0, again.output
    assert not alive(worse) and len(desk.listening()) == 1


def test_a_latch_ends_when_a_run_proves_the_gateway_healthy(desk: Desk) -> None:
    stuck = failed_once(desk)
    os.kill(stuck, signal.SIGKILL)
    until(lambda: not alive(stuck))
    desk.gateway()
    run = remediate(desk)
    assert run.rc == 0 and kinds(desk)[-1] == "end:success", run.output
    assert desk.play("playbooks/health_sweep.yml").host()["before"]["repairs"]["latched"] == []


# --- the soak --------------------------------------------------------------------------------------------------------


def test_a_gateway_that_serves_and_dies_soon_after_is_not_called_repaired(desk: Desk) -> None:
    # Long enough to be up at the first look on a busy machine, gone at the last one.
    desk.settings["ib_gateway_verify_soak"] = 24
    fallen(desk)
    run = remediate(desk, start_command=desk.prepared(lifetime=12).command())
    looks = [each["status"] for each in run.host()["after"]["looks"]]
    assert looks[0] == "healthy" and looks[-1] != "healthy", run.output
    assert run.rc != 0 and run.host()["status"] != "healthy"
    assert kinds(desk)[-1] == "end:failure"


def test_a_repair_is_proven_by_as_many_looks_as_it_says(desk: Desk) -> None:
    fallen(desk)
    run = remediate(desk)
    assert [each["status"] for each in run.host()["after"]["looks"]] == ["healthy"] * 3


# --- pauses, blackouts, other runs, limits ---------------------------------------------------------------------------


def test_the_stop_button_on_a_host_holds_until_it_is_lifted(desk: Desk) -> None:
    said = ("-e", "ib_repair_reason=broker maintenance", "-e", "ib_repair_pause_minutes=9")
    would = desk.play("playbooks/pause.yml", "--check", *said)
    assert "desk: would be paused until " in would.output and not (desk.folder / "state").exists()
    paused = desk.play("playbooks/pause.yml", *said)
    assert paused.rc == 0, paused.output
    assert re.search(r"^desk: paused until \S+Z: broker maintenance$", paused.output, re.MULTILINE), paused.output
    assert re.search(r"^  \S*ansible-playbook playbooks/resume\.yml -i \S+inventory\.json", paused.output, re.MULTILINE)
    run = remediate(desk)
    assert nothing_was_done(run, desk) and "broker maintenance" in run.host()["repair"]["reason"]
    assert kinds(desk) == ["defer"]
    resumed = desk.play("playbooks/resume.yml")
    assert resumed.recap()["changed"] == 1 and "desk: the pause has ended" in resumed.output
    assert "desk: no pause was set" in desk.play("playbooks/resume.yml").output
    fallen(desk)
    assert remediate(desk).rc == 0


@pytest.mark.parametrize("playbook", ["playbooks/pause.yml", "playbooks/release.yml"])
def test_a_reason_that_is_missing_is_asked_for_by_the_name_of_its_variable(desk: Desk, playbook: str) -> None:
    run = desk.play(playbook)
    assert run.rc != 0 and "ib_repair_reason is empty" in run.output and not (desk.folder / "state").exists()


def test_the_stop_button_of_the_controller_holds_for_its_hosts(desk: Desk) -> None:
    controller = ("-e", "ib_repair_pause_controller=true", "-e", f"ib_repair_pause_file={desk.folder}/stop.json")
    assert desk.play("playbooks/pause.yml", *controller, "-e", "ib_repair_reason=migration").rc == 0
    resumed = desk.play("playbooks/resume.yml", *controller[2:])
    assert "this controller is paused until " in resumed.output, "what still holds is told"
    assert "-e ib_repair_pause_controller=true" in resumed.output and (desk.folder / "stop.json").exists()
    run = remediate(desk, *controller)
    assert nothing_was_done(run, desk) and "this controller is paused" in run.output and "migration" in run.output


def test_in_a_blackout_the_plan_is_shown_and_nothing_is_done(desk: Desk) -> None:
    run = remediate(desk, "-e", json.dumps({"ib_repair_blackouts": ALL_DAY}))
    assert nothing_was_done(run, desk)
    assert "start live by its start_command" in run.output and "blackout" in run.host()["repair"]["reason"]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"ib_repair_blackouts": [{"name": "x", "zone": "Mars", "start": "1", "end": "2"}]}, "blackout x, key zone"),
        ({"ib_repair_storm_share": "most"}, "ib_repair_storm_share is"),
    ],
)
def test_limits_that_cannot_be_right_end_the_run_before_any_host_is_touched(
    desk: Desk, setting: dict[str, Any], named: str
) -> None:
    run = remediate(desk, "-e", json.dumps(setting))
    assert run.rc != 0 and named in " ".join(run.output.split()) and "Looking at" not in run.output


def test_a_host_that_another_run_repairs_is_left_to_it(desk: Desk) -> None:
    authorization = {"run": "other-run", "by": "alice@control pid 7", "state_dir": str(desk.folder / "state")}
    assert run_module("ib_repair_begin", authorization=authorization, gateways=["live"])["begun"]
    run = remediate(desk)
    assert nothing_was_done(run, desk)
    assert "alice@control pid 7" in run.host()["repair"]["reason"]
    assert run_module("ib_repair_end", authorization=authorization, results=[])["ended"]
    fallen(desk)
    after = remediate(desk)
    assert after.rc == 0, after.output


def test_a_gateway_that_keeps_falling_over_is_not_repaired_without_end(desk: Desk) -> None:
    fallen(desk)
    assert remediate(desk).rc == 0
    (pid,) = desk.java()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    run = remediate(desk, "-e", "ib_gateway_repair_per_hour=1")
    assert nothing_was_done(run, desk) and "1 repairs" in run.output.replace("1 repair ", "1 repairs ")


def test_two_repairs_in_a_row_are_kept_apart(desk: Desk) -> None:
    fallen(desk)
    assert desk.play("remediate.yml").rc == 0
    (pid,) = desk.java()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert nothing_was_done(desk.play("remediate.yml"), desk)


# --- the storm -------------------------------------------------------------------------------------------------------


def fleet(desk: Desk) -> dict[str, Any]:
    """Two hosts without their gateway and one that is well."""
    desk.gateway()

    def host(name: str) -> dict[str, Any]:
        folder = desk.folder / name
        gateway = desk.prepared(config_dir=folder, port=free_port())
        entry = desk.entry(port=gateway.port, config_dir=str(folder), start_command=gateway.command())
        return local(ib_gateways=[entry], ib_repair_state_dir=str(desk.folder / f"state-{name}"))

    well = local(ib_gateways=[desk.entry()])
    return {"trading_hosts": {"hosts": {"well": well, "first": host("first"), "second": host("second")}}}


def serving(desk: Desk, inventory: dict[str, Any]) -> list[int]:
    """The gateways of the two hosts that had none, which a repair has started."""
    ports = [inventory["trading_hosts"]["hosts"][name]["ib_gateways"][0]["port"] for name in ("first", "second")]
    return [pid for port in ports for pid in desk.listening(port)]


def test_a_plan_that_has_aged_while_another_host_was_repaired_is_made_anew_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts take their steps together, so that one waits for the slowest: its plan is then too old to be acted on."""
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "default")  # which shows each task and the hosts that ran it
    old = fallen(desk)
    surplus = desk.gateway("no-listener", launcher="ibc").pid
    script = desk.folder / "cleanup_positions.py"
    script.write_text("import time; time.sleep(300)")
    named = desk.bystander(sys.executable, str(script))
    slow = desk.prepared(port=free_port(), config_dir=desk.folder / "slow", listen_after=40.0)
    desk.bystander(*slow.command())
    patterns = [re.escape(str(script))]
    one = desk.entry(client_patterns=patterns, start_timeout=3)
    until(lambda: time.time() - psutil.Process(surplus).create_time() > 3)
    other = {**desk.entry(start_timeout=60), "name": "slow", "port": slow.port, "config_dir": str(slow.config_dir)}
    desk.settings.pop("ib_repair_state_dir")
    hosts = {
        name: local(ib_gateways=[entry], ib_repair_state_dir=str(desk.folder / name))
        for name, entry in (("desk", one), ("other", other))
    }
    desk.settings.update(ib_repair_storm_share=1, ib_repair_storm_same=1, ib_gateway_repair_plan_max_age=12)
    run = desk.play("remediate.yml", inventory={"trading_hosts": {"hosts": hosts}})
    outcomes = {
        name: [(each["action"], each["result"]) for part in run.host(name)["done"] for each in part["outcomes"]]
        for name in hosts
    }
    assert outcomes == {
        "desk": [("stop_client", "done"), ("stop_gateway", "done"), ("restart", "done")],
        "other": [("wait", "done")],
    }, run.output
    assert run.rc == 0 and named.wait(5) is not None and not alive(old) and not alive(surplus)
    # The look that followed the second action is new enough for the third one.
    looks = re.findall(r"^TASK \[\S+ : look_again \| Look again\] \**\n((?:ok: .*\n)+)", run.output, re.MULTILINE)
    assert looks == ["ok: [desk]\n"], run.output


def test_in_a_storm_nobody_is_touched_and_the_run_fails(desk: Desk) -> None:
    settings = desk.settings
    settings.pop("ib_repair_state_dir")
    settings["ib_repair_storm_fleet"] = 3
    inventory = fleet(desk)
    run = desk.play("remediate.yml", "-e", "ib_repair_storm_fleet=3", inventory=inventory)
    assert run.rc != 0 and "2 of 3 hosts are" in run.report["frozen"]
    assert [run.recap(name)["changed"] for name in ("well", "first", "second")] == [0, 0, 0]
    assert [run.host(name)["repair"]["begun"] for name in ("first", "second")] == [False, False]
    told = (desk.folder / "state-first" / "journal.jsonl").read_text()
    assert '"defer"' in told and "2 of 3 hosts" in told
    assert serving(desk, inventory) == []


# --- hosts on which something is wrong -------------------------------------------------------------------------------


def test_where_the_journal_cannot_be_written_nothing_is_done(desk: Desk) -> None:
    (desk.folder / "state").write_text("a file where the folder should be")
    run = remediate(desk)
    assert nothing_was_done(run, desk) and str(desk.folder / "state") in run.host()["repair"]["reason"]


def test_a_journal_that_was_tampered_with_leaves_the_host_to_be_observed_until_it_is_reset(desk: Desk) -> None:
    fallen(desk)
    assert remediate(desk).rc == 0
    (pid,) = desk.java()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    file = desk.folder / "state" / "journal.jsonl"
    file.write_text(file.read_text().replace("start", "stort"))
    run = remediate(desk)
    assert nothing_was_done(run, desk) and "observe only" in run.host()["repair"]["reason"]
    assert run.host()["before"]["repairs"]["journal"] == "unusable"
    reset = ("-e", "ib_repair_reset_journal=true", "-e", "ib_repair_reason=disk-was-replaced")
    assert desk.play("playbooks/release.yml", *reset).rc == 0
    fallen(desk)
    assert remediate(desk).rc == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own with room for four blocks."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
def test_on_a_full_disk_nothing_is_done_and_the_message_says_so(desk: Desk, small_disk: Path) -> None:
    with (small_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    desk.settings["ib_repair_state_dir"] = str(small_disk)
    run = remediate(desk)
    assert nothing_was_done(run, desk) and "No space left on device" in run.host()["repair"]["reason"]


@pytest.mark.root
def test_on_a_read_only_disk_nothing_is_done_and_the_message_says_so(desk: Desk, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    desk.settings["ib_repair_state_dir"] = str(small_disk / "state")
    run = remediate(desk)
    assert nothing_was_done(run, desk) and "Read-only file system" in run.host()["repair"]["reason"]


def test_a_gateway_that_does_not_end_is_given_up_in_time_and_said_so(desk: Desk) -> None:
    stubborn = desk.gateway("drop-after-hello", "ignore-sigterm")
    run = remediate(desk, "-e", "ib_gateway_repair_grace_period=1")
    assert run.rc != 0 and alive(stubborn.pid)
    assert "still running 1 s after SIGTERM" in " ".join(run.output.split())


def test_a_gateway_that_does_not_end_is_killed_where_its_entry_allows_it(desk: Desk) -> None:
    stubborn = desk.gateway("drop-after-hello", "ignore-sigterm")
    run = remediate(desk, "-e", "ib_gateway_repair_grace_period=1", allow_kill=True)
    assert run.rc == 0, run.output
    assert not alive(stubborn.pid) and len(desk.listening()) == 1


def test_a_frozen_gateway_is_let_go_on_and_gets_no_signal_that_would_end_it(desk: Desk) -> None:
    frozen = desk.gateway()
    halt(frozen.pid)
    promised = remediate(desk, "--check", allow_kill=True)
    assert "would resume pid %d" % frozen.pid in " ".join(promised.output.split()), promised.output
    run = remediate(desk, allow_kill=True)
    assert run.codes() == {"gateway_frozen"}
    assert run.rc == 0 and desk.listening() == [frozen.pid], run.output
    again = remediate(desk)
    assert again.rc == 0 and again.recap()["changed"] == 0 and desk.listening() == [frozen.pid], again.output


def test_a_frozen_gateway_that_a_waiting_sigterm_would_end_is_told_and_left(desk: Desk) -> None:
    frozen = desk.gateway()
    halt(frozen.pid)  # of two signals that wait the kernel delivers SIGTERM first
    os.kill(frozen.pid, signal.SIGTERM)
    run = remediate(desk, allow_kill=True)
    told = " ".join(run.output.split())
    assert run.rc != 0 and run.codes() == {"gateway_frozen"}, run.output
    assert "kill -CONT" in told and "SIGTERM waits for it" in told and alive(frozen.pid)
    assert "ends this gateway and all its sessions" in told
