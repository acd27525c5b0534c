"""The single file is the package, whole and unchanged, and both offer the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from unit.client_kit import KIT, PACKAGE
from unit.module_runs import PROJECT

MODULES = sorted((PACKAGE / "ib_connect").glob("*.py"))


def test_the_single_file_is_what_is_assembled_from_the_package() -> None:
    sys.path.insert(0, str(PACKAGE))
    try:
        from assemble import assembled  # type: ignore[import-not-found, unused-ignore]
    finally:
        sys.path.remove(str(PACKAGE))
    made = (KIT / "ib_connect.py").read_text(encoding="utf-8")
    assert made == assembled(), "run: python roles/ib_client_kit/package/assemble.py"


def test_package_and_single_file_offer_the_same_names() -> None:
    offered = [
        subprocess.run(
            [sys.executable, "-c", "import ib_connect; print(sorted(ib_connect.__all__), ib_connect.__doc__)"],
            env={"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for folder in (KIT, PACKAGE)
    ]
    assert offered[0] == offered[1] != ""


@pytest.mark.parametrize("path", [*MODULES, KIT / "ib_connect.py"], ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_module_is_python_3_8(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 8))
    assert "from __future__ import annotations" in text


def test_the_package_needs_nothing_but_the_standard_library() -> None:
    imported: List[str] = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported += [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.append(node.module or "")
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
