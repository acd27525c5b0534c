"""Every module call ends: what hangs on a host becomes a message, not a run that never comes back."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.module import runner as shared
from ansible.module_utils.testing import patch_module_args
from unit.module.test_module_contracts import options_of
from unit.module_runs import MODULES, PROJECT, run


def ran(work: Any, waits: float = 0.0, patience: float = 0.1) -> Dict[str, Any]:
    """What a module prints whose work may take so many seconds."""
    printed = io.StringIO()
    quiet, short = contextlib.redirect_stdout(printed), mock.patch.object(shared, "_PATIENCE", patience)
    with patch_module_args({}), short, quiet, contextlib.suppress(SystemExit):
        shared.run(shared.GatewayModule(argument_spec={}), work, lambda _params: waits)
    found: Dict[str, Any] = json.loads(printed.getvalue())
    return found


def hangs(_module: Any) -> Dict[str, Any]:
    """Longer than any test may take."""
    time.sleep(170)
    return {}


def hangs_and_swallows(_module: Any) -> Dict[str, Any]:
    """Takes every error for one of its own, as code that reads a host does."""
    with contextlib.suppress(Exception):
        time.sleep(170)
    return {}


@pytest.mark.parametrize("work", [hangs, hangs_and_swallows])
def test_what_hangs_is_given_up_with_a_message_that_says_how_long_it_took(work: Any) -> None:
    found = ran(work)
    assert found["failed"] and "within 0.1 s" in found["msg"]


def test_what_a_call_waits_for_on_purpose_comes_on_top() -> None:
    assert "within 0.3 s" in ran(hangs, waits=0.2)["msg"]


def test_a_call_that_ends_in_time_leaves_the_alarm_as_it_found_it() -> None:
    handler, timer = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 1000.0)
    try:
        assert ran(lambda _module: {"found": 1}, patience=60.0)["found"] == 1
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.mark.parametrize("waits", [-1e9, 1e300])
def test_a_wait_that_makes_no_sense_is_left_to_the_module_to_refuse(waits: float) -> None:
    assert ran(lambda _module: {"found": 1}, waits=waits, patience=60.0)["found"] == 1


@pytest.mark.parametrize("name", MODULES)
def test_every_module_whose_work_hangs_ends_with_a_clear_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_PATIENCE", 0.1)
    monkeypatch.setattr(shared, "_LONGEST_WAIT", 0.0)
    monkeypatch.setattr(importlib.import_module(name), "work", hangs)
    nobody = {"pid": 2, "started_ticks": 1, "boot_id": "another"}
    found = run(name, options_of(name, 4001, nobody, tmp_path))
    assert found["failed"] and "within 0.1 s" in found["msg"] and "hangs on this host" in found["msg"]


_UNINTERRUPTED = """
import signal, sys, time
import ansible.module_utils
ansible.module_utils.__path__.append({utils!r})
from ansible.module_utils.testing import patch_module_args
from ansible.module_utils.ib_gateway.module import runner
runner._PATIENCE, runner._LAST_RESORT = 0.1, 0.1
def hangs(_module):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(170)
with patch_module_args({{}}):
    runner.run(runner.Module(argument_spec={{}}), hangs)
"""


def test_what_hangs_where_no_signal_arrives_is_ended_with_the_same_message() -> None:
    """As the kernel holds a process that reads from a dead NFS server."""
    code = _UNINTERRUPTED.format(utils=str(PROJECT / "module_utils"))
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    found = json.loads(ended.stdout)
    assert ended.returncode == 1 and found["failed"] and "hangs on this host" in found["msg"]
