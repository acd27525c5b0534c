"""A gateway that the freezer of its control group holds, as `systemctl freeze` does, with the kernel's own freezer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.act import held_process
from ansible.module_utils.ib_gateway.act.held_process import Refused, Target
from ansible.module_utils.ib_gateway.observe import freezer, processes

from integration.desk import Desk, alive, until

_CGROUPS = Path("/sys/fs/cgroup")
#: Where groups of each version may be, the file that freezes one, and what is written there to freeze and to thaw.
_FREEZERS = (
    (_CGROUPS, "cgroup.freeze", "1", "0"),
    (_CGROUPS / "unified", "cgroup.freeze", "1", "0"),
    (_CGROUPS / "freezer", "freezer.state", "FROZEN", "THAWED"),
)
Freeze = Callable[[int], Callable[[], None]]


def _made(stack: ExitStack, freezer_of: tuple[Path, str, str, str]) -> tuple[tuple[Path, str, str, str], Path] | None:
    """A group of that kind, gone with the test; None where there can be none."""
    root, switch, _frozen, _thawed = freezer_of
    group = root / f"ib-gateway-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    stack.callback(group.rmdir)
    return (freezer_of, group) if (group / switch).exists() else None


@pytest.fixture
def freeze() -> Iterator[Freeze]:
    """Freezes a process in a group of its own; what it returns lets it go on."""
    with ExitStack() as stack:
        found = next(filter(None, (_made(stack, each) for each in _FREEZERS)), None)
        if found is None:
            pytest.skip("this host lets nobody make a control group that can be frozen")
        (root, switch, frozen, thawed), group = found

        def empty() -> None:
            for pid in (group / "cgroup.procs").read_text().split():
                (root / "cgroup.procs").write_text(pid)

        def thaw() -> None:
            (group / switch).write_text(thawed)

        def hold(pid: int) -> Callable[[], None]:
            (group / "cgroup.procs").write_text(str(pid))
            stack.callback(empty)
            stack.callback(thaw)
            (group / switch).write_text(frozen)
            until(lambda: freezer.frozen_group(Path(f"/proc/{pid}/cgroup").read_text()))
            return thaw

        yield hold


def test_a_gateway_in_a_frozen_control_group_is_told_and_outlives_both(desk: Desk, freeze: Freeze) -> None:
    gateway = desk.gateway()
    thaw = freeze(gateway.pid)
    run = desk.play("remediate.yml", max_api_clients=None)
    assert run.codes() == {"gateway_frozen"} and run.rc == 2 and run.recap()["changed"] == 0, run.output
    assert "`systemctl thaw UNIT`" in run.output
    thaw()
    time.sleep(0.3)  # a signal that waited would end it now
    assert alive(gateway.pid) and desk.listening() == [gateway.pid]


def test_whoever_is_frozen_since_the_plan_was_made_is_asked_nothing(desk: Desk, freeze: Freeze) -> None:
    gateway = desk.gateway()
    stat = processes.read_stat(gateway.pid)
    assert stat is not None
    target = Target(gateway.pid, stat.started_ticks, processes.boot_id(), "gateway")
    held_process.prove_going(target)
    thaw = freeze(gateway.pid)
    with pytest.raises(Refused, match="control group that is frozen"):
        held_process.prove_going(target)
    thaw()
    until(lambda: not freezer.frozen_group(Path(f"/proc/{gateway.pid}/cgroup").read_text()))
    held_process.prove_going(target)
