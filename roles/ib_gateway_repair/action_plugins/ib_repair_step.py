# SPDX-License-Identifier: Apache-2.0
"""Runs the module that does an action, with those of the role's options that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parents[3] / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import answers, mitogen  # noqa: E402 - needs the path above
from ansible.module_utils.ib_gateway.base.actions import BY_NAME  # noqa: E402 - likewise

DOCUMENTATION = r"""
module: ib_repair_step
short_description: Take the steps of one action of a repair
version_added: 0.2.0
description:
  - Runs the module that the registry of actions names for an action, and returns what that module returns.
  - The role C(ib_gateway_repair) uses it, so that it need not know which module does which action.
options:
  name:
    description: The action.
    type: str
    required: true
  steps:
    description: The steps of a plan that are of this action.
    type: list
    elements: dict
    required: true
  gateways:
    description: The gateways that should run on the host.
    type: list
    elements: dict
    required: true
  then_look:
    description: How to look at what came of it, as the modules have it.
    type: dict
    required: true
  options:
    description: What the role has to say to any of the modules, by the name of the option. Each is given its own.
    type: dict
    required: true
attributes:
  check_mode:
    description: Can run in check mode and predict the outcome without changing the host.
    support: full
  diff_mode:
    description: Returns what changes, or would change, in diff mode.
    support: full
  platform:
    description: The systems it works on.
    platforms: posix
    support: full
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
"""

EXAMPLES = r"""
- name: Stop what the plan of an earlier look names
  ib_repair_step:
    name: stop_client
    steps: "{{ health.gateways[0].plan.steps | selectattr('action', '==', 'stop_client') }}"
    gateways: "{{ ib_gateways }}"
    then_look: {probe: auto}
    options: {authorization: "{{ authorization }}", grace_period: 10}
  register: stopped
"""

RETURN = r"""
health:
  description:
    - The look at what came of it, as M(ib_gateway_health) returns it.
    - Everything else is what the action's module returns.
  returned: always
  type: dict
"""


class ActionModule(ActionBase):  # type: ignore[misc]
    """One task for each action of each host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("name", "steps", "gateways", "then_look", "options"))

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Hands the steps to the module. Raises AnsibleActionFail for an action that the registry does not have."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        action = BY_NAME.get(given["name"])
        if action is None:
            raise AnsibleActionFail(f"the plan has a step {given['name']!r}; known are {', '.join(BY_NAME)}")
        arguments = {key: given[key] for key in ("steps", "gateways", "then_look")}
        arguments.update({name: given["options"][name] for name in action.options})
        variables = mitogen.task_vars(task_vars)
        found = self._execute_module(module_name=action.module, module_args=arguments, task_vars=variables)
        return {**result, **answers.checked(found, answers.SORTS[action.module]), **answers.of_ansible(found)}
