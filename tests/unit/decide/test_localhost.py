"""Where `localhost` leads: to the gateway, to nobody, or to another program that has the same port elsewhere."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Listener, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Diagnosis
from ansible.module_utils.ib_gateway.decide.planning import plan
from unit.facts import ALIEN, GATEWAY, UNIT, connection, gateway, judged, listener, process, snapshot, spec

EVERY = "0.0.0.0"  # noqa: S104 - compared with, not bound to
BOTH = ("::1", "127.0.0.1")
PAPER = gateway(ALIEN, folder="/srv/ibgateway/paper", mode="paper")


def on(address: str, pid: int = GATEWAY) -> Listener:
    return listener(4001, pid, address=address, families=("ipv6" if ":" in address else "ipv4",), inode=pid)


def seen(*facts: Any, localhost: Tuple[str, ...] = BOTH) -> Snapshot:
    return snapshot(gateway(), *facts)._replace(localhost=localhost)


def told(*facts: Any, localhost: Tuple[str, ...] = BOTH) -> Diagnosis:
    found = judged(seen(*facts, localhost=localhost), spec())
    assert {each.code for each in found.findings} <= {"localhost_family"}, found.findings
    assert plan(found).steps == () and plan(found).withheld == ()
    return found


@pytest.mark.parametrize(
    ("own", "other", "met", "use"),
    [
        ("127.0.0.1", "::1", "::1", "127.0.0.1"),
        ("::1", "127.0.0.1", "127.0.0.1", "::1"),
        (EVERY, "::", "::1", "127.0.0.1"),
        ("::", EVERY, "127.0.0.1", "::1"),
        ("127.0.0.1", "::", "::1", "127.0.0.1"),
    ],
)
def test_another_gateway_of_the_same_port_is_told_wherever_localhost_may_lead_to_it(
    own: str, other: str, met: str, use: str
) -> None:
    found = told(on(own), PAPER, on(other, ALIEN))
    assert (found.status, found.verdict) == ("degraded", "localhost_family")
    (finding,) = found.findings
    assert finding.evidence["listening"] == [own] and finding.evidence["localhost"] == list(BOTH)
    (row,) = finding.evidence["others"]
    assert (row["pid"], row["user"], row["address"], row["is_gateway"]) == (ALIEN, "trader", met, True)
    assert (row["product"], row["trading_mode"]) == ("gateway", "paper")
    assert "of trader, another gateway, of paper mode, on %s" % met in finding.summary
    assert "have scripts connect to %s, or end the other gateway if nobody wants it" % use in finding.summary


def test_any_other_program_is_told_as_one_and_is_asked_to_move() -> None:
    (finding,) = told(on("127.0.0.1"), process(ALIEN, "python3", "-m", "http.server"), on("::1", ALIEN)).findings
    assert finding.summary.endswith("have scripts connect to 127.0.0.1, or move the other program")
    (row,) = finding.evidence["others"]
    assert row["is_gateway"] is False and "trading_mode" not in row and row["address"] == "::1"


def test_it_takes_an_address_that_localhost_has() -> None:
    assert told(on("127.0.0.1"), PAPER, on("::1", ALIEN), localhost=("127.0.0.1",)).status == "healthy"
    assert told(on("127.0.0.1"), PAPER, on("10.0.0.7", ALIEN)).status == "healthy"
    assert told(on("127.0.0.1"), localhost=BOTH).status == "healthy"


def test_who_listens_on_exactly_an_address_is_met_there_and_not_who_listens_on_all() -> None:
    dual = listener(4001, GATEWAY)
    (row,) = told(dual, PAPER, on("127.0.0.1", ALIEN)).findings[0].evidence["others"]
    assert row["address"] == "127.0.0.1"
    every = listener(4001, ALIEN)
    assert told(on("127.0.0.1"), on("::1"), PAPER, every).status == "healthy"


def test_a_gateway_that_no_localhost_leads_to_is_named_by_its_own_address() -> None:
    (finding,) = told(on("10.0.0.7"), PAPER, on("::1", ALIEN), localhost=("::1",)).findings
    assert "have scripts connect to 10.0.0.7" in finding.summary and finding.evidence["others"]
    (refused,) = told(on("10.0.0.7"), PAPER, localhost=("::1",)).findings
    assert "is refused" in refused.summary and "others" not in refused.evidence


SOCAT = ("socat", "TCP6-LISTEN:4001,bind=[::1],fork", "TCP4:127.0.0.1:4001")
TUNNEL = ("ssh", "-N", "-L", "[::1]:4001:127.0.0.1:4001", "desk2")


@pytest.mark.parametrize(
    ("argv", "unit", "status"),
    [
        (SOCAT, None, "healthy"),
        (("socat", "TCP6-LISTEN:4001,bind=[::1],fork", "TCP4:10.0.0.9:4001"), None, "degraded"),
        (("/lib/systemd/systemd-socket-proxyd", "127.0.0.1:4001"), "gw6.service", "healthy"),
        (TUNNEL, None, "degraded"),
    ],
)
def test_a_relay_is_somebody_else_only_where_it_does_not_lead_to_the_gateway(
    argv: Tuple[str, ...], unit: Optional[str], status: str
) -> None:
    found = told(on("127.0.0.1"), process(ALIEN, *argv, unit=unit, user="root"), on("::1", ALIEN))
    assert found.status == status
    assert all("the relay " in each.summary and each.evidence["others"][0]["relay"] for each in found.findings)


def test_a_relay_of_one_s_own_is_known_by_the_sessions_that_it_hands_on() -> None:
    relay: Process = process(ALIEN, "python3", "both_families.py", pairs=True)
    assert judged(seen(on("127.0.0.1"), relay, on("::1", ALIEN), connection(ALIEN)), spec()).status == "healthy"
    assert told(on("127.0.0.1"), relay, on("::1", ALIEN)).status == "degraded"


def test_a_socket_of_systemd_is_worth_knowing_until_it_has_started_a_relay() -> None:
    first = process(1, "/sbin/init", user="root")
    found = told(on("127.0.0.1"), first, on("::1", 1))
    assert found.status == "healthy" and "starts what answers there only when" in found.findings[0].summary
    relay = process(ALIEN, "/lib/systemd/systemd-socket-proxyd", "127.0.0.1:4001", unit=UNIT, user="root")
    handed = on("::1", 1)._replace(pids=frozenset((1, ALIEN)))
    assert not told(on("127.0.0.1"), first, relay, handed).findings
