"""Who waits in the kernel, as a gateway does while a backup has frozen the file system of its log, is sent nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from ansible.module_utils.ib_gateway.act import held_process, stop_process
from ansible.module_utils.ib_gateway.act.held_process import Refused, Target
from ansible.module_utils.ib_gateway.base.host import HELD_IN_KERNEL
from ansible.module_utils.ib_gateway.observe import kernel_waits, room
from simulator.launch import SimulatedGateway

from integration.desk import Desk, alive, until
from integration.stuck import freezable, in_the_kernel, waiting_script
from integration.test_repair_limits import remediate


class Frozen(NamedTuple):
    """A gateway that waits for the file system of its log; thaw lets it go on."""

    gateway: SimulatedGateway
    place: str
    thaw: Callable[[], None]


@pytest.fixture
def frozen(desk: Desk) -> Iterator[Frozen]:
    """A gateway in good health, whose log lies on a file system of its own that somebody has frozen since."""
    if os.geteuid():
        pytest.skip("a file system of its own takes root")
    place = desk.folder / "logs"
    place.mkdir()
    with ExitStack() as stack:
        try:
            freeze, thaw = stack.enter_context(freezable(place))
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"a file system of its own cannot be frozen here: {error}")
        gateway = desk.prepared(settings={"ibc-log": place / "ibc.log", "event": "log-line"})
        stack.callback(gateway.stop, timeout=0.5)
        gateway.start()
        freeze()
        stack.callback(_thawed, thaw)
        gateway.happen()
        until(lambda: in_the_kernel(gateway.pid))
        yield Frozen(gateway, str(place), thaw)


def _thawed(thaw: Callable[[], None]) -> None:
    """Before the gateway is stopped, who would hold the file system."""
    try:
        thaw()
    except OSError:
        return  # the test has done so


def pending(pid: int) -> int:
    """The signals that wait for a process, as the kernel counts them."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return sum(int(line.split()[1], 16) for line in status if line.startswith(("SigPnd", "ShdPnd")))


@pytest.mark.root
@pytest.mark.parametrize("allow_kill", [False, True])
def test_a_gateway_whose_file_system_is_frozen_is_sent_nothing_and_serves_on_when_it_thaws(
    desk: Desk, frozen: Frozen, allow_kill: bool
) -> None:
    pid = frozen.gateway.pid
    told = f"pid {pid} {HELD_IN_KERNEL} (what is mounted at {frozen.place}, in"
    for options in (("--check",), ()):
        run = remediate(desk, *options, allow_kill=allow_kill, max_api_clients=None)
        assert "gateway_frozen" in run.codes() and run.rc == 2 and run.recap()["changed"] == 0, run.output
        assert told in " ".join(run.output.split()) and "it goes on by itself" in run.output, run.output
        assert alive(pid) and not pending(pid)
    frozen.thaw()
    until(lambda: not in_the_kernel(pid))
    again = remediate(desk, allow_kill=allow_kill, max_api_clients=None)
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
    assert desk.listening() == [pid] == desk.java()


@pytest.mark.root
@pytest.mark.parametrize("allow_kill", [False, True])
def test_where_the_file_system_freezes_once_the_plan_is_made_the_act_sends_nothing_either(
    frozen: Frozen, allow_kill: bool
) -> None:
    target = named(frozen.gateway.pid, role="gateway", allow_kill=allow_kill)
    ending = stop_process.stop([target], 0.5, force=allow_kill)[0]
    assert ending.result == stop_process.REFUSED and HELD_IN_KERNEL in ending.reason and not ending.signals
    assert not pending(frozen.gateway.pid)


@pytest.mark.root
def test_a_gateway_that_the_kernel_holds_is_not_asked_by_its_files_whether_they_have_room(frozen: Frozen) -> None:
    pid = frozen.gateway.pid
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "_full", lambda *_asked: pytest.fail("a file that may hang was looked at"))
        assert room.cannot_write(pid, named(pid).started_ticks) is None


@pytest.mark.parametrize("allow_kill", [False, True])
def test_a_script_one_of_whose_threads_the_kernel_holds_is_sent_nothing_until_that_goes_on(allow_kill: bool) -> None:
    with waiting_script() as (script, let_go):
        target = named(script.pid, role="client", allow_kill=allow_kill)
        assert HELD_IN_KERNEL in kernel_waits.held([script.pid])[script.pid]
        ending = stop_process.stop([target], 0.5, force=False)[0]
        assert ending.result == stop_process.REFUSED and HELD_IN_KERNEL in ending.reason and not ending.signals
        assert script.poll() is None and not pending(script.pid)
        let_go()
        assert script.stdout is not None and script.stdout.readline() == "goes on\n"
        assert kernel_waits.held([script.pid]) == {}
        assert stop_process.stop([target], 5.0, force=False)[0].result == stop_process.STOPPED


def test_one_that_comes_to_wait_after_it_was_asked_to_end_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with waiting_script() as (script, let_go):
        target = named(script.pid, role="client", allow_kill=True)
        waits, sent = kernel_waits.waiting, list[int]()
        monkeypatch.setattr(kernel_waits, "waiting", lambda pid: waits(pid) if sent else frozenset())
        monkeypatch.setattr(stop_process, "send", lambda _held, number: sent.append(number))
        ending = stop_process.stop([target], 0.1, force=False)[0]
        assert ending.result == stop_process.REFUSED and HELD_IN_KERNEL in ending.reason
        assert sent == [signal.SIGTERM]
        let_go()


def test_one_that_was_about_to_go_on_is_looked_at_again_and_asked_then() -> None:
    with waiting_script(seconds=1) as (script, _let_go):
        held_process.prove_going(named(script.pid, role="client"))


def test_whoever_is_held_is_refused_by_name_right_before_the_signal() -> None:
    with waiting_script() as (script, _let_go), pytest.raises(Refused, match=f"pid {script.pid} waits in the kernel"):
        held_process.prove_going(named(script.pid, role="client"))


def named(pid: int, **more: object) -> Target:
    """The process as a plan names it."""
    identity = held_process.identity_of(pid)
    assert identity is not None
    return Target(pid, *identity, **more)  # type: ignore[arg-type]
