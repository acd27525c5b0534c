"""Every promise in docs/safety.md names a test that exists."""

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


def test_all_thirteen_promises_are_there_in_their_order() -> None:
    numbers = [int(found.group(1)) for promise, _ in rows() for found in [re.match(r"\*\*(\d+)\.", promise)] if found]
    assert numbers == list(range(1, 14))


@pytest.mark.parametrize(("promise", "test"), rows(), ids=[test for _, test in rows()])
def test_the_test_that_shows_a_promise_exists(promise: str, test: str) -> None:
    file, _, name = test.partition("::")
    source = (PROJECT / "tests" / file).read_text(encoding="utf-8")
    if name:
        assert re.search(r"^ *def %s\b" % re.escape(name), source, re.MULTILINE), promise
    else:
        assert "def test_" in source, promise
