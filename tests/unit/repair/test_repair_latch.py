"""A run that is killed at any side effect of its end: what it has on record by then latches a gateway or lifts that."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from unit.simulated_calls import in_place
from unit.simulated_host import SimHost
from unit.simulated_promises import Promises
from unit.simulated_repair import Run, entry
from unit.simulated_truth import lines

#: More side effects than any end has.
MOST_EFFECTS = 50


class Desk:
    """A host with one gateway, and those who watch its runs."""

    def __init__(self, folder: Path) -> None:
        self.host, self.state_dir = SimHost(), folder / "state"
        self.entries = [entry()]
        self.watch = Promises(self.host, self.entries, str(self.state_dir))
        self.host.add_gateway("live", 4001)
        self.host.pass_time(600.0)

    def gateway_stalls(self) -> None:
        """It answers no session any more, and neither does the one that is started in its place."""
        for each in self.host.gateways("live"):
            each.api = "stalled"
        self.host.next_start[:] = ["stalled"]

    def gateway_is_well(self) -> None:
        """It serves again."""
        for each in self.host.gateways("live"):
            each.api = "ready"

    def run(self, name: str) -> Run:
        """A run that has not begun."""
        return Run(self.host, self.entries, str(self.state_dir), name)

    def finish(self, run: Run) -> Run:
        """All its tasks that are left."""
        while self.watch.go_on(run):
            pass
        return run

    def killed_in_end(self, name: str, before: str, effect: int, how: str) -> Run:
        """A run that is killed at that side effect of its last task; before: its phase when that task is next."""
        run = self.run(name)
        while run.phase != before:
            assert self.watch.go_on(run)
        self.host.kill_after, self.host.kill_how = len(self.host.effects) + effect, how
        self.watch.go_on(run)
        self.host.kill_after = None
        return run

    def ends(self, run: str) -> List[str]:
        """How a run has ended, as far as that is on record."""
        return [each["result"] for each in lines(self.state_dir) if each["kind"] == "end" and each["run"] == run]


def killed_at_each_effect_of_an_end(folder: Path, lifts: bool) -> Iterator[Tuple[Desk, Run]]:
    """For every side effect of an end, a desk on which a run was killed there.

    lifts: whether the run lifts the latch of a run before it; else it is the one that did not succeed.
    """
    for effect, how in itertools.product(range(1, MOST_EFFECTS), ("amid", "after")):
        desk = Desk(folder / how / str(effect))
        with in_place(desk.host), desk.watch.watching():
            desk.gateway_stalls()
            if lifts:
                assert desk.finish(desk.run("r1")).ended["unsuccessful"] == ["live"]
                desk.gateway_is_well()
                desk.host.pass_time(3000)  # until nothing but the latch keeps a run from it
            run = desk.killed_in_end("r2", "end" if lifts else "prove", effect, how)
            if run.alive:
                return
            yield desk, run
    pytest.fail("the run never ended")


@pytest.mark.parametrize("lifts", [False, True], ids=["latches", "lifts"])
def test_the_next_run_goes_by_what_a_killed_end_has_on_record(tmp_path: Path, lifts: bool) -> None:
    seen = set()
    for desk, killed in killed_at_each_effect_of_an_end(tmp_path, lifts):
        on_record = desk.ends(killed.name)
        assert on_record in ([], ["success" if lifts else "failure"])
        left_alone = bool(on_record) is not lifts
        acts = desk.watch.acts
        desk.gateway_stalls()
        desk.host.pass_time(3000)  # until nobody holds the host any more
        run = desk.finish(desk.run("r3"))
        assert [each["gateway"] for each in run.begun["refused"]] == (["live"] if left_alone else [])
        assert (desk.watch.acts > acts) is not left_alone
        assert not desk.watch.broken, desk.watch.broken
        seen.add(left_alone)
    assert seen == {False, True}
