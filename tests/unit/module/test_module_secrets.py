"""A password in a start_command or its environment leaves no module: not in a result, an invocation or a failure."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from unit.module_runs import printed_by

CANARY = "c4nary-Pw"
COMMAND = ["/bin/false", "trader", CANARY, "--pw=" + CANARY, "live"]
ENVIRONMENT = {"DISPLAY": ":1", "TWSPASSWORD": CANARY}
TAKERS = (
    "ib_connection_drop",
    "ib_gateway_health",
    "ib_gateway_info",
    "ib_gateway_restart",
    "ib_gateway_start",
    "ib_gateway_wait",
    "ib_process_stop",
)
#: Nobody's: it ended before this boot.
PROCESS = {"pid": 2, "started_ticks": 1, "boot_id": "another"}
every_taker = pytest.mark.parametrize("name", TAKERS)


def entry(**more: Any) -> Dict[str, Any]:
    return {
        "name": "nobody",
        "trading_mode": "paper",
        "config_dir": "/nonexistent",
        "start_command": COMMAND,
        "start_environment": ENVIRONMENT,
        **more,
    }


def printed(name: str, gateways: Any, check_mode: bool = True, **more: Any) -> str:
    options: Dict[str, Any] = {"gateways": gateways}
    if name in ("ib_gateway_start", "ib_gateway_wait"):
        options["only"] = ["nobody"]
    if name == "ib_process_stop":
        options["processes"] = [PROCESS]
    if name == "ib_gateway_restart":
        options["restarts"] = [{"gateway": "nobody", "target": {"by": "identity", "process": PROCESS}}]
    if name == "ib_connection_drop":
        ends = {"port": 4001, "client": "127.0.0.1", "client_port": 50_000, "server": "127.0.0.1", "cookie": 7}
        options["connections"] = [
            {"gateway": "nobody", **ends, "gateway_process": PROCESS, "client_processes": [PROCESS]}
        ]
    if name == "ib_gateway_wait":
        options["timeout"] = 0
    text = printed_by(name, dict(options, **more), check_mode)
    assert CANARY not in text
    return text


@every_taker
def test_no_result_holds_the_start_command(name: str) -> None:
    found = json.loads(printed(name, [entry()]))
    assert not found.get("failed")
    shown = found["invocation"]["module_args"]["gateways"][0]
    assert list(shown["start_environment"]) == list(ENVIRONMENT) and len(set(shown["start_environment"].values())) == 1
    hidden = shown["start_command"]
    assert len(hidden) == len(COMMAND) and len(set(hidden)) == 1


@pytest.mark.parametrize("user", [None, "no-such-account"])
def test_a_start_that_fails_does_not_tell_its_command(user: str) -> None:
    found = json.loads(printed("ib_gateway_start", [entry(user=user)], check_mode=False))
    assert found["failed"] and "nobody" in found["msg"]


def test_a_restart_that_fails_does_not_tell_its_command() -> None:
    from ansible.module_utils.ib_gateway.observe import processes

    ended = dict(PROCESS, boot_id=processes.boot_id())
    restarts = [{"gateway": "nobody", "target": {"by": "identity", "process": ended}}]
    found = json.loads(printed("ib_gateway_restart", [entry()], check_mode=False, restarts=restarts))
    assert found["failed"] and "nobody" in found["msg"] and "ended at once with status 1" in found["msg"]


def test_a_program_that_is_not_there_is_told_without_its_command() -> None:
    command = ["/nonexistent/start", CANARY, "--pw=" + CANARY]
    for words in (command, [" ".join(command)]):
        found = json.loads(printed("ib_gateway_start", [entry(start_command=words)], check_mode=False))
        assert found["failed"] and "start_command" in found["msg"]


WRONG: List[Dict[str, Any]] = [
    {"port": 0},
    {"port": "x"},
    {"colour": "red"},
    {"trading_mode": "demo"},
    {"name": None},
    {"client_patterns": ["("]},
    {"start_timeout": [1]},
    {"config_dir": "relative"},
    {"start_command": " ".join(COMMAND)},
    {"start_command": [COMMAND]},
    {"start_command": {"argv": COMMAND}},
    {"start_command": [*COMMAND, 7, None, ""]},
    {"start_environment": ["TWSPASSWORD=" + CANARY]},
    {"start_environment": "TWSPASSWORD=" + CANARY},
    {"start_environment": CANARY},
    {"start_environment": {"TWSPASSWORD=" + CANARY: ""}},
    {"start_environment": {"TWSPASSWORD": [CANARY], "N": 7}},
    {"start_environment": {"TWSPASSWORD": {"is": CANARY}}},
    {"start_command": None},
    {"container": {"engine": "docker", "name": "ib"}},
]


@every_taker
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_no_failure_holds_the_start_command(name: str, wrong: Dict[str, Any]) -> None:
    printed(name, [entry(**wrong)])


@every_taker
def test_a_misspelt_start_command_is_not_told_either(name: str) -> None:
    misspelt = entry(start_comand=COMMAND)
    del misspelt["start_command"]
    assert json.loads(printed(name, [misspelt]))["failed"]


@every_taker
@pytest.mark.parametrize("form", ["one entry instead of a list", "a text of JSON", "a nested list"])
def test_entries_in_a_wrong_form_do_not_tell_the_start_command(name: str, form: str) -> None:
    forms = {
        "one entry instead of a list": entry(),
        "a text of JSON": json.dumps([entry()]),
        "a nested list": [[entry()]],
    }
    assert json.loads(printed(name, forms[form]))["failed"]


@every_taker
def test_an_option_that_is_wrong_beside_the_entries_does_not_tell_the_start_command(name: str) -> None:
    assert json.loads(printed(name, [entry()], colour="red"))["failed"]
