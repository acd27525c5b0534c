"""The journal when things break: what cannot be written is not half written, and no crash makes it forget."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.state import journal
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.journal import JournalUnusable
from ansible.module_utils.ib_gateway.state.limits import latched, unfinished
from ansible.module_utils.ib_gateway.state.records import format_line, parse_line
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from ansible.module_utils.ib_gateway.state.state_folder import Folder
from unit.repair_records import (
    DIGEST,
    FULL,
    Crash,
    FailingCalls,
    StoppingCalls,
    act,
    authorization,
    begin,
    crashing,
    end,
    failed_repair,
    kinds,
    read,
    record,
    signed,
    state_dir,
)

__all__ = ["crashing", "state_dir"]


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "text"),
    [
        (FailingCalls(*FULL), "No space left on device; free some space"),
        (FailingCalls(errno.EIO, "fsync"), "Input/output error; mend this on the host"),
        (FailingCalls(errno.EROFS, "open", "write", "unlink"), "Read-only file system; mount its file system writable"),
        (FailingCalls(errno.EACCES, "open", "unlink"), "Permission denied; run with become"),
        (FailingCalls(errno.EDQUOT, "write"), "free some of the account's quota"),
    ],
    ids=["full", "broken", "read-only", "not ours", "quota"],
)
def test_what_cannot_be_written_is_not_half_written(state_dir: Path, crashing: Any, failing: Any, text: str) -> None:
    begin(state_dir)
    before = (state_dir / journal.FILE).read_bytes()
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert check.admit("restart", "live", DIGEST) is None
        crashing(failing)
        with pytest.raises(JournalUnusable, match="run again") as raised:
            check.intend("restart", "live", {})
        assert text in str(raised.value) and str(state_dir) in str(raised.value)
        crashing(StoppingCalls())
        assert "observe only" in str(check.admit("stop_client", "live", DIGEST))
        with pytest.raises(JournalUnusable):
            check.intend("restart", "live", {})
    assert (state_dir / journal.FILE).read_bytes() == before
    assert sorted(os.listdir(state_dir)) == ["journal.id", "journal.jsonl", "lease.json", "lock"]


@pytest.mark.parametrize("names", [("write",), ("fsync",), ("mkdir",), ("rename",)])
def test_a_first_journal_that_cannot_be_written_is_none(state_dir: Path, crashing: Any, names: Tuple[str, ...]) -> None:
    crashing(FailingCalls(errno.ENOSPC, *names))
    found = begin(state_dir)
    assert not found["begun"] and "No space left" in found["reason"] and found["journal"] == journal.UNUSABLE
    crashing(StoppingCalls())
    assert read_status(str(state_dir))["journal"] in (journal.ABSENT, journal.OK)
    assert begin(state_dir)["begun"]


def test_a_journal_that_another_hand_wrote_to_meanwhile_is_left_alone(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("restart", "live", DIGEST)
        with (state_dir / journal.FILE).open("ab") as file:
            file.write(b"hello\n")
        with pytest.raises(JournalUnusable, match="another hand"):
            check.intend("restart", "live", {})


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 40, -2, -1])
def test_a_torn_last_line_is_told_and_cut_off_at_the_next_append(state_dir: Path, cut: int) -> None:
    failed_repair(state_dir)
    file = state_dir / journal.FILE
    data = file.read_bytes()
    file.write_bytes(data + data.splitlines(True)[-1][:cut])
    found = read_status(str(state_dir))
    assert (
        found["journal"] == "ok"
        and "torn" in found["note"]
        and [each["gateway"] for each in found["latched"]] == ["live"]
    )
    assert "torn" in begin(state_dir, "r2", [])["note"]
    assert kinds(state_dir) == ["begin", "intent", "outcome", "end", "begin"]
    assert not read(state_dir).torn


def repair(state_dir: Path, done: List[str]) -> None:
    """Two repairs, one after the other; done: what has returned, and so must never be forgotten."""
    for run, gateway in (("r1", "live"), ("r2", "paper")):
        if begin(state_dir, run, [gateway])["begun"]:
            done.append("begin " + run)
        with AdmissionCheck(authorization(state_dir, run), False) as check:
            assert check.admit("restart", gateway, DIGEST) is None
            token = check.intend("restart", gateway, {"pid": 1})
            done.append("intent " + run)
            if check.outcome(token, "done") is None:
                done.append("outcome " + run)
        if end(state_dir, run, **{gateway: False})["unsuccessful"]:
            done.append("latch " + gateway)


def promised(state_dir: Path) -> List[str]:
    """What the books know, in the words of repair()."""
    records = read(state_dir).records if (state_dir / journal.FILE).exists() else ()
    open_ones = {each.n for each in unfinished(records)}
    found = ["%s %s" % (each.kind, each.run) for each in records if each.kind in ("begin", "intent")]
    found += ["outcome " + each.run for each in records if each.kind == "intent" and each.n not in open_ones]
    return found + ["latch " + gateway for gateway in latched(records)]


@pytest.mark.parametrize("where", ["before", "after", "amid"])
@pytest.mark.parametrize("rotate_at", [1 << 18, 1], ids=["one file", "rotating at each append"])
def test_a_crash_between_any_two_system_calls_loses_nothing(
    tmp_path: Path, crashing: Any, monkeypatch: pytest.MonkeyPatch, where: str, rotate_at: int
) -> None:
    monkeypatch.setattr(journal, "ROTATE_AT", rotate_at)
    monkeypatch.setattr(journal, "_worth_it", lambda *_: True)
    for k in range(1, 1000):
        folder, calls = tmp_path / ("%s-%d" % (where, k)), StoppingCalls(k, where)
        done: List[str] = []
        crashing(calls)
        try:
            repair(folder, done)
            break
        except Crash:
            crashing(StoppingCalls())
        found = read_status(str(folder))
        assert found["journal"] in ("ok", "absent"), (k, calls.log, found)
        known = promised(folder) if found["journal"] == "ok" else []
        over = {"begin r1"} if "begin r2" in known else set()  # what has ended may be forgotten
        assert set(done) - over <= set(known), (k, calls.log)
        assert (folder / journal.MARKER).exists() or not any(each.startswith("intent") for each in done)
        # Whoever comes next can go on, and is shown what is not known.
        (folder / "lease.json").unlink(missing_ok=True)
        shown = begin(folder, "r9", [])
        assert shown["begun"] and shown["reason"] == "", (k, calls.log, shown)
        open_runs = [run for run in ("r1", "r2") if "intent " + run in known and "outcome " + run not in known]
        assert [each["run"] for each in shown["unfinished"]] == open_runs
        assert begin(folder, "r9", [])["unfinished"] == []
        assert read(folder).marked and not read(folder).torn
    else:
        pytest.fail("the climb never ended")
    assert k > 40 and done[-1] == "latch paper"


def test_everything_is_on_disk_before_it_is_relied_on(state_dir: Path, crashing: Any) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("restart", "live", DIGEST)
        crashing(calls := StoppingCalls())
        check.intend("restart", "live", {})
    assert calls.log == ["open", "write", "fsync"]
    folder = Folder.open(str(state_dir))
    assert folder is not None
    crashing(calls := StoppingCalls())
    folder.replace("some", b"thing")
    folder.close()
    assert calls.log == ["unlink", "open", "write", "fsync", "rename", "fsync"]
    crashing(calls := StoppingCalls())
    Folder.open(str(state_dir / "a" / "b"), create=True)
    assert calls.log == ["mkdir", "fsync", "mkdir", "fsync"]


# --- rotation --------------------------------------------------------------------------------------------------------


def test_the_journal_stays_bounded_and_forgets_nothing_that_counts(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ROTATE_AT", 8192)
    failed_repair(state_dir)
    for number in range(200):
        begin(state_dir, "r%d" % (number + 2), ["live"])  # latched: one refusal each
    assert (state_dir / journal.FILE).stat().st_size <= 8192
    assert (state_dir / journal.ROTATED).stat().st_size <= 8192
    assert list(latched(read(state_dir).records)) == ["live"]
    assert [each.n for each in read(state_dir).records if each.kind == "intent"] == [2]
    numbers = [json.loads(line)["n"] for line in (state_dir / journal.FILE).read_bytes().splitlines()]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and numbers[-1] > 200
    assert parse_line((state_dir / journal.FILE).read_bytes().splitlines()[0]).kind == "checkpoint"


def test_a_journal_in_which_everything_counts_is_not_rotated_at_each_append(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ROTATE_AT", 1000)
    begin(state_dir)
    for _ in range(20):
        act(state_dir)
    assert len(read(state_dir).records) == 41


def test_a_target_that_a_stranger_made_does_not_stop_rotation(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(state_dir)
    intent = json.loads(format_line(record(2, "intent", run="r1", target={"x": 1}))[:-1])
    del intent["crc"]
    body = json.dumps(intent, separators=(",", ":")).replace('{"x":1}', '{"x":1e999,"y":"\\ud800"}')
    with (state_dir / journal.FILE).open("ab") as file:
        file.write(signed(body) + b"\n")
    monkeypatch.setattr(journal, "ROTATE_AT", 1)
    monkeypatch.setattr(journal, "_worth_it", lambda *_: True)
    assert begin(state_dir)["begun"] and read(state_dir).state == "ok"
