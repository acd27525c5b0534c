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
extends_documentation_fragment: [ib_gateway.attributes]
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
    description: Whether to send SIGKILL to what has not ended by then.
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
"""

RETURN = r"""
stopped:
  description: The processes that have ended, or in check mode would be asked to.
  returned: success
  type: list
  elements: dict
  contains: &outcome
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
"""

from typing import Any, Dict, List

from ansible.module_utils.ib_gateway import signalling
from ansible.module_utils.ib_gateway.module import GatewayModule, run

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
            "unit": {"type": "str"},
            "user": {"type": "str"},
            "command": {"type": "list", "elements": "str"},
        },
    },
    "grace_period": {"type": "float", "default": 10.0},
    "force": {"type": "bool", "default": False},
}

_LONGEST_GRACE = 600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Stops the processes, and returns what became of each."""
    options = module.params
    module.seconds("grace_period", _LONGEST_GRACE)
    named = ("pid", "started_ticks", "boot_id", "role", "argv_digest", "unit")
    targets = [signalling.Target(*(each[key] for key in named)) for each in options["processes"]]
    outcomes = signalling.stop(targets, options["grace_period"], options["force"], dry_run=module.check_mode)
    sorted_out: Dict[str, List[Dict[str, Any]]] = {name: [] for name in signalling.RESULTS}
    for outcome in outcomes:
        sorted_out[outcome.result].append(_row(outcome))
    stopped = sorted_out[signalling.STOPPED]
    found: Dict[str, Any] = dict(sorted_out, changed=bool(stopped))
    if module._diff:
        found["diff"] = {"before": "".join(map(_line, stopped)), "after": ""}
    return found


def _row(outcome: signalling.Outcome) -> Dict[str, Any]:
    target = outcome.target
    return {
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
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
