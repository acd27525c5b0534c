#!/usr/bin/python
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
attributes:
  diff_mode:
    support: full
options:
  gateways:
    required: true
  only:
    description: The names of the entries to start. The others are only known so that processes are told apart.
    type: list
    elements: str
    required: true
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
started:
  description: What was started, or in check mode would be.
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

from typing import Any, Dict, Optional

from ansible.module_utils.ib_gateway.act import action_session
from ansible.module_utils.ib_gateway.act.stop_process import Refused
from ansible.module_utils.ib_gateway.base.plan import START, Entry
from ansible.module_utils.ib_gateway.lifecycle import start_gateway
from ansible.module_utils.ib_gateway.module import assess
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS: Dict[str, Any] = {
    "gateways": GATEWAYS_OPTION,
    "only": {"type": "list", "elements": "str", "required": True},
    "assume_stopped": {"type": "list", "elements": "int", "default": []},
    "timeout": {"type": "float", "default": 180.0},
    "authorization": AUTHORIZATION_OPTION,
    "then_look": assess.AFTER_OPTION,
}
_LONGEST_TIMEOUT = 3600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Starts what is not running, one after the other."""
    module.seconds("timeout", _LONGEST_TIMEOUT)
    assess.check(module, module.params["then_look"])
    found: Dict[str, Any] = {"changed": False, "started": [], "already_running": [], "not_started": []}
    with action_session.Acts(module) as acts:
        wanted = module.chosen("only", acts.specs)
        for spec in acts.specs:
            if spec.name in wanted and not spec.startable:
                module.give_up("entry %s has neither service nor start_command: nothing can start it" % spec.name)
        for name in acts.admit(START, wanted):
            entry = acts.look()[name]
            if acts.still(START, entry):
                _deal_with(module, acts, entry, found)
        found["withheld"] = acts.withheld
    if module._diff:
        found["diff"] = {"before": "", "after": "".join(map(_line, found["started"]))}
    failures = ["gateway %s was not started: %s" % (row["name"], row["reason"]) for row in found["not_started"]]
    if failures and not found["started"]:
        module.give_up("; ".join(failures), **found)
    for failure in failures:
        module.warn(failure)
    names = [row["name"] for row in found["started"]]
    return {**found, **assess.after_acts(module, acts.specs, found["changed"], names)}


def _deal_with(module: GatewayModule, acts: action_session.Acts, entry: Entry, found: Dict[str, Any]) -> None:
    """Starts one gateway unless it runs, and adds what became of it to what is returned."""
    name, unit = entry.spec.name, entry.spec.unit
    pids = [process.pid for process in entry.processes + entry.ambiguous + entry.unplaced]
    pids = [pid for pid in pids if not (module.check_mode and pid in module.params["assume_stopped"])]
    if pids:
        found["already_running"].append({"name": name, "pids": pids})
        return
    pid = None
    if not module.check_mode:
        try:
            pid = _start(module, acts, entry)
        except (start_gateway.CannotStart, Refused) as error:
            found["changed"] = found["changed"] or getattr(error, "pending", False)
            found["not_started"].append({"name": name, "unit": unit, "reason": str(error)})
            return
    found["changed"] = True
    found["started"].append({"name": name, "pid": pid, "unit": unit})


def _start(module: GatewayModule, acts: action_session.Acts, entry: Entry) -> Optional[int]:
    """Starts one; it is written down before, and when it is done."""
    spec = module.with_command(entry.spec)
    act = acts.begin(START, spec.name, {"unit": spec.unit, "user": spec.user})
    try:
        pid = start_gateway.bring_up(spec, module.params["timeout"], lambda: bool(acts.look()[spec.name].owners()))
    except start_gateway.CannotStart as error:
        acts.end(act, action_session.UNSURE if error.pending else action_session.FAILED, str(error))
        raise
    acts.end(act, action_session.DONE, "started by its unit" if spec.unit else "started as pid %d" % (pid or 0))
    return pid


def _line(row: Dict[str, Any]) -> str:
    return "gateway %s, started by %s\n" % (row["name"], "unit " + row["unit"] if row["unit"] else "its start_command")


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, assess.waits(lambda params: params["timeout"] * len(params["only"]), starts=True))


if __name__ == "__main__":
    main()
