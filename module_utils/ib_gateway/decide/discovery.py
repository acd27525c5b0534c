"""Proposes inventory entries for the gateways that a host has and no entry declares. Pure.

Only what the host shows becomes a value. What nothing shows gets the default and a note that says so, and a gateway of
which an entry could not be told from another one's is left without one.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..base import conflicts
from ..base.host import Keeper, Process
from ..base.proposal import Evidence, Left, Proposal, UnitFile, unit_key
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
_UNSEEN = "its sockets could not be read"
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]")


class _Group(NamedTuple):
    """Gateways that one entry would describe; none of them for one that only a unit or a script should bring."""

    product: str
    user: str
    mode: Optional[str] = None
    folder: Optional[str] = None
    members: Tuple[Process, ...] = ()
    container: Optional[Container] = None
    unit: Optional[UnitFile] = None


class _Ports(NamedTuple):
    """By pid: the API ports that a gateway may serve, the likeliest first; and those of its open connections.

    inside: that on which one listens in its container, where it is met by another.
    """

    listening: Mapping[int, Tuple[int, ...]]
    held: Mapping[int, FrozenSet[int]]
    inside: Mapping[int, int] = {}

    def of(self, pid: int) -> Tuple[int, ...]:
        return (*self.listening.get(pid, ()), *sorted(self.held.get(pid, frozenset())))


def propose(
    declared: Sequence[GatewaySpec], undeclared: Sequence[Process], evidence: Evidence
) -> Tuple[Tuple[Proposal, ...], Tuple[Left, ...]]:
    """(a Proposal for each gateway that is not declared, the gateways that are left without one).

    declared: the entries that the host has; with the proposals they make a list that the inventory's check accepts.
    """
    ports = _ports(undeclared, evidence)
    groups, left = _groups(undeclared, ports, evidence)
    groups = _with_units(groups, declared, evidence)
    groups += _unborn(groups, declared, evidence)
    found: List[Proposal] = []
    # A port that is proven goes before one that is only the default.
    drafts = sorted((_draft(group, ports, evidence) for group in groups), key=lambda each: "port" in each.guessed)
    for draft in drafts:
        known = [*declared, *(each.spec for each in found)]
        # No port is made up for one in a container: whether its way is whole would be judged by it.
        proposal = _named(draft if draft.spec.container else _with_free_port(draft, known), known)
        problem = next(iter(conflicts.conflicts([*known, proposal.spec])), None)
        if problem is None:
            found.append(proposal)
        else:
            left += [Left(each, _why_left(proposal, known)) for each in _of(draft, undeclared)]
    return tuple(sorted(found, key=lambda each: each.spec.port)), tuple(left)


def _why_left(proposal: Proposal, known: Sequence[GatewaySpec]) -> str:
    spec = proposal.spec
    other = next((each.name for each in known if each.port == spec.port), None)
    if spec.container is not None and other is not None:
        if "port" in proposal.guessed:
            return "its container publishes no port of an API and nothing listens in it, so nothing tells its port"
        return (
            "it is met on port %d at its container's own address, and entry %s has that port: a host has one entry for "
            "a port; a container that publishes it on another port of the host can have one"
        ) % (spec.port, other)
    return "an entry for it would not be told from another one"


def _of(proposal: Proposal, gateways: Iterable[Process]) -> List[Process]:
    return [each for each in gateways if each.pid in proposal.pids]


# --- which gateways are one entry's ----------------------------------------------------------------------------------


def _ports(gateways: Sequence[Process], evidence: Evidence) -> _Ports:
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
    return _Ports(listening, {pid: frozenset(each) for pid, each in held.items()}, inside)


def _groups(gateways: Sequence[Process], ports: _Ports, evidence: Evidence) -> Tuple[List[_Group], List[Left]]:
    left: List[Left] = []
    of_account: Dict[Tuple[str, str, Optional[Container]], List[Process]] = {}
    for process in gateways:
        why = _no_entry(process, ports)
        if why:
            left.append(Left(process, why))
        elif process.gateway is not None:
            key = (process.gateway.product, process.user, evidence.containers.get(process.pid))
            of_account.setdefault(key, []).append(process)
    groups: List[_Group] = []
    for (product, user, container), members in of_account.items():
        base = _Group(product, user, container=container)
        found, unclear = _of_account(base, members, ports, evidence)
        groups += found
        left += unclear
    return groups, left


def _no_entry(process: Process, ports: _Ports) -> str:
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
            return "whether this TWS has an API port is not known: %s; look as root" % _UNSEEN
        return "it is a TWS without an API port, so no script can use it"
    return ""


def _of_account(
    base: _Group, members: Sequence[Process], ports: _Ports, evidence: Evidence
) -> Tuple[List[_Group], List[Left]]:
    """The groups of one account's gateways of one product: by folder, and where one folder has both modes, by mode."""
    modes = {each.pid: _mode_of(each, ports, evidence) for each in members}
    placed: Dict[Optional[str], List[Process]] = {}
    for process in members:
        placed.setdefault(_folder_of(process), []).append(process)
    for process in placed.pop(None, []):
        folder = posixpath.normpath(process.cwd) if process.cwd else None
        placed.setdefault(folder if folder in placed else None, []).append(process)
    groups: List[_Group] = []
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


def _mode_of(process: Process, ports: _Ports, evidence: Evidence) -> Optional[str]:
    """The trading mode, by what the gateway says, by its port, or by what keeps it; None where none of them tells."""
    said = process.gateway.trading_mode if process.gateway else None
    seen = ports.of(process.pid) if process.pid not in ports.inside else (ports.inside[process.pid],)
    by_port = next((_OF_PORT[port][0] for port in seen if port in _OF_PORT), None)
    kept = next((each.trading_mode for each in evidence.keepers if process.pid in each.gateways), None)
    return said or by_port or kept


# --- units and scripts -----------------------------------------------------------------------------------------------


def _with_units(groups: Sequence[_Group], declared: Sequence[GatewaySpec], evidence: Evidence) -> List[_Group]:
    """The groups with the unit that starts them: the one they run in, else the only one whose file describes them."""
    taken = {each.unit_key for each in declared}
    found = []
    for group in groups:
        unit = _own_unit(group, evidence) or _unit_by_file(group, evidence)
        key = unit_key(unit) if unit else None
        found.append(group if key is None or key in taken else group._replace(unit=unit))
        taken.add(key)
    return found


def _own_unit(group: _Group, evidence: Evidence) -> Optional[UnitFile]:
    files = {unit_key(each): each for each in evidence.units}
    for process in group.members:
        if process.unit is not None and process.unit_is_own:
            return files.get(process.unit) or UnitFile(process.unit, "system", process.user)
        if process.user_unit is not None:
            key = "%s/%s" % (process.user, process.user_unit)
            if key in files or _ABOUT_GATEWAY.search(process.user_unit):
                return files.get(key) or UnitFile(process.user_unit, USER_SCOPE, process.user)
    return None


def _unit_by_file(group: _Group, evidence: Evidence) -> Optional[UnitFile]:
    fitting = [each for each in evidence.units if _fits(each, group)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(unit: UnitFile, group: _Group) -> bool:
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
    return unit.trading_mode or _by_words(unit.name)


def _unborn(groups: Sequence[_Group], declared: Sequence[GatewaySpec], evidence: Evidence) -> List[_Group]:
    """Gateways that do not run: of units that should have one up, and of scripts that are about to bring one."""
    known = {unit_key(each.unit) for each in groups if each.unit} | {each.unit_key for each in declared}
    found = [
        _Group(each.product or GATEWAY, each.account, _unit_mode(each), each.config_dir, unit=each)
        for each in evidence.units
        if unit_key(each) not in known
        and (each.wanted or each.state in _MATTERS)
        # One that runs, and of which nothing tells its unit, may be the very gateway of this one.
        and not any(group.unit is None and _fits(each, group) for group in groups)
    ]
    for keeper in evidence.keepers:
        if keeper.supervises or keeper.gateways or not (keeper.again or keeper.age < evidence.start_timeout):
            continue
        of_keeper = _Group(keeper.product or GATEWAY, keeper.user, keeper.trading_mode)
        if not any(_may_be_of(keeper, each) for each in (*groups, *found)) and not _declares(keeper, declared):
            found.append(of_keeper)
    return found


def _may_be_of(keeper: Keeper, group: _Group) -> bool:
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


# --- from a group to an entry ----------------------------------------------------------------------------------------


def _draft(group: _Group, ports: _Ports, evidence: Evidence) -> Proposal:
    """The entry without its final name, and with a port that may be another one's where it is only the default."""
    notes: Dict[str, str] = {}
    mode, surely = _mode(group, notes)
    port, proven = _port(group, mode, ports, evidence, notes)
    guessed = {key for key, sure in (("trading_mode", surely), ("port", proven)) if not sure}
    fields: Dict[str, Any] = {"product": group.product, "user": group.user, "remediation": "plan_only"}
    fields["start_timeout"] = evidence.start_timeout
    if group.folder is not None:
        fields["config_dir"] = group.folder
    else:
        notes["config_dir"] = "not known; its settings folder, for example"
    fields.update(_start(group, evidence, notes))
    spec = GatewaySpec(mode, mode, port, **fields)
    pids = tuple(each.pid for each in group.members)
    by_port = surely and bool(pids) and all(_mode_of(each, _Ports({}, {}), evidence) is None for each in group.members)
    return Proposal(spec, pids, notes, frozenset(guessed), by_port)


def _mode(group: _Group, notes: Dict[str, str]) -> Tuple[str, bool]:
    if group.mode is not None:
        return group.mode, True
    names = " ".join(filter(None, (group.unit.name if group.unit else None, group.folder)))
    guess = _by_words(names)
    if guess is not None:
        notes["trading_mode"] = "by the name of its unit or folder; nothing else tells"
        return guess, False
    notes["trading_mode"] = "nothing on the host tells whether it trades real money: live is assumed"
    return LIVE, False


def _by_words(text: str) -> Optional[str]:
    paper, live = bool(_PAPER_WORDS.search(text)), bool(_LIVE_WORDS.search(text))
    return None if paper == live else PAPER if paper else LIVE


def _port(group: _Group, mode: str, ports: _Ports, evidence: Evidence, notes: Dict[str, str]) -> Tuple[int, bool]:
    """(the port, whether anything proves it): one that is listened on, else one of open connections, else IBC's."""
    default = DEFAULT_PORTS[group.product][mode]
    pids = [each.pid for each in group.members]
    heard = list(dict.fromkeys(port for pid in pids for port in ports.listening.get(pid, ())))
    if heard:
        heard.sort(key=lambda port: (not any(port in ports.held.get(pid, ()) for pid in pids), port != default))
        if len(heard) > 1:
            notes["port"] = "also listened on: %s" % ", ".join(map(str, heard[1:]))
        return heard[0], True
    held = sorted({port for pid in pids for port in ports.held.get(pid, ())}, key=lambda port: port != default)
    if held:
        notes["port"] = "nothing listens on it; connections to it are still open"
        return held[0], True
    unseen = any(not each.sockets_visible for each in group.members)
    told = next((evidence.ports[pid] for pid in pids if pid in evidence.ports), None)
    if told is not None:
        notes["port"] = "from IBC's settings file; %s" % (_UNSEEN if unseen else "nothing listens on it")
        return told, True
    offered = next((evidence.met[pid].port for pid in pids if pid in evidence.met), None)
    if offered is not None:
        notes["port"] = "its container publishes it; nothing listens on it inside"
        return offered, True
    notes["port"] = (
        "the usual port, not a seen one: %s; look as root, or put its real port here" % _UNSEEN
        if unseen
        else "the usual port; nothing listens, so nothing tells which port it will be"
    )
    return default, False


def _start(group: _Group, evidence: Evidence, notes: Dict[str, str]) -> Dict[str, Any]:
    """The keys that say how the gateway is started, by what has started it."""
    if group.container is not None:
        return {"container": group.container}
    if group.unit is not None:
        if not any(group.unit.name in (each.unit, each.user_unit) for each in group.members) and group.members:
            notes["service"] = "its file describes this gateway; what runs now was started otherwise"
        return {
            "service": group.unit.name,
            **({"service_scope": USER_SCOPE} if group.unit.scope == USER_SCOPE else {}),
        }
    starter = next((evidence.starters[each.pid] for each in group.members if each.pid in evidence.starters), None)
    if starter is not None and starter.command:
        return {"start_command": starter.command}
    if starter is not None:
        notes["start_command"] = (
            "it was started by pid %d (%s), whose arguments may hold a password and were not copied; for example"
            % (starter.pid, starter.shown)
        )
    else:
        notes["start_command"] = "not known; what starts it, for example"
    return {}


def _with_free_port(draft: Proposal, known: Sequence[GatewaySpec]) -> Proposal:
    """A port that is only the default gives way to one that is another entry's."""
    taken = {each.port for each in known}
    if "port" not in draft.guessed or draft.spec.port not in taken:
        return draft
    port = next(port for port in range(draft.spec.port + 10, 65536) if port not in taken)
    why = _UNSEEN if _UNSEEN in draft.notes["port"] else "nothing listens"
    note = "not known: %s, and %d is another entry's; put its real port here" % (why, draft.spec.port)
    return draft._replace(spec=draft.spec._replace(port=port), notes={**draft.notes, "port": note})


def _named(draft: Proposal, known: Sequence[GatewaySpec]) -> Proposal:
    """A name that no other entry has: the mode, for a TWS with its product; then with the account, then a number."""
    spec, taken = draft.spec, {each.name for each in known}
    first = spec.trading_mode if spec.product == GATEWAY else "%s-%s" % (spec.product, spec.trading_mode)
    account = "%s-%s" % (first, _NOT_IN_NAME.sub("_", spec.user or ""))
    names = [first, account, *("%s-%d" % (account, number) for number in range(2, len(taken) + 3))]
    return draft._replace(spec=spec._replace(name=next(each for each in names if each not in taken)))


def with_mode(proposal: Proposal, mode: str, known: Sequence[GatewaySpec]) -> Proposal:
    """The proposal in the trading mode that its gateway's accounts have shown, where it went by less than a word."""
    spec = proposal.spec._replace(trading_mode=mode)
    notes = {**proposal.notes, "trading_mode": "by the accounts that the gateway has named"}
    others = [each for each in known if each.name != proposal.spec.name]
    return _named(proposal._replace(spec=spec, notes=notes, guessed=proposal.guessed - {"trading_mode"}), others)
