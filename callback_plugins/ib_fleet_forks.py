"""Loads once what every worker of a run would load for itself."""

from __future__ import annotations

import contextlib
import gc
import importlib
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, test_loader

DOCUMENTATION = r"""
name: ib_fleet_forks
type: aggregate
short_description: Makes the workers of a run cheap
version_added: 0.1.0
description:
  - Ansible forks a worker for each host and task, and whatever a worker loads is gone with it. This loads it in the
    process that they are forked from, before the first task of one of this project's roles.
  - Shows nothing and changes no result. Without it a run says and does the same, and takes longer.
requirements:
  - enabled in C(callbacks_enabled)
"""

_OURS = "ib_"
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
        self._loaded = False

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 - Ansible's signature
        """The workers of this task are about to be forked."""
        if not self._loaded and task._role is not None and task._role.get_name().startswith(_OURS):
            self._loaded = True
            _load()


def _load() -> None:
    # Asked for one filter or one test, the loader loads all files that could hold it; later ones are then found.
    filter_loader.get("default")
    test_loader.get("defined")
    action_loader.get("normal", class_only=True)
    lookup_loader.get("env", class_only=True)
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # What is there now stays to the end. A worker that searched it for garbage would copy every page of it.
    gc.freeze()
