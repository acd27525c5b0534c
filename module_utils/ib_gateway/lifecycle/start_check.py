"""Whether what a plan may stop can be started again: asked for the entries in whose favour something may be done.

A healthy host pays nothing for it.
"""

from __future__ import annotations

import re
import sys
from types import MappingProxyType
from typing import FrozenSet, List, Mapping, Optional, Sequence

from ..base.classify import matches_any
from ..base.findings import UNHEALTHY
from ..base.host import Process, Snapshot, Visibility
from ..base.plain_text import plain_text
from ..base.plan import Diagnosis, Entry
from ..base.short_command import short
from ..base.unit import UnitMember
from ..observe.process_handles import can_hold
from ..observe.processes import ancestors
from .base import Asked, StartCheck
from .ends_others import ends_others, with_guarded
from .lifecycles import start_checks

#: States of a unit in which a start does nothing, or only waits for the one that is under way.
_UP = ("active", "activating", "reloading")
_NOBODY: Mapping[int, str] = MappingProxyType({})
_NOTHING: Mapping[str, str] = MappingProxyType({})


def foresee(found: Sequence[Diagnosis], snapshot: Snapshot) -> List[Diagnosis]:
    """The diagnoses; the entries of those that call for something know now whether a start can succeed."""
    indexes = [index for index, each in enumerate(found) if each.codes and each.entry.spec.startable]
    asked = [Asked(found[index].entry.spec, _running(found[index].entry)) for index in indexes]
    confined_to = None if snapshot.visibility.privileged else snapshot.visibility.user
    holds = can_hold()
    told = [
        each._replace(entry=each.entry._replace(confined_to=confined_to, holds=holds)) if each.codes else each
        for each in found
    ]
    named = {process.pid: each.entry.spec.name for each in found for process in each.entry.processes}
    guarded = [pattern for each in found for pattern in each.entry.spec.protected_clients]
    checks, seen = start_checks(asked), snapshot.processes
    if any(each.runs for each in checks):
        seen = with_guarded(seen, guarded)
    coming = _ends_to_come([told[index].entry for index in indexes], checks)
    for index, start_check, ends in zip(indexes, checks, coming):
        entry = informed(told[index].entry, start_check, named, guarded)
        if entry.spec.container is not None:
            entry = entry._replace(unit_members=tuple(_with_others(each, entry, found) for each in entry.unit_members))
        blind = blind_afterwards(entry, snapshot.visibility)
        blocked = (
            blind
            or entry.start_blocker
            or _without_room(_running(entry))
            or ends_others(entry, start_check, seen, guarded)
        )
        told[index] = told[index]._replace(entry=entry._replace(start_blocker=blocked, ends_to_come=ends))
    return told


def _ends_to_come(entries: Sequence[Entry], checks: Sequence[StartCheck]) -> List[Mapping[str, str]]:
    """For each entry, the gateways to come that its start would end; most hosts have none or one to start."""
    down = [entry for entry in entries if not entry.processes]
    if not down or len(entries) < 2 or not any(each.runs for each in checks):
        return [_NOTHING] * len(entries)
    from .to_come import ends_to_come

    return ends_to_come(entries, checks)


def _with_others(member: UnitMember, entry: Entry, found: Sequence[Diagnosis]) -> UnitMember:
    """A member of the entry's container; a gateway of another entry is known as broken where it is, and serves nobody.

    What has a session on it, or is protected, keeps the container from being restarted.
    """
    other = next(
        (
            each
            for each in found
            if each.entry.spec.name != entry.spec.name and any(p.pid == member.pid for p in each.entry.processes)
        ),
        None,
    )
    if member.kind != "gateway" or other is None or other.entry.spec.container != entry.spec.container:
        return member
    used = any(client.open and (client.working or client.protected) for client in other.entry.clients)
    return member._replace(kind="broken gateway") if other.status == UNHEALTHY and not used else member


def _running(entry: Entry) -> Optional[Process]:
    """The gateway whose environment the next one gets: the one that serves, else the youngest."""
    owners = entry.owners()
    if owners:
        return owners[0]
    return min(entry.processes, key=lambda process: process.age, default=None)


def _without_room(running: Optional[Process]) -> Optional[str]:
    """Why the next gateway could not write what the one that runs writes, as its log; None where it could."""
    if running is None or not sys.platform.startswith("linux"):
        return None
    from ..observe.room import cannot_write

    full = cannot_write(running.pid, running.started_ticks)
    text = "the file system of %s, which pid %d writes, is full, and the next gateway may not start: make room there"
    return text % (plain_text(full), running.pid) if full else None


def informed(
    entry: Entry, start_check: StartCheck, named: Mapping[int, str] = _NOBODY, guarded: Sequence[str] = ()
) -> Entry:
    """The entry, with what was found out about a start of it.

    named: by the pid of a gateway, the entry whose it is. guarded: what protected_clients of any entry name, beside its
    own: who lives in a unit may work on another gateway.
    """
    told = entry._replace(
        unit_state=start_check.state,
        unit_members=tuple(
            _placed(each, entry, guarded)._replace(
                works_elsewhere=each.kind == "other" and each.pid in entry.busy_elsewhere
            )
            for each in start_check.members
        ),
        starts_unit=start_check.unit,
        stops_units=start_check.stops,
    )
    idle = _idle(told, start_check.pids, named)
    # That a unit is another gateway's says more than what its file says of that.
    first, second = (idle, start_check.blocker) if start_check.contradicts else (start_check.blocker, idle)
    return told._replace(start_blocker=first or second)


def _idle(entry: Entry, pids: FrozenSet[int], named: Mapping[int, str]) -> Optional[str]:
    """Why a start of the entry's unit would do nothing: that is active already, by others than its gateway."""
    unit, state, others = entry.spec.any_unit or "", entry.unit_state, entry.carries_others()
    if not unit.endswith(".service") or state is None or state.active not in _UP or state.holds_without_process:
        return None
    if not (entry.processes or others) or any(_of_unit(each, entry, pids) for each in entry.processes):
        return None
    whom = ["pid %d (%s)" % (each.pid, _whose(each, named)) for each in others]
    whom += ["pid %d (%s)" % (each.pid, short(each.command)) for each in entry.unit_members if _is_other(each)]
    carries = " and carries %s" % whom[0] if whom else ""
    instead = (", not pid %d" if whom else " without pid %d") % entry.processes[0].pid if entry.processes else ""
    text = "its service names %s, which is active already%s%s: a start of it does nothing. Correct the entry's service"
    return text % (unit, carries, instead)


def _of_unit(process: Process, entry: Entry, pids: FrozenSet[int]) -> bool:
    """Whether a gateway lives in the entry's unit, or below what does: then that goes down once it has ended."""
    return entry.in_unit(process) or process.pid in pids or bool(ancestors(process.pid) & pids)


def _whose(gateway: UnitMember, named: Mapping[int, str]) -> str:
    return "the gateway of %s" % named[gateway.pid] if gateway.pid in named else "another gateway"


def _is_other(member: UnitMember) -> bool:
    return member.kind != "gateway" and not member.unit


def blind_afterwards(entry: Entry, sight: Visibility) -> Optional[str]:
    """Why the run could not judge the entry once its gateway has ended; None where it can. Pure.

    What a gateway's sockets show is seen as long as it runs. Without it, only root, or the account that the entry
    names, can tell that nobody else has its port.
    """
    if sight.privileged or entry.spec.user == sight.user:
        return None
    cure = "give the entry user: %s, or run with become" % sight.user if entry.spec.user is None else "run with become"
    return "this run is as %s and could not see, once it has ended, who has its port: %s" % (sight.user, cure)


def _placed(member: UnitMember, entry: Entry, guarded: Sequence[str]) -> UnitMember:
    """A member of the unit, with what the entry knows of it."""
    clients = {client.process.pid for client in entry.clients if client.process}
    patterns = [re.compile(pattern) for pattern in (*entry.spec.protected_clients, *guarded)]
    kind = "client" if member.kind == "other" and member.pid in clients else member.kind
    return member._replace(kind=kind, protected=kind != "gateway" and matches_any(patterns, member.command))
