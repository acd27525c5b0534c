"""Tells what the doctor found, in plain lines. Runs in the controller's own process, for all hosts of a play."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.constants as constants
import ansible.module_utils
from ansible.context import CLIARGS
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_ROOT = Path(__file__).resolve().parents[3]
_SHARED = str(_ROOT / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.document import desk_inventory  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.render import desk, desk_next  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.render.layout import Line, laid_out  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.run import answers, clock, command_line  # noqa: E402 - likewise

DOCUMENTATION = r"""
name: ib_doctor_answer
short_description: Say what was found on hosts that no inventory describes
description:
  - Shows the answer as plain lines, whatever callback shows the tasks, and writes the inventory that was asked for.
  - Fails where a host could not be looked at.
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
"""

_LOOK = "ib_gateway_diagnose_desk"
#: Columns where there is no terminal, and how wide lines get on a wide one.
_NO_TERMINAL, _WIDEST = 100, 110


class ActionModule(ActionBase):  # type: ignore[misc]
    """One task, run once."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("hosts", "write"))

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Says it, writes what is to be written, and fails for hosts that were not seen."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        names = [str(each) for each in self._task.args["hosts"]]
        hosts = [_host(name, known["hostvars"][name]) for name in names]
        write = str(self._task.args.get("write") or "")
        written = self._write(hosts, known["hostvars"], write) if write else ""
        commands = _commands(known, names, written)
        lines = [*_answer(hosts), *desk_next.next_lines(hosts, commands), Line("")]
        _show(lines)
        missing = [each.name for each in hosts if each.desk is None]
        result.update(changed=False, answer=list(laid_out(lines, _width())), written=written, not_seen=missing)
        if missing:
            result.update(failed=True, msg="not looked at: %s" % ", ".join(missing))
        return result

    def _write(self, hosts: list[desk.Host], hostvars: Mapping[str, Any], path: str) -> str:
        """Writes the inventory; returns the path as it is told. A file that exists stays as it is."""
        found = [_found(each, hostvars[each.name]) for each in hosts if each.desk is not None]
        if not found or self._task.check_mode:
            return ""
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(desk_inventory.text(found, clock.now()))
        except FileExistsError as error:
            raise AnsibleActionFail("%s exists already and is not overwritten; name another file" % path) from error
        except OSError as error:
            raise AnsibleActionFail("%s cannot be written: %s" % (path, error.strerror)) from error
        return _from_here(path)


def _host(name: str, variables: Mapping[str, Any]) -> desk.Host:
    here = str(variables.get("ansible_connection") or "") == "local" or name in ("localhost", "127.0.0.1", "::1")
    answer = answers.registered(variables, _LOOK)
    if answer is not None and "proposals" in answer:
        return desk.Host(name, answer, here=here)
    reached = answer is None or not answer.get("unreachable")
    why = (answer or {}).get("msg") or "it did not answer"
    return desk.Host(name, None, reached, str(why), here)


def _found(host: desk.Host, variables: Mapping[str, Any]) -> desk_inventory.Found:
    told = {key: variables[key] for key in desk_inventory.CONNECTION if key in variables}
    if CLIARGS.get("remote_user"):
        told.setdefault("ansible_user", str(CLIARGS["remote_user"]))
    if CLIARGS.get("become"):
        told.setdefault("ansible_become", True)
    seen = host.desk or {}
    proposed = {each["entry"]["name"] for each in seen["proposals"]}
    declared = [each["name"] for each in seen["health"]["gateways"] if each["name"] not in proposed]
    return desk_inventory.Found(
        host.name, told, seen["proposals"], declared, bool(seen["health"]["visibility"]["privileged"])
    )


def _answer(hosts: list[desk.Host]) -> list[Line]:
    lines = [Line("")]
    for host in hosts:
        lines += [*desk.host_lines(host), Line("")]
    return [*lines, desk_next.summary(hosts)]


def _commands(known: Mapping[str, Any], names: list[str], written: str) -> desk_next.Commands:
    """The commands as they work in the folder and the shell in which this run was started."""
    sources = [str(each) for each in known.get("ansible_inventory_sources") or ()]
    local = names == ["localhost"]
    options = "" if local else command_line.options(CLIARGS, sources, str(Path.cwd()))
    program = "ansible-playbook"
    own = Path(sys.executable).parent / program
    if "VIRTUAL_ENV" not in os.environ and own.exists():
        program = shlex.quote(_from_here(str(own)))

    def playbook(name: str) -> str:
        return "%s %s" % (program, shlex.quote(_from_here(str(_ROOT / name))))

    return desk_next.Commands(
        doctor=playbook("playbooks/doctor.yml"),
        remediate=playbook("remediate.yml"),
        sweep=playbook("playbooks/health_sweep.yml"),
        options=options,
        written=shlex.quote(written) if written else "",
        made=local and bool(os.environ.get("IB_DOCTOR_BY_MAKE")),
        local=local,
    )


def _from_here(path: str) -> str:
    return path.removeprefix(str(Path.cwd()) + "/")


def _show(lines: list[Line]) -> None:
    colour = bool(getattr(constants, "ANSIBLE_COLOR", False)) and sys.stdout.isatty()
    for row in laid_out(lines, _width(), colour):
        Display().display(row)


def _width() -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return min(int(given), _WIDEST)
    return min(shutil.get_terminal_size().columns, _WIDEST) if sys.stdout.isatty() else _NO_TERMINAL
