"""Writes the fleet's report. Runs in the controller's own process, for all hosts of a play at once; changes no host.

Options: hosts and declared (names), dir, kind, fail_on, keep, compare_with; or merge, a list of documents to take the
hosts from. Returns files, problems, lines, failing (name to sentence), check_mode; and for the terminal overview, which
ends a run, and story, how each host came out. With scripts, which takes dir only, the audit that is in the folder is
brought into its report; that returns files, problems and lines.
"""

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
from ansible.module_utils.ib_fleet.run import answers, clock, command_line, write_report  # noqa: E402 - needs the path
from ansible.module_utils.ib_fleet.store import documents  # noqa: E402 - needs the path above

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
        found = fleet_document.with_next(found, given)
        folder = Path(options["dir"]).expanduser()
        written = write_report.write_all(
            found, folder, keep=keep, compare_with=str(options["compare_with"] or write_report.PREVIOUS)
        )
        sentences = {host["name"]: fleet_document.sentence(host) for host in found["hosts"]}
        page = next((each for each in written.files if each.endswith(write_report.PAGE)), "")
        shown = overview.overview(found, written.comparison, page)
        result.update(
            changed=False,
            files=written.files,
            problems=[*fleet_document.gaps(found), *written.problems],
            lines=[*fleet_document.lines(found), *overview.changes(shown), *_written(written)],
            failing={name: sentences[name] for name in failing},
            overview=shown,
            story=story.ending(found),
            check_mode=found["check_mode"],
        )
        return result

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
