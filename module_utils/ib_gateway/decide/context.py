"""One entry's facts as the rules see them, and the shapes in which processes and clients are evidence. Pure."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..base.findings import Finding
from ..base.host import Client, Process, Snapshot
from ..base.plan import Entry
from ..base.probe import Probe
from ..base.spec import API_PORTS, GatewaySpec


class Case(NamedTuple):
    """One entry's facts, as the rules see them."""

    entry: Entry
    snapshot: Snapshot
    probe: Optional[Probe]
    reset_window: str = ""

    @property
    def spec(self) -> GatewaySpec:
        return self.entry.spec

    @property
    def waiting(self) -> Tuple[Process, ...]:
        """Its gateways when none of them owns the entry's port; nothing otherwise."""
        return () if self.entry.owners() else self.entry.processes

    @property
    def silent(self) -> Tuple[Process, ...]:
        """Its gateways that should be up by now, or have served before, and listen nowhere."""
        return tuple(each for each in self.waiting if not self.elsewhere(each) and not self.starting(each))

    @property
    def unit_is_starting(self) -> bool:
        """Whether the entry's unit is up, has no gateway yet, and still has time to bring one."""
        age = self.entry.unit_age
        return not self.entry.processes and age is not None and age < self.spec.start_timeout

    def elsewhere(self, process: Process) -> Tuple[int, ...]:
        """The ports it serves instead of the entry's. Another API port counts at once, any other once it is up."""
        ports = self.entry.listening(process)
        if self.spec.port in ports:
            return ()
        settled = process.age >= self.spec.start_timeout
        return tuple(port for port in ports if port in API_PORTS or settled)

    def starting(self, process: Process) -> bool:
        """Whether it may still come up: young, serving nothing, and never seen to have served."""
        young = process.age < self.spec.start_timeout
        return young and not self.elsewhere(process) and not self.entry.has_served(process)


#: The findings that one entry's facts give reason for.
Rule = Callable[[Case], Iterator[Finding]]


def person(process: Process) -> Dict[str, Any]:
    return {"pid": process.pid, "user": process.user, "command": list(process.command)}


def visitor(client: Client) -> Dict[str, Any]:
    """A client as evidence; what does not apply is left out."""
    found: Dict[str, Any] = {}
    process, connection = client.process, client.connection
    if process is not None:
        found.update(person(process), age=round(process.age, 1))
    if connection is not None:
        found.update(port=connection.port, state=connection.state)
        if connection.idle is not None:
            found["idle"] = round(connection.idle, 1)
        if connection.remote_host:
            found["remote_host"] = connection.remote_host
    marks: List[Tuple[str, Any]] = [
        ("never_served", client.open and not client.working),
        ("orphaned", client.orphaned),
        ("matches_pattern", client.matches_pattern),
        ("protected", client.protected),
        ("relay", process.relay if process else None),
    ]
    found.update({name: value for name, value in marks if value})
    return found
