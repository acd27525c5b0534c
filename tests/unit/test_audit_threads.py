"""Connections that another thread uses than the one that opened them."""

from __future__ import annotations

import textwrap
from typing import List

import pytest
from unit.audited import problems

CODE = "connection_in_other_loop"
HEAD = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from fastapi import FastAPI
from flask import Flask
from ib_insync import IB, MarketOrder, Stock, util
ib = IB()
ib.connect("h", 4001, clientId=3)
app = Flask(__name__)
api = FastAPI()
def ask():
    return ib.qualifyContracts(Stock("A"))
"""


def found(body: str, head: str = HEAD) -> List[str]:
    return [each.summary for each in problems(CODE, head + textwrap.dedent(body))]


@pytest.mark.parametrize(
    "body",
    [
        "threading.Thread(target=ask).start()",
        "threading.Timer(60, ask).start()",
        "def wait():\n    while True:\n        ib.sleep(1)\nthreading.Thread(target=wait).start()",
        "threading.Timer(interval=60, function=ask).start()",
        "ThreadPoolExecutor().submit(ask)",
        "with ThreadPoolExecutor() as pool:\n    pool.map(ask, range(3))",
        "BackgroundScheduler().add_job(ask, 'cron', hour='*')",
        "BackgroundScheduler().add_job(func=ask, trigger='cron')",
        "async def main():\n    await asyncio.to_thread(ask)",
        "async def main():\n    loop = asyncio.get_running_loop()\n    await loop.run_in_executor(None, ask)",
        "@app.route('/')\ndef page():\n    return str(ask())\napp.run()",
        "@app.post('/hook')\ndef page():\n    ib.placeOrder(Stock('A'), MarketOrder('BUY', 1))\napp.run(port=80)",
        "@api.get('/')\ndef page():\n    return str(ask())",
    ],
)
def test_a_thread_without_an_event_loop_is_found(body: str) -> None:
    (summary,) = found(body)
    assert summary == "a thread without an event loop uses ib, which was connected outside of it"


def test_a_thread_that_makes_a_loop_of_its_own_is_found() -> None:
    body = "def job():\n    loop = asyncio.new_event_loop()\n    asyncio.set_event_loop(loop)\n    ask()\n"
    (summary,) = found(body + "threading.Thread(target=job).start()")
    assert "makes a loop of its own" in summary


@pytest.mark.parametrize(
    "body",
    [
        # not in a thread, or not known to be
        "ask()",
        "@app.route('/')\ndef page():\n    return str(ask())",
        "@app.route('/')\ndef page():\n    return str(ask())\napp.run(threaded=False)",
        "@api.get('/')\nasync def page():\n    return str(await ib.reqPositionsAsync())",
        "pool = make()\npool.submit(ask)",
        # what was received is read
        "threading.Thread(target=lambda: print(ib.positions())).start()",
        # a loop of its own is enough to sleep
        "def job():\n    loop = asyncio.new_event_loop()\n    asyncio.set_event_loop(loop)\n    ib.sleep(1)\n"
        "threading.Thread(target=job).start()",
        # it opens its own connection
        "def job():\n    ib.connect()\n    ask()\nthreading.Thread(target=job).start()",
        # it is handed over, or the loop is given
        "def job():\n    loop.call_soon_threadsafe(ask)\nthreading.Thread(target=ask).start()",
        "def job():\n    asyncio.set_event_loop(loop)\n    ask()\nthreading.Thread(target=job).start()",
        "util.startLoop()\nthreading.Thread(target=ask).start()",
    ],
)
def test_what_is_handed_over_or_not_in_a_thread_is_no_problem(body: str) -> None:
    assert found(body) == []


OWNED = """
import threading
from ib_insync import IB
class B:
    def __init__(self):
        self.ib = IB()
        %s
    def up(self):
        self.ib.connect("h", 4001, clientId=3)
    def work(self):
        self.ib.reqPositions()
    def start(self):
        threading.Thread(target=self.work).start()
b = B()
%s
b.start()
"""


@pytest.mark.parametrize(
    ("made", "then", "count"),
    [("self.up()", "", 1), ("pass", "b.up()", 1), ("pass", "threading.Thread(target=b.up).start()", 0)],
)
def test_a_client_of_an_object_counts_where_the_script_itself_connects_it(made: str, then: str, count: int) -> None:
    assert len(found("", OWNED % (made, then))) == count


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("async def turns(job):\n    while True:\n        await job()\nasyncio.run(turns(check))", 1),
        (
            "async def turns(job):\n    await asyncio.gather(asyncio.sleep(1), job())\n"
            "async def main():\n    await turns(check)\nasyncio.run(main())",
            1,
        ),
        ("async def turns(job):\n    await job()\nutil.run(turns(check))", 0),
        ("async def turns(job):\n    await asyncio.sleep(1)\nasyncio.run(turns(print))", 0),
    ],
)
def test_a_coroutine_that_is_handed_to_what_asyncio_runs_is_run_there(body: str, count: int) -> None:
    check = "async def check():\n    ib.placeOrder(Stock('A'), MarketOrder('BUY', 1))\n"
    assert len(found(check + textwrap.dedent(body))) == count
