"""A run that is killed at any side effect of a whole repair: the next one mends the host and does little more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from unit.simulated_calls import in_place
from unit.simulated_host import SimHost
from unit.simulated_parts import SimProcess
from unit.simulated_repair import Run, entry
from unit.simulated_truth import lines, open_intents

UNIT = "ibgateway-paper.service"
#: More side effects than any repair has.
MOST_EFFECTS = 400
ACTS = ("drop_connection", "stop_client", "stop_gateway", "start", "restart")


class Desk:
    """A host on which every rung is needed, and its acts by gateway. by_unit: whether systemd carries one gateway."""

    def __init__(self, folder: Path, by_unit: bool) -> None:
        self.state_dir = str(folder / "state")
        self.host = host = SimHost()
        self.acts: Counter[str] = Counter()
        host.witness = self._count
        self.entries = [entry("live", client_patterns=["cleanup"]), entry("paper"), entry("third")]
        if by_unit:
            host.carries[UNIT] = "paper"
            self.entries[1] = entry("paper", service=UNIT, start_command=None)
        kept = host.add_gateway("live", 4001)
        wedged = host.add_gateway("paper", 4002, unit=UNIT if by_unit else None)
        host.pass_time(100)
        host.wedge(wedged)
        self.scripts = {name: self._script(kept, name) for name in ("old.py", "new.py", "cleanup.py")}
        host.add_gateway("live", 4001)
        host.pass_time(100)

    def _script(self, gateway: SimProcess, name: str) -> SimProcess:
        self.host.pass_time(10)
        script = self.host.add(self.host.new_pid(), ("python3", name))
        assert self.host.connect(gateway, script)
        return script

    def _count(self, what: str, whom: Any, how: Any) -> None:
        if what == "drop":
            name = whom.server.entry
        elif what == "signal":
            name = whom.entry or "live"
        else:
            name = self.host.carries.get(whom, whom)
        if how != "show":
            self.acts[name] += 1

    def run(self, name: str) -> Run:
        """A whole run, or what of it there is before it is killed."""
        return Run(self.host, self.entries, self.state_dir, name).finish()

    def open_intents(self, run: str) -> List[Tuple[str, str, str]]:
        """(gateway, action, run) of each intent of a run that has no outcome."""
        return [(each["gateway"], each["action"], each["run"]) for each in open_intents(Path(self.state_dir), run)]

    def healthy(self) -> bool:
        """By the host's own truth: one gateway serves each entry, and one script has the API of the crowded one."""
        serving = all(
            [self.host.listening(each) for each in self.host.gateways(name)] == [True]
            for name in ("live", "paper", "third")
        )
        left = [each.client for each in self.host.sessions]
        return serving and len(left) == 1 and left[0] in (self.scripts["old.py"], self.scripts["new.py"])


@pytest.fixture(params=[False, True], ids=["start_command", "unit"])
def by_unit(request: pytest.FixtureRequest) -> bool:
    """How one of the gateways is started."""
    return bool(request.param)


def killed_at_each_effect(folder: Path, by_unit: bool, how: str) -> Iterator[Tuple[int, Desk]]:
    """A desk for every side effect there is, on which run r1 was killed there."""
    for k in range(1, MOST_EFFECTS):
        desk = Desk(folder / str(k), by_unit)
        with in_place(desk.host):
            desk.host.kill_after, desk.host.kill_how = k, how
            if desk.run("r1").alive:
                return
            yield k, desk
    pytest.fail("the repair never ended")


def undisturbed(folder: Path, by_unit: bool) -> Desk:
    """The same desk after a repair that nothing has come between."""
    desk = Desk(folder / "undisturbed", by_unit)
    with in_place(desk.host):
        run = desk.run("r1")
    assert run.ended["succeeded"] == ["live", "third", "paper"] and desk.healthy()
    return desk


def test_a_repair_that_nothing_comes_between_takes_every_rung(tmp_path: Path, by_unit: bool) -> None:
    desk = undisturbed(tmp_path, by_unit)
    taken = [each["action"] for each in lines(Path(desk.state_dir)) if each["kind"] == "intent"]
    assert taken == list(ACTS) and len(desk.host.effects) > 50
    assert set(desk.host.effects) >= {"write", "fsync", "rename", "signal", "destroy", "spawn"}
    assert ("systemctl" in desk.host.effects) is by_unit


@pytest.mark.parametrize(("by_unit", "how"), [(False, "after"), (False, "amid"), (True, "after")])
def test_after_a_crash_at_any_side_effect_the_next_run_mends_the_host_with_one_act_more_at_most(
    tmp_path: Path, by_unit: bool, how: str
) -> None:
    usual = undisturbed(tmp_path, by_unit).acts
    moments = 0
    for k, desk in killed_at_each_effect(tmp_path, by_unit, how):
        moments = k
        desk.host.pass_time(3000)  # until nobody holds the host any more
        run = desk.run("r2")
        where = (k, desk.host.effects[k - 1], desk.acts, run.begun, run.results)
        assert desk.healthy(), where
        assert all(each["status"] == "healthy" for each in run.proof["gateways"]), where
        assert all(desk.acts[name] <= usual[name] + 1 for name in usual), where
        assert run.ended.get("unsuccessful", []) == [] and read_status(desk.state_dir)["latched"] == [], where
        assert not run.ended or read_status(desk.state_dir)["lease"] is None, where
    assert moments > 50


def test_an_act_that_a_crash_left_open_is_shown_until_the_next_repair_and_never_again(
    tmp_path: Path, by_unit: bool
) -> None:
    left = 0
    for k, desk in killed_at_each_effect(tmp_path, by_unit, "after"):
        open_now = desk.open_intents("r1")
        assert len(open_now) <= 1, k
        left += len(open_now)
        desk.host.pass_time(3000)
        looked = read_status(desk.state_dir)
        assert looked["journal"] in ("ok", "absent") and told(looked["unfinished"]) == open_now, k
        for gateway in desk.host.gateways("third"):
            desk.host.die(gateway)  # so that there is something to repair, whatever the first run has reached
        run = desk.run("r2")
        assert told(run.begun["unfinished"]) == open_now, (k, run.begun, desk.host.effects[k - 1])
        assert desk.open_intents("r1") == [] and read_status(desk.state_dir)["unfinished"] == [], k
        desk.host.pass_time(3000)
        for gateway in desk.host.gateways("third"):
            desk.host.die(gateway)
        assert desk.run("r3").begun["unfinished"] == [], k
    assert left >= 3 * len(ACTS)  # before the act, after it, and while its outcome was being written


def told(rows: List[Dict[str, Any]]) -> List[Tuple[str, str, str]]:
    """Unfinished acts as they are returned, in short."""
    return [(each["gateway"], each["action"], each["run"]) for each in rows]


def test_while_the_lease_of_a_killed_run_stands_nobody_acts(tmp_path: Path) -> None:
    held = 0
    for k, desk in killed_at_each_effect(tmp_path, False, "after"):
        if read_status(desk.state_dir)["lease"] is None:
            continue
        before = Counter(desk.acts)
        run = desk.run("r2")
        assert desk.acts == before and not run.begun.get("begun"), k
        if run.begun:
            held += 1
            assert "is being repaired by alice@control pid r1" in run.begun["reason"], k
    assert held > 20
