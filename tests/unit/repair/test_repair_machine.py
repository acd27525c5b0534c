"""Runs against a host on which anything may happen between any two calls: no promise of a repair is ever broken.

More and longer walks: IB_MACHINE_EXAMPLES=500 IB_MACHINE_STEPS=60.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Any, Callable, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_fleet.run import fleet_guard
from ansible.module_utils.ib_gateway.state import journal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from unit.simulated_calls import in_place
from unit.simulated_host import SimHost
from unit.simulated_promises import Promises
from unit.simulated_repair import Row, Run, entry
from unit.simulated_troubles import Troubles
from unit.simulated_truth import NAMED, PROTECTED

UNIT = "ibgateway-paper.service"
NUMBERS = st.integers(0, 999)
#: More tasks than any run has.
MOST_TASKS = 40
#: What may happen between any two calls.
SUDDEN = [
    "a pid is reused",
    "a script goes",
    "a script comes",
    "a gateway hangs",
    "permission goes",
    "the disk fills",
    "the clock is set",
    "somebody presses stop",
    "time passes",
    "the other run goes on",
]
PLACES = st.tuples(st.integers(0, 9), st.integers(0, 40))
SLOW = [
    "a gateway dies",
    "a gateway goes deaf",
    "a gateway moves to another port",
    "a second gateway comes",
    "a stranger's gateway comes",
    "a stranger takes a port",
    "a process becomes another program",
    "a process does not end any more",
    "a start turns out badly",
    "the host restarts",
    "minutes pass",
    "the journal is damaged",
    "the journal is lost",
    "the journal is torn",
    "a person resets the repair state",
]
#: What a repair has something to do about.
FAULTS = [
    "a gateway dies",
    "a gateway goes deaf",
    "a gateway hangs",
    "a gateway hangs",
    "a gateway moves to another port",
    "a second gateway comes",
    "a process does not end any more",
    "a start turns out badly",
    "a script comes",
    "a script comes",
    "a script comes",
    "a script comes",
]
#: What comes between the tasks of a run, and between the calls of one: (task, call; 0 is before it), (what, to whom).
BETWEEN = st.lists(st.tuples(PLACES, st.tuples(st.sampled_from([*SUDDEN, *SUDDEN, *SLOW]), NUMBERS)), max_size=3)
#: Where a run is killed: in which task, after how many side effects, and how.
KILLED = st.one_of(
    st.none(), st.none(), st.tuples(st.integers(0, 9), st.integers(1, 16), st.sampled_from(["after", "amid"]))
)
Between = List[Tuple[Tuple[int, int], Tuple[str, int]]]
Kill = Optional[Tuple[int, int, str]]
#: Statuses of the other hosts of the fleet.
FLEETS = st.sampled_from(
    [("healthy",) * 5, ("healthy",) * 5, ("healthy",) * 5, ("unreachable",) * 3 + ("healthy",) * 2]
)


class Repairs(RuleBasedStateMachine):
    """A host with two entries, and two controllers that repair it."""

    @initialize(flags=st.tuples(*[st.booleans()] * 4), pidfd=st.sampled_from([True, True, True, False]))
    def a_host(self, flags: Tuple[bool, bool, bool, bool], pidfd: bool) -> None:
        self.folder = tempfile.mkdtemp(prefix="repairs")
        self.state_dir = os.path.join(self.folder, "state")
        kill, with_clients, by_unit, plan_only = flags
        patterns: Row = {"client_patterns": [NAMED], "protected_clients": [PROTECTED]}
        carried: Row = {"service": UNIT, "start_command": None} if by_unit else {}
        self.entries: List[Row] = [
            entry("live", allow_kill=kill, allow_restart_with_clients=with_clients, **patterns),
            entry("paper", remediation="plan_only" if plan_only and kill else "auto", **carried, **patterns),
        ]
        self.host = SimHost()
        self.host.pidfd = pidfd
        self.host.add_gateway("live", 4001)
        if by_unit:
            self.host.carries[UNIT] = "paper"
        self.host.add_gateway("paper", 4002, unit=UNIT if by_unit else None)
        self.host.pass_time(600.0)
        self.watch = Promises(self.host, self.entries, self.state_dir)
        self.troubles = Troubles(self.host, self.watch, self.state_dir)
        self.runs: List[Optional[Run]] = [None, None]
        self.blackout = ""
        self.count = 0
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(pytest.MonkeyPatch.context()).setattr(journal, "ROTATE_AT", 6000)
        self.stack.enter_context(in_place(self.host))
        self.stack.enter_context(self.watch.watching())

    def teardown(self) -> None:
        """Nothing is left behind."""
        if hasattr(self, "stack"):
            self.stack.close()
            shutil.rmtree(self.folder)

    # --- the two controllers ---

    def _run(self, which: int, fleet: Tuple[str, ...]) -> Run:
        run = self.runs[which]
        if run is None or not run.alive or run.phase == "over":
            self.count += 1
            frozen = fleet_guard.freezes([(each, each) for each in ("unhealthy", *fleet)], fleet_guard.Thresholds())
            assert bool(frozen) == ("unreachable" in fleet)
            run = Run(self.host, self.entries, self.state_dir, "r%d" % self.count, lambda: self.blackout, frozen)
            self.runs[which] = run
        return run

    def _go_on(self, which: int, task: int, between: Between, killed: Kill) -> bool:
        """A run's next task, the number `task` of those that are taken in one go."""
        run = self.runs[which]
        if run is None:
            return False
        for (when, call), (name, number) in between:
            happens = self._trouble(name, number, which)
            if when == task and call == 0:
                happens()
            elif when == task and name in SUDDEN:
                self.host.ambushes[self.host.calls + call] = happens
        if killed is not None and killed[0] == task:
            self.host.kill_after, self.host.kill_how = len(self.host.effects) + killed[1], killed[2]
        more = self.watch.go_on(run)
        self.host.ambushes.clear()
        self.host.kill_after = None
        return more

    def _trouble(self, name: str, number: int, which: int) -> Callable[[], Any]:
        if name == "the other run goes on":
            other = self.runs[1 - which]
            return lambda: other is not None and other.alive and self.watch.go_on(other)
        run = self.runs[which]
        self.troubles.named = [] if run is None else [each["target"].get("pid") for each in run.steps]
        return lambda: {**self.troubles.slow, **self.troubles.sudden}[name](number)

    @rule(which=st.integers(0, 1), fleet=FLEETS, between=BETWEEN, killed=KILLED)
    def a_task(self, which: int, fleet: Tuple[str, ...], between: Between, killed: Kill) -> None:
        self._run(which, fleet)
        self._go_on(which, 0, between, killed)

    @rule(which=st.integers(0, 1), fleet=FLEETS, between=BETWEEN, killed=KILLED)
    def a_whole_run(self, which: int, fleet: Tuple[str, ...], between: Between, killed: Kill) -> None:
        self._run(which, fleet)
        for task in range(MOST_TASKS):
            if not self._go_on(which, task, between, killed):
                break

    @rule(
        faults=st.lists(st.tuples(st.sampled_from(FAULTS), NUMBERS), min_size=1, max_size=3),
        seconds=st.sampled_from([1.0, 70.0, 300.0, 3700.0]),
        fresh=st.booleans(),
        between=BETWEEN,
        killed=KILLED,
    )
    def something_breaks_and_is_repaired(
        self,
        faults: List[Tuple[str, int]],
        seconds: float,
        fresh: bool,
        between: Between,
        killed: Kill,
    ) -> None:
        """fresh: whether all runs are over before, and a person has lifted what the last ones have left."""
        self.troubles.mended(0)
        self.blackout = ""
        if fresh:
            for which in (0, 1):
                while self._go_on(which, 0, [], None):
                    pass
            self.host.pass_time(1000.0)
            self.troubles.reset(0)
        self.host.pass_time(5.0)
        for name, number in faults:
            {**self.troubles.slow, **self.troubles.sudden}[name](number)
        self.host.pass_time(seconds)
        self.a_whole_run(0, ("healthy",) * 5, between, killed)

    # --- the world ---

    @rule(name=st.sampled_from(SLOW), number=NUMBERS)
    def trouble(self, name: str, number: int) -> None:
        self.troubles.slow[name](number)

    @rule(name=st.sampled_from(SUDDEN[:-1]), number=NUMBERS)
    def sudden_trouble(self, name: str, number: int) -> None:
        self.troubles.sudden[name](number)

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=3))
    def scripts_come(self, numbers: List[int]) -> None:
        for number in numbers:
            self.troubles.script_comes(number)

    @rule()
    def all_is_well_again(self) -> None:
        self.troubles.mended(0)

    @rule(seconds=st.sampled_from([5.0, 20.0, 70.0, 300.0, 1000.0, 3700.0]))
    def time_passes(self, seconds: float) -> None:
        self.host.pass_time(seconds)

    @rule(text=st.sampled_from(["", "", "blackout desk: plan only"]))
    def the_desk_says(self, text: str) -> None:
        self.blackout = text

    # --- what always holds ---

    @invariant()
    def every_promise_is_kept(self) -> None:
        if hasattr(self, "watch"):
            assert not self.watch.broken, "\n".join(self.watch.broken)
            assert self.host.held == {}, "a pidfd was left open"


EXAMPLES = int(os.environ.get("IB_MACHINE_EXAMPLES", "100"))
STEPS = int(os.environ.get("IB_MACHINE_STEPS", "25"))


def test_whatever_happens_to_a_host_no_promise_of_a_repair_is_broken() -> None:
    run_state_machine_as_test(
        Repairs,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
