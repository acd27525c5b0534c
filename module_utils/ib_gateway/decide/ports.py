"""Which of a gateway's ports are its API's. Pure.

A JVM listens on more than its API: JMX, a debugger, an agent, an embedded browser. A port is the API's by evidence: it
is a known or a declared one, sessions work on it, or it is open after the login has completed.
"""

from __future__ import annotations

import re
from typing import FrozenSet, Set, Tuple

from ..base.host import Process
from ..base.plan import Entry

#: Java's options that load an agent: a debugger, a metrics exporter. What follows their name are the agent's own words.
_AGENTS = ("-agentlib:", "-agentpath:", "-javaagent:", "-Xrunjdwp:")
#: A port among an agent's words: alone, or after an address or a key.
_PORT = r"(?:^|[=:,])([0-9]{2,5})(?=$|[,:/])"
#: A property that says where its owner listens, and an address with its port.
_LISTENS = re.compile(r"address|listen|bind", re.IGNORECASE)
_ADDRESS = r"(?:[A-Za-z0-9.-]*|\*|\[[0-9A-Fa-f:]*\]):([0-9]{2,5})"


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
            address = re.fullmatch(_ADDRESS, value)
            found.update([int(address.group(1))] if address else ())
        elif word.startswith(_AGENTS):
            own = word.partition(":")[2] if word.startswith("-Xrunjdwp:") else value
            found.update(int(each) for each in re.findall(_PORT, own))
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
