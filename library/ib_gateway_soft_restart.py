#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Restarts gateways by IBC's command server, with their login kept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_soft_restart
short_description: Restart exactly the gateways a plan names by IBC's command server, with their login kept
version_added: 0.3.0
description:
  - Sends C(RESTART) to the command server of IBC, which ends the gateway at the next full minute and starts it again
    without a second factor. Returns when the next gateway process is there, or its time is up.
  - The command goes only to the process that the plan named. Right before, it is proven that this process alone
    listens on that port, and that IBC's own start script still carries it.
  - A restart that IBC refuses, or that does not come, is a failed step and no failure of this module. The next look
    decides what is done then.
  - IBC's command server is never switched on.
  - Each gateway is dealt with on its own, one after the other.
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
    description:
      - The C(soft_restart) steps of a plan from M(ib_gateway_health).
      - C(timeout) of a target is how many seconds the next process may take after IBC's answer.
    required: true
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
  - module: ib_gateway_restart
"""

EXAMPLES = r"""
- name: Restart the gateways that the plan names, with their login kept
  ib_gateway_soft_restart:
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
    action: {description: The action., type: str, returned: always, sample: soft_restart}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {port: 4001, process: {pid: 4711}, command_server: {port: 7462, address: 127.0.0.1}}
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
      sample: pid 4822 came with the login kept
    admitted:
      description: Whether O(authorization) allowed it. Always true without one.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: []}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: 4711}
    pid: {description: The pid of the process that came., type: int, returned: always, sample: 4822}
withheld:
  description: What the authorization did not allow. Nothing was sent for these gateways.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was not done., type: str, returned: always, sample: soft_restart}
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

from typing import Any, Dict

from ansible.module_utils.ib_gateway.act import action_session, soft_restart
from ansible.module_utils.ib_gateway.act.action_session import ActionSession, Announce
from ansible.module_utils.ib_gateway.act.held_process import Refused
from ansible.module_utils.ib_gateway.base.actions import SOFT_RESTART
from ansible.module_utils.ib_gateway.base.command_server import ANSWERS_WITHIN, RESTARTS_WITHIN
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
    "authorization": AUTHORIZATION_OPTION,
    "then_look": then_look.OPTION,
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Restarts the gateways one after the other, and returns what became of each."""
    then_look.check(module)
    with ActionSession(module) as session:
        steps = action_session.steps_of_entries(module, session, steps_of(module, SOFT_RESTART))
        for step in session.admit(steps):
            if session.still(step, session.look()[step.gateway]):
                _restart(module, session, step)
        came = [each for each in session.outcomes if each.ended]
        done = [each.gateway for each in session.outcomes if each.result == DONE]
        result = session.returned(bool(came) or None)
    return {**result, **then_look.after_acts(module, session.specs, bool(came), done)}


def _restart(module: GatewayModule, session: ActionSession, step: Step) -> None:
    def do(announce: Announce) -> Outcome:
        def announced() -> None:
            announce(action_session.summary_of_process(step.target["process"]))
            _keep_environment(module, session, step)

        came = soft_restart.soft_restart(
            step.target, lambda: session.look()[step.gateway], module.check_mode, announced
        )
        return outcome_of(step, came.result, came.reason, ended=came.ended, pid=came.pid)

    session.take(step, do)


def _keep_environment(module: GatewayModule, session: ActionSession, step: Step) -> None:
    """Where nothing comes in its place, a start has to give the next one what this one ran with. Raises Refused."""
    # Many a call does not come this far.
    from ansible.module_utils.ib_gateway.lifecycle import environment, lifecycles

    spec = next(each for each in session.specs if each.name == step.gateway)
    way = lifecycles.lifecycle(module.with_command(spec)) if spec.startable else None
    try:
        environment.keep_for(spec.name, step.target["process"]["pid"], way.only_in if way else None)
    except environment.NotKept as failure:
        raise Refused(str(failure)) from None


def _waits(params: Dict[str, Any]) -> float:
    """Seconds in which IBC answers, and those that the next processes may take."""
    named = [(each.get("target") or {}).get("timeout") for each in params["steps"]]
    return sum(2 * ANSWERS_WITHIN + (each if isinstance(each, int) else RESTARTS_WITHIN) for each in named)


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, then_look.waits(_waits, starts=True))


if __name__ == "__main__":
    main()
