"""Which undeclared gateways of a host one entry would describe, with the unit that starts them. Pure.

Told apart by product, account, container, folder and mode. Also those that do not run, and that a unit should have up
or a script is about to bring.
"""

from __future__ import annotations

import posixpath
import re
from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..base.host import Keeper, Process
from ..base.proposal import Evidence, Left, UnitFile, unit_key
from ..base.spec import (
    API_PORTS,
    DEFAULT_PORTS,
    FIX,
    GATEWAY,
    HELPER_PORTS,
    LIVE,
    PAPER,
    TWS,
    USER_SCOPE,
    Container,
    GatewaySpec,
)
from .ports import agent_ports

#: By API port, the mode and product that have it by default.
_OF_PORT = {port: (mode, product) for product, modes in DEFAULT_PORTS.items() for mode, port in modes.items()}
_PAPER_WORDS, _LIVE_WORDS = re.compile(r"(?i)paper|demo"), re.compile(r"(?i)live|(?<![a-z])(?:real|prod)")
_ABOUT_GATEWAY = re.compile(r"(?i)(?<![a-z])(?:ib|tws)|ibgateway|gateway")
#: States in which a unit matters although systemd does not start it at boot. A unit is active without its gateway where
#: systemd remembers a start that has succeeded, or only what would start the next one runs.
_MATTERS = ("failed", "activating", "reloading", "active")
#: Of a gateway whose sockets this account may not read: nothing is known of its ports.
UNSEEN = "its sockets could not be read"


class Group(NamedTuple):
    """Gateways that one entry would describe; none of them for one that only a unit or a script should bring."""

    product: str
    user: str
    mode: Optional[str] = None
    folder: Optional[str] = None
    members: Tuple[Process, ...] = ()
    container: Optional[Container] = None
    unit: Optional[UnitFile] = None


class Ports(NamedTuple):
    """By pid: the API ports that a gateway may serve, the likeliest first; and those of its open connections.

    inside: that on which one listens in its container, where it is met by another.
    """

    listening: Mapping[int, Tuple[int, ...]]
    held: Mapping[int, FrozenSet[int]]
    inside: Mapping[int, int] = {}

    def of(self, pid: int) -> Tuple[int, ...]:
        """All of one gateway's ports."""
        return (*self.listening.get(pid, ()), *sorted(self.held.get(pid, frozenset())))


def ports_of(gateways: Sequence[Process], evidence: Evidence) -> Ports:
    """Which ports each gateway may serve: what it listens on but for helpers, and what its container publishes."""
    snapshot = evidence.snapshot
    held: Dict[int, Set[int]] = {}
    for connection in snapshot.connections:
        for pid in connection.gateway_pids:
            if connection.accepted and connection.port not in HELPER_PORTS:
                held.setdefault(pid, set()).add(connection.port)
    listening = {}
    for process in gateways:
        mine = {each.port for each in snapshot.listeners if process.pid in each.pids} - HELPER_PORTS
        named = agent_ports(process)
        listening[process.pid] = tuple(
            sorted(
                (port for port in mine if port not in named or port in API_PORTS),
                key=lambda port: (port not in held.get(process.pid, ()), port not in API_PORTS, port),
            )
        )
    proven = {pid: each for pid, each in evidence.met.items() if each.inside is not None}
    listening.update({pid: (each.port,) for pid, each in proven.items()})
    inside = {pid: each.inside for pid, each in proven.items() if each.inside is not None}
    return Ports(listening, {pid: frozenset(each) for pid, each in held.items()}, inside)


def groups_of(gateways: Sequence[Process], ports: Ports, evidence: Evidence) -> Tuple[List[Group], List[Left]]:
    """(the groups, the gateways that no entry can describe, each with the reason)."""
    left: List[Left] = []
    of_account: Dict[Tuple[str, str, Optional[Container]], List[Process]] = {}
    for process in gateways:
        why = _no_entry(process, ports)
        if why:
            left.append(Left(process, why))
        elif process.gateway is not None:
            key = (process.gateway.product, process.user, evidence.containers.get(process.pid))
            of_account.setdefault(key, []).append(process)
    groups: List[Group] = []
    for (product, user, container), members in of_account.items():
        base = Group(product, user, container=container)
        found, unclear = _of_account(base, members, ports, evidence)
        groups += found
        left += unclear
    return groups, left


def _no_entry(process: Process, ports: Ports) -> str:
    """Why no entry can describe a gateway; empty where one can."""
    kind = process.gateway
    if kind is None or kind.unsupported is not None:
        return (kind.unsupported if kind else None) or "it cannot be told what it does"
    if kind.product == FIX:
        return "it serves FIX alone and has no API port"
    if kind.fix_login and not ports.of(process.pid):
        return "it has a FIX login and no API port"
    if kind.product == TWS and not ports.of(process.pid):
        if not process.sockets_visible:
            return "whether this TWS has an API port is not known: %s; look as root" % UNSEEN
        return "it is a TWS without an API port, so no script can use it"
    return ""


def _of_account(
    base: Group, members: Sequence[Process], ports: Ports, evidence: Evidence
) -> Tuple[List[Group], List[Left]]:
    """The groups of one account's gateways of one product: by folder, and where one folder has both modes, by mode."""
    modes = {each.pid: mode_of(each, ports, evidence) for each in members}
    placed: Dict[Optional[str], List[Process]] = {}
    for process in members:
        placed.setdefault(_folder_of(process), []).append(process)
    for process in placed.pop(None, []):
        folder = posixpath.normpath(process.cwd) if process.cwd else None
        placed.setdefault(folder if folder in placed else None, []).append(process)
    groups: List[Group] = []
    left: List[Left] = []
    for folder, inside in sorted(placed.items(), key=lambda each: (each[0] is None, each[0] or "")):
        known = {modes[each.pid] for each in inside} - {None}
        found_modes: List[Optional[str]] = [*sorted(each for each in known if each)]
        for mode in found_modes or [None]:
            mine = [each for each in inside if modes[each.pid] == mode or len(known) < 2]
            rivals = [each for each in groups if mode is None or each.mode in (None, mode)]
            if folder is None and rivals:
                why = "nothing tells its settings folder, and other gateways of %s run in theirs" % base.user
                left += [Left(each, why) for each in mine]
            else:
                groups.append(base._replace(mode=mode, folder=folder, members=tuple(mine)))
        if len(known) > 1:
            why = "nothing tells whether it is the live or the paper gateway of %s" % (folder or base.user)
            left += [Left(each, why) for each in inside if modes[each.pid] is None]
    return groups, left


def _folder_of(process: Process) -> Optional[str]:
    told = process.folder or (process.gateway.config_dir if process.gateway else None)
    return posixpath.normpath(told) if told and told.startswith("/") else None


def mode_of(process: Process, ports: Ports, evidence: Evidence) -> Optional[str]:
    """The trading mode, by what the gateway says, by its port, or by what keeps it; None where none of them tells."""
    said = process.gateway.trading_mode if process.gateway else None
    seen = ports.of(process.pid) if process.pid not in ports.inside else (ports.inside[process.pid],)
    by_port = next((_OF_PORT[port][0] for port in seen if port in _OF_PORT), None)
    kept = next((each.trading_mode for each in evidence.keepers if process.pid in each.gateways), None)
    return said or by_port or kept


# --- units and scripts -----------------------------------------------------------------------------------------------


def with_units(groups: Sequence[Group], declared: Sequence[GatewaySpec], evidence: Evidence) -> List[Group]:
    """The groups with the unit that starts them: the one they run in, else the only one whose file describes them."""
    taken = {each.unit_key for each in declared}
    found = []
    for group in groups:
        unit = _own_unit(group, evidence) or _unit_by_file(group, evidence)
        key = unit_key(unit) if unit else None
        found.append(group if key is None or key in taken else group._replace(unit=unit))
        taken.add(key)
    return found


def _own_unit(group: Group, evidence: Evidence) -> Optional[UnitFile]:
    files = {unit_key(each): each for each in evidence.units}
    for process in group.members:
        if process.unit is not None and process.unit_is_own:
            return files.get(process.unit) or UnitFile(process.unit, "system", process.user)
        if process.user_unit is not None:
            key = "%s/%s" % (process.user, process.user_unit)
            if key in files or _ABOUT_GATEWAY.search(process.user_unit):
                return files.get(key) or UnitFile(process.user_unit, USER_SCOPE, process.user)
    return None


def _unit_by_file(group: Group, evidence: Evidence) -> Optional[UnitFile]:
    fitting = [each for each in evidence.units if _fits(each, group)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(unit: UnitFile, group: Group) -> bool:
    """Whether a unit's file may be what starts these gateways."""
    return (
        group.container is None
        and unit.account == group.user
        and unit.product in (None, group.product)
        and _agree(_unit_mode(unit), group.mode)
        and _agree(unit.config_dir, group.folder)
    )


def _agree(one: Optional[str], other: Optional[str]) -> bool:
    return one is None or other is None or one == other


def _unit_mode(unit: UnitFile) -> Optional[str]:
    return unit.trading_mode or by_words(unit.name)


def unborn(groups: Sequence[Group], declared: Sequence[GatewaySpec], evidence: Evidence) -> List[Group]:
    """Gateways that do not run: of units that should have one up, and of scripts that are about to bring one."""
    known = {unit_key(each.unit) for each in groups if each.unit} | {each.unit_key for each in declared}
    found = [
        Group(each.product or GATEWAY, each.account, _unit_mode(each), each.config_dir, unit=each)
        for each in evidence.units
        if unit_key(each) not in known
        and (each.wanted or each.state in _MATTERS)
        # One that runs, and of which nothing tells its unit, may be the very gateway of this one.
        and not any(group.unit is None and _fits(each, group) for group in groups)
    ]
    for keeper in evidence.keepers:
        if keeper.supervises or keeper.gateways or not (keeper.again or keeper.age < evidence.start_timeout):
            continue
        of_keeper = Group(keeper.product or GATEWAY, keeper.user, keeper.trading_mode)
        if not any(_may_be_of(keeper, each) for each in (*groups, *found)) and not _declares(keeper, declared):
            found.append(of_keeper)
    return found


def _may_be_of(keeper: Keeper, group: Group) -> bool:
    """Whether the gateway that a script brings may be this one. root may start the gateway of any account."""
    return (
        keeper.user in (group.user, "root")
        and keeper.product in (None, group.product)
        and _agree(keeper.trading_mode, group.mode)
    )


def _declares(keeper: Keeper, declared: Sequence[GatewaySpec]) -> bool:
    return any(
        each.user in (None, keeper.user)
        and keeper.product in (None, each.product)
        and _agree(keeper.trading_mode, each.trading_mode)
        for each in declared
    )


def by_words(text: str) -> Optional[str]:
    """The trading mode of which a name speaks; None where it speaks of none or of both."""
    paper, live = bool(_PAPER_WORDS.search(text)), bool(_LIVE_WORDS.search(text))
    return None if paper == live else PAPER if paper else LIVE
