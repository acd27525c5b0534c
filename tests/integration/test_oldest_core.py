"""The oldest ansible-core that the project promises to work with. `make matrix` runs all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT))

from collection import build, matrix, sanity, shipped  # noqa: E402 - needs the path above

OLDEST = next(iter(sanity.LINES))


@pytest.mark.timeout(600)  # where the environment is not there yet, its libraries come from an index
def test_the_oldest_core_runs_the_playbooks_out_of_the_checkout_and_out_of_the_collection(tmp_path: Path) -> None:
    python = next(matrix.pythons(OLDEST), None)
    if python is None:
        pytest.skip(f"none of Python {', '.join(sanity.LINES[OLDEST][0])} is here")
    try:
        programs = matrix.prepared(OLDEST, python)
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"ansible-core {OLDEST} cannot be had here: {str(error.stderr)[-300:]}")
    shipped.install(build.archive(build.write(tmp_path / "built"), tmp_path), tmp_path / "collections")

    assert matrix.problems(programs, tmp_path / "collections") == []
