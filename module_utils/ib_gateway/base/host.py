"""What one look at a host sees: processes, listeners, connections, and how much of them could be seen.

Everything is immutable, so that a look can be handed around without anybody changing it. Runs on Python 3.8 to 3.14.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, FrozenSet, Mapping, Optional, Tuple

from .record import Record

if TYPE_CHECKING:  # most hosts have no container with a gateway, and do not load it
    from .container import Way

# TCP states by the names the kernel uses.
ESTABLISHED = "ESTABLISHED"
SYN_SENT = "SYN_SENT"
CLOSE_WAIT = "CLOSE_WAIT"
LISTEN = "LISTEN"

#: What a gateway sends before a session is ready, its version and time, is well below this; every session that became
#: ready has had its accounts, its first order id and the farm notices, and is well above.
HELLO_BYTES = 100

#: What a client sends before its session is ready, its version range and start of the API, is well below this; the
#: libraries' first requests come on top as soon as it is ready.
OPENING_BYTES = 64

#: Seconds without data either way after which a session counts as forgotten: a gateway tells every client that has
#: subscribed to its account something each three minutes.
FORGOTTEN_AFTER = 600.0

#: A default that all share, so nobody may write to it.
_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class GatewayKind(Record):
    """What the command line of a gateway process says about it.

    product is gateway or tws; launcher is ibc, native, ibcontroller or ibautomater, None where it is somebody's own;
    main_class is empty where another system's launcher hides it, or where it may be no class. config_dir and
    trading_mode are None where argv does not say. ini: IBC's settings file, as written; api_port: the API port that it
    gives the gateway, None where it gives none; ini_unread: whether somebody tried to read it and could not.
    restarted: whether it was brought back by the nightly auto-restart.
    fix_login: whether it was given a FIX login beside the API's. executable: whether its executable is a JVM (or an
    emulator); None where nobody looked. unsupported: why it cannot be told what it does; it is then left alone.
    """

    product: str
    launcher: Optional[str]
    main_class: str
    config_dir: Optional[str] = None
    trading_mode: Optional[str] = None
    ini: Optional[str] = None
    restarted: bool = False
    fix_login: bool = False
    executable: Optional[bool] = None
    unsupported: Optional[str] = None
    api_port: Optional[int] = None
    ini_unread: bool = False


#: Process.worker_of where nothing tells for whom a worker works.
WORKER_OF_UNKNOWN = 0
#: The kernel's letters for a process that a signal (T) or a tracer (t) has stopped.
STOPPED_STATES = ("T", "t")
#: How Process.kept_stopped begins where a signal waits that ends the process.
ENDS_WHEN_IT_GOES_ON = "would end as soon as it goes on"
#: How it begins where a tracer, as a debugger is, holds it or could.
TRACED = "is traced by"
#: How it begins where a control group's freezer holds it, whatever its state's letter is.
FROZEN_GROUP = "is in a control group that is frozen"
#: How it begins where a thread of it stays in the kernel, for a disk or mount that does not answer.
HELD_IN_KERNEL = "waits in the kernel, as for a disk or a mount, where no signal reaches it"


#: Device and inode: the same for every path that leads to one folder.
FolderId = Tuple[int, int]


class Process(Record):
    """One process at one instant; pid, started_ticks and boot_id together identify it for ever.

    started_ticks: clock ticks after boot (field 22 of /proc/PID/stat); on other systems the start time in units of
    10 ms since the epoch. age: seconds. argv is raw and may hold secrets: it is for matching only and stays out of
    repr; `command` is the same list, redacted, and is what may be shown.
    """

    _secret = ("argv", "script_argv")

    pid: int
    started_ticks: int
    boot_id: str
    ppid: int
    user: str
    age: float
    started_at: float
    argv: Tuple[str, ...]
    command: Tuple[str, ...]
    #: A keyed hash over the raw argv: tells that the process has become another program, gives no secret away.
    argv_digest: str
    cwd: Optional[str] = None
    #: Whether an earlier look of the same run has seen it serve: it is not starting, whatever it shows now.
    served_before: bool = False
    unit: Optional[str] = None
    #: Whether its unit, of either kind, may exist for this process: nothing but launchers stands between it and the
    #: systemd that has the unit.
    unit_is_own: bool = False
    #: The unit of an account's own systemd that it belongs to, and that account's uid.
    user_unit: Optional[str] = None
    unit_uid: Optional[int] = None
    gateway: Optional[GatewayKind] = None
    relay: Optional[str] = None
    #: Whether its open sockets could be read; without that its ports are not known.
    sockets_visible: bool = True
    #: Whether it lives in another network namespace than the look, and whether the look has gone on into that.
    other_netns: bool = False
    reached: bool = False
    #: Whether it is this run itself: the module, its ssh session, its become, up to pid 1; or a gateway with which the
    #: container of this run may end.
    own_run: bool = False
    #: The kernel's letter for its state: T is stopped by a signal, t by a tracer. Empty where the system does not say.
    state: str = ""
    #: Whether it has a listener of its own and holds a connection made to that for each of its API connections.
    pairs: bool = False
    #: Whether a gateway of this host runs below it: asked where something is wrong.
    carries: bool = False
    #: How many connections of its own the kernel still tries to make: SYN_SENT, nobody has answered yet.
    unanswered: int = 0
    #: Of a gateway that does not run: what speaks against letting it go on, in words that follow its pid. Of one that a
    #: plan would signal, and of a script likewise: that it waits in the kernel.
    kept_stopped: str = ""
    #: The number of its account, which is the same inside and outside of a container.
    uid: Optional[int] = None
    #: Where a gateway keeps its settings, symbolic links resolved; None where nothing tells.
    folder: Optional[str] = None
    #: What that folder is to the kernel, through bind mounts and a root of its own as well; None where it is not known.
    folder_id: Optional[FolderId] = None
    #: Of a worker, the pid of the script for which it works, or WORKER_OF_UNKNOWN; None for everybody else.
    worker_of: Optional[int] = None
    #: The raw argv of that script, which may hold secrets as argv may.
    script_argv: Tuple[str, ...] = ()

    @property
    def frozen(self) -> bool:
        """Whether a signal, a tracer or its control group's freezer has stopped it, or the kernel holds it."""
        return self.state in STOPPED_STATES or bool(self.kept_stopped)

    @property
    def any_unit(self) -> Tuple[Optional[str], Optional[int]]:
        """(the unit that it belongs to, the uid of the account whose own systemd has that, None for the system's)."""
        return (self.unit, None) if self.unit is not None else (self.user_unit, self.unit_uid)

    @property
    def held_in_kernel(self) -> bool:
        """Whether it was seen to stay in the kernel, where a signal would stay pending and end it later."""
        return self.kept_stopped.startswith(HELD_IN_KERNEL)


#: Bytes below which a file system counts as full: a JVM writes its settings and logs all the time, and soon cannot.
LEAST_FREE = 1 << 20


class Folder(Record):
    """A folder that an entry names: its path without symbolic links, and the account that owns it, None for nobody.

    id: what it is to the kernel, None where it is not there.
    """

    path: str
    owner: Optional[str] = None
    #: Bytes that its file system has left for others than root; None where that cannot be asked.
    free: Optional[int] = None
    id: Optional[FolderId] = None


class Listener(Record):
    """One listening TCP socket. Queues count connections; None where the system does not say."""

    port: int
    address: str
    families: Tuple[str, ...]
    inode: int
    pids: FrozenSet[int]
    user: Optional[str] = None
    accept_queue: Optional[int] = None
    backlog: Optional[int] = None


class Connection(Record):
    """One TCP socket that is not listening, as the kernel lists it. Addresses are normalised (no ::ffff: prefix).

    user: the account that made the socket. idle: seconds since data last went either way; sent: bytes that this end has
    sent and the other has received; received: bytes that this end has received; cookie: the kernel's own number for
    this socket, never used twice in a boot; lost_for: seconds since the other end last answered, while data that was
    sent again and again waits for its answer; unread: bytes that have come and that this end has not read. None where
    the system does not say, or for lost_for, where all is answered.
    """

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str
    inode: int
    pids: FrozenSet[int]
    user: Optional[str] = None
    idle: Optional[float] = None
    sent: Optional[int] = None
    cookie: Optional[int] = None
    received: Optional[int] = None
    lost_for: Optional[float] = None
    unread: Optional[int] = None


class ApiConnection(Record):
    """One client's connection to an API port of this host: the server's row, and the client's own row if it is here.

    state: TCP state of the gateway's end, or of the client's end where the gateway's is gone. accepted: False while
    the gateway has not taken it from its queue. client_pids: empty when the client is on another host, or cannot be
    seen. remote_host: the client's address when it is not on this host. idle: seconds since data last went either
    way; sent: bytes the gateway has sent and the client received; received: bytes the gateway has received; cookie:
    the kernel's number for the gateway's end; lost_for: as Connection has it, of the gateway's end; client_user: the
    account that made the client's socket, unread: bytes that the client has not read, where it is on this host. None
    where the system does not say.
    """

    port: int
    client: str
    client_port: int
    server: str
    state: str
    accepted: bool
    gateway_pids: FrozenSet[int]
    client_pids: FrozenSet[int]
    remote_host: Optional[str] = None
    idle: Optional[float] = None
    sent: Optional[int] = None
    cookie: Optional[int] = None
    received: Optional[int] = None
    lost_for: Optional[float] = None
    client_user: Optional[str] = None
    unread: Optional[int] = None

    @property
    def opening(self) -> bool:
        """Whether the client has not gone on to ask for anything: it hangs, or has a session and makes no use of it."""
        return self.received is not None and self.received <= OPENING_BYTES

    @property
    def served(self) -> bool:
        """Whether the gateway has said more on it than its version: a session, not only an attempt at one.

        True where the system does not say, so that nobody's session is taken for an attempt.
        """
        return self.sent is None or self.sent > HELLO_BYTES


class Client(Record):
    """A client of one gateway entry: a connection with the process behind it, or a process its patterns name.

    process: None when the client is on another host or cannot be seen. connection: None for a process that is only
    named. orphaned: its parent has gone (it belongs to init) and no unit started it; that says nothing about whether
    somebody wants it. service: it belongs to a system service of another account than the gateway's.
    works_elsewhere: its process works on another gateway too, here or on another host: its connection here may be cut,
    but it is never ended for the sake of this gateway. ends_others: systemd may end another process with it, which is
    protected or has a session: it is left alone, since it may end when its connection does.
    shields: it may be one that is protected, and nothing tells: it is a relay, to which such a process may be
    connected, a process of this host that this run cannot see, or a worker of a script that is not known.
    keeps: whether it brings a gateway of this host, or brings it back.
    """

    process: Optional[Process]
    connection: Optional[ApiConnection]
    orphaned: bool = False
    matches_pattern: bool = False
    protected: bool = False
    service: bool = False
    shields: bool = False
    works_elsewhere: bool = False
    ends_others: bool = False
    keeps: bool = False

    @property
    def unseen(self) -> bool:
        """Whether it is on this host and its process cannot be seen, as another account's without root."""
        return self.process is None and self.connection is not None and self.connection.remote_host is None

    @property
    def open(self) -> bool:
        """Whether it holds an API connection that the gateway has accepted."""
        return self.connection is not None and self.connection.accepted and self.connection.state == ESTABLISHED

    @property
    def working(self) -> bool:
        """Whether its connection is a session that the gateway has served and the client has used.

        A gateway that sends accounts and notices without the first order id has said much, and nobody can use it.
        """
        return self.open and self.connection is not None and self.connection.served and not self.connection.opening

    @property
    def relay(self) -> bool:
        """Whether it hands on what others send: by what it is or by what it does, unless a pattern names it."""
        process = self.process
        return process is not None and (process.relay is not None or (process.pairs and not self.matches_pattern))

    @property
    def outlives_restarts(self) -> bool:
        """Whether no entry lets its gateway be restarted, or ended as one too many, while it is connected."""
        return self.protected or (self.shields and self.working)

    @property
    def parked(self) -> bool:
        """Whether another account than the process's own made the socket: it was handed to it, it did not open it."""
        process, connection = self.process, self.connection
        maker = connection.client_user if connection else None
        return process is not None and maker is not None and maker != process.user

    @property
    def unclaimed(self) -> bool:
        """Whether it is a worker whose script is not known, and may be one that is protected."""
        return self.shields and self.process is not None and self.process.worker_of == WORKER_OF_UNKNOWN

    @property
    def stoppable(self) -> bool:
        """Whether it is a process of this host that may be stopped at all.

        Nothing protected and no worker that may be, no relay, no gateway, nothing below which one runs and nothing that
        brings one, not this run, nothing with which others end that are to stay, nobody who was only handed the
        connection, and no system service of another account unless a pattern names it.
        """
        process = self.process
        if process is None or self.protected or self.relay or self.parked:
            return False
        if process.gateway or process.carries or self.keeps or self.ends_others or process.own_run or self.unclaimed:
            return False
        return self.matches_pattern or not self.service


class Keeper(Record):
    """A process that brings a gateway, or brings it back: IBC's start script, a loop, a supervisor.

    name: what it is, in words. trading_mode and product: of the gateway it brings, where its command line says it.
    gateways: pids of the gateways that it carries now. supervises: whether it may keep more than one. age: seconds.
    again: whether it may start the next gateway when one has ended; without that it only starts one while it is young.
    last_of: names of the entries whose gateway it carried when a repair ended that. unnamed: whether nothing but what
    it carries, or carried, shows that it keeps anything. stopped: whether a signal or a debugger has stopped it. apart:
    whether it is surely in a container with ports of its own; False where nothing tells. starts: names of the entries
    whose start_command it is.
    """

    pid: int
    user: str
    name: str
    age: float
    trading_mode: Optional[str] = None
    unit: Optional[str] = None
    gateways: FrozenSet[int] = frozenset()
    supervises: bool = False
    product: Optional[str] = None
    again: bool = True
    last_of: FrozenSet[str] = frozenset()
    unnamed: bool = False
    stopped: bool = False
    apart: bool = False
    starts: FrozenSet[str] = frozenset()


class Visibility(Record):
    """What the look could see. An empty `missing` means everything that matters was seen."""

    user: str
    privileged: bool
    processes: bool = True
    missing: Tuple[str, ...] = ()


class Reading(Record):
    """One pass over a system's tables, before connections are paired: what every source of a Snapshot delivers.

    ports: the API ports that were asked for, and those that gateways listen on. units: by name, for those that were
    asked for and have processes, the age in seconds of the oldest one. busy: as a Snapshot has it.
    """

    boot_id: str
    visibility: Visibility
    ports: FrozenSet[int]
    processes: Mapping[int, Process]
    listeners: Tuple[Listener, ...]
    connections: Tuple[Connection, ...]
    units: Mapping[str, float] = _NOTHING
    busy: FrozenSet[int] = frozenset()


class Snapshot(Record):
    """One consistent look at a host. processes: by pid, those that matter only.

    taken_at: seconds since the epoch; boottime: the same moment in seconds since boot, which no clock change moves.
    """

    taken_at: float
    boot_id: str
    visibility: Visibility
    processes: Mapping[int, Process]
    listeners: Tuple[Listener, ...] = ()
    connections: Tuple[ApiConnection, ...] = ()
    #: By port: the accept queue's length in each sample, for ports where it was not empty at first sight.
    accept_queue_samples: Mapping[int, Tuple[int, ...]] = _NOTHING
    #: By name, for units that were asked for and have processes: the age in seconds of the oldest one.
    units: Mapping[str, float] = _NOTHING
    boottime: float = 0.0
    #: What brings gateways; read only where an entry has none.
    keepers: Tuple[Keeper, ...] = ()
    #: The addresses that `localhost` has for scripts; read only where a gateway does not listen on all of them.
    localhost: Tuple[str, ...] = ()
    #: By the path that an entry gives, what its settings folder really is.
    folders: Mapping[str, Folder] = _NOTHING
    #: Accounts that somebody else than an administrator can log in to; read only where nothing ties an entry to one.
    logins: FrozenSet[str] = frozenset()
    #: Processes with a connection to an API port of another host: they use the gateway there.
    away: FrozenSet[int] = frozenset()
    #: Of the processes that patterns name and that hold no connection to an API port: those that have one to another
    #: port that a gateway could have, here or on another host. They may be at work there.
    busy: FrozenSet[int] = frozenset()
    #: By entry, how its port leads into a container; empty on a host where none does.
    ways: Mapping[str, Way] = _NOTHING

    def working_beside(self, gateways: FrozenSet[int]) -> FrozenSet[int]:
        """The processes with a session that is none of these gateways', declared or not, here or away.

        A client's end alone counts: the gateway's may be in another network namespace. One that has not been used yet
        may be. What is on another host is not seen well enough to tell an attempt from a session.
        """
        here = (
            each.client_pids
            for each in self.connections
            if not each.gateway_pids & gateways and each.state == ESTABLISHED and each.served
        )
        return self.away.union(*here)
