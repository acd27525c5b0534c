"""Decides which gateway process belongs to which inventory entry. Pure.

Evidence before assumption: what a command line says is only a claim. The product, the account, the trading mode, the
settings folder, the unit and the ports that are served decide together; what is not proven to belong to an entry is
nobody's, is told, and is left alone.
"""

from __future__ import annotations

import posixpath
from typing import Any, Collection, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..base.host import Folder, Keeper, Process, Snapshot
from ..base.plan import Differing, Entry, Relay
from ..base.spec import API_PORTS, HELPER_PORTS, GatewaySpec
from .clients import clients_of
from .ports import agent_ports

#: What a gateway is to an entry: not its own, its own, or one whose folder or account nothing proves.
NOT, OWN, UNPLACED, CLAIMS = "not", "own", "unplaced", "claims"


class Host(NamedTuple):
    """What of a snapshot decides which gateway is whose.

    ports: by pid, the API ports it serves; held: those on which it holds connections, so that it has served them.
    logins: as a Snapshot has them.
    """

    gateways: Tuple[Process, ...]
    ports: Mapping[int, FrozenSet[int]]
    folders: Mapping[str, Folder]
    looked_as: str
    held: Mapping[int, FrozenSet[int]]
    logins: FrozenSet[str] = frozenset()
    #: By entry, how its port leads into a container.
    ways: Mapping[str, Any] = {}
    #: By pid, all ports on which it listens, but for those that are an agent's or IBC's.
    heard: Mapping[int, FrozenSet[int]] = {}


def entries_of(specs: Sequence[GatewaySpec], snapshot: Snapshot) -> Tuple[Tuple[Entry, ...], Tuple[Process, ...]]:
    """(an Entry for each spec, in their order; the gateways that fit none of them)."""
    host = _host(specs, snapshot)
    claims = {spec.name: {each.pid: _claim(spec, each, host) for each in host.gateways} for spec in specs}
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
    return tuple(_with_differing(entry, nobodys, host) for entry in found) if nobodys else found, nobodys


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
    meant = [process for process in alone if not _set_to_another_port(spec, process, host)]
    meant = meant or [process for process in alone if _serves_another(spec, process, host)]
    processes = [process for process in meant if not _serves_another(spec, process, host)]
    # Beside one that serves the entry's port, or has, one on another port is no business of this entry, nor are its
    # clients.
    served = any(spec.port in host.ports[each.pid] | host.held[each.pid] for each in processes)
    elsewhere = [process for process in meant if process not in processes and not served]
    unplaced = [
        process
        for process in host.gateways
        if claims[process.pid] == UNPLACED and not owners[process.pid] and not _serves_another(spec, process, host)
    ]
    claimants = [process for process in host.gateways if claims[process.pid] == CLAIMS and not owners[process.pid]]
    pids = {process.pid for process in (*processes, *elsewhere)}
    return Entry(
        spec=spec,
        processes=tuple(processes),
        listeners=tuple(each for each in snapshot.listeners if each.port == spec.port or each.pids & pids),
        clients=clients_of(spec, specs, (*processes, *elsewhere), snapshot),
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
    once is about to do so only while it is young. What carried the entry's last gateway may bring its next one. What
    lives in a container with ports of its own brings none that serves a port of the host, unless that leads into one.
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
            or (each.user == "root" and not each.supervises)
            or (spec.unit is not None and each.unit == spec.unit)
        )
        and each.unit not in units
    )


def _may_bring(keeper: Keeper, spec: GatewaySpec) -> bool:
    """Whether it is free to bring a gateway of the entry's mode and product.

    One that nothing names is known to have carried the entry's own, or it is no business of the entry.
    """
    return (
        (spec.name in keeper.last_of if keeper.unnamed else keeper.supervises or not keeper.gateways)
        and (keeper.again or keeper.age < spec.start_timeout)
        and keeper.trading_mode in (None, spec.trading_mode)
        and keeper.product in (None, spec.product)
    )


def _folders(spec: GatewaySpec, host: Host) -> Tuple[Folder, ...]:
    found = host.folders.get(spec.config_dir) if spec.config_dir else None
    return (found,) if found else ()


def _serves_another(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether it serves an API port, and not the entry's: at work for somebody, so never the entry's surplus."""
    ports = host.ports[process.pid]
    return bool(ports) and spec.port not in ports


def _set_to_another_port(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether IBC's settings file gives it another API port than the entry's, and it has never served that one.

    In a container the port of its settings is not the one that the host sees.
    """
    port = process.gateway.api_port if process.gateway else None
    if port in (None, spec.port) or spec.container is not None or process.other_netns:
        return False
    return spec.port not in host.ports[process.pid] | host.held[process.pid]


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


# --- the claim of one gateway on one entry ---------------------------------------------------------------------------


def _claim(spec: GatewaySpec, process: Process, host: Host) -> str:
    """NOT, OWN, UNPLACED (all but its folder fits) or CLAIMS (all fits, and nothing shows that its account may)."""
    kind = process.gateway
    if kind is None or kind.product != spec.product:
        return NOT
    if kind.trading_mode not in (None, spec.trading_mode):
        return NOT
    if spec.container is not None:
        return _claim_in_container(spec, process, host)
    if spec.user is not None and spec.user not in (process.user, str(process.uid)):
        return NOT
    if kind.unsupported is not None:
        return UNPLACED
    if spec.unit is not None and process.unit == spec.unit:
        # Nobody but the system puts a process into a unit of the system; the folder tells two in one unit apart.
        return NOT if _apart(spec, process, host) else OWN
    placed = _placed(spec, process, host)
    if placed is False or _out_of_reach(spec, process, host):
        return NOT
    if not _account_may(spec, process, host):
        return CLAIMS if placed or spec.port in host.ports[process.pid] else NOT
    ports = host.ports[process.pid] or host.held[process.pid]  # it serves them, or has served them
    return OWN if placed or spec.port in ports else UNPLACED


def _out_of_reach(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether it lives in a container with ports of its own, and the entry's port leads to another gateway.

    Where nothing can be seen to lead anywhere, it may be the entry's.
    """
    if not process.other_netns or spec.port in host.ports[process.pid]:
        return False
    return process.reached or any(spec.port in ports for ports in host.ports.values())


def _claim_in_container(spec: GatewaySpec, process: Process, host: Host) -> str:
    """The container that the entry names tells whose it is; its folder, of several in one container."""
    way = host.ways.get(spec.name)
    if way is None or process.pid not in way.members:
        return NOT
    if process.gateway is not None and process.gateway.unsupported is not None:
        return UNPLACED
    return NOT if _placed(spec, process, host) is False else OWN


def _placed(spec: GatewaySpec, process: Process, host: Host) -> Optional[bool]:
    """Whether it keeps its settings in the entry's folder; None where nothing tells."""
    if spec.config_dir is None:
        return True
    wanted = {posixpath.normpath(spec.config_dir)}
    known = host.folders.get(spec.config_dir)
    if known is not None:
        wanted.add(known.path)
        if known.id is not None and known.id == process.folder_id:
            return True  # through a bind mount, or in a root of its own
    given = process.gateway.config_dir if process.gateway else None
    told = {posixpath.normpath(each) for each in (process.folder, given) if each}
    if told:
        return bool(told & wanted)
    return True if process.cwd is not None and posixpath.normpath(process.cwd) in wanted else None


def _apart(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether it is another gateway's neighbour in the entry's unit: that one has the entry's folder, it another."""
    if spec.config_dir is None or _placed(spec, process, host) is not False:
        return False
    neighbours = (each for each in host.gateways if each.unit == spec.unit and each.pid != process.pid)
    return any(_placed(spec, each, host) for each in neighbours)


def _with_differing(entry: Entry, nobodys: Sequence[Process], host: Host) -> Entry:
    """An entry without a gateway that stays, with those of nobody that one key alone keeps from being its own."""
    stays = len(entry.processes) == 1 or entry.owners()
    if stays or entry.elsewhere or entry.ambiguous or entry.unplaced or entry.claimants:
        return entry
    spec, found = entry.spec, []
    for process in nobodys:
        kind = process.gateway
        if kind is None or kind.product != spec.product or kind.trading_mode not in (None, spec.trading_mode):
            continue
        if spec.container is not None or process.other_netns:
            continue  # no key of an entry tells what lives in which container
        keys = []
        if spec.user is not None and spec.user != process.user:
            keys.append(("user", process.user, spec.user))
        folder = process.folder or kind.config_dir or process.cwd
        if spec.config_dir is not None and folder is not None and _placed(spec, process, host) is False:
            keys.append(("config_dir", folder, spec.config_dir))
        port = _other_port(spec, process, host)
        if port is not None:
            keys.append(("port", str(port), str(spec.port)))
        if keys:
            found.append(Differing(process, tuple(keys), _may_be_meant(spec, process, [key for key, *_ in keys], host)))
    nearest = min((len(near.keys) for near in found), default=0)
    return entry._replace(differing=tuple(near for near in found if len(near.keys) == nearest))


def _may_be_meant(spec: GatewaySpec, process: Process, keys: Sequence[str], host: Host) -> bool:
    """Whether a gateway that differs in these keys may be the entry's all the same.

    Where the entry's folder is there, the entry says what it means, and a gateway with another one is another one.
    Another account's counts only where it owns that folder: anybody can start what looks like a gateway.
    """
    if _serves_another(spec, process, host) or len(keys) > 1:
        return False
    owner = host.folders.get(spec.config_dir or "", Folder("")).owner
    return {"user": owner == process.user, "config_dir": owner is None, "port": True}[keys[0]]


def _other_port(spec: GatewaySpec, process: Process, host: Host) -> Optional[int]:
    """The port that a gateway is set to or listens on, and that is not the entry's; None where nothing tells one."""
    heard = host.heard[process.pid]
    if spec.port in heard:
        return None
    if _set_to_another_port(spec, process, host):
        return process.gateway.api_port if process.gateway else None
    return min(heard, default=None)


def _account_may(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether its account is one that may run the entry's gateway, by more than its command line.

    root may; so may the entry's user, the owner of its settings folder, and this run's own account, which starts it.
    Where none of that is known it counts that no other account claims it as well, and that nobody else can log in to
    this host who could have started what looks like it.
    """
    if process.user == "root" or spec.user is not None:
        return True
    owner = host.folders.get(spec.config_dir or "", Folder("")).owner
    if owner is not None:
        return process.user == owner
    if process.user == host.looked_as:
        return True
    rivals = {
        each.user
        for each in host.gateways
        if each.gateway is not None
        and each.gateway.product == spec.product
        and each.gateway.trading_mode in (None, spec.trading_mode)
        and not _serves_another(spec, each, host)
    }
    return (rivals | host.logins) <= {process.user}
