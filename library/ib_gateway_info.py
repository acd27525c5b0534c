#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lists the gateway processes of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_info
short_description: List Interactive Brokers Gateway and TWS processes
version_added: 0.1.0
description:
  - Finds every running IB Gateway and Trader Workstation process and says whose it is and what it listens on.
  - A process counts when its program is a java and one of the known main classes is an argument of its own. Log
    viewers, editors and other Java programs do not count.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.gateways]
options:
  gateways:
    description:
      - Limits the list to processes that belong to these entries.
      - Every gateway process of the host when left out.
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
"""

EXAMPLES = r"""
- name: List every gateway of the host
  ib_gateway_info:
  register: found

- name: List the processes of one declared gateway
  ib_gateway_info:
    gateways:
      - name: live
        trading_mode: live
        config_dir: /srv/ibgateway/live
"""

RETURN = r"""
gateways:
  description: The gateway processes, by pid.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: always, sample: 4711}
    started_ticks:
      description: Start in clock ticks after boot. Identifies the process together with RV(gateways[].boot_id).
      type: int
      returned: always
      sample: 8812345
    boot_id:
      description: The kernel's name for this boot.
      type: str
      returned: always
      sample: 1b4e28ba-2fa1-11d2-883f-0016d3cca427
    started_at: {description: Start in UTC., type: str, returned: always, sample: '2025-04-25T05:00:12Z'}
    age: {description: Seconds since its start., type: float, returned: always, sample: 86400.5}
    user: {description: The account that runs it., type: str, returned: always, sample: trader}
    argv:
      description: The command line with passwords hidden and account numbers masked.
      type: list
      elements: str
      returned: always
      sample: [/opt/jre/bin/java, ibcalpha.ibc.IbcGateway, /opt/ibc/config.ini, '***', '***', live]
    product: {description: V(gateway) or V(tws)., type: str, returned: always, sample: gateway}
    launcher: {description: 'V(ibc), V(native) or V(ibcontroller).', type: str, returned: always, sample: ibc}
    main_class: {description: The main class in argv., type: str, returned: always, sample: ibcalpha.ibc.IbcGateway}
    config_dir:
      description: The settings directory, else the working directory. V(null) when neither can be read.
      type: str
      returned: always
      sample: /srv/ibgateway/live
    trading_mode:
      description: V(live) or V(paper) where the command line says it, else V(null).
      type: str
      returned: always
      sample: live
    unit: {description: The systemd unit it belongs to., type: str, returned: always, sample: ibgateway.service}
    listening:
      description: The ports it listens on. V(null) when its sockets may not be read.
      type: list
      elements: int
      returned: always
      sample: [4001]
visibility:
  description: What the look could see.
  returned: success
  type: dict
  contains:
    complete: {description: Whether nothing was hidden., type: bool, returned: always, sample: true}
    looked_as: {description: The account that looked., type: str, returned: always, sample: root}
    privileged: {description: Whether that account sees everything., type: bool, returned: always, sample: true}
    missing:
      description: What could not be seen, in words.
      type: list
      elements: str
      returned: always
      sample: []
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.module import result
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.observe.snapshot import look

ARGUMENTS = {"gateways": dict(GATEWAYS_OPTION, required=False)}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Looks, and returns the gateways."""
    specs = module.specs() if module.params["gateways"] is not None else None
    snapshot = look([spec.port for spec in specs or ()])
    found = result.all_gateways(snapshot)
    if specs is not None:
        wanted = {process.pid for entry in entries_of(specs, snapshot)[0] for process in entry.processes}
        found = [each for each in found if each["pid"] in wanted]
    blind = ["the sockets of pid %d" % each["pid"] for each in found if each["listening"] is None]
    sight = result.visibility(snapshot.visibility, ())
    sight.update(missing=sight["missing"] + blind, complete=sight["complete"] and not blind)
    return {"gateways": found, "visibility": sight}


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
