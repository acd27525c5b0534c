"""What a module that acts tells of the host afterwards: the look that a sweep would take, in the same call."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.module import assess, then_look
from unit.simulated_calls import in_place
from unit.simulated_host import SimHost
from unit.simulated_repair import HEALTH, Module, entry

ENTRIES = [entry("live"), entry("paper")]
ARGUMENTS = {"gateways": HEALTH.ARGUMENTS["gateways"], "then_look": then_look.OPTION}


def module(then_look: Optional[Dict[str, Any]], check_mode: bool = False) -> Module:
    """A module that has done what it was told, and may look at what came of it."""
    found = Module(ARGUMENTS, {"gateways": ENTRIES, "then_look": then_look})
    found.check_mode = check_mode
    return found


def after(host: SimHost, asked: Module, acted: bool = True, started: Optional[List[str]] = None) -> Dict[str, Any]:
    with in_place(host):
        return then_look.after_acts(asked, asked.specs(), acted, started or [])


def statuses(found: Dict[str, Any]) -> Dict[str, str]:
    return {each["name"]: each["status"] for each in found["health"]["gateways"]}


def serving() -> SimHost:
    """A host on which the live gateway serves and the paper one does not run."""
    host = SimHost()
    host.add_gateway("live", 4001)
    host.pass_time(600)
    return host


def test_without_the_option_nothing_is_looked_at() -> None:
    host = serving()
    before = host.calls
    assert after(host, module(None)) == {}
    assert host.calls == before


def test_the_look_after_an_act_is_the_one_that_a_sweep_takes() -> None:
    host, asked = serving(), module({"probe": "auto"})
    found = after(host, asked)
    with in_place(host):
        swept = HEALTH.work(Module(HEALTH.ARGUMENTS, {"gateways": ENTRIES}))
    assert statuses(found) == {"live": "healthy", "paper": "unhealthy"}
    assert found["health"].keys() == swept.keys() - {"proof", "repairs"}
    assert [each["plan"]["digest"] for each in found["health"]["gateways"]] == [
        each["plan"]["digest"] for each in swept["gateways"]
    ]


def test_others_get_a_moment_to_notice_what_was_done_and_none_where_nothing_was() -> None:
    for acted, check_mode, waits in ((True, False, True), (False, False, False), (True, True, False)):
        host = serving()
        before = host.clock
        after(host, module({"probe": "never"}, check_mode), acted)
        assert (host.clock > before) == waits, (acted, check_mode)


def test_what_was_started_is_waited_for_before_the_look() -> None:
    host = serving()
    host.next_start.append("ready")
    with in_place(host):
        host.spawn("paper", 4002)
    found = after(host, module({"probe": "auto"}), started=["paper"])
    assert found["waited"] == [{"name": "paper", "answer": "listening"}]
    assert statuses(found) == {"live": "healthy", "paper": "healthy"}


def test_a_start_that_never_listens_is_waited_for_until_its_time_is_up_and_then_judged() -> None:
    host = serving()
    host.next_start.append("deaf")
    with in_place(host):
        host.spawn("paper", 4002)
    before = host.clock
    found = after(host, module({"probe": "auto"}), started=["paper"])
    assert host.clock - before >= ENTRIES[1]["start_timeout"]
    assert found["waited"] == [{"name": "paper", "answer": "not_listening"}]
    assert statuses(found)["paper"] == "degraded", "its login is pending, which a person or time ends"


def test_in_check_mode_nothing_is_waited_for() -> None:
    host = serving()
    before = host.clock
    assert after(host, module({"probe": "never"}, check_mode=True), started=["paper"])["waited"] == []
    assert host.clock == before


def test_a_look_that_fails_takes_nothing_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: Any) -> Any:
        raise PermissionError("the socket tables cannot be read")

    monkeypatch.setattr(assess, "examine", fails)
    asked = module({"probe": "auto"})
    assert after(serving(), asked) == {"health": None, "waited": []}
    assert asked.warnings == ["what came of it could not be seen: the socket tables cannot be read"]


def test_looks_over_a_soak_are_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    host = serving()

    def replaced(look_once: Any, _looks: int, _over: float) -> List[Any]:
        first = look_once()
        host.die(host.gateways("live")[0])
        host.add_gateway("live", 4001)
        return [first, look_once()]

    monkeypatch.setattr(assess, "watch", replaced)
    options = module({"probe": "auto"}).params["then_look"]
    with in_place(host):
        found = assess.assess(module(None).specs(), options, looks=2, soak=1.0)
    assert found["gateways"][0]["verdict"] == "gateway_unstable"
    assert [each["status"] for each in found["looks"]] == ["unhealthy", "unhealthy"]  # paper does not run in either


def test_several_deaf_gateways_share_the_patience_so_that_a_plan_is_not_old_when_it_is_made() -> None:
    host = SimHost()
    for name, port in (("live", 4001), ("paper", 4002)):
        host.add_gateway(name, port)
    host.pass_time(600)
    given: List[float] = []

    def deaf(_host: str, _port: int, timeout: float, *_more: Any) -> Probe:
        given.append(timeout)
        host.pass_time(timeout)
        return Probe("silent", "server_version", False)

    options = {**module({"probe": "always"}).params["then_look"], "probe_timeout": 0.125, "probe_patience": 0.375}
    with in_place(host):
        assess.assess(module(None).specs(), options, deaf)
    assert given == [0.375, 0.125]


@pytest.mark.parametrize(
    ("failures", "patience", "expected"),
    [(1, 20.0, "healthy"), (7, 20.0, "healthy"), (99, 20.0, "handshake_dropped"), (1, 0.0, "handshake_dropped")],
)
@pytest.mark.parametrize("outcome", ["dropped", "refused"])
def test_a_connection_that_fails_at_once_is_a_fault_only_where_it_fails_as_long_as_an_answer_would_be_waited_for(
    outcome: str, failures: int, patience: float, expected: str
) -> None:
    host = SimHost()
    host.add_gateway("live", 4001)
    host.pass_time(600)
    asked: List[float] = []

    def failing(*_given: Any) -> Probe:
        asked.append(host.boottime)
        return Probe(outcome, "tcp", False) if len(asked) <= failures else Probe("ready", "current_time", True)

    options = {**module({"probe": "always"}).params["then_look"], "probe_timeout": 5.0, "probe_patience": patience}
    with in_place(host):
        found = assess.assess(module(None).specs()[:1], options, failing)
    assert found["gateways"][0]["verdict"] == expected.replace("dropped", outcome)
    assert asked[-1] - asked[0] <= max(0.0, patience - 5.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3601.0, float("nan")])
def test_a_time_that_cannot_be_right_is_refused_before_anything_is_done(seconds: float) -> None:
    asked = module({"probe_timeout": seconds})
    with pytest.raises(Exception, match=r"probe_timeout is .*; give a number of seconds above 0, at most 3600"):
        then_look.check(asked)


def test_a_call_may_take_what_it_waits_for_and_what_its_look_may_take() -> None:
    params = {
        "gateways": [{"start_timeout": 120}, {"start_timeout": 30}],
        "then_look": {"probe_timeout": 3.0, "probe_patience": 7.0},
    }
    assert then_look.waits(lambda _params: 10.0)(params) == 20.0
    assert then_look.waits(lambda _params: 10.0, starts=True)(params) == 140.0
    assert then_look.waits(lambda _params: 10.0, starts=True)({**params, "then_look": None}) == 10.0
