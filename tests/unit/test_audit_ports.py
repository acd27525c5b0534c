"""Ports of the other trading mode, and both modes mixed over the scripts of a host."""

from __future__ import annotations

from typing import List

import pytest
from ansible.module_utils.ib_audit.reading.model import Source
from ansible.module_utils.ib_audit.rules.audit import audit
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from unit.audited import PATH, audited, problems, spec

CODE = "port_contradicts_mode"
Specs = List[GatewaySpec]


def script(port: object, before: str = "", host: str = "127.0.0.1") -> str:
    return "from ib_insync import IB\n%s\nIB().connect(%r, %s, clientId=1)\n" % (before, host, port)


@pytest.mark.parametrize(
    ("before", "port"),
    [
        ("", "4002"),
        ("", "7497"),
        ("PORT = 4002", "PORT"),
        ("from enum import Enum\nclass Port(Enum):\n    USED = 4002", "Port.USED.value"),
        ("def port():\n    return 4002", "port()"),
        ("def go(port=4002):\n    IB().connect('127.0.0.1', port)", "int(input())"),
        ("", "int('4002')"),
    ],
)
def test_a_paper_port_where_only_live_is_declared_is_found(before: str, port: str) -> None:
    found = problems(CODE, script(port, before), specs=[spec("live")])
    assert found and "live" in found[0].summary and found[0].severity == "error"


def test_leaving_the_port_out_is_the_paper_port_of_the_workstation() -> None:
    (found,) = problems(CODE, "from ib_insync import IB\nIB().connect(clientId=1)", specs=[spec("live")])
    assert "7497" in found.summary and "default" in found.summary


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        (script(4001), [spec("live")]),
        (script(4002), [spec("live"), spec("paper")]),
        (script(4002), []),
        (script(4002), [spec("live", port=4002)]),
        (script(4002, host="10.0.0.9"), [spec("live")]),
        (script(5000), [spec("live")]),
        (script("int(input())"), [spec("live")]),
        (script("4001 if len('x') else 4002"), [spec("live")]),
    ],
)
def test_a_port_that_may_be_meant_is_no_problem(text: str, specs: Specs) -> None:
    assert problems(CODE, text, specs=specs) == []


@pytest.mark.parametrize(
    "before_port",
    [
        ("LIVE_PORT = 4002", "LIVE_PORT"),
        ("PORTS = {'live': 4002, 'paper': 4001}", "PORTS['live']"),
        ("def go(live_port=4002):\n    IB().connect('127.0.0.1', live_port)", "int(input())"),
        ("TRADING_MODE = 'live'", "4002"),
        ("mode = 'live'", "4002"),
    ],
)
def test_a_name_that_says_the_other_mode_is_found_without_an_inventory(before_port: tuple[str, str]) -> None:
    before, port = before_port
    assert problems(CODE, script(port, before))


@pytest.mark.parametrize(
    ("before", "port"), [("LIVE_PORT = 4001", "LIVE_PORT"), ("DELIVERY = 4002", "DELIVERY"), ("mode = 'paper'", "4002")]
)
def test_a_name_that_fits_is_no_problem(before: str, port: str) -> None:
    assert problems(CODE, script(port, before)) == []


def test_a_file_or_folder_that_says_the_mode_is_believed() -> None:
    for path, wrong in (("/srv/live_bot.py", True), ("/srv/live/bot.py", True), ("/srv/live/paper_bot.py", False)):
        found = audit([Source(path, script(4002).encode())]).problems
        assert any(each.code == CODE for each in found) is wrong, path


def test_the_inventory_s_patterns_say_which_gateway_a_script_means() -> None:
    both = [spec("live", client_patterns=("bot\\.py",)), spec("paper")]
    (found,) = problems(CODE, script(4002), specs=both)
    assert "client of live" in found.summary
    source = Source(PATH, script(4002).encode(), command=("python3", "bot.py", "--desk", "one"))
    one = [spec("live", client_patterns=("--desk one",)), spec("paper")]
    assert CODE in {each.code for each in audit([source], one).problems}


# --- over several scripts --------------------------------------------------------------------------------------------


def test_a_mix_of_both_modes_is_said_of_those_that_are_fewer() -> None:
    (found,) = problems("mixed_ports", script(4001), script(4002), script(4001))
    assert found.file.endswith("a1.py") and "2 other(s)" in found.summary


@pytest.mark.parametrize(
    ("ports", "specs"),
    [
        ((4001, 4001), []),
        ((4001, 7496), []),
        ((4001, 4002), [spec("live"), spec("paper")]),
        ((4001, "4001 if len('x') else 4002"), []),
        ((4001, 5000), []),
    ],
)
def test_ports_that_belong_together_are_no_mix(ports: tuple[object, object], specs: Specs) -> None:
    assert not [p for p in audited(*map(script, ports), specs=specs).problems if p.code == "mixed_ports"]


def test_another_host_s_gateway_is_no_part_of_the_mix() -> None:
    assert problems("mixed_ports", script(4001), script(4002, host="10.0.0.9")) == []
