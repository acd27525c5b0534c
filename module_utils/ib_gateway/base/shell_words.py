"""Reads the words of a shell's text: their quotes, their expansions, where they end. Pure."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from .shell_tree import COMMAND, OTHER, PARAMETER, TEXT, Part, Redirect, Unclear, Word

_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[;&|()\n]")
_REDIRECT = re.compile(r"(?:\d+|\{\w+\})?(<<<|<<-?|<>|<&|>&|>>|>\||<(?!\()|>(?!\())|(&>>?)")
_PLAIN = re.compile(r"[^\s\\'\"$`;&|()<>]+")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_PARAMETER = re.compile(r"[A-Za-z_]\w*|[0-9#?!@*$_-]")
_ARRAY = re.compile(r"^[A-Za-z_]\w*\+?=$")
_IN_EXPANSION = re.compile(r"\"[^\"\\$`{}()]*\"")


class Words:
    """Reads at one place of a text, which moves on."""

    def __init__(self, text: str) -> None:
        # One of these makes other words of the text than its reader sees.
        if "\r" in text or "\0" in text:
            raise Unclear("control characters")
        self.text = text
        self._at = 0
        self._heredocs: List[Tuple[str, bool, List[Tuple[int, int]]]] = []

    def _list(self, ends: Tuple[str, ...], signs: Tuple[str, ...] = ()) -> List[Any]:
        raise NotImplementedError

    def _take(self, sign: str) -> None:
        self._skip_lines()
        if self._sign() != sign:
            raise Unclear("a sign is missing")
        self._at += len(sign)

    def _redirects(self) -> Tuple[Tuple[Redirect, ...], List[Tuple[int, int]]]:
        found: List[Redirect] = []
        spans: List[Tuple[int, int]] = []
        while True:
            self._skip_blanks()
            one = self._redirect(spans)
            if one is None:
                return tuple(found), spans
            found.append(one)

    def _redirect(self, spans: List[Tuple[int, int]]) -> Optional[Redirect]:
        head = _REDIRECT.match(self.text, self._at)
        if head is None:
            return None
        self._at = head.end()
        self._skip_blanks()
        target = self._word()
        if head.group(1) in ("<<", "<<-"):
            end = target.plain()
            if end is None:
                raise Unclear("a heredoc's end")
            self._heredocs.append((end, head.group(1) == "<<-", spans))
        return Redirect(head.group(), target)

    def _word(self) -> Word:
        start = self._at
        parts: List[Part] = []
        while self._at < len(self.text) and self._part(start, parts):
            pass
        raw = self.text[start : self._at]
        if not raw or self._at > len(self.text):
            raise Unclear("no word")
        if self._heredocs and "\n" in raw:
            raise Unclear("a heredoc in a word")
        return Word(tuple(parts), raw)

    def _part(self, start: int, parts: List[Part]) -> bool:
        """Reads on in a word that begins at start; False where it ends."""
        sign = self.text[self._at]
        plain = _PLAIN.match(self.text, self._at)
        if plain:
            self._at = plain.end()
            parts.append(Part(TEXT, plain.group(), False))
        elif sign in "\\'\"":
            self._quotes(sign, parts)
        elif sign in "$`":
            parts.append(self._expansion(False))
        elif sign == "(" and _ARRAY.match(self.text[start : self._at]):
            parts.append(self._array())
        elif sign in "<>" and self.text.startswith("(", self._at + 1):
            self._at += 1
            parts.append(self._substitution(False))
        else:
            return False
        return True

    def _quotes(self, sign: str, parts: List[Part]) -> None:
        if sign == "\\":
            if self.text[self._at : self._at + 2] != "\\\n":
                parts.append(Part(TEXT, self.text[self._at + 1 : self._at + 2], True))
            self._at += 2
        elif sign == "'":
            end = self.text.find("'", self._at + 1)
            if end < 0:
                raise Unclear("no end of quotes")
            parts.append(Part(TEXT, self.text[self._at + 1 : end], True))
            self._at = end + 1
        else:
            self._at += 1
            self._quoted(parts)

    def _quoted(self, parts: List[Part]) -> None:
        parts.append(Part(TEXT, "", True))
        while True:
            plain = _IN_QUOTES.match(self.text, self._at)
            if plain:
                self._at = plain.end()
                parts.append(Part(TEXT, plain.group(), True))
            sign = self.text[self._at : self._at + 1]
            if sign == '"':
                self._at += 1
                return
            if sign == "\\":
                after = self.text[self._at + 1 : self._at + 2]
                if after != "\n":
                    parts.append(Part(TEXT, after if after in '$`"\\' else sign + after, True))
                self._at += 2
            elif sign:
                parts.append(self._expansion(True))
            else:
                raise Unclear("no end of quotes")

    def _expansion(self, quoted: bool) -> Part:
        text = self.text
        if text[self._at] == "`":
            return self._opaque("`", quoted)
        self._at += 1
        after = text[self._at : self._at + 1]
        if after == "(":
            return self._opaque("(", quoted) if text.startswith("((", self._at) else self._substitution(quoted)
        if after == "{":
            part = self._opaque("{", quoted)
            return Part(PARAMETER, part.value[1:-1], quoted)
        if after in ("'", '"') and not quoted:
            if after == '"':  # translated
                raise Unclear("a translated word")
            return self._opaque("'", quoted)
        if after == "[":
            raise Unclear("arithmetic of old")
        name = _PARAMETER.match(text, self._at)
        if name is None:
            return Part(TEXT, "$", True)
        self._at = name.end()
        return Part(PARAMETER, name.group(), quoted)

    def _substitution(self, quoted: bool) -> Part:
        start = self._at
        self._at += 1
        body = self._list((), (")",))
        self._take(")")
        if self._heredocs:
            raise Unclear("a heredoc in a word")
        return Part(COMMAND, self.text[start : self._at], quoted, body)

    def _opaque(self, sign: str, quoted: bool) -> Part:
        """What is not taken apart: `...`, $((...)), ${...}, $'...'."""
        start = self._at
        if sign in ("{", "("):
            self._balanced(sign)
            if sign == "(" and self.text[self._at - 2] != ")":
                raise Unclear("not arithmetic")
        else:
            end = start + 1
            while end < len(self.text) and self.text[end] != sign:
                end += 2 if self.text[end] == "\\" else 1
            if end >= len(self.text):
                raise Unclear("no end")
            self._at = end + 1
        return Part(OTHER, self.text[start : self._at], quoted)

    def _array(self) -> Part:
        start = self._at
        self._at += 1
        self._skip_lines()
        while self._sign() != ")":
            self._word()
            self._skip_lines()
        self._at += 1
        return Part(OTHER, self.text[start : self._at], False)

    def _balanced(self, sign: str) -> None:
        """Goes behind the sign that closes this one. Quotes in it are not the same in every shell and place."""
        closes, depth = {"{": "}", "(": ")"}[sign], 0
        while self._at < len(self.text):
            one = self.text[self._at]
            plain = _IN_EXPANSION.match(self.text, self._at) if one == '"' and sign == "{" else None
            if plain:
                self._at = plain.end()
                continue
            if one in "'`\"\n" or (one == "{" and sign == one and self.text[self._at - 1] != "$"):
                raise Unclear("quotes in an expansion")
            self._at += one == "\\"
            depth += (one == sign) - (one == closes)
            self._at += 1
            if depth == 0:
                return
        raise Unclear("no end of an expansion")

    # --- places -------------------------------------------------------------------------------------------------------

    def _skip_blanks(self) -> None:
        blank = _BLANK.match(self.text, self._at)
        self._at = blank.end() if blank else self._at
        before = self.text[self._at - 1] if self._at else "\n"
        comment = _COMMENT.match(self.text, self._at) if before in " \t\n;&|()" else None
        self._at = comment.end() if comment else self._at

    def _skip_lines(self) -> None:
        self._skip_blanks()
        while self.text.startswith("\n", self._at):
            self._at += 1
            self._take_heredocs()
            self._skip_blanks()

    def _take_heredocs(self) -> None:
        for end, tabs, spans in self._heredocs:
            start = self._at
            while True:
                if self._at >= len(self.text):
                    raise Unclear("no end of a heredoc")
                line = self.text.find("\n", self._at)
                line = len(self.text) if line < 0 else line
                found = self.text[self._at : line]
                self._at = min(line + 1, len(self.text))
                if (found.lstrip("\t") if tabs else found) == end:
                    break
            spans.append((start, self._at))
        self._heredocs = []

    def _sign(self) -> str:
        found = _OPERATOR.match(self.text, self._at)
        if found is None or self.text.startswith("&>", self._at):
            return ""
        return found.group()
