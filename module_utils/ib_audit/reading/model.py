"""What the audit of trading scripts speaks about. Dataclasses and their constants only. Runs on Python 3.8 to 3.14."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple

from .settings import SettingsFile

#: From the least to the worst. The words are SARIF's levels.
NOTE = "note"
WARNING = "warning"
ERROR = "error"
SEVERITIES = (NOTE, WARNING, ERROR)

#: The client libraries whose scripts are audited.
INSYNC = "ib_insync"
ASYNC = "ib_async"
OFFICIAL = "ibapi"
LIBRARIES = (INSYNC, ASYNC, OFFICIAL)

#: The kit for trading scripts: what it returns is right by its own tests, so it is neither audited nor followed into.
KIT = "ib_connect"

#: Files larger than this are not read: no script that a person wrote is.
MAX_SIZE = 1024 * 1024


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file. line and column count from 1; 0 where the file as a whole is meant."""

    code: str
    severity: str
    file: str
    line: int
    column: int
    snippet: str
    summary: str
    remedy: str


@dataclass(frozen=True)
class Running:
    """A process that runs a script."""

    pid: int
    command: Tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """A connection of a process to an API port. served: whether the gateway has given it a session."""

    port: int
    client_port: int
    served: bool = True


@dataclass(frozen=True)
class RunningScript:
    """A process whose script is known, as plain facts. argv: with secrets hidden."""

    pid: int
    user: str
    script: str
    argv: Tuple[str, ...] = ()
    links: Tuple[Link, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file as it was read. unreadable: why its content is not here, as (problem code, reason); data is then empty.

    command: the command line of the process that runs it, where one does. context: it was not asked for and is only
    here because an audited file imports it. processes: all that run it and were started by themselves.
    """

    path: str
    data: bytes = field(default=b"", repr=False)
    unreadable: Optional[Tuple[str, str]] = None
    command: Tuple[str, ...] = ()
    context: bool = False
    processes: Tuple[Running, ...] = ()


@dataclass(frozen=True)
class Script:
    """A source that could be parsed. notebook: its text are the cells of a notebook, on the lines they have there."""

    path: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    command: Tuple[str, ...] = ()
    context: bool = False
    processes: Tuple[Running, ...] = ()
    notebook: bool = False
    #: The files beside it whose values it may read.
    settings: Tuple[SettingsFile, ...] = ()


@dataclass(frozen=True)
class Place:
    """A node of a script: where something stands."""

    script: Script
    node: ast.AST


@dataclass(frozen=True)
class Found:
    """A rule's verdict before it becomes a Problem. also: other places whose ignore comments count for it.

    subject: what a rewrite needs to know of it; its shape is the rule's.
    """

    code: str
    place: Place
    summary: str
    severity: Optional[str] = None
    also: Tuple[Place, ...] = ()
    subject: Any = None


def as_dict(problem: Problem) -> Dict[str, Any]:
    """A problem as modules return it."""
    return {
        "code": problem.code,
        "severity": problem.severity,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "snippet": problem.snippet,
        "summary": problem.summary,
        "remedy": problem.remedy,
    }
