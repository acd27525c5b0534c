"""Ports that something contradicts, ports tried in turn, other machines, and both modes mixed over a host's scripts."""

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
def test_a_port_that_no_entry_declares_is_told_and_called_no_contradiction(before: str, port: str) -> None:
    found = problems("undeclared_port", script(port, before), specs=[spec("live")])
    assert found and "(4001)" in found[0].summary and found[0].severity == "note"
    assert problems(CODE, script(port, before), specs=[spec("live")]) == []


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_number_that_is_no_port_is_not_held_against_the_inventory(port: str) -> None:
    text = "def go(port=%s):\n    IB().connect('127.0.0.1', port or find(), clientId=1)" % port
    assert problems("undeclared_port", script(4001, text), specs=[spec("live")]) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("IB().connect('127.0.0.1', 7496, clientId=1)  # Paper trading port", "paper"),
        ("PORT = 4002  # live\nIB().connect('127.0.0.1', PORT)", "live"),
        ("IB().connect('127.0.0.1',\n    4001,  # TWS paper account\n    1)", "paper"),
        ("PORT = 4001  # Paper trading port (7496 for live)\nIB().connect('127.0.0.1', PORT)", "paper"),
        ("PORTS_LIVE = {'tws': 7497}\nIB().connect('127.0.0.1', PORTS_LIVE['tws'])", "live"),
    ],
)
def test_a_comment_behind_a_port_that_says_the_other_mode_and_nothing_else_is_told(line: str, said: str) -> None:
    (found,) = problems(CODE, "from ib_insync import IB\n%s\n" % line)
    assert " says %s" % said in found.summary and "either" in found.summary and found.severity == "note"


@pytest.mark.parametrize(
    "line",
    [
        "IB().connect('127.0.0.1', 7496, clientId=1)  # paper is 7497",
        "IB().connect('127.0.0.1', 7496, clientId=1)  # live or paper",
        "IB().connect('127.0.0.1', 7496, clientId=1)  # paper (7497)",
        "IB().connect('127.0.0.1', 7496, clientId=1)  # paper (7497), live (7496)",
        "IB().connect('127.0.0.1', 7496, clientId=1)  # paper (7497 for paper, 7496 for live)",
        "IB().connect('127.0.0.1', 7496, clientId=1)  # Paper: 7497 / 4002",
        "IB().connect('127.0.0.1', 7496, clientId=1)  # not paper",
        "IB().connect('127.0.0.1', 4002, clientId=1)  # real time bars",
        "IB().connect('127.0.0.1', 4002, clientId=1)  # live data",
        "IB().connect('127.0.0.1', 4002, clientId=1)  # paper",
        "IB().connect('127.0.0.1', 4001, label='a # paper')",
        "# paper\nIB().connect('127.0.0.1', 4001, clientId=1)\n# paper",
        "LIVE = {'paper': 4002, 'live': 4001}\nIB().connect('127.0.0.1', LIVE['paper'])",
    ],
)
def test_a_comment_that_says_more_or_stands_elsewhere_decides_nothing(line: str) -> None:
    assert problems(CODE, "from ib_insync import IB\n%s\n" % line) == []


def test_leaving_the_port_out_is_the_paper_port_of_the_workstation() -> None:
    both = [spec("live", client_patterns=("bot\\.py",)), spec("paper")]
    (found,) = problems(CODE, "from ib_insync import IB\nIB().connect(clientId=1)", specs=both)
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
        ("IB_GATEWAY_PORT_PAPER = 4001", "IB_GATEWAY_PORT_PAPER"),
        ("class Ports:\n    live = 7497", "Ports.live"),
    ],
)
def test_a_name_that_says_the_other_mode_is_found_with_both_readings(before_port: tuple[str, str]) -> None:
    before, port = before_port
    found = problems(CODE, script(port, before))
    assert found and "either" in found[0].summary and "or" in found[0].summary


@pytest.mark.parametrize(
    ("before", "port"),
    [
        ("LIVE_PORT = 4001", "LIVE_PORT"),
        ("DELIVERY = 4002", "DELIVERY"),
        ("LIVE_DATA_PORT = 4002", "LIVE_DATA_PORT"),
        ("REAL_TIME_PORT = 4002", "REAL_TIME_PORT"),
        ("PROD_PORT = 4002", "PROD_PORT"),
        ("LIVE_PAPER_PORT = 4002", "LIVE_PAPER_PORT"),
        ("mode = 'live'", "4002"),
    ],
)
def test_a_name_that_fits_or_speaks_of_something_else_is_no_problem(before: str, port: str) -> None:
    assert problems(CODE, script(port, before)) == []


@pytest.mark.parametrize("port", [4001, 4002, 7496, 7497])
@pytest.mark.parametrize("text", ["%s", "# live\n%s  # real money, production\n", '"""Live trading."""\n%s'])
@pytest.mark.parametrize(
    "path", ["/srv/live_bot.py", "/srv/live/bot.py", "/srv/prod/real_time.py", "/srv/paper/live_plot.py", "/a/demo.py"]
)
def test_no_file_name_folder_or_comment_says_which_mode_is_meant(path: str, text: str, port: int) -> None:
    found = audit([Source(path, (text % script(port)).encode())], [spec("live"), spec("paper")]).problems
    assert CODE not in {each.code for each in found}


THROUGH = "def go(port):\n    ib.connect('', port)\n"
IN_TURN = "for port in %s:\n    try:\n        ib.connect('', %s)\n        break\n    except OSError:\n        continue"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (IN_TURN % ("(4002, 4001)", "port"), 1),
        ("PORTS = [7497, 7496, 4002, 4001]\n" + IN_TURN % ("PORTS", "port, 1"), 1),
        (THROUGH + (IN_TURN % ("[4002, 4001]", "")).replace("ib.connect('', )", "go(port)"), 1),
        ("try:\n    ib.connect('', 4002)\nexcept OSError:\n    ib.connect('', 4001)", 1),
        (IN_TURN % ("(4002, 7497)", "port"), 0),
        ("for port in (4001, 4002):\n    ib.connect('', port)", 0),
        ((IN_TURN % ("(4002, 4001)", "port")).replace("break", "print(port)"), 0),
        ((IN_TURN % ("(4002, 4001)", "port")).replace("break", "sys.exit(0)"), 1),
        ("try:\n    ib.connect('', 4001)\nexcept OSError:\n    ib.connect('', 4001)", 0),
    ],
)
def test_live_and_paper_ports_tried_in_turn_are_found(body: str, found: int) -> None:
    assert len(problems("live_port_in_turn", "from ib_insync import IB\nib = IB()\n" + body)) == found


def test_ports_that_are_only_read_from_are_less_bad() -> None:
    text = "from ib_insync import IB\nib = IB()\n" + IN_TURN
    assert [each.severity for each in problems("live_port_in_turn", text % ("(4002, 4001)", "port"))] == ["error"]
    read = text % ("(4002, 4001)", "port, readonly=True")
    assert [each.severity for each in problems("live_port_in_turn", read)] == ["warning"]


@pytest.mark.parametrize(
    ("host", "found"),
    [("10.0.0.9", 1), ("gw.desk.example.com", 1), ("127.0.0.1", 0), ("localhost", 0), ("ib-gateway", 0), ("", 0)],
)
def test_another_machine_s_address_is_told(host: str, found: int) -> None:
    assert len(problems("remote_host", script(4001, host=host))) == found


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
    assert found.file.endswith("a1.py") and "2 other scripts" in found.summary


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
