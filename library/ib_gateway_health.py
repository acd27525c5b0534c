#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Looks at a host's gateways, judges them, and plans what would repair them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_gateway_health
short_description: Judge the gateways of a host and plan their repair
version_added: 0.1.0
description:
  - Takes one look at the processes, listeners and connections of the host, opens one API session where that is safe,
    and says for each declared gateway whether scripts can use it, what is wrong, and which steps would mend it.
  - Changes nothing and signals nothing.
  - What cannot be seen makes a gateway V(unknown), never healthy and never broken.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.gateways]
options:
  gateways:
    required: true
  probe:
    description:
      - V(auto) opens a session only when the socket table shows the API slot free. A full slot is judged by it.
      - V(always) opens one whenever a gateway listens. V(never) opens none.
    type: str
    choices: [auto, always, never]
    default: auto
  probe_depth:
    description:
      - V(quick) ends a session once the gateway has told the time. Where it does not tell it, the requests of V(full)
        show whether it answers at all.
      - V(full) also asks for what C(IB.connect) reads before a script goes on, which is positions, open and completed
        orders, the values of one account, and executions. The subscriptions among them are cancelled again.
      - A session that opens in full and answers none of these is of no use to a script.
    type: str
    choices: [quick, full]
    default: quick
  probe_timeout:
    description: Seconds for each session, whatever its depth.
    type: float
    default: 5.0
  probe_patience:
    description:
      - Seconds until a gateway that has opened no session is called deaf, where that is more than O(probe_timeout).
        What it is more is shared by all gateways of the host, so that a plan is not old when it is made.
      - One that opens it later than scripts wait is told as C(session_slow), and is not restarted for it.
      - A connection that fails at once, or waits in an accept queue, is looked at again until then, every two seconds.
    type: float
    default: 0.0
  reset_window:
    description:
      - The broker's reset window that this moment lies in, in words. Empty outside of any.
      - Inside one a gateway that does not serve is waited for, because a restart does not help.
    type: str
    default: ''
  login_reset:
    description:
      - When the broker has last ended all logins, or is about to, in seconds since the epoch.
      - A gateway process that is older has no login that a restart could keep. V(0) where nobody knows.
    type: float
    default: 0.0
  stopped:
    description:
      - The names of entries whose gateway this run has ended.
      - That IBC's log tells of a stop there does not mean that a person wants it so.
    type: list
    elements: str
    default: []
  engine:
    description:
      - V(socket) speaks the protocol itself. V(ib_insync) opens the session as a trading script would, through
        ib_insync or ib_async.
      - Where neither is installed the socket engine judges, and RV(proof) says what is missing.
    type: str
    choices: [socket, ib_insync]
    default: socket
  known_served:
    description:
      - Gateways that an earlier look of the same run has seen serve, from RV(gateways[].served_before).
      - Such a gateway is not taken for one that is still starting, although the connections that showed it have gone.
    type: list
    elements: dict
    default: []
    suboptions:
      pid:
        description: Process id.
        type: int
        required: true
      started_ticks:
        description: Its start in clock ticks after boot.
        type: int
        required: true
  looks:
    description:
      - How many looks to take. A gateway is healthy when all of them say so and it stayed the same process throughout.
      - The first look in which none is healthy is the last.
    type: int
    default: 1
  soak:
    description: Seconds over which the looks are spread. Not used for one look.
    type: float
    default: 0.0
  state_dir:
    description:
      - The folder of the repairs' journal on the host. An empty text means the account's own one.
      - Left out, the journal is not read.
    type: str
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_process_stop
  - module: ib_gateway_start
"""

EXAMPLES = r"""
- name: Judge the gateways of this host
  ib_gateway_health:
    gateways: "{{ ib_gateways }}"
  register: health

- name: Judge as a script would find them
  ib_gateway_health:
    gateways: "{{ ib_gateways }}"
    engine: ib_insync
    probe_depth: full
    probe_timeout: 10

- name: Judge without opening a session
  ib_gateway_health:
    gateways: "{{ ib_gateways }}"
    probe: never
"""

RETURN = r"""
status:
  description: The worst status of the declared gateways, of V(healthy), V(degraded), V(unknown) and V(unhealthy).
  returned: success
  type: str
  sample: unhealthy
gateways:
  description: One item for each entry, in the order of the entries.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The entry's name., type: str, returned: always, sample: live}
    trading_mode: {description: The entry's mode., type: str, returned: always, sample: live}
    port: {description: The entry's port., type: int, returned: always, sample: 4001}
    remediation: {description: The entry's remediation., type: str, returned: always, sample: auto}
    status: {description: The gateway's status., type: str, returned: always, sample: unhealthy}
    verdict:
      description: The code of the finding that weighs most, or V(healthy).
      type: str
      returned: always
      sample: not_listening
    summary:
      description: One line for a person.
      type: str
      returned: always
      sample: live runs (pid 4711) but nothing listens on port 4001
    findings:
      description: What is so, each with its evidence.
      type: list
      elements: dict
      returned: always
      contains:
        code: {description: The finding's code., type: str, returned: always, sample: not_listening}
        severity:
          description: V(info), V(degraded), V(unknown) or V(unhealthy).
          type: str
          returned: always
          sample: unhealthy
        summary:
          description: The finding in a sentence.
          type: str
          returned: always
          sample: nothing listens on port 4001
        evidence:
          description: What was seen. The keys depend on the code.
          type: dict
          returned: always
          sample: {port: 4001}
        steps:
          description: The steps of the plan that are taken because of it.
          type: list
          elements: dict
          returned: always
          sample: []
    processes:
      description: Its gateway processes, each as RV(ib_gateway_info#module:gateways) has them.
      type: list
      elements: dict
      returned: always
      sample: []
    served_before:
      description: Those of its processes that were seen to have listened on the entry's port.
      type: list
      elements: dict
      returned: always
      contains:
        pid: {description: Process id., type: int, returned: always, sample: 4711}
        started_ticks: {description: Its start in clock ticks after boot., type: int, returned: always, sample: 8812345}
    listeners:
      description: Who listens on its port and where its processes listen, as RV(ib_listener_info#module:listeners).
      type: list
      elements: dict
      returned: always
      sample: []
    clients:
      description: Who uses its API, as RV(ib_client_info#module:clients).
      type: list
      elements: dict
      returned: always
      sample: []
    api:
      description: What the API session came to, with the keys M(ib_api_probe) returns. V(null) when none was opened.
      type: dict
      returned: always
      sample: null
    plan:
      description: What would mend it.
      type: dict
      returned: always
      contains:
        steps:
          description: The steps, least disruptive first.
          type: list
          elements: dict
          returned: always
          contains:
            action:
              description: V(wait), V(drop_connection), V(stop_client), V(stop_gateway), V(start) or V(restart).
              type: str
              returned: always
              sample: stop_client
            gateway: {description: The entry's name., type: str, returned: always, sample: live}
            target:
              description: Whom exactly.
              type: dict
              returned: always
              sample: {pid: 815, started_ticks: 8812345}
            reason: {description: Why., type: str, returned: always, sample: client_patterns name it}
            disruption:
              description: What an action of this kind costs.
              type: str
              returned: always
              sample: one script loses its API session
            finding:
              description: The code of the finding behind it.
              type: str
              returned: always
              sample: competing_clients
            costs:
              description:
                - What it costs in this case. Whose working sessions end, whether a login is needed, for how long no
                  session can be had. Empty for nothing.
              type: str
              returned: always
              sample: 'ends 1 working session: pid 815 (python3 bot.py) of trader; the script goes on; no login'
            only_if_persists:
              description: Whether it is only taken when the steps before it do not help.
              type: bool
              returned: always
              sample: false
        withheld:
          description: What would help and is not done, each with its reason.
          type: list
          elements: str
          returned: always
          sample: []
        digest:
          description:
            - A hash over the evidence the plan rests on. What acts compares it with the host as it is by then, and
              does nothing where it has changed.
          type: str
          returned: always
          sample: 9c1185a5c5e9fc54612808977ee8f548b2258d31d5a7b5a35b9e4d0a1b2c3d4e
        made_at:
          description: When the look was taken that the plan rests on.
          type: dict
          returned: always
          contains:
            boot_id:
              description: The boot it belongs to.
              type: str
              returned: always
              sample: 1b4e28ba-2fa1-11d2-883f-0016d3cca427
            boottime: {description: Seconds since that boot., type: float, returned: always, sample: 88123.4}
undeclared:
  description:
    - Gateways that fit no entry, as RV(ib_gateway_info#module:gateways). They are never touched.
    - C(used_by) of each is a list of the processes of this host with a session on it, each with
      C(pid), C(started_ticks), C(user) and C(argv).
  returned: success
  type: list
  elements: dict
  sample: []
proof:
  description: Which engine could open sessions.
  returned: success
  type: dict
  contains:
    wanted: {description: The engine asked for., type: str, returned: always, sample: ib_insync}
    used: {description: 'V(socket), V(ib_insync) or V(ib_async).', type: str, returned: always, sample: ib_insync}
    missing:
      description: What is missing for the engine asked for, and how to add it, or V(null).
      type: str
      returned: always
      sample: null
visibility:
  description: What the look could see.
  returned: success
  type: dict
  contains:
    complete: {description: Whether nothing was hidden., type: bool, returned: always, sample: true}
    looked_as: {description: The account that looked., type: str, returned: always, sample: root}
    privileged: {description: Whether that account sees everything., type: bool, returned: always, sample: true}
    missing:
      description: What could not be seen, in words.
      type: list
      elements: str
      returned: always
      sample: []
reset_window:
  description: The broker's reset window that was given, or an empty text.
  returned: success
  type: str
  sample: ''
repairs:
  description: What the journal on the host says of earlier repairs. V(null) without O(state_dir).
  returned: success
  type: dict
  contains:
    journal:
      description: 'V(absent), V(ok) or V(unusable). With V(unusable) nothing is repaired.'
      type: str
      returned: always
      sample: ok
    note: {description: What is wrong with it and how to mend it., type: str, returned: always, sample: ''}
    paused: {description: The pause that holds on this host., type: str, returned: always, sample: null}
    latched:
      description: Gateways whose last repair did not succeed. No step is taken on them.
      type: list
      elements: dict
      returned: always
      sample: [{gateway: live, since: '2025-04-25T05:00:12Z', reason: still handshake_stalled}]
    unfinished:
      description: Steps of earlier runs of which only the intent is known.
      type: list
      elements: dict
      returned: always
      sample: []
    lease:
      description: The run that repairs this host now, since when, and when its hold ends if it has died.
      type: dict
      returned: always
      sample: null
    self_heal:
      description: How the host heals itself by a timer of its own. V(null) where it does not.
      type: dict
      returned: always
      contains:
        every: {description: Seconds between two of its runs at most., type: float, returned: always, sample: 360}
        looked_at:
          description: When its last run ended. V(null) where there was none yet, or that is not known.
          type: str
          returned: always
          sample: '2025-04-25T05:00:12Z'
        result:
          description:
            - What that run came to, V(healthy), V(not_healthy), or V(failed) where it did not come to an end.
            - V(waiting) before the first one, V(unknown) where the host's own record cannot be used.
          type: str
          returned: always
          sample: healthy
        overdue: {description: Whether it has missed two runs., type: bool, returned: always, sample: false}
        note: {description: Why it is not known., type: str, returned: always, sample: ''}
looks:
  description: When each look was taken and what it said.
  returned: success
  type: list
  elements: dict
  contains:
    taken_at: {description: When., type: str, returned: always, sample: '2025-04-25T05:00:12Z'}
    status: {description: The worst status of all gateways., type: str, returned: always, sample: healthy}
taken_at: {description: When the look was taken., type: str, returned: success, sample: '2025-04-25T05:00:12Z'}
elapsed_ms: {description: 'How long it took, the soak included.', type: float, returned: success, sample: 12.3}
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.lifecycle import places
from ansible.module_utils.ib_gateway.module import assess
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run

ARGUMENTS = {
    "gateways": GATEWAYS_OPTION,
    **assess.OPTIONS,
    "engine": {"type": "str", "choices": ["socket", "ib_insync"], "default": "socket"},
    "looks": {"type": "int", "default": 1},
    "soak": {"type": "float", "default": 0.0},
    "state_dir": {"type": "str"},
}
_MOST_LOOKS = 100
_LONGEST_SOAK = 600.0


def work(module: GatewayModule) -> Dict[str, Any]:
    """Looks, judges and plans."""
    options = module.params
    assess.check(module, options)
    looks, soak = module.number("looks", 1, _MOST_LOOKS), module.number("soak", 0, _LONGEST_SOAK)
    places.use(options["state_dir"] or "")
    specs = [module.with_command(spec) for spec in module.specs()]
    if options["engine"] == "ib_insync":
        from ansible.module_utils.ib_gateway.module.proof import Library

        library = Library()
        found = assess.assess(specs, options, library.probe, looks, soak)
        proof = library.proof()
    else:
        found = assess.assess(specs, options, looks=looks, soak=soak)
        proof = {"wanted": "socket", "used": "socket", "missing": None}
    repairs = None if options["state_dir"] is None else _repairs(options["state_dir"])
    return {**found, "proof": proof, "repairs": repairs}


def _repairs(state_dir: str) -> Dict[str, Any]:
    from ansible.module_utils.ib_gateway.state.repair_status import read_status

    return read_status(state_dir)


def _waits(params: Dict[str, Any]) -> float:
    """Seconds that the sessions and the soak may take; a session's library may need as long again to load."""
    sessions = assess.session_seconds(params, params) * 2
    return float(min(abs(params["soak"]), _LONGEST_SOAK) + min(abs(params["looks"]), _MOST_LOOKS) * sessions)


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work, _waits)


if __name__ == "__main__":
    main()
