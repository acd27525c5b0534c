"""A start that did not come up: what is down, what ran before, why, where its log is, how a person starts it."""

from __future__ import annotations

import copy
from typing import Any, Dict

from ansible.module_utils.ib_fleet.document import fleet_document, setbacks
from unit import fleets
from unit.facts import SCRIPT, SECOND, connection, gateway, health, listener, probe, script, snapshot, spec

WORKS = connection(SCRIPT, sent=5000, received=500)
STALLED = health((spec(), snapshot(gateway(), listener(), script(), WORKS), probe("stalled")))
NOTHING = health((spec(), snapshot(), None))
ROW = {"name": "live", "log": "journalctl -u ibgateway.service", "by_hand": "systemctl start ibgateway.service"}


def restarted(result: str, reason: str, row: str, **more: Any) -> Dict[str, Any]:
    """What a restart leaves among a host's facts."""
    outcome = fleets.outcome("restart", {"by": "unit", "process": {"pid": 4711}}, result, reason=reason)
    taken = {"action": "restart", "changed": True, "outcomes": [outcome], row: [dict(ROW, reason=reason)]}
    return fleets.repaired(taken, **more)


def test_a_start_that_failed_is_told_with_all_that_a_person_needs() -> None:
    why = "it was stopped, but it was not started again: status 1"
    host = fleets.host("a", STALLED, NOTHING, **restarted("failed", why, "not_restarted"))
    assert setbacks.lines(host) == [
        "live is down now: no gateway process runs",
        "  before: pid 4711 ran, with 1 working session",
        "  why: " + why,
        "  log: journalctl -u ibgateway.service",
        "  by hand, on the host: systemctl start ibgateway.service",
    ]
    told = fleet_document.lines(fleets.document(host))
    assert "  live is down now: no gateway process runs" in told
    assert not any("live is unhealthy" in line for line in told), "the same verdict twice"


def test_a_gateway_that_was_started_and_never_opened_its_port_is_told_as_well() -> None:
    up = health((spec(), snapshot(gateway(SECOND, age=200.0)), None))
    told = setbacks.lines(fleets.host("a", STALLED, up, **restarted("done", "restarted by its unit", "restarted")))
    assert told[0] == "live is down now: pid 4712 runs and does not serve port 4001"
    assert told[2] == "  why: it was started and has not opened its port"
    assert "by hand: nothing yet" in told[-1], "nobody is asked to start a second one beside it"


def test_what_serves_or_was_not_touched_is_no_setback() -> None:
    well = fleets.looks()["good"]
    assert setbacks.lines(fleets.host("a", STALLED, well, **restarted("done", "restarted", "restarted"))) == []
    assert setbacks.lines(fleets.host("a", STALLED, NOTHING)) == []
    assert setbacks.lines(fleets.host("a", STALLED, NOTHING, **restarted("refused", "x", "refused"))) == []


def test_a_listener_that_does_not_say_whose_it_is_proves_no_service() -> None:
    mute = copy.deepcopy(fleets.looks()["good"])
    for each in mute["gateways"][0]["listeners"]:
        del each["is_gateway"]
    assert setbacks.lines(fleets.host("a", STALLED, mute, **restarted("done", "restarted", "restarted"))) != []
