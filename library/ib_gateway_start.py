#!/usr/bin/python
"""Starts gateways by their start_command."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_start
short_description: Start gateways that no unit starts
version_added: 0.1.0
description:
  - Runs the entry's O(gateways[].start_command) as its O(gateways[].user), detached, so that it outlives this run.
  - Does nothing for an entry whose gateway is already running, listening or not.
  - Does not wait for the port. M(ib_gateway_wait) does.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.gateways]
attributes:
  diff_mode:
    support: full
options:
  gateways:
    required: true
  only:
    description: The names of the entries to start. The others are only known so that processes are told apart.
    type: list
    elements: str
    required: true
  assume_stopped:
    description:
      - Pids of gateways to be taken as ended.
      - For check mode, in which the steps before this one have not really stopped them.
    type: list
    elements: int
    default: []
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_wait
"""

EXAMPLES = r"""
- name: Start the live gateway
  ib_gateway_start:
    gateways: "{{ ib_gateways }}"
    only: [live]
"""

RETURN = r"""
started:
  description: What was started, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: live}
    pid: {description: The pid of the command. V(null) in check mode., type: int, returned: always, sample: 4712}
already_running:
  description: The entries whose gateway was running.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: paper}
    pids: {description: Its processes., type: list, elements: int, returned: always, sample: [4711]}
"""

from dataclasses import replace
from typing import Any, Dict, List

from ansible.module_utils.ib_gateway import launching
from ansible.module_utils.ib_gateway.health import look_for
from ansible.module_utils.ib_gateway.matching import entries_of
from ansible.module_utils.ib_gateway.model import GatewaySpec
from ansible.module_utils.ib_gateway.module import GATEWAYS_OPTION, GatewayModule, run

ARGUMENTS = {
    "gateways": GATEWAYS_OPTION,
    "only": {"type": "list", "elements": "str", "required": True},
    "assume_stopped": {"type": "list", "elements": "int", "default": []},
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Starts what is not running."""
    specs = module.specs()
    wanted = module.chosen("only", specs)
    for name in wanted:
        if name not in module.start_commands:
            module.give_up("entry %s has no start_command: nothing can start it" % name)
    started: List[Dict[str, Any]] = []
    running: List[Dict[str, Any]] = []
    for entry in entries_of(specs, look_for(specs))[0]:
        if entry.spec.name not in wanted:
            continue
        found = [process.pid for process in entry.processes + entry.ambiguous + entry.unplaced]
        found = [pid for pid in found if not (module.check_mode and pid in module.params["assume_stopped"])]
        if found:
            running.append({"name": entry.spec.name, "pids": found})
            continue
        started.append({"name": entry.spec.name, "pid": None if module.check_mode else _start(module, entry.spec)})
    result: Dict[str, Any] = {"changed": bool(started), "started": started, "already_running": running}
    if module._diff:
        lines = ["gateway %s, started by its start_command\n" % each["name"] for each in started]
        result["diff"] = {"before": "", "after": "".join(lines)}
    return result


def _start(module: GatewayModule, hidden: GatewaySpec) -> int:
    spec = replace(hidden, start_command=module.start_commands[hidden.name])
    try:
        return launching.start(spec.start_command, spec.user, spec.config_dir)
    except launching.CannotStart as error:
        module.give_up("gateway %s was not started: %s" % (spec.name, error))


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
