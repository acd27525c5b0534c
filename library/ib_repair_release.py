#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lifts the latches of gateways, by a person's will."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_repair_release
short_description: Lift the latch of gateways whose last repair did not succeed
version_added: 0.2.0
description:
  - Lets repairs act again on gateways that are latched after a repair without success. Touches no gateway itself.
  - Limits and backoff are not lifted. They pass by themselves.
  - Does nothing for gateways that are not latched.
extends_documentation_fragment: [ib_gateway.attributes]
options:
  gateways:
    description: The names of the gateways. All of this host when empty.
    type: list
    elements: str
    default: []
  reason:
    description: What a person has seen or done, in words. It is kept in the journal.
    type: str
    required: true
  by:
    description: Who does this, as people on this host will read it.
    type: str
    default: ''
  state_dir:
    description:
      - The folder on the host that holds lease, journal and pause file.
      - Empty for C(/var/lib/ib-gateway-repair) as root, C(~/.local/state/ib-gateway-repair) as another account.
    type: str
    default: ''
  reset_journal:
    description:
      - Whether to set a journal aside that is lost, damaged or not to be trusted, and to begin a new one.
      - The new one knows of no latches and no earlier repairs. A journal that can be used is left alone.
    type: bool
    default: false
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_repair_end
"""

EXAMPLES = r"""
- name: Let the live gateway be repaired again
  ib_repair_release:
    gateways: [live]
    reason: the second factor was confirmed by hand
    by: alice
"""

RETURN = r"""
released:
  description: The gateways whose latch was lifted, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [live]
journal:
  description: V(ok), or V(absent) for a host that never had one.
  returned: success
  type: str
  sample: ok
set_aside:
  description: Where the files are now that could not be used. Empty when none was set aside, or when it was lost.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any, Dict

from ansible.module_utils.ib_gateway.module.runner import Module, run
from ansible.module_utils.ib_gateway.state import repair_state
from ansible.module_utils.ib_gateway.state.records import clean

ARGUMENTS = {
    "gateways": {"type": "list", "elements": "str", "default": []},
    "reason": {"type": "str", "required": True},
    "by": {"type": "str", "default": ""},
    "state_dir": {"type": "str", "default": ""},
    "reset_journal": {"type": "bool", "default": False},
}


def work(module: Module) -> Dict[str, Any]:
    """Releases."""
    options = module.params
    if not clean(options["reason"]):
        module.give_up("the option reason is empty; say in a few words what was seen to, it is kept in the journal")
    found = repair_state.release(
        options["state_dir"],
        options["gateways"],
        options["by"],
        options["reason"],
        options["reset_journal"],
        module.check_mode,
    )
    return {**found, "msg": _told(found, module.check_mode)}


def _told(found: Dict[str, Any], check_mode: bool) -> str:
    """What a person reads of a release."""
    could = "could" if check_mode else "may"
    told = ["%s %s be repaired again" % (", ".join(found["released"]), could)] if found["released"] else []
    if found["set_aside"]:
        told.append("the old journal is kept as %s" % ", ".join(found["set_aside"]))
    if found["changed"] and not told:
        told.append("a new journal would be begun" if check_mode else "a new journal was begun")
    return "; ".join(told) or "no gateway was held back after a failed repair"


def main() -> None:
    """Runs the module."""
    module = Module(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, work, reads=repair_state.READS, expected=repair_state.EXPECTED)


if __name__ == "__main__":
    main()
