"""What a look finds on a simulated host: processes, listeners, both ends of connections, as far as they are seen."""

from __future__ import annotations

from typing import FrozenSet, Iterable, List, Optional, Pattern, Sequence

from ansible.module_utils.ib_gateway.base import classify
from ansible.module_utils.ib_gateway.base.host import Connection, Listener, Process, Reading, Visibility
from ansible.module_utils.ib_gateway.base.process_digest import argv_digest
from ansible.module_utils.ib_gateway.base.redaction import redact_argv
from ansible.module_utils.ib_gateway.observe.host_key import digest_key
from unit.simulated_host import SimHost
from unit.simulated_parts import OWN, SimProcess, SimSession


def read(host: SimHost, ports: Iterable[int], patterns: Sequence[Pattern[str]], wanted: Sequence[str] = ()) -> Reading:
    """One pass over the host's tables, as linux.read() makes it."""
    host.touch()
    host.seen()
    everybody = list(host.processes.values())
    own_run = host.ancestors(OWN)
    gateways = {each.pid for each in everybody if each.is_gateway}
    relevant = set(ports) | {each.port for each in everybody if each.pid in gateways and each.port}
    owners = [each for each in everybody if each.port in relevant and host.listening(each)]
    sessions = [each for each in host.sessions if each.port in relevant]
    named = {
        each.pid
        for each in everybody
        if each.pid not in own_run and any(classify.matches_client(one, each.argv) for one in patterns)
    }
    pids = gateways | named | {each.pid for each in owners} | {each.server.pid for each in sessions}
    pids |= {each.client.pid for each in sessions if each.client}
    ages = {unit: host.clock - host.members(unit)[0].born for unit in wanted if host.members(unit)}
    carried = {host.processes[pid].unit for pid in gateways}
    return Reading(
        boot_id=host.boot_id,
        visibility=Visibility("root" if host.privileged else "nobody", host.privileged),
        ports=frozenset(relevant),
        processes={pid: _described(host, host.processes[pid]) for pid in sorted(pids)},
        listeners=tuple(_listener(host, each) for each in owners),
        connections=tuple(row for each in sessions for row in _rows(host, each)),
        units={unit: age for unit, age in ages.items() if unit not in carried},
    )


def _pids(host: SimHost, one: SimProcess) -> FrozenSet[int]:
    return frozenset((one.pid,) if host.privileged else ())


def _described(host: SimHost, one: SimProcess) -> Process:
    command = redact_argv(one.argv)
    return Process(
        pid=one.pid,
        started_ticks=one.ticks,
        boot_id=host.boot_id,
        ppid=one.ppid,
        user=one.user,
        age=host.clock - one.born,
        started_at=host.wall - (host.clock - one.born),
        argv=one.argv,
        command=command,
        argv_digest=argv_digest(one.argv, digest_key()),
        cwd=one.cwd,
        unit=one.unit,
        unit_is_own=one.unit is not None,
        gateway=classify.gateway_kind(one.argv),
        relay=classify.relay_name(one.argv),
        sockets_visible=host.privileged,
        own_run=one.pid in host.ancestors(OWN),
    )


def _listener(host: SimHost, one: SimProcess) -> Listener:
    return Listener(one.port or 0, "::", ("ipv4", "ipv6"), one.ticks, _pids(host, one), one.user, 0, 50)


def _rows(host: SimHost, one: SimSession) -> List[Connection]:
    """The gateway's end, and the client's where it is on this host."""
    here, there = ("127.0.0.1", one.port), ("127.0.0.1" if one.client else "10.0.0.9", one.client_port)
    age = host.clock - one.since
    pids = _pids(host, one.server)
    server = Connection(*here, *there, one.state, one.cookie, pids, None, age, one.sent, one.cookie)
    client: Optional[SimProcess] = one.client
    if client is None:
        return [server]
    return [server, Connection(*there, *here, one.state, one.cookie, _pids(host, client), None, age, 0, 1)]
