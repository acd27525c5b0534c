# SPDX-License-Identifier: Apache-2.0
"""Jinja filters of the doctor's playbook: which hosts it looks at, how it gets to them, and how it is started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.context import CLIARGS

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import command_line  # noqa: E402 - needs the path above

#: The inventory that ansible.cfg names, to be copied: its hosts do not exist. And Ansible's own default.
_EXAMPLE = str(Path(__file__).resolve().parent.parent / "inventory" / "example")
_NOBODYS = (_EXAMPLE, "/etc/ansible/hosts")
_GROUP = "trading_hosts"
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def doctor_pattern(groups: Mapping[str, Any], sources: Iterable[str]) -> str:
    """The hosts to look at. sources: the inventories of this run.

    Where nobody gave one, or one without hosts, this machine is meant, which Ansible knows without an inventory.
    """
    if not _given(sources) or not groups.get("all"):
        return "localhost"
    return _GROUP if groups.get(_GROUP) else "all"


def doctor_connection(groups: Mapping[str, Any], sources: Iterable[str]) -> str:
    """How to get to hosts whose inventory does not say it: as the command line says; else this machine without ssh."""
    pattern = doctor_pattern(groups, sources)
    names = ["localhost"] if pattern == "localhost" else groups[pattern]
    here = not command_line.connection(CLIARGS) and all(each in _THIS_MACHINE for each in names)
    return "local" if here else str(CLIARGS.get("connection") or "ssh")


def _given(sources: Iterable[str]) -> bool:
    return any(os.path.realpath(str(each)) not in _NOBODYS for each in sources)


def used_example(sources: Iterable[str]) -> bool:
    """Whether a run has no other inventory than the example."""
    found = [os.path.realpath(str(each)) for each in sources]
    return bool(found) and all(each == _EXAMPLE for each in found)


class FilterModule:
    """The filters under the names the playbooks use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "ib_as_typed": command_line.as_typed,
            "ib_doctor_pattern": doctor_pattern,
            "ib_doctor_connection": doctor_connection,
            "ib_used_example": used_example,
        }
