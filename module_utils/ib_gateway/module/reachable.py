"""Asks of whom a plan would signal whether a signal reaches them: none is planned that would stay pending.

Asked only where a plan has such a step, so that hosts without a fault pay nothing for it.
"""

from __future__ import annotations

from typing import Dict, Iterator, List

from ..base.actions import RECONNECT, RESTART, SOFT_RESTART, STOP_CLIENT, STOP_GATEWAY
from ..base.host import Process, Snapshot
from ..base.plan import Diagnosis, Entry
from ..decide.diagnosis import diagnose
from ..decide.planning import plan

#: What ends a process, or tells it something that it would do later.
_ASKS = (STOP_CLIENT, STOP_GATEWAY, RESTART, SOFT_RESTART, RECONNECT)


def with_waits(found: List[Diagnosis], snapshot: Snapshot, reset_window: str) -> List[Diagnosis]:
    """The diagnoses; made anew where a process that would be signalled stays in the kernel, with what keeps it there.

    A plan that leaves one may mean another instead, which is asked then. reset_window: as look.Hints has it.
    """
    asked: Dict[int, str] = {}
    while True:
        wanted = {pid for each in found for pid in _asked_by(each)} - asked.keys()
        if not wanted:
            return found
        from ..observe import kernel_waits  # most plans end nobody

        held = kernel_waits.held(wanted)
        asked.update({pid: held.get(pid, "") for pid in wanted})
        if held:
            entries = [_told(each.entry, held) for each in found]
            found = [
                diagnose(entry, snapshot, each.probe, reset_window) if entry is not each.entry else each
                for entry, each in zip(entries, found)
            ]


def _asked_by(found: Diagnosis) -> Iterator[int]:
    for step in plan(found).steps if found.codes else ():
        process = step.target.get("process") or step.target
        if step.action in _ASKS and "pid" in process:
            yield process["pid"]


def _told(entry: Entry, held: Dict[int, str]) -> Entry:
    """The entry with what keeps its processes in the kernel; the same one where that is none of its own."""

    def told(process: Process) -> Process:
        return process._replace(kept_stopped=held[process.pid]) if process.pid in held else process

    ours = [*entry.processes, *(client.process for client in entry.clients if client.process)]
    if not any(each.pid in held for each in ours):
        return entry
    clients = tuple(each._replace(process=told(each.process)) if each.process else each for each in entry.clients)
    return entry._replace(processes=tuple(map(told, entry.processes)), clients=clients)
