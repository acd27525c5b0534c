"""Client ids that are written down, left to chance, or the same in two scripts; and names that lead to them."""

from __future__ import annotations

import pytest
from unit.audited import problems

LIBRARIES = ("ib_insync", "ib_async")
CONNECT = "ib.connect('127.0.0.1', 4001, clientId=%s)"


def script(before: str, client_id: str, library: str = "ib_insync") -> str:
    return "from %s import IB\nimport os, random, time\n%s\nib = IB()\n%s\n" % (library, before, CONNECT % client_id)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("before", "client_id"),
    [
        ("", "15"),
        ("", "0"),
        ("", "-1"),
        ("CLIENT_ID = 15", "CLIENT_ID"),
        ("A = 15\nB = A", "B"),
        ("CLIENT_ID: int = 15", "CLIENT_ID"),
        ("HOST, CLIENT_ID = 'h', 15", "CLIENT_ID"),
        ("if (n := 15):\n    pass", "n"),
        ("BASE = 10", "BASE + 5"),
        ("", "int('15')"),
        ("CONFIG = {'client_id': 15}", "CONFIG['client_id']"),
        ("CONFIG = {'client_id': 15}", "CONFIG.get('client_id')"),
        ("CONFIG = dict(client_id=15)", "CONFIG['client_id']"),
        ("CONFIG = {'ib': {'id': 15}}", "CONFIG['ib']['id']"),
        ("class Settings:\n    client_id = 15", "Settings.client_id"),
        ("class Settings:\n    client_id: int = 15\nsettings = Settings()", "settings.client_id"),
        ("from enum import IntEnum\nclass Ids(IntEnum):\n    BOT = 15", "Ids.BOT.value"),
        ("def number():\n    return 15", "number()"),
        ("import sys\nlive = len(sys.argv) > 1", "15 if live else 16"),
        ("given = os.environ.get('ID')", "given or 15"),
    ],
)
def test_an_id_that_is_written_down_is_found_behind_any_name(library: str, before: str, client_id: str) -> None:
    assert problems("hardcoded_client_id", script(before, client_id, library))


@pytest.mark.parametrize(
    ("before", "client_id"),
    [
        ("", "int(os.environ['IB_CLIENT_ID'])"),
        ("import sys", "int(sys.argv[1])"),
        ("import ib_connect", "ib_connect.client_id()"),
        ("from ib_connect import client_id as unused", "unused()"),
        ("import argparse\nargs = argparse.ArgumentParser().parse_args()", "args.client_id"),
        ("", "os.getpid()"),
        ("OTHER = 15\ndef number():\n    return int(input())", "number()"),
    ],
)
def test_an_id_that_comes_from_elsewhere_is_not_hardcoded(before: str, client_id: str) -> None:
    assert problems("hardcoded_client_id", script(before, client_id)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import ib_insync\nib = ib_insync.IB()\nib.connect('h', 4001, 15)",
        "import ib_insync as ibi\nibi.IB().connect('h', 4001, 15)",
        "import ib_insync.ib\nib_insync.ib.IB().connect('h', 4001, 15)",
        "from ib_insync.ib import IB as Broker\nx = Broker()\nx.connect('h', 4001, 15)",
        "from ib_insync import *\nib = IB()\nib.connect('h', 4001, 15)",
        "try:\n    from ib_async import IB\nexcept ImportError:\n    from ib_insync import IB\n"
        "IB().connect('h', 4001, 15)",
        "from ib_insync import IB\nmake = IB\nib = make()\nib.connect('h', 4001, 15)",
        "from ib_insync import IB\nib = IB()\nopen_it = ib.connect\nopen_it('h', 4001, 15)",
        "from ib_insync import IB\nargs = ('h', 4001, 15)\nIB().connect(*args)",
        "from ib_insync import IB\nargs = {'port': 4001, 'clientId': 15}\nIB().connect('h', **args)",
        "from ib_insync import IB\ndef go(ib: IB):\n    ib.connect('h', 4001, 15)",
        "from ib_insync import IB\ndef go(ib: 'IB'):\n    ib.connect('h', 4001, 15)",
        "from ib_insync import IB\ndef go(api):\n    api.connect('h', 4001, 15)\ngo(IB())",
        "from ib_insync import IB\ndef go(unknown):\n    unknown.connect('h', 4001, clientId=15)",
        "import importlib\nib = importlib.import_module('ib_insync').IB()\nib.connect('h', 4001, clientId=15)",
        "from ib_insync import IB\ndef new():\n    return IB()\nnew().connect('h', 4001, 15)",
        "from ib_insync import IB\nclass Mine(IB):\n    pass\nMine().connect('h', 4001, 15)",
        "from ib_insync import IB\nclass Mine(IB):\n    def go(self):\n        super().connect('h', 4001, 15)",
        "from ib_insync import IB\nwith IB() as ib:\n    ib.connect('h', 4001, 15)",
        "from ib_async import IB\nasync def go():\n    await IB().connectAsync('h', 4001, 15)",
        "from ib_insync import Client\nclient = Client(None)\nclient.connect('h', 4001, 15)",
        "from ibapi.client import EClient\nfrom ibapi.wrapper import EWrapper\nclass App(EWrapper, EClient):\n"
        "    def __init__(self):\n        EClient.__init__(self, self)\napp = App()\napp.connect('h', 4001, 15)",
        "from ibapi.client import EClient\nclass App(EClient):\n    def go(self):\n"
        "        self.connect('h', 4001, clientId=15)",
        "from ibapi.client import EClient\nclass App(EClient):\n    def go(self):\n"
        "        EClient.connect(self, 'h', 4001, 15)",
        "from ibapi import client\napp = client.EClient(None)\napp.connect('h', 4001, 15)",
    ],
)
def test_a_connect_is_recognised_through_imports_aliases_classes_and_both_ways_of_giving_arguments(text: str) -> None:
    (found,) = problems("hardcoded_client_id", text)
    assert "client id 15" in found.summary and "15" in found.snippet


@pytest.mark.parametrize(
    "text",
    [
        "import sqlite3\nsqlite3.connect('x', 5, 15)",
        "from ib_insync import IB\nimport socket\ns = socket.socket()\ns.connect(('h', 4001))",
        "from ib_insync import IB\nib = IB()\nib.orderStatusEvent.connect(print)",
        "class IB:\n    def connect(self, host, port, clientId):\n        pass\nIB().connect('h', 4001, clientId=15)",
        "from ib_insync import IB\nclass Wrap:\n    def connect(self, clientId):\n        return clientId\n"
        "Wrap().connect(clientId=15)",
    ],
)
def test_another_connect_is_not_taken_for_one(text: str) -> None:
    assert problems("hardcoded_client_id", text) == []


CLASS = """
from ib_insync import IB
class Broker:
    def __init__(self, host, port, client_id%s):
        self.client_id = client_id
        self.ib = IB()
    def open(self):
        self.ib.connect("127.0.0.1", 4001, clientId=self.client_id)
"""


def test_a_default_argument_is_found_through_the_attribute_it_is_kept_in() -> None:
    (found,) = problems("hardcoded_client_id", CLASS % "=15")
    assert (found.line, found.summary) == (4, "client id 15 is written down as a default argument")
    assert found.snippet[found.column - 1 - 4 :].startswith("15")


@pytest.mark.parametrize("call", ["Broker(client_id=33)", "Broker('h', 4001, 33)"])
def test_what_a_constructor_is_given_is_found_where_it_is_given(call: str) -> None:
    (found,) = problems("hardcoded_client_id", CLASS % "" + call)
    assert found.snippet == call and "33" in found.summary


def test_a_constant_of_another_script_is_found_there() -> None:
    (found,) = problems(
        "hardcoded_client_id",
        bot="from ib_insync import IB\nfrom settings import CLIENT_ID\nIB().connect('h', 4001, clientId=CLIENT_ID)",
        settings="CLIENT_ID = 15",
    )
    assert (found.file, found.line) == ("/srv/trading/settings.py", 1)


def test_a_number_is_found_that_one_script_gives_a_class_of_another() -> None:
    (found,) = problems("hardcoded_client_id", broker=CLASS % "", bot="import broker\nb = broker.Broker(client_id=15)")
    assert found.file == "/srv/trading/bot.py"


@pytest.mark.parametrize("library", LIBRARIES)
def test_leaving_the_id_out_takes_the_library_s_own(library: str) -> None:
    (found,) = problems("hardcoded_client_id", "from %s import IB\nIB().connect('h', 4001)" % library)
    assert "library uses 1" in found.summary


def test_arguments_that_cannot_be_seen_accuse_nobody() -> None:
    assert problems("hardcoded_client_id", "from ib_insync import IB\nimport x\nIB().connect(*x.args)") == []
    assert problems("hardcoded_client_id", "from ib_insync import IB\nimport x\nIB().connect('h', **x.args)") == []


# --- chance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "client_id"),
    [
        ("", "random.randint(1, 999)"),
        ("from random import randint as pick", "pick(1, 999)"),
        ("", "int(time.time() % 10000) + random.randint(100, 999)"),
        ("", "int(time.time()) % 1000"),
        ("", "os.getpid() % 100"),
        ("def number():\n    return random.randrange(99)", "number()"),
        ("import uuid", "int(uuid.uuid4().int % 1000)" if False else "random.choice([1, 2])"),
        ("r = random.Random()", "r.randint(1, 9)" if False else "random.SystemRandom().randint(1, 9)"),
    ],
)
def test_an_id_by_chance_is_found(before: str, client_id: str) -> None:
    assert problems("random_client_id", script(before, client_id))


@pytest.mark.parametrize("client_id", ["os.getpid()", "15", "int(os.environ['ID'])"])
def test_an_id_that_is_no_chance_is_not_called_so(client_id: str) -> None:
    text = script("delay = random.random()\ntime.sleep(delay)", client_id)
    assert problems("random_client_id", text) == []


def test_the_clock_with_chance_is_only_worth_a_note() -> None:
    (found,) = problems("random_client_id", script("", "int(time.time() % 10000) + random.randint(100, 999)"))
    assert found.severity == "note"


# --- two scripts -----------------------------------------------------------------------------------------------------

TWO = "from ib_insync import IB\nIB().connect(%r, %s, clientId=%s)\n"


def test_one_id_in_two_scripts_is_found_in_both() -> None:
    found = problems("shared_client_id", TWO % ("127.0.0.1", 4001, 15), TWO % ("localhost", 4001, 15))
    assert [each.file for each in found] == ["/srv/trading/a0.py", "/srv/trading/a1.py"]
    assert "a1.py:2" in found[0].summary


def test_one_constant_that_two_scripts_import_is_one_id_in_two_scripts() -> None:
    text = "from ib_insync import IB\nfrom settings import ID\nIB().connect('127.0.0.1', 4001, clientId=ID)\n"
    assert len(problems("shared_client_id", one=text, two=text, settings="ID = 15")) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("127.0.0.1", 4001, 15), ("127.0.0.1", 4001, 16)),
        (("127.0.0.1", 4001, 15), ("127.0.0.1", 4002, 15)),
        (("127.0.0.1", 4001, 15), ("10.0.0.9", 4001, 15)),
        (("127.0.0.1", 4001, 15), ("127.0.0.1", 4001, "int(input())")),
    ],
)
def test_ids_that_never_meet_at_one_gateway_are_not_shared(one: object, other: object) -> None:
    assert problems("shared_client_id", TWO % one, TWO % other) == []


def test_one_id_twice_in_one_script_is_not_shared_with_another() -> None:
    assert problems("shared_client_id", (TWO + TWO) % ("h", 4001, 15, "h", 4001, 15)) == []
