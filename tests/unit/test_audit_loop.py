"""Where a script patches the event loop, and blocking connects where a loop runs."""

from __future__ import annotations

import pytest
from unit.audited import codes, problems

GUARD = "if __name__ == '__main__':\n"


def patched(text: str) -> str:
    return "from ib_insync import util, IB\n" + text


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("from ib_insync import util", "util.startLoop()"),
        ("from ib_async import util", "util.startLoop()"),
        ("from ib_insync import *", "util.startLoop()"),
        ("import ib_insync", "ib_insync.util.startLoop()"),
        ("from ib_insync import util as u", "u.startLoop()"),
        ("from ib_insync.util import startLoop as start", "start()"),
        ("import nest_asyncio", "nest_asyncio.apply()"),
        ("from ib_async import util", "util.patchAsyncio()"),
        ("from ib_insync import util\npatch = util.startLoop", "patch()"),
    ],
)
def test_a_loop_in_a_method_is_found_whatever_it_is_called(imports: str, call: str) -> None:
    text = "%s\nclass Client:\n    def connect(self):\n        %s\n" % (imports, call)
    (found,) = problems("loop_in_function", text)
    assert (found.line, found.column, found.severity) == (text.split("\n").index("        " + call) + 1, 9, "error")


def test_a_function_that_runs_once_is_less_bad() -> None:
    once = patched("def main():\n    util.startLoop()\n" + GUARD + "    main()\n")
    again = patched("def main():\n    util.startLoop()\n" + GUARD + "    while True:\n        main()\n")
    assert [each.severity for each in problems("loop_in_function", once)] == ["warning"]
    assert [each.severity for each in problems("loop_in_function", again)] == ["error"]


@pytest.mark.parametrize(
    "text",
    [
        GUARD + "    util.startLoop()\n",
        "def other():\n    util.startLoop\n",
        "def main():\n    if 'get_ipython' in globals() and get_ipython():\n        util.startLoop()\n",
        "class util2:\n    def startLoop(self): pass\ndef main():\n    util2().startLoop()\n",
        "# %%\ndef main():\n    util.startLoop()\n",
    ],
)
def test_a_loop_under_the_guard_in_a_notebook_or_of_another_kind_is_no_problem(text: str) -> None:
    assert not codes(patched(text)) & {"loop_in_function", "loop_started_twice", "loop_at_import"}


@pytest.mark.parametrize(
    "text",
    [
        GUARD + "    util.startLoop()\n    util.startLoop()\n",
        GUARD + "    for _ in range(3):\n        util.startLoop()\n",
        "util.startLoop()\ndef main():\n    util.startLoop()\nmain()\n",
    ],
)
def test_a_second_start_is_found(text: str) -> None:
    assert len(problems("loop_started_twice", patched(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        GUARD + "    util.startLoop()\n",
        GUARD + "    if len('x'):\n        util.startLoop()\n    else:\n        util.startLoop()\n",
        GUARD + "    try:\n        util.startLoop()\n    except RuntimeError:\n        util.startLoop()\n",
    ],
)
def test_starts_of_which_only_one_runs_are_not_two(text: str) -> None:
    assert problems("loop_started_twice", patched(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "util.startLoop()\ndef main():\n    pass\n" + GUARD + "    main()\n",
        "util.startLoop()\nclass Client:\n    pass\n",
    ],
)
def test_a_loop_that_an_import_starts_is_found(text: str) -> None:
    assert len(problems("loop_at_import", patched(text))) == 1


def test_a_script_that_another_one_imports_is_a_module() -> None:
    script = patched("util.startLoop()\nib = IB()\nib.connect()\n")
    assert problems("loop_at_import", script) == []
    (found,) = problems("loop_at_import", broker=script, bot="import broker\n")
    assert "another audited script" in found.summary


# --- blocking connects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "async def main():\n    ib.connect()\n",
        "class Bot:\n    async def run(self):\n        ib.connect()\n",
        "def open_it():\n    ib.connect()\nasync def main():\n    open_it()\n",
        "class Bot:\n    def open_it(self):\n        ib.connect()\n    async def run(self):\n        self.open_it()\n",
    ],
)
def test_a_blocking_connect_in_a_coroutine_is_found_also_through_a_function(body: str) -> None:
    assert len(problems("sync_connect_in_coroutine", patched("ib = IB()\n" + body))) == 1


@pytest.mark.parametrize(
    "body",
    [
        "async def main():\n    await ib.connectAsync()\n",
        "def main():\n    ib.connect()\n",
        "async def main():\n    def later():\n        ib.connect()\n    return later\n",
        "import asyncio\ndef open_it():\n    ib.connect()\nasync def main():\n    await asyncio.to_thread(open_it)\n",
        "async def main():\n    return lambda: ib.connect()\n",
    ],
)
def test_a_connect_that_no_coroutine_makes_itself_is_no_problem(body: str) -> None:
    assert problems("sync_connect_in_coroutine", patched("ib = IB()\n" + body)) == []
