#!/usr/bin/python
"""Restarts exactly the gateways a plan names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_restart
short_description: Restart exactly the gateways a plan names
version_added: 0.2.0
description:
  - A gateway that its entry's unit carries is restarted by that unit. Right before, its process is compared with the
    one that the plan named, unit included.
  - Any other gateway is ended as M(ib_process_stop) ends one, and started by its entry's unit or start_command.
  - A process that has ended since the plan was made is started anew, unless another gateway of the entry runs by then.
    Nothing is restarted or started while another one than the plan named does.
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
attributes:
  diff_mode:
    support: full
options:
  gateways:
    required: true
  restarts:
    description: The C(restart) steps of a plan from M(ib_gateway_health).
    type: list
    elements: dict
    required: true
    suboptions:
      gateway:
        description: The name of the entry.
        type: str
        required: true
      target:
        description: What the step means.
        type: dict
        required: true
        suboptions:
          by:
            description:
              - V(unit) has the entry's unit restart it. V(identity) ends O(restarts[].target.process) and starts anew.
            type: str
            choices: [unit, identity]
            required: true
          process:
            description: The process to be ended. Without it only a unit that is up without a gateway is restarted.
            type: dict
            suboptions:
              pid:
                description: Process id.
                type: int
                required: true
              started_ticks:
                description: Its start in clock ticks after boot.
                type: int
                required: true
              boot_id:
                description: The boot it belongs to.
                type: str
                required: true
              role:
                description: What the plan saw in it. It must be a gateway in any case.
                type: str
              argv_digest:
                description: The hash over its redacted command line that must still hold. Not checked when left out.
                type: str
              unit:
                description: The unit of its own through which it is ended when it is not restarted by one.
                type: str
              allow_kill:
                description: Whether to send SIGKILL to it when it has not ended in O(grace_period).
                type: bool
                default: false
              gateway:
                description: The entry's name. For people; not checked.
                type: str
              user:
                description: The account the plan saw. For people; not checked.
                type: str
              command:
                description: The redacted command line the plan saw. For people; not checked.
                type: list
                elements: str
          gateway:
            description: The entry's name. For people; not checked.
            type: str
          port:
            description: The port it shall listen on. For people; not checked.
            type: int
          timeout:
            description: The entry's start_timeout. For people; not checked.
            type: int
          service:
            description: The entry's service. For people; the entry counts.
            type: str
      action:
        description: Of the step. For people; not checked.
        type: str
      reason:
        description: Of the step. For people; not checked.
        type: str
      disruption:
        description: Of the step. For people; not checked.
        type: str
      finding:
        description: Of the step. For people; not checked.
        type: str
      only_if_persists:
        description: Of the step. For people; not checked.
        type: bool
  grace_period:
    description: Seconds in which a process may end after SIGTERM.
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
    restarts: "{{ steps }}"
    gateways: "{{ ib_gateways }}"
    authorization: "{{ authorization }}"
"""

RETURN = r"""
restarted:
  description: What was restarted, or in check mode would be.
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

from typing import Any, Dict, List, Mapping

from ansible.module_utils.ib_gateway.act import action_session, restart_gateway
from ansible.module_utils.ib_gateway.base.plan import RESTART
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.module import assess
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

_PROCESS: Dict[str, Any] = {
    "pid": {"type": "int", "required": True},
    "started_ticks": {"type": "int", "required": True},
    "boot_id": {"type": "str", "required": True},
    "role": {"type": "str"},
    "argv_digest": {"type": "str"},
    "unit": {"type": "str"},
    "allow_kill": {"type": "bool", "default": False},
    "gateway": {"type": "str"},
    "user": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
}
_TARGET: Dict[str, Any] = {
    "by": {"type": "str", "choices": ["unit", "identity"], "required": True},
    "process": {"type": "dict", "options": _PROCESS},
    "gateway": {"type": "str"},
    "port": {"type": "int"},
    "timeout": {"type": "int"},
    "service": {"type": "str"},
}
ARGUMENTS: Dict[str, Any] = {
    "gateways": GATEWAYS_OPTION,
    "restarts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "gateway": {"type": "str", "required": True},
            "target": {"type": "dict", "required": True, "options": _TARGET},
            "action": {"type": "str"},
            "reason": {"type": "str"},
            "disruption": {"type": "str"},
            "finding": {"type": "str"},
            "only_if_persists": {"type": "bool"},
        },
    },
    "grace_period": {"type": "float", "default": 10.0},
    "timeout": {"type": "float", "default": 180.0},
    "assume_stopped": {"type": "list", "elements": "int", "default": []},
    "authorization": AUTHORIZATION_OPTION,
    "then_look": assess.AFTER_OPTION,
}
_LONGEST_GRACE = 600.0
_LONGEST_TIMEOUT = 3600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Restarts the gateways one after the other, and returns what became of each."""
    options = module.params
    assess.check(module, options["then_look"])
    way = restart_gateway.Way(
        module.seconds("grace_period", _LONGEST_GRACE),
        module.seconds("timeout", _LONGEST_TIMEOUT),
        module.check_mode,
        options["assume_stopped"],
    )
    found: Dict[str, Any] = {name: [] for name in restart_gateway.RESULTS}
    with action_session.Acts(module) as acts:
        specs = _specs(module, acts)
        admitted = acts.admit(RESTART, [each["gateway"] for each in options["restarts"]])
        for step in options["restarts"]:
            name = step["gateway"]
            if name in admitted and acts.still(RESTART, acts.look()[name]):
                outcome = _restart(acts, step, specs[name], way)
                found[outcome.result].append(_row(specs[name], outcome))
                found["changed"] = found.get("changed", False) or outcome.acted
        found["withheld"] = acts.withheld
    if module._diff:
        found["diff"] = {"before": "", "after": "".join(map(_line, found[restart_gateway.RESTARTED]))}
    _tell_failures(module, found)
    names = [row["name"] for row in found["restarted"]]
    return {**found, **assess.after_acts(module, acts.specs, found.get("changed", False), names)}


def _specs(module: GatewayModule, acts: action_session.Acts) -> Dict[str, GatewaySpec]:
    """The entries with the words of their start_commands; ends the module when a step cannot be taken with them."""
    specs = {spec.name: module.with_command(spec) for spec in acts.specs}
    for step in module.params["restarts"]:
        spec, target = specs.get(step["gateway"]), step["target"]
        if spec is None:
            module.give_up("the option restarts names %r, and no entry of gateways has that name" % step["gateway"])
        if not spec.startable:
            module.give_up("entry %s has neither service nor start_command: nothing can start it" % spec.name)
        if target["by"] == "unit" and not spec.service:
            module.give_up("the option restarts has %s restarted by its unit, and its entry has no service" % spec.name)
        if target["by"] == "identity" and not target["process"]:
            module.give_up("the option restarts names no process of %s to be ended" % spec.name)
    return specs


def _restart(
    acts: action_session.Acts, step: Mapping[str, Any], spec: GatewaySpec, way: restart_gateway.Way
) -> restart_gateway.Outcome:
    """Restarts one; it is written down before, and when it is done."""
    order = restart_gateway.Order.named(step["target"])
    begun: List[action_session.Act] = []

    def announce() -> None:
        process = step["target"]["process"] or {}
        summary = action_session.summary_of(order.process, process.get("command") or ()) if order.process else {}
        begun.append(acts.begin(RESTART, spec.name, dict(summary, unit=spec.unit)))

    outcome = restart_gateway.restart(order, spec, lambda: acts.look()[spec.name], way, announce)
    for act in begun:
        acts.end(act, _in_the_journal(outcome), outcome.reason)
    return outcome


def _in_the_journal(outcome: restart_gateway.Outcome) -> str:
    if outcome.pending:
        return action_session.UNSURE
    if outcome.result == restart_gateway.RESTARTED:
        return action_session.DONE
    refused = outcome.result == restart_gateway.REFUSED and not outcome.asked
    return action_session.REFUSED if refused else action_session.FAILED


def _row(spec: GatewaySpec, outcome: restart_gateway.Outcome) -> Dict[str, Any]:
    return {
        "name": spec.name,
        "ended": outcome.ended,
        "pid": outcome.pid,
        "unit": spec.unit,
        "reason": outcome.reason,
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
    return float((params["grace_period"] + params["timeout"]) * len(params["restarts"]))


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, assess.waits(_waits, starts=True))


if __name__ == "__main__":
    main()
