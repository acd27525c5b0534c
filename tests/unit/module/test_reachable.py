"""Of whom a plan would signal, who waits in the kernel is found out, and a plan is made that leaves them."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Set, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import HELD_IN_KERNEL
from ansible.module_utils.ib_gateway.base.plan import Diagnosis, Plan
from ansible.module_utils.ib_gateway.decide.planning import plan
from ansible.module_utils.ib_gateway.module import reachable
from ansible.module_utils.ib_gateway.observe import kernel_waits
from unit.facts import (
    GATEWAY,
    OTHER_SCRIPT,
    SCRIPT,
    SECOND,
    Fact,
    connection,
    gateway,
    judged,
    listener,
    probe,
    script,
    snapshot,
    spec,
)


class Kernel:
    """Whom it holds; asked: whom somebody has asked about, in order."""

    def __init__(self) -> None:
        self.holds: Set[int] = set()
        self.asked: List[Set[int]] = []

    def held(self, pids: Iterable[int]) -> Dict[int, str]:
        self.asked.append(set(pids))
        return {pid: HELD_IN_KERNEL + " (in folio_wait)" for pid in self.asked[-1] & self.holds}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel()
    monkeypatch.setattr(kernel_waits, "held", found.held)
    return found


def told(*facts: Fact, outcome: str = "", **entry: Any) -> Tuple[Diagnosis, Plan]:
    look = snapshot(*facts)
    found = judged(look, spec(**entry), probe(outcome) if outcome else None)
    (again,) = reachable.with_waits([found], look, "")
    return again, plan(again)


def actions(made: Plan) -> List[str]:
    return [each.action for each in made.steps]


def test_a_gateway_that_serves_is_not_asked_about(kernel: Kernel) -> None:
    kernel.holds = {GATEWAY}
    found, _ = told(gateway(), listener(), outcome="ready")
    assert found.status == "healthy" and kernel.asked == []


def test_nor_is_one_whose_plan_ends_nobody(kernel: Kernel) -> None:
    kernel.holds = {GATEWAY}
    found, made = told(gateway(age=5.0))
    assert found.verdict == "gateway_starting" and actions(made) == ["wait"] and kernel.asked == []


@pytest.mark.parametrize("allow_kill", [False, True])
def test_a_deaf_gateway_that_the_kernel_holds_is_neither_ended_nor_restarted(kernel: Kernel, allow_kill: bool) -> None:
    facts = (gateway(), listener())
    assert actions(told(*facts, outcome="silent", allow_kill=allow_kill)[1]) == ["restart"]
    kernel.holds = {GATEWAY}
    found, made = told(*facts, outcome="silent", allow_kill=allow_kill)
    assert found.verdict == "gateway_frozen" and made.steps == ()
    (why,) = made.withheld
    assert "pid %d waits in the kernel" % GATEWAY in why and "goes on by itself" in why and "kill" not in why
    assert "(in folio_wait)" in found.findings[0].summary


def test_a_surplus_gateway_that_the_kernel_holds_is_left_too(kernel: Kernel) -> None:
    facts = (gateway(), gateway(SECOND), listener())
    assert actions(told(*facts)[1]) == ["stop_gateway"]
    kernel.holds = {SECOND}
    made = told(*facts)[1]
    assert made.steps == () and "pid %d waits in the kernel" % SECOND in made.withheld[0]
    assert kernel.asked[-1] == {SECOND}, "the one that serves was not to be signalled"


def test_a_script_that_the_kernel_holds_is_cut_off_and_not_stopped(kernel: Kernel) -> None:
    facts = (gateway(), listener(), script(), connection(SCRIPT, cookie=7))
    named: Dict[str, Any] = {"client_patterns": (r"bot\.py",), "max_api_clients": None}
    assert actions(told(*facts, **named)[1]) == ["stop_client"]
    kernel.holds = {SCRIPT}
    made = told(*facts, **named)[1]
    assert actions(made) == ["drop_connection"]
    assert any("pid %d is not ended: it waits in the kernel" % SCRIPT in each for each in made.withheld)


def test_whom_a_plan_means_instead_is_asked_about_as_well(kernel: Kernel) -> None:
    kernel.holds = {SCRIPT, OTHER_SCRIPT}
    facts = (gateway(), listener(), script(), script(OTHER_SCRIPT), connection(SCRIPT), connection(OTHER_SCRIPT))
    made = told(*facts, client_patterns=(r"bot\.py",), max_api_clients=None)[1]
    assert "stop_client" not in actions(made) and set().union(*kernel.asked) == kernel.holds
