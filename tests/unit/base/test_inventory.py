"""What an inventory declares: accepted as it is meant, or rejected with host, entry and key before anything is done."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from ansible.module_utils.ib_gateway.base.inventory import parse
from ansible.module_utils.ib_gateway.base.keys import ENTRY_OPTIONS
from ansible.module_utils.ib_gateway.base.spec import Container, GatewaySpec
from hypothesis import given, settings
from hypothesis import strategies as st

HOST = "desk1.example.com"


def raw(**more: Any) -> Dict[str, Any]:
    return {"name": "live", "trading_mode": "live", **more}


def problems(*entries: Any) -> List[str]:
    return parse(list(entries), HOST)[1]


def only_problem(*entries: Any) -> str:
    found = problems(*entries)
    assert len(found) == 1, found
    assert found[0].startswith("host %s: ib_gateways" % HOST)
    return found[0]


# --- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "port"), [("live", 4001), ("paper", 4002)])
def test_a_minimal_entry_gets_the_defaults(mode: str, port: int) -> None:
    specs, found = parse([{"name": "desk", "trading_mode": mode}], HOST)
    assert found == []
    assert specs == [
        GatewaySpec(
            name="desk",
            trading_mode=mode,
            port=port,
            user=None,
            config_dir=None,
            service=None,
            start_command=(),
            start_timeout=300,
            max_api_clients=None,
            client_patterns=(),
            protected_clients=(),
            remediation="auto",
            allow_kill=False,
            allow_restart_with_clients=False,
        )
    ]


def test_an_entry_that_says_everything_is_taken_as_it_is() -> None:
    entry = raw(
        port=4101,
        user="trader",
        config_dir="/srv/live",
        service="ibgateway.service",
        product="tws",
        service_scope="user",
        start_timeout=300,
        ibc_command_port=7462,
        max_api_clients=32,
        client_patterns=[r"cleanup\.py"],
        protected_clients=[r"router", ".*"],
        remediation="plan_only",
        allow_kill=True,
        allow_restart_with_clients=True,
    )
    specs, found = parse([entry])
    assert found == []
    assert set(ENTRY_OPTIONS) - set(entry) == {"start_command", "start_environment", "container"}
    for key, value in entry.items():
        assert getattr(specs[0], key) == (tuple(value) if isinstance(value, list) else value)


def test_a_command_keeps_its_words_and_an_environment_its_texts() -> None:
    environment = {"DISPLAY": ":1", "_A1": "", "PW": "4=2 \n"}
    specs, found = parse([raw(start_command=["/opt/start", "--fast"], start_environment=environment)])
    assert found == []
    assert specs[0].start_command == ("/opt/start", "--fast") and dict(specs[0].start_environment) == environment
    assert "--fast" not in repr(specs) and "DISPLAY" not in repr(specs)


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_has_an_engine_and_a_name(engine: str) -> None:
    specs, found = parse([raw(container={"engine": engine, "name": "ib-gateway_1.live"})])
    assert found == [] and specs[0].container == Container(engine, "ib-gateway_1.live")


def test_a_container_may_be_told_by_its_compose_service() -> None:
    specs, found = parse([raw(container={"engine": "docker", "compose_project": "desk", "compose_service": "live"})])
    assert found == [] and specs[0].container == Container("docker", None, "desk", "live")
    assert specs[0].carrier == "docker container of compose service live in project desk"


def test_a_name_and_a_compose_service_may_be_one_container_so_their_entries_have_to_differ_otherwise() -> None:
    compose = {"engine": "docker", "compose_project": "desk", "compose_service": "live"}
    named = raw(name="b", port=4011, container={"engine": "docker", "name": "ib"})
    assert any("must differ" in each or "differ" in each for each in problems(raw(name="a", container=compose), named))
    other = raw(name="b", port=4011, container={**compose, "compose_service": "live2"})
    assert problems(raw(name="a", container=compose), other) == []


@pytest.mark.parametrize(
    ("product", "mode", "port"),
    [("gateway", "live", 4001), ("gateway", "paper", 4002), ("tws", "live", 7496), ("tws", "paper", 7497)],
)
def test_the_default_port_follows_product_and_mode(product: str, mode: str, port: int) -> None:
    assert parse([raw(product=product, trading_mode=mode)])[0][0].port == port


@pytest.mark.parametrize(
    ("more", "method", "startable"),
    [
        ({}, None, False),
        ({"service": "g"}, "unit", True),
        ({"service": "g", "service_scope": "user", "user": "trader"}, "user_unit", True),
        ({"start_command": ["/opt/start"]}, "command", True),
        ({"container": {"engine": "docker", "name": "ib"}}, "container", True),
    ],
)
def test_an_entry_says_how_its_gateway_is_started(more: Dict[str, Any], method: Optional[str], startable: bool) -> None:
    spec = parse([raw(**more)])[0][0]
    assert (spec.start_method, spec.startable) == (method, startable)
    assert (spec.unit, spec.user_unit) == tuple(
        "g.service" if method == kind else None for kind in ("unit", "user_unit")
    )
    assert startable or spec.why_not_startable


def test_an_empty_value_is_the_default() -> None:
    assert parse([dict.fromkeys(ENTRY_OPTIONS, None) | raw()])[0] == parse([raw()])[0]


def test_numbers_given_as_text_are_numbers() -> None:
    specs, found = parse([raw(port="4101", start_timeout="300", max_api_clients="4")])
    assert found == []
    assert (specs[0].port, specs[0].start_timeout, specs[0].max_api_clients) == (4101, 300, 4)


@pytest.mark.parametrize("key", ["allow_kill", "allow_restart_with_clients"])
@pytest.mark.parametrize(
    ("given", "meant"), [(True, True), ("yes", True), ("True", True), ("no", False), ("FALSE", False)]
)
def test_a_permission_given_as_text_is_what_it_says(key: str, given: Any, meant: bool) -> None:
    specs, found = parse([raw(**{key: given})])
    assert found == [] and getattr(specs[0], key) is meant


def test_live_and_paper_share_a_host() -> None:
    specs, found = parse([raw(), {"name": "paper", "trading_mode": "paper"}], HOST)
    assert found == []
    assert [spec.port for spec in specs] == [4001, 4002]


def test_a_tws_and_a_gateway_of_one_account_and_folder_share_a_host() -> None:
    both = {"user": "trader", "config_dir": "/home/trader/Jts"}
    assert problems(raw(**both), raw(name="desktop", product="tws", **both)) == []


def test_one_container_may_carry_live_and_paper() -> None:
    container = {"engine": "docker", "name": "ib"}
    assert problems(raw(container=container), raw(name="p", trading_mode="paper", container=dict(container))) == []


def test_gateways_of_one_kind_are_told_apart_by_their_containers() -> None:
    one, other = ({"engine": "docker", "name": name} for name in ("a", "b"))
    assert problems(raw(container=one), raw(name="second", port=4003, container=other)) == []


def test_two_accounts_may_each_have_a_user_unit_of_one_name() -> None:
    unit = {"service": "g", "service_scope": "user"}
    assert problems(raw(user="a", **unit), raw(name="second", port=4003, user="b", **unit)) == []


@pytest.mark.parametrize("key", ["user", "config_dir"])
def test_two_gateways_of_one_mode_are_told_apart_by_user_or_by_folder(key: str) -> None:
    one, other = raw(**{key: "/srv/a"}), raw(name="second", port=4003, **{key: "/srv/b"})
    assert problems(one, other) == []


# --- what is rejected: the whole -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is missing"),
        ([], "is empty"),
        ({}, "is a dict"),
        ({"name": "live", "trading_mode": "live"}, "is a dict"),
        ("live", "is a str"),
        (4001, "is a int"),
        (True, "is a bool"),
    ],
)
def test_what_is_no_list_of_entries_is_rejected(value: Any, says: str) -> None:
    specs, found = parse(value, HOST)
    assert specs == []
    assert len(found) == 1
    assert found[0].startswith("host %s: ib_gateways" % HOST) and says in found[0]


@pytest.mark.parametrize("entry", [None, "live", 7, ["name"], True])
def test_an_entry_that_is_no_dictionary_is_rejected_by_its_place(entry: Any) -> None:
    found = only_problem(raw(), entry)
    assert "ib_gateways[1]: is" in found and "dictionary" in found


def test_without_a_host_only_the_entry_is_named() -> None:
    assert parse([raw(port=0)])[1] == ["ib_gateways[0] (live), key port: 0 is out of range; use 1 to 65535"]


# --- what is rejected: one key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("ports", 4001, "is not known; did you mean port?"),
        ("Port", 4001, "is not known; did you mean port?"),
        ("max_clients", 2, "is not known; did you mean max_api_clients?"),
        ("mode", "live", "is not known; did you mean trading_mode?"),
        ("command", ["/bin/true"], "is not known; known are allow_kill, "),  # of two keys
        ("account", "trader", "is not known; known are allow_kill, "),
        ("name", 7, "is not a text"),
        ("name", "two words", "use letters"),
        ("name", "../up", "use letters"),
        ("name", "", "is not a text"),
        ("trading_mode", "demo", "use live or paper"),
        ("trading_mode", "LIVE", "use live or paper"),
        ("trading_mode", True, "is not a text"),
        ("port", 0, "out of range"),
        ("port", 65536, "out of range"),
        ("port", -1, "out of range"),
        ("port", "0", "out of range"),
        ("port", "4001x", "not a whole number"),
        ("port", " 4001", "not a whole number"),
        ("port", 4001.0, "not a whole number"),
        ("port", True, "not a whole number"),
        ("port", [4001], "not a whole number"),
        ("user", 1000, "is not a text"),
        ("user", False, "is not a text"),
        ("config_dir", "srv/live", "absolute path"),
        ("config_dir", "~/Jts", "absolute path"),
        ("config_dir", ["/srv"], "is not a text"),
        ("service", True, "is not a text"),
        ("start_command", "/opt/start --fast", "is not a list"),
        ("start_command", {"cmd": "/opt/start"}, "is not a list"),
        ("start_command", ["/opt/start", 7], "non-empty string"),
        ("start_command", ["/opt/start", ""], "non-empty string"),
        ("start_timeout", 0, "out of range"),
        ("start_timeout", 3601, "out of range"),
        ("start_timeout", False, "not a whole number"),
        ("max_api_clients", 0, "out of range"),
        ("max_api_clients", 33, "out of range"),
        ("max_api_clients", True, "not a whole number"),
        ("client_patterns", r"cleanup\.py", "is not a list"),
        ("client_patterns", [7], "non-empty string"),
        ("client_patterns", ["(cleanup"], "not a regular expression"),
        ("protected_clients", ["*router"], "not a regular expression"),
        ("protected_clients", [None], "non-empty string"),
        ("product", "TWS", "use gateway or tws"),
        ("service_scope", "global", "use system or user"),
        ("ibc_command_port", 0, "out of range"),
        ("ibc_command_port", 65536, "out of range"),
        ("ibc_command_port", 4001, "key port as well"),
        ("container", "ib", "give engine and name"),
        ("container", ["ib"], "give engine and name"),
        ("start_environment", ["A=b"], "give names and texts"),
        ("start_environment", "A=b", "give names and texts"),
        ("remediation", "never", "use auto or plan_only"),
        ("remediation", False, "is not a text"),
        ("allow_kill", 1, "neither true nor false"),
        ("allow_kill", "maybe", "neither true nor false"),
        ("allow_kill", "", "neither true nor false"),
        ("allow_restart_with_clients", ["yes"], "neither true nor false"),
        ("allow_restart_with_clients", 0, "neither true nor false"),
    ],
)
def test_a_value_that_cannot_be_right_is_rejected_by_host_entry_and_key(key: str, value: Any, says: str) -> None:
    found = only_problem(raw(**{key: value}))
    assert "ib_gateways[0]" in found and "key %s:" % key in found and says in found
    if key != "name":
        assert "(live)" in found


@pytest.mark.parametrize(
    ("container", "key", "says"),
    [
        ({}, "container.engine", "is missing"),
        ({"engine": "docker"}, "container", "give name, or compose_project and compose_service"),
        ({"engine": "docker", "compose_service": "ib"}, "container", "does not say which"),
        ({"engine": "docker", "name": "ib", "compose_service": "ib"}, "container", "leave compose_service out"),
        ({"engine": "docker", "compose_project": "a=b", "compose_service": "ib"}, "container.compose_project", "use l"),
        ({"engine": "lxc", "name": "ib"}, "container.engine", "use docker or podman"),
        ({"engine": "docker", "name": "-f"}, "container.name", "use letters"),
        ({"engine": "docker", "name": "a b"}, "container.name", "use letters"),
        ({"engine": "docker", "name": "ib\n"}, "container.name", "use letters"),
        ({"engine": "docker", "name": 7}, "container.name", "is not a text"),
        (
            {"engine": "docker", "name": "ib", "image": "x"},
            "container.image",
            "_service, engine, name",
        ),
    ],
)
def test_a_container_that_cannot_be_right_is_rejected_by_its_own_key(container: Any, key: str, says: str) -> None:
    found = problems(raw(container=container))
    assert any("(live), key %s:" % key in each and says in each for each in found), found


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"hunter2=x": "a"}, "name number 1"),
        ({"A": "b", "": "hunter2"}, "name number 2"),
        ({"1A": "hunter2"}, "name number 1"),
        ({7: "hunter2"}, "name number 1"),
        ({"\u00c4": "hunter2"}, "name number 1"),
        ({"A\n": "hunter2"}, "name number 1"),
        ({"PORT": 4001}, "PORT is not a text"),
        ({"A": True}, "A is not a text"),
        ({"A": ["hunter2"]}, "A is not a text"),
        ({"A": "hunter2\0"}, "A is not a text"),
    ],
)
def test_an_environment_that_cannot_be_right_is_rejected_without_its_texts(environment: Any, says: str) -> None:
    found = only_problem(raw(start_command=["/opt/start"], start_environment=environment))
    assert "key start_environment:" in found and says in found and "hunter2" not in found and "4001" not in found


WAYS: Dict[str, Any] = {
    "service": "g",
    "start_command": ["/opt/start"],
    "container": {"engine": "docker", "name": "ib"},
}


@pytest.mark.parametrize(
    ("one", "other"), [("service", "start_command"), ("service", "container"), ("start_command", "container")]
)
def test_an_entry_has_one_way_to_be_started(one: str, other: str) -> None:
    found = only_problem(raw(**{one: WAYS[one], other: WAYS[other]}))
    assert "key %s:" % other in found and "key %s says" % one in found


@pytest.mark.parametrize("more", [{}, {"service": "g"}, {"container": WAYS["container"]}])
def test_an_environment_needs_the_command_it_is_for(more: Dict[str, Any]) -> None:
    found = only_problem(raw(start_environment={"A": "b"}, **more))
    assert "key start_environment" in found and "key start_command" in found


@pytest.mark.parametrize(("more", "needs"), [({"service": "g"}, "user"), ({"user": "trader"}, "service")])
def test_a_user_s_unit_needs_its_name_and_its_user(more: Dict[str, Any], needs: str) -> None:
    found = only_problem(raw(service_scope="user", **more))
    assert "key service_scope" in found and "needs key %s" % needs in found


@pytest.mark.parametrize("key", ["name", "trading_mode"])
@pytest.mark.parametrize("gone", ["left out", "empty"])
def test_an_entry_needs_a_name_and_a_mode(key: str, gone: str) -> None:
    entry = raw()
    if gone == "empty":
        entry[key] = None
    else:
        del entry[key]
    assert "key %s: is missing" % key in only_problem(entry)


def test_a_name_ends_where_its_line_ends() -> None:
    assert "key name" in only_problem(raw(name="live\n"))


@pytest.mark.parametrize("pattern", [".*", "^", "$", "x*", "bot|", "(bot)?", ".", ".+"])
def test_a_client_pattern_that_matches_everything_is_rejected(pattern: str) -> None:
    assert "key client_patterns" in only_problem(raw(client_patterns=[pattern]))


@pytest.mark.parametrize("key", ["client_patterns", "protected_clients"])
@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 5000 + ")" * 5000], ids=["count", "depth"])
def test_a_pattern_beyond_the_engine_is_a_problem_and_no_crash(key: str, pattern: str) -> None:
    assert "key %s" % key in only_problem(raw(**{key: [pattern]}))


def test_every_problem_of_an_entry_is_told_at_once() -> None:
    assert len(problems(raw(port=0, user=7, colour="red"), {"name": "x"})) == 4


# --- what is rejected: two entries against each other ----------------------------------------------------------------


def test_two_entries_of_one_name_are_rejected() -> None:
    found = only_problem(raw(), raw(port=4003, config_dir="/srv/b"))
    assert "'live'" in found and "key name" in found


def test_two_entries_on_one_port_are_rejected() -> None:
    found = only_problem(raw(), {"name": "paper", "trading_mode": "paper", "port": "4001"})
    assert "live" in found and "paper" in found and "key port" in found


@pytest.mark.parametrize("unit", ["g", "g.service"])
def test_two_entries_of_one_unit_are_rejected(unit: str) -> None:
    other = {"name": "paper", "trading_mode": "paper", "service": unit}
    found = only_problem(raw(service="g.service"), other)
    assert "live and paper" in found and "key service" in found


def test_two_entries_of_one_unit_of_one_user_are_rejected() -> None:
    unit = {"user": "trader", "service": "g", "service_scope": "user"}
    found = only_problem(raw(**unit), {"name": "paper", "trading_mode": "paper", **unit})
    assert "live and paper" in found and "g.service" in found


@pytest.mark.parametrize("more", [{"ibc_command_port": 7462}, {"port": 7462}])
def test_a_command_port_is_one_entry_s_alone(more: Dict[str, Any]) -> None:
    found = only_problem(raw(ibc_command_port=7462), {"name": "paper", "trading_mode": "paper", **more})
    assert "live and paper" in found and "7462" in found and "key ibc_command_port" in found


def test_in_two_containers_the_command_ports_may_be_the_same() -> None:
    one, other = ({"ibc_command_port": 7462, "container": {"engine": "docker", "name": name}} for name in ("a", "b"))
    assert problems(raw(**one), raw(name="second", port=4003, **other)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"container": WAYS["container"]}, {"container": WAYS["container"]}),
        ({"container": WAYS["container"]}, {}),
        ({"product": "tws"}, {"product": "tws"}),
        ({"user": "trader"}, {}),
        ({"user": "trader"}, {"user": "trader"}),
        ({"config_dir": "/srv/a"}, {"user": "trader"}),
        ({"config_dir": "/srv/a"}, {"config_dir": "/srv/a"}),
        ({"config_dir": "/srv/a"}, {"config_dir": "/srv/a/"}),
        ({"config_dir": "/srv/a"}, {"config_dir": "/srv/b/../a"}),
    ],
)
def test_two_entries_that_would_match_the_same_process_are_rejected(one: Dict[str, Any], other: Dict[str, Any]) -> None:
    found = only_problem(raw(**one), raw(name="second", port=4003, **other))
    assert "live and second" in found and "key user or key config_dir" in found


# --- any data --------------------------------------------------------------------------------------------------------

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(max_size=6), more, max_size=3)
)
NAMES = st.sampled_from(["live", "paper", "second", "two words", ""])
NEARLY: Dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES | JSON,
    "trading_mode": st.sampled_from(["live", "paper", "demo"]) | JSON,
    "port": st.integers(-1, 70_000) | JSON,
    "config_dir": st.sampled_from(["/srv/a", "/srv/b", "srv"]) | JSON,
    "client_patterns": st.lists(st.text("ab(.*\\", max_size=5), max_size=2) | JSON,
    "max_api_clients": st.integers(-1, 40) | JSON,
    "product": st.sampled_from(["gateway", "tws"]) | JSON,
    "user": st.sampled_from(["a", "b"]) | JSON,
    "service": st.sampled_from(["g", "h"]) | JSON,
    "service_scope": st.sampled_from(["system", "user"]) | JSON,
    "start_command": st.lists(st.text(max_size=3), max_size=2) | JSON,
    "start_environment": st.dictionaries(st.text("AB=1", max_size=2), st.text(max_size=3), max_size=2) | JSON,
    "container": st.fixed_dictionaries(
        {}, optional={"engine": st.sampled_from(["docker", "lxc"]) | JSON, "name": NAMES | JSON}
    )
    | JSON,
    "ibc_command_port": st.integers(-1, 70_000) | JSON,
}
ENTRIES = st.lists(st.fixed_dictionaries({}, optional=NEARLY) | JSON, max_size=4)


@settings(deadline=None)
@given(st.one_of(JSON, ENTRIES), st.sampled_from(["", HOST]))
def test_any_data_gives_entries_or_problems_and_no_exception(data: Any, host: str) -> None:
    specs, found = parse(data, host)
    assert specs or found
    assert all("ib_gateways" in problem and host in problem for problem in found)
    places = [spec_place(spec, data) for spec in specs]
    assert all(not problem_of(place, found) for place in places)


def spec_place(spec: GatewaySpec, data: Any) -> Optional[int]:
    """Where the entry of a spec stands; None where several bear its name."""
    places = [i for i, each in enumerate(data) if isinstance(each, dict) and each.get("name") == spec.name]
    return places[0] if len(places) == 1 else None


def problem_of(place: Optional[int], found: List[str]) -> bool:
    return place is not None and any("ib_gateways[%d]" % place in problem for problem in found)


@settings(deadline=None)
@given(ENTRIES)
def test_what_is_accepted_without_a_problem_is_within_bounds(data: Any) -> None:
    specs, found = parse(data)
    if found:
        return
    assert len(specs) == len(data)
    assert len({spec.port for spec in specs}) == len({spec.name for spec in specs}) == len(specs)
    for spec in specs:
        assert 1 <= spec.port <= 65535 and (spec.max_api_clients is None or 1 <= spec.max_api_clients <= 32)
        assert spec.config_dir is None or spec.config_dir.startswith("/")
        assert sum(map(bool, (spec.service, spec.start_command, spec.container))) <= 1
        assert spec.start_method == "command" or not spec.start_environment
