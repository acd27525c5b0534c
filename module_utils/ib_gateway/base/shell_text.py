"""The simple commands of a shell's text, in the order in which they stand there. Pure.

A text takes time in proportion to its length, whoever wrote it.
"""

from __future__ import annotations

import bisect
import itertools
import re
import shlex
from typing import Dict, Iterator, List, Match, Optional, Tuple

LOOPS = ("while", "until", "for")
_KEYWORDS = frozenset((*LOOPS, "do", "then", "else", "elif", "if", "!", "{", "time", "coproc", "done", "fi", "}"))
_ENDS_COMMAND = re.compile(r"^[;&|()\n]+$")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")

#: What marked() puts in place of a dollar sign that is an ordinary character, and of one between double quotes.
LITERAL, QUOTED = "\0", "\4"
#: And around a substitution that tells a path: its command, what that is given, its end.
PATH_OF, GIVEN, PATH_ENDS = "\1", "\2", "\3"
_MARKS = re.compile("[%s]" % "".join((LITERAL, QUOTED, PATH_OF, GIVEN, PATH_ENDS)))
#: An escape, quotes that may lack their end, a comment, which begins where a word might: `$#` and `${0##*/}` are none.
_UNITS = re.compile(r"(?s)\\.|'[^']*(?:'|\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\Z)|(?<![^\s;&|()])#[^\n]*")
_HEREDOC = re.compile(r"<<-?[ \t]{0,4}[\"'\\]?([\w.-]{1,64})")
_QUOTES = re.compile(r"['\"]")
_QUOTES_END = re.compile(r"(?s)(?:[^'\"\\]|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\")*")
#: In the place of a line's end that continues the line, also within a word.
_CONTINUED = "\5"
_ESCAPE = re.compile(r"(?s)\\(.)")
_FIRST_OF_ARRAY = re.compile(r"\$\{(\w+)\[0\]")
_WORKING_FOLDER = re.compile(r"\$\([ \t]{0,4}pwd(?:[ \t]-\w)?[ \t]{0,4}\)|`pwd`")
_LAST_PART_CUT = re.compile(r"\$\{(\w+)%/\*\}")
_TELLS_PATH = re.compile(
    r"(?:\$\(|`)[ \t]{0,4}(dirname|realpath|readlink[ \t]-\w{1,4}|cd)[ \t]{1,4}(?:--[ \t])?\"?([^\s\"'`();&|<>]+)\"?"
    r"[ \t]{0,4}(?:(?:>[ \t]?/dev/null[ \t]{0,4})?(?:&&|;)[ \t]{0,4}pwd(?:[ \t]-\w)?[ \t]{0,4})?(?:\)|`)"
)
_TOLD_PATH = re.compile("%s(\\w+)%s([^%s%s]*)%s" % (PATH_OF, GIVEN, PATH_OF, PATH_ENDS, PATH_ENDS))
#: The folder of a script, made absolute, of its real path.
_NESTED = 3


def commands(text: str) -> Iterator[Tuple[str, List[str]]]:
    """The simple commands of a shell's text, each with the signs before it; of one that is not well formed what can be
    read."""
    return ((signs, command) for _line, signs, command in placed_commands(text))


def placed_commands(text: str) -> Iterator[Tuple[int, str, List[str]]]:
    """The same, each with the line in which it begins."""
    lexer = shlex.shlex(_UNITS.sub(_in_one_line, _without_open_quotes(text)), posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    signs, line, began = "", 1, 1
    command: List[str] = []
    try:
        for word in lexer:
            ends = _ENDS_COMMAND.match(word)
            if ends:
                yield began, signs, command
                signs, command = word, []
            elif word.strip(_CONTINUED) or not word:
                began = began if command else line
                command.append(word.replace(_CONTINUED, ""))
            line += word.count("\n") + word.count(_CONTINUED)
            began = line if ends else began
    except ValueError:
        pass
    yield began, signs, command


def _in_one_line(unit: Match[str]) -> str:
    found = unit.group()
    if found.startswith("#"):
        return ""
    return found if found.startswith("'") else found.replace("\\\n", _CONTINUED)


def _without_open_quotes(text: str) -> str:
    """The text without quotes in a heredoc that has one without its end, as "don't" has: whoever reads words would take
    all behind it for what is quoted."""
    if "<<" not in text:
        return text
    lines = text.split("\n")
    places: Dict[str, List[int]] = {}
    for at, line in enumerate(lines):
        places.setdefault(line.lstrip("\t"), []).append(at)
    place = 0
    while place < len(lines):
        ends = _HEREDOC.findall(lines[place])
        place += 1
        for end in ends:
            later = places.get(end, [])
            found = bisect.bisect_left(later, place)
            if found < len(later):
                if not _QUOTES_END.fullmatch("\n".join(lines[place : later[found]])):
                    lines[place : later[found]] = [_QUOTES.sub(" ", line) for line in lines[place : later[found]]]
                place = later[found] + 1
    return "\n".join(lines)


def simple_commands(text: str) -> Iterator[List[str]]:
    """The commands of a shell's text, each without keywords and assignments before it."""
    for _signs, command in commands(text):
        yield without_leads(command)


def without_leads(command: List[str]) -> List[str]:
    """A command without keywords and assignments before it."""
    return list(itertools.dropwhile(leads, command))


def leads(word: str) -> bool:
    """Whether a word is a keyword or an assignment, which may stand before a command's program."""
    return word in _KEYWORDS or _ASSIGNMENT.match(word) is not None


# --- what its quotes tell, which the words of a command tell no more --------------------------------------------------


def marked(text: str) -> str:
    """The text with marks for what its words do not tell: which dollar sign is none, which variable is one word
    whatever is in it, and which substitution tells a path."""
    text = _UNITS.sub(_literal, _MARKS.sub("", _without_open_quotes(text)))
    text = _LAST_PART_CUT.sub(r"%sdirname%s$\1%s" % (PATH_OF, GIVEN, PATH_ENDS), _FIRST_OF_ARRAY.sub(r"${\1", text))
    text = _WORKING_FOLDER.sub("${PWD}", text)
    for _each in range(_NESTED):
        text = _TELLS_PATH.sub(_path_told, text)
    return _UNITS.sub(_quoted, text)


def unmarked(word: str) -> str:
    """A word as the text has it, but for its quotes."""
    while PATH_OF in word:
        shown = _TOLD_PATH.sub(r"$(\1 \2)", word)
        if shown == word:
            break
        word = shown
    return word.replace(LITERAL, "$").replace(QUOTED, "$")


def path_told(word: str) -> Optional[Match[str]]:
    """The innermost substitution of a marked word that tells a path: its command, and what that is given."""
    return _TOLD_PATH.search(word)


def _literal(unit: Match[str]) -> str:
    found = unit.group()
    if found.startswith("'"):
        return found.replace("$", LITERAL)
    return found if found.startswith("#") else _ESCAPE.sub(_escape, found)


def _escape(found: Match[str]) -> str:
    return LITERAL if found.group(1) == "$" else found.group()


def _path_told(found: Match[str]) -> str:
    return "%s%s%s%s%s" % (PATH_OF, found.group(1).split()[0], GIVEN, found.group(2), PATH_ENDS)


def _quoted(unit: Match[str]) -> str:
    return unit.group().replace("$", QUOTED) if unit.group().startswith('"') else unit.group()
