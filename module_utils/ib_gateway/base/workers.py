"""Tells from a command line that a process is a worker that a script has started through a library. Pure.

multiprocessing, and what is built on it (concurrent.futures, loky, joblib, billiard), start an interpreter on a line of
their own, so that nothing in a worker's command line tells whose it is.
"""

from __future__ import annotations

import re
from typing import Sequence

from .words import basename

_PYTHON = r"^(?:python|pypy)[\d.]*t?$"
#: The interpreter's options that take the next word, beside -c and -m.
_VALUED = ("-W", "-X")
#: The line that -c runs in a worker, or in the server that forks workers.
_LINE = r"^(?:import sys; )?from (?:multiprocess(?:ing)?|billiard)\.(?:spawn|forkserver) import "
#: The line of what collects a script's leftovers: it opens no connection, and ends by itself when the script has ended.
_TRACKER = r"^from [\w.]*\b(?:multiprocess(?:ing)?|billiard|loky\.backend)\.\w+_tracker import "
_MODULE = r"^(?:joblib\.externals\.)?loky\.backend\.popen_loky_posix$"
_FROZEN = "--multiprocessing-fork"
_MARKS = (b"multiprocess", b"billiard", b"loky.backend")


def may_be_worker(raw: bytes) -> bool:
    """Whether a raw command line is worth asking is_worker: cheap, never wrong about one that it rejects."""
    return any(mark in raw for mark in _MARKS)


def is_worker(argv: Sequence[str]) -> bool:
    """Whether a process is a script's worker, or a helper of its workers: what it runs is the script's, not its own."""
    code, module = _after("-c", argv), _after("-m", argv)
    return bool(
        re.match(_LINE, code) or re.match(_TRACKER, code) or re.match(_MODULE, module) or list(argv[1:2]) == [_FROZEN]
    )


def is_tracker(argv: Sequence[str]) -> bool:
    """Whether it is the helper that only collects what a script and its workers leave behind."""
    return bool(re.match(_TRACKER, _after("-c", argv)))


def _after(option: str, argv: Sequence[str]) -> str:
    """The word after an option of the interpreter itself; empty for every other program."""
    if not argv or not re.match(_PYTHON, basename(argv[0])):
        return ""
    for before, word, following in zip(argv, argv[1:], argv[2:]):
        if word == option:
            return following
        if not word.startswith("-") and before not in _VALUED:
            return ""
    return ""
