# SPDX-License-Identifier: Apache-2.0
"""What a run of the project's playbooks shows: progress, what was found, planned, done and proven, in plain lines."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional, cast

import ansible.module_utils
from ansible.context import CLIARGS
from ansible.plugins.callback.default import CallbackModule as Default

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_ROOT = Path(__file__).resolve().parent.parent
_SHARED = str(_ROOT / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.render import recap  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.render.layout import Line, laid_out  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.render.narrator import Narrator, Task  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.run import screen, task_results  # noqa: E402 - likewise

DOCUMENTATION = r"""
name: ib_terminal
type: stdout
short_description: Tells what a run found, planned, did and proved
version_added: 0.2.0
description:
  - Of the playbooks of this project it tells what was found, what is planned and what that costs, what was done and
    what was proven, each once and in plain lines, instead of a list of tasks.
  - Every task that fails is shown with its host, its name and its message, and every host that is not reached.
  - Lines are wrapped to the terminal, or to E(COLUMNS) where that is set; without either, to 100 columns. Colours are
    used on a terminal only, as Ansible's settings say.
  - With C(-v), and for every playbook that is not of this project, the output is that of
    P(ansible.builtin.default#callback).
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout callback in the configuration
"""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: Where the project's playbooks lie: in a checkout, and in an installed collection, whose plugins lie a folder deeper.
_PLAYBOOKS = (_ROOT, _ROOT / "playbooks", _ROOT.parent / "playbooks")
#: Names of the playbooks that look again at the end.
_PROVES = ("remediate",)


def _own(method: Callable[..., None]) -> Callable[..., None]:
    """Runs the method where the project tells the run itself, and that of Ansible's default callback elsewhere."""
    usual = getattr(Default, method.__name__)

    @functools.wraps(method)
    def chosen(self: CallbackModule, *arguments: Any, **options: Any) -> None:
        (method if self._narrator else usual)(self, *arguments, **options)

    return chosen


def _silent(name: str) -> Callable[..., None]:
    """A hook that says nothing where the project tells the run itself."""

    def nothing(self: CallbackModule, *arguments: Any, **options: Any) -> None:
        """Told by what comes of it, or not worth a line."""

    nothing.__name__ = name
    return _own(nothing)


class CallbackModule(Default):  # type: ignore[misc]
    """What Ansible calls."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ib_terminal"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._narrator: Optional[Narrator] = None
        self._hosts_of_play = 0
        self._pattern: Any = ""
        screen.remember()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """The run begins: from here on it is clear whose playbook it is."""
        file = Path(playbook._file_name).resolve()
        if self._display.verbosity == 0 and file.parent in _PLAYBOOKS:
            self._narrator = Narrator(file.stem in _PROVES, bool(CLIARGS.get("check")))
            return
        super().v2_playbook_on_start(playbook)

    @_own
    def v2_playbook_on_play_start(self, play: Any) -> None:
        """The play before is over."""
        self._tell(self._story.pauses())
        self._pattern = play.hosts
        inventory = play.get_variable_manager()._inventory
        self._hosts_of_play = len(inventory.list_hosts(play.hosts)) if inventory else 0

    @_own
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 - Ansible's signature
        """A phase begins, with some tasks."""
        self._tell(self._story.begins(_task(task), self._hosts_of_play))

    @_own
    def v2_runner_on_ok(self, result: Any) -> None:
        """A task went well on a host."""
        self._warn(result)
        self._tell(self._story.ok(*_parts(result)))

    @_own
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed on a host; those of a loop were told one by one."""
        self._warn(result)
        host, task, answer = _parts(result)
        if not (task_results.task(result).loop and answer.get("results")):
            self._tell(self._story.failed(host, task, answer, ignore_errors))

    @_own
    def v2_runner_item_on_failed(self, result: Any) -> None:
        """One round of a loop failed."""
        host, task, answer = _parts(result)
        item = task._replace(name="%s (%s)" % (task.name, self._get_item_label(answer)))
        self._tell(self._story.failed(host, item, answer))

    @_own
    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host was not reached."""
        self._warn(result)
        ignored = bool(getattr(task_results.task(result), "ignore_unreachable", False))
        self._tell(self._story.unreachable(*_parts(result), ignored))

    @_own
    def v2_runner_retry(self, result: Any) -> None:
        """A task is tried once more."""
        host, task, answer = _parts(result)
        left = int(answer.get("retries", 0)) - int(answer.get("attempts", 0))
        self._tell([Line("%s: '%s' is tried again, at most %d times more" % (host, task.name, left))])

    @_own
    def v2_on_file_diff(self, result: Any) -> None:
        """What a task changes, or would change, in the usual notation."""
        host, task, answer = _parts(result)
        looped = task_results.task(result).loop and answer.get("results")
        for each in answer["results"] if looped else [answer]:
            if each.get("diff") and each.get("changed"):
                self._tell(self._story.diff(host, task, _COLOUR.sub("", self._get_diff(each["diff"]))))

    @_own
    def v2_playbook_on_no_hosts_matched(self) -> None:
        """No host is in the play. Some plays are for hosts that the run chooses, and often that is none."""
        patterns = [self._pattern] if isinstance(self._pattern, str) else [str(each) for each in self._pattern]
        if not any("!" in each or each.startswith("ib_hosts_") for each in patterns):
            self._tell([Line("No host of the inventory is in %s: nothing is done there." % ", ".join(patterns))])

    @_own
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Every host has failed."""
        self._tell([Line(""), Line("No host is left to go on with.", tone="failed")])

    @_own
    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over: Ansible's counts, which other programs read. What to run next follows."""
        self._tell(self._story.pauses())
        counts = {host: stats.summarize(host) for host in stats.processed}
        if not self._story.answers or any(each["failures"] + each["unreachable"] for each in counts.values()):
            self._tell([*recap.lines(counts), Line("")])

    v2_runner_on_skipped = _silent("v2_runner_on_skipped")
    v2_runner_item_on_ok = _silent("v2_runner_item_on_ok")
    v2_runner_item_on_skipped = _silent("v2_runner_item_on_skipped")
    v2_playbook_on_include = _silent("v2_playbook_on_include")
    v2_playbook_on_handler_task_start = _silent("v2_playbook_on_handler_task_start")

    @property
    def _story(self) -> Narrator:
        return cast(Narrator, self._narrator)  # every method that asks runs only where there is one

    def _warn(self, result: Any) -> None:
        self._handle_warnings(task_results.answer(result))

    def _tell(self, lines: Iterable[Line]) -> None:
        told = list(lines)
        for row in laid_out(told, screen.width(), screen.coloured()):
            self._display.display(row, screen_only=True)
        for row in laid_out(told, screen.width()):
            self._display.display(row, log_only=True)


def _task(task: Any) -> Task:
    role = task._role.get_name().rpartition(".")[2] if task._role else ""
    return Task(task.get_name().strip(), role, task.action.rpartition(".")[2])


def _parts(result: Any) -> tuple[str, Task, Any]:
    return task_results.host(result).get_name(), _task(task_results.task(result)), task_results.answer(result)
