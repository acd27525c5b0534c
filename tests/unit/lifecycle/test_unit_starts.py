"""Why a unit cannot be started is told in the words of a person who knows systemd, with what to do about it."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.base.unit import UnitState
from ansible.module_utils.ib_gateway.lifecycle import bound_units, systemctl, unit, unit_facts, user_unit
from ansible.module_utils.ib_gateway.lifecycle.accounts import Account, account_of
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, CannotStart, Patience
from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle, start_checks
from ansible.module_utils.ib_gateway.lifecycle.unit_commands import folder_of
from ansible.module_utils.ib_gateway.lifecycle.unit_facts import UnitFacts, blocker
from unit.facts import GATEWAY, UNIT, gateway, spec

LOADED = UnitState(UNIT)
#: What systemd shows of a unit that could be started.
SHOWN = {"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", "Result": "success", "CanStart": "yes"}


def facts(state: Optional[UnitState] = LOADED, **more: Any) -> UnitFacts:
    return UnitFacts(UNIT, state)._replace(**more)


# --- the judgement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (facts(may_manage=False), "this run is not root and may not start ibgateway.service: run with become"),
        (
            facts(None, silence="systemctl show failed: Connection refused"),
            "systemd cannot be asked about ibgateway.service: systemctl show failed: Connection refused",
        ),
        (
            facts(LOADED._replace(load="not-found")),
            "the system's systemd knows no unit ibgateway.service: correct the entry's service, or install the unit",
        ),
        (facts(LOADED._replace(load="not-found"), elsewhere="set service_scope: user"), "set service_scope: user"),
        (
            facts(LOADED._replace(load="masked")),
            "ibgateway.service is masked, so that nothing can start it: systemctl unmask ibgateway.service",
        ),
        (
            facts(LOADED._replace(load="masked", account="trader")),
            "systemctl --user unmask ibgateway.service as trader",
        ),
        (
            facts(LOADED._replace(load="bad-setting", load_error="Unit has a bad unit file setting.")),
            "(Unit has a bad unit file setting.): mend its file, then systemctl daemon-reload",
        ),
        (facts(LOADED._replace(may_be_started=False)), "RefuseManualStart="),
        (
            facts(LOADED._replace(active="activating", sub="auto-restart")),
            "systemd is about to start ibgateway.service again by itself: wait for it",
        ),
        (facts(LOADED._replace(active="deactivating", sub="stop-sigterm")), "being stopped"),
        (facts(obstacle="its program /opt/x does not exist"), "cannot start: its program /opt/x does not exist"),
        (facts(without_display=True), "without a display"),
    ],
)
def test_a_start_that_must_fail_is_told_with_its_cure(found: UnitFacts, says: str) -> None:
    told = blocker(found)
    assert told is not None and says in told


@pytest.mark.parametrize(
    "found",
    [
        facts(),
        facts(LOADED._replace(active="active", sub="running")),
        facts(LOADED._replace(active="active", sub="exited", kind="oneshot", remains_after_exit=True)),
        facts(LOADED._replace(active="failed", result="start-limit-hit")),
        facts(LOADED._replace(active="activating", sub="start-pre")),
    ],
)
def test_nothing_speaks_against_any_other_unit(found: UnitFacts) -> None:
    assert blocker(found) is None


@pytest.mark.parametrize(
    ("shown", "ago"),
    [("940000000", 60.0), ("0", 1000.0), ("", None)],
    ids=["a minute ago", "none since the boot", "a systemd that does not say"],
)
def test_when_a_unit_ended_is_read_by_the_clock_that_systemd_uses(
    monkeypatch: pytest.MonkeyPatch, shown: str, ago: Optional[float]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    state = unit_facts.state_of(UNIT, {**SHOWN, "InactiveEnterTimestampMonotonic": shown}, None)
    assert state is not None and state.ended_ago == ago


def test_a_start_limit_is_seen_also_where_systemd_keeps_the_result_of_the_failure_before() -> None:
    looped = LOADED._replace(active="failed", result="exit-code", restarts=5, start_limit=5)
    assert looped.start_limit_hit and LOADED._replace(active="failed", result="start-limit-hit").start_limit_hit
    assert not looped._replace(restarts=4).start_limit_hit
    assert not looped._replace(start_limit=0).start_limit_hit
    assert not looped._replace(active="active").start_limit_hit


# --- what the unit's file names --------------------------------------------------------------------------------------


def exec_start(path: object) -> str:
    return "{ path=%s ; argv[]=%s --pw=hunter2 ; ignore_errors=no ; pid=0 ; status=0/0 }" % (path, path)


def test_a_unit_s_file_is_read_for_what_does_not_exist(tmp_path: Path) -> None:
    program = tmp_path / "start.sh"
    missing = str(tmp_path / "nothing")
    for shown, says in (
        ({"ExecStart": exec_start(program)}, "its program %s does not exist" % program),
        ({"ExecStart": exec_start("no-such-program")}, "its program no-such-program is in none of the folders"),
        ({"User": "no-such-account"}, "no account no-such-account"),
        ({"WorkingDirectory": missing}, "WorkingDirectory= %s does not exist" % missing),
        ({"EnvironmentFiles": missing + " (ignore_errors=no)"}, "EnvironmentFile= %s does not exist" % missing),
    ):
        told = unit_facts.trouble_of({**SHOWN, **shown}, None)
        assert told is not None and says in told and "hunter2" not in told
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for fine in (
        {"ExecStart": exec_start(program), "WorkingDirectory": str(tmp_path)},
        {"EnvironmentFiles": missing + " (ignore_errors=yes)"},
        {"EnvironmentFiles": str(tmp_path / "*.env") + " (ignore_errors=no)"},
        {"ExecStart": exec_start(missing), "RootDirectory": "/srv/root"},
        {"ExecStart": exec_start("sh")},
        {"ExecStart": exec_start("no-such-program"), "ExecSearchPath": "/opt/desk/bin"},
        {"ExecStart": exec_start(missing), "DynamicUser": "yes"},
    ):
        assert unit_facts.trouble_of({**SHOWN, **fine}, None) is None, fine


def test_a_unit_without_a_display_is_one_that_gives_none_to_a_program_that_needs_one(tmp_path: Path) -> None:
    program = tmp_path / "start.sh"
    program.write_text("#!/bin/sh\nexec /opt/ibc/scripts/ibcstart.sh 10.37\n")
    program.chmod(0o755)
    shown = {**SHOWN, "ExecStart": exec_start(program)}
    assert unit_facts.lacks_display(shown, None)
    assert not unit_facts.lacks_display({**shown, "Environment": "DISPLAY=:1"}, None)
    assert not unit_facts.lacks_display({**shown, "EnvironmentFiles": "/etc/ib.env (ignore_errors=no)"}, None)
    assert not unit_facts.lacks_display({**shown, "PassEnvironment": "DISPLAY"}, None)
    program.write_text("#!/bin/sh\nexec xvfb-run /opt/ibc/scripts/ibcstart.sh 10.37\n")
    assert not unit_facts.lacks_display(shown, None)


# --- asking and telling systemd --------------------------------------------------------------------------------------


class Systemd:
    """A systemd that shows what it is given, notes what it is told, and fails where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **shown: str) -> None:
        self.shown = {**SHOWN, **shown}
        self.told: List[str] = []
        self.fails: Dict[str, Dict[str, str]] = {}
        self.silent = False
        #: What it shows after a start, where that is not that the unit is up.
        self.comes: Dict[str, str] = {}
        monkeypatch.setattr(systemctl, "_systemctl", self.call)
        monkeypatch.setattr(unit, "_may_manage", lambda: True)

    def call(self, *arguments: str, **_given: Any) -> str:
        verb = next(each for each in arguments if not each.startswith("-"))
        units: Sequence[str] = arguments[arguments.index("--") + 1 :]
        self.told.append(verb)
        if self.silent:
            raise systemctl.UnitError("systemctl show was not answered within 20 s", pending=True)
        if "no name" in units:
            raise systemctl.UnitError("systemctl show failed: Unit name no name is not valid.")
        if verb in self.fails:
            self.shown.update(self.fails.pop(verb))
            raise systemctl.UnitError("systemctl %s failed: Start request repeated too quickly." % verb)
        if verb in ("start", "restart"):
            self.shown.update({"ActiveState": "active", "SubState": "running", **self.comes})
        block = "\n".join("%s=%s" % pair for pair in self.shown.items())
        return "\n\n".join(block for _ in units) + "\n" if verb == "show" else ""


def test_all_units_of_a_host_are_asked_about_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(monkeypatch, LoadState="masked")
    found = start_checks([Asked(spec()), Asked(spec(name="paper", service="paper"))])
    assert systemd.told == ["show"] and [each.state.load for each in found if each.state] == ["masked", "masked"]


def test_a_name_that_is_no_unit_s_does_not_keep_the_others_from_being_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Systemd(monkeypatch)
    monkeypatch.setattr(type(spec()), "any_unit", property(lambda each: "no name" if each.name == "paper" else UNIT))
    fine, wrong = start_checks([Asked(spec()), Asked(spec(name="paper"))])
    assert fine.blocker is None and wrong.blocker is not None and "is not valid" in wrong.blocker


def test_a_systemd_that_does_not_answer_in_time_is_not_asked_about_each_unit_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd = Systemd(monkeypatch)
    systemd.silent = True
    found = start_checks([Asked(spec()), Asked(spec(name="paper", service="paper"))])
    assert systemd.told == ["show"]
    assert ["cannot be asked about" in (each.blocker or "") for each in found] == [True, True]


def test_what_a_unit_carries_now_it_cannot_carry_again_where_its_program_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As after an upgrade that removed the old version's folder."""
    Systemd(monkeypatch, ExecStart=exec_start(tmp_path / "nothing"))
    (found,) = start_checks([Asked(spec(), gateway(unit=UNIT))])
    assert found.blocker is not None and "nothing does not exist" in found.blocker


def test_the_display_that_a_unit_s_gateway_has_is_not_held_against_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "start.sh"
    script.write_text("#!/bin/sh\nexec /opt/ibc/ibcstart.sh 1037\n")
    script.chmod(0o755)
    Systemd(monkeypatch, ExecStart=exec_start(script), User=getpass.getuser())
    carried, other = Asked(spec(), gateway(unit=UNIT)), Asked(spec(), gateway(GATEWAY))
    assert [bool(each.blocker) for each in start_checks([carried, other])] == [False, True]


@pytest.mark.parametrize(
    ("shown", "verbs"),
    [
        ({}, ["show", "start", "show"]),
        ({"ActiveState": "active", "SubState": "exited"}, ["show", "restart", "show"]),
        ({"ActiveState": "active", "SubState": "running"}, ["show", "start", "show"]),
        ({"ActiveState": "failed", "Result": "start-limit-hit"}, ["show", "reset-failed", "start", "show"]),
    ],
)
def test_a_start_does_what_brings_the_unit_up(
    monkeypatch: pytest.MonkeyPatch, shown: Dict[str, str], verbs: List[str]
) -> None:
    systemd = Systemd(monkeypatch, **shown)
    assert lifecycle(spec()).start(Patience(5.0)).log == "journalctl -u " + UNIT
    assert systemd.told == verbs


def test_a_restart_that_ends_at_the_start_limit_half_way_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(monkeypatch, ActiveState="active", SubState="running")
    systemd.fails["restart"] = {"ActiveState": "failed"}
    lifecycle(spec()).restart(5.0)
    assert systemd.told == ["show", "restart", "show", "reset-failed", "start", "show"]


@pytest.mark.parametrize(
    ("comes", "why"),
    [
        ({"ActiveState": "inactive", "ConditionResult": "no"}, "was not started, because a condition in its file"),
        ({"ActiveState": "inactive", "Result": "exec-condition"}, "was not started, because a condition in its file"),
        ({"ActiveState": "failed", "Result": "exit-code"}, r"has failed at once \(Result=exit-code\)"),
    ],
    ids=["condition", "ExecCondition", "program"],
)
def test_a_start_that_systemd_calls_a_success_and_that_brought_nothing_up_is_told_as_one_that_failed(
    monkeypatch: pytest.MonkeyPatch, comes: Dict[str, str], why: str
) -> None:
    for verb in ("start", "restart"):
        systemd = Systemd(monkeypatch, ActiveState="active", SubState="running")
        systemd.comes = comes
        way = lifecycle(spec())
        with pytest.raises(CannotStart, match=why):
            way.start(Patience(5.0)) if verb == "start" else way.restart(5.0)


def test_a_start_that_fails_says_where_its_output_is(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(monkeypatch)
    systemd.fails["start"] = {}
    with pytest.raises(CannotStart, match=r"its output: journalctl -u ibgateway\.service"):
        lifecycle(spec()).start(Patience(5.0))


def test_a_user_s_unit_is_asked_about_only_where_the_account_s_systemd_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    Systemd(monkeypatch)
    own = account_of(None)
    assert own is not None
    for user, says in ((own.name, "loginctl enable-linger"), ("no-such-account", "no account no-such-account")):
        monkeypatch.setattr(Account, "runtime_dir", "/nonexistent")
        found = start_checks([Asked(spec(user=user, service_scope="user"))])[0].blocker
        assert found is not None and says in found


def test_units_in_conflict_are_asked_about_only_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Systemd(monkeypatch, Conflicts="shutdown.target", Requires="sysinit.target system.slice")
    assert start_checks([Asked(spec())])[0].blocker is None and usual.told == ["show"]
    rival = Systemd(monkeypatch, ConflictedBy="tws.service")
    assert start_checks([Asked(spec())])[0].blocker is None and rival.told == ["show", "show"]
    monkeypatch.setattr(bound_units, "show_each", lambda units, _show: {each: {"error": "no answer"} for each in units})
    told = "tws.service is stopped by a start of ibgateway.service, and no answer"
    assert start_checks([Asked(spec())])[0].blocker == told


def test_whom_a_unit_would_end_is_looked_for_where_it_runs_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    Systemd(monkeypatch, WorkingDirectory="/srv/ibgateway", ExecStart=exec_start("/bin/true"))
    assert [each.folder for each in start_checks([Asked(spec())])[0].runs] == ["/srv/ibgateway"]
    own = account_of(None)
    assert own is not None
    assert [folder_of({"WorkingDirectory": each}, None) for each in ("", "/srv", "!/srv", "~")] == [
        "/",
        "/srv",
        None,
        None,
    ]
    assert folder_of({}, own) == own.home
    monkeypatch.setattr(systemctl, "show", lambda *_units, **_more: [])
    shown = {"WorkingDirectory": "/srv", "ExecStart": exec_start("/bin/true")}
    (runs,) = user_unit._start_check(Asked(spec()), shown, own).runs
    assert (runs.folder, runs.uid) == ("/srv", own.uid)


def test_a_unit_whose_conditions_nobody_has_asked_was_not_skipped() -> None:
    """systemd shows no for these as well: of a oneshot that it has forgotten since it succeeded."""
    shown = {**SHOWN, "ActiveState": "inactive", "ConditionResult": "no", "ConditionTimestampMonotonic": "0"}
    state = unit_facts.state_of(UNIT, shown, None)
    assert state is not None and state.why_not_up == ""
    state = unit_facts.state_of(UNIT, {**shown, "ConditionTimestampMonotonic": "17"}, None)
    assert state is not None and state.why_not_up


def test_a_program_that_is_run_as_root_before_the_unit_s_own_is_judged_as_root_s(tmp_path: Path) -> None:
    script = tmp_path / "prep.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    tmp_path.chmod(0o700)
    line = "{ path=%s ; argv[]=%s ; %s ; pid=0 }"
    shown = {"User": "nobody", "ExecStartPre": line % (script, script, "ignore_errors=no")}
    told = unit_facts.trouble_of(shown, None)
    assert told is not None and "closed to account nobody" in told
    assert unit_facts.trouble_of({**shown, "ExecStartPreEx": line % (script, script, "flags=privileged")}, None) is None
