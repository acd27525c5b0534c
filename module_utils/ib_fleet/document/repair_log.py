"""What a repair did, from what its modules returned to the lines a person reads. Pure; runs on the controller."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ...ib_gateway.base.actions import describe, tell
from ...ib_gateway.base.outcome import WOULD

_ESCALATION, _RESULT = "ib_gateway_repair_escalation", "ib_gateway_repair_result"
#: What modules return beside the outcomes, as documents have had it from the beginning.
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
    """What the repair did on a host, in the order it was done: {action, changed, outcomes, error?} and lists."""
    now, last = facts.get(_ESCALATION), facts.get(_RESULT)
    if not isinstance(now, Mapping) or "log" not in now:  # nothing was tried, or what was told was not believed
        return []
    found = [_row(each["action"], each) for each in now["log"]]
    if now["action"] and isinstance(last, Mapping) and (last.get("failed") or last.get("unreachable")):
        found.append(_row(now["action"], last))  # the module that failed ended the repair, so nobody has logged it
    return found


def _row(action: str, result: Mapping[str, Any]) -> Dict[str, Any]:
    row: Dict[str, Any] = {
        "action": action,
        "changed": bool(result.get("changed")),
        "outcomes": [dict(each) for each in result.get("outcomes") or ()],
    }
    row.update({key: list(result[key]) for key in _LISTS if result.get(key)})
    if result.get("failed") or result.get("unreachable"):
        row["error"] = str(result.get("msg") or "it failed, and gave no reason")
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


def told(act: Mapping[str, Any], health: Optional[Mapping[str, Any]] = None) -> List[str]:
    """What an action came to, a line for each process, connection or gateway.

    health: the look whose plan it followed. What it has for the case that the steps before do not help is told so.
    """
    last = {
        describe(step)
        for gateway in (health or {}).get("gateways", ())
        for step in gateway["plan"]["steps"]
        if step["only_if_persists"]
    }
    found = [
        tell(each) + (", if it persists" if each["result"] == WOULD and describe(each) in last else "")
        for each in act.get("outcomes", ())
    ]
    if "outcomes" not in act and act["changed"]:  # written by a version that had no outcomes
        found.append("done: %s" % act["action"].replace("_", " "))
    if act.get("error"):
        found.append("failed: %s: %s" % (act["action"].replace("_", " "), act["error"]))
    return found
