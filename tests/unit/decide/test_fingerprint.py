"""What a plan's digest covers: all that would make the plan wrong, and nothing that comes and goes meanwhile."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_gateway.base.host import Client, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Entry
from ansible.module_utils.ib_gateway.base.spec import Container, GatewaySpec
from ansible.module_utils.ib_gateway.decide.fingerprint import digest, digests
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import (
    SECOND,
    UNIT,
    connection,
    entry,
    gateway,
    health,
    listener,
    probe,
    script,
    snapshot,
    spec,
)

BOT, OTHER = 801, 802
WORKS: Dict[str, Any] = {"sent": 5000}
ATTEMPT: Dict[str, Any] = {"sent": 30}
LOOK = snapshot(gateway(unit=UNIT), listener(), script(BOT), connection(BOT, **WORKS))


def of(look: Snapshot, one: GatewaySpec = spec()) -> str:  # noqa: B008 - immutable
    return digest(entry(one, look))


def facts(look: Snapshot) -> List[Any]:
    return [*look.processes.values(), *look.listeners, *look.connections]


def changed(look: Snapshot, **more: Any) -> Snapshot:
    """The look with its gateway changed."""
    return snapshot(*[each._replace(**more) if each == gateway(unit=UNIT) else each for each in facts(look)])


def test_a_digest_is_64_hex_digits_and_the_same_for_the_same_evidence() -> None:
    assert of(LOOK) == of(snapshot(*reversed(facts(LOOK)))) and len(of(LOOK)) == 64
    assert int(of(LOOK), 16)


OTHERS: Dict[str, Snapshot] = {
    "another start of the gateway": changed(LOOK, started_ticks=1),
    "another pid": snapshot(gateway(SECOND, unit=UNIT), listener(4001, SECOND), *facts(LOOK)[2:]),
    "another boot": changed(LOOK, boot_id="another"),
    "a second gateway": snapshot(*facts(LOOK), gateway(SECOND)),
    "no gateway": snapshot(*facts(LOOK)[1:]),
    "a gateway that might be its own": snapshot(*facts(LOOK), gateway(SECOND, folder=None)),
    "another port": snapshot(*facts(LOOK), listener(4444)),
    "no listener": snapshot(*[each for each in facts(LOOK) if each not in LOOK.listeners]),
    "another owner of its port": snapshot(*facts(LOOK), listener(4001, 900, address="127.0.0.1")),
    "another session": snapshot(*facts(LOOK), script(OTHER), connection(OTHER, **WORKS)),
    "a second session of the same script": snapshot(*facts(LOOK), connection(BOT, client_port=1, **WORKS)),
    "a session from another host": snapshot(*facts(LOOK), connection(remote_host="10.0.0.9", **WORKS)),
    "no session": snapshot(*[each for each in facts(LOOK) if each not in LOOK.connections]),
    "another start of the script": snapshot(
        gateway(unit=UNIT), listener(), script(BOT, started_ticks=1), connection(BOT, **WORKS)
    ),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_would_make_a_plan_wrong_changes_it(other: Snapshot) -> None:
    assert of(other) != of(LOOK)


def test_two_hosts_a_session_comes_from_are_not_the_same() -> None:
    one, other = (snapshot(connection(remote_host=host, **WORKS), gateway(), listener()) for host in ("a", "b"))
    assert of(one) != of(other)


def test_a_unit_that_comes_up_changes_it_and_its_age_does_not() -> None:
    down, up, older = snapshot(), snapshot(units={UNIT: 5.0}), snapshot(units={UNIT: 50.0})
    assert of(down) != of(up) == of(older)


SAME: Dict[str, Snapshot] = {
    "older": changed(LOOK, age=1e6, started_at=1.0),
    "seen to have served": changed(LOOK, served_before=True),
    "idle": snapshot(gateway(unit=UNIT), listener(), script(BOT, age=3.0), connection(BOT, idle=900.0, **WORKS)),
    "more data": snapshot(gateway(unit=UNIT), listener(), script(BOT), connection(BOT, sent=9_000)),
    "a filling queue": snapshot(
        gateway(unit=UNIT), listener(accept_queue=9), script(BOT), connection(BOT, **WORKS), queues={4001: (9, 9)}
    ),
    "another port of the same session": snapshot(
        gateway(unit=UNIT), listener(), script(BOT), connection(BOT, client_port=7, cookie=8, **WORKS)
    ),
    "an attempt at a session": snapshot(*facts(LOOK), script(OTHER), connection(OTHER, **ATTEMPT)),
    "a connection that is not accepted": snapshot(*facts(LOOK), script(OTHER), connection(OTHER, accepted=False)),
    "a closing connection": snapshot(*facts(LOOK), connection(state="CLOSE_WAIT", **WORKS)),
    "somebody else's gateway": snapshot(*facts(LOOK), gateway(SECOND, folder="/srv/other")),
    "a script that is only named": snapshot(*facts(LOOK), script(OTHER, "cleanup.py")),
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME)
def test_what_comes_and_goes_while_a_plan_stays_right_does_not_change_it(other: Snapshot) -> None:
    named = spec(client_patterns=("cleanup",))
    assert of(other, named) == of(LOOK, named)


@pytest.mark.parametrize(
    "more",
    [
        {"port": 4003},
        {"user": None},
        {"config_dir": None},
        {"service": "other.service"},
        {"start_timeout": 7},
        {"max_api_clients": 2},
        {"client_patterns": ("a",)},
        {"protected_clients": ("a",)},
        {"remediation": "plan_only"},
        {"allow_kill": True},
        {"allow_restart_with_clients": True},
        {"start_command": ("one",)},
        {"start_environment": (("DISPLAY", ":1"),)},
    ],
    ids=str,
)
def test_another_entry_is_other_evidence(more: Dict[str, Any]) -> None:
    assert digest(Entry(spec(**more))) != digest(Entry(spec()))


def test_the_words_of_a_start_command_do_not_count_because_they_are_not_known_everywhere() -> None:
    """The module that judges never sees them, the one that starts does."""
    said, hidden = (Entry(spec(start_command=words)) for words in (("start", "--pw=x"), ("VALUE_HIDDEN", "HIDDEN")))
    assert digest(said) == digest(hidden)


def test_the_texts_of_a_start_environment_do_not_count_either_but_its_names_do() -> None:
    said, hidden, other = (
        Entry(spec(start_environment=((name, text),))) for name, text in (("A", "x"), ("A", "HIDDEN"), ("B", "x"))
    )
    assert digest(said) == digest(hidden) != digest(other)


def test_every_field_of_an_entry_counts_but_those_words() -> None:
    """A key that is added to the inventory is evidence as well, without anybody thinking of it here."""
    before = spec()
    for field in GatewaySpec._fields:
        value = getattr(before, field)
        pairs = field == "start_environment"
        other: Any = (
            (("x", "y"),)
            if pairs
            else Container("podman", "x")
            if field == "container"
            else ("x", "y")
            if isinstance(value, tuple)
            else not value
            if isinstance(value, bool)
            else "%s!" % value
        )
        assert digest(Entry(before._replace(**{field: other}))) != digest(Entry(before)), field


def test_digests_are_by_name() -> None:
    found = digests([Entry(spec()), Entry(spec(name="paper"))])
    assert list(found) == ["live", "paper"] and found["live"] != found["paper"]


def test_a_plan_carries_its_digest_and_when_it_was_made() -> None:
    plan = health((spec(), LOOK, probe()))["gateways"][0]["plan"]
    assert plan["digest"] == of(LOOK)
    assert plan["made_at"] == {"boot_id": "", "boottime": 0.0}


ANY_CLIENT = st.builds(
    lambda pid, more: Client(script(pid), connection(pid, **more)),
    st.integers(800, 803),
    st.fixed_dictionaries(
        {
            "sent": st.sampled_from([None, 30, 5000]),
            "state": st.sampled_from(["ESTABLISHED", "CLOSE_WAIT"]),
            "accepted": st.booleans(),
            "idle": st.sampled_from([None, 3.0]),
        }
    ),
)


@settings(deadline=None)
@given(st.lists(ANY_CLIENT, max_size=4), st.randoms())
def test_only_who_works_counts_and_in_any_order(clients: List[Client], chance: Any) -> None:
    working = [each for each in clients if each.working]
    shuffled = list(clients)
    chance.shuffle(shuffled)
    one, other, bare = (Entry(spec(), clients=tuple(each)) for each in (shuffled, working, clients[:0]))
    assert digest(one) == digest(other)
    assert (digest(one) == digest(bare)) is (not working)
