"""Tells what a command line runs: past wrappers and interpreters, the program, and the script if there is one. Pure.

`nice -n 5 /venv/bin/python -X dev -u bot.py` runs bot.py; `python3 /venv/bin/pytest tests/bot.py` runs pytest.
"""

from __future__ import annotations

from typing import Optional, Sequence

from .words import Run, is_java, jar


def is_interpreter(name: str) -> bool:
    """Whether a base name is an interpreter's: what it runs is named by its arguments, or by nothing."""
    from . import wrappers  # a JVM's command line needs none of it

    return wrappers.interpreter(name) is not None


def is_shell(name: str) -> bool:
    """Whether a base name is a shell's."""
    from . import wrappers

    return wrappers.interpreter(name) is wrappers.SHELL


def run_of(argv: Sequence[str]) -> Run:
    """What a command line runs, after wrappers such as nice, sudo, xvfb-run, uv run or a coverage run."""
    if argv and is_java(argv[0]):
        return Run(0, jar(argv, 0))
    from . import wrappers

    return wrappers.run_of(argv)


def script_of(argv: Sequence[str]) -> Optional[str]:
    """The script that an interpreter runs: its path, or `-m module`; None where there is none.

    Not what a script is told about: of `pytest tests/bot.py` it is pytest's path, of `bash -c ...` nothing.
    """
    run = run_of(argv)
    if run.script is None:
        return None
    return "-m " + run.module if run.module is not None else argv[run.script]
