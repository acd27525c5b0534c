"""The scripts behind the API clients of this host, found as ib_client_info finds them."""

from __future__ import annotations

import dataclasses
import os
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...ib_gateway.base.host import Process
from ...ib_gateway.base.spec import API_PORTS, GatewaySpec
from ...ib_gateway.decide.clients import all_clients
from ...ib_gateway.observe.snapshot import look
from . import files
from .model import Link, Running, RunningScript, Source


class Seen(NamedTuple):
    """A process, its script, and its connections to API ports."""

    process: Process
    source: Source
    links: Tuple[Link, ...] = ()


def facts(found: Sequence[Seen]) -> List[RunningScript]:
    """What was seen, as plain facts."""
    return [
        RunningScript(each.process.pid, each.process.user, each.source.path, each.process.command, each.links)
        for each in found
    ]


def running(specs: Sequence[GatewaySpec], max_size: int) -> List[Seen]:
    """Each Python process that uses the API or that an entry's client_patterns name, with its script."""
    patterns = [pattern for spec in specs for pattern in spec.client_patterns]
    snapshot = look(sorted({*API_PORTS, *(spec.port for spec in specs)}), patterns)
    processes: Dict[int, Process] = {}
    links: Dict[int, List[Link]] = {}
    for client in all_clients(snapshot, patterns):
        if client.process is None or client.process.own_run:
            continue
        processes[client.process.pid] = client.process
        if client.connection is not None:
            link = Link(client.connection.port, client.connection.client_port, client.working)
            links.setdefault(client.process.pid, []).append(link)
    found = []
    for pid, process in processes.items():
        path = files.script_of(process.argv, process.cwd)
        if path is not None:
            source, _identity = files.read(path, max_size)
            source = dataclasses.replace(source, command=process.argv)
            found.append(Seen(process, source, tuple(links.get(pid, ()))))
    return found


def together(named: Sequence[Source], found: Sequence[Seen]) -> List[Source]:
    """Sources that were named and those of processes, each path once; the processes add their command lines."""
    by_path = {os.path.realpath(source.path): source for source in named}
    of: Dict[str, List[Process]] = {}
    for process, source, _links in found:
        real = os.path.realpath(source.path)
        by_path[real] = dataclasses.replace(by_path.get(real, source), command=source.command)
        of.setdefault(real, []).append(process)
    for real, processes in of.items():
        by_path[real] = dataclasses.replace(by_path[real], processes=separate(processes))
    return sorted(by_path.values(), key=lambda source: source.path)


def separate(processes: Sequence[Process]) -> Tuple[Running, ...]:
    """The processes of one script that were started by themselves: workers that one of them forked are part of it."""
    pids = {process.pid for process in processes}
    own = {process.pid: Running(process.pid, process.argv) for process in processes if process.ppid not in pids}
    return tuple(own[pid] for pid in sorted(own))
