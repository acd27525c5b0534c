"""What a shell's text is made of, as a tree: each command with the place where it stands. Pure.

shell_grammar reads it.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Tuple

#: What a part of a word is: characters; a parameter; a command whose output it is; what only the shell can know.
TEXT, PARAMETER, COMMAND, OTHER = "text", "parameter", "command", "other"


class Unclear(Exception):
    """The text is more, or another one, than can be read with certainty."""


class Part(NamedTuple):
    """A part of a word. value: the characters, or a parameter's expression (`1`, `#`, `1:-start`)."""

    kind: str
    value: str
    quoted: bool
    body: Optional[List[Any]] = None


class Word(NamedTuple):
    parts: Tuple[Part, ...]
    raw: str

    def plain(self) -> Optional[str]:
        """The characters of a word that has nothing else in it."""
        return "".join(each.value for each in self.parts) if all(each.kind == TEXT for each in self.parts) else None


class Redirect(NamedTuple):
    """`2>` and where to; a heredoc's target is its end word, and its body stands at `spans`."""

    sign: str
    target: Word


class Command(NamedTuple):
    """A simple command, or a `[[ ... ]]` with its signs as words, or an `((...))`, whose text is its only word."""

    start: int
    end: int
    kind: str
    words: Tuple[Word, ...]
    redirects: Tuple[Redirect, ...]
    #: Where the bodies of its heredocs stand.
    spans: List[Tuple[int, int]]


class Pipeline(NamedTuple):
    start: int
    end: int
    negated: bool
    commands: Tuple[Any, ...]


class AndOr(NamedTuple):
    """Pipelines, each with the sign before it; background: whether a shell of its own runs them."""

    start: int
    end: int
    pipelines: Tuple[Tuple[str, Pipeline], ...]
    background: bool


class If(NamedTuple):
    """branches: (the condition, what is done); an else has no condition. inside: the spans of what is done."""

    start: int
    end: int
    branches: Tuple[Tuple[Optional[List[AndOr]], List[AndOr]], ...]
    inside: Tuple[Tuple[int, int], ...]
    redirects: Tuple[Redirect, ...]


class Case(NamedTuple):
    """branches: (the patterns, what is done, the sign after it)."""

    start: int
    end: int
    word: Word
    branches: Tuple[Tuple[Tuple[Word, ...], List[AndOr], str], ...]
    inside: Tuple[Tuple[int, int], ...]
    redirects: Tuple[Redirect, ...]


class Loop(NamedTuple):
    """kind: for, select, while, until. name, words: of the first two; condition: of the others."""

    start: int
    end: int
    kind: str
    name: str
    words: Tuple[Word, ...]
    condition: List[AndOr]
    body: List[AndOr]
    redirects: Tuple[Redirect, ...]


class Group(NamedTuple):
    """apart: whether a shell of its own runs it."""

    start: int
    end: int
    apart: bool
    body: List[AndOr]
    redirects: Tuple[Redirect, ...]


class Function(NamedTuple):
    """keyword: whether `function` begins it."""

    start: int
    end: int
    name: str
    body: Any
    keyword: bool = False
