#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ends a repair of a host: writes down what was proven, and gives the lease back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_repair_end
short_description: End a repair of a host
version_added: 0.2.0
description:
  - Writes down, for each gateway that this run has acted on, whether the repair succeeded. It did when the gateway was
    proven healthy afterwards; a gateway that is not among the O(results) was not.
  - After a repair that did not succeed a gateway is latched, so no run acts on it until it was seen healthy by a later
    run or a person has lifted the latch with M(ib_repair_release).
  - Lifts the latch of a gateway that is healthy, also when this run did nothing to it.
  - Gives the host's lease back. Does nothing for a run that has not begun with M(ib_repair_begin).
  - Reports no change, because to record a repair changes no gateway. Does nothing in check mode.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.authorization]
options:
  authorization:
    required: true
  results:
    description: What the proof after the repair said of each gateway of this host.
    type: list
    elements: dict
    required: true
    suboptions:
      gateway:
        description: The entry's name.
        type: str
        required: true
      healthy:
        description: Whether it was proven healthy.
        type: bool
        required: true
      summary:
        description: What was found, in one line.
        type: str
        default: ''
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_repair_begin
  - module: ib_repair_release
"""

EXAMPLES = r"""
- name: End the repair of the live gateway
  ib_repair_end:
    results:
      - gateway: live
        healthy: true
        summary: API session ready through ib_insync
    authorization:
      run: 0b6e1c1e-8d6c-4a4e-9a53-5b6f0f6f1d11
      by: alice@control pid 4711
"""

RETURN = r"""
ended:
  description: Whether this run's repair was ended and the lease given back.
  returned: success
  type: bool
  sample: true
reason:
  description: Why not, or not wholly. Else empty.
  returned: success
  type: str
  sample: ''
succeeded:
  description: The gateways that this run has repaired.
  returned: success
  type: list
  elements: str
  sample: [live]
unsuccessful:
  description: The gateways that this run has acted on without success. They are latched now.
  returned: success
  type: list
  elements: str
  sample: []
lifted:
  description: The gateways that were latched and are no more, because they are healthy.
  returned: success
  type: list
  elements: str
  sample: []
latched:
  description: All gateways of this host that are latched now.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: paper}
    since: {description: Since when., type: str, returned: always, sample: '2026-11-22T17:00:00Z'}
    reason: {description: What its last proof said., type: str, returned: always, sample: nothing listens on port 4002}
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.module.runner import Module, run
from ansible.module_utils.ib_gateway.state import repair_state
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION, Authorization

ARGUMENTS = {
    "authorization": dict(AUTHORIZATION_OPTION, required=True),
    "results": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "gateway": {"type": "str", "required": True},
            "healthy": {"type": "bool", "required": True},
            "summary": {"type": "str", "default": ""},
        },
    },
}


def work(module: Module) -> Dict[str, Any]:
    """Ends."""
    return repair_state.end(Authorization.required(module.params), module.params["results"], module.check_mode)


def main() -> None:
    """Runs the module."""
    module = Module(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, reads=repair_state.READS, expected=repair_state.EXPECTED)


if __name__ == "__main__":
    main()
