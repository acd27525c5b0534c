"""Coroutines and handlers, other loops, connections of every turn, workers, restarts, and the official library."""

from __future__ import annotations

import textwrap
from typing import List

import pytest
from unit.audited import problems

HEAD = "import asyncio, threading, time, multiprocessing, requests\nfrom ib_insync import IB, util, Stock\nib = IB()\n"
OFFICIAL = """
import threading, time
from ibapi.client import EClient
from ibapi.wrapper import EWrapper
class App(EWrapper, EClient):
    def __init__(self):
        EClient.__init__(self, self)
        self.order_id = None
        self.ready = threading.Event()
    def nextValidId(self, orderId):
        self.order_id = orderId
        self.ready.set()
app = App()
app.connect('127.0.0.1', 4001, 7)
threading.Thread(target=app.run).start()
"""


def found(code: str, body: str, head: str = HEAD) -> List[str]:
    return [each.severity for each in problems(code, head + textwrap.dedent(body))]


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        # requests where the loop runs
        ("sync_request_in_coroutine", "async def f():\n    ib.reqPositions()", ["error"]),
        ("sync_request_in_coroutine", "def g():\n    ib.reqTickers()\nasync def f():\n    g()", ["error"]),
        ("sync_request_in_coroutine", "async def f():\n    ib.positions()", []),
        ("sync_request_in_coroutine", "async def f():\n    await ib.reqPositionsAsync()", []),
        ("sync_request_in_coroutine", "async def f():\n    await asyncio.to_thread(ib.reqPositions)", []),
        ("sync_request_in_coroutine", "util.startLoop()\nasync def f():\n    ib.reqPositions()", []),
        ("sync_request_in_coroutine", "async def f(api):\n    api.reqPositions()", []),
        ("sync_request_in_handler", "def h(t):\n    ib.reqPositions()\nib.barUpdateEvent += h", ["error"]),
        ("sync_request_in_handler", "def h():\n    ib.connect()\nib.disconnectedEvent += h", ["error"]),
        ("sync_request_in_handler", "def h(t):\n    print(ib.positions())\nib.barUpdateEvent += h", []),
        ("sync_request_in_handler", "def h(t):\n    ib.reqPositions()\nib.newOrderEvent += h", []),
        ("connect_not_awaited", "async def f():\n    ib.connectAsync()", ["note"]),
        ("connect_not_awaited", "async def f():\n    task = ib.connectAsync()\n    await task", []),
        ("connect_not_awaited", "util.run(ib.connectAsync())", []),
        # other loops and threads
        (
            "connection_in_other_loop",
            "ib.connect()\nasync def f():\n    await g()\nasync def g():\n"
            "    await ib.reqPositionsAsync()\nasyncio.run(f())",
            ["note"],
        ),
        ("connection_in_other_loop", "ib.connect()\nasync def f():\n    await asyncio.sleep(1)\nasyncio.run(f())", []),
        ("connection_in_other_loop", "ib.connect()\nasyncio.run(ib.reqPositionsAsync())", ["note"]),
        ("connection_in_other_loop", "asyncio.run(ib.connectAsync())", []),
        # the client is handed on, and on
        (
            "connection_in_other_loop",
            "async def ask(c):\n    await c.reqPositionsAsync()\nasync def main(x, *, c):\n"
            "    await asyncio.gather(asyncio.create_task(ask(c)))\nib.connect()\nasyncio.run(main(1, c=ib))",
            ["note"],
        ),
        (
            "connection_in_other_loop",
            "async def ask(c):\n    await c.connectAsync()\n    await c.reqPositionsAsync()\nasync def main(c):\n"
            "    await ask(c)\nib.connect()\nasyncio.run(main(ib))",
            [],
        ),
        (
            "connection_in_other_loop",
            "async def ask(c):\n    await main(c)\n    print(c.positions())\nasync def main(c):\n"
            "    await ask(c)\nib.connect()\nasyncio.run(main(ib))",
            [],
        ),
        # asyncio.run() is patched alone: it uses the loop that is there
        (
            "connection_in_other_loop",
            "import nest_asyncio\nnest_asyncio._patch_asyncio()\nasync def f():\n    await ib.reqPositionsAsync()\n"
            "ib.connect()\nasyncio.run(f())",
            [],
        ),
        ("connection_in_other_loop", "ib.connect()\nasyncio.run(ib.disconnectAsync())", []),
        (
            "connection_in_other_loop",
            "class B:\n    def __init__(self):\n        self.ib = IB()\n        self.ib.connect()\n"
            "    async def go(self):\n        await self.ib.reqPositionsAsync()\nasyncio.run(B().go())",
            ["note"],
        ),
        (
            "connection_in_other_loop",
            "class B:\n    def __init__(self):\n        self.ib = IB()\n    def old(self):\n        self.ib.connect()\n"
            "    async def go(self):\n        await self.ask()\n        await self.ib.connectAsync()\n"
            "    async def ask(self):\n        await self.ib.reqPositionsAsync()\nasyncio.run(B().go())",
            [],
        ),
        (
            "connection_in_other_loop",
            "def go():\n    own = IB()\n    own.connect()\n    asyncio.run(f(own))\n"
            "async def f(client):\n    await client.reqPositionsAsync()\ngo()",
            ["note"],
        ),
        (
            "connection_in_other_loop",
            "def go():\n    own = IB()\n    own.connect()\n    asyncio.run(f(own))\n"
            "async def f(client):\n    print(client.positions())\ngo()",
            [],
        ),
        (
            "connection_in_other_loop",
            "own = IB()\nasync def f(client):\n    await client.connectAsync()\n    await client.reqPositionsAsync()\n"
            "asyncio.run(f(own))",
            [],
        ),
        (
            "connection_in_other_loop",
            "async def f():\n    await ib.connectAsync()\n    await ib.reqPositionsAsync()\nasyncio.run(f())",
            [],
        ),
        (
            "connection_in_other_loop",
            "ib.connect()\nasync def f():\n    await ib.reqPositionsAsync()\nutil.run(f())",
            [],
        ),
        (
            "connection_in_other_loop",
            "ib.connect()\ndef f():\n    ib.reqPositions()\nthreading.Thread(target=f).start()",
            ["note"],
        ),
        (
            "connection_in_other_loop",
            "ib.connect()\ndef f():\n    asyncio.set_event_loop(x)\n    ib.reqPositions()\n"
            "threading.Thread(target=f).start()",
            [],
        ),
        # what stops the loop
        ("blocking_call", "async def f():\n    requests.get('x')", ["warning"]),
        ("blocking_call", "def h(t):\n    input()\nib.barUpdateEvent += h", ["warning"]),
        ("blocking_call", "requests.get('x')\ninput()", []),
        ("blocking_sleep", "while True:\n    print(ib.positions())\n    time.sleep(60)", ["warning"]),
        ("blocking_sleep", "while True:\n    print(ib.positions())\n    ib.sleep(60)", []),
        ("blocking_sleep", "while True:\n    ib.reqPositions()\n    time.sleep(1)", []),
        (
            "blocking_sleep",
            "while True:\n    try:\n        print(ib.positions())\n    except OSError:\n        time.sleep(9)",
            [],
        ),
        # loops that connect
        (
            "client_ids_in_turn",
            "n = 1\nwhile True:\n    try:\n        ib.connect('', 4001, n)\n        break\n"
            "    except OSError:\n        n += 1",
            ["warning"],
        ),
        ("client_ids_in_turn", "for n in range(3):\n    IB().connect('', 4001, n)", []),
        ("connect_each_turn", "while True:\n    x = IB()\n    x.connect()\n    print(x.positions())", ["note"]),
        ("connect_each_turn", "while True:\n    x = IB()\n    x.connect()\n    x.disconnect()", []),
        ("connect_each_turn", "while True:\n    x = IB()\n    x.connect()\n    keep.append(x)", []),
        # what is closed is something else, or the turn lasts as long as the connection
        (
            "connect_each_turn",
            "import socket\nwhile True:\n    s = socket.socket()\n    s.close()\n    x = IB()\n    x.connect()",
            ["note"],
        ),
        (
            "connect_each_turn",
            "import socket\ndef up():\n    s = socket.socket()\n    try:\n        s.connect(('', 4001))\n"
            "    finally:\n        s.close()\nwhile True:\n    up()\n    x = IB()\n    x.connect()",
            ["note"],
        ),
        ("connect_each_turn", "import desk\nwhile True:\n    x = IB()\n    x.connect()\n    desk.all().close()", []),
        (
            "connect_each_turn",
            "while True:\n    x = IB()\n    x.connect()\n    while x.isConnected():\n        x.sleep(1)",
            [],
        ),
        (
            "connect_each_turn",
            "def f():\n    x = IB()\n    x.connect()\n    while x.isConnected():\n        x.sleep(1)\n"
            "while True:\n    f()",
            [],
        ),
        (
            "connect_each_turn",
            "while True:\n    x = IB()\n    x.connect()\n    while not x.isConnected():\n        time.sleep(1)",
            ["note"],
        ),
        ("connect_each_turn", "def f():\n    x = IB()\n    x.connect()\n    return x\nwhile True:\n    f()", []),
        (
            "connect_each_turn",
            "for n in range(9):\n    x = IB()\n    try:\n        x.connect()\n        break\n"
            "    except OSError:\n        pass",
            [],
        ),
        (
            "retry_without_backoff",
            "for name in names:\n    try:\n        ib.connect()\n    except OSError:\n        pass",
            [],
        ),
        # workers
        (
            "shared_client_id",
            "def w(n):\n    IB().connect('', 4001, 7)\nmultiprocessing.Pool(4).map(w, range(4))",
            ["error"],
        ),
        (
            "shared_client_id",
            "def w():\n    IB().connect('', 4001, 7)\nfor n in range(4):\n    threading.Thread(target=w).start()",
            ["error"],
        ),
        ("shared_client_id", "def w(n):\n    IB().connect('', 4001, n)\nmultiprocessing.Pool(4).map(w, range(4))", []),
        ("shared_client_id", "def w(n):\n    IB().connect('', 4001, 7)\nmultiprocessing.Pool(1).map(w, range(4))", []),
        ("shared_client_id", "def w():\n    IB().connect('', 4001, 7)\nthreading.Thread(target=w).start()", []),
        (
            "shared_client_id",
            "def w(n=7):\n    IB().connect('', 4001, n)\nfor n in range(4):\n"
            "    threading.Thread(target=w, args=(n,)).start()",
            [],
        ),
        (
            "shared_client_id",
            "def w(c):\n    IB().connect('', 4001, c['id'])\nfor n in range(4):\n    c = {'id': 7}\n    c['id'] = n\n"
            "    threading.Thread(target=lambda c=c: w(c)).start()",
            [],
        ),
        # after the nightly restart
        ("no_reconnect", "ib.connect()\nib.run()", ["warning"]),
        ("no_reconnect", "ib.connect()\nwhile True:\n    ib.sleep(1)", ["warning"]),
        ("no_reconnect", "ib.connect()  # reconnect: disconnectedEvent\nutil.run()", ["warning"]),
        ("no_reconnect", "ib.connect()\nwhile ib.isConnected():\n    ib.sleep(1)", []),
        ("no_reconnect", "ib.disconnectedEvent += again\nib.connect()\nib.run()", []),
        ("no_reconnect", "ib.connect()\nib.sleep(5)", []),
        ("no_reconnect", "ib.connect()\nloop = asyncio.get_event_loop()\nloop.run_forever()", ["warning"]),
        (
            "no_reconnect",
            "ib.connect()\nloop = asyncio.get_event_loop()\nloop.add_signal_handler(15, loop.stop)\nloop.run_forever()",
            ["warning"],
        ),
        (
            "no_reconnect",
            "ib.connect()\nloop = asyncio.get_event_loop()\nasync def end():\n    loop.stop()\n"
            "loop.create_task(end())\nloop.run_forever()",
            [],
        ),
        ("no_reconnect", "while True:\n    ib.connect()\n    ib.run()", []),
        (
            "no_reconnect",
            "async def go():\n    await ib.connectAsync()\n    while True:\n"
            "        await asyncio.sleep(1)\nasyncio.run(go())",
            ["warning"],
        ),
        (
            "no_reconnect",
            "async def once():\n    await ib.connectAsync()\n    ib.disconnect()\nasync def go():\n    await once()\n"
            "    while True:\n        await asyncio.sleep(1)\nasyncio.run(go())",
            [],
        ),
        (
            "no_reconnect",
            "async def go():\n    await ib.connectAsync()\n    while True:\n        await asyncio.sleep(1)\n"
            "        break\nasyncio.run(go())",
            [],
        ),
        (
            "lost_subscriptions",
            "async def again():\n    await ib.connectAsync()\nib.disconnectedEvent += again\nib.reqMktData(x)",
            ["note"],
        ),
        (
            "lost_subscriptions",
            "async def again():\n    await ib.connectAsync()\n    ib.reqMktData(x)\n"
            "ib.disconnectedEvent += again\nib.reqMktData(x)",
            [],
        ),
        (
            "lost_subscriptions",
            "def go():\n    ib.reqMktData(x)\nasync def again():\n    await ib.connectAsync()\n"
            "ib.disconnectedEvent += again\n"
            "ib.connectedEvent += go\ngo()",
            [],
        ),
        (
            "lost_subscriptions",
            "async def again():\n    await ib.connectAsync()\n"
            "ib.disconnectedEvent += again\nib.reqMktData(x, '', True)",
            [],
        ),
    ],
)
def test_what_running_scripts_do_wrong_is_found_and_what_they_do_right_is_not(
    code: str, body: str, expected: List[str]
) -> None:
    assert found(code, body) == expected


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        ("request_before_ready", "app.reqPositions()", 1),
        ("request_before_ready", "time.sleep(3)\napp.placeOrder(1, 2, 3)", 1),
        ("request_before_ready", "if not app.ready.wait(20):\n    raise SystemExit(1)\napp.reqPositions()", 0),
        ("request_before_ready", "while app.order_id is None:\n    time.sleep(1)\napp.reqPositions()", 0),
        ("request_before_ready", "def ready():\n    app.ready.wait(9)\nready()\napp.reqPositions()", 0),
        ("request_before_ready", "if app.order_id:\n    app.reqPositions()", 0),
        ("wait_without_end", "while app.order_id is None:\n    time.sleep(1)", 1),
        ("wait_without_end", "while not app.isConnected():\n    pass", 1),
        ("wait_without_end", "while True:\n    if app.order_id:\n        break\n    else:\n        time.sleep(1)", 1),
        ("wait_without_end", "app.ready.wait()", 1),
        ("wait_without_end", "app.ready.wait()\napp.ready.clear()\napp.reqPositions()\napp.ready.wait()", 1),
        ("wait_without_end", "app.ready.wait(20)", 0),
        ("wait_without_end", "while app.order_id is None and time.time() < end:\n    time.sleep(1)", 0),
        ("wait_without_end", "for _ in range(20):\n    if app.order_id:\n        break\n    time.sleep(1)", 0),
        (
            "wait_without_end",
            "while app.order_id is None:\n    time.sleep(1)\n    if tired():\n        raise SystemExit(1)",
            0,
        ),
        ("wait_without_end", "while app.isConnected():\n    time.sleep(1)", 0),
    ],
)
def test_the_official_library_s_connect_is_waited_for_with_a_limit(code: str, body: str, expected: int) -> None:
    assert len(found(code, body, OFFICIAL)) == expected
