"""The journal on disk: what is written is read again, what is not ours is refused, with a text that says why."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.state import journal
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.journal import JournalUnusable
from ansible.module_utils.ib_gateway.state.records import LONGEST, format_line, parse_line
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from ansible.module_utils.ib_gateway.state.state_folder import Folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.repair_records import (
    DIGEST,
    NOW,
    authorization,
    begin,
    failed_repair,
    read,
    record,
    signed,
    state_dir,
)

__all__ = ["state_dir"]
RESET = "playbooks/release.yml -e ib_repair_reset_journal=true"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def unusable(state_dir: Path) -> str:
    """The text of the failure to use the books; the same that a begin and a look give."""
    note = read_status(str(state_dir))
    begun = begin(state_dir)
    assert note["journal"] == journal.UNUSABLE and not begun["begun"]
    assert begun["reason"] == "observe only: " + note["note"]
    assert begun["refused"] == [{"gateway": "live", "reason": begun["reason"]}]
    assert str(note["note"]).isprintable()
    return str(note["note"])


def written(state_dir: Path) -> Path:
    """A journal with a latch in it."""
    failed_repair(state_dir)
    return state_dir / journal.FILE


# --- the way there and back ------------------------------------------------------------------------------------------


def test_what_was_written_is_read_again(state_dir: Path) -> None:
    failed_repair(state_dir)
    found = read(state_dir)
    assert [each.kind for each in found.records] == ["begin", "intent", "outcome", "end"]
    assert [each.n for each in found.records] == [1, 2, 3, 4]
    assert found.records[1].target == {"pid": 815} and found.records[2].intent == 2
    assert found.state == journal.OK and not found.torn and found.marked


def test_a_line_has_the_promised_form(state_dir: Path) -> None:
    line = written(state_dir).read_bytes().splitlines()[1]
    raw = json.loads(line)
    checksum = raw.pop("crc")
    assert "%08x" % zlib.crc32(json.dumps(raw, separators=(",", ":")).encode()) == checksum
    assert (raw["v"], raw["n"], raw["kind"], raw["by"], raw["run"]) == (1, 2, "intent", "alice@control pid 7", "r1")
    assert raw["at"].endswith("Z") and raw["boottime"] > 0 and len(raw["boot_id"]) == 36


def test_a_host_that_never_had_one_is_fine(state_dir: Path) -> None:
    assert read_status(str(state_dir)) == {
        "journal": "absent",
        "note": "",
        "paused": None,
        "latched": [],
        "unfinished": [],
        "lease": None,
        "self_heal": None,
    }
    assert not state_dir.exists()
    state_dir.mkdir(0o700)
    assert read_status(str(state_dir))["journal"] == "absent" and list(state_dir.iterdir()) == []


@pytest.mark.parametrize("umask", [0, 0o777])
def test_folder_and_files_are_their_owner_s_alone_whatever_the_umask(state_dir: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        failed_repair(state_dir / "deeper")
        assert begin(state_dir / "deeper", "r2", [])["begun"]
    finally:
        os.umask(before)
    assert [os.stat(each).st_mode & 0o777 for each in (state_dir, state_dir / "deeper")] == [0o700, 0o700]
    files = {each.name: each.stat().st_mode & 0o777 for each in (state_dir / "deeper").iterdir()}
    assert files == dict.fromkeys(("journal.jsonl", "journal.id", "lock", "lease.json"), 0o600)


def test_texts_of_people_are_cut_and_cleaned(state_dir: Path) -> None:
    by = "mallory\x1b[31m\n\u202e --password hunter2 U1234567 \ud800 " + "x" * 5000
    assert begin(state_dir, gateways=["live"])["begun"]
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert check.admit("stop_client", "live", DIGEST) is None
        token = check.intend("stop_client", "live", {by: by, "argv": ["a", "--pw", "hunter2"], "deep": [[[[[1]]]]]})
        check.outcome(token, "done", by)
    data = (state_dir / journal.FILE).read_text(encoding="ascii")
    assert "hunter2" not in data and "U1234567" not in data and "\\u001b" not in data and "x" * 301 not in data
    assert read(state_dir).state == journal.OK


def test_a_target_that_is_too_long_is_left_out_and_the_record_still_written(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("stop_client", "live", DIGEST)
        token = check.intend(
            "stop_client", "live", {str(n): {str(m): "\U0001f600" * 200 for m in range(30)} for n in range(30)}
        )
    found = next(each for each in read(state_dir).records if each.n == token)
    assert found.target == {"left_out": "it was too long"}


# --- what is not ours ------------------------------------------------------------------------------------------------


def altered(**more: Any) -> bytes:
    raw = json.loads(format_line(record(1, "begin"))[:-1])
    del raw["crc"]
    raw.update(more)
    return signed(json.dumps(raw, separators=(",", ":")))


STRANGE: Dict[str, bytes] = {
    "nothing": b"",
    "one newline": b"\n",
    "no whole line": b'{"v":1',
    "no UTF-8": b"\xff\xfe\xfd\n",
    "zeroes": b"\0" * 4096 + b"\n",
    "terminal codes": b"\x1b]0;owned\x07\x1b[2J\n",
    "a secret": b'{"password":"hunter2"}\n',
    "no UTF-8, signed": b'{"\xff":1,"crc":"%08x"}\n' % zlib.crc32(b'{"\xff":1}'),
    "deep": signed('{"v":1,"target":' + "[" * 100_000 + "]" * 100_000 + "}") + b"\n",
    "a huge number": signed('{"v":' + "9" * 100_000 + "}") + b"\n",
    "a huge line": altered(target={"x": "y" * LONGEST}) + b"\n",
    "not a number": signed('{"v":1,"boottime":NaN}') + b"\n",
    "infinity": altered(boottime=1e300) + b"\n",
    "a list": signed('["x"]') + b"\n",
    "another version": altered(v=2) + b"\n",
    "another kind": altered(kind="party") + b"\n",
    "no time": altered(at="yesterday") + b"\n",
    "no day": altered(at="2026-13-45T00:00:00Z") + b"\n",
    "a gateway that is no name": altered(gateway="\x1b[31mlive") + b"\n",
    "a run that is no text": altered(run=[1]) + b"\n",
    "a number that is a bool": altered(n=True) + b"\n",
    "a target that is no object": altered(target="x") + b"\n",
    "a checkpoint without what it keeps": altered(kind="checkpoint") + b"\n",
    "a checkpoint that keeps rubbish": altered(kind="checkpoint", kept=[{}]) + b"\n",
    "a first record that is not the first": altered(n=7) + b"\n",
    "the same record twice": altered() + b"\n" + altered() + b"\n",
    "a gap": altered() + b"\n" + altered(n=3) + b"\n",
    "a checkpoint in the middle": altered() + b"\n" + altered(n=2, kind="checkpoint", kept=[]) + b"\n",
}


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_a_strange_journal_is_damaged_and_never_quoted(state_dir: Path, data: bytes, marked: bool) -> None:
    file = written(state_dir)
    file.write_bytes(data)
    if not marked:
        (state_dir / journal.MARKER).unlink()
    text = unusable(state_dir)
    assert str(file) in text and "is damaged in line" in text and RESET in text
    assert "hunter2" not in text and "owned" not in text and len(text) < 500
    assert file.read_bytes() == data


@given(data=st.binary(max_size=300))
@example(b"\n\n")
@settings(max_examples=150, deadline=None)
def test_no_line_whatever_crashes_the_reader(data: bytes) -> None:
    for line in (data, data + b',"crc":"%08x"}' % zlib.crc32(data + b"}")):
        try:
            parse_line(line)
        except ValueError as error:
            assert str(error)


@given(place=st.integers(min_value=0), value=st.integers(min_value=1, max_value=255))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_can_be_changed_unseen(tmp_path_factory: pytest.TempPathFactory, place: int, value: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "changed"
    if not folder.exists():
        failed_repair(folder)
        (folder / "kept").write_bytes((folder / journal.FILE).read_bytes())
    data = bytearray((folder / "kept").read_bytes())
    place %= len(data) - 1  # without the last newline the last record is torn, which is something else
    data[place] ^= value
    (folder / journal.FILE).write_bytes(bytes(data))
    assert read_status(str(folder))["journal"] == journal.UNUSABLE


def test_a_line_that_was_taken_out_is_missed(state_dir: Path) -> None:
    file = written(state_dir)
    lines = file.read_bytes().splitlines(True)
    for number in range(len(lines) - 1):
        file.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert "is damaged" in unusable(state_dir)


def test_a_lost_journal_means_observe_only(state_dir: Path) -> None:
    written(state_dir).unlink()
    text = unusable(state_dir)
    assert "has been lost" in text and RESET in text
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert "observe only" in str(check.admit("restart", "live", DIGEST))
    assert not (state_dir / journal.FILE).exists()


def obstacles() -> List[Tuple[str, Callable[[Path], Any], str]]:
    return [
        ("a FIFO", os.mkfifo, "is a FIFO"),
        ("a folder", os.mkdir, "is a folder"),
        ("a symlink", lambda path: path.symlink_to("/etc/passwd"), "is a symlink"),
        ("a dangling symlink", lambda path: path.symlink_to("/nonexistent"), "is a symlink"),
    ]


@pytest.mark.timeout(20)  # a FIFO is not waited for
@pytest.mark.parametrize("name", [journal.FILE, "lease.json", journal.LOCK])
@pytest.mark.parametrize(("make", "text"), [each[1:] for each in obstacles()], ids=[each[0] for each in obstacles()])
def test_what_is_no_regular_file_is_refused(state_dir: Path, name: str, make: Any, text: str) -> None:
    written(state_dir)
    (state_dir / name).unlink(missing_ok=True)
    make(state_dir / name)
    reason = begin(state_dir)["reason"]
    assert "observe only: %s %s" % (state_dir / name, text) in reason
    assert "run again" in reason or RESET in reason
    if name != journal.LOCK:
        assert read_status(str(state_dir))["journal"] == journal.UNUSABLE


def test_a_journal_of_many_megabytes_is_not_read(state_dir: Path) -> None:
    with written(state_dir).open("r+b") as file:
        file.truncate(1 << 40)
    assert "has more than" in unusable(state_dir)


@as_root
@pytest.mark.parametrize("name", ["", journal.FILE])
def test_what_belongs_to_another_account_is_refused(state_dir: Path, name: str) -> None:
    written(state_dir)
    os.chown(state_dir / name, 54321, 0)
    text = unusable(state_dir)
    assert "belongs to another account (uid 54321)" in text and "chown" in text


@pytest.mark.parametrize("name", ["", journal.FILE])
@pytest.mark.parametrize("bit", [0o020, 0o002])
def test_what_others_may_write_to_is_refused(state_dir: Path, name: str, bit: int) -> None:
    written(state_dir)
    os.chmod(state_dir / name, 0o700 | bit)
    text = unusable(state_dir)
    assert "may be written by other accounts" in text and "chmod" in text


@pytest.mark.parametrize("ending", ["", "/", "/."])
def test_a_folder_that_is_a_symlink_is_refused(state_dir: Path, tmp_path: Path, ending: str) -> None:
    written(state_dir)
    (tmp_path / "link").symlink_to(state_dir)
    assert "is a symlink, not a folder" in read_status(str(tmp_path / "link") + ending)["note"]


@pytest.mark.parametrize("path", ["relative/path", "/", "//", "/srv\0x", "/dev/null", "/dev/null/x"])
def test_what_is_no_folder_of_our_own_is_refused(path: str) -> None:
    found = read_status(path)
    assert found["journal"] == journal.UNUSABLE and found["note"].isprintable()


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_record_that_could_not_be_read_again_is_not_written(state_dir: Path) -> None:
    begin(state_dir)
    folder = Folder.open(str(state_dir))
    assert folder is not None
    with folder, pytest.raises(JournalUnusable, match="cannot be journalled"):
        journal.append(folder, journal.read(folder), NOW, "intent", "r1", "alice", gateway="no name")
    assert read(state_dir).state == journal.OK


def test_a_look_without_books_ends_at_the_first_name_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: List[Any] = []
    real = os.open

    def counted(path: Any, *arguments: Any, **named: Any) -> int:
        opened.append(path)
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", counted)
    read_status("/nonexistent/folder")
    assert opened == ["/", "nonexistent"]
