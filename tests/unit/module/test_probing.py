"""Handshakes with several gateways of a host: those that hang are waited for together."""

from __future__ import annotations

import threading
from typing import Collection

from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.module import probing
from unit.facts import entry, snapshot, spec


def test_several_are_asked_at_the_same_time_where_the_prober_can_and_each_answer_is_its_own() -> None:
    entries = [entry(spec(name=str(port), port=port), snapshot()) for port in (4001, 4002, 4003)]
    all_at_work = threading.Barrier(len(entries), timeout=10)

    def asked(_host: str, port: int, timeout: float, _depth: str, _avoid: Collection[int]) -> Probe:
        all_at_work.wait()
        assert timeout == 3.0, "they are waited for together, so that each has the patience of all"
        return Probe("ready", "current_time", True, server_version=port)

    found = probing.probe_entries(entries, snapshot(), asked, "quick", 2.0, 1.0, at_once=True)
    assert [(one.spec.port, probe and probe.server_version) for one, probe in found] == [
        (4001, 4001),
        (4002, 4002),
        (4003, 4003),
    ]
