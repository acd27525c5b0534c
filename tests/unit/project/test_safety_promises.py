"""Every promise in docs/safety.md, and every attack it speaks of, names a test that exists."""

from __future__ import annotations

import re
from typing import List, Tuple

import pytest
from unit.module_runs import PROJECT

_ROW = re.compile(r"^\| (?P<promise>.+?) \| `(?P<test>[^`]+)` \|$", re.MULTILINE)
PAGE = (PROJECT / "docs" / "safety.md").read_text(encoding="utf-8")


def rows() -> List[Tuple[str, str]]:
    """(promise, test) of each row of the table."""
    table = PAGE.partition("## Promises and their tests")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    found = [(each["promise"], each["test"]) for each in _ROW.finditer(table)]
    assert len(found) == len(lines), "a row of the table is not of the form | promise | `test` |"
    return found


def attackers() -> List[Tuple[str, str]]:
    """(what is tried, test) of each row of the table of those who may be hostile."""
    table = PAGE.partition("## Who may be hostile")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(each) == 3 for each in cells), "a row of the table is not of the form | who | what | `test` |"
    return [(who, test.strip("`")) for who, _, test in cells]


def test_everybody_who_may_be_hostile_is_there() -> None:
    told = [found.group(1) for who, _ in attackers() for found in [re.match(r"\*\*(.+?)\*\*", who)] if found]
    assert len(told) == 5 and len(attackers()) > 10


def test_all_thirteen_promises_are_there_in_their_order() -> None:
    numbers = [int(found.group(1)) for promise, _ in rows() for found in [re.match(r"\*\*(\d+)\.", promise)] if found]
    assert numbers == list(range(1, 14))


@pytest.mark.parametrize(("promise", "test"), [*rows(), *attackers()])
def test_the_test_that_shows_a_promise_exists(promise: str, test: str) -> None:
    file, _, name = test.partition("::")
    source = (PROJECT / "tests" / file).read_text(encoding="utf-8")
    if name:
        assert re.search(r"^ *def %s\b" % re.escape(name), source, re.MULTILINE), promise
    else:
        assert "def test_" in source, promise
