"""How a repair climbs: which rung of a host's plan comes next. Pure; works on what ib_gateway_health returns."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ...ib_gateway.base.plan import DROP_CONNECTION, RESTART, RUNGS, START, STOP_CLIENT
from ...ib_gateway.base.redaction import short

Health = Mapping[str, Any]
#: How often a run may cut connections.
_MOST_CUTS = 2


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


def climb(
    health: Optional[Health], before: Optional[Mapping[str, Any]] = None, withheld: Sequence[Mapping[str, Any]] = ()
) -> Dict[str, Any]:
    """The rung to take now: the lowest above those taken that the newest look's plan has a step on.

    health: the newest look. before: what this returned for the rung that was just taken; None at the foot. withheld:
    what the host refused since, [{gateway}]: nothing more is done to those entries in this run.

    Returns {rung, steps, taken, held, started, cut}: the rung, None when the climb is over; its steps; and what the run
    has to remember: the rungs taken, the entries held and started, the [pid, started_ticks] whose connection was to be
    cut. Each rung is taken once, whatever the looks in between say, so that a run ends and a restart happens once or
    not at all. Only cuts are taken twice: who connects while they are made is cut too, and never stopped uncut.
    """
    last = before or {"rung": None, "steps": [], "taken": [], "held": [], "started": [], "cut": []}
    now: Dict[str, Any] = {
        "taken": last["taken"] + ([last["rung"]] if last["rung"] else []),
        "held": last["held"] + [each["gateway"] for each in withheld],
        "started": last["started"] + [each["gateway"] for each in last["steps"] if each["action"] == START],
        "cut": last["cut"]
        + [who for each in last["steps"] if each["action"] == DROP_CONNECTION for who in _held(each)],
    }
    possible = [step for step in steps(health) if _may_be_taken(step, now)]
    rung = next((each for each in _above(now["taken"]) if any(step["action"] == each for step in possible)), None)
    return {**now, "rung": rung, "steps": [step for step in possible if step["action"] == rung]}


def _above(taken: Sequence[str]) -> Tuple[str, ...]:
    if not taken:
        return RUNGS
    again = taken[-1] == DROP_CONNECTION and taken.count(DROP_CONNECTION) < _MOST_CUTS
    return RUNGS[RUNGS.index(taken[-1]) + (0 if again else 1) :]


def _may_be_taken(step: Mapping[str, Any], past: Mapping[str, Any]) -> bool:
    """Whether what this run has done before leaves the step open."""
    if step["gateway"] in past["held"]:
        return False
    if step["action"] == RESTART:  # what was started is not restarted too: a second login for the same cure
        return step["gateway"] not in past["started"]
    if step["action"] == DROP_CONNECTION:
        return any(who not in past["cut"] for who in _held(step))
    if step["action"] == STOP_CLIENT and step["only_if_persists"]:  # its connection is cut before it is signalled
        return _who(step["target"]) in past["cut"]
    return True


def _held(step: Mapping[str, Any]) -> List[List[int]]:
    """Who holds the connection that a step is to cut."""
    return [_who(each) for each in step["target"]["client_processes"]]


def _who(process: Mapping[str, Any]) -> List[int]:
    return [process["pid"], process["started_ticks"]]


def lines(health: Optional[Health]) -> List[str]:
    """The plan of a host as a person reads it: a line for each step, and for each thing that is withheld."""
    found: List[str] = []
    for gateway in (health or {}).get("gateways", ()):
        plan = gateway["plan"]
        if gateway["status"] != "healthy":
            found.append("%s is %s: %s" % (gateway["name"], gateway["status"], gateway["summary"]))
        plan_only = " (plan_only: shown, not done)" if gateway["remediation"] == "plan_only" else ""
        for step in plan["steps"]:
            condition = "if it persists, " if step["only_if_persists"] else ""
            found.append("  %s%s: %s%s" % (condition, describe(step), step["reason"], plan_only))
        found.extend("  not done: %s" % reason for reason in plan["withheld"])
    return found


def describe(step: Mapping[str, Any]) -> str:
    """One step in words: what is done, and to whom."""
    target = step["target"]
    if step["action"] == "drop_connection":
        held = " and ".join("pid %d of %s (%s)" % _named(each) for each in target["client_processes"])
        return "cut the connection of %s to port %d" % (held, target["port"])
    if step["action"] in ("stop_client", "stop_gateway"):
        what = "script" if step["action"] == "stop_client" else "gateway"
        return "stop %s pid %d of %s (%s)" % (what, *_named(target))
    if step["action"] == "wait":
        what = "port %d to open" % target["port"] if target["for"] == "listener" else "the broker's link"
        return "wait for %s" % what
    means = "unit %s" % target["service"] if target.get("service") else "its start_command"
    return "%s %s by %s" % (step["action"], step["gateway"], means)


def _named(process: Mapping[str, Any]) -> Tuple[int, str, str]:
    return process["pid"], process["user"], short(process["command"])
