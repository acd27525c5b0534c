#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Starts gateways that do not run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_start
short_description: Start gateways that do not run
version_added: 0.1.0
description:
  - Starts the entry's O(gateways[].service), where it has one.
  - Else runs its O(gateways[].start_command) as its O(gateways[].user), detached, so that it outlives this run.
  - Does nothing for an entry whose gateway is already running, listening or not.
  - Each gateway is dealt with on its own. What fails for one does not keep the others from being started; the module
    fails when something failed and no gateway was started.
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
  only:
    description:
      - The names of the entries to start, without the steps that name them. Give these or O(steps).
      - The others are only known so that processes are told apart.
    type: list
    elements: str
  assume_stopped:
    description:
      - Pids of gateways to be taken as ended.
      - For check mode, in which the steps before this one have not really stopped them.
    type: list
    elements: int
    default: []
  timeout:
    description: Seconds for systemd to start a unit.
    type: float
    default: 180.0
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_wait
"""

EXAMPLES = r"""
- name: Start the live gateway
  ib_gateway_start:
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
    action: {description: The action., type: str, returned: always, sample: start}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {port: 4001, service: ibgateway}
    result:
      description:
        - V(done); V(would) in check mode; V(already) when it was so before; V(refused) when it was not begun.
        - V(failed); V(unknown) when it was begun and nobody knows how it ended.
      type: str
      returned: always
      sample: done
    reason: {description: What happened or why not., type: str, returned: always, sample: started by its unit}
    admitted:
      description: Whether O(authorization) allowed it. Always true without one.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: []}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: null}
    pid: {description: The pid of the process that was started., type: int, returned: always, sample: null}
started:
  description: Of the outcomes what was started, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: live}
    pid:
      description: The pid of the command. V(null) for a unit, and in check mode.
      type: int
      returned: always
      sample: 4712
    unit: {description: The unit. V(null) for a start_command., type: str, returned: always, sample: null}
    log:
      description:
        - The file with the output of the start_command, or the command that shows that of the unit.
        - V(null) in check mode.
      type: str
      returned: always
      sample: /var/log/ib-gateway-repair/live.log
    by_hand:
      description: The command with which a person starts it. Words that may be secrets are left out.
      type: str
      returned: always
      sample: systemctl start ibgateway.service
already_running:
  description: The entries whose gateway was running.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: paper}
    pids: {description: Its processes., type: list, elements: int, returned: always, sample: [4711]}
not_started:
  description: What failed.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: live}
    unit: {description: The unit. V(null) for a start_command., type: str, returned: always, sample: null}
    reason: {description: Why., type: str, returned: always, sample: this host has no account trader}
    log:
      description: As RV(started[].log), where an earlier output may be.
      type: str
      returned: always
      sample: /var/log/ib-gateway-repair/live.log
    by_hand:
      description: As RV(started[].by_hand). V(null) where that must fail as well, for the reason that is told.
      type: str
      returned: always
      sample: systemctl start ibgateway.service
withheld:
  description: What the authorization did not allow. These gateways were not touched.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was not done., type: str, returned: always, sample: start}
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

from typing import Any, Dict, List

from ansible.module_utils.ib_gateway.act.action_session import ActionSession, Announce
from ansible.module_utils.ib_gateway.act.held_process import Refused
from ansible.module_utils.ib_gateway.base.actions import START
from ansible.module_utils.ib_gateway.base.outcome import ALREADY, DONE, FAILED, REFUSED, UNSURE, WOULD, Outcome
from ansible.module_utils.ib_gateway.base.plan import Entry, Step
from ansible.module_utils.ib_gateway.base.steps import STEPS_OPTION
from ansible.module_utils.ib_gateway.decide.refusals import also_carried
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, CannotStart, Patience, Started
from ansible.module_utils.ib_gateway.lifecycle.ends_others import ends_others
from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle, start_checks
from ansible.module_utils.ib_gateway.lifecycle.start_check import informed
from ansible.module_utils.ib_gateway.module import then_look
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.module.steps import of_entry, outcome_of, steps_of
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS: Dict[str, Any] = {
    "gateways": GATEWAYS_OPTION,
    "steps": STEPS_OPTION,
    "only": {"type": "list", "elements": "str"},
    "assume_stopped": {"type": "list", "elements": "int", "default": []},
    "timeout": {"type": "float", "default": 180.0},
    "authorization": AUTHORIZATION_OPTION,
    "then_look": then_look.OPTION,
}
_LONGEST_TIMEOUT = 3600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Starts what is not running, one after the other."""
    module.seconds("timeout", _LONGEST_TIMEOUT)
    then_look.check(module)
    rows: Dict[str, List[Dict[str, Any]]] = {"started": [], "already_running": [], "not_started": []}
    with ActionSession(module) as session:
        for step in session.admit(_steps(module, session)):
            entry = session.look()[step.gateway]
            if session.still(step, entry):
                _start(module, session, step, entry, rows)
        # What systemd is still at has changed the host, although nobody knows yet how it ends.
        acted = any(each.result in (DONE, WOULD, UNSURE) for each in session.outcomes)
        found = {**session.returned(acted), **rows}
    if module._diff:
        found["diff"] = {"before": "", "after": "".join(map(_line, rows["started"]))}
    failures = ["gateway %s was not started: %s" % (row["name"], row["reason"]) for row in rows["not_started"]]
    if failures and not rows["started"]:
        module.give_up("; ".join(failures), **found)
    for failure in failures:
        module.warn(failure)
    names = [row["name"] for row in rows["started"]]
    return {**found, **then_look.after_acts(module, session.specs, acted, names)}


def _steps(module: GatewayModule, session: ActionSession) -> List[Step]:
    """The steps, one for each entry that is to start; ends the module when one cannot be started."""
    steps = steps_of(module, START)
    option = "steps" if steps else "only"
    steps += [Step(START, name, {}, "", "") for name in module.params["only"] or ()]
    specs = {spec.name: spec for spec in session.specs}
    for step in steps:
        if step.gateway not in specs:
            module.give_up("the option %s names %r, and no entry of gateways has that name" % (option, step.gateway))
        if not specs[step.gateway].startable:
            module.give_up("entry %s has no service, start_command or container: nothing starts it" % step.gateway)
    once = {step.gateway: of_entry(step, specs[step.gateway]) for step in steps}
    return list(once.values())


def _start(
    module: GatewayModule, session: ActionSession, step: Step, entry: Entry, rows: Dict[str, List[Dict[str, Any]]]
) -> None:
    """Starts one gateway unless it runs, and adds what became of it to what is returned."""
    spec, unit = module.with_command(entry.spec), entry.spec.any_unit
    # Under a plan, whoever else might be the entry's was weighed when it was made, and is the same as then.
    maybe = () if session.authorized else entry.unplaced
    pids = [process.pid for process in entry.processes + entry.ambiguous + maybe]
    pids = [pid for pid in pids if not (module.check_mode and pid in module.params["assume_stopped"])]
    if pids:
        session.add(step, ALREADY, "a gateway is running: pid %s" % ", ".join(map(str, pids)))
        rows["already_running"].append({"name": spec.name, "pids": pids})
        return
    start_check = start_checks([Asked(spec)])[0]
    checked = informed(entry, start_check, guarded=session.guarded)
    ending = checked.others_at_start()
    blocker = checked.start_blocker or (also_carried(checked, ending) if ending else None)
    if blocker is None and start_check.runs:  # somebody may have come since the plan, as by the start before this one
        blocker = ends_others(checked, start_check, session.processes(), session.guarded)
    came: List[Started] = []

    def do(announce: Announce) -> Outcome:
        if blocker:
            return outcome_of(step, FAILED if checked.start_blocker else REFUSED, blocker, unit=unit)
        if module.check_mode:
            return outcome_of(step, WOULD, "no gateway is running", unit=unit)
        try:
            announce({"unit": unit, "user": spec.user})
            patience = Patience(module.params["timeout"], lambda: bool(session.look()[spec.name].owners()))
            came.append(lifecycle(spec).start(patience))
        except Refused as refusal:
            return outcome_of(step, REFUSED, str(refusal), unit=unit)
        except CannotStart as error:
            return outcome_of(step, UNSURE if error.pending else FAILED, str(error), unit=unit)
        by = "its unit" if unit else "its container" if spec.container else ""
        reason = "started by %s" % by if by else "started as pid %d" % (came[0].pid or 0)
        return outcome_of(step, DONE, reason, unit=unit, pid=came[0].pid)

    outcome = session.take(step, do)
    if outcome.result in (DONE, WOULD):
        log = came[0].log if came else ""
        told = {"log": log or None, "by_hand": lifecycle(spec).by_hand()}
        rows["started"].append({"name": spec.name, "pid": outcome.pid, "unit": unit, **told})
    else:
        way = lifecycle(spec)
        by_hand = None if blocker else way.by_hand()
        told = {"reason": outcome.reason, "log": way.log or None, "by_hand": by_hand}
        rows["not_started"].append({"name": spec.name, "unit": unit, **told})


def _line(row: Dict[str, Any]) -> str:
    return "gateway %s, started by %s\n" % (row["name"], "unit " + row["unit"] if row["unit"] else "its start_command")


def _waits(params: Dict[str, Any]) -> float:
    return float(params["timeout"] * len(params["steps"] or params["only"] or ()))


def main() -> None:
    """Runs the module."""
    module = GatewayModule(
        argument_spec=ARGUMENTS,
        required_one_of=[["steps", "only"]],
        mutually_exclusive=[["steps", "only"]],
        supports_check_mode=True,
    )
    run(module, work, then_look.waits(_waits, starts=True))


if __name__ == "__main__":
    main()
