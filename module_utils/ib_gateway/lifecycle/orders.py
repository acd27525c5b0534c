"""Who ends by what a command tells systemd or a container engine to do with units or containers that it names.

A command that stops a target or a slice names nobody who lives in them, and one that starts a unit may stop another.
"""

from __future__ import annotations

import functools
import os
from typing import FrozenSet, Sequence, Set

from ..observe import containers
from ..observe.named_endings import STARTING, STOPPING, Asks
from . import engine, systemctl
from .accounts import account_by
from .bound_units import bound_to, stopped_by_start
from .members import pids_of
from .unit_facts import Show, show_each


def asks() -> Asks:
    """Whom ended_by_start() asks."""
    return Asks(ended_with_units, ended_with_containers)


def ended_with_units(verb: str, names: Sequence[str], uid: int, users: bool) -> FrozenSet[int]:
    """The pids of those that end where systemd is told to do that to the units: in them, in units that are tied to
    them, in units that are in conflict with them. What systemd does not tell is left out.

    uid: of the account that tells it; users: whether it tells its own systemd.
    """
    account = account_by(uid) if users else None
    if users and account is None:
        return frozenset()
    show: Show = functools.partial(systemctl.show, account=account)
    ending: Set[str] = set()
    for name, shown in show_each(names, show).items():
        if "error" in shown:
            continue
        if verb in STOPPING:
            ending |= {name} | bound_to(name, shown, show).stops
        if verb in STARTING:
            ending |= stopped_by_start(name, shown, show).stops
    groups = [shown.get("ControlGroup", "") for shown in show_each(sorted(ending), show).values()] if ending else []
    return frozenset().union(*map(pids_of, groups))


def ended_with_containers(program: str, names: Sequence[str], uid: int) -> FrozenSet[int]:
    """The pids of those that live in the containers. program: docker or podman; uid: of the account that calls it."""
    account = account_by(uid) if uid != os.geteuid() else None
    found: Set[int] = set()
    for name in names:
        first = engine.first_pid(program, account, name)
        found |= containers.inhabitants(first) if first else frozenset()
    return frozenset(found)
