"""One survey of a host without an inventory: finds the gateways, proposes an entry for each, and judges them by it."""

from __future__ import annotations

import sys
from typing import Any, Collection, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..base.host import Keeper, Process, Snapshot
from ..base.plan import Differing, Entry
from ..base.probe import Prober
from ..base.proposal import Evidence, Left, Proposal, UnitFile
from ..base.spec import API_PORTS, HELPER_PORTS, SYSTEM_SCOPE, GatewaySpec
from ..decide.assign import entries_of
from ..decide.discovery import propose, with_mode
from ..observe.snapshot import look
from . import result
from .assess import assess, by_socket
from .look import look_for

_LINUX = sys.platform.startswith("linux")
_MOST_UNITS = 50


class Survey(NamedTuple):
    """What a survey found beside the judgement."""

    snapshot: Snapshot
    proposals: Tuple[Proposal, ...] = ()
    left: Tuple[Left, ...] = ()
    keepers: Tuple[Keeper, ...] = ()
    units: Tuple[UnitFile, ...] = ()
    #: The declared entries, as the inventory alone has them.
    entries: Tuple[Entry, ...] = ()


def survey(
    declared: Sequence[GatewaySpec],
    options: Mapping[str, Any],
    start_timeout: int,
    ports: Collection[int] = (),
    prober: Prober = by_socket,
) -> Dict[str, Any]:
    """What ib_desk_info returns. declared: entries that the host has already.

    options: as assess.OPTIONS has them. start_timeout: seconds a start may take, of the entries that are proposed.
    ports: further API ports of interest. Raises OSError when the host's tables cannot be read at all.
    """
    found = _find(declared, start_timeout, ports)
    health = assess([*declared, *(each.spec for each in found.proposals)], options, prober)
    corrected = _by_accounts(found.proposals, health, declared)
    if corrected != found.proposals:
        found = found._replace(proposals=corrected)
        health = assess([*declared, *(each.spec for each in corrected)], options, prober)
    specs = [*declared, *(each.spec for each in found.proposals)]
    return {
        "health": health,
        "proposals": [_proposal(each) for each in found.proposals],
        "left": [_left(each, found.snapshot) for each in found.left],
        "differing": [
            _differing(entry, near) for entry in found.entries if not entry.processes for near in entry.differing
        ],
        "starters": [_starter(each) for each in found.keepers],
        "units": [each._asdict() for each in found.units],
        "scripts": _scripts(specs, health),
        "listeners": _foreign(found.snapshot, specs),
    }


def _find(declared: Sequence[GatewaySpec], start_timeout: int, ports: Collection[int]) -> Survey:
    snapshot = look([*API_PORTS, *ports, *(each.port for each in declared)])
    held = _held_ports(snapshot)
    if held - _asked(snapshot):
        snapshot = look([*API_PORTS, *ports, *(each.port for each in declared), *held])
    entries, undeclared = entries_of(declared, look_for(declared)) if declared else ((), _gateways(snapshot))
    keepers, units = _keepers(snapshot), _units()
    evidence = _evidence(snapshot, undeclared, start_timeout)._replace(keepers=keepers, units=_sure(units))
    evidence = _asked_of_engines(undeclared, evidence)
    proposals, left = propose(declared, undeclared, evidence)
    return Survey(snapshot, proposals, left, keepers, units, entries)


def _asked_of_engines(gateways: Sequence[Process], evidence: Evidence) -> Evidence:
    """With the ports by which gateways in containers are met, and with names for these, where an engine tells them."""
    if not evidence.containers:
        return evidence
    from . import published

    told = published.states(gateways, evidence.containers)
    if not told:
        return evidence
    snapshot = look([*API_PORTS, *published.host_ports(told)])
    return evidence._replace(
        met=published.met(snapshot, gateways, evidence.containers, told),
        containers=published.named(gateways, evidence.containers, told),
    )


def _gateways(snapshot: Snapshot) -> Tuple[Process, ...]:
    return tuple(sorted((each for each in snapshot.processes.values() if each.gateway), key=lambda each: each.pid))


def _asked(snapshot: Snapshot) -> FrozenSet[int]:
    """The ports whose connections a snapshot has: those asked for, and those that gateways listen on."""
    return frozenset(API_PORTS) | {each.port for each in snapshot.listeners}


def _held_ports(snapshot: Snapshot) -> FrozenSet[int]:
    if not _LINUX:
        return frozenset()
    from ..observe.origins import held_ports

    gateways = [each.pid for each in _gateways(snapshot)]
    return held_ports(gateways) - HELPER_PORTS if gateways else frozenset()


def _keepers(snapshot: Snapshot) -> Tuple[Keeper, ...]:
    if not _LINUX:
        return ()
    from ..observe.keepers import keepers

    return keepers([each.pid for each in _gateways(snapshot)])


def _units() -> Tuple[UnitFile, ...]:
    """The units that start a gateway, with what systemd says of those of the system; nothing without systemd."""
    if not _LINUX:
        return ()
    from ..observe.unit_files import unit_files

    found = unit_files()[:_MOST_UNITS]
    asked = [each.name for each in found if each.scope == SYSTEM_SCOPE]
    states = _states(asked) if asked else {}
    # A unit of an account may have the name of one of the system's, and is another one.
    return tuple(
        each._replace(state=states.get(each.name, "")) if each.scope == SYSTEM_SCOPE else each for each in found
    )


def _sure(units: Sequence[UnitFile]) -> Tuple[UnitFile, ...]:
    """Those that start a gateway; of the others nothing is concluded."""
    return tuple(each for each in units if not each.doubt)


def _states(units: List[str]) -> Dict[str, str]:
    from ..lifecycle import systemctl
    from ..lifecycle.unit_facts import show_each

    shown = show_each(units, systemctl.show)
    return {name: told.get("ActiveState", "") for name, told in shown.items()}


def _evidence(snapshot: Snapshot, gateways: Sequence[Process], start_timeout: int) -> Evidence:
    if not _LINUX or not gateways:
        return Evidence(snapshot, start_timeout)
    from ..observe import origins

    pids = [each.pid for each in gateways]
    starters = {pid: origins.starter_of(pid) for pid in pids}
    return Evidence(
        snapshot,
        start_timeout,
        starters={pid: each for pid, each in starters.items() if each is not None},
        ports=origins.ports_of_ibc(gateways),
        containers=origins.containers(pids),
    )


def _by_accounts(
    proposals: Sequence[Proposal], health: Mapping[str, Any], declared: Sequence[GatewaySpec]
) -> Tuple[Proposal, ...]:
    """The proposals; with the mode that the gateway's accounts have shown where it was a guess, or went by the port."""
    shown = {each["name"]: (each["api"] or {}).get("trading_mode") for each in health["gateways"]}
    found: List[Proposal] = list(proposals)
    for index, each in enumerate(proposals):
        mode: Optional[str] = shown.get(each.spec.name)
        doubted = "trading_mode" in each.guessed or (each.mode_by_port and mode != each.spec.trading_mode)
        if mode is not None and doubted:
            found[index] = with_mode(each, mode, [*declared, *(one.spec for one in found)])
    return tuple(found)


# --- shapes ----------------------------------------------------------------------------------------------------------


def _proposal(each: Proposal) -> Dict[str, Any]:
    return {
        "entry": each.entry(),
        "pids": list(each.pids),
        "notes": [{"key": key, "text": text} for key, text in sorted(each.notes.items())],
        "guessed": sorted(each.guessed),
    }


def _left(each: Left, snapshot: Snapshot) -> Dict[str, Any]:
    ports = {listener.port for listener in snapshot.listeners if each.process.pid in listener.pids}
    return {**result.gateway(each.process, sorted(ports)), "why": each.why}


def _differing(entry: Entry, near: Differing) -> Dict[str, Any]:
    keys = [{"key": key, "has": has, "says": says} for key, has, says in near.keys]
    return {"gateway": entry.spec.name, "pid": near.process.pid, "keys": keys}


def _starter(each: Keeper) -> Dict[str, Any]:
    return {
        "pid": each.pid,
        "user": each.user,
        "name": each.name,
        "age": round(each.age, 1),
        "supervises": each.supervises,
        "gateways": sorted(each.gateways),
        "unit": each.unit,
    }


def _scripts(specs: Sequence[GatewaySpec], health: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Scripts that use the API and hold no connection to a gateway of the specs."""
    if not _LINUX:
        return []
    from ..observe.api_scripts import api_scripts

    connected: Set[int] = {each["pid"] for gateway in health["gateways"] for each in gateway["clients"] if each["pid"]}
    ports = {*API_PORTS, *(each.port for each in specs)}
    ports |= {
        port for gateway in health["gateways"] for each in gateway["processes"] for port in each["listening"] or ()
    }
    return [
        {**each._asdict(), "command": list(each.command), "ports": list(each.ports), "age": round(each.age, 1)}
        for each in api_scripts(ports, connected)
    ]


def _foreign(snapshot: Snapshot, specs: Sequence[GatewaySpec]) -> List[Dict[str, Any]]:
    """Who listens on API ports that no entry has, and is no gateway."""
    gateways = {each.pid for each in _gateways(snapshot)}
    mine = {each.port for each in specs}
    foreign = [
        each
        for each in snapshot.listeners
        if each.port in API_PORTS and each.port not in mine and not each.pids & gateways
    ]
    return result.listeners(foreign, dict(snapshot.processes))
