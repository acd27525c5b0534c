"""What a simulated host consists of: processes and sessions, and the few numbers that everybody has to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Tuple

from ansible.module_utils.ib_gateway.base import classify

#: The run itself, its ssh session and the first process of the system.
OWN, SSHD, INIT = 901, 900, 1
#: What a handshake can come to.
FRESH = ("ready", "stalled", "silent", "upstream")
#: The API port of each entry that any test declares.
PORTS = {"live": 4001, "paper": 4002, "third": 7497}


class Killed(BaseException):
    """The run's process is gone: nothing that follows is done, as little as after a power cut."""


@dataclass(eq=False)
class SimProcess:
    """One process. listens: since when on which port. ends_in: seconds to end after SIGTERM; None: it does not end.

    api: what a handshake with a gateway comes to. entry: the inventory entry that a gateway is of; '' for nobody's.
    """

    pid: int
    ticks: int
    born: float
    argv: Tuple[str, ...]
    user: str = "trader"
    ppid: int = 700
    cwd: str = "/"
    unit: Optional[str] = None
    port: Optional[int] = None
    listens_at: float = 0.0
    ends_in: Optional[float] = 0.0
    dies_at: float = float("inf")
    api: str = "ready"
    entry: str = ""
    alive: bool = True
    signals: List[int] = field(default_factory=list)

    @property
    def is_gateway(self) -> bool:
        """Whether its program is a gateway's."""
        return classify.gateway_kind(self.argv) is not None

    @property
    def folder(self) -> str:
        """Where it keeps its settings, if it is a gateway."""
        marks = [each.partition("=")[2] for each in self.argv if each.startswith("-DjtsConfigDir=")]
        return marks[0] if marks else self.cwd


@dataclass(eq=False)
class SimSession:
    """One connection to a gateway. client: None on another host. sent: what the gateway has said on it, in bytes."""

    server: SimProcess
    client: Optional[SimProcess]
    port: int
    client_port: int
    cookie: int
    since: float
    sent: int = 5000
    state: str = "ESTABLISHED"

    @property
    def working(self) -> bool:
        """Whether the gateway has served it."""
        return self.state == "ESTABLISHED" and self.sent > 100
