"""The rules: a Snapshot and the desired gateways become Findings. Pure: no I/O, no clock.

Each rule is a function from what is known of one entry to the findings it makes. RULES lists them in the order in
which they weigh: the first finding of the worst severity is the verdict. docs/findings.md explains every code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ansible.module_utils.ib_gateway.model import (
    API_PORTS,
    CLOSE_WAIT,
    DEGRADED,
    FORGOTTEN_AFTER,
    HEALTHY,
    INFO,
    UNHEALTHY,
    UNKNOWN,
    Client,
    Diagnosis,
    Entry,
    Finding,
    GatewaySpec,
    Probe,
    Process,
    Snapshot,
    Visibility,
)

_SEVERITIES = (HEALTHY, INFO, DEGRADED, UNKNOWN, UNHEALTHY)
#: Codes by which the gateway says that its own link to the broker is gone, and that it is back.
_UPSTREAM_LOST, _UPSTREAM_BACK = (1100, 2110), (1101, 1102)


@dataclass(frozen=True)
class _Case:
    """One entry's facts, as the rules see them."""

    entry: Entry
    snapshot: Snapshot
    probe: Optional[Probe]

    @property
    def spec(self) -> GatewaySpec:
        return self.entry.spec

    @property
    def waiting(self) -> Tuple[Process, ...]:
        """Its gateways when none of them owns the entry's port; nothing otherwise."""
        return () if self.entry.owners() else self.entry.processes

    @property
    def unit_is_starting(self) -> bool:
        """Whether the entry's unit is up, has no gateway yet, and still has time to bring one."""
        age = self.entry.unit_age
        return not self.entry.processes and age is not None and age < self.spec.start_timeout

    def elsewhere(self, process: Process) -> Tuple[int, ...]:
        """The ports it serves instead of the entry's. Another API port counts at once, any other once it is up."""
        ports = self.entry.listening(process)
        if self.spec.port in ports:
            return ()
        settled = process.age >= self.spec.start_timeout
        return tuple(port for port in ports if port in API_PORTS or settled)

    def starting(self, process: Process) -> bool:
        """Whether it may still come up: young, serving nothing, and never seen to have served."""
        young = process.age < self.spec.start_timeout
        return young and not self.elsewhere(process) and not self.entry.has_served(process)


Rule = Callable[[_Case], Iterator[Finding]]


def diagnose(entry: Entry, snapshot: Snapshot, probe: Optional[Probe] = None) -> Diagnosis:
    """Applies every rule to one entry. probe: what an API handshake came to, where one was made."""
    case = _Case(entry=entry, snapshot=snapshot, probe=probe)
    findings = tuple(_partial_visibility(case)) or tuple(finding for rule in RULES for finding in rule(case))
    worst = max((finding.severity for finding in findings), key=_SEVERITIES.index, default=HEALTHY)
    if worst in (HEALTHY, INFO):
        return Diagnosis(entry, HEALTHY, HEALTHY, findings, probe)
    verdict = next(finding.code for finding in findings if finding.severity == worst)
    return Diagnosis(entry, worst, verdict, findings, probe)


def may_probe(diagnosis: Diagnosis, policy: str) -> bool:
    """Whether an API handshake is called for. policy: auto, always or never.

    Never on a port that no gateway of the entry owns. auto: only when the passive evidence shows the API slot free and
    the gateway taking connections, because a handshake that competes for the slot would make the fault it looks for.
    A connection on which the gateway has said no more than its version holds no slot: it is a script that hangs.
    """
    entry = diagnosis.entry
    if policy == "never" or not entry.owners():
        return False
    if policy == "always":
        return True
    if diagnosis.codes & {"partial_visibility", "accept_queue_full"}:
        return False
    working = {client.connection for client in entry.clients if client.working}
    return len(working) < entry.spec.max_api_clients


# --- what could not be seen ------------------------------------------------------------------------------------------


def _partial_visibility(case: _Case) -> Iterator[Finding]:
    missing = list(_missing(case.entry, case.snapshot.visibility))
    if missing:
        yield Finding(
            "partial_visibility",
            UNKNOWN,
            "cannot judge %s: not seen was %s" % (case.spec.name, "; ".join(missing)),
            {"missing": missing, "looked_as": case.snapshot.visibility.user},
        )


def _missing(entry: Entry, sight: Visibility) -> Iterator[str]:
    """Each thing without which the rules could err about this entry, in words."""
    spec = entry.spec
    own_entry = spec.user is not None and spec.user == sight.user
    if sight.processes or not own_entry:
        yield from sight.missing
    for process in entry.processes:
        if process.other_netns:
            yield "pid %d lives in a network namespace of its own: its ports are not this host's" % process.pid
        elif not process.sockets_visible:
            yield "the sockets of pid %d belong to %s, and %s may not read them" % (
                process.pid,
                process.user,
                sight.user,
            )
    if not entry.processes and not sight.privileged and not own_entry:
        yield "other users' sockets: %s may read only its own" % sight.user
    for listener in entry.listeners:
        if listener.port == spec.port and not listener.pids:
            yield "who listens on port %d: its owner (%s) cannot be seen" % (spec.port, listener.user or "unknown")
    for process in entry.ambiguous:
        yield (
            "whose gateway pid %d is: it fits several entries, and neither user, config_dir nor port tells"
            % process.pid
        )
    for process in entry.unplaced:
        yield "the working directory of gateway pid %d of %s" % (process.pid, process.user)


# --- passive rules: the process and socket tables --------------------------------------------------------------------


def _port_taken(case: _Case) -> Iterator[Finding]:
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
                "owners": [_person(process) for process in owners],
            },
        )


def _gateway_not_running(case: _Case) -> Iterator[Finding]:
    if case.entry.processes or case.unit_is_starting:
        return
    spec, unit_age = case.spec, case.entry.unit_age
    expected = {"user": spec.user, "config_dir": spec.config_dir, "port": spec.port}
    summary = "no gateway process for %s is running" % spec.name
    if unit_age is not None:
        summary += ", although its unit %s has been up for %d s" % (spec.unit, unit_age)
    yield Finding(
        "gateway_not_running",
        UNHEALTHY,
        summary,
        {"expected": expected, "unit": spec.unit, "unit_is_up": unit_age is not None},
    )


def _duplicate_gateways(case: _Case) -> Iterator[Finding]:
    found = case.entry.processes
    if len(found) > 1:
        yield Finding(
            "duplicate_gateways",
            UNHEALTHY,
            "%d gateway processes run for %s, one is wanted: pids %s"
            % (len(found), case.spec.name, ", ".join(str(process.pid) for process in found)),
            {"processes": [dict(_person(p), listening=list(case.entry.listening(p)), unit=p.unit) for p in found]},
        )


def _wrong_port(case: _Case) -> Iterator[Finding]:
    for process in case.waiting:
        ports = case.elsewhere(process)
        if ports:
            yield Finding(
                "wrong_port",
                UNHEALTHY,
                "pid %d serves port %s, %s is expected on port %d"
                % (process.pid, ", ".join(map(str, ports)), case.spec.trading_mode, case.spec.port),
                dict(_person(process), expected_port=case.spec.port, listening=list(ports)),
            )


def _not_listening(case: _Case) -> Iterator[Finding]:
    silent = [p for p in case.waiting if not case.elsewhere(p) and not case.starting(p)]
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
                    dict(_person(p), age=round(p.age, 1), served_before=case.entry.has_served(p)) for p in silent
                ],
                "connections": [_visitor(client) for client in holders],
            },
        )


def _gateway_starting(case: _Case) -> Iterator[Finding]:
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
            "processes": [dict(_person(process), age=round(process.age, 1)) for process in young],
            "unit": case.spec.unit,
            "age": round(age, 1),
            "start_timeout": case.spec.start_timeout,
        },
    )


def _accept_queue_full(case: _Case) -> Iterator[Finding]:
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
                "waiting": [_visitor(client) for client in waiting],
            },
        )


def _stale_connections(case: _Case) -> Iterator[Finding]:
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
        {"connections": [_visitor(client) for client in stale], "slot_blocked": blocked if probe else None},
    )


def _competing_clients(case: _Case) -> Iterator[Finding]:
    holding = [client for client in case.entry.clients if client.open]
    named = [client for client in case.entry.clients if client.matches_pattern and client.stoppable]
    count = len(case.entry.open_connections())
    over = count - case.spec.max_api_clients
    evidence = {
        "open_connections": count,
        "max_api_clients": case.spec.max_api_clients,
        "clients": [_visitor(client) for client in case.entry.clients],
    }
    if over > 0:
        summary = "%d API connections are open on %s, %d may be" % (count, case.spec.name, case.spec.max_api_clients)
        yield Finding("competing_clients", UNHEALTHY, summary, evidence)
    elif named:
        summary = "%d process(es) run that client_patterns name as competing" % len(named)
        yield Finding("competing_clients", DEGRADED, summary, evidence)
    elif over == 0 and holding and all(_forgotten(client) for client in holding):
        summary = "the API slot of %s is held by scripts that nobody owns and that have been silent for %d minutes" % (
            case.spec.name,
            min(client.connection.idle or 0 for client in holding if client.connection) // 60,
        )
        yield Finding("competing_clients", INFO, summary, evidence)


def _forgotten(client: Client) -> bool:
    idle = client.connection.idle if client.connection else None
    return client.orphaned and not client.protected and idle is not None and idle >= FORGOTTEN_AFTER


# --- active rules: what the handshake came to ------------------------------------------------------------------------

_HANDSHAKES = {
    "refused": ("handshake_refused", "port %(port)d listens, but a connection to it fails: %(error)s"),
    "silent": ("handshake_silent", "the gateway takes the connection on port %(port)d and says nothing"),
    "dropped": ("handshake_dropped", "the gateway drops the session before it is ready: %(error)s"),
    "stalled": (
        "handshake_stalled",
        "the gateway answers with server version %(version)s, then nothing more: what a script sees as "
        "`API connection failed: TimeoutError()`",
    ),
}


def _handshake(case: _Case) -> Iterator[Finding]:
    probe = case.probe
    if probe is None or probe.outcome not in _HANDSHAKES:
        return
    code, text = _HANDSHAKES[probe.outcome]
    error = (probe.error or {}).get("message", "")
    yield Finding(
        code,
        UNHEALTHY,
        text % {"port": case.spec.port, "error": error, "version": probe.server_version},
        dict(_handshake_evidence(probe), clients=[_visitor(c) for c in case.entry.clients if c.connection is not None]),
    )


def _client_id_in_use(case: _Case) -> Iterator[Finding]:
    probe = case.probe
    if probe is not None and probe.outcome == "id_in_use":
        yield Finding(
            "client_id_in_use",
            DEGRADED,
            "client id %s is in use on %s; another id is free" % (probe.client_id, case.spec.name),
            dict(_handshake_evidence(probe), clients=[_visitor(c) for c in case.entry.clients if c.open]),
        )


def _wrong_trading_mode(case: _Case) -> Iterator[Finding]:
    probe = case.probe
    if probe is not None and probe.trading_mode not in (None, case.spec.trading_mode):
        yield Finding(
            "wrong_trading_mode",
            UNHEALTHY,
            "port %d answers with %s accounts, %s is expected: do not trade on it"
            % (case.spec.port, probe.trading_mode, case.spec.trading_mode),
            {"expected": case.spec.trading_mode, "found": probe.trading_mode, "accounts": list(probe.accounts)},
        )


def _upstream_down(case: _Case) -> Iterator[Finding]:
    probe = case.probe
    if probe is None:
        return
    links = [code for code in probe.notices if code in _UPSTREAM_LOST + _UPSTREAM_BACK]
    if links and links[-1] in _UPSTREAM_LOST:
        yield Finding(
            "upstream_down",
            UNHEALTHY,
            "the gateway works and has lost the broker's servers (error %d); a restart does not help" % links[-1],
            dict(_handshake_evidence(probe), notices=list(probe.notices)),
        )


#: In the order in which they weigh.
RULES: Tuple[Rule, ...] = (
    _port_taken,
    _gateway_not_running,
    _wrong_trading_mode,
    _upstream_down,
    _duplicate_gateways,
    _wrong_port,
    _not_listening,
    _accept_queue_full,
    _handshake,
    _stale_connections,
    _competing_clients,
    _client_id_in_use,
    _gateway_starting,
)


# --- evidence --------------------------------------------------------------------------------------------------------


def _person(process: Process) -> Dict[str, Any]:
    return {"pid": process.pid, "user": process.user, "command": list(process.command)}


def _visitor(client: Client) -> Dict[str, Any]:
    """A client as evidence; what does not apply is left out."""
    found: Dict[str, Any] = {}
    process, connection = client.process, client.connection
    if process is not None:
        found.update(_person(process), age=round(process.age, 1))
    if connection is not None:
        found.update(port=connection.port, state=connection.state)
        if connection.idle is not None:
            found["idle"] = round(connection.idle, 1)
        if connection.remote_host:
            found["remote_host"] = connection.remote_host
    marks: List[Tuple[str, Any]] = [
        ("never_served", client.open and not client.working),
        ("orphaned", client.orphaned),
        ("matches_pattern", client.matches_pattern),
        ("protected", client.protected),
        ("relay", process.relay if process else None),
    ]
    found.update({name: value for name, value in marks if value})
    return found


def _handshake_evidence(probe: Probe) -> Dict[str, Any]:
    return {
        "stage": probe.stage,
        "server_version": probe.server_version,
        "client_id": probe.client_id,
        "error": probe.error,
        "engine": probe.engine,
        "timings_ms": dict(probe.timings_ms),
    }
