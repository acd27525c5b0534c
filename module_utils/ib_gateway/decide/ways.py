"""How an entry's port leads through a container's proxy, NAT and relay to its gateway. Pure.

What the engine or its proxy says of a port is a claim; the sockets inside, and then a handshake, are the proof.
"""

from __future__ import annotations

import re
from typing import Collection, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.classify import CONTAINER_PROXIES
from ..base.container import PUBLISHED_PORT, RELAY, ContainerState, Published, Way
from ..base.host import Listener, Process, Snapshot
from ..base.place import Place
from ..base.spec import API_PORTS, HELPER_PORTS, GatewaySpec

#: The address that a relay of socat's kind hands connections to: `TCP:127.0.0.1:4001`, `TCP4:localhost:4001`.
_TARGET = re.compile(r"(?i)\btcp[46]?(?:-connect)?:(?:[^:,\s]*|\[[^\]]*\]):(\d+)")
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to


def ways_of(
    specs: Sequence[GatewaySpec],
    snapshot: Snapshot,
    places: Sequence[Place],
    states: Mapping[str, ContainerState],
    members: Mapping[str, FrozenSet[int]],
) -> Dict[str, Tuple[Way, Optional[Place]]]:
    """By entry, the way to its gateway and the namespace it ends in, for those that lead into a container.

    states, members: by entry that names a container, what its engine says of it, and the gateways that live in it.
    """
    found: Dict[str, Tuple[Way, Optional[Place]]] = {}
    for spec in specs:
        state, own = states.get(spec.name), members.get(spec.name, frozenset())
        place = _place_of(spec, places, own, state)
        if place is not None:
            found[spec.name] = (_way(spec, snapshot, place, state, own), place)
        elif state is not None:
            found[spec.name] = (Way(state.label, state.pid, state, own, own), None)
    return found


def _place_of(
    spec: GatewaySpec, places: Sequence[Place], own: FrozenSet[int], state: Optional[ContainerState]
) -> Optional[Place]:
    if state is not None:
        return next((each for each in places if each.gateways & own or (state.pid and each.pid == state.pid)), None)
    return next((each for each in places if spec.port in each.proxies), None)


def _way(
    spec: GatewaySpec, snapshot: Snapshot, place: Place, state: Optional[ContainerState], own: FrozenSet[int]
) -> Way:
    members = own if state is not None else place.gateways
    says = tuple(each for each in (*(state.published if state else ()), *place.published) if each.port == spec.port)
    holding = {pid for each in snapshot.listeners if each.port == spec.port for pid in each.pids}
    proxies = place.proxies.get(spec.port, frozenset())
    if says and not proxies:
        proxies = frozenset(pid for pid in holding if _is_proxy(snapshot.processes.get(pid)))
    way = Way(
        label=state.label if state else place.label,
        pid=place.pid,
        state=state,
        members=members,
        address=says[0].address if says else "",
        proxies=proxies,
        taken=bool(holding - proxies),
    )
    if says:
        return _from(way, says[0].inside, spec, snapshot, place)
    if proxies:  # nothing tells the port inside
        return _to(way, _doors(_fitting(spec, snapshot, members), place, ()), None)
    published = state.published if state else ()
    listens = any(each.port == spec.port for each in place.listeners)
    doors = _doors(_fitting(spec, snapshot, members), place, ())
    if not published and place.addresses and (listens or not doors):
        # No port of the host: the container has an address of its own in the network. Where no gateway of it listens
        # yet, nothing tells the port on which one would be met there.
        return _from(way._replace(published=False, address=place.addresses[0]), spec.port, spec, snapshot, place)
    why = "%s publishes %s" % (way.label, _ports(published)) if published else "%s publishes no port" % way.label
    way = _to(way, doors, None)
    return way._replace(broken=PUBLISHED_PORT, why="%s, and not port %d" % (why, spec.port), curable=False)


def _is_proxy(process: Optional[Process]) -> bool:
    return process is not None and process.relay in CONTAINER_PROXIES


def _ports(published: Iterable[Published]) -> str:
    return ", ".join("port %d as %d" % (each.inside, each.port) for each in published)


def _from(way: Way, inside: int, spec: GatewaySpec, snapshot: Snapshot, place: Place) -> Way:
    """The way from the port inside on."""
    way = way._replace(port_inside=inside)
    holders = {pid for each in place.listeners if each.port == inside for pid in each.pids}
    if holders & way.members:
        return _to(way, [each for each in _doors(way.members, place, {inside}) if each.port == inside], None)
    programs = [place.programs[pid] for pid in sorted(holders) if pid in place.programs]
    targets = _targets(programs)
    doors = _doors(_fitting(spec, snapshot, way.members), place, targets)
    if holders:
        relay = next((each.relay or each.command[0].rpartition("/")[2] for each in programs if each.command), "a relay")
        return _to(way, [each for each in doors if not targets or each.port in targets], relay)
    if not doors:
        return way
    why = "nothing listens on port %d in %s, and its gateway listens on port %s" % (
        inside,
        way.label,
        ", ".join(str(port) for port in sorted({each.port for each in doors})),
    )
    return _to(way, doors, None)._replace(broken=RELAY, why=why)


def _targets(programs: Iterable[Process]) -> Set[int]:
    """The ports to which relays hand connections on, where their command lines say it."""
    return {int(port) for each in programs for word in each.argv for port in _TARGET.findall(word)}


def _doors(gateways: FrozenSet[int], place: Place, sure: Collection[int]) -> List[Listener]:
    """The listeners of these gateways that may be an API's; of several those on a port that is sure or usual."""
    found = [each for each in place.listeners if each.pids & gateways and each.port not in HELPER_PORTS]
    usual = [each for each in found if each.port in API_PORTS or each.port in sure]
    return usual or found


def _to(way: Way, doors: Sequence[Listener], relay: Optional[str]) -> Way:
    """The way, with the gateways at its end that listen there."""
    return way._replace(
        gateways=frozenset(pid for each in doors for pid in each.pids & way.members),
        relay=relay,
        door=(_reachable(doors[0]), doors[0].port) if doors else None,
    )


def _reachable(listener: Listener) -> str:
    """The address on which a listener is met from its own namespace."""
    if listener.address in _ANY:
        return "127.0.0.1" if "ipv4" in listener.families else "::1"
    return listener.address


def _fitting(spec: GatewaySpec, snapshot: Snapshot, pids: FrozenSet[int]) -> FrozenSet[int]:
    """Those of the gateways that are of the entry's mode and product, as far as their command line says."""
    kinds = {pid: snapshot.processes[pid].gateway for pid in pids if pid in snapshot.processes}
    return frozenset(
        pid
        for pid, kind in kinds.items()
        if kind and kind.product == spec.product and kind.trading_mode in (None, spec.trading_mode)
    )
