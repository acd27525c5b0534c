"""Decides which gateway process belongs to which inventory entry. Pure.

Evidence before assumption: what a command line says is only a claim. The product, the account, the trading mode, the
settings folder, the unit and the ports that are served decide together; what is not proven to belong to an entry is
nobody's, is told, and is left alone.
"""

from __future__ import annotations

from typing import Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.host import Client, Folder, Keeper, Process, Snapshot
from ..base.plan import Entry, Relay
from ..base.spec import API_PORTS, HELPER_PORTS, GatewaySpec
from .claims import CLAIMS, OWN, UNPLACED, Host, claim, serves_another, set_to_another_port
from .ports import agent_ports


def entries_of(specs: Sequence[GatewaySpec], snapshot: Snapshot) -> Tuple[Tuple[Entry, ...], Tuple[Process, ...]]:
    """(an Entry for each spec, in their order; the gateways that fit none of them)."""
    host = _host(specs, snapshot)
    claims = {spec.name: {each.pid: claim(spec, each, host) for each in host.gateways} for spec in specs}
    served = {
        spec.name
        for spec in specs
        if any(claims[spec.name][each.pid] == OWN and spec.port in host.ports[each.pid] for each in host.gateways)
    }
    owners: Dict[int, List[GatewaySpec]] = {
        each.pid: _narrowed([spec for spec in specs if claims[spec.name][each.pid] == OWN], each, host, served)
        for each in host.gateways
    }
    found = tuple(_entry(spec, specs, claims[spec.name], owners, host, snapshot) for spec in specs)
    placed = {process.pid for entry in found for process in (*entry.processes, *entry.elsewhere, *entry.ambiguous)}
    placed |= {process.pid for entry in found for process in (*entry.claimants, *entry.maybe)}
    nobodys = tuple(each for each in host.gateways if each.pid not in placed)
    if not nobodys and all(entry.processes for entry in found):
        return found, nobodys
    from .differing import with_differing  # on most hosts each gateway has an entry

    doubles = {
        spec.name: [(each, owners[each.pid]) for each in host.gateways if claims[spec.name][each.pid] == OWN]
        for spec in specs
    }
    return tuple(with_differing(entry, nobodys, host, doubles[entry.spec.name]) for entry in found), nobodys


def _host(specs: Sequence[GatewaySpec], snapshot: Snapshot) -> Host:
    gateways = tuple(sorted((p for p in snapshot.processes.values() if p.gateway), key=lambda p: p.pid))
    listening: Dict[int, Set[int]] = {process.pid: set() for process in gateways}
    for listener in snapshot.listeners:
        for pid in listener.pids & set(listening):
            listening[pid].add(listener.port)
    served: Dict[int, Set[int]] = {process.pid: set() for process in gateways}
    held: Dict[int, Set[int]] = {process.pid: set() for process in gateways}
    for connection in snapshot.connections:
        for pid in connection.gateway_pids & set(served):
            if connection.accepted:
                held[pid].add(connection.port)
            if connection.accepted and connection.served:
                served[pid].add(connection.port)
    declared = {spec.port for spec in specs}
    agents = {process.pid: agent_ports(process) for process in gateways}
    ports = {
        pid: frozenset(
            port
            for port in listening[pid]
            if port in declared or port in API_PORTS or (port in served[pid] and port not in HELPER_PORTS | agents[pid])
        )
        for pid in listening
    }
    had = {pid: frozenset(held[pid]) for pid in held}
    heard = {pid: frozenset(listening[pid] - HELPER_PORTS - agents[pid]) for pid in listening}
    return Host(gateways, ports, snapshot.folders, snapshot.visibility.user, had, snapshot.logins, snapshot.ways, heard)


def _entry(
    spec: GatewaySpec,
    specs: Sequence[GatewaySpec],
    claims: Mapping[int, str],
    owners: Mapping[int, Sequence[GatewaySpec]],
    host: Host,
    snapshot: Snapshot,
) -> Entry:
    own = [process for process in host.gateways if spec in owners[process.pid]]
    alone = [process for process in own if len(owners[process.pid]) == 1]
    # One that is set to another port is another's. Where it is at work there and the entry has none, the port in the
    # inventory may be wrong, or a relay may stand before the gateway's own.
    meant = [process for process in alone if not set_to_another_port(spec, process, host)]
    meant = meant or [process for process in alone if serves_another(spec, process, host)]
    processes = [process for process in meant if not serves_another(spec, process, host)]
    # Beside one that serves the entry's port, or has, one on another port is no business of this entry, nor are its
    # clients.
    served = any(spec.port in host.ports[each.pid] | host.held[each.pid] for each in processes)
    elsewhere = [process for process in meant if process not in processes and not served]
    unplaced = [
        process
        for process in host.gateways
        if claims[process.pid] == UNPLACED and not owners[process.pid] and not serves_another(spec, process, host)
    ]
    claimants = [process for process in host.gateways if claims[process.pid] == CLAIMS and not owners[process.pid]]
    pids = {process.pid for process in (*processes, *elsewhere)}
    return Entry(
        spec=spec,
        processes=tuple(processes),
        listeners=tuple(each for each in snapshot.listeners if each.port == spec.port or each.pids & pids),
        clients=_clients(spec, specs, (*processes, *elsewhere), snapshot),
        busy_elsewhere=snapshot.working_beside(frozenset(pids)),
        elsewhere=tuple(elsewhere),
        ambiguous=tuple(process for process in own if process not in alone),
        unplaced=tuple(unplaced),
        claimants=tuple(claimants),
        unit_age=_age_without(processes, spec, snapshot),
        keepers=_keepers(spec, specs, host, snapshot),
        relay=None if processes else _relay(spec, elsewhere, host, snapshot),
        seen_whole=snapshot.visibility.privileged or spec.user == host.looked_as,
        way=snapshot.ways.get(spec.name),
    )


def _clients(
    spec: GatewaySpec, specs: Sequence[GatewaySpec], processes: Sequence[Process], snapshot: Snapshot
) -> Tuple[Client, ...]:
    """Who uses the entry's API. A client has a connection or is named by a pattern: without both there is none."""
    if not snapshot.connections and not spec.client_patterns:
        return ()
    from .clients import clients_of

    return clients_of(spec, specs, processes, snapshot)


def _relay(spec: GatewaySpec, elsewhere: Sequence[Process], host: Host, snapshot: Snapshot) -> Optional[Relay]:
    """What has the entry's port and leads to one of its gateways that serve another port."""
    if not elsewhere:
        return None
    from .relays import relay_before  # most hosts never need it

    return relay_before(spec.port, elsewhere, {each.pid: host.ports[each.pid] for each in elsewhere}, snapshot)


def _age_without(processes: Sequence[Process], spec: GatewaySpec, snapshot: Snapshot) -> Optional[float]:
    """Seconds since what should carry a gateway came up: the entry's unit, or its container without one."""
    if spec.container is None:
        return snapshot.units.get(spec.unit_key or "")
    return snapshot.ways[spec.name].age if spec.name in snapshot.ways and not processes else None


def _keepers(spec: GatewaySpec, specs: Sequence[GatewaySpec], host: Host, snapshot: Snapshot) -> Tuple[Keeper, ...]:
    """What brings the entry's gateway, or brings it back.

    One that carries a gateway now keeps that one, and one in the unit of another entry that one's. A script of root may
    start the gateway of any account; a supervisor of root keeps the programs of many. A script that starts a gateway
    once is about to do so only while it is young. What carried the entry's last gateway may bring its next one. What is
    the entry's start_command, run by its account or by root, does nothing else. What lives in a container with ports of
    its own brings none that serves a port of the host, unless that leads into one.
    """
    if spec.container is not None:
        inside = host.ways[spec.name].inhabitants if spec.name in host.ways else frozenset()
        return tuple(each for each in snapshot.keepers if each.pid in inside and _may_bring(each, spec))
    accounts = {spec.user} if spec.user else {each.owner for each in _folders(spec, host)} - {None}
    units = {each.unit for each in specs if each.name != spec.name and each.unit}
    return tuple(
        each
        for each in snapshot.keepers
        if _may_bring(each, spec)
        and not any(each.pid in way.inhabitants for way in host.ways.values())
        and not (each.apart and spec.name not in host.ways and spec.name not in each.last_of)
        and (
            not accounts
            or spec.name in each.last_of
            or each.user in accounts
            or (each.user == "root" and (not each.supervises or spec.name in each.starts))
            or (spec.unit is not None and each.unit == spec.unit)
        )
        and each.unit not in units
    )


def _may_bring(keeper: Keeper, spec: GatewaySpec) -> bool:
    """Whether it is free to bring a gateway of the entry's mode and product.

    One that nothing names is known to have carried the entry's own, or is its start_command, or is no business of it.
    """
    starts = spec.name in keeper.starts
    if keeper.unnamed:
        free = spec.name in keeper.last_of or (starts and not keeper.gateways)
    else:
        free = keeper.supervises or not keeper.gateways
    fits = keeper.trading_mode in (None, spec.trading_mode) and keeper.product in (None, spec.product)
    return free and (starts or fits) and (keeper.again or keeper.age < spec.start_timeout)


def _folders(spec: GatewaySpec, host: Host) -> Tuple[Folder, ...]:
    found = host.folders.get(spec.config_dir) if spec.config_dir else None
    return (found,) if found else ()


def _narrowed(fitting: List[GatewaySpec], process: Process, host: Host, served: Collection[str]) -> List[GatewaySpec]:
    """Of several entries that a gateway could be, those whose port it serves, else has served; else all of them.

    One that serves nothing is not the gateway of an entry whose port another one serves. served: names of these.
    """
    if len(fitting) < 2:
        return fitting
    for ports in (host.ports[process.pid], host.held[process.pid]):
        found = [spec for spec in fitting if spec.port in ports]
        if found:
            return found
    if host.ports[process.pid]:
        return fitting
    return [spec for spec in fitting if spec.name not in served] or fitting
