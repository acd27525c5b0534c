"""Imports put off until they are needed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.api.lazy_import import deferred, submodule


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`heavy`, and those who import it in each way there is."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy/__init__.py").write_text("answer = 42\n")
    (tmp_path / "heavy/sub.py").write_text("answer = 43\n")
    (tmp_path / "user.py").write_text("import heavy as h\ndef ask(): return h.answer\n")
    (tmp_path / "from_user.py").write_text("from heavy import answer\n")
    (tmp_path / "sub_user.py").write_text("import heavy.sub\nanswer = heavy.sub.answer\n")
    (tmp_path / "missing_user.py").write_text("import no_such_module as m\ndef ask(): return m.answer\n")
    for package, sub in {
        "parts": "from .other import answer\n",
        "asks_its_package": "from asks_its_package import answer\n",
        "uses_its_package": "import uses_its_package as p\ndef ask(): return p.answer\n",
        "broken_part": "import no_such_module\n",
        "broken_whole": "from broken_whole import answer\n",
    }.items():
        (tmp_path / package).mkdir()
        whole = "import no_such_whole\n" if package == "broken_whole" else "from . import other\nanswer = 44\n"
        (tmp_path / package / "__init__.py").write_text(whole + "from . import part\n")
        (tmp_path / package / "part.py").write_text(sub)
        (tmp_path / package / "other.py").write_text("answer = 45\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = [each.name for each in tmp_path.iterdir() if each.is_dir()]
    parts = [f"{package}.{part}" for package in packages for part in ("part", "other")]
    for name in ("heavy.sub", "user", "from_user", "sub_user", "missing_user", *packages, *parts):
        # Set first, so that the end of the test takes away what was imported in it.
        monkeypatch.setitem(sys.modules, name, sys)
        monkeypatch.delitem(sys.modules, name)


def test_what_is_imported_meanwhile_gets_the_module_when_it_uses_it() -> None:
    with deferred("heavy"):
        user = importlib.import_module("user")
    assert "heavy" not in sys.modules
    assert user.ask() == 42
    assert sys.modules["heavy"].answer == user.h.answer == 42


@pytest.mark.parametrize(("name", "answer"), [("from_user", 42), ("sub_user", 43)])
def test_what_uses_the_module_while_it_is_imported_gets_it_at_once(name: str, answer: int) -> None:
    with deferred("heavy"):
        assert importlib.import_module(name).answer == answer
        assert sys.modules["heavy"].answer == 42
    assert sys.modules["heavy"].answer == 42


def test_a_module_that_is_there_already_stays_as_it_is() -> None:
    heavy = importlib.import_module("heavy")
    with deferred("heavy"):
        assert importlib.import_module("user").h is heavy
    assert sys.modules["heavy"] is heavy


def test_others_who_import_it_later_get_the_module_itself() -> None:
    with deferred("heavy"):
        user = importlib.import_module("user")
    assert importlib.import_module("heavy") is not user.h
    assert user.ask() == 42


def test_a_module_that_is_not_there_is_missed_when_it_is_used_and_not_before() -> None:
    with deferred("no_such_module"):
        user = importlib.import_module("missing_user")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        user.ask()


def test_nothing_is_left_behind_where_an_import_fails() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"), deferred("heavy"):
        importlib.import_module("nowhere")
    assert "heavy" not in sys.modules


def test_a_part_of_a_package_comes_without_the_package_and_leaves_nothing_behind() -> None:
    before = set(sys.modules)
    part = submodule("parts", "part")
    assert part.answer == 45 and part.__name__ == "parts.part"
    assert set(sys.modules) == before
    whole = importlib.import_module("parts")
    assert whole.answer == 44 and whole.part is not part and whole.other is sys.modules["parts.other"]


def test_a_part_of_a_package_that_is_there_already_is_that_packages_own() -> None:
    whole = importlib.import_module("parts")
    assert submodule("parts", "part") is whole.part


def test_a_package_is_imported_whole_where_its_part_needs_it() -> None:
    assert submodule("asks_its_package", "part").answer == 44
    assert sys.modules["asks_its_package"].part is sys.modules["asks_its_package.part"]


def test_a_package_that_its_part_uses_later_is_imported_then() -> None:
    part = submodule("uses_its_package", "part")
    assert "uses_its_package" not in sys.modules
    assert part.ask() == 44
    assert sys.modules["uses_its_package"].answer == 44


@pytest.mark.parametrize(
    ("package", "missing"),
    [("broken_part", "no_such_module"), ("broken_whole", "no_such_whole"), ("no_such_package", "no_such_package")],
)
def test_what_cannot_be_imported_is_told_as_importing_the_package_tells_it(package: str, missing: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=missing):
        submodule(package, "part")
    assert not {package, f"{package}.part"} & set(sys.modules)
