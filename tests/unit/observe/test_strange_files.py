"""Files and tables that anybody may have written, as a whole: read, or refused with the error that is documented."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.observe import linux, processes, sockets
from ansible.module_utils.ib_gateway.state import journal, lease
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.journal import JournalUnusable
from ansible.module_utils.ib_gateway.state.records import format_line
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from ansible.module_utils.ib_gateway.state.state_folder import Folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.repair_records import NOW, StoppingCalls, authorization, begin, record, signed

quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that is there."""
    monkeypatch.setattr("ansible.module_utils.ib_gateway.state.state_folder.calls", StoppingCalls())
    found = tmp_path / "state"
    found.mkdir(mode=0o700)
    return found


def never_a_traceback(folder: Path) -> Dict[str, Any]:
    """Looks at the books, begins, and asks the check; what the look says."""
    looked = read_status(str(folder))
    assert looked["journal"] in ("ok", "absent", "unusable") and str(looked["note"]).isprintable()
    begun = begin(folder)
    assert begun["begun"] or begun["reason"] or begun["refused"]
    if looked["journal"] == "unusable":
        assert not begun["begun"] and begun["reason"].startswith("observe only: ")
    with AdmissionCheck(authorization(folder), False) as check:
        reason = check.admit("restart", "live", "d" * 64)
    assert reason is None or reason
    assert looked["journal"] != "unusable" or reason
    return looked


# --- the journal -----------------------------------------------------------------------------------------------------

GOOD = [
    format_line(record(1, "begin")),
    format_line(record(2, "intent", action="restart", target={"pid": 7})),
    format_line(record(3, "outcome", action="restart", result="done", intent=2)),
    format_line(record(4, "end", result="failure")),
]
#: Lines of our own, of nobody's, of somebody who can make a checksum, and halves.
LINES = st.one_of(
    st.sampled_from(GOOD),
    st.binary(max_size=40),
    st.sampled_from(GOOD).map(lambda line: line[: len(line) // 2]),
    JSON.map(lambda value: signed(_json(value)) + b"\n"),
    st.dictionaries(
        st.sampled_from(["v", "n", "at", "kind", "boot_id", "boottime", "run", "by", "gateway", "kept", "target"]), JSON
    ).map(lambda value: signed(_json({"v": 1, "n": 1, **value})) + b"\n"),
)


def _json(value: Any) -> str:
    text = json.dumps(value)
    return text if text.endswith("}") else '{"x":%s}' % text


@quick
@given(st.lists(LINES, max_size=5), st.booleans())
@example(GOOD[:2] + GOOD[3:], True)
def test_any_journal_is_read_or_leaves_the_host_to_be_observed(folder: Path, lines: List[bytes], marked: bool) -> None:
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    (folder / journal.FILE).write_bytes(b"".join(lines))
    if marked:
        (folder / journal.MARKER).write_bytes(b"x")
    looked = never_a_traceback(folder)
    whole = [line for line in lines if line in GOOD]
    if looked["journal"] == "unusable":
        assert "playbooks/release.yml" in looked["note"]
    elif lines == whole:
        assert whole == GOOD[: len(whole)], "a gap or a repetition is damage"


# --- lease, pause, and whatever else lies there ----------------------------------------------------------------------


@quick
@given(st.one_of(st.binary(max_size=60), JSON.map(lambda value: _json(value).encode())))
@example(b'{"run": "r", "by": "a", "since": "2026-11-22T18:00:00Z", "boot_id": "b", "boottime": 1e400, "seconds": 9}')
@example(b'{"run": "r", "by": "a", "since": "2026-11-22T18:00:00Z", "boot_id": "b", "boottime": NaN, "seconds": 9}')
@example(b'{"run": "\\ud800", "by": "a", "since": "2026-11-22T18:00:00Z", "boot_id": "b", "boottime": 1, "seconds": 9}')
@example(b"[" * 60_000)
def test_any_lease_is_one_or_holds_nobody_off(folder: Path, data: bytes) -> None:
    (folder / lease.FILE).write_bytes(data)
    opened = Folder.open(str(folder))
    assert opened is not None
    with opened:
        found = lease.read(opened)
    assert found is not None
    assert lease.held_text(found).isprintable() and isinstance(lease.void(found, NOW), str)
    never_a_traceback(folder)


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.jsonl.1", "journal.id", "lease.json", "pause.json", "lock"])
@pytest.mark.parametrize("what", ["folder", "symlink", "fifo", "writable", "huge"])
def test_what_is_no_plain_file_of_ours_is_refused_and_named(folder: Path, name: str, what: str) -> None:
    begin(folder)
    file = folder / name
    if file.exists():
        file.unlink()
    if what == "folder":
        file.mkdir()
    elif what == "symlink":
        file.symlink_to("/etc/hostname")
    elif what == "fifo":
        os.mkfifo(str(file), 0o600)
    else:
        file.write_bytes(b"x" * (70_000 if what == "huge" else 1))
        file.chmod(0o666 if what == "writable" else 0o600)
    looked = never_a_traceback(folder)
    if name == "journal.jsonl":
        assert looked["journal"] == "unusable" and name in looked["note"]
    if name == "pause.json":
        assert looked["paused"] and name in looked["paused"]


# --- procfs ----------------------------------------------------------------------------------------------------------

FIELDS = ("stat", "status", "cmdline", "cgroup")
LIKELY = {
    "stat": b"7 (java) S 1 " + b"0 " * 17 + b"8812345 0",
    "status": b"Name:\tjava\nUid:\t1000\t1000\t1000\t1000\n",
    "cmdline": b"java\0-DjtsConfigDir=/srv/live\0ibgateway.GWClient\0",
    "cgroup": b"0::/system.slice/ibgateway.service\n",
}
TABLE = st.dictionaries(
    st.integers(1, 5),
    st.fixed_dictionaries({name: st.one_of(st.just(LIKELY[name]), st.binary(max_size=40)) for name in FIELDS}),
    max_size=4,
)


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A process table of one's own; the sockets are none."""
    folder = Path(tempfile.mkdtemp(prefix="proc"))
    monkeypatch.setattr(processes, "PROC", str(folder))
    monkeypatch.setattr(sockets, "listeners", list)
    monkeypatch.setattr(sockets, "connections", lambda _ports: [])
    yield folder
    shutil.rmtree(folder)


def _write(proc: Path, table: Dict[int, Dict[str, bytes]], children: bytes) -> None:
    shutil.rmtree(proc)
    (proc / "sys" / "kernel" / "random").mkdir(parents=True)
    (proc / "sys" / "kernel" / "random" / "boot_id").write_bytes(b"1b4e28ba-2fa1-11d2-883f-0016d3cca427\n")
    (proc / "self" / "task").mkdir(parents=True)
    for pid, files in table.items():
        for thread in (pid, 1000 + pid):  # a JVM has more than one
            (proc / str(pid) / "task" / str(thread)).mkdir(parents=True)
            (proc / str(pid) / "task" / str(thread) / "children").write_bytes(children)
        (proc / str(pid) / "fd").mkdir()
        (proc / str(pid) / "fd" / "3").symlink_to("socket:[77]")
        for name, data in files.items():
            (proc / str(pid) / name).write_bytes(data)


@quick
@given(TABLE, st.sampled_from([b"", b"2 3 ", b"4"]))
def test_any_process_table_is_read_and_no_entry_hides_the_others(
    proc: Path, table: Dict[int, Dict[str, bytes]], children: bytes
) -> None:
    _write(proc, table, children)
    reading = linux.read([4001], [], ["ibgateway.service"])
    good = {pid for pid, files in table.items() if all(files[name] == LIKELY[name] for name in FIELDS)}
    found = {pid for pid, process in reading.processes.items() if process.gateway}
    assert good <= found <= set(table)
    for pid in table:
        assert pid in processes.ancestors(pid) and isinstance(processes.read_argv(pid), tuple)
        assert processes.socket_inodes(pid) == frozenset((77,)) and processes.children(pid) is not None


def test_a_table_that_cannot_be_read_at_all_is_an_os_error(proc: Path) -> None:
    shutil.rmtree(proc)
    try:
        with pytest.raises(OSError):
            linux.read([4001], [], [])
    finally:
        proc.mkdir()


def test_unusable_books_are_the_only_error_of_a_folder(folder: Path) -> None:
    with mock.patch.object(os, "open", side_effect=PermissionError(13, "Permission denied")):
        with pytest.raises(JournalUnusable, match="Permission denied; run with become"):
            Folder.open(str(folder))
        assert read_status(str(folder))["journal"] == "unusable"
