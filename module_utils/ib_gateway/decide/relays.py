"""Which relay publishes the port of a gateway. Pure; loaded only where somebody else has an entry's port.

A relay listens on one port and hands on what comes to another one, or to the same port at another address.
"""

from __future__ import annotations

import re
from typing import Collection, Mapping, Optional, Sequence

from ..base.classify import PIPES
from ..base.host import Process, Snapshot
from ..base.plan import Relay

#: Before the port, in what a relay is told to connect to: this very host.
_HERE = r"(?:127\.[0-9.]+|localhost|\[?::1\]?):%d(?![0-9])"
#: Their command lines name what another host is to connect to.
_FROM_ANOTHER_HOST = ("ssh", "sshd", "sshd-session", "dropbear")


def relay_before(
    port: int, gateways: Sequence[Process], ports: Mapping[int, Collection[int]], snapshot: Snapshot
) -> Optional[Relay]:
    """The relay that listens on an entry's port while a gateway of the entry serves another; None without one.

    gateways: those that serve another port; ports: by pid, which. What any account can start proves nothing: the relay
    belongs to root, to the gateway's account or to this run's, or is a service of the system's.
    """
    for gateway in gateways:
        for pid in sorted(pid for each in snapshot.listeners if each.port == port for pid in each.pids):
            process = snapshot.processes.get(pid)
            if process is None or process.gateway or not (process.relay or process.pairs):
                continue
            if process.relay in PIPES and not process.pairs:
                continue  # it may as well listen for somebody who is to come
            trusted = process.user in ("root", gateway.user, snapshot.visibility.user) or process.unit is not None
            served = sorted(ports[gateway.pid])
            if trusted and served:
                behind = next((each for each in served if _leads(process, gateway, each, snapshot)), None)
                return Relay(process, gateway, served[0] if behind is None else behind, behind is not None)
    return None


def publishes(process: Process, gateways: Sequence[Process], port: int, snapshot: Snapshot) -> bool:
    """Whether a process that listens on a gateway's own port, at another address, is a relay that leads to it.

    Or may be taken for one: a relay that is a service of the system's, whose settings say where it leads.
    """
    if process.gateway or not (process.relay or process.pairs):
        return False
    return process.unit is not None or any(_leads(process, each, port, snapshot) for each in gateways)


def _leads(relay: Process, gateway: Process, port: int, snapshot: Snapshot) -> bool:
    """Whether a relay, or its children, hold connections to the port, or its command line says where it leads."""
    if relay.relay not in _FROM_ANOTHER_HOST and re.search(_HERE % port, " ".join(relay.argv)):
        return True
    same = {each.pid for each in snapshot.processes.values() if each.argv == relay.argv}
    return any(
        each.port == port and gateway.pid in each.gateway_pids and each.client_pids & same
        for each in snapshot.connections
    )
