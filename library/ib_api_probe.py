#!/usr/bin/python
"""Opens one API session and says how far it came."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_api_probe
short_description: Open one API session with a gateway, stage by stage
version_added: 0.1.0
description:
  - Connects to an API port as a trading script does, notes how far the session comes, and closes it cleanly.
  - Returns at the first certainty, such as a closed connection or error 326, instead of waiting for the timeout.
  - Sends no order and asks for nothing but the current time.
extends_documentation_fragment: [ib_gateway.attributes]
options:
  host:
    description: The gateway's address, seen from the host the module runs on.
    type: str
    default: 127.0.0.1
  port:
    description: The API port.
    type: int
    required: true
  client_id:
    description:
      - The client id of the session. Without it one that no other process of this host uses for a probe.
      - Never V(0), because that id takes over orders that were entered by hand.
    type: int
  timeout:
    description: Seconds for the whole session.
    type: float
    default: 5.0
  engine:
    description:
      - V(socket) speaks the protocol itself and needs no package.
      - V(ib_insync) opens the session through ib_insync, or through ib_async where that is what the host has.
    type: str
    choices: [socket, ib_insync]
    default: socket
notes:
  - A session takes an API slot while it lasts. O(engine=socket) is done in a few milliseconds on a healthy gateway.
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
"""

EXAMPLES = r"""
- name: See how far a session comes
  ib_api_probe:
    port: 4001
  register: session

- name: Open it as a trading script would
  ib_api_probe:
    port: 4002
    engine: ib_insync
    timeout: 10
"""

RETURN = r"""
ok:
  description: Whether the session became ready and no error stands against it.
  type: bool
  returned: success
  sample: true
outcome:
  description: V(ready), V(refused), V(silent), V(dropped), V(stalled) or V(id_in_use).
  type: str
  returned: success
  sample: ready
stage:
  description: The last stage tried, of V(tcp), V(server_version), V(start_api), V(ready) and V(current_time).
  type: str
  returned: success
  sample: current_time
engine: {description: What opened the session., type: str, returned: success, sample: socket}
server_version: {description: The gateway's server version., type: int, returned: success, sample: 176}
accounts:
  description: The accounts of the session, masked.
  type: list
  elements: str
  returned: success
  sample: ['DU*****67']
trading_mode:
  description: What the accounts say. V(null) when they do not.
  type: str
  returned: success
  sample: paper
client_id: {description: The client id used., type: int, returned: success, sample: 900004711}
error:
  description: What went wrong, or V(null).
  type: dict
  returned: success
  contains:
    code: {description: The gateway's error code., type: int, returned: always, sample: 326}
    message: {description: What it says., type: str, returned: always, sample: client id is already in use}
  sample: null
notices:
  description: Codes the gateway sent on its own. Farm notices are left out.
  type: list
  elements: int
  returned: success
  sample: []
timings_ms:
  description: Milliseconds each passed stage took, by stage.
  type: dict
  returned: success
  sample: {tcp: 0.1, server_version: 1.2, start_api: 0.1, ready: 2.3, current_time: 0.4}
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.api import handshake, session
from ansible.module_utils.ib_gateway.module import result
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run

ARGUMENTS = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "required": True},
    "client_id": {"type": "int"},
    "timeout": {"type": "float", "default": 5.0},
    "engine": {"type": "str", "choices": ["socket", "ib_insync"], "default": "socket"},
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Opens the session, and returns what it came to."""
    options = module.params
    engine = session.probe if options["engine"] == "ib_insync" else handshake.probe
    try:
        found = engine(options["host"], options["port"], options["client_id"], options["timeout"])
    except (ValueError, session.SessionUnavailable) as error:
        module.give_up(str(error))
    return result.api(found) or {}


def main() -> None:
    """Runs the module."""
    # A session's library may need as long again to load.
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work, lambda params: 2 * params["timeout"])


if __name__ == "__main__":
    main()
