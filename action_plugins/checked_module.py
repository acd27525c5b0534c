# SPDX-License-Identifier: Apache-2.0
"""Sends a module as Ansible would, and lets what the host answers through the one gate, ib_fleet/run/answers.py.

The files beside this one are links to it, one for each module that a playbook names: Ansible takes an action plugin
that has a module's name in place of its own. Modules that act are sent by ib_repair_step, which asks the same gate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action.normal import ActionModule as Sending

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import answers, mitogen  # noqa: E402 - needs the path above


class ActionModule(Sending):  # type: ignore[misc]
    """One module on one host."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """What the module returned, or a failed result where that is not one of ours."""
        found = super().run(tmp, mitogen.task_vars(task_vars))
        kept = answers.checked(found, answers.SORTS.get(self._task.action.rpartition(".")[2]))
        return {**kept, **answers.of_ansible(found)}
