"""The live probe's file is made of the project's own modules, and runs where nothing is installed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
from unit.live_probe import PACKAGE, PROBE, assembler, oldest_python
from unit.module_runs import PROJECT

assemble = assembler()
TEXT = PROBE.read_text(encoding="utf-8")


def test_the_file_is_what_is_assembled_from_the_modules() -> None:
    assert assemble.assembled() == TEXT, "run: python roles/ib_live_probe/package/assemble.py"
    assert os.access(PROBE, os.X_OK)


def test_another_order_of_hashing_makes_the_same_file() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import assemble; print(assemble.assembled(), end='')"],
        env={"PYTHONPATH": str(PACKAGE), "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == TEXT


def test_what_goes_in_stands_in_it_word_for_word() -> None:
    for path, name in (
        ("api/wire.py", "FrameDecoder"),
        ("api/messages.py", "ManagedAccounts"),
        ("base/probe.py", "Probe"),
    ):
        text = (PROJECT / "module_utils" / "ib_gateway" / path).read_text(encoding="utf-8")
        (found,) = (each for each in ast.parse(text).body if isinstance(each, ast.ClassDef) and each.name == name)
        for method in found.body:
            words = ast.get_source_segment(text, method) or ""
            assert words in TEXT, (path, words)


def test_what_only_command_lines_need_is_left_out() -> None:
    assert "redact_argv" not in TEXT and "class GatewaySpec" not in TEXT and "ib_insync.IB" not in TEXT


def test_it_is_python_3_8_and_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(TEXT, feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_python_3_8_loads_it_without_a_warning() -> None:
    python = oldest_python()
    if python is None:
        pytest.skip("this machine has no Python 3.8")
    shown = subprocess.run(
        [python, "-I", "-W", "error", str(PROBE), "--help"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0 and "--for" in shown.stdout and not shown.stderr


# --- the assembler ---------------------------------------------------------------------------------------------------


def names_of(source_text: str) -> list[str]:
    """The names that reach out of a function, in the order of their places."""
    function = ast.parse(source_text).body[0]
    return [node.id for node in assemble._outer(function) if isinstance(node, ast.Name)]


def test_a_name_that_a_function_binds_is_not_the_module_s() -> None:
    assert names_of("def f(wire: Kind = DEFAULT) -> None:\n    return wire") == ["Kind", "DEFAULT"]
    assert names_of("def f() -> None:\n    return [each for each in rows]") == ["rows"]


def test_a_field_of_a_class_is_not_the_module_s_and_its_methods_do_not_see_it() -> None:
    assert names_of("class A:\n    mode: int = 0\n    def f(self):\n        return mode()") == ["int", "mode"]


@pytest.mark.parametrize("name", ["ib_live_probe.missing", "ansible.module_utils.ib_gateway.missing", "json"])
def test_a_module_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(SystemExit, match="no such module"):
        assemble.Module(name)
