"""The kit with the release of ibapi that `pip install ibapi` gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(sys.prefix) / "ibapi-oldest"
TESTS = Path(__file__).resolve().parent.parent / "unit" / "test_ib_connect_ibapi.py"


def test_all_that_holds_with_the_newest_release_holds_with_this_one() -> None:
    assert FOLDER.is_dir(), f"{FOLDER} is missing: run make unit, which installs it"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(TESTS)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout
