"""How wide the lines of this run may be, and whether they have colours. Asks the environment and Ansible's settings."""

from __future__ import annotations

import os
import shutil
import sys

from ansible.utils import color

#: Columns where there is no terminal, and the most on a wide one: longer lines are hard to read.
_NO_TERMINAL, _WIDEST = 100, 120


def width() -> int:
    """Columns of a line. COLUMNS is obeyed as it is, also where there is no terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    return min(shutil.get_terminal_size().columns, _WIDEST) if sys.stdout.isatty() else _NO_TERMINAL


def coloured() -> bool:
    """Whether Ansible colours its own output: on a terminal, unless a setting says otherwise."""
    return bool(color.ANSIBLE_COLOR)
