"""Takes a look on into containers, and finds the link that is down between a host's port and the gateway inside.

Loaded only on hosts where an entry or a gateway has to do with a container.
"""

from __future__ import annotations

from typing import Collection, FrozenSet, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..api import handshake
from ..base.container import PUBLISHED_PORT, RELAY, ContainerState, Way
from ..base.host import Process, Snapshot
from ..base.plan import Entry
from ..base.probe import Probe
from ..base.spec import GatewaySpec
from ..decide.way_sessions import ports_on_the_way, seen_through
from ..decide.ways import ways_of
from ..lifecycle import engine
from ..observe import containers, namespaces, processes

#: Seconds beyond its own that a handshake may take to be closed.
_MARGIN = 5.0
#: Outcomes of a handshake through the published port that a proxy or a relay can bring about by itself.
_ON_THE_WAY = ("refused", "silent", "dropped")


class Handshake(NamedTuple):
    """How a handshake is made: seconds for it, probe.QUICK or FULL, client ids that others use."""

    timeout: float
    depth: str
    avoid: Collection[int]


def looked_into(found: Snapshot, specs: Sequence[GatewaySpec]) -> Snapshot:
    """The snapshot, with each entry's port as what it leads to in its container. Raises OSError."""
    states = engine.states_of(specs)
    gateways = frozenset(each.pid for each in found.processes.values() if each.gateway)
    first = {state.pid for state in states.values() if state.running}
    living = {
        name: containers.inhabitants(state.pid) if state.running else frozenset() for name, state in states.items()
    }
    members = {name: pids & gateways for name, pids in living.items()}
    places = containers.places(found, {spec.port for spec in specs}, first)
    told = ways_of(specs, found, places, states, members)
    by_port = {spec.port: told[spec.name] for spec in specs if spec.name in told}
    host = containers.host_connections(ports_on_the_way(list(told.values()), by_port))
    seen = seen_through(by_port, found, host)
    reached: FrozenSet[int] = frozenset().union(*(each.gateways for each in places)) if places else frozenset()
    return seen._replace(
        processes=_processes(seen, reached),
        ways={
            name: way._replace(inhabitants=living.get(name, frozenset()), age=_age(states.get(name)))
            for name, (way, _place) in told.items()
        },
    )


def _processes(seen: Snapshot, reached: FrozenSet[int]) -> Mapping[int, Process]:
    """The processes of the look, and the clients that only their sessions inside have brought up."""
    clients = {pid for each in seen.connections for pid in each.client_pids if pid not in seen.processes}
    known = {**seen.processes, **containers.described(clients)}
    return {pid: each._replace(reached=True) if pid in reached else each for pid, each in known.items()}


def _age(state: Optional[ContainerState]) -> Optional[float]:
    """How long a container has run; None where it does not.

    One that ran when its engine was asked and whose first process has ended since is as good as new: what its engine
    does next is not known yet.
    """
    if state is None or not state.running:
        return None
    stat = processes.read_stat(state.pid)
    return max(0.0, processes.uptime() - stat.started_ticks / containers.TICKS) if stat is not None else 0.0


def probed(entry: Entry, outside: Optional[Probe], how: Handshake) -> Tuple[Optional[Probe], Optional[Way]]:
    """(the handshake that tells of the gateway, the entry's way with the link that is down).

    outside: the handshake through the host's port; None where the container's address is none of the host's. Where that
    failed before the gateway had said anything, the gateway is asked from inside its own namespace: if it is well
    there, the fault lies between the two.
    """
    way = entry.way
    if way is None or way.door is None or (outside is not None and outside.outcome not in _ON_THE_WAY):
        return outside, way
    inside = _inside(way, way.door, how)
    if inside is None or not inside.ok or outside is None:
        return inside or outside, way
    link, why = PUBLISHED_PORT, "port %d does not lead into %s" % (entry.spec.port, way.label)
    if way.relay is not None and way.port_inside is not None:
        through = _inside(way, (way.door[0], way.port_inside), how)
        if through is not None and not through.ok:
            link = RELAY
            why = "%s on port %d in %s does not hand connections on" % (way.relay, way.port_inside, way.label)
    return inside, way._replace(broken=link, why="%s: a handshake is %s there" % (why, outside.outcome))


def _inside(way: Way, where: Tuple[str, int], how: Handshake) -> Optional[Probe]:
    """A handshake from inside the namespace; None where this run may not enter it."""
    stat = processes.read_stat(way.pid)
    if stat is None:
        return None

    def shake() -> Probe:
        return handshake.probe(where[0], where[1], timeout=how.timeout, depth=how.depth, avoid=how.avoid)

    try:
        return namespaces.within(way.pid, stat.started_ticks, shake, how.timeout * 2 + _MARGIN)
    except OSError:
        return None
