"""The fleet's document: every declared host, what was found, done and proven. Pure; runs on the controller."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible.module_utils.ib_gateway.ladder import describe, short

SCHEMA = "ib-fleet/1"
TOOL_VERSION = "0.1.0"
#: From best to worst; a host that was not reached is the last.
STATUSES = ("healthy", "degraded", "unknown", "unhealthy", "unreachable")
#: By ib_sweep_fail_on: the statuses that make the exit code say no.
FAILING = {
    "never": (),
    "unknown": ("degraded", "unknown", "unhealthy", "unreachable"),
    "degraded": ("degraded", "unhealthy", "unreachable"),
    "unhealthy": ("unhealthy", "unreachable"),
}
#: What the repair registers, in the order in which it does it, and the step it belongs to.
_ACTS = (
    ("stop_client", "stop_client"),
    ("stop_gateway", "stop_gateway"),
    ("start_service", "start"),
    ("start", "start"),
    ("restart_service", "restart"),
    ("restart", "restart"),
    ("restart_start_service", "restart"),
    ("restart_start", "restart"),
)
_LISTS = ("stopped", "already_gone", "refused", "started", "already_running")

Result = Optional[Mapping[str, Any]]


def host_document(name: str, facts: Mapping[str, Any]) -> Dict[str, Any]:
    """One host's part. facts: the host's variables after the run; what a role did not register is missing there."""
    before, after = facts.get("ib_gateway_diagnose_result"), facts.get("ib_gateway_verify_result")
    last = after or before
    status = _status(last)
    return {
        "name": name,
        "reached": status != "unreachable",
        "status": status,
        "reason": _reason(last),
        "before": _health(before),
        "done": _done(facts),
        "after": _health(after),
    }


def _usable(result: Result) -> bool:
    return bool(result) and isinstance(result, Mapping) and "gateways" in result and "status" in result


def _status(result: Result) -> str:
    """What is known of a host; a look that failed, or was never taken, is unknown and never healthy."""
    if result and result.get("unreachable"):
        return "unreachable"
    return str(result["status"]) if result and _usable(result) else "unknown"


def _reason(result: Result) -> str:
    if result is None:
        return "the host was not looked at"
    if not _usable(result):
        return str(result.get("msg") or "the look returned nothing that can be judged")
    return "; ".join(each["summary"] for each in result["gateways"] if each["status"] != "healthy")


def _health(result: Result) -> Optional[Dict[str, Any]]:
    """A health result without what Ansible adds to it."""
    if not result or not _usable(result):
        return None
    kept = ("status", "gateways", "undeclared", "proof", "visibility", "taken_at", "elapsed_ms")
    return {key: result[key] for key in kept if key in result}


def _done(facts: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What the repair did, in the order it was done."""
    found = []
    for name, action in _ACTS:
        result = facts.get("ib_gateway_repair_%s" % name)
        if isinstance(result, Mapping) and not result.get("skipped"):
            found.append(_act(action, result))
    return found


def _act(action: str, result: Mapping[str, Any]) -> Dict[str, Any]:
    row: Dict[str, Any] = {"action": action, "changed": bool(result.get("changed"))}
    row.update({key: list(result[key]) for key in _LISTS if result.get(key)})
    services = [_service(each) for each in result.get("results") or () if not each.get("skipped")]
    if services:
        row["services"] = services
    if result.get("failed"):
        row["error"] = str(result.get("msg", "failed"))
    return row


def _service(result: Mapping[str, Any]) -> Dict[str, Any]:
    """One item of a loop over units: the item is the step."""
    item = result.get("item")
    name = item["target"]["service"] if isinstance(item, Mapping) else result.get("name")
    return {"service": name, "changed": bool(result.get("changed"))}


def document(hosts: Sequence[Mapping[str, Any]], context: Mapping[str, Any]) -> Dict[str, Any]:
    """The fleet's document. hosts: host documents; context: kind, generated_at, check_mode."""
    ordered = sorted(hosts, key=lambda host: str(host["name"]))
    counts = {status: sum(host["status"] == status for host in ordered) for status in STATUSES}
    return {
        "schema": SCHEMA,
        "kind": context["kind"],
        "generated_at": context["generated_at"],
        "check_mode": context["check_mode"],
        "tool_version": TOOL_VERSION,
        "summary": {"hosts": len(ordered), "statuses": counts},
        "hosts": list(ordered),
    }


def failing(fleet: Mapping[str, Any], fail_on: str) -> List[str]:
    """The names of the hosts that make the exit code say no."""
    if fail_on not in FAILING:
        raise ValueError("fail_on is %r; use %s" % (fail_on, ", ".join(FAILING)))
    return [host["name"] for host in fleet["hosts"] if host["status"] in FAILING[fail_on]]


def sentence(host: Mapping[str, Any]) -> str:
    """Why a host is not proven healthy, in one line."""
    return "%s is %s: %s" % (host["name"], host["status"], host["reason"] or "no reason known")


def lines(fleet: Mapping[str, Any]) -> List[str]:
    """The document as a person reads it at a terminal."""
    counts = fleet["summary"]["statuses"]
    told = ", ".join("%d %s" % (counts[status], status) for status in STATUSES if counts[status])
    found = ["%d host(s): %s%s" % (fleet["summary"]["hosts"], told, _mode(fleet))]
    for host in fleet["hosts"]:
        found.append("%s: %s%s" % (host["name"], host["status"], _change(host)))
        for act in host["done"]:
            found.extend("  done: " + line for line in _told(act, fleet["check_mode"]))
        health = host["after"] or host["before"]
        if health is None:
            found.append("  %s" % host["reason"])
        else:
            found.extend("  " + line for line in _health_lines(health))
            found.extend("  " + line for line in _open_steps(health))
    return found


def _health_lines(health: Mapping[str, Any]) -> List[str]:
    found: List[str] = []
    for gateway in health["gateways"]:
        told = [each["summary"] for each in gateway["findings"]] or [gateway["summary"]]
        found.extend("%s, %s: %s" % (gateway["name"], gateway["status"], summary) for summary in told)
        found.extend("  not done: %s" % reason for reason in gateway["plan"]["withheld"])
    for stranger in health.get("undeclared", ()):
        found.append("left alone: gateway pid %d of %s fits no entry" % (stranger["pid"], stranger["user"]))
    missing = (health.get("proof") or {}).get("missing")
    if missing:
        found.append("the proof by a real session was not possible: %s" % missing)
    return found


def _open_steps(health: Mapping[str, Any]) -> List[str]:
    """What would still mend it: a sweep's plan, a plan_only entry's, or what a repair left."""
    found: List[str] = []
    for gateway in health["gateways"]:
        for step in gateway["plan"]["steps"]:
            found.append("  would help: %s: %s" % (describe(step), step["reason"]))
    return found


def _mode(fleet: Mapping[str, Any]) -> str:
    return " (check mode: nothing was done)" if fleet["check_mode"] else ""


def _change(host: Mapping[str, Any]) -> str:
    before, after = host["before"], host["after"]
    if not before or not after or before["status"] == after["status"]:
        return ""
    return ", was %s" % before["status"]


def _told(act: Mapping[str, Any], check_mode: bool) -> List[str]:
    would = "would have " if check_mode else ""
    found = []
    for row in act.get("stopped", ()):
        found.append("%sstopped pid %d of %s: %s" % (would, row["pid"], row["user"], short(row["command"])))
    for row in act.get("refused", ()):
        found.append("left pid %d alone: %s" % (row["pid"], row["reason"]))
    for row in act.get("started", ()):
        found.append("%sstarted %s" % (would, row["name"]))
    for row in act.get("services", ()):
        found.append("%s%sed unit %s" % (would, act["action"], row["service"]))
    if act.get("error"):
        found.append("failed: %s" % act["error"])
    return found
