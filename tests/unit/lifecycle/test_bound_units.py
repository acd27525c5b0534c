"""Who lives in a unit that goes down with the gateway's, or by a start of it, is known before that is done."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.container import ContainerState
from ansible.module_utils.ib_gateway.base.unit import UnitMember
from ansible.module_utils.ib_gateway.lifecycle import bound_units, container, members, systemctl, unit_ties
from ansible.module_utils.ib_gateway.lifecycle.base import StartCheck
from ansible.module_utils.ib_gateway.lifecycle.bound_units import all_tied, bound_to, stopped_by_start
from ansible.module_utils.ib_gateway.observe import processes

GATEWAY = "gateway.service"


class Systemd:
    """Knows of each unit what is tied to it; a unit's control group has one process, by the order of the units."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **units: str) -> None:
        """units: by name without its suffix, what it shows: `BoundBy=a.service b.service; RequiredBy=c.service`."""
        self.shown: Dict[str, Dict[str, str]] = {
            name + ".service": {
                "ControlGroup": "/" + name,
                **dict(each.strip().split("=", 1) for each in text.split(";") if each),
            }
            for name, text in units.items()
        }
        self.asked: List[Sequence[str]] = []
        pids = {"/" + name: pid for pid, name in enumerate(units, 100)}
        monkeypatch.setattr(
            bound_units,
            "members_of",
            lambda group, **_launchers: (
                (UnitMember(pids[group], "trader", ("python3", "bot.py"), "other"),) if group else ()
            ),
        )

    def show(self, units: Sequence[str]) -> List[Dict[str, str]]:
        self.asked.append(units)
        if any(each not in self.shown for each in units):
            raise systemctl.UnitError("not answered", pending=True)
        return [self.shown[each] for each in units]

    def told(self) -> List[Tuple[str, bool]]:
        """(the unit, whether it outlives the mere end of the gateway's) of each who goes down with that."""
        found = bound_to(GATEWAY, self.shown[GATEWAY], self.show)
        assert not found.unread
        return [(each.unit.partition(".")[0], each.outlives_end) for each in found.members]


def test_a_unit_without_any_that_is_tied_to_it_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(monkeypatch, gateway="")
    assert systemd.told() == [] and systemd.asked == []


@pytest.mark.parametrize(
    ("tie", "outlives"),
    [
        ("BoundBy", False),
        ("PropagatesStopTo", False),
        ("RequiredBy", True),
        ("RequisiteOf", True),
        ("ConsistsOf", True),
    ],
)
def test_a_unit_goes_down_with_the_gateway_s_by_each_of_its_ties(
    monkeypatch: pytest.MonkeyPatch, tie: str, outlives: bool
) -> None:
    assert Systemd(monkeypatch, gateway=tie + "=bot.service", bot="").told() == [("bot", outlives)]
    assert tie in systemctl._PROPERTIES


def test_units_are_followed_from_one_to_the_next_and_a_circle_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(
        monkeypatch,
        gateway="BoundBy=desk.target.service",
        **{"desk.target": "RequiredBy=bot.service"},
        bot="ConsistsOf=gateway.service desk.target.service",
    )
    assert systemd.told() == [("desk", False), ("bot", False)] and len(systemd.asked) == 2


def test_of_two_ties_the_tighter_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Systemd(monkeypatch, gateway="BoundBy=bot.service; RequiredBy=bot.service", bot="")
    assert both.told() == [("bot", False)]
    later = Systemd(
        monkeypatch, gateway="RequiredBy=bot.service; BoundBy=feed.service", bot="", feed="ConsistsOf=bot.service"
    )
    assert sorted(later.told()) == [("bot", False), ("feed", False)]


def test_what_cannot_be_read_or_is_too_much_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Systemd(monkeypatch, gateway="BoundBy=gone.service")
    told = bound_to(GATEWAY, silent.shown[GATEWAY], silent.show).unread
    assert told == "gone.service goes down with gateway.service, and not answered"
    many = " ".join("bot%d.service" % each for each in range(100))
    crowd = Systemd(monkeypatch, gateway="BoundBy=" + many)
    assert "more than 64 units" in bound_to(GATEWAY, crowd.shown[GATEWAY], crowd.show).unread
    assert crowd.asked == []


# --- by a start ------------------------------------------------------------------------------------------------------


def stopped(systemd: Systemd) -> List[str]:
    found = stopped_by_start(GATEWAY, systemd.shown[GATEWAY], systemd.show)
    assert not found.unread and all(each.by_start for each in found.members)
    return [each.unit.partition(".")[0] for each in found.members]


@pytest.mark.parametrize("tie", ["Conflicts", "ConflictedBy"])
def test_a_unit_in_conflict_is_stopped_by_a_start_whichever_of_the_two_files_says_so(
    monkeypatch: pytest.MonkeyPatch, tie: str
) -> None:
    systemd = Systemd(monkeypatch, gateway=tie + "=shutdown.target paper.service", paper="BoundBy=bot.service", bot="")
    assert stopped(systemd) == ["paper", "bot"] and systemd.told() == []
    assert tie in systemctl._PROPERTIES


@pytest.mark.parametrize("tie", ["Requires", "BindsTo", "Wants", "Upholds"])
def test_what_a_start_pulls_in_stops_what_that_is_in_conflict_with(monkeypatch: pytest.MonkeyPatch, tie: str) -> None:
    chain = {"gateway": tie + "=feed.service", "feed": "Requires=display.service gateway.service", "paper": ""}
    systemd = Systemd(monkeypatch, **chain, display="Conflicts=paper.service")
    assert stopped(systemd) == ["paper"] and tie in systemctl._PROPERTIES
    # What is up pulls nothing in any more.
    chain["feed"] += "; ActiveState=active"
    assert stopped(Systemd(monkeypatch, **chain, display="Conflicts=paper.service")) == []


def test_what_nearly_every_unit_is_tied_to_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = "Conflicts=shutdown.target; Requires=system.slice sysinit.target; Wants=network-online.target"
    systemd = Systemd(monkeypatch, gateway=usual)
    assert not unit_ties.any_of(systemd.shown[GATEWAY])
    assert stopped(systemd) == [] and systemd.asked == []


def test_conflicts_that_cannot_be_read_or_are_too_many_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    many = " ".join("bot%d.service" % each for each in range(100))
    for ties, reason in {
        "Conflicts=gone.service": "gone.service is stopped by a start of gateway.service, and not answered",
        "Requires=gone.service": "gone.service is started with gateway.service, and not answered",
        "Conflicts=" + many: "more than 64 units: each is stopped by a start of gateway.service",
        "Wants=" + many: "more than 64 units are started with gateway.service",
    }.items():
        systemd = Systemd(monkeypatch, gateway=ties)
        assert stopped_by_start(GATEWAY, systemd.shown[GATEWAY], systemd.show).unread == reason
        assert all_tied(GATEWAY, systemd.shown[GATEWAY], systemd.show).unread == reason


def test_who_goes_down_in_both_ways_is_told_once_as_one_whom_a_start_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(
        monkeypatch, gateway="RequiredBy=bot.service; Conflicts=bot.service; BoundBy=feed.service", bot="", feed=""
    )
    found = all_tied(GATEWAY, systemd.shown[GATEWAY], systemd.show)
    assert [(each.unit, each.by_start, each.outlives_end) for each in found.members] == [
        ("feed.service", False, False),
        ("bot.service", True, False),
    ]


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ([["/bin/bash", "/opt/ibc/gatewaystart.sh"]], ["launcher"]),
        ([["/bin/bash", "/opt/ibc/gatewaystart.sh"], ["java", "install4j.ibgateway.GWClient"]], ["gateway"]),
        ([["/bin/sh", "/opt/desk/backup.sh"], ["rsync", "/srv"]], ["other"]),
    ],
)
def test_a_gateway_that_has_not_come_yet_counts_by_what_starts_it(
    monkeypatch: pytest.MonkeyPatch, commands: List[List[str]], told: List[str]
) -> None:
    monkeypatch.setattr(members, "pids_of", lambda _group: set(range(len(commands))))
    monkeypatch.setattr(processes, "read_argv", lambda pid: tuple(commands[pid]))
    monkeypatch.setattr(processes, "read_real_uid", lambda _pid: 0)
    assert [each.kind for each in members.members_of("/paper", launchers=True)] == told
    assert [each.kind for each in members.members_of("/paper")] == [each for each in told if each != "launcher"]


def test_a_shell_script_in_a_unit_that_goes_down_with_a_gateway_s_is_told_as_who_lives_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd = Systemd(monkeypatch, gateway="BoundBy=risk.service", risk="")
    monkeypatch.setattr(bound_units, "members_of", members.members_of)
    monkeypatch.setattr(members, "pids_of", lambda group: {7} if group == "/risk" else set())
    monkeypatch.setattr(processes, "read_argv", lambda _pid: ("/bin/sh", "/opt/risk.sh"))
    monkeypatch.setattr(processes, "read_real_uid", lambda _pid: 0)
    assert systemd.told() == [("risk", False)]
    assert members.members_of("/risk") == (), "in the gateway's own it is what starts it"


def test_of_a_container_s_unit_those_who_end_with_it_or_by_its_start_are_told_beside_who_lives_in_the_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd = Systemd(monkeypatch, gateway="Conflicts=paper.service; BoundBy=bot.service", paper="", bot="", lone="")
    monkeypatch.setattr(systemctl, "show", lambda units, **_account: systemd.show(units))
    inside = StartCheck(members=(UnitMember(7, "trader", ("java",), "gateway"),))
    for unit, told in ((GATEWAY, ["", "bot.service", "paper.service"]), ("lone.service", [""])):
        found = container._with_unit(inside, ContainerState("podman", "ib", unit=unit))
        assert found.blocker is None and [each.unit for each in found.members] == told
    silent = container._with_unit(inside, ContainerState("podman", "ib", unit="gone.service"))
    assert silent.blocker == "systemd cannot be asked about gone.service: not answered"


def test_which_units_a_start_stops_is_known_although_nobody_lives_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(
        monkeypatch,
        gateway="Conflicts=paper.service shutdown.target; Wants=desk.service",
        paper="ControlGroup=; BoundBy=bot.service",
        bot="ControlGroup=",
        desk="ConflictedBy=feed.service; ControlGroup=",
        feed="ControlGroup=",
    )
    found = bound_units.all_tied(GATEWAY, systemd.shown[GATEWAY], systemd.show)
    assert found.members == () and not found.unread
    assert found.stops == {"paper.service", "bot.service", "feed.service"}
