#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lets gateways go on that a signal has stopped."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_resume
short_description: Let exactly the gateways a plan names go on after a signal has stopped them
version_added: 0.3.0
description:
  - Sends SIGCONT through a pidfd to exactly the process that the plan named. Right before, it is proven that it is that
    process, that a signal keeps it stopped, and that nobody else does.
  - A process that is traced, that is a stopped job of a terminal, whose control group is frozen, or for which a signal
    waits that would end it, is refused.
  - Nothing is ended, and the login stays.
  - With an O(authorization) nothing is done that it does not allow, and each step is recorded on the host before it is
    done.
extends_documentation_fragment:
  - ib_gateway.attributes
  - ib_gateway.gateways
  - ib_gateway.authorization
  - ib_gateway.then_look
  - ib_gateway.steps
options:
  gateways:
    required: true
  steps:
    description: The C(resume) steps of a plan from M(ib_gateway_health).
    required: true
  settle:
    description: Seconds to let pass before the look at what came of it (O(then_look)).
    type: float
    default: 5.0
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
  - module: ib_gateway_restart
"""

EXAMPLES = r"""
- name: Let the gateways go on that the plan names
  ib_gateway_resume:
    steps: "{{ steps }}"
    gateways: "{{ ib_gateways }}"
    authorization: "{{ authorization }}"
"""

RETURN = r"""
outcomes:
  description: What became of each step, in one shape for every action.
  returned: success
  type: list
  elements: dict
  contains:
    action: {description: The action., type: str, returned: always, sample: resume}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {pid: 4711, user: trader, command: [java, ibcalpha.ibc.IbcGateway]}
    result:
      description:
        - V(done); V(would) in check mode; V(already) when it was so before; V(refused) when it was not begun.
        - V(failed); V(unknown) when it was begun and nobody knows how it ended.
      type: str
      returned: always
      sample: done
    reason:
      description: What happened or why not.
      type: str
      returned: always
      sample: it goes on after SIGCONT
    admitted:
      description: Whether O(authorization) allowed it. Always true without one.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: [SIGCONT]}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: null}
    pid: {description: The pid of the process that came., type: int, returned: always, sample: null}
withheld:
  description: What the authorization did not allow. Nothing was sent for these gateways.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was not done., type: str, returned: always, sample: resume}
    reason: {description: Why not., type: str, returned: always, sample: the host has changed since the plan was made}
health:
  description:
    - The look at the host when all was done, as M(ib_gateway_health) returns it, with the socket engine.
    - V(null) when it could not be taken.
  returned: with O(then_look)
  type: dict
  sample: {status: healthy, taken_at: '2025-04-25T05:00:12Z'}
waited:
  description: The entries that were waited for before that look, as M(ib_gateway_wait) returns them.
  returned: with O(then_look)
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: live}
    answer: {description: V(listening) or V(not_listening) or V(ended)., type: str, returned: always, sample: listening}
"""

import time
from typing import Any, Dict

from ansible.module_utils.ib_gateway.act import action_session
from ansible.module_utils.ib_gateway.act.action_session import ActionSession, Announce
from ansible.module_utils.ib_gateway.act.resume_process import GOES_ON_WITHIN, resume
from ansible.module_utils.ib_gateway.base.actions import RESUME
from ansible.module_utils.ib_gateway.base.outcome import DONE, Outcome
from ansible.module_utils.ib_gateway.base.plan import Step
from ansible.module_utils.ib_gateway.base.steps import STEPS_OPTION
from ansible.module_utils.ib_gateway.module import then_look
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.module.steps import outcome_of, steps_of
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS: Dict[str, Any] = {
    "gateways": GATEWAYS_OPTION,
    "steps": dict(STEPS_OPTION, required=True),
    "settle": {"type": "float", "default": 5.0},
    "authorization": AUTHORIZATION_OPTION,
    "then_look": then_look.OPTION,
}
_LONGEST_SETTLE = 600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Lets the gateways go on one after the other, and returns what became of each."""
    settle = module.number("settle", 0, _LONGEST_SETTLE)
    then_look.check(module)
    with ActionSession(module) as session:
        steps = action_session.steps_of_entries(module, session, steps_of(module, RESUME))
        for step in session.admit(steps):
            if session.still(step, session.look()[step.gateway]):
                _resume(module, session, step)
        sent = any(each.result == DONE for each in session.outcomes)
        result = session.returned()
    if sent and module.params["then_look"] is not None:
        time.sleep(settle)
    return {**result, **then_look.after_acts(module, session.specs, sent)}


def _resume(module: GatewayModule, session: ActionSession, step: Step) -> None:
    def do(announce: Announce) -> Outcome:
        def announced() -> None:
            announce(action_session.summary_of_process(step.target))

        came = resume(step.target, module.check_mode, announced)
        return outcome_of(step, came.result, came.reason, signals=("SIGCONT",) if came.sent else ())

    session.take(step, do)


def _waits(params: Dict[str, Any]) -> float:
    """Seconds in which the processes go on, and those before the look."""
    return float(GOES_ON_WITHIN * len(params["steps"]) + abs(params["settle"]))


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, then_look.waits(_waits))


if __name__ == "__main__":
    main()
