#!/usr/bin/python
"""Cuts exactly the API connections a plan names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_connection_drop
short_description: Cut exactly the API connections a plan names
version_added: 0.2.0
description:
  - Has the kernel abort the gateway's end of a connection. The gateway sees an aborted connection and frees the slot,
    the script sees a reset; both processes go on.
  - A connection is named by both of its ends, by the kernel's cookie for the gateway's socket, which is never used
    twice in a boot, and by the processes that hold it. All of it is read again right before the cut. A connection that
    has ended before, or whose ports belong to another one by now, is left alone.
  - Refuses connections of the run's own processes, and those that others hold than the plan named.
  - Serves gateways in the host's own network namespace only.
  - Where the kernel or the account cannot cut connections the row is returned as RV(unsupported), which is no failure.
  - With an O(authorization) nothing is done that it does not allow, and each step is recorded on the host before it is
    done. O(gateways) is needed then.
extends_documentation_fragment:
  - ib_gateway.attributes
  - ib_gateway.gateways
  - ib_gateway.authorization
  - ib_gateway.then_look
attributes:
  diff_mode:
    support: full
  platform:
    platforms: Linux
options:
  connections:
    description: The connections, as the C(drop_connection) steps of a plan name them in C(target).
    type: list
    elements: dict
    required: true
    suboptions:
      gateway:
        description: The name of the entry whose connection it is.
        type: str
        required: true
      port:
        description: The API port.
        type: int
        required: true
      client:
        description: The client's address.
        type: str
        required: true
      client_port:
        description: The client's port.
        type: int
        required: true
      server:
        description: The gateway's address.
        type: str
        required: true
      cookie:
        description: The kernel's number for the gateway's socket. Without it the connection is refused.
        type: int
      gateway_process:
        description: The gateway that must hold the one end, and nobody else.
        type: dict
        required: true
        suboptions: &process
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
            description: What the plan saw in it. For people; which end it holds says what it must be.
            type: str
          argv_digest:
            description: The hash over its redacted command line that must still hold. Not checked when left out.
            type: str
          user:
            description: The account the plan saw. For people; not checked.
            type: str
          command:
            description: The redacted command line the plan saw. For people; not checked.
            type: list
            elements: str
      client_processes:
        description: The processes that must hold the other end, all of them, and nobody else.
        type: list
        elements: dict
        required: true
        suboptions: *process
requirements: [Linux 4.5 on the host with INET_DIAG_DESTROY, CAP_NET_ADMIN]
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
  - module: ib_process_stop
"""

EXAMPLES = r"""
- name: Cut the connections that the plan names
  ib_connection_drop:
    connections: "{{ steps | map(attribute='target') }}"
    gateways: "{{ ib_gateways }}"
    authorization: "{{ authorization }}"
"""

RETURN = r"""
dropped:
  description: The connections that were cut, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains: &outcome
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    port: {description: The API port., type: int, returned: always, sample: 4001}
    client: {description: The client's address., type: str, returned: always, sample: 127.0.0.1}
    client_port: {description: The client's port., type: int, returned: always, sample: 50123}
    server: {description: The gateway's address., type: str, returned: always, sample: 127.0.0.1}
    cookie: {description: The kernel's number for it., type: int, returned: always, sample: 4242}
    pids: {description: The processes that held it., type: list, elements: int, returned: always, sample: [815]}
    reason:
      description: What happened or why not.
      type: str
      returned: always
      sample: cut at the gateway's end; the script goes on without it
already_gone:
  description: The connections that had ended before, or were ending.
  returned: success
  type: list
  elements: dict
  contains: *outcome
refused:
  description: The connections that were not cut, each with the reason.
  returned: success
  type: list
  elements: dict
  contains: *outcome
unsupported:
  description: The connections that cannot be cut on this host or by this account, each with the reason.
  returned: success
  type: list
  elements: dict
  contains: *outcome
withheld:
  description: What the authorization did not allow. No connection of these gateways was touched.
  returned: success
  type: list
  elements: dict
  contains:
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    action: {description: What was not done., type: str, returned: always, sample: drop_connection}
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

from ansible.module_utils.ib_gateway.act import action_session, drop_connection
from ansible.module_utils.ib_gateway.base.plan import DROP_CONNECTION
from ansible.module_utils.ib_gateway.module import assess
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

_PROCESS: Dict[str, Any] = {
    "pid": {"type": "int", "required": True},
    "started_ticks": {"type": "int", "required": True},
    "boot_id": {"type": "str", "required": True},
    "role": {"type": "str"},
    "argv_digest": {"type": "str"},
    "user": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
}
ARGUMENTS: Dict[str, Any] = {
    "connections": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "gateway": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "client": {"type": "str", "required": True},
            "client_port": {"type": "int", "required": True},
            "server": {"type": "str", "required": True},
            "cookie": {"type": "int"},
            "gateway_process": {"type": "dict", "required": True, "options": _PROCESS},
            "client_processes": {"type": "list", "elements": "dict", "required": True, "options": _PROCESS},
        },
    },
    "gateways": action_session.OPTIONAL_GATEWAYS,
    "authorization": AUTHORIZATION_OPTION,
    "then_look": assess.AFTER_OPTION,
}
_JOURNALLED = {
    drop_connection.DROPPED: action_session.DONE,
    drop_connection.ALREADY_GONE: action_session.DONE,
    drop_connection.REFUSED: action_session.REFUSED,
    drop_connection.UNSUPPORTED: action_session.REFUSED,
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Cuts the connections, and returns what became of each."""
    assess.check(module, module.params["then_look"])
    cuts = [drop_connection.Cut.named(each) for each in module.params["connections"]]
    for cut in cuts:
        _check(module, cut)
    with action_session.Acts(module) as acts:
        admitted = acts.admit(DROP_CONNECTION, [cut.gateway for cut in cuts])
        outcomes = [_drop(module, acts, cut) for cut in cuts if cut.gateway in admitted]
        withheld = acts.withheld
    found: Dict[str, Any] = {name: [] for name in drop_connection.RESULTS}
    for outcome in outcomes:
        found[outcome.result].append(_row(outcome))
    dropped: List[Dict[str, Any]] = found[drop_connection.DROPPED]
    found.update(changed=bool(dropped), withheld=withheld)
    if module._diff:
        found["diff"] = {"before": "".join(map(_line, dropped)), "after": ""}
    return {**found, **assess.after_acts(module, acts.specs, bool(dropped))}


def _check(module: GatewayModule, cut: drop_connection.Cut) -> None:
    if not (0 < cut.port < 65536 and 0 < cut.client_port < 65536 and 0 <= (cut.cookie or 0) < 1 << 64):
        module.give_up("the option connections holds a port or a cookie that is out of range")
    for address in (cut.client, cut.server):
        if not drop_connection.is_address(address):
            module.give_up("the option connections holds %r, which is no address" % address[:100])


def _drop(module: GatewayModule, acts: action_session.Acts, cut: drop_connection.Cut) -> drop_connection.Outcome:
    """Cuts one; it is written down before, and when it is done."""
    begun: List[action_session.Act] = []

    def announce(cut: drop_connection.Cut) -> None:
        summary = {
            "port": cut.port,
            "client_port": cut.client_port,
            "cookie": cut.cookie,
            "pids": [each.pid for each in cut.client_processes],
        }
        begun.append(acts.begin(DROP_CONNECTION, cut.gateway, summary))

    outcome = drop_connection.drop(cut, dry_run=module.check_mode, announce=announce)
    for act in begun:
        acts.end(act, _JOURNALLED[outcome.result], outcome.reason)
    return outcome


def _row(outcome: drop_connection.Outcome) -> Dict[str, Any]:
    cut = outcome.cut
    return {
        "gateway": cut.gateway,
        "port": cut.port,
        "client": cut.client,
        "client_port": cut.client_port,
        "server": cut.server,
        "cookie": cut.cookie,
        "pids": [each.pid for each in cut.client_processes],
        "reason": outcome.reason,
    }


def _line(row: Dict[str, Any]) -> str:
    pids = ", ".join(str(pid) for pid in row["pids"])
    return "connection of pid %s from port %d to port %d\n" % (pids, row["client_port"], row["port"])


def main() -> None:
    """Runs the module."""
    module = GatewayModule(argument_spec=ARGUMENTS, required_by=action_session.REQUIRED_BY, supports_check_mode=True)
    run(module, work, assess.waits(lambda _params: 0.0))


if __name__ == "__main__":
    main()
