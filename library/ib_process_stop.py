#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Stops exactly the processes a plan names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_process_stop
short_description: Stop exactly the processes a plan names
version_added: 0.1.0
description:
  - Sends SIGTERM to each process through a pidfd, after its identity was read again, and waits for it to end.
  - A process for which a systemd unit exists is ended by stopping that unit. Where systemd would kill it then
    (TimeoutStopSec=) and nobody allows that, it is sent SIGTERM, and its unit is stopped only when it has ended.
  - A process that has ended before is left alone, also when its pid belongs to another process by now.
  - Refuses pid 1, the run's own processes, and processes that have become another program since the plan was made.
  - With an O(authorization) nothing is done that it does not allow, and each step is recorded on the host before it is
    done. O(gateways) is needed then, and each of O(processes) names its gateway and its role.
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
  processes:
    description:
      - The processes by themselves, without the steps that name them. Give these or O(steps).
      - One whose role is gateway is stopped as a C(stop_gateway) step would, any other as C(stop_client).
    type: list
    elements: dict
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
      unit_uid:
        description: The uid of the account whose own systemd has the O(processes[].unit). Without it the system's has.
        type: int
      user:
        description: The account the plan saw. For people; not checked.
        type: str
      command:
        description: The redacted command line the plan saw. For people; not checked.
        type: list
        elements: str
  grace_period:
    description:
      - Seconds in which the processes may end after SIGTERM, all together.
      - A gateway whose target names its C(command_server) is told C(STOP) by IBC first and has as long for that; one
        that ends by a signal leaves its session at the broker behind.
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
    action: {description: The action., type: str, returned: always, sample: stop_client}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {pid: 815, user: trader, command: [python3, bot.py]}
    result:
      description:
        - V(done); V(would) in check mode; V(already) when it was so before; V(refused) when it was not begun.
        - V(failed); V(unknown) when it was begun and nobody knows how it ended.
      type: str
      returned: always
      sample: done
    reason: {description: What happened or why not., type: str, returned: always, sample: ended after SIGTERM}
    admitted:
      description: Whether O(authorization) allowed it. Always true without one.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: [SIGTERM]}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: 815}
    pid: {description: The pid of the process that was started., type: int, returned: always, sample: null}
stopped:
  description: Of the outcomes the processes that have ended, or in check mode would be asked to.
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

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible.module_utils.ib_gateway.act import action_session, stop_process
from ansible.module_utils.ib_gateway.act.action_session import ActionSession
from ansible.module_utils.ib_gateway.act.held_process import Target
from ansible.module_utils.ib_gateway.base.actions import STOP_CLIENT, STOP_GATEWAY
from ansible.module_utils.ib_gateway.base.command_server import ANSWERS_WITHIN
from ansible.module_utils.ib_gateway.base.outcome import ALREADY, DONE, FAILED, REFUSED, WOULD, Outcome
from ansible.module_utils.ib_gateway.base.plan import Step
from ansible.module_utils.ib_gateway.base.steps import STEPS_OPTION
from ansible.module_utils.ib_gateway.lifecycle.base import Lifecycle
from ansible.module_utils.ib_gateway.module import then_look
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run
from ansible.module_utils.ib_gateway.module.steps import outcome_of, steps_of
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS: Dict[str, Any] = {
    "steps": STEPS_OPTION,
    "processes": {
        "type": "list",
        "elements": "dict",
        "options": {
            "pid": {"type": "int", "required": True},
            "started_ticks": {"type": "int", "required": True},
            "boot_id": {"type": "str", "required": True},
            "role": {"type": "str", "choices": ["gateway", "client"]},
            "argv_digest": {"type": "str"},
            "gateway": {"type": "str"},
            "allow_kill": {"type": "bool", "default": False},
            "unit": {"type": "str"},
            "unit_uid": {"type": "int"},
            "user": {"type": "str"},
            "command": {"type": "list", "elements": "str"},
        },
    },
    "grace_period": {"type": "float", "default": 10.0},
    "force": {"type": "bool", "default": False},
    "gateways": action_session.OPTIONAL_GATEWAYS,
    "authorization": AUTHORIZATION_OPTION,
    "then_look": then_look.OPTION,
}

_LONGEST_GRACE = 600.0
#: What a process of a step's must still be.
_ROLES = {STOP_CLIENT: "client", STOP_GATEWAY: "gateway"}

Named = Tuple[Step, Target]


def work(module: GatewayModule) -> Dict[str, Any]:
    """Stops the processes, and returns what became of each."""
    module.seconds("grace_period", _LONGEST_GRACE)
    then_look.check(module)
    with ActionSession(module) as session:
        named = _named(module, session)
        admitted = session.admit([step for step, _target in named])
        rows = _stop(module, session, [each for each in named if each[0] in admitted])
        found = {**session.returned(), **rows}
    if module._diff:
        found["diff"] = {"before": "".join(map(_line, rows["stopped"])), "after": ""}
    ended = [row["gateway"] for row in rows["stopped"] if row["gateway"]]
    return {**found, **then_look.after_acts(module, session.specs, found["changed"], stopped=ended)}


def _named(module: GatewayModule, session: ActionSession) -> List[Named]:
    """The steps, and the process that each one means."""
    found = [
        (step, Target.named({**step.target, "gateway": step.gateway, "role": _ROLES[step.action]}))
        for step in steps_of(module, STOP_CLIENT, STOP_GATEWAY)
    ]
    for each in module.params["processes"] or ():
        action = STOP_GATEWAY if each["role"] == "gateway" else STOP_CLIENT
        found.append((Step(action, each["gateway"] or "", each, "", ""), Target.named(each)))
    names = {spec.name for spec in session.specs}
    for step, target in found if session.authorized else ():
        if step.gateway not in names or target.role is None:
            option = "steps" if module.params["steps"] else "processes"
            module.give_up(
                "the option %s holds pid %d without a role, or without a gateway that is one of the option gateways; "
                "with an authorization both are needed" % (option, target.pid)
            )
    return found


def _stop(module: GatewayModule, session: ActionSession, named: List[Named]) -> Dict[str, List[Dict[str, Any]]]:
    """Stops them all together; each is recorded before it is asked to end, and when it has.

    Returns rows by what the process came to, as who names processes by themselves expects them.
    """
    steps = {(target.pid, target.gateway): step for step, target in named}
    begun: Dict[Tuple[int, Optional[str]], int] = {}

    def announce(target: Target) -> None:
        step = steps[target.pid, target.gateway]
        summary = action_session.summary_of(target, step.target.get("command") or ())
        begun[target.pid, target.gateway] = session.begin(step.action, step.gateway, summary)

    endings = stop_process.stop(
        [target for _step, target in named],
        module.params["grace_period"],
        module.params["force"],
        dry_run=module.check_mode,
        announce=announce,
        then=_started_anew(module, session, [target for _step, target in named]),
        staying=session.staying,
    )
    rows: Dict[str, List[Dict[str, Any]]] = {name: [] for name in stop_process.RESULTS}
    for (step, target), ending in zip(named, endings):
        outcome = _outcome(step, ending, module.check_mode)
        session.outcomes.append(outcome)
        rows[ending.result].append(_row(ending))
        token = begun.pop((target.pid, target.gateway), None)
        if token is not None:
            session.end(token, outcome.in_the_journal, outcome.reason)
    return rows


def _started_anew(module: GatewayModule, session: ActionSession, targets: List[Target]) -> Dict[str, Lifecycle]:
    """By entry of which no gateway is left when these have ended, how the next one is started."""
    names = {target.gateway for target in targets if target.role == "gateway"} - {None}
    if not names or module.check_mode:
        return {}
    from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle  # many a call ends no gateway

    entries, pids = session.look(), {target.pid for target in targets}
    return {
        name: lifecycle(module.with_command(entry.spec))
        for name, entry in entries.items()
        if name in names and entry.spec.startable and all(process.pid in pids for process in entry.processes)
    }


def _outcome(step: Step, ending: stop_process.Ending, check_mode: bool) -> Outcome:
    if ending.result == stop_process.STOPPED:
        result = WOULD if check_mode else DONE
    elif ending.result == stop_process.ALREADY_GONE:
        result = ALREADY
    else:
        result = FAILED if ending.signals or ending.unit or ending.by_command else REFUSED
    outcome = outcome_of(step, result, ending.reason, signals=ending.signals, unit=ending.unit)
    seen: Mapping[str, Any] = {"command": list(ending.command), "user": ending.user} if ending.command else {}
    ended = ending.target.pid if result == DONE else None
    return outcome._replace(target={**outcome.target, **seen}, ended=ended)


def _row(ending: stop_process.Ending) -> Dict[str, Any]:
    target = ending.target
    return {
        "gateway": target.gateway,
        "pid": target.pid,
        "started_ticks": target.started_ticks,
        "boot_id": target.boot_id,
        "reason": ending.reason,
        "command": list(ending.command),
        "user": ending.user,
        "signals": list(ending.signals),
        "unit": ending.unit,
    }


def _line(row: Dict[str, Any]) -> str:
    return "pid %d of %s: %s\n" % (row["pid"], row["user"], " ".join(row["command"]))


def _waits(params: Dict[str, Any]) -> float:
    """A gateway is told STOP by IBC first, one after the other; those that do not end by it have the time again."""
    told = sum("command_server" in (each.get("target") or {}) for each in params["steps"] or ())
    return float(params["grace_period"] * (2 if told else 1) + told * ANSWERS_WITHIN)


def main() -> None:
    """Runs the module."""
    module = GatewayModule(
        argument_spec=ARGUMENTS,
        required_by=action_session.REQUIRED_BY,
        required_one_of=[["steps", "processes"]],
        mutually_exclusive=[["steps", "processes"]],
        supports_check_mode=True,
    )
    run(module, work, then_look.waits(_waits))


if __name__ == "__main__":
    main()
