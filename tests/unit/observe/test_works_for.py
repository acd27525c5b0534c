"""For whom a process works, asked of real ones: the nearest process above it that runs something of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import WORKER_OF_UNKNOWN
from ansible.module_utils.ib_gateway.observe import processes
from ansible.module_utils.ib_gateway.observe.process_table import Table
from ansible.module_utils.ib_gateway.observe.workers import NOBODY, works_for

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads procfs")

#: Tells the pids of its worker and of nobody else, and ends when its input does, as the worker then does.
SCRIPT = """
import multiprocessing, os, sys
def work(told, until):
    told.send(os.getpid())
    until.recv()
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    told, tells = context.Pipe(False)
    until, ends = context.Pipe(False)
    context.Process(target=work, args=(tells, until)).start()
    print(told.recv(), flush=True)
    sys.stdin.read()
    ends.send(None)
"""
#: Starts what looks like a worker, of itself or of nobody, which ends with its input.
LIKE_ONE = """
import os, subprocess, sys
code = "from multiprocessing.spawn import spawn_main; import sys; print(1, flush=True); sys.stdin.read()"
apart = sys.argv[1] == "apart"
worker = subprocess.Popen([sys.executable, "-c", code], start_new_session=apart, stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
if sys.argv[1] == "stays":
    sys.stdin.read()
"""


@contextmanager
def started(folder: Path, text: str, *words: str) -> Iterator[Tuple[subprocess.Popen[bytes], int]]:
    """(a script of this text, the pid that it tells); it ends with its input."""
    path = folder / "order_router.py"
    path.write_text(text, encoding="utf-8")
    argv = [sys.executable, str(path), *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as script:
        assert script.stdin is not None and script.stdout is not None
        try:
            yield script, int(script.stdout.readline())
        finally:
            script.stdin.close()


def asked(pid: int) -> Tuple[object, List[str]]:
    found, argv = works_for(pid, processes.read_argv, processes.read_stat)
    return found, [os.path.basename(word) for word in argv[1:2]]


@pytest.mark.parametrize("how", ["spawn", "forkserver", "fork"])
def test_a_worker_works_for_the_script_that_has_started_it_however_that_was(tmp_path: Path, how: str) -> None:
    with started(tmp_path, SCRIPT, how) as (script, worker):
        assert asked(worker) == (script.pid, ["order_router.py"])
        assert works_for(script.pid, processes.read_argv, processes.read_stat) == NOBODY


def test_a_worker_whose_script_has_ended_works_for_nobody_that_is_known(tmp_path: Path) -> None:
    with started(tmp_path, LIKE_ONE, "leaves") as (script, worker):
        script.wait(30)
        assert asked(worker) == (WORKER_OF_UNKNOWN, [])


def test_a_worker_that_pid_1_has_taken_in_is_not_pid_1s_where_all_share_one_session(tmp_path: Path) -> None:
    """As in a container, and in whatever pid 1 has started without a session of its own."""

    def in_one_session(pid: int) -> Optional[processes.Stat]:
        stat = processes.read_stat(pid)
        return stat._replace(session=1) if stat is not None else None

    with started(tmp_path, LIKE_ONE, "leaves") as (script, worker):
        script.wait(30)
        assert works_for(worker, processes.read_argv, in_one_session) == (WORKER_OF_UNKNOWN, ())


@pytest.mark.parametrize("program", ["/usr/bin/tini", None])
def test_a_worker_below_another_program_than_its_own_works_for_nobody_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Optional[str]
) -> None:
    with started(tmp_path, LIKE_ONE, "stays") as (script, worker):
        own = processes.read_exe(worker)
        monkeypatch.setattr(processes, "read_exe", lambda pid: own if pid == worker else program)
        assert asked(worker) == (WORKER_OF_UNKNOWN, [])
        monkeypatch.setattr(processes, "read_exe", lambda _pid: None)
        assert asked(worker) == (script.pid, ["order_router.py"]), "where nobody may read them, nothing speaks against"


def test_a_supervisor_that_has_taken_in_a_worker_is_not_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path, LIKE_ONE, "stays") as (script, worker):
        read = processes.read_argv
        supervisor = (sys.executable, "/usr/bin/supervisord", "-n")
        monkeypatch.setattr(processes, "read_argv", lambda pid: supervisor if pid == script.pid else read(pid))
        assert asked(worker) == (WORKER_OF_UNKNOWN, [])


def test_a_worker_in_a_session_of_its_own_is_known_by_the_control_group_that_it_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path, LIKE_ONE + "\nsys.stdin.read()", "apart") as (script, worker):
        monkeypatch.setattr(processes, "read_text", lambda _pid, _name: "0::/system.slice/bot.service\n")
        assert asked(worker) == (script.pid, ["order_router.py"])
        monkeypatch.setattr(processes, "read_text", lambda _pid, _name: "0::/\n")
        assert asked(worker) == (WORKER_OF_UNKNOWN, [])


def test_a_worker_of_another_account_than_the_process_above_it_works_for_nobody_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path, LIKE_ONE, "stays") as (script, worker):
        assert asked(worker)[0] == script.pid
        monkeypatch.setattr(processes, "read_real_uid", lambda pid: 1000 + (pid == worker))
        assert asked(worker) == (WORKER_OF_UNKNOWN, [])


def test_a_pattern_names_the_worker_of_a_script_as_well_but_not_what_collects_its_leftovers(tmp_path: Path) -> None:
    with started(tmp_path, SCRIPT, "spawn") as (script, worker):
        named = Table(every_command_line=True).matching([re.compile(re.escape(str(tmp_path)))])
        assert named == {script.pid, worker}
