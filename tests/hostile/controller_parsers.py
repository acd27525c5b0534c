"""Every parser that reads, on the controller or in an audit, what a host or another controller wrote; with samples."""

from __future__ import annotations

import importlib.util
import json
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, Tuple

from ansible.module_utils.ib_audit.analysis.effort import Effort
from ansible.module_utils.ib_audit.reading import notebooks, settings, source
from ansible.module_utils.ib_audit.reading.model import Source
from ansible.module_utils.ib_audit.rules.audit import audit
from ansible.module_utils.ib_fleet.document import fleet_document, merge, next_commands, notices
from ansible.module_utils.ib_fleet.document.bounds import MOST_OF_A_HOST, excess
from ansible.module_utils.ib_fleet.document.changes import known_of
from ansible.module_utils.ib_fleet.document.report_error import ReportError
from ansible.module_utils.ib_fleet.render import junit, layout, metrics, overview, terminal
from ansible.module_utils.ib_fleet.run import answers
from ansible.module_utils.ib_fleet.store import documents, told
from ansible.module_utils.ib_fleet.store.history import FILE, History
from unit import fleets
from unit.audited import spec
from unit.module_runs import PROJECT

from hostile.fuzz import Parser
from hostile.mutations import damaged, mutations, repeated


def _plugin() -> Any:
    script = PROJECT / "roles" / "ib_fleet_report" / "files" / "check_ib_gateway.py"
    found = importlib.util.spec_from_file_location("check_ib_gateway", script)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


check_ib_gateway = _plugin()
SLICE = fleets.document(
    fleets.host("well", fleets.looks()["two"], fleets.looks()["good"], groups=("london",)),
    fleets.host("lost", fleets.UNREACHABLE),
    audit=fleets.audit(2),
)
LOOK = {**fleets.looks()["two"], "reset_window": "", "changed": False}
ACT = {"changed": True, "outcomes": [fleets.stopped()], "stopped": [], "refused": [], "started": [], "health": None}
ANSWER = {"look": LOOK, "act": ACT, "begin": {"begun": True, "reason": "", "allowed": ["live"], "changed": False}}


def some_json(value: Any, chance: random.Random) -> bytes:
    """The text of a damaged value, as Python's own writer makes it: NaN and halves of surrogates included."""
    return json.dumps(damaged(value, chance), default=str).encode("utf-8", "backslashreplace")


def read_json(data: bytes) -> Any:
    """What a slice's bytes say; ValueError and RecursionError are what its reader takes."""
    return json.loads(data.decode("utf-8"))


# --- documents, answers and the history ------------------------------------------------------------------------------


def slice_of_a_fleet(data: bytes) -> None:
    """A slice that the schema lets pass can be shown in every form, and merged as well."""
    found = read_json(data)
    if documents.problems(found):
        return
    metrics.prometheus(found)
    merged = merge.merge([found, SLICE])
    documents.text(merged)
    known_of(merged)
    fleet_document.lines(merged)
    next_commands.next_commands(merged)
    notices.message(notices.notices(merged, {}), merged)
    junit.junit(merged)
    metrics.prometheus(merged)
    list(layout.laid_out(terminal.lines(overview.overview(merged)), 80))


def answer_of_a_host(data: bytes) -> None:
    """Whatever a host answers, what passes the gate can be written down, and a host's document can be made of it."""
    found = read_json(data)
    for sort in (*ANSWER, "wait", "end", "escalation", "audit", None):
        passed = answers.checked(found, sort)
        assert isinstance(passed, dict) and not excess(passed, MOST_OF_A_HOST)
        json.dumps(passed)
        if sort == "look":
            host = fleet_document.host_document("desk", {"ib_gateway_diagnose_result": passed, "group_names": []})
            documents.text(fleets.document(host))


def monitoring(data: bytes) -> None:
    """The monitoring plugin, which checks no schema: one line and one of its codes, whatever the report says."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        code, line = check_ib_gateway.check(file.name, "well", 3600.0)
        assert code in range(4) and line.isprintable()


def past(data: bytes) -> None:
    """A history that somebody else may have written."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(data)
        history = History(Path(folder))
        for ask in (
            lambda: history.latest("2027-01-01T00:00:00Z"),
            lambda: history.find("2026"),
            lambda: history.remember({}, ["well", "new"], "2027-01-01T00:00:00Z"),
            history.statuses,
            history.points,
        ):
            try:
                ask()
            except ReportError as error:
                assert len(str(error)) < 1000
        history.add(SLICE, keep=5)


def what_was_told(data: bytes) -> None:
    """The file of notices, which somebody else may have written: what passes can be used for the next ones."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / told.FILE).write_bytes(data)
        before = told.read(Path(folder))
        notices.notices(SLICE, before)
        notices.after(SLICE, before)


def _history() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        History(Path(folder)).add(SLICE, keep=5)
        return (Path(folder) / FILE).read_bytes()


_HISTORY = _history()
_COLUMNS = {
    "sweeps": ("generated_at", "kind", "statuses"),
    "hosts": ("name", "status", "handshake_ms", "troubles"),
    "looks": ("host", "at", "gateway", "status", "verdict", "acts"),
    "incidents": ("host", "gateway", "begun_at", "cause", "ended_at", "acts"),
    "counters": ("host", "gateway", "action", "times"),
}


_CELLS = (b"\xff\0", "", "[[1]]", "[" * 3000, '{"a": -1}', 1e400, -5, "x\0y", '[["a", "b"]]', "\u202e")


def _strange_history(chance: random.Random) -> bytes:
    """Bytes of the file that are damaged, or one of its cells with what no sweep writes."""
    if chance.random() < 0.5:
        data = bytearray(_HISTORY)
        for _ in range(chance.choice((1, 3, 30))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data[: chance.choice((len(data), len(data), chance.randrange(len(data))))])
    table = chance.choice(sorted(_COLUMNS))
    value = chance.choice(
        [b"\xff\0", "", "[[1]]", "[" * 3000, '{"a": -1}', 1e400, -5, "x\0y", '[["a", "b"]]', "\u202e"]
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        file.write_bytes(_HISTORY)
        connection = sqlite3.connect(file)
        with connection:
            connection.execute("UPDATE OR REPLACE %s SET %s = ?" % (table, chance.choice(_COLUMNS[table])), (value,))  # noqa: S608
        connection.close()
        return file.read_bytes()


_DAMAGED_TEXT = mutations([documents.text(SLICE).encode()], 1 << 15)
_JSON_ERRORS = (ValueError, RecursionError)
REPORTS = (
    Parser(
        "slices",
        (slice_of_a_fleet,),
        (documents.text(SLICE).encode(),),
        (*_JSON_ERRORS, ReportError),
        make=lambda chance: some_json(SLICE, chance),
        grows=False,
    ),
    Parser(
        "answers",
        (answer_of_a_host,),
        tuple(json.dumps(each).encode() for each in ANSWER.values()),
        _JSON_ERRORS,
        make=lambda chance: some_json(chance.choice(list(ANSWER.values())), chance),
        grows=False,
    ),
    Parser(
        "monitoring plugin",
        (monitoring,),
        (documents.text(SLICE).encode(), b'{"hosts": []}'),
        most=1 << 15,
        make=lambda chance: (
            some_json(SLICE, chance)
            if chance.random() < 0.6
            else mutations([documents.text(SLICE).encode()], 1 << 15)(chance)
        ),
        endless=(repeated(b"["), repeated(b'{"hosts":'), repeated(b"9", b'{"hosts": ')),
    ),
    Parser(
        "what was told",
        (what_was_told,),
        (b'{"desk": {"live": "broken"}, "well": {"paper": "second_factor"}}',),
        (ReportError,),
        grows=False,
    ),
    Parser("history", (past,), (_HISTORY,), (ReportError,), make=_strange_history, grows=False),
)

# --- trading scripts and what lies beside them -----------------------------------------------------------------------


def settings_files(data: bytes) -> None:
    """A file beside a script, whatever it calls itself."""
    for name in ("config.json", "config.yaml", "config.ini", "pyproject.toml", ".env", "docker-compose.yml"):
        found = settings.read("/srv/" + name, data)
        assert all(isinstance(each.value, (int, str)) and each.line >= 1 for each in found.settings)


def python_files(data: bytes) -> None:
    """A script or a notebook; a reason is told in one line."""
    for name in ("bot.py", "bot.ipynb", "bot"):
        found = source.parse(Source("/srv/" + name, data))
        assert not isinstance(found, tuple) or found[1]


def audited(data: bytes) -> None:
    """A script through all rules, within the limits of each file."""
    audit([Source("/srv/bot.py", data)], [spec()], None, Effort())


_NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "code", "source": ["%matplotlib inline\n", "from ib_insync import IB\n", "ib = IB()"]},
            {"cell_type": "markdown", "source": ["x"]},
            {"cell_type": "code", "source": "ib.connect('127.0.0.1', 4002, clientId=1)\nawait x"},
        ],
        "nbformat": 4,
    },
    indent=1,
).encode()
_SCRIPTS = (
    b"import os\nfrom ib_insync import IB, util\nib = IB()\nwhile True:\n    try:\n        ib.connect('127.0.0.1', "
    b"int(os.getenv('IB_PORT', 4002)), clientId=1)\n    except Exception:\n        pass\n    util.sleep(1)\n",
    b"#!/usr/bin/env python3\n# -*- coding: latin-1 -*-\nfrom ibapi.client import EClient\nclass App(EClient):\n"
    b"    def run(self):\n        self.connect('localhost', 7497, 0)\n\nApp(None).run()\n",
    b"print 'python 2'\nexcept Error, e:\n",
)
_BESIDE = (
    b'{"ib": {"host": "127.0.0.1", "port": 4002, "ids": [1, 2]}, "name": "x"}',
    b"ib:\n  host: 127.0.0.1\n  port: 4002  # paper\nservices:\n  - name: ${IB:-x}\n",
    b"[ib]\nport = 4001\n[tool.x]\na = 'b'\nexport IB_PORT=${P:-4001}\n",
)


def _nested(size: int) -> bytes:
    """Deep keys that stand otherwise in the file than they are called, and many values below them."""
    head = b"".join(b'{"\\u0061%d":' % number for number in range(min(500, size // 40)))
    inner = b",".join(b'"k%d":%d' % (number, number) for number in range((size - len(head) * 2) // 14))
    return head + b"{" + inner + b"}" + b"}" * head.count(b"{")


def _cells(size: int) -> bytes:
    """A notebook of the same line again and again, which no line of the file is."""
    lines = ["x = 1\n"] * (size // 40)
    cells = [{"cell_type": "code", "source": lines}, {"cell_type": "code", "source": ["y"] * (size // 40)}]
    return json.dumps({"cells": cells}, indent=1).encode()


SCRIPTS = (
    Parser("notebooks", (notebooks.code,), (_NOTEBOOK,), most=1 << 18, endless=(_cells, _nested)),
    Parser(
        "settings files",
        (settings_files,),
        _BESIDE,
        most=1 << 17,
        endless=(
            *(
                _nested,
                repeated(b" a:\n"),
                repeated(b" "),
                repeated(b"["),
                repeated(b" ", b"[", b'"'),
                repeated(b" a", b"[", b'"'),
                repeated(b"a.", b"["),
                repeated(b"${a:-", b"a="),
            ),
            *(repeated(b'"', b"a: "), repeated(b"a # ", b"a = "), repeated(b"export ")),
        ),
    ),
    Parser(
        "python files",
        (python_files,),
        (*_SCRIPTS, _NOTEBOOK),
        most=1 << 16,
        endless=tuple(repeated(each) for each in (b"print 'x'\n", b"except a, ", b"def f((", b"exec ", b"a", b"x <> ")),
    ),
    # What the rules cost is counted in steps: tests/unit/test_audit_bounds.py.
    Parser("audit", (audited,), _SCRIPTS, most=1 << 13, grows=False),
)

CONTROLLER_PARSERS: Tuple[Parser, ...] = (*REPORTS, *SCRIPTS)
