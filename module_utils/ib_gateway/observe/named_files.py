"""Whether a home-made program that nothing names runs a gateway's program: told by its own text and its settings.

A compiled loop says nothing in its command line. What it starts stands in the file that it was given, or in itself. So
it is with a script that takes its commands from a file: its arguments name that, or its text does.
Read is only what lies outside of the system's folders, and only while a gateway is missing. Linux only.
"""

from __future__ import annotations

import os
import re
from typing import Optional, Sequence

from ..base.command_line import is_interpreter
from ..base.launchers import SUPERVISOR, Launcher
from ..base.redaction import redact_argv
from ..base.words import is_java, program_name
from . import processes, started_files

#: A gateway's program: not only something about a gateway.
_PROGRAM = re.compile(rb"(?i)ibcstart|gatewaystart|IbcGateway|IbcTws|GWClient")
_SYSTEM_S = re.compile(r"^/(?:usr/(?!local/)|s?bin/|lib|snap/|nix/|proc/|memfd:)")
#: Of a program's text; what somebody has compiled for one desk is smaller.
_MOST_BYTES = 4 << 20
_MOST_WORDS = 17
#: Files that the text of a script names: whole paths, and quoted names with an ending.
_NAMED = re.compile(r"(?<![\w./~])((?:/[\w.@+-]+)+)|[\"']([\w./@+-]+\.\w{2,5})[\"']")
_MOST_NAMED = 16


def keeper_by_files(pid: int, argv: Sequence[str]) -> Optional[Launcher]:
    """A program of the host's own that names a gateway's program in itself, or in a file that its arguments name."""
    exe = processes.read_exe(pid)
    if exe is None or _SYSTEM_S.match(exe) or is_java(exe) or is_interpreter(program_name([exe])):
        return None
    if not (_text_names(pid) or any(_file_names(pid, word) for word in argv[1:_MOST_WORDS])):
        return None
    return Launcher(SUPERVISOR, redact_argv([program_name(argv)])[0])


def named_by_script(pid: int, script: str, text: str, arguments: Sequence[str]) -> bool:
    """Whether a file that a script is given, or that its text names, names a gateway's program."""
    words = [one or other for one, other in _NAMED.findall(text)]
    words = [word for word in dict.fromkeys(words) if not _SYSTEM_S.match(word)][:_MOST_NAMED]
    beside = [os.path.join(os.path.dirname(script), word) for word in words if not word.startswith("/")]
    return any(_file_names(pid, word) for word in (*arguments[:_MOST_WORDS], *words, *beside))


def _text_names(pid: int) -> bool:
    try:
        with open("%s/%d/exe" % (processes.PROC, pid), "rb") as file:
            return _PROGRAM.search(file.read(_MOST_BYTES)) is not None
    except OSError:
        return False


def _file_names(pid: int, word: str) -> bool:
    path = word.partition("=")[2] if word.startswith("-") else word
    if "/" not in path and "." not in path:
        return False
    text = started_files.read_as(pid, os.path.join(processes.read_cwd(pid) or "/", path))
    return text is not None and _PROGRAM.search(text.encode("utf-8", "replace")) is not None
