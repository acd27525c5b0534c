"""What an inventory declares: accepted as it is meant, or rejected with host, entry and key before anything is done."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from ansible.module_utils.ib_gateway.base.inventory import ENTRY_OPTIONS, parse
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
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
            start_timeout=120,
            max_api_clients=1,
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
        start_command=["/opt/start", "--fast"],
        start_timeout=300,
        max_api_clients=32,
        client_patterns=[r"cleanup\.py"],
        protected_clients=[r"router", ".*"],
        remediation="plan_only",
        allow_kill=True,
        allow_restart_with_clients=True,
    )
    specs, found = parse([entry])
    assert found == []
    assert set(entry) == set(ENTRY_OPTIONS)
    for key, value in entry.items():
        assert getattr(specs[0], key) == (tuple(value) if isinstance(value, list) else value)


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
        ("ports", 4001, "is not known"),
        ("Port", 4001, "is not known"),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"user": "trader"}, {}),
        ({"user": "trader"}, {"user": "trader"}),
        ({"config_dir": "/srv/a"}, {"user": "trader"}),
        ({"config_dir": "/srv/a"}, {"config_dir": "/srv/a"}),
        ({"config_dir": "/srv/a"}, {"config_dir": "/srv/a/"}),
        ({"config_dir": "/srv/a"}, {"config_dir": "/srv/b/../a"}),
    ],
)
def test_two_entries_that_would_match_the_same_process_are_rejected(one: Dict[str, str], other: Dict[str, str]) -> None:
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
        assert 1 <= spec.port <= 65535 and 1 <= spec.max_api_clients <= 32
        assert spec.config_dir is None or spec.config_dir.startswith("/")
