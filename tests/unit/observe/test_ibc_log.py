"""IBC's log on a host: which files are found and read, and which are not touched at all. Real files and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.base.ibc_words import LoginLog
from ansible.module_utils.ib_gateway.observe import ibc_log

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads procfs")
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file to another account")

SESSION = "Starting session: will exit if login dialog is not displayed within 60 seconds"
COMPLETED = "Login has completed"
OTHER_ACCOUNT = 12345


def stamped(text: str, at: Optional[float] = None, zone: float = 0.0) -> str:
    """A line as IBC writes it, in this host's time or one that is so many seconds off."""
    moment = time.localtime((time.time() if at is None else at) + zone)
    return time.strftime("%Y-%m-%d %H:%M:%S", moment) + ":123 IBC: " + text + "\n"


class Desk:
    """Processes that stand for gateways; each ends with the test."""

    def __init__(self) -> None:
        self.started: List[subprocess.Popen[bytes]] = []

    def gateway(self, output: Optional[Path] = None, environment: Optional[Dict[str, str]] = None, **more: Any) -> int:
        """A process whose standard output is this file; returns its pid."""
        clean = {name: value for name, value in os.environ.items() if name not in ("TZ", "HOME")}
        with open(output or os.devnull, "ab") as file:
            argv: Sequence[str] = more.pop("argv", ["sleep", "60"])
            given = {**clean, **(environment or {})}
            process = subprocess.Popen(argv, env=given, **{"stdout": file, "stderr": subprocess.DEVNULL, **more})
        self.started.append(process)
        # The kernel lets the parent go on a moment before it tells the words of what was started.
        deadline = time.monotonic() + 10
        while not Path("/proc/%d/environ" % process.pid).read_bytes() and time.monotonic() < deadline:
            time.sleep(0.001)
        return process.pid


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    for process in made.started:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "ibc-3.23.0_GATEWAY-1045_Sunday.txt"


def kinds(found: Optional[LoginLog]) -> Optional[List[str]]:
    return None if found is None else [event.kind for event in found.events]


def since() -> float:
    return time.time() - 30.0


def test_the_output_of_a_gateway_is_its_log(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION) + "a line of somebody else\n" + stamped(COMPLETED), encoding="utf-8")
    found = ibc_log.read(desk.gateway(log), since())
    assert kinds(found) == ["session_start", "completed"]
    assert found is not None
    assert (found.path, found.complete) == (str(log), True)
    assert all(event.at is not None and abs(event.at - time.time()) < 5 for event in found.events)


def test_an_account_number_in_the_name_of_a_log_s_folder_is_masked(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "U1234567").mkdir()
    log = tmp_path / "U1234567" / "ibc.txt"
    log.write_text(stamped(SESSION), encoding="utf-8")
    found = ibc_log.read(desk.gateway(log), since())
    assert found is not None and found.path == str(log).replace("U1234567", "U*****67")


def test_a_log_that_was_deleted_is_still_the_output(desk: Desk, log: Path) -> None:
    pid = desk.gateway(log)
    log.write_text(stamped(SESSION), encoding="utf-8")
    log.unlink()
    assert kinds(ibc_log.read(pid, since())) == ["session_start"]


def test_a_file_that_a_gateway_writes_beside_its_output_may_be_the_log(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "anything.log"
    other.write_text(stamped(SESSION), encoding="utf-8")
    with open(other, "a", encoding="utf-8") as file:
        pid = desk.gateway(pass_fds=(file.fileno(),))
    assert kinds(ibc_log.read(pid, since())) == ["session_start"]


def test_a_log_that_the_process_only_reads_is_not_its_own(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION), encoding="utf-8")
    with open(log, encoding="utf-8") as file:
        pid = desk.gateway(pass_fds=(file.fileno(),))
    assert ibc_log.read(pid, since()) is None


@pytest.mark.parametrize("way", ["LOG_PATH", "ini in argv", "ibc-path in argv", "IBC_INI"])
def test_the_folders_that_ibc_is_told_or_has_by_convention_are_looked_into(
    desk: Desk, tmp_path: Path, way: str
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "ibc-3.23.0_GATEWAY-1045_Sunday.txt").write_text(stamped(SESSION), encoding="utf-8")
    (folder / "README.txt").write_text(stamped(COMPLETED), encoding="utf-8")
    script = tmp_path / "ibcstart.sh"
    script.write_text("sleep 60 && true\n", encoding="utf-8")
    argv = ["bash", str(script), "1045", "-g"]
    environment = {}
    if way == "ini in argv":
        argv.append("--ibc-ini=%s" % (tmp_path / "config.ini"))
    elif way == "ibc-path in argv":
        argv.append("--ibc-path=%s" % tmp_path)
    else:
        environment = {way: str(folder if way == "LOG_PATH" else tmp_path / "config.ini")}
    pid = desk.gateway(tmp_path / "screen", environment, argv=argv, start_new_session=True)
    try:
        assert kinds(ibc_log.read(pid, since())) == ["session_start"]
    finally:
        os.killpg(pid, 9)


def test_the_newest_log_of_a_folder_is_read(desk: Desk, tmp_path: Path) -> None:
    for day, text, age in (("Friday", COMPLETED, 20.0), ("Sunday", SESSION, 0.0), ("Saturday", "Login failed", 10.0)):
        file = tmp_path / f"ibc-3.23.0_GATEWAY-1045_{day}.txt"
        file.write_text(stamped(text), encoding="utf-8")
        os.utime(file, (time.time() - age,) * 2)
    pid = desk.gateway(tmp_path / "screen", {"LOG_PATH": str(tmp_path)})
    assert kinds(ibc_log.read(pid, since())) == ["session_start"]


def test_a_log_of_last_week_says_nothing(desk: Desk, log: Path) -> None:
    log.write_text(stamped(COMPLETED, time.time() - 7 * 86400), encoding="utf-8")
    pid = desk.gateway(log)
    os.utime(log, (time.time() - 7 * 86400,) * 2)
    assert ibc_log.read(pid, since()) is None


def test_the_log_before_its_rotation_is_read_with_it(desk: Desk, log: Path) -> None:
    rotated = log.with_name(log.name + ".1")
    rotated.write_text(stamped(SESSION, time.time() - 20), encoding="utf-8")
    log.write_text(stamped("Second Factor Authentication initiated"), encoding="utf-8")
    assert kinds(ibc_log.read(desk.gateway(log), since())) == ["session_start", "second_factor"]


def test_an_earlier_log_is_not_read_where_the_present_one_is_whole(desk: Desk, log: Path) -> None:
    log.with_name(log.name + ".1").write_text(stamped(COMPLETED), encoding="utf-8")
    log.write_text(stamped(SESSION), encoding="utf-8")
    assert kinds(ibc_log.read(desk.gateway(log), since())) == ["session_start"]


# --- what is not read ------------------------------------------------------------------------------------------------


def test_of_a_log_of_500_mb_only_its_end_is_read(desk: Desk, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(log, "wb") as file:
        file.truncate(500 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + stamped(SESSION).encode())
    asked: List[int] = []
    pread = os.pread

    def counted(descriptor: int, count: int, offset: int) -> bytes:
        asked.append(count)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    found = ibc_log.read(desk.gateway(log), since())
    assert kinds(found) == ["session_start"]
    assert found is not None
    assert not found.complete
    assert sum(asked) == ibc_log.MOST_BYTES


@pytest.mark.parametrize("content", [b"", b"\0" * (1 << 20), b"x" * (1 << 20), os.urandom(1 << 16)])
def test_a_log_without_lines_says_nothing(desk: Desk, log: Path, content: bytes) -> None:
    log.write_bytes(content)
    assert ibc_log.read(desk.gateway(log), since()) is None


def test_a_last_line_that_is_not_finished_yet_does_no_harm(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION) + "2026-11-2", encoding="utf-8")
    assert kinds(ibc_log.read(desk.gateway(log), since())) == ["session_start"]


def test_a_fifo_is_never_opened(desk: Desk, tmp_path: Path) -> None:
    fifo = tmp_path / "ibc-3.23.0_GATEWAY-1045_Sunday.txt"
    os.mkfifo(fifo)
    writer = desk.gateway(argv=["sh", "-c", f"echo waiting >&2; echo line > {fifo}; sleep 60"], stderr=subprocess.PIPE)
    pid = desk.gateway(tmp_path / "screen", {"LOG_PATH": str(tmp_path)})
    assert desk.started[0].stderr is not None
    assert desk.started[0].stderr.readline() == b"waiting\n"
    assert ibc_log.read(pid, since()) is None
    # A reader that came, even for a moment, would have let the writer go on.
    children = Path(f"/proc/{writer}/task/{writer}/children").read_text(encoding="ascii")
    assert children == ""
    desk.started[0].stderr.close()


def test_a_fifo_as_output_says_nothing(desk: Desk) -> None:
    assert ibc_log.read(desk.gateway(stdout=subprocess.PIPE), since()) is None


def test_a_link_in_place_of_a_log_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text(stamped(SESSION), encoding="utf-8")
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "ibc-3.23.0_GATEWAY-1045_Sunday.txt").symlink_to(target)
    pid = desk.gateway(tmp_path / "screen", {"LOG_PATH": str(folder)})
    assert ibc_log.read(pid, since()) is None


@root
@pytest.mark.parametrize("way", ["output", "folder", "rotated"])
def test_a_log_of_another_account_is_not_read(desk: Desk, log: Path, way: str) -> None:
    foreign = log if way != "rotated" else log.with_name(log.name + ".1")
    foreign.write_text(stamped(SESSION), encoding="utf-8")
    if way == "rotated":
        log.write_text(stamped(COMPLETED), encoding="utf-8")
    output, environment = (log, {}) if way != "folder" else (log.parent / "screen", {"LOG_PATH": str(log.parent)})
    pid = desk.gateway(output, environment)
    os.chown(foreign, OTHER_ACCOUNT, -1)
    assert kinds(ibc_log.read(pid, since())) == (["completed"] if way == "rotated" else None)


@root
def test_an_account_s_own_log_is_read_by_root(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION), encoding="utf-8")
    os.chown(log, OTHER_ACCOUNT, -1)
    pid = desk.gateway(log, argv=["setpriv", f"--reuid={OTHER_ACCOUNT}", "--clear-groups", "sleep", "60"])
    deadline = time.monotonic() + 10
    while os.stat(f"/proc/{pid}").st_uid != OTHER_ACCOUNT and time.monotonic() < deadline:
        pass
    assert kinds(ibc_log.read(pid, since())) == ["session_start"]


def test_a_log_that_another_gateway_writes_as_well_tells_nothing(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION), encoding="utf-8")
    first, second = desk.gateway(log), desk.gateway(log)
    assert ibc_log.read(first, since(), [second]) is None
    assert ibc_log.read(first, since(), [first]) is not None


def test_a_process_that_has_gone_has_no_log(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION), encoding="utf-8")
    pid = desk.gateway(log)
    desk.started[0].kill()
    desk.started[0].wait()
    assert ibc_log.read(pid, since()) is None


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-5.0, 5.5, 9.0])
def test_a_gateway_with_a_time_zone_of_its_own_is_understood(desk: Desk, log: Path, hours: float) -> None:
    log.write_text(stamped(SESSION, zone=hours * 3600), encoding="utf-8")
    found = ibc_log.read(desk.gateway(log, {"TZ": "Somewhere/Else"}), since())
    assert found is not None
    assert found.events[0].at == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize("stamp", ["2026-13-01 09:18:03", "0000-01-01 00:00:00", "2026-02-39 99:99:99"])
def test_a_time_that_is_none_is_no_error(desk: Desk, log: Path, stamp: str) -> None:
    log.write_text(f"{stamp}:123 IBC: {SESSION}\n{stamped(COMPLETED)}", encoding="utf-8")
    found = kinds(ibc_log.read(desk.gateway(log), since()))
    assert found is not None
    assert found[-1] == "completed"


def test_a_time_that_cannot_be_told_is_none(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION, zone=1234.0), encoding="utf-8")
    found = ibc_log.read(desk.gateway(log, {"TZ": "Somewhere/Else"}), since())
    assert found is not None
    assert found.events[0].at is None


def test_a_line_of_the_start_script_is_as_old_as_the_log_s_last_change(desk: Desk, log: Path) -> None:
    log.write_text(stamped(SESSION, time.time() - 600) + "IBC returned exit status 88\n", encoding="utf-8")
    found = ibc_log.read(desk.gateway(log), since())
    assert found is not None
    assert [round(time.time() - (event.at or 0), -1) for event in found.events] == [600, 0]
