"""What systemd says of the unit that an entry names, or an engine of its container, and who lives in it."""

from __future__ import annotations

from typing import FrozenSet, Optional, Tuple

from .record import Record

#: A unit by what no two have in common: the account whose own systemd it belongs to, "" for the system's; its name.
UnitId = Tuple[str, str]


#: What systemd itself ends a process with that it could not run, and which lines of the unit's file that is about.
_LINES = {
    200: "its WorkingDirectory= cannot be entered",
    203: "its program cannot be run (ExecStart=)",
    208: "its StandardInput= cannot be opened",
    209: "its StandardOutput= cannot be opened",
    216: "its Group= or SupplementaryGroups= cannot be had",
    217: "its User= cannot be had",
    222: "its StandardError= cannot be opened",
    226: "a path that its file names cannot be mounted (BindPaths=, ReadWritePaths= and the like)",
    233: "its RuntimeDirectory= cannot be made",
    238: "its StateDirectory= cannot be made",
    240: "its LogsDirectory= cannot be made",
    243: "a LoadCredential= cannot be read",
}


class UnitState(Record):
    """A unit's state, in systemd's own words. load: loaded, not-found, masked, bad-setting, error.

    active: active, inactive, failed, activating, deactivating, reloading. result: how it ended last, success or why
    not. load_error: why it cannot be loaded. restarts: how often systemd has restarted it by itself; start_limit: how
    often it may be started in a short time, 0 without a limit. account: whose systemd it belongs to; None for the
    system's.
    """

    name: str
    load: str = "loaded"
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    kind: str = "simple"
    remains_after_exit: bool = False
    may_be_started: bool = True
    load_error: str = ""
    restarts: int = 0
    start_limit: int = 0
    account: Optional[str] = None
    #: Seconds after which systemd kills what has not ended when the unit is stopped; None where it never does.
    kills_after: Optional[float] = None
    #: Whether a stop of it ends its main process alone, or none (KillMode=process, none): what else lives in it goes
    #: on.
    leaves_behind: bool = False
    #: What systemd does to the whole host, or has done, when the unit ends or fails, as its file has it:
    #: FailureAction=reboot. Empty where it does nothing.
    host_action: str = ""
    #: Who runs it, and what a name alone does not say it is: a container's state has the same shape.
    manager: str = "systemd"
    noun: str = "unit "
    #: Whether systemd has skipped its last start, because a condition of its file did not hold.
    skipped: bool = False
    #: Seconds since it last ended, or since the host was started where systemd knows of no end; None where nobody says.
    ended_ago: Optional[float] = None
    #: With which status its main process ended last; 0 for one that is up, or was ended by a signal.
    exit_status: int = 0

    @property
    def title(self) -> str:
        """What it is called, for a person."""
        return self.noun + self.name

    @property
    def start_limit_hit(self) -> bool:
        """Whether it was started so often in a short time that systemd refuses to start it until it is told to.

        systemd keeps the result of the last failure before that, so its restarts are counted.
        """
        at_limit = self.active == "failed" and 0 < self.start_limit <= self.restarts
        return at_limit or self.result == "start-limit-hit"

    @property
    def comes_back(self) -> bool:
        """Whether systemd is about to start it again by itself."""
        return self.active == "activating" and self.sub.startswith("auto-restart")

    def came_back_since(self, before: UnitState) -> bool:
        """Whether systemd has started it again by itself since then, or is about to."""
        return self.comes_back or self.restarts > before.restarts

    @property
    def why_not_up(self) -> str:
        """Right after a start: why it is not up, as what follows its name; empty where it is, or may be about to."""
        if self.active == "inactive" and self.skipped:
            return "was not started, because a condition in its file did not hold"
        if self.active != "failed":
            return ""
        line = _LINES.get(self.exit_status)
        about = ", status %d: %s" % (self.exit_status, line) if line else ""
        return "has failed at once (Result=%s%s)" % (self.result, about)

    @property
    def holds_without_process(self) -> bool:
        """Whether it is active although nothing of it need run: a start would do nothing, a restart does."""
        return self.active == "active" and self.sub == "exited"


class UnitMember(Record):
    """A process in a unit's control group. kind: gateway, broken gateway, client or other; command: redacted.

    protected: whether protected_clients names it. unit: where it lives in another unit, which goes down with the
    entry's or by a start of that, its name. outlives_end: whether it goes down only where systemd is told to stop or
    restart the entry's unit, and not where that ends because its gateway has ended. works_elsewhere: whether it has a
    working session on another gateway. by_start: whether it ends where systemd is told to start the entry's unit,
    because its own is in conflict with that; kind may be launcher then: what starts a gateway that has not come yet.
    """

    pid: int
    user: str
    command: Tuple[str, ...]
    kind: str
    protected: bool = False
    unit: str = ""
    outlives_end: bool = False
    works_elsewhere: bool = False
    by_start: bool = False

    @property
    def where(self) -> str:
        """What to add to its name where it lives in another unit; empty where it lives in the entry's."""
        return " in %s" % self.unit if self.unit else ""

    @property
    def told_kind(self) -> str:
        """Its kind, and what it would lose beside a session of the gateway that carries it."""
        return self.kind + (" with a session on another gateway" if self.works_elsewhere else "")


class OwnUnit(Record):
    """What becomes of the unit that exists for one process, where that process is to end.

    stopped: whether it is stopped in its place or after it, because its main process is the one to end, or waits for
    that, and nobody unrelated lives there. refused: why the process may not end at all; empty where it may. apart:
    whether its main process is another one, with which the unit goes on. others: pids of those that live there too and
    end with the process, or where the unit is not stopped may do so.
    """

    name: str
    stopped: bool = False
    refused: str = ""
    apart: bool = False
    others: FrozenSet[int] = frozenset()
    #: The same with what a person needs to know of them; empty where nobody asked.
    members: Tuple[UnitMember, ...] = ()
