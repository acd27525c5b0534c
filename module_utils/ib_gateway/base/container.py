"""What a container's engine says of it, and how an entry's port leads into it to the gateway.

Loaded only on hosts where a container carries a gateway or has an entry's port.
"""

# Annotations are evaluated here: NamedTuple would compile each one that is only text.
from typing import FrozenSet, NamedTuple, Optional, Tuple

from .unit import UnitState

#: The engine's own restart policies under which it brings a container back that has ended.
_BRINGS_BACK = ("always", "unless-stopped", "on-failure")
#: The engines' words for a container that has no process, and that nothing is about to start. One that is being removed
#: comes back by nobody but who makes another.
_AT_REST = ("created", "configured", "initialized", "exited", "stopped", "removing", "dead", "")
#: Links of the way to a gateway, from the outside in, as findings name them.
PUBLISHED_PORT, RELAY, GATEWAY_INSIDE = "published_port", "relay", "gateway"


class Published(NamedTuple):
    """A port of a container that its engine publishes on the host: the host's address and port, the one inside."""

    address: str
    port: int
    inside: int


class ContainerState(NamedTuple):
    """A container as its engine describes it.

    account: whose engine it is, None for root's. status: the engine's own word: running, exited, restarting, paused,
    created, ... pid: its first process as the host numbers it, 0 without one. unit: the systemd unit that its label
    names. compose: the project and the service that its labels name, None where a single command has made it of one.
    goes_with_its_end: whether its engine removes it once it has ended. needs: the folders, files and devices of the
    host that its engine puts into it at each start. shares: ids of the containers whose network, processes or volumes
    it shares; lacks: what of those is not up, in words that follow its name. error: why the engine did not describe it;
    exists: False only where the engine says so.
    """

    engine: str
    name: str
    account: Optional[str] = None
    id: str = ""
    status: str = ""
    pid: int = 0
    exit_code: int = 0
    policy: str = ""
    restarts: int = 0
    health: str = ""
    published: Tuple[Published, ...] = ()
    stop_timeout: float = 10.0
    unit: Optional[str] = None
    compose: Optional[Tuple[str, str]] = None
    goes_with_its_end: bool = False
    needs: Tuple[str, ...] = ()
    shares: Tuple[str, ...] = ()
    lacks: str = ""
    exists: bool = True
    error: str = ""

    @property
    def label(self) -> str:
        """What it is called, for a person."""
        return "%s container %s%s" % (self.engine, self.name, " of %s" % self.account if self.account else "")

    @property
    def running(self) -> bool:
        """Whether it has processes; so has one that is being stopped, as long as they last."""
        return self.status in ("running", "paused", "stopping") and self.pid > 0

    @property
    def comes_back(self) -> bool:
        """Whether its engine is about to start it again by itself; podman has no word for that but stopped."""
        finished = self.policy == "on-failure" and self.status == "stopped" and not self.exit_code
        ended = self.status in ("stopping", "stopped") and not self.running
        ending = ended and self.policy in _BRINGS_BACK and not finished
        begun = self.status == "initialized" and self.policy in _BRINGS_BACK and self.restarts > 0
        return self.status == "restarting" or ending or begun

    def as_unit(self, carries: bool) -> UnitState:
        """The same as a unit's state, in which rules and plans think. carries: whether a gateway lives in it."""
        if self.comes_back:
            active, sub = "activating", "auto-restart"
        elif self.status == "stopping":
            active, sub = "deactivating", "stop"
        elif self.running:
            active, sub = "active", "running" if carries else "exited"
        elif self.status in _AT_REST and self.exists:
            active, sub = "failed" if self.exit_code else "inactive", "dead"
        else:
            active, sub = "activating" if self.exists else "inactive", self.status or "dead"
        return UnitState(
            name=self.label,
            load="loaded" if self.exists else "not-found",
            active=active,
            sub=sub,
            result="exit status %d" % self.exit_code if self.exit_code else "success",
            restarts=self.restarts,
            manager=self.engine,
            noun="",
        )


class Way(NamedTuple):
    """How an entry's port leads to its gateway: what publishes it, the port inside, a relay there, the gateway.

    label: the container, for a person. state: what its engine says; None where the entry names no container. pid: a
    process in its network namespace. members: the gateways that live in the container; inhabitants: all its processes,
    where the entry names it. gateways: those that the port leads to. port_inside: None where nothing tells. address:
    where the engine publishes the port, empty for all addresses. door: the address and port inside on which the gateway
    itself listens. relay: the program inside that hands connections on, None where the gateway has the port itself.
    published: whether the port is one of the host's, rather than of an address of the container. proxies: who holds it
    there for the engine; taken: whether somebody else has it. broken: the link that the tables show to be down, or
    None; why: in words; curable: whether a restart of the container can bring it back. age: seconds since the container
    came up, where the entry names it.
    """

    label: str
    pid: int = 0
    state: Optional[ContainerState] = None
    members: FrozenSet[int] = frozenset()
    gateways: FrozenSet[int] = frozenset()
    port_inside: Optional[int] = None
    address: str = ""
    door: Optional[Tuple[str, int]] = None
    relay: Optional[str] = None
    published: bool = True
    proxies: FrozenSet[int] = frozenset()
    inhabitants: FrozenSet[int] = frozenset()
    taken: bool = False
    broken: Optional[str] = None
    why: str = ""
    curable: bool = True
    age: Optional[float] = None

    @property
    def shortcut(self) -> Optional[str]:
        """The command by which a person may mend the broken link without a restart; None where there is none."""
        state = self.state
        podmans = state is not None and state.engine == "podman" and self.broken == PUBLISHED_PORT and self.curable
        return "podman network reload %s" % state.name if state is not None and podmans else None
