"""Entries of which the start of one ends another's gateway: one run brings the gateway of one of them. Pure."""

from __future__ import annotations

from typing import List, Optional, Sequence

from ..base.actions import RESTART, START, WAIT
from ..base.plan import Diagnosis, Entry, Plan

_BRING_UP = (START, RESTART)


def apart(found: Sequence[Diagnosis], plans: Sequence[Plan]) -> List[Plan]:
    """The plans, in the order of their entries; of two where the later start ends what the first brings, only the first
    is started.

    It ends that by units in conflict, or by what the later one's start runs. Nothing of a plan without its start is
    left but the waits, as where a start cannot succeed.
    """
    told: List[Plan] = []
    started: List[Entry] = []
    for diagnosis, planned in zip(found, plans):
        entry = diagnosis.entry
        brings = any(step.action in _BRING_UP for step in planned.steps)
        other = _ended_by_start(entry, started) if brings else None
        if other is not None:
            waits = tuple(step for step in planned.steps if step.action == WAIT)
            planned = Plan(steps=waits, withheld=(*planned.withheld, _reason(entry, other)))
        elif brings:
            started.append(entry)
        told.append(planned)
    return told


def _ended_by_start(entry: Entry, started: Sequence[Entry]) -> Optional[Entry]:
    """Which of those that are started before would end by a start of the entry."""
    return next(
        (each for each in started if each.starts_unit in entry.stops_units or each.spec.name in entry.ends_to_come),
        None,
    )


def _reason(entry: Entry, other: Entry) -> str:
    command = entry.ends_to_come.get(other.spec.name)
    if command is not None:
        text = "it is not started: what starts it runs %s, which would end the gateway of %s as well, and this run "
        return (text + "brings that: have it name its own gateway alone") % (command, other.spec.name)
    own, its = (each.starts_unit[1] if each.starts_unit else "" for each in (entry, other))
    text = "it is not started: a start of %s stops %s, and this run brings the gateway of %s by that. systemd does not "
    text += "let both run: take Conflicts= out of the unit that has it, or one of the two entries out of the inventory"
    return text % (own, its, other.spec.name)
