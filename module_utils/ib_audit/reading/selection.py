"""Which files are about a client library: those that name one, and those that imports connect with them. Pure."""

from __future__ import annotations

import ast
import dataclasses
import posixpath
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from . import settings
from .model import KIT, LIBRARIES, Script, Source
from .source import parse

#: A file without one of these words uses no client library, and speaks to this audit nowhere.
_MARKS = tuple(name.encode() for name in (*LIBRARIES, "nest_asyncio", "ib-audit"))
_MOST_COMPANIONS = 200
#: So many imports away from a script that names a library.
_STEPS = 2
_MOST_SETTINGS = 12
_READS_ENVIRONMENT = ("environ", "getenv", "dotenv", "BaseSettings", "decouple")
#: The files by which a copy of a client library is known.
_COPY = ("client.py", "wrapper.py")

Lookup = Callable[[str], Optional[Source]]


@dataclasses.dataclass(frozen=True)
class Selection:
    """scripts: those that rules are about, companions included; unreadable: (source, problem code, reason)."""

    scripts: Tuple[Script, ...]
    unreadable: Tuple[Tuple[Source, str, str], ...]
    files: int


def is_marked(source: Source) -> bool:
    """Whether a file names a client library."""
    return any(mark in source.data for mark in _MARKS)


def select(
    sources: Sequence[Source], lookup: Optional[Lookup] = None, late: Callable[[], str] = lambda: ""
) -> Selection:
    """Parses every file, and keeps what rules are about. lookup: gives a file that one of them imports.

    late: why there is no time for a further file, or the empty text.
    """
    sources = [source for source in sources if posixpath.basename(source.path) != KIT + ".py"]
    paths = {source.path for source in sources}
    unreadable: List[Tuple[Source, str, str]] = []
    marked: Dict[str, Script] = {}
    others: Dict[str, Source] = {}
    near: Dict[str, List[str]] = {source.path: [] for source in sources}
    for source in sources:
        verdict = parse(source) if not late() else ("file_too_complex", late())
        if not isinstance(verdict, Script):
            if not source.context:
                unreadable.append((source, *verdict))
            continue
        for path in candidates(verdict):
            if path in near:
                near[source.path].append(path)
                near[path].append(source.path)
        # The tree of a file that is about something else is not kept: a folder may hold thousands of them.
        if _is_copy(source.path, paths):
            continue
        if is_marked(source):
            marked[source.path] = verdict
        else:
            others[source.path] = source
    scripts = [*marked.values(), *_near(marked, others, near)]
    if lookup is not None:
        scripts.extend(_companions(scripts, set(near), lookup))
        scripts = [_with_settings(script, lookup) for script in scripts]
    audited = sum(not source.context for source in sources)
    return Selection(tuple(sorted(scripts, key=lambda each: each.path)), tuple(unreadable), audited)


def _with_settings(script: Script, lookup: Lookup) -> Script:
    """A script with the files beside it that it names, or that give it its environment."""
    texts = [
        node.value for node in ast.walk(script.tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    names = settings.names_in(texts)
    if any(word in script.text for word in _READS_ENVIRONMENT):
        names.extend(settings.ENVIRONMENT_FILES)
    found = []
    for name in names[:_MOST_SETTINGS]:
        folder = posixpath.dirname(script.path)
        for path in (posixpath.join(folder, name), posixpath.join(posixpath.dirname(folder), name)):
            source = lookup(posixpath.normpath(path))
            if source is not None:
                found.append(settings.read(source.path, source.data))
                break
    return dataclasses.replace(script, settings=tuple(found)) if found else script


def _is_copy(path: str, paths: Set[str]) -> bool:
    """Whether a file is part of a copy of a client library that lies among the scripts."""
    parts = path.split("/")
    for index, part in enumerate(parts[:-1]):
        folder = "/".join(parts[: index + 1])
        if part in LIBRARIES and all(posixpath.join(folder, name) in paths for name in _COPY):
            return True
    return False


def _near(marked: Dict[str, Script], others: Dict[str, Source], near: Dict[str, List[str]]) -> Iterator[Script]:
    """The scripts that name no library and are connected by a few imports with one that does."""
    reached = set(marked)
    border = list(marked)
    for _ in range(_STEPS):
        border = list(dict.fromkeys(path for one in border for path in near[one] if path not in reached))
        reached.update(border)
        for path in border:
            verdict = parse(others[path]) if path in others else None
            if isinstance(verdict, Script):
                yield verdict


def _companions(scripts: Sequence[Script], known: Set[str], lookup: Lookup) -> List[Script]:
    """The files beside the scripts that they import, and what these import in turn: only to follow names into."""
    waiting = list(scripts)
    found: List[Script] = []
    while waiting and len(found) < _MOST_COMPANIONS:
        for path in candidates(waiting.pop(0)):
            source = lookup(path) if path not in known else None
            known.add(path)
            verdict = parse(source) if source is not None else None
            if isinstance(verdict, Script):
                companion = dataclasses.replace(verdict, context=True)
                found.append(companion)
                waiting.append(companion)
    return found


def candidates(script: Script) -> Iterator[str]:
    """Where the modules are that a script imports, if they are beside it."""
    folder = posixpath.dirname(script.path)
    for node in ast.walk(script.tree):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        base = folder
        if isinstance(node, ast.ImportFrom):
            for _ in range((node.level or 1) - 1):
                base = posixpath.dirname(base)
            names = [node.module] if node.module else names
        for name in names:
            path = posixpath.join(base, *name.split("."))
            yield path + ".py"
            yield posixpath.join(path, "__init__.py")
