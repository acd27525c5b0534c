"""The entries that are proposed for what a host shows: a value for each fact, a note for each that is missing."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import pytest
from ansible.module_utils.ib_gateway.base import inventory
from ansible.module_utils.ib_gateway.base.host import Keeper, Process, Snapshot
from ansible.module_utils.ib_gateway.base.proposal import Evidence, Left, Met, Proposal, Starter, UnitFile
from ansible.module_utils.ib_gateway.base.spec import Container, GatewaySpec
from ansible.module_utils.ib_gateway.decide.discovery import propose, with_mode
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import GATEWAY, SCRIPT, SECOND, connection, gateway, listener, process, script, snapshot

JTS = "/home/trader/Jts"
THIRD = 4713


def proposed(look: Snapshot, *declared: GatewaySpec, **more: Any) -> Tuple[Tuple[Proposal, ...], Tuple[Left, ...]]:
    gateways = sorted((each for each in look.processes.values() if each.gateway), key=lambda each: each.pid)
    return propose(declared, gateways, Evidence(look, 300, **more))


def entries(look: Snapshot, **more: Any) -> List[Dict[str, Any]]:
    found = [each.entry() for each in proposed(look, **more)[0]]
    assert found == [] or inventory.parse(found)[1] == []
    return found


def native(pid: int = GATEWAY, folder: str = JTS, **more: Any) -> Process:
    """A native launch: argv tells neither folder nor mode."""
    argv = ("java", "-DjtsConfigDir=${installer:jtsConfigDir}", "ibgateway.GWClient")
    return process(pid, *argv, folder=folder, **more)


def test_a_gateway_that_listens_gets_an_entry_with_all_that_is_seen_of_it() -> None:
    look = snapshot(gateway(mode="paper", folder=JTS), listener(4002))
    assert entries(look) == [
        {
            "name": "paper",
            "trading_mode": "paper",
            "port": 4002,
            "user": "trader",
            "config_dir": JTS,
            "remediation": "plan_only",
        }
    ]


def test_three_gateways_of_one_folder_are_one_entry_with_the_port_of_their_open_connection() -> None:
    look = snapshot(
        gateway(mode="live", folder=JTS), native(SECOND), native(THIRD), script(), connection(SCRIPT, port=4000)
    )
    (found,), left = proposed(look)
    assert (found.pids, found.spec.port, found.spec.trading_mode, left) == ((GATEWAY, SECOND, THIRD), 4000, "live", ())
    assert found.notes["port"] == "nothing listens on it; connections to it are still open"
    assert found.guessed == frozenset()


def test_live_and_paper_of_one_folder_are_two_entries() -> None:
    look = snapshot(
        gateway(GATEWAY, JTS, "live"), gateway(SECOND, JTS, "paper"), listener(4001), listener(4002, SECOND)
    )
    assert [(each["name"], each["port"]) for each in entries(look)] == [("live", 4001), ("paper", 4002)]


def test_the_mode_is_told_by_the_port_where_nothing_else_tells() -> None:
    (found,), _left = proposed(snapshot(native(), listener(4002)))
    assert found.spec.trading_mode == "paper" and "trading_mode" not in found.guessed and found.mode_by_port
    (said,), _left = proposed(snapshot(gateway(mode="paper", folder=JTS), listener(4002)))
    assert said.spec.trading_mode == "paper" and not said.mode_by_port


def test_a_mode_that_nothing_tells_is_a_guess_and_says_so() -> None:
    (found,), _left = proposed(snapshot(native(), listener(4010)))
    assert found.spec.trading_mode == "live" and found.guessed == {"trading_mode"}
    assert "nothing on the host tells" in found.notes["trading_mode"]


def test_a_guessed_mode_gives_way_to_that_of_the_accounts() -> None:
    (found,), _left = proposed(snapshot(native(), listener(4010)))
    shown = with_mode(found, "paper", [found.spec])
    assert (shown.spec.name, shown.spec.trading_mode, shown.spec.port) == ("paper", "paper", 4010)
    assert shown.guessed == frozenset()


def test_a_port_that_nothing_tells_is_the_usual_one_and_a_guess() -> None:
    (found,), _left = proposed(snapshot(gateway(mode="paper", folder=JTS)))
    assert found.spec.port == 4002 and found.guessed == {"port"}


def test_of_sockets_that_could_not_be_read_no_note_says_that_nothing_listens() -> None:
    hidden: Dict[str, Any] = {"sockets_visible": False, "mode": "live"}
    (found,), _left = proposed(snapshot(gateway(folder=JTS, **hidden)))
    assert found.spec.port == 4001 and found.guessed == {"port"}
    assert "could not be read" in found.notes["port"] and "look as root" in found.notes["port"]
    (read,), _left = proposed(snapshot(gateway(folder=JTS, **hidden)), ports={GATEWAY: 4003})
    assert read.notes["port"] == "from IBC's settings file; its sockets could not be read"
    two, _left = proposed(snapshot(gateway(folder="/srv/a", **hidden), gateway(SECOND, "/srv/b", user="x", **hidden)))
    assert len({each.spec.port for each in two}) == 2
    assert not [each for each in (found, read, *two) if "nothing listens" in each.notes["port"]]


def test_a_tws_whose_sockets_could_not_be_read_is_not_said_to_have_no_api_port() -> None:
    tws = process(GATEWAY, "java", "jclient.LoginFrame", "/opt/c.ini", sockets_visible=False)
    ((_process, why),) = proposed(snapshot(tws))[1]
    assert "not known" in why and "without" not in why


def test_the_port_of_ibcs_settings_comes_before_the_usual_one() -> None:
    (found,), _left = proposed(snapshot(gateway(mode="live", folder=JTS)), ports={GATEWAY: 4003})
    assert found.spec.port == 4003 and found.guessed == frozenset()


def test_two_gateways_that_do_not_listen_yet_get_two_ports_and_the_check_accepts_them() -> None:
    look = snapshot(gateway(GATEWAY, "/srv/a", "live"), gateway(SECOND, "/srv/b", "live", user="other"))
    found = entries(look)
    assert len({each["port"] for each in found}) == 2 and len({each["name"] for each in found}) == 2


@pytest.mark.parametrize("option", ["-Dcom.sun.management.jmxremote.port=9010", "-javaagent:/opt/jmx.jar=9010"])
def test_a_port_of_an_agent_is_no_api_port(option: str) -> None:
    gate = process(GATEWAY, "java", option, "-DjtsConfigDir=" + JTS, "ibcalpha.ibc.IbcGateway", "/opt/c.ini", "live")
    (found,), _left = proposed(snapshot(gate, listener(9010)))
    assert found.spec.port == 4001 and "port" in found.guessed


def test_the_unit_that_a_gateway_runs_in_starts_it() -> None:
    look = snapshot(gateway(mode="live", folder=JTS, unit="ibgateway.service", unit_is_own=True), listener())
    assert entries(look)[0]["service"] == "ibgateway.service"


def test_a_unit_in_which_a_gateway_only_happens_to_live_does_not() -> None:
    look = snapshot(gateway(mode="live", folder=JTS, unit="cron.service", unit_is_own=False), listener())
    assert "service" not in entries(look)[0]


def test_the_only_unit_whose_file_describes_a_gateway_is_named_with_a_note() -> None:
    look = snapshot(gateway(mode="live", folder=JTS), listener())
    (found,), _left = proposed(look, units=(UnitFile("ibgw.service", "system", "trader", "gateway", "live"),))
    assert found.spec.service == "ibgw.service" and "started otherwise" in found.notes["service"]


def test_a_unit_of_the_account_itself_is_of_its_scope() -> None:
    look = snapshot(gateway(mode="live", folder=JTS, user_unit="ibgateway.service", unit_uid=1000), listener())
    assert (entries(look)[0]["service"], entries(look)[0]["service_scope"]) == ("ibgateway.service", "user")


@pytest.mark.parametrize(
    ("wanted", "state", "found"), [(True, "", 1), (False, "failed", 1), (False, "inactive", 0), (False, "active", 1)]
)
def test_a_unit_without_a_gateway_counts_where_it_should_be_up(wanted: bool, state: str, found: int) -> None:
    unit = UnitFile("ibgateway-paper.service", "system", "trader", "gateway", wanted=wanted, state=state)
    made = entries(snapshot(), units=(unit,))
    assert len(made) == found
    assert all((each["trading_mode"], each["service"]) == ("paper", unit.name) for each in made)


def test_a_unit_whose_gateway_may_be_one_that_runs_elsewhere_gets_no_entry_of_its_own() -> None:
    units = tuple(
        UnitFile("ib-%s.service" % mode, "system", "trader", "gateway", mode, state="active")
        for mode in ("live", "paper")
    )
    assert len(entries(snapshot(gateway(folder=None)), units=units)) == 1, "it may be either"
    made = entries(snapshot(gateway(folder=None, mode="live")), units=units)
    assert [each["service"] for each in made] == ["ib-live.service", "ib-paper.service"]


def test_a_script_that_is_about_to_bring_a_gateway_gets_an_entry() -> None:
    keeper = Keeper(700, "trader", "ibcstart.sh", 5.0, "paper", product="gateway")
    assert [(each["trading_mode"], each["user"]) for each in entries(snapshot(), keepers=(keeper,))] == [
        ("paper", "trader")
    ]
    assert entries(snapshot(), keepers=(keeper._replace(supervises=True),)) == []
    assert entries(snapshot(), keepers=(keeper._replace(again=False, age=9999.0),)) == []


def test_a_start_script_becomes_the_start_command_only_where_it_holds_no_secret() -> None:
    look = snapshot(gateway(mode="live", folder=JTS), listener())
    plain = Starter(700, "gatewaystart.sh -inline", ("/opt/ibc/gatewaystart.sh", "-inline"))
    assert entries(look, starters={GATEWAY: plain})[0]["start_command"] == ["/opt/ibc/gatewaystart.sh", "-inline"]
    (found,), _left = proposed(look, starters={GATEWAY: Starter(700, "ibcstart.sh ***")})
    assert found.spec.start_command == () and "may hold a password" in found.notes["start_command"]


def test_a_gateway_in_a_container_names_it() -> None:
    look = snapshot(gateway(mode="live", folder=JTS, other_netns=True))
    made = entries(look, containers={GATEWAY: Container("docker", "0123456789ab")})
    assert made[0]["container"] == {"engine": "docker", "name": "0123456789ab"}


@pytest.mark.parametrize(
    ("main", "why"), [("ibcalpha.ibc.IbcTws", "a TWS without an API port"), ("com.own.Main", "main class")]
)
def test_what_no_entry_can_describe_is_left_with_the_reason(main: str, why: str) -> None:
    argv = ("java", "-cp", "/opt/ibgateway/jars/jts4launch-1030.jar", main, "/opt/c.ini", "live")
    found, left = proposed(snapshot(process(GATEWAY, *argv)))
    assert found == () and [each.process.pid for each in left] == [GATEWAY] and why in left[0].why


def test_a_tws_that_serves_the_api_gets_an_entry_of_its_product() -> None:
    tws = process(GATEWAY, "java", "-DjtsConfigDir=" + JTS, "ibcalpha.ibc.IbcTws", "/opt/c.ini", "live")
    made = entries(snapshot(tws, listener(7496)))
    assert (made[0]["name"], made[0]["product"], made[0]["port"]) == ("tws-live", "tws", 7496)


def test_what_is_declared_already_gets_no_second_entry_that_the_check_would_refuse() -> None:
    declared = GatewaySpec("live", "live", 4001, user="other", config_dir="/srv/x")
    found, left = proposed(snapshot(gateway(mode="live", folder=JTS), listener()), declared)
    assert found == () and [each.process.pid for each in left] == [GATEWAY]


FOLDERS, USERS = (None, "/srv/a", "/srv/b"), ("trader", "other", "root")


@st.composite
def desks(draw: st.DrawFn) -> Snapshot:
    """Any few gateways, listening anywhere or nowhere."""
    facts: List[Any] = []
    for pid in range(4711, 4711 + draw(st.integers(0, 5))):
        mode, folder = draw(st.sampled_from((None, "live", "paper"))), draw(st.sampled_from(FOLDERS))
        facts.append(gateway(pid, folder, mode, user=draw(st.sampled_from(USERS)), cwd=draw(st.sampled_from(FOLDERS))))
        port = draw(st.sampled_from((None, 4001, 4002, 4003, 7496)))
        if port:
            facts.append(listener(port, pid))
    return snapshot(*facts)


@settings(deadline=None, max_examples=200)
@given(desks())
def test_whatever_runs_the_check_accepts_what_is_proposed_and_every_gateway_is_told(look: Snapshot) -> None:
    found, left = proposed(look)
    made: Sequence[Dict[str, Any]] = [each.entry() for each in found]
    assert not made or inventory.parse(made)[1] == []
    told = sorted([*(pid for each in found for pid in each.pids), *(each.process.pid for each in left)])
    assert told == sorted(look.processes)


BOX = Container("docker", "0123456789ab")


def test_a_gateway_in_a_container_has_the_port_that_leads_to_it_and_the_mode_of_the_one_inside() -> None:
    look = snapshot(native(other_netns=True))
    made = entries(look, containers={GATEWAY: BOX}, met={GATEWAY: Met(23977, 4002)})
    assert (made[0]["port"], made[0]["trading_mode"]) == (23977, "paper")


def test_no_port_is_made_up_for_a_gateway_in_a_container_that_publishes_none() -> None:
    look = snapshot(native(folder="/srv/one"), listener(), native(SECOND, "/srv/two", other_netns=True))
    found, left = proposed(look, containers={SECOND: BOX})
    assert [each.pids for each in found] == [(GATEWAY,)]
    assert [(each.process.pid, "nothing tells its port" in each.why) for each in left] == [(SECOND, True)]
