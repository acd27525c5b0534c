#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lists who listens on the API ports of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_listener_info
short_description: List who listens on the API ports
version_added: 0.1.0
description:
  - Reads the socket table and names the owner of each listening API port, on IPv4, IPv6 and dual-stack sockets.
  - Sends no packet and opens no connection.
extends_documentation_fragment: [ib_gateway.attributes]
options:
  ports:
    description: The ports to look at.
    type: list
    elements: int
    default: [4001, 4002, 7496, 7497]
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_client_info
"""

EXAMPLES = r"""
- name: See who listens on the API ports
  ib_listener_info:

- name: See who listens on one port
  ib_listener_info:
    ports: [4001]
"""

RETURN = r"""
listeners:
  description: One item for each port and set of owners, by port.
  returned: success
  type: list
  elements: dict
  contains:
    port: {description: The port., type: int, returned: always, sample: 4001}
    addresses:
      description: The addresses it listens on.
      type: list
      elements: str
      returned: always
      sample: ['::']
    families:
      description: The families that reach it. A dual-stack socket has both.
      type: list
      elements: str
      returned: always
      sample: [ipv4, ipv6]
    pids:
      description: The processes that hold the socket. Empty when they cannot be seen.
      type: list
      elements: int
      returned: always
      sample: [4711]
    user: {description: The account that owns the socket., type: str, returned: always, sample: trader}
    is_gateway:
      description: Whether an owner is a gateway. V(null) when no owner can be seen.
      type: bool
      returned: always
      sample: true
    relay:
      description: The relay's name when the owner passes connections on, such as V(socat) or V(docker-proxy).
      type: str
      returned: always
      sample: null
    accept_queue:
      description: Connections that wait to be accepted. V(null) where the system does not say.
      type: int
      returned: always
      sample: 0
    backlog:
      description: How many may wait. V(null) where the system does not say.
      type: int
      returned: always
      sample: 50
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.base.spec import API_PORTS
from ansible.module_utils.ib_gateway.module import result
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run
from ansible.module_utils.ib_gateway.observe.snapshot import look

ARGUMENTS = {"ports": {"type": "list", "elements": "int", "default": list(API_PORTS)}}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Looks, and returns the listeners of the ports."""
    ports = module.ports("ports")
    snapshot = look(ports)
    wanted = [each for each in snapshot.listeners if each.port in ports]
    return {"listeners": result.listeners(wanted, dict(snapshot.processes))}


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
