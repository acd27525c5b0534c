"""Every trouble at every moment of a repair, one at a time and without chance: all promises are kept each time.

IB_EVERY_CALL=1 tries every call instead of every fifth.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest
from unit.simulated_calls import in_place
from unit.simulated_host import SimHost
from unit.simulated_parts import SimProcess
from unit.simulated_promises import Promises
from unit.simulated_repair import Row, Run, entry
from unit.simulated_troubles import Troubles
from unit.simulated_truth import NAMED, PROTECTED

UNIT = "ibgateway-paper.service"
STRIDE = 1 if os.environ.get("IB_EVERY_CALL") else 5
#: More tasks, and more calls, than any of these repairs has.
MOST_TASKS, MOST_CALLS = 30, 400


class Scene:
    """A host with something to repair, and those who watch it."""

    def __init__(self, folder: Path, *entries: Row) -> None:
        self.host, self.state_dir = SimHost(), str(folder / "state")
        self.entries = list(entries)
        self.scripts: List[SimProcess] = []
        self.watch = Promises(self.host, self.entries, self.state_dir)
        self.troubles = Troubles(self.host, self.watch, self.state_dir)

    def run(self, name: str, frozen: str = "") -> Run:
        """A run that has not begun."""
        return Run(self.host, self.entries, self.state_dir, name, frozen=frozen)

    def finish(self, run: Run) -> None:
        """All its tasks that are left."""
        while self.watch.go_on(run):
            pass

    def named(self, run: Run) -> None:
        """Trouble meets those whom the plan names."""
        targets = [each["target"] for each in (run.steps or self.planned(run))]
        self.troubles.named = [each["pid"] for each in (one.get("process") or one for one in targets) if "pid" in each]

    def planned(self, run: Run) -> List[Row]:
        """All steps of a run's newest plan."""
        return [step for each in run.health.get("gateways", ()) for step in each["plan"]["steps"]]


def crowded(folder: Path) -> Scene:
    """Three scripts and two gateways where there is room for one of each; the gateway that goes ignores SIGTERM."""
    scene = Scene(folder, entry("live", client_patterns=[NAMED], protected_clients=[PROTECTED]))
    host = scene.host
    kept = host.add_gateway("live", 4001)
    host.pass_time(100)
    for name in ("old.py", NAMED + ".py", "new.py"):
        host.pass_time(10)
        scene.scripts.append(host.add(host.new_pid(), ("python3", name)))
        host.connect(kept, scene.scripts[-1])
    host.add_gateway("live", 4001, ends_in=None)
    host.pass_time(100)
    return scene


def deaf(folder: Path) -> Scene:
    """A gateway that has closed its port and holds a connection whose client has gone, and a unit that does not run."""
    scene = Scene(folder, entry("live", allow_kill=True), entry("paper", service=UNIT, start_command=None))
    host = scene.host
    host.carries[UNIT] = "paper"
    one = host.add_gateway("live", 4001, ends_in=None)
    host.pass_time(10)
    host.wedge(one)
    host.pass_time(600)
    return scene


SCENES = {"crowded": crowded, "deaf": deaf}
Scenes = Callable[[Path], Scene]


def tasks(make: Scenes, folder: Path) -> int:
    """How many tasks a repair of a scene has when nothing comes between."""
    scene = make(folder)
    with in_place(scene.host), scene.watch.watching():
        run, count = scene.run("r1"), 1
        while scene.watch.go_on(run):
            count += 1
    assert scene.watch.broken == [] and scene.watch.acts >= 3
    return count


def at_each_task(make: Scenes, folder: Path) -> Iterator[Tuple[int, Scene, Run]]:
    """A scene for each task there is, with a run that is about to take it."""
    for number in range(tasks(make, folder / "whole")):
        scene = make(folder / str(number))
        with in_place(scene.host), scene.watch.watching():
            run = scene.run("r1")
            for _ in range(number):
                scene.watch.go_on(run)
            scene.named(run)
            yield number, scene, run


def names(which: str) -> List[str]:
    """The troubles there are."""
    return sorted(getattr(Troubles(SimHost(), Any, "."), which))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("name", [*names("slow"), *names("sudden")])
def test_whatever_happens_before_a_task_no_promise_is_broken(tmp_path: Path, make: Scenes, name: str) -> None:
    for number, scene, run in at_each_task(make, tmp_path):
        for turn in (0, 3):  # it happens, and happens again to another
            {**scene.troubles.slow, **scene.troubles.sudden}[name](turn)
            scene.watch.go_on(run)
        scene.finish(run)
        assert not scene.watch.broken, (number, name, scene.watch.broken)


def ambush(scene: Scene, run: Run, name: str, number: int) -> Callable[[], None]:
    """A trouble that waits for its moment."""

    def happens() -> None:
        scene.named(run)
        scene.troubles.sudden[name](number)

    return happens


@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("name", names("sudden"))
def test_whatever_happens_between_two_calls_no_promise_is_broken(tmp_path: Path, make: Scenes, name: str) -> None:
    for call in range(1, MOST_CALLS, STRIDE):
        scene = make(tmp_path / str(call))
        with in_place(scene.host), scene.watch.watching():
            run = scene.run("r1")
            scene.host.ambushes[call] = ambush(scene, run, name, call)
            scene.finish(run)
            assert not scene.watch.broken, (call, name, scene.watch.broken)
            if scene.host.ambushes:
                break
    assert call > 60


def while_cutting(scene: Scene) -> Iterator[Run]:
    """A run that is about to cut, and the same run when it has."""
    run = scene.run("r1")
    while run.phase != "begin":
        scene.watch.go_on(run)
    yield run
    scene.watch.go_on(run)
    assert run.phase == "drop_connection"
    yield run


def test_a_script_that_has_to_go_for_one_that_comes_meanwhile_is_cut_before_it_is_stopped(tmp_path: Path) -> None:
    scene = crowded(tmp_path / "whole")
    with in_place(scene.host), scene.watch.watching():
        first, last = (scene.host.calls for _run in while_cutting(scene))
    cut_later = 0
    for call in range(first + 1, last + 1):
        scene = crowded(tmp_path / str(call))
        late: List[SimProcess] = []

        def comes(scene: Scene = scene, late: List[SimProcess] = late) -> None:
            late.append(scene.host.add(scene.host.new_pid(), ("python3", "late.py")))
            assert scene.host.connect(scene.host.gateways("live")[0], late[0])

        with in_place(scene.host), scene.watch.watching():
            run = scene.run("r1")
            scene.host.ambushes[call] = comes
            scene.finish(run)
        assert late and not scene.watch.broken, (call, scene.watch.broken)
        rounds = [[row["pids"] for row in each["dropped"]] for each in run.results if each.get("dropped")]
        new = scene.scripts[-1]
        assert new.signals == [] == late[0].signals
        assert not {pid for each in rounds for cut in each for pid in cut} - {new.pid, late[0].pid}, "the newest go"
        cut_later += rounds[1:] == [[[late[0].pid]]]
    assert cut_later


@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("asleep", [0.0, 400.0])
@pytest.mark.parametrize("done", [1, 3, 30])
def test_two_runs_at_once_never_both_act(tmp_path: Path, make: Scenes, asleep: float, done: int) -> None:
    """The second one comes when the first has done any number of tasks, and then both go on in turn."""
    for number, scene, first in at_each_task(make, tmp_path):
        second = scene.run("r2")
        scene.host.pass_time(asleep)
        for _ in range(done):
            scene.watch.go_on(second)
        for _ in range(MOST_TASKS):
            scene.watch.go_on(first)
            scene.watch.go_on(second)
        assert not scene.watch.broken, (number, scene.watch.broken)


def test_a_run_that_slept_while_another_took_the_host_over_does_nothing_more(tmp_path: Path) -> None:
    after = 0
    for _number, scene, first in at_each_task(crowded, tmp_path):
        acted = scene.watch.acts
        scene.host.pass_time(400.0)
        second = scene.run("r2")
        while second.phase not in ("drop_connection", "stop_client", "stop_gateway") and scene.watch.go_on(second):
            pass
        if acted and scene.watch.acts > acted and first.phase not in ("prove", "end", "over"):
            before = scene.watch.acts
            scene.finish(first)
            assert scene.watch.acts == before and first.ended["succeeded"] == []
            after += 1
        assert not scene.watch.broken
    assert after


@pytest.mark.parametrize("trouble", ["deaf", "gone"])
@pytest.mark.parametrize("every", [100.0, 400.0, 1000.0, 1900.0])
def test_a_gateway_that_falls_over_again_and_again_is_not_repaired_without_end(
    tmp_path: Path, trouble: str, every: float
) -> None:
    scene = Scene(tmp_path, entry("live"))
    host = scene.host
    host.add_gateway("live", 4001)
    host.pass_time(600)
    with in_place(host), scene.watch.watching():
        for number in range(int(7300 / every)):
            for each in host.gateways("live"):
                if trouble == "gone":
                    host.die(each)
                elif host.listening(each):
                    host.wedge(each)
            host.pass_time(every)
            scene.finish(scene.run("r%d" % number))
            assert not scene.watch.broken, (number, scene.watch.broken)
    assert 3 <= len(scene.watch.meant) <= 8


def test_a_frozen_run_acts_on_nobody(tmp_path: Path) -> None:
    for make in SCENES.values():
        scene = make(tmp_path / make.__name__)
        with in_place(scene.host), scene.watch.watching():
            scene.finish(scene.run("r1", frozen="4 of 6 hosts are unhealthy"))
        assert (scene.watch.acts, scene.watch.broken) == (0, [])


def test_a_host_without_pidfd_is_only_diagnosed_where_a_signal_would_be_needed(tmp_path: Path) -> None:
    for make in SCENES.values():
        scene = make(tmp_path / make.__name__)
        scene.host.pidfd = False
        with in_place(scene.host), scene.watch.watching():
            scene.finish(scene.run("r1"))
        assert scene.watch.broken == [] and all(not each.signals for each in scene.host.processes.values())
