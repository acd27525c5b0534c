"""Reads a shell's text into a tree. Pure.

What sh and bash have in common, and a little of bash. Whatever else there is, or is not well formed, is Unclear:
nobody may then say of a part of the text that it is not run. Takes time in proportion to the text's length.
"""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from .shell_tree import (
    OTHER,
    AndOr,
    Case,
    Command,
    Function,
    Group,
    If,
    Loop,
    Part,
    Pipeline,
    Redirect,
    Unclear,
    Word,
)
from .shell_words import Words

_MOST_DEPTH = 40
_FUNCTION = re.compile(r"(?:\\\n|[ \t])*\((?:\\\n|[ \t])*\)")
_FUNCTION_NAME = re.compile(r"^[A-Za-z_][\w.:-]*$")
_RESERVED = frozenset(
    (
        *("if", "then", "elif", "else", "fi", "case", "esac", "for", "select", "while", "until", "do", "done", "in"),
        *("{", "}", "!", "function", "time", "coproc", "[["),
    )
)


class Grammar(Words):
    """One reading of one text. commands: every simple command that was read, in their order."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.commands: List[Command] = []
        self._depth = 0

    def program(self) -> List[AndOr]:
        found = self._list(())
        if self._at < len(self.text) or self._heredocs:
            raise Unclear("an end without its beginning")
        return found

    # --- lists --------------------------------------------------------------------------------------------------------

    def _list(self, ends: Tuple[str, ...], signs: Tuple[str, ...] = ()) -> List[AndOr]:
        """Commands up to one of these words or signs, which is left, or to the end of the text."""
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise Unclear("too deep")
        found: List[AndOr] = []
        while True:
            self._skip_lines()
            if self._at >= len(self.text) or self._sign() in signs or self._reserved() in ends:
                break
            found.append(self._and_or())
            sign = self._sign()
            if sign in (";", "&"):
                self._at += 1
            elif sign not in ("\n", "", *signs):
                raise Unclear("an unexpected sign")
            elif sign == "" and self._at < len(self.text) and self._reserved() not in ends:
                raise Unclear("no end of a command")
        self._depth -= 1
        return found

    def _and_or(self) -> AndOr:
        start, sign = self._at, ""
        found: List[Tuple[str, Pipeline]] = []
        while True:
            found.append((sign, self._pipeline()))
            sign = self._sign()
            if sign not in ("&&", "||"):
                return AndOr(start, self._at, tuple(found), sign == "&")
            self._at += 2
            self._skip_lines()

    def _pipeline(self) -> Pipeline:
        start, negated = self._at, False
        while self._reserved() in ("!", "time"):
            negated ^= self._take_reserved() == "!"
        found = [self._command()]
        while self._sign() in ("|", "|&"):
            self._at += len(self._sign())
            self._skip_lines()
            found.append(self._command())
        return Pipeline(start, self._at, negated, tuple(found))

    # --- commands -----------------------------------------------------------------------------------------------------

    def _command(self) -> Any:
        start = self._at
        if self.text.startswith("((", start):
            return self._arithmetic()
        if self._sign() == "(":
            return self._group(start, "(")
        word = self._reserved()
        if word is None:
            return self._simple()
        if word not in ("{", "if", "case", "for", "select", "while", "until", "function", "[["):
            raise Unclear("a keyword in the place of a command")
        self._take_reserved()
        if word == "{":
            return self._group(start, "{")
        if word == "[[":
            return self._test(start)
        if word == "function":
            name = self._word()
            head = _FUNCTION.match(self.text, self._at)
            self._at = head.end() if head else self._at
            return self._function(start, name.plain() or "", True)
        return {"if": self._if, "case": self._case}.get(word, self._loop)(start)

    def _simple(self) -> Any:
        start = self._at
        words: List[Word] = []
        redirects: List[Redirect] = []
        spans: List[Tuple[int, int]] = []
        while True:
            self._skip_blanks()
            found = self._redirect(spans)
            if found is not None:
                redirects.append(found)
                continue
            if self._at >= len(self.text) or self._sign():
                break
            words.append(self._word())
            head = _FUNCTION.match(self.text, self._at) if len(words) == 1 and not redirects else None
            if head is not None:
                self._at = head.end()
                return self._function(start, words[0].plain() or "")
        if not words and not redirects:
            raise Unclear("no command")
        return self._known(Command(start, self._at, "simple", tuple(words), tuple(redirects), spans))

    def _known(self, command: Command) -> Command:
        self.commands.append(command)
        return command

    def _function(self, start: int, name: str, keyword: bool = False) -> Function:
        if not _FUNCTION_NAME.match(name) or name in _RESERVED:
            raise Unclear("a function's name")
        self._skip_lines()
        body = self._command()
        if isinstance(body, (Command, Function)):
            raise Unclear("a function's body")
        return Function(start, self._at, name, body, keyword)

    def _arithmetic(self) -> Command:
        start = self._at
        self._at += 1
        self._balanced("(")
        if not self.text.startswith(")", self._at) or self.text[self._at - 1] != ")":
            raise Unclear("not arithmetic")
        self._at += 1
        raw = self.text[start + 2 : self._at - 2]
        redirects, spans = self._redirects()
        return self._known(Command(start, self._at, "((", (Word((), raw),), redirects, spans))

    def _test(self, start: int) -> Command:
        words: List[Word] = []
        while True:
            self._skip_blanks()
            sign = self._sign() or (self.text[self._at] if self.text[self._at : self._at + 1] in ("<", ">") else "")
            if sign:
                self._at += len(sign)
                words.append(Word((Part(OTHER, sign, False),), sign))
                continue
            word = self._word()
            if word.raw == "]]":
                redirects, spans = self._redirects()
                return self._known(Command(start, self._at, "[[", tuple(words), redirects, spans))
            words.append(word)

    def _group(self, start: int, sign: str) -> Group:
        if sign == "(":
            self._at += 1
            body = self._list((), (")",))
            self._take(")")
        else:
            body = self._list(("}",))
            self._take_reserved("}")
        return Group(start, self._at, sign == "(", body, self._redirects()[0])

    def _if(self, start: int) -> If:
        branches: List[Tuple[Optional[List[AndOr]], List[AndOr]]] = []
        inside: List[Tuple[int, int]] = []
        word = "elif"
        while word != "fi":
            condition = None if word == "else" else self._list(("then",))
            if condition is not None:
                self._take_reserved("then")
            place = self._at
            branches.append((condition, self._list(("fi",) if condition is None else ("elif", "else", "fi"))))
            inside.append((place, self._at))
            word = self._take_reserved()
        return If(start, self._at, tuple(branches), tuple(inside), self._redirects()[0])

    def _case(self, start: int) -> Case:
        word = self._word()
        self._skip_lines()
        self._take_reserved("in")
        branches: List[Tuple[Tuple[Word, ...], List[AndOr], str]] = []
        inside: List[Tuple[int, int]] = []
        while True:
            self._skip_lines()
            if self._reserved() == "esac":
                break
            if self._sign() == "(":
                self._at += 1
            patterns = [self._pattern()]
            while self._sign() == "|":
                self._at += 1
                patterns.append(self._pattern())
            self._take(")")
            place = self._at
            body = self._list(("esac",), (";;", ";&", ";;&"))
            inside.append((place, self._at))
            sign = self._sign()
            self._at += len(sign)
            branches.append((tuple(patterns), body, sign or ";;"))
        self._take_reserved("esac")
        return Case(start, self._at, word, tuple(branches), tuple(inside), self._redirects()[0])

    def _pattern(self) -> Word:
        self._skip_blanks()
        found = self._word()
        self._skip_blanks()
        return found

    def _loop(self, start: int) -> Loop:
        kind = self.text[start : self._at].rstrip("\\\n \t")
        name, words, condition = "", [], []  # type: str, List[Word], List[AndOr]
        if kind in ("for", "select"):
            if self.text.startswith("((", self._at):
                words = [Word((), self._arithmetic().words[0].raw)]
            else:
                name = self._word().raw
                self._skip_lines()
                if self._reserved() == "in":
                    self._take_reserved()
                    while not self._sign():
                        words.append(self._word())
                        self._skip_blanks()
            self._skip_blanks()
            if self._sign() == ";":
                self._at += 1
            self._skip_lines()
        else:
            condition = self._list(("do",))
        self._take_reserved("do")
        body = self._list(("done",))
        self._take_reserved("done")
        return Loop(start, self._at, kind, name, tuple(words), condition, body, self._redirects()[0])

    # --- keywords -----------------------------------------------------------------------------------------------------

    def _reserved(self) -> Optional[str]:
        """The keyword that stands here."""
        end = self._at
        while end < len(self.text) and end - self._at < 9 and self.text[end] not in " \t\n;&|()<>\\'\"$`":
            end += 1
        word = self.text[self._at : end]
        whole = end >= len(self.text) or self.text[end] in " \t\n;&|()<>" or self.text.startswith("\\\n", end)
        return word if word in _RESERVED and whole else None

    def _take_reserved(self, expected: Optional[str] = None) -> str:
        self._skip_lines()
        word = self._reserved()
        if word is None or (expected is not None and word != expected):
            raise Unclear("a keyword is missing")
        self._at += len(word)
        self._skip_blanks()
        return word
