"""What is decided about one entry: what was found of it, its findings, its diagnosis, the steps of its plan."""

from typing import Any, FrozenSet, Mapping, NamedTuple, Optional, Tuple

from .host import ApiConnection, Client, Listener, Process
from .probe import Probe
from .spec import COMMAND_SERVER_PORT, GatewaySpec

# A gateway's status, a finding's severity: from the best to the worst one can say.
HEALTHY = "healthy"
INFO = "info"
DEGRADED = "degraded"
UNKNOWN = "unknown"
UNHEALTHY = "unhealthy"


class Step(NamedTuple):
    """One thing a repair may do, by an action of actions.py. target: whom exactly, with `gateway`, the entry's name.

    A process is named by {pid, started_ticks, boot_id, role, argv_digest, ...}, a connection by both of its ends, its
    cookie and the processes that hold it.

    only_if_persists: the step is for the case that the steps before it do not help; the next look decides.
    """

    action: str
    gateway: str
    target: Mapping[str, Any]
    reason: str
    finding: str
    only_if_persists: bool = False


class Finding(NamedTuple):
    """One thing that is so, with its evidence. severity: info, degraded, unknown or unhealthy."""

    code: str
    severity: str
    summary: str
    evidence: Mapping[str, Any]


class Entry(NamedTuple):
    """One inventory entry beside what was found of it on the host: its gateways, their listeners, their clients.

    ambiguous: gateways that this entry and another one could mean. unplaced: gateways whose settings directory could
    not be read, so that they might be this entry's. unit_age: seconds since the entry's unit came up, where it has
    processes and none of them is a gateway.
    """

    spec: GatewaySpec
    processes: Tuple[Process, ...] = ()
    listeners: Tuple[Listener, ...] = ()
    clients: Tuple[Client, ...] = ()
    ambiguous: Tuple[Process, ...] = ()
    unplaced: Tuple[Process, ...] = ()
    unit_age: Optional[float] = None

    def open_connections(self) -> FrozenSet[ApiConnection]:
        """The API connections that are open; one that several processes hold is one."""
        return frozenset(client.connection for client in self.clients if client.open and client.connection)

    def owners(self) -> Tuple[Process, ...]:
        """Those of its processes that listen on the entry's port."""
        pids = {pid for listener in self.listeners if listener.port == self.spec.port for pid in listener.pids}
        return tuple(process for process in self.processes if process.pid in pids)

    def listening(self, process: Process) -> Tuple[int, ...]:
        """The ports a process listens on, in order; IBC's command server left out."""
        ports = {listener.port for listener in self.listeners if process.pid in listener.pids}
        return tuple(sorted(ports - {COMMAND_SERVER_PORT}))

    def has_served(self, process: Process) -> bool:
        """Whether a process has listened on the entry's port before: it holds connections there, or was seen to."""
        return process.served_before or any(
            client.connection is not None
            and client.connection.accepted
            and client.connection.port == self.spec.port
            and process.pid in client.connection.gateway_pids
            for client in self.clients
        )


class Diagnosis(NamedTuple):
    """What the rules say about one entry. verdict: the code of the finding that weighs most, or healthy."""

    entry: Entry
    status: str
    verdict: str
    findings: Tuple[Finding, ...] = ()
    probe: Optional[Probe] = None

    @property
    def codes(self) -> FrozenSet[str]:
        """The codes of the findings that call for something; what is only worth knowing is left out."""
        return frozenset(finding.code for finding in self.findings if finding.severity != INFO)


class Plan(NamedTuple):
    """Steps in the order they may be taken, and what is withheld, each with its reason."""

    steps: Tuple[Step, ...] = ()
    withheld: Tuple[str, ...] = ()
