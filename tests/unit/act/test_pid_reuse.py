"""A pid that passes to another process at any moment of a stop: the stranger is never signalled."""

from __future__ import annotations

import itertools
import os
import signal
from typing import List, Set, Tuple

import pytest
from ansible.module_utils.ib_gateway.act import held_process, stop_process
from ansible.module_utils.ib_gateway.base.process_digest import argv_digest
from ansible.module_utils.ib_gateway.observe import host_key
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.fake_kernel import BOOT, FakeKernel, FakeProcess

PID = 815
SCRIPT = ("python3", "bot.py")
JAVA = ("java", "-DjtsConfigDir=/srv", "ibgateway.GWClient")
TERM, KILL = signal.SIGTERM, signal.SIGKILL
#: More calls than any stop makes.
MOST_CALLS = 60


def stop(
    handovers: Set[int], stubborn: bool, allow_kill: bool, stranger: Tuple[str, ...] = SCRIPT
) -> Tuple[FakeKernel, stop_process.Ending]:
    kernel = FakeKernel(PID, FakeProcess(1000, SCRIPT, stubborn), handovers, stranger)
    target = held_process.Target(
        PID, 1000, BOOT, "client", argv_digest(SCRIPT, host_key.digest_key()), allow_kill=allow_kill
    )
    with kernel.rules():
        outcome = stop_process.stop([target], 0.0, force=False)[0]
    return kernel, outcome


@pytest.mark.parametrize(
    ("stubborn", "allow_kill", "sent", "result"),
    [
        (False, False, [TERM], "stopped"),
        (False, True, [TERM], "stopped"),
        (True, False, [TERM], "refused"),
        (True, True, [TERM, KILL], "stopped"),
    ],
)
def test_without_a_handover_the_process_itself_is_asked_to_end(
    stubborn: bool, allow_kill: bool, sent: List[int], result: str
) -> None:
    kernel, outcome = stop(set(), stubborn, allow_kill)
    assert (kernel.processes[0].signals, outcome.result) == (sent, result)
    assert kernel.calls < MOST_CALLS


@settings(deadline=None, max_examples=500)
@given(
    st.sets(st.integers(0, MOST_CALLS), max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([SCRIPT, JAVA, ("python3", "other.py"), ()]),
)
def test_whenever_a_pid_changes_hands_the_stranger_is_not_signalled(
    handovers: Set[int], stubborn: bool, allow_kill: bool, stranger: Tuple[str, ...]
) -> None:
    kernel, outcome = stop(handovers, stubborn, allow_kill, stranger)
    assert [one.signals for one in kernel.strangers] == [[]] * len(kernel.strangers)
    assert kernel.processes[0].signals in ([], [TERM], [TERM, KILL])
    if outcome.result == "stopped":
        assert not kernel.processes[0].alive


@pytest.mark.parametrize(("stubborn", "allow_kill"), list(itertools.product([False, True], repeat=2)))
def test_between_every_two_calls_of_a_stop_the_pid_may_change_hands(stubborn: bool, allow_kill: bool) -> None:
    """Every single moment, not only those that chance finds."""
    calls = stop(set(), stubborn, allow_kill)[0].calls
    assert calls > 5
    for moment in range(calls + 1):
        kernel, outcome = stop({moment}, stubborn, allow_kill)
        assert all(one.signals == [] for one in kernel.strangers), moment
        assert outcome.result != "refused" or kernel.processes[0].signals == [TERM], moment


def test_a_check_sees_that_a_pid_has_changed_hands() -> None:
    kernel = FakeKernel(PID, FakeProcess(1000, SCRIPT), {0}, SCRIPT)
    with kernel.rules():
        outcome = stop_process.stop([held_process.Target(PID, 1000, BOOT)], 0.0, force=False, dry_run=True)[0]
    assert outcome.result == "already_gone" and kernel.strangers[0].signals == []


def test_no_pidfd_stays_open_however_it_ends() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for moment in range(12):
        stop({moment}, True, True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_process_that_becomes_another_program_while_its_stop_is_written_down_is_not_signalled() -> None:
    kernel = FakeKernel(PID, FakeProcess(1000, SCRIPT), set(), ())

    def announce(_target: held_process.Target) -> None:
        kernel.processes[0].argv = ("python3", "other.py")

    target = held_process.Target(PID, 1000, BOOT, "client", argv_digest(SCRIPT, host_key.digest_key()))
    with kernel.rules():
        outcome = stop_process.stop([target], 0.0, force=False, announce=announce)[0]
    assert (outcome.result, kernel.processes[0].signals) == ("refused", [])


def test_what_cannot_be_written_down_is_not_done() -> None:
    kernel = FakeKernel(PID, FakeProcess(1000, SCRIPT), set(), ())

    def announce(_target: held_process.Target) -> None:
        raise held_process.Refused("the disk is full")

    target = held_process.Target(PID, 1000, BOOT)
    with kernel.rules():
        outcome = stop_process.stop([target], 0.0, force=True, announce=announce)[0]
    assert (outcome.result, outcome.reason, kernel.processes[0].signals) == ("refused", "the disk is full", [])


def test_only_the_process_that_may_be_killed_is_killed() -> None:
    for allowed, killed in ((False, False), (True, True)):
        kernel, outcome = stop(set(), stubborn=True, allow_kill=allowed)
        assert (outcome.result == "stopped", not kernel.processes[0].alive) == (killed, killed)
        assert (signal.SIGKILL in kernel.processes[0].signals) is killed
