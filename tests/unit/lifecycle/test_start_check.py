"""Whether a start can succeed is found out where something is wrong, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Visibility
from ansible.module_utils.ib_gateway.base.unit import UnitMember, UnitState
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from ansible.module_utils.ib_gateway.lifecycle import start_check
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, Runs, StartCheck
from unit.facts import GATEWAY, SCRIPT, SECOND, UNIT, connection, gateway, judged, listener, script, snapshot, spec

ORDINARY = Visibility(user="trader", privileged=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> List[Asked]:
    """The entries that are asked about; each is told that its unit is masked and carries some."""
    found: List[Asked] = []
    members = tuple(
        UnitMember(pid, "trader", ("python3", name), kind)
        for pid, name, kind in ((SCRIPT, "router.py", "other"), (GATEWAY, "java", "gateway"), (SECOND, "x", "gateway"))
    )

    def answer(entries: Sequence[Asked]) -> List[StartCheck]:
        found.extend(entries)
        return [StartCheck("it is masked", members=members) for _ in entries]

    monkeypatch.setattr(start_check, "start_checks", answer)
    return found


def test_only_entries_with_a_fault_and_the_means_to_start_are_asked_about(asked: List[Asked]) -> None:
    well, off = snapshot(gateway(), listener()), snapshot()
    found = [judged(well), judged(off), judged(off, spec(service=None))]
    told = start_check.foresee(found, off)
    assert len(asked) == 1 and asked[0] == Asked(spec(), None)
    assert [each.entry.start_blocker for each in told] == [None, "it is masked", None]
    assert (told[0], told[2]) == (found[0], found[2]) and told[1].entry.confined_to is None


def test_the_gateway_that_serves_is_the_one_whose_environment_is_asked_for(asked: List[Asked]) -> None:
    young = gateway(SECOND, age=5.0)
    look = snapshot(gateway(), young, listener())
    start_check.foresee([judged(look)], look)
    start_check.foresee([judged(snapshot(gateway(), young))], look)
    assert [each.process.pid for each in asked if each.process] == [GATEWAY, SECOND]


@pytest.mark.usefixtures("asked")
def test_who_lives_in_the_unit_is_known_by_what_the_entry_knows() -> None:
    look = snapshot(gateway(), listener(), script(name="router.py"), connection(SCRIPT), queues={4001: (2, 2, 2)})
    entry = start_check.foresee([judged(look, spec(protected_clients=("router",)))], look)[0].entry
    assert [(each.pid, each.kind, each.protected) for each in entry.unit_members] == [
        (SCRIPT, "client", True),
        (GATEWAY, "gateway", False),
        (SECOND, "gateway", False),
    ]
    assert [each.pid for each in entry.others_in_unit()] == [SCRIPT, SECOND]


@pytest.mark.usefixtures("asked")
def test_who_lives_in_the_unit_and_works_on_another_gateway_keeps_it_from_being_restarted() -> None:
    there = connection(SCRIPT, server=SECOND, port=4002, sent=5000, received=500)
    pair = (gateway(), listener(), gateway(SECOND, folder="/srv/paper"), listener(4002, SECOND))
    for held, told in ((there, {SCRIPT, SECOND}), (connection(SCRIPT), {SECOND})):
        look = snapshot(*pair, script(), held, queues={4001: (2, 2, 2)})
        entry = start_check.foresee([judged(look)], look)[0].entry
        assert {each.pid for each in entry.others_in_unit()} == told


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("user", "says"),
    [(None, "give the entry user: trader, or run with become"), ("quant", "run with become"), ("trader", "")],
)
def test_who_could_not_see_afterwards_does_not_start_anything(user: str, says: str) -> None:
    look = snapshot(gateway(user=user or "trader"), sight=ORDINARY)
    told = start_check.foresee([judged(look, spec(user=user))], look)[0].entry.start_blocker or ""
    assert (says in told and "could not see" in told) if says else told == "it is masked"
    assert start_check.foresee([judged(look, spec(user=user))], look)[0].entry.confined_to == "trader"
    as_root = look._replace(visibility=ORDINARY._replace(privileged=True))
    assert start_check.foresee([judged(look, spec(user=user))], as_root)[0].entry.start_blocker == "it is masked"


# --- a unit that is up by others -----------------------------------------------------------------------------

BY_HAND = gateway(served_before=True)
PAPER = UnitMember(SECOND, "trader", ("java", "GWClient"), "gateway")
LOOP = UnitMember(SCRIPT, "trader", ("sh", "loop.sh"), "other")


def told_of(
    *found: Any,
    members: Sequence[UnitMember] = (),
    pids: Sequence[int] = (),
    blocker: Optional[str] = None,
    contradicts: bool = False,
    **state: Any,
) -> str:
    """Why nothing is started by a unit that is active, where these processes are on the host."""
    unit = UnitState(UNIT, **{"active": "active", "sub": "running", **state})
    entry = judged(snapshot(*found)).entry
    check = StartCheck(blocker, unit, tuple(members), frozenset(pids), contradicts=contradicts)
    return start_check.informed(entry, check, {SECOND: "paper"}).start_blocker or ""


def test_a_unit_that_carries_the_gateway_of_another_entry_starts_none() -> None:
    told = told_of(BY_HAND, members=[PAPER], pids=[SECOND])
    assert "active already and carries pid %d (the gateway of paper), not pid %d: a start" % (SECOND, GATEWAY) in told
    assert "carries pid %d (the gateway of paper): a start of it does nothing" % SECOND in told_of(
        members=[PAPER], pids=[SECOND]
    )


@pytest.mark.parametrize(("contradicts", "says"), [(True, "active already and carries pid"), (False, "its file")])
def test_that_a_unit_is_another_gateway_s_says_more_than_what_its_file_says_of_that_and_no_more_than_else(
    contradicts: bool, says: str
) -> None:
    found: Any = {"members": [PAPER], "pids": [SECOND], "blocker": "its file", "contradicts": contradicts}
    assert says in told_of(BY_HAND, **found)
    assert told_of(BY_HAND, active="inactive", sub="dead", **found) == "its file"


def test_a_unit_that_is_up_without_the_gateway_that_is_to_end_would_not_start_the_next_one() -> None:
    assert "carries pid %d (sh loop.sh), not pid %d" % (SCRIPT, GATEWAY) in told_of(BY_HAND, members=[LOOP])
    assert "is active already without pid %d" % GATEWAY in told_of(BY_HAND)
    assert told_of(BY_HAND, active="activating", sub="start")


def test_a_unit_that_is_down_or_carries_the_gateway_or_may_bring_it_is_one_that_can_start_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert told_of(BY_HAND, members=[PAPER], active="inactive", sub="dead") == ""
    assert told_of(BY_HAND, sub="exited") == ""
    assert told_of(gateway(unit=UNIT, served_before=True), members=[PAPER]) == ""
    assert told_of(BY_HAND, members=[PAPER], pids=[GATEWAY, SECOND]) == ""
    assert told_of(members=[LOOP], pids=[SCRIPT]) == ""
    # As where su has opened a session for it: the unit goes down once it has ended.
    monkeypatch.setattr(start_check, "ancestors", lambda pid: frozenset((pid, 77)))
    assert told_of(BY_HAND, members=[LOOP], pids=[77]) == ""


def test_a_unit_that_carries_the_gateway_of_another_entry_is_not_waited_for() -> None:
    missing = judged(snapshot())
    state = UnitState(UNIT, active="active", sub="running")
    for members, code in (((LOOP,), "gateway_coming_up"), ((PAPER,), "gateway_not_running")):
        entry = missing.entry._replace(unit_state=state, unit_members=members)
        assert code in diagnose(entry, snapshot(), None).codes


@pytest.mark.usefixtures("asked")
def test_a_script_in_a_unit_is_protected_where_the_entry_of_any_gateway_names_it() -> None:
    look = snapshot(gateway(), listener(), script(name="router.py"), queues={4001: (2, 2, 2)})
    paper = judged(look, spec(name="paper", port=4002, protected_clients=("router",)))
    entry = start_check.foresee([judged(look), paper], look)[0].entry
    assert [each.pid for each in entry.unit_members if each.protected] == [SCRIPT]


def test_a_start_whose_script_runs_one_beside_it_that_ends_another_gateway_is_withheld(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "start.sh").write_text("PATTERN=IbcGateway\nexport PATTERN\n./room.sh\n", encoding="utf-8")
    (tmp_path / "room.sh").write_text('pkill -f "$PATTERN"\n', encoding="utf-8")
    runs = Runs((("sh", "start.sh"),), os.getuid(), str(tmp_path))
    monkeypatch.setattr(start_check, "start_checks", lambda asked: [StartCheck(runs=(runs,)) for _ in asked])
    other = gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")._replace(uid=os.getuid())
    look = snapshot(other)
    told = start_check.foresee([judged(look)], look)[0].entry.start_blocker
    place = "line 1 of %s/room.sh" % tmp_path
    begin = "what starts it runs `pkill -f ***` in %s, which ends gateway pid" % place
    assert told is not None and told.startswith(begin)
    nowhere = StartCheck(runs=(runs._replace(folder=None),))
    monkeypatch.setattr(start_check, "start_checks", lambda asked: [nowhere for _ in asked])
    assert start_check.foresee([judged(look)], look)[0].entry.start_blocker is None


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    ("script_on", "guarded", "told"),
    [
        (4002, (), "a script at work on another gateway, pid"),
        (None, ("router",), "the protected pid"),
        (4001, (), ""),
        (None, (), ""),
    ],
    ids=["at work elsewhere", "protected", "its own client", "nobody's"],
)
def test_a_script_that_is_protected_or_at_work_elsewhere_is_not_ended_by_what_a_start_or_a_stop_runs(
    monkeypatch: pytest.MonkeyPatch, stop: bool, script_on: Optional[int], guarded: Tuple[str, ...], told: str
) -> None:
    runs = Runs((("pkill", "-f", "router.py"),), os.getuid(), "/", stop)
    monkeypatch.setattr(start_check, "start_checks", lambda asked: [StartCheck(runs=(runs,)) for _ in asked])
    router = script(name="router.py")._replace(uid=os.getuid())
    paper = gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")
    facts: List[Any] = [gateway(served_before=True), paper, listener(4002, SECOND), router]
    if script_on is not None:
        facts.append(connection(SCRIPT, server=SECOND if script_on == 4002 else GATEWAY, port=script_on))
    look = snapshot(*facts)
    live = judged(look, spec(protected_clients=guarded))
    found = start_check.foresee([live], look)[0].entry.start_blocker or ""
    assert bool(found) is bool(told) and told in found
    assert not told or found.startswith("what %s it runs" % ("stops" if stop else "starts"))
