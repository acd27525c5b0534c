"""Tells a run of one of the project's playbooks as it goes on: what comes from tasks becomes lines, each once. Pure.

What the looks, steps and the report of a repair return is told section by section. Tasks that only move data between
them are told by that, and say nothing themselves. Whatever any other task shows, changes or fails at is told as it
comes, so that no failure is ever hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..document import fleet_document
from ..document.text import counted
from . import story
from .layout import Line

_LOOK, _STEP, _BEGIN, _WRITE = "ib_gateway_health", "ib_repair_step", "ib_repair_begin", "ib_fleet_write"
#: The look of a run without an inventory; the role that answers it tells also which hosts were not seen.
_DISCOVER = "ib_desk_info"
_DIAGNOSE, _REPAIR, _VERIFY, _REPORT = (
    "ib_gateway_diagnose",
    "ib_gateway_repair",
    "ib_gateway_verify",
    "ib_fleet_report",
)
_SHOWING = ("debug", "assert")
_ESCALATION = "ib_gateway_repair_escalation"
#: Of what a program or a module wrote before it failed, the last lines.
_TAIL = 5


class Task(NamedTuple):
    """A task: its name, the role that it is of and its action, both without a collection; empty for none."""

    name: str
    role: str
    action: str


class Narrator:
    """One run. proves: whether it looks again at the end, which then tells of the healthy gateways too.

    check: whether it is in check mode, where nothing is done.
    """

    def __init__(self, proves: bool, check: bool = False) -> None:
        self._proves, self._check = proves, check
        self._looks: dict[str, Mapping[str, Any]] = {}
        self._hosts: list[dict[str, Any]] = []
        self._heard: set[tuple[str, str]] = set()
        self._begun: set[tuple[str, str]] = set()
        self._section = ""
        self._last_host = ""
        self._report: Mapping[str, Any] = {}
        self._proving = False
        self._failures: list[str] = []
        self._shown_before: set[str] = set()
        #: Whether this run answers a question: then the answer is the last that is told, and not Ansible's counts.
        self.answers = False

    # --- what happens ---

    def begins(self, task: Task, hosts: int) -> Iterator[Line]:
        """A task begins on so many hosts."""
        kind, number = (task.role, task.action), counted(hosts, "host")
        if kind in ((_DIAGNOSE, _LOOK), (_DIAGNOSE, _DISCOVER)):
            self.answers = task.action == _DISCOVER
            yield from self._free("Looking at %s." % number)
        elif kind == (_VERIFY, _LOOK):
            self._proving = True
            yield from self._free("Looking again at %s, with a session as a script opens one." % number)
        elif kind == (_REPAIR, _BEGIN) and not self._proving:  # at the end it begins once more, to write that down
            yield from self._free("Repairing %s." % number)

    def ok(self, host: str, task: Task, result: Mapping[str, Any]) -> Iterator[Line]:
        """A task has gone well on a host."""
        kind = (task.role, task.action)
        if kind == (_DIAGNOSE, _LOOK):
            self._looks[host] = result
        elif kind == (_REPAIR, _STEP):
            yield from self._done(host, result)
        elif kind == (_REPORT, _WRITE):
            self._report = result
            if self._proves:
                yield from self._ended(result)
        elif _ESCALATION in (result.get("ansible_facts") or {}):
            if not self._check:
                yield from self._begin(host, story.under_way(result["ansible_facts"][_ESCALATION]))
        elif task.action in _SHOWING:
            yield from self._shown(task, result)
        elif result.get("changed"):
            yield from self._say(self._acting("CHANGED"), host, [Line(_short(task.name), 2)], again=True)

    def _begin(self, host: str, steps: list[Line]) -> Iterator[Line]:
        """What is under way now; a plan that has aged is made anew before, with the same steps."""
        new = [line for line in steps if (host, line.text) not in self._begun]
        self._begun |= {(host, line.text) for line in new}
        yield from self._say("DONE", host, new, again=True) if new else ()

    def failed(self, host: str, task: Task, result: Mapping[str, Any], ignored: bool = False) -> Iterator[Line]:
        """A task has failed on a host. What a section tells anyway is left to it."""
        if (task.role, task.action) == (_DIAGNOSE, _LOOK):
            self._looks[host] = {**result, "failed": True}
            return
        if task.action == _DISCOVER:
            return
        if (task.role, task.action) == (_REPAIR, _STEP):
            told = list(self._done(host, result))
            yield from told
            if any(line.tone == "failed" for line in told):
                return
        if task.action == "fail" and host in (self._report.get("failing") or {}):
            return
        yield from self._failure("FAILED", host, task, result, ignored)

    def unreachable(self, host: str, task: Task, result: Mapping[str, Any], ignored: bool = False) -> Iterator[Line]:
        """A host was not reached."""
        if (task.role, task.action) == (_DIAGNOSE, _LOOK):
            self._looks[host] = {**result, "unreachable": True}
        elif task.action != _DISCOVER:
            yield from self._failure("NOT REACHED", host, task, result, ignored)

    def diff(self, host: str, task: Task, text: str) -> Iterator[Line]:
        """What a task changes on a host, or would change. text: in the usual notation."""
        rows = text.splitlines()
        named = not (rows and rows[0].strip() == "--- before")
        shown = [row for row in rows if named or (row[:1] in "+-" and row[:3] not in ("+++", "---"))]
        tones = {"+": "added", "-": "removed"}
        lines = [Line(row, 2, tone=tones.get(row[:1], ""), whole=named) for row in shown if row.strip()]
        section = self._acting("DONE" if task.role == _REPAIR else "CHANGED")
        yield from self._say(section, host, lines, again=True)

    def pauses(self) -> Iterator[Line]:
        """A play is over: what was looked at in it is told."""
        if not self._looks:
            return
        looks, self._looks = self._looks, {}
        self._hosts = [
            fleet_document.host_document(name, {"ib_gateway_diagnose_result": looks[name]}) for name in sorted(looks)
        ]
        yield from self._free("")
        yield Line("FOUND: %s" % story.headline(self._hosts), tone="title", word="FOUND")
        self._section = "FOUND"
        for section, told in (
            ("FOUND", story.found(self._hosts, with_healthy=not self._proves)),
            ("PLANNED", story.planned(self._hosts)),
        ):
            for name, lines in told.items():
                more = _written(looks[name]) if section == "FOUND" and looks[name].get("failed") else []
                yield from self._say(section, name, [*lines, *more])

    # --- how it is told ---

    def _done(self, host: str, result: Mapping[str, Any]) -> Iterator[Line]:
        before = next((each["before"] for each in self._hosts if each["name"] == host), None)
        yield from self._say(self._acting("DONE"), host, story.done(result, before), again=True)

    def _acting(self, word: str) -> str:
        return "WOULD BE %s (check mode)" % word if self._check else word

    def _ended(self, result: Mapping[str, Any]) -> Iterator[Line]:
        title = "NOW (check mode: nothing was done)" if self._check else "PROVEN"
        for name, lines in result.get("story") or ():
            yield from self._say(title, name, [Line(*each) for each in lines])

    def _shown(self, task: Task, result: Mapping[str, Any]) -> Iterator[Line]:
        """A message for a person. Of the repair's own those are lists that the sections tell."""
        message = result.get("msg")
        told = {
            _DIAGNOSE: True,
            _VERIFY: True,
            _REPAIR: isinstance(message, list),
            _REPORT: bool(self._report and self._hosts),
        }
        if message and not told.get(task.role, False) and message != "All assertions passed":
            rows = [row for row in texts(message) if not any(each in row.text for each in self._failures)]
            if task.role == _REPAIR:  # what is indented there is a command, to be copied
                rows = [row._replace(whole=bool(row.lead)) for row in rows]
            self._shown_before.update(row.text for row in rows)
            if rows:
                yield from self._free("")
                yield from rows

    def _failure(self, word: str, host: str, task: Task, result: Mapping[str, Any], ignored: bool) -> Iterator[Line]:
        heard = self._report.get("lines") or ()
        message = result.get("msg") or result.get("message") or "it gave no reason"
        rows = list(texts([each for each in message if each not in heard] if isinstance(message, list) else message, 1))
        if task.action == "fail" and all(self._is_told(row.text) for row in rows):
            return
        self._failures += [row.text for row in rows if row.text]
        where = " at '%s'" % _short(task.name) if task.name else ""
        yield from self._free("")
        yield Line(
            "%s: %s%s%s" % (word, host, where, " (the run goes on)" if ignored else ""), tone="failed", word=word
        )
        yield from rows
        yield from _written(result)

    def _is_told(self, text: str) -> bool:
        """Whether a sentence was shown already, by itself or as what another one tells."""
        return text in self._shown_before or any(each in text for each in self._failures)

    def _say(self, section: str, host: str, lines: Sequence[Line], again: bool = False) -> Iterator[Line]:
        """Lines about a host. again: also those that were said of it before."""
        fresh = [line for line in lines if again or (host, line.about or line.text) not in self._heard]
        self._heard.update((host, line.about or line.text) for line in fresh)
        if not fresh:
            return
        if section != self._section:
            yield Line("")
            if section:
                yield Line(section, tone="title")
            self._section, self._last_host = section, ""
        if host != self._last_host:
            yield Line(host, 1)
            self._last_host = host
        yield from fresh

    def _free(self, text: str) -> Iterator[Line]:
        """A line that is of no host, after an empty one; text is empty where other lines follow."""
        self._section = self._last_host = ""
        yield Line("")
        if text:
            yield Line(text)


def texts(message: Any, depth: int = 0) -> Iterator[Line]:
    """A message of any shape, line by line; what is indented in it stays so."""
    parts = message if isinstance(message, (list, tuple)) else [message]
    for part in parts:
        if isinstance(part, Mapping):
            yield from (Line("%s: %s" % pair, depth) for pair in part.items())
            continue
        for row in str(part).splitlines() or [""]:
            inner = row.lstrip(" ")
            yield Line(inner, depth, " " * (len(row) - len(inner)))


def _written(result: Mapping[str, Any]) -> list[Line]:
    """The end of what a program or a module wrote before it failed."""
    for name in ("module_stderr", "stderr", "module_stdout", "stdout"):
        rows = [each for each in str(result.get(name) or "").splitlines() if each.strip()]
        if rows:
            return [Line(each, 2) for each in rows[-_TAIL:]]
    return []


def _short(name: str) -> str:
    """A task's name without its role and file."""
    return name.rpartition(" : ")[2].rpartition(" | ")[2]
