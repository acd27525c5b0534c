"""What a plan is told of the units of those that it ends: asked of these alone, with who else lives there."""

from __future__ import annotations

from typing import Any, List, Optional, Set, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.plan import Diagnosis
from ansible.module_utils.ib_gateway.base.unit import OwnUnit
from ansible.module_utils.ib_gateway.lifecycle.own_unit import Staying
from ansible.module_utils.ib_gateway.module import assess, own_units
from ansible.module_utils.ib_gateway.observe import linux, processes
from unit.facts import SCRIPT, SECOND, connection, gateway, judged, listener, script, snapshot, spec

UNIT = "sched.service"
BOT, JOB, PAPER, GONE, NAMED = 101, 102, 103, 104, 105
COMMANDS = {BOT: ("python3", "bot.py"), JOB: ("tail", "-f"), PAPER: ("java", "ibcalpha.ibc.IbcGateway")}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> List[Tuple[str, int]]:
    """The questions; each unit has the same people in it."""
    found: List[Tuple[str, int]] = []

    def own_unit(unit: str, pid: int, _uid: Optional[int], staying: Staying) -> OwnUnit:
        told = "who has a session or is protected may not end by what a unit runs"
        assert [each.pid for each in staying()] == [NAMED, SCRIPT], told
        found.append((unit, pid))
        return OwnUnit(unit, others=frozenset({SCRIPT, BOT, JOB, PAPER, GONE}))

    def around(pid: int, _staying: Staying) -> Optional[OwnUnit]:
        found.append(("", pid))
        return OwnUnit("loop.service", refused="it sets off a reboot") if pid in refused else None

    refused: Set[int] = request.param if hasattr(request, "param") else set()
    monkeypatch.setattr(linux, "whose_words", lambda _patterns: {NAMED: gateway(NAMED)})
    monkeypatch.setattr(own_units, "own_unit", own_unit)
    monkeypatch.setattr(own_units, "around", around)
    monkeypatch.setattr(processes, "read_argv", lambda pid: {**COMMANDS, SCRIPT: ("python3", "a.py")}.get(pid, ()))
    monkeypatch.setattr(processes, "read_real_uid", lambda _pid: 0)
    return found


def surplus(**more: Any) -> Diagnosis:
    """A second gateway that lives in a unit; a script works on the one that stays."""
    second = gateway(SECOND, unit=UNIT, unit_is_own=True, served_before=True)
    held = connection(SCRIPT, sent=5000, received=500)
    return judged(snapshot(gateway(), second, listener(), script(), held), spec(**more))


def test_who_else_lives_in_the_unit_of_a_process_that_ends_is_told_with_what_keeps_that_from_ending(
    asked: List[Tuple[str, int]],
) -> None:
    guarding = judged(snapshot(gateway(), listener()), spec(name="other", protected_clients=("bot",)))
    plans = assess._plans([guarding, surplus()])
    assert asked == [(UNIT, SECOND)]
    (told,) = plans[1].withheld
    for text in (
        "pid 101 (python3 bot.py) of root, protected,",
        "pid 103 (java ibcalpha.ibc.IbcGateway) of root, another gateway,",
        "pid %d (python3 a.py) of root, at work elsewhere," % SCRIPT,
    ):
        assert text in told
    assert plans[1].steps == () and "pid 102" not in told and "pid 104" not in told


def two_without_units() -> List[Diagnosis]:
    """A surplus gateway that no unit exists for, and one that its entry's unit restarts."""
    lone = judged(snapshot(gateway(), gateway(SECOND, served_before=True), listener()), spec())
    return [lone, judged(snapshot(gateway(unit=spec().service, unit_is_own=True, served_before=True)), spec())]


def test_of_a_process_that_is_ended_by_itself_it_is_asked_what_its_end_sets_off(asked: List[Tuple[str, int]]) -> None:
    plans = assess._plans(two_without_units())
    assert [step.action for each in plans for step in each.steps] == ["stop_gateway", "wait", "restart"]
    assert asked == [("", SECOND)], "not of the one that its own unit restarts"


@pytest.mark.parametrize("asked", [{SECOND}], indirect=True)
def test_it_is_left_where_that_may_not_be_and_the_plan_says_why(asked: List[Tuple[str, int]]) -> None:
    plans = assess._plans(two_without_units())
    assert [step.action for each in plans for step in each.steps] == ["wait", "restart"] and asked
    assert "pid %d is not ended: it sets off a reboot" % SECOND in plans[0].withheld[0]
