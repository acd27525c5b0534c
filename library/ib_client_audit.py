#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Audits trading scripts without running them, and on request mends what can be mended safely."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ib_client_audit
short_description: Audit trading scripts and mend what can be mended safely
version_added: 0.1.0
description:
  - Reads scripts that use ib_insync, ib_async or the official ibapi, and says what in them leads to outages.
  - Never runs and never imports what it reads. Names are followed through imports, aliases, constants, default
    arguments and attributes, also into files beside a script.
  - Changes nothing unless O(fix=true).
  - C(# ib-audit:) C(ignore[code] reason) on the line of a problem, or alone on the line before, takes it out.
extends_documentation_fragment: [ib_gateway.attributes, ib_gateway.gateways]
attributes:
  diff_mode:
    support: full
options:
  paths:
    description:
      - Files, folders and globs on the host. Of a folder all Python files and notebooks below it, hidden folders and
        virtual environments left out.
    type: list
    elements: str
    default: []
  running:
    description: Whether to audit the scripts of the processes that use the API, as M(ib_client_info) finds them.
    type: bool
    default: false
  gateways:
    description:
      - The gateways that should run on this host, as the inventory declares them. They tell which port stands for
        which trading mode, and O(gateways[].client_patterns) which script belongs to which gateway.
    default: []
  exclude:
    description: Globs on the whole path, or folders, that are left out of O(paths).
    type: list
    elements: str
    default: []
  max_size:
    description: Files with more bytes are reported and not read.
    type: int
    default: 1048576
  fix:
    description:
      - Whether to rewrite what can be rewritten safely. Comments and formatting stay. A backup is kept, the new text
        is parsed and audited before it replaces the old one in one step, and mode and owner are kept.
      - What is left is returned in RV(left), with the reason.
    type: bool
    default: false
  fix_codes:
    description: Which problems O(fix) may rewrite.
    type: list
    elements: str
    choices: &fixable
      - hardcoded_client_id
      - random_client_id
      - loop_in_function
      - loop_started_twice
      - loop_at_import
    default: *fixable
  kit_importable:
    description:
      - Whether every audited script can import C(ib_connect). A client id is only rewritten in scripts that can.
      - Scripts beside a file C(ib_connect.py) always can.
    type: bool
    default: false
  backup:
    description: Whether O(fix) keeps a copy of each file it rewrites, beside it.
    type: bool
    default: true
requirements:
  - LibCST in the Python interpreter that Ansible uses on the host, for O(fix=true) only
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
seealso:
  - module: ib_client_info
"""

EXAMPLES = r"""
- name: Audit the scripts of a folder
  ib_client_audit:
    paths: [/srv/trading]
    gateways: "{{ ib_gateways }}"
  register: audited

- name: Audit the scripts that use the API now
  ib_client_audit:
    running: true
    gateways: "{{ ib_gateways }}"

- name: Show what would be mended
  ib_client_audit:
    paths: ['/srv/trading/*.py']
    gateways: "{{ ib_gateways }}"
    fix: true
  check_mode: true
  diff: true
"""

RETURN = r"""
problems:
  description: What is wrong, by file and line. With O(fix=true) what is still wrong afterwards.
  returned: success
  type: list
  elements: dict
  contains: &problem
    code: {description: The problem's code., type: str, returned: always, sample: hardcoded_client_id}
    severity: {description: 'V(note), V(warning) or V(error).', type: str, returned: always, sample: warning}
    file: {description: The file's path., type: str, returned: always, sample: /srv/trading/cleanup_positions.py}
    line:
      description: The line, from 1. V(0) where the file as a whole is meant.
      type: int
      returned: always
      sample: 12
    column: {description: "The column, from 1. V(0) likewise.", type: int, returned: always, sample: 47}
    snippet:
      description: The line, with passwords hidden and account numbers masked.
      type: str
      returned: always
      sample: ib.connect('127.0.0.1', 4001, clientId=15)
    summary:
      description: What is wrong, in a sentence.
      type: str
      returned: always
      sample: client id 15 is written down
    remedy:
      description: What to do.
      type: str
      returned: always
      sample: Take an id that no other process holds.
summary:
  description: How many problems there are, by severity.
  returned: success
  type: dict
  contains:
    note: {description: Notes., type: int, returned: always, sample: 2}
    warning: {description: Warnings., type: int, returned: always, sample: 3}
    error: {description: Errors., type: int, returned: always, sample: 1}
files: {description: How many files were looked at., type: int, returned: success, sample: 12}
clients:
  description: The files that connect to a gateway.
  returned: success
  type: list
  elements: str
  sample: [/srv/trading/cleanup_positions.py]
running:
  description: The processes whose scripts were audited, with what they use now. Empty without O(running=true).
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: always, sample: 815}
    user: {description: The account that runs it., type: str, returned: always, sample: trader}
    file: {description: Its script., type: str, returned: always, sample: /srv/trading/cleanup_positions.py}
    ports:
      description: The API ports of this host to which it is connected now.
      type: list
      elements: int
      returned: always
      sample: [4001]
    holds:
      description: Those of these ports on which a gateway has given it a session.
      type: list
      elements: int
      returned: always
      sample: [4001]
    written_ports:
      description: The ports that its script and its command line say.
      type: list
      elements: int
      returned: always
      sample: [4001]
    client_ids:
      description: The client ids that its script and its command line say. Empty where they do not say one.
      type: list
      elements: int
      returned: always
      sample: [15]
    id_from:
      description: Where the id comes from, V(script), V(command line), V(default), V(kit), V(chance) or V(unknown).
      type: str
      returned: always
      sample: script
    shares_with:
      description: The processes that use the same id at the same gateway.
      type: list
      elements: int
      returned: always
      sample: [816]
    told:
      description: The same in a sentence.
      type: str
      returned: always
      sample: pid 815 (trader) runs /srv/trading/cleanup_positions.py, holds a session on port 4001, client id 15
ignored: {description: How many problems ignore comments took out., type: int, returned: success, sample: 0}
fixed:
  description: What was mended, or would be in check mode. Empty without O(fix=true).
  returned: success
  type: list
  elements: dict
  contains: *problem
left:
  description: What O(fix) could not mend safely.
  returned: success
  type: list
  elements: dict
  contains:
    code: {description: The problem's code., type: str, returned: always, sample: loop_in_function}
    file: {description: The file's path., type: str, returned: always, sample: /srv/trading/cleanup_positions.py}
    line: {description: The line., type: int, returned: always, sample: 12}
    reason:
      description: Why it was left.
      type: str
      returned: always
      sample: the file has no main guard to move the call to
backups:
  description: The copies that were kept.
  returned: success
  type: list
  elements: dict
  contains:
    file: {description: The file., type: str, returned: always, sample: /srv/trading/cleanup_positions.py}
    backup:
      description: Its copy.
      type: str
      returned: always
      sample: /srv/trading/cleanup_positions.py.4711.2025-04-25@07:00:12~
elapsed_ms: {description: How long it took., type: float, returned: success, sample: 41.7}
"""

import time
from typing import Any, Dict, List

from ansible.module_utils.ib_audit.analysis.effort import Effort
from ansible.module_utils.ib_audit.fixing.repair import FIXABLE, LibraryMissing, Outcome, mend
from ansible.module_utils.ib_audit.fixing.writing import write
from ansible.module_utils.ib_audit.reading import files, looking
from ansible.module_utils.ib_audit.reading.model import MAX_SIZE, SEVERITIES, Source, as_dict
from ansible.module_utils.ib_audit.rules.audit import audit
from ansible.module_utils.ib_audit.rules.processes import as_running, join
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION, GatewayModule, run

#: Seconds for the rules on one file, and for one audit of a host; a rewrite takes two or three audits.
SECONDS_EACH = 5.0
SECONDS_ALL = 40.0
#: Seconds a call may take on purpose, beside the minute that every module has.
_PATIENCE = 120.0

ARGUMENTS = {
    "paths": {"type": "list", "elements": "str", "default": []},
    "running": {"type": "bool", "default": False},
    "gateways": dict(GATEWAYS_OPTION, required=False, default=[]),
    "exclude": {"type": "list", "elements": "str", "default": []},
    "max_size": {"type": "int", "default": MAX_SIZE},
    "fix": {"type": "bool", "default": False},
    "fix_codes": {"type": "list", "elements": "str", "choices": list(FIXABLE), "default": list(FIXABLE)},
    "kit_importable": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": True},
}


def work(module: GatewayModule) -> Dict[str, Any]:
    """Reads, audits, and mends where it is asked to."""
    began = time.monotonic()
    options = module.params
    if not options["paths"] and not options["running"]:
        module.give_up("nothing to audit: give the option paths, or running: true")
    if options["max_size"] < 1:
        module.give_up("the option max_size is %d; give a number of bytes above 0" % options["max_size"])
    specs = module.specs() if options["gateways"] else []
    processes = looking.running(specs, options["max_size"]) if options["running"] else []
    try:
        named = files.gather(options["paths"], options["exclude"], options["max_size"])
    except files.TooManyFiles as error:
        module.give_up("the option paths cannot be used: %s" % error)
    sources = looking.together(named, processes)
    outcome = _mended(module, sources, specs) if options["fix"] else None
    lookup = files.Companions(options["max_size"])
    found = outcome.after if outcome else audit(sources, specs, lookup, _effort())
    written: Dict[str, Any] = write(module, outcome) if outcome else {"changed": False, "backups": [], "left": []}
    seen = join(found.case, looking.facts(processes)) if found.case is not None else []
    result: Dict[str, Any] = {
        "changed": written["changed"],
        "problems": [as_dict(problem) for problem in found.problems],
        "summary": {each: sum(one.severity == each for one in found.problems) for each in SEVERITIES},
        "files": found.files,
        "clients": list(found.clients),
        "running": [as_running(each) for each in seen],
        "ignored": found.ignored,
        "fixed": [as_dict(problem) for problem in outcome.fixed] if outcome else [],
        "left": [each._asdict() for each in [*outcome.left, *written["left"]]] if outcome else [],
        "backups": written["backups"],
    }
    if outcome and module._diff:
        result["diff"] = outcome.diffs()
    result["elapsed_ms"] = round((time.monotonic() - began) * 1000, 1)
    return result


def _mended(module: GatewayModule, sources: List[Source], specs: List[GatewaySpec]) -> Outcome:
    options = module.params
    lookup = files.Companions(options["max_size"])
    try:
        return mend(sources, specs, lookup, options["fix_codes"], options["kit_importable"], _effort)
    except LibraryMissing as error:
        module.give_up(str(error))


def _effort() -> Effort:
    """The limits of one audit: what is over them is named, and all other files are reported."""
    return Effort(SECONDS_EACH, time.process_time, SECONDS_ALL, time.monotonic)


def main() -> None:
    """Runs the module."""
    run(GatewayModule(argument_spec=ARGUMENTS, supports_check_mode=True), work, lambda _params: _PATIENCE)


if __name__ == "__main__":
    main()
