"""Who lives in a unit's control group: all that a stop or a restart of the unit ends."""

from __future__ import annotations

import os
from typing import List, Sequence, Set, Tuple

from ..base import classify
from ..base.redaction import redact_argv
from ..base.unit import UnitMember
from ..observe import processes

#: Where the control groups that systemd made are: alone (v2), beside v1's, or v1's own.
_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")


def members_of(control_group: str, launchers: bool = False, shells: bool = False) -> Tuple[UnitMember, ...]:
    """The processes of a control group and of all below it, launchers left out. control_group: as systemd names it.

    launchers: whether those that start a gateway are told as well, where none of theirs has come yet. shells: whether
    shells and wrappers are told, as in a unit that is no gateway's: what they do is what the unit is there for.
    """
    found, starting = [], []
    users = processes.Users()
    for pid in sorted(pids_of(control_group)):
        argv, uid = processes.read_argv(pid), processes.read_real_uid(pid)
        if not argv or uid is None:
            continue
        if launchers and _starts_gateway(argv):
            starting.append(UnitMember(pid, users.name(uid), redact_argv(argv), "launcher"))
        elif shells or not classify.is_launcher(argv):
            kind = "gateway" if classify.gateway_kind(argv) else "other"
            found.append(UnitMember(pid, users.name(uid), redact_argv(argv), kind))
    return tuple(found if any(each.kind == "gateway" for each in found) else [*starting, *found])


def _starts_gateway(argv: Sequence[str]) -> bool:
    from ..base.launchers import LAUNCHER, RESTARTER, launcher_of

    found = launcher_of(argv)
    return found is not None and found.kind in (LAUNCHER, RESTARTER)


def pids_of(control_group: str) -> Set[int]:
    """All processes of a control group and of all below it. control_group: as systemd names it; empty for none."""
    if not control_group.startswith("/") or control_group == "/":
        return set()
    for root in _ROOTS:
        top = root + control_group
        if os.path.isfile(top + "/cgroup.procs"):
            return _below(top)
    return set()


def _below(top: str) -> Set[int]:
    found: Set[int] = set()
    for folder, _names, files in os.walk(top):
        if "cgroup.procs" in files:
            found.update(_read(folder + "/cgroup.procs"))
    return found


def _read(path: str) -> List[int]:
    try:
        with open(path, encoding="ascii") as listed:
            return [int(line) for line in listed]
    except (OSError, ValueError):  # gone meanwhile, or a threaded group, whose processes its parent lists
        return []
