#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Opens one API session and says how far it came."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_api_probe
short_description: Open one API session with a gateway, stage by stage
version_added: 0.1.0
description:
  - Connects to an API port as a trading script does, notes how far the session comes, and closes it cleanly.
  - Returns at the first certainty, such as a closed connection or error 326, instead of waiting for the timeout.
  - Sends no order. Asks for the current time, and with O(depth=full) for what C(IB.connect) reads.
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
      - The client id of the session. Without it the first free one of 900000001 to 900000008.
      - Never V(0), because that id takes over orders that were entered by hand.
    type: int
  timeout:
    description: Seconds for the whole session.
    type: float
    default: 5.0
  depth:
    description:
      - V(quick) ends the session once the gateway has told the time. Where it does not tell it, the requests of
        V(full) show whether it answers at all.
      - V(full) also asks for positions, open orders, completed orders, the values of one account and executions, as
        C(IB.connect) does before a script goes on. The subscriptions among them are cancelled again.
    type: str
    choices: [quick, full]
    default: quick
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

- name: Open it as a trading script would, and read what IB.connect reads
  ib_api_probe:
    port: 4002
    engine: ib_insync
    depth: full
    timeout: 10

- name: Use a client id of your own
  ib_api_probe:
    port: 4001
    client_id: 4711
"""

RETURN = r"""
ok:
  description: Whether the session became ready and no error stands against it.
  type: bool
  returned: success
  sample: true
outcome:
  description:
    - V(ready), V(refused), V(silent), V(dropped), V(stalled), V(id_in_use), or one of these.
    - V(incomplete) when nextValidId or managedAccounts came and the other one did not.
    - V(unanswered) when the session opened in full and no request was answered.
    - V(unsupported) when the server speaks no version of the protocol that was offered.
  type: str
  returned: success
  sample: ready
stage:
  description: The last stage tried, of V(tcp), V(server_version), V(start_api), V(ready), V(current_time) and V(sync).
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
client_id: {description: The client id used., type: int, returned: success, sample: 900000001}
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
  sample: {tcp: 0.1, server_version: 1.2, start_api: 0.1, ready: 2.3, current_time: 0.4, sync: 38.5}
sync:
  description:
    - Milliseconds until each request of the stage V(sync) was answered in full. V(null) where it was not.
    - Empty where none was made.
  type: dict
  returned: success
  sample: {positions: 9.1, open_orders: 9.2, completed_orders: 30.2, account_updates: 12.9, executions: 38.5}
farms:
  description: The broker's data farms that the gateway called broken, and not back since.
  type: list
  elements: dict
  returned: success
  contains:
    serves:
      description: V(market data), V(historical data) or V(contract data).
      type: str
      returned: always
      sample: market data
    name: {description: The farm's name. Empty where none is told., type: str, returned: always, sample: usfarm}
    code: {description: The notice's code., type: int, returned: always, sample: 2103}
  sample: []
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.api import handshake, session
from ansible.module_utils.ib_gateway.module import api_result
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run

ARGUMENTS = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "required": True},
    "client_id": {"type": "int"},
    "timeout": {"type": "float", "default": 5.0},
    "depth": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "engine": {"type": "str", "choices": ["socket", "ib_insync"], "default": "socket"},
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Opens the session, and returns what it came to."""
    options = module.params
    engine = session.probe if options["engine"] == "ib_insync" else handshake.probe
    try:
        found = engine(
            options["host"], options["port"], options["client_id"], options["timeout"], depth=options["depth"]
        )
    except (ValueError, session.SessionUnavailable) as error:
        module.give_up(str(error))
    return api_result.api(found)


def main() -> None:
    """Runs the module."""
    # A session's library may need as long again to load.
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work, lambda params: 2 * params["timeout"])


if __name__ == "__main__":
    main()
