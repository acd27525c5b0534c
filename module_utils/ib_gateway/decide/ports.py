"""Which of a gateway's ports are its API's, and who stands before them. Pure.

A JVM listens on more than its API: JMX, a debugger, an agent, an embedded browser. A port is the API's by evidence: it
is a known or a declared one, sessions work on it, or it is open after the login has completed.
"""

from __future__ import annotations

import re
from typing import FrozenSet, Tuple

from ..base.host import Process
from ..base.plan import Entry

#: Java's own options, some of which name the port of an agent.
_OPTIONS = ("-D", "-agent", "-javaagent", "-X")
_PORT = re.compile(r"(?<![0-9.])[0-9]{2,5}(?![0-9.])")


def agent_ports(process: Process) -> FrozenSet[int]:
    """The ports that Java's own options name: JMX, a debugger, a metrics exporter."""
    words = " ".join(word for word in process.argv if word.startswith(_OPTIONS))
    return frozenset(int(each) for each in _PORT.findall(words))


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
