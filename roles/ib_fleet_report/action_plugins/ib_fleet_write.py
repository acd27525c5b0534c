# SPDX-License-Identifier: Apache-2.0
"""Writes the fleet's report. Runs in the controller's own process, for all hosts of a play at once; changes no host."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.context import CLIARGS
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parents[3] / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.document import fleet_document, merge  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.document.report_error import ReportError  # noqa: E402
from ansible.module_utils.ib_fleet.render import overview, story  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.run import (  # noqa: E402 - needs the path above
    answers,
    clock,
    command_line,
    notify,
    write_report,
)
from ansible.module_utils.ib_fleet.store import documents  # noqa: E402 - needs the path above

DOCUMENTATION = r"""
module: ib_fleet_write
short_description: Write the report of a run over the fleet
version_added: 0.2.0
description:
  - Makes one document of what the roles have registered on all hosts of a play, and writes it as JSON, as a page, for
    CI and for Prometheus.
  - Runs on the controller and contacts no host. It never counts as a change, also not in check mode.
  - The role C(ib_fleet_report) uses it.
options:
  hosts:
    description: The names of the hosts that the run is about.
    type: list
    elements: str
  declared:
    description: The names of the hosts that should be in the report. One that is missing is named in it.
    type: list
    elements: str
    default: []
  dir:
    description: The folder on the controller to write to. It is made where it is missing.
    type: path
    required: true
  kind:
    description: What the run did.
    type: str
    choices: [sweep, remediate]
  fail_on:
    description: From which status on a host fails the run. V(never) for none.
    type: str
    choices: [unknown, degraded, unhealthy, never]
  keep:
    description: How many sweeps the history keeps.
    type: int
  compare_with:
    description: The sweep to compare with, V(previous) or the time of one in the history.
    type: str
  merge:
    description: The documents, or folders of them, of other runs to take the hosts from, instead of O(hosts).
    type: list
    elements: str
  scripts:
    description:
      - Whether to bring the audit that is in the folder into its report, and do nothing else.
      - All but O(dir) is then left out.
    type: bool
    default: false
attributes:
  check_mode:
    description: Does the same in check mode, because no host is changed.
    support: full
  diff_mode:
    description: Returns what changes, or would change, in diff mode.
    support: none
  platform:
    description: The systems it works on.
    platforms: posix
    support: full
author: [IB Gateway Remediation developers (@ib-gateway-remediation)]
"""

EXAMPLES = r"""
- name: Write the report of a sweep
  ib_fleet_write:
    hosts: "{{ ansible_play_hosts_all }}"
    declared: "{{ groups['trading_hosts'] }}"
    dir: /var/lib/ib-reports
    kind: sweep
    fail_on: unknown
    keep: 200
    compare_with: previous
  register: report
  run_once: true
"""

RETURN = r"""
files:
  description: The paths that were written.
  returned: always
  type: list
  elements: str
problems:
  description: What could not be written, or is missing from the report, in words. Empty when it is whole.
  returned: always
  type: list
  elements: str
lines:
  description: The report in lines, for a terminal.
  returned: always
  type: list
  elements: str
failing:
  description: Why a host fails the run, by its name.
  returned: unless O(scripts)
  type: dict
overview:
  description: What the callback C(ib_fleet_progress) shows at the end of a run.
  returned: unless O(scripts)
  type: dict
story:
  description: How each host came out, in sections of lines, for the callback C(ib_terminal).
  returned: unless O(scripts)
  type: list
  elements: raw
check_mode:
  description: Whether the run was in check mode.
  returned: unless O(scripts)
  type: bool
"""

_FROZEN = "ib_gateway_repair_frozen"
_OPTIONS = ("hosts", "declared", "dir", "kind", "fail_on", "keep", "compare_with", "merge", "scripts")


class ActionModule(ActionBase):  # type: ignore[misc]
    """One task, run once."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(_OPTIONS)

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Makes the document, writes every file, and says what could not be written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        options, known = self._task.args, task_vars or {}
        if boolean(options.get("scripts"), strict=False):
            added = write_report.write_scripts(Path(options["dir"]).expanduser())
            result.update(changed=False, files=added.files, problems=added.problems, lines=_written(added))
            return result
        try:
            found = _merged(options) if options.get("merge") else self._document(options, known)
            failing, keep = fleet_document.failing(found, options["fail_on"]), _at_least_one(options["keep"])
        except (ReportError, ValueError) as error:
            raise AnsibleActionFail(str(error)) from error
        configured = [str(each) for each in known.get("ansible_inventory_sources") or ()]
        given = command_line.options(CLIARGS, configured, str(Path.cwd()))
        found = fleet_document.with_next(found, given, command_line.as_typed)
        folder = Path(options["dir"]).expanduser()
        written = write_report.write_all(
            found, folder, keep=keep, compare_with=str(options["compare_with"] or write_report.PREVIOUS)
        )
        sent = self._notify(found, folder, known) if not options.get("merge") else notify.Sent()
        sentences = {host["name"]: fleet_document.sentence(host) for host in found["hosts"]}
        page = next((each for each in written.files if each.endswith(write_report.PAGE)), "")
        shown = overview.overview(found, written.comparison, page, sent.lines)
        result.update(
            changed=False,
            files=written.files,
            problems=[*fleet_document.gaps(found), *written.problems, *sent.problems],
            lines=[*fleet_document.lines(found), *overview.changes(shown), *_written(written)],
            failing={name: sentences[name] for name in failing},
            overview=shown,
            story=story.ending(found),
            check_mode=found["check_mode"],
        )
        return result

    def _notify(self, found: Mapping[str, Any], folder: Path, known: Mapping[str, Any]) -> notify.Sent:
        """Tells who wants to be told. Addresses are secret: they are read here and are no argument of the task."""
        role = "ib_fleet_report_notify_"
        addresses, least = (self._templar.template(known.get(role + each)) for each in ("urls", "on"))
        return notify.tell(found, folder, addresses, least or "unhealthy")

    def _document(self, options: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """The document of this run, from what the roles registered."""
        hostvars = known["hostvars"]
        hosts = [fleet_document.host_document(str(name), _facts(hostvars[name])) for name in options["hosts"]]
        return fleet_document.document(
            hosts,
            {
                "kind": options["kind"],
                "started_at": clock.started_at(),
                "generated_at": clock.now(),
                "check_mode": bool(self._task.check_mode),
                "frozen": next(filter(None, (_text(hostvars[name].get(_FROZEN)) for name in options["hosts"])), None),
                "declared": options.get("declared") or (),
            },
        )


def _at_least_one(keep: Any) -> int:
    if not str(keep).isdigit() or int(keep) < 1:
        raise ValueError("the history keeps %r sweeps; use a whole number of at least 1" % (keep,))
    return int(keep)


def _facts(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What a host's part of the document is made from: its groups, and what it answered, checked."""
    return {"group_names": variables.get("group_names"), **answers.of(variables)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _merged(options: Mapping[str, Any]) -> dict[str, Any]:
    """One document out of those that other runs wrote."""
    return merge.merge([documents.read(path) for path in _paths(options["merge"])], options.get("declared") or ())


def _paths(patterns: Iterable[str]) -> list[Path]:
    found = []
    for pattern in patterns:
        paths = sorted(glob.glob(str(Path(pattern).expanduser())))
        if not paths:
            raise ReportError(f"there is nothing to merge at {pattern}")
        found += [Path(path) / "fleet.json" if Path(path).is_dir() else Path(path) for path in paths]
    return found


def _written(written: write_report.Written) -> list[str]:
    return ["Report: %s" % each for each in written.files if each.endswith((".html", "fleet.json"))]
