"""A Jupyter notebook becomes the text of its code cells, each line where it stands in the file. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List, Optional

#: Cell magics whose cell is Python all the same.
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun", "%%python", "%%py")
_MAGIC = re.compile(r"^(\s*)(?:[%!?]|[\w.]+\s*=\s*[%!]).*$|^(\s*)[\w.]+\?{1,2}\s*$")


def is_notebook(path: str) -> bool:
    """Whether a file is one by its name."""
    return path.endswith(".ipynb")


def code(data: bytes) -> Optional[str]:
    """The code of a notebook; None where the bytes are none.

    Lines keep their number in the file where it has one line for each line of code, as it is saved by default; in
    others they are counted over the code cells.
    """
    try:
        text = data.decode("utf-8")
        book: Any = json.loads(text)
        cells = list(_cells(book))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    placed = _placed(text.split("\n"), cells)
    return placed if placed is not None else "\n".join(line for cell in cells for line in _python(cell))


def _cells(book: Dict[str, Any]) -> Iterator[List[str]]:
    """The lines of each code cell."""
    sheets = book.get("worksheets")
    for holder in sheets if isinstance(sheets, list) else [book]:
        for cell in holder["cells"]:
            if cell.get("cell_type") == "code":
                source = cell.get("source", cell.get("input", ""))
                yield (source if isinstance(source, str) else "".join(source)).split("\n")


def _python(cell: List[str]) -> List[str]:
    """The lines of a cell with what is no Python taken out."""
    first = next((line.strip() for line in cell if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_PYTHON_CELLS):
        return ["" for _line in cell]
    return [_MAGIC.sub(lambda found: (found.group(1) or found.group(2) or "") + "pass", line) for line in cell]


def _placed(lines: List[str], cells: List[List[str]]) -> Optional[str]:
    """The code at the lines of the file; None where they cannot be found there."""
    found = [""] * len(lines)
    place = 0
    for cell in cells:
        for raw, line in zip(cell, _python(cell)):
            if not raw.strip():
                continue  # the last line of a cell need not have a line of its own
            while place < len(lines) and not _is(lines[place], raw):
                place += 1
            if place == len(lines):
                return None
            found[place] = line
            place += 1
    return "\n".join(found)


def _is(line: str, raw: str) -> bool:
    """Whether a line of the file holds this line of code, as JSON writes it."""
    text = line.strip().rstrip(",")
    if not text.startswith('"') or not text.endswith('"'):
        return False
    # Most lines are told apart without decoding them; what JSON escapes is not.
    if raw[:1].isascii() and raw[:1].isalnum() and text[1:2] != raw[:1]:
        return False
    try:
        return bool(json.loads(text).rstrip("\n") == raw)
    except (ValueError, AttributeError):
        return False
