"""The local accounts that a person other than the host's administrators can log in to.

Read from the host's own files alone: a directory service could answer with thousands, or not at all.
"""

from __future__ import annotations

import os
from typing import FrozenSet, Iterator, List, Mapping

_PASSWD, _GROUP = "/etc/passwd", "/etc/group"
_MOST_BYTES = 1 << 20
#: Below are the system's own accounts; above, nobody and what container engines map.
_FIRST_UID, _LAST_UID = 1000, 60000
#: Whoever is in one of these may act as root, and needs no disguise.
_ADMINISTRATORS = ("root", "sudo", "wheel", "admin")
_NO_SHELLS = ("nologin", "false", "sync", "shutdown", "halt")


def logins(environment: Mapping[str, str] = os.environ) -> FrozenSet[str]:
    """Their names; the account that has become root for this run is an administrator's. Empty where nothing tells."""
    trusted = {environment.get("SUDO_USER", ""), environment.get("DOAS_USER", "")}
    groups = {}
    for name, _password, number, members, *_rest in _rows(_GROUP, 4):
        if name in _ADMINISTRATORS:
            trusted |= set(members.split(","))
            groups[number] = name
    return frozenset(
        name
        for name, _password, uid, group, _comment, _home, shell, *_rest in _rows(_PASSWD, 7)
        if uid.isdigit()
        and _FIRST_UID <= int(uid) < _LAST_UID
        and name not in trusted
        and group not in groups
        and os.path.basename(shell) not in _NO_SHELLS
    )


def _rows(path: str, fields: int) -> Iterator[List[str]]:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            text = file.read(_MOST_BYTES)
    except OSError:
        return
    for line in text.splitlines():
        row = line.split(":")
        if len(row) >= fields and not line.startswith("#"):
            yield row
