"""Connections that no plain call opens, functools.partial and Watchdog; and one id in several processes of a script."""

from __future__ import annotations

import textwrap
from typing import Any, List, Tuple

import pytest
from ansible.module_utils.ib_audit.reading.looking import Seen, separate, together
from ansible.module_utils.ib_audit.reading.model import Problem, Running, Source
from ansible.module_utils.ib_audit.rules.audit import audit
from unit.audited import PATH, codes, problems, spec
from unit.facts import process

LIBRARIES = ("ib_insync", "ib_async")
DIRECT_ONLY = {
    *("connect_without_timeout", "connect_without_error_handling", "retry_without_backoff", "no_disconnect"),
    "sync_connect_in_coroutine",
}

# --- the Watchdog ----------------------------------------------------------------------------------------------------

WATCHDOG = "from %s import IB, IBC, Watchdog\nibc, ib = IBC(1019), IB()\n%s\n"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "call",
    [
        "Watchdog(ibc, ib, port=4001, clientId=15)",
        "Watchdog(ibc, ib, '127.0.0.1', 4001, 15)",
        "Watchdog(controller=ibc, ib=ib, port=4001, clientId=15)",
        "options = {'port': 4001, 'clientId': 15}\nWatchdog(ibc, ib, **options)",
        "class Mine(Watchdog):\n    pass\nMine(ibc, ib, port=4001, clientId=15)",
        "ID = 15\nwatch = Watchdog\nwatch(ibc, ib, port=4001, clientId=ID)",
    ],
)
def test_the_id_and_the_port_of_a_watchdog_are_seen(library: str, call: str) -> None:
    text = WATCHDOG % (library, call)
    (found,) = problems("hardcoded_client_id", text)
    assert "client id 15" in found.summary
    (port,) = problems("undeclared_port", text, specs=[spec("paper")])
    assert "port 4001" in port.summary


@pytest.mark.parametrize("module", ["ib_insync", "ib_insync.ibcontroller", "ib_async.ibcontroller"])
def test_a_watchdog_is_known_by_the_module_it_comes_from(module: str) -> None:
    text = "import %s as m\nm.Watchdog(None, None, port=4001, clientId=15)\n" % module
    assert problems("hardcoded_client_id", text)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_watchdog_that_is_given_no_id_takes_the_library_s_own(library: str) -> None:
    (found,) = problems("hardcoded_client_id", WATCHDOG % (library, "Watchdog(ibc, ib, port=4001)"))
    assert "library uses 1" in found.summary


@pytest.mark.parametrize(
    "text",
    [
        "class Watchdog:\n    def __init__(self, a, b, clientId):\n        pass\nWatchdog(1, 2, clientId=15)",
        "from watchdog.observers import Watchdog\nWatchdog(None, None, port=4001, clientId=15)",
        "import ib_insync\nfrom mine import Watchdog\nWatchdog(None, None, '127.0.0.1', 4001, 15)",
        "from ib_insync import Watchdog\nclass Mine(Watchdog):\n    def __init__(self, a, b, port, clientId):\n"
        "        pass\nMine(1, 2, 4001, 15)",
        "import ib_connect\nfrom ib_insync import IB, IBC, Watchdog\n"
        "Watchdog(IBC(1019), IB(), port=4001, clientId=ib_connect.client_id())",
    ],
)
def test_another_watchdog_and_one_with_a_leased_id_accuse_nobody(text: str) -> None:
    assert problems("hardcoded_client_id", text) == []


def test_a_watchdog_connects_and_retries_by_itself_so_its_maker_handles_nothing() -> None:
    text = WATCHDOG % ("ib_insync", "watch = Watchdog(ibc, ib, port=4001, clientId=15)\nwatch.start()\nib.run()")
    assert not codes(text) & DIRECT_ONLY
    in_coroutine = "from ib_insync import IB, IBC, Watchdog\nasync def go():\n    Watchdog(IBC(1), IB(), port=4001)\n"
    assert not codes(in_coroutine) & DIRECT_ONLY


def test_a_watchdog_and_a_script_with_one_id_share_it() -> None:
    script = "from ib_insync import IB\nIB().connect('127.0.0.1', 4001, clientId=15)\n"
    found = problems("shared_client_id", WATCHDOG % ("ib_insync", "Watchdog(ibc, ib, port=4001, clientId=15)"), script)
    assert [each.file for each in found] == ["/srv/trading/a0.py", "/srv/trading/a1.py"]


# --- functools.partial -----------------------------------------------------------------------------------------------

PARTIAL = "import asyncio, functools\nfrom functools import partial\nfrom %s import IB\nib = IB()\n%s\n"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "call",
    [
        "retry(partial(ib.connect, '127.0.0.1', 4001, clientId=15))",
        "retry(functools.partial(ib.connect, '127.0.0.1', 4001, 15))",
        "retry(partial(IB().connectAsync, port=4001, clientId=15))",
        "go = partial(ib.connect, '127.0.0.1', 4001)\ngo(clientId=15)",
        "go = partial(ib.connect, '127.0.0.1')\ngo(4001, 15)",
        "partial(ib.connect, '127.0.0.1', 4001)(clientId=15)",
        "class A:\n    def __init__(self):\n        self.go = partial(ib.connect, '127.0.0.1', 4001, clientId=15)\n"
        "    def run(self):\n        self.go()",
    ],
)
def test_the_id_and_the_port_of_a_prepared_connect_are_seen(library: str, call: str) -> None:
    text = PARTIAL % (library, call)
    (found,) = problems("hardcoded_client_id", text)
    assert "client id 15" in found.summary
    assert len(problems("undeclared_port", text, specs=[spec("paper")])) == 1


@pytest.mark.parametrize(
    "call",
    [
        "retry(partial(ib.connect, '127.0.0.1', 4001))",  # the id may come with the call
        "retry(partial(ib.disconnect))",
        "retry(partial(print, 15, clientId=15))",
        "import sqlite3\nretry(partial(sqlite3.connect, 'x', 5, 15))",
        "def partial(*a, **k):\n    pass\nretry(partial(ib.connect, '127.0.0.1', 4001, clientId=15))",
        "import ib_connect\nretry(partial(ib.connect, '127.0.0.1', 4001, clientId=ib_connect.client_id()))",
    ],
)
def test_what_is_no_prepared_connect_or_has_no_id_yet_accuses_nobody(call: str) -> None:
    text = PARTIAL % ("ib_insync", call)
    if "def partial" in call:
        text = text.replace("from functools import partial\n", "")
    assert problems("hardcoded_client_id", text) == []


def test_a_prepared_connect_that_is_run_by_others_is_judged_by_its_arguments_only() -> None:
    text = PARTIAL % (
        "ib_insync",
        "async def go():\n    loop = asyncio.get_running_loop()\n"
        "    await loop.run_in_executor(None, partial(ib.connect, '127.0.0.1', 4001, clientId=15))",
    )
    assert not codes(text) & DIRECT_ONLY


def test_a_prepared_connect_that_is_called_here_is_judged_like_any_other() -> None:
    text = PARTIAL % ("ib_insync", "go = partial(ib.connect, '127.0.0.1', 4001)\nasync def run():\n    go(clientId=15)")
    assert {"connect_without_timeout", "sync_connect_in_coroutine"} <= codes(text)
    timed = PARTIAL % ("ib_insync", "go = partial(ib.connect, '127.0.0.1', 4001, timeout=20)\ngo(clientId=15)")
    assert "connect_without_timeout" not in codes(timed)


# --- several processes of one script ---------------------------------------------------------------------------------

TEXT = "import sys\nfrom ib_insync import IB\nIB().connect('127.0.0.1', %s, clientId=%s)\n"
ALIKE = (("python3", "bot.py"), ("python3", "bot.py"))


def of_processes(text: str, *commands: Tuple[str, ...]) -> List[Problem]:
    running = tuple(Running(100 + number, command) for number, command in enumerate(commands))
    found = audit([Source(PATH, textwrap.dedent(text).encode(), processes=running)]).problems
    return [each for each in found if each.code == "shared_client_id"]


@pytest.mark.parametrize("client_id", ["15", "0", "int('15')"])
def test_one_id_in_two_processes_of_a_script_is_an_id_that_is_used_twice(client_id: str) -> None:
    (found,) = of_processes(TEXT % (4001, client_id), *ALIKE)
    assert found.severity == "error" and found.line == 3
    assert "is used by 2 processes of this script (pids 100, 101)" in found.summary


def test_the_library_s_own_id_in_two_processes_is_one_too() -> None:
    (found,) = of_processes("from ib_insync import IB\nIB().connect('127.0.0.1', 4001)\n", *ALIKE)
    assert "client id 1 is used by 2 processes" in found.summary


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        (TEXT % (4001, 15), ALIKE[:1]),
        (TEXT % (4001, 15), ()),
        (TEXT % (4001, "int(sys.argv[1])"), ALIKE),
        (TEXT % (4001, "15 if len(sys.argv) > 1 else 16"), ALIKE),
        (TEXT % (4001, "__import__('ib_connect').client_id()"), ALIKE),
        (TEXT % ("int(sys.argv[1])", 15), (("python3", "bot.py", "4001"), ("python3", "bot.py", "4002"))),
    ],
)
def test_processes_that_may_have_ids_or_gateways_of_their_own_are_not_accused(text: str, commands: Any) -> None:
    assert of_processes(text, *commands) == []


def test_many_processes_are_counted_and_some_are_named() -> None:
    (found,) = of_processes(TEXT % (4001, 15), *ALIKE * 4)
    assert "by 8 processes of this script (pids 100, 101, 102, 103, 104 and 3 more)" in found.summary


def test_the_processes_of_a_script_come_together_and_forked_workers_are_part_of_their_parent() -> None:
    first, second, worker = (
        process(pid, "python3", "bot.py", ppid=parent) for pid, parent in ((20, 1), (10, 1), (30, 20))
    )
    assert [each.pid for each in separate([first, second, worker])] == [10, 20]
    found = together([Source("/srv/a.py")], [Seen(each, Source("/srv/bot.py")) for each in (first, second, worker)])
    assert {source.path: len(source.processes) for source in found} == {"/srv/a.py": 0, "/srv/bot.py": 2}
