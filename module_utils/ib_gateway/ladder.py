"""How a repair climbs: which rung of a host's plan comes next. Pure; works on what ib_gateway_health returns."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.ib_gateway.model import RESTART, RUNGS
from ansible.module_utils.ib_gateway.recognition import MAIN_CLASSES

Health = Mapping[str, Any]


def steps(
    health: Optional[Health], action: Optional[str] = None, spent: Sequence[str] = (), held: Sequence[str] = ()
) -> List[Dict[str, Any]]:
    """The steps that may be acted on, of one action or of all, over all entries of a host.

    Entries that are plan_only give none. spent: names of entries that were started in this run; they are not
    restarted as well, because that would cost a second login for the same cure. held: names of entries on which the
    host refused a step; nothing more is done to them in this run.
    """
    found: List[Dict[str, Any]] = []
    for gateway in (health or {}).get("gateways", ()):
        if gateway["remediation"] == "plan_only" or gateway["name"] in held:
            continue
        for step in gateway["plan"]["steps"]:
            if action in (None, step["action"]) and not (step["action"] == RESTART and step["gateway"] in spent):
                found.append(step)
    return found


def known_served(health: Optional[Health]) -> List[Dict[str, int]]:
    """The gateways of a look that were seen to have served: what the next look of the same run has to know."""
    return [dict(process) for gateway in (health or {}).get("gateways", ()) for process in gateway["served_before"]]


def next_rung(
    health: Optional[Health], after: Optional[str] = None, spent: Sequence[str] = (), held: Sequence[str] = ()
) -> Optional[str]:
    """The lowest rung above `after` that the plan has a step on; None when the climb is over.

    Each rung is climbed at most once in a run, whatever the looks in between say: that bounds the run, and a restart
    happens once or not at all.
    """
    above = RUNGS[RUNGS.index(after) + 1 :] if after else RUNGS
    wanted = {step["action"] for step in steps(health, spent=spent, held=held)}
    return next((rung for rung in above if rung in wanted), None)


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
        held = " and ".join("pid %d of %s (%s)" % _who(each) for each in target["client_processes"])
        return "cut the connection of %s to port %d" % (held, target["port"])
    if step["action"] in ("stop_client", "stop_gateway"):
        what = "script" if step["action"] == "stop_client" else "gateway"
        return "stop %s pid %d of %s (%s)" % (what, *_who(target))
    if step["action"] == "wait":
        what = "port %d to open" % target["port"] if target["for"] == "listener" else "the broker's link"
        return "wait for %s" % what
    means = "unit %s" % target["service"] if target.get("service") else "its start_command"
    return "%s %s by %s" % (step["action"], step["gateway"], means)


def _who(process: Mapping[str, Any]) -> Tuple[int, str, str]:
    return process["pid"], process["user"], short(process["command"])


def short(command: Sequence[str], limit: int = 100) -> str:
    """A redacted command line that fits a line of output: of a gateway what makes it one, of paths the last part."""
    line = " ".join(command)
    if len(line) > limit:
        main_class = next((word for word in command if word in MAIN_CLASSES), None)
        names = [word.rpartition("/")[2] if word.startswith("/") else word for word in command]
        line = "%s ... %s" % (names[0], main_class) if main_class else " ".join(names)
    return line if len(line) <= limit else line[: limit - 3] + "..."
