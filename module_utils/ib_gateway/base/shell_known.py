"""What is known of a shell at a place of its text: its own words, and the values of its variables. Pure.

Three answers: a value, a word or a match is known to be, known not to be, or None: only the shell can know.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .shell_tree import PARAMETER, TEXT, Part, Word

_EXPRESSION = re.compile(r"^([1-9]\d*|[A-Za-z_]\w*)(?:(:?[-+?]|,,?|\^\^?|##?|%%?)(.*))?$", re.DOTALL)
_PLAIN_WORD = re.compile(r"^(?:[\w./=:@%+-]*|\"[\w./=:@%+ -]*\")$")
#: Nothing in it that a shell would make other words of.
_ONE_WORD = re.compile(r"^[\w./:=@%+,#^!-]*$", re.ASCII)
_BRACKET = re.compile(r"\[[\w.]+\]", re.ASCII)
#: Signs that make another word of an unquoted one.
_CHANGES = "*?[{~"


class Known:
    """values: of variables; words: "$1" and on; more: whether there may be more of these than are known.
    splits: whether it surely splits at blanks what is put in."""

    def __init__(self, words: Sequence[str], more: bool, splits: bool = True) -> None:
        self.values: Dict[str, str] = {}
        self.words: Tuple[str, ...] = tuple(words)
        self.more = more
        self._splits = splits

    def copy(self) -> Known:
        found = Known(self.words, self.more, self._splits)
        found.values = dict(self.values)
        return found

    def forget(self) -> None:
        self.values.clear()
        self.words, self.more = (), True

    def same(self, other: Known) -> bool:
        return (self.values, self.words, self.more) == (other.values, other.words, other.more)

    # --- words --------------------------------------------------------------------------------------------------------

    def expanded(self, words: Iterable[Word]) -> Tuple[List[str], bool]:
        """(the words that the shell makes of these, up to the first that it alone knows, whether there is one)."""
        found: List[str] = []
        for word in words:
            some = self._several(word)
            if some is None:
                return found, True
            found += some
        return found, False

    def _several(self, word: Word) -> Optional[List[str]]:
        if word.raw in ("[", "[["):
            return [word.raw]
        lists = [each for each in word.parts if each.kind == PARAMETER and each.value in ("@", "*")]
        if lists and (lists[0].value == "@" or not lists[0].quoted):
            loose = not lists[0].quoted
            if len([each for each in word.parts if each.kind != TEXT or each.value]) > 1 or self.more:
                return None
            plain = self._splits and all(each and _ONE_WORD.match(each) for each in self.words)
            return list(self.words) if plain or not loose else None
        value = self.value(word, splits=True)
        if value == "" and not any(each.quoted for each in word.parts):
            return []
        return None if value is None else [value]

    def value(self, word: Word, splits: bool = False) -> Optional[str]:
        """What a word is. splits: whether the shell makes several of one that has blanks in what is put in."""
        found = ""
        for part in word.parts:
            value = self._part(part)
            loose = part.kind != TEXT and splits and not part.quoted
            if value is None or (loose and not (self._splits and _ONE_WORD.match(value))):
                return None
            if part.kind == TEXT and not part.quoted and any(sign in value for sign in _CHANGES):
                return None
            found += value
        return found

    def _part(self, part: Part) -> Optional[str]:
        if part.kind == TEXT:
            return part.value
        return self._parameter(part.value) if part.kind == PARAMETER else None

    def _parameter(self, expression: str) -> Optional[str]:
        if expression == "#":
            return None if self.more else str(len(self.words))
        if expression in ("*", "@"):
            return None if self.more or not self._splits else " ".join(self.words)
        found = _EXPRESSION.match(expression)
        if found is None:
            return None
        name, sign, word = found.groups()
        value: Optional[str] = self.values.get(name)
        if name.isdecimal():
            place = int(name) - 1 if len(name) < 4 else 999
            value = self.words[place] if place < len(self.words) else None
            if value is None and self.more:
                return None
        elif value is None:
            return None  # the environment may have it
        return _changed(value, sign, word) if sign else value or ""

    def pattern(self, word: Word) -> Optional[str]:
        """The regular expression of a pattern; None for one that is not as plain as most are."""
        found = ""
        for part in word.parts:
            value = self._part(part)
            if value is None:
                return None
            found += re.escape(value) if part.quoted else _signs(value, part.kind == TEXT) or "\0"
        return None if "\0" in found else found


def _changed(value: Optional[str], sign: str, word: str) -> Optional[str]:
    """The value of a parameter that has something behind its name; value: None for one that is not set."""
    if not _PLAIN_WORD.match(word):
        return None
    word = word.strip('"')
    if sign in (":-", "-"):
        return word if not (value if sign == ":-" else value is not None) else value
    if sign in (":+", "+"):
        return word if (value if sign == ":+" else value is not None) else ""
    if sign in ("?", ":?") or not (value or "").isascii():
        return value or None
    value = value or ""
    if sign in (",,", "^^") and not word:
        return value.lower() if sign == ",," else value.upper()
    if sign in ("#", "##") and word:
        return value[len(word) :] if value.startswith(word) else value
    if sign in ("%", "%%") and word:
        return value[: -len(word)] if value.endswith(word) else value
    return None


def _signs(text: str, written: bool) -> Optional[str]:
    """The regular expression of an unquoted part of a pattern; None for one that is not plain."""
    if not written and not _ONE_WORD.match(text):
        return None
    found = ""
    while text:
        bracket = _BRACKET.match(text)
        if bracket:
            found += bracket.group()
            text = text[bracket.end() :]
            continue
        if text[0] in "[~{}":
            return None
        found += {"*": "(?s:.*)", "?": "(?s:.)"}.get(text[0], re.escape(text[0]))
        text = text[1:]
    return found or "(?:)"


def matches(value: Optional[str], pattern: Optional[str]) -> Optional[bool]:
    """Whether a value matches; a pattern with many stars is not tried, since it may take for ever."""
    if pattern == "(?s:.*)":
        return True
    if value is None or pattern is None or pattern.count(".*") > 3 or len(value) > 256:
        return None
    return re.fullmatch(pattern, value) is not None


def merged(all_known: Iterable[Optional[Known]]) -> Optional[Known]:
    """What is known where one of these is so, nobody knows which; None where none of them can be."""
    found: Optional[Known] = None
    for each in all_known:
        if each is None:
            continue
        if found is None:
            found = each.copy()
            continue
        found.values = {name: value for name, value in found.values.items() if each.values.get(name) == value}
        if (found.words, found.more) != (each.words, each.more):
            found.words, found.more = (), True
    return found
