"""Finds the containers that carry gateways or have an entry's port, and reads the sockets of their network namespaces.

Loaded only where a gateway lives in a network namespace of its own, a container engine's program holds an entry's port,
or an entry names a container.
"""

from __future__ import annotations

import os
import re
import time
from typing import (
    Callable,
    Collection,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from ..base.classify import CONTAINER_PROXIES, relay_name
from ..base.container import Published
from ..base.host import Connection, Process, Snapshot
from ..base.place import Place
from . import linux, namespaces, processes, sockets
from .holders import Owners
from .process_table import Table

#: A container's full name in its control group; conmon has one of its own beside it.
_CONTAINER = re.compile(
    r"(?:^|/)(docker|libpod|libpod-payload|crio|cri-containerd)?[-/]?([0-9a-f]{64})(?:\.scope)?(?:/|$)"
)
_ENGINES = {"docker": "docker", "libpod": "podman", "libpod-payload": "podman"}
#: Of a process's start.
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_QUEUE_SAMPLES = 3
_QUEUE_INTERVAL = 0.1


def _proxies(found: Snapshot, port: int) -> List[Process]:
    """The programs of container engines that listen on a port of the host."""
    pids = {pid for each in found.listeners if each.port == port for pid in each.pids}
    seen = (found.processes[pid] for pid in sorted(pids) if pid in found.processes)
    return [each for each in seen if each.relay in CONTAINER_PROXIES]


class _Namespaces:
    """Who lives in which network namespace, read when somebody asks, and once."""

    def __init__(self) -> None:
        self.own = processes.network_namespace("self")
        self._pids: Dict[str, List[int]] = {}

    def other(self, pid: int) -> Optional[str]:
        """The network namespace of a process, where that is not this run's."""
        netns = processes.network_namespace(str(pid))
        return netns if netns != self.own else None

    def others(self) -> Mapping[str, List[int]]:
        """By network namespace that is not this run's, the processes in it."""
        if not self._pids:
            for pid in processes.pids():
                netns = self.other(pid)
                if netns is not None:
                    self._pids.setdefault(netns, []).append(pid)
        return self._pids


def places(found: Snapshot, ports: Collection[int], first: Iterable[int]) -> Tuple[Place, ...]:
    """The network namespaces that an entry's port leads to, or that its container has, each with its sockets.

    ports: of the entries, on the host. first: the first processes of containers that entries name.
    """
    known = _Namespaces()
    begun = {netns: pid for pid in first for netns in [known.other(pid)] if netns is not None}
    held: Dict[str, Dict[int, Set[int]]] = {}
    published: Dict[str, Set[Published]] = {}
    for port in ports:
        for proxy in _proxies(found, port):
            inner = _inner(proxy, port, known)
            behind = _behind(proxy, inner, known) or _only_one(found, known)
            if behind is not None:
                begun.setdefault(*behind)
                held.setdefault(behind[0], {}).setdefault(port, set()).add(proxy.pid)
                told = _said(proxy.relay, inner or proxy.argv, port)
                published.setdefault(behind[0], set()).update(told)
    read = [_place(found, known, netns, pid) for netns, pid in begun.items()]
    return tuple(
        each._replace(
            proxies={port: frozenset(pids) for port, pids in held.get(each.netns, {}).items()},
            published=tuple(sorted(published.get(each.netns, ()))),
        )
        for each in read
        if each is not None
    )


def _only_one(found: Snapshot, known: _Namespaces) -> Optional[Tuple[str, int]]:
    """Where a proxy leads that does not tell whose it is, as those of rootless engines: to the only gateways that live
    in a network namespace of their own."""
    inside = {known.other(each.pid): each.pid for each in found.processes.values() if each.gateway and each.other_netns}
    inside.pop(None, None)
    return next(((netns, pid) for netns, pid in inside.items() if netns), None) if len(inside) == 1 else None


def _inner(proxy: Process, port: int, known: _Namespaces) -> Optional[Sequence[str]]:
    """The command line of the docker-proxy to which rootlesskit hands a port on, in the network namespace that it has
    made; None for another proxy."""
    for child in sorted(processes.children(proxy.pid) or ()) if proxy.relay == "rootlesskit" else ():
        for pid in known.others().get(known.other(child) or "", ()):
            argv = processes.read_argv(pid)
            if relay_name(argv) == "docker-proxy" and _option(argv, "-host-port") == str(port):
                return argv
    return None


def _behind(proxy: Process, inner: Optional[Sequence[str]], known: _Namespaces) -> Optional[Tuple[str, int]]:
    """(the network namespace that a proxy leads to, a process in it); None where nothing proves that.

    inner: as _inner() has it.
    """
    if proxy.relay in ("conmon", "rootlessport"):  # the latter leaves a child inside
        for child in sorted(processes.children(proxy.pid) or ()):
            netns = known.other(child)
            if netns is not None:
                return netns, child
    elif proxy.relay == "docker-proxy" and proxy.user == "root":
        address, here = _option(proxy.argv, "-container-ip"), known.other(proxy.pid)
        return _at(address, known, lambda pids: any(known.other(each) == here for each in _parents(pids)))
    elif inner is not None:
        # Every account's docker has the same network inside: its containers are those of its own user namespace.
        own = {processes.user_namespace(str(child)) for child in processes.children(proxy.pid) or ()}
        own -= {None, processes.user_namespace("self")}
        address = _option(inner, "-container-ip")
        return _at(address, known, lambda pids: processes.user_namespace(str(pids[0])) in own)
    elif proxy.relay == "pasta":
        for word in proxy.argv[1:]:
            netns = _named(word)
            if netns in known.others():
                return str(netns), known.others()[str(netns)][0]
    return None


def _at(
    address: Optional[str], known: _Namespaces, of_daemon: Callable[[Sequence[int]], bool]
) -> Optional[Tuple[str, int]]:
    """The only network namespace that has an address and is of the daemon whose proxy names it: each daemon gives its
    containers the same ones. of_daemon: told by the processes of one."""
    found = [
        (netns, pids[0])
        for netns, pids in (known.others().items() if address else ())
        if of_daemon(pids) and address in namespaces.addresses(pids[0])
    ]
    return found[0] if len(found) == 1 else None


def _parents(pids: Iterable[int]) -> Iterator[int]:
    """Who has started these: a container's first process its shim, which lives where the daemon and its proxies do."""
    for pid in pids:
        stat = processes.read_stat(pid)
        if stat is not None:
            yield stat.ppid


def _named(path: str) -> Optional[str]:
    """The network namespace that a path leads to."""
    try:
        return "net:[%d]" % os.stat(path).st_ino if path.startswith("/") else None
    except (OSError, ValueError):
        return None


def _option(argv: Sequence[str], name: str) -> Optional[str]:
    return next((after for word, after in zip(argv, argv[1:]) if word == name), None)


def _said(relay: Optional[str], argv: Sequence[str], port: int) -> List[Published]:
    """What a proxy's command line says of the ports it leads to."""
    if relay in ("docker-proxy", "rootlesskit"):
        inside = _option(argv, "-container-port") or ""
        # Behind rootlesskit the address is one of its own network, not the host's.
        address = (_option(argv, "-host-ip") or "") if relay == "docker-proxy" else ""
        return [Published(address, port, int(inside))] if inside.isdigit() else []
    if relay == "pasta":
        pairs = re.findall(r"(?:^|,|/)(\d+)(?:-\d+)?:(\d+)", ",".join(argv))
        return [Published("", port, int(inside)) for outside, inside in pairs if int(outside) == port]
    return []


def _place(found: Snapshot, known: _Namespaces, netns: str, pid: int) -> Optional[Place]:
    """A network namespace with its sockets; None where it has gone, or may not be looked into."""
    stat = processes.read_stat(pid)
    try:
        if stat is None or known.other(pid) != netns:
            return None
        tables = namespaces.tables(pid, stat.started_ticks)
        inside = known.others().get(netns, [pid])
        owners, users = Owners(Table(every_command_line=False)), processes.Users()
        for each in inside:
            owners.read(each)
        listeners = tuple(linux.listener_of(row, owners, users) for row in tables.listeners)
        connections = tuple(linux.connection_of(row, owners, users) for row in tables.connections)
        holders = {each for row in listeners for each in row.pids} | {x for row in connections for x in row.pids}
        described = holders & found.processes.keys()
        programs = {**linux.describe(holders - described), **{each: found.processes[each] for each in described}}
    except OSError:
        return None
    gateways = frozenset(each for each in inside if each in found.processes and found.processes[each].gateway)
    waiting = {each.port for each in listeners if each.accept_queue and each.pids & gateways}
    return Place(
        netns=netns,
        pid=pid,
        addresses=tables.addresses,
        listeners=listeners,
        connections=connections,
        gateways=gateways,
        programs=programs,
        queue_samples=_sampled(pid, stat.started_ticks, waiting) if waiting else {},
        label=label(pid),
    )


def _sampled(pid: int, started_ticks: int, ports: Set[int]) -> Mapping[int, Tuple[int, ...]]:
    samples: Dict[int, List[int]] = {port: [] for port in ports}
    for count in range(_QUEUE_SAMPLES):
        if count:
            time.sleep(_QUEUE_INTERVAL)
        rows = namespaces.tables(pid, started_ticks).listeners
        for port, lengths in samples.items():
            lengths.append(max((row.receive_queue for row in rows if row.local_port == port), default=0))
    return {port: tuple(lengths) for port, lengths in samples.items()}


def host_connections(ports: Collection[int]) -> Tuple[Connection, ...]:
    """The host's own connections with one of these ports at either end, with their owners. Raises OSError."""
    rows = sockets.connections(ports)
    owners, users = Owners(Table(every_command_line=False)), processes.Users()
    owners.resolve(rows, ())
    return tuple(linux.connection_of(row, owners, users) for row in rows)


def described(pids: Collection[int]) -> Mapping[int, Process]:
    """Processes that the look has not described. Raises OSError."""
    return linux.describe(pids) if pids else {}


def inhabitants(first: int) -> FrozenSet[int]:
    """Every process of the container whose first process this is.

    By the pid namespace, which nobody enters without the right to; where the container has none of its own, by the
    whole path of its control group.
    """
    namespace = processes.pid_namespace(str(first))
    if namespace is not None and namespace != processes.pid_namespace("self"):
        return frozenset(each for each in processes.pids() if processes.pid_namespace(str(each)) == namespace)
    group = _group(first)
    return frozenset(each for each in processes.pids() if group and _group(each) == group)


def _group(pid: int) -> str:
    """The control group of a container's process, down to the container; empty without one."""
    try:
        with open("%s/%d/cgroup" % (processes.PROC, pid), encoding="ascii", errors="replace") as file:
            for line in file:
                path = line.rstrip("\n").split(":", 2)[-1]
                found = _CONTAINER.search(path)
                if found and "conmon" not in path:
                    return path[: found.end()]
    except OSError:
        pass
    return ""


def label(pid: int) -> str:
    """What a process's container is called, for a person."""
    group = _group(pid)
    found = _CONTAINER.search(group)
    if found is None:
        return "the network namespace of pid %d" % pid
    return "%s container %s" % (_ENGINES.get(found.group(1) or "", "the"), found.group(2)[:12])
