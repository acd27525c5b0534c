"""Scripts of real kinds with their right answers: what must be said of them, what must not, and that it is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from ansible.module_utils.ib_audit.reading.model import Problem, Source
from ansible.module_utils.ib_audit.rules.audit import audit
from unit.audited import spec

CASES = Path(__file__).resolve().parent / "audit_cases"
SPECS = (spec("live"), spec("paper"))

#: By script: what must be said, as (code, severity).
SAID: Dict[str, Tuple[str, str]] = {
    "fn/client_id_loop": ("client_ids_in_turn", "warning"),
    "fn/connect_each_turn": ("connect_each_turn", "note"),
    "fn/env_default_same": ("hardcoded_client_id", "note"),
    "fn/ibapi_sleep_instead": ("request_before_ready", "warning"),
    "fn/ibapi_wait_forever": ("wait_without_end", "warning"),
    "fn/namedtuple_config": ("hardcoded_client_id", "warning"),
    "fn/no_reconnect": ("no_reconnect", "warning"),
    "fn/not_awaited": ("connect_not_awaited", "note"),
    "fn/positional_unknown": ("hardcoded_client_id", "warning"),
    "fn/pydantic_settings": ("hardcoded_client_id", "note"),
    "fn/reconnect_same_handler": ("lost_subscriptions", "note"),
    "fn/remote_host": ("remote_host", "note"),
    "fn/start_in_init_py": ("loop_in_function", "error"),
    "fn/sync_request_in_coroutine": ("sync_request_in_coroutine", "error"),
    "fn/sync_request_in_handler": ("sync_request_in_handler", "error"),
    "fn/time_sleep_sync": ("blocking_sleep", "warning"),
    "fn/two_loops": ("connection_in_other_loop", "note"),
    "fn/typed_attr": ("hardcoded_client_id", "warning"),
    "fn/wrapper_kw": ("hardcoded_client_id", "warning"),
    "fp/sleep_only_on_success": ("retry_without_backoff", "warning"),
    "fp/wrong_delay": ("retry_without_backoff", "warning"),
    "hang/reports": ("hardcoded_client_id", "warning"),
}
#: By script: what must not be said.
NOT_SAID: Dict[str, str] = {
    "fp/asyncio_run_handler": "connect_without_error_handling",
    "fp/connect_then_disconnect": "no_disconnect",
    "fp/disconnect_lazy_import": "no_disconnect",
    "fp/event_connect_kw": "hardcoded_client_id",
    "fp/guarded_patch": "loop_at_import",
    "fp/ibapi_no_traceback": "connect_without_error_handling",
    "fp/ports_fallback": "retry_without_backoff",
    "fp/print_log": "connection_not_logged",
    "port_to_live/bars_realtime_prod_data": "port_contradicts_mode",
    "port_to_live/datos_en_tiempo_real": "port_contradicts_mode",
    "port_to_live/real_time_bars": "port_contradicts_mode",
}


def found(name: str) -> List[Problem]:
    data = (CASES / (name + ".txt")).read_bytes()
    return list(audit([Source("/srv/trading/%s.py" % name.rpartition("/")[2], data)], SPECS).problems)


@pytest.mark.parametrize("name", sorted(SAID))
def test_what_must_be_said_is_said(name: str) -> None:
    assert SAID[name] in [(each.code, each.severity) for each in found(name)]


@pytest.mark.parametrize("name", sorted(NOT_SAID))
def test_what_must_not_be_said_is_not(name: str) -> None:
    assert NOT_SAID[name] not in {each.code for each in found(name)}


def test_the_delay_that_is_told_is_the_one_after_a_failure() -> None:
    summaries = {name: [p.summary for p in found(name) if p.code == "retry_without_backoff"] for name in SAID}
    assert "(10 s)" in summaries["fp/wrong_delay"][0]
    assert "at once" in summaries["fp/sleep_only_on_success"][0]


def test_a_file_that_names_no_library_and_does_not_parse_is_worth_a_note() -> None:
    (problem,) = found("fp/broken_not_ib")
    assert (problem.code, problem.severity) == ("file_not_parsed", "note")


def test_another_library_s_connect_is_no_connection() -> None:
    assert found("fp/event_connect_kw") == []


def test_one_id_that_two_scripts_fall_back_to_is_shared() -> None:
    data = (CASES / "fn/env_default_same.txt").read_bytes()
    problems = audit([Source("/srv/a.py", data), Source("/srv/b.py", data)]).problems
    assert [each.severity for each in problems if each.code == "shared_client_id"] == ["warning", "warning"]


def test_every_script_of_the_folder_has_an_answer() -> None:
    names = {path.relative_to(CASES).with_suffix("").as_posix() for path in CASES.glob("*/*.txt")}
    assert {name for name in names if not name.startswith("rewrite/")} <= {*SAID, *NOT_SAID, "fp/broken_not_ib"}
