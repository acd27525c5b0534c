"""Imports put off until they are needed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.deferred import deferred


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
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("heavy", "heavy.sub", "user", "from_user", "sub_user", "missing_user"):
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
