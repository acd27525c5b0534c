"""States of real desks, each with what is right to do about it: one test, or one row, for each."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.container import Way
from ansible.module_utils.ib_gateway.base.host import Folder, Keeper, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.decide import planning
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.diagnosis import may_probe
from unit.facts import Fact, connection, gateway, judged, listener, plans, probe, process, script, snapshot, spec

JTS = "/home/trader/Jts"
LIVE = spec(config_dir=JTS, service=None, start_command=("/opt/ibc/gatewaystart.sh",), max_api_clients=None)
PAPER = spec(name="paper", trading_mode="paper", port=4002, config_dir=JTS, service="ib-paper", max_api_clients=None)
GW, SECOND, BOT, VIEWER, THIRD, RELAY = 4711, 4712, 815, 816, 817, 900
OURS = gateway(GW, JTS, mode="live")
TWS = process(SECOND, "java", "-DjtsConfigDir=" + JTS, "ibcalpha.ibc.IbcTws", "/opt/ibc/config.ini")
SOCAT = process(RELAY, "socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001")


def native(pid: int = GW, **more: object) -> Process:
    """A native launch, whose argv has placeholders in place of its folder and mode."""
    return process(
        pid,
        "java",
        "-DjtsConfigDir=${installer:jtsConfigDir}",
        "ibgateway.GWClient",
        "${installer:cmdLineArgs}",
        **more,
    )


def done(look: Snapshot, *specs: GatewaySpec, **shaken: Probe) -> List[Tuple[str, str]]:
    """(entry, action) of all steps that are planned."""
    found = plans(specs or (LIVE,), look, shaken)
    return [(step.gateway, step.action) for each in found for step in each.steps]


def only(look: Snapshot, one: GatewaySpec = LIVE, shaken: Optional[Probe] = None) -> Plan:
    return plans((one,), look, {one.name: shaken} if shaken else {})[0]


# --- what works goes on working --------------------------------------------------------------------------------------

WORKING: List[Fact] = [
    script(BOT),
    script(VIEWER),
    script(THIRD),
    connection(BOT),
    connection(VIEWER),
    connection(THIRD),
]
PARKED = connection(RELAY, client_user="trader", idle=9e4)
IN_ORDER: Dict[str, Tuple[Snapshot, Tuple[GatewaySpec, ...]]] = {
    "a TWS beside the gateway, same account and folder": (snapshot(OURS, TWS, listener()), (LIVE,)),
    "a TWS with an API port beside it": (snapshot(OURS, TWS, listener(), listener(7496, SECOND)), (LIVE,)),
    "live and paper in one folder, only live declared": (
        snapshot(OURS, gateway(SECOND, JTS, "PAPER"), listener(), listener(4002, SECOND)),
        (LIVE,),
    ),
    "an undeclared paper gateway that is still logging in": (
        snapshot(OURS, gateway(SECOND, JTS, "paper"), listener()),
        (LIVE,),
    ),
    "both declared": (
        snapshot(OURS, gateway(SECOND, JTS, "paper"), listener(), listener(4002, SECOND)),
        (LIVE, PAPER),
    ),
    "three working scripts and no limit": (snapshot(OURS, listener(), *WORKING), (LIVE,)),
    "a bot under nohup with a working session": (
        snapshot(OURS, listener(), script(BOT, ppid=1), connection(BOT, idle=9e4)),
        (LIVE,),
    ),
    "a connection that is parked in dbus-daemon": (
        snapshot(OURS, listener(), process(RELAY, "dbus-daemon", user="messagebus", unit="dbus.service"), PARKED),
        (LIVE,),
    ),
    "a forking relay with two sessions": (
        snapshot(
            OURS, listener(), script(RELAY, "relay.py", pairs=True), connection(RELAY), connection(RELAY, port=4001)
        ),
        (LIVE,),
    ),
    "another account's gateway on a port of its own": (
        snapshot(OURS, gateway(SECOND, "/home/bob/Jts", user="bob"), listener(), listener(4010, SECOND)),
        (LIVE,),
    ),
}


@pytest.mark.parametrize(("look", "specs"), IN_ORDER.values(), ids=IN_ORDER)
def test_on_a_desk_in_order_nothing_is_done(look: Snapshot, specs: Tuple[GatewaySpec, ...]) -> None:
    assert done(look, *specs) == []


def test_an_undeclared_paper_gateway_is_told_as_undeclared() -> None:
    look, specs = IN_ORDER["live and paper in one folder, only live declared"]
    assert [each.pid for each in entries_of(specs, look)[1]] == [SECOND]


@pytest.mark.parametrize(
    "argv",
    [
        ("black", "cleanup.py"),
        ("python3", "-m", "pytest", "cleanup.py"),
        ("pylint", "cleanup.py"),
        ("aws", "s3", "cp", "cleanup.py", "s3://bucket"),
        ("vim", "cleanup.py"),
    ],
    ids=" ".join,
)
def test_a_program_that_has_a_script_s_name_as_an_argument_is_no_client(argv: Tuple[str, ...]) -> None:
    look = snapshot(OURS, listener(), process(BOT, *argv))
    assert done(look, spec(config_dir=JTS, client_patterns=("cleanup",))) == []


@pytest.mark.parametrize("more", [{"other_netns": True}, {"user": "root"}, {"user": "bob"}], ids=str)
def test_a_named_script_that_is_not_connected_and_not_this_gateway_s_is_left_alone(more: Dict[str, object]) -> None:
    look = snapshot(OURS, listener(), script(BOT, "cleanup.py", **more))
    assert done(look, spec(config_dir=JTS, client_patterns=("cleanup",))) == []


def test_whom_one_entry_protects_no_other_entry_stops() -> None:
    one = spec(config_dir=JTS, client_patterns=("bot",))
    other = spec(name="paper", trading_mode="paper", port=4002, config_dir=JTS, protected_clients=("bot",))
    pair: List[Fact] = [OURS, gateway(SECOND, JTS, "paper"), listener(), listener(4002, SECOND), script(BOT)]
    assert done(snapshot(*pair), one, other) == []
    assert done(snapshot(*pair, connection(BOT, server=SECOND, port=4002)), one, other) == []


def test_a_pattern_of_one_entry_never_ends_a_script_that_works_on_another_one_s_gateway() -> None:
    pair: List[Fact] = [OURS, gateway(SECOND, JTS, "paper"), listener(), listener(4002, SECOND), script(BOT)]
    look = snapshot(*pair, connection(BOT, server=SECOND, port=4002))
    assert done(look, spec(config_dir=JTS, client_patterns=("bot",)), PAPER) == []


# --- limits ----------------------------------------------------------------------------------------------------------


def test_for_one_too_many_a_bot_with_two_connections_does_not_lose_both() -> None:
    both = [connection(BOT, cookie=1), connection(BOT, cookie=2, client_port=1)]
    look = snapshot(OURS, listener(), script(BOT), script(VIEWER), *both, connection(VIEWER, cookie=3))
    assert [step for step in only(look, spec(config_dir=JTS, max_api_clients=2)).steps if step.action != "wait"] == []


def test_a_local_client_is_not_cut_for_one_too_many_beside_clients_behind_a_relay() -> None:
    look = snapshot(
        OURS, listener(), SOCAT, script(BOT), connection(RELAY), connection(RELAY, port=4001), connection(BOT)
    )
    plan = only(look, spec(config_dir=JTS))
    assert plan.steps == () and "socat" in plan.withheld[0]


# --- a relay before the gateway --------------------------------------------------------------------------------------

PUBLISHED = spec(config_dir=JTS, port=4003, max_api_clients=None)
HAPROXY = process(RELAY, "haproxy", "-f", "/etc/haproxy/ib.cfg", user="haproxy", unit="haproxy.service")
PUBLISHES = listener(4003, RELAY)


@pytest.mark.parametrize(
    "facts",
    [
        (SOCAT, PUBLISHES),
        (HAPROXY, PUBLISHES, connection(RELAY)),
        (process(RELAY, "python3", "hand_on.py", pairs=True), PUBLISHES, connection(RELAY)),
    ],
    ids=["by its command line", "by what it holds", "by what it does"],
)
def test_a_gateway_behind_a_relay_on_the_entry_s_port_is_healthy_and_told(facts: Tuple[Fact, ...]) -> None:
    found = judged(snapshot(OURS, listener(4001), *facts), PUBLISHED)
    assert (found.status, [each.code for each in found.findings]) == ("healthy", ["port_relayed"])
    assert "leads to port 4001" in found.findings[0].summary
    assert planning.plan(found) == Plan()


def test_a_relay_of_which_nothing_shows_where_it_leads_is_told_until_a_session_through_it_has_opened() -> None:
    look = snapshot(OURS, listener(4001), HAPROXY, PUBLISHES)
    quiet = judged(look, PUBLISHED)
    assert (quiet.status, quiet.verdict) == ("degraded", "port_relayed")
    assert may_probe(quiet, "auto") and not may_probe(quiet, "never")
    assert judged(look, PUBLISHED, probe()).status == "healthy"


@pytest.mark.parametrize("outcome", ["stalled", "silent", "dropped", "refused"])
def test_what_fails_behind_a_relay_is_told_and_nobody_is_touched(outcome: str) -> None:
    look = snapshot(OURS, listener(4001), SOCAT, PUBLISHES, script(BOT), connection(BOT, idle=9e4))
    found = judged(look, PUBLISHED, probe(outcome))
    plan = planning.plan(found)
    assert found.status == "unhealthy" and {each.code for each in found.findings} >= {"port_relayed"}
    assert plan.steps == () and "port 4001" in plan.withheld[0]


@pytest.mark.parametrize(
    "relay",
    [
        process(RELAY, "socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001", user="mallory"),
        process(RELAY, "nc", "-l", "4003"),
    ],
    ids=["of another account", "of no kind that hands on"],
)
def test_whatever_else_has_the_entry_s_port_has_taken_it(relay: Process) -> None:
    found = judged(snapshot(OURS, listener(4001), relay, PUBLISHES), PUBLISHED)
    assert [each.code for each in found.findings] == ["port_taken", "wrong_port"]
    assert not may_probe(found, "always") and planning.plan(found).steps == ()


def test_a_tunnel_to_another_host_is_not_said_to_lead_to_the_gateway_here() -> None:
    tunnel = process(RELAY, "ssh", "-N", "-L", "4003:localhost:4001", "desk2")
    found = judged(snapshot(OURS, listener(4001), tunnel, PUBLISHES), PUBLISHED)
    assert found.findings[0].evidence["leads_to"] is None


# --- told, and never mended by a restart -----------------------------------------------------------------------------


def test_a_gateway_on_another_port_is_told_with_the_scripts_on_each_and_nothing_is_done() -> None:
    look = snapshot(OURS, listener(4000), script(BOT), connection(BOT, port=4000, sent=5000))
    found = judged(look, LIVE).findings[0]
    assert (found.code, found.evidence["listening"]) == ("wrong_port", [4000])
    assert [each["pid"] for each in found.evidence["clients_there"]] == [BOT]
    assert done(look) == []


@pytest.mark.parametrize("age", [200.0, 9e5])
@pytest.mark.parametrize("one", [OURS, native()], ids=["by IBC", "native, with a placeholder"])
def test_a_login_that_is_pending_is_waited_for_however_long(one: Process, age: float) -> None:
    look = snapshot(process(GW, *one.argv, age=age, cwd=JTS + "/ibgateway/1045"))
    assert done(look) == [("live", "wait")]
    assert judged(look, LIVE).verdict == "login_pending"


@pytest.mark.parametrize("name", ["ibcstart.sh", "supervisord", "gateway-loop.sh"])
def test_a_gap_between_two_lives_is_waited_for_while_what_keeps_the_gateway_lives(name: str) -> None:
    look = snapshot()._replace(keepers=(Keeper(600, "trader", name, 9e4),))
    assert done(look) == [("live", "wait")]


def test_a_keeper_of_another_mode_or_account_brings_nothing_here() -> None:
    others = (Keeper(600, "trader", "ibcstart.sh", 9e4, trading_mode="paper"), Keeper(601, "bob", "ibcstart.sh", 9e4))
    assert done(snapshot()._replace(keepers=others)) == [("live", "wait"), ("live", "start")]


STARTED = Keeper(600, "trader", "up.py", 40.0, again=False, unnamed=True, starts=frozenset({"live"}))


@pytest.mark.parametrize(
    "changes",
    [{}, {"user": "root", "supervises": True}, {"again": True, "age": 9e4}, {"product": "tws", "supervises": True}],
    ids=["young", "root's", "a loop of days", "by a name that says otherwise"],
)
def test_a_start_command_that_somebody_has_run_is_waited_for_and_never_run_twice(changes: Dict[str, Any]) -> None:
    found = judged(snapshot()._replace(keepers=(STARTED._replace(**changes),)), LIVE)
    assert found.verdict == "gateway_coming_up"
    assert "up.py (pid 600" in found.findings[0].summary
    assert "is its start_command, which already runs" in found.findings[0].summary
    assert [each.action for each in only(snapshot()._replace(keepers=(STARTED._replace(**changes),))).steps] == ["wait"]


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": frozenset({"paper"})},
        {"user": "bob"},
        {"age": 9e4},
        {"gateways": frozenset({SECOND})},
    ],
    ids=["another entry's", "another account's", "once, and long ago", "it carries another gateway"],
)
def test_what_is_no_start_command_of_this_entry_or_has_had_its_time_keeps_no_start_away(
    changes: Dict[str, Any],
) -> None:
    look = snapshot()._replace(keepers=(STARTED._replace(**changes),))
    assert done(look) == [("live", "wait"), ("live", "start")]


def test_no_pattern_makes_a_client_of_a_start_command_that_has_yet_to_bring_its_gateway() -> None:
    one = LIVE._replace(start_command=("/opt/gw/up.py", "live"), client_patterns=("up",))
    for argv, named in (("/opt/gw/up.py live", False), ("/opt/gw/up.py other", True)):
        process_ = process(BOT, "/usr/bin/python3", *argv.split(), user="trader")
        (entry,), _nobodys = entries_of([one], snapshot(OURS, listener(), process_))
        assert [each.matches_pattern for each in entry.clients] == ([True] if named else [])


def test_what_keeps_gateways_in_a_container_with_ports_of_its_own_brings_none_to_the_host() -> None:
    inside = Keeper(600, "trader", "ibcstart.sh", 9e4, apart=True)
    assert done(snapshot()._replace(keepers=(inside,))) == [("live", "wait"), ("live", "start")]
    published = snapshot()._replace(keepers=(inside,), ways={"live": Way("a container")})
    carried = snapshot()._replace(keepers=(inside._replace(last_of=frozenset({"live"})),))
    assert done(published) == done(carried) == [("live", "wait")]


def test_a_frozen_gateway_is_let_go_on_and_nothing_else_is_done() -> None:
    frozen = process(GW, *OURS.argv, state="T")
    plan = only(snapshot(frozen, listener(), script(BOT), connection(BOT)))
    assert [(each.action, each.target["pid"]) for each in plan.steps] == [("resume", GW)] and plan.withheld == ()


@pytest.mark.parametrize(
    "facts",
    [
        (process(GW, *OURS.argv, state="T"), gateway(SECOND, JTS, mode="live")),
        (process(GW, *OURS.argv, state="T", own_run=True),),
    ],
    ids=["another one runs", "it carries this run"],
)
def test_a_frozen_gateway_that_others_may_want_so_is_told_and_sent_nothing(facts: Tuple[Fact, ...]) -> None:
    plan = only(snapshot(*facts, listener()))
    assert plan.steps == () and "kill -CONT" in plan.withheld[0] and str(GW) in plan.withheld[0]


@pytest.mark.parametrize(
    ("state", "kept_stopped"),
    [("t", ""), ("t", "is traced by pid 12, as by a debugger"), ("T", "is traced by pid 12, as by a debugger")],
)
def test_a_gateway_that_a_debugger_holds_is_told_with_what_helps_and_that_is_no_signal(
    state: str, kept_stopped: str
) -> None:
    plan = only(snapshot(process(GW, *OURS.argv, state=state, kept_stopped=kept_stopped), listener()))
    assert plan.steps == () and "kill" not in plan.withheld[0]
    assert "`detach`" in plan.withheld[0] and (kept_stopped or "a debugger") in plan.withheld[0]


def test_a_frozen_gateway_that_listens_elsewhere_is_let_go_on_where_it_was_seen_to_serve_the_entry_s_port() -> None:
    elsewhere = listener(4010)
    assert "port 4010" in only(snapshot(process(GW, *OURS.argv, state="T"), elsewhere)).withheld[0]
    plan = only(snapshot(process(GW, *OURS.argv, state="T", served_before=True), elsewhere))
    assert [each.action for each in plan.steps] == ["resume"]


def test_a_gateway_in_a_frozen_control_group_is_told_whatever_its_state_s_letter_is() -> None:
    frozen = process(GW, *OURS.argv, state="S", kept_stopped="is in a control group that is frozen (/gw)")
    found = judged(snapshot(frozen, listener(), script(BOT), connection(BOT)), LIVE, probe("silent"))
    plan = planning.plan(found)
    assert (found.verdict, plan.steps) == ("gateway_frozen", ()) and not may_probe(found, "always")
    assert "systemctl thaw" in plan.withheld[0] and "kill" not in plan.withheld[0]


def test_a_gateway_whose_way_to_the_broker_is_gone_is_waited_for() -> None:
    look = snapshot(process(GW, *OURS.argv, unanswered=2, served_before=True))
    assert (judged(look, LIVE).verdict, done(look)) == ("no_broker_route", [("live", "wait")])


def test_a_full_disk_starts_nothing() -> None:
    assert done(snapshot()._replace(folders={JTS: Folder(JTS, "trader", 0)})) == []


@pytest.mark.parametrize("age", [30.0, 9e5])
def test_a_fake_gateway_of_another_account_beside_the_real_one_makes_the_entry_unknown(age: float) -> None:
    fake = gateway(SECOND, JTS, user="mallory", age=age)
    look = snapshot(OURS, fake, listener(4001, GW), listener(4001, SECOND, address="127.0.0.2"), *WORKING)
    assert (judged(look, LIVE).status, done(look)) == ("unknown", [])


PUBLISHING = 950
LAN = listener(4001, PUBLISHING, address="10.0.0.9", user="haproxy")


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"argv": ("/usr/sbin/haproxy", "-f", "api.cfg"), "unit": "haproxy.service"}, "healthy"),
        ({"argv": ("/opt/tunnel",), "pairs": True, "connected": True}, "healthy"),
        ({"argv": ("socat", "TCP-LISTEN:4001,bind=10.0.0.9,fork", "TCP:127.0.0.1:4001")}, "healthy"),
        ({"argv": ("socat", "TCP-LISTEN:4001,bind=10.0.0.9,fork", "TCP:127.0.0.1:4009")}, "claimed_by_another_account"),
        ({"argv": ("python3", "server.py"), "unit": "server.service"}, "claimed_by_another_account"),
    ],
    ids=["a service", "by what it holds", "by its command line", "to another port", "no relay"],
)
def test_a_relay_of_another_account_that_publishes_the_gateway_on_another_address_claims_nothing(
    facts: Dict[str, Any], verdict: str
) -> None:
    connected = facts.pop("connected", False)
    relay = process(PUBLISHING, *facts.pop("argv"), user="haproxy", **facts)
    more = (connection(PUBLISHING, server=GW),) if connected else ()
    found = judged(snapshot(OURS, relay, listener(4001, GW, address="127.0.0.1"), LAN, *more), LIVE)
    assert found.verdict == verdict
    if verdict != "healthy":
        assert "listens on port 4001 of another address" in found.findings[0].summary
        assert "key user" not in found.findings[0].summary


def test_a_claimant_that_only_looks_like_the_entry_s_gateway_makes_it_unknown() -> None:
    look = snapshot(gateway(SECOND, JTS, user="mallory"))._replace(folders={JTS: Folder(JTS, "trader", 10**9)})
    one = spec(user=None, config_dir=JTS)
    assert (judged(look, one).verdict, done(look, one)) == ("claimed_by_another_account", [])


NAMED_BY_NOTHING = spec(user=None, config_dir=None, service=None)


@pytest.mark.parametrize(
    ("user", "logins", "verdict"),
    [
        ("mallory", {"trader", "mallory"}, "claimed_by_another_account"),
        ("ibgw", {"trader"}, "claimed_by_another_account"),
        ("trader", {"trader"}, "healthy"),
        ("trader", set(), "healthy"),
        ("root", {"trader", "mallory"}, "healthy"),
    ],
)
def test_a_lone_gateway_of_an_entry_that_nothing_ties_to_an_account_is_believed_where_nobody_else_could_have_started_it(
    user: str, logins: Set[str], verdict: str
) -> None:
    look = snapshot(gateway(GW, None, user=user), listener())._replace(logins=frozenset(logins))
    found = judged(look, NAMED_BY_NOTHING)
    assert found.verdict == verdict and planning.plan(found).steps == ()
    if verdict != "healthy":
        assert "account %s" % user in found.findings[0].summary and "key user" in found.findings[0].summary
        assert not may_probe(found, "auto")


@pytest.mark.parametrize(
    "one",
    [spec(user="trader", config_dir=None), spec(user=None, config_dir=JTS), spec(user=None, config_dir=None)],
    ids=["user", "the folder's owner", "the unit"],
)
def test_whatever_ties_a_gateway_to_its_account_is_enough_however_many_can_log_in(one: GatewaySpec) -> None:
    look = snapshot(gateway(GW, JTS, unit="ibgateway.service" if one.config_dir is None else None), listener())
    look = look._replace(logins=frozenset({"trader", "mallory"}), folders={JTS: Folder(JTS, "trader", 10**9)})
    assert judged(look, one).status == "healthy"


# --- what is cut, and what is named ----------------------------------------------------------------------------------


def test_a_lost_session_on_another_port_of_the_gateway_is_nobody_s_to_cut() -> None:
    gone = connection(port=4010, remote_host="10.8.0.7", lost_for=900.0, cookie=7)
    assert only(snapshot(OURS, listener(), listener(4010), gone)).steps == ()


def test_a_remote_session_whose_peer_has_gone_is_cut_and_one_that_is_only_silent_is_not() -> None:
    gone = connection(remote_host="10.8.0.7", lost_for=900.0, cookie=7)
    quiet = connection(remote_host="10.8.0.8", idle=9e4, cookie=8, client_port=1)
    found = only(snapshot(OURS, listener(), gone, quiet)).steps
    assert [(step.action, step.target["cookie"]) for step in found] == [("drop_connection", 7)]
    assert (found[0].target["remote_host"], found[0].target["client_processes"]) == ("10.8.0.7", [])


@pytest.mark.parametrize("hung", [script(BOT, state="T"), script(BOT)], ids=["stopped", "reads nothing"])
def test_a_hung_copy_that_keeps_an_id_is_named_and_left(hung: Process) -> None:
    look = snapshot(OURS, listener(), hung, connection(BOT, unread=700, idle=90.0))
    assert [each.code for each in judged(look, LIVE).findings] == ["client_id_held"]
    assert done(look) == []


def test_a_client_that_never_got_beyond_its_opening_proves_nothing_and_frees_a_stalled_gateway() -> None:
    look = snapshot(OURS, listener(), script(BOT), connection(BOT, sent=900, received=30, idle=5.0))
    assert done(look, LIVE, live=probe("stalled")) == [("live", "restart")]


# --- the seed's incident ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 1])
def test_three_gateways_of_which_none_listens_and_a_forgotten_script_are_repaired_in_one_run(
    limit: Optional[int],
) -> None:
    trio = [gateway(pid, JTS, served_before=pid == GW) for pid in (GW, SECOND, 4713)]
    look = snapshot(*trio, script(BOT, ppid=1), connection(BOT, idle=9e4))
    actions = [step.action for step in only(look, spec(config_dir=JTS, max_api_clients=limit)).steps]
    assert actions == ["wait", "stop_client", "stop_gateway", "stop_gateway", "stop_gateway", "start"]
