"""What a handshake shows: for each finding what makes it, and what nearly does; when to shake hands at all."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.findings import Finding
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose, may_probe
from ansible.module_utils.ib_gateway.module import api_result
from unit.facts import (
    GATEWAY,
    OTHER_SCRIPT,
    SCRIPT,
    SECOND,
    connection,
    entry,
    gateway,
    judged,
    listener,
    planned,
    probe,
    script,
    snapshot,
    spec,
)

FINE = snapshot(gateway(), listener())


def only(shaken: Probe, look: Snapshot = FINE) -> Finding:
    findings = judged(look, shaken=shaken).findings
    assert len(findings) == 1, [each.code for each in findings]
    return findings[0]


def test_a_good_handshake_proves_a_healthy_gateway() -> None:
    diagnosis = judged(FINE, shaken=probe())
    assert (diagnosis.status, diagnosis.findings) == ("healthy", ())


# --- how far it came -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["refused", "silent", "dropped", "stalled"])
def test_each_way_to_fail_is_a_finding_of_its_own(outcome: str) -> None:
    found = only(probe(outcome, server_version=176, timings_ms={"tcp": 0.2}))
    assert (found.code, found.severity) == ("handshake_" + outcome, "unhealthy")
    for key in ("stage", "server_version", "client_id", "error", "engine", "timings_ms"):
        assert key in found.evidence


def test_a_stalled_handshake_is_told_in_the_words_a_script_shows() -> None:
    found = only(probe("stalled", server_version=176))
    assert "176" in found.summary and "API connection failed: TimeoutError()" in found.summary


def test_a_refused_handshake_says_why() -> None:
    found = only(probe("refused", stage="tcp", error={"code": None, "message": "Connection refused"}))
    assert "4001" in found.summary and "Connection refused" in found.summary


@pytest.mark.parametrize(("outcome", "code"), [("incomplete", "session_incomplete"), ("unanswered", "session_silent")])
def test_a_session_that_opens_and_is_of_no_use_is_unhealthy(outcome: str, code: str) -> None:
    found = only(probe(outcome, sync={"positions": None}))
    assert (found.code, found.severity) == (code, "unhealthy")
    assert "TimeoutError" in found.summary and "it went wrong" in found.summary
    assert found.evidence["sync"] == {"positions": None}


def test_a_failed_handshake_names_who_is_connected() -> None:
    look = snapshot(gateway(), listener(), script(), connection(SCRIPT))
    assert only(probe("stalled"), look).evidence["clients"][0]["pid"] == SCRIPT


def test_a_handshake_that_was_not_made_says_nothing() -> None:
    assert judged(FINE).findings == ()


# --- cannot_judge ----------------------------------------------------------------------------------------------------


def test_a_server_of_another_version_cannot_be_judged_and_nothing_is_done() -> None:
    error = {"code": None, "message": "speaks server version 300, this project 100 to 226"}
    shaken = probe("unsupported", server_version=300, error=error)
    diagnosis = judged(FINE, shaken=shaken)
    assert (diagnosis.status, diagnosis.verdict) == ("unknown", "cannot_judge")
    assert "server version 300" in diagnosis.findings[0].summary
    assert planned(FINE, shaken=shaken).steps == ()
    stale = judged(snapshot(gateway(), listener(), connection(state="CLOSE_WAIT")), shaken=shaken)
    assert stale.status == "unknown"


# --- session_slow ----------------------------------------------------------------------------------------------------


def test_a_session_that_lacks_what_scripts_need_is_degraded_and_no_step_is_taken() -> None:
    shaken = probe(sync={"positions": 3.0, "executions": None}, ok=False)
    found = only(shaken)
    assert (found.code, found.severity) == ("session_slow", "degraded")
    assert "executions" in found.summary and "TimeoutError" in found.summary
    assert planned(FINE, shaken=shaken) == Plan()


@pytest.mark.parametrize(("took", "codes"), [(8000.0, ("session_slow",)), (3900.0, ())])
def test_a_session_that_is_ready_later_than_scripts_wait_is_degraded_and_no_step_is_taken(
    took: float, codes: Tuple[str, ...]
) -> None:
    """A host short of processor time makes it late; a new gateway would be as late, at the cost of a login."""
    shaken = probe(timings_ms={"tcp": 1.0, "server_version": took, "start_api": 1.0, "ready": 1.0, "sync": 9000.0})
    diagnosis = judged(FINE, shaken=shaken)
    assert tuple(each.code for each in diagnosis.findings) == codes
    assert diagnosis.status == ("degraded" if codes else "healthy")
    assert planned(FINE, shaken=shaken) == Plan()


def test_a_session_that_lacks_what_scripts_go_on_without_is_healthy_and_says_so() -> None:
    diagnosis = judged(FINE, shaken=probe(sync={"completed_orders": None, "executions": 3.0}))
    assert (diagnosis.status, diagnosis.findings[0].code) == ("healthy", "session_slow")
    assert "completed orders" in diagnosis.findings[0].summary


@pytest.mark.parametrize("sync", [{}, {"positions": 3.0, "executions": 0.0}])
def test_a_session_that_answers_in_full_or_was_not_asked_is_healthy(sync: Dict[str, float]) -> None:
    assert judged(FINE, shaken=probe(sync=sync)).findings == ()


# --- farm_broken -----------------------------------------------------------------------------------------------------


def farm(name: str) -> Dict[str, Any]:
    return {"serves": "market data", "name": name, "code": 2103}


def test_a_broken_farm_is_named_and_no_step_is_taken() -> None:
    shaken = probe(farms=(farm("usfarm"), farm("")))
    found = only(shaken)
    assert (found.code, found.severity) == ("farm_broken", "degraded")
    assert "market data farm usfarm, market data farm without a name" in found.summary
    assert found.evidence["farms"][0] == farm("usfarm")
    assert planned(FINE, shaken=shaken) == Plan()


def test_of_many_broken_farms_a_few_are_named_and_the_others_counted() -> None:
    found = only(probe(farms=tuple(farm("farm%d" % number) for number in range(12))))
    assert "farm4 and 7 more" in found.summary and len(found.evidence["farms"]) == 12


def test_a_broken_farm_is_expected_while_the_broker_resets_its_servers() -> None:
    look = entry(spec(), FINE)
    diagnosis = diagnose(look, FINE, probe(farms=(farm("usfarm"),)), "North America until 01:45")
    assert (diagnosis.status, diagnosis.findings[0].severity) == ("healthy", "info")


def test_farms_of_a_gateway_that_does_not_serve_say_nothing_more() -> None:
    assert only(probe("stalled", farms=(farm("usfarm"),))).code == "handshake_stalled"


# --- disclaimer_pending ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["dropped", "stalled", "incomplete"])
def test_a_session_that_ends_with_the_disclaimer_waits_for_a_person(outcome: str) -> None:
    shaken = probe(outcome, notices=(10141,))
    found = only(shaken)
    assert (found.code, found.severity) == ("disclaimer_pending", "degraded")
    assert planned(FINE, shaken=shaken).steps == ()


def test_a_session_that_is_ready_waits_for_no_disclaimer() -> None:
    assert judged(FINE, shaken=probe(notices=(10141,))).findings == ()


# --- client_id_in_use ------------------------------------------------------------------------------------------------

IN_USE = probe("id_in_use", client_id=7, error={"code": 326, "message": "client id is already in use"})


def test_a_client_id_in_use_names_the_id_and_who_may_hold_it() -> None:
    look = snapshot(gateway(), listener(), script(), script(OTHER_SCRIPT), connection(SCRIPT))
    found = only(IN_USE, look)
    assert (found.code, found.severity) == ("client_id_in_use", "degraded")
    assert "client id 7" in found.summary
    assert [each["pid"] for each in found.evidence["clients"]] == [SCRIPT]


def test_another_error_is_no_client_id_in_use() -> None:
    dropped = probe("dropped", error={"code": 507, "message": "bad message length"})
    assert only(dropped).code == "handshake_dropped"


# --- wrong_trading_mode ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "found"), [("live", "paper"), ("paper", "live")])
def test_accounts_of_the_other_mode_are_a_fault(wanted: str, found: str) -> None:
    shaken = probe(trading_mode=found, accounts=("DU*****67",))
    diagnosis = judged(FINE, spec(trading_mode=wanted), shaken)
    assert (diagnosis.status, diagnosis.verdict) == ("unhealthy", "wrong_trading_mode")
    assert diagnosis.findings[0].evidence == {"expected": wanted, "found": found, "accounts": ["DU*****67"]}
    assert "do not trade" in diagnosis.findings[0].summary


@pytest.mark.parametrize("found", ["live", None])
def test_accounts_of_the_right_mode_or_of_none_are_no_fault(found: Optional[str]) -> None:
    assert judged(FINE, spec(trading_mode="live"), probe(trading_mode=found)).status == "healthy"


# --- upstream_down ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notices", [(1100,), (2110,), (2104, 1100), (1102, 1100), (1101, 2110, 399)])
def test_a_link_that_was_lost_last_is_down(notices: Tuple[int, ...]) -> None:
    found = only(probe(notices=notices))
    assert (found.code, found.severity) == ("upstream_down", "unhealthy")
    assert "has lost the broker's servers" in found.summary and found.evidence["notices"] == list(notices)


@pytest.mark.parametrize("notices", [(), (1102,), (1100, 1102), (2110, 1101), (2103,), (2104, 2106), (10197,)])
def test_a_link_that_came_back_is_up(notices: Tuple[int, ...]) -> None:
    assert judged(FINE, shaken=probe(notices=notices)).status == "healthy"


def test_a_lost_link_weighs_more_than_the_stall_it_causes() -> None:
    assert judged(FINE, shaken=probe("stalled", notices=(1100,))).verdict == "upstream_down"


# --- stale connections beside a handshake ----------------------------------------------------------------------------

STALE = snapshot(gateway(), listener(), connection(state="CLOSE_WAIT"))


def test_stale_connections_that_do_not_block_the_slot_are_only_worth_knowing() -> None:
    diagnosis = judged(STALE, shaken=probe())
    assert (diagnosis.status, diagnosis.codes) == ("healthy", frozenset())
    assert diagnosis.findings[0].evidence["slot_blocked"] is False


def test_stale_connections_beside_a_failed_handshake_block_the_slot() -> None:
    diagnosis = judged(STALE, shaken=probe("stalled"))
    assert [each.severity for each in diagnosis.findings] == ["unhealthy", "unhealthy"]
    assert diagnosis.findings[1].evidence["slot_blocked"] is True


# --- what weighs most ------------------------------------------------------------------------------------------------

YOUNG: Dict[str, Any] = {"age": 30.0}


@pytest.mark.parametrize(
    ("look", "shaken", "status", "verdict"),
    [
        (snapshot(gateway(**YOUNG), gateway(SECOND, **YOUNG)), None, "unhealthy", "duplicate_gateways"),
        (STALE, IN_USE, "unhealthy", "stale_connections"),
        (snapshot(gateway(), listener(), script()), IN_USE, "degraded", "competing_clients"),
        (FINE, probe("stalled", trading_mode="paper"), "unhealthy", "wrong_trading_mode"),
        (snapshot(gateway(), gateway(SECOND), listener()), probe("silent"), "unhealthy", "duplicate_gateways"),
    ],
)
def test_the_first_of_the_worst_findings_is_the_verdict(
    look: Snapshot, shaken: Optional[Probe], status: str, verdict: str
) -> None:
    diagnosis = judged(look, spec(client_patterns=("bot",)), shaken)
    assert len(diagnosis.findings) == 2
    assert (diagnosis.status, diagnosis.verdict) == (status, verdict)


# --- when to shake hands ---------------------------------------------------------------------------------------------

OPEN = (script(), connection(SCRIPT))
TWO = (script(OTHER_SCRIPT), connection(OTHER_SCRIPT))
HALF = connection(SCRIPT, state="CLOSE_WAIT")


@pytest.mark.parametrize(
    ("look", "more", "auto", "always"),
    [
        (FINE, {}, True, True),
        (snapshot(gateway(), listener(), *OPEN), {}, False, True),
        (snapshot(gateway(), listener(), *OPEN), {"max_api_clients": 2}, True, True),
        (snapshot(gateway(), listener(), *OPEN), {"max_api_clients": None}, False, True),
        (snapshot(gateway(), listener(), *OPEN, *TWO), {"max_api_clients": None}, True, True),
        (FINE, {"max_api_clients": None}, True, True),
        (snapshot(gateway(), listener(), HALF), {}, True, True),
        (snapshot(gateway(), listener(), queues={4001: (1, 1, 1)}), {}, False, True),
        (snapshot(gateway(), gateway(SECOND), listener()), {}, True, True),
        (snapshot(gateway(), listener(4002)), {}, False, False),
        (snapshot(gateway()), {}, False, False),
        (snapshot(), {}, False, False),
        (snapshot(script(), listener(4001, SCRIPT)), {}, False, False),
        (snapshot(gateway(user="bob"), listener()), {}, False, False),
    ],
)
def test_hands_are_shaken_only_where_the_slot_is_free_and_the_port_the_entry_s(
    look: Snapshot, more: Dict[str, Any], auto: bool, always: bool
) -> None:
    diagnosis = judged(look, spec(**more))
    assert (may_probe(diagnosis, "auto"), may_probe(diagnosis, "always")) == (auto, always)
    assert not may_probe(diagnosis, "never")


@pytest.mark.parametrize("limit", [1, None])
def test_a_session_on_a_gateway_that_is_left_beside_the_one_that_serves_proves_nothing_of_that(
    limit: Optional[int],
) -> None:
    """It no longer listens, and its script keeps it from being ended; the slot of the other one is free."""
    look = snapshot(gateway(), gateway(SECOND), listener(4001, SECOND), script(), connection(SCRIPT, server=GATEWAY))
    found = judged(look, spec(max_api_clients=limit))
    assert may_probe(found, "auto") and api_result.proof(found) == "listening; no handshake made"


def test_what_cannot_be_seen_is_not_probed() -> None:
    look = snapshot(gateway(other_netns=True), listener())
    assert not may_probe(judged(look), "auto")


def test_one_connection_that_two_processes_hold_takes_one_slot() -> None:
    look = snapshot(gateway(), listener(), script(), script(OTHER_SCRIPT), connection(SCRIPT, OTHER_SCRIPT))
    assert may_probe(judged(look, spec(max_api_clients=2)), "auto")


def test_the_owner_is_probed_whatever_the_other_gateway_does() -> None:
    look = snapshot(gateway(), gateway(SECOND), listener(4001, SECOND), listener(4002, GATEWAY))
    assert may_probe(judged(look), "auto")
