"""Whatever worked before a repair works after it, or the report says what was lost and the run fails."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_fleet.document import blockers, fleet_document
from ansible.module_utils.ib_fleet.store import documents
from ansible.module_utils.ib_gateway.module import result
from unit import fleets
from unit.facts import (
    GATEWAY,
    OTHER_SCRIPT,
    SCRIPT,
    SECOND,
    connection,
    gateway,
    health,
    listener,
    probe,
    script,
    snapshot,
    spec,
)

FILLED = {"sent": 5000, "received": 500}
ALONE = spec(max_api_clients=None)
SESSION = connection(SCRIPT, **FILLED)
REMOTE = connection(client="10.0.0.7", client_port=40_001, remote_host="10.0.0.7", **FILLED)


def look(*facts: Any) -> Dict[str, Any]:
    return health((ALONE, snapshot(gateway(), listener(), *facts), probe()))


BEFORE = look(script(), SESSION, script(OTHER_SCRIPT), connection(OTHER_SCRIPT, **FILLED), REMOTE)
KEPT = (script(OTHER_SCRIPT), connection(OTHER_SCRIPT, **FILLED))


def taken(action: str, target: Dict[str, Any], result: str = "done") -> Dict[str, Any]:
    return fleets.repaired({"action": action, "changed": True, "outcomes": [fleets.outcome(action, target, result)]})


STOPPED = taken("stop_client", {"pid": SCRIPT, "command": ["python3", "bot.py"]})


def told(host: Dict[str, Any]) -> List[Any]:
    return [(each["who"], each["planned"]) for each in host["lost"]]


def test_a_script_that_the_plan_named_is_told_as_lost_and_does_not_fail_the_run() -> None:
    host = fleets.host("a", BEFORE, look(*KEPT, REMOTE), **STOPPED)
    assert told(host) == [("pid 815 (python3 bot.py) of trader", True)]
    document = fleets.document(host)
    assert fleet_document.failing(document, "unknown") == [] and documents.problems(document) == []
    line = (
        "lost, as the plan had said: pid 815 (python3 bot.py) of trader had a working session on live, and has none now"
    )
    assert "  " + line in fleet_document.lines(document)


@pytest.mark.parametrize("action", ["restart", "soft_restart", "stop_gateway"])
def test_all_that_a_gateway_served_counts_as_named_by_the_step_that_ended_it(action: str) -> None:
    host = fleets.host("a", BEFORE, look(), **taken(action, {"process": {"pid": GATEWAY}, "pid": GATEWAY}))
    assert len(told(host)) == 3 and all(planned for _, planned in told(host))


def test_what_is_gone_and_was_not_named_fails_a_run_whose_gateway_is_healthy() -> None:
    host = fleets.host("a", BEFORE, look(*KEPT), **STOPPED)
    assert told(host)[1] == ("a client on 10.0.0.7", False)
    document = fleets.document(host)
    assert host["status"] == "healthy" and fleet_document.failing(document, "unknown") == ["a"]
    assert fleet_document.sentence(host) == (
        "a is healthy: LOST: a client on 10.0.0.7 had a working session on live, and has none now"
    )
    assert [each.kind for each in blockers.alerts(document)] == ["lost"]
    assert any(line.startswith("LOST: 1 working session is gone") for line in fleet_document.lines(document))
    assert fleet_document.with_next(document, "-i x")["next"] != []


def test_the_sessions_of_a_restarted_gateway_are_losses_that_the_plan_announced_unless_they_came_back() -> None:
    restarted = taken("restart", {"by": "identity", "process": {"pid": GATEWAY}})
    after = health(
        (
            ALONE,
            snapshot(gateway(SECOND), listener(4001, SECOND), script(), connection(SCRIPT, server=SECOND, **FILLED)),
            probe(),
        )
    )
    host = fleets.host("a", BEFORE, after, **restarted)
    assert told(host) == [("pid 816 (python3 bot.py) of trader", True), ("a client on 10.0.0.7", True)]
    elsewhere = fleets.repaired(
        {"action": "restart", "changed": True, "outcomes": [fleets.outcome("restart", {}, gateway="paper")]}
    )
    assert [each["planned"] for each in fleets.host("a", BEFORE, after, **elsewhere)["lost"]] == [False, False]


def test_a_script_that_was_started_anew_has_lost_what_the_one_before_had() -> None:
    successor = script(started_ticks=1)
    host = fleets.host("a", BEFORE, look(*KEPT, REMOTE, successor, SESSION), **STOPPED)
    assert len(host["lost"]) == 1


def test_of_two_connections_of_a_remote_host_one_may_be_lost() -> None:
    two = (REMOTE, REMOTE._replace(client_port=40_002))
    host = fleets.host("a", look(*two), look(REMOTE), **STOPPED)
    assert told(host) == [("a client on 10.0.0.7", False)]


def test_who_never_worked_has_nothing_to_lose_and_a_run_that_touched_nobody_has_lost_nobody() -> None:
    stuck = look(script(), connection(SCRIPT, sent=20))
    assert fleets.host("a", stuck, look(), **STOPPED)["lost"] == []
    assert fleets.host("a", BEFORE, look())["lost"] == []
    refused = taken("stop_client", {"pid": SCRIPT}, "refused")
    assert fleets.host("a", BEFORE, look(), **refused)["lost"] == []
    assert fleets.host("a", BEFORE, fleets.FAILED, **STOPPED)["lost"] == []


def test_a_cut_names_the_script_or_the_address_and_nobody_else() -> None:
    ends = {"client": "10.0.0.7", "client_port": 1, "port": 4001, "client_processes": []}
    host = fleets.host("a", BEFORE, look(*KEPT), **taken("drop_connection", ends))
    assert told(host) == [("pid 815 (python3 bot.py) of trader", False), ("a client on 10.0.0.7", True)]


def test_a_script_that_loses_its_sessions_on_two_gateways_is_told_for_each_and_planned_for_the_one_that_was_meant() -> (
    None
):
    paper = ALONE._replace(name="paper", port=4002, config_dir="/srv/paper", service=None)
    neighbour = (gateway(SECOND, folder="/srv/paper"), listener(4002, SECOND))
    there = connection(SCRIPT, server=SECOND, port=4002, **FILLED)

    def both(*facts: Any) -> Dict[str, Any]:
        found = snapshot(gateway(), listener(), *neighbour, script(), *facts)
        return health((ALONE, found, probe()), (paper, found, probe()))

    ended = fleets.host("a", both(SESSION, there), both(), **STOPPED)
    assert [(each["gateway"], each["planned"]) for each in ended["lost"]] == [("live", True), ("paper", False)]
    kept = fleets.host("a", both(SESSION, there), both(there), **STOPPED)
    assert [(each["gateway"], each["planned"]) for each in kept["lost"]] == [("live", True)]


def test_who_worked_on_a_gateway_of_no_entry_that_has_gone_is_told_though_no_step_was_for_that() -> None:
    """A start may stop it: a unit in conflict, a start script that ends what runs."""
    other = (gateway(SECOND, folder="/srv/ibgateway/other", mode="paper"), listener(4002, SECOND))
    held = (script(), connection(SCRIPT, server=SECOND, port=4002, **FILLED))
    seen = snapshot(gateway(), listener(), *other, *held)
    before, after = ({**look(script()), "undeclared": result.undeclared(each, seen)} for each in ([other[0]], []))
    assert [each["pid"] for each in before["undeclared"][0]["used_by"]] == [SCRIPT]
    started = taken("start", {"gateway": "live"})
    host = fleets.host("a", before, after, **started)
    assert told(host) == [("pid %d (python3 bot.py) of trader" % SCRIPT, False)]
    (line,) = [each for each in fleet_document.lines(fleets.document(host)) if "lost" in each]
    assert "on gateway pid %d, which fits no entry, and has none now" % SECOND in line
    assert fleet_document.failing(fleets.document(host), "unknown") != []
    assert told(fleets.host("a", before, before, **started)) == []
