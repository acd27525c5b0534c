"""Options of the right types and of any value, as a plan from another version or another hand would have them.

What comes is an answer of the module: done, refused or failed with a message. Never a traceback, never an act.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.act import drop_connection
from ansible.module_utils.ib_gateway.lifecycle import systemctl
from ansible.module_utils.ib_gateway.state import state_folder
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.authorization import Authorization
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.module_runs import run
from unit.repair_records import StoppingCalls, begin, kinds, state_dir

__all__ = ["state_dir"]
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = st.one_of(st.integers(-2, 70_000), st.integers(-(2**70), 2**70))
FLOATS = st.floats() | st.integers(-5, 5).map(float)
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["", "live", "\x00", "a" * 500, "\x1b[31m"]))
RAW = TEXTS | st.just("\ud800")  # Ansible itself lets no half of a character through to a module

# --- the authorization -----------------------------------------------------------------------------------------------

PLANS = st.fixed_dictionaries({"gateway": TEXTS, "digest": TEXTS, "boot_id": TEXTS, "made_at": FLOATS})
LIMITS = st.fixed_dictionaries({"repairs_per_hour": NUMBERS, "restarts_per_hour": NUMBERS, "backoff": FLOATS})
AUTHORIZATIONS = st.fixed_dictionaries(
    {"run": st.one_of(st.just("r1"), TEXTS), "by": TEXTS},
    optional={
        "blocked_reason": TEXTS,
        "max_age": FLOATS,
        "plans": st.lists(PLANS, max_size=3),
        "limits": st.one_of(st.none(), LIMITS),
    },
)


@few
@given(AUTHORIZATIONS, RAW, st.sampled_from(["restart", "stop_client", "\x00", ""]), st.one_of(st.none(), RAW))
@example(
    {"run": "r1", "by": "x", "limits": {"repairs_per_hour": 1, "restarts_per_hour": 1, "backoff": 1e308}}, *["live"] * 3
)
def test_no_authorization_whatever_makes_the_check_raise_or_admit_an_act_without_a_plan(
    state_dir: Path, options: Dict[str, Any], gateway: str, action: str, digest: Any
) -> None:
    found = Authorization.from_params({**options, "state_dir": str(state_dir)})
    assert found is not None
    begin(state_dir)
    for check_mode in (True, False):
        with AdmissionCheck(found, check_mode) as check:
            reason = check.admit(action, gateway, digest)
            planned = {each["gateway"]: each["digest"] for each in options.get("plans", ())}
            assert reason is None or (reason and not any(ord(each) < 32 for each in reason))
            assert reason is not None or planned.get(gateway) == digest
    assert set(kinds(state_dir)) <= {"begin", "refuse", "defer"}


@few
@given(AUTHORIZATIONS)
def test_a_repair_begins_or_says_why_not_whatever_its_authorization_is(
    state_dir: Path, options: Dict[str, Any]
) -> None:
    found = run(
        "ib_repair_begin", {"authorization": {**options, "state_dir": str(state_dir)}, "gateways": ["live", "\x00"]}
    )
    assert "Traceback" not in str(found)
    assert (found.get("failed") and found["msg"]) or found["begun"] or found["reason"] or found["refused"]


@pytest.mark.parametrize("where", ["relative", "/", "//", "/x\x00y", "/dev/null", "/proc/self/fd"])
def test_a_state_folder_that_cannot_be_one_is_a_reason_and_no_traceback(where: str) -> None:
    found = run(
        "ib_repair_begin", {"authorization": {"run": "r1", "by": "x", "state_dir": where}, "gateways": ["live"]}
    )
    assert not found.get("failed") and not found["begun"] and "observe only" in found["reason"]


# --- whom a plan names -----------------------------------------------------------------------------------------------

#: Nobody is ever meant by chance: no process has started in the tick of a number below zero, or in another boot.
PIDS = st.integers(-(2**31), 2**31 - 1)
PROCESS = st.fixed_dictionaries(
    {"pid": PIDS, "started_ticks": st.integers(-9, -1), "boot_id": TEXTS},
    optional={"argv_digest": TEXTS, "role": st.sampled_from(["gateway", "client"]), "user": TEXTS},
)


@pytest.fixture(autouse=True)
def nothing_real_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gets as far as an act fails the test."""

    def act(*_arguments: Any, **_named: Any) -> Any:
        raise AssertionError("an act on nobody's word")

    monkeypatch.setattr(state_folder, "calls", StoppingCalls())
    monkeypatch.setattr(drop_connection, "_ask_kernel", act)
    monkeypatch.setattr(systemctl, "_systemctl", act)
    monkeypatch.setattr("signal.pidfd_send_signal", act, raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped on Linux only")
@few
@given(st.lists(PROCESS, min_size=1, max_size=2), st.one_of(st.none(), TEXTS))
@example([{"pid": os.getpid(), "started_ticks": -1, "boot_id": ""}], None)
@example([{"pid": 2**31 - 1, "started_ticks": -1, "boot_id": ""}], None)
def test_a_process_of_any_numbers_is_refused_or_gone(processes: Any, unit: Any) -> None:
    named = [{**each, "unit": unit} for each in processes]
    found = run("ib_process_stop", {"processes": named, "grace_period": 0.1})
    assert (found.get("failed") and found["msg"]) or not found["changed"]
    if not found.get("failed"):
        assert len(found["refused"]) + len(found["already_gone"]) == len(named)


def test_a_pid_that_no_kernel_has_is_refused_or_gone() -> None:
    found = run("ib_process_stop", {"processes": [{"pid": 2**31, "started_ticks": 1, "boot_id": ""}]})
    assert len(found["refused"]) + len(found["already_gone"]) == 1


CONNECTIONS = st.fixed_dictionaries(
    {
        "gateway": TEXTS,
        "port": NUMBERS,
        "client_port": NUMBERS,
        "client": st.one_of(TEXTS, st.sampled_from(["127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1%lo"])),
        "server": st.one_of(TEXTS, st.sampled_from(["127.0.0.1", "::1"])),
        "gateway_process": PROCESS,
        "client_processes": st.lists(PROCESS, max_size=2),
    },
    optional={"cookie": NUMBERS},
)


@pytest.mark.skipif(sys.platform != "linux", reason="connections are cut on Linux only")
@few
@given(CONNECTIONS)
def test_a_connection_of_any_numbers_is_refused_gone_or_a_clear_failure(connection: Dict[str, Any]) -> None:
    with mock.patch.object(drop_connection, "_capabilities", return_value=-1):
        found = run("ib_connection_drop", {"connections": [connection]})
    assert (found.get("failed") and found["msg"]) or not found["changed"]
    if not found.get("failed"):
        assert len(found["refused"]) + len(found["already_gone"]) == 1
