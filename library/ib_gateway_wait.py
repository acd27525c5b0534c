#!/usr/bin/python
"""Waits until gateways listen."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_wait
short_description: Wait until gateways listen, without connecting to them
version_added: 0.1.0
description:
  - Reads the socket table until a gateway of each entry owns its port, or the time is up.
  - Never connects, because every connection would take an API slot of the gateway that is just coming up.
  - A gateway that does not come up is no failure of this module. The next look judges it.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.gateways]
options:
  gateways:
    required: true
  only:
    description: The names of the entries to wait for. The others are only known so that processes are told apart.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait for all of them. Without it each entry's own O(gateways[].start_timeout).
    type: float
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_start
"""

EXAMPLES = r"""
- name: Wait until the live gateway listens
  ib_gateway_wait:
    gateways: "{{ ib_gateways }}"
    only: [live]
"""

RETURN = r"""
gateways:
  description: How it went for each entry waited for.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: live}
    answer:
      description:
        - V(listening) when a gateway of the entry owns the port, V(not_listening) when the time is up, V(ended) when
          a gateway was there and has gone.
      type: str
      returned: always
      sample: listening
waited: {description: Seconds waited., type: float, returned: success, sample: 31.5}
"""

import time
from typing import Any, Dict

from ansible.module_utils.ib_gateway.module.look import await_listener
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run

ARGUMENTS = {
    "gateways": GATEWAYS_OPTION,
    "only": {"type": "list", "elements": "str", "required": True},
    "timeout": {"type": "float"},
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Waits, and returns how it went; in check mode there is nothing to wait for."""
    began = time.monotonic()
    specs = module.specs()
    timeout = 0.0 if module.check_mode else module.params["timeout"]
    answers = await_listener(specs, module.chosen("only", specs), timeout)
    return {
        "gateways": [{"name": name, "answer": answer} for name, answer in answers.items()],
        "waited": round(time.monotonic() - began, 1),
    }


def _waits(params: Dict[str, Any]) -> float:
    """Seconds that the gateways may take."""
    if params["timeout"] is not None:
        return float(abs(params["timeout"]))
    return float(max((abs(int(each.get("start_timeout") or 0)) for each in params["gateways"]), default=0))


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work, _waits)


if __name__ == "__main__":
    main()
