"""Values in the files beside scripts: yaml, toml, ini, json, .env and compose. Pure.

Only plain numbers and texts behind plain keys are taken; what a reader of the format would compute is not. So no
library for any of the formats is needed on the host.
"""

from __future__ import annotations

import json
import posixpath
import re
from bisect import bisect_left
from itertools import islice
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

#: Files that are looked for beside scripts that read the environment.
ENVIRONMENT_FILES = (".env", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
_NAMED = re.compile(r"^[\w./ -]{0,80}[\w-]*\.(?:ya?ml|toml|ini|cfg|conf|env|json)$|^\.env$")
_LINE = re.compile(r"^(\s*)(?:export\s+)?(-\s+)?[\"']?([\w.-]+)[\"']?\s*(:|=)\s*(.*)$")
#: Each of its parts has signs that the next one has not, so that no line takes more than one pass.
_SECTION = re.compile(r"^\s*\[+([^\[\]]*)\]+\s*(?:[#;].*)?$")
_SECTION_NAME = re.compile(r"[\w.\" -]+")
#: ${IB_PORT:-4001}: what is used where the variable is not set.
_DEFAULTED = re.compile(r"^\$\{\w+:?-([^}]*)\}$")
#: Settings of one file, and bytes of it: what is larger holds data.
_MOST = 2000
_LARGEST = 256 * 1024
#: Keys that lead to a value; no program's settings lie deeper.
_DEEPEST = 32
_JSON_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Setting(NamedTuple):
    """One value. keys: the names that lead to it, outermost first; line: from 1; value: a number, else a text."""

    keys: Tuple[str, ...]
    value: Any
    line: int


class SettingsFile(NamedTuple):
    """A file beside a script. environment: whether its values become environment variables."""

    path: str
    text: str
    settings: Tuple[Setting, ...]
    environment: bool


def names_in(texts: Sequence[str]) -> List[str]:
    """The names of such files among the texts of a script."""
    return [text for text in dict.fromkeys(texts) if len(text) < 100 and _NAMED.match(text)]


def read(path: str, data: bytes) -> SettingsFile:
    """The values of a file; none where it is no text."""
    text = data.decode("utf-8", "replace")
    name = posixpath.basename(path)
    environment = name.endswith(".env") or name.startswith(".env") or name in ENVIRONMENT_FILES
    found = _of_json(text) if name.endswith(".json") else _of_lines(text, name)
    return SettingsFile(path, text, tuple(islice(found, _MOST)) if len(data) <= _LARGEST else (), environment)


def _of_json(text: str) -> Iterator[Setting]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return
    places = _Places(text)
    waiting: List[Tuple[Tuple[str, ...], int, Any]] = [((), 0, whole)]
    while waiting:
        keys, at, value = waiting.pop()
        if isinstance(value, dict) and len(keys) < _DEEPEST:
            # Each key stands behind the one that it belongs to.
            waiting.extend(((*keys, str(key)), places.of(str(key), at), inner) for key, inner in value.items())
        elif isinstance(value, (int, str)) and not isinstance(value, bool) and keys:
            yield Setting(keys, value, places.line(at))


class _Places:
    """Where the texts of a JSON file stand: found in one pass, since a stranger's file may hold any number of them."""

    def __init__(self, text: str) -> None:
        self._starts: Dict[str, List[int]] = {}
        for found in _JSON_TEXT.finditer(text):
            self._starts.setdefault(found.group(1), []).append(found.start())
        self._line_ends = [place for place, sign in enumerate(text) if sign == "\n"]

    def of(self, key: str, after: int) -> int:
        """The first place of a key that is not before another place; that place where there is none."""
        starts = self._starts.get(key, [])
        place = bisect_left(starts, after)
        return starts[place] if place < len(starts) else after

    def line(self, place: int) -> int:
        """The number of the line that a place is on."""
        return bisect_left(self._line_ends, place) + 1


def _of_lines(text: str, name: str) -> Iterator[Setting]:
    """Line by line: sections in brackets, or keys that stand further right than the one they belong to."""
    nested = name.endswith((".yml", ".yaml"))
    section: Tuple[str, ...] = ()
    outer: List[Tuple[int, str]] = []
    for number, line in enumerate(text.split("\n")[: _MOST * 5], 1):
        head = _SECTION.match(line) if not nested else None
        title = head.group(1).strip() if head else ""
        if _SECTION_NAME.fullmatch(title):
            section = tuple(part.strip(' "') for part in title.split("."))
            continue
        found = _LINE.match(line)
        if not found or line.lstrip().startswith(("#", ";")):
            continue
        indent, _dash, key, sign, rest = found.groups()
        if nested and sign == ":":
            while outer and outer[-1][0] >= len(indent):
                outer.pop()
            section = tuple(each for _indent, each in outer)
            outer.append((len(indent), key))
        value = _plain(rest)
        if value is not None:
            yield Setting((*section, key), value, number)


def _plain(text: str) -> Any:
    """The number or text that is written behind a key; None where there is none."""
    text = text.strip()
    if text[:1] in ("'", '"'):
        text = text[1:].partition(text[0])[0]
    else:
        text = re.split(r"\s[#;]", text + " ", maxsplit=1)[0].strip()
    defaulted = _DEFAULTED.match(text)
    text = defaulted.group(1) if defaulted else text
    if not text or text[0] in "[{|>&*$":
        return None
    return int(text) if re.match(r"^-?\d{1,9}$", text) else text
