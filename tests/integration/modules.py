"""Runs a module's real main() as Ansible would, in this process or in one with less sight."""

from __future__ import annotations

import importlib
import io
import json
import os
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from typing import Any

from ansible.module_utils.testing import patch_module_args

#: What a look loads only where something is wrong.
LATE = ("decide.planning", "decide.soak", "lifecycle.start_check")


def run_module(name: str, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
    """What a module returns for these options; a failed module's result has `failed`."""
    output = io.StringIO()
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
    with patch_module_args(arguments), redirect_stdout(output), suppress(SystemExit):
        importlib.import_module(name).main()
    found: dict[str, Any] = json.loads(output.getvalue().strip().splitlines()[-1])
    return found


def run_module_as(prepare: Callable[[], None], name: str, **options: Any) -> dict[str, Any]:
    """run_module() in a child process that first does `prepare`, to lose rights or to see less."""
    importlib.import_module(name)  # the child may not be able to read the interpreter's files any more
    ours = (
        "observe.linux",
        "observe.sockets",
        "observe.portable",
        "api.handshake",
        "api.session",
        "decide.planning",
        "state.repair_status",
        *LATE,
    )
    for late in (
        "pwd",
        "fcntl",
        "select",
        "encodings.idna",
        *("ansible.module_utils.ib_gateway." + each for each in ours),
    ):
        importlib.import_module(late)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            prepare()
            with os.fdopen(writing, "w") as result:
                json.dump(run_module(name, **options), result)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as result:
        text = result.read()
    _pid, status = os.waitpid(child, 0)
    assert status == 0, f"the child that ran {name} ended with status {status}"
    found: dict[str, Any] = json.loads(text)
    return found
