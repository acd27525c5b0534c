"""How a repair escalates: which step of a host's plan comes next. Pure; works on what ib_gateway_health returns."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ...ib_gateway.base.actions import (
    BY_NAME,
    DROP_CONNECTION,
    ORDER,
    RESTARTS,
    START,
    STOP_CLIENT,
    STOP_GATEWAY,
    WAIT,
)
from ...ib_gateway.base.findings import GATEWAY_COMING_UP, GATEWAY_NOT_RUNNING, NOT_LISTENING
from ...ib_gateway.base.outcome import WOULD

Health = Mapping[str, Any]
_COMING_UP = GATEWAY_COMING_UP.code
_NOT_RUNNING = GATEWAY_NOT_RUNNING.code
_NOT_LISTENING = NOT_LISTENING.code
#: What a run remembers of the actions before.
_MEMORY = ("taken", "left_alone", "started", "waited", "reopened", "cut", "log")


def steps(health: Optional[Health]) -> List[Dict[str, Any]]:
    """The steps that may be acted on, over all entries of a host. Entries that are plan_only give none."""
    return [
        step
        for gateway in (health or {}).get("gateways", ())
        if gateway["remediation"] != "plan_only"
        for step in gateway["plan"]["steps"]
    ]


def known_served(health: Optional[Health]) -> List[Dict[str, int]]:
    """The gateways of a look that were seen to have served: what the next look of the same run has to know."""
    return [dict(process) for gateway in (health or {}).get("gateways", ()) for process in gateway["served_before"]]


def next_step(
    health: Optional[Health],
    before: Optional[Mapping[str, Any]] = None,
    blocked: Sequence[Mapping[str, Any]] = (),
    result: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """The action to take now: the least disruptive one above those taken that the newest look's plan has a step of.

    health: the newest look. before: what this returned for the action that was just taken; None at the beginning.
    blocked: what was not admitted since, [{gateway}]: nothing more is done to those entries in this run. result: what
    the module returned that was just run.

    Returns {action, steps, taken, left_alone, started, waited, reopened, cut, log}: the action, None when the repair is
    over; its steps; and what the run has to remember: the actions taken, the entries that were left alone and started,
    the [entry, finding] that were waited for, the entries whose closed port has not stayed so since it was waited for,
    the [pid, started_ticks], or [address, port, cookie] of another host's client, whose connection was to be cut, and
    what each action came to, [{action, ...result}]. Each action is
    taken once, whatever the looks in between say, so that a run ends and a restart happens once or not at all. Only
    connections are cut in two rounds: a script that connects during the first has its own cut in the second, and
    nobody is stopped whose connection was not cut before, or whose gateway's closed port was not waited for. And a
    wait comes again where an entry's state has become another one that calls for it.
    """
    last = before or {"action": None, **{key: [] for key in ("steps", *_MEMORY)}}
    taken = last["steps"]
    now: Dict[str, Any] = {
        "taken": last["taken"] + ([last["action"]] if last["action"] else []),
        "left_alone": last["left_alone"] + [each["gateway"] for each in blocked],
        "started": last["started"] + [each["gateway"] for each in taken if each["action"] == START],
        "waited": last["waited"] + [_waited(each) for each in taken if each["action"] == WAIT],
        "cut": last["cut"] + [who for each in taken if each["action"] == DROP_CONNECTION for who in _holders(each)],
        "log": last["log"] + ([_entry(last["action"], result)] if last["action"] and result is not None else []),
    }
    every = steps(health)
    closed = {step["gateway"] for step in every if step["action"] == WAIT and step.get("finding") == _NOT_LISTENING}
    now["left_alone"] += [name for name in closed if name in _opened(taken, result) or name in last["reopened"]]
    now["reopened"] = last["reopened"] + [
        name for name, code in now["waited"] if code == _NOT_LISTENING and name not in closed
    ]
    acted_on = {step["gateway"] for step in every if step["action"] != WAIT}
    kept = {step["gateway"] for step in every if step["action"] == WAIT and step.get("finding") == _COMING_UP}
    past = {**now, "waiting": ({step["gateway"] for step in every} - acted_on) | kept}
    possible = [step for step in every if _may_be_taken(step, past)]
    above = _above(now["taken"])
    action = next((each for each in above if any(step["action"] == each for step in possible)), None)
    return {**now, "action": action, "steps": [step for step in possible if step["action"] == action]}


def _opened(taken: Sequence[Mapping[str, Any]], result: Optional[Mapping[str, Any]]) -> List[str]:
    """The entries whose closed port opened while it was waited for."""
    waited = [each["gateway"] for each in taken if each["action"] == WAIT and each.get("finding") == _NOT_LISTENING]
    answers = (result or {}).get("gateways", ()) if waited else ()
    return [each["name"] for each in answers if each["name"] in waited and each["answer"] == "listening"]


def _entry(action: str, result: Mapping[str, Any]) -> Dict[str, Any]:
    """What an action came to, without the look that followed it."""
    return {"action": action, **{key: value for key, value in result.items() if key not in ("health", "invocation")}}


def _above(taken: Sequence[str]) -> Sequence[str]:
    """The actions that may still be taken, least disruptive first; a wait is never ruled out by what was done."""
    done = [each for each in taken if each != WAIT]
    if not done:
        return ORDER
    highest = max(done, key=ORDER.index)
    again = done[-1] == highest and done.count(highest) < BY_NAME[highest].most_times
    return (WAIT, *ORDER[ORDER.index(highest) + (0 if again else 1) :])


def _may_be_taken(step: Mapping[str, Any], past: Mapping[str, Any]) -> bool:
    """Whether what this run has done before leaves the step open."""
    if step["gateway"] in past["left_alone"]:
        return False
    if step["action"] == WAIT:
        return not past["taken"] or _may_be_waited_for(step, past)
    if step.get("only_if_persists") and _predicted(step, past):
        return False
    if step["action"] in RESTARTS:  # what was started is not restarted too: a second login for the same cure
        return step["gateway"] not in past["started"]
    if step["action"] == DROP_CONNECTION:
        return any(who not in past["cut"] for who in _holders(step))
    if step["action"] == STOP_CLIENT and step["only_if_persists"]:
        # Its connection is cut before it is signalled; where that is of no use, the port has had time to open again.
        waited = step.get("finding") == _NOT_LISTENING and _waited(step) in past["waited"]
        return waited or _who(step["target"]) in past["cut"]
    return True


def _may_be_waited_for(step: Mapping[str, Any], past: Mapping[str, Any]) -> bool:
    """Whether a wait is taken although actions were taken before.

    Nothing is ended for a closed port, nor started for a missing gateway, that were not seen so in two looks: also
    where that came about during the run. What has followed a closed port by itself is waited for as well. After a
    gateway was ended what keeps it brings the next one, and nothing is started before that had its time.
    """
    name, known = step["gateway"], _waited(step) in past["waited"]
    ended = name in stopped(past)
    if past["taken"][-1] == STOP_GATEWAY and name in past["waiting"] and (ended or not known):
        return True
    if known or step.get("finding") == _NOT_LISTENING:
        return not known
    for_its_port = [finding == _NOT_LISTENING for each, finding in past["waited"] if each == name]
    by_itself = not ended and name not in past["started"]
    return by_itself and all(for_its_port) and (bool(for_its_port) or step.get("finding") == _NOT_RUNNING)


def _waited(step: Mapping[str, Any]) -> List[Any]:
    """What a wait is for: the entry, and the finding because of which."""
    return [step["gateway"], step.get("finding")]


def _predicted(step: Mapping[str, Any], past: Mapping[str, Any]) -> bool:
    """Whether check mode has said that the gateway would be restarted; nothing tells then that it would not help."""
    return any(
        outcome["gateway"] == step["gateway"] and outcome["action"] in RESTARTS and outcome["result"] == WOULD
        for each in past["log"]
        for outcome in each.get("outcomes", ())
    )


def _holders(step: Mapping[str, Any]) -> List[List[Any]]:
    """Who holds the connection that a step is to cut: processes of the host, or a client that the plan has elsewhere.

    Nobody where the plan says neither: such a step is not taken.
    """
    target = step["target"]
    if target["client_processes"] or not target.get("remote_host"):
        return [_who(each) for each in target["client_processes"]]
    return [[target["remote_host"], target.get("client_port"), target.get("cookie")]]


def _who(process: Mapping[str, Any]) -> List[int]:
    return [process["pid"], process["started_ticks"]]


def stopped(now: Optional[Mapping[str, Any]]) -> List[str]:
    """The names of the entries whose gateway this run has ended."""
    return [
        outcome["gateway"]
        for each in (now or {}).get("log", ())
        for outcome in each.get("outcomes", ())
        if outcome["action"] in (STOP_GATEWAY, *RESTARTS) and outcome["ended"]
    ]


def assume_stopped(now: Optional[Mapping[str, Any]]) -> List[int]:
    """The pids of gateways that a run in earnest would have stopped by now: what a step in check mode has to assume."""
    return [
        outcome["target"]["pid"]
        for each in (now or {}).get("log", ())
        for outcome in each.get("outcomes", ())
        if outcome["action"] == STOP_GATEWAY and outcome["result"] == WOULD
    ]
