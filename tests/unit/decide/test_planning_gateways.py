"""Which gateway stays, which one ends and how: by its own unit or by its whole identity, and never by a name."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from ansible.module_utils.ib_gateway.base.actions import ORDER
from ansible.module_utils.ib_gateway.base.command_server import CommandServer, ServerAddress
from ansible.module_utils.ib_gateway.base.crontab import CronStart
from ansible.module_utils.ib_gateway.base.host import Keeper, Process
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.base.unit import UnitState
from ansible.module_utils.ib_gateway.decide import planning
from unit.facts import (
    BOOT,
    FOLDER,
    GATEWAY,
    SCRIPT,
    SECOND,
    UNIT,
    connection,
    gateway,
    judged,
    listener,
    planned,
    probe,
    process,
    script,
    snapshot,
    spec,
    told,
)

OURS = gateway(unit=UNIT)
NO_MEANS = spec(service=None)
COMMAND = spec(service=None, start_command=("/opt/start", "--pw=x"))

FIX_LOGIN = process(
    SECOND,
    *("/opt/jre/bin/java", "-DjtsConfigDir=" + FOLDER, "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini"),
    *("fixuser", "fixpassword", "user", "password", "live"),
)
CRON = CronStart("/etc/cron.d/gw", 3, "*/5 * * * *", "/home/t/start.sh", 95.0)
LOOP = Keeper(600, "trader", "run_gateway.sh", 900.0, gateways=frozenset({GATEWAY}))

# --- what a loop keeps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keeper", [LOOP, LOOP._replace(name="supervisord", supervises=True)], ids=["loop", "supervisor"]
)
def test_a_gateway_that_something_keeps_is_only_ended_since_a_start_would_make_a_second_one(keeper: Keeper) -> None:
    found = planned(snapshot(gateway(served_before=True)), COMMAND, carriers=(keeper,)).steps
    assert told(found) == (("wait", None), ("stop_gateway", GATEWAY), ("start", None))
    assert found[2].only_if_persists
    brings = "may bring" if keeper.supervises else "brings"
    assert "%s (pid 600 of trader) %s the next one" % (keeper.name, brings) in found[1].reason


@pytest.mark.parametrize(("supervises", "expected"), [(True, ["wait", "start"]), (False, ["wait"])])
def test_what_a_supervisor_did_not_bring_in_time_is_started_and_what_a_loop_keeps_is_not(
    supervises: bool, expected: List[str]
) -> None:
    """A supervisor may keep the bots alone; a loop is about the gateway."""
    keeper = LOOP._replace(supervises=supervises, gateways=frozenset())
    found = planned(snapshot()._replace(keepers=(keeper,)), COMMAND).steps
    assert [each.action for each in found] == expected
    assert [each.only_if_persists for each in found] == [False, True][: len(found)]


@pytest.mark.parametrize(("age", "verdict"), [(900.0, "gateway_not_running"), (30.0, "gateway_coming_up")])
def test_a_script_that_starts_a_gateway_once_is_waited_for_only_while_it_is_young(age: float, verdict: str) -> None:
    once = LOOP._replace(again=False, gateways=frozenset(), age=age)
    found = judged(snapshot()._replace(keepers=(once,)), COMMAND)
    assert found.verdict == verdict
    assert ("start" in [each.action for each in planning.plan(found).steps]) is (verdict == "gateway_not_running")


@pytest.mark.parametrize(
    ("written_ago", "seconds"), [(None, 30), (900.0, 30), (95.0, 30), (40.0, 80), (0.5, 120), (-3600.0, 120)]
)
def test_where_the_last_gateway_has_just_gone_whatever_brings_the_next_one_gets_its_time(
    written_ago: Optional[float], seconds: int
) -> None:
    """A gap of up to 90 s is waited for, also where a clock was set back, and never for longer than two minutes."""
    first, second = planned(snapshot(), COMMAND, written_ago=written_ago).steps
    assert (first.action, first.target["timeout"], second.action) == ("wait", seconds, "start")
    assert ("wrote to its settings folder" in first.reason) is (seconds > 30)


def test_a_unit_that_says_it_brings_nothing_is_started_at_once_however_new_its_gateway_s_files_are() -> None:
    found = planned(snapshot(), written_ago=1.0, unit_state=UnitState(UNIT, active="inactive"))
    assert [each.action for each in found.steps] == ["start"]


@pytest.mark.parametrize(
    ("within", "written_ago", "seconds"),
    [(95.0, None, 126), (300.0, None, 331), (3.5, None, 34), (5.0, 1.0, 119), (95.0, 1.0, 126)],
)
@pytest.mark.parametrize("state", [None, UnitState(UNIT, active="inactive")], ids=["by a command", "by a unit at rest"])
def test_a_gateway_that_cron_is_about_to_start_is_waited_for_until_shortly_after_that(
    within: float, written_ago: Optional[float], seconds: int, state: Optional[UnitState]
) -> None:
    due = CRON._replace(within=within)
    found = judged(snapshot(), COMMAND, cron=due, written_ago=written_ago, unit_state=state)
    assert found.verdict == "gateway_not_running"
    assert "line 3 of /etc/cron.d/gw (`*/5 * * * * /home/t/start.sh`)" in found.findings[0].summary
    assert found.findings[0].evidence["cron"] == {**due._asdict(), "within": within}
    wait, start = planning.plan(found).steps
    assert (wait.action, wait.target["timeout"], "line 3 of /etc/cron.d/gw" in wait.reason) == ("wait", seconds, True)
    assert (start.action, start.only_if_persists) == ("start", True)


def test_beside_a_supervisor_that_may_keep_other_programs_only_cron_gets_its_time_as_well() -> None:
    keeper = LOOP._replace(supervises=True, gateways=frozenset())
    entry = COMMAND._replace(start_timeout=20)
    first, second = planned(snapshot()._replace(keepers=(keeper,)), entry, cron=CRON).steps
    assert (first.action, first.target["timeout"], second.action) == ("wait", 126, "start")
    assert "line 3 of /etc/cron.d/gw" in first.reason


def test_what_cron_starts_later_keeps_nobody_waiting_and_is_told() -> None:
    later = CRON._replace(within=301.0)
    found = judged(snapshot(), COMMAND, cron=later)
    assert "cron starts one in 5 min by line 3" in found.findings[0].summary
    assert [(each.action, each.target["timeout"]) for each in planning.plan(found).steps] == [
        ("wait", 30),
        ("start", 120),
    ]
    at_rest = planned(snapshot(), cron=later, unit_state=UnitState(UNIT, active="inactive"))
    assert [each.action for each in at_rest.steps] == ["start"]


@pytest.mark.parametrize("written_ago", [None, 95.0, 900.0])
def test_where_other_accounts_processes_are_hidden_what_may_bring_the_next_one_gets_its_whole_time(
    written_ago: Optional[float],
) -> None:
    """A loop of root's that starts it as its account is not seen with hidepid."""
    first, second = planned(snapshot(), COMMAND, written_ago=written_ago, keepers_hidden=True).steps
    assert (first.action, first.target["timeout"], second.action) == ("wait", 120, "start")
    assert "hidden" in first.reason


@pytest.mark.parametrize(
    ("ended_ago", "written_ago", "expected"),
    [
        (3 * 86400.0, 1.0, ["wait", "start"]),
        (20.0, 1.0, ["wait", "start"]),
        (12.0, 1.0, ["start"]),
        (3 * 86400.0, 600.0, ["start"]),
        (3 * 86400.0, None, ["start"]),
        (None, 1.0, ["start"]),
    ],
    ids=["days before", "just before", "with it", "long ago", "nothing tells when", "systemd does not say"],
)
def test_a_unit_says_nothing_of_a_gateway_that_wrote_after_the_unit_had_ended(
    ended_ago: Optional[float], written_ago: Optional[float], expected: List[str]
) -> None:
    """It was started by hand, or something that nothing names keeps it and is about to bring the next one."""
    state = UnitState(UNIT, active="inactive", ended_ago=ended_ago)
    found = planned(snapshot(), written_ago=written_ago, unit_state=state)
    assert [each.action for each in found.steps] == expected


def test_what_another_gateway_that_runs_may_have_written_speaks_for_nothing_against_the_unit() -> None:
    """Live and paper in one ~/Jts: the paper one writes all day while the live one's unit has failed."""
    state = UnitState(UNIT, active="failed", ended_ago=600.0)
    found = planned(snapshot(), written_ago=1.0, unit_state=state, folder_shared=True)
    assert [each.action for each in found.steps] == ["start"]


@pytest.mark.parametrize(("written_ago", "seconds"), [(1.0, 119), (95.0, 25), (110.0, 21), (None, 21)])
def test_beside_a_supervisor_the_gap_of_what_nothing_names_is_waited_for_as_well(
    written_ago: Optional[float], seconds: int
) -> None:
    """The supervisor may keep the bots alone, and be no evidence of what keeps the gateway."""
    keeper = LOOP._replace(supervises=True, gateways=frozenset())
    entry = COMMAND._replace(start_timeout=20)
    found = planned(snapshot()._replace(keepers=(keeper,)), entry, written_ago=written_ago).steps
    assert [each.action for each in found] == ["wait", "start"]
    assert found[0].target["timeout"] == seconds


def test_a_gateway_that_a_script_has_started_once_is_restarted_since_nothing_brings_the_next_one() -> None:
    once = LOOP._replace(again=False)
    found = planned(snapshot(gateway(served_before=True)), COMMAND, carriers=(once,)).steps
    assert [each.action for each in found] == ["wait", "restart"]


def test_a_script_of_root_brings_the_gateway_of_another_account_and_a_supervisor_of_root_keeps_many() -> None:
    mine = LOOP._replace(user="root", gateways=frozenset())
    assert told(planned(snapshot()._replace(keepers=(mine,)), COMMAND).steps) == (("wait", None),)
    many = mine._replace(supervises=True)
    found = planned(snapshot()._replace(keepers=(many,)), COMMAND).steps
    assert found[0].finding == "gateway_not_running"


def test_a_gateway_whose_unit_carries_its_loop_is_restarted_with_it() -> None:
    found = planned(snapshot(gateway(unit=UNIT, served_before=True)), carriers=(LOOP,)).steps
    assert told(found) == (("wait", None), ("restart", None))


def test_what_keeps_another_gateway_keeps_nothing_of_this_one() -> None:
    other = LOOP._replace(gateways=frozenset({SECOND}))
    found = planned(snapshot(gateway(served_before=True)), COMMAND, carriers=(other,)).steps
    assert told(found) == (("wait", None), ("restart", None))


def test_a_gateway_with_a_fix_login_is_never_one_too_many() -> None:
    """It has the same settings file as the one that serves, and its FIX sessions are on no port of the API."""
    assert planned(snapshot(gateway(), FIX_LOGIN, listener()), COMMAND).steps == ()
    alone = planned(snapshot(gateway(served_before=True), FIX_LOGIN), COMMAND)
    assert SECOND not in [each.target.get("pid") for each in alone.steps]
    assert "the FIX sessions of pid %d" % SECOND in " ".join(alone.withheld)


# --- which gateway stays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "of_unit", "stopped"),
    [
        (GATEWAY, SECOND, [SECOND]),
        (SECOND, GATEWAY, [GATEWAY]),
        (SECOND, None, [GATEWAY]),
        (None, SECOND, [GATEWAY]),
        (None, GATEWAY, [SECOND]),
        (None, None, [GATEWAY, SECOND]),
    ],
)
def test_of_two_gateways_the_owner_stays_else_the_unit_s_else_none(
    owner: Optional[int], of_unit: Optional[int], stopped: List[int]
) -> None:
    pair = [gateway(pid, unit=UNIT if pid == of_unit else None) for pid in (GATEWAY, SECOND)]
    look = snapshot(*pair, *([listener(4001, owner)] if owner else []))
    found = planned(look).steps
    assert [each.target["pid"] for each in found if each.action == "stop_gateway"] == stopped
    assert [each.action for each in found if each.action == "start"] == (["start"] if len(stopped) == 2 else [])


def test_a_service_named_without_its_suffix_is_the_same_unit() -> None:
    look = snapshot(gateway(), gateway(SECOND, unit=UNIT))
    assert ("stop_gateway", GATEWAY) in told(planned(look, spec(service="ibgateway")).steps)


def test_a_user_s_session_is_not_the_entry_s_unit() -> None:
    look = snapshot(gateway(unit="ssh.service"), gateway(SECOND))
    assert {pid for action, pid in told(planned(look).steps) if action == "stop_gateway"} == {GATEWAY, SECOND}


def test_a_surplus_gateway_with_a_unit_of_its_own_is_ended_through_that_unit() -> None:
    second = gateway(SECOND, unit="other.service", unit_is_own=True)
    assert planned(snapshot(OURS, second, listener())).steps[0].target["unit"] == "other.service"


def test_one_in_a_unit_of_its_account_is_ended_through_that_account_s_own_systemd() -> None:
    second = gateway(SECOND, user_unit="other.service", unit_uid=1000, unit_is_own=True)
    target = planned(snapshot(OURS, second, listener())).steps[0].target
    assert (target["unit"], target["unit_uid"]) == ("other.service", 1000)


@pytest.mark.parametrize("lives_in", [{"unit": UNIT}, {"user_unit": UNIT, "unit_uid": 1000}], ids=["system", "user"])
def test_a_surplus_gateway_is_not_ended_through_the_unit_of_the_one_that_stays(lives_in: Dict[str, Any]) -> None:
    twins = [gateway(pid, unit_is_own=True, **lives_in) for pid in (GATEWAY, SECOND)]
    step = planned(snapshot(*twins, listener())).steps[0]
    assert (step.target["pid"], step.target["unit"]) == (SECOND, None) and "unit_uid" not in step.target


@pytest.mark.parametrize("one", [spec(), spec(protected_clients=("bot",))], ids=["any", "protected"])
@pytest.mark.parametrize("port", [4444, 4002])
def test_a_second_gateway_that_serves_a_client_on_another_port_is_left_alone(one: GatewaySpec, port: int) -> None:
    held = connection(SCRIPT, server=SECOND, port=port)
    look = snapshot(OURS, gateway(SECOND), listener(), listener(port, SECOND), script(), held)
    assert planned(look, one).steps == ()


def test_a_second_gateway_that_has_closed_its_port_and_serves_a_client_still_is_left_alone() -> None:
    held = connection(SCRIPT, server=SECOND)
    look = snapshot(OURS, gateway(SECOND), listener(), script(), held)
    told_of = next(each.summary for each in judged(look).findings if each.code == "duplicate_gateways")
    assert planned(look) == Plan() and "cut off pid %d" % SCRIPT in told_of


def test_a_second_gateway_that_has_just_started_is_left_alone() -> None:
    plan = planned(snapshot(OURS, gateway(SECOND, age=60.0), listener()))
    assert plan.steps == () and "the login of pid %d" % SECOND in "; ".join(plan.withheld)


# --- which login may be another's ------------------------------------------------------------------------------------

OTHER_INI = "/opt/ibc/config.ini_second"


def native(pid: int) -> Process:
    return process(pid, "/opt/jre/bin/java", "-DjtsConfigDir=" + FOLDER, "ibgateway.GWClient")


def by_ibc(pid: int, ini: str, *, mode: Optional[str] = None, cwd: Optional[str] = None, **said: Any) -> Process:
    argv = ["/opt/jre/bin/java", "-DjtsConfigDir=" + FOLDER, "ibcalpha.ibc.IbcGateway", ini, *([mode] if mode else [])]
    one = process(pid, *argv, cwd=cwd)
    assert one.gateway is not None
    return one._replace(gateway=one.gateway._replace(**said))


@pytest.mark.parametrize(
    ("owner", "other", "ends"),
    [
        (OURS, by_ibc(SECOND, "/opt/ibc/config.ini"), True),
        (OURS, by_ibc(SECOND, "config.ini", cwd="/opt/ibc"), True),
        (OURS, by_ibc(SECOND, OTHER_INI), False),
        (OURS, by_ibc(SECOND, OTHER_INI, mode="live"), False),
        (OURS, by_ibc(SECOND, OTHER_INI)._replace(served_before=True), True),
        (native(GATEWAY), by_ibc(SECOND, OTHER_INI), True),
        (native(GATEWAY), by_ibc(SECOND, OTHER_INI, ini_unread=True), False),
        (native(GATEWAY), by_ibc(SECOND, OTHER_INI, mode="live", ini_unread=True), True),
        (OURS, native(SECOND), False),
    ],
    ids=[
        "same",
        "same by its folder",
        "other",
        "other, says its mode",
        "other, has served",
        "beside a native one",
        "unread",
        "unread, says its mode",
        "native",
    ],
)
def test_a_login_that_may_be_another_s_is_told_and_left_beside_the_gateway_that_serves(
    owner: Process, other: Process, ends: bool
) -> None:
    look = snapshot(owner, other, listener())
    assert told(planned(look).steps) == ((("stop_gateway", SECOND),) if ends else ())
    diagnosis = judged(look)
    assert diagnosis.status == ("unhealthy" if ends else "healthy")
    summary = diagnosis.findings[0].summary
    assert ("the login of pid %d" % SECOND in summary) is not ends, summary


def test_the_gateway_that_serves_is_not_restarted_beside_one_that_is_left() -> None:
    """The act would refuse it, so the plan does not promise it."""
    plan = planned(snapshot(OURS, native(SECOND), listener()), shaken=probe("stalled"))
    assert plan.steps == () and "a new gateway would log in beside pid %d" % SECOND in plan.withheld[0]


def test_where_none_serves_another_settings_file_spares_nobody() -> None:
    steps = told(planned(snapshot(gateway(), by_ibc(SECOND, OTHER_INI), native(4713))).steps)
    ended = tuple(("stop_gateway", pid) for pid in (GATEWAY, SECOND, 4713))
    assert steps == (("wait", None), *ended, ("start", None))


def test_where_none_serves_one_that_listens_on_a_port_that_may_be_an_api_s_is_not_ended() -> None:
    """It never served the entry's port, and nothing tells that the other port is an agent's: it may be another's."""
    several = snapshot(gateway(), gateway(SECOND), listener(4010, SECOND))
    found = planned(several)
    assert [step for step in found.steps if step.action != "wait"] == []
    assert "whoever uses port 4010 of pid %d" % SECOND in " ".join(found.withheld)


def test_of_several_none_is_stopped_where_the_start_after_it_would_be_refused() -> None:
    """Beside a gateway that one key alone keeps from being the entry's nothing is started."""
    plan = planned(snapshot(gateway(), gateway(SECOND), by_ibc(4713, OTHER_INI, api_port=4003)))
    assert plan.steps == () and "only its port differs: it has 4003, the entry says 4001" in plan.withheld[0]


def test_beside_a_gateway_set_to_another_port_none_is_started_when_the_entry_s_is_down() -> None:
    plan = planned(snapshot(by_ibc(SECOND, OTHER_INI, api_port=4003)))
    assert plan.steps == () and "only its port differs" in plan.withheld[0]


def test_a_second_gateway_idle_on_a_port_of_its_own_is_told_and_the_entry_is_healthy() -> None:
    look = snapshot(OURS, gateway(SECOND), listener(), listener(4444, SECOND))
    diagnosis = judged(look)
    assert (diagnosis.status, diagnosis.findings[0].severity, planned(look)) == ("healthy", "info", Plan())
    assert "whoever uses port 4444 of pid %d" % SECOND in diagnosis.findings[0].summary


def test_only_those_that_may_be_ended_count_as_duplicates() -> None:
    look = snapshot(OURS, gateway(SECOND), native(4713), listener())
    assert told(planned(look).steps) == (("stop_gateway", SECOND),)
    found = judged(look).findings[0]
    assert (found.severity, len(found.evidence["processes"])) == ("unhealthy", 3)
    assert found.summary == "2 gateway processes run for live, one is wanted: pids %d, %d" % (GATEWAY, SECOND)


# --- how it is restarted ---------------------------------------------------------------------------------------------


def test_a_unit_s_own_gateway_is_restarted_by_its_unit() -> None:
    own = gateway(unit=UNIT, unit_is_own=True, served_before=True)
    target = dict(planned(snapshot(own)).steps[-1].target)
    check_identity(target.pop("process"), own, "gateway")
    assert target == {"gateway": "live", "by": "unit", "service": UNIT, "port": 4001, "timeout": 120}


@pytest.mark.parametrize(("one", "unit"), [(spec(), None), (spec(), "other.service"), (COMMAND, None)])
@pytest.mark.parametrize("own", [False, True])
def test_any_other_gateway_is_restarted_by_its_identity(one: GatewaySpec, unit: Optional[str], own: bool) -> None:
    victim = gateway(unit=unit, unit_is_own=own and unit is not None, served_before=True)
    step = planned(snapshot(victim), one).steps[-1]
    assert (step.target["by"], step.target.get("service")) == ("identity", one.service)
    check_identity(step.target["process"], victim, "gateway")


def check_identity(target: Dict[str, Any], one: Process, role: str) -> None:
    assert target == {
        "pid": one.pid,
        "started_ticks": one.started_ticks,
        "boot_id": BOOT,
        "role": role,
        "argv_digest": one.argv_digest,
        "user": one.user,
        "command": list(one.command),
        "unit": one.unit if one.unit_is_own else None,
        "gateway": "live",
        "allow_kill": False,
    }


def test_a_step_names_its_process_by_its_whole_identity() -> None:
    rival, second = script(name="cleanup.py"), gateway(SECOND)
    found = planned(snapshot(OURS, second, listener(), rival), spec(client_patterns=("cleanup",))).steps
    check_identity(dict(found[0].target), rival, "client")
    check_identity(dict(found[1].target), second, "gateway")


def test_a_start_names_its_means_and_no_command() -> None:
    means = {"gateway": "live", "port": 4001, "timeout": 120}
    assert planned(snapshot(), COMMAND).steps[-1].target == means
    assert planned(snapshot()).steps[-1].target == {**means, "service": UNIT}


def test_a_unit_that_is_active_without_any_process_is_restarted_since_a_start_would_do_nothing() -> None:
    target = planned(snapshot(), unit_state=UnitState(UNIT, active="active", sub="exited")).steps[-1].target
    assert (target["by"], target["gateway"]) == ("unit", "live") and "process" not in target


@pytest.mark.parametrize("allowed", [False, True])
def test_whatever_is_to_end_says_whether_it_may_be_killed(allowed: bool) -> None:
    one = spec(allow_kill=allowed, client_patterns=("bot",))
    found = planned(snapshot(OURS, gateway(SECOND), listener(), script()), one, probe("stalled")).steps
    assert [each.action for each in found] == ["stop_client", "stop_gateway", "restart"]
    ending = [each.target.get("process", each.target) for each in found]
    assert [each["allow_kill"] for each in ending] == [allowed] * 3


SERVER = CommandServer(GATEWAY, ServerAddress(7462, "127.0.0.1", 77), loop=True, route=True)


def test_every_target_names_its_gateway() -> None:
    looks = [
        planned(snapshot(gateway(age=30.0), gateway(SECOND, age=40.0), script()), spec(client_patterns=("bot",))),
        planned(snapshot(OURS, listener()), shaken=probe("stalled"), command_servers=(SERVER,)),
        planned(snapshot(gateway(state="T"), listener())),
        planned(snapshot(OURS, listener()), shaken=probe(notices=(1100,)), command_servers=(SERVER,)),
        planned(snapshot(OURS, listener(), script(), connection(SCRIPT, cookie=7, idle=700.0), connection(9))),
    ]
    assert {step.action for plan in looks for step in plan.steps} == set(ORDER)
    assert {step.target["gateway"] for plan in looks for step in plan.steps} == {"live"}


def test_no_step_gives_a_password_away() -> None:
    bad = process(
        GATEWAY, "java", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini", "trader", "hunter2", cwd=spec().config_dir
    )
    rival = process(SCRIPT, "python3", "bot.py", "--pw=hunter2")
    look = snapshot(bad, gateway(SECOND), rival, connection(SCRIPT))
    one = spec(service=None, start_command=("/opt/start", "hunter2"), client_patterns=("bot",))
    found = planned(look, one)
    assert len(found.steps) == 5
    assert "hunter2" not in repr(found)


def test_a_gateway_that_is_the_system_s_first_process_is_not_promised_a_restart() -> None:
    """In a container the gateway may be pid 1, and pid 1 is never signalled."""
    first = gateway(1, unit=None, served_before=True)
    plan = planned(snapshot(first), COMMAND)
    assert plan.steps == () and len(plan.withheld) == 1
