"""When a whole repair calls a gateway repaired: after several healthy looks over the soak time, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.simulated_calls import in_place
from unit.simulated_host import SimHost
from unit.simulated_repair import Run, entry


def repaired(folder: Path, start: str, other_is_well: bool, dies_in: float = float("inf")) -> Run:
    """A run over a host whose gateway `paper` does not run; start: how the one it starts turns out."""
    host = SimHost()
    if other_is_well:
        host.add_gateway("live", 4001)
    else:
        host.add(host.new_pid(), ("nc", "-l"), port=4001)  # nothing is started while somebody has its port
    host.next_start.append(start)
    host.pass_time(600.0)
    with in_place(host):
        run = Run(host, [entry("live"), entry("paper")], str(folder / "state"), "r1")
        while run.phase != "prove" and run.go_on():
            if run.phase == "start":
                for each in host.gateways("paper"):
                    each.dies_at = min(each.dies_at, host.clock + dies_in)
        run.finish()
    return run


def test_a_gateway_that_stays_is_repaired(tmp_path: Path) -> None:
    run = repaired(tmp_path, "ready", True)
    assert run.ended["succeeded"] == ["paper"] and len(run.proof["looks"]) == 3


@pytest.mark.parametrize("start", ["brief", "deaf", "stalled", "upstream"])
def test_a_gateway_that_does_not_serve_for_the_whole_soak_is_not_repaired(tmp_path: Path, start: str) -> None:
    run = repaired(tmp_path, start, True)
    assert (run.ended["succeeded"], run.ended["unsuccessful"]) == ([], ["paper"])


@pytest.mark.parametrize("dies_in", [0.5, 4.0, 7.0])
def test_a_gateway_that_dies_at_any_moment_of_the_soak_is_not_repaired(tmp_path: Path, dies_in: float) -> None:
    run = repaired(tmp_path, "ready", True, dies_in)
    assert (run.ended["succeeded"], run.ended["unsuccessful"]) == ([], ["paper"])


def test_a_gateway_beside_one_that_stays_broken_is_soaked_all_the_same(tmp_path: Path) -> None:
    run = repaired(tmp_path, "ready", False)
    assert run.ended["succeeded"] == ["paper"] and len(run.proof["looks"]) == 3


def test_a_gateway_that_dies_soon_is_not_repaired_beside_one_that_stays_broken(tmp_path: Path) -> None:
    run = repaired(tmp_path, "ready", False, 4.0)
    assert (run.ended["succeeded"], run.ended["unsuccessful"]) == ([], ["paper"])
