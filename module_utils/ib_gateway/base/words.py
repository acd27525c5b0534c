"""What single words of a command line say, and how a JVM's is told. Pure."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from .record import Record


class Run(Record):
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


def jar(argv: Sequence[str], java: int) -> Optional[int]:
    """Where the path after -jar stands; what comes before it may only be options and the class path."""
    for index in range(java + 1, len(argv) - 1):
        if argv[index] == "-jar":
            return index + 1
        if not argv[index].startswith("-") and argv[index - 1] not in ("-cp", "-classpath", "--class-path"):
            return None
    return None
