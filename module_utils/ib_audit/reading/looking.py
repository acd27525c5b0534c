"""The scripts behind the API clients of this host, found as ib_client_info finds them."""

from __future__ import annotations

import dataclasses
import os
from typing import Dict, List, Sequence, Tuple

from ...ib_gateway.base.host import Process
from ...ib_gateway.base.spec import API_PORTS, GatewaySpec
from ...ib_gateway.decide.clients import all_clients
from ...ib_gateway.observe.snapshot import look
from . import files
from .model import Running, Source


def running(specs: Sequence[GatewaySpec], max_size: int) -> List[Tuple[Process, Source]]:
    """(process, its script) for each Python process that uses the API or that an entry's client_patterns name."""
    patterns = [pattern for spec in specs for pattern in spec.client_patterns]
    snapshot = look(sorted({*API_PORTS, *(spec.port for spec in specs)}), patterns)
    processes: Dict[int, Process] = {}
    for client in all_clients(snapshot, patterns):
        if client.process is not None and not client.process.own_run:
            processes[client.process.pid] = client.process
    found = []
    for process in processes.values():
        path = files.script_of(process.argv, process.cwd)
        if path is not None:
            source, _identity = files.read(path, max_size)
            found.append((process, dataclasses.replace(source, command=process.argv)))
    return found


def together(named: Sequence[Source], found: Sequence[Tuple[Process, Source]]) -> List[Source]:
    """Sources that were named and those of processes, each path once; the processes add their command lines."""
    by_path = {os.path.realpath(source.path): source for source in named}
    of: Dict[str, List[Process]] = {}
    for process, source in found:
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
