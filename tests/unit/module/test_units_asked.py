"""What a plan is told of the units of those that it ends: asked of these alone, with who else lives there."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.plan import Diagnosis
from ansible.module_utils.ib_gateway.base.unit import OwnUnit
from ansible.module_utils.ib_gateway.module import assess, own_units
from ansible.module_utils.ib_gateway.observe import processes
from unit.facts import SCRIPT, SECOND, connection, gateway, judged, listener, script, snapshot, spec

UNIT = "sched.service"
BOT, JOB, PAPER, GONE = 101, 102, 103, 104
COMMANDS = {BOT: ("python3", "bot.py"), JOB: ("tail", "-f"), PAPER: ("java", "ibcalpha.ibc.IbcGateway")}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[str, int]]:
    """The questions; each unit has the same people in it."""
    found: List[Tuple[str, int]] = []

    def own_unit(unit: str, pid: int) -> OwnUnit:
        found.append((unit, pid))
        return OwnUnit(unit, others=frozenset({SCRIPT, BOT, JOB, PAPER, GONE}))

    monkeypatch.setattr(own_units, "own_unit", own_unit)
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


def test_nobody_is_asked_where_a_plan_ends_nothing_that_has_a_unit(asked: List[Tuple[str, int]]) -> None:
    lone = judged(snapshot(gateway(), gateway(SECOND, served_before=True), listener()), spec())
    restarted = judged(snapshot(gateway(unit=spec().service, unit_is_own=True, served_before=True)), spec())
    plans = assess._plans([lone, restarted])
    assert [step.action for each in plans for step in each.steps] == ["stop_gateway", "wait", "restart"]
    assert asked == []
