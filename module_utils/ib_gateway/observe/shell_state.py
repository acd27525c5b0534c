"""What a shell knows at a place of its text: where it is, and the values that the text itself has given its variables.

A value counts only where it is certain: one that a branch or a loop may have given, that a command printed or that a
file gave which could not be read is unknown, and stays as it is written.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Dict, Iterator, List, Match, NamedTuple, Optional, Sequence, Set, Tuple

from ..base.shell_text import LITERAL, PATH_OF, QUOTED, leads, path_told, without_leads

_ENDS = {
    **{"if": "fi", "case": "esac", "{": "}"},
    **{"while": "done", "until": "done", "for": "done", "select": "done"},
}
_BRANCHES = ("else", "elif")
_ASSIGNS = re.compile(r"(?s)^([A-Za-z_]\w*)(\+?=|\[)(.*)$")
_NAME = re.compile(r"^[A-Za-z_]\w*$")
_VARIABLE = re.compile(r"([$%s])(?:([A-Za-z_]\w*|0)|\{([A-Za-z_]\w*|0)\})" % QUOTED)
#: What the shell would make more words of, or other ones.
_SPLIT = re.compile(r"[\s*?\[]")
_DECLARE = ("export", "declare", "typeset", "readonly", "local")
_GO = ("cd", "pushd", "popd")
_GIVE_UNKNOWN = ("unset", "read", "mapfile", "readarray", "getopts", "let", "printf", "select")
_HOME = re.compile(r"^~(?=/|$)")
_FOLDER = "PWD"
_OPEN = "("
#: Of a value.
_MOST_LENGTH = 1024
#: Paths that a word tells.
_MOST_PATHS = 16


class _Block(NamedTuple):
    """A part of a text that may not be run, or is run in a shell of its own.

    before: what it sets, as that was. changed: which of that it gives another value.
    """

    end: str
    before: Dict[str, Optional[str]]
    changed: Set[str]


class Shell:
    """A shell that runs a text. folder: where, None where that is not known; home: of the account, likewise.

    script: the path of the script whose text it is, None for a text behind -c. sources: the files whose text it runs as
    its own just now, one by the other. depth: how many texts have led to this one.
    """

    def __init__(
        self, folder: Optional[str], home: Optional[str], script: Optional[str] = None, depth: int = 0
    ) -> None:
        self.script = script
        self.sources: List[str] = []
        self.depth = depth
        self._home = home
        self._values: Dict[str, Optional[str]] = {"HOME": home, _FOLDER: folder, "0": script}
        self._exported = {"HOME"}
        self._exports_all = False
        self._blocks: List[_Block] = []

    @property
    def folder(self) -> Optional[str]:
        return self._values.get(_FOLDER)

    def value(self, name: str) -> Optional[str]:
        """What is in a variable; None where that is not known."""
        return self._values.get(name) if name != "BASH_SOURCE" else self.sources[-1] if self.sources else self.script

    def child(self, script: Optional[str], given: Sequence[str] = ()) -> Shell:
        """A shell that this one runs. given: assignments before the command that runs it."""
        found = Shell(self.folder, self._home, script, self.depth + 1)
        found._values.update({name: self._values.get(name) for name in self._exported})
        for word in given:
            found._assign(word, exported=True)
        return found

    def put_in(self, word: str, whole: bool = False) -> str:
        """A marked word with the values that are known. whole: whether it stays one word whatever is in it."""

        def value(found: Match[str]) -> str:
            known = self.value(found.group(2) or found.group(3))
            if known is None or (found.group(1) != QUOTED and not whole and _SPLIT.search(known)):
                return found.group()
            return known

        if "$" in word or QUOTED in word:
            word = _VARIABLE.sub(value, word)
        return self._paths_told(word) if PATH_OF in word else word

    def path(self, word: str) -> Optional[str]:
        """The absolute path that a word with its values put in means; None where it is not known."""
        word = _HOME.sub(self._home or "~", word)
        if not word or _unknown(word) or word.startswith("~") or (self.folder is None and not word.startswith("/")):
            return None
        try:
            os.fsencode(word)
        except UnicodeEncodeError:  # no path of this system
            return None
        return os.path.normpath(os.path.join(self.folder or "/", word.replace(LITERAL, "$")))

    def arrive(self, signs: str, words: Sequence[str]) -> None:
        """Comes to a command: leaves and enters the blocks that the signs and the keywords before it tell."""
        for sign in signs:
            if sign == _OPEN:
                self._enter(")")
            elif sign == ")" and self._blocks and self._blocks[-1].end == sign:
                self._leave(sign)
        if ";;" in signs:
            self._next_branch("esac")
        for word in words:
            if word in _ENDS:
                self._enter(_ENDS[word])
            elif word in _BRANCHES:
                self._next_branch("fi")
            elif word in _ENDS.values():
                self._leave(word)
            elif not leads(word) or "=" in word:
                break

    def run(self, signs: str, words: Sequence[str]) -> None:
        """Takes in what a command changes here. words: as the text has them, marked, with what stands before them."""
        perhaps = "&&" in signs or "|" in signs
        command = without_leads(list(words))
        if not command:
            for word in words:
                self._assign(word, perhaps=perhaps)
        elif command[0] in _GO:
            self._go(command, perhaps="|" in signs)
        elif command[0] in _DECLARE:
            exports = command[0] == "export" or "-x" in command
            for word in command[1:]:
                self._assign(word, exports, perhaps)
        elif command[0] in _GIVE_UNKNOWN or "for" in words[: len(words) - len(command)]:
            for word in filter(_NAME.match, command):
                self._set(word, None)
        else:
            self._run_other(command)

    def _run_other(self, command: Sequence[str]) -> None:
        if command[0] == "set" and len(command) > 1:
            self._exports_all = (self._exports_all or command[1] == "-a") and command[1] != "+a"
        elif command[0] == "eval":
            self.forget()
        elif _ASSIGNS.match(command[0]):  # a part of an array, or more of a value
            self._assign(command[0])

    def forget(self) -> None:
        """Knows no variable any more: something may have given them other values."""
        for name in list(self._values):
            if name not in (_FOLDER, "0"):
                self._set(name, None)

    @contextlib.contextmanager
    def sourcing(self, path: str) -> Iterator[None]:
        """While it runs the text of another file as its own."""
        blocks = len(self._blocks)
        self.sources.append(path)
        self.depth += 1
        try:
            yield
        finally:
            self.sources.pop()
            self.depth -= 1
            while len(self._blocks) > blocks:  # which that file has left open
                self._leave(self._blocks[-1].end)

    # --- what changes it ----------------------------------------------------------------------------------------------

    def _assign(self, word: str, exported: bool = False, perhaps: bool = False) -> None:
        found = _ASSIGNS.match(word)
        name = found.group(1) if found else word
        if exported or self._exports_all:
            self._exported.add(name)
        if found:
            # What follows an empty one may be an array's values.
            value = self.put_in(found.group(3), whole=True) if found.group(2) == "=" else ""
            known = value and len(value) <= _MOST_LENGTH and not _unknown(value)
            self._set(name, value if known and (not perhaps or self.value(name) == value) else None)

    def _go(self, command: Sequence[str], perhaps: bool) -> None:
        words = [word for word in command[1:] if not word.startswith("-")]
        target = self.path(self.put_in(words[0])) if words else self._home
        known = command[0] != "popd" and not perhaps and (words or len(command) == 1)
        self._set(_FOLDER, target if known else None)

    def _set(self, name: str, value: Optional[str]) -> None:
        if self._blocks and self._blocks[-1].before.setdefault(name, self._values.get(name)) != value:
            self._blocks[-1].changed.add(name)
        self._values[name] = value

    def _enter(self, end: str) -> None:
        self._blocks.append(_Block(end, {}, set()))

    def _next_branch(self, end: str) -> None:
        if self._blocks and self._blocks[-1].end == end:
            self._values.update(self._blocks[-1].before)

    def _leave(self, end: str) -> None:
        if not any(block.end == end for block in self._blocks):
            return
        left = ""
        while left != end:
            left, before, changed = self._blocks.pop()
            self._values.update(before)
            for name in changed if left != ")" else ():  # a shell of its own changes nothing here
                self._set(name, None)

    def _paths_told(self, word: str) -> str:
        """The word with the paths that its substitutions tell, as far as they are known."""
        for _each in range(_MOST_PATHS):
            found = path_told(word)
            path = self._told(found.group(1), found.group(2)) if found else None
            if found is None or path is None:
                return word
            word = word[: found.start()] + path + word[found.end() :]
        return word

    def _told(self, command: str, given: str) -> Optional[str]:
        path = self.path(given)
        if path is None or LITERAL in given:
            return None
        if command == "dirname":
            return os.path.dirname(path)
        return path if command == "cd" else os.path.realpath(path)


def _unknown(word: str) -> bool:
    return any(sign in word for sign in ("$", QUOTED, "`", PATH_OF))


def assignments(words: Sequence[str]) -> Tuple[str, ...]:
    """The assignments that stand before a command."""
    before = words[: len(words) - len(without_leads(list(words)))]
    return tuple(word for word in before if _ASSIGNS.match(word))
