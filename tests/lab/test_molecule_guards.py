"""What molecule would let pass without a word, and what the scenarios must have to be worth running. No containers."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import yaml
from ansible.module_utils.ib_gateway.base.findings import CATALOGUE, PLANNED
from lab import run
from simulator.options import FAULTS

SCENARIOS = run.scenarios()
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS)
WANTED = {
    "default",
    "seed_incident",
    "duplicate_gateways",
    "competing_clients",
    "wrong_port",
    "tws_beside",
    "frozen",
    "port_taken",
    "not_listening",
    "handshake_stalled",
    "accept_queue_full",
    "live_and_paper",
    "protected_client",
    "check_mode",
    "no_runtime",
    "fleet",
    "starting",
    "host_runtime",
    "bullseye",
    "trixie",
    "start_impossible",
    "start_command",
    "user_unit",
    "logins",
    "auto_restart",
    "soft_restart",
    "remote_clients",
    "self_heal",
}
#: What an action runs; idempotence and check run converge once more.
PLAYBOOKS = {"idempotence": "converge", "check": "converge"}
EXPECTATIONS = {
    *("status", "found", "again", "done", "proof", "withheld", "told"),
    *("gone", "cut", "holds", "serves", "untouched", "logins"),
}


def load_staging() -> Any:
    """The part of the host's program that stages; it is no part of a package."""
    folder = str(run.SHARED / "image")
    spec = importlib.util.spec_from_file_location("lab_staging", run.SHARED / "image" / "staging.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)  # its neighbour is imported by its name, as on a host
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


STAGING = load_staging()


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def group(scenario: str) -> Dict[str, Any]:
    found: Dict[str, Any] = read(run.SCENARIOS / scenario / "inventory" / "hosts.yml")["trading_hosts"]
    return found


def hosts(scenario: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """A scenario's hosts with their own variables."""
    for name, variables in group(scenario)["hosts"].items():
        yield name, {**(group(scenario).get("vars") or {}), **(variables or {})}


# --- the traps -------------------------------------------------------------------------------------------------------


def test_these_scenarios_are_there() -> None:
    assert set(SCENARIOS) >= WANTED
    assert SCENARIOS[0] == "default"


def test_molecule_uses_the_project_s_configuration_and_a_callback_with_a_recap() -> None:
    environment = read(run.CONFIG)["ansible"]["env"]
    assert environment["ANSIBLE_CONFIG"] == "${MOLECULE_PROJECT_DIRECTORY}/ansible.cfg"
    assert environment["ANSIBLE_STDOUT_CALLBACK"] == "default"
    guard = (run.SHARED / "create.yml").read_text(encoding="utf-8")
    assert "ansible_config_file == lab_project ~ '/ansible.cfg'" in guard


def test_nothing_is_fetched_before_a_scenario() -> None:
    config = read(run.CONFIG)
    assert config["prerun"] is False and config["dependency"]["enabled"] is False


@every_scenario
def test_every_playbook_that_a_scenario_runs_is_there(scenario: str) -> None:
    playbooks = run.settings(scenario)["ansible"]["playbooks"]
    for action in {*run.sequence(scenario), "cleanup"}:
        path = run.SCENARIOS / scenario / playbooks[PLAYBOOKS.get(action, action)]
        assert path.is_file(), f"{action}: {path}"


@every_scenario
def test_a_sequence_begins_and_ends_with_destroy_and_leaves_nothing_out(scenario: str) -> None:
    actions = run.sequence(scenario)
    assert actions[:3] == ["destroy", "create", "prepare"]
    assert actions[-2:] == ["verify", "destroy"]
    assert actions[3:-2] in (["converge", "idempotence"], ["check", "check"], ["check", "converge", "idempotence"])


@every_scenario
def test_verify_says_that_it_was_there(scenario: str) -> None:
    verify = run.settings(scenario)["ansible"]["playbooks"]["verify"]
    assert "was verified on" in (run.SCENARIOS / scenario / verify).read_text(encoding="utf-8")


@every_scenario
def test_an_inventory_is_nowhere_a_linter_takes_it_for_a_playbook(scenario: str) -> None:
    files = {path.name for path in (run.SCENARIOS / scenario).iterdir()}
    known = {"molecule.yml", "inventory", "prepare.yml", "converge.yml", "verify.yml", "tasks"}
    assert {"molecule.yml", "inventory"} <= files <= known


@every_scenario
def test_the_verifier_is_on(scenario: str) -> None:
    verifier = run.settings(scenario)["verifier"]
    assert verifier["name"] == "ansible" and verifier.get("enabled", True)


# --- what a scenario says --------------------------------------------------------------------------------------------


@every_scenario
def test_what_is_staged_can_be_staged(scenario: str) -> None:
    for name, variables in hosts(scenario):
        for step in variables.get("lab_stage", []):
            keys = {key: value for key, value in step.items() if key != "do"}
            inspect.signature(getattr(STAGING.Stage, step["do"])).bind(None, **keys)
            faults = re.findall(r"--fault=(\S+)", str(step.get("options", "")))
            assert set(faults) <= set(FAULTS), name


@every_scenario
def test_what_is_expected_can_come_true(scenario: str) -> None:
    for name, variables in hosts(scenario):
        expected = variables.get("lab_expect", {})
        assert set(expected) <= EXPECTATIONS, name
        stage: List[Dict[str, Any]] = variables.get("lab_stage", [])
        staged = {step.get("name") for step in stage} | {step.get("inside") for step in stage}
        staged |= {brought for step in stage for brought in step.get("brings", ())}
        if any(step["do"] == "kept" for step in stage):
            staged |= {"ibgateway-live", "gateway"}
        assert set(expected.get("gone", [])) <= staged, name
        for found in [*expected.get("found", {}).values(), *expected.get("again", {}).values()]:
            assert found == sorted(found) and set(found) <= set(CATALOGUE) - {each.code for each in PLANNED}, name


@every_scenario
def test_a_broken_host_expects_something_of_the_repair_or_of_its_absence(scenario: str) -> None:
    """What is staged with a fault is found; and either it is mended, or the host is expected to stay as it is."""
    for name, variables in hosts(scenario):
        expected = variables.get("lab_expect", {})
        if "--fault=" in str(variables.get("lab_stage", "")):
            assert expected.get("found"), name
            assert expected.get("done") or expected.get("status") == "unhealthy", name


#: Found by a sweep only: what the doctor is not asked about in the lab, and why.
NOT_ASKED = {
    "competing_clients": "without an inventory no limit is known and nobody is named as competing",
    "wrong_port": "without an inventory no port is wrong",
    "port_taken": "without an inventory nothing says that a gateway should have the port",
    "stale_remote_session": "the event has to meet the moment at which TCP gives up",
}


def test_the_doctor_is_asked_about_each_cause_that_the_lab_stages() -> None:
    """Of every code that a scenario expects there is a host on which the doctor has to name it, or a reason why not."""
    staged, asked = set(), set()
    for scenario in SCENARIOS:
        for _name, variables in hosts(scenario):
            expected = {code for codes in variables.get("lab_expect", {}).get("found", {}).values() for code in codes}
            staged |= expected
            if "lab_doctor" in variables:
                asked |= set(variables["lab_doctor"].get("found", expected))
    assert staged - asked == set(NOT_ASKED)


#: Hosts on which the doctor is not asked, by scenario, and where it is asked about the same state, or why it is not.
NOT_ASKED_ON = {
    "auto_restart": {
        "gap_2": "gap_80: the same gap, over before three accounts have asked",
        "gap_20": "gap_80: the same gap, over before three accounts have asked",
        "loop_20": "long_loop",
        "unit_20": "long_unit",
    },
    "host_runtime": {"desk": "it has no Python runtime yet"},
    "remote_clients": dict.fromkeys(("desk", "laptop", "office"), NOT_ASKED["stale_remote_session"]),
    "trixie": {"well": "the disk has to be as it was, and Ansible makes an account that it becomes a folder here"},
    "self_heal": dict.fromkeys(("desk", "puller", "boxed"), "the host repairs itself: nobody looks from here"),
}


def test_the_doctor_is_asked_on_each_host_of_the_lab_but_for_those_with_a_reason() -> None:
    left_out: Dict[str, set[str]] = {}
    for scenario in SCENARIOS:
        for name, variables in hosts(scenario):
            if "lab_doctor" not in variables:
                left_out.setdefault(scenario, set()).add(name)
    assert left_out == {scenario: set(names) for scenario, names in NOT_ASKED_ON.items()}


@every_scenario
def test_what_the_doctor_is_to_say_has_known_words(scenario: str) -> None:
    for name, variables in hosts(scenario):
        wanted = variables.get("lab_doctor", {})
        lookers = {who: wanted[who] for who in ("trader", "ops") if who in wanted}
        assert set(wanted) - set(lookers) <= {"found", "says", "writes"}, name
        for each in (wanted, *lookers.values()):
            assert set(each) - set(lookers) <= {"found", "says", "writes"}, name
            re.compile(each.get("says", ""))


def test_no_file_of_the_lab_names_a_package_mirror_or_a_place_on_this_machine() -> None:
    for path in [*run.SCENARIOS.rglob("*"), run.CONFIG]:
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert "://" not in text.replace("file:///", "") and "debian.org" not in text, path
            assert str(run.PROJECT) not in text, path


def test_the_oracle_shares_no_code_with_the_project() -> None:
    for path in (run.SHARED / "image").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"import.*(?:ansible|ib_gateway|simulator)|from (?:ansible|ib_gateway|simulator)", text)


# --- what runs them --------------------------------------------------------------------------------------------------

ACTIONS = ["destroy", "create", "prepare", "converge", "idempotence", "verify", "destroy"]


def log_of(actions: List[str], say: str = "x was verified on 1 host(s)", how: str = "Successful") -> str:
    rows = [f"PLAY RECAP ***\nINFO     [x > {action}] Executed: {how}\n" for action in actions]
    return "".join(rows) + say


def test_a_whole_run_holds() -> None:
    assert run.objections("x", ACTIONS, 0, log_of(ACTIONS)) == ()


@pytest.mark.parametrize(
    ("returncode", "log", "told"),
    [
        (2, log_of(ACTIONS), "failed"),
        (0, log_of(ACTIONS) + "\nx : actions=7  successful=6  missing=1", "a playbook is missing"),
        (0, log_of(ACTIONS) + "\n[x > verify] Executed: Missing playbook (...)", "a playbook is missing"),
        (0, log_of([action for action in ACTIONS if action != "verify"]), "instead of"),
        (0, log_of([action for action in ACTIONS if action != "idempotence"]), "instead of"),
        (0, log_of(ACTIONS, say=""), "verify did not say"),
        (0, log_of(ACTIONS).replace("PLAY RECAP", "", 1), "recap"),
        (0, log_of(ACTIONS, how="Failed"), "destroy failed"),
        (0, "", "nothing"),
    ],
)
def test_a_run_that_left_something_out_does_not_hold(returncode: int, log: str, told: str) -> None:
    assert told in "; ".join(run.objections("x", ACTIONS, returncode, log))


def lab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program that runs the scenarios, which takes itself for an account that is not root."""
    code = "import os, sys; os.geteuid = lambda: 1000; sys.path.insert(0, sys.argv.pop(1)); from lab import run; "
    return subprocess.run(
        [sys.executable, "-c", code + "sys.exit(run.main())", str(run.PROJECT / "tests"), *arguments],
        capture_output=True,
        text=True,
        env={**{key: value for key, value in os.environ.items() if key != "CI"}, **environment},
        check=False,
    )


def test_without_root_one_line_says_so_and_only_ci_fails() -> None:
    done = lab("test")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and "root" in done.stdout
    assert lab("test", CI="true").returncode == 1


def test_a_scenario_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "why_not", lambda: None)
    assert run.test(["no_such_scenario"]) == 2


def test_a_run_in_which_nothing_ran_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "why_not", lambda: None)
    monkeypatch.setattr(run, "deps", lambda: True)
    monkeypatch.setattr(run, "mirror_has", lambda _release: False)
    assert run.test(["trixie"]) == 1


@every_scenario
def test_every_host_has_a_name_that_yaml_leaves_as_it_is(scenario: str) -> None:
    """A host called `off` is false to YAML, and Ansible leaves it and all that follow it out without a failure."""
    hosts = read(run.SCENARIOS / scenario / "inventory" / "hosts.yml")["trading_hosts"]["hosts"]
    assert [name for name in hosts if not isinstance(name, str)] == []
