"""The shapes in which modules return what the model holds. Pure; argv only ever redacted, times as RFC 3339 UTC."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence

from ..base import findings
from ..base.findings import Finding
from ..base.host import ESTABLISHED, Client, Listener, Process, Snapshot, Visibility
from ..base.plan import Diagnosis, Plan
from ..decide import fingerprint

if TYPE_CHECKING:  # most looks of a sweep open no session
    from ..base.probe import Probe

#: For a plan of which nobody knows when it was made: older than any may be.
_LONG_AGO: Mapping[str, Any] = {"boot_id": "", "boottime": 0.0}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def overall(statuses: Iterable[str]) -> str:
    """The worst of several statuses; unknown without any."""
    return max(statuses, key=findings.SEVERITIES.index, default=findings.UNKNOWN)


def gateway(process: Process, listening: Sequence[int]) -> Dict[str, Any]:
    """A gateway process as ib_gateway_info returns it."""
    kind = process.gateway
    return {
        "pid": process.pid,
        "started_ticks": process.started_ticks,
        "boot_id": process.boot_id,
        "started_at": timestamp(process.started_at),
        "age": round(process.age, 1),
        "user": process.user,
        "argv": list(process.command),
        "product": kind.product if kind else None,
        "launcher": kind.launcher if kind else None,
        "main_class": kind.main_class if kind else None,
        "config_dir": kind.config_dir or process.cwd if kind else None,
        "trading_mode": kind.trading_mode if kind else None,
        "unit": process.unit,
        "listening": list(listening) if process.sockets_visible else None,
    }


def listener(each: Listener, processes: Dict[int, Process]) -> Dict[str, Any]:
    """A listening socket as ib_listener_info returns it."""
    owners = [processes[pid] for pid in sorted(each.pids) if pid in processes]
    return {
        "port": each.port,
        "addresses": [each.address],
        "families": list(each.families),
        "pids": sorted(each.pids),
        "user": owners[0].user if owners else each.user,
        "is_gateway": any(owner.gateway for owner in owners) if owners else None,
        "relay": next((owner.relay for owner in owners if owner.relay), None),
        "accept_queue": each.accept_queue,
        "backlog": each.backlog,
    }


def listeners(found: Iterable[Listener], processes: Dict[int, Process]) -> List[Dict[str, Any]]:
    """All listening sockets; one row for each port and set of owners, its addresses and families together."""
    rows: Dict[Any, Dict[str, Any]] = {}
    for each in sorted(found, key=lambda one: (one.port, one.address)):
        key = (each.port, each.pids)
        row = listener(each, processes)
        if key not in rows:
            rows[key] = row
            continue
        known = rows[key]
        known["addresses"] = sorted(set(known["addresses"]) | set(row["addresses"]))
        known["families"] = sorted(set(known["families"]) | set(row["families"]))
        queues = [queue for queue in (known["accept_queue"], row["accept_queue"]) if queue is not None]
        known["accept_queue"] = sum(queues) if queues else None
    return list(rows.values())


def _clients(found: Sequence[Client]) -> List[Dict[str, Any]]:
    if not found:
        return []
    from .api_result import client

    return [client(each) for each in found]


def _api(probe: Optional[Probe]) -> Optional[Dict[str, Any]]:
    if probe is None:
        return None
    from .api_result import api

    return api(probe)


def steps(plan: Plan) -> List[Dict[str, Any]]:
    """The steps of a plan, least disruptive first. Most looks plan nothing, so what it takes is loaded on need."""
    if not plan.steps:
        return []
    from ..base.steps import as_dict, in_order

    return [as_dict(each) for each in in_order(plan.steps)]


def finding(each: Finding, planned: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """A finding, with those steps of the plan that are taken because of it."""
    return {
        "code": each.code,
        "severity": each.severity,
        "summary": each.summary,
        "evidence": dict(each.evidence),
        "steps": [one for one in planned if one["finding"] == each.code],
    }


def judgement(
    diagnosis: Diagnosis, plan: Plan, processes: Dict[int, Process], made_at: Mapping[str, Any] = _LONG_AGO
) -> Dict[str, Any]:
    """One entry's part of what ib_gateway_health returns.

    made_at: when the look began that the plan rests on: {boot_id, boottime: seconds on CLOCK_BOOTTIME}.
    """
    entry = diagnosis.entry
    spec, planned = entry.spec, steps(plan)
    return {
        "name": spec.name,
        "trading_mode": spec.trading_mode,
        "port": spec.port,
        "remediation": spec.remediation,
        "status": diagnosis.status,
        "verdict": diagnosis.verdict,
        "summary": _summary(diagnosis),
        "findings": [finding(each, planned) for each in diagnosis.findings],
        "processes": [gateway(process, entry.listening(process)) for process in entry.processes],
        "served_before": [
            {"pid": process.pid, "started_ticks": process.started_ticks}
            for process in entry.processes
            if entry.has_served(process)
        ],
        "listeners": listeners(entry.listeners, processes),
        "clients": _clients(entry.clients),
        "api": _api(diagnosis.probe),
        "plan": {
            "steps": planned,
            "withheld": list(plan.withheld),
            "digest": fingerprint.digest(entry),
            "made_at": dict(made_at),
        },
    }


def _summary(diagnosis: Diagnosis) -> str:
    """One line for a person."""
    worst = next((each for each in diagnosis.findings if each.code == diagnosis.verdict), None)
    if worst is not None:
        return worst.summary
    return "%s on port %d: %s" % (diagnosis.entry.spec.name, diagnosis.entry.spec.port, _proof(diagnosis))


def _proof(diagnosis: Diagnosis) -> str:
    """What makes a gateway healthy: its handshake, or who works on it, or only that it listens."""
    if diagnosis.probe is None and not diagnosis.entry.clients:
        return "listening; no handshake made"
    from .api_result import proof

    return proof(diagnosis)


def visibility(sight: Visibility, diagnoses: Sequence[Diagnosis]) -> Dict[str, Any]:
    """What could be seen, and all that was missing, for the host and for its entries."""
    missing = list(sight.missing)
    for diagnosis in diagnoses:
        for each in diagnosis.findings:
            if each.code == findings.PARTIAL_VISIBILITY.code:
                missing.extend(reason for reason in each.evidence["missing"] if reason not in missing)
    return {"complete": not missing, "looked_as": sight.user, "privileged": sight.privileged, "missing": missing}


def all_gateways(snapshot: Snapshot) -> List[Dict[str, Any]]:
    """Every gateway process of a snapshot."""
    found = []
    for process in sorted(snapshot.processes.values(), key=lambda each: each.pid):
        if process.gateway:
            ports = {each.port for each in snapshot.listeners if process.pid in each.pids}
            found.append(gateway(process, sorted(ports)))
    return found


def undeclared(processes: Sequence[Process], snapshot: Snapshot) -> List[Dict[str, Any]]:
    """Gateways that fit no entry, and who has a session on them: reported, never touched."""
    pids = {process.pid for process in processes}
    found = [each for each in all_gateways(snapshot) if each["pid"] in pids]
    return [dict(each, used_by=_users(each["pid"], snapshot)) for each in found]


def _users(pid: int, snapshot: Snapshot) -> List[Dict[str, Any]]:
    """The processes of this host with a session on a gateway."""
    sessions = [each for each in snapshot.connections if pid in each.gateway_pids and each.state == ESTABLISHED]
    used_by = {each for session in sessions if session.served for each in session.client_pids}
    return [
        {"pid": each.pid, "started_ticks": each.started_ticks, "user": each.user, "argv": list(each.command)}
        for each in map(snapshot.processes.get, sorted(used_by))
        if each is not None
    ]
