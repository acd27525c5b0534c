"""The units that go down with another one, and who lives in them: what their files tie to that one ends with it."""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from ..base.unit import UnitMember
from .members import members_of
from .unit_facts import BY_COMMAND, BY_ITS_END, show_each

#: So many units are asked about for one; a desk has a few.
_MOST = 64

Show = Callable[[Sequence[str]], List[Dict[str, str]]]


class Bound(NamedTuple):
    """Who lives in the units that go down with one. unread: why that is not known; empty where it is."""

    members: Tuple[UnitMember, ...] = ()
    unread: str = ""


def bound_to(unit: str, shown: Mapping[str, str], show: Show) -> Bound:
    """Who goes down with a unit. shown: what systemctl shows of that; show: asks the same systemd about others.

    A unit that is told to stop takes its own with it, so they are followed from unit to unit, a call for each round.
    """
    ends = dict.fromkeys(_named(shown, BY_ITS_END), False)
    turn = {**dict.fromkeys(_named(shown, BY_COMMAND), True), **ends}
    known: Dict[str, bool] = {unit: False}
    found: List[UnitMember] = []
    while True:
        # One that was found to outlive an end, and now is found not to, is followed once more.
        turn = {
            name: outlives for name, outlives in turn.items() if name not in known or (known[name] and not outlives)
        }
        if not turn:
            return Bound(tuple(found))
        known.update(turn)
        if len(known) > _MOST:
            return Bound(unread="more than %d units go down with %s" % (_MOST, unit))
        told = show_each(list(turn), show)
        further: Dict[str, bool] = {}
        for name, outlives in turn.items():
            if "error" in told[name]:
                return Bound(unread="%s goes down with %s, and %s" % (name, unit, told[name]["error"]))
            members = members_of(told[name].get("ControlGroup", ""))
            gone = {each.pid for each in members}
            found = [each for each in found if each.pid not in gone]
            found += [each._replace(unit=name, outlives_end=outlives) for each in members]
            for each in _named(told[name], (*BY_ITS_END, *BY_COMMAND)):
                further[each] = outlives and further.get(each, True)
        turn = further


def _named(shown: Mapping[str, str], properties: Sequence[str]) -> List[str]:
    return [name for each in properties for name in shown.get(each, "").split()]
