"""Of several gateways of one entry: which one stays, and which of the others may be ended. Pure."""

from __future__ import annotations

import posixpath
from typing import Dict, List, Optional

from ..base.host import Process
from ..base.plan import Entry
from .eviction import untouchable
from .ports import stray_ports


def keep(entry: Entry) -> Optional[Process]:
    """The process that stays: the one that owns the port, else the unit's, else the only one, else none."""
    owners = entry.owners()
    if owners:
        return owners[0]
    of_unit = [process for process in entry.processes if entry.carried(process)]
    if of_unit:
        return of_unit[0]
    return entry.processes[0] if len(entry.processes) == 1 else None


def why_spared(entry: Entry, process: Process, kept: Optional[Process]) -> List[str]:
    """For whose sake a gateway is not ended, in words that follow "would cut off"; empty where it is surplus.

    kept: the gateway that stays, None where all are to be ended and one is started anew. One that has just started may
    be a restart under way.
    """
    spared = _lasting(entry, process, kept)
    if kept is not None and process.age < entry.spec.start_timeout:
        spared.append("the login of pid %d, which started %d s ago" % (process.pid, process.age))
    return spared


def spared_for_good(entry: Entry) -> Dict[int, List[str]]:
    """By pid, why a gateway is surplus neither now nor later, beside the one that owns the port; empty without that."""
    owners = entry.owners()
    others = [each for each in entry.processes if owners and each is not owners[0]]
    reasons = {each.pid: _lasting(entry, each, owners[0]) for each in others}
    return {pid: several for pid, several in reasons.items() if several}


def _lasting(entry: Entry, process: Process, kept: Optional[Process]) -> List[str]:
    """The reasons that do not pass with its age.

    One that serves somebody is never surplus, nor is one which listens on a port that may be an API's, unless it was
    seen to serve the entry's port and none is to stay, nor one with a FIX login that never opened the entry's port: it
    may be there for FIX alone.
    """
    spared = [
        "pid %d" % client.process.pid if client.process else untouchable(client)
        for client in entry.clients
        if client.connection is not None
        and process.pid in client.connection.gateway_pids
        and (client.outlives_restarts or (client.working and kept is not None))
    ]
    if kept is not None and entry.owners():
        spared.extend(_login_of_another(entry, process, kept))
    if kept is not None or not entry.was_seen_serving(process):
        spared.extend("whoever uses port %d of pid %d" % (each, process.pid) for each in stray_ports(entry, process))
    if process.gateway is not None and process.gateway.fix_login and not entry.has_served(process):
        spared.append("the FIX sessions of pid %d, which no port of the API shows" % process.pid)
    if process.pid in entry.contained or entry.in_container(process):
        spared.append("all that lives in the container of pid %d" % process.pid)
    if process.pid == 1 or process.own_run:
        spared.append("all that pid %d carries, this run among it" % process.pid)
    return spared


def _login_of_another(entry: Entry, process: Process, kept: Process) -> List[str]:
    """The login of one that never served, where that may be meant for something else than the entry's port.

    A native launch says neither its mode nor what it serves, and both are chosen at its login window. Under IBC both,
    the user and the port stand in its settings file: another file than that of the gateway which serves may be of
    another user.
    """
    kind = process.gateway
    if kind is None or entry.has_served(process):
        return []
    unsaid = kind.trading_mode is None
    if kind.launcher == "native" and unsaid:
        return ["the login of pid %d, which may be meant for another mode or for FIX" % process.pid]
    mine, its = _ini(process), _ini(kept)
    if mine is not None and its is not None and mine != its:
        return ["the login of pid %d, which has another IBC settings file than pid %d" % (process.pid, kept.pid)]
    if kind.ini_unread and unsaid and its is None:
        return ["the login of pid %d, whose IBC settings file could not be read" % process.pid]
    return []


def _ini(process: Process) -> Optional[str]:
    """Where its IBC settings file is; None where its command line names none."""
    name = process.gateway.ini if process.gateway else None
    return posixpath.normpath(posixpath.join(process.cwd or "/", name)) if name else None
