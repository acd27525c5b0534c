"""What one command of a shell's text makes of what is known there: of its variables and words, its functions, its flow.
Pure.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from .shell_grammar import Grammar
from .shell_known import Known, merged
from .shell_tests import arithmetic, bracket, double_bracket
from .shell_tree import COMMAND, PARAMETER, TEXT, Command, Function, Part, Unclear, Word

#: Whether a command succeeds, and what is known behind it; None where nothing behind it is run.
Way = Tuple[Optional[bool], Optional[Known]]
#: The text of the file that is sourced in a line; empty for none, None where it is not known.
Sourced = Callable[[int], Optional[str]]

#: Of a common init script there are some hundred.
_MOST_STEPS = 6000
_MOST_CALLS = 12
PIECE = re.compile(r"[\w.:-]+")
_ASSIGNS = re.compile(r"^([A-Za-z_]\w*)(\+?=|\[)")
_GIVES = re.compile(r"^(\w+):?=|^!")
_SETS = re.compile(r"^[-+][a-jl-zA-Z]+$")
#: Variables that have a value of their own, or are read by the shell.
_SPECIAL = re.compile(
    r"^(?:_|RANDOM|SRANDOM|SECONDS|LINENO|OPT\w+|IFS|E?UID|PPID|GROUPS|DIRSTACK|FUNCNAME|REPLY|MAPFILE|COPROC|BASH\w*|EPOCH\w*)$"
)
#: A function of one of these names makes another thing of what is understood here.
TAKEN = frozenset(
    (
        *(
            "[",
            "test",
            "true",
            "false",
            ":",
            "set",
            "shift",
            "exit",
            "return",
            "break",
            "continue",
            "exec",
            "eval",
            ".",
        ),
        *("source", "trap", "export", "readonly", "local", "declare", "typeset", "read", "mapfile", "readarray", "let"),
        *("unset", "getopts", "printf", "echo", "command", "builtin", "alias", "enable", "shopt", "wait", "cd", "ps"),
        *("pgrep", "pidof", "pkill", "grep", "egrep", "fgrep", "wc", "head", "tail", "cut", "tr", "kill", "killall"),
        "xargs",
    )
)
#: Commands that `command` runs as it would without it.
_NO_MATTER = frozenset(("ps", "pgrep", "pidof", "pkill", "grep", "kill", "killall", "xargs", "echo", "cd", "wc"))
#: Commands that do nothing in a shell that is none.
_OF_BASH = ("source", "declare", "typeset", "readarray", "mapfile")
#: Change what the shell makes of the text behind them.
_TURNS = frozenset(("alias", "unalias", "enable", "coproc", "shopt", "emulate", "setopt", "hash", "builtin"))
_GIVE = ("read", "mapfile", "readarray", "let", "unset", "getopts", "wait", "printf")
_DECLARE = ("export", "readonly", "local", "declare", "typeset")
_TRACES = ("DEBUG", "ERR", "RETURN")
#: Run nothing of what they are told.
_TELL = ("echo", "printf", "logger", "[", "[[", "test", ":", "exit", "cd", "log_daemon_msg", "log_end_msg", "log_msg")


class Frame:
    """A text or a function that is being run. loops: what is known where one of its loops was left early."""

    def __init__(self, returns: bool) -> None:
        self.returns = returns
        self.left: List[Known] = []
        self.loops: List[List[Known]] = []
        self.own: Set[str] = set()


class Commands:
    """What is gone through of a text, command by command. reached: the ids of the commands that can be run.

    bash: whether the shell is surely one.
    """

    def __init__(self, text: str, given: Optional[Sequence[str]], sourced: Sourced, bash: bool) -> None:
        self.grammar = Grammar(text)
        self.tree = self.grammar.program()
        self.reached: Set[int] = set()
        self._own = {id(each) for each in self.grammar.commands}
        self._line = 0
        self._kept: List[Any] = []
        self._sourced = sourced
        self._bash = bash
        self._steps = 0
        self._functions: Dict[str, List[Function]] = {}
        self._frames = [Frame(False)]
        self._constant: Set[str] = set()
        # Functions that may be run in a way that is not followed, and whether any may.
        self._perhaps: Set[str] = set(given[1:] if given else ())
        self._any = False
        self._splits = "IFS" not in text

    def _list(self, items: Sequence[Any], known: Optional[Known]) -> Way:
        raise NotImplementedError

    def _command(self, node: Any, known: Known) -> Way:
        raise NotImplementedError

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise Unclear("too much")

    def _one(self, node: Command, known: Known) -> Way:
        self.reached.add(id(node))
        self._spend(sum(1 + len(word.raw) // 64 for word in node.words))
        self._line = self.grammar.text.count("\n", 0, node.start) + 1 if id(node) in self._own else 0
        for start, end in node.spans:
            # Of a text that is sourced all words are taken.
            self._perhaps.update(PIECE.findall(self.grammar.text[start:end]))
            known.values.clear()
        for word in node.words:
            self._inner(word, known)
        if node.kind != "simple":
            return self._compared(node, known)
        words = list(node.words)
        before = []
        while words and _ASSIGNS.match(words[0].raw):
            before.append(words.pop(0))
        if not words:
            for word in before:
                self._assign(word, known)
            unsure = self._constant or any(part.kind == COMMAND for word in before for part in word.parts)
            return (None if unsure else True), known
        for word in before:
            known.values.pop(_ASSIGNS.match(word.raw).group(1), None)  # type: ignore[union-attr]  # matched above
        return self._named(words, known)

    def _compared(self, node: Command, known: Known) -> Way:
        """`[[ ... ]]` and `(( ... ))`, of which another shell may make several commands."""
        if not self._bash:
            raise Unclear("bash alone has it")
        if node.kind == "[[":
            return double_bracket(node, known), known
        raw = node.words[0].raw
        self._perhaps.update(PIECE.findall(raw))
        status = arithmetic(raw, known)
        if status is None:
            known.values.clear()
        return status, known

    def _named(self, words: List[Word], known: Known) -> Way:
        argv, more = known.expanded(words)
        if not argv:
            if more and not any("/" in part.value for part in words[0].parts if part.kind == TEXT):
                self._anything(known)
            self._perhaps.update(piece for word in words for piece in PIECE.findall(word.raw))
            return None, known
        name = argv[0]
        if name in _TURNS or (name in _OF_BASH and not self._bash):
            raise Unclear("another language")
        if name in self._functions:
            return self._call(name, argv[1:], more, known)
        if name not in _TELL:
            self._perhaps.update(piece for word in words for piece in PIECE.findall(word.raw))
            self._perhaps.update(piece for word in argv[1:] for piece in PIECE.findall(word))
        if name in ("[", "test"):
            inner = words[1:-1] if name == "[" and words[-1].raw == "]" else words[1:] if name == "test" else None
            return (bracket(inner, known, self._bash) if inner is not None else None), known
        if name in (":", "true", "false"):
            return name != "false", known
        if name in ("exit", "return", "break", "continue", "exec"):
            return self._leaves(name, words, argv, more, known)
        self._changes(name, words, argv, more, known)
        return None, known

    def _leaves(self, name: str, words: List[Word], argv: List[str], more: bool, known: Known) -> Way:
        """A command behind which nothing of a text, a function or a loop is run."""
        frame = self._frames[-1]
        if name == "exec":
            return None, None if len(words) > 1 and _surely_one(words[1]) else known
        if name == "return" and frame.returns:
            frame.left.append(known)
            return None, None
        if name in ("break", "continue") and any(each.loops for each in self._frames):
            for each in self._frames:
                for loop in each.loops:
                    loop.append(known.copy())
            return None, None if frame.loops and len(argv) == 1 and not more else known
        return None, None if name == "exit" else known

    def _call(self, name: str, given: List[str], more: bool, known: Known) -> Way:
        if len(self._frames) > _MOST_CALLS:
            raise Unclear("too many calls")
        words, open_ended = known.words, known.more
        left: List[Optional[Known]] = []
        status: Optional[bool] = None
        for each in list(self._functions[name]):
            run = known.copy()
            run.words, run.more = tuple(given), more
            self._frames.append(Frame(True))
            status, after = self._command(each.body, run)
            frame = self._frames.pop()
            left += [after, *frame.left]
            status = None if frame.left or len(self._functions[name]) > 1 else status
            for one in filter(None, left):
                for local in frame.own:
                    one.values.pop(local, None)
        found = merged(left)
        if found is not None:
            found.words, found.more = words, open_ended
        return status, found

    def _changes(self, name: str, words: List[Word], argv: List[str], more: bool, known: Known) -> None:
        """What a command of the shell itself changes in it."""
        if name in _DECLARE:
            self._declare(name, words, known)
        elif name in _GIVE and (name != "printf" or "-v" in argv or more):
            for piece in (piece for word in words[1:] for piece in PIECE.findall(word.raw)):
                known.values.pop(piece, None)
            if more:
                known.values.clear()
        elif name == "command" and (more or len(argv) < 2 or argv[1] in TAKEN - _NO_MATTER):
            self._anything(known)
        elif name in ("set", "shift"):
            (_set if name == "set" else _shift)(argv[1:], more, known)
        elif name in ("eval", ".", "source", "trap"):
            self._other_text(name, words, argv, more, known)

    def _other_text(self, name: str, words: List[Word], argv: List[str], more: bool, known: Known) -> None:
        """A command that is given a text to run in the shell itself."""
        if name == "eval":
            self._within(" ".join(argv[1:]) if not more else None, known)
        elif name == "trap":
            if any(not re.match(r"^[A-Z0-9]+$", word.raw) or word.raw in _TRACES for word in words[2:]):
                raise Unclear("a trap for what is run")
            if len(words) > 1 and not any(part.kind == TEXT and part.value.strip() for part in words[1].parts):
                self._any = True
        else:
            text = self._sourced(self._line) if self._line and len(words) > 1 else None
            if len(words) > 2:
                known.words, known.more = (), True
            self._within(text, known)

    def _declare(self, name: str, words: List[Word], known: Known) -> None:
        options = "".join(each.raw for each in words[1:] if each.raw.startswith("-"))
        if re.search(r"[^-xgrp]", options) or "f" in options:
            raise Unclear("a variable of another kind")
        for word in words[1:]:
            found = _ASSIGNS.match(word.raw)
            if found:
                self._assign(word, known)
            variable = found.group(1) if found else word.raw
            if name in ("local", "declare", "typeset") and len(self._frames) > 1:
                self._frames[-1].own.add(variable)
                if not found:
                    known.values.pop(variable, None)
            if name == "readonly" or "r" in options:
                self._constant.add(variable)
            if not found and not re.match(r"^(?:-\w+|[A-Za-z_]\w*)$", word.raw):
                known.values.clear()

    def _within(self, text: Optional[str], known: Known) -> None:
        """Another text that the shell runs as its own."""
        if text is None:
            self._anything(known)
            return
        self._spend(len(text) // 64)
        grammar = Grammar(text)
        tree = grammar.program()
        self._kept.append((grammar, tree))
        if "IFS" in text or len(self._frames) > _MOST_CALLS:
            raise Unclear("another way to split words")
        if any(each.spans for each in grammar.commands):
            self._perhaps.update(PIECE.findall(text))
        self._frames.append(Frame(True))
        # It may end the text, and whoever says that it does is not asked.
        after = self._list(tree, known.copy())[1]
        found = merged((after, *self._frames.pop().left)) or known
        known.values, known.words, known.more = found.values, found.words, found.more

    def _anything(self, known: Known) -> None:
        """A command that only the shell can know: it may have been any."""
        self._any = True
        known.forget()

    def _assign(self, word: Word, known: Known) -> None:
        found = _ASSIGNS.match(word.raw)
        name = found.group(1) if found else ""
        first, value = word.parts[0], None
        if found and found.group(2) == "=" and not _SPECIAL.match(name) and name not in self._constant:
            rest = Part(TEXT, first.value[found.end() :], first.quoted)
            value = known.value(Word((rest, *word.parts[1:]), word.raw[found.end() :]))
        known.values.pop(name, None)
        if value is not None and len(value) <= 256:
            known.values[name] = value

    def _inner(self, word: Word, known: Known) -> None:
        """What is run, and given a value, within a word."""
        for part in word.parts:
            if part.kind == COMMAND:
                self._list(part.body or (), known.copy())
            elif part.kind == PARAMETER:
                gives = _GIVES.match(part.value)
                if gives and gives.group(1):
                    known.values.pop(gives.group(1), None)
            if part.kind not in (TEXT, COMMAND):
                self._perhaps.update(PIECE.findall(part.value))
                if part.value.startswith("$((") and re.search(r"[^=!<>]=[^=]|\+\+|--", part.value):
                    known.values.clear()


def _shift(given: List[str], more: bool, known: Known) -> None:
    count = int(given[0]) if len(given) == 1 and re.match(r"^\d{1,3}$", given[0]) else -1 if given else 1
    sure = not more and 0 <= count <= len(known.words)
    known.words, known.more = (known.words[count:], known.more) if sure else ((), True)


def _set(given: List[str], more: bool, known: Known) -> None:
    place = 0
    while place < len(given) and _SETS.match(given[place]):
        place += 2 if given[place].endswith("o") else 1
    if more or any("k" in each for each in given[:1]):
        known.words, known.more = (), True
    elif place < len(given):
        rest = given[place + 1 :] if given[place] in ("--", "-") else given[place:]
        known.words, known.more = tuple(rest), False
        if given[place] == "-" and not rest:
            known.more, known.words = True, ()


def _surely_one(word: Word) -> bool:
    """Whether a word behind exec is surely one, and no option."""
    lists = any("@" in part.value for part in word.parts if part.kind != TEXT)
    sure = any(part.quoted or (part.kind == TEXT and part.value) for part in word.parts)
    return sure and not lists and not word.raw.startswith("-")
