#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Finds the gateways of a host that no inventory declares, and judges them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_desk_info
short_description: Find the gateways of a host, judge them, and propose inventory entries
version_added: 0.2.0
description:
  - Finds gateways, TWS, their start scripts and systemd units, the scripts that use the API, and who listens on API
    ports. Nothing has to be declared.
  - Proposes an entry for each gateway that no entry of O(gateways) has, and judges all of them as M(ib_gateway_health)
    does.
  - Changes nothing and signals nothing.
  - What cannot be seen makes a gateway V(unknown), never healthy and never broken.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.gateways]
options:
  gateways:
    description:
      - Entries that the host has already.
      - None when left out.
  ports:
    description: API ports to look at beside the usual ones, and beside those on which gateways listen.
    type: list
    elements: int
    default: []
  start_timeout:
    description: Seconds a start may take until the port listens. The proposed entries get it.
    type: int
    default: 300
  probe:
    description:
      - V(auto) opens a session only when the socket table shows the API slot free. A full slot is judged by it.
      - V(always) opens one whenever a gateway listens. V(never) opens none.
    type: str
    choices: [auto, always, never]
    default: auto
  probe_timeout:
    description: Seconds for each session.
    type: float
    default: 5.0
  probe_patience:
    description: As M(ib_gateway_health) has it.
    type: float
    default: 0.0
  reset_window:
    description: The broker's reset window that this moment lies in, in words. Empty outside of any.
    type: str
    default: ''
  login_reset:
    description: When the broker has last ended all logins, in seconds since the epoch. V(0) where nobody knows.
    type: float
    default: 0.0
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
  - module: ib_gateway_info
"""

EXAMPLES = r"""
- name: Find and judge whatever runs here
  ib_desk_info:
  register: desk

- name: Show the entries that would describe it
  ansible.builtin.debug:
    msg: "{{ desk.proposals | map(attribute='entry') }}"

- name: Look at a port of our own as well, and open no session
  ib_desk_info:
    ports: [4003]
    probe: never
"""

RETURN = r"""
health:
  description: >-
    The judgement of the declared and the proposed entries, with the keys that M(ib_gateway_health) returns for a look.
  returned: success
  type: dict
  sample: {status: healthy, gateways: []}
proposals:
  description: The entries that would describe what no entry of O(gateways) has.
  returned: success
  type: list
  elements: dict
  contains:
    entry:
      description: The entry as an element of C(ib_gateways). It says C(remediation=plan_only).
      type: dict
      returned: always
      sample: {name: live, trading_mode: live, port: 4001, user: trader, remediation: plan_only}
    pids: {description: Its gateway processes., type: list, elements: int, returned: always, sample: [4711]}
    notes:
      description: What nothing on the host tells, or how far a value is known, by the key it is about.
      type: list
      elements: dict
      returned: always
      sample: [{key: start_command, text: 'not known; what starts it, for example'}]
    guessed:
      description: Keys whose value nothing on the host proves.
      type: list
      elements: str
      returned: always
      sample: [port]
left:
  description: Gateways for which no entry is proposed, each as RV(ib_gateway_info#module:gateways) with C(why).
  returned: success
  type: list
  elements: dict
  sample: []
differing:
  description: Gateways that one of O(gateways) would mean, but for the keys that are named.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    pid: {description: The gateway's process., type: int, returned: always, sample: 4711}
    keys:
      description: What the process has and what the entry says.
      type: list
      elements: dict
      returned: always
      sample: [{key: user, has: trader, says: trade}]
starters:
  description: Scripts, loops and supervisors that bring a gateway, or bring it back.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: always, sample: 700}
    user: {description: The account that runs it., type: str, returned: always, sample: trader}
    name: {description: What it is., type: str, returned: always, sample: ibcstart.sh}
    age: {description: Seconds since its start., type: float, returned: always, sample: 86400.5}
    supervises: {description: Whether it may keep other programs., type: bool, returned: always, sample: false}
    gateways:
      description: Pids of the gateways below it.
      type: list
      elements: int
      returned: always
      sample: [4711]
    unit: {description: The systemd unit it belongs to., type: str, returned: always, sample: ibgateway.service}
units:
  description: Systemd units whose file starts a gateway, or may.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The unit's name., type: str, returned: always, sample: ibgateway.service}
    scope: {description: V(system) or V(user)., type: str, returned: always, sample: system}
    account: {description: The account of its gateway., type: str, returned: always, sample: trader}
    product: {description: 'V(gateway), V(tws), or V(null).', type: str, returned: always, sample: gateway}
    trading_mode: {description: 'V(live), V(paper), or V(null).', type: str, returned: always, sample: live}
    config_dir: {description: 'The settings folder, or V(null).', type: str, returned: always, sample: /srv/jts}
    wanted: {description: Whether systemd starts it at boot., type: bool, returned: always, sample: true}
    state: {description: What systemd says of it. Empty where not asked., type: str, returned: always, sample: active}
    doubt:
      description: Why it is not known whether it starts a gateway. Empty where it does.
      type: str
      returned: always
      sample: ''
scripts:
  description: Running scripts that use the API and hold no connection to one of the gateways.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: always, sample: 815}
    user: {description: The account that runs it., type: str, returned: always, sample: trader}
    command:
      description: Its command line with passwords hidden and account numbers masked.
      type: list
      elements: str
      returned: always
      sample: [python3, bot.py]
    age: {description: Seconds since its start., type: float, returned: always, sample: 3600.5}
    library: {description: The API library that it imports., type: str, returned: always, sample: ib_insync}
    ports:
      description: API ports that its command line names, else its text.
      type: list
      elements: int
      returned: always
      sample: [4002]
listeners:
  description: >-
    Who listens on an API port that no entry has and is no gateway, as RV(ib_listener_info#module:listeners).
  returned: success
  type: list
  elements: dict
  sample: []
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.base.keys import KEYS
from ansible.module_utils.ib_gateway.lifecycle import places
from ansible.module_utils.ib_gateway.module import assess
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.module.survey import survey

_TOLD = ("probe", "probe_timeout", "probe_patience", "reset_window", "login_reset")
ARGUMENTS = {
    "gateways": dict(GATEWAYS_OPTION, required=False),
    "ports": {"type": "list", "elements": "int", "default": []},
    "start_timeout": {"type": "int", "default": KEYS["start_timeout"]["default"]},
    **{name: assess.OPTIONS[name] for name in _TOLD},
}
#: Gateways that one host may run, each of which may get a session.
_MOST_SESSIONS = 20


def work(module: GatewayModule) -> Dict[str, Any]:
    """Finds, judges, and returns both."""
    options = {name: each.get("default") for name, each in assess.OPTIONS.items()}
    options.update({name: module.params[name] for name in _TOLD})
    assess.check(module, options)
    start_timeout = module.number("start_timeout", *KEYS["start_timeout"]["bounds"])
    places.use("")
    declared = [module.with_command(spec) for spec in module.specs()] if module.params["gateways"] else []
    return survey(declared, options, start_timeout, module.ports("ports"))


def _waits(params: Dict[str, Any]) -> float:
    return max(abs(float(params[name])) for name in ("probe_timeout", "probe_patience")) * _MOST_SESSIONS


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work, _waits)


if __name__ == "__main__":
    main()
