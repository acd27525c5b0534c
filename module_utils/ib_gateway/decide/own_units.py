"""What the units of those that a plan ends keep it from, or have it tell. Pure; loaded where one of them has a unit."""

from __future__ import annotations

from typing import List, Mapping, Optional, Tuple

from ..base import findings
from ..base.actions import STOP_CLIENT
from ..base.plan import Entry, Plan, Step
from ..base.short_command import short
from ..base.unit import OwnUnit, UnitMember
from .targets import ended_by


def kept_from(entry: Entry, found: Plan) -> Tuple[Plan, Optional[str]]:
    """(the plan without the steps that are not taken for the sake of a unit, why none of it is taken).

    A script that is stopped only where it helps nothing to cut it off is left out; without any other step the rest of a
    plan is for nothing.
    """
    steps: List[Step] = []
    withheld = list(found.withheld)
    for step in found.steps:
        process = ended_by(step)
        why = _why_not(entry, process) if process is not None else None
        if why is None:
            steps.append(step)
        elif _needless(step):
            withheld.append(why)
        else:
            return found, "nothing is done on %s: %s" % (entry.spec.name, why)
    return Plan(steps=tuple(steps), withheld=tuple(withheld)), None


def _needless(step: Step) -> bool:
    """Whether a cut may make it needless."""
    return step.action == STOP_CLIENT and step.only_if_persists and step.finding != findings.NOT_LISTENING.code


def _why_not(entry: Entry, process: Mapping[str, object]) -> Optional[str]:
    """Why a process is not ended, for the sake of its unit or of who lives there; None where nothing speaks against."""
    pid = process["pid"]
    unit = entry.own_units.get(pid) if isinstance(pid, int) else None
    if unit is None:
        return None
    if unit.refused:
        return "pid %s is not ended: %s" % (pid, unit.refused)
    others = entry.not_to_end(unit.members)
    if not others:
        return None
    text = "pid %s is not ended: its unit %s carries %s as well, which %s end with it"
    return text % (pid, unit.name, ", ".join(map(_name, others)), "would" if unit.stopped else "may")


def _name(member: UnitMember) -> str:
    what = "protected" if member.protected else "another gateway" if member.kind == "gateway" else "at work elsewhere"
    return "pid %d (%s) of %s, %s," % (member.pid, short(member.command), member.user, what)


def told(unit: OwnUnit, names: str) -> List[str]:
    """What the end of a process costs in its unit. names: of unit.members, in the words of the plan; empty for none."""
    if unit.apart:
        return ["only the process ends, and its unit %s goes on" % unit.name]
    if unit.stopped:
        also = ["what else lives in that ends as well: %s" % names] if names else []
        return ["its unit %s is stopped and stays so until somebody starts it" % unit.name, *also]
    text = "its unit %s is not stopped; should that end with the process, so does what else lives there: %s"
    return [text % (unit.name, names)] if names else []
