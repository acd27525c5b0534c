"""Mends scripts: plans edits, carries them out in memory, audits the result, keeps only what is better. Pure."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import posixpath
import sys
from collections import Counter
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Set, Tuple
from typing import Counter as Counted

from ..analysis.effort import Effort
from ..reading.gateway import GatewaySpec
from ..reading.model import KIT, Problem, Source
from ..reading.selection import Lookup
from ..rules.audit import Audit, audit
from ..rules.problems import printable, shown
from .edit import Edit, Left
from .edits import FIXABLE, own_modules, plan

__all__ = ["FIXABLE", "Change", "Left", "LibraryMissing", "Outcome", "mend"]
_BOM = b"\xef\xbb\xbf"


class LibraryMissing(Exception):
    """LibCST is not there."""


class Change(NamedTuple):
    """A script's text before and after."""

    path: str
    before: bytes
    after: bytes


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What mending came to. after: the audit of the mended scripts; fixed: the problems that are gone."""

    after: Audit
    fixed: Tuple[Problem, ...] = ()
    left: Tuple[Left, ...] = ()
    changes: Tuple[Change, ...] = ()

    def diffs(self) -> List[Dict[str, str]]:
        """The changes as diffs that may be shown."""
        return [{"prepared": _diff(change)} for change in self.changes]


def mend(
    sources: Sequence[Source],
    specs: Sequence[GatewaySpec],
    lookup: Lookup,
    codes: Sequence[str],
    kit: bool,
    effort: Callable[[], Effort] = Effort,
) -> Outcome:
    """Mends what can be mended safely. codes: which problems; kit: whether every script can import it.

    effort: the limits of one audit; there is one before and at least one after.
    """
    before = audit(sources, specs, lookup, effort())
    if not any(problem.code in codes for problem in before.problems):
        return Outcome(before)
    rewrite = _rewriter()
    paths = {source.path for source in sources}

    def is_beside(path: str) -> bool:
        beside = posixpath.join(posixpath.dirname(path), KIT + ".py")
        return beside in paths or lookup(beside) is not None

    def importable(path: str) -> bool:
        return kit or is_beside(path)

    edits, left = plan(before, codes, importable)
    by_path = {source.path: source for source in sources}
    changes: List[Change] = []
    planned: List[Edit] = []
    for path, wanted in sorted(edits.items()):
        after, reason = _carried_out(rewrite, by_path[path], wanted, own_modules(before, path), is_beside(path))
        if reason:
            left.extend(Left(each.problem.code, each.problem.file, each.problem.line, reason) for each in wanted)
            continue
        changes.append(Change(path, by_path[path].data, after))
        planned.extend(wanted)
    again = partial(audit, specs=specs, lookup=lookup)
    return _judged(sources, lambda mended: again(mended, effort=effort()), before, changes, planned, left)


def _rewriter() -> Any:
    try:
        from . import rewriting
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "libcst":
            raise
        raise LibraryMissing(
            "fix needs LibCST, which is not installed for the interpreter %s. On the host: python3 -m venv DIR && "
            "DIR/bin/pip install libcst; in the inventory: ansible_python_interpreter: DIR/bin/python; or audit "
            "without fix" % sys.executable
        ) from error
    return rewriting.rewrite


def _carried_out(
    rewrite: Any, source: Source, edits: Sequence[Edit], own: Sequence[str], beside: bool
) -> Tuple[bytes, str]:
    """(the new text, why there is none)."""
    try:
        source.data.decode("utf-8")
    except UnicodeDecodeError:
        return b"", "the file is not in UTF-8"
    if source.data.startswith(_BOM):
        return b"", "the file starts with a byte order mark"
    after = rewrite(source.data, edits, own, beside)
    if after is None:
        return b"", "the place could not be found again by LibCST"
    try:
        added = _constants(after) - _constants(source.data)
    except (SyntaxError, ValueError, RecursionError):
        return b"", "the result would not parse"
    if added:
        return b"", "the result would hold another number or text than before"
    return after, ""


def _constants(data: bytes) -> Counted[str]:
    """The numbers and texts of a script: a rewrite takes an id out and adds none."""
    return Counter(repr(node.value) for node in ast.walk(ast.parse(data)) if isinstance(node, ast.Constant))


def _judged(
    sources: Sequence[Source],
    again: Callable[[Sequence[Source]], Audit],
    before: Audit,
    changes: List[Change],
    planned: Sequence[Edit],
    left: List[Left],
) -> Outcome:
    """Audits the mended scripts. A script that would get a problem it did not have is left as it is."""
    while True:
        texts = {change.path: change.after for change in changes}
        mended = [
            dataclasses.replace(source, data=texts[source.path]) if source.path in texts else source
            for source in sources
        ]
        after = again(mended)
        worse = {
            path: code for path, code in sorted(_new(before, after)) if any(path == each for each in _names(changes))
        }
        if not worse:
            break
        changes = [change for change in changes if printable(change.path) not in worse]
        for edit in planned:
            if edit.problem.file in worse:
                reason = "the result would have another problem: %s" % worse[edit.problem.file]
                left.append(Left(edit.problem.code, edit.problem.file, edit.problem.line, reason))
    kept = set(_names(changes))
    fixed: List[Problem] = []
    for edit in planned:
        if edit.problem.file in kept and edit.problem not in fixed:
            fixed.append(edit.problem)
    return Outcome(after, tuple(fixed), tuple(dict.fromkeys(left)), tuple(changes))


def _names(changes: Sequence[Change]) -> List[str]:
    return [printable(change.path) for change in changes]


def _new(before: Audit, after: Audit) -> Set[Tuple[str, str]]:
    """(file, code) of problems that were not there before."""
    known = {(each.file, each.code) for each in before.problems}
    return {(each.file, each.code) for each in after.problems} - known


def _diff(change: Change) -> str:
    texts = [data.decode("utf-8", "backslashreplace").splitlines() for data in (change.before, change.after)]
    name = printable(change.path)
    lines = difflib.unified_diff(texts[0], texts[1], "before: " + name, "after: " + name, lineterm="")
    return "".join(line[:1] + shown(line[1:]) + "\n" for line in lines)
