"""Repaired means that the same gateway stays healthy, look after look."""

from __future__ import annotations

import time
from typing import Any, List, Tuple
from unittest import mock

from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.plan import Diagnosis
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from ansible.module_utils.ib_gateway.decide.planning import plan
from ansible.module_utils.ib_gateway.decide.soak import settled
from ansible.module_utils.ib_gateway.module import look as watching
from unit.facts import GATEWAY, SECOND, gateway, listener, probe, snapshot, spec


def judged(look: Snapshot) -> List[Diagnosis]:
    """The one entry's diagnosis, its handshake good where it listens."""
    entry = entries_of([spec()], look)[0][0]
    return [diagnose(entry, look, probe() if entry.owners() else None)]


GOOD = judged(snapshot(gateway(), listener()))
ANOTHER = judged(snapshot(gateway(SECOND), listener(pids=frozenset((SECOND,)))))
REBORN = judged(snapshot(gateway(started_ticks=1), listener()))
DOWN = judged(snapshot())


def test_a_gateway_that_stays_is_as_its_last_look_says() -> None:
    assert settled([GOOD, GOOD, GOOD]) == GOOD
    assert settled([GOOD]) == GOOD


def test_a_gateway_that_fails_a_later_look_is_not_healthy() -> None:
    found = settled([GOOD, DOWN])[0]
    assert (found.status, {each.code for each in found.findings}) == (
        "unhealthy",
        {"gateway_unstable", "gateway_not_running"},
    )


def test_a_gateway_that_only_a_later_look_found_healthy_was_not_healthy_all_the_time() -> None:
    assert settled([DOWN, GOOD, GOOD])[0].findings[-1].code == "gateway_not_running"


def test_a_gateway_is_watched_to_the_end_beside_one_that_stays_broken() -> None:
    assert watched([*GOOD, *DOWN], [*GOOD, *DOWN], [*DOWN, *DOWN], [*GOOD, *DOWN]) == (3, [3.0, 3.0])
    assert [each.status for each in settled([[*GOOD, *DOWN], [*ANOTHER, *DOWN]])] == ["unhealthy", "unhealthy"]


def test_a_gateway_that_is_another_process_at_the_end_is_unstable_although_it_serves() -> None:
    found = settled([GOOD, ANOTHER])[0]
    assert (found.status, found.verdict) == ("unhealthy", "gateway_unstable")
    assert found.findings[0].evidence == {"gone": [GATEWAY], "new": [SECOND]}
    assert "pid %d" % SECOND in found.findings[0].summary


def test_a_gateway_that_came_back_under_the_same_pid_is_another_process() -> None:
    assert settled([GOOD, REBORN])[0].verdict == "gateway_unstable"


def test_an_unstable_gateway_gets_no_step_because_another_start_would_be_one_more() -> None:
    assert plan(settled([GOOD, ANOTHER])[0]).steps == ()


def watched(*looks: List[Diagnosis], over: float = 9.0) -> Tuple[int, List[float]]:
    """(looks taken, the pauses between them) when these looks would be had one after the other."""
    coming: Any = iter(looks)
    with mock.patch.object(time, "sleep") as pause:
        taken = watching.watch(lambda: (snapshot(), next(coming), ()), len(looks), over)
    return len(taken), [call.args[0] for call in pause.call_args_list]


def test_looks_are_spread_evenly_over_the_soak_time() -> None:
    assert watched(GOOD, GOOD, GOOD, GOOD) == (4, [3.0, 3.0, 3.0])


def test_the_first_look_that_is_not_healthy_ends_the_watch() -> None:
    assert watched(GOOD, DOWN, GOOD) == (2, [4.5])
    assert watched(DOWN, GOOD) == (1, [])


def test_one_look_waits_for_nothing() -> None:
    assert watched(GOOD) == (1, [])
