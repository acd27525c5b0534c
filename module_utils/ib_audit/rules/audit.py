"""The audit: sources in, problems out. Pure; never runs or imports what it reads, and no text makes it fail."""

from __future__ import annotations

import ast
import dataclasses
import posixpath
import re
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ..analysis.scopes import Table
from ..reading.gateway import HIDDEN, GatewaySpec, plain_text
from ..reading.model import KIT, LIBRARIES, Found, Place, Problem, Script, Source
from ..reading.source import parse
from . import failing, ids, leaving, loop, ports, waiting
from .case import Case, case
from .catalogue import RULES
from .ignores import Ignores, comments, lines_of

FILE_RULES: Tuple[Callable[[Case, Table], Iterator[Found]], ...] = (
    *loop.RULES,
    *ids.RULES,
    *ports.RULES,
    *failing.RULES,
    *waiting.RULES,
    *leaving.RULES,
)
HOST_RULES: Tuple[Callable[[Case], Iterator[Found]], ...] = (*ids.HOST_RULES, *ports.HOST_RULES)
#: A script without one of these words uses no client library.
_MARKS = (*LIBRARIES, "nest_asyncio")
_MOST_COMPANIONS = 200
_SNIPPET = 160
_SUMMARY = 400
#: A text in quotes after a name of a secret: the whole of it is hidden, blanks included.
_QUOTED_SECRET = re.compile(
    r"(?i)((?:passw|pwd|secret|token|credential|api_?key)[\w\"']{0,20}\s{0,4}[=:,]\s{0,4})(\"[^\"]*\"|'[^']*')"
)


@dataclass(frozen=True)
class Audit:
    """What an audit came to. clients: the files that connect to a gateway; ignored: how many problems comments took."""

    problems: Tuple[Problem, ...]
    files: int
    clients: Tuple[str, ...]
    ignored: int
    #: What each problem that the rules found goes back to, and the scripts as the rules saw them: for rewrites.
    verdicts: Tuple[Tuple[Problem, Tuple[Found, ...]], ...] = field(default=(), repr=False)
    case: Optional[Case] = field(default=None, repr=False)


Lookup = Callable[[str], Optional[Source]]


def audit(sources: Sequence[Source], specs: Sequence[GatewaySpec] = (), lookup: Optional[Lookup] = None) -> Audit:
    """Audits the scripts of one host together. lookup: gives a file that one of them imports, where there is one."""
    scripts: List[Script] = []
    problems: List[Problem] = []
    sources = [source for source in sources if posixpath.basename(source.path) != KIT + ".py"]
    for source in sources:
        verdict = parse(source)
        if isinstance(verdict, Script):
            scripts.append(verdict)
        elif not source.context:
            problems.append(_about_file(source.path, *verdict))
    if lookup is not None:
        scripts.extend(_companions(scripts, lookup))
    one, found, failed = _judged(scripts, specs)
    problems.extend(failed)
    kept, ignored = _kept(scripts, found)
    problems.extend(problem for problem, _verdicts in kept)
    clients = {each.table.script.path for each in one.connections if not each.table.script.context}
    problems.sort(key=lambda each: (each.file, each.line, each.column, each.code))
    audited = sum(not source.context for source in sources)
    return Audit(tuple(problems), audited, tuple(sorted(map(printable, clients))), ignored, tuple(kept), one)


def _companions(scripts: Sequence[Script], lookup: Lookup) -> List[Script]:
    """The files beside the scripts that they import, and what these import in turn: only to follow names into.

    Of a script that uses no client library only those imports count that do.
    """
    known = {script.path for script in scripts}
    waiting = list(scripts)
    found: List[Script] = []
    while waiting and len(found) < _MOST_COMPANIONS:
        script = waiting.pop(0)
        marked = script.context or _is_marked(script.text.encode("utf-8", "replace"))
        for path in candidates(script):
            source = lookup(path) if path not in known else None
            known.add(path)
            if source is None or not (marked or _is_marked(source.data)):
                continue
            verdict = parse(source)
            if isinstance(verdict, Script):
                companion = dataclasses.replace(verdict, context=True)
                found.append(companion)
                waiting.append(companion)
    return found


def _is_marked(data: bytes) -> bool:
    return any(name.encode() in data for name in _MARKS)


def candidates(script: Script) -> Iterator[str]:
    """Where the modules are that a script imports, if they are beside it."""
    folder = posixpath.dirname(script.path)
    for node in ast.walk(script.tree):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        base = folder
        if isinstance(node, ast.ImportFrom):
            for _ in range((node.level or 1) - 1):
                base = posixpath.dirname(base)
            names = [node.module] if node.module else names
        for name in names:
            path = posixpath.join(base, *name.split("."))
            yield path + ".py"
            yield posixpath.join(path, "__init__.py")


def _about_file(path: str, code: str, reason: str) -> Problem:
    rule = RULES[code]
    return Problem(code, rule.severity, printable(path), 0, 0, "", printable(plain_text(reason, _SUMMARY)), rule.remedy)


def _judged(scripts: Sequence[Script], specs: Sequence[GatewaySpec]) -> Tuple[Case, List[Found], List[Problem]]:
    """(the scripts as the rules see them, what the rules found, files the rules could not be applied to)."""
    problems: List[Problem] = []
    usable = _concerned(scripts)
    try:
        one = case(usable, specs)
    except (RecursionError, MemoryError):
        # One of them is nested too deeply, and which one shows when they are prepared one by one.
        deep = {script.path for script in usable if _is_deep(script)}
        problems.extend(_too_deep(path) for path in sorted(deep))
        one = case([script for script in usable if script.path not in deep] if deep else [], specs)
    found: List[Found] = []
    for table in one.tables():
        for rule in FILE_RULES:
            try:
                found.extend(rule(one, table))
            except RecursionError:
                problems.append(_too_deep(table.script.path))
                break
    for host_rule in HOST_RULES:
        found.extend(host_rule(one))
    return one, found, problems


def _too_deep(path: str) -> Problem:
    return _about_file(path, "file_not_parsed", "it is nested too deeply")


def _is_deep(script: Script) -> bool:
    try:
        case([script])
    except (RecursionError, MemoryError):
        return True
    return False


def _concerned(scripts: Sequence[Script]) -> List[Script]:
    """The scripts that use a client library, and those that imports connect with them: rules are about no others."""
    by_path = {script.path: script for script in scripts}
    near: Dict[str, List[str]] = {path: [] for path in by_path}
    for script in scripts:
        for path in candidates(script):
            if path in by_path:
                near[script.path].append(path)
                near[path].append(script.path)
    waiting = [script.path for script in scripts if _is_marked(script.text.encode("utf-8", "replace"))]
    reached = set(waiting)
    while waiting:
        for path in near[waiting.pop()]:
            if path not in reached:
                reached.add(path)
                waiting.append(path)
    return [script for script in scripts if script.path in reached]


Kept = Tuple[Problem, Tuple[Found, ...]]


def _kept(scripts: Sequence[Script], found: Sequence[Found]) -> Tuple[List[Kept], int]:
    """(the problems that no comment ignores, each place once, with their verdicts; how many were ignored)."""
    ignores: Dict[str, Ignores] = {}
    kept: Dict[Tuple[str, str, int, int], Problem] = {}
    verdicts: Dict[Tuple[str, str, int, int], List[Found]] = {}
    for script in scripts:
        read = comments(script)
        ignores[script.path] = Ignores(script, read)
        for each in read:
            if each.wrong and not script.context:
                verdict = Found("ignore_unusable", Place(script, ast.Pass()), each.wrong)
                kept[(verdict.code, script.path, each.line, each.column)] = _problem(verdict, each.line, each.column)
    ignored = set()
    for verdict in found:
        problem = _problem(verdict)
        key = (problem.code, verdict.place.script.path, problem.line, problem.column)
        if any(
            ignores[place.script.path].cover(problem.code, _lines(place)) for place in (verdict.place, *verdict.also)
        ):
            ignored.add(key)
        else:
            kept.setdefault(key, problem)
            verdicts.setdefault(key, []).append(verdict)
    return [(problem, tuple(verdicts.get(key, ()))) for key, problem in kept.items()], len(ignored - set(kept))


def _lines(place: Place) -> Iterator[int]:
    """The lines whose comments count for a place: those of the node, and of the simple statement it is in."""
    yield from lines_of(place.node)
    line = getattr(place.node, "lineno", 0)
    for statement in ast.walk(place.script.tree):
        simple = isinstance(statement, ast.stmt) and not isinstance(getattr(statement, "body", None), list)
        if simple and getattr(statement, "lineno", 0) <= line <= (getattr(statement, "end_lineno", None) or 0):
            yield from lines_of(statement)


def _problem(found: Found, line: int = 0, column: int = 0) -> Problem:
    rule = RULES[found.code]
    script = found.place.script
    line = line or getattr(found.place.node, "lineno", 1)
    lines = script.text.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    offset = getattr(found.place.node, "col_offset", 0)
    column = column or len(text.encode("utf-8", "replace")[:offset].decode("utf-8", "replace")) + 1
    summary = printable(plain_text(found.summary, _SUMMARY))
    severity = found.severity or rule.severity
    return Problem(found.code, severity, printable(script.path), line, column, snippet(text), summary, rule.remedy)


def printable(text: str) -> str:
    """A text that every output can take: what is no character is written as its code."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def snippet(line: str) -> str:
    """A line of a script as it may be shown: on one line, bounded, secrets hidden, account numbers masked."""
    return shown(line.strip())[:_SNIPPET]


def shown(line: str, limit: int = _SUMMARY) -> str:
    """A line of a script with its indentation, secrets hidden and account numbers masked."""
    line = _QUOTED_SECRET.sub(lambda match: match.group(1) + HIDDEN, line[:2000])
    return printable(plain_text(line, limit))
