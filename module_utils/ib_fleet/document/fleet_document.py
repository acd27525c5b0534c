"""The fleet's document: every declared host, what was found, done and proven. Pure; runs on the controller."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ...ib_audit.report.document import TOOL_VERSION
from ...ib_gateway.base import findings
from ...ib_gateway.base.actions import describe
from ...ib_gateway.base.outcome import WOULD
from . import blockers, latest, losses, next_commands, plan_text, repair_log, self_healing, setbacks
from .text import counted, harmless, visible

SCHEMA = "ib-fleet/1"
#: The kind of a document that is about scripts alone: no host was looked at.
KIND_AUDIT = "audit"
#: From best to worst; a host that was not reached is the last.
STATUSES = (*(each for each in findings.SEVERITIES if each != findings.INFO), "unreachable")
#: By ib_sweep_fail_on: the statuses that make the exit code say no.
FAILING = {
    "never": (),
    "unknown": ("degraded", "unknown", "unhealthy", "unreachable"),
    "degraded": ("degraded", "unhealthy", "unreachable"),
    "unhealthy": ("unhealthy", "unreachable"),
}
#: Groups with this prefix are made by the run itself and say nothing about the host.
_OWN_GROUPS = "ib_hosts_"
#: So many hosts are told one by one; of a larger fleet those that are healthy and were not touched are only counted.
_TOLD_EACH = 25

Result = Optional[Mapping[str, Any]]


def host_document(name: str, facts: Mapping[str, Any]) -> Dict[str, Any]:
    """One host's part. facts: the host's variables after the run; what a role did not register is missing there."""
    before, after = facts.get("ib_gateway_diagnose_result"), facts.get("ib_gateway_verify_result")
    last = after or before
    status, verdict = _judged(last)
    done = repair_log.done(facts)
    return {
        "name": name,
        "groups": sorted(str(each) for each in facts.get("group_names") or () if not str(each).startswith(_OWN_GROUPS)),
        "reached": status != "unreachable",
        "status": status,
        "verdict": verdict,
        "reason": _reason(last),
        "before": _health(before),
        "done": done,
        "repair": repair_log.repair(facts),
        "after": _health(after),
        "lost": losses.lost(_health(before), _health(after), done),
        "timings": _timings(before, after),
    }


def _usable(result: Result) -> bool:
    return bool(result) and isinstance(result, Mapping) and "gateways" in result and "status" in result


def _judged(result: Result) -> Tuple[str, str]:
    """(status, verdict) of a host; a look that failed, or was never taken, is unknown and never healthy."""
    return latest.seen(result) or ("unknown", "not_judged")


def _timings(before: Result, after: Result) -> Dict[str, Any]:
    """When a host was looked at and proven, and how long that took on the host."""
    look, proof = _health(before) or {}, _health(after) or {}
    return {
        "looked_at": look.get("taken_at"),
        "look_ms": look.get("elapsed_ms"),
        "proven_at": proof.get("taken_at"),
        "proof_ms": proof.get("elapsed_ms"),
    }


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
    kept = ("status", "gateways", "undeclared", "proof", "visibility", "repairs", "looks", "taken_at", "elapsed_ms")
    return {key: result[key] for key in kept if key in result}


def document(hosts: Sequence[Mapping[str, Any]], context: Mapping[str, Any]) -> Dict[str, Any]:
    """The fleet's document. hosts: host documents.

    context: kind, generated_at, check_mode; started_at where it is known; frozen: why the fleet guard kept it back;
    declared: the names that should be in it, by default those that are; audit: that of the scripts, where there is one.
    """
    ordered = sorted((dict(host) for host in hosts), key=lambda host: str(host["name"]))
    for host in ordered:
        host.setdefault("reported_at", context["generated_at"])
    declared = sorted({str(each) for each in context.get("declared") or [host["name"] for host in ordered]})
    return {
        "schema": SCHEMA,
        "kind": context["kind"],
        "started_at": context.get("started_at"),
        "generated_at": context["generated_at"],
        "check_mode": context["check_mode"],
        "frozen": context.get("frozen") or None,
        "tool_version": context.get("tool_version", TOOL_VERSION),
        "summary": {
            "declared": len(declared),
            "hosts": len(ordered),
            "statuses": {status: sum(host["status"] == status for host in ordered) for status in STATUSES},
        },
        "declared": declared,
        "hosts": ordered,
        **({"audit": context["audit"]} if context.get("audit") else {}),
    }


def with_next(fleet: Mapping[str, Any], options: str, typed: Callable[[str], str] = str) -> Dict[str, Any]:
    """The document with what to run next. options and typed: as next_commands() has them."""
    return {**fleet, "next": [each._asdict() for each in next_commands.next_commands(fleet, options, typed)]}


def gaps(fleet: Mapping[str, Any]) -> List[str]:
    """Where the hosts that were declared and those that are in the document are not the same; nothing when they are."""
    declared, reported = set(fleet["declared"]), [host["name"] for host in fleet["hosts"]]
    found = []
    missing, strange = sorted(declared - set(reported)), sorted(set(reported) - declared)
    twice = (
        sorted({name for name in reported if reported.count(name) > 1}) if len(set(reported)) < len(reported) else []
    )
    if missing:
        found.append("declared and not in the report: %s" % _some(missing))
    if strange:
        found.append("in the report and not declared: %s" % _some(strange))
    if twice:
        found.append("more than once in the report: %s" % _some(twice))
    if found:
        found.insert(0, "%s declared and %d in the report" % (counted(len(declared), "host"), len(reported)))
    return found


def _some(names: Sequence[str], limit: int = 10) -> str:
    told = ", ".join(visible(name) for name in names[:limit])
    return told if len(names) <= limit else "%s and %d more" % (told, len(names) - limit)


def failing(fleet: Mapping[str, Any], fail_on: str) -> List[str]:
    """The names of the hosts that make the exit code say no.

    Where the fleet guard holds the run back, also those that mended themselves meanwhile; and always those on which a
    session was lost that no plan had named.
    """
    if fail_on not in FAILING:
        raise ValueError("fail_on is %r; use %s" % (fail_on, ", ".join(FAILING)))
    return [
        host["name"]
        for host in fleet["hosts"]
        if host["status"] in FAILING[fail_on] or (fleet.get("frozen") and _kept_off(host)) or losses.unplanned(host)
    ]


def _kept_off(host: Mapping[str, Any]) -> str:
    """Why the repair that a host needed was not begun; empty where it was, or where none was needed."""
    repair = host.get("repair")
    return repair["reason"] or "no reason known" if repair and not repair["begun"] else ""


def sentence(host: Mapping[str, Any]) -> str:
    """Why a host is not proven healthy, in one line."""
    lost = "; ".join("LOST: " + losses.line(each) for each in losses.unplanned(host))
    reason = "; ".join(filter(None, (host["reason"], lost))) or _kept_off(host) or "no reason known"
    return visible("%s is %s: %s" % (host["name"], host["status"], reason))


def lines(fleet: Mapping[str, Any]) -> List[str]:
    """The document as a person reads it at a terminal."""
    counts = fleet["summary"]["statuses"]
    told = ", ".join("%d %s" % (counts[status], status) for status in STATUSES if counts[status])
    found = ["%s: %s%s" % (counted(fleet["summary"]["hosts"], "host"), told, _mode(fleet))]
    found.extend("%s: %s" % (each.kind.upper(), blockers.line(each)) for each in blockers.alerts(fleet))
    found.extend(filter(None, [self_healing.line(fleet)]))
    few = len(fleet["hosts"]) <= _TOLD_EACH
    for host in fleet["hosts"]:
        if few or host["status"] != "healthy" or host["done"] or _change(host) or blockers.urgent(host):
            found.extend(_host_lines(host))
    return [harmless(line) for line in found]


def _host_lines(host: Mapping[str, Any]) -> List[str]:
    found = ["%s: %s%s" % (host["name"], host["status"], _change(host))]
    found.extend("  %s: %s" % (each.kind, each.text) for each in blockers.of(host))
    found.extend("  " + each for each in filter(None, [self_healing.text(host)]))
    for act in host["done"]:
        found.extend("  " + line for line in repair_log.told(act, host["before"]))
    found.extend("  " + line for line in setbacks.lines(host))
    planned = [each for each in host.get("lost") or () if each["planned"]]
    found.extend("  lost, as the plan had said: %s" % losses.line(each) for each in planned)
    health = host["after"] or host["before"]
    if health is None:
        return [*found, "  %s" % host["reason"]]
    found.extend("  " + line for line in _health_lines(health, setbacks.down(host)))
    found.extend("  " + line for line in _open_steps(health, host["done"]))
    return found


def _health_lines(health: Mapping[str, Any], down: Sequence[str]) -> List[str]:
    """down: the gateways of which it has been told already that they are."""
    found: List[str] = []
    for gateway in health["gateways"]:
        more = [each for each in gateway["findings"] if each["code"] not in setbacks.DOWN]
        if gateway["name"] not in down:
            found.append(plan_text.verdict(gateway))
        elif more:
            found.append(plan_text.verdict({**gateway, "findings": more}))
        found.extend("  not done: %s" % reason for reason in gateway["plan"]["withheld"])
    return [*found, *notes(health)]


def notes(health: Mapping[str, Any]) -> List[str]:
    """What a look found that is no gateway's fault: whom it leaves alone, and what kept it from a real session."""
    missing = (health.get("proof") or {}).get("missing")
    return [*undeclared(health), *(["the proof by a real session was not possible: %s" % missing] if missing else [])]


def undeclared(health: Mapping[str, Any]) -> List[str]:
    """The gateways of a look that fit no entry, a line for each account."""
    by_user: Dict[str, List[int]] = {}
    for each in health.get("undeclared", ()):
        by_user.setdefault(str(each["user"]), []).append(each["pid"])
    return [
        "left alone: gateway pid %s of %s fits no entry" % (pids[0], user)
        if len(pids) == 1
        else "left alone: %d gateways of %s fit no entry: pid %s" % (len(pids), user, ", ".join(map(str, sorted(pids))))
        for user, pids in by_user.items()
    ]


def _open_steps(health: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> List[str]:
    """What would still mend it: a sweep's plan, a plan_only entry's, or what a repair left; not what is foretold."""
    foretold = {describe(each) for act in done for each in act.get("outcomes", ()) if each["result"] == WOULD}
    found: List[str] = []
    for gateway in health["gateways"]:
        for step in gateway["plan"]["steps"]:
            if describe(step) not in foretold:
                found.append("  planned: %s: %s" % (describe(step), step["reason"]))
                found.extend("  " + line for line in plan_text.costs(step))
    return found


def _mode(fleet: Mapping[str, Any]) -> str:
    return " (check mode: nothing was done)" if fleet["check_mode"] else ""


def _change(host: Mapping[str, Any]) -> str:
    before, after = host["before"], host["after"]
    if not before or not after or before["status"] == after["status"]:
        return ""
    return ", was %s" % before["status"]
