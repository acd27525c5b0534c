"""Every module call ends: what hangs on a host becomes a message, not a run that never comes back."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import time
from typing import Any, Dict
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.module import runner as shared
from ansible.module_utils.testing import patch_module_args


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
