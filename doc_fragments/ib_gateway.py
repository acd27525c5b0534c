# SPDX-License-Identifier: Apache-2.0
"""Documentation that several modules share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_gateway.base import keys  # noqa: E402 - needs the path above


def _suboptions(rows: Mapping[str, Mapping[str, Any]], spec: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A table of keys, and the argument spec made from it, as the documentation of suboptions."""
    found: dict[str, Any] = {}
    for key, row in rows.items():
        default = ["Default: %s." % row["unset"]] if "unset" in row else []
        found[key] = {"description": [row["meaning"], *default], **spec[key]}
        if "options" in row:
            found[key]["suboptions"] = _suboptions(row["options"], found[key].pop("options"))
    return found


class ModuleDocFragment:
    """Options and attributes that read the same everywhere."""

    ATTRIBUTES = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict the outcome without changing the host.
    support: full
  diff_mode:
    description: Returns what changes, or would change, in diff mode.
    support: none
  platform:
    description: The systems it works on.
    platforms: posix
    support: full
"""

    #: JSON is YAML.
    GATEWAYS = json.dumps(
        {
            "options": {
                "gateways": {
                    "description": [
                        "The gateways that should run on this host, as the inventory declares them.",
                        "A process belongs to an entry when O(gateways[].user) and O(gateways[].config_dir) fit, and "
                        "where these do not tell, by the trading mode in its command line and by the port it listens "
                        "on.",
                    ],
                    "type": "list",
                    "elements": "dict",
                    "suboptions": _suboptions(keys.KEYS, keys.ENTRY_OPTIONS),
                }
            }
        }
    )

    AUTHORIZATION = r"""
options:
  authorization:
    description:
      - What the controller allows this run to do on this host, and in whose name.
      - With it, each act is checked against the plan, the host's pause file, the limits and what earlier runs have
        left, and written to the host's journal before it is done and after.
      - Without it nothing is checked but the identity of what is acted on, and nothing is journalled.
    type: dict
    aliases: [warrant]
    suboptions:
      run:
        description: A text that is this run's own, the same for all its modules, such as a UUID.
        type: str
        required: true
      by:
        description: Who runs it, as people on this host will read it.
        type: str
        required: true
      holder:
        description:
          - The run's own process, as the filter P(ib_new_run#filter) tells it. A run on the same machine can then prove
            that this one has ended, and need not wait for the end of its lease.
        type: str
        default: ''
      state_dir:
        description:
          - The folder on the host that holds lease, journal and pause file.
          - Empty for C(/var/lib/ib-gateway-repair) as root, C(~/.local/state/ib-gateway-repair) as another account.
        type: str
        default: ''
      blocked_reason:
        description: Why nothing may be done at all just now. Empty when there is no such reason.
        type: str
        default: ''
        aliases: [forbidden]
      max_age:
        description: How many seconds a plan may be old when it is acted on.
        type: float
        default: 60.0
      plans:
        description: What the run's plans were made from, one for each gateway that may be acted on.
        type: list
        elements: dict
        default: []
        suboptions:
          gateway:
            description: The entry's name.
            type: str
            required: true
          digest:
            description: The digest of the evidence, as M(ib_gateway_health) returns it. It must still hold.
            type: str
            required: true
          boot_id:
            description: The boot in which the plan was made.
            type: str
            required: true
          made_at:
            description: When it was made, in seconds of that boot (CLOCK_BOOTTIME).
            type: float
            required: true
      limits:
        description: How often a gateway may be repaired.
        type: dict
        suboptions:
          repairs_per_hour:
            description: In how many runs within an hour a gateway may be acted on.
            type: int
            default: 3
          restarts_per_hour:
            description: How many times within an hour a gateway may be restarted. Once in each run at most.
            type: int
            default: 2
          backoff:
            description: How many seconds the next repair waits after the last one. Doubled by each within the hour.
            type: float
            default: 60.0
"""

    STEPS = r"""
options:
  steps:
    description:
      - Steps of a plan, as M(ib_gateway_health) returns them. The module takes those of its own actions only.
      - Each is a dictionary of the shape below. What its target has to have depends on the action.
    type: list
    elements: dict
    suboptions:
      action:
        description: The action. May be left out where the module does only one.
        type: str
      gateway:
        description: The name of the entry.
        type: str
        required: true
      target:
        description: Whom the step means, exactly. All of it is proven again before anything is done.
        type: dict
        required: true
      reason:
        description: Why the step was planned. For people.
        type: str
        default: ''
      disruption:
        description: What the step costs. For people.
        type: str
        default: ''
      finding:
        description: The code of the finding that it is for.
        type: str
        default: ''
      only_if_persists:
        description: Whether it is for the case that the steps before it do not help.
        type: bool
        default: false
      costs:
        description: What the step costs in this case. For people.
        type: str
        default: ''
"""

    THEN_LOOK = r"""
options:
  then_look:
    description:
      - How to look at the host when the module is done, in the same call. RV(health) is what came of it.
      - Options as M(ib_gateway_health) has them. Without it nothing is looked at afterwards. Needs O(gateways).
      - What was started is first waited for, until it listens or its O(gateways[].start_timeout) is over.
    type: dict
    suboptions:
      probe:
        description: Whether to open an API session.
        type: str
        choices: [auto, always, never]
        default: auto
      probe_depth:
        description: How much a session asks for.
        type: str
        choices: [quick, full]
        default: quick
      probe_timeout:
        description: Seconds for each session.
        type: float
        default: 5.0
      probe_patience:
        description:
          - Seconds until a gateway that opens no session, or takes no connection, is called deaf, where that is more.
        type: float
        default: 0.0
      reset_window:
        description: The broker's reset window that this moment lies in, in words. Empty outside of any.
        type: str
        default: ''
      login_reset:
        description: When the broker has last ended all logins, or is about to, in seconds since the epoch.
        type: float
        default: 0.0
      stopped:
        description: The names of entries whose gateway this run has ended.
        type: list
        elements: str
        default: []
      known_served:
        description: Gateways that an earlier look of the same run has seen serve.
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
"""
