"""The README names everything that can be staged, in the words of the code."""

from pathlib import Path
from typing import Dict, Optional

import pytest

from . import client_programs
from .keepers import KEEPERS
from .options import EVENTS, FAULTS, OPTIONS, QUIRKS
from .program import Program
from .shapes import SHAPES

CLIENTS = [
    name
    for name, kind in vars(client_programs).items()
    if isinstance(kind, type) and issubclass(kind, Program) and kind is not Program
]
README = (Path(__file__).resolve().parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "table",
    [
        {f"--{name}": meaning for name, (_, meaning) in OPTIONS.items()},
        FAULTS,
        QUIRKS,
        EVENTS,
        {name: shape.meaning for name, shape in SHAPES.items()},
        dict.fromkeys(KEEPERS),
        dict.fromkeys(CLIENTS),
    ],
)
def test_every_name_has_its_row(table: Dict[str, Optional[str]]) -> None:
    for name, meaning in table.items():
        assert f"| `{name}` | {meaning or ''}" in README
