"""Which of a gateway's ports are its API's, and which relay publishes one. Pure.

A JVM listens on more than its API: JMX, a debugger, an agent, an embedded browser. A port is the API's by evidence: it
is a known or a declared one, sessions work on it, or it is open after the login has completed.
"""

from __future__ import annotations

import re
from typing import Collection, FrozenSet, Mapping, Optional, Sequence, Set, Tuple

from ..base.classify import PIPES
from ..base.host import Process, Snapshot
from ..base.plan import Entry, Relay

#: Java's options that load an agent: a debugger, a metrics exporter. What follows their name are the agent's own words.
_AGENTS = ("-agentlib:", "-agentpath:", "-javaagent:", "-Xrunjdwp:")
#: A port among an agent's words: alone, or after an address or a key.
_PORT = re.compile(r"(?:^|[=:,])([0-9]{2,5})(?=$|[,:/])")
#: A property that says where its owner listens, and an address with its port.
_LISTENS = re.compile(r"address|listen|bind", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]*|\*|\[[0-9A-Fa-f:]*\]):([0-9]{2,5})")


def agent_ports(process: Process) -> FrozenSet[int]:
    """The ports that Java's own options name as ports: JMX, a debugger, a metrics exporter.

    A number elsewhere, in a folder's name or a session's, is none.
    """
    found: Set[int] = set()
    for word in process.argv:
        key, _equals, value = word.partition("=")
        if word.startswith("-D") and "port" in key.lower() and value.isdigit():
            found.add(int(value))
        elif word.startswith("-D") and _LISTENS.search(key):
            address = _ADDRESS.fullmatch(value)
            found.update([int(address.group(1))] if address else ())
        elif word.startswith(_AGENTS):
            own = word.partition(":")[2] if word.startswith("-Xrunjdwp:") else value
            found.update(int(each) for each in _PORT.findall(own))
    return frozenset(found)


def stray_ports(entry: Entry, process: Process) -> Tuple[int, ...]:
    """Ports that a gateway of the entry listens on, and of which nothing tells that they are an agent's.

    They may be its API's; that alone does not show it.
    """
    named = agent_ports(process)
    return tuple(port for port in entry.listening(process) if port not in named)


def serves_stray_port(entry: Entry, process: Process) -> bool:
    """Whether a stray port is its API's: its log tells of a completed login, and it never listened on the entry's.

    Before the login an API port is closed, so that what is open then is an agent's.
    """
    return entry.has_served(process) and not entry.was_seen_serving(process) and bool(stray_ports(entry, process))


# --- relays ----------------------------------------------------------------------------------------------------------

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
