# SPDX-License-Identifier: Apache-2.0
"""Jinja filters of the playbooks that a person stops and allows repairs with: what holds now, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.context import CLIARGS

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import answers, command_line  # noqa: E402 - needs the path above


def told_by(hosts: Iterable[str], hostvars: Mapping[str, Any], variable: str) -> list[str]:
    """What hosts have answered, those that say the same together: `desk1, desk2: paused until ...`.

    variable: the name under which each host's answer was registered; a host without one is left out.
    """
    heard: dict[str, list[str]] = {}
    for host in hosts:
        answer = answers.checked(hostvars[host].get(variable) or {}, None)
        if answer.get("msg") and not answer.get("skipped"):
            heard.setdefault(str(answer["msg"]), []).append(str(host))
    return ["%s: %s" % (", ".join(names), said) for said, names in heard.items()]


def next_run(playbook: str, sources: Iterable[str]) -> str:
    """The command that runs a playbook on the hosts of this run, as it works in this run's folder and shell.

    playbook: from the project's root. sources: the inventories of this run.
    """
    options = command_line.options(CLIARGS, [str(each) for each in sources], str(Path.cwd()))
    hosts = " --limit %s" % shlex.quote(str(CLIARGS["subset"])) if CLIARGS.get("subset") else ""
    return "%s%s %s" % (command_line.as_typed("ansible-playbook %s" % playbook), hosts, options)


class FilterModule:
    """The filters under the names the playbooks use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"ib_told_by": told_by, "ib_next_run": next_run}
