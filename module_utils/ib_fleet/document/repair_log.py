"""What a repair did, from what its modules registered to the lines a person reads. Pure; runs on the controller."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ...ib_gateway.base.plan import DROP_CONNECTION, RUNGS, WAIT
from ...ib_gateway.base.redaction import short

#: What registers a result, and the step it is of, in the order in which a repair takes them. Cuts come in two rounds.
_REGISTERED = (
    ("ib_gateway_repair_first_cuts", DROP_CONNECTION),
    *(("ib_gateway_repair_%s" % rung, rung) for rung in RUNGS if rung != WAIT),
)
_LISTS = (
    "dropped",
    "unsupported",
    "stopped",
    "already_gone",
    "refused",
    "started",
    "already_running",
    "not_started",
    "restarted",
    "not_restarted",
    "withheld",
)


def done(facts: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What the repair did on a host, in the order it was done: {action, changed, error?} and lists by outcome."""
    found = []
    for name, action in _REGISTERED:
        result = facts.get(name)
        if isinstance(result, Mapping) and not result.get("skipped"):
            found.append(_act(action, result))
    return found


def _act(action: str, result: Mapping[str, Any]) -> Dict[str, Any]:
    row: Dict[str, Any] = {"action": action, "changed": bool(result.get("changed"))}
    row.update({key: list(result[key]) for key in _LISTS if result.get(key)})
    if result.get("failed"):
        row["error"] = str(result.get("msg", "failed"))
    return row


def repair(facts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """How the repair of a host began and ended: {begun, reason, refused, ended}; None where none was tried.

    ended: {succeeded, failed, lifted, reason}, names of gateways; None where nothing was written down.
    """
    begin, end = facts.get("ib_gateway_repair_begin"), facts.get("ib_gateway_repair_end")
    if not isinstance(begin, Mapping):
        return None
    return {
        "begun": bool(begin.get("begun")),
        "reason": str(begin.get("reason") or begin.get("msg") or ""),
        "refused": list(begin.get("refused") or ()),
        "ended": _ended(end) if isinstance(end, Mapping) and "succeeded" in end else None,
    }


def _ended(end: Mapping[str, Any]) -> Dict[str, Any]:
    """The module says `unsuccessful`, because Ansible would take `failed` for a failure of the module itself."""
    return {
        "succeeded": list(end.get("succeeded") or ()),
        "failed": list(end.get("unsuccessful") or ()),
        "lifted": list(end.get("lifted") or ()),
        "reason": str(end.get("reason") or ""),
    }


def told(act: Mapping[str, Any], check_mode: bool) -> List[str]:
    """What was done, a line for each process, connection or gateway."""
    would = "would have " if check_mode else ""
    found = []
    for row in act.get("dropped", ()):
        found.append("%scut the connection of %s" % (would, _peer(row)))
    for row in act.get("stopped", ()):
        found.append("%sstopped pid %d of %s: %s" % (would, row["pid"], row["user"], short(row["command"])))
    for row in act.get("refused", ()):
        found.append("left %s alone: %s" % (_whom(row), row["reason"]))
    for row in act.get("unsupported", ()):
        found.append("did not cut the connection of %s: %s" % (_peer(row), row["reason"]))
    for row in act.get("started", ()):
        found.append("%sstarted %s%s" % (would, row["name"], _by(row)))
    for row in act.get("restarted", ()):
        found.append("%srestarted %s%s" % (would, row["name"], _by(row)))
    for key in ("not_started", "not_restarted"):
        found.extend("%s %s: %s" % (key.replace("_", " "), row["name"], row["reason"]) for row in act.get(key, ()))
    for row in act.get("withheld", ()):
        found.append("did not %s on %s: %s" % (row["action"], row["gateway"], row["reason"]))
    if act.get("error"):
        found.append("failed: %s" % act["error"])
    return found


def _by(row: Mapping[str, Any]) -> str:
    return " by unit %s" % row["unit"] if row.get("unit") else ""


def _whom(row: Mapping[str, Any]) -> str:
    if row.get("pid"):
        return "pid %d" % row["pid"]
    return "the connection of %s" % _peer(row) if row.get("client_port") else str(row.get("name"))


def _peer(row: Mapping[str, Any]) -> str:
    return "%s:%d to port %d" % (row["client"], row["client_port"], row["port"])
