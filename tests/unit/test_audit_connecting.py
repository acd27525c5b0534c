"""Timeouts, error handling, retries, sleeps, the way out and the log."""

from __future__ import annotations

import textwrap

import pytest
from unit.audited import problems

HEAD = "from ib_insync import IB, util\nimport asyncio, atexit, contextlib, logging, random, signal, time\nib = IB()\n"
OFFICIAL = "from ibapi.client import EClient\nfrom ibapi.wrapper import EWrapper\nimport time\n"


def found(code: str, body: str, head: str = HEAD) -> list[str]:
    return [each.severity for each in problems(code, head + textwrap.dedent(body))]


# --- timeouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ("ib.connect('h', 4001, 1)", "note"),
        ("ib.connect('h', 4001, 1, timeout=0)", "error"),
        ("ib.connect('h', 4001, 1, 0)", "error"),
        ("NEVER = None\nib.connect('h', 4001, 1, timeout=NEVER)", "error"),
        ("def go(timeout=None):\n    ib.connect('h', 4001, 1, timeout=timeout)", "error"),
        ("async def go():\n    await ib.connectAsync('h', 4001, 1)", "note"),
    ],
)
def test_a_connect_without_a_timeout_is_found(body: str, severity: str) -> None:
    assert found("connect_without_timeout", body) == [severity]


@pytest.mark.parametrize(
    "body",
    [
        "ib.connect('h', 4001, 1, timeout=20)",
        "ib.connect('h', 4001, 1, 20)",
        "ib.connect('h', **{'timeout': 20})",
        "def go(timeout=20):\n    ib.connect('h', 4001, 1, timeout=timeout)",
        "async def go():\n    await asyncio.wait_for(ib.connectAsync('h', 4001, 1), 20)",
        "async def go():\n    async with asyncio.timeout(20):\n        await ib.connectAsync('h', 4001, 1)",
    ],
)
def test_a_connect_with_a_limit_is_no_problem(body: str) -> None:
    assert found("connect_without_timeout", body) == []


def test_the_official_library_has_no_timeout_to_give() -> None:
    assert found("connect_without_timeout", "EClient(None).connect('h', 4001, 1)", OFFICIAL) == []


# --- error handling --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "ib.connect()",
        "try:\n    ib.connect()\nfinally:\n    ib.disconnect()",
        "try:\n    pass\nexcept OSError:\n    ib.connect()",
        "def go():\n    ib.connect()\ngo()",
        "def go():\n    ib.connect()\ntry:\n    go()\nexcept OSError:\n    pass\ngo()",
        "try:\n    def go():\n        ib.connect()\nexcept OSError:\n    pass\ngo()",
    ],
)
def test_a_connect_that_nobody_handles_is_found(body: str) -> None:
    assert found("connect_without_error_handling", body) == ["warning"]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    ib.connect()\nexcept OSError:\n    raise SystemExit(1)",
        "with contextlib.suppress(OSError):\n    ib.connect()",
        "def go():\n    ib.connect()\ntry:\n    go()\nexcept OSError:\n    pass",
        "class Bot:\n    def __init__(self):\n        ib.connect()\ntry:\n    Bot()\nexcept OSError:\n    pass",
        "async def go():\n    try:\n        await ib.connectAsync()\n    except asyncio.TimeoutError:\n        pass",
    ],
)
def test_a_connect_that_is_handled_here_or_by_every_caller_is_no_problem(body: str) -> None:
    assert found("connect_without_error_handling", body) == []


def test_the_official_library_s_connect_does_not_raise() -> None:
    text = "class App(EWrapper, EClient):\n    def %s(self, *given):\n        pass\napp = App()\n"
    text += "app.connect('h', 4001, 1)\n"
    assert found("connect_without_error_handling", text % "error", OFFICIAL) == []
    assert found("connect_without_error_handling", text % "other", OFFICIAL) == []


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [
        ("import tenacity\n@tenacity.retry(stop=tenacity.stop_after_delay(600))\n", []),
        ("from backoff import on_exception, expo\n@on_exception(expo, OSError)\n", []),
        ("import functools\n@functools.lru_cache\n", ["warning"]),
    ],
)
def test_a_decorator_that_calls_again_catches_the_error(decorator: str, expected: list[str]) -> None:
    text = decorator + "def go():\n    ib.connect()\ngo()"
    assert found("connect_without_error_handling", text) == expected


def test_whether_a_function_that_only_others_call_is_handled_is_for_them_to_say() -> None:
    assert found("connect_without_error_handling", "def go():\n    ib.connect()") == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("try:\n    ib.connect()\nexcept Exception:\n    pass\nib.reqPositions()", ["note"]),
        ("try:\n    ib.connect()\nexcept:\n    ...\nib.reqPositions()", ["note"]),
        ("import contextlib\nwith contextlib.suppress(OSError):\n    ib.connect()\nib.positions()", ["note"]),
        ("import contextlib\nwith contextlib.suppress(KeyError):\n    ib.connect()\nprint(ib)", []),
        ("try:\n    ib.connect()\nexcept (OSError, asyncio.TimeoutError):\n    pass\nprint(ib)", ["note"]),
        (
            "def up():\n    try:\n        ib.connect()\n    except OSError:\n        pass\nup()\nib.positions()",
            ["note"],
        ),
        # who goes on knows whether it is connected, or nobody goes on
        ("ok = 0\ntry:\n    ib.connect()\n    ok = 1\nexcept OSError:\n    pass\nif ok:\n    ib.positions()", []),
        ("try:\n    ib.connect()\nexcept OSError:\n    pass\nelse:\n    print('up')\nprint(ib)", []),
        (
            "def up():\n    try:\n        ib.connect()\n        return 1\n    except OSError:\n        pass\n"
            "print(up(), ib)",
            [],
        ),
        ("try:\n    ib.connect()\n    print(ib.positions())\nexcept OSError:\n    pass", []),
        ("try:\n    ib.connect()\n    print(ib.positions())\nexcept OSError:\n    pass\nib.disconnect()", []),
        ("try:\n    ib.connect()\nexcept OSError:\n    pass\nif ib.client.isReady():\n    print(ib)", []),
        ("try:\n    ib.connect()\nexcept OSError as error:\n    print(error)\nprint(ib)", []),
        ("try:\n    ib.connect()\nexcept OSError as error:\n    print(error)\nib.reqPositions()", ["note"]),
        ("try:\n    ib.connect()\nexcept OSError as error:\n    ib.errorEvent += print\nib.reqPositions()", []),
        ("try:\n    ib.connect()\nexcept OSError as error:\n    failed = error\nib.reqPositions()", []),
        ("try:\n    ib.connect()\nexcept OSError as error:\n    print(error)\nib.errorEvent += print", []),
        ("try:\n    ib.connect()\nexcept OSError as error:\n    print(error)\nprint(ib.isConnected())\nib.run()", []),
        ("try:\n    ib.connect()\nexcept OSError:\n    raise\nexcept ValueError:\n    print(1)\nib.run()", []),
        (
            "def error(text):\n    raise SystemExit(text)\n"
            "try:\n    ib.connect()\nexcept OSError as why:\n    error(why)\nib.run()",
            [],
        ),
        (
            "class B:\n    def up(self):\n        self.ib = IB()\n        try:\n            self.ib.connect()\n"
            "        except Exception:\n            logging.exception('no connection')\n"
            "    def ask(self):\n        return self.ib.reqPositions()",
            ["note"],
        ),
        # another client of the same name
        (
            "def one():\n    c = IB()\n    try:\n        c.connect()\n    except OSError:\n        print('no')\n"
            "def two(c):\n    c.reqPositions()",
            [],
        ),
        (
            "def one():\n    c = IB()\n    try:\n        c.connect()\n    except OSError:\n        print('no')\n"
            "    return c",
            ["note"],
        ),
        ("try:\n    ib.connect()\nexcept OSError:\n    raise SystemExit(1)\nprint(ib)", []),
        ("try:\n    ib.connect()\nexcept ValueError:\n    pass\nprint(ib)", []),
        ("try:\n    ib.connect()\nexcept OSError:\n    pass\nif not ib.isConnected():\n    raise SystemExit(1)", []),
    ],
)
def test_an_error_that_is_passed_over_in_silence_is_found(body: str, expected: list[str]) -> None:
    assert found("connect_error_swallowed", body) == expected


def test_an_error_that_is_told_is_not_said_to_be_passed_over_in_silence() -> None:
    (told,) = problems(
        "connect_error_swallowed", HEAD + "try:\n    ib.connect()\nexcept OSError:\n    print('no')\nib.run()"
    )
    assert "only told (line" in told.summary and "silence" not in told.summary


def test_who_asks_in_another_script_whether_it_is_connected_knows() -> None:
    text = "from ib_insync import IB\nib = IB()\ndef up():\n    try:\n        ib.connect()\n"
    text += "    except OSError as error:\n        print(error)\n    return ib\n"
    asks = "import text\nclient = text.up()\nprint(client.isConnected())\n"
    assert problems("connect_error_swallowed", text=text, other="import text\nprint(text.up())\n") != []
    assert problems("connect_error_swallowed", text=text, other=asks) == []


# --- retries ---------------------------------------------------------------------------------------------------------

RETRY = """
def run():
    delay = 1
    while True:
        try:
            ib.connect('h', 4001, 1)
            break
        except OSError:
            %s
"""


@pytest.mark.parametrize(
    "action",
    [
        "continue",
        "pass",
        "time.sleep(5)",
        "ib.sleep(delay)",
        "logging.info('again'); time.sleep(2)",
        "if ib:\n                raise",
    ],
)
def test_a_retry_without_backoff_is_found(action: str) -> None:
    assert found("retry_without_backoff", RETRY % action) == ["warning"]


@pytest.mark.parametrize(
    "action",
    [
        "time.sleep(delay); delay *= 2",
        "time.sleep(delay); delay = min(delay * 2, 60)",
        "time.sleep(random.uniform(1, delay))",
        "raise",
        "return",
        "break",
    ],
)
def test_a_retry_that_slows_down_or_does_not_go_on_is_no_problem(action: str) -> None:
    assert found("retry_without_backoff", RETRY % action) == []


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("time.sleep(5)", "the same delay each time (5 s)"),
        ("time.sleep(5) if ib else time.sleep(20)", "the same delays each time (5 s, 20 s)"),
        ("time.sleep(5); ib.sleep(5)", "the same delay each time (5 s)"),
    ],
)
def test_of_several_delays_each_is_named_and_no_sum_that_no_turn_waits(action: str, told: str) -> None:
    shown = problems("retry_without_backoff", HEAD + RETRY % action)
    assert [told in each.summary for each in shown] == [True], shown


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "def go():\n    try:\n        ib.connect()\n        return True\n    except OSError:\n"
            "        return False\nwhile not go():\n    pass",
            [],
        ),
        (
            "def go():\n    ib.connect()\nfor _ in range(5):\n    try:\n        go()\n    except OSError:\n"
            "        pass",
            ["warning"],
        ),
        (
            "for pause in (1, 2, 4):\n    try:\n        ib.connect()\n        break\n    except OSError:\n"
            "        time.sleep(pause)",
            [],
        ),
        ("while not ib.isConnected():\n    ib.connect()", []),  # a failure ends the script
        ("for port in (4001, 4002):\n    ib.connect('h', port)", []),
    ],
)
def test_retries_through_functions_and_other_loops(body: str, expected: list[str]) -> None:
    assert found("retry_without_backoff", body) == expected


# --- sleeps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "async def go():\n    time.sleep(1)",
        "async def go():\n    ib.sleep(1)",
        "async def go():\n    util.sleep(1)",
        "from time import sleep as nap\nasync def go():\n    nap(1)",
        "def handler(trade):\n    time.sleep(1)\nib.orderStatusEvent += handler",
        "def handler(trade):\n    time.sleep(1)\nib.orderStatusEvent.connect(handler)",
        "class Bot:\n    def on(self, trade):\n        ib.sleep(1)\n    def run(self):\n"
        "        ib.errorEvent += self.on",
        "def helper():\n    time.sleep(1)\ndef handler(trade):\n    helper()\nib.orderStatusEvent += handler",
        "ib.orderStatusEvent += lambda trade: time.sleep(1)",
    ],
)
def test_a_sleep_in_a_coroutine_or_handler_is_found(body: str) -> None:
    assert found("blocking_sleep", body) == ["warning"]


@pytest.mark.parametrize(
    "body",
    [
        "async def go():\n    await asyncio.sleep(1)",
        "def go():\n    time.sleep(1)\n    ib.sleep(1)",
        "def go():\n    time.sleep(1)\nasync def run():\n    await asyncio.to_thread(go)",
        "def handler(trade):\n    pass\nib.orderStatusEvent += handler\ntime.sleep(1)",
        "class other:\n    def sleep(self): pass\nasync def go():\n    other().sleep()",
    ],
)
def test_a_sleep_that_stops_no_loop_is_no_problem(body: str) -> None:
    assert found("blocking_sleep", body) == []


def test_a_sleep_in_a_callback_of_the_official_library_is_found() -> None:
    text = "class App(EWrapper, EClient):\n    def %s(self, *given):\n        time.sleep(1)\n"
    assert found("blocking_sleep", text % "nextValidId", OFFICIAL) == ["warning"]
    assert found("blocking_sleep", text % "my_own", OFFICIAL) == []


# --- the way out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "ib.connect()\nib.reqPositions()",
        "ib.connect()\nib.reqPositions()\nib.disconnect()",
        "def stop():\n    ib.disconnect()\nib.connect()\nprint('done')\nstop()",
        "try:\n    ib.connect()\nexcept OSError:\n    ib.disconnect()",
        "ib.connect()\nprint(1)\nib.disconnect()",
        "class Bot:\n    def go(self):\n        ib.connect()\nBot().go()",
    ],
)
def test_a_connection_that_nobody_ends_for_certain_is_found(body: str) -> None:
    assert found("no_disconnect", body) == ["note"]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    ib.connect()\nfinally:\n    ib.disconnect()",
        "def stop():\n    ib.disconnect()\ntry:\n    ib.connect()\nfinally:\n    stop()",
        "ib.connect()\nib.disconnect()",
        "import importlib\nx = importlib.import_module('ib_async').IB()\ntry:\n    x.connect(clientId=1)\nfinally:\n"
        "    x.disconnect()",
        "ib.connect()\natexit.register(ib.disconnect)",
        "def stop(*_):\n    ib.disconnect()\nsignal.signal(signal.SIGTERM, stop)\nib.connect()",
        "with IB() as other:\n    other.connect()",
        "with IB().connect() as other:\n    pass",
        "with contextlib.ExitStack() as stack:\n    ib.connect()\n    stack.callback(ib.disconnect)",
        "class Bot:\n    def __enter__(self):\n        ib.connect()\n    def __exit__(self, *_):\n"
        "        ib.disconnect()\nprint(Bot())",
    ],
)
def test_a_connection_that_is_ended_whatever_happens_is_no_problem(body: str) -> None:
    assert found("no_disconnect", body) == []


def test_a_class_that_offers_disconnect_leaves_it_to_who_imports_it() -> None:
    body = "class Bot:\n    def go(self):\n        ib.connect()\n    def stop(self):\n        ib.disconnect()\n"
    assert found("no_disconnect", body) == []


# --- the log ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "ib.connect()",
        "logging.basicConfig()\nib.connect()",
        "logging.basicConfig(level=logging.WARNING)\nib.connect()",
        "log = logging.getLogger()\nlog.info('connected')\nib.connect()",
        "print('port 4001')\nib.connect()",
    ],
)
def test_a_connection_that_no_log_tells_of_is_found(body: str) -> None:
    assert found("connection_not_logged", body) == ["note"]


@pytest.mark.parametrize(
    "body",
    [
        "print('port 4001, client 15')\nib.connect()",
        "print('connecting to 127.0.0.1:4001 as client', 15)\nib.connect()",
        "logging.basicConfig(level=logging.INFO)\nib.connect()",
        "logging.basicConfig(level=10)\nib.connect()",
        "util.logToConsole()\nib.connect()",
        "log = logging.getLogger()\nlog.info('connecting to %s:%s as client %s', host, port, client_id)\nib.connect()",
        "log = logging.getLogger()\nlog.info(f'{host}:{port} {clientId}')\nib.connect()",
    ],
)
def test_a_connection_that_a_log_tells_of_is_no_problem(body: str) -> None:
    assert found("connection_not_logged", body) == []


def test_logging_that_the_importing_script_sets_up_counts() -> None:
    library = "from ib_insync import IB\ndef go():\n    IB().connect()\n"
    main = "import logging, broker\nlogging.basicConfig(level=logging.INFO)\nbroker.go()\n"
    assert problems("connection_not_logged", broker=library, main=main) == []
    assert problems("connection_not_logged", broker=library, main="import broker\nbroker.go()\n")
