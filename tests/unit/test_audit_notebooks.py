"""Notebooks: their code cells are audited, at the lines of the file, and never rewritten."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_audit.fixing import repair
from ansible.module_utils.ib_audit.reading.model import Problem, Source
from ansible.module_utils.ib_audit.rules.audit import audit
from unit.audited import spec

PATH = "/srv/trading/bars.ipynb"
CELLS = [
    "%matplotlib inline\nfrom ib_insync import IB, util\nutil.startLoop()",
    "%%bash\nls (",
    "ib = IB()\nib.connect('127.0.0.1', 4002, clientId=7)\n!pip list\nib?",
    "bars = await ib.reqHistoricalDataAsync(1)",
]


def book(cells: List[str], **options: Any) -> bytes:
    """A notebook as Jupyter saves it."""
    found: List[Dict[str, Any]] = [{"cell_type": "markdown", "source": ["IB().connect(clientId=8)"]}]
    found += [{"cell_type": "code", "outputs": [], "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": found, "nbformat": 4}, **options).encode()


def problems(data: bytes) -> List[Problem]:
    return list(audit([Source(PATH, data)]).problems)


def test_the_line_is_that_of_the_file() -> None:
    data = book(CELLS, indent=1)
    (found,) = [each for each in problems(data) if each.code == "hardcoded_client_id"]
    assert "clientId=7" in data.decode().splitlines()[found.line - 1] and "clientId=7" in found.snippet


def test_in_a_file_of_one_line_the_lines_of_the_cells_are_counted() -> None:
    (found,) = [each for each in problems(book(CELLS)) if each.code == "hardcoded_client_id"]
    assert found.line == 7


def test_what_is_right_in_a_notebook_is_no_problem() -> None:
    codes = {each.code for each in problems(book(CELLS, indent=1))}
    assert not codes & {"loop_at_import", "loop_in_function", "no_disconnect", "connection_not_logged", "no_reconnect"}
    assert "connect_without_error_handling" not in codes


def test_a_notebook_of_an_old_version_is_read() -> None:
    cells = [{"cell_type": "code", "input": "from ib_insync import IB\nIB().connect('', 4002, clientId=7)"}]
    found = problems(json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}).encode())
    assert "hardcoded_client_id" in {each.code for each in found}


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"cells": 1}', b'{"cells": [1]}', b"{" * 90000])
def test_what_is_no_notebook_is_said(data: bytes) -> None:
    assert [each.code for each in problems(data)] == ["file_not_python"]


def test_a_notebook_is_never_rewritten() -> None:
    sources = [Source(PATH, book(CELLS, indent=1))]
    outcome = repair.mend(sources, (spec("paper"),), lambda _path: None, repair.FIXABLE, True)
    assert outcome.changes == () and {each.reason for each in outcome.left} == {"it is a notebook"}
