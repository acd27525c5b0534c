#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Restarts exactly the gateways a plan names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_restart
short_description: Restart exactly the gateways a plan names
version_added: 0.2.0
description:
  - A gateway that its entry's unit carries is restarted by that unit. Right before, its process is compared with the
    one that the plan named, unit included. Where systemd would kill it (TimeoutStopSec=) and its target does not
    allow that, it is asked to end by SIGTERM first, and the unit is told only when it has ended in O(grace_period).
  - Any other gateway is ended as M(ib_process_stop) ends one, and started by its entry's unit or start_command.
  - A process that has ended since the plan was made is started anew, unless another gateway of the entry runs by then.
    While a gateway of the entry runs that the plan did not name, nothing is started or restarted.
  - Each gateway is dealt with on its own. What fails for one does not keep the others from being restarted; the module
    fails when something failed and no gateway was restarted.
  - Does not wait for the port, unless it is to look afterwards (O(then_look)). M(ib_gateway_wait) does.
  - With an O(authorization) nothing is done that it does not allow, and each step is recorded on the host before it is
    done.
extends_documentation_fragment:
  - ib_gateway.attributes
  - ib_gateway.gateways
  - ib_gateway.authorization
  - ib_gateway.then_look
  - ib_gateway.steps
attributes:
  diff_mode:
    support: full
options:
  gateways:
    required: true
  steps:
    description:
      - The C(restart) steps of a plan from M(ib_gateway_health).
      - The target says how. With C(by) V(unit) the entry's unit restarts it. With C(by) V(identity) the C(process) of
        the target is ended, and the entry started anew. Without a C(process) only a unit that is up without a
        gateway is restarted.
    required: true
    aliases: [restarts]
  grace_period:
    description: Seconds in which a process may end after SIGTERM, and before that after IBC's command C(STOP).
    type: float
    default: 10.0
  timeout:
    description: Seconds for systemd to restart or start a unit.
    type: float
    default: 180.0
  assume_stopped:
    description:
      - Pids of gateways to be taken as ended.
      - For check mode, in which the steps before this one have not really stopped them.
    type: list
    elements: int
    default: []
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
  - module: ib_gateway_wait
"""

EXAMPLES = r"""
- name: Restart the gateways that the plan names
  ib_gateway_restart:
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
    action: {description: The action., type: str, returned: always, sample: restart}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {by: unit, service: ibgateway}
    result:
      description:
        - V(done); V(would) in check mode; V(already) when it was so before; V(refused) when it was not begun.
        - V(failed); V(unknown) when it was begun and nobody knows how it ended.
      type: str
      returned: always
      sample: done
    reason: {description: What happened or why not., type: str, returned: always, sample: restarted by its unit}
    admitted:
      description: Whether O(authorization) allowed it. Always true without one.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: []}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: 4711}
    pid: {description: The pid of the process that was started., type: int, returned: always, sample: null}
restarted:
  description: Of the outcomes what was restarted, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains: &outcome
    name: {description: The entry's name., type: str, returned: always, sample: live}
    ended:
      description: The pid of the process that was ended. V(null) for none, and in check mode.
      type: int
      returned: always
      sample: 4711
    pid:
      description: The pid of the start_command. V(null) for a unit, for none, and in check mode.
      type: int
      returned: always
      sample: 5012
    unit:
      description: The unit that restarted or started it. V(null) for a start_command.
      type: str
      returned: always
      sample: ibgateway.service
    reason:
      description: What happened or why not.
      type: str
      returned: always
      sample: restarted by its unit
    log:
      description: The file with the output of the start_command, or the command that shows that of the unit.
      type: str
      returned: always
      sample: /var/log/ib-gateway-repair/live.log
    by_hand:
      description: The command with which a person starts it. Words that may be secrets are left out.
      type: str
      returned: always
      sample: systemctl start ibgateway.service
refused:
  description: What goes on as it was, each with the reason.
  returned: success
  type: list
  elements: dict
  contains: *outcome
not_restarted:
  description: What failed, each with the reason. Its process may have ended; RV(not_restarted[].ended) tells.
  returned: success
  type: list
  elements: dict
  contains: *outcome
withheld:
  description: What the authorization did not allow. These gateways were not touched.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was not done., type: str, returned: always, sample: restart}
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

from dataclasses import replace
from typing import Any, Dict, List

from ansible.module_utils.ib_gateway.act import action_session, restart_gateway
from ansible.module_utils.ib_gateway.act.action_session import ActionSession, Announce
from ansible.module_utils.ib_gateway.base.actions import RESTART
from ansible.module_utils.ib_gateway.base.command_server import ANSWERS_WITHIN
from ansible.module_utils.ib_gateway.base.outcome import ALREADY, DONE, FAILED, REFUSED, UNSURE, WOULD, Outcome
from ansible.module_utils.ib_gateway.base.plan import Step
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.base.steps import STEPS_OPTION
from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle
from ansible.module_utils.ib_gateway.module import then_look
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.module.steps import of_entry, outcome_of, steps_of
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS: Dict[str, Any] = {
    "gateways": GATEWAYS_OPTION,
    "steps": dict(STEPS_OPTION, required=True, aliases=["restarts"]),
    "grace_period": {"type": "float", "default": 10.0},
    "timeout": {"type": "float", "default": 180.0},
    "assume_stopped": {"type": "list", "elements": "int", "default": []},
    "authorization": AUTHORIZATION_OPTION,
    "then_look": then_look.OPTION,
}
_LONGEST_GRACE = 600.0
_LONGEST_TIMEOUT = 3600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Restarts the gateways one after the other, and returns what became of each."""
    options = module.params
    then_look.check(module)
    way = restart_gateway.Way(
        module.seconds("grace_period", _LONGEST_GRACE),
        module.seconds("timeout", _LONGEST_TIMEOUT),
        module.check_mode,
        options["assume_stopped"],
    )
    rows: Dict[str, List[Dict[str, Any]]] = {name: [] for name in restart_gateway.RESULTS}
    acted = False
    with ActionSession(module) as session:
        way = replace(way, guarded=session.guarded, seen=session.processes, staying=session.staying)
        steps = steps_of(module, RESTART)
        specs = _specs(module, session, steps)
        done: Dict[Any, str] = {}
        for step in session.admit(steps):
            carrier = specs[step.gateway].container
            if carrier is not None and carrier in done:
                session.add(step, ALREADY, "restarted together with %s, in the same container" % done[carrier])
            elif session.still(step, session.look()[step.gateway]):
                found = _restart(session, step, specs[step.gateway], way)
                rows[found.result].append(_row(specs[step.gateway], found))
                if carrier is not None and found.acted:
                    done[carrier] = step.gateway
                acted = acted or found.acted
        result = {**session.returned(acted), **rows}
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(map(_line, rows[restart_gateway.RESTARTED]))}
    _tell_failures(module, result)
    names = [row["name"] for row in rows[restart_gateway.RESTARTED]]
    ended = [row["name"] for row in rows[restart_gateway.NOT_RESTARTED] if row["ended"]]
    return {**result, **then_look.after_acts(module, session.specs, acted, names, ended)}


def _specs(module: GatewayModule, session: ActionSession, steps: List[Step]) -> Dict[str, GatewaySpec]:
    """The entries with the words of their start_commands; ends the module when a step cannot be taken with them."""
    specs = {spec.name: module.with_command(spec) for spec in session.specs}
    for step in steps:
        spec, target = specs.get(step.gateway), step.target
        if spec is None:
            module.give_up("the option steps names %r, and no entry of gateways has that name" % step.gateway)
        if target["by"] not in ("unit", "container", "identity"):
            module.give_up(
                "the option steps has %s restarted by %r; known are unit, container and identity"
                % (spec.name, target["by"])
            )
        if not spec.startable:
            module.give_up("entry %s cannot be started: %s" % (spec.name, spec.why_not_startable))
        if target["by"] == "unit" and not spec.service:
            module.give_up("the option steps has %s restarted by its unit, and its entry has no service" % spec.name)
        if target["by"] == "container" and not spec.container:
            module.give_up("the option steps has %s restarted by its container, and its entry has none" % spec.name)
        if target["by"] == "identity" and not target.get("process"):
            module.give_up("the option steps names no process of %s to be ended" % spec.name)
    return specs


def _restart(
    session: ActionSession, step: Step, spec: GatewaySpec, way: restart_gateway.Way
) -> restart_gateway.Outcome:
    """Restarts one; it is recorded before, and when it is done."""
    order = restart_gateway.Order.named(step.target)
    came: List[restart_gateway.Outcome] = []

    def do(announce: Announce) -> Outcome:
        def announced() -> None:
            process = step.target.get("process") or {}
            summary = action_session.summary_of(order.process, process.get("command") or ()) if order.process else {}
            announce(dict(summary, unit=spec.any_unit))

        came.append(restart_gateway.restart(order, spec, lambda: session.look()[spec.name], way, announced))
        found = came[0]
        more = {"unit": spec.any_unit, "ended": found.ended, "pid": found.pid}
        return outcome_of(of_entry(step, spec), _result(found, way.dry_run), found.reason, **more)

    session.take(step, do)
    return came[0]


def _result(found: restart_gateway.Outcome, dry_run: bool) -> str:
    if found.pending:
        return UNSURE
    if found.result == restart_gateway.RESTARTED:
        return WOULD if dry_run else DONE
    return REFUSED if found.result == restart_gateway.REFUSED and not found.asked else FAILED


def _row(spec: GatewaySpec, outcome: restart_gateway.Outcome) -> Dict[str, Any]:
    way = lifecycle(spec)
    return {
        "name": spec.name,
        "ended": outcome.ended,
        "pid": outcome.pid,
        "unit": spec.any_unit,
        "reason": outcome.reason,
        "log": outcome.log or way.log or None,
        "by_hand": way.by_hand(),
    }


def _line(row: Dict[str, Any]) -> str:
    return "gateway %s: %s\n" % (row["name"], row["reason"])


def _tell_failures(module: GatewayModule, found: Dict[str, Any]) -> None:
    """Ends the module when something failed and nothing was restarted; else only warns of what failed."""
    failures = ["gateway %s was not restarted: %s" % (row["name"], row["reason"]) for row in found["not_restarted"]]
    if failures and not found["restarted"]:
        module.give_up("; ".join(failures), **found)
    for failure in failures:
        module.warn(failure)


def _waits(params: Dict[str, Any]) -> float:
    each = 2 * params["grace_period"] + ANSWERS_WITHIN + params["timeout"]  # STOP by IBC first, then SIGTERM
    return float(each * len(params["steps"]))


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, then_look.waits(_waits, starts=True))


if __name__ == "__main__":
    main()
