"""The audit on real files, on the scripts of real processes, and with rewrites."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from unit.module_runs import ANSIBLE_S_OWN, differing, documented

from integration.audited_scripts import BOT, LIVE, MENDED
from integration.desk import Desk, until
from integration.modules import run_module


def found_codes(found: dict[str, Any]) -> set[str]:
    return {each["code"] for each in found["problems"]}


def test_a_folder_is_audited_and_what_is_returned_is_what_is_documented(folder: Path) -> None:
    (folder / "old.py").write_text("print 'hello'\n")
    found = run_module("ib_client_audit", paths=[str(folder)], gateways=[LIVE])
    assert not found.get("failed") and found["changed"] is False
    assert {"port_contradicts_mode", "hardcoded_client_id", "loop_in_function", "file_python2"} <= found_codes(found)
    assert found["clients"] == [str(folder / "live_bot.py")] and found["files"] == 2
    assert sum(found["summary"].values()) == len(found["problems"])
    returned = {key: value for key, value in found.items() if key not in ANSIBLE_S_OWN}
    assert differing(returned, documented("ib_client_audit")[1], "ib_client_audit") == []


def test_nothing_is_run_or_imported(folder: Path, tmp_path: Path) -> None:
    trap = "open(%r, 'w')\n" % str(tmp_path / "sprung")
    (folder / "trap.py").write_text(trap + BOT)
    (folder / "settings.py").write_text(trap + "ID = 1\n")
    run_module("ib_client_audit", paths=[str(folder)])
    assert not (tmp_path / "sprung").exists() and not list(folder.rglob("__pycache__"))


def test_a_constant_of_a_file_beside_the_script_is_followed_into(folder: Path) -> None:
    (folder / "settings.py").write_text("ID = 15\n")
    (folder / "bot.py").write_text(
        "from ib_insync import IB\nfrom settings import ID\nIB().connect('h', 1, clientId=ID)\n"
    )
    found = run_module("ib_client_audit", paths=[str(folder / "bot.py")])
    (problem,) = [each for each in found["problems"] if each["code"] == "hardcoded_client_id"]
    assert (problem["file"], problem["line"], found["files"]) == (str(folder / "settings.py"), 1, 1)


def test_names_and_texts_of_any_bytes_are_returned_as_text(folder: Path) -> None:
    name = os.fsencode(str(folder)) + b"/caf\xe9.py"
    with open(name, "wb") as file:
        file.write(BOT.encode())
    found = run_module("ib_client_audit", paths=[str(folder)])
    assert any("caf\\udce9.py" in each["file"] or "caf\\xe9.py" in each["file"] for each in found["problems"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "paths"),
        ({"paths": ["/x"], "max_size": 0}, "max_size"),
        ({"paths": ["/x"], "fix_codes": ["no_disconnect"]}, "fix_codes"),
        ({"paths": ["/x"], "gateways": [{"name": "a", "trading_mode": "life"}]}, "trading_mode"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options: dict[str, Any], said: str) -> None:
    found = run_module("ib_client_audit", **options)
    assert found["failed"] is True and said in found["msg"]


# --- the scripts of processes ----------------------------------------------------------------------------------------


def test_the_scripts_of_connected_and_named_processes_are_audited(desk: Desk, folder: Path) -> None:
    gateway = desk.gateway()
    held = desk.script()
    (folder / "waiting.py").write_text("from ib_insync import IB\nIB().connect\nIB.connect\ninput()\n" + BOT)
    with subprocess.Popen(
        [sys.executable, "-u", "waiting.py"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as waiting:
        until(lambda: Path("/proc/%d/cmdline" % waiting.pid).read_bytes().endswith(b"waiting.py\0"))
        entry = {**LIVE, "port": gateway.port, "client_patterns": [r"waiting\.py"]}
        found = run_module("ib_client_audit", running=True, gateways=[entry])
        waiting.kill()
    by_pid = {each["pid"]: each["file"] for each in found["running"]}
    assert by_pid[waiting.pid] == str(folder / "waiting.py")
    assert by_pid[held.pid].endswith("hold_session.py")
    assert str(folder / "waiting.py") in {each["file"] for each in found["problems"]}


def _argv(pid: int) -> bytes:
    return Path("/proc/%d/cmdline" % pid).read_bytes()


def test_two_processes_of_one_script_with_one_id_are_told_as_such(desk: Desk, folder: Path) -> None:
    (folder / "waiting.py").write_text("input()\n" + BOT)
    entry = {**LIVE, "port": desk.port, "client_patterns": [r"waiting\.py"]}
    with ExitStack() as stack:
        twins = []
        for _ in range(2):
            command = [sys.executable, "-u", "waiting.py"]
            twin = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            stack.callback(twin.wait)
            stack.callback(twin.kill)
            twins.append(twin)
        until(lambda: all(_argv(twin.pid).endswith(b"waiting.py\0") for twin in twins))
        found = run_module("ib_client_audit", running=True, gateways=[entry])
    (shared,) = [each for each in found["problems"] if each["code"] == "shared_client_id"]
    assert shared["line"] == 10 and "client id 15 is used by 2 processes of this script" in shared["summary"]
    assert all(str(twin.pid) in shared["summary"] for twin in twins)
    assert {each["pid"] for each in found["running"]} >= {twin.pid for twin in twins}


# --- rewrites --------------------------------------------------------------------------------------------------------


def fixed(path: Path, **options: Any) -> dict[str, Any]:
    return run_module("ib_client_audit", paths=[str(path)], gateways=[LIVE], fix=True, **options)


def test_check_mode_shows_the_diff_and_touches_nothing(fixable: Path) -> None:
    before = fixable.stat()
    found = fixed(fixable, check=True, diff=True)
    assert found["changed"] is True and fixable.read_text() == BOT
    assert (fixable.stat().st_ino, fixable.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "LIVE_PORT, clientId=ib_connect.client_id())" in found["diff"][0]["prepared"]
    assert "+LIVE_PORT" not in found["diff"][0]["prepared"]
    assert sorted(each.name for each in fixable.parent.iterdir()) == ["ib_connect.py", "live_bot.py"]


def test_a_rewrite_keeps_a_copy_mode_and_owner_and_a_second_one_changes_nothing(fixable: Path) -> None:
    if os.getuid() == 0:
        os.chown(fixable, 12345, 12346)
    owner = fixable.stat().st_uid, fixable.stat().st_gid
    found = fixed(fixable)
    assert found["changed"] is True and fixable.read_text() == MENDED
    assert (fixable.stat().st_mode & 0o777, (fixable.stat().st_uid, fixable.stat().st_gid)) == (0o750, owner)
    (backup,) = found["backups"]
    assert Path(backup["backup"]).read_text() == BOT and backup["file"] == str(fixable)
    codes = {"hardcoded_client_id", "loop_in_function"}
    assert {each["code"] for each in found["fixed"]} == codes and not codes & found_codes(found)
    assert found["left"] == []
    again = fixed(fixable)
    assert (again["changed"], again["fixed"], again["backups"]) == (False, [], [])
    assert not [each for each in fixable.parent.iterdir() if each.name.startswith(".")]


def test_a_link_stays_a_link_and_without_backup_no_copy_is_kept(fixable: Path) -> None:
    link = fixable.parent.parent / "live_link.py"
    link.symlink_to(fixable)
    found = fixed(link, backup=False, kit_importable=True)
    assert found["changed"] is True and found["backups"] == []
    assert link.is_symlink() and "clientId=ib_connect.client_id())" in fixable.read_text()


def test_only_the_chosen_problems_are_rewritten(fixable: Path) -> None:
    fixed(fixable, fix_codes=["hardcoded_client_id"])
    assert "util.startLoop()\n    ib = IB()" in fixable.read_text() and "client_id()" in fixable.read_text()


def test_what_is_left_is_said_with_the_reason(fixable: Path) -> None:
    (fixable.parent / "ib_connect.py").unlink()
    found = fixed(fixable)
    (left,) = found["left"]
    assert (left["code"], left["line"]) == ("hardcoded_client_id", 9) and "ib_connect.py" in left["reason"]
    assert "15" in fixable.read_text()
