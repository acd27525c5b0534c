"""ib_gateway_restart on real processes: exactly the gateway of the plan, and never a second one beside another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway.act import stop_process
from ansible.module_utils.ib_gateway.lifecycle.command import Command
from ansible.module_utils.ib_gateway.observe import processes, stopped
from simulator.launch import SimulatedGateway, free_port

from integration.desk import Desk, alive, halt, until
from integration.modules import run_module
from integration.repair import KILLS, UNIT, Repair, past_its_start, systemctl, verbs

#: A start_command that ends at once, and holds a secret.
FAILING = ["/bin/sh", "-c", "exit 7", "hunter2"]


def broken(desk: Desk, *faults: str, **options: Any) -> SimulatedGateway:
    """A gateway that has served, and runs and listens nowhere now."""
    gateway = desk.gateway("no-listener", *faults, **options)
    past_its_start(gateway.pid)
    desk.has_served(gateway.pid)
    return gateway


def entry(desk: Desk, **more: Any) -> dict[str, Any]:
    return desk.entry(**{"start_timeout": 1, **more})


def restart(repair: Repair, check: bool = False, **options: Any) -> dict[str, Any]:
    assert repair.steps("restart"), repair.health
    given = {"steps": repair.steps("restart"), "gateways": repair.entries, "grace_period": 3, **options}
    return run_module("ib_gateway_restart", check, True, **given)


# --- by stop and start -----------------------------------------------------------------------------------------------


def test_a_gateway_without_a_unit_is_stopped_by_its_identity_and_started_anew(desk: Desk) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    predicted = restart(repair, check=True)
    assert predicted["changed"] and len(predicted["restarted"]) == 1 and desk.java() == [old.pid]
    assert [predicted["restarted"][0][key] for key in ("name", "ended", "pid", "unit")] == ["live", None, None, None]
    found = restart(repair)
    row = found["restarted"][0]
    assert (found["changed"], row["name"], row["ended"]) == (True, "live", old.pid)
    until(desk.listening)
    assert desk.java() == desk.listening() == [row["pid"]] and not alive(old.pid)
    again = restart(repair)
    assert not again["changed"] and "pid %d" % row["pid"] in again["refused"][0]["reason"]
    assert desk.java() == [row["pid"]]


def test_what_has_ended_meanwhile_is_started_because_nothing_else_runs(desk: Desk) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    old.stop()
    found = restart(repair)
    assert found["changed"] and found["restarted"][0]["ended"] is None
    until(desk.listening)
    assert desk.java() == [found["restarted"][0]["pid"]]


def test_what_has_ended_meanwhile_is_not_started_beside_another_gateway(desk: Desk) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    old.stop()
    other = desk.gateway()
    found = restart(repair)
    assert not found["changed"] and len(found["refused"]) == 1 and desk.java() == [other.pid]


def test_a_gateway_beside_another_one_is_not_ended(desk: Desk) -> None:
    """To end the one that was meant and start a new one beside the other would be one fault more."""
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    other = desk.gateway("no-listener")
    found = restart(repair)
    assert not found["changed"] and desk.java() == sorted((old.pid, other.pid))
    assert len(restart(repair, check=True, assume_stopped=[other.pid])["restarted"]) == 1


def test_what_comes_back_by_itself_is_not_started_a_second_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    stop = stop_process.stop
    back: list[SimulatedGateway] = []

    def stop_under_a_supervisor(*arguments: Any, **options: Any) -> Any:
        outcomes = stop(*arguments, **options)
        back.append(desk.gateway())
        return outcomes

    monkeypatch.setattr(stop_process, "stop", stop_under_a_supervisor)
    found = restart(repair)
    assert found["changed"] and "by itself" in found["restarted"][0]["reason"]
    assert desk.java() == [back[0].pid] and not alive(old.pid)


@pytest.mark.parametrize("allow_kill", [False, True])
def test_a_gateway_that_ignores_sigterm_is_killed_only_where_its_entry_allows_it(desk: Desk, allow_kill: bool) -> None:
    stubborn = broken(desk, "ignore-sigterm")
    found = restart(Repair(desk, entry(desk, allow_kill=allow_kill)), grace_period=0.3)
    assert found["changed"] is allow_kill and alive(stubborn.pid) is not allow_kill
    if allow_kill:
        assert found["restarted"][0]["ended"] == stubborn.pid
    else:
        assert "allow_kill is off" in found["refused"][0]["reason"] and desk.java() == [stubborn.pid]


@pytest.mark.parametrize("change", [{"argv_digest": "0" * 16}, {"boot_id": "another"}, {"started_ticks": 1}], ids=str)
def test_a_process_that_is_not_the_one_of_the_plan_is_not_ended(desk: Desk, change: dict[str, Any]) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    repair.steps("restart")[0]["target"]["process"].update(change)
    found = restart(repair)
    assert not found["changed"] and len(found["refused"]) == 1 and desk.java() == [old.pid]


def test_what_fails_for_one_gateway_does_not_keep_the_others_down(desk: Desk) -> None:
    """The first one's start_command ends at once; the second one is restarted all the same."""
    first, port = broken(desk), free_port()
    paper = {"mode": "paper", "config_dir": desk.folder / "paper", "port": port}
    second = broken(desk, **paper)
    entries = [
        entry(desk, start_command=FAILING),
        entry(
            desk,
            name="paper",
            trading_mode="paper",
            port=port,
            config_dir=str(second.config_dir),
            start_command=desk.prepared(**paper).command(),
        ),
    ]
    found = restart(Repair(desk, *entries))
    try:
        assert not found.get("failed") and found["changed"]
        assert [row["name"] for row in found["restarted"]] == ["paper"]
        failed = found["not_restarted"][0]
        assert (failed["name"], failed["ended"]) == ("live", first.pid) and "status 7" in failed["reason"]
        assert "hunter2" not in str(found)
        until(lambda: desk.listening(port))
    finally:
        psutil.Process(found["restarted"][0]["pid"]).kill()


def test_when_nothing_could_be_restarted_the_module_fails_and_says_why(desk: Desk) -> None:
    old = broken(desk)
    found = restart(Repair(desk, entry(desk, start_command=FAILING)))
    assert found["failed"] and "it was stopped, but it was not started again" in found["msg"]
    assert found["changed"] and not alive(old.pid) and "hunter2" not in str(found)


def test_nothing_is_ended_whose_start_has_become_impossible_since_the_plan_was_made(desk: Desk) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk))
    repair.entries[0]["start_command"] = ["/no/such/program", "hunter2"]
    for check in (True, False):
        found = restart(repair, check=check)
        assert not found["changed"] and desk.java() == [old.pid] and "hunter2" not in str(found)
        assert "could not be started again" in found["refused"][0]["reason"]
    assert repair.look()["gateways"][0]["plan"]["steps"] == []
    assert "/no/such/program does not exist" in repair.health["gateways"][0]["plan"]["withheld"][0]


# --- by unit ---------------------------------------------------------------------------------------------------------


def by_unit(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    does: str,
    *faults: str,
    shows: tuple[str, ...] = ("LoadState=loaded",),
    **more: Any,
) -> tuple[SimulatedGateway, Repair, Path]:
    """A broken gateway that a unit carries, the plan for it, and what its systemctl is told."""
    old = broken(desk, *faults)
    notes = systemctl(desk.folder, monkeypatch, old.pid, does.format(pid=old.pid), shows=shows)
    repair = Repair(desk, entry(desk, service="ibgateway", start_command=None, **more))
    assert repair.steps("restart")[0]["target"]["by"] == "unit"
    return old, repair, notes


def test_a_unit_s_gateway_is_restarted_by_its_unit_and_by_nothing_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, repair, notes = by_unit(desk, monkeypatch, "kill {pid}")
    assert restart(repair, check=True)["changed"] and verbs(notes) == []
    found = restart(repair)
    assert (found["changed"], found["restarted"][0]["unit"], found["restarted"][0]["ended"]) == (True, UNIT, old.pid)
    assert verbs(notes) == ["restart"]


@pytest.mark.parametrize(("down", "verb"), [(True, "start"), (False, "restart")])
def test_what_systemd_would_kill_is_asked_to_end_before_its_unit_brings_it_up_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, down: bool, verb: str
) -> None:
    shows = (*KILLS[:1], "ActiveState=inactive", *KILLS[2:]) if down else KILLS
    old, repair, notes = by_unit(desk, monkeypatch, ":", shows=shows)
    assert "asked to end" in restart(repair, check=True)["restarted"][0]["reason"] and alive(old.pid)
    found = restart(repair)
    assert (found["changed"], found["restarted"][0]["ended"], verbs(notes)) == (True, old.pid, [verb])
    assert not alive(old.pid) and "ended after SIGTERM" in found["restarted"][0]["reason"]


def test_a_gateway_that_ends_right_after_its_restart_was_written_down_is_brought_back_by_its_unit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, repair, notes = by_unit(desk, monkeypatch, ":", shows=KILLS)
    repair.begin()
    monkeypatch.setattr(stop_process, "_keep_environment", lambda *_given: old.stop())
    found = repair.act("ib_gateway_restart", steps=repair.steps("restart"), grace_period=3)
    assert found["changed"] and "ended meanwhile" in found["restarted"][0]["reason"]
    assert verbs(notes) == ["start"]


def test_a_gateway_that_was_told_to_end_and_then_left_alone_is_a_failed_act(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _old, repair, _notes = by_unit(desk, monkeypatch, ":", shows=KILLS)

    def told_and_refused(targets: Any, _seconds: float, _force: bool, _dry_run: bool, announce: Any) -> Any:
        announce(targets[0])
        return [stop_process.Ending(targets[0], stop_process.REFUSED, "it has become another", by_command=True)]

    monkeypatch.setattr(stop_process, "stop", told_and_refused)
    (outcome,) = restart(repair)["outcomes"]
    assert (outcome["result"], outcome["reason"]) == ("failed", "it has become another")


@pytest.mark.parametrize("allow_kill", [False, True])
def test_systemd_is_kept_from_killing_what_does_not_end_unless_that_is_allowed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, allow_kill: bool
) -> None:
    old, repair, notes = by_unit(
        desk, monkeypatch, "kill -9 {pid}", "ignore-sigterm", shows=KILLS, allow_kill=allow_kill
    )
    found = restart(repair, grace_period=0.3)
    if allow_kill:
        assert verbs(notes) == ["restart"]
        until(lambda: not alive(old.pid))
    else:
        assert not found["changed"] and "nothing was killed" in found["refused"][0]["reason"]
        assert found["outcomes"][0]["result"] == "failed" and verbs(notes) == [] and alive(old.pid)


def test_the_process_is_proven_right_before_its_unit_is_restarted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    old, repair, notes = by_unit(desk, monkeypatch, "kill {pid}")
    process = repair.steps("restart")[0]["target"]["process"]
    for change in ({"argv_digest": "0" * 16}, {"boot_id": "another"}):
        repair.steps("restart")[0]["target"]["process"] = {**process, **change}
        for check in (True, False):
            found = restart(repair, check=check)
            assert (found["changed"], len(found["refused"])) == (False, 1), change
    repair.steps("restart")[0]["target"]["process"] = process
    monkeypatch.setattr(processes, "read_unit", lambda _pid: "other.service")
    found = restart(repair)
    assert "no longer belongs" in found["refused"][0]["reason"] and verbs(notes) == [] and alive(old.pid)


@pytest.mark.parametrize("shows", [("LoadState=loaded",), KILLS], ids=["in one step", "ended first"])
def test_a_gateway_that_a_signal_stops_after_the_plan_is_not_ended_by_its_unit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, shows: tuple[str, ...]
) -> None:
    old, repair, notes = by_unit(desk, monkeypatch, "kill {pid}", shows=shows)
    halt(old.pid)
    for check in (True, False):
        found = restart(repair, check=check)
        assert not found["changed"] and "is stopped by a signal" in found["refused"][0]["reason"]
    assert verbs(notes) == [] and stopped.kept_stopped(old.pid) == ""


def test_a_unit_whose_gateway_has_ended_is_started_and_not_restarted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, repair, notes = by_unit(desk, monkeypatch, ":")
    old.stop()
    found = restart(repair)
    assert found["restarted"][0]["ended"] is None and "meanwhile" in found["restarted"][0]["reason"]
    assert verbs(notes) == ["start"]


def test_a_unit_is_not_restarted_while_a_gateway_runs_that_the_plan_did_not_know(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, repair, notes = by_unit(desk, monkeypatch, ":")
    old.stop()
    other = desk.gateway()
    found = restart(repair)
    assert (found["changed"], len(found["refused"]), verbs(notes)) == (False, 1, []) and alive(other.pid)


def test_a_unit_that_hangs_is_not_waited_for_longer_than_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _old, repair, notes = by_unit(desk, monkeypatch, "exec sleep 30")
    found = restart(repair, timeout=0.5)
    assert found["failed"] and "within 0.5 s; systemd goes on with it" in found["msg"] and found["changed"]
    assert verbs(notes) == ["restart"]


def test_what_systemd_says_is_passed_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    old, repair, _notes = by_unit(desk, monkeypatch, "echo 'Unit ibgateway.service is masked.' >&2; exit 1")
    found = restart(repair)
    assert found["failed"] and "masked" in found["msg"] and not found["changed"] and alive(old.pid)


# --- under an authorization ------------------------------------------------------------------------------------------


def test_a_restart_is_one_act_in_the_journal(desk: Desk) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk)).begin()
    found = repair.act("ib_gateway_restart", steps=repair.steps("restart"))
    assert found["changed"] and repair.told() == [("intent", "restart"), ("outcome", "restart", "done")]
    assert repair.journal()[0]["target"]["pid"] == old.pid
    opened = {os.readlink(f"/proc/{found['restarted'][0]['pid']}/fd/{number}") for number in range(3)}
    assert opened == {"/dev/null", found["restarted"][0]["log"]}
    files = [each.path for each in psutil.Process(found["restarted"][0]["pid"]).open_files()]
    assert [path for path in files if str(repair.state_dir) in path] == [found["restarted"][0]["log"]] * 2


def test_a_restart_that_fails_is_a_failed_act_and_the_journal_holds_no_secret(desk: Desk) -> None:
    broken(desk)
    repair = Repair(desk, entry(desk, start_command=FAILING)).begin()
    found = repair.act("ib_gateway_restart", steps=repair.steps("restart"))
    assert found["failed"] and repair.told() == [("intent", "restart"), ("outcome", "restart", "failed")]
    assert "hunter2" not in (repair.state_dir / "journal.jsonl").read_text()


def test_a_host_that_has_changed_since_the_plan_withholds_the_restart(desk: Desk) -> None:
    old = broken(desk)
    repair = Repair(desk, entry(desk)).begin()
    old.stop()
    found = repair.act("ib_gateway_restart", steps=repair.steps("restart"))
    assert not found["changed"] and desk.java() == []
    assert [each["action"] for each in found["withheld"]] == ["restart"] and found["refused"] == []


def test_a_module_that_breaks_down_in_an_act_leaves_a_failed_one_in_the_journal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(desk)
    repair = Repair(desk, entry(desk)).begin()

    def burst(*_arguments: Any) -> int:
        raise RuntimeError("the floor gave way")

    monkeypatch.setattr(Command, "start", burst)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        repair.act("ib_gateway_restart", steps=repair.steps("restart"))
    assert repair.told() == [("intent", "restart"), ("outcome", "restart", "failed")]
    assert "the floor gave way" in repair.journal()[1]["reason"]


def test_a_gateway_is_restarted_once_in_a_run(desk: Desk) -> None:
    broken(desk)
    command = desk.prepared("no-listener").command()
    repair = Repair(desk, entry(desk, start_command=command)).begin()
    assert repair.act("ib_gateway_restart", steps=repair.steps("restart"))["changed"]
    pid = desk.java()
    past_its_start(pid[0])
    desk.has_served(pid[0])
    repair.look()
    found = repair.act("ib_gateway_restart", steps=repair.steps("restart"))
    assert not found["changed"] and "once" in found["withheld"][0]["reason"] and desk.java() == pid
