"""The units that go down with another one, or by a start of it, and who lives in them: their files tie them to it."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Set, Tuple

from ..base.unit import UnitMember
from . import unit_ties
from .members import members_of
from .unit_facts import Show, show_each

#: So many units are asked about for one; a desk has a few.
_MOST = 64
#: How units that end are tied to another one, in words.
_WITH, _BY_START = "goes down with", "is stopped by a start of"


class Bound(NamedTuple):
    """Who lives in the units that end. unread: why that is not known; empty where it is. stops: those units, whether
    anybody lives in them or not; started: what systemctl shows of those that are started with it."""

    members: Tuple[UnitMember, ...] = ()
    unread: str = ""
    stops: FrozenSet[str] = frozenset()
    started: Tuple[Mapping[str, str], ...] = ()


def bound_to(unit: str, shown: Mapping[str, str], show: Show) -> Bound:
    """Who goes down with a unit. shown: what systemctl shows of that; show: asks the same systemd about others."""
    ends = dict.fromkeys(unit_ties.by_its_end(shown), False)
    return _living(unit, {**dict.fromkeys(unit_ties.by_command(shown), True), **ends}, show, _WITH)


def stopped_by_start(unit: str, shown: Mapping[str, str], show: Show) -> Bound:
    """Who ends where systemd is told to start a unit: who lives in what is in conflict with it, or with what it pulls
    in, and in what goes down with that. shown and show: as in bound_to.

    What is up already pulls nothing in any more, but a conflict of it may be new, so that it counts.
    """
    ending = unit_ties.by_start(shown)
    turn, known = unit_ties.pulled_in(shown), {unit}
    started: List[Mapping[str, str]] = []
    while True:
        turn = [name for name in dict.fromkeys(turn) if name not in known]
        if not turn:
            break
        known.update(turn)
        if len(known) > _MOST:
            return Bound(unread="more than %d units are started with %s" % (_MOST, unit))
        told, turn = show_each(turn, show), []
        for name, its in told.items():
            if "error" in its:
                return Bound(unread="%s is started with %s, and %s" % (name, unit, its["error"]))
            ending += unit_ties.by_start(its)
            if its.get("ActiveState") != "active":
                turn += unit_ties.pulled_in(its)
                started.append(its)
    return _living(unit, dict.fromkeys(ending, False), show, _BY_START)._replace(started=tuple(started))


def stopped_after(unit: str, shown: Mapping[str, str], show: Show) -> Bound:
    """Who ends by the units that systemd starts when a unit has ended. shown and show: as in bound_to."""
    return stopped_by_start(unit, {name: shown[name] for name in unit_ties.AFTER_IT if name in shown}, show)


def _living(unit: str, turn: Dict[str, bool], show: Show, tie: str) -> Bound:
    """Who lives in units that end for another one. turn: these, by whether each outlives the mere end of that.

    A unit that is told to stop takes its own with it, so they are followed from unit to unit, a call for each round.
    """
    known: Dict[str, bool] = {unit: False}
    found: List[UnitMember] = []
    while True:
        # One that was found to outlive an end, and now is found not to, is followed once more.
        turn = {
            name: outlives for name, outlives in turn.items() if name not in known or (known[name] and not outlives)
        }
        if not turn:
            return Bound(tuple(found), stops=frozenset(known) - {unit})
        known.update(turn)
        if len(known) > _MOST:
            return Bound(unread="more than %d units: each %s %s" % (_MOST, tie, unit))
        told = show_each(list(turn), show)
        further: Dict[str, bool] = {}
        for name, outlives in turn.items():
            if "error" in told[name]:
                return Bound(unread="%s %s %s, and %s" % (name, tie, unit, told[name]["error"]))
            by_start = tie == _BY_START
            members = members_of(told[name].get("ControlGroup", ""), launchers=by_start, shells=True)
            gone = {each.pid for each in members}
            found = [each for each in found if each.pid not in gone]
            found += [each._replace(unit=name, outlives_end=outlives, by_start=by_start) for each in members]
            for each in (*unit_ties.by_its_end(told[name]), *unit_ties.by_command(told[name])):
                further[each] = outlives and further.get(each, True)
        turn = further


def all_tied(unit: str, shown: Mapping[str, str], show: Show) -> Bound:
    """Who else ends where a unit is restarted, or only started: by_start tells whom a start alone ends. shown and show:
    as in bound_to."""
    starting = stopped_by_start(unit, shown, show)
    bound = bound_to(unit, shown, show)
    pids: Set[int] = {each.pid for each in starting.members}
    rest = [each for each in bound.members if each.pid not in pids]
    return Bound((*rest, *starting.members), starting.unread or bound.unread, starting.stops, starting.started)
