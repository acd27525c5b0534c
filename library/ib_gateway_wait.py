#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Waits until gateways listen."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_wait
short_description: Wait until gateways listen or the broker's link may be back, without connecting to them
version_added: 0.1.0
description:
  - Reads the socket table until a gateway of each entry owns its port, or the time is up.
  - Never connects, because every connection would take an API slot of the gateway that is just coming up.
  - A gateway that does not come up is no failure of this module. The next look judges it.
  - For the broker's link it lets some seconds pass (O(upstream_wait)), since the link comes back by itself.
extends_documentation_fragment:
  - ib_gateway.attributes
  - ib_gateway.gateways
  - ib_gateway.then_look
  - ib_gateway.steps
options:
  gateways:
    required: true
  only:
    description:
      - The names of the entries to wait for, without the steps that name them. Give these or O(steps).
      - The others are only known so that processes are told apart.
    type: list
    elements: str
  timeout:
    description:
      - Seconds to wait for all that shall listen. Without it the longest that a step of O(steps) names, and else each
        entry's own O(gateways[].start_timeout). A gateway that comes meanwhile then gets that from when it came.
    type: float
  upstream_wait:
    description: Seconds to wait when a step waits for the broker's link.
    type: float
    default: 30.0
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
outcomes:
  description: What became of each step, in one shape for every action.
  returned: success
  type: list
  elements: dict
  contains:
    action: {description: The action., type: str, returned: always, sample: wait}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {for: listener, port: 4001}
    result:
      description:
        - V(done); V(would) in check mode; V(already) when it was so before; V(refused) when it was not begun.
        - V(failed); V(unknown) when it was begun and nobody knows how it ended.
      type: str
      returned: always
      sample: done
    reason: {description: What happened or why not., type: str, returned: always, sample: port 4001 listens}
    admitted:
      description: Always true, since nothing is touched.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: []}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: null}
    pid: {description: The pid of the process that was started., type: int, returned: always, sample: null}
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
health:
  description:
    - The look at the host when the wait was over, as M(ib_gateway_health) returns it, with the socket engine.
    - V(null) when it could not be taken.
  returned: with O(then_look)
  type: dict
  sample: {status: healthy, taken_at: '2025-04-25T05:00:12Z'}
"""

import time
from typing import Any, Dict, List, Optional

from ansible.module_utils.ib_gateway.base.actions import IN_VAIN, WAIT
from ansible.module_utils.ib_gateway.base.outcome import ALREADY, DONE, FAILED, WOULD, Outcome
from ansible.module_utils.ib_gateway.base.plan import Step
from ansible.module_utils.ib_gateway.base.steps import STEPS_OPTION
from ansible.module_utils.ib_gateway.module import then_look
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.module.steps import outcome_of, steps_of
from ansible.module_utils.ib_gateway.module.waiting import await_listener

ARGUMENTS: Dict[str, Any] = {
    "gateways": GATEWAYS_OPTION,
    "steps": STEPS_OPTION,
    "only": {"type": "list", "elements": "str"},
    "timeout": {"type": "float"},
    "upstream_wait": {"type": "float", "default": 30.0},
    "then_look": then_look.OPTION,
}
_LONGEST_WAIT = 3600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Waits, and returns how it went; in check mode it only looks who listens already."""
    began = time.monotonic()
    then_look.check(module)
    specs = module.specs()
    steps = _steps(module)
    for step in steps:
        if step.gateway not in [spec.name for spec in specs]:
            option = "steps" if module.params["steps"] else "only"
            module.give_up("the option %s names %r, and no entry of gateways has that name" % (option, step.gateway))
    listening = list(dict.fromkeys(step.gateway for step in steps if step.target["for"] != "upstream"))
    timeout = 0.0 if module.check_mode else _timeout(module.params)
    until_up = module.params["timeout"] is None and not module.check_mode
    answers = await_listener(specs, listening, timeout, until_up) if listening else {}
    if not module.check_mode and any(step.target["for"] == "upstream" for step in steps):
        time.sleep(module.seconds("upstream_wait", _LONGEST_WAIT))
    found: Dict[str, Any] = {
        "gateways": [{"name": name, "answer": answer} for name, answer in answers.items()],
        "outcomes": [_outcome(module, step, answers.get(step.gateway, "")).as_dict() for step in steps],
        "waited": round(time.monotonic() - began, 1),
    }
    after = then_look.after_acts(module, specs, False)
    return {**found, **({"health": after["health"]} if after else {})}


def _steps(module: GatewayModule) -> List[Step]:
    named = [Step(WAIT, name, {"for": "listener"}, "", "") for name in module.params["only"] or ()]
    return steps_of(module, WAIT) + named


def _outcome(module: GatewayModule, step: Step, answer: str) -> Outcome:
    if step.target["for"] == "upstream":
        reason = "it comes back by itself"
        return outcome_of(step, WOULD if module.check_mode else DONE, reason)
    if answer == "listening":
        return outcome_of(step, ALREADY if module.check_mode else DONE, "it listens")
    if module.check_mode:
        return outcome_of(step, WOULD, "it does not listen yet")
    if answer == "ended":
        return outcome_of(step, FAILED, "its gateway has ended")
    return outcome_of(step, DONE, IN_VAIN)


def _timeout(params: Dict[str, Any]) -> Optional[float]:
    """Seconds for all that shall listen; None for each entry's own start_timeout."""
    if params["timeout"] is not None:
        return float(params["timeout"])
    named = [each["target"].get("timeout") for each in params["steps"] or ()]
    seconds = [float(each) for each in named if isinstance(each, (int, float)) and not isinstance(each, bool)]
    return max(seconds, default=None)


def _waits(params: Dict[str, Any]) -> float:
    """Seconds that the gateways may take."""
    slowest = float(max((abs(int(each.get("start_timeout") or 0)) for each in params["gateways"]), default=0))
    timeout = _timeout(params)
    seconds = slowest if timeout is None else abs(timeout)
    if params["timeout"] is None:
        seconds += slowest  # of a gateway that comes meanwhile
    return seconds + abs(float(params["upstream_wait"]))


def main() -> None:
    """Runs the module."""
    module = GatewayModule(
        argument_spec=ARGUMENTS,
        required_one_of=[["steps", "only"]],
        mutually_exclusive=[["steps", "only"]],
        supports_check_mode=True,
    )
    run(module, work, then_look.waits(_waits))


if __name__ == "__main__":
    main()
