"""What keeps systemd from starting a unit that is whole is known before its gateway is ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Sequence

import pytest
from ansible.module_utils.ib_gateway.base.unit import UnitState
from ansible.module_utils.ib_gateway.lifecycle.unit_conditions import conditions_of, prevented, unmet
from ansible.module_utils.ib_gateway.lifecycle.unit_facts import UnitFacts

UNIT = "ibgateway.service"


def files(folder: Path, *texts: str) -> Dict[str, str]:
    """What systemctl shows of a unit with these files, the first its own and the others drop-ins."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / ("%d.conf" % number))
        paths[-1].write_text(text)
    return {"FragmentPath": str(paths[0]), "DropInPaths": " ".join(map(str, paths[1:])), "NeedDaemonReload": "no"}


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("ConditionPathExists={there}", True),
        ("ConditionPathExists={gone}", False),
        ("ConditionPathExists=!{there}", False),
        ("ConditionPathExists=!{gone}", True),
        ("AssertPathExists = {gone}", False),
        ("ConditionPathIsDirectory={there}", False),
        ("ConditionFileNotEmpty={there}", False),
        ("ConditionDirectoryNotEmpty={folder}", True),
        ("ConditionPathExistsGlob={folder}/*.nothing", False),
        ("ConditionPathExistsGlob={folder}/{{a,b}}", True),
        ("ConditionPathIsMountPoint={folder}", True),
        ("ConditionPathIsMountPoint=!/", False),
        ("ConditionPathIsSymbolicLink={there}", False),
        ("ConditionPathIsReadWrite={folder}", True),
        ("ConditionPathExists={there}\r", True),
        ("ConditionFileIsExecutable={there}", False),
        ("ConditionPathExists=/srv/%i/there", True),
        ("ConditionKernelVersion=>99", True),
        ("ConditionPathExists={gone}\nConditionPathExists=", True),
        ("ConditionPathExists=|{gone}\nConditionPathExists=|{there}", True),
        ("ConditionPathExists=|{gone}\nConditionPathExists=|!{there}", False),
        ("ConditionPathExists=|{gone}\nConditionACPower=|true", True),
        ("# ConditionPathExists={gone}", True),
        ("", True),
    ],
)
def test_a_condition_on_a_path_is_asked_and_what_cannot_be_told_counts_as_met(
    tmp_path: Path, line: str, holds: bool
) -> None:
    (tmp_path / "there").touch(mode=0o644)
    text = "[Unit]\n" + line.format(there=tmp_path / "there", gone=tmp_path / "gone", folder=tmp_path) + "\n[Service]\n"
    assert (unmet(files(tmp_path, text)) is None) is holds


def test_a_drop_in_adds_a_condition_or_takes_all_of_them_back(tmp_path: Path) -> None:
    own = "[Unit]\nConditionPathExists=%s\n" % (tmp_path / "gone")
    assert unmet(files(tmp_path, "[Unit]\n", own)) == "ConditionPathExists=%s" % (tmp_path / "gone")
    assert unmet(files(tmp_path, own, "[Unit]\nConditionPathIsDirectory=\n")) is None


def test_files_that_systemd_has_not_read_yet_or_that_cannot_be_read_tell_nothing(tmp_path: Path) -> None:
    shown = files(tmp_path, "[Unit]\nConditionPathExists=/nothing/of/that/name\n")
    assert unmet(shown) is not None
    assert unmet({**shown, "NeedDaemonReload": "yes"}) is None
    assert unmet({**shown, "DropInPaths": str(tmp_path / "gone.conf")}) is None
    assert unmet({}) is None


def test_a_line_may_be_long_or_broken_in_two() -> None:
    (found,) = conditions_of("[Unit]\nConditionPathExists=\\\n  !/srv/x\n", "Condition")
    assert (found.kind, found.path, found.negated) == ("PathExists", "/srv/x", True)


#: Of a unit whose program is not there any more.
GONE = {"ExecStart": "{ path=/nothing/db ; argv[]=/nothing/db ; ignore_errors=no ; start_time=[n/a] }"}


def told(shown: Dict[str, str], others: Dict[str, Dict[str, str]], losing: bool = True) -> str:
    """What keeps a unit from being started, by what systemctl shows of it and of those it requires."""

    def show(units: Sequence[str]) -> List[Dict[str, str]]:
        return [others[each] for each in units]

    return prevented(UnitFacts(UNIT, UnitState(UNIT), losing=losing), shown, show) or ""


@pytest.mark.parametrize("tie", ["Requires", "BindsTo"])
@pytest.mark.parametrize(
    ("shows", "says", "also_down"),
    [
        ({"LoadState": "masked"}, "it requires db.service, which is masked", True),
        ({"LoadState": "not-found"}, "it requires db.service, which does not exist", True),
        ({"ActiveState": "failed", "Type": "oneshot"}, "which has failed: `journalctl -u db.service`", False),
        ({"ActiveState": "failed", "Type": "simple", "Result": "start-limit-hit"}, "which has failed", False),
        ({"ActiveState": "failed", "Type": "simple", "Result": "signal"}, "", False),
        ({"LoadState": "loaded", "ActiveState": "inactive"}, "", False),
        ({"LoadState": "loaded", "ActiveState": "active"}, "", False),
        ({"ActiveState": "inactive", **GONE}, "db.service, which cannot be started: its program /nothing/db", True),
        ({"ActiveState": "active", **GONE}, "", False),
    ],
)
def test_a_unit_that_has_to_be_up_and_cannot_be_keeps_a_gateway_from_being_ended(
    tie: str, shows: Dict[str, str], says: str, also_down: bool
) -> None:
    shown = {tie: "sysinit.target system.slice db.service"}
    assert says in told(shown, {"db.service": shows}) and bool(told(shown, {"db.service": shows})) is bool(says)
    assert bool(told(shown, {"db.service": shows}, losing=False)) is also_down


@pytest.mark.parametrize("losing", [True, False])
@pytest.mark.parametrize(
    ("shows", "says"),
    [
        ({"LoadState": "masked"}, "it requires db.service, which is masked"),
        ({"ActiveState": "inactive"}, "asks for db.service to be up already (Requisite=), and that is inactive"),
        ({"ActiveState": "failed", "Result": "signal"}, "(Requisite=), and that is failed"),
        ({"ActiveState": "active"}, ""),
    ],
)
def test_a_unit_that_has_to_be_up_already_is_not_started_with_it(
    shows: Dict[str, str], says: str, losing: bool
) -> None:
    found = told({"Requisite": "db.service"}, {"db.service": shows}, losing)
    assert says in found and bool(found) is bool(says)


def test_a_program_that_decides_at_each_start_keeps_a_gateway_from_being_ended_and_not_from_being_started() -> None:
    shown = {"ExecCondition": "{ path=/opt/may-i ; argv[]=/opt/may-i ; ignore_errors=no }"}
    assert "ExecCondition= of ibgateway.service decides" in told(shown, {})
    assert told(shown, {}, losing=False) == ""


def test_a_unit_that_systemd_forgets_with_its_gateway_is_not_ended(tmp_path: Path) -> None:
    (tmp_path / "unit").touch()
    assert told({"FragmentPath": str(tmp_path / "unit")}, {}) == ""
    assert "its file %s does not exist" % (tmp_path / "gone") in told({"FragmentPath": str(tmp_path / "gone")}, {})
    assert "which systemd-run has made" in told({"FragmentPath": str(tmp_path / "unit"), "Transient": "yes"}, {})
    assert told({"FragmentPath": str(tmp_path / "gone"), "Transient": "yes"}, {}, losing=False) == ""


def test_a_unit_that_its_file_lets_nobody_stop_is_not_gone_round_by_a_signal() -> None:
    assert "ibgateway.service may not be stopped by hand (RefuseManualStop=)" in told({"CanStop": "no"}, {})
    assert told({"CanStop": "no"}, {}, losing=False) == "" and told({"CanStop": "yes"}, {}) == ""


def test_a_path_that_cannot_be_looked_at_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = files(tmp_path, "[Unit]\nConditionPathExists=/closed/ok\nAssertPathIsDirectory=/closed\n")
    assert unmet(shown) == "ConditionPathExists=/closed/ok"

    def closed(path: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", closed)
    assert unmet(shown) is None
