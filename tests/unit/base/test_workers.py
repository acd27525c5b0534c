"""A worker that a library has started for a script is known by its command line, and nobody else is taken for one."""

from __future__ import annotations

from typing import Tuple

import pytest
from ansible.module_utils.ib_gateway.base.workers import is_tracker, is_worker, may_be_worker

SPAWN = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=4, pipe_handle=6)"
SERVER = "from multiprocessing.forkserver import main; main(5, 6, ['__main__'], **{'sys_path': []})"
TRACKER = "from multiprocessing.resource_tracker import main;main(3)"
LOKY_TRACKER = "from joblib.externals.loky.backend.resource_tracker import main; main(4, False)"
LOKY = "joblib.externals.loky.backend.popen_loky_posix"


@pytest.mark.parametrize(
    "argv",
    [
        ("/venv/bin/python", "-B", "-c", SPAWN, "--multiprocessing-fork"),
        ("python3.14t", "-X", "dev", "-W", "error", "-s", "-c", SERVER),
        ("/usr/bin/python3", "-c", TRACKER),
        ("python3", "-c", LOKY_TRACKER),
        ("python3", "-m", LOKY, "--process-name", "LokyProcess-1", "--pipe", "9"),
        ("python3", "-m", "loky.backend.popen_loky_posix", "--pipe", "9"),
        ("python3", "-c", "from billiard.spawn import spawn_main; spawn_main(pipe_handle=6)"),
        ("python3", "-c", "from multiprocess.spawn import spawn_main; spawn_main(pipe_handle=6)"),
        ("/opt/desk/router", "--multiprocessing-fork", "tracker_fd=4", "pipe_handle=6"),
    ],
)
def test_what_a_library_starts_for_a_script_is_a_worker(argv: Tuple[str, ...]) -> None:
    assert is_worker(argv) and may_be_worker("\0".join(argv).encode())


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("python3",),
        ("python3", "bot.py", "-c", SPAWN),
        ("python3", "-X", "dev", "bot.py", "-c", SPAWN),
        ("grep", "-c", SPAWN, "bot.py"),
        ("python3", "-c", "import time; time.sleep(9)"),
        ("python3", "-m", "joblib"),
        ("python3", "bot.py", "--multiprocessing-fork"),
    ],
)
def test_what_only_speaks_of_workers_is_none(argv: Tuple[str, ...]) -> None:
    assert not is_worker(argv)


@pytest.mark.parametrize(("code", "found"), [(TRACKER, True), (LOKY_TRACKER, True), (SPAWN, False), (SERVER, False)])
def test_what_collects_leftovers_is_told_from_what_works(code: str, found: bool) -> None:
    assert is_tracker(("python3", "-c", code)) is found
