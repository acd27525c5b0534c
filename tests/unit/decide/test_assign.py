"""Which gateway belongs to which entry, and who its clients are: what cannot be told apart belongs to nobody."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Client, Folder, Process, Snapshot
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.clients import all_clients
from ansible.module_utils.ib_gateway.decide.refusals import mistyped
from unit.facts import (
    ALIEN,
    FOLDER,
    GATEWAY,
    OTHER_SCRIPT,
    SCRIPT,
    SECOND,
    Fact,
    client,
    connection,
    entry,
    gateway,
    listener,
    process,
    script,
    snapshot,
    spec,
)

LIVE = spec(user=None, config_dir=None)
PAPER = spec(name="paper", trading_mode="paper", port=4002, user=None, config_dir=None)


def owned(look: Snapshot, *specs: GatewaySpec) -> Tuple[List[List[int]], List[int]]:
    """(the pids of each entry, the pids that fit none)."""
    entries, undeclared = entries_of(specs or (spec(),), look)
    return [[each.pid for each in one.processes] for one in entries], [each.pid for each in undeclared]


def ambiguous(look: Snapshot, *specs: GatewaySpec) -> List[List[int]]:
    return [[each.pid for each in one.ambiguous] for one in entries_of(specs, look)[0]]


# --- scope -----------------------------------------------------------------------------------------------------------


def test_a_gateway_belongs_to_the_entry_of_its_user_and_folder() -> None:
    assert owned(snapshot(gateway())) == ([[GATEWAY]], [])


def test_another_account_s_gateway_is_nobody_s() -> None:
    assert owned(snapshot(gateway(user="bob"))) == ([[]], [GATEWAY])


def test_another_account_s_gateway_is_nobody_s_even_on_the_entry_s_port() -> None:
    assert owned(snapshot(gateway(user="bob"), listener(4001, GATEWAY))) == ([[]], [GATEWAY])


def test_any_account_fits_an_entry_that_names_none() -> None:
    assert owned(snapshot(gateway(user="bob")), spec(user=None)) == ([[GATEWAY]], [])


def test_a_gateway_of_another_folder_is_nobody_s() -> None:
    assert owned(snapshot(gateway(folder="/srv/ibgateway/demo"))) == ([[]], [GATEWAY])


def test_a_folder_that_only_begins_alike_is_another_one() -> None:
    assert owned(snapshot(gateway(folder=FOLDER + "2", cwd=FOLDER + "/logs"))) == ([[]], [GATEWAY])


@pytest.mark.parametrize("written", [FOLDER, FOLDER + "/", FOLDER + "//", "/srv/./ibgateway/x/../live"])
def test_a_folder_is_the_same_however_it_is_written(written: str) -> None:
    assert owned(snapshot(gateway(folder=written))) == ([[GATEWAY]], [])
    assert owned(snapshot(gateway()), spec(config_dir=written)) == ([[GATEWAY]], [])


def test_the_working_directory_tells_where_the_command_line_does_not() -> None:
    assert owned(snapshot(gateway(folder=None, cwd=FOLDER))) == ([[GATEWAY]], [])
    assert owned(snapshot(gateway(folder=None, cwd="/srv/ibgateway/demo"))) == ([[]], [])


def test_a_gateway_that_may_be_the_entry_s_is_not_told_to_fit_no_entry() -> None:
    aside = gateway(SECOND, folder=None, cwd="/srv/ibgateway/demo")
    assert owned(snapshot(aside)) == ([[]], [])
    assert owned(snapshot(gateway(), aside)) == ([[GATEWAY]], [SECOND])


@pytest.mark.parametrize(("its", "pids"), [((8, 77), [GATEWAY]), ((8, 78), []), (None, [])])
def test_one_folder_under_two_paths_is_one_folder(its: Optional[Tuple[int, int]], pids: List[int]) -> None:
    """Through a bind mount, or in a root of its own: no symbolic link tells, the kernel does."""
    mounted = gateway(folder="/home/trader/Jts", folder_id=its)
    look = snapshot(mounted)._replace(folders={FOLDER: Folder(FOLDER, "trader", id=(8, 77))})
    assert owned(look)[0] == [pids]


@pytest.mark.parametrize(("its", "pids"), [((8, 77), [GATEWAY]), ((9, 77), []), (None, [GATEWAY])])
def test_one_path_in_another_root_is_another_folder(its: Optional[Tuple[int, int]], pids: List[int]) -> None:
    """In a chroot, or where a unit has mounted another one over it."""
    look = snapshot(gateway(folder=FOLDER, folder_id=its))._replace(
        folders={FOLDER: Folder(FOLDER, "trader", id=(8, 77))}
    )
    assert owned(look)[0] == [pids]


def test_folders_that_are_not_there_are_not_the_same_one() -> None:
    look = snapshot(gateway(folder="/home/trader/Jts"))._replace(folders={FOLDER: Folder(FOLDER)})
    assert owned(look)[0] == [[]]


def test_the_command_line_s_folder_weighs_more_than_the_working_directory() -> None:
    assert owned(snapshot(gateway(folder="/srv/ibgateway/demo", cwd=FOLDER))) == ([[]], [GATEWAY])


@pytest.mark.parametrize("mode", ["paper", "PAPER", "--mode=Paper"])
def test_a_gateway_that_says_the_other_mode_is_nobody_s_even_in_the_entry_s_folder(mode: str) -> None:
    """IBC's default folder is the same for live, paper and TWS."""
    assert owned(snapshot(gateway(mode=mode))) == ([[]], [GATEWAY])


@pytest.mark.parametrize(("mode", "pids"), [("live", [GATEWAY]), ("paper", []), (None, [GATEWAY])])
def test_without_a_folder_the_mode_in_argv_decides(mode: str, pids: List[int]) -> None:
    assert owned(snapshot(gateway(mode=mode)), LIVE)[0] == [pids]


def test_a_script_is_no_gateway_of_any_entry() -> None:
    look = snapshot(script(cwd=FOLDER), process(ALIEN, "java", "-jar", "other.jar", cwd=FOLDER))
    assert owned(look) == ([[]], [])


# --- two entries on one host -----------------------------------------------------------------------------------------


def test_live_and_paper_are_told_apart_by_the_mode_in_argv() -> None:
    look = snapshot(gateway(GATEWAY, mode="paper"), gateway(SECOND, mode="live"))
    assert owned(look, LIVE, PAPER) == ([[SECOND], [GATEWAY]], [])


def test_live_and_paper_are_told_apart_by_their_ports() -> None:
    look = snapshot(gateway(GATEWAY), gateway(SECOND), listener(4002, GATEWAY), listener(4001, SECOND))
    assert owned(look, LIVE, PAPER) == ([[SECOND], [GATEWAY]], [])


def test_live_and_paper_are_told_apart_by_their_folders() -> None:
    one, other = spec(config_dir="/srv/a"), spec(name="paper", trading_mode="paper", port=4002, config_dir="/srv/b")
    look = snapshot(gateway(GATEWAY, "/srv/b"), gateway(SECOND, "/srv/a"), listener(4002, GATEWAY))
    assert owned(look, one, other) == ([[SECOND], [GATEWAY]], [])


def test_a_gateway_of_one_entry_on_the_port_of_another_is_elsewhere_and_nobody_s_surplus() -> None:
    one, other = spec(config_dir="/srv/a"), spec(name="paper", trading_mode="paper", port=4002, config_dir="/srv/b")
    look = snapshot(gateway(GATEWAY, "/srv/b"), gateway(SECOND, "/srv/a"), listener(4001, GATEWAY))
    assert owned(look, one, other) == ([[SECOND], []], [])
    assert elsewhere(look, one, other) == [[], [GATEWAY]]


def test_live_and_paper_are_told_apart_by_their_accounts() -> None:
    one, other = spec(user="ann", config_dir=None), spec(name="second", port=4003, user="bob", config_dir=None)
    look = snapshot(gateway(GATEWAY, user="bob"), gateway(SECOND, user="ann"))
    assert owned(look, one, other) == ([[SECOND], [GATEWAY]], [])


def test_a_gateway_that_serves_nothing_is_not_that_of_an_entry_whose_gateway_serves() -> None:
    """Two native launches of one account share a folder, and no argv says the mode."""
    look = snapshot(gateway(GATEWAY), gateway(SECOND), listener(4002, SECOND))
    assert owned(look, LIVE, PAPER) == ([[GATEWAY], [SECOND]], [])


def test_a_gateway_that_holds_sessions_of_a_port_is_that_port_s_although_it_listens_no_more() -> None:
    look = snapshot(gateway(GATEWAY), gateway(SECOND), connection(SCRIPT, server=SECOND, port=4002), script())
    assert owned(look, LIVE, PAPER)[0][1] == [SECOND]


def test_a_gateway_with_a_placeholder_for_its_folder_is_the_entry_s_if_it_has_served_the_entry_s_port() -> None:
    look = snapshot(gateway(folder=None, cwd="/"), connection(SCRIPT), script())
    assert owned(look, spec()) == ([[GATEWAY]], [])


def test_what_two_entries_could_mean_belongs_to_neither() -> None:
    look = snapshot(gateway())
    assert owned(look, LIVE, PAPER) == ([[], []], [])
    assert ambiguous(look, LIVE, PAPER) == [[GATEWAY], [GATEWAY]]


def test_a_gateway_on_a_third_port_belongs_to_neither() -> None:
    look = snapshot(gateway(), listener(7496, GATEWAY))
    assert ambiguous(look, LIVE, PAPER) == [[GATEWAY], [GATEWAY]]


@pytest.mark.parametrize("port", [7462, 7463, 7464, 7465])
def test_ibc_s_command_server_tells_nothing(port: int) -> None:
    assert ambiguous(snapshot(gateway(), listener(port, GATEWAY)), LIVE, PAPER) == [[GATEWAY], [GATEWAY]]


# --- gateways on other ports -----------------------------------------------------------------------------------------


def elsewhere(look: Snapshot, *specs: GatewaySpec) -> List[List[int]]:
    return [[each.pid for each in one.elsewhere] for one in entries_of(specs, look)[0]]


@pytest.mark.parametrize("one", [LIVE, spec()], ids=["by nothing", "by its folder"])
@pytest.mark.parametrize("mode", [None, "live"])
def test_beside_one_that_serves_the_entry_s_port_a_gateway_on_another_api_port_is_nobody_s(
    one: GatewaySpec, mode: Optional[str]
) -> None:
    held = [connection(SCRIPT), connection(OTHER_SCRIPT, server=SECOND, port=4002)]
    pair: List[Fact] = [gateway(GATEWAY), gateway(SECOND, mode=mode), listener(4001, GATEWAY), listener(4002, SECOND)]
    look = snapshot(*pair, script(SCRIPT), script(OTHER_SCRIPT), *held)
    assert owned(look, one) == ([[GATEWAY]], [SECOND])
    assert elsewhere(look, one) == [[]]
    assert clients(look, one) == [(SCRIPT, True)], "whoever works on another gateway is no client of this one"


def test_the_only_gateway_is_the_entry_s_and_elsewhere_when_it_serves_another_api_port() -> None:
    look = snapshot(gateway(), listener(4002, GATEWAY))
    assert (owned(look, LIVE), elsewhere(look, LIVE)) == (([[]], []), [[GATEWAY]])


def test_of_two_gateways_in_the_entry_s_unit_the_one_with_its_folder_is_its_own() -> None:
    one = spec(user=None, service="both.service")
    neighbour = gateway(SECOND, unit="both.service", folder="/srv/paper")
    look = snapshot(gateway(unit="both.service"), neighbour, listener(4002, SECOND))
    assert (owned(look, one), elsewhere(look, one)) == (([[GATEWAY]], [SECOND]), [[]])
    assert owned(snapshot(neighbour), one) == ([[SECOND]], [])


@pytest.mark.parametrize("word", ["-DjtsConfigDir=/srv/gw/4701", "-Dibcsessionid=4701", "-Xmx4701m"])
def test_a_number_that_is_no_port_in_a_command_line_makes_nobody_s_sessions_the_entry_s(word: str) -> None:
    other = gateway(SECOND, argv=("java", word, "ibcalpha.ibc.IbcGateway"))
    pair: List[Fact] = [gateway(), other, listener(4001, GATEWAY), listener(4701, SECOND)]
    held = [connection(SCRIPT, sent=5000, received=500), connection(OTHER_SCRIPT, server=SECOND, port=4701, sent=5000)]
    look = snapshot(*pair, script(), script(OTHER_SCRIPT), *(each._replace(received=500) for each in held))
    assert (owned(look, LIVE), clients(look, LIVE)) == (([[GATEWAY]], [SECOND]), [(SCRIPT, True)])


def test_beside_a_gateway_that_holds_sessions_of_the_entry_s_port_one_on_another_port_is_no_business_of_it() -> None:
    look = snapshot(gateway(), gateway(SECOND), script(), connection(SCRIPT), listener(4002, SECOND))
    assert (owned(look, LIVE)[0], elsewhere(look, LIVE)) == ([[GATEWAY]], [[]])


def test_gateways_that_all_serve_other_api_ports_are_elsewhere_and_no_duplicates() -> None:
    look = snapshot(gateway(GATEWAY), gateway(SECOND), listener(4002, GATEWAY), listener(7496, SECOND))
    assert (owned(look, LIVE), elsewhere(look, LIVE)) == (([[]], []), [[GATEWAY, SECOND]])


def test_a_second_gateway_that_listens_nowhere_is_the_entry_s_as_well() -> None:
    look = snapshot(gateway(GATEWAY), gateway(SECOND), listener(4001, GATEWAY))
    assert owned(look, LIVE) == ([[GATEWAY, SECOND]], [])


@pytest.mark.parametrize("port", [7462, 7465, 9404, 5005])
def test_a_helper_s_or_an_agent_s_port_makes_no_gateway_another_one_s(port: int) -> None:
    look = snapshot(gateway(GATEWAY), gateway(SECOND), listener(4001, GATEWAY), listener(port, SECOND))
    assert owned(look, LIVE) == ([[GATEWAY, SECOND]], [])


def set_to(port: Optional[int], pid: int = SECOND, **more: Any) -> Process:
    """A gateway whose IBC settings file gives it this API port."""
    one = gateway(pid, **more)
    assert one.gateway is not None
    return one._replace(gateway=one.gateway._replace(api_port=port))


@pytest.mark.parametrize(("port", "mine"), [(None, True), (4001, True), (4003, False)])
def test_beside_another_a_gateway_that_its_settings_give_another_port_is_nobody_s(
    port: Optional[int], mine: bool
) -> None:
    expected = ([[GATEWAY, SECOND]], []) if mine else ([[GATEWAY]], [SECOND])
    for more in ((), (listener(),), (connection(SCRIPT), script())):
        assert owned(snapshot(gateway(), set_to(port), *more), spec()) == expected


@pytest.mark.parametrize(
    "look",
    [
        snapshot(set_to(4003), listener(4001, SECOND)),
        snapshot(set_to(4003), connection(SCRIPT, server=SECOND), script()),
    ],
    ids=["serves", "has served"],
)
def test_what_its_settings_say_weighs_less_than_what_it_serves(look: Snapshot) -> None:
    assert owned(look, spec()) == ([[SECOND]], [])
    beside = snapshot(gateway(), *look.processes.values(), *look.listeners, *look.connections)
    assert owned(beside, spec()) == ([[GATEWAY, SECOND]], [])


def test_a_gateway_set_to_another_port_that_is_alone_differs_by_its_port_or_is_at_work_elsewhere() -> None:
    (alone,) = entries_of((spec(),), snapshot(set_to(4003)))[0]
    assert alone.processes == () and [(near.keys, near.may_be_meant) for near in alone.differing] == [
        ((("port", "4003", "4001"),), True)
    ]
    assert elsewhere(snapshot(set_to(4002), listener(4002, SECOND)), spec()) == [[SECOND]]


def test_a_gateway_of_another_folder_that_listens_on_another_port_is_not_a_mistyped_one() -> None:
    other = gateway(SECOND, folder="/srv/other")
    for heard, meant in (((), True), ((listener(4444, SECOND),), False)):
        (found,) = entries_of((spec(),), snapshot(other, *heard))[0]
        assert [near.may_be_meant for near in found.differing] == [meant]


LINK = "/srv/link"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, [("port", "4001", "4011")]),
        ({"trading_mode": "paper"}, []),
        ({"config_dir": "/srv/other"}, []),
        ({"user": "bob"}, []),
    ],
    ids=["the same folder through a link", "another mode in one folder", "another folder", "another account"],
)
def test_a_gateway_of_one_entry_that_fits_another_but_for_its_port_keeps_that_one_s_start_away(
    changes: Dict[str, Any], told: List[Tuple[str, str, str]]
) -> None:
    """The inventory's check cannot see what a link leads to, and a second login would end the first one's session."""
    second = spec(**{"name": "second", "port": 4011, "config_dir": LINK, **changes})
    look = snapshot(gateway(), listener())._replace(folders={LINK: Folder(FOLDER, "trader")})
    first, found = entries_of((spec(), second), look)[0]
    assert [each.pid for each in first.processes] == [GATEWAY] and not first.differing and not found.processes
    assert [near.keys[0] for near in found.differing] == told
    assert all(near.may_be_meant and near.owner == "live" for near in found.differing)
    withheld = mistyped(found)
    assert (withheld is not None) is bool(told)
    if withheld:
        assert "is that of entry live, on port 4001" in withheld and "end that gateway" not in withheld


@pytest.mark.parametrize(("age", "meant"), [(20.0, True), (119.0, True), (121.0, False)])
def test_a_gateway_of_another_folder_that_may_be_logging_in_may_be_the_one_that_is_meant(
    age: float, meant: bool
) -> None:
    look = snapshot(gateway(folder="/srv/other", age=age))._replace(folders={FOLDER: Folder(FOLDER, "trader")})
    (found,) = entries_of((spec(),), look)[0]
    assert [near.may_be_meant for near in found.differing] == [meant]


def test_a_folder_that_is_told_from_an_unknown_place_is_not_known() -> None:
    look = snapshot(gateway(folder="Jts", cwd=None))
    assert owned(look) == ([[]], []) and [each.pid for each in entry(spec(), look).unplaced] == [GATEWAY]


def test_in_a_container_the_port_of_the_settings_tells_nothing() -> None:
    inside = set_to(4003, other_netns=True)
    assert owned(snapshot(gateway(), inside), LIVE) == ([[GATEWAY, SECOND]], [])


# --- what could not be placed ----------------------------------------------------------------------------------------


def test_a_gateway_without_a_readable_folder_might_be_the_entry_s() -> None:
    look = snapshot(gateway(folder=None))
    assert [each.pid for each in entry(spec(), look).unplaced] == [GATEWAY]
    assert [each.pid for each in entry(spec(user="bob"), look).unplaced] == []
    assert [each.pid for each in entry(spec(config_dir=None), look).unplaced] == []


# --- listeners and clients -------------------------------------------------------------------------------------------


def test_an_entry_sees_its_port_and_where_its_gateways_listen() -> None:
    look = snapshot(gateway(), listener(4001, ALIEN), listener(4002, GATEWAY), listener(7496, ALIEN))
    assert [each.port for each in entry(spec(), look).listeners] == [4001, 4002]


def clients(look: Snapshot, one: GatewaySpec) -> List[Tuple[object, bool]]:
    """Each client as its pid and whether it is connected."""
    return [(each.process and each.process.pid, each.connection is not None) for each in entry(one, look).clients]


def test_a_client_is_who_holds_a_connection_to_the_entry_s_port_or_gateway() -> None:
    look = snapshot(
        gateway(),
        script(SCRIPT),
        script(OTHER_SCRIPT),
        connection(SCRIPT),
        connection(OTHER_SCRIPT, port=4002),
        connection(ALIEN, port=4002, server=SECOND),
    )
    assert clients(look, spec()) == [(SCRIPT, True), (OTHER_SCRIPT, True)]


def test_a_client_that_cannot_be_seen_is_still_one() -> None:
    assert clients(snapshot(gateway(), connection(remote_host="10.0.0.9")), spec()) == [(None, True)]


def test_a_script_that_a_pattern_names_is_a_client_although_it_is_not_connected() -> None:
    look = snapshot(gateway(), script(SCRIPT, "cleanup.py"), script(OTHER_SCRIPT), connection(OTHER_SCRIPT))
    one = spec(client_patterns=("cleanup",))
    assert clients(look, one) == [(OTHER_SCRIPT, True), (SCRIPT, False)]
    assert [each.matches_pattern for each in entry(one, look).clients] == [False, True]


@pytest.mark.parametrize(
    "bystander",
    [
        process(ALIEN, "vim", "cleanup.py"),
        script(ALIEN, "cleanup.py", own_run=True),
        gateway(ALIEN, folder="/srv/cleanup.py"),
    ],
)
def test_an_editor_the_run_itself_and_a_gateway_are_never_named(bystander: Process) -> None:
    assert clients(snapshot(gateway(), bystander), spec(client_patterns=("cleanup",))) == []


def test_a_connected_client_that_a_pattern_names_is_one_client() -> None:
    look = snapshot(gateway(), script(SCRIPT, "cleanup.py"), connection(SCRIPT))
    assert clients(look, spec(client_patterns=("cleanup",))) == [(SCRIPT, True)]
    assert client(SCRIPT, look, spec(client_patterns=("cleanup",))).matches_pattern


@pytest.mark.parametrize(("ppid", "unit", "orphaned"), [(1, None, True), (1, "bot.service", False), (700, None, False)])
def test_an_orphan_has_neither_a_parent_nor_a_unit(ppid: int, unit: str, orphaned: bool) -> None:
    look = snapshot(gateway(), script(ppid=ppid, unit=unit), connection(SCRIPT))
    assert client(SCRIPT, look).orphaned is orphaned


def stoppable(one: Process, **more: Tuple[str, ...]) -> bool:
    found: Client = client(one.pid, snapshot(gateway(), one, connection(one.pid)), spec(**more))
    return found.stoppable


def test_a_script_may_be_stopped_and_nothing_else_may() -> None:
    assert stoppable(script())
    assert not stoppable(script(), protected_clients=("nothing", "bot"))
    assert not stoppable(script(own_run=True))
    assert not stoppable(script(1))
    assert not stoppable(process(ALIEN, "socat", "TCP-LISTEN:4003", "TCP:127.0.0.1:4001"))
    assert not stoppable(gateway(SECOND))


def test_protection_weighs_more_than_a_client_pattern() -> None:
    assert not stoppable(script(), client_patterns=("bot",), protected_clients=("bot",))


def test_all_clients_of_a_host_are_those_of_every_port_and_entry() -> None:
    look = snapshot(gateway(), script(SCRIPT), script(ALIEN, "cleanup.py"), connection(SCRIPT, port=7496))
    assert [each.process and each.process.pid for each in all_clients(look, ["cleanup"])] == [SCRIPT, ALIEN]


def test_a_script_that_a_pattern_names_and_that_works_on_another_host_s_gateway_is_no_client() -> None:
    look = snapshot(gateway(), listener(), script())
    one = spec(client_patterns=("bot",))
    assert clients(look, one) == [(SCRIPT, False)]
    assert clients(look._replace(away=frozenset((SCRIPT,))), one) == []
