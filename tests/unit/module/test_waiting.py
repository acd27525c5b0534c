"""How long a gateway is waited for, on a clock that the test turns."""

from __future__ import annotations

import importlib
from typing import List, Optional

import pytest
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.module import waiting
from unit.facts import gateway, listener, snapshot, spec

NOTHING, COME, UP = snapshot(), snapshot(gateway(age=1.0)), snapshot(gateway(age=1.0), listener())


class Clock:
    """What each look finds: a gateway from `comes` on, its port from `up` on, until it is `gone`."""

    def __init__(self, comes: float, up: float, gone: float) -> None:
        self.now, self._comes, self._up, self._gone = 0.0, comes, up, gone

    def look(self, _specs: object) -> Snapshot:
        if self.now < self._comes or self.now >= self._gone:
            return NOTHING
        return UP if self.now >= self._up else COME

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("comes", "up", "gone", "until_up", "answer", "took"),
    [
        (50, 60, 999, True, "listening", 60),
        (50, 150, 999, True, "listening", 150),  # beyond the 90 s, within start_timeout from when it came
        (50, 150, 999, False, "not_listening", 90),
        (50, 999, 999, True, "not_listening", 170),
        (50, 150, 100, True, "ended", 100),
        (0, 150, 999, True, "not_listening", 90),  # it was there before, and the 90 s are its own
        (999, 999, 999, True, "not_listening", 90),
    ],
)
def test_a_gateway_that_comes_while_it_is_waited_for_gets_its_own_time_where_that_is_asked_for(
    comes: float, up: float, gone: float, until_up: bool, answer: str, took: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(comes, up, gone)
    monkeypatch.setattr(waiting, "look_for", clock.look)
    monkeypatch.setattr(waiting, "time", clock_module(clock))
    assert waiting.await_listener([spec(start_timeout=120)], ["live"], 90.0, until_up) == {"live": answer}
    assert clock.now == pytest.approx(took, abs=0.3)


def clock_module(clock: Clock) -> object:
    """What the module takes for the module time."""

    class Time:
        @staticmethod
        def monotonic() -> float:
            return clock.now

        sleep = staticmethod(clock.sleep)

    return Time


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 331 + 240 + 30), (10.0, 10 + 30)])
def test_the_module_s_deadline_covers_a_gateway_that_comes_at_the_last_moment(
    timeout: Optional[float], seconds: float
) -> None:
    module = importlib.import_module("ib_gateway_wait")
    steps: List[object] = [{"target": {"for": "listener", "timeout": 331}}]
    gateways = [{"name": "live", "start_timeout": 240}, {"name": "paper", "start_timeout": None}]
    params = {"timeout": timeout, "steps": steps, "gateways": gateways, "upstream_wait": 30.0}
    assert module._waits(params) == seconds
