"""What systemd-run says where it makes no scope is told as its own: the start_command has not been run then."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.lifecycle import accounts, detach, places, systemctl
from ansible.module_utils.ib_gateway.lifecycle.accounts import account_of
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, CannotStart, Patience
from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle, start_checks
from unit.facts import spec

#: Makes a scope as far as the command can tell: becomes what stands behind --.
_MAKES = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host where systemd runs, whose systemd-run is the script that the test gives."""
    places.use(str(tmp_path / "state"))
    programs = tmp_path / "programs"
    for each in (programs, tmp_path / "booted", tmp_path / "run"):
        each.mkdir()
    monkeypatch.setattr(detach, "BOOTED", str(tmp_path / "booted"))
    monkeypatch.setattr(detach, "PATH", str(programs))
    monkeypatch.setattr(detach, "_whose", lambda _account: ["--slice=system.slice"])
    monkeypatch.setattr(accounts, "PATH", os.environ["PATH"])

    def is_(text: str) -> None:
        path = programs / "systemd-run"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    is_(_MAKES)
    yield is_
    places.use("")


def command(folder: Path, text: str) -> Any:
    path = folder / "start.sh"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    own = account_of(None)
    assert own is not None
    return spec(service=None, user=own.name, config_dir=None, start_command=(str(path),))


def log(folder: Path) -> str:
    return (folder / "state" / "output" / "live.log").read_text()


def test_what_systemd_run_says_is_told_as_its_own_and_the_command_has_not_been_run(
    tmp_path: Path, systemd: Any
) -> None:
    systemd("echo 'Failed to start transient scope unit: Unit x.scope not found.' >&2; exit 1\n")
    with pytest.raises(CannotStart) as failed:
        lifecycle(command(tmp_path, "touch %s\n" % (tmp_path / "ran"))).start(Patience(5.0))
    told = str(failed.value)
    assert told.startswith("start_command was not run: systemd-run, which is to give start_command a scope of its own")
    assert "ended with status 1: Failed to start transient scope unit: Unit x.scope not found." in told
    assert not (tmp_path / "ran").exists()


def test_a_systemd_run_that_hangs_is_given_up(tmp_path: Path, systemd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detach, "_MAKES_WITHIN", 0.2)
    systemd("exec sleep 300\n")
    with pytest.raises(CannotStart, match=r"systemd-run.* has not done so within 0\.2 s"):
        lifecycle(command(tmp_path, "exit 0\n")).start(Patience(5.0))


def test_how_the_command_itself_ended_is_told_as_its_own_and_both_outputs_are_in_its_log(
    tmp_path: Path, systemd: Any
) -> None:
    systemd("echo 'a warning' >&2\n" + _MAKES)
    with pytest.raises(CannotStart, match="start_command ended at once with status 3; what it said is in"):
        lifecycle(command(tmp_path, "echo out; echo HeadlessException >&2; exit 3\n")).start(Patience(5.0))
    assert sorted(log(tmp_path).splitlines()) == ["HeadlessException", "a warning", "out"]


@pytest.mark.usefixtures("systemd")
def test_a_command_that_runs_on_in_its_scope_is_started_as_the_process_that_it_is(tmp_path: Path) -> None:
    started = lifecycle(command(tmp_path, "echo $$; exec sleep 1.5\n")).start(Patience(5.0))
    assert log(tmp_path) == "%d\n" % (started.pid or 0)


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (systemctl.UnitError("systemctl show failed: Failed to connect to bus: No such file or directory"), "connect"),
        (systemctl.UnitError("systemctl show was not answered within 10 s", pending=True), "not answered within 10 s"),
        ("Running in chroot, ignoring request: show\n", "systemctl show asked nobody: Running in chroot"),
        ("Version=252.1\n", None),
    ],
    ids=str,
)
def test_a_start_is_withheld_where_systemd_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, says: str | None
) -> None:
    asked = []

    def call(*arguments: str, **_more: Any) -> str:
        asked.append(arguments)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(systemctl, "_systemctl", call)
    monkeypatch.setattr(places, "cannot_hold", lambda _folder: None)
    one = Asked(command(tmp_path, "exit 0\n"))
    blockers = [each.blocker for each in start_checks([one, one._replace(spec=one.spec._replace(name="paper"))])]
    assert len(asked) == 1, "one question for all entries of an account"
    assert blockers[0] == blockers[1]
    if says is None:
        assert blockers == [None, None]
    else:
        assert blockers[0] is not None and "does not answer" in blockers[0] and says in blockers[0]


@pytest.mark.usefixtures("systemd")
def test_a_start_is_withheld_where_systemd_has_no_room_for_a_scope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemctl, "_systemctl", lambda *_arguments, **_more: "Version=252.1\n")
    monkeypatch.setattr(places, "cannot_hold", lambda folder: "%s is full" % folder)
    told = start_checks([Asked(command(tmp_path, "exit 0\n"))])[0].blocker
    assert told is not None and "could not make a scope for start_command: /run" in told and "transient is full" in told


def test_nothing_is_asked_of_a_systemd_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detach, "BOOTED", str(tmp_path / "booted"))
    monkeypatch.setattr(systemctl, "_systemctl", lambda *_arguments, **_more: pytest.fail("asked"))
    assert start_checks([Asked(command(tmp_path, "exit 0\n"))])[0].blocker is None


@pytest.mark.skipif(sys.platform != "linux", reason="a switch of glibc's name services")
def test_the_groups_of_an_account_are_looked_up_without_asking_pid_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library would wait 45 s for a systemd that hangs."""
    seen = []
    groups = os.getgrouplist

    def getgrouplist(name: str, gid: int) -> list[int]:
        seen.append(os.environ.get("SYSTEMD_NSS_DYNAMIC_BYPASS"))
        return groups(name, gid)

    monkeypatch.setattr(os, "getgrouplist", getgrouplist)
    before = dict(os.environ)
    account_of(None)
    assert seen == ["1"] and dict(os.environ) == before
