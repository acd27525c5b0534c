"""What is decided about one entry: what was found of it, its findings, its diagnosis, the steps of its plan."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, FrozenSet, Mapping, Optional, Tuple

from .findings import INFO, Finding
from .host import ApiConnection, Client, Keeper, Listener, Process
from .record import Record
from .spec import API_PORTS, HELPER_PORTS, GatewaySpec

if TYPE_CHECKING:  # most looks find nothing wrong, and load no more than they need
    from .command_server import CommandServer
    from .container import Way
    from .crontab import CronStart
    from .login import LoginState
    from .probe import Probe
    from .unit import OwnUnit, UnitId, UnitMember, UnitState


#: A default that all share, so nobody may write to it.
_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Step(Record):
    """One thing a repair may do, by an action of actions.py. target: whom exactly, with `gateway`, the entry's name.

    A process is named by {pid, started_ticks, boot_id, role, argv_digest, ...}, a connection by both of its ends, its
    cookie and the processes that hold it.

    only_if_persists: the step is for the case that the steps before it do not help; the next look decides. costs: what
    it costs those who work with the gateway, in one sentence; empty for nothing.
    """

    action: str
    gateway: str
    target: Mapping[str, Any]
    reason: str
    finding: str
    only_if_persists: bool = False
    costs: str = ""


class Differing(Record):
    """A gateway that would be an entry's but for some of its keys: (key, what the gateway has, what the entry says).

    may_be_meant: whether it may well be the entry's, with one key mistyped: it serves nobody else's port, and what the
    other keys say of it is not only its own word. owner: the name of the entry that it belongs to, where one has it: a
    second gateway in its folder would take its login.
    """

    process: Process
    keys: Tuple[Tuple[str, str, str], ...]
    may_be_meant: bool = False
    owner: str = ""


class Relay(Record):
    """A program that listens on an entry's port in place of the entry's gateway.

    gateway: the one that serves another port; port: that port. leads_there: whether what the relay holds, or its own
    command line, shows that it leads to that port.
    """

    process: Process
    gateway: Process
    port: int
    leads_there: bool

    @property
    def name(self) -> str:
        """What it is, in words."""
        return "the relay %s" % self.process.relay if self.process.relay else "a relay"


class Entry(Record):
    """One inventory entry beside what was found of it on the host: its gateways, their listeners, their clients.

    processes: those proven to be its own and no other's. elsewhere: its own by account, mode and folder, but serving
    another API port. ambiguous: gateways that this entry and another one could mean. unplaced: gateways of its account
    whose settings folder nothing tells, so that they might be this entry's. claimants: gateways that look like this
    entry's and belong to an account of which nothing shows that it may run it. unit_age: seconds since the entry's unit
    came up, where it has processes and none of them is a gateway. keepers: what brings its gateway, or brings it back.
    differing: where no gateway is its own, or none of several stays, those of nobody that differ from it in its user,
    folder or port.
    carriers: what keeps a gateway of it that runs, and brings the next one once that has ended. relay: what listens on
    the entry's port and hands on what comes to a gateway of it, which then is among elsewhere.

    Of an entry that something is wrong with: command_servers, those of its gateways; start_blocker, why a start of it
    must fail, with the cure; unit_state, what systemd says of its unit; unit_members, whoever lives in the unit's
    control group and is no launcher; starts_unit, what systemd is told to start for it, and stops_units, those that it
    stops then, up or not; ends_to_come, by the name of an entry whose gateway does not run, the command of this one's
    start that would end it once it has come; confined_to, the only account whose processes this run may end, None for a
    run that may end any; holds, whether this host has handles for processes, without which none is sent a signal.
    """

    spec: GatewaySpec
    processes: Tuple[Process, ...] = ()
    listeners: Tuple[Listener, ...] = ()
    clients: Tuple[Client, ...] = ()
    elsewhere: Tuple[Process, ...] = ()
    ambiguous: Tuple[Process, ...] = ()
    unplaced: Tuple[Process, ...] = ()
    claimants: Tuple[Process, ...] = ()
    unit_age: Optional[float] = None
    keepers: Tuple[Keeper, ...] = ()
    carriers: Tuple[Keeper, ...] = ()
    relay: Optional[Relay] = None
    #: The processes with a working session on another gateway, here or on another host, by pid.
    busy_elsewhere: FrozenSet[int] = frozenset()
    #: Whether what can be seen now can still be seen when every process of the entry has ended.
    seen_whole: bool = True
    start_blocker: Optional[str] = None
    unit_state: Optional[UnitState] = None
    unit_members: Tuple[UnitMember, ...] = ()
    starts_unit: Optional[UnitId] = None
    stops_units: FrozenSet[UnitId] = frozenset()
    ends_to_come: Mapping[str, str] = _NOTHING
    #: Of its only gateway that does not own the port, or of what brings one; None where nobody asked.
    login: Optional[LoginState] = None
    confined_to: Optional[str] = None
    holds: bool = True
    command_servers: Tuple[CommandServer, ...] = ()
    differing: Tuple[Differing, ...] = ()
    #: How its port leads into a container; None where it does not.
    way: Optional[Way] = None
    #: Those of its processes, by pid, that live in a pid namespace below this run's: asked where something is wrong.
    contained: FrozenSet[int] = frozenset()
    #: By pid, what becomes of the units of those that its plan ends: asked where it names one that has a unit.
    own_units: Mapping[int, OwnUnit] = _NOTHING
    #: Of one that is missing: seconds since a gateway last wrote to its settings folder; None where nothing tells.
    written_ago: Optional[float] = None
    #: Of one that is missing: the line of a cron table that starts it next; None where none is known to.
    cron: Optional[CronStart] = None
    #: Of one that is missing: whether another gateway runs that may have written there.
    folder_shared: bool = False
    #: Of one that is missing: whether other accounts' processes are hidden, among which what brings it may be.
    keepers_hidden: bool = False

    @property
    def maybe(self) -> Tuple[Process, ...]:
        """Where no gateway is proven to be the entry's: those that might be, since nothing tells their folder."""
        return () if self.processes or self.elsewhere or self.claimants else self.unplaced

    def in_unit(self, process: Process) -> bool:
        """Whether a process belongs to the entry's unit; the kernel does not know that by an alias, as an entry may."""
        unit, user_unit = self.spec.unit, self.spec.user_unit
        alias_of = self.starts_unit[1] if self.starts_unit is not None else None
        if user_unit is not None:
            return process.user_unit in (user_unit, alias_of or user_unit) and self.spec.user in (None, process.user)
        return unit is not None and process.unit in (unit, alias_of or unit)

    def in_container(self, process: Process) -> bool:
        """Whether a process lives in the container that the entry names."""
        return self.spec.container is not None and self.way is not None and process.pid in self.way.members

    def carried(self, process: Process) -> bool:
        """Whether what the entry names, a unit or a container, carries a process."""
        return self.in_unit(process) or self.in_container(process)

    def command_server(self, process: Process) -> Optional[CommandServer]:
        """The command server of one of its gateways; None where that has none, or nothing proves it."""
        return next((each for each in self.command_servers if each.pid == process.pid), None)

    def ends_with_unit(self) -> Tuple[UnitMember, ...]:
        """All that ends with a restart through its unit: who lives in that, in units that go down with it, and in those
        that a start of it stops.

        Those that are tied by Requires= or PartOf= end where systemd is told to stop or restart the unit. It is only
        told to start it where the gateway is asked to end before, and nothing else holds the unit up.
        """
        state, own = self.unit_state, {process.pid for process in self.processes}
        by_command = (
            self.spec.allow_kill
            or state is None
            or state.kills_after is None
            or state.remains_after_exit
            or state.holds_without_process
            or any(not each.unit and each.pid not in own for each in self.unit_members)
        )
        return tuple(each for each in self.unit_members if by_command or not each.outlives_end)

    def ends_with_start(self) -> Tuple[UnitMember, ...]:
        """All that ends with a mere start of its unit: who lives in units that are in conflict with that."""
        return tuple(each for each in self.unit_members if each.by_start)

    def others_in_unit(self) -> Tuple[UnitMember, ...]:
        """Those that a restart of its unit must not end: gateways that are not its own, protected processes, and who
        works on another gateway."""
        return self.not_to_end(self.ends_with_unit())

    def others_at_start(self) -> Tuple[UnitMember, ...]:
        """Those of the same kinds that a mere start of its unit must not end."""
        return self.not_to_end(self.ends_with_start())

    def not_to_end(self, members: Tuple[UnitMember, ...]) -> Tuple[UnitMember, ...]:
        """Those of a unit that nothing done to it may end, as others_in_unit() has them."""
        own = {process.pid for process in self.processes}
        gateways = ("gateway", "launcher")
        return tuple(
            each
            for each in members
            if each.protected or each.works_elsewhere or (each.kind in gateways and each.pid not in own)
        )

    def carries_others(self) -> Tuple[UnitMember, ...]:
        """The gateways in its unit that cannot be its own."""
        own = {
            each.pid for each in (*self.processes, *self.elsewhere, *self.ambiguous, *self.unplaced, *self.claimants)
        }
        return tuple(
            each
            for each in self.unit_members
            if self.spec.any_unit and not each.unit and each.kind == "gateway" and each.pid not in own
        )

    def also_broken(self) -> Tuple[UnitMember, ...]:
        """Gateways of other entries in its container that serve nobody, and need what this one needs."""
        return tuple(each for each in self.unit_members if each.kind == "broken gateway" and not each.protected)

    def open_connections(self) -> FrozenSet[ApiConnection]:
        """The API connections that are open; one that several processes hold is one."""
        return frozenset(client.connection for client in self.clients if client.open and client.connection)

    def owners(self) -> Tuple[Process, ...]:
        """Those of its processes that listen on the entry's port."""
        pids = {pid for listener in self.listeners if listener.port == self.spec.port for pid in listener.pids}
        return tuple(process for process in self.processes if process.pid in pids)

    def at_work(self) -> Tuple[Client, ...]:
        """Who has a working session on the gateway that owns the port; on any of its gateways where none does. One on a
        gateway that is left beside it proves nothing of that, and takes no slot of it."""
        owners = {process.pid for process in self.owners()}
        return tuple(
            each
            for each in self.clients
            if each.working and (not owners or each.connection is None or each.connection.gateway_pids & owners)
        )

    def listening(self, process: Process) -> Tuple[int, ...]:
        """The ports a process listens on, in order; IBC's command servers left out."""
        ports = {listener.port for listener in self.listeners if process.pid in listener.pids}
        return tuple(sorted(ports - (HELPER_PORTS - {self.spec.port})))

    def serving(self, process: Process) -> Tuple[int, ...]:
        """Those of its ports that are an API's: the entry's, the known ones, and any on which clients are served.

        What else a JVM listens on (JMX, an agent, an embedded browser) is no API port.
        """
        used = {
            client.connection.port
            for client in self.clients
            if client.working and client.connection and process.pid in client.connection.gateway_pids
        }
        known = {self.spec.port, *API_PORTS}
        return tuple(port for port in self.listening(process) if port in known or port in used)

    def has_served(self, process: Process) -> bool:
        """Whether a process has served before: it was seen to, or its log tells that its login has completed."""
        told = self.login is not None and self.login.pid == process.pid and self.login.served
        return told or self.was_seen_serving(process)

    def was_seen_serving(self, process: Process) -> bool:
        """Whether a process has listened on the entry's port before: by its connections, or by an earlier look."""
        return process.served_before or any(
            client.connection is not None
            and client.connection.accepted
            and client.connection.port == self.spec.port
            and process.pid in client.connection.gateway_pids
            for client in self.clients
        )


class Diagnosis(Record):
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


class Plan(Record):
    """Steps in the order they may be taken, and what is withheld, each with its reason."""

    steps: Tuple[Step, ...] = ()
    withheld: Tuple[str, ...] = ()
