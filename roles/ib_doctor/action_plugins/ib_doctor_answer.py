# SPDX-License-Identifier: Apache-2.0
"""Tells what the doctor found, in plain lines. Runs in the controller's own process, for all hosts of a play."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parents[3] / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.document import desk_inventory  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.render import desk, desk_next  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.render.layout import Line, laid_out  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.run import answers, clock, command_line, screen  # noqa: E402 - likewise

DOCUMENTATION = r"""
module: ib_doctor_answer
short_description: Say what was found on hosts that no inventory describes
version_added: 0.2.0
description:
  - Shows the answer as plain lines, whatever callback shows the tasks, and writes the inventory that was asked for.
  - Fails where the inventory cannot be written, after the answer was shown.
options:
  hosts:
    description: The names of the hosts that were looked at.
    type: list
    elements: str
    required: true
  write:
    description: The file to write the inventory to. Empty for none.
    type: str
    default: ''
attributes:
  check_mode:
    description: Can run in check mode and predict the outcome without changing the host.
    support: full
  diff_mode:
    description: Returns what changes, or would change, in diff mode.
    support: none
  platform:
    description: The systems it works on.
    platforms: posix
    support: full
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
"""

EXAMPLES = r"""
- name: Say what was found, and write it as an inventory
  ib_doctor_answer:
    hosts: "{{ ansible_play_hosts_all }}"
    write: found.yml
  run_once: true
"""

RETURN = r"""
answer:
  description: What was said, line by line.
  returned: always
  type: list
  elements: str
written:
  description: The inventory that was written. Empty where none was.
  returned: always
  type: str
not_seen:
  description: The names of the hosts that could not be looked at. Any of them fails the task.
  returned: always
  type: list
  elements: str
"""

_LOOK = "ib_gateway_diagnose_desk"
_AUDIT = "ib_client_audit_result"


class ActionModule(ActionBase):  # type: ignore[misc]
    """One task, run once."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("hosts", "write"))

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Says it, and writes what is to be written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        names = [str(each) for each in self._task.args["hosts"]]
        hosts = [_host(name, known["hostvars"][name]) for name in names]
        write = str(self._task.args.get("write") or "")
        seen = [each for each in hosts if each.desk is not None]
        not_written, problem = "", ""
        if write and self._task.check_mode:
            not_written = "Nothing was written to %s: this is check mode." % write
        elif write and not seen:
            not_written = "Nothing was written to %s: no host could be looked at." % write
        elif write and not any((each.desk or {})["proposals"] for each in seen):
            not_written = "Nothing was written to %s: no gateway was found for which it would have an entry." % write
        elif write:
            problem = _write([_found(each, known["hostvars"][each.name]) for each in seen], write)
        written = command_line.from_here(write) if write and not (not_written or problem) else ""
        told = [Line(not_written)] if not_written else []
        commands = _commands(known, names, written)
        again = desk.Again(commands.doctor, commands.options, _by_make())
        lines = [*_answer(hosts, again), *told, *desk_next.next_lines(hosts, commands), Line("")]
        _show(lines)
        missing = [each.name for each in hosts if each.desk is None]
        answer = list(laid_out(lines, screen.width()))
        result.update(changed=False, answer=answer, written=written, not_seen=missing)
        if problem:
            result.update(failed=True, msg=problem)
        return result


def _write(found: list[desk_inventory.Found], path: str) -> str:
    """Writes the inventory; returns why it could not. A file that exists stays as it is."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(desk_inventory.text(found, clock.now()))
    except FileExistsError:
        return "%s exists already and is not overwritten; name another file" % path
    except OSError as error:
        return "%s cannot be written: %s" % (path, error.strerror)
    return ""


def _host(name: str, variables: Mapping[str, Any]) -> desk.Host:
    here = str(variables.get("ansible_connection") or "") == "local" or name in ("localhost", "127.0.0.1", "::1")
    answer = answers.registered(variables, _LOOK)
    if answer is not None and "proposals" in answer:
        return desk.Host(name, answer, here=here, scripts=_scripts(variables))
    reached = answer is None or not answer.get("unreachable")
    return desk.Host(name, None, reached, _why(answer or {}), here)


def _scripts(variables: Mapping[str, Any]) -> list[str]:
    """What is said of the scripts that run; nothing where nobody asked."""
    found = answers.registered(variables, _AUDIT)
    if found is None or found.get("skipped"):
        return []
    if "running" not in found:
        return ["they could not be read: %s" % found.get("msg", "no reason given")]
    return [each["told"] for each in found["running"]] or ["none that uses the API was seen"]


def _why(answer: Mapping[str, Any]) -> str:
    """Why a host could not be looked at: what Ansible says, and the first line of what a program said before."""
    told = str(answer.get("msg") or "it did not answer").removeprefix("Task failed: ")
    said = str(answer.get("module_stderr") or "").strip().partition("\n")[0]
    return "%s (%s)" % (told, said) if said and said not in told else told


def _found(host: desk.Host, variables: Mapping[str, Any]) -> desk_inventory.Found:
    told = {key: variables[key] for key in desk_inventory.CONNECTION if key in variables}
    told = {**command_line.variables(CLIARGS), **told}
    if host.here:
        told.setdefault("ansible_connection", "local")
    seen = host.desk or {}
    proposed = {each["entry"]["name"] for each in seen["proposals"]}
    declared = [each["name"] for each in seen["health"]["gateways"] if each["name"] not in proposed]
    return desk_inventory.Found(
        host.name, told, seen["proposals"], declared, bool(seen["health"]["visibility"]["privileged"])
    )


def _answer(hosts: list[desk.Host], again: desk.Again) -> list[Line]:
    lines = [Line("")]
    for host in sorted(hosts, key=desk.urgency):
        lines += [*desk.host_lines(host, again), Line("")]
    return [*lines, desk_next.summary(hosts)]


def _commands(known: Mapping[str, Any], names: list[str], written: str) -> desk_next.Commands:
    """The commands as they work in the folder and the shell in which this run was started."""
    sources = [str(each) for each in known.get("ansible_inventory_sources") or ()]
    local = names == ["localhost"] and not command_line.connection(CLIARGS)
    options = "" if local else command_line.options(CLIARGS, sources, str(Path.cwd()))
    return desk_next.Commands(
        doctor=command_line.as_typed("ansible-playbook playbooks/doctor.yml"),
        remediate=command_line.as_typed("ansible-playbook remediate.yml"),
        sweep=command_line.as_typed("ansible-playbook playbooks/health_sweep.yml"),
        options=options,
        written=shlex.quote(written) if written else "",
        passwords=command_line.passwords(CLIARGS),
        made=local and _by_make(),
        local=local,
    )


def _by_make() -> bool:
    return bool(os.environ.get("IB_DOCTOR_BY_MAKE"))


def _show(lines: list[Line]) -> None:
    for row in laid_out(lines, screen.width(), screen.coloured()):
        Display().display(row)
