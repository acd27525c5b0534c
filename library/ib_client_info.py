#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lists the API clients of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_client_info
short_description: List the clients of the API ports
version_added: 0.1.0
description:
  - Lists every connection to an API port of this host and the process behind it, found by pairing both ends of each
    connection in the socket table, across IPv4 and IPv6.
  - Clients on other hosts are named by their address. A gateway's own connections to the broker's servers are no
    clients, whatever their port.
  - Sends no packet and opens no connection.
extends_documentation_fragment: [ib_gateway.attributes]
options:
  ports:
    description:
      - The API ports.
      - Without it V(4001), V(4002), V(7496), V(7497) and whatever other ports gateways of this host listen on.
    type: list
    elements: int
  client_patterns:
    description: Regular expressions on a script's command line. Scripts that match are listed even when not connected.
    type: list
    elements: str
    default: []
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_listener_info
"""

EXAMPLES = r"""
- name: See who uses the API
  ib_client_info:

- name: Also list a script that is between two connections
  ib_client_info:
    client_patterns: ['cleanup_positions\.py']
"""

RETURN = r"""
clients:
  description: One item for each connection, and for each process that only a pattern names.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: The client's process id. V(null) when it is elsewhere or hidden.
      type: int
      returned: always
      sample: 815
    started_ticks: {description: Its start in clock ticks after boot., type: int, returned: always, sample: 8812345}
    boot_id:
      description: The kernel's name for this boot.
      type: str
      returned: always
      sample: 1b4e28ba-2fa1-11d2-883f-0016d3cca427
    argv_digest:
      description: A keyed hash over the command line, from which nothing of it can be told.
      type: str
      returned: always
      sample: 9f86d081884c7d65
    user: {description: The account that runs it., type: str, returned: always, sample: trader}
    argv:
      description: Its command line with passwords hidden and account numbers masked.
      type: list
      elements: str
      returned: always
      sample: [python3, cleanup_positions.py]
    unit: {description: The systemd unit it belongs to., type: str, returned: always, sample: null}
    connected: {description: Whether it holds a connection., type: bool, returned: always, sample: true}
    port: {description: The API port of its connection., type: int, returned: always, sample: 4001}
    local: {description: The client's end., type: str, returned: always, sample: '127.0.0.1:51234'}
    remote: {description: The gateway's end., type: str, returned: always, sample: '127.0.0.1:4001'}
    state:
      description: The TCP state of the gateway's end, or of the client's end when the gateway's is gone.
      type: str
      returned: always
      sample: ESTABLISHED
    accepted:
      description: Whether the gateway has taken the connection from its queue.
      type: bool
      returned: always
      sample: true
    served:
      description: Whether the gateway has said more on it than its version. V(true) where the system does not say.
      type: bool
      returned: always
      sample: true
    working:
      description: Whether it is a session that the gateway has served and the client has used.
      type: bool
      returned: always
      sample: true
    idle:
      description: Seconds since data last went either way. V(null) where the system does not say.
      type: float
      returned: always
      sample: 12.5
    age: {description: Seconds since the process started., type: float, returned: always, sample: 259200.0}
    orphaned:
      description: Whether its parent has gone and no unit started it.
      type: bool
      returned: always
      sample: true
    is_relay: {description: Whether it passes connections on for others., type: bool, returned: always, sample: false}
    remote_host:
      description: The client's address when it is on another host.
      type: str
      returned: always
      sample: null
    matches_pattern: {description: Whether a pattern names it., type: bool, returned: always, sample: true}
    protected:
      description: Always V(false) here. An inventory entry decides it.
      type: bool
      returned: always
      sample: false
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.base.spec import API_PORTS
from ansible.module_utils.ib_gateway.decide.clients import all_clients
from ansible.module_utils.ib_gateway.module import api_result
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run
from ansible.module_utils.ib_gateway.observe.snapshot import look

ARGUMENTS = {
    "ports": {"type": "list", "elements": "int"},
    "client_patterns": {"type": "list", "elements": "str", "default": []},
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Looks, and returns the clients of the ports."""
    patterns = module.patterns("client_patterns")
    ports = module.ports("ports")
    snapshot = look(ports or API_PORTS, patterns)
    found = all_clients(snapshot, patterns)
    wanted = [each for each in found if not (ports and each.connection) or each.connection.port in ports]
    return {"clients": [api_result.client(each) for each in wanted]}


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
