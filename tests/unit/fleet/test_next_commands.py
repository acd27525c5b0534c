"""What to run next: always something after a run that did not end healthy, and what works as it stands."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import fleet_document
from ansible.module_utils.ib_fleet.run import command_line, fleet_guard
from unit import fleets
from unit.facts import health, snapshot, spec
from unit.module_runs import PROJECT

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


def only_waiting() -> Dict[str, Any]:
    look = health((spec(remediation="plan_only"), snapshot(), None))
    wait = {**look["gateways"][0]["plan"]["steps"][0], "action": "wait"}
    plan = {**look["gateways"][0]["plan"], "steps": [wait]}
    return {**look, "gateways": [{**look["gateways"][0], "plan": plan}]}


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
        [played("remediate.yml")],
    ),
    "nothing in the entry starts it": (
        fleets.host("a", health((spec(service=None, remediation="plan_only"), snapshot(), None))),
        [played("remediate.yml", "--check --diff")],
    ),
    "plan_only, and the plan is a wait": (
        fleets.host("a", only_waiting()),
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


def test_what_is_only_planned_for_is_repaired_after_one_edit_that_is_named() -> None:
    found = fleets.document(STATES["plan_only"][0], kind="remediate")
    (told,) = fleet_document.with_next(found, "-i hosts.yml")["next"]
    assert told["why"] == "repair it: write remediation: auto in place of plan_only in its entry, then run"


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


#: What Ansible has parsed where nothing of it was given.
USUAL = {"connection": "ssh", "become_method": "sudo", "become_user": None}


@pytest.mark.parametrize(
    ("argv", "given", "options", "variables"),
    [
        ([], {}, "", {}),
        (["-c", "ssh"], {}, "--connection ssh", {"ansible_connection": "ssh"}),
        (["--connection=ssh"], {}, "--connection ssh", {"ansible_connection": "ssh"}),
        (["-bc", "local"], {"connection": "local"}, "--connection local", {"ansible_connection": "local"}),
        ([], {"private_key_file": "key"}, "--private-key key", {"ansible_ssh_private_key_file": "key"}),
        (
            [],
            {"become": True, "become_user": "trader", "become_method": "su", "become_ask_pass": True},
            "--become --ask-become-pass --become-user trader --become-method su",
            {"ansible_become": True, "ansible_become_user": "trader", "ansible_become_method": "su"},
        ),
    ],
)
def test_how_hosts_are_reached_is_carried_into_the_next_command_and_into_what_is_written(
    monkeypatch: pytest.MonkeyPatch,
    argv: List[str],
    given: Dict[str, Any],
    options: str,
    variables: Dict[str, Any],
) -> None:
    monkeypatch.setattr(sys, "argv", ["ansible-playbook", *argv])
    assert command_line.options({**USUAL, **given}) == ("-i INVENTORY %s" % options).rstrip()
    assert command_line.variables({**USUAL, **given}) == variables


def test_where_passwords_come_from_is_said_again_since_no_inventory_can_hold_it() -> None:
    given = {**USUAL, "become": True, "become_ask_pass": True, "vault_password_files": ["key file"]}
    assert command_line.passwords(given) == "--ask-become-pass --vault-password-file 'key file'"


def test_a_run_without_an_inventory_on_its_command_line_has_that_of_its_configuration() -> None:
    assert command_line.options({}, ["/srv/hosts.yml"]) == "-i /srv/hosts.yml"
    assert command_line.options({}) == "-i INVENTORY"


def test_nobody_else_s_variable_is_told_since_it_may_be_a_secret() -> None:
    secrets = {"ansible_password": "hunter2", "ib_gateways": [{"start_command": ["x", "--pw=hunter2"]}]}
    given = {"extra_vars": (json.dumps(secrets), "ansible_become_pass=hunter2", "token=hunter2")}
    assert command_line.options(given) == "-i INVENTORY"


# --- the programs ----------------------------------------------------------------------------------------------------


@pytest.fixture(name="programs")
def programs_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this run's Python, with Ansible's programs in it. PATH does not have it; the run is in tmp_path."""
    folder = tmp_path / "a desk" / "bin"
    folder.mkdir(parents=True)
    for name in ("ansible", "ansible-playbook"):
        program(folder / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    return folder


def program(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("programs")
def test_a_program_that_path_does_not_have_is_named_by_its_own_path_from_here() -> None:
    assert command_line.as_typed("ansible x.yml -m ping") == "'a desk/bin/ansible' x.yml -m ping"
    found = fleets.document(fleets.host("a", DOWN), kind="remediate")
    (told,) = fleet_document.with_next(found, "-i hosts.yml", command_line.as_typed)["next"]
    assert told["command"] == "'a desk/bin/ansible-playbook' %s/remediate.yml --limit a -i hosts.yml" % PROJECT


def test_a_program_of_another_installation_on_path_is_not_the_one_that_ran(programs: Path) -> None:
    program(programs.parents[1] / "elsewhere" / "ansible-playbook")
    assert command_line.as_typed("ansible-playbook x").startswith("'a desk/bin/ansible-playbook' ")


def test_what_path_finds_is_told_by_its_name_alone(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (programs.parents[1] / "elsewhere" / "ansible-playbook").symlink_to(programs / "ansible-playbook")
    monkeypatch.chdir(PROJECT)
    assert command_line.as_typed("ansible-playbook playbooks/doctor.yml -v") == (
        "ansible-playbook playbooks/doctor.yml -v"
    )
    assert command_line.as_typed("ansible-playbook desk.tools.sweep") == "ansible-playbook desk.tools.sweep"


@pytest.mark.usefixtures("programs")
def test_under_make_the_path_of_who_typed_it_counts_and_not_that_of_make(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IB_TYPED_PATH", "/usr/bin")
    monkeypatch.setenv("PATH", "%s:/usr/bin" % programs)
    assert command_line.as_typed("ansible x") == "'a desk/bin/ansible' x"


def test_a_program_in_this_very_folder_is_not_looked_for_on_path(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(programs)
    assert command_line.as_typed("ansible x") == "'%s/ansible' x" % programs
