"""Tells what a command line runs: past wrappers and interpreters, the program, and the script if there is one. Pure.

`nice -n 5 /venv/bin/python -X dev -u bot.py` runs bot.py; `python3 /venv/bin/pytest tests/bot.py` runs pytest.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Tuple


class Run(NamedTuple):
    """What a command line runs, as indexes into it. Both None for an empty command line or a wrapper without a command.

    program: the program after all wrappers. script: the word that names the script or module an interpreter runs;
    None without one, as with -c. module: the name where that word is a module (`-m bots.live`), else None.
    wrappers: the wrappers' own names, outermost first.
    """

    program: Optional[int] = None
    script: Optional[int] = None
    module: Optional[str] = None
    wrappers: Tuple[int, ...] = ()


def basename(path: str) -> str:
    """The last part of a path of any system, without `.exe`."""
    name = path.replace("\\", "/").rpartition("/")[2]
    return name[:-4] if name[-4:].lower() == ".exe" else name


def program_name(argv: Sequence[str]) -> str:
    """The base name of argv[0], without a login shell's dash; empty for an empty command line."""
    return basename(argv[0]).lstrip("-") if argv else ""


def is_java(word: str) -> bool:
    """Whether a word names a Java launcher: java, javaw, java.exe in any case."""
    return basename(word).lower() in ("java", "javaw")


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


def jar(argv: Sequence[str], java: int) -> Optional[int]:
    """Where the path after -jar stands; what comes before it may only be options and the class path."""
    for index in range(java + 1, len(argv) - 1):
        if argv[index] == "-jar":
            return index + 1
        if not argv[index].startswith("-") and argv[index - 1] not in ("-cp", "-classpath", "--class-path"):
            return None
    return None
