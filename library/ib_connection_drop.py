#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
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
  - Of a client on another host nothing but TCP tells that it has gone. Its connection is cut only where the plan has
    that host in C(remote_host) and, read again right before the cut, data that was sent again and again still waits
    for an answer, and that address is none of this host's.
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
  - ib_gateway.steps
attributes:
  diff_mode:
    support: full
  platform:
    platforms: Linux
options:
  connections:
    description: The targets of C(drop_connection) steps by themselves. Give these or O(steps).
    type: list
    elements: dict
requirements: [Linux 4.5 on the host with INET_DIAG_DESTROY, CAP_NET_ADMIN]
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_gateway_health
  - module: ib_process_stop
"""

EXAMPLES = r"""
- name: Cut the connections that the plan names
  ib_connection_drop:
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
    action: {description: The action., type: str, returned: always, sample: drop_connection}
    gateway: {description: The entry's name., type: str, returned: always, sample: live}
    target:
      description: Whom the step met, of its target what a person needs.
      type: dict
      returned: always
      sample: {port: 4001, client: 127.0.0.1, client_port: 50123, cookie: 4242}
    result:
      description:
        - V(done); V(would) in check mode; V(already) when it was so before; V(refused) when it was not begun.
        - V(failed); V(unknown) when it was begun and nobody knows how it ended.
      type: str
      returned: always
      sample: done
    reason: {description: What happened or why not., type: str, returned: always, sample: it had ended before}
    admitted:
      description: Whether O(authorization) allowed it. Always true without one.
      type: bool
      returned: always
      sample: true
    signals: {description: The signals sent., type: list, elements: str, returned: always, sample: []}
    unit: {description: The systemd unit that did it., type: str, returned: always, sample: null}
    ended: {description: The pid of the process that ended., type: int, returned: always, sample: null}
    pid: {description: The pid of the process that was started., type: int, returned: always, sample: null}
dropped:
  description: Of the outcomes the connections that were cut, or in check mode would be.
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
    pids:
      description: The processes of this host that held it; none for a client on another host.
      type: list
      elements: int
      returned: always
      sample: [815]
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
from ansible.module_utils.ib_gateway.act.action_session import ActionSession, Announce
from ansible.module_utils.ib_gateway.base.actions import DROP_CONNECTION
from ansible.module_utils.ib_gateway.base.outcome import ALREADY, DONE, REFUSED, WOULD, Outcome
from ansible.module_utils.ib_gateway.base.plan import Step
from ansible.module_utils.ib_gateway.base.steps import STEPS_OPTION
from ansible.module_utils.ib_gateway.module import then_look
from ansible.module_utils.ib_gateway.module.runner import GatewayModule, run
from ansible.module_utils.ib_gateway.module.steps import outcome_of, steps_of
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION

ARGUMENTS: Dict[str, Any] = {
    "steps": STEPS_OPTION,
    "connections": {"type": "list", "elements": "dict"},
    "gateways": action_session.OPTIONAL_GATEWAYS,
    "authorization": AUTHORIZATION_OPTION,
    "then_look": then_look.OPTION,
}
_RESULTS = {
    drop_connection.DROPPED: DONE,
    drop_connection.ALREADY_GONE: ALREADY,
    drop_connection.REFUSED: REFUSED,
    drop_connection.UNSUPPORTED: REFUSED,
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Cuts the connections, and returns what became of each."""
    then_look.check(module)
    rows: Dict[str, List[Dict[str, Any]]] = {name: [] for name in drop_connection.RESULTS}
    with ActionSession(module) as session:
        steps = _steps(module)
        for step in steps:
            _check(module, drop_connection.Cut.named({**step.target, "gateway": step.gateway}))
        for step in session.admit(steps):
            _drop(module, session, step, rows)
        found = {**session.returned(), **rows}
    if module._diff:
        found["diff"] = {"before": "".join(map(_line, rows[drop_connection.DROPPED])), "after": ""}
    return {**found, **then_look.after_acts(module, session.specs, found["changed"])}


def _steps(module: GatewayModule) -> List[Step]:
    """The steps; of connections by themselves those that would name them."""
    for target in module.params["connections"] or ():
        if not isinstance(target.get("gateway"), str):
            module.give_up("the option connections holds a connection without the name of its gateway")
    named = [{"gateway": each["gateway"], "target": each} for each in module.params["connections"] or ()]
    if named:
        module.params["steps"] = named
    return steps_of(module, DROP_CONNECTION)


def _check(module: GatewayModule, cut: drop_connection.Cut) -> None:
    option = "connections" if module.params["connections"] else "steps"
    if not (0 < cut.port < 65536 and 0 < cut.client_port < 65536 and 0 <= (cut.cookie or 0) < 1 << 64):
        module.give_up("the option %s holds a port or a cookie that is out of range" % option)
    for address in (cut.client, cut.server):
        if not drop_connection.is_address(address):
            module.give_up("the option %s holds %r, which is no address" % (option, address[:100]))


def _drop(module: GatewayModule, session: ActionSession, step: Step, rows: Dict[str, List[Dict[str, Any]]]) -> None:
    """Cuts one; it is recorded before, and when it is done."""
    cut = drop_connection.Cut.named({**step.target, "gateway": step.gateway})
    pids = [each.pid for each in cut.client_processes]

    def do(announce: Announce) -> Outcome:
        def announced(cut: drop_connection.Cut) -> None:
            ends = {"port": cut.port, "client": cut.client, "client_port": cut.client_port}
            announce({**ends, "cookie": cut.cookie, "pids": pids})

        answer = drop_connection.drop(cut, dry_run=module.check_mode, announce=announced)
        rows[answer.result].append(_row(answer))
        result = WOULD if module.check_mode and answer.result == drop_connection.DROPPED else _RESULTS[answer.result]
        return outcome_of(step, result, answer.reason)

    session.take(step, do)


def _row(answer: drop_connection.Answer) -> Dict[str, Any]:
    cut = answer.cut
    return {
        "gateway": cut.gateway,
        "port": cut.port,
        "client": cut.client,
        "client_port": cut.client_port,
        "server": cut.server,
        "cookie": cut.cookie,
        "pids": [each.pid for each in cut.client_processes],
        "reason": answer.reason,
    }


def _line(row: Dict[str, Any]) -> str:
    pids = ", ".join(str(pid) for pid in row["pids"])
    who = "pid %s" % pids if pids else row["client"]
    return "connection of %s from port %d to port %d\n" % (who, row["client_port"], row["port"])


def main() -> None:
    """Runs the module."""
    module = GatewayModule(
        argument_spec=ARGUMENTS,
        required_by=action_session.REQUIRED_BY,
        required_one_of=[["steps", "connections"]],
        mutually_exclusive=[["steps", "connections"]],
        supports_check_mode=True,
    )
    run(module, work, then_look.waits(lambda _params: 0.0))


if __name__ == "__main__":
    main()
