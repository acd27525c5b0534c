"""How wide the lines of this run may be, and whether they have colours. Asks the environment and Ansible's settings."""

from __future__ import annotations

import os
import shutil
import sys

from ansible.utils import color

#: Columns where there is no terminal, and the most on a wide one: longer lines are hard to read.
_NO_TERMINAL, _WIDEST = 100, 120
#: What this run's first process leaves for its workers, which Ansible parts from the terminal.
_FOR_WORKERS = "IB_COLUMNS"


def remember() -> None:
    """Leaves the width where forked workers find it. For the first process of a run, the only one with a terminal."""
    if sys.stdout.isatty():
        os.environ[_FOR_WORKERS] = str(_of_terminal())
    else:
        os.environ.pop(_FOR_WORKERS, None)  # it is of another run, which has started this one


def width() -> int:
    """Columns of a line. COLUMNS is obeyed as it is, also where there is no terminal."""
    given = _number("COLUMNS")
    if given:
        return given
    return _of_terminal() if sys.stdout.isatty() else _number(_FOR_WORKERS) or _NO_TERMINAL


def _number(name: str) -> int:
    given = os.environ.get(name, "")
    return int(given) if given.isdigit() else 0


def _of_terminal() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def coloured() -> bool:
    """Whether Ansible colours its own output: on a terminal, unless a setting says otherwise."""
    return bool(color.ANSIBLE_COLOR)
