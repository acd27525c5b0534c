"""The fleet's document: every declared host is in it with what is known, and nothing unseen is ever called healthy."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import pytest
from ansible.module_utils.ib_fleet.document import fleet_document
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import fleets
from unit.facts import SCRIPT, SECOND, gateway, health, listener, probe, script, snapshot, spec

HEALTHY = health((spec(), snapshot(gateway(), listener()), probe()))
DOWN = health((spec(), snapshot(), None))
CROWDED = health((spec(client_patterns=("bot",)), snapshot(gateway(), listener(), script()), None))
UNKNOWN = health((spec(), snapshot(gateway(other_netns=True)), None))
FAILED = {"failed": True, "msg": "the module failed", "changed": False}
UNREACHABLE = {"unreachable": True, "msg": "Connection timed out", "changed": False}
CONTEXT = {"kind": "remediate", "generated_at": "2025-04-25T05:00:12Z", "check_mode": False}


def host(before: Any = None, after: Any = None, **more: Any) -> Dict[str, Any]:
    facts = dict(more)
    if before is not None:
        facts["ib_gateway_diagnose_result"] = before
    if after is not None:
        facts["ib_gateway_verify_result"] = after
    return fleet_document.host_document("desk1", facts)


def document(*hosts: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    return fleet_document.document(hosts, dict(CONTEXT, **more))


def lines(*hosts: Dict[str, Any], **more: Any) -> List[str]:
    return fleet_document.lines(document(*hosts, **more))


# --- one host's status -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (HEALTHY, None, "healthy"),
        (CROWDED, None, "degraded"),
        (UNKNOWN, None, "unknown"),
        (DOWN, None, "unhealthy"),
        (DOWN, HEALTHY, "healthy"),
        (HEALTHY, DOWN, "unhealthy"),
        (None, None, "unknown"),
        (FAILED, None, "unknown"),
        ({}, None, "unknown"),
        ({"skipped": True, "changed": False}, None, "unknown"),
        ({"status": "healthy"}, None, "unknown"),
        (HEALTHY, FAILED, "unknown"),
        (UNREACHABLE, None, "unreachable"),
        (HEALTHY, UNREACHABLE, "unreachable"),
    ],
)
def test_the_last_look_decides_and_a_look_that_failed_is_never_healthy(before: Any, after: Any, status: str) -> None:
    found = host(before, after)
    assert found["status"] == status
    if status != "unknown":
        assert found["reached"] == (status != "unreachable")


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (None, "the host was not looked at"),
        (FAILED, "the module failed"),
        ({"failed": True}, "nothing that can be judged"),
        (UNREACHABLE, "Connection timed out"),
        (DOWN, "no gateway process for live is running"),
        (HEALTHY, ""),
    ],
)
def test_a_host_says_why_it_is_not_healthy(before: Any, reason: str) -> None:
    assert reason in host(before)["reason"]
    assert bool(host(before)["reason"]) == bool(reason)


def test_only_what_the_look_returned_is_kept() -> None:
    found = host(dict(DOWN, invocation={"secret": "hunter2"}, ansible_facts={}, changed=False))
    assert found["before"] == DOWN
    assert found["after"] is None
    assert "hunter2" not in json.dumps(found)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["failed", "skipped", "unreachable", "msg", "status", "changed"]),
        st.sampled_from([True, False, "healthy", "", 0]),
    )
)
def test_a_result_without_gateways_is_never_healthy(result: Dict[str, Any]) -> None:
    assert host(result)["status"] in ("unknown", "unreachable")
    assert host(HEALTHY, result)["status"] in (("unknown", "unreachable") if result else ("healthy",))


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_document_counts_every_host_once() -> None:
    hosts = [host(HEALTHY), host(DOWN), host(DOWN), host(UNREACHABLE), host()]
    found = document(*hosts)
    assert found["schema"] == "ib-fleet/1" and found["kind"] == "remediate"
    assert found["generated_at"] == CONTEXT["generated_at"] and found["check_mode"] is False
    assert found["summary"]["hosts"] == len(found["hosts"]) == 5
    assert found["summary"]["statuses"] == {
        "healthy": 1,
        "degraded": 0,
        "unknown": 1,
        "unhealthy": 2,
        "unreachable": 1,
    }
    json.dumps(found)


def test_hosts_come_by_name() -> None:
    hosts = [fleet_document.host_document(name, {}) for name in ("b", "a", "c")]
    assert [each["name"] for each in document(*hosts)["hosts"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("fail_on", "names"),
    [
        ("never", []),
        ("unhealthy", ["unhealthy", "unreachable"]),
        ("degraded", ["degraded", "unhealthy", "unreachable"]),
        ("unknown", ["degraded", "unhealthy", "unknown", "unreachable"]),
    ],
)
def test_the_exit_code_says_no_for_these(fail_on: str, names: List[str]) -> None:
    looks = {"healthy": HEALTHY, "degraded": CROWDED, "unknown": None, "unhealthy": DOWN, "unreachable": UNREACHABLE}
    hosts = [fleet_document.host_document(name, {"ib_gateway_diagnose_result": look}) for name, look in looks.items()]
    assert [each["status"] for each in hosts] == list(looks)
    assert fleet_document.failing(document(*hosts), fail_on) == names


def test_an_unknown_fail_on_is_an_error_that_says_what_is_known() -> None:
    with pytest.raises(ValueError, match="fail_on is 'always'; use never, unknown, degraded, unhealthy"):
        fleet_document.failing(document(), "always")


# --- for a person ----------------------------------------------------------------------------------------------------


def test_the_lines_begin_with_the_counts() -> None:
    assert lines(host(HEALTHY), host(DOWN))[0] == "2 hosts: 1 healthy, 1 unhealthy"
    assert lines(host(DOWN), check_mode=True)[0].endswith("(check mode: nothing was done)")


def test_a_host_that_was_mended_says_what_it_was() -> None:
    assert lines(host(DOWN, HEALTHY))[1] == "desk1: healthy, was unhealthy"
    assert lines(host(HEALTHY, HEALTHY))[1] == "desk1: healthy"
    assert lines(host(DOWN))[1] == "desk1: unhealthy"


@pytest.mark.parametrize(("look", "reason"), [(None, "not looked at"), (UNREACHABLE, "timed out"), (FAILED, "failed")])
def test_a_host_that_was_not_judged_says_why(look: Optional[Dict[str, Any]], reason: str) -> None:
    assert reason in lines(host(look))[2]


@pytest.mark.parametrize(
    ("check_mode", "line"),
    [
        (False, "  done: stopped script pid %d of trader (python3 bot.py)" % SCRIPT),
        (True, "  would stop script pid %d of trader (python3 bot.py)" % SCRIPT),
    ],
)
def test_an_act_is_told_in_words(check_mode: bool, line: str) -> None:
    act = {"action": "stop_client", "changed": True, "outcomes": [fleets.stopped("would" if check_mode else "done")]}
    assert lines(host(DOWN, HEALTHY, **fleets.repaired(act)), check_mode=check_mode)[2] == line


def test_what_check_mode_foretells_is_not_told_once_more_as_planned() -> None:
    (step,) = DOWN["gateways"][0]["plan"]["steps"]
    outcome = fleets.outcome("start", step["target"], "would", gateway=step["gateway"])
    act = {"action": "start", "changed": True, "outcomes": [outcome]}
    found = lines(host(DOWN, DOWN, **fleets.repaired(act)), check_mode=True)
    assert [line for line in found if "start" in line] == ["  would start live by unit ibgateway.service"]
    assert any("  planned: start live" in line for line in lines(host(DOWN)))


def test_findings_withheld_steps_strangers_and_the_missing_library_are_told() -> None:
    look = health((spec(service=None), snapshot(), None))
    look["undeclared"] = [{"pid": SECOND, "user": "bob"}]
    look["proof"] = {"wanted": "ib_insync", "used": "socket", "missing": "ib_insync is not installed: pip install it"}
    found = lines(host(look))[2:]
    assert found[0] == "  live is unhealthy: no gateway process for live is running"
    assert found[1].strip().startswith("not done: live is not started")
    assert found[2] == "  left alone: gateway pid %d of bob fits no entry" % SECOND
    assert found[3].endswith("pip install it")


def test_all_that_is_wrong_with_a_gateway_is_one_sentence() -> None:
    look = health((spec(), snapshot(gateway(mode="paper"), listener()), None))
    first = look["gateways"][0]["findings"][0]
    look["gateways"][0]["findings"] = [first, dict(first, summary="the disk is full"), first]
    told = [line for line in lines(host(look)) if "live is " in line]
    assert told == ["  live is %s: %s; the disk is full" % (look["gateways"][0]["status"], first["summary"])]


def test_what_would_be_done_if_a_fault_persists_is_told_so() -> None:
    step = DOWN["gateways"][0]["plan"]["steps"][-1]
    act = {"action": "start", "outcomes": [fleets.outcome("start", step["target"], "would")], "changed": True}
    for persists, told in ((True, ", if it persists"), (False, "")):
        plan = {**DOWN["gateways"][0]["plan"], "steps": [{**step, "only_if_persists": persists}]}
        look = {**DOWN, "gateways": [{**DOWN["gateways"][0], "plan": plan}]}
        found = lines(host(look, look, **fleets.repaired(act)), check_mode=True)
        assert [line for line in found if "start" in line] == ["  would start live by unit ibgateway.service" + told]


def test_many_gateways_that_fit_no_entry_take_a_line_for_each_account() -> None:
    look = dict(HEALTHY, undeclared=[{"pid": 9, "user": "bob"}, {"pid": 7, "user": "bob"}, {"pid": 8, "user": "eve"}])
    assert fleet_document.undeclared(look) == [
        "left alone: 2 gateways of bob fit no entry: pid 7, 9",
        "left alone: gateway pid 8 of eve fits no entry",
    ]


def test_the_sentence_of_a_host_says_why_it_fails_the_run() -> None:
    assert fleet_document.sentence(host(DOWN)) == "desk1 is unhealthy: no gateway process for live is running"
    assert fleet_document.sentence(host(HEALTHY)) == "desk1 is healthy: no reason known"
