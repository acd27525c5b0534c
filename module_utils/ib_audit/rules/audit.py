"""The audit: sources in, problems out. Pure; never runs or imports what it reads, and no text makes it fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Iterator, Optional, Sequence, Tuple

from ..analysis.effort import Effort
from ..analysis.scopes import Table
from ..reading.gateway import GatewaySpec
from ..reading.model import Found, Problem, Source
from ..reading.selection import Lookup, is_marked, select
from . import blocking, elsewhere, failing, ids, lasting, leaving, loop, official, ports, retrying, sharing, threads
from .case import Case, case
from .problems import about_file, kept, printable

FILE_RULES: Tuple[Callable[[Case, Table], Iterator[Found]], ...] = (
    *loop.RULES,
    *blocking.RULES,
    *elsewhere.RULES,
    *threads.RULES,
    *ids.RULES,
    *sharing.RULES,
    *ports.RULES,
    *failing.RULES,
    *retrying.RULES,
    *official.RULES,
    *lasting.RULES,
    *leaving.RULES,
)
HOST_RULES: Tuple[Callable[[Case], Iterator[Found]], ...] = (*sharing.HOST_RULES, *ports.HOST_RULES)


@dataclass(frozen=True)
class Audit:
    """What an audit came to. clients: the files that connect to a gateway; ignored: how many problems comments took."""

    problems: Tuple[Problem, ...]
    files: int
    clients: Tuple[str, ...]
    ignored: int
    #: What each problem that the rules found goes back to, and the scripts as the rules saw them: for rewrites.
    verdicts: Tuple[Tuple[Problem, Tuple[Found, ...]], ...] = field(default=(), repr=False)
    case: Optional[Case] = field(default=None, repr=False)


def audit(
    sources: Sequence[Source],
    specs: Sequence[GatewaySpec] = (),
    lookup: Optional[Lookup] = None,
    effort: Optional[Effort] = None,
) -> Audit:
    """Audits the scripts of one host together. lookup: gives a file that one of them imports, where there is one.

    effort: the limits of each file; without it those that need no clock.
    """
    effort = effort or Effort()
    selected = select(sources, lookup, effort.late)
    one = case(selected.scripts, specs, effort)
    found = list(_found(one, effort))
    left, ignored = kept(selected.scripts, found)
    problems = [about_file(each.path, code, reason, is_marked(each)) for each, code, reason in selected.unreadable]
    problems.extend(
        about_file(script.path, "file_too_complex", effort.given_up[script.path])
        for script in selected.scripts
        if script.path in effort.given_up and not script.context
    )
    problems.extend(problem for problem, _verdicts in left)
    problems.sort(key=lambda each: (each.file, each.line, each.column, each.code))
    clients = {each.table.script.path for each in one.connections if not each.table.script.context}
    return Audit(tuple(problems), selected.files, tuple(sorted(map(printable, clients))), ignored, tuple(left), one)


def _found(one: Case, effort: Effort) -> Iterator[Found]:
    """What the rules find; a file that reaches its limit keeps what was found in it until then."""
    for table in one.tables():
        for rule in FILE_RULES:
            with effort.of(table.script.path):
                yield from rule(one, table)
    for host_rule in HOST_RULES:
        yield from host_rule(one)
