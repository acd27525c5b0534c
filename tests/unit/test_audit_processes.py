"""What runs, joined with what its script says: which id and port, who holds the session, who shares an id."""

from __future__ import annotations

from typing import List

import pytest
from ansible.module_utils.ib_audit.reading.model import Link, RunningScript, Source
from ansible.module_utils.ib_audit.report import document
from ansible.module_utils.ib_audit.rules.audit import audit
from ansible.module_utils.ib_audit.rules.processes import Joined, as_running, join

BOT = "from ib_insync import IB\nIB().connect('127.0.0.1', 4001, clientId=15)\n"
OPTIONS = """
import argparse
from ib_insync import IB
parser = argparse.ArgumentParser()
parser.add_argument('--port', '-p', type=int, default=4001)
parser.add_argument('--client-id', type=int, default=7)
args = parser.parse_args()
client_id = int(args.client_id)
IB().connect('127.0.0.1', args.port, clientId=client_id)
"""
HELD = (Link(4001, 50000),)


def process(pid: int, script: str, *words: str, links: tuple[Link, ...] = ()) -> RunningScript:
    return RunningScript(pid, "trader", "/srv/%s.py" % script, ("python3", "%s.py" % script, *words), links)


def joined(*processes: RunningScript, **scripts: str) -> List[Joined]:
    found = audit([Source("/srv/%s.py" % name, text.encode()) for name, text in scripts.items()])
    assert found.case is not None
    return join(found.case, processes)


def test_who_holds_the_session_and_who_waits_for_the_same_id_is_told() -> None:
    one, other = joined(process(2, "b", links=(Link(4001, 5, False),)), process(1, "a", links=HELD), a=BOT, b=BOT)
    assert (one.pid, one.holds, one.client_ids, one.id_from, one.shares_with) == (1, (4001,), (15,), "script", (2,))
    assert (other.pid, other.ports, other.holds) == (2, (4001,), ())
    assert "holds a session on port 4001, client id 15, the same as pid 2" in one.told
    assert "waits for a session on port 4001" in other.told


@pytest.mark.parametrize(
    ("words", "ids", "ports", "origin"),
    [
        ((), (7,), (4001,), "script"),
        (("--client-id", "33"), (33,), (4001,), "command line"),
        (("--client-id=33", "-p", "4002"), (33,), (4002,), "command line"),
        (("--client-id",), (7,), (4001,), "script"),
        (("--client-id", "x"), (7,), (4001,), "script"),
    ],
)
def test_what_the_command_line_gives_counts(words: tuple[str, ...], ids: object, ports: object, origin: str) -> None:
    (found,) = joined(process(1, "a", *words), a=OPTIONS)
    assert (found.client_ids, found.written_ports, found.id_from) == (ids, ports, origin)


@pytest.mark.parametrize(
    ("client_id", "ids", "origin"),
    [
        ("int(os.getenv('ID', '7'))", (7,), "default"),
        ("int(os.environ['ID'])", (), "unknown"),
        ("random.randint(1, 9)", (), "chance"),
        ("ib_connect.client_id()", (), "kit"),
        ("int(sys.argv[1])", (12,), "command line"),
    ],
)
def test_where_the_id_comes_from_is_told(client_id: str, ids: object, origin: str) -> None:
    text = "import os, random, sys, ib_connect\nfrom ib_insync import IB\nIB().connect('', 4001, clientId=%s)\n"
    (found,) = joined(process(1, "a", "12"), a=text % client_id)
    assert (found.client_ids, found.id_from) == (ids, origin)


def test_the_connection_may_be_in_a_module_that_the_script_imports() -> None:
    text = "from ib_insync import IB\ndef go():\n    IB().connect('127.0.0.1', 4001, clientId=15)\n"
    (found,) = joined(
        process(1, "bot"), bot="import desk\ndesk.go()\n", desk="import broker\nbroker.go()\n", broker=text
    )
    assert found.client_ids == (15,)


@pytest.mark.parametrize(
    "others",
    [
        BOT.replace("15", "16"),
        BOT.replace("4001", "4002"),
        BOT.replace("15", "int(input())"),
    ],
)
def test_processes_with_other_ids_or_gateways_share_nothing(others: str) -> None:
    assert [each.shares_with for each in joined(process(1, "a"), process(2, "b"), a=BOT, b=others)] == [(), ()]


def test_the_port_it_really_uses_wins_over_the_one_that_is_written() -> None:
    (found,) = joined(process(1, "a", links=(Link(4002, 5),)), a=BOT)
    assert "holds a session on port 4002, although its script says port 4001" in found.told


def test_a_process_whose_script_was_not_read_is_told_all_the_same() -> None:
    (found,) = joined(process(1, "gone", links=HELD))
    assert found.client_ids == () and "client id not known" in found.told
    assert as_running(found)["holds"] == [4001]


def test_two_scripts_that_run_now_with_one_id_are_an_error_and_others_a_warning() -> None:
    def severities(**commands: tuple[str, ...]) -> List[str]:
        sources = [Source("/srv/%s.py" % name, BOT.encode(), command=words) for name, words in commands.items()]
        return [each.severity for each in audit(sources).problems if each.code == "shared_client_id"]

    assert severities(a=("python3", "a.py"), b=("python3", "b.py")) == ["error", "error"]
    assert severities(a=("python3", "a.py"), b=()) == ["warning", "warning"]


def test_where_nothing_was_read_no_one_says_that_there_are_no_problems() -> None:
    result = {"problems": [], "summary": dict.fromkeys(("note", "warning", "error"), 0), "files": 0, "running": []}
    host = document.host_document("desk", result)
    lines = document.lines(document.document([host], {"generated_at": "now", "check_mode": False}))
    assert len(lines) == 2 and all("no script was looked at" in line and "no problems" not in line for line in lines)
    assert "ib_client_audit_paths" in document.sentence(host)
