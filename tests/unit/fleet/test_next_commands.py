"""What to run next: always something after a run that did not end healthy, and what works as it stands."""

from __future__ import annotations

import json
import shlex
from typing import Any, Dict, List, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import fleet_document
from ansible.module_utils.ib_fleet.run import command_line, fleet_guard
from unit import fleets
from unit.facts import health, snapshot, spec

DOWN = fleets.looks()["gateway_not_running: start after a second look"]
GOOD = fleets.looks()["good"]
STORM = "2 of 6 hosts are broken: the cause is likely common, so nobody is touched"


def begun(reason: str = "", refused: str = "", ok: bool = True) -> Dict[str, Any]:
    """What a repair that began, or did not, leaves among a host's facts."""
    rows = [{"gateway": "live", "reason": refused}] if refused else []
    return {"ib_gateway_repair_begin": {"begun": ok and not reason, "reason": reason, "refused": rows}}


def ended(healthy: bool) -> Dict[str, Any]:
    names = {"succeeded": ["live"] if healthy else [], "unsuccessful": [] if healthy else ["live"], "lifted": []}
    return {**begun(), "ib_gateway_repair_end": {"reason": "", **names}}


def commands(*hosts: Any, options: str = "-i hosts.yml", **more: Any) -> List[str]:
    """The commands after a repair, unless more says otherwise."""
    found = fleets.document(*hosts, **{"kind": "remediate", **more})
    return [each["command"] for each in fleet_document.with_next(found, options)["next"]]


def played(playbook: str, more: str = "", host: str = "a") -> str:
    return " ".join(filter(None, ("ansible-playbook %s --limit %s -i hosts.yml" % (playbook, host), more)))


def test_a_healthy_fleet_needs_no_command() -> None:
    assert commands(fleets.host("a", GOOD, GOOD)) == []
    assert commands(fleets.host("a", DOWN, GOOD, **ended(healthy=True))) == []


LATCHED = [{"gateway": "live", "since": None, "reason": "x"}]
SEEN_TO = """-e '{"ib_repair_reason": "the cause was seen to"}'"""
LIMITS = "-e ib_gateway_repair_backoff=0 -e ib_gateway_repair_per_hour=100 -e ib_gateway_repair_restarts_per_hour=100"
STATES: Dict[str, Tuple[Any, List[str]]] = {
    "swept": (fleets.host("a", DOWN), [played("remediate.yml")]),
    "failed": (
        fleets.host("a", DOWN, DOWN, **ended(healthy=False)),
        [played("playbooks/release.yml", SEEN_TO), played("remediate.yml")],
    ),
    "latched": (
        fleets.host("a", fleets.held_up(DOWN, latched=LATCHED), DOWN, **begun(refused="latched since yesterday")),
        [played("playbooks/release.yml", SEEN_TO), played("remediate.yml")],
    ),
    "paused": (
        fleets.host("a", fleets.held_up(DOWN, paused="until noon"), DOWN, **begun("paused until noon: x")),
        [played("playbooks/resume.yml")],
    ),
    "paused controller": (
        fleets.host("a", DOWN, DOWN, **begun("this controller is paused until noon: x")),
        [played("playbooks/resume.yml", "-e ib_repair_pause_controller=true")],
    ),
    "blackout": (
        fleets.host("a", DOWN, DOWN, **begun("blackout lunch until noon: plan only")),
        [played("remediate.yml", """-e '{"ib_gateway_repair_blackouts": []}'""")],
    ),
    "backoff": (
        fleets.host("a", DOWN, DOWN, **begun(refused="backoff: 1 of its repairs; possible again at noon")),
        [played("remediate.yml", LIMITS)],
    ),
    "limit": (
        fleets.host("a", DOWN, DOWN, **begun(refused="limit: 3 repairs; possible again at noon")),
        [played("remediate.yml", LIMITS)],
    ),
    "another run": (
        fleets.host("a", DOWN, DOWN, **begun("the host is being repaired by alice")),
        [played("remediate.yml")],
    ),
    "plan_only": (
        fleets.host("a", health((spec(remediation="plan_only"), snapshot(), None))),
        [played("playbooks/health_sweep.yml")],
    ),
    "journal": (
        fleets.host("a", fleets.held_up(DOWN, journal="unusable"), DOWN, **begun("observe only: x")),
        [played("playbooks/release.yml", SEEN_TO + " -e ib_repair_reset_journal=true")],
    ),
    "unreachable": (fleets.host("a", fleets.UNREACHABLE), ["ansible a -m ansible.builtin.ping -i hosts.yml"]),
    "this machine by ssh": (
        fleets.host("a", {**fleets.UNREACHABLE, "msg": "ssh: connect to host 127.0.0.1 port 22: Connection refused"}),
        [played("playbooks/health_sweep.yml", "-e ansible_connection=local")],
    ),
    "a tunnel's end on this machine": (
        fleets.host("a", {**fleets.UNREACHABLE, "msg": "ssh: connect to host localhost port 2222: Connection refused"}),
        ["ansible a -m ansible.builtin.ping -i hosts.yml"],
    ),
    "look failed": (fleets.host("a", fleets.FAILED), [played("playbooks/health_sweep.yml")]),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_that_is_not_healthy_has_the_command_that_helps_next(state: str) -> None:
    host, expected = STATES[state]
    assert commands(host) == expected


def test_a_sweep_offers_to_see_what_a_repair_would_do() -> None:
    assert commands(fleets.host("a", DOWN), kind="sweep") == [played("remediate.yml", "--check --diff")]
    assert commands(fleets.host("a", DOWN), check_mode=True) == [played("remediate.yml")]


@pytest.mark.parametrize("name", sorted(fleets.looks()))
@pytest.mark.parametrize("kind", ["sweep", "remediate"])
def test_whatever_is_found_there_is_a_command_unless_all_is_well(name: str, kind: str) -> None:
    look = fleets.looks()[name]
    assert bool(commands(fleets.host("a", look), kind=kind)) is (look["status"] != "healthy")


def test_after_a_frozen_run_the_commands_are_not_frozen_again() -> None:
    hosts = [fleets.host(name, DOWN, DOWN, **begun(STORM)) for name in "ab"]
    first, all_of_them = commands(*hosts, frozen=STORM)
    assert first == played("remediate.yml")
    broken, limits = ("unhealthy", "gateway_not_running"), fleet_guard.Thresholds()
    assert fleet_guard.freezes([broken, broken, None, None, None], limits), "the two together would be frozen again"
    assert fleet_guard.freezes([broken, None, None, None, None], limits) == ""
    assert "--limit a,b " in all_of_them
    words = dict(word.split("=") for word in shlex.split(all_of_them) if word.startswith("ib_gateway_repair_storm_"))
    off = fleet_guard.thresholds(words["ib_gateway_repair_storm_share"], words["ib_gateway_repair_storm_same"], 2)
    assert fleet_guard.freezes([broken] * 9, off) == fleet_guard.freezes([broken] * 3, off) == ""


def test_hosts_that_need_the_same_share_a_command_and_many_are_named_as_their_group() -> None:
    assert commands(fleets.host("a", DOWN), fleets.host("b", DOWN), fleets.host("c", GOOD)) == [
        played("remediate.yml", host="a,b")
    ]
    many = [fleets.host("desk%d" % number, DOWN) for number in range(30)]
    assert commands(*many) == [played("remediate.yml", host="trading_hosts")]


# --- what it takes over ----------------------------------------------------------------------------------------------


def test_a_next_command_takes_over_what_the_run_was_given() -> None:
    given = {
        "inventory": ("/srv/desk/hosts.yml", "/etc/more hosts"),
        "become": True,
        "extra_vars": ("@vars.yml", "ib_report_dir=out ib_repair_reason=x", '{"ib_gateway_verify_soak": 0.4}'),
    }
    assert command_line.options(given, here="/srv/desk") == (
        "-i hosts.yml -i '/etc/more hosts' --become -e @vars.yml "
        """-e '{"ib_report_dir": "out", "ib_gateway_verify_soak": 0.4}'"""
    )


def test_a_run_without_an_inventory_on_its_command_line_has_that_of_its_configuration() -> None:
    assert command_line.options({}, ["/srv/hosts.yml"]) == "-i /srv/hosts.yml"
    assert command_line.options({}) == "-i INVENTORY"


def test_nobody_else_s_variable_is_told_since_it_may_be_a_secret() -> None:
    secrets = {"ansible_password": "hunter2", "ib_gateways": [{"start_command": ["x", "--pw=hunter2"]}]}
    given = {"extra_vars": (json.dumps(secrets), "ansible_become_pass=hunter2", "token=hunter2")}
    assert command_line.options(given) == "-i INVENTORY"
