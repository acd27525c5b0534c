#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Begins a repair of a host: takes its lease and says which gateways may be acted on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_repair_begin
short_description: Begin a repair of a host
version_added: 0.2.0
description:
  - Takes the host's lease for this run, so that no other run repairs it at the same time, and writes down the begin.
  - Says which of the gateways may be acted on now, by the host's pause file, its latches and the limits.
  - Shows the acts of earlier runs of which nobody wrote down what became of them. They are shown by the next run once.
  - What stands in the way is returned as a reason; the module does not fail for it. Reports no change, because keeping
    repair state changes no gateway.
  - Without any gateway it takes the lease all the same, so that M(ib_repair_end) can lift the latches of healthy ones.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.authorization]
options:
  authorization:
    required: true
  gateways:
    description: The names of the gateways that have steps to be taken.
    type: list
    elements: str
    default: []
  lease:
    description:
      - How many seconds the lease stands without an act of this run. After that another run may take it over.
      - Give more than the longest wait between two acts.
    type: float
    default: 900.0
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_repair_end
  - module: ib_repair_release
"""

EXAMPLES = r"""
- name: Begin a repair of the live gateway
  ib_repair_begin:
    gateways: [live]
    authorization:
      run: 0b6e1c1e-8d6c-4a4e-9a53-5b6f0f6f1d11
      by: alice@control pid 4711
  register: begin
"""

RETURN = r"""
begun:
  description: Whether this run has the lease. Nothing may be done without it.
  returned: success
  type: bool
  sample: true
reason:
  description: Why nothing may be done on the host at all. Else empty.
  returned: success
  type: str
  sample: ''
allowed:
  description: The gateways that may be acted on.
  returned: success
  type: list
  elements: str
  sample: [live]
refused:
  description: The gateways that may not, each with the reason, and when or by what it will pass.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: paper}
    reason:
      description: Why it may not be acted on.
      type: str
      returned: always
      sample: 'limit: 3 repairs of it within the last hour, 3 are allowed; possible again at 2026-11-22T18:00:01Z'
unfinished:
  description: Acts of earlier runs of which it is not known what became of them.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was about to be done., type: str, returned: always, sample: restart}
    at: {description: When., type: str, returned: always, sample: '2026-11-22T17:00:00Z'}
    run: {description: The run that was about to do it., type: str, returned: always, sample: 7f4df2a6}
journal:
  description: V(ok), V(absent) for a host that never had one before, or V(unusable).
  returned: success
  type: str
  sample: ok
note:
  description: What is worth knowing about the journal or the lease. Mostly empty.
  returned: success
  type: str
  sample: ''
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.module.runner import Module, run
from ansible.module_utils.ib_gateway.state import lease, repair_state
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION, Authorization

ARGUMENTS = {
    "authorization": dict(AUTHORIZATION_OPTION, required=True),
    "gateways": {"type": "list", "elements": "str", "default": []},
    "lease": {"type": "float", "default": lease.SECONDS},
}


def work(module: Module) -> Dict[str, Any]:
    """Begins."""
    seconds = module.params["lease"]
    if not 0 < seconds <= lease.MOST_SECONDS:
        module.give_up("the option lease is %g; give seconds above 0, at most %g" % (seconds, lease.MOST_SECONDS))
    return repair_state.begin(
        Authorization.required(module.params), module.params["gateways"], seconds, module.check_mode
    )


def main() -> None:
    """Runs the module."""
    module = Module(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, reads=repair_state.READS, expected=repair_state.EXPECTED)


if __name__ == "__main__":
    main()
