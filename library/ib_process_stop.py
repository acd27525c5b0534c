#!/usr/bin/python
"""Stops exactly the processes a plan names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_process_stop
short_description: Stop exactly the processes a plan names
version_added: 0.1.0
description:
  - Sends SIGTERM to each process through a pidfd, after its identity was read again, and waits for it to end.
  - A process for which a systemd unit exists is ended by stopping that unit.
  - A process that has ended before is left alone, also when its pid belongs to another process by now.
  - Refuses pid 1, the run's own processes, and processes that have become another program since the plan was made.
  - With an O(authorization) nothing is done that it does not allow, and each step is recorded on the host before it is
    done. O(gateways) is needed then, and each process names its gateway and its role.
extends_documentation_fragment:
  - ib_gateway.attributes
  - ib_gateway.gateways
  - ib_gateway.authorization
  - ib_gateway.then_look
attributes:
  diff_mode:
    support: full
options:
  processes:
    description: The processes, as the steps of a plan from M(ib_gateway_health) name them in C(target).
    type: list
    elements: dict
    required: true
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
        description: What it must still be. Not checked when left out.
        type: str
        choices: [gateway, client]
      argv_digest:
        description: The hash over its redacted command line that must still hold. Not checked when left out.
        type: str
      gateway:
        description: The name of the entry for whose sake it is stopped.
        type: str
      allow_kill:
        description: Whether to send SIGKILL to it when it has not ended in O(grace_period).
        type: bool
        default: false
      unit:
        description:
          - The systemd unit that exists for this process. It is stopped instead of the process being signalled,
            because its C(Restart=) would undo a signal. The process must still belong to it.
        type: str
      user:
        description: The account the plan saw. For people; not checked.
        type: str
      command:
        description: The redacted command line the plan saw. For people; not checked.
        type: list
        elements: str
  grace_period:
    description: Seconds in which the processes may end after SIGTERM, all together.
    type: float
    default: 10.0
  force:
    description: Whether to send SIGKILL to whatever has not ended by then, O(processes[].allow_kill) or not.
    type: bool
    default: false
requirements: [Python 3.9 and Linux 5.3 on the host, for pidfd]
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
"""

EXAMPLES = r"""
- name: Stop a script that competes for the API
  ib_process_stop:
    processes:
      - pid: 815
        started_ticks: 8812345
        boot_id: 1b4e28ba-2fa1-11d2-883f-0016d3cca427
        role: client

- name: Stop what the plan says, as far as the authorization allows
  ib_process_stop:
    processes: "{{ steps | map(attribute='target') }}"
    gateways: "{{ ib_gateways }}"
    authorization: "{{ authorization }}"
"""

RETURN = r"""
stopped:
  description: The processes that have ended, or in check mode would be asked to.
  returned: success
  type: list
  elements: dict
  contains: &outcome
    gateway:
      description: The name of the entry for whose sake, or V(null) where none was named.
      type: str
      returned: always
      sample: live
    pid: {description: Process id., type: int, returned: always, sample: 815}
    started_ticks: {description: Its start in clock ticks after boot., type: int, returned: always, sample: 8812345}
    boot_id:
      description: The boot it belongs to.
      type: str
      returned: always
      sample: 1b4e28ba-2fa1-11d2-883f-0016d3cca427
    reason: {description: What happened or why not., type: str, returned: always, sample: ended after SIGTERM}
    command:
      description: Its redacted command line, read when it was held. Empty when it had ended.
      type: list
      elements: str
      returned: always
      sample: [python3, cleanup_positions.py]
    user: {description: The account that ran it., type: str, returned: always, sample: trader}
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: [SIGTERM]}
    unit: {description: The unit that was stopped in place of a signal., type: str, returned: always, sample: null}
already_gone:
  description: The processes that had ended before.
  returned: success
  type: list
  elements: dict
  contains: *outcome
refused:
  description: The processes that were not stopped, each with the reason.
  returned: success
  type: list
  elements: dict
  contains: *outcome
withheld:
  description: What the authorization did not allow. No process was touched for these gateways.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was not done., type: str, returned: always, sample: stop_client}
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

from typing import Any, Dict, List, Tuple

from ansible.module_utils.ib_gateway.act import action_session, stop_process
from ansible.module_utils.ib_gateway.base.plan import STOP_CLIENT, STOP_GATEWAY
from ansible.module_utils.ib_gateway.module import assess
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS = {
    "processes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "pid": {"type": "int", "required": True},
            "started_ticks": {"type": "int", "required": True},
            "boot_id": {"type": "str", "required": True},
            "role": {"type": "str", "choices": ["gateway", "client"]},
            "argv_digest": {"type": "str"},
            "gateway": {"type": "str"},
            "allow_kill": {"type": "bool", "default": False},
            "unit": {"type": "str"},
            "user": {"type": "str"},
            "command": {"type": "list", "elements": "str"},
        },
    },
    "grace_period": {"type": "float", "default": 10.0},
    "force": {"type": "bool", "default": False},
    "gateways": action_session.OPTIONAL_GATEWAYS,
    "authorization": AUTHORIZATION_OPTION,
    "then_look": assess.AFTER_OPTION,
}

_LONGEST_GRACE = 600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Stops the processes, and returns what became of each."""
    options = module.params
    module.seconds("grace_period", _LONGEST_GRACE)
    assess.check(module, options["then_look"])
    targets = [stop_process.Target.named(each) for each in options["processes"]]
    with action_session.Acts(module) as acts:
        outcomes = _stop(module, acts, _admitted(module, acts, targets))
        withheld = acts.withheld
    sorted_out: Dict[str, List[Dict[str, Any]]] = {name: [] for name in stop_process.RESULTS}
    for outcome in outcomes:
        sorted_out[outcome.result].append(_row(outcome))
    stopped = sorted_out[stop_process.STOPPED]
    found: Dict[str, Any] = dict(sorted_out, withheld=withheld, changed=bool(stopped))
    if module._diff:
        found["diff"] = {"before": "".join(map(_line, stopped)), "after": ""}
    return {**found, **assess.after_acts(module, acts.specs, bool(stopped))}


def _admitted(
    module: GatewayModule, acts: action_session.Acts, targets: List[stop_process.Target]
) -> List[Tuple[str, stop_process.Target]]:
    """What the authorization allows: (the action it is, the process)."""
    if acts.under_authorization:
        names = {spec.name for spec in acts.specs}
        for target in targets:
            if target.gateway not in names or target.role is None:
                module.give_up(
                    "the option processes holds pid %d without a role, or without a gateway that is one of the option "
                    "gateways; under an authorization both are needed" % target.pid
                )
    found: List[Tuple[str, stop_process.Target]] = []
    for action, role in ((STOP_CLIENT, "client"), (STOP_GATEWAY, "gateway"), (STOP_CLIENT, None)):
        meant = [target for target in targets if target.role == role]
        admitted = acts.admit(action, [target.gateway or "" for target in meant])
        found.extend((action, target) for target in meant if (target.gateway or "") in admitted)
    return sorted(found, key=lambda each: targets.index(each[1]))


def _stop(
    module: GatewayModule, acts: action_session.Acts, admitted: List[Tuple[str, stop_process.Target]]
) -> List[stop_process.Outcome]:
    """Stops them all together; each is written down before it is asked to end, and when it has."""
    actions = {target.pid: action for action, target in admitted}
    commands = {each["pid"]: each["command"] or () for each in module.params["processes"]}
    begun: Dict[Tuple[int, Any], action_session.Act] = {}

    def announce(target: stop_process.Target) -> None:
        summary = action_session.summary_of(target, commands[target.pid])
        begun[target.pid, target.gateway] = acts.begin(actions[target.pid], target.gateway, summary)

    outcomes = stop_process.stop(
        [target for _action, target in admitted],
        module.params["grace_period"],
        module.params["force"],
        dry_run=module.check_mode,
        announce=announce,
    )
    for outcome in outcomes:
        act = begun.pop((outcome.target.pid, outcome.target.gateway), None)
        if act is not None:
            result = action_session.FAILED if outcome.signals or outcome.unit else action_session.REFUSED
            acts.end(act, action_session.DONE if outcome.result != stop_process.REFUSED else result, outcome.reason)
    return outcomes


def _row(outcome: stop_process.Outcome) -> Dict[str, Any]:
    target = outcome.target
    return {
        "gateway": target.gateway,
        "pid": target.pid,
        "started_ticks": target.started_ticks,
        "boot_id": target.boot_id,
        "reason": outcome.reason,
        "command": list(outcome.command),
        "user": outcome.user,
        "signals": list(outcome.signals),
        "unit": outcome.unit,
    }


def _line(row: Dict[str, Any]) -> str:
    return "pid %d of %s: %s\n" % (row["pid"], row["user"], " ".join(row["command"]))


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, required_by=action_session.REQUIRED_BY, supports_check_mode=True)
    run(module, work, assess.waits(lambda params: params["grace_period"]))


if __name__ == "__main__":
    main()
