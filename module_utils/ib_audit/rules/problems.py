"""Verdicts of rules become problems: with their line as it may be shown, and without those a comment ignores. Pure."""

from __future__ import annotations

import ast
import re
from typing import Dict, Iterator, List, Sequence, Tuple

from ..reading.gateway import HIDDEN, plain_text
from ..reading.model import NOTE, Found, Place, Problem, Script
from .catalogue import RULES
from .ignores import Ignores, comments, lines_of

_SNIPPET = 160
_SUMMARY = 400
#: Behind a secret's name every text in quotes is hidden: it may stand in a call, or after a word that is none.
_SECRET = re.compile(r"(?i)(?:passw|pwd|secret|token|credential|api_?key|auth)[\w\"']{0,20}\s{0,4}[=:,]")
_QUOTED = re.compile(r"[bBrRfFuU]{0,2}(?:\"[^\"]*(?:\"|$)|'[^']*(?:'|$))")

#: A problem, and what the rules found that it goes back to.
Kept = Tuple[Problem, Tuple[Found, ...]]


def about_file(path: str, code: str, reason: str, matters: bool = True) -> Problem:
    """A problem of a file as a whole. matters: whether it names a client library; else it is only worth a note."""
    rule = RULES[code]
    severity = rule.severity if matters else NOTE
    return Problem(code, severity, printable(path), 0, 0, "", printable(plain_text(reason, _SUMMARY)), rule.remedy)


def kept(scripts: Sequence[Script], found: Sequence[Found]) -> Tuple[List[Kept], int]:
    """(the problems that no comment ignores, each place once, with their verdicts; how many were ignored)."""
    texts = {script.path: _Text(script) for script in scripts}
    left: Dict[Tuple[str, str, int, int], Problem] = {}
    verdicts: Dict[Tuple[str, str, int, int], List[Found]] = {}
    for script in scripts:
        for each in texts[script.path].comments:
            if each.wrong and not script.context:
                verdict = Found("ignore_unusable", Place(script, ast.Pass()), each.wrong)
                problem = texts[script.path].problem(verdict, each.line, each.column)
                left[(verdict.code, script.path, each.line, each.column)] = problem
    ignored = set()
    for verdict in found:
        path = verdict.place.script.path
        if path not in texts:
            texts[path] = _Text(verdict.place.script)
        problem = texts[path].problem(verdict)
        key = (problem.code, path, problem.line, problem.column)
        places = [place for place in (verdict.place, *verdict.also) if place.script.path in texts]
        if any(texts[place.script.path].ignores(problem.code, place) for place in places):
            ignored.add(key)
        else:
            left.setdefault(key, problem)
            verdicts.setdefault(key, []).append(verdict)
    return [(problem, tuple(verdicts.get(key, ()))) for key, problem in left.items()], len(ignored - set(left))


class _Text:
    """A script's lines, and the comments in them."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lines = script.text.split("\n")
        #: By line: what may be shown of it. A line may have thousands of problems.
        self._shown: Dict[int, str] = {}
        self.comments = comments(script)
        self._ignores = Ignores(script, self.comments)
        #: By line: the lines of the simple statement that covers it.
        self._simple: Dict[int, Tuple[int, int]] = {}
        if self.comments:
            for node in ast.walk(script.tree):
                if isinstance(node, ast.stmt) and not isinstance(getattr(node, "body", None), list):
                    last = getattr(node, "end_lineno", None) or node.lineno
                    self._simple.update(dict.fromkeys(range(node.lineno, last + 1), (node.lineno, last)))

    def ignores(self, code: str, place: Place) -> bool:
        """Whether a comment ignores a code at a place: on a line of the node, or of the simple statement it is in."""
        return bool(self.comments) and self._ignores.cover(code, self._covered(place.node))

    def _covered(self, node: ast.AST) -> Iterator[int]:
        yield from lines_of(node)
        first, last = self._simple.get(getattr(node, "lineno", 0), (0, -1))
        yield from range(first, last + 1)

    def problem(self, found: Found, line: int = 0, column: int = 0) -> Problem:
        """A verdict as a problem."""
        rule = RULES[found.code]
        line = line or getattr(found.place.node, "lineno", 1)
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        offset = getattr(found.place.node, "col_offset", 0)
        if not column and text.isascii():
            column = offset + 1
        column = column or len(text.encode("utf-8", "replace")[:offset].decode("utf-8", "replace")) + 1
        summary = printable(plain_text(found.summary, _SUMMARY))
        path = printable(self._script.path)
        if line not in self._shown:
            self._shown[line] = snippet(text)
        shown = self._shown[line] if rule.shows_line else ""
        return Problem(found.code, found.severity or rule.severity, path, line, column, shown, summary, rule.remedy)


def printable(text: str) -> str:
    """A text that every output can take: what is no character is written as its code."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def snippet(line: str) -> str:
    """A line of a script as it may be shown: on one line, bounded, secrets hidden, account numbers masked."""
    return shown(line.strip())[:_SNIPPET]


def shown(line: str, limit: int = _SUMMARY) -> str:
    """A line of a script with its indentation, secrets hidden and account numbers masked."""
    line = line[:2000]
    named = _SECRET.search(line)
    if named:
        line = line[: named.end()] + _QUOTED.sub(HIDDEN, line[named.end() :])
    return printable(plain_text(line, limit))
