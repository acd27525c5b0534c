"""What a handshake means to who asks: health checks, readiness, liveness that does no harm, Nagios."""

from __future__ import annotations

from typing import Any, List, Optional

import pytest
from ansible.module_utils.ib_gateway.api import dialogue
from ansible.module_utils.ib_gateway.base.host import HELLO_BYTES, OPENING_BYTES
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.observe.addresses import SocketRow
from unit.live_probe import source

judge = source("judge")
QUIET = judge.Sockets(waiting=0, working=0)
OUTCOMES = (
    *(dialogue.READY, dialogue.REFUSED, dialogue.SILENT, dialogue.DROPPED, dialogue.STALLED, dialogue.INCOMPLETE),
    *(dialogue.UNANSWERED, dialogue.UNSUPPORTED, dialogue.ID_IN_USE),
)
STUCK = {dialogue.SILENT, dialogue.STALLED, dialogue.INCOMPLETE, dialogue.UNANSWERED}


def probe(outcome: str, code: Optional[int] = None, ok: Optional[bool] = None, **others: Any) -> Probe:
    """A handshake with this outcome; one that is not ok has an error."""
    ok = outcome == dialogue.READY if ok is None else ok
    error = None if ok else {"code": code, "message": "what was seen"}
    return Probe(outcome=outcome, stage="ready", ok=ok, error=error, **others)


def row(**changes: Any) -> SocketRow:
    """A session on port 4001 that works."""
    known = SocketRow(
        *("ipv4", "ESTABLISHED", "127.0.0.1", 4001, "127.0.0.1", 50000, 1, 0, 0, 0),
        sent=HELLO_BYTES + 1,
        received=OPENING_BYTES + 1,
    )
    return known._replace(**changes)


@pytest.mark.parametrize("purpose", ["healthcheck", "readiness"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_health_and_readiness_are_0_for_a_ready_session_and_1_for_all_else(purpose: str, outcome: str) -> None:
    assert judge.judged(purpose, probe(outcome)).exit_code == (0 if outcome == dialogue.READY else 1)


def test_a_session_without_the_broker_is_neither_healthy_nor_a_reason_to_restart() -> None:
    lost = probe(dialogue.READY, code=1100, ok=False)
    assert judge.judged("healthcheck", lost).exit_code == judge.judged("readiness", lost).exit_code == 1
    assert judge.judged("liveness", lost, QUIET).exit_code == 0
    assert judge.judged("nagios", lost).exit_code == 2


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_liveness_fails_only_where_the_port_accepts_and_no_session_comes_about(outcome: str) -> None:
    assert judge.judged("liveness", probe(outcome), QUIET).exit_code == int(outcome in STUCK)


@pytest.mark.parametrize("outcome", sorted(STUCK))
@pytest.mark.parametrize("code", dialogue.UPSTREAM_LOST)
def test_liveness_waits_where_the_broker_is_lost(outcome: str, code: int) -> None:
    assert judge.judged("liveness", probe(outcome, code=code), QUIET).exit_code == 0


@pytest.mark.parametrize("outcome", sorted(STUCK))
@pytest.mark.parametrize("sockets", [None, judge.Sockets(0, 1)])
def test_liveness_ends_no_session_that_may_work(outcome: str, sockets: Any) -> None:
    assert judge.judged("liveness", probe(outcome), sockets).exit_code == 0


def test_a_port_whose_accept_queue_is_not_emptied_is_stuck_and_a_closed_one_is_not() -> None:
    refused = probe(dialogue.REFUSED)
    assert judge.judged("liveness", refused, judge.Sockets(waiting=3, working=0)).exit_code == 1
    for alive in (judge.Sockets(None, 0), judge.Sockets(0, 0), judge.Sockets(3, 1), None):
        assert judge.judged("liveness", refused, alive).exit_code == 0


@pytest.mark.parametrize(
    ("connections", "working"),
    [
        ([row()], 1),
        ([row(local_port=4002)], 0),
        ([row(local_port=50000, remote_port=4001)], 0),  # the script's end of it
        ([row(state="CLOSE_WAIT")], 0),
        ([row(sent=HELLO_BYTES)], 0),
        ([row(received=OPENING_BYTES)], 0),
        ([row(sent=None, received=None)], 1),  # the system does not say
    ],
)
def test_a_session_works_where_both_ends_have_said_more_than_an_opening(
    connections: List[SocketRow], working: int
) -> None:
    listening = row(state="LISTEN", receive_queue=2)
    assert judge.sockets_of(4001, [listening, row(local_port=1)], connections) == judge.Sockets(2, working)
    assert judge.sockets_of(4001, [], connections).waiting is None


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (probe(dialogue.READY), "OK"),
        (probe(dialogue.READY, farms=({"serves": "market data", "name": "usfarm", "code": 2103},)), "WARNING"),
        (probe(dialogue.READY, ok=False), "WARNING"),
        (probe(dialogue.ID_IN_USE, code=326), "WARNING"),
        (probe(dialogue.UNSUPPORTED), "UNKNOWN"),
        *((probe(each), "CRITICAL") for each in (*sorted(STUCK), dialogue.REFUSED, dialogue.DROPPED)),
    ],
)
def test_nagios_gets_its_four_codes(found: Probe, status: str) -> None:
    verdict = judge.judged("nagios", found)
    assert (verdict.status, verdict.exit_code) == (status, ["OK", "WARNING", "CRITICAL", "UNKNOWN"].index(status))
    assert status in ("OK", "WARNING") or "what was seen" in verdict.text


def test_nothing_that_a_peer_says_looks_like_a_measured_value() -> None:
    said = Probe(outcome=dialogue.STALLED, stage="ready", ok=False, error={"code": 1, "message": "x | time=9s"})
    assert "|" not in judge.judged("nagios", said).text


@pytest.mark.parametrize(("purpose", "code"), [("healthcheck", 1), ("readiness", 1), ("liveness", 0), ("nagios", 3)])
def test_what_was_not_asked_is_not_healthy_and_restarts_nothing(purpose: str, code: int) -> None:
    assert judge.could_not_ask(purpose, "why").exit_code == code
