"""Proposes inventory entries for the gateways that a host has and no entry declares. Pure.

Only what the host shows becomes a value. What nothing shows gets the default and a note that says so, and a gateway of
which an entry could not be told from another one's is left without one. Which gateways one entry describes is told in
grouping.py.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from ..base import conflicts
from ..base.host import Process
from ..base.proposal import Evidence, Left, Proposal
from ..base.spec import DEFAULT_PORTS, GATEWAY, LIVE, USER_SCOPE, GatewaySpec
from .grouping import UNSEEN, Group, Ports, by_words, groups_of, mode_of, ports_of, unborn, with_units

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]")


def propose(
    declared: Sequence[GatewaySpec], undeclared: Sequence[Process], evidence: Evidence
) -> Tuple[Tuple[Proposal, ...], Tuple[Left, ...]]:
    """(a Proposal for each gateway that is not declared, the gateways that are left without one).

    declared: the entries that the host has; with the proposals they make a list that the inventory's check accepts.
    """
    ports = ports_of(undeclared, evidence)
    groups, left = groups_of(undeclared, ports, evidence)
    groups = with_units(groups, declared, evidence)
    groups += unborn(groups, declared, evidence)
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


def _draft(group: Group, ports: Ports, evidence: Evidence) -> Proposal:
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
    by_port = surely and bool(pids) and all(mode_of(each, Ports({}, {}), evidence) is None for each in group.members)
    return Proposal(spec, pids, notes, frozenset(guessed), by_port)


def _mode(group: Group, notes: Dict[str, str]) -> Tuple[str, bool]:
    if group.mode is not None:
        return group.mode, True
    names = " ".join(filter(None, (group.unit.name if group.unit else None, group.folder)))
    guess = by_words(names)
    if guess is not None:
        notes["trading_mode"] = "by the name of its unit or folder; nothing else tells"
        return guess, False
    notes["trading_mode"] = "nothing on the host tells whether it trades real money: live is assumed"
    return LIVE, False


def _port(group: Group, mode: str, ports: Ports, evidence: Evidence, notes: Dict[str, str]) -> Tuple[int, bool]:
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
        notes["port"] = "from IBC's settings file; %s" % (UNSEEN if unseen else "nothing listens on it")
        return told, True
    offered = next((evidence.met[pid].port for pid in pids if pid in evidence.met), None)
    if offered is not None:
        notes["port"] = "its container publishes it; nothing listens on it inside"
        return offered, True
    notes["port"] = (
        "the usual port, not a seen one: %s; look as root, or put its real port here" % UNSEEN
        if unseen
        else "the usual port; nothing listens, so nothing tells which port it will be"
    )
    return default, False


def _start(group: Group, evidence: Evidence, notes: Dict[str, str]) -> Dict[str, Any]:
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
    why = UNSEEN if UNSEEN in draft.notes["port"] else "nothing listens"
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
