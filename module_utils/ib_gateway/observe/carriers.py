"""Clients below which a gateway of the host runs: a bot that started it, as ib_insync's Watchdog does. Linux only.

What ends such a bot may end its gateway as well, or what brings the next one. Read only where something is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Set

from ..base.host import Snapshot
from . import processes


def with_carriers(snapshot: Snapshot) -> Snapshot:
    """The snapshot; those of its processes that are parents of a gateway, or parents of these, carry one."""
    above: Set[int] = set()
    for each in snapshot.processes.values():
        if each.gateway:
            above |= processes.ancestors(each.pid) - {each.pid, 1}
    found = {
        pid: replace(process, carries=True)
        for pid, process in snapshot.processes.items()
        if pid in above and not process.gateway
    }
    return snapshot._replace(processes={**snapshot.processes, **found}) if found else snapshot
