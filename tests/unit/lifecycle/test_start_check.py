"""Whether a start can succeed is found out where something is wrong, and nowhere else."""

from __future__ import annotations

from typing import List, Sequence

import pytest
from ansible.module_utils.ib_gateway.base.host import Visibility
from ansible.module_utils.ib_gateway.base.unit import UnitMember
from ansible.module_utils.ib_gateway.lifecycle import start_check
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, StartCheck
from unit.facts import GATEWAY, SCRIPT, SECOND, connection, gateway, judged, listener, script, snapshot, spec

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
