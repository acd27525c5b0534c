"""Rules on what the process and socket tables show, without a packet sent. Pure; see docs/findings.md for each code."""

from __future__ import annotations

from typing import Iterator

from ..base.host import CLOSE_WAIT, FORGOTTEN_AFTER, Client
from ..base.plan import DEGRADED, INFO, UNHEALTHY, Finding
from .context import Case, person, visitor


def port_taken(case: Case) -> Iterator[Finding]:
    """Somebody who is no gateway of the entry listens on its port."""
    mine = {process.pid for process in case.entry.processes}
    for listener in case.entry.listeners:
        if listener.port != case.spec.port or listener.pids & mine:
            continue
        owners = [case.snapshot.processes[pid] for pid in sorted(listener.pids) if pid in case.snapshot.processes]
        if not owners:
            continue
        owner = owners[0]
        what = "the relay %s" % owner.relay if owner.relay else "another gateway" if owner.gateway else "no gateway"
        yield Finding(
            "port_taken",
            UNHEALTHY,
            "port %d belongs to pid %d of %s, which is %s" % (case.spec.port, owner.pid, owner.user, what),
            {
                "port": case.spec.port,
                "address": listener.address,
                "relay": owner.relay,
                "is_gateway": owner.gateway is not None,
                "owners": [person(process) for process in owners],
            },
        )


def gateway_not_running(case: Case) -> Iterator[Finding]:
    """No process of the entry runs, and its unit is not about to bring one."""
    if case.entry.processes or case.unit_is_starting:
        return
    spec, unit_age = case.spec, case.entry.unit_age
    expected = {"user": spec.user, "config_dir": spec.config_dir, "port": spec.port}
    summary = "no gateway process for %s is running" % spec.name
    if unit_age is not None:
        summary += ", although its unit %s has been up for %d s" % (spec.any_unit, unit_age)
    yield Finding(
        "gateway_not_running",
        UNHEALTHY,
        summary,
        {"expected": expected, "unit": spec.any_unit, "unit_is_up": unit_age is not None},
    )


def duplicate_gateways(case: Case) -> Iterator[Finding]:
    """More than one process runs for one entry."""
    found = case.entry.processes
    if len(found) > 1:
        yield Finding(
            "duplicate_gateways",
            UNHEALTHY,
            "%d gateway processes run for %s, one is wanted: pids %s"
            % (len(found), case.spec.name, ", ".join(str(process.pid) for process in found)),
            {"processes": [dict(person(p), listening=list(case.entry.listening(p)), unit=p.unit) for p in found]},
        )


def wrong_port(case: Case) -> Iterator[Finding]:
    """A gateway of the entry serves another port, and none serves the entry's."""
    for process in case.waiting:
        ports = case.elsewhere(process)
        if ports:
            yield Finding(
                "wrong_port",
                UNHEALTHY,
                "pid %d serves port %s, %s is expected on port %d"
                % (process.pid, ", ".join(map(str, ports)), case.spec.trading_mode, case.spec.port),
                dict(person(process), expected_port=case.spec.port, listening=list(ports)),
            )


def not_listening(case: Case) -> Iterator[Finding]:
    """A gateway that should be up by now, or has served before, listens nowhere."""
    silent = case.silent
    if silent:
        holders = [client for client in case.entry.clients if client.connection is not None]
        yield Finding(
            "not_listening",
            UNHEALTHY,
            "%s runs (pid %s) but nothing listens on port %d"
            % (case.spec.name, ", ".join(str(process.pid) for process in silent), case.spec.port),
            {
                "port": case.spec.port,
                "processes": [
                    dict(person(p), age=round(p.age, 1), served_before=case.entry.has_served(p)) for p in silent
                ],
                "connections": [visitor(client) for client in holders],
            },
        )


def gateway_starting(case: Case) -> Iterator[Finding]:
    """A gateway, or the unit that brings one, is younger than a start may take."""
    young = [process for process in case.waiting if case.starting(process)]
    if not young and not case.unit_is_starting:
        return
    age = min(process.age for process in young) if young else case.entry.unit_age or 0.0
    yield Finding(
        "gateway_starting",
        DEGRADED,
        "%s started %d s ago and does not listen on port %d yet; %d s are allowed"
        % (case.spec.name, age, case.spec.port, case.spec.start_timeout),
        {
            "processes": [dict(person(process), age=round(process.age, 1)) for process in young],
            "unit": case.spec.any_unit,
            "age": round(age, 1),
            "start_timeout": case.spec.start_timeout,
        },
    )


def accept_queue_full(case: Case) -> Iterator[Finding]:
    """Connections wait in every sample of the listen queue."""
    samples = case.snapshot.accept_queue_samples.get(case.spec.port, ())
    if case.entry.owners() and len(samples) > 1 and all(samples):
        waiting = [c for c in case.entry.clients if c.connection is not None and not c.connection.accepted]
        yield Finding(
            "accept_queue_full",
            UNHEALTHY,
            "%d connections wait on port %d and the gateway takes none of them" % (samples[-1], case.spec.port),
            {
                "port": case.spec.port,
                "samples": list(samples),
                "backlog": max((x.backlog or 0 for x in case.entry.listeners if x.port == case.spec.port), default=0),
                "waiting": [visitor(client) for client in waiting],
            },
        )


def stale_connections(case: Case) -> Iterator[Finding]:
    """The gateway holds connections whose client has gone."""
    stale = [
        client
        for client in case.entry.clients
        if client.connection is not None and client.connection.state == CLOSE_WAIT and client.connection.accepted
    ]
    if not stale:
        return
    probe = case.probe
    blocked = probe is not None and probe.outcome != "ready"
    severity = UNHEALTHY if blocked else INFO if probe else DEGRADED
    yield Finding(
        "stale_connections",
        severity,
        "the gateway still holds %d connection(s) whose client has gone%s"
        % (len(stale), "; the API slot stays blocked" if blocked else ""),
        {"connections": [visitor(client) for client in stale], "slot_blocked": blocked if probe else None},
    )


def competing_clients(case: Case) -> Iterator[Finding]:
    """More connections are open than may be, where the entry has a limit, or a pattern names a running script."""
    holding = [client for client in case.entry.clients if client.open]
    named = [client for client in case.entry.clients if client.matches_pattern and client.stoppable]
    count = len(case.entry.open_connections())
    limit = case.spec.max_api_clients
    evidence = {
        "open_connections": count,
        "max_api_clients": limit,
        "clients": [visitor(client) for client in case.entry.clients],
    }
    if limit is not None and count > limit:
        summary = "%d API connections are open on %s, %d may be" % (count, case.spec.name, limit)
        yield Finding("competing_clients", UNHEALTHY, summary, evidence)
    elif named:
        summary = "%d process(es) run that client_patterns name as competing" % len(named)
        yield Finding("competing_clients", DEGRADED, summary, evidence)
    elif count == limit and holding and all(_forgotten(client) for client in holding):
        summary = "the API slot of %s is held by scripts that nobody owns and that have been silent for %d minutes" % (
            case.spec.name,
            min(client.connection.idle or 0 for client in holding if client.connection) // 60,
        )
        yield Finding("competing_clients", INFO, summary, evidence)


def _forgotten(client: Client) -> bool:
    idle = client.connection.idle if client.connection else None
    return client.orphaned and not client.protected and idle is not None and idle >= FORGOTTEN_AFTER
