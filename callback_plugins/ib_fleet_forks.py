# SPDX-License-Identifier: Apache-2.0
"""Loads once what the workers of a run would load for themselves."""

from __future__ import annotations

import contextlib
import gc
import importlib
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, module_loader
from ansible.template import Templar

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import (  # noqa: E402 - needs the path above
    answers,
    mitogen,
    naming,
    packing,
    task_results,
)

DOCUMENTATION = r"""
name: ib_fleet_forks
type: aggregate
short_description: Makes the workers of a run cheap
version_added: 0.1.0
description:
  - Ansible forks a worker for each host and task, and whatever a worker loads is gone with it. This loads it in the
    process that they are forked from, before the first task of one of this project's roles.
  - The modules that will be sent are packed in a process beside the run, so that no worker waits until they are. Under
    mitogen's strategy, which packs nothing, what they import is found once.
  - What the worker that writes the report takes is loaded when the first host has been looked at, while the run waits
    for the others.
  - Shows nothing and changes no result. Without it a run says and does the same, and takes longer.
requirements:
  - enabled in C(callbacks_enabled)
"""

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 every text is a template
    trust_as_template = str

_OURS = "ib_"
#: Of gc.set_threshold: less often than Python's own, and still in a run of hours.
_THRESHOLDS = (50_000, 20, 100)
_LOOKS = "ib_gateway_diagnose"
_REPAIRS = "ib_gateway_repair"
#: What a worker imports to send a module and to read its answer, beside its plugins. Some of it is Ansible's own affair
#: and may be elsewhere in its next release; then each worker imports it for itself.
_MODULES = (
    "ansible.module_utils._internal._json._profiles._module_legacy_c2m",
    "ansible.module_utils._internal._json._profiles._module_legacy_m2c",
    "ansible.parsing.yaml.dumper",
)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """What Ansible calls."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ib_fleet_forks"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._loaded = self._prepared = False
        self._steps: set[str] = set()
        self._packing: dict[str, BaseProcess] = {}

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 - Ansible's signature
        """The workers of this task are about to be forked."""
        role = naming.short(task._role.get_name()) if task._role is not None else ""
        if not role.startswith(_OURS):
            return
        if role == _LOOKS:
            self._pack(role, [packing.LOOK])
        elif role == _REPAIRS and self._steps:
            self._pack(role, packing.for_repair(self._steps))
        if not self._loaded:
            self._loaded = True
            _load()

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host has answered."""
        if naming.short(task_results.task(result).action) != packing.LOOK:
            return
        for gateway in task_results.answer(result).get("gateways", []):
            self._steps.update(step["action"] for step in gateway["plan"]["steps"])
        if not self._prepared:
            self._prepared = True
            from ansible.module_utils.ib_fleet.run import write_report

            write_report.prepare()

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002 - Ansible's signature
        """The run is over."""
        for process in self._packing.values():
            packing.stop(process)

    def _pack(self, role: str, modules: list[str]) -> None:
        if role in self._packing or mitogen.learn(map(_place, modules)):
            return
        self._packing[role] = packing.start(modules)


def _place(module: str) -> Path:
    return Path(module_loader.find_plugin(naming.full(module), ".py") or "")


def _load() -> None:
    # Asked for one filter or one test, Ansible loads all files that could hold it.
    Templar(loader=None).template(trust_as_template("{{ lookup('env', 'HOME') | default('') is defined }}"))
    for name in ("normal", naming.full(packing.LOOK)):
        action_loader.get(name, class_only=True)
    answers.checked({"status": "unknown", "gateways": [], "taken_at": "", "reset_window": ""}, "look")
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # What is there now stays to the end. A worker that searched it for garbage would copy every page of it; and what a
    # worker makes is gone with it, so that it is searched more seldom.
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
