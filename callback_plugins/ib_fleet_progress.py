# SPDX-License-Identifier: Apache-2.0
"""Shows how far a look over the fleet has come, and at the end what was found, beside the usual output."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, Optional

import ansible.module_utils
from ansible.plugins.callback import CallbackBase

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.render import terminal  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.render.layout import laid_out  # noqa: E402
from ansible.module_utils.ib_fleet.render.progress import WORTH_TELLING, Tally  # noqa: E402
from ansible.module_utils.ib_fleet.run import clock, naming, screen, task_results  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.file_proxy import FileProxy  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: E402

DOCUMENTATION = r"""
name: ib_fleet_progress
type: aggregate
short_description: Progress of a health sweep, and one table at its end
version_added: 0.1.0
description:
  - While hosts are looked at, says how many are done, how many of them are not healthy, and how long it will take on.
  - At the end, shows one table with identical findings grouped across hosts, and the next command to run.
  - On a terminal it draws a bar, elsewhere it writes a line for each tenth of the fleet.
  - It adds to the output of the stdout callback, whichever that is, and takes nothing away from it.
requirements:
  - enabled in C(callbacks_enabled)
"""

_LOOK = "ib_gateway_health"
_REPORT = "ib_fleet_write"
_TITLES = {"ib_gateway_diagnose": "look", "ib_gateway_verify": "proof"}


class _Console(Console):
    """A console that breaks no line of its own accord: what others print comes through as they wrote it."""

    def print(self, *objects: Any, **options: Any) -> None:
        options.setdefault("soft_wrap", True)
        super().print(*objects, **options)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """What Ansible calls."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ib_fleet_progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._play: Any = None
        self._task: str = ""
        self._tally: Optional[Tally] = None
        self._bar: Optional[Progress] = None
        self._overview: Optional[dict[str, Any]] = None

    def v2_playbook_on_start(self, _playbook: Any) -> None:
        """The run begins."""
        clock.begin()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Another play: its hosts are those a look is about."""
        self._finish()
        self._play = play

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 - Ansible's signature
        """A look begins, or the one before it is over."""
        self._finish()
        role = naming.short(task._role.get_name()) if task._role else ""
        if naming.short(task.action) == _LOOK and role in _TITLES:
            self._task = task._uuid
            self._tally = Tally(_TITLES[role], self._count(), time.monotonic())
            if sys.stdout.isatty() and self._tally.total >= WORTH_TELLING:
                self._draw(self._tally)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host was judged, or the report is written."""
        if naming.short(task_results.task(result).action) == _REPORT:
            self._overview = task_results.answer(result).get("overview")
        self._note(result, str(task_results.answer(result).get("status", "unknown")))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002 - likewise
        """A look that failed."""
        self._note(result, "unknown")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host that was not reached."""
        self._note(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002 - likewise
        """After the recap: the table, and what to run next."""
        self._finish()
        if self._overview is None:
            return
        told = list(terminal.lines(self._overview))
        for row in laid_out(told, screen.width(), screen.coloured()):
            self._display.display(row, screen_only=True)
        for row in laid_out(told, screen.width()):
            self._display.display(row, log_only=True)

    def _note(self, result: Any, status: str) -> None:
        tally = self._tally
        if tally is None or task_results.task(result)._uuid != self._task:
            return
        tally.note(task_results.host(result).get_name(), status)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=tally.done, total=tally.total, unhealthy=tally.unhealthy)
            self._bar.refresh()
            if tally.done == tally.total:  # the bar is gone before anybody tells what was found
                self._finish()
            return
        line = tally.line(time.monotonic())
        if line:
            self._display.display(line)

    def _count(self) -> int:
        """How many hosts the play is for, the limit applied."""
        inventory = self._play.get_variable_manager()._inventory if self._play else None
        return len(inventory.list_hosts(self._play.hosts)) if inventory else 0

    def _draw(self, tally: Tally) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("hosts, {task.fields[unhealthy]} not healthy, left"),
            TimeRemainingColumn(),
        )
        # What Ansible writes meanwhile goes through the same console and appears above the bar. There must be no thread
        # that redraws it: the workers are forked from this process, and one could inherit a lock that nobody releases.
        self._bar = Progress(*columns, console=_Console(), transient=True, auto_refresh=False)
        self._bar.add_task(tally.title, total=tally.total, unhealthy=0)
        self._bar.start()

    def _finish(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._tally = None, None


def _give_back_output() -> None:
    """In a forked worker: writes to the terminal itself, never through a bar that belongs to the main process."""
    if isinstance(sys.stdout, FileProxy):
        sys.stdout = sys.stdout.rich_proxied_file
    if isinstance(sys.stderr, FileProxy):
        sys.stderr = sys.stderr.rich_proxied_file


os.register_at_fork(after_in_child=_give_back_output)
