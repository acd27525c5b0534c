"""Every module does what its documentation says: the options it takes, the values it returns, check mode, errors."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from ansible.module_utils.ib_gateway.decide.planning import plan
from ansible.module_utils.ib_gateway.module import api_result, result
from ansible.module_utils.ib_gateway.observe import processes
from unit.facts import SCRIPT, SECOND, connection, entry, gateway, listener, probe, script, snapshot, spec
from unit.module_runs import ANSIBLE_S_OWN, MODULES, PROJECT, contradictions, differing, documented, run

every_module = pytest.mark.parametrize("name", MODULES)
#: What a documented option and an argument spec both say.
SAID = ("type", "elements", "required", "default", "choices", "aliases", "no_log")


def test_these_are_the_modules() -> None:
    assert {"ib_gateway_info", "ib_listener_info", "ib_client_info", "ib_api_probe", "ib_gateway_health"} < set(MODULES)
    assert {"ib_process_stop", "ib_gateway_start", "ib_gateway_wait"} < set(MODULES)


# --- options ---------------------------------------------------------------------------------------------------------


def spelled_out(options: Dict[str, Any], inner: str) -> Dict[str, Any]:
    """Options in one form; inner: where the options of an option are."""
    return {
        name: {
            **{key: each[key] for key in SAID if each.get(key) not in (None, False)},
            "options": spelled_out(each.get(inner) or {}, inner),
        }
        for name, each in options.items()
    }


@every_module
def test_the_documented_options_are_those_of_the_argument_spec(name: str) -> None:
    documentation, _returns = documented(name)
    arguments = importlib.import_module(name).ARGUMENTS
    assert spelled_out(documentation["options"], "suboptions") == spelled_out(arguments, "options")


@every_module
def test_a_documentation_is_complete(name: str) -> None:
    documentation, returns = documented(name)
    assert documentation["module"] == name
    assert documentation["short_description"] and documentation["description"] and returns
    assert all(each.get("description") for each in documentation["options"].values())
    assert "- name:" in importlib.import_module(name).EXAMPLES


# --- returned values -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def victim() -> Iterator[Dict[str, Any]]:
    """A process of this test's own, named as a plan names it."""
    code = "print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline()  # a process has no command line for a moment after its exec
        stat = processes.read_stat(child.pid)
        assert stat is not None
        yield {"pid": child.pid, "started_ticks": stat.started_ticks, "boot_id": processes.boot_id()}
        child.kill()


def options_of(name: str, port: int, victim: Dict[str, Any], folder: Path) -> Dict[str, Any]:
    """Options with which a module has something to return on any host and does no harm on it; folder: to write in."""
    books = {"state_dir": str(folder / "state"), "reason": "x"}
    authorization = {"run": "r", "by": "b", "state_dir": str(folder / "state")}
    nobody = {"name": "nobody", "trading_mode": "paper", "port": port, "config_dir": "/nonexistent"}
    gateways = [dict(nobody, start_command=[sys.executable, "-c", "pass"])]
    ended = {"by": "identity", "process": dict(victim, started_ticks=1)}
    nothing = dict(gateway="nobody", port=port, client="127.0.0.1", client_port=1, server="127.0.0.1", cookie=1)
    nothing.update(gateway_process=victim, client_processes=[victim])
    told = {"port": port, "process": victim, "command_server": {"port": port, "address": "127.0.0.1", "inode": 1}}
    commands = {"gateways": gateways, "steps": [{"gateway": "nobody", "target": told}]}
    options: Dict[str, Dict[str, Any]] = {
        "ib_api_probe": {"port": port, "timeout": 1},
        "ib_client_audit": {"paths": [str(PROJECT / "tests/simulator/clients")]},
        "ib_client_info": {"ports": [port]},
        "ib_desk_info": {"ports": [port], "probe": "never"},
        "ib_gateway_health": {"gateways": gateways},
        "ib_gateway_info": {},
        "ib_gateway_start": {"gateways": gateways, "only": ["nobody"]},
        "ib_connection_drop": {"connections": [nothing]},
        "ib_gateway_restart": {"gateways": gateways, "restarts": [{"gateway": "nobody", "target": ended}]},
        "ib_gateway_soft_restart": commands,
        "ib_gateway_reconnect": commands,
        "ib_gateway_resume": {"gateways": gateways, "steps": [{"gateway": "nobody", "target": victim}]},
        "ib_gateway_wait": {"gateways": gateways, "only": ["nobody"], "timeout": 0},
        "ib_listener_info": {"ports": [port]},
        "ib_repair_begin": {"authorization": authorization, "gateways": ["nobody"]},
        "ib_repair_end": {"authorization": authorization, "results": []},
        "ib_repair_pause": {**books, "minutes": 1},
        "ib_repair_release": books,
        "ib_process_stop": {"processes": [dict(victim, boot_id="another"), dict(victim, started_ticks=1), victim]},
    }
    if "then_look" in importlib.import_module(name).ARGUMENTS:
        options[name].update(then_look={}, gateways=gateways)
    return options[name]


@every_module
def test_what_a_module_returns_is_what_it_documents(
    name: str, unused_port: int, victim: Dict[str, Any], tmp_path: Path
) -> None:
    check_mode = name in ("ib_gateway_start", "ib_gateway_restart")
    found = run(name, options_of(name, unused_port, victim, tmp_path), check_mode)
    assert not found.get("failed"), found
    returned = {key: value for key, value in found.items() if key not in ANSIBLE_S_OWN}
    assert differing(returned, documented(name)[1], name) == []


@every_module
def test_every_module_works_in_check_mode(name: str, unused_port: int, victim: Dict[str, Any], tmp_path: Path) -> None:
    assert documented(name)[0]["attributes"]["check_mode"]["support"] == "full"
    found = run(name, options_of(name, unused_port, victim, tmp_path), check_mode=True)
    assert not found.get("failed") and not found.get("skipped"), found
    os.kill(victim["pid"], 0)


@pytest.mark.parametrize("name", [name for name in MODULES if name.endswith(("_info", "_health", "_probe", "_wait"))])
def test_what_only_looks_changes_nothing(name: str, unused_port: int, victim: Dict[str, Any], tmp_path: Path) -> None:
    assert not run(name, options_of(name, unused_port, victim, tmp_path)).get("changed")


def test_a_stop_tells_what_became_of_each_process(unused_port: int, victim: Dict[str, Any], tmp_path: Path) -> None:
    found = run("ib_process_stop", options_of("ib_process_stop", unused_port, victim, tmp_path))
    assert [len(found[key]) for key in ("stopped", "already_gone", "refused")] == [1, 1, 1]
    assert found["changed"] is True


def test_a_stop_tells_whom_it_stopped_however_fast_that_ended(victim: Dict[str, Any]) -> None:
    found = run("ib_process_stop", {"processes": [victim]})
    assert found["stopped"], found
    assert found["stopped"][0]["command"][0] == sys.executable and found["stopped"][0]["user"]


def test_a_predicted_stop_stops_nothing(victim: Dict[str, Any]) -> None:
    found = run("ib_process_stop", {"processes": [victim]}, check_mode=True)
    assert found["changed"] is True and found["stopped"][0]["signals"] in ([], ["SIGTERM"])
    os.kill(victim["pid"], 0)


def test_a_connection_and_its_listener_are_returned_as_documented() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            listeners = run("ib_listener_info", {"ports": [port]})["listeners"]
            clients = run("ib_client_info", {"ports": [port]})["clients"]
    assert [(each["port"], each["pids"], each["is_gateway"]) for each in listeners] == [(port, [os.getpid()], False)]
    assert [(each["pid"], each["connected"], each["accepted"]) for each in clients] == [(os.getpid(), True, True)]
    for name, found in (("ib_listener_info", {"listeners": listeners}), ("ib_client_info", {"clients": clients})):
        assert differing(found, documented(name)[1], name) == []


LOOK = snapshot(
    gateway(mode="live", unit="ibgateway.service", cwd="/srv"),
    gateway(SECOND),
    listener(),
    script(unit="bot.service"),
    connection(SCRIPT),
    connection(remote_host="10.0.0.9"),
    connection(state="CLOSE_WAIT"),
)


@pytest.mark.parametrize(
    ("name", "key", "rows"),
    [
        ("ib_gateway_info", "gateways", result.all_gateways(LOOK)),
        ("ib_listener_info", "listeners", result.listeners(LOOK.listeners, dict(LOOK.processes))),
        ("ib_client_info", "clients", [api_result.client(each) for each in entry(spec(), LOOK).clients]),
    ],
)
def test_the_items_of_a_list_have_the_documented_keys(name: str, key: str, rows: List[Dict[str, Any]]) -> None:
    assert rows
    assert contradictions(rows, documented(name)[1][key], key) == []


def test_a_judgement_has_the_documented_keys_down_to_its_steps() -> None:
    diagnosis = diagnose(entry(spec(allow_restart_with_clients=True), LOOK), LOOK, probe("stalled"))
    found = result.judgement(diagnosis, plan(diagnosis), dict(LOOK.processes))
    assert found["findings"] and found["plan"]["steps"] and found["api"]
    returns = documented("ib_gateway_health")[1]
    assert contradictions([found], returns["gateways"], "gateways") == []
    assert differing(found["api"], documented("ib_api_probe")[1], "api") == []
    for key, module in (
        ("processes", "ib_gateway_info"),
        ("listeners", "ib_listener_info"),
        ("clients", "ib_client_info"),
    ):
        assert found[key]
        rows = "gateways" if key == "processes" else key
        assert contradictions(found[key], documented(module)[1][rows], key) == []


def test_a_session_has_the_documented_keys_whatever_it_came_to() -> None:
    for one in (probe(), probe("refused"), probe("stalled")._replace(trading_mode=None, client_id=None)):
        assert differing(api_result.api(one), documented("ib_api_probe")[1], "api") == []


# --- options that cannot be right ------------------------------------------------------------------------------------

ENTRY = {"name": "live", "trading_mode": "live"}
STOP = {"pid": 2, "started_ticks": 1, "boot_id": "x"}
ENDS = {"port": 4001, "client": "127.0.0.1", "client_port": 50_000, "server": "127.0.0.1", "cookie": 7}
DROP = {"gateway": "live", **ENDS, "gateway_process": STOP, "client_processes": [STOP]}
BY_COMMAND = dict(ENTRY, start_command=["/nonexistent/start"])
RESTART = {"gateway": "live", "target": {"by": "identity"}}
STEP = {"action": "stop_client", "gateway": "live", "target": STOP}
DROP_STEP = {"action": "drop_connection", "gateway": "live", "target": DROP}


@pytest.mark.timeout(3)  # a wrong option is refused, not waited for
@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        ("ib_api_probe", {}, "port"),
        ("ib_api_probe", {"port": 0}, "port"),
        ("ib_api_probe", {"port": 70_000}, "port"),
        ("ib_api_probe", {"port": "x"}, "port"),
        ("ib_api_probe", {"port": 4001, "timeout": 0}, "timeout"),
        ("ib_api_probe", {"port": 4001, "client_id": 0}, "client"),
        ("ib_api_probe", {"port": 4001, "engine": "telnet"}, "engine"),
        ("ib_client_info", {"ports": [0]}, "ports"),
        ("ib_client_info", {"client_patterns": ["("]}, "client_patterns"),
        ("ib_client_info", {"client_patterns": ["a{99999999999}"]}, "client_patterns"),
        ("ib_listener_info", {"ports": [65_536]}, "ports"),
        ("ib_listener_info", {"port": 4001}, "port"),
        ("ib_gateway_info", {"gateways": []}, "gateways"),
        ("ib_gateway_health", {}, "gateways"),
        ("ib_gateway_health", {"gateways": [dict(ENTRY, port=0)]}, "port"),
        ("ib_gateway_health", {"gateways": [dict(ENTRY, protected_clients=["("])]}, "protected_clients"),
        ("ib_gateway_health", {"gateways": [ENTRY], "probe": "perhaps"}, "probe"),
        ("ib_gateway_health", {"gateways": [ENTRY], "probe_timeout": -1}, "probe_timeout"),
        ("ib_gateway_start", {"gateways": [ENTRY], "only": ["other"]}, "only"),
        ("ib_gateway_start", {"gateways": [ENTRY], "only": ["live"]}, "start_command"),
        ("ib_gateway_wait", {"gateways": [ENTRY]}, "only"),
        ("ib_gateway_wait", {"gateways": [ENTRY], "only": ["other"], "timeout": 0}, "only"),
        ("ib_gateway_wait", {"gateways": [ENTRY], "only": ["live"], "timeout": "x"}, "timeout"),
        ("ib_process_stop", {"processes": [{"pid": 1}]}, "started_ticks"),
        ("ib_process_stop", {"processes": [dict(STOP, role="relay")]}, "role"),
        ("ib_process_stop", {"processes": [STOP], "grace_period": -1}, "grace_period"),
        ("ib_process_stop", {"processes": [STOP], "authorization": {"run": "r", "by": "b"}}, "gateways"),
        (
            "ib_process_stop",
            {"processes": [STOP], "gateways": [ENTRY], "authorization": {"run": "r", "by": "b"}},
            "processes",
        ),
        ("ib_connection_drop", {"connections": [dict(DROP, client="localhost")]}, "connections"),
        ("ib_connection_drop", {"connections": [dict(DROP, port=0)]}, "connections"),
        ("ib_connection_drop", {"connections": [dict(DROP, cookie=1 << 64)]}, "connections"),
        ("ib_connection_drop", {"connections": [DROP], "authorization": {"run": "r", "by": "b"}}, "gateways"),
        ("ib_gateway_restart", {"gateways": [ENTRY], "restarts": [dict(RESTART, gateway="other")]}, "steps"),
        ("ib_gateway_restart", {"gateways": [ENTRY], "restarts": [RESTART]}, "start_command"),
        ("ib_gateway_restart", {"gateways": [BY_COMMAND], "restarts": [RESTART]}, "steps"),
        ("ib_gateway_restart", {"gateways": [BY_COMMAND], "restarts": [dict(RESTART, target={"by": "unit"})]}, "unit"),
        ("ib_gateway_restart", {"gateways": [ENTRY], "restarts": [], "timeout": 0}, "timeout"),
        ("ib_gateway_restart", {"gateways": [BY_COMMAND], "steps": [dict(RESTART, target={"by": "hand"})]}, "steps"),
        ("ib_process_stop", {}, "steps"),
        ("ib_process_stop", {"steps": [dict(STEP, target={"pid": 2})]}, "steps[0].target.started_ticks"),
        ("ib_process_stop", {"steps": [dict(STEP, target=dict(STOP, pid=True))]}, "steps[0].target.pid"),
        ("ib_process_stop", {"steps": [dict(STEP, target=dict(STOP, allow_kill="no"))]}, "steps[0].target.allow_kill"),
        ("ib_process_stop", {"steps": [dict(STEP, action="restart")]}, "steps[0].action"),
        ("ib_process_stop", {"steps": [{"gateway": "live", "target": STOP}]}, "steps[0].action"),
        ("ib_process_stop", {"steps": [STEP], "processes": [STOP]}, "steps"),
        ("ib_connection_drop", {"steps": [dict(DROP_STEP, target=dict(DROP, client_processes=STOP))]}, "processes"),
        ("ib_connection_drop", {"steps": [dict(DROP_STEP, target=dict(DROP, client="localhost"))]}, "steps"),
        ("ib_connection_drop", {"connections": [ENDS]}, "connections"),
        ("ib_gateway_start", {"gateways": [ENTRY], "steps": [{"gateway": "other", "target": {}}]}, "steps"),
        ("ib_gateway_wait", {"gateways": [ENTRY], "steps": [{"gateway": "live", "target": {}}]}, "steps[0].target.for"),
        (
            "ib_gateway_wait",
            {"gateways": [ENTRY], "upstream_wait": 0, "steps": [{"gateway": "live", "target": {"for": "upstream"}}]},
            "upstream_wait",
        ),
    ],
)
def test_a_bad_option_fails_with_a_message_that_names_it(name: str, options: Dict[str, Any], option: str) -> None:
    found = run(name, options)
    assert found.get("failed") is True
    assert option in found["msg"] and "Traceback" not in str(found)
