"""What make brings for whom, and what it says of a folder in which Ansible would ignore the project's settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from unit.module_runs import PROJECT

PARTS = [
    *(PROJECT / name for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "requirements-notices.txt")),
    *PROJECT.glob("[a-z]*/*.mk"),
]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with what make reads, and without an environment."""
    for part in PARTS:
        copy = tmp_path / part.relative_to(PROJECT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(part, copy)
    tmp_path.chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["setup", "doctor", "demo", "notices", "merge-reports"])
def test_an_operator_s_targets_install_what_an_operator_needs(bare: Path, target: str) -> None:
    told = make(bare, "--dry-run", target).stdout
    assert "--requirement requirements.txt" in told and "requirements-dev" not in told


@pytest.mark.parametrize("target", ["lint", "types", "unit", "fuzz", "integration", "molecule", "bench", "test"])
def test_a_developer_s_targets_bring_the_rest_after_that(bare: Path, target: str) -> None:
    told = make(bare, "--dry-run", target).stdout
    assert 0 < told.index("--requirement requirements.txt") < told.index("--requirement requirements-dev.txt")


def test_a_folder_that_everybody_may_write_to_is_named_with_the_way_out(bare: Path) -> None:
    assert make(bare, "folder").stderr == ""
    bare.chmod(0o777)
    found = make(bare, "folder")
    assert found.returncode == 0 and f"chmod o-w {bare}" in found.stderr
