"""The lease: one run repairs a host at a time, and one that died does not hold it for long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible.module_utils.ib_gateway.observe import processes
from ansible.module_utils.ib_gateway.state import holder, journal, lease
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.lease import Lease, held_text, void
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from ansible.module_utils.ib_gateway.state.store import Busy, StateStore
from unit.repair_records import BOOT, DIGEST, NOW, authorization, begin, end, kinds, read, state_dir

__all__ = ["state_dir"]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
ONE = Lease("r1", "alice@control pid 7", "2026-11-22T18:00:00Z", BOOT, NOW.boottime, 900.0)


def rewrite(state_dir: Path, **more: Any) -> None:
    """Changes the lease on disk."""
    file = state_dir / lease.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))


def test_a_lease_stands_for_its_seconds_of_this_boot_whatever_the_wall_clock_says() -> None:
    assert void(ONE, NOW) == ""
    assert void(ONE, replace(NOW, boottime=NOW.boottime + 899, at=0.0)) == ""
    assert void(ONE, replace(NOW, boottime=NOW.boottime + 899, at=9e9)) == ""
    assert "not renewed for 900 s" in void(ONE, replace(NOW, boottime=NOW.boottime + 901))
    assert "restarted" in void(ONE, replace(NOW, boot_id="another"))
    assert void(ONE, replace(NOW, boottime=NOW.boottime - 0.001)) == "", "what is on disk is rounded"
    assert "future" in void(ONE, replace(NOW, boottime=NOW.boottime - 2))
    assert "could not be read" in void(lease.UNREADABLE, NOW)
    assert "restarted" in void(replace(ONE, boot_id=""), replace(NOW, boot_id=""))


def test_a_second_run_is_told_who_repairs_the_host_and_since_when(state_dir: Path) -> None:
    assert begin(state_dir)["begun"]
    held = read_status(str(state_dir))["lease"]
    found = begin(state_dir, "r2")
    text = "this host is being repaired by alice@control pid 7 since %s (run r1)" % held["since"]
    assert not found["begun"] and found["reason"].startswith(text) and held["by"] == "alice@control pid 7"
    assert "; if that run has died, its hold ends by itself at 20" in found["reason"]
    assert found["refused"] == [{"gateway": "live", "reason": found["reason"]}] and found["allowed"] == []
    assert kinds(state_dir) == ["begin", "defer"]
    with AdmissionCheck(authorization(state_dir, "r2"), False) as check:
        assert str(check.admit("restart", "live", DIGEST)).startswith(text)
    with AdmissionCheck(authorization(state_dir, "r2"), True) as check:
        assert str(check.admit("restart", "live", DIGEST)).startswith(text)


def test_the_same_run_may_begin_again(state_dir: Path) -> None:
    begin(state_dir)
    since = read_status(str(state_dir))["lease"]["since"]
    assert begin(state_dir)["begun"] and read_status(str(state_dir))["lease"]["since"] == since


def test_a_lease_that_was_given_back_is_free(state_dir: Path) -> None:
    begin(state_dir)
    assert end(state_dir)["ended"] and read_status(str(state_dir))["lease"] is None
    assert begin(state_dir, "r2")["note"] == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"boot_id": "another"}, "the host has been restarted since"),
        ({"boottime": 0.0, "seconds": 0.001}, "it was not renewed for 0.001 s"),
    ],
)
def test_a_void_lease_is_taken_over_and_that_is_written_down(state_dir: Path, more: Dict[str, Any], why: str) -> None:
    begin(state_dir)
    rewrite(state_dir, **more)
    found = begin(state_dir, "r2")
    assert found["begun"] and why in found["note"] and "alice@control pid 7" in found["note"]
    assert why in read(state_dir).records[-1].reason
    # The first run does nothing more, and does not take the lease of the second one away.
    with AdmissionCheck(authorization(state_dir, "r1"), False) as check:
        assert "is being repaired by" in str(check.admit("restart", "live", DIGEST))
    assert not end(state_dir, "r1", live=True)["ended"]
    with AdmissionCheck(authorization(state_dir, "r2"), False) as check:
        assert check.admit("restart", "live", DIGEST) is None


@pytest.fixture
def ended() -> str:
    """A process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        told = holder.holder(process.pid)
        assert told and not holder.has_ended(told)
        process.communicate()
    return told


@linux
def test_the_lease_of_a_run_of_this_machine_that_has_ended_is_taken_over_at_once(state_dir: Path, ended: str) -> None:
    begin(state_dir, holder=ended)
    found = begin(state_dir, "r2")
    assert found["begun"] and "its run has ended without giving it back" in found["note"], found
    with AdmissionCheck(authorization(state_dir, "r1"), False) as check:
        assert "is being repaired by" in str(check.admit("restart", "live", DIGEST))


@linux
def test_the_lease_of_a_run_that_lives_is_waited_out(state_dir: Path) -> None:
    begin(state_dir, holder=holder.holder(os.getpid()))
    assert not begin(state_dir, "r2")["begun"]


@linux
@pytest.mark.parametrize(
    ("place", "word"), [(0, "0b9e7b5e-0000-4000-8000-000000000000"), (1, "pid:[1]"), (2, "x"), (3, "")]
)
def test_nothing_is_proven_of_a_run_of_another_machine_or_pid_namespace(
    state_dir: Path, ended: str, place: int, word: str
) -> None:
    words = ended.split("/")
    words[place] = word
    begin(state_dir, holder="/".join(words))
    assert not begin(state_dir, "r2")["begun"]


@linux
def test_nothing_is_proven_where_processes_are_hidden(
    state_dir: Path, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "table_is_complete", lambda: False)
    begin(state_dir, holder=ended)
    assert not begin(state_dir, "r2")["begun"]


@linux
def test_a_pid_that_another_process_has_now_is_no_longer_the_run(state_dir: Path) -> None:
    boot_id, space, pid, ticks = holder.holder(os.getpid()).split("/")
    begin(state_dir, holder="/".join((boot_id, space, pid, str(int(ticks) - 1))))
    assert begin(state_dir, "r2")["begun"]


STRANGE = [b"", b"{", b"\xff", b"[]", b"[" * 60_000, b'{"run":"\x1b"}', b'{"run":1}', b"\0" * 9]


@pytest.mark.parametrize("data", STRANGE, ids=range(len(STRANGE)))
def test_a_lease_that_says_nothing_sensible_holds_nobody_off(state_dir: Path, data: bytes) -> None:
    begin(state_dir)
    (state_dir / lease.FILE).write_bytes(data)
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert "has not begun" in str(check.admit("restart", "live", DIGEST))
    found = begin(state_dir, "r2")
    assert found["begun"] and "could not be read" in found["note"]


@pytest.mark.parametrize("wrong", [{"seconds": 1e9}, {"seconds": 0}, {"boottime": -1}, {"run": ""}, {"since": "x"}])
def test_a_lease_with_a_value_out_of_range_holds_nobody_off(state_dir: Path, wrong: Dict[str, Any]) -> None:
    begin(state_dir)
    rewrite(state_dir, **wrong)
    assert begin(state_dir, "r2")["begun"]


def test_each_act_renews_the_lease(state_dir: Path) -> None:
    begin(state_dir)
    rewrite(state_dir, boottime=0.5)
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert check.admit("restart", "live", DIGEST) is None, "still ours, as long as nobody has taken it"
    assert abs(json.loads((state_dir / lease.FILE).read_text())["boottime"] - journal.moment().boottime) < 60


def test_whoever_does_not_get_the_lock_is_told_who_has_it(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        with pytest.raises(Busy, match="being repaired by alice@control pid 7"), StateStore(
            str(state_dir), "r2", "", True
        ):
            pass
        found = begin(state_dir, "r2")
        assert not found["begun"] and "(run r1)" in found["reason"]
        with AdmissionCheck(authorization(state_dir), False) as second:
            assert "(run r1)" in str(second.admit("restart", "live", DIGEST))
        assert check.admit("restart", "live", DIGEST) is None
    assert not begin(state_dir, "r2")["begun"] and begin(state_dir, "r1")["begun"]


def test_a_lock_without_a_lease_is_told_too() -> None:
    assert "another run" in held_text(None) and "another run" in held_text(lease.UNREADABLE)
