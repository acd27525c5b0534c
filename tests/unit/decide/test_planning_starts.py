"""Nothing is stopped or cut for the sake of a start that cannot succeed, nor where a restart would end others."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Folder, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.base.unit import UnitMember, UnitState
from ansible.module_utils.ib_gateway.decide.planning import plan
from unit.facts import (
    FOLDER,
    GATEWAY,
    SCRIPT,
    SECOND,
    UNIT,
    Fact,
    connection,
    entry,
    gateway,
    health,
    judged,
    listener,
    probe,
    script,
    snapshot,
    spec,
    told,
)

MASKED = "ibgateway.service is masked, so that nothing can start it: systemctl unmask ibgateway.service"
LIVE = UnitMember(SECOND, "trader", ("java", "GWClient"), "gateway")
BOT = UnitMember(SCRIPT, "quant", ("python3", "router.py"), "client")


def planned(look: Snapshot, shaken: Optional[Probe] = None, **known: Any) -> Plan:
    """The plan for a host's only entry, with what is known of its start."""
    diagnosis = judged(look, None, shaken)
    return plan(diagnosis._replace(entry=diagnosis.entry._replace(**known)))


@pytest.mark.parametrize(
    ("look", "shaken"),
    [
        (snapshot(), None),
        (snapshot(gateway(served_before=True)), None),
        (snapshot(gateway(), script(), connection(SCRIPT)), None),
        (snapshot(gateway(), gateway(SECOND)), None),
        (snapshot(gateway(), gateway(SECOND), listener()), probe("silent")),
        (snapshot(gateway(), listener(), script(), connection(SCRIPT, sent=5)), probe("stalled")),
        (snapshot(gateway(), listener(), queues={4001: (2, 2, 2)}), None),
    ],
)
def test_a_start_that_cannot_succeed_keeps_everything_as_it_is(look: Snapshot, shaken: Optional[Probe]) -> None:
    assert planned(look, shaken).steps != ()
    found = planned(look, shaken, start_blocker=MASKED)
    assert found.steps == () and len(found.withheld) == 1 and MASKED in found.withheld[0]


def test_who_may_not_end_all_that_has_to_end_ends_nothing() -> None:
    """An ordinary account does the whole repair, or no step of it."""
    look = snapshot(gateway(), gateway(SECOND, user="root"), listener())
    other = judged(look._replace(folders={FOLDER: Folder(FOLDER, "trader")}), spec(user=None))
    assert told(plan(other).steps) == (("stop_gateway", SECOND),)
    confined = other.entry._replace(confined_to="trader")
    found = plan(other._replace(entry=confined))
    assert found.steps == () and "pid %d of root" % SECOND in found.withheld[-1]
    both = snapshot(gateway(), gateway(SECOND), listener())
    assert planned(both, confined_to="trader") == planned(both)


def without_handles(look: Snapshot, one: GatewaySpec, **known: Any) -> Tuple[Plan, Plan]:
    """The plan of a host that can hold processes by pidfd, and of one that cannot."""
    diagnosis = judged(look, one)
    entry = diagnosis.entry._replace(**known)
    able, unable = (plan(diagnosis._replace(entry=entry._replace(holds=holds))) for holds in (True, False))
    return able, unable


@pytest.mark.parametrize(
    ("look", "held_back"),
    [
        (snapshot(gateway(served_before=True)), True),
        (snapshot(gateway(), gateway(SECOND), listener()), True),
        (snapshot(gateway(state="T"), listener()), True),
        (snapshot(), False),
    ],
    ids=["restart", "surplus", "resume", "start"],
)
def test_without_handles_for_processes_nothing_that_needs_a_signal_is_begun(look: Snapshot, held_back: bool) -> None:
    able, unable = without_handles(look, spec(service=None, start_command=("/opt/start",)))
    assert [each for each in able.steps if each.action != "wait"]
    if held_back:
        assert [each for each in unable.steps if each.action != "wait"] == []
        assert "cannot hold a process by pidfd" in unable.withheld[-1]
        assert "ansible_python_interpreter of Python 3.9" in unable.withheld[-1]
    else:
        assert unable == able


@pytest.mark.parametrize(
    ("kills_after", "allow_kill", "held_back"), [(90.0, False, True), (90.0, True, False), (None, False, False)]
)
def test_without_handles_a_unit_is_restarted_only_where_systemd_may_end_what_it_carries(
    kills_after: Optional[float], allow_kill: bool, held_back: bool
) -> None:
    state = UnitState(name=UNIT, active="active", sub="running", kills_after=kills_after)
    look = snapshot(gateway(unit=UNIT, served_before=True))
    found = without_handles(look, spec(allow_kill=allow_kill), unit_state=state)[1]
    assert (found.steps == ()) is held_back
    assert any("or the entry allow_kill: true" in each for each in found.withheld) is held_back


def test_a_repair_without_a_start_does_not_depend_on_one() -> None:
    surplus = snapshot(gateway(), gateway(SECOND), listener())
    assert told(planned(surplus, start_blocker=MASKED).steps) == (("stop_gateway", SECOND),)


def test_a_gateway_that_may_be_logging_in_is_waited_for_although_it_could_not_be_started() -> None:
    starting = snapshot(gateway(age=5.0))
    assert told(planned(starting, start_blocker=MASKED).steps) == (("wait", None),)


def test_a_unit_that_is_active_without_any_process_is_restarted_because_a_start_would_do_nothing() -> None:
    exited = UnitState(UNIT, active="active", sub="exited", kind="oneshot", remains_after_exit=True)
    wait, step = planned(snapshot(), unit_state=exited).steps
    assert (wait.action, step.action, step.target["by"]) == ("wait", "restart", "unit")
    assert told(planned(snapshot(), unit_state=exited._replace(active="inactive", sub="dead")).steps) == (
        ("start", None),
    )


@pytest.mark.parametrize("other", [LIVE, BOT._replace(protected=True), BOT._replace(works_elsewhere=True)])
def test_a_unit_is_not_restarted_where_that_would_end_another_gateway_or_a_protected_script(
    other: UnitMember,
) -> None:
    carried = snapshot(gateway(unit=UNIT, served_before=True))
    own = UnitMember(GATEWAY, "trader", ("java",), "gateway")
    assert told(planned(carried, unit_members=(own, BOT)).steps) == (("wait", None), ("restart", None))
    found = planned(carried, unit_members=(own, other))
    assert found.steps == () and "also carries pid %d" % other.pid in found.withheld[0]
    assert told(planned(snapshot(gateway(served_before=True)), unit_members=(other,)).steps)[-1] == ("restart", None)


BOUND = BOT._replace(kind="other", protected=True, unit="router.service")
KILLS = UnitState(UNIT, active="active", sub="running", kills_after=90.0)


def test_a_protected_script_in_a_unit_that_goes_down_with_the_gateway_s_keeps_that_up() -> None:
    carried = snapshot(gateway(unit=UNIT, served_before=True))
    found = planned(carried, unit_members=(BOUND,), unit_state=KILLS)
    told_so = "router.service goes down with its unit ibgateway.service and carries pid %d (protected other of quant)"
    assert found.steps == () and told_so % SCRIPT in found.withheld[0]
    assert planned(carried, unit_members=(BOUND._replace(protected=False),), unit_state=KILLS).steps != ()


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        (KILLS, False),
        (KILLS._replace(kills_after=None), True),
        (KILLS._replace(remains_after_exit=True), True),
        (None, True),
    ],
)
def test_a_unit_that_only_requires_the_gateway_s_ends_where_systemd_is_told_to_stop_that(
    state: Optional[UnitState], ends: bool
) -> None:
    carried = snapshot(gateway(unit=UNIT, served_before=True))
    tied = BOUND._replace(outlives_end=True)
    assert (planned(carried, unit_members=(tied,), unit_state=state).steps == ()) is ends
    # Something else of the unit's holds it up when its gateway has ended, so that it is restarted.
    xvfb = UnitMember(99, "trader", ("Xvfb",), "other")
    assert planned(carried, unit_members=(xvfb, tied), unit_state=state).steps == ()


def test_a_unit_that_is_up_without_a_process_is_restarted_and_takes_others_with_it() -> None:
    exited = UnitState(UNIT, active="active", sub="exited", kills_after=90.0)
    for look in (snapshot(), snapshot(gateway(served_before=True))):
        assert planned(look, unit_state=exited, unit_members=(BOUND._replace(outlives_end=True),)).steps == ()


RIVAL = LIVE._replace(unit="tws.service", by_start=True)


@pytest.mark.parametrize(
    "look",
    [
        snapshot(),
        snapshot(gateway(unit=UNIT, served_before=True)),
        snapshot(gateway(served_before=True)),
        snapshot(gateway(), gateway(SECOND + 1)),
    ],
)
@pytest.mark.parametrize(
    "member",
    [
        RIVAL,
        RIVAL._replace(kind="launcher"),
        RIVAL._replace(kind="other", protected=True),
        RIVAL._replace(kind="other", works_elsewhere=True),
    ],
)
def test_nothing_is_started_where_that_stops_a_unit_with_another_gateway_or_a_protected_or_working_script(
    look: Snapshot, member: UnitMember
) -> None:
    found = planned(look, unit_members=(member,), unit_state=KILLS)
    told_so = "tws.service is stopped by a start of its unit ibgateway.service and carries pid %d ("
    assert found.steps == () and told_so % SECOND in found.withheld[0]
    for harmless in (member._replace(by_start=False, outlives_end=True), RIVAL._replace(kind="other")):
        assert planned(look, unit_members=(harmless,), unit_state=KILLS).steps != ()


def test_a_gateway_of_a_user_s_unit_is_restarted_by_that_unit() -> None:
    one = spec(service_scope="user")
    mine = snapshot(gateway(user_unit=UNIT, unit_uid=1000, served_before=True))
    assert plan(judged(mine, one)).steps[-1].target["by"] == "unit"
    for other in (gateway(unit=UNIT, served_before=True), gateway(user_unit="another.service", served_before=True)):
        assert plan(judged(snapshot(other), one)).steps[-1].target["by"] == "identity"
    assert entry(one, snapshot(units={"trader/" + UNIT: 3.0})).unit_age == 3.0
    assert entry(one, snapshot(units={UNIT: 3.0})).unit_age is None


# --- a key that is mistyped ------------------------------------------------------------------------------------------


def near_miss(*facts: Fact, **entry: Any) -> Dict[str, Any]:
    """The judgement of an entry whose gateway runs with another folder than the entry says."""
    return dict(health((spec(**{"config_dir": "/srv/lvie", **entry}), snapshot(*facts), None))["gateways"][0])


def test_nothing_is_started_beside_a_gateway_that_differs_in_one_key_only() -> None:
    told = near_miss(gateway(), gateway(SECOND))
    assert told["verdict"] == "gateway_not_running" and told["plan"]["steps"] == []
    assert f"not started: gateway pid {GATEWAY} runs and only its config_dir differs" in told["plan"]["withheld"][0]
    both = (
        f"gateway pid {GATEWAY}, {SECOND} run and differ in key config_dir: it has {FOLDER}, the entry says /srv/lvie"
    )
    assert both in told["summary"]


def test_a_start_goes_on_beside_a_gateway_that_serves_another_port_or_belongs_to_another_account() -> None:
    for facts in ([gateway(), listener(4002, GATEWAY)], [gateway(user="bob")]):
        assert [each["action"] for each in near_miss(*facts)["plan"]["steps"]] == ["wait", "start"], facts


def test_a_start_goes_on_beside_a_gateway_with_another_folder_where_the_entry_s_is_there() -> None:
    look = snapshot(gateway())._replace(folders={"/srv/other": Folder("/srv/other", "trader")})
    (found,) = health((spec(config_dir="/srv/other"), look, None))["gateways"]
    assert [each["action"] for each in found["plan"]["steps"]] == ["wait", "start"]


def test_of_near_misses_only_the_nearest_are_named() -> None:
    told = near_miss(gateway(), gateway(SECOND, user="bob"))
    assert f"gateway pid {GATEWAY} runs" in told["summary"] and str(SECOND) not in told["summary"]
