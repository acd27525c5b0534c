"""Ignore comments: `# ib-audit: ignore[code] reason`. Pure."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterator, List, Optional

from ..reading.model import Script
from .catalogue import RULES

_COMMENT = re.compile(r"#\s*ib-audit:\s*ignore\b(?P<rest>.*)$")
_REST = re.compile(r"^\[(?P<codes>[\w\s,]*)\]\s*(?P<reason>.*)$")


@dataclass(frozen=True)
class Ignore:
    """One comment. wrong: why it has no effect. alone: nothing else is on its line, so it is about the next one."""

    line: int
    column: int
    codes: FrozenSet[str]
    alone: bool
    wrong: Optional[str] = None


def comments(script: Script) -> List[Ignore]:
    """The ignore comments of a script."""
    if "ib-audit" not in script.text:
        return []
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(script.text).readline):
            match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
            if match:
                alone = not token.line[: token.start[1]].strip()
                found.append(_read(match.group("rest").strip(), token.start[0], token.start[1] + 1, alone))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return found
    return found


def _read(rest: str, line: int, column: int, alone: bool) -> Ignore:
    match = _REST.match(rest)
    codes = frozenset(match.group("codes").replace(",", " ").split()) if match else frozenset()
    unknown = sorted(codes - set(RULES))
    wrong = None
    if not codes:
        wrong = "it names no code"
    elif unknown:
        wrong = "%s is no code of this audit" % ", ".join(unknown)
    elif match and not match.group("reason").strip():
        wrong = "it gives no reason"
    return Ignore(line, column, codes, alone, wrong)


class Ignores:
    """Which codes are ignored on which lines of a script."""

    def __init__(self, script: Script, found: List[Ignore]) -> None:
        self._by_line: Dict[int, FrozenSet[str]] = {}
        lines = script.text.split("\n")
        for each in found:
            if each.wrong is None:
                line = _next_code(lines, each.line) if each.alone else each.line
                self._by_line[line] = self._by_line.get(line, frozenset()) | each.codes

    def cover(self, code: str, lines: Iterator[int]) -> bool:
        """Whether a code is ignored on one of these lines."""
        return bool(self._by_line) and any(code in self._by_line.get(line, ()) for line in lines)


def _next_code(lines: List[str], line: int) -> int:
    """The first line after a comment that holds more than a comment."""
    for number in range(line + 1, len(lines) + 1):
        text = lines[number - 1].strip()
        if text and not text.startswith("#"):
            return number
    return line


def lines_of(statement: ast.AST) -> Iterator[int]:
    """The lines of a statement on which a comment counts for it: all of a simple one, the head of a compound one."""
    first = getattr(statement, "lineno", 0)
    body = getattr(statement, "body", None)
    last = getattr(statement, "end_lineno", None) or first
    if isinstance(body, list) and body:
        last = max(first, getattr(body[0], "lineno", first) - 1)
    return iter(range(first, last + 1))
