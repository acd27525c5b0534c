"""Inside the broker's reset window a gateway that fails is waited for; a healthy one is left in peace."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.plan import Diagnosis
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.decide import planning
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from unit.facts import SECOND, connection, entry, gateway, listener, probe, script, snapshot, spec

WINDOW = "reset of North America until 2026-01-14T06:45:00Z"
FINE = snapshot(gateway(), listener())
OLD_AND_SILENT = snapshot(gateway(age=900.0, served_before=True))
YOUNG_AND_SILENT = snapshot(gateway(age=1.0))


def inside(look: Snapshot, shaken: Optional[Probe] = None) -> Diagnosis:
    return diagnose(entry(spec(), look), look, shaken, WINDOW)


@pytest.mark.parametrize("outcome", ["stalled", "dropped", "silent", "refused"])
def test_a_handshake_that_fails_inside_the_window_is_waited_for(outcome: str) -> None:
    found = inside(FINE, probe(outcome))
    assert found.verdict == "upstream_down"
    assert found.findings[0].evidence["reset_window"] == WINDOW
    assert [step.action for step in planning.plan(found).steps] == ["wait"]


def test_a_gateway_that_closed_its_port_inside_the_window_is_waited_for() -> None:
    found = inside(OLD_AND_SILENT)
    assert found.verdict == "upstream_down"
    assert [step.action for step in planning.plan(found).steps] == ["wait"]


@pytest.mark.parametrize(("look", "shaken"), [(FINE, probe()), (FINE, None)])
def test_a_gateway_that_serves_inside_the_window_is_healthy(look: Snapshot, shaken: Optional[Probe]) -> None:
    assert inside(look, shaken).status == "healthy"


def test_a_gateway_that_is_starting_inside_the_window_is_only_starting() -> None:
    assert inside(YOUNG_AND_SILENT).verdict == "gateway_starting"


@pytest.mark.parametrize(
    "look",
    [
        snapshot(gateway(age=900.0), gateway(SECOND, age=900.0)),
        snapshot(gateway(age=900.0), script(), connection()),
    ],
)
def test_what_has_its_cause_on_the_host_is_repaired_inside_the_window_as_well(look: Snapshot) -> None:
    found = inside(look)
    assert "upstream_down" not in found.codes and "not_listening" in found.codes
    assert planning.plan(found).steps[-1].action in ("start", "restart")


def test_outside_the_window_the_same_gateway_is_restarted() -> None:
    found = diagnose(entry(spec(), OLD_AND_SILENT), OLD_AND_SILENT)
    assert found.verdict == "not_listening"
    assert [step.action for step in planning.plan(found).steps] == ["wait", "restart"]
