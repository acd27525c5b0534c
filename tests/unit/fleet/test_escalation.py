"""How a repair escalates: the least disruptive action first, each once at most; and how a person reads the plan."""

from __future__ import annotations

import itertools
from typing import Any, Dict, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import plan_text
from ansible.module_utils.ib_fleet.run import escalation
from ansible.module_utils.ib_gateway.base import actions
from ansible.module_utils.ib_gateway.base.actions import ORDER
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.facts import (
    SCRIPT,
    SECOND,
    connection,
    gateway,
    health,
    listener,
    probe,
    script,
    snapshot,
    spec,
)

UNIT: Dict[str, Any] = {"unit": "ibgateway.service"}
DOWN = (spec(), snapshot(), None)
STARTING = (spec(name="slow"), snapshot(gateway(age=30.0)), None)
STALLED = (spec(name="stalled"), snapshot(gateway(**UNIT), listener()), probe("stalled"))
FINE = (spec(name="fine"), snapshot(gateway(), listener()), probe())
CROWDED = (
    spec(name="crowded"),
    snapshot(gateway(), listener(), script(age=60.0), script(817), connection(SCRIPT), connection(817)),
    None,
)


def step(action: str, name: str = "live", finding: Optional[str] = None) -> Dict[str, Any]:
    return {"action": action, "gateway": name, **({"finding": finding} if finding else {})}


def raw(*steps: Dict[str, Any], remediation: str = "auto") -> Dict[str, Any]:
    """A health result with these steps and nothing else that the choice asks for."""
    return {"gateways": [{"name": "live", "remediation": remediation, "plan": {"steps": list(steps)}}]}


# --- which steps -----------------------------------------------------------------------------------------------------


def test_the_actions_go_from_the_least_to_the_most_disruptive() -> None:
    assert (
        *("wait", "resume", "reconnect", "drop_connection", "stop_client", "soft_restart"),
        *("stop_gateway", "start", "restart"),
    ) == ORDER


def test_the_steps_of_all_entries_count() -> None:
    found = escalation.steps(health(DOWN, STALLED, FINE))
    assert [(each["gateway"], each["action"]) for each in found] == [("live", "start"), ("stalled", "restart")]


def test_an_entry_that_is_plan_only_gives_no_steps() -> None:
    shown = health((spec(remediation="plan_only"), snapshot(), None), STALLED)
    assert [each["gateway"] for each in escalation.steps(shown)] == ["stalled"]


@pytest.mark.parametrize("nothing", [None, {}, {"gateways": []}, {"msg": "unreachable", "unreachable": True}])
def test_a_host_without_a_look_gives_no_steps_and_no_action(nothing: Any) -> None:
    assert escalation.steps(nothing) == []
    assert escalation.next_step(nothing)["action"] is None
    assert plan_text.lines(nothing) == []


# --- which action ----------------------------------------------------------------------------------------------------


def taken(*names: str) -> Dict[str, Any]:
    """What is remembered of a repair that has taken these actions, by none of which it met anybody."""
    return {**escalation.next_step(None), "taken": list(names[:-1]), "action": names[-1]}


def chosen(found: Dict[str, Any]) -> Tuple[Optional[str], List[str]]:
    return found["action"], [each["gateway"] for each in found["steps"]]


def test_a_repair_begins_with_the_least_disruptive_action_that_any_entry_needs_and_takes_all_its_steps() -> None:
    assert chosen(escalation.next_step(health(STALLED, DOWN, STARTING))) == ("wait", ["slow"])
    assert chosen(escalation.next_step(health(STALLED, DOWN))) == ("start", ["live"])
    assert chosen(escalation.next_step(health(STALLED))) == ("restart", ["stalled"])
    assert chosen(escalation.next_step(health(CROWDED, STALLED))) == ("stop_client", ["crowded"])
    assert chosen(escalation.next_step(raw(step("start"), step("start", "paper")))) == ("start", ["live", "paper"])
    assert chosen(escalation.next_step(health(FINE))) == (None, [])


def test_the_next_action_is_more_disruptive_than_the_last_one() -> None:
    every = raw(
        *(step(name) for name in ORDER if name not in ("drop_connection", "stop_client")), cut(1), stop(2, False)
    )
    for below, above in itertools.pairwise(ORDER):
        names = [below] * (2 if below == "drop_connection" else 1)
        assert escalation.next_step(every, taken(*names))["action"] == above
    assert escalation.next_step(every, taken("restart"))["action"] is None


def test_an_action_is_not_taken_twice_although_its_fault_is_still_there() -> None:
    assert escalation.next_step(health(CROWDED), taken("stop_client"))["action"] is None
    assert escalation.next_step(health(STALLED), taken("restart"))["action"] is None


def test_a_less_disruptive_action_is_not_taken_afterwards() -> None:
    assert escalation.next_step(raw(step("wait"), stop(1, False)), taken("start"))["action"] is None


def test_after_a_gateway_was_ended_what_keeps_it_gets_the_time_to_bring_the_next_one() -> None:
    ended = taken("stop_client", "stop_gateway")
    assert escalation.next_step(raw(step("wait")), ended)["action"] == "wait"
    assert escalation.next_step(raw(step("start")), taken("stop_client", "stop_gateway", "wait"))["action"] == "start"
    assert escalation.next_step(raw(stop(1, False)), taken("stop_client", "stop_gateway", "wait"))["action"] is None


def test_what_may_bring_the_next_gateway_gets_its_time_before_one_is_started_beside_it() -> None:
    """A supervisor, or a parent that nothing names: the plan starts one only if that has brought none."""
    look = raw({**step("wait"), "finding": "gateway_coming_up"}, step("start"))
    assert escalation.next_step(look, taken("stop_gateway"))["action"] == "wait"
    assert escalation.next_step(look, taken("stop_gateway", "wait"))["action"] == "start"


def test_a_gateway_that_nothing_keeps_is_started_at_once_after_its_duplicates_were_ended() -> None:
    assert escalation.next_step(raw(step("wait"), step("start")), taken("stop_gateway"))["action"] == "start"


def test_an_action_whose_only_steps_are_plan_only_is_not_taken() -> None:
    assert escalation.next_step(raw(step("restart"), remediation="plan_only"))["action"] is None


def test_what_was_started_in_a_run_is_not_restarted_in_it() -> None:
    first = escalation.next_step(raw(step("start")))
    assert chosen(escalation.next_step(raw(step("restart")), first)) == (None, [])
    assert chosen(escalation.next_step(raw(step("restart"), step("restart", "paper")), first)) == ("restart", ["paper"])


@pytest.mark.parametrize(("result", "after"), [("failed", "restart"), ("would", None)])
def test_a_soft_restart_that_fails_is_followed_by_a_restart_and_check_mode_predicts_only_the_first(
    result: str, after: Optional[str]
) -> None:
    both = raw(step("soft_restart"), {**step("restart"), "only_if_persists": True})
    first = escalation.next_step(both)
    told = {"outcomes": [{"action": "soft_restart", "gateway": "live", "result": result}]}
    assert first["action"] == "soft_restart"
    assert escalation.next_step(both, first, result=told)["action"] == after


def test_whose_gateway_a_run_has_ended_is_remembered() -> None:
    outcomes = [
        {"action": "stop_gateway", "gateway": "live", "ended": 4711},
        {"action": "stop_gateway", "gateway": "paper", "ended": None},
        {"action": "stop_client", "gateway": "third", "ended": 815},
    ]
    assert escalation.stopped({"log": [{"action": "stop_gateway", "outcomes": outcomes}]}) == ["live"]
    assert escalation.stopped(None) == []


def test_nothing_more_is_done_to_an_entry_on_which_the_host_refused_a_step() -> None:
    both = raw(step("stop_gateway"), step("start"), step("start", "paper"))
    first = escalation.next_step(both)
    second = escalation.next_step(both, first, [{"gateway": "live"}])
    assert chosen(second) == ("start", ["paper"])
    assert chosen(escalation.next_step(raw(step("restart")), second)) == (None, [])
    assert chosen(escalation.next_step(both, None, [{"gateway": "live"}])) == ("start", ["paper"])


def cut(*pids: int, port: int = 50123) -> Dict[str, Any]:
    who = [{"pid": pid, "started_ticks": 10 * pid} for pid in pids]
    return {**step("drop_connection"), "target": {"client_port": port, "client_processes": who}}


def cut_elsewhere(cookie: int, **mark: str) -> Dict[str, Any]:
    """A cut that names no process of the host; mark: the key that says that its client is on another one."""
    ends = {"client": "10.8.0.7", "client_port": 40_001, "cookie": cookie, "client_processes": []}
    return {**step("drop_connection"), "target": {**ends, **mark}}


ELSEWHERE = {"remote_host": "10.8.0.7"}


def stop(pid: int, only_if_persists: bool = True, ticks: Optional[int] = None) -> Dict[str, Any]:
    target = {"pid": pid, "started_ticks": ticks or 10 * pid}
    return {**step("stop_client"), "target": target, "only_if_persists": only_if_persists}


def pids(found: Dict[str, Any]) -> List[int]:
    return [each["target"]["pid"] for each in found["steps"]]


def test_a_script_whose_connection_was_to_be_cut_is_stopped_if_that_did_not_help() -> None:
    crowd = raw(cut(1), cut(2), stop(1), stop(2))
    first = escalation.next_step(crowd)
    assert (first["action"], len(first["steps"])) == ("drop_connection", 2)
    second = escalation.next_step(crowd, first)
    assert (second["action"], pids(second)) == ("stop_client", [1, 2])


def test_who_connects_while_connections_are_cut_is_cut_too_and_only_he() -> None:
    first = escalation.next_step(raw(cut(1), stop(1)))
    second = escalation.next_step(raw(cut(1, port=50999), cut(2), stop(1), stop(2)), first)
    assert second["action"] == "drop_connection"
    assert [each["target"]["client_processes"][0]["pid"] for each in second["steps"]] == [2]
    third = escalation.next_step(raw(cut(1), cut(2), stop(1), stop(2)), second)
    assert (third["action"], pids(third)) == ("stop_client", [1, 2])


def test_who_connects_after_the_second_round_of_cuts_is_left_to_the_next_run() -> None:
    first = escalation.next_step(raw(cut(1), stop(1)))
    second = escalation.next_step(raw(cut(2), stop(2)), first)
    third = escalation.next_step(raw(cut(2), cut(3), stop(2), stop(3)), second)
    assert (third["action"], pids(third)) == ("stop_client", [2])
    assert escalation.next_step(raw(cut(3), stop(3)), second)["action"] is None


def test_a_script_that_has_the_number_of_one_that_was_cut_is_another_script() -> None:
    first = escalation.next_step(raw(cut(1), stop(1)))
    assert escalation.next_step(raw(stop(1, ticks=11)), first)["action"] is None


def test_a_script_that_is_not_to_be_cut_at_all_is_stopped_uncut() -> None:
    assert pids(escalation.next_step(raw(stop(1, only_if_persists=False)))) == [1]


def test_a_connection_that_somebody_new_holds_as_well_is_cut_again() -> None:
    first = escalation.next_step(raw(cut(1)))
    assert escalation.next_step(raw(cut(1, 2)), first)["action"] == "drop_connection"


def test_a_client_that_the_plan_has_on_another_host_is_cut_and_each_of_its_connections_once() -> None:
    first = escalation.next_step(raw(cut_elsewhere(7, **ELSEWHERE)))
    assert (first["action"], [each["target"]["cookie"] for each in first["steps"]]) == ("drop_connection", [7])
    second = escalation.next_step(raw(cut_elsewhere(7, **ELSEWHERE), cut_elsewhere(8, **ELSEWHERE)), first)
    assert [each["target"]["cookie"] for each in second["steps"]] == [8]
    assert escalation.next_step(raw(cut_elsewhere(7, **ELSEWHERE)), first)["action"] is None


def test_a_cut_that_names_neither_a_process_nor_another_host_is_never_taken() -> None:
    assert escalation.next_step(raw(cut_elsewhere(7)))["action"] is None


def test_the_plan_of_a_vanished_peer_has_its_step_taken_and_that_of_a_silent_one_has_none() -> None:
    gone = connection(remote_host="10.8.0.7", client="10.8.0.7", lost_for=900.0, cookie=7)
    for one, expected in ((gone, "drop_connection"), (gone._replace(lost_for=None, idle=9e4), None)):
        look = health((spec(), snapshot(gateway(), listener(), one), None))
        assert escalation.next_step(look)["action"] == expected


# --- a closed port, seen twice ---------------------------------------------------------------------------------------

CLOSED = step("wait", finding="not_listening")
HOLDS = {**stop(1), "finding": "not_listening"}


def waited(answer: str, name: str = "live") -> Dict[str, Any]:
    """What ib_gateway_wait returns."""
    return {"gateways": [{"name": name, "answer": answer}], "outcomes": []}


def actions_of(*looks: Dict[str, Any], result: Optional[Dict[str, Any]] = None) -> List[Optional[str]]:
    """The action after each of these looks of one run. result: what the first one came to."""
    now = escalation.next_step(looks[0])
    found = [now["action"]]
    for at, look in enumerate(looks[1:]):
        now = escalation.next_step(look, now, result=None if at else result)
        found.append(now["action"])
    return found


def test_nothing_is_ended_for_a_closed_port_before_it_was_waited_for_and_all_of_it_if_it_stays_closed() -> None:
    look = raw(CLOSED, HOLDS, step("restart"))
    assert actions_of(look, look, look, look, result=waited("not_listening")) == [
        *("wait", "stop_client", "restart", None)
    ]


def test_a_port_that_opens_while_it_is_waited_for_ends_the_repair() -> None:
    assert actions_of(raw(CLOSED, HOLDS, step("restart")), raw(), result=waited("listening")) == ["wait", None]


def test_a_port_that_opened_and_is_closed_again_has_not_stayed_closed_and_is_left_to_the_next_run() -> None:
    look = raw(CLOSED, HOLDS, step("restart"))
    assert actions_of(look, look, result=waited("listening")) == ["wait", None]
    open_again = raw(cut(1), stop(1), step("restart"))
    assert actions_of(look, open_again, look, result=waited("not_listening")) == ["wait", "drop_connection", None]


def test_a_port_that_closes_in_the_midst_of_a_run_is_waited_for_before_anything_is_ended_for_it() -> None:
    look = raw(CLOSED, HOLDS, step("restart"))
    assert actions_of(raw(cut(2), stop(2), step("restart")), look, look, look) == [
        *("drop_connection", "wait", "stop_client", "restart")
    ]
    assert actions_of(raw(step("stop_gateway")), look, raw(CLOSED, step("restart"))) == [
        *("stop_gateway", "wait", "restart")
    ]


@pytest.mark.parametrize("finding", ["gateway_coming_up", "gateway_starting", "gateway_not_running", "login_pending"])
def test_what_follows_a_closed_port_by_itself_is_waited_for_too_and_no_second_gateway_is_started(finding: str) -> None:
    """In its nightly restart a gateway closes its port some seconds before it ends."""
    gone = raw(step("wait", finding=finding), step("start"))
    assert actions_of(raw(CLOSED, step("restart")), gone, gone, result=waited("ended")) == ["wait", "wait", "start"]


def test_what_this_run_has_ended_for_its_closed_port_is_started_without_another_wait() -> None:
    outcome = {"action": "stop_gateway", "gateway": "live", "ended": 4711, "result": "done"}
    look, gone = raw(CLOSED, step("stop_gateway")), raw(step("wait", finding="gateway_not_running"), step("start"))
    second = escalation.next_step(look, escalation.next_step(look), result=waited("not_listening"))
    assert second["action"] == "stop_gateway"
    assert escalation.next_step(gone, second, result={"outcomes": [outcome]})["action"] == "start"
    kept = raw(step("wait", finding="gateway_coming_up"))
    assert escalation.next_step(kept, second, result={"outcomes": [outcome]})["action"] == "wait"


def test_the_wait_for_one_gateway_s_port_is_no_second_look_at_another_one() -> None:
    first = raw(CLOSED, step("restart"))
    both = raw(step("restart"), step("wait", "paper", "not_listening"), step("restart", "paper"))
    assert actions_of(first, both, both) == ["wait", "wait", "restart"]


WAITED_FOR = ("not_listening", "gateway_not_running", "gateway_coming_up", "gateway_starting")
STEPS = st.one_of(
    st.builds(step, st.just("wait"), st.sampled_from(["live", "paper"]), st.sampled_from(WAITED_FOR)),
    st.just(HOLDS),
    st.builds(
        step,
        st.sampled_from(["wait", "reconnect", "stop_gateway", "soft_restart", "start", "restart"]),
        st.sampled_from(["live", "paper"]),
    ),
    st.builds(cut, st.integers(1, 3)),
    st.builds(cut_elsewhere, st.integers(1, 3), remote_host=st.just("10.8.0.7")),
    st.builds(stop, st.integers(1, 3)),
)
HEALTHS = st.lists(
    st.builds(
        lambda found, remediation: raw(*found, remediation=remediation),
        st.lists(STEPS, max_size=4),
        st.sampled_from(["auto", "auto", "plan_only"]),
    ),
    min_size=18,
    max_size=18,
)


@settings(deadline=None)
@given(HEALTHS)
@example([raw(step("stop_gateway", "live")), raw(step("wait", "live")), *[raw()] * 16])
def test_whatever_the_looks_say_a_repair_escalates_and_ends(looks: List[Dict[str, Any]]) -> None:
    escalated: List[str] = []
    cut_before: List[List[int]] = []
    waited_for: List[Tuple[str, Optional[str]]] = []
    now = escalation.next_step(looks[0])
    for look in looks[1:]:
        if now["action"] is None:
            break
        escalated.append(now["action"])
        for each in now["steps"]:
            if each["action"] == "stop_client" and not (
                each.get("finding") and ("live", each["finding"]) in waited_for
            ):
                assert [each["target"]["pid"], each["target"]["started_ticks"]] in cut_before
            if each["action"] == "drop_connection":
                cut_before += [[who["pid"], who["started_ticks"]] for who in each["target"]["client_processes"]]
        waited_for += {(each["gateway"], each.get("finding")) for each in now["steps"] if each["action"] == "wait"}
        now = escalation.next_step(look, now)
    assert now["action"] is None
    # What calls for a wait may come about at any time: that is waited for, each once, and nothing else goes back.
    onward = [each for each in escalated if each != "wait"]
    assert onward == sorted(onward, key=ORDER.index)
    assert len([each for each in onward if each != "drop_connection"]) == len(set(onward) - {"drop_connection"})
    assert escalated.count("drop_connection") <= 2
    assert len(set(waited_for)) == len(waited_for) or "stop_gateway" in escalated


# --- in words --------------------------------------------------------------------------------------------------------


def test_a_plan_is_told_line_by_line() -> None:
    assert plan_text.lines(health(FINE)) == []
    assert plan_text.lines(health(DOWN, FINE)) == [
        "live is unhealthy: no gateway process for live is running",
        "  start live by unit ibgateway.service: no gateway is running",
        "    cost: ends no session; a login, and a second factor is to be expected; "
        "no session can be had for up to 120 s",
    ]


def test_a_plan_that_is_only_shown_says_so() -> None:
    lines = plan_text.lines(health((spec(remediation="plan_only"), snapshot(), None)))
    assert lines[1].endswith("(plan_only: shown, not done)")


def test_what_is_withheld_is_told_with_its_reason() -> None:
    lines = plan_text.lines(health((spec(service=None), snapshot(), None)))
    assert lines[1].startswith("  not done: ") and "start_command" in lines[1]


def test_a_step_that_waits_for_another_one_says_so() -> None:
    duplicate = (spec(), snapshot(gateway(**UNIT), gateway(SECOND), listener()), probe("stalled"))
    lines = plan_text.lines(health(duplicate))
    assert lines[1].startswith("  stop gateway pid %d of trader (/opt/jre/bin/java" % SECOND)
    assert sum(line.startswith("  if it persists, restart live") for line in lines) == 1


UPSTREAM = (spec(), snapshot(gateway(), listener()), probe(notices=(1100,)))
BY_COMMAND = (spec(service=None, start_command=("/opt/start",)), snapshot(), None)
CUT = (
    spec(),
    snapshot(gateway(), listener(), script(age=60.0), script(817), connection(SCRIPT, cookie=7), connection(817)),
    None,
)


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (STARTING, "wait for port 4001 to open"),
        (UPSTREAM, "wait for the broker's link"),
        (CROWDED, "stop script pid %d of trader (python3 bot.py)" % SCRIPT),
        (DOWN, "start live by unit ibgateway.service"),
        (STALLED, "restart stalled by unit ibgateway.service"),
    ],
)
def test_each_step_is_described_in_words(look: Tuple[Any, Any, Any], words: str) -> None:
    assert [actions.describe(each) for each in escalation.steps(health(look))] == [words]


def test_a_start_by_command_comes_after_a_second_look() -> None:
    assert [actions.describe(each) for each in escalation.steps(health(BY_COMMAND))] == [
        "wait for port 4001 to open",
        "start live by its start_command",
    ]


def test_a_cut_is_described_by_who_holds_the_connection() -> None:
    assert [actions.describe(each) for each in escalation.steps(health(CUT))] == [
        "cut the connection of pid %d of trader (python3 bot.py) to port 4001" % SCRIPT,
        "stop script pid %d of trader (python3 bot.py)" % SCRIPT,
    ]
    assert escalation.next_step(health(CUT))["action"] == "drop_connection"


def test_in_check_mode_the_gateways_that_would_have_been_stopped_are_taken_as_stopped() -> None:
    first = escalation.next_step(raw(step("stop_gateway")))
    ended = {"action": "stop_gateway", "gateway": "live", "target": {"pid": 7}, "result": "would", "reason": ""}
    result = {"outcomes": [ended, {**ended, "result": "refused", "target": {"pid": 8}}], "health": {}, "invocation": {}}
    second = escalation.next_step(None, first, (), result)
    assert second["log"] == [{"action": "stop_gateway", "outcomes": result["outcomes"]}]
    assert escalation.assume_stopped(second) == [7] and escalation.assume_stopped(None) == []
