"""What the process and socket tables show: for each finding what makes it, and what nearly does."""

from __future__ import annotations

import json
import pprint
from typing import Any, Dict, Mapping, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.findings import Finding
from ansible.module_utils.ib_gateway.base.host import Client, Process
from ansible.module_utils.ib_gateway.base.login import LoginState
from ansible.module_utils.ib_gateway.base.plan import Diagnosis, Entry
from ansible.module_utils.ib_gateway.decide.planning import plan
from unit.facts import (
    ALIEN,
    GATEWAY,
    OTHER_SCRIPT,
    SCRIPT,
    SECOND,
    UNIT,
    connection,
    gateway,
    judged,
    listener,
    process,
    script,
    snapshot,
    spec,
)

YOUNG = 30.0
SOCAT = process(ALIEN, "socat", "TCP-LISTEN:4001,fork", "TCP:127.0.0.1:4003", user="root")


def only(diagnosis: Diagnosis) -> Finding:
    assert len(diagnosis.findings) == 1, [each.code for each in diagnosis.findings]
    return diagnosis.findings[0]


def finding(diagnosis: Diagnosis, code: str) -> Finding:
    return next(each for each in diagnosis.findings if each.code == code)


def codes(diagnosis: Diagnosis) -> Tuple[str, ...]:
    return tuple(each.code for each in diagnosis.findings)


def test_a_gateway_that_listens_is_healthy() -> None:
    diagnosis = judged(snapshot(gateway(), listener()))
    assert (diagnosis.status, diagnosis.verdict, diagnosis.findings) == ("healthy", "healthy", ())


def test_one_client_on_a_gateway_that_takes_one_is_healthy() -> None:
    assert judged(snapshot(gateway(), listener(), script(), connection(SCRIPT))).status == "healthy"


# --- gateway_not_running, gateway_starting, not_listening ------------------------------------------------------------


def test_without_a_process_the_gateway_is_not_running() -> None:
    found = only(judged(snapshot(gateway(folder="/srv/other"))))
    assert (found.code, found.severity) == ("gateway_not_running", "unhealthy")
    assert found.evidence["expected"]["port"] == 4001


def test_a_young_gateway_without_a_listener_is_starting() -> None:
    found = only(judged(snapshot(gateway(age=119.9))))
    assert (found.code, found.severity) == ("gateway_starting", "degraded")
    assert found.evidence["processes"][0]["pid"] == GATEWAY


@pytest.mark.parametrize("age", [120.0, 86400.0])
def test_a_gateway_that_never_served_waits_for_its_login_however_long_it_has_run(age: float) -> None:
    found = only(judged(snapshot(gateway(age=age))))
    assert (found.code, found.severity) == ("login_pending", "degraded")
    assert (found.evidence["pid"], found.evidence["age"]) == (GATEWAY, age)


@pytest.mark.parametrize("age", [YOUNG, 86400.0])
def test_a_gateway_that_has_served_and_listens_no_more_is_not_listening(age: float) -> None:
    found = only(judged(snapshot(gateway(age=age, served_before=True))))
    assert (found.code, found.severity) == ("not_listening", "unhealthy")
    assert found.evidence["processes"][0]["served_before"] is True


def test_a_longer_start_timeout_is_respected() -> None:
    assert judged(snapshot(gateway(age=290.0)), spec(start_timeout=300)).verdict == "gateway_starting"


def test_a_young_gateway_that_has_served_before_is_not_starting() -> None:
    look = snapshot(gateway(age=YOUNG), script(), connection(SCRIPT, state="CLOSE_WAIT"))
    found = finding(judged(look), "not_listening")
    assert found.evidence["processes"][0]["served_before"] is True
    assert found.evidence["connections"][0]["pid"] == SCRIPT


def test_a_young_gateway_with_only_its_command_server_open_is_starting() -> None:
    assert judged(snapshot(gateway(age=YOUNG), listener(7462))).verdict == "gateway_starting"


@pytest.mark.parametrize("port", [7462, 7463, 7464, 7465])
def test_an_old_gateway_with_only_its_command_server_open_waits_for_its_login(port: int) -> None:
    assert judged(snapshot(gateway(), listener(port))).verdict == "login_pending"


@pytest.mark.parametrize(
    "option",
    [
        "-Dcom.sun.management.jmxremote.port=9010",
        "-javaagent:/opt/jmx.jar=9010:/etc/jmx.yml",
        "-Dmetrics.address=127.0.0.1:9010",
        "-Dexporter.listen=[::1]:9010",
        "-Dmetrics.bind=:9010",
    ],
)
def test_a_port_that_java_s_options_name_is_no_wrong_port(option: str) -> None:
    argv = ("java", option, "-DjtsConfigDir=" + str(spec().config_dir), "ibcalpha.ibc.IbcGateway", "/opt/config.ini")
    assert judged(snapshot(process(GATEWAY, *argv), listener(9010))).verdict == "login_pending"


@pytest.mark.parametrize("option", ["-Dcache.dir=/srv/x:9010", "-Dhome.address=/srv/a:9010", "-Dsession=a:9010"])
def test_a_number_that_is_no_address_s_port_hides_no_port_that_may_be_the_api_s(option: str) -> None:
    argv = ("java", option, "-DjtsConfigDir=" + str(spec().config_dir), "ibcalpha.ibc.IbcGateway", "/opt/config.ini")
    look = snapshot(process(GATEWAY, *argv), listener(9010), script(), connection(SCRIPT, port=9010, sent=5000))
    assert judged(look).verdict == "wrong_port"


def test_a_unit_that_has_no_gateway_yet_is_starting() -> None:
    found = only(judged(snapshot(units={UNIT: 119.9})))
    assert (found.code, found.severity, found.evidence["unit"]) == ("gateway_starting", "degraded", UNIT)


def test_a_unit_that_is_up_without_a_gateway_does_not_run_one() -> None:
    found = only(judged(snapshot(units={UNIT: 120.0})))
    assert (found.code, found.evidence["unit_is_up"]) == ("gateway_not_running", True)
    assert UNIT in found.summary


@pytest.mark.parametrize(("service", "unit"), [(None, UNIT), ("other", UNIT), (UNIT, "other.service")])
def test_another_unit_that_is_up_says_nothing(service: Optional[str], unit: str) -> None:
    found = only(judged(snapshot(units={unit: 30.0}), spec(service=service)))
    assert (found.code, found.evidence["unit_is_up"]) == ("gateway_not_running", False)


# --- duplicate_gateways ----------------------------------------------------------------------------------------------


def test_two_gateways_of_one_entry_are_duplicates() -> None:
    found = only(judged(snapshot(gateway(), gateway(SECOND), listener())))
    assert (found.code, found.severity) == ("duplicate_gateways", "unhealthy")
    told = {each["pid"]: each["listening"] for each in found.evidence["processes"]}
    assert told == {GATEWAY: [4001], SECOND: []}


def test_a_gateway_of_another_account_is_no_duplicate() -> None:
    assert judged(snapshot(gateway(), gateway(SECOND, user="bob"), listener())).status == "healthy"


def test_a_gateway_of_another_folder_is_no_duplicate() -> None:
    assert judged(snapshot(gateway(), gateway(SECOND, "/srv/demo"), listener())).status == "healthy"


# --- wrong_port ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [YOUNG, 86400.0])
@pytest.mark.parametrize("port", [4002, 7496, 7497])
def test_a_gateway_on_another_api_port_is_on_the_wrong_one_at_once(port: int, age: float) -> None:
    found = only(judged(snapshot(gateway(age=age), listener(port))))
    assert (found.code, found.severity) == ("wrong_port", "unhealthy")
    assert (found.evidence["expected_port"], found.evidence["listening"]) == (4001, [port])
    assert str(port) in found.summary and "4001" in found.summary


def test_a_paper_gateway_on_the_live_port_is_on_the_wrong_one() -> None:
    one = spec(name="paper", trading_mode="paper", port=4002)
    assert judged(snapshot(gateway(), listener(4001)), one).verdict == "wrong_port"


@pytest.mark.parametrize("sent", [None, 5000])
def test_any_other_port_is_the_wrong_one_where_a_session_works_on_it(sent: Optional[int]) -> None:
    used = connection(SCRIPT, port=4444, sent=sent)
    found = only(judged(snapshot(gateway(), listener(4444), script(), used)))
    assert (found.code, found.evidence["listening"]) == ("wrong_port", [4444])


def test_any_other_port_is_the_wrong_one_where_the_log_says_that_the_login_has_completed() -> None:
    served = LoginState("ready", GATEWAY, log="/x", served=True)
    found = judged(snapshot(gateway(), listener(4444)), login=served)
    assert [each.code for each in found.findings] == ["wrong_port"]
    assert plan(found).steps == ()


@pytest.mark.parametrize("served", [True, False])
def test_an_agent_s_port_at_the_login_is_no_wrong_port(served: bool) -> None:
    attempt = connection(SCRIPT, port=4444, sent=20, received=10)
    look = snapshot(gateway(), listener(4444), script(), attempt) if served else snapshot(gateway(), listener(4444))
    found = only(judged(look))
    assert (found.code, found.evidence["listening"]) == ("login_pending", [4444])
    assert "4444" in found.summary


def test_a_console_on_a_port_that_java_s_options_name_is_no_session() -> None:
    option = "-Dcom.sun.management.jmxremote.port=9010"
    argv = ("java", option, "-DjtsConfigDir=" + str(spec().config_dir), "ibcalpha.ibc.IbcGateway", "/opt/config.ini")
    look = snapshot(process(GATEWAY, *argv), listener(9010), script(), connection(SCRIPT, port=9010, sent=5000))
    assert judged(look).verdict == "login_pending"


def test_an_agent_s_port_beside_sessions_on_the_entry_s_port_does_not_keep_a_gateway_that_served_from_its_repair() -> (
    None
):
    look = snapshot(gateway(), listener(4444), script(), connection(SCRIPT))
    assert judged(look).verdict == "not_listening"


def test_any_other_port_says_nothing_while_the_gateway_is_starting() -> None:
    assert judged(snapshot(gateway(age=YOUNG), listener(4444))).verdict == "gateway_starting"


def test_a_further_port_beside_the_right_one_is_no_fault() -> None:
    assert judged(snapshot(gateway(), listener(4001), listener(4444))).status == "healthy"


# --- port_taken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "relay", "word"),
    [
        (SOCAT, "socat", "the relay socat"),
        (process(ALIEN, "/usr/bin/docker-proxy", "-host-port", "4001"), "docker-proxy", "the relay docker-proxy"),
        (process(ALIEN, "python3", "-m", "http.server", "4001"), None, "no gateway"),
        (gateway(ALIEN, user="bob"), None, "another gateway"),
    ],
)
def test_a_port_that_somebody_else_owns_is_taken(owner: Process, relay: Optional[str], word: str) -> None:
    diagnosis = judged(snapshot(owner, listener(4001, ALIEN)))
    assert diagnosis.verdict == "port_taken" and "gateway_not_running" in codes(diagnosis)
    found = finding(diagnosis, "port_taken")
    assert found.severity == "unhealthy" and word in found.summary and str(ALIEN) in found.summary
    assert (found.evidence["relay"], found.evidence["owners"][0]["pid"]) == (relay, ALIEN)


def test_another_port_that_somebody_else_owns_is_not_taken() -> None:
    assert judged(snapshot(gateway(), SOCAT, listener(), listener(4003, ALIEN))).status == "healthy"


def test_a_socket_that_the_gateway_shares_with_its_child_is_its_own() -> None:
    child = process(ALIEN, "sh", "-c", "tail -f launcher.log")
    assert judged(snapshot(gateway(), child, listener(4001, GATEWAY, ALIEN))).status == "healthy"


# --- accept_queue_full -----------------------------------------------------------------------------------------------


def test_a_queue_that_stays_is_full() -> None:
    waiting = connection(SCRIPT, accepted=False, gateway_pids=frozenset((GATEWAY,)))
    diagnosis = judged(snapshot(gateway(), listener(backlog=50), script(), waiting, queues={4001: (1, 1, 2)}))
    found = only(diagnosis)
    assert (found.code, found.severity) == ("accept_queue_full", "unhealthy")
    assert (found.evidence["samples"], found.evidence["backlog"]) == ([1, 1, 2], 50)
    assert found.evidence["waiting"][0]["pid"] == SCRIPT


@pytest.mark.parametrize("queues", [{}, {4001: (3,)}, {4001: (3, 0, 0)}, {4001: (3, 3, 0)}, {4002: (3, 3, 3)}])
def test_a_queue_that_empties_is_not_full(queues: Mapping[int, Tuple[int, ...]]) -> None:
    assert judged(snapshot(gateway(), listener(), queues=queues)).status == "healthy"


def test_a_queue_of_somebody_else_s_listener_is_not_the_gateway_s() -> None:
    look = snapshot(gateway(), SOCAT, listener(4001, ALIEN), queues={4001: (3, 3, 3)})
    assert "accept_queue_full" not in codes(judged(look))


# --- stale_connections -----------------------------------------------------------------------------------------------


def test_a_client_that_has_gone_leaves_a_stale_connection() -> None:
    found = only(judged(snapshot(gateway(), listener(), connection(state="CLOSE_WAIT"))))
    assert (found.code, found.severity) == ("stale_connections", "degraded")
    assert found.evidence["slot_blocked"] is None


@pytest.mark.parametrize(
    "more", [{"state": "ESTABLISHED"}, {"state": "FIN_WAIT2"}, {"state": "CLOSE_WAIT", "accepted": False}]
)
def test_a_connection_that_the_gateway_does_not_hold_half_closed_is_not_stale(more: Dict[str, Any]) -> None:
    assert judged(snapshot(gateway(), listener(), script(), connection(SCRIPT, **more))).status == "healthy"


# --- competing_clients -----------------------------------------------------------------------------------------------


def test_more_connections_than_may_be_open_compete() -> None:
    look = snapshot(gateway(), listener(), script(), connection(SCRIPT), connection(remote_host="10.0.0.9"))
    found = only(judged(look))
    assert (found.code, found.severity) == ("competing_clients", "unhealthy")
    assert (found.evidence["open_connections"], found.evidence["max_api_clients"]) == (2, 1)
    assert [each.get("remote_host") for each in found.evidence["clients"]] == [None, "10.0.0.9"]


def test_as_many_connections_as_may_be_open_do_not_compete() -> None:
    look = snapshot(gateway(), listener(), script(), connection(SCRIPT), connection(remote_host="10.0.0.9"))
    assert judged(look, spec(max_api_clients=2)).status == "healthy"


def test_without_a_limit_sessions_never_compete_however_many_there_are() -> None:
    others = [connection(remote_host="10.0.0.%d" % number) for number in range(1, 40)]
    look = snapshot(gateway(), listener(), script(), connection(SCRIPT), *others)
    assert judged(look, spec(max_api_clients=None)).findings == ()


def test_without_a_limit_a_script_that_a_pattern_names_competes_all_the_same() -> None:
    look = snapshot(gateway(), listener(), script(), connection(SCRIPT))
    found = only(judged(look, spec(max_api_clients=None, client_patterns=("bot",))))
    assert (found.code, found.evidence["max_api_clients"]) == ("competing_clients", None)


@pytest.mark.parametrize("more", [{"accepted": False}, {"state": "CLOSE_WAIT"}, {"state": "FIN_WAIT2"}])
def test_a_connection_that_is_not_open_does_not_compete(more: Dict[str, Any]) -> None:
    look = snapshot(gateway(), listener(), script(), connection(SCRIPT), connection(OTHER_SCRIPT, **more))
    assert "competing_clients" not in codes(judged(look))


def test_one_connection_that_two_processes_hold_is_one_connection() -> None:
    """A script that forks hands its socket on; both processes hold the same connection."""
    look = snapshot(gateway(), listener(), script(SCRIPT), script(OTHER_SCRIPT), connection(SCRIPT, OTHER_SCRIPT))
    assert judged(look).status == "healthy"


def test_a_script_that_a_pattern_names_competes_although_it_is_not_connected() -> None:
    found = only(judged(snapshot(gateway(), listener(), script()), spec(client_patterns=("bot",))))
    assert (found.code, found.severity) == ("competing_clients", "degraded")


def test_a_protected_script_that_a_pattern_names_does_not_compete() -> None:
    one = spec(client_patterns=("bot",), protected_clients=("bot",))
    assert judged(snapshot(gateway(), listener(), script()), one).status == "healthy"


def test_an_editor_on_the_script_does_not_compete() -> None:
    look = snapshot(gateway(), listener(), process(ALIEN, "vim", "bot.py"))
    assert judged(look, spec(client_patterns=("bot",))).status == "healthy"


ORPHAN = script(ppid=1)
LONG_SILENT = connection(SCRIPT, idle=600.0)


@pytest.mark.parametrize("one", [ORPHAN, script(ppid=700), script(ppid=1, unit="bot.service")], ids=repr)
def test_a_forgotten_script_on_the_only_slot_is_worth_a_word_and_no_more_whose_child_it_may_be(one: Process) -> None:
    diagnosis = judged(snapshot(gateway(), listener(), one, LONG_SILENT))
    assert only(diagnosis).code == "competing_clients" and only(diagnosis).severity == "info"
    assert (diagnosis.status, diagnosis.verdict, diagnosis.codes) == ("healthy", "healthy", frozenset())


@pytest.mark.parametrize("idle", [599.0, None])
def test_a_script_that_spoke_lately_is_not_forgotten(idle: Optional[float]) -> None:
    assert judged(snapshot(gateway(), listener(), ORPHAN, LONG_SILENT._replace(idle=idle))).findings == ()


def test_a_protected_script_is_never_forgotten() -> None:
    assert judged(snapshot(gateway(), listener(), ORPHAN, LONG_SILENT), spec(protected_clients=("bot",))).findings == ()


# --- everything ------------------------------------------------------------------------------------------------------


def test_no_evidence_holds_a_password() -> None:
    argv = ("java", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini", "trader", "hunter2", "live")
    bad = process(GATEWAY, *argv, cwd="/srv/ibgateway/live")
    other = process(SCRIPT, "python3", "bot.py", "--pw=hunter2")
    look = snapshot(bad, gateway(SECOND), other, connection(SCRIPT), connection(SCRIPT, client_port=1))
    assert len(judged(look).findings) == 3
    assert "hunter2" not in repr(judged(look))


def test_what_may_hold_secrets_is_shown_without_them_and_refuses_to_become_json() -> None:
    one = process(SCRIPT, "python3", "bot.py", "--pw=hunter2")
    command = spec(start_command=("start.sh", "hunter2"))
    for each in (one, command, Client(one, None), Entry(command, (one,))):
        for text in (repr(each), str(each), f"{each}", "%s" % (each,), pprint.pformat(each)):
            assert "hunter2" not in text
        with pytest.raises(TypeError, match="not JSON serializable"):
            json.dumps(each)
