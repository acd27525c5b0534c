"""What the playbooks compute on the controller: who is repaired, what forbids it, what the host is told."""

from __future__ import annotations

import importlib
import inspect
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.module_utils.ib_gateway.base.crontab import AFTER_START, WAITED_FOR
from unit.facts import connection, gateway, health, listener, probe, snapshot, spec

#: By its file's name, which it shares with the package of module_utils.
filters = importlib.import_module("ib_gateway").FilterModule().filters()
WELL = health((spec(), snapshot(gateway(), listener()), probe()))
DOWN = health((spec(), snapshot(), None))
STORM = {"share": "1/3", "same": "1/2", "at_least": 2}
LUNCH = {"name": "lunch", "zone": "UTC", "start": "12:00", "end": "13:00"}
NOON = 1_745_582_400.0  # 2025-04-25T12:00:00Z


def hostvars(**looks: Any) -> Dict[str, Any]:
    """The variables of some hosts after the look."""
    return {name: {"ib_gateway_diagnose_result": look} if look else {} for name, look in looks.items()}


def chosen(known: Dict[str, Any]) -> Dict[str, List[str]]:
    """The groups of each host that was chosen, without what they have in common."""
    return {
        each["host"]: [name.removeprefix("ib_hosts_").removeprefix("to_") for name in each["groups"]]
        for each in filters["ib_chosen"](list(known), known)
    }


def test_only_hosts_whose_plan_has_a_step_are_repaired_and_who_was_not_seen_is_named() -> None:
    known = hostvars(well=WELL, down=DOWN, failed={"msg": "x"}, never=None)
    assert chosen(known) == {"down": ["repair", "conclude"], "failed": ["not_judged"], "never": ["not_judged"]}


def test_a_proof_is_written_down_where_somebody_was_repaired_or_a_latch_holds() -> None:
    latched = dict(WELL, repairs={"latched": [{"gateway": "live"}]})
    known = hostvars(well=dict(WELL, repairs={"latched": []}), unread=dict(WELL, repairs=None), held=latched, down=DOWN)
    concluded = [host for host, groups in chosen(known).items() if "conclude" in groups]
    assert concluded == ["held", "down"]


def test_a_climb_goes_on_from_the_look_that_a_module_took_after_its_act() -> None:
    first = filters["ib_next_step"](DOWN)
    assert (first["action"], first["look"]) == ("start", DOWN)
    over = filters["ib_next_step"]({"changed": True, "health": WELL, "withheld": []}, first)
    assert (over["action"], over["look"], over["taken"]) == (None, WELL, ["start"])


def test_a_repair_ends_where_nobody_saw_what_came_of_the_last_action() -> None:
    first = filters["ib_next_step"](DOWN)
    assert filters["ib_next_step"]({"changed": True, "health": None}, first)["action"] is None


def test_what_was_refused_before_or_by_the_last_action_is_left_alone() -> None:
    assert filters["ib_next_step"](DOWN, None, [{"gateway": "live"}])["action"] is None
    waited = {**filters["ib_next_step"](DOWN), "action": "wait", "steps": []}
    assert filters["ib_next_step"]({"health": DOWN, "outcomes": []}, waited)["action"] == "start"
    refused = {"gateway": "live", "admitted": False}
    assert filters["ib_next_step"]({"health": DOWN, "outcomes": [refused]}, waited)["action"] is None


def test_a_storm_is_judged_over_all_declared_hosts() -> None:
    known = hostvars(a=DOWN, b=DOWN, c=WELL, d=WELL, e=None)
    assert "2 of 5 hosts" in filters["ib_frozen"](list(known), known, STORM)
    assert filters["ib_frozen"](["a", "b", "c"], known, STORM) == ""  # of a handful, parts say nothing
    assert filters["ib_frozen"](["a", "c"], known, STORM) == ""


@pytest.mark.parametrize(
    ("reason", "minutes", "named"),
    [
        ("", 60, "ib_repair_reason"),
        (" ", 60, "ib_repair_reason"),
        ("x", 0, "ib_repair_pause_minutes is 0"),
        ("x", "soon", "soon"),
    ],
)
def test_a_pause_that_cannot_be_kept_is_told_by_the_name_of_its_variable(reason: str, minutes: Any, named: str) -> None:
    (told,) = filters["ib_reason_problems"](reason, minutes)
    assert named in told and filters["ib_reason_problems"]("broker maintenance", "90") == []


def test_limits_that_make_no_sense_are_all_told_at_once() -> None:
    settings = {"blackouts": [dict(LUNCH, zone="Mars")], "storm": dict(STORM, share=7)}
    found = filters["ib_policy_problems"](settings)
    assert [each.split(",")[0].split(" is")[0] for each in found] == ["blackout lunch", "ib_repair_storm_share"]
    assert filters["ib_policy_problems"]({"blackouts": [LUNCH], "storm": STORM}) == []


@pytest.mark.parametrize("wrong", [{"name": "lunch"}, "12:00-13:00", [["12:00", "13:00"]]])
def test_blackouts_that_are_no_list_of_windows_are_refused(wrong: Any) -> None:
    assert "ib_repair_blackouts" in filters["ib_policy_problems"]({"blackouts": wrong, "storm": STORM})[0]
    with pytest.raises(AnsibleFilterError, match="ib_repair_blackouts"):
        filters["ib_blackout"](wrong, NOON)


def test_reset_windows_that_cannot_be_right_are_told_by_their_variable() -> None:
    known: Dict[str, List[Any]] = {"europe": [], "asia": []}
    problems = filters["ib_window_problems"]
    assert problems(["europe"], [LUNCH], known) == []
    assert "'mars'; known are europe, asia" in problems(["mars"], [], known)[0]
    assert "ib_gateway_diagnose_reset_regions is 'europe'" in problems("europe", [], known)[0]
    assert "ib_gateway_diagnose_reset_windows is" in problems([], "lunch", known)[0]
    assert "reset window lunch, key zone" in problems([], [dict(LUNCH, zone="Mars")], known)[0]


def test_a_reset_window_is_one_of_the_regions_asked_for_or_one_of_the_desk_s_own() -> None:
    window = filters["ib_reset_window"]
    known = {"europe": [dict(LUNCH, name="Europe")], "asia": [dict(LUNCH, name="Asia", start="11:00", end="12:00")]}
    told = [window(regions, [], known, NOON) for regions in (["europe"], ["asia"], ["asia", "europe"], [])]
    assert told == ["Europe until 2025-04-25T13:00:00Z", "", "Europe until 2025-04-25T13:00:00Z", ""]
    assert window([], [LUNCH], known, NOON) == "lunch until 2025-04-25T13:00:00Z"
    assert window(["asia"], [], known, NOON - 1) == "Asia until 2025-04-25T12:00:00Z"
    assert window([], [dict(LUNCH, start="00:00", end="00:00")], known)  # this moment, where none is given
    with pytest.raises(AnsibleFilterError, match="reset window lunch, key zone"):
        window([], [dict(LUNCH, zone="Mars")], known)


def test_a_blackout_forbids_by_its_name() -> None:
    assert filters["ib_blackout"]([LUNCH], NOON) == "blackout lunch until 2025-04-25T13:00:00Z: plan only"
    assert filters["ib_blackout"]([LUNCH], NOON - 1) == ""


def test_the_controllers_pause_file_forbids_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "pause.json"
    assert filters["ib_paused"](str(file)) == ""
    file.write_text(json.dumps({"reason": "broker maintenance", "until": "2999-01-01T00:00:00Z"}))
    file.chmod(0o600)
    told = "this controller is paused until 2999-01-01T00:00:00Z: broker maintenance"
    assert filters["ib_paused"](str(file)) == told
    file.write_text("stop!")
    assert str(file) in filters["ib_paused"](str(file))


def test_the_authorizations_marks_are_those_of_the_newest_look() -> None:
    plan = DOWN["gateways"][0]["plan"]
    assert filters["ib_plan_marks"](DOWN) == [
        {
            "gateway": "live",
            "digest": plan["digest"],
            "boot_id": plan["made_at"]["boot_id"],
            "made_at": plan["made_at"]["boottime"],
        }
    ]
    assert filters["ib_plan_marks"](None) == []


def test_a_gateway_that_serves_and_waits_for_one_of_the_broker_s_farms_counts_as_repaired() -> None:
    served = {**WELL, "gateways": [{**WELL["gateways"][0], "status": "degraded", "verdict": "farm_broken"}]}
    assert [each["healthy"] for each in filters["ib_results"](served)] == [True]


def test_a_session_whose_peer_is_gone_and_that_could_not_be_cut_latches_no_gateway_that_serves() -> None:
    gone = connection(remote_host="10.8.0.7", client="10.8.0.7", lost_for=900.0, cookie=7)
    (found,) = health((spec(), snapshot(gateway(), listener(), gone), None))["gateways"]
    assert (found["status"], found["verdict"]) == ("degraded", "stale_remote_session")
    starting = {**found["findings"][0], "code": "gateway_starting"}
    for more, serves in (([], True), ([starting], False), ([{**starting, "severity": "info"}], True)):
        told = {**found, "findings": [*found["findings"], *more]}
        assert [each["healthy"] for each in filters["ib_results"]({"gateways": [told]})] == [serves]


def test_only_a_healthy_gateway_counts_as_proven() -> None:
    def proven(look: Any) -> List[Any]:
        return [(each["gateway"], each["healthy"]) for each in filters["ib_results"](look)]

    assert (proven(WELL), proven(DOWN), proven({"msg": "failed"}), proven(None)) == (
        [("live", True)],
        [("live", False)],
        [],
        [],
    )


def test_a_login_is_given_up_some_minutes_before_the_broker_ends_it() -> None:
    reset = datetime(2026, 1, 11, 6, tzinfo=timezone.utc).timestamp()
    found = filters["ib_login_reset"]
    assert found(reset - 200) == found(reset + 3600) == reset
    assert found(reset - 400) == reset - 7 * 86400


def test_a_lease_outlasts_the_slowest_start() -> None:
    assert filters["ib_lease_seconds"]([{"start_timeout": 600}, {}], 30) == 600 + 30 + 180 + 2 * 180
    assert filters["ib_lease_seconds"]([{}, {"start_timeout": None}], 0) == 300 + 180 + 2 * 180
    # A start by cron is waited for, and then for the gateway that it has started.
    assert filters["ib_lease_seconds"]([{"start_timeout": 600}], 0) > WAITED_FOR + 1 + AFTER_START + 600


@pytest.mark.parametrize("apart", [-40.0, 40.0])
def test_an_age_is_never_negative_so_that_a_wrong_clock_does_not_look_fresh(apart: float) -> None:
    assert filters["ib_age"]("2025-04-25T12:00:00Z", NOON + apart) == 40.0


def test_no_two_runs_have_the_same_name() -> None:
    first, second = filters["ib_new_run"](""), filters["ib_new_run"]("")
    assert first["run"] != second["run"] and first["by"] == second["by"] and "@" in first["by"]


def documented_filters() -> Dict[str, Any]:
    """What the files beside the filters say of them, by name."""
    folder = Path(importlib.import_module("ib_gateway").__file__ or "").parent
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml"))}


ALL_FILTERS = {
    **filters,
    **importlib.import_module("ib_audit").FilterModule().filters(),
    **importlib.import_module("ib_doctor").FilterModule().filters(),
    **importlib.import_module("ib_stop_button").FilterModule().filters(),
}
DOCUMENTED = documented_filters()


def test_every_filter_is_documented_and_nothing_else() -> None:
    assert DOCUMENTED.keys() == ALL_FILTERS.keys()


@pytest.mark.parametrize("name", ALL_FILTERS)
def test_a_filter_s_documentation_has_its_arguments_in_their_order(name: str) -> None:
    said = DOCUMENTED[name]["DOCUMENTATION"]
    given = list(inspect.signature(ALL_FILTERS[name]).parameters.values())[1:]
    positional = said.get("positional", "")

    assert said["name"] == name
    assert (positional.split(", ") if positional else []) == [each.name for each in given]
    assert list(said["options"]) == ["_input", *(each.name for each in given)]
    needed = {each.name for each in given if each.default is inspect.Parameter.empty}
    assert {key for key, option in said["options"].items() if option.get("required")} - {"_input"} == needed


# --- the stop button -------------------------------------------------------------------------------------------------


def test_hosts_that_say_the_same_are_told_together_and_who_said_nothing_is_left_out() -> None:
    told_by = importlib.import_module("ib_stop_button").told_by
    known = {
        "a": {"paused": {"changed": True, "msg": "paused until noon: x"}},
        "b": {"paused": {"changed": False, "msg": "paused until noon: x"}},
        "c": {"paused": {"changed": True, "msg": "paused until one: \x1b[2Jx"}},
        "skipped": {"paused": {"skipped": True, "msg": "y"}},
        "odd": {"paused": {"changed": True, "msg": 7}},
        "silent": {},
    }
    lines = told_by(known, known, "paused")
    assert lines[0] == "a, b: paused until noon: x"
    assert lines[1].startswith("c: paused until one: ") and "\x1b" not in lines[1]
    assert lines[2].startswith("odd: this host's answer is not one of ours") and len(lines) == 3


def test_the_next_run_is_on_the_same_hosts_by_the_same_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("ib_stop_button")
    monkeypatch.setattr(module, "CLIARGS", {"inventory": ("hosts.yml",), "subset": "desk1,desk2", "become": True})
    command = module.next_run("playbooks/resume.yml", ["hosts.yml"])
    assert command.endswith("playbooks/resume.yml --limit desk1,desk2 -i hosts.yml --become")
