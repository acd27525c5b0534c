"""How a gateway is started and restarted: what every way of doing it offers.

One file for each way, and one line for each in lifecycles.LIFECYCLES.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Callable, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from ..base.host import Process
from ..base.spec import GatewaySpec
from ..base.unit import UnitId, UnitMember, UnitState

#: Whether the gateway that was started serves already. Raises OSError.
IsUp = Callable[[], bool]


class CannotStart(Exception):
    """The gateway was not started; the message says why, without the command itself.

    pending: systemd is still at it.
    """

    def __init__(self, text: str, pending: bool = False) -> None:
        super().__init__(text)
        self.pending = pending


class Asked(NamedTuple):
    """An entry that may have to be started. process: its gateway that runs now, None without one."""

    spec: GatewaySpec
    process: Optional[Process] = None


class Runs(NamedTuple):
    """Raw command lines. uid: as which account they are run, folder: where; None where that is not known. stop: whether
    they are those of a stop, and not of a start."""

    commands: Tuple[Tuple[str, ...], ...]
    uid: Optional[int] = None
    folder: Optional[str] = None
    stop: bool = False


class StartCheck(NamedTuple):
    """Whether a start can succeed. blocker: why it must fail, with the cure; None where nothing speaks against it.

    state, members: of the entry's unit, where it has one; members also of units that go down with it. pids: all that
    lives in the entry's unit alone. runs: the commands that a start runs, and a stop before it. unit: what systemd is
    told to start, stops: the units that it stops then, up or not; each with whose systemd it is, "" for the system's.
    contradicts: whether the blocker is that it would bring another gateway than the entry's, or another account's.
    """

    blocker: Optional[str] = None
    state: Optional[UnitState] = None
    members: Tuple[UnitMember, ...] = ()
    pids: FrozenSet[int] = frozenset()
    runs: Tuple[Runs, ...] = ()
    unit: Optional[UnitId] = None
    stops: FrozenSet[UnitId] = frozenset()
    contradicts: bool = False


class Started(NamedTuple):
    """What was started. pid: of the command, None for a unit; log: where its output is."""

    pid: Optional[int]
    log: str


class Patience(NamedTuple):
    """How a start is watched. seconds: for systemd to call it started; is_up: whether its gateway serves already."""

    seconds: float
    is_up: IsUp = bool


class Lifecycle(ABC):
    """How the gateway of one entry is started and restarted."""

    #: Whether it can restart what runs; otherwise the process is ended and started anew.
    restarts = False
    #: What it tells to start or restart the gateway, in a word.
    carrier = "unit"

    def __init__(self, spec: GatewaySpec) -> None:
        self.spec = spec

    @classmethod
    @abstractmethod
    def start_checks(cls, asked: Sequence[Asked]) -> List[StartCheck]:
        """Whether a start of each can succeed, in their order. Reads what it needs for all of them at once."""

    def carries(self, _pid: int) -> bool:
        """Whether a process that runs now is this lifecycle's, so that restart() would end it."""
        return False

    def only_in(self, _pid: int) -> Tuple[str, ...]:
        """The names of what a gateway that runs has in its environment and nothing else would give the next one."""
        return ()

    @abstractmethod
    def start(self, patience: Patience) -> Started:
        """Starts the gateway; does not wait for its port. Raises CannotStart."""

    def restart(self, _seconds: float) -> Started:
        """Ends what runs and starts it anew. Raises CannotStart."""
        raise CannotStart("%s cannot be restarted in one step" % self.spec.name)

    def state(self) -> Optional[UnitState]:
        """What the one who carries it says of it now; None where nobody does, or where it cannot be asked."""
        return self.start_checks([Asked(self.spec)])[0].state

    @property
    def log(self) -> str:
        """Where its output is: a file, or the command that shows it; empty where nobody keeps it."""
        return ""

    @abstractmethod
    def describe(self) -> str:
        """By what it is started, for a person: `unit ibgateway.service`. Holds no secret."""

    @abstractmethod
    def by_hand(self) -> str:
        """The command with which a person starts it. Secrets are hidden in it."""
