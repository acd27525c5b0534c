"""What worked before a repair and does not after it: sessions of scripts and of other hosts. Pure.

Whatever worked before a repair works after it, or the report says what was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Union

from ...ib_gateway.base.actions import (
    DROP_CONNECTION,
    RESTART,
    SOFT_RESTART,
    STOP_CLIENT,
    STOP_GATEWAY,
)
from ...ib_gateway.base.outcome import DONE, FAILED, UNSURE
from ...ib_gateway.base.short_command import short

#: Outcomes of a step that has touched somebody.
_TOUCHED = (DONE, FAILED, UNSURE)
_SHORT = 48

Look = Optional[Mapping[str, Any]]


def lost(before: Look, after: Look, done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The working sessions that are gone, {gateway, who, planned}; nothing where the run has touched nobody.

    A script is known by pid and start, so that one that has connected again has lost nothing; each gateway counts by
    itself. A client on another host is known by its address and how many connections it has. Of a gateway of no entry
    it is known who had a session when that ended. planned: whether a step that was taken for that gateway had named it,
    or all that the gateway serves.
    """
    steps = [each for act in done for each in act.get("outcomes", ()) if each["result"] in _TOUCHED]
    if not steps or before is None or after is None:
        return []
    found = [*_scripts(before, after), *_remote(before, after), *_beside(before, after)]
    return [
        {"gateway": name, "who": who, "planned": any(_names(step, name, client) for step in steps)}
        for name, who, client in found
    ]


def _working(look: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(the entry's name, the client) of each working session; looks of older versions know of none."""
    for gateway in look["gateways"]:
        for client in gateway["clients"]:
            if client.get("working"):
                yield gateway["name"], client


def _scripts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, Union[int, str]]]:
    told = {(name, _identity(client)) for name, client in _working(after)}
    for name, client in _working(before):
        session = (name, _identity(client))
        if client["pid"] is None or session in told:
            continue
        told.add(session)
        yield name, _who(client), client["pid"]


def _who(client: Mapping[str, Any]) -> str:
    return "pid %d (%s) of %s" % (client["pid"], short(client["argv"] or (), _SHORT), client["user"])


def _beside(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, Union[int, str]]]:
    """What was lost with a gateway of no entry that ran before and has gone, as by what a start has stopped."""
    left = {_identity(each) for each in after.get("undeclared") or ()}
    left |= {_identity(each) for gateway in after["gateways"] for each in gateway.get("processes") or ()}
    for each in before.get("undeclared") or ():
        for client in each.get("used_by") or () if _identity(each) not in left else ():
            yield "gateway pid %d, which fits no entry" % each["pid"], _who(client), client["pid"]


def _identity(client: Mapping[str, Any]) -> tuple[Any, Any]:
    return client["pid"], client.get("started_ticks")


def _remote(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, Union[int, str]]]:
    now = Counter(client["remote_host"] for _, client in _working(after) if client["pid"] is None)
    for name, client in _working(before):
        address = client["remote_host"]
        if client["pid"] is not None or not address:
            continue
        if now[address]:
            now[address] -= 1
            continue
        yield name, "a client on %s" % address, address


def _names(step: Mapping[str, Any], gateway: str, client: Union[int, str]) -> bool:
    """Whether a step has named a session: the client on this gateway, or all that this one serves.

    client: its pid, or its address.
    """
    target = step["target"]
    if step["gateway"] != gateway:
        return False
    if step["action"] == DROP_CONNECTION:
        return client in (target["client"], *(each["pid"] for each in target["client_processes"]))
    if step["action"] == STOP_CLIENT:
        return bool(client == target["pid"])
    return step["action"] in (STOP_GATEWAY, SOFT_RESTART, RESTART)


def line(each: Mapping[str, Any]) -> str:
    """One loss in words."""
    return "%s had a working session on %s, and has none now" % (each["who"], each["gateway"])


def unplanned(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The losses of a host's document that no step had named."""
    return [each for each in host.get("lost") or () if not each["planned"]]
