"""Tells a container's sockets as clients of the host see them: by the host's port, owned by the gateway inside. Pure.

A session of a gateway in a container is followed outwards, as far as something proves the next step: through a relay
inside by the process that holds both ends, to the host by the address and port of the other end, through a proxy by the
number of bytes that it has passed on. Where nothing tells which of several clients has a session, each of them may.
"""

from __future__ import annotations

from typing import Collection, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..base.container import Way
from ..base.host import ESTABLISHED, ApiConnection, Connection, Listener, Snapshot
from ..base.place import Place

_End = Tuple[str, int]


def seen_through(
    ways: Mapping[int, Tuple[Way, Optional[Place]]], snapshot: Snapshot, host: Sequence[Connection]
) -> Snapshot:
    """The snapshot, with each entry's port as what it leads to. ways: by port of the host; host: the host's own
    connections with any of the ports that are on the way."""
    open_ways = {port: (way, place) for port, (way, place) in ways.items() if place is not None and not way.taken}
    listeners = [each for each in snapshot.listeners if not _of_proxy(each, open_ways)]
    # What waits in a proxy's queue says nothing of the gateway: podman's holds its port and accepts nobody.
    samples = {port: each for port, each in snapshot.accept_queue_samples.items() if port not in open_ways}
    outside = {
        port: [each for each in snapshot.connections if _at(each, port, way)] for port, (way, _) in open_ways.items()
    }
    met = {each for group in outside.values() for each in group}
    connections = [each for each in snapshot.connections if each not in met]
    for port, (way, place) in open_ways.items():
        if way.gateways and way.door is not None and way.broken is None:
            listeners.append(_listener(port, way, way.door, place))
            if way.door[1] in place.queue_samples:
                samples[port] = place.queue_samples[way.door[1]]
        connections.extend(_Sessions(port, way, place, outside[port], host).all())
    ordered = sorted(connections, key=lambda each: (each.port, each.client, each.client_port))
    return snapshot._replace(listeners=tuple(listeners), connections=tuple(ordered), accept_queue_samples=samples)


def _at(connection: ApiConnection, port: int, way: Way) -> bool:
    """Whether a connection of the host's is one to what has the port for the container, or to nobody that is seen."""
    return connection.port == port and connection.gateway_pids <= way.proxies


def _of_proxy(listener: Listener, ways: Mapping[int, Tuple[Way, Place]]) -> bool:
    return listener.port in ways and bool(listener.pids) and listener.pids <= ways[listener.port][0].proxies


def _listener(port: int, way: Way, door: _End, place: Place) -> Listener:
    inner = next(each for each in place.listeners if each.port == door[1] and each.pids & way.gateways)
    address = way.address or "0.0.0.0"  # noqa: S104 - where the engine listens, not this program
    family = "ipv6" if ":" in address else "ipv4"
    return inner._replace(port=port, address=address, families=(family,), pids=inner.pids & way.gateways)


def _unserved(connection: ApiConnection) -> ApiConnection:
    """A client's connection that has met nobody but a proxy."""
    return connection._replace(accepted=False, gateway_pids=frozenset(), sent=None, cookie=None, received=None)


class _Outer(NamedTuple):
    """Where a session comes from: the host's clients that have it or may have it, else an address."""

    connections: Tuple[ApiConnection, ...] = ()
    pids: FrozenSet[int] = frozenset()
    remote_host: Optional[str] = None


class _Sessions:
    """The sessions of the gateways that one port of the host leads to."""

    def __init__(
        self, port: int, way: Way, place: Place, outside: Sequence[ApiConnection], host: Sequence[Connection]
    ) -> None:
        self._port, self._way, self._place = port, way, place
        self._outside = list(outside)
        self._host = host
        self._inside: Dict[Tuple[_End, _End], Connection] = {(_local(x), _remote(x)): x for x in place.connections}

    def all(self) -> List[ApiConnection]:
        """Every session, and every client of the port that has none."""
        doors = {self._way.door[1]} if self._way.door else set()
        rows = [each for each in self._place.connections if each.pids & self._way.gateways and each.local_port in doors]
        found: Dict[Connection, _Outer] = {row: self._outer(row) for row in rows}
        named = {each for outer in found.values() for each in outer.connections}
        pool = tuple(each for each in self._outside if each not in named and each.state == ESTABLISHED)
        unclear = [row for row, outer in found.items() if outer == _Outer()]
        for index, row in enumerate(unclear):
            # As many as there are, alike: it makes no difference which is whose.
            alike = len(unclear) == len(pool) and len({_works(each) for each in unclear}) == 1
            found[row] = _Outer(pool[index : index + 1] if alike else pool)
        sessions = [self._session(row, outer) for row, outer in found.items()]
        met = {each for outer in found.values() for each in outer.connections}
        return sessions + [_unserved(each) for each in self._outside if each not in met]

    def _session(self, row: Connection, outer: _Outer) -> ApiConnection:
        first = outer.connections[0] if len(outer.connections) == 1 else None
        clients = frozenset(pid for each in outer.connections for pid in each.client_pids) | outer.pids
        return ApiConnection(
            port=self._port,
            client=first.client if first else row.remote,
            client_port=first.client_port if first else row.remote_port,
            server=first.server if first else row.local,
            state=row.state,
            accepted=row.inode != 0,
            gateway_pids=row.pids & self._way.gateways,
            client_pids=clients,
            remote_host=outer.remote_host or (first.remote_host if first else None),
            idle=row.idle,
            sent=row.sent,
            received=row.received,
            lost_for=row.lost_for,
            client_user=first.client_user if first else None,
            unread=first.unread if first else None,
        )

    def _outer(self, row: Connection) -> _Outer:
        """Who is at the other end of a session; nothing where that is not told."""
        peer = self._inside.get((_remote(row), _local(row)))
        if peer is None:
            return self._of_address(row)
        arrivals = [each for each in self._place.connections if each.local_port == self._way.port_inside]
        passed_on = [each for each in arrivals if each.pids & peer.pids]
        if not passed_on:
            # A program inside that hands nothing on is itself the client.
            relaying = any(each.port == self._way.port_inside and each.pids & peer.pids for each in self._listeners())
            return _Outer() if relaying else _Outer(pids=peer.pids)
        single = passed_on if len(passed_on) == 1 else [each for each in passed_on if _passed(each, peer)]
        return self._of_address(single[0]) if len(single) == 1 else _Outer()

    def _listeners(self) -> Tuple[Listener, ...]:
        return self._place.listeners

    def _of_address(self, row: Connection) -> _Outer:
        """Who is behind the address from which a connection has come into the namespace."""
        ends = [each for each in self._host if _local(each) == _remote(row)]
        for end in ends:
            if end.pids & self._way.proxies:
                return self._behind_proxy(end)
            if end.pids:
                return _Outer(pids=end.pids)
        # Network address translation keeps the client's own port where that is free.
        moved = [each for each in self._outside if each.client_port == row.remote_port]
        if len(moved) == 1:
            return _Outer((moved[0],))
        same_net = any(_network(row.remote) == _network(each) for each in self._place.addresses)
        return _Outer() if same_net or row.remote.startswith("127.") else _Outer(remote_host=row.remote)

    def _behind_proxy(self, end: Connection) -> _Outer:
        """Whose bytes a proxy has passed on; nothing where several fit."""
        made = [each for each in self._host if each.local_port == self._port and each.pids & end.pids]
        fitting = made if len(made) == 1 else [each for each in made if _passed(each, end)]
        if len(fitting) != 1:
            return _Outer()
        client = _remote(fitting[0])
        return _Outer(tuple(each for each in self._outside if (each.client, each.client_port) == client))


def _passed(came: Connection, went: Connection) -> bool:
    """Whether a relay's two connections have carried the same number of bytes each way."""
    told = (came.received, came.sent, went.received, went.sent)
    return None not in told and (came.received, came.sent) == (went.sent, went.received)


def _works(row: Connection) -> Tuple[bool, bool]:
    """Whether a session was served, and used, as ApiConnection tells it of a connection."""
    shown = ApiConnection(0, "", 0, "", row.state, True, frozenset(), frozenset(), sent=row.sent, received=row.received)
    return shown.served, shown.opening


def _local(row: Connection) -> _End:
    return row.local, row.local_port


def _remote(row: Connection) -> _End:
    return row.remote, row.remote_port


def _network(address: str) -> str:
    """Near enough: engines give the host an address in the container's own network."""
    return address.rpartition(".")[0]


def ports_on_the_way(ways: Collection[Tuple[Way, Optional[Place]]], ports: Collection[int]) -> FrozenSet[int]:
    """The ports of which the host's own connections are needed: the entries', and those inside."""
    return frozenset(ports) | {way.port_inside for way, place in ways if place and way.port_inside is not None}
