"""Finds the command servers of an entry's gateways. Asked only where something is wrong; nothing is sent to them."""

from __future__ import annotations

import os
from typing import Iterator, List, Optional

from ..base.command_server import CommandServer
from ..base.host import Process
from ..base.installation import IbcSettings, parse_ibc_ini
from ..base.plan import Diagnosis, Entry
from ..observe import started_files, way_out
from ..observe.command_port import server_of, unanswered
from ..observe.keepers import is_looped


def with_command_servers(found: List[Diagnosis], login_reset: float) -> List[Diagnosis]:
    """The diagnoses; the entries of those that call for something know their command servers.

    login_reset: when the broker has last ended all logins, or is about to, in seconds since the epoch.
    """
    return [
        each._replace(entry=each.entry._replace(command_servers=tuple(_servers(each.entry, login_reset))))
        if each.codes
        else each
        for each in found
    ]


def _servers(entry: Entry, login_reset: float) -> Iterator[CommandServer]:
    for process in entry.processes:
        kind = process.gateway
        if kind is None or kind.launcher != "ibc" or kind.fix_login or process.other_netns:
            continue
        told = _settings(process)
        if told is not None and told.fix:
            continue  # IBC refuses all but STOP there
        server = _server(entry, process, told, login_reset)
        if server is not None:
            yield server


def _settings(process: Process) -> Optional[IbcSettings]:
    ini = process.gateway.ini if process.gateway else None
    text = started_files.read_as(process.pid, os.path.join(process.cwd or "/", ini)) if ini else None
    return parse_ibc_ini(text) if text is not None else None


def _server(entry: Entry, process: Process, told: Optional[IbcSettings], login_reset: float) -> Optional[CommandServer]:
    ports = [entry.spec.ibc_command_port, told.command_port if told else None]
    try:
        for port in dict.fromkeys(each for each in ports if each is not None and each != entry.spec.port):
            where = server_of(process.pid, port)
            if where is not None:
                return CommandServer(
                    pid=process.pid,
                    where=where,
                    loop=is_looped(process.pid, entry.carriers),
                    own_time=None if told is None else told.auto_restart_time is not None,
                    login_due=process.started_at < login_reset,
                    route=way_out.exists() and not unanswered(process.pid),
                )
    except OSError:  # what cannot be seen is not used
        pass
    return None
