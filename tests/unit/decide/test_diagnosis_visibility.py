"""What cannot be seen is unknown and says what is missing: never healthy, and never called not running."""

from __future__ import annotations

import pytest
from ansible.module_utils.ib_gateway.base.host import Snapshot, Visibility
from ansible.module_utils.ib_gateway.base.plan import Diagnosis
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from unit.facts import (
    ALIEN,
    GATEWAY,
    SECOND,
    connection,
    gateway,
    judged,
    listener,
    planned,
    probe,
    script,
    snapshot,
    spec,
)

HIDEPID = "the process table: /proc is mounted with hidepid"
OPS = Visibility(user="ops", privileged=False)
OPS_HIDEPID = Visibility(user="ops", privileged=False, processes=False, missing=(HIDEPID,))
TRADER = Visibility(user="trader", privileged=False)
TRADER_HIDEPID = Visibility(user="trader", privileged=False, processes=False, missing=(HIDEPID,))

BLIND = gateway(sockets_visible=False)
OWNERLESS = listener(pids=frozenset(), user="trader")

UNSEEN = {
    "nobody's processes are seen, and the user is another one": (snapshot(sight=OPS), spec()),
    "nobody's processes are seen, and any user would do": (snapshot(sight=OPS), spec(user=None)),
    "hidepid hides other users' processes": (snapshot(sight=OPS_HIDEPID), spec()),
    "hidepid hides them, and any user would do": (snapshot(sight=TRADER_HIDEPID), spec(user=None)),
    "hidepid for a root without the capability": (
        snapshot(sight=Visibility("root", True, processes=False, missing=(HIDEPID,))),
        spec(),
    ),
    "hidepid hides who owns the listener": (snapshot(OWNERLESS, sight=OPS_HIDEPID), spec()),
    "the gateway's sockets may not be read": (snapshot(BLIND, sight=OPS), spec()),
    "its sockets may not be read, and its port has a listener": (snapshot(BLIND, OWNERLESS, sight=OPS), spec()),
    "the gateway lives in another network namespace": (snapshot(gateway(other_netns=True)), spec()),
    "it lives in another one, and a relay holds the port": (
        snapshot(gateway(other_netns=True), script(ALIEN), listener(4001, ALIEN)),
        spec(),
    ),
    "the port has a listener without a visible owner": (snapshot(OWNERLESS), spec()),
    "a listener without a visible owner beside a gateway": (snapshot(gateway(), OWNERLESS), spec()),
    "the working directory may not be read": (snapshot(gateway(folder=None), sight=OPS), spec()),
    "the working directory of a second one may not be read": (
        snapshot(gateway(), gateway(SECOND, folder=None), listener()),
        spec(),
    ),
}


@pytest.mark.parametrize(("look", "one"), UNSEEN.values(), ids=UNSEEN)
def test_what_cannot_be_seen_is_unknown(look: Snapshot, one: GatewaySpec) -> None:
    check_unknown(judged(look, one))


@pytest.mark.parametrize(("look", "one"), UNSEEN.values(), ids=UNSEEN)
def test_not_even_a_good_handshake_makes_the_unseen_healthy(look: Snapshot, one: GatewaySpec) -> None:
    check_unknown(judged(look, one, probe()))


@pytest.mark.parametrize(("look", "one"), UNSEEN.values(), ids=UNSEEN)
def test_nothing_is_touched_while_something_is_not_seen(look: Snapshot, one: GatewaySpec) -> None:
    plan = planned(look, one)
    assert plan.steps == () and len(plan.withheld) == 1


def check_unknown(diagnosis: Diagnosis) -> None:
    assert (diagnosis.status, diagnosis.verdict) == ("unknown", "partial_visibility")
    assert [each.code for each in diagnosis.findings] == ["partial_visibility"]
    assert diagnosis.findings[0].severity == "unknown"
    assert diagnosis.findings[0].evidence["missing"]
    for reason in diagnosis.findings[0].evidence["missing"]:
        assert reason in diagnosis.findings[0].summary


def test_a_gateway_that_two_entries_could_mean_is_unknown_for_both() -> None:
    one = spec(config_dir=None)
    other = spec(name="paper", trading_mode="paper", port=4002, config_dir=None)
    look = snapshot(gateway())
    for entry in entries_of([one, other], look)[0]:
        check_unknown(diagnose(entry, look))


def test_what_is_missing_is_said_with_its_pid_and_its_account() -> None:
    missing = judged(snapshot(BLIND, sight=OPS)).findings[0].evidence
    assert str(GATEWAY) in missing["missing"][0] and "trader" in missing["missing"][0]
    assert missing["looked_as"] == "ops"


SEEN = {
    "root sees that nothing runs": (snapshot(), spec(), "gateway_not_running"),
    "the gateway's own user sees that nothing runs": (snapshot(sight=TRADER), spec(), "gateway_not_running"),
    "under hidepid its own user sees that nothing runs": (
        snapshot(sight=TRADER_HIDEPID),
        spec(),
        "gateway_not_running",
    ),
    "its own user sees it listen": (snapshot(gateway(), listener(), sight=TRADER), spec(), "healthy"),
    "another user who can read its sockets sees it listen": (
        snapshot(gateway(), listener(), sight=OPS),
        spec(),
        "healthy",
    ),
    "another port's hidden owner does not matter": (
        snapshot(gateway(), listener(), listener(7496, pids=frozenset())),
        spec(),
        "healthy",
    ),
    "a hidden client is a client": (
        snapshot(gateway(), listener(), connection(remote_host="10.0.0.9")),
        spec(),
        "healthy",
    ),
    "another account's gateway in another namespace does not matter": (
        snapshot(gateway(), gateway(SECOND, user="bob", other_netns=True), listener()),
        spec(),
        "healthy",
    ),
    "another account's hidden folder does not matter": (
        snapshot(gateway(), gateway(SECOND, user="bob", folder=None), listener()),
        spec(),
        "healthy",
    ),
}


@pytest.mark.parametrize(("look", "one", "verdict"), SEEN.values(), ids=SEEN)
def test_what_can_be_seen_is_judged(look: Snapshot, one: GatewaySpec, verdict: str) -> None:
    assert judged(look, one).verdict == verdict
