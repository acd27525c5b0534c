"""Asks what becomes of the units of those that plans end; loaded where a plan names a process that has one."""

from __future__ import annotations

import functools
import re
from typing import Any, Dict, List, Mapping, Pattern, Sequence, Tuple

from ..base import classify
from ..base.plan import Diagnosis, Entry, Plan
from ..base.redaction import redact_argv
from ..base.unit import OwnUnit, UnitMember
from ..decide.targets import ended_by
from ..lifecycle import ends_others
from ..lifecycle.own_unit import around, own_unit
from ..observe import processes


def with_own_units(found: Sequence[Diagnosis], plans: Sequence[Plan]) -> List[Diagnosis]:
    """The diagnoses; entries know of each process that their plan ends what becomes of its unit."""
    names = [pattern for each in found for pattern in each.entry.spec.protected_clients]
    guarded = [re.compile(pattern) for pattern in names]
    staying = functools.partial(ends_others.staying, [each.entry for each in found], names)
    told = []
    for each, planned in zip(found, plans):
        units: Dict[int, OwnUnit] = {}
        for step in planned.steps:
            process = ended_by(step)
            if process is None:
                continue
            pid, name = process["pid"], process.get("unit")
            unit = own_unit(name, pid, process.get("unit_uid"), staying) if name else around(pid, staying)
            if unit is not None:
                units[pid] = unit._replace(members=_members(unit, process, each.entry, guarded))
        told.append(each._replace(entry=each.entry._replace(own_units=units)) if units else each)
    return told


def _members(
    unit: OwnUnit, ending: Mapping[str, Any], entry: Entry, guarded: Sequence[Pattern[str]]
) -> Tuple[UnitMember, ...]:
    """Who else ends with a process, or may; what has gone meanwhile is left out.

    The scripts beside one that is to end have been weighed where it was chosen.
    """
    users = processes.Users()
    beside = _working_beside(entry, ending["pid"]) if ending["role"] == "gateway" else ()
    found = []
    for pid in sorted(unit.others):
        argv, uid = processes.read_argv(pid), processes.read_real_uid(pid)
        if not argv or uid is None:
            continue
        is_gateway = classify.gateway_kind(argv) is not None
        found.append(
            UnitMember(
                pid,
                users.name(uid),
                redact_argv(argv),
                "gateway" if is_gateway else "other",
                protected=not is_gateway and classify.matches_any(guarded, argv),
                works_elsewhere=pid in beside,
            )
        )
    return tuple(found)


def _working_beside(entry: Entry, gateway: int) -> Sequence[int]:
    """Who has a working session on another gateway than the one that is to end."""
    here = [
        each.process.pid
        for each in entry.clients
        if each.process and each.working and each.connection and gateway not in each.connection.gateway_pids
    ]
    return [*entry.busy_elsewhere, *here]
