"""What of a control script one call of it runs: `ibc.sh start`, and not what it has for stop. Pure.

Only where that is plain from its text; everything else is left as it is.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Dict, List, Optional, Sequence, Set, Tuple

#: One that is indented may stand in a function whose beginning was not understood, where "$1" is another word.
_CASE = re.compile(r"(?m)^case[ \t]+\"?\$(?:1|\{1(?::?-(\w*))?\})\"?[ \t]+in\b")
_ESAC = re.compile(r"\besac\b")
_LABELS = re.compile(r"\s*\(?[ \t]*([^()\n$`]+)\)")
#: What makes the order in which branches are run another one, or lets nobody tell what is run.
_UNPLAIN = re.compile(r";&|;;&|\bcase\b")
#: What makes another word of "$1", or has a text run more than once.
_MOVES = re.compile(r"\b(?:shift|getopts|while|until|for|select)\b|\bset[ \t]+(?:--|-[ \t]|[^-+\s])")
_HEAD = re.compile(r"(?m)^([ \t]*)(?:function[ \t]+)?([A-Za-z_]\w*)[ \t]*\(\)[ \t]*\n?[ \t]*\{")
_WORD = re.compile(r"[A-Za-z_]\w*")


def part_run(text: str, given: Optional[Sequence[str]]) -> str:
    """The text without the branches of `case "$1"` that another first word takes, and without functions that nothing
    calls. given: the words that the script is given; None where they are not known."""
    if given is None or any("$" in word or "`" in word for word in given[:1]) or re.search(r"\beval\b", text):
        return text
    parts = _parts(text)
    main = "".join(part for name, part in parts if not name)
    if not _MOVES.search(main):  # in a function "$1" is another word
        word = given[0] if given else ""
        parts = [(name, part if name else _one_branch(part, word)) for name, part in parts]
    return _without_idle(parts, given)


def _one_branch(text: str, word: str) -> str:
    head = _CASE.search(text)
    end = _ESAC.search(text, head.end()) if head else None
    if head is None or end is None:
        return text
    block = text[head.end() : end.start()]
    branches = [each for each in block.split(";;") if each.strip()]
    labels = [_LABELS.match(each) for each in branches]
    if _UNPLAIN.search(block) or not all(labels):
        return text
    word = word or head.group(1) or ""
    taken = ""
    for each, label in zip(branches, labels):
        if label and any(fnmatchcase(word, one.strip(" \t\"'")) for one in label.group(1).split("|")):
            taken = each[label.end() :]
            break
    return text[: head.start()] + taken + "\n" + text[end.end() :]


def _without_idle(parts: Sequence[Tuple[str, str]], given: Sequence[str]) -> str:
    functions: Dict[str, str] = {}
    for name, part in parts:
        functions[name] = functions.get(name, "") + part
    called: Set[str] = {""}
    turn = set(_WORD.findall(functions[""])) | set(given)
    while turn:
        new = (turn & functions.keys()) - called
        called |= new
        turn = {word for name in new for word in _WORD.findall(functions[name])}
    return "".join(part for name, part in parts if name in called)


def _parts(text: str) -> List[Tuple[str, str]]:
    """The text in parts: (the name of a function, its text), or ("", what is none's). A function whose end cannot be
    found is none."""
    found = [("", "")]
    at = 0
    while True:
        head = _HEAD.search(text, at)
        end = _end_of(text, head.end(), head.group(1)) if head else None
        if head is None or end is None:
            return [*found, ("", text[at:])]
        found += [("", text[at : head.start()]), (head.group(2), text[head.start() : end])]
        at = end


def _end_of(text: str, start: int, indent: str) -> Optional[int]:
    """Where a function ends whose body starts there: in the same line, or at the next brace that begins a line with the
    function's own indent. One further in may end something within it."""
    line = text.find("\n", start)
    first = text[start : line if line >= 0 else len(text)]
    if first.rstrip().endswith("}") and first.count("{") + 1 == first.count("}"):
        return start + len(first)
    closing = "\n%s}" % indent
    place = text.find(closing, start)
    return place + len(closing) if place >= 0 else None
