"""What is found about gateways that no inventory declares: who starts them, and the entry that would describe each."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Mapping, NamedTuple, Optional, Tuple

from .host import Keeper, Process, Snapshot
from .spec import SYSTEM_SCOPE, Container, GatewaySpec


class UnitFile(NamedTuple):
    """A systemd unit whose file starts a gateway, whether one of it runs or not.

    account: whose gateway it is. wanted: whether systemd starts it at boot; state: what systemd says of it now, as
    ActiveState has it, empty where it was not asked. doubt: why it is not known whether it starts a gateway at all,
    empty where it is. The others are None where the file does not say.
    """

    name: str
    scope: str
    account: str
    product: Optional[str] = None
    trading_mode: Optional[str] = None
    config_dir: Optional[str] = None
    wanted: bool = False
    state: str = ""
    doubt: str = ""


class Starter(NamedTuple):
    """The script that has started a gateway and still stands above it: its pid and its redacted words.

    command: its argument list where nothing in it can be a secret; empty where something may be.
    """

    pid: int
    shown: str
    command: Tuple[str, ...] = ()


class Met(NamedTuple):
    """By which port a gateway in a container is met from the host, and on which it listens inside.

    inside: None where the container publishes the port and nothing listens at its end.
    """

    port: int
    inside: Optional[int] = None


class Evidence(NamedTuple):
    """All that discovery goes by. starters, ports, containers and met: by the pid of a gateway.

    ports: the API port that IBC's settings file gives. start_timeout: seconds that a start may take on this desk.
    """

    snapshot: Snapshot
    start_timeout: int
    keepers: Tuple[Keeper, ...] = ()
    units: Tuple[UnitFile, ...] = ()
    starters: Mapping[int, Starter] = {}
    ports: Mapping[int, int] = {}
    containers: Mapping[int, Container] = {}
    met: Mapping[int, Met] = {}


class Proposal(NamedTuple):
    """An entry of `ib_gateways` that would describe gateways which run, or what should bring one.

    pids: of these gateways. notes: by key, what nothing on the host tells, or how far its value is known; a key that
    the entry has not may be among them. guessed: the keys whose value nothing on the host proves. mode_by_port: whether
    the trading mode is only the one that usually has the port.
    """

    spec: GatewaySpec
    pids: Tuple[int, ...] = ()
    notes: Mapping[str, str] = {}
    guessed: FrozenSet[str] = frozenset()
    mode_by_port: bool = False

    def entry(self) -> Dict[str, Any]:
        """The entry as an inventory has it; what has its default value is left out, but for the port."""
        spec = self.spec
        found: Dict[str, Any] = {"name": spec.name, "trading_mode": spec.trading_mode, "port": spec.port}
        defaults = GatewaySpec(spec.name, spec.trading_mode, spec.port)
        for key in ("product", "user", "config_dir", "service", "service_scope", "start_timeout", "remediation"):
            if getattr(spec, key) != getattr(defaults, key):
                found[key] = getattr(spec, key)
        if spec.start_command:
            found["start_command"] = list(spec.start_command)
        if spec.container is not None:
            found["container"] = {key: text for key, text in spec.container._asdict().items() if text}
        return found


class Left(NamedTuple):
    """A gateway for which no entry is proposed, and why."""

    process: Process
    why: str


def unit_key(unit: UnitFile) -> str:
    """How a look names the unit, as GatewaySpec.unit_key does."""
    return unit.name if unit.scope == SYSTEM_SCOPE else "%s/%s" % (unit.account, unit.name)
