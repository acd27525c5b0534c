"""A made-up host: processes, sockets, units, clocks and a disk that tests change at will, also between any two calls.

What a repair asks this host's kernel and what it does to it goes through here; simulated_calls.py puts it in place.
Every side effect is counted, so that a run can be killed before, after or amid any of them.
"""

from __future__ import annotations

import errno
import itertools
import os
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.ib_gateway.lifecycle import systemctl
from unit.simulated_parts import FRESH, INIT, OWN, PORTS, SSHD, Killed, SimProcess, SimSession


class SimHost:
    """The truth about one host. clock: seconds that nobody can set, over all boots."""

    def __init__(self) -> None:
        self.clock, self.booted, self.wall = 1000.0, 0.0, 1_795_363_200.0
        self.boots = 1
        self.processes: Dict[int, SimProcess] = {}
        self.sessions: List[SimSession] = []
        self.carries: Dict[str, str] = {}  # unit: the entry whose gateway it carries
        self.privileged, self.pidfd, self.disk = True, True, "ok"
        self.next_start: List[str] = []  # how the next gateways that are started turn out
        self._number = itertools.count(5000)
        self.held: Dict[int, SimProcess] = {}
        self.files: Dict[int, int] = {}  # descriptors of folders and locks that a run has opened, with their inodes
        # Interference: what happens before which call, and where a run is killed.
        self.calls = self.disk_errors = 0
        self.ambushes: Dict[int, Callable[[], None]] = {}
        self.kill_after: Optional[int] = None
        self.kill_how = "after"
        self.gone = False
        self.effects: List[str] = []
        #: Told of every act on a process, a session or a unit, right before it happens: (what, whom, how).
        self.witness: Callable[[str, Any, Any], None] = lambda *_: None
        #: Told of every look.
        self.seen: Callable[[], None] = lambda: None
        self.boot_furniture()

    # --- clocks ---

    @property
    def boot_id(self) -> str:
        """The kernel's name for this boot."""
        return "b007b007-0000-4000-8000-%012d" % self.boots

    @property
    def boottime(self) -> float:
        """Seconds since boot."""
        return self.clock - self.booted

    def pass_time(self, seconds: float) -> None:
        """Lets time pass; what is to die in it dies."""
        self.clock += seconds
        self.wall += seconds
        for each in list(self.processes.values()):
            if each.alive and each.dies_at <= self.clock:
                self.die(each)

    def reboot(self) -> None:
        """Everything ends; units are started again by systemd, everything else stays down."""
        for each in list(self.processes.values()):
            self.die(each)
        self.processes.clear()
        self.pass_time(30.0)
        self.boots, self.booted = self.boots + 1, self.clock - 5.0
        self.boot_furniture()
        for unit in self.carries:
            self.start_unit(unit)

    # --- processes ---

    def boot_furniture(self) -> None:
        """The first process, and the run that looks at this host."""
        self.add(INIT, ("/sbin/init",), ppid=0, user="root")
        self.add(700, ("/bin/bash",), ppid=1)
        self.add(SSHD, ("sshd: root@notty",), ppid=1, user="root")
        self.add(OWN, ("python3", "AnsiballZ.py"), ppid=SSHD, user="root")

    def new_pid(self) -> int:
        """A pid that nobody has."""
        return next(self._number)

    def add(self, pid: int, argv: Sequence[str], **more: Any) -> SimProcess:
        """One more process; whoever had the pid has ended."""
        one = SimProcess(pid, int(self.boottime * 100) * 1000 + next(self._number) % 1000, self.clock, tuple(argv))
        for name, value in more.items():
            setattr(one, name, value)
        if pid in self.processes:
            self.die(self.processes[pid])
        self.processes[pid] = one
        return one

    def add_gateway(self, entry: str, port: int, how: str = "ready", **more: Any) -> SimProcess:
        """A gateway of an entry; how: ready, stalled, silent, upstream, deaf (never listens), brief (dies soon)."""
        argv = ("/opt/jre/bin/java", "-DjtsConfigDir=/srv/" + entry, "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini")
        listens_at = float("inf") if how == "deaf" else self.clock + 2.0
        dies_at = self.clock + 6.0 if how == "brief" else float("inf")
        given: Dict[str, Any] = {"entry": entry, "port": port, "listens_at": listens_at, "dies_at": dies_at}
        api = how if how in FRESH else "ready"
        return self.add(self.new_pid(), argv, **{**given, "cwd": "/srv/" + entry, "api": api, **more})

    def wedge(self, one: SimProcess) -> None:
        """A gateway that serves closes its port and keeps a connection whose client has gone."""
        left = self.connect(one, None)
        assert left is not None, "only one that serves can be wedged"
        left.state, one.listens_at, one.api = "CLOSE_WAIT", float("inf"), "stalled"

    def die(self, one: SimProcess) -> None:
        """Ends a process and its sessions; a gateway that hangs keeps what is left of them."""
        one.alive = False
        if self.processes.get(one.pid) is one:
            del self.processes[one.pid]
        for each in list(self.sessions):
            if each.server is one:
                self.sessions.remove(each)
            elif each.client is one:
                if each.server.api == "ready":
                    self.sessions.remove(each)
                else:
                    each.state, each.client = "CLOSE_WAIT", None

    def connect(self, server: SimProcess, client: Optional[SimProcess], sent: int = 5000) -> Optional[SimSession]:
        """Opens a session, where the gateway listens."""
        if not (self.listening(server) and server.port):
            return None
        number = next(self._number)
        session = SimSession(server, client, server.port, 30_000 + number % 30_000, number, self.clock, sent)
        self.sessions.append(session)
        return session

    def listening(self, one: SimProcess) -> bool:
        """Whether a process listens on its port: the first that took it does."""
        if not (one.alive and one.port and one.listens_at <= self.clock):
            return False
        rivals = [each for each in self.processes.values() if each.port == one.port and each.listens_at <= self.clock]
        return min(rivals, key=lambda each: (each.listens_at, each.pid)) is one

    def gateways(self, entry: str) -> List[SimProcess]:
        """The gateways of an entry."""
        return [each for each in self.processes.values() if each.entry == entry and each.is_gateway]

    def ancestors(self, pid: int) -> Set[int]:
        """A process and its parents."""
        found: Set[int] = set()
        while pid in self.processes and pid not in found:
            found.add(pid)
            pid = self.processes[pid].ppid
        return found

    # --- what a run asks, and what it does ---

    def touch(self) -> None:
        """One call of the run to the system: the moment before it is when other things happen."""
        if self.gone:
            raise Killed
        self.calls += 1
        ambush = self.ambushes.pop(self.calls, None)
        if ambush is not None:
            ambush()

    def effect(self, name: str, do: Callable[[], Any], half: Optional[Callable[[], Any]] = None) -> Any:
        """One side effect; half: what of it a power cut amid it leaves."""
        self.touch()
        self.effects.append(name)
        if self.kill_after is None or len(self.effects) != self.kill_after:
            return do()
        self.gone = True
        if self.kill_how == "after":
            do()
        elif self.kill_how == "amid" and half is not None:
            half()
        raise Killed

    def handles(self) -> Tuple[Set[int], Set[int]]:
        """What is held and open now: whoever is killed loses all but that."""
        self.files = {descriptor: inode for descriptor, inode in self.files.items() if _is_open(descriptor, inode)}
        return set(self.held), set(self.files)

    def revive(self, before: Tuple[Set[int], Set[int]]) -> None:
        """What the kernel does when a run has been killed: its handles, files and locks are let go."""
        self.gone, self.kill_after = False, None
        for handle in set(self.held) - before[0]:
            del self.held[handle]
        for descriptor in set(self.files) - before[1]:
            if _is_open(descriptor, self.files.pop(descriptor)):
                os.close(descriptor)

    def pidfd_open(self, pid: int) -> int:
        """A handle on the process that has the pid now."""
        self.touch()
        if pid not in self.processes:
            raise ProcessLookupError(errno.ESRCH, "No such process")
        handle = 1_000_000 + next(self._number)
        self.held[handle] = self.processes[pid]
        return handle

    def send(self, handle: int, number: int) -> None:
        """Sends a signal to the process that is held."""
        self.effect("signal", lambda: self._send(self.held[handle], number))

    def _send(self, one: SimProcess, number: int) -> None:
        if not one.alive:
            raise ProcessLookupError(errno.ESRCH, "No such process")
        if not self.privileged:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        self.witness("signal", one, number)
        one.signals.append(number)
        if number == 9 or one.ends_in == 0.0:
            self.die(one)
        elif one.ends_in is not None:
            one.dies_at = min(one.dies_at, self.clock + one.ends_in)

    def wait_for_ends(self, handles: Iterable[int], seconds: float) -> List[int]:
        """The handles whose process has ended, after at most some seconds."""
        ended = [each for each in handles if not self.held[each].alive]
        if not ended and seconds > 0:
            soonest = min((self.held[each].dies_at for each in handles), default=float("inf"))
            self.pass_time(max(0.0, min(seconds, soonest - self.clock)))
            ended = [each for each in handles if not self.held[each].alive]
        return ended

    def destroy(self, cookie: int) -> int:
        """SOCK_DESTROY: the error number."""
        return int(self.effect("destroy", lambda: self._destroy(cookie)))

    def _destroy(self, cookie: int) -> int:
        found = [each for each in self.sessions if each.cookie == cookie]
        if not self.privileged:
            return errno.EPERM
        if not found:
            return errno.ENOENT
        self.witness("drop", found[0], None)
        self.sessions.remove(found[0])
        return 0

    def spawn(self, entry: str, port: int) -> int:
        """A start_command."""
        return int(self.effect("spawn", lambda: self._spawn(entry, port).pid))

    def _spawn(self, entry: str, port: int) -> SimProcess:
        self.witness("spawn", entry, None)
        return self.add_gateway(entry, port, self.next_start.pop() if self.next_start else "ready", ppid=1)

    # --- systemd ---

    def systemctl(self, *arguments: str, seconds: float = 0.0) -> str:
        """systemctl as units.py calls it. seconds: how long it may take; nothing here takes long."""
        assert seconds >= 0
        verb, unit = next(each for each in arguments if not each.startswith("-")), arguments[-1]
        if verb == "show":
            self.touch()
            if "--property=MainPID" in arguments:
                members = self.members(unit)
                return "%d\n" % (members[0].pid if members else 0)
            units = arguments[arguments.index("--") + 1 :]
            return "\n\n".join(
                "LoadState=loaded\nActiveState=%s\nSubState=%s"
                % (("active", "running") if self.members(each) else ("inactive", "dead"))
                for each in units
            )
        self.effect("systemctl", lambda: self._systemctl(verb, unit))
        return ""

    def members(self, unit: str) -> List[SimProcess]:
        """The processes of a unit, the oldest first."""
        return sorted((each for each in self.processes.values() if each.unit == unit), key=lambda each: each.ticks)

    def _systemctl(self, verb: str, unit: str) -> None:
        if not self.privileged:
            raise systemctl.UnitError("systemctl %s %s failed: Access denied" % (verb, unit))
        self.witness("systemctl", unit, verb)
        if verb in ("stop", "restart"):
            for each in self.members(unit):
                if verb == "restart" or each.ends_in is not None:
                    self.die(each)
        if verb in ("start", "restart") and not self.members(unit):
            self.start_unit(unit)

    def start_unit(self, unit: str) -> None:
        """Brings a unit's gateway up."""
        entry = self.carries[unit]
        how = self.next_start.pop() if self.next_start else "ready"
        self.add_gateway(entry, PORTS[entry], how, unit=unit, ppid=1)


def _is_open(descriptor: int, inode: int) -> bool:
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False
