#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Pauses repairs of a host, or of all hosts of a controller, until a moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_repair_pause
short_description: Pause repairs until a moment
version_added: 0.2.0
description:
  - Puts a pause file in place, or removes it. While it stands no act is begun on the host, and looks go on.
  - A pause always has a reason and an end, so that none is forgotten.
  - With O(path) it writes the pause file of a controller, which holds for all its hosts.
extends_documentation_fragment: [ib_gateway.attributes]
options:
  state:
    description: Whether repairs are paused.
    type: str
    choices: [present, absent]
    default: present
  reason:
    description: Why, in words. Needed for a pause.
    type: str
    default: ''
  until:
    description: When it ends, as C(2026-11-22T18:00:00Z), with a zone. Give this or O(minutes) for a pause.
    type: str
  minutes:
    description: After how many minutes from now it ends. A pause that is given so is always a change.
    type: float
  state_dir:
    description:
      - The folder on the host that holds lease, journal and pause file.
      - Empty for C(/var/lib/ib-gateway-repair) as root, C(~/.local/state/ib-gateway-repair) as another account.
    type: str
    default: ''
  path:
    description: Another file than the one in O(state_dir), an absolute path in a folder that exists.
    type: str
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_repair_begin
"""

EXAMPLES = r"""
- name: Pause repairs of this host for an hour
  ib_repair_pause:
    reason: the broker moves our accounts
    minutes: 60
"""

RETURN = r"""
file:
  description: The pause file.
  returned: success
  type: str
  sample: /var/lib/ib-gateway-repair/pause.json
paused:
  description: The pause as it holds now, or in check mode would. Empty for none.
  returned: success
  type: str
  sample: 'paused until 2026-11-22T18:00:00Z: the broker moves our accounts'
"""

import os
import time
from typing import Any, Dict

from ansible.module_utils.ib_gateway.module.runner import Module, run
from ansible.module_utils.ib_gateway.state import pause, repair_state
from ansible.module_utils.ib_gateway.state.records import clean, epoch, rfc3339
from ansible.module_utils.ib_gateway.state.state_folder import Folder, default_folder

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "reason": {"type": "str", "default": ""},
    "until": {"type": "str"},
    "minutes": {"type": "float"},
    "state_dir": {"type": "str", "default": ""},
    "path": {"type": "str"},
}

_MOST_MINUTES = 366 * 24 * 60.0


def work(module: Module) -> Dict[str, Any]:
    """Pauses, or lets repairs go on."""
    options = module.params
    now = time.time()
    wanted = _wanted(module, now) if options["state"] == "present" else None
    own = options["path"] is not None
    path = options["path"] if own else os.path.join(options["state_dir"] or default_folder(), pause.FILE)
    if not path.startswith("/"):
        module.give_up("the option %s is not an absolute path" % ("path" if own else "state_dir"))
    if not own:
        folder = Folder.open(options["state_dir"], create=wanted is not None and not module.check_mode)
        if folder is not None:
            folder.close()
    try:
        changed = pause.read(path, now) != wanted if wanted else _is_there(path)
        if changed and not module.check_mode:
            if wanted is None:
                pause.remove(path)
            else:
                pause.write(path, wanted.reason, epoch(wanted.until), 0o644 if own else 0o600)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or clean(str(error))
        module.give_up("the pause file %s cannot be changed: %s" % (clean(path), why))
    paused = wanted.text if wanted else ""
    return {"changed": changed, "file": path, "paused": paused, "msg": _told(paused, changed, module.check_mode)}


def _told(paused: str, changed: bool, check_mode: bool) -> str:
    if paused:
        return "would be %s" % paused if check_mode and changed else paused
    if not changed:
        return "no pause was set"
    return "the pause would end" if check_mode else "the pause has ended"


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _wanted(module: Module, now: float) -> pause.Pause:
    """The pause that the options ask for; ends the module when they are not one."""
    reason, until, minutes = clean(module.params["reason"]), module.params["until"], module.params["minutes"]
    if not reason:
        module.give_up("the option reason is empty; say in a few words why repairs are paused")
    if minutes is not None and not 0 < minutes <= _MOST_MINUTES:
        module.give_up("the option minutes is %g; give a number above 0, at most %g" % (minutes, _MOST_MINUTES))
    end = now + 60.0 * (minutes or 0.0)
    if until is not None:
        try:
            end = epoch(until)
        except ValueError as error:
            module.give_up("the option until cannot be used: %s" % error)
    if end <= now:
        module.give_up("the option until is %s, which is over" % clean(until, 60))
    return pause.Pause(reason, rfc3339(end))


def main() -> None:
    """Runs the module."""
    exclusive = [["until", "minutes"]]
    needed = [["state", "present", ["until", "minutes"], True]]
    module = Module(argument_spec=ARGUMENTS, mutually_exclusive=exclusive, required_if=needed, supports_check_mode=True)
    run(module, work, reads=repair_state.READS, expected=repair_state.EXPECTED)


if __name__ == "__main__":
    main()
