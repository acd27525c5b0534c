"""Whether a process is what a command becomes when somebody runs it. Pure.

`nohup /opt/gw/start.sh -v`, run by a shell, is `/bin/bash /opt/gw/start.sh -v` a moment later.
"""

from __future__ import annotations

from typing import Callable, Sequence

from .command_line import is_interpreter, run_of
from .words import basename, program_name

#: Whether the path in the process's command line is the file that the path in the command means.
SameFile = Callable[[str, str], bool]


def runs_command(argv: Sequence[str], command: Sequence[str], same_file: SameFile) -> bool:
    """Whether a command line is that of a command: past wrappers such as sudo or nohup the same program with the same
    arguments, or the command's script as an interpreter runs it.

    Every argument counts: what starts live and what starts paper may differ in the last one alone.
    """
    run, meant = run_of(argv), run_of(command)
    if run.program is None or meant.program is None:
        return False
    words, wanted = argv[run.program :], command[meant.program :]
    script = run.script if run.module is None else None
    if _same_program(words[0], wanted[0], same_file) and words[1:] == wanted[1:]:
        # A script's path that is not absolute means another file in another folder.
        return script is None or same_file(argv[script], argv[script])
    return (
        meant.script in (None, meant.program)
        and script is not None
        and same_file(argv[script], wanted[0])
        and argv[script + 1 :] == wanted[1:]
    )


def _same_program(word: str, wanted: str, same_file: SameFile) -> bool:
    """An interpreter is one by its name, wherever it lies: what it runs stands in its arguments."""
    found_by_name = "/" not in word or "/" not in wanted or is_interpreter(program_name([wanted]))
    return basename(word) == basename(wanted) if found_by_name else same_file(word, wanted)
