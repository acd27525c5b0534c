"""What looks like a problem and is none: kinds seen in real scripts, each beside the one that is a problem."""

from __future__ import annotations

import json
import textwrap
from typing import List

import pytest
from ansible.module_utils.ib_audit.reading.model import Source
from ansible.module_utils.ib_audit.rules.audit import audit
from unit.audited import problems

HEAD = (
    "import asyncio, atexit, multiprocessing, queue, random, requests, secrets, sys, threading, time\n"
    "import nest_asyncio\nfrom ib_insync import IB, util, Stock\nib = IB()\n"
)


def severities(code: str, body: str) -> List[str]:
    return [each.severity for each in problems(code, HEAD + textwrap.dedent(body))]


WORKER = "def w():\n    IB().connect('', 4001, 7)\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # one that died is started again, and one after the other
        ("p = multiprocessing.Process(target=w)\nwhile True:\n    if not p.is_alive():\n"
         "        p = multiprocessing.Process(target=w)\n        p.start()", []),
        ("for n in range(3):\n    t = threading.Thread(target=w)\n    t.start()\n    t.join()", []),
        # several at once
        ("for n in range(3):\n    t = threading.Thread(target=w)\n    t.start()", ["error"]),
        ("ts = []\nwhile len(ts) < 3:\n    t = threading.Thread(target=w)\n    t.start()\n    ts.append(t)", ["error"]),
    ],
)  # fmt: skip
def test_a_worker_that_takes_the_place_of_another_shares_no_id_with_it(body: str, expected: List[str]) -> None:
    assert severities("shared_client_id", WORKER + body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("async def f():\n    if hasattr(ib, 'reqTickersAsync'):\n        return await ib.reqTickersAsync()\n"
         "    else:\n        return ib.reqTickers()", []),
        ("async def f():\n    if not hasattr(ib, 'reqTickersAsync'):\n        return ib.reqTickers()", []),
        ("async def f():\n    if hasattr(ib, 'reqTickersAsync'):\n        return ib.reqTickers()", ["error"]),
        ("async def g():\n    h()\ndef h():\n    ib.reqTickers()\nasync def f():\n    await g()", ["error"]),
    ],
)  # fmt: skip
def test_a_blocking_request_is_said_once_and_not_where_the_client_has_nothing_else(
    body: str, expected: List[str]
) -> None:
    assert severities("sync_request_in_coroutine", body) == expected


def test_a_loop_that_another_script_of_the_same_process_patches_is_patched() -> None:
    broker = "from ib_insync import IB\nib = IB()\nasync def f():\n    ib.reqTickers()\n"
    strategy = "import broker\n"
    alone = problems("sync_request_in_coroutine", broker=broker, strategy=strategy, main="import strategy\n")
    patched = "import nest_asyncio\nimport strategy\nnest_asyncio.apply()\n"
    assert [each.severity for each in alone] == ["error"]
    assert not problems("sync_request_in_coroutine", broker=broker, strategy=strategy, main=patched)
    apart = "import nest_asyncio\nnest_asyncio.apply()\n"
    assert problems("sync_request_in_coroutine", broker=broker, strategy=strategy, main=apart) != []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("async def f():\n    ib.sleep(1)", ["warning"]),
        ("util.patchAsyncio()\nasync def f():\n    ib.sleep(1)", []),
        ("util.patchAsyncio()\nasync def f():\n    time.sleep(1)", ["warning"]),
    ],
)
def test_a_sleep_of_the_library_may_be_nested_where_the_loop_is_patched(body: str, expected: List[str]) -> None:
    assert severities("blocking_sleep", body) == expected


@pytest.mark.parametrize(
    ("sleep", "expected"),
    [("time.sleep(1)", []), ("splash()", []), ("ib.sleep(1)", ["warning"])],
)
def test_a_sleep_before_anything_runs_keeps_nothing_from_being_received(sleep: str, expected: List[str]) -> None:
    splash = "def splash():\n    time.sleep(1)\n"
    before = splash + "async def main():\n    %s\n    await ib.connectAsync()\nasyncio.run(main())" % sleep
    after = splash + "async def main():\n    await ib.connectAsync()\n    %s\nasyncio.run(main())" % sleep
    assert severities("blocking_sleep", before) == expected
    assert severities("blocking_sleep", after) == ["warning"]


def test_a_sleep_of_the_library_in_a_coroutine_is_said_to_raise() -> None:
    (found,) = problems("blocking_sleep", HEAD + "async def f():\n    ib.sleep(1)\n")
    assert "RuntimeError" in found.summary


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("async def main():\n    input()\n    await ib.connectAsync()\nasyncio.run(main())", []),
        ("async def main():\n    await ib.connectAsync()\n    input()\nasyncio.run(main())", ["warning"]),
        ("ib.connect()\nasync def main():\n    input()\nutil.run(main())", ["warning"]),
        ("async def job():\n    input()\nasync def main():\n    await job()\nasyncio.run(main())", ["warning"]),
    ],
)
def test_a_question_before_anything_runs_holds_nothing_up(body: str, expected: List[str]) -> None:
    assert severities("blocking_call", body) == expected


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        ("connect_each_turn", "class C(IB):\n    async def go(self):\n        while True:\n"
         "            if not self.isConnected():\n                await super().connectAsync()", []),
        ("connect_each_turn", "def shared():\n    return ib\nwhile True:\n    x = shared()\n    x.connect()", []),
        ("connect_each_turn", "while True:\n    x = IB()\n    x.connect()", ["note"]),
        # closed by its with statement, or never over
        ("connect_each_turn", "while True:\n    with IB() as x:\n        x.connect()\n        print(x)", []),
        ("connect_each_turn", "while True:\n    with IB().connect() as x:\n        print(x.positions())", []),
        ("connect_each_turn", "async def f():\n    while True:\n        with await IB().connectAsync() as x:\n"
         "            print(x)", []),
        ("connect_each_turn", "while True:\n    x = IB()\n    with open('log') as log:\n        x.connect()", ["note"]),
        ("connect_each_turn", "while True:\n    x = IB()\n    x.connect()\n    x.run()", []),
        # another port each turn, beside its name
        ("retry_without_backoff", "for port, name in [(4002, 'gateway'), (7497, 'tws')]:\n    try:\n"
         "        ib.connect('', port)\n        break\n    except OSError:\n        continue", []),
        ("client_ids_in_turn", "for n, name in [(1, 'a'), (2, 'b')]:\n    try:\n"
         "        ib.connect('', 4001, n)\n        break\n    except OSError:\n        continue", ["warning"]),
        # a job of a queue, and a schedule
        ("retry_without_backoff", "jobs = queue.Queue()\ndef fetch(name):\n    try:\n        ib.connect()\n"
         "    except OSError:\n        raise\nwhile True:\n    name = jobs.get()\n    try:\n        fetch(name)\n"
         "    except OSError:\n        print(name)", []),
        ("retry_without_backoff", "while True:\n    try:\n        ib.connect()\n        break\n"
         "    except OSError:\n        time.sleep(600)", []),
        ("retry_without_backoff", "def go(x):\n    x.connect()\nwhile True:\n    x = IB()\n    try:\n        go(x)\n"
         "    except OSError:\n        time.sleep(5)", ["warning"]),
    ],
)  # fmt: skip
def test_a_loop_that_connects_for_another_reason_is_no_retry(code: str, body: str, expected: List[str]) -> None:
    assert severities(code, body) == expected


AGAIN = "async def again():\n    await ib.connectAsync()\nib.disconnectedEvent += again\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # asked for when it is needed
        ("def price(c):\n    t = ib.reqMktData(c)\n    ib.sleep(2)\n    return t.last\nprice(1)", []),
        ("def keep(c):\n    ib.reqMktData(c)\nkeep(1)\nkeep(2)", []),
        # kept
        ("def keep(c):\n    ib.reqMktData(c)\nkeep(1)", ["note"]),
        ("def keep(c):\n    t = ib.reqMktData(c)\n    t.updateEvent += print\nkeep(1)", ["note"]),
        ("def keep(c):\n    t = ib.reqMktData(c)\n    return t\nkeep(1)", ["note"]),
    ],
)
def test_a_price_that_is_asked_for_when_it_is_needed_is_no_subscription(body: str, expected: List[str]) -> None:
    assert severities("lost_subscriptions", AGAIN + body) == expected


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("def again():\n    ib.connect()", ["note"]),
        ("def again():\n    ib.sleep(5)\n    print('again')\n    ib.connect()", ["note"]),
        # what it calls may subscribe
        ("def again():\n    ib.connect()\n    for each in hooks:\n        each()", []),
        ("def again(then=print):\n    ib.connect()\n    then()", []),
        ("import desk\ndef again():\n    ib.connect()\n    desk.start(ib)", []),
        ("class A:\n    def again(self):\n        ib.connect()\n        self.then()\nagain = A().again", []),
    ],
)
def test_a_handler_that_calls_what_cannot_be_followed_may_subscribe(handler: str, expected: List[str]) -> None:
    text = "hooks = []\n" + handler + "\nib.disconnectedEvent += again\nib.reqMktData(Stock('A'))"
    assert severities("lost_subscriptions", text) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("ib.connectAsync()", ["note"]),
        ("x = ib.connectAsync()\nprint(ib)", ["note"]),
        ("_ = ib.connectAsync()", ["note"]),
        ("x = ib.connectAsync()\nutil.run(x)", []),
        ("x = y = ib.connectAsync()\nutil.run(y)", []),
        ("xs = [ib.connectAsync()]\nutil.run(*xs)", []),
    ],
)
def test_a_coroutine_that_is_never_read_never_runs(body: str, expected: List[str]) -> None:
    assert severities("connect_not_awaited", body) == expected


FEED = "t = ib.reqMktData(Stock('A'))\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("while True:\n    print(t.last)\n    time.sleep(1)", ["warning"]),
        ("for n in range(9):\n    time.sleep(1)\n    if t.bid > t.ask:\n        break", ["warning"]),
        ("while True:\n    print(t.last)\n    ib.sleep(1)", []),
        ("while True:\n    ib.sleep(5)\n    print(t.last)\n    time.sleep(1)", []),
        ("while ib.waitOnUpdate(5):\n    print(t.last)\n    time.sleep(1)", []),
        ("while True:\n    print(t.last, ib.reqTickers(1))\n    time.sleep(1)", []),
        ("while True:\n    print(t.contract)\n    time.sleep(1)", []),
        ("while True:\n    print(1)\n    time.sleep(1)", []),
        ("while True:\n    t.updateEvent += print\n    time.sleep(1)", []),
        ("threading.Thread(target=ib.run).start()\nwhile True:\n    print(t.last)\n    time.sleep(1)", []),
    ],
)
def test_a_price_is_not_received_while_a_loop_that_reads_it_sleeps(body: str, expected: List[str]) -> None:
    head = "import time\nfrom ib_insync import IB, Stock\nib = IB()\n" + FEED
    head = "import threading\n" + head if "threading" in body else head
    assert [each.severity for each in problems("blocking_sleep", head + body)] == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("print(P, C)", []),
        ("logger.info('{} {}', P, C)", []),
        ("logger.info('%s', P)", ["note"]),
        ("logger.info('%s %s', P, H)", ["note"]),
    ],
)
def test_a_log_of_the_very_names_that_are_given_tells_them(log: str, expected: List[str]) -> None:
    text = "from loguru import logger\nH, P, C = '', 4001, 8\nib.connect(H, P, clientId=C)\n" + log
    assert severities("connection_not_logged", text) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@app.on_event('shutdown')\nasync def bye():\n    ib.disconnect()", []),
        ("@app.on_event('startup')\nasync def hello():\n    ib.disconnect()", ["note"]),
        ("app = Starlette(on_shutdown=[ib.disconnect])", []),
        ("app.add_event_handler('shutdown', ib.disconnect)", []),
        ("async def life(app):\n    yield\n    ib.disconnect()\napp = FastAPI(lifespan=life)", []),
        ("async def life(app):\n    ib.disconnect()\n    yield\napp = FastAPI(lifespan=life)", ["note"]),
        ("async def other(app):\n    yield\n    ib.disconnect()", ["note"]),
        ("button.on_click(lambda: ib.disconnect())", ["note"]),
        ("atexit.register(lambda: ib.disconnect())", []),
    ],
)
def test_what_a_server_runs_when_it_ends_is_a_way_out(body: str, expected: List[str]) -> None:
    assert severities("no_disconnect", "ib.connect('', 4001, 7)\n" + body) == expected


def test_a_number_that_the_command_line_may_replace_is_a_fallback() -> None:
    (found,) = problems(
        "hardcoded_client_id",
        HEAD + "number = int(sys.argv[1]) if len(sys.argv) > 1 else 7\nib.connect('', 4001, number)\n",
    )
    assert (found.severity, found.summary) == ("note", "client id 7 is used where the command line gives none")


def test_a_shared_number_that_is_only_a_fallback_is_told_as_one() -> None:
    text = "import os\nfrom ib_insync import IB\nIB().connect('', 4001, int(os.getenv('ID', '7')))\n"
    found = problems("shared_client_id", text, text)
    assert {each.summary.split(" is also")[0] for each in found} == {
        "client id 7, which is used where the environment gives none,"
    }


def test_where_chance_comes_from_is_said_in_words_that_hide_nothing() -> None:
    (found,) = problems("random_client_id", HEAD + "ib.connect('', 4001, secrets.randbelow(999))\n")
    assert found.summary == "two scripts may get the same client id: it comes from secrets.randbelow"


def test_a_patch_under_a_test_of_the_script_s_own_for_a_running_loop_is_guarded() -> None:
    guarded = (
        "def _has_running_loop():\n    ...\ndef go():\n    if _has_running_loop():\n        nest_asyncio.apply()\n"
    )
    assert severities("loop_in_function", guarded) == []


def test_a_wait_for_the_next_order_id_is_no_wait_for_the_connection() -> None:
    text = textwrap.dedent("""
        from ibapi.client import EClient
        from ibapi.wrapper import EWrapper
        class App(EWrapper, EClient):
            def nextValidId(self, orderId):
                self.order_id = orderId
        app = App()
        app.connect('127.0.0.1', 4001, 7)
        %s
        while app.order_id is None:
            pass
    """)
    assert [len(problems("wait_without_end", text % before)) for before in ("app.reqIds(-1)", "app.run()")] == [0, 1]


def test_a_notebook_of_lines_that_begin_with_a_tab_keeps_its_lines() -> None:
    source = ["from ib_insync import IB\n", "if True:\n", "\tib = IB()\n", "\tib.connect('', 4001, clientId=7)"]
    data = json.dumps({"cells": [{"cell_type": "code", "source": source}], "nbformat": 4}, indent=1).encode()
    (found,) = [each for each in audit([Source("/srv/a.ipynb", data)]).problems if each.code == "hardcoded_client_id"]
    assert "clientId=7" in data.decode().splitlines()[found.line - 1]
