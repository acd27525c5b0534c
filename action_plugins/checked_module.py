"""Sends a module as Ansible would, and lets what the host answers through the one gate, ib_fleet/run/answers.py.

The files beside this one are links to it, one for each module of this project that a playbook sends: Ansible takes an
action plugin that has a module's name in place of its own.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action.normal import ActionModule as Sending

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import answers  # noqa: E402 - needs the path above

_INTERPRETER = "discovered_interpreter_"


class ActionModule(Sending):  # type: ignore[misc]
    """One module on one host."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """What the module returned, or a failed result where that is not one of ours."""
        found = super().run(tmp, task_vars)
        kept = answers.checked(found, answers.SORTS.get(self._task.action.rpartition(".")[2]))
        return {**kept, **_ansible_s_own(found)}


def _ansible_s_own(found: dict[str, Any]) -> dict[str, Any]:
    """What Ansible has put into a result itself, or made an object of; a module cannot give it in this form."""
    kept = {key: value for key, value in found.items() if str(key).startswith("_ansible_")}
    for key in ("warnings", "deprecations"):
        if isinstance(found.get(key), list):
            kept[key] = [each for each in found[key] if isinstance(each, str) or is_dataclass(each)]
    if is_dataclass(found.get("exception")):
        kept["exception"] = found["exception"]
    facts = found.get("ansible_facts")  # which Python was found on the host, and nothing else
    if isinstance(facts, dict):
        kept["ansible_facts"] = {key: facts[key] for key in facts if str(key).startswith(_INTERPRETER)}
    return kept
