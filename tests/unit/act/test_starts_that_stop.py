"""Who would end by a start of the unit is asked again right before it: somebody may have come since the plan."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_gateway.act import action_session, restart_gateway
from ansible.module_utils.ib_gateway.act.held_process import Refused, Target
from ansible.module_utils.ib_gateway.act.restart_gateway import Order, Way
from ansible.module_utils.ib_gateway.base.unit import UnitMember
from ansible.module_utils.ib_gateway.lifecycle import bound_units, systemctl, unit
from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle
from unit.facts import GATEWAY, SECOND, UNIT, entry, gateway, snapshot, spec
from unit.module_runs import run

RIVAL = "tws.service"
LOADED = "LoadState=loaded\nActiveState=inactive\nSubState=dead\nCanStart=yes"
TWS = UnitMember(4242, "trader", ("java", "jclient.LoginFrame"), "gateway")
ENTRY = {"name": "live", "trading_mode": "live", "config_dir": "/nonexistent", "service": UNIT}


class Systemd:
    """Two units that are in conflict; in the other one somebody may live. told: what it was told, but for shows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside: List[UnitMember] = [TWS]
        self.told: List[str] = []
        #: What its file has the gateway's unit run.
        self.runs = ""
        monkeypatch.setattr(systemctl, "_systemctl", self.call)
        monkeypatch.setattr(unit, "_may_manage", lambda: True)
        monkeypatch.setattr(bound_units, "members_of", lambda group, **_more: self.inside if group == "/tws" else ())

    def call(self, *arguments: str, **_given: Any) -> str:
        verb = next(each for each in arguments if not each.startswith("-"))
        if verb != "show":
            self.told.append(verb)
            return ""
        shown = {
            UNIT: LOADED + self.runs + "\nConflicts=shutdown.target " + RIVAL,
            RIVAL: LOADED + "\nControlGroup=/tws",
        }
        return "\n\n".join(shown[each] for each in arguments[arguments.index("--") + 1 :]) + "\n"


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    return Systemd(monkeypatch)


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_gateway_is_not_started_where_that_would_stop_another_one(systemd: Systemd, check_mode: bool) -> None:
    found = run("ib_gateway_start", {"gateways": [ENTRY], "only": ["live"]}, check_mode)
    assert found["failed"] and not found["changed"] and systemd.told == []
    (row,) = found["not_started"]
    assert f"{RIVAL} is stopped by a start of its unit {UNIT} and carries pid 4242" in row["reason"]
    assert row["by_hand"] is None


def test_what_only_another_entry_protects_is_not_stopped_by_a_start(systemd: Systemd) -> None:
    systemd.inside = [TWS._replace(command=("python3", "router.py"), kind="other")]
    other: Dict[str, Any] = {**ENTRY, "name": "paper", "trading_mode": "paper", "protected_clients": ["router"]}
    other.update(config_dir="/nonexistent/paper", service="paper")
    options = {"gateways": [ENTRY, other], "only": ["live"]}
    assert "protected other of trader" in run("ib_gateway_start", options)["not_started"][0]["reason"]
    assert systemd.told == []


@pytest.mark.parametrize("inside", [[], [TWS._replace(command=("Xvfb", ":1"), kind="other")]])
def test_a_gateway_is_started_where_nobody_is_stopped_who_counts(systemd: Systemd, inside: List[UnitMember]) -> None:
    systemd.inside = inside
    run("ib_gateway_start", {"gateways": [ENTRY], "only": ["live"]})
    assert systemd.told == ["start"]


@pytest.mark.parametrize("by_unit", [False, True])
def test_a_gateway_is_not_restarted_where_its_next_start_would_stop_another_one(
    systemd: Systemd, by_unit: bool
) -> None:
    found = entry(spec(), snapshot(gateway(unit=UNIT if by_unit else None)))
    order = Order(by_unit, Target(GATEWAY, 1, "boot", "gateway"))
    with pytest.raises(Refused, match=r"tws\.service is stopped by a start of its unit ibgateway\.service"):
        restart_gateway._prove_start(lifecycle(spec()), order, found, Way(1.0, 1.0))
    systemd.inside = []
    restart_gateway._prove_start(lifecycle(spec()), order, found, Way(1.0, 1.0))


def test_what_only_another_entry_protects_is_not_ended_by_a_restart(systemd: Systemd) -> None:
    systemd.inside = [TWS._replace(command=("python3", "router.py"), kind="other")]
    found = entry(spec(), snapshot(gateway(unit=UNIT)))
    order = Order(True, Target(GATEWAY, 1, "boot", "gateway"))
    restart_gateway._prove_start(lifecycle(spec()), order, found, Way(1.0, 1.0))
    with pytest.raises(Refused, match="protected other of trader"):
        restart_gateway._prove_start(lifecycle(spec()), order, found, Way(1.0, 1.0, guarded=["router"]))


def test_whom_a_command_of_the_start_ends_is_asked_again_since_the_start_before_may_have_brought_it(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd.inside = []
    systemd.runs = "\nExecStartPre={ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f IbcGateway ; ignore_errors=yes ; }"
    come = {SECOND: gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")}
    found = entry(spec(), snapshot(gateway(unit=UNIT)))
    order = Order(True, Target(GATEWAY, 1, "boot", "gateway"))
    restart_gateway._prove_start(lifecycle(spec()), order, found, Way(1.0, 1.0))
    with pytest.raises(Refused, match=r"what starts it runs `/usr/bin/pkill -f .*, which ends gateway pid"):
        restart_gateway._prove_start(lifecycle(spec()), order, found, Way(1.0, 1.0, seen=lambda: come))
    monkeypatch.setattr(action_session.ActionSession, "processes", lambda _session: come)
    (row,) = run("ib_gateway_start", {"gateways": [ENTRY], "only": ["live"]})["not_started"]
    assert "which ends gateway pid" in row["reason"] and systemd.told == []
