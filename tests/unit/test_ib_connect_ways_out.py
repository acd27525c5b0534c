"""Event loops, signals, exits and forks: what the kit prepares once, what it leaves alone, and what it puts back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from unit.api_peer import Peer, stay_silent
from unit.client_kit import KIT, ib_connect, lock_folder, profile, write_profiles

ENDING = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Any]:
    """A connection that would wait long for its gateway."""
    with Peer(stay_silent) as peer:
        file = write_profiles(tmp_path, paper=profile(peer.port, "paper"))
        yield ib_connect.connect("paper", profiles=file, locks=lock_folder(tmp_path), timeout=30)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts the signals' handlers back, whatever a test or the test runner did with them."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def in_thread(work: Callable[[], None]) -> None:
    """Runs it in a thread and raises what it raises."""
    raised: List[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # passed on to the test
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def command(text: str) -> List[str]:
    """The argv of a script that can import the kit."""
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(KIT)!r})\n{textwrap.dedent(text)}"]


def script(text: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of its own that can import the kit."""
    return subprocess.run(command(text), capture_output=True, text=True, timeout=60, check=False)


# --- event loops -----------------------------------------------------------------------------------------------------


def test_a_loop_that_is_there_is_used_and_not_replaced() -> None:
    loop = asyncio.new_event_loop()

    def work() -> None:
        asyncio.set_event_loop(loop)
        assert ib_connect.prepare_loop() == (loop, False)
        assert ib_connect.prepare_loop() == (loop, False)

    in_thread(work)
    loop.close()


def test_a_thread_without_a_loop_gets_one_and_only_one() -> None:
    def work() -> None:
        loop, made = ib_connect.prepare_loop()
        assert made and ib_connect.prepare_loop() == (loop, False)
        loop.close()
        other, made = ib_connect.prepare_loop()
        assert made and other is not loop
        other.close()

    in_thread(work)


def test_the_loop_is_there_before_the_library_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on Python 3.14: a library that asks for a loop while it is imported, where nothing makes one.
    (tmp_path / "needs_a_loop.py").write_text("import asyncio\nLOOP = asyncio.get_event_loop()\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    in_thread(lambda: ib_connect.load_library("needs_a_loop").LOOP.close())


def test_the_library_that_a_script_has_imported_is_the_one_that_is_used() -> None:
    program = "import {0}, ib_connect; sys.exit(ib_connect.load_library().__name__ != '{0}')"
    for library in ib_connect.LIBRARIES:
        assert script(program.format(library)).returncode == 0, library


def test_importing_the_kit_imports_no_library_and_makes_no_loop() -> None:
    done = script("""
        import asyncio
        asyncio.new_event_loop = lambda: sys.exit("made a loop")
        import ib_connect
        sys.exit("ib_insync" in sys.modules or "ib_async" in sys.modules or "nest_asyncio" in sys.modules)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_blocking_connect_in_a_running_loop_is_refused_with_the_way_out(connection: Any) -> None:
    async def coroutine() -> None:
        connection.open()

    with pytest.raises(ib_connect.LoopRunning, match="async with connect_async"):
        asyncio.run(coroutine())
    assert not hasattr(asyncio, "_nest_patched")


def test_a_notebook_s_running_loop_is_made_nestable_once(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: List[Any] = []

    def apply(loop: Any) -> None:
        applied.append(loop)
        loop._nest_patched = True

    notebook = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "nest_asyncio", types.SimpleNamespace(apply=apply))

    async def cell() -> None:
        ib_connect.blocking_loop()
        ib_connect.blocking_loop()

    asyncio.run(cell())
    assert len(applied) == 1


def test_a_terminal_s_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: object()))
    assert not ib_connect.in_notebook()


# --- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [*ENDING, signal.SIGINT])
@pytest.mark.usefixtures("connection")
def test_a_signal_while_connecting_ends_the_script_and_gives_everything_back(
    number: signal.Signals, tmp_path: Path
) -> None:
    stubborn = """
        import ib_connect, signal
        # As in a terminal, however the tests are run: nohup leaves one of them ignored, a shell's & another.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        while True:
            try:
                ib_connect.connect("paper", profiles=sys.argv[1], locks=sys.argv[2]).open()
            except Exception:
                pass
    """
    locks = tmp_path / "locks"
    process = subprocess.Popen(
        [*command(stubborn), str(tmp_path / "profiles.json"), str(locks)], stderr=subprocess.PIPE
    )
    with process:
        try:
            while not any(path.name.startswith("slot-") for path in locks.iterdir()):
                assert process.poll() is None
                threading.Event().wait(0.01)
            process.send_signal(number)
            assert process.wait(30) == -number
        finally:
            process.kill()
    assert all(ib_connect.Lock.take(str(path)) for path in locks.iterdir())
    for lock in list(ib_connect.Lock.held):
        lock.release()


@pytest.mark.usefixtures("handlers")
def test_a_handler_of_the_script_s_own_stays_in_force(connection: Any) -> None:
    def own(_number: int, _frame: Any) -> None:
        raise InterruptedError("the script's own")

    signal.signal(signal.SIGTERM, own)
    connection._begin()
    try:
        assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGHUP) is ib_connect.end_by_signal
    finally:
        connection._let_go()
    assert signal.getsignal(signal.SIGTERM) is own
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.usefixtures("handlers")
def test_a_handler_that_the_script_sets_meanwhile_is_not_taken_away(connection: Any) -> None:
    def own(_number: int, _frame: Any) -> None:
        pass

    connection._begin()
    signal.signal(signal.SIGTERM, own)
    connection._let_go()
    assert signal.getsignal(signal.SIGTERM) is own


@pytest.mark.usefixtures("handlers")
def test_an_ignored_signal_stays_ignored(connection: Any) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    connection._begin()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    connection._let_go()


@pytest.mark.usefixtures("handlers")
def test_a_connection_in_a_thread_leaves_signals_alone(connection: Any) -> None:
    def work() -> None:
        connection._begin()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        connection._let_go()
        asyncio.get_event_loop().close()

    in_thread(work)


@pytest.mark.usefixtures("handlers")
def test_signals_are_given_back_with_the_last_connection(connection: Any, tmp_path: Path) -> None:
    other = ib_connect.connect("paper", profiles=tmp_path / "profiles.json", locks=tmp_path / "locks")
    connection._begin()
    other._begin()
    connection._let_go()
    assert signal.getsignal(signal.SIGTERM) is ib_connect.end_by_signal
    other._let_go()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# --- use -------------------------------------------------------------------------------------------------------------


def test_what_was_never_opened_can_be_closed(connection: Any) -> None:
    connection.close()
    assert "closed" in repr(connection)
    with pytest.raises(RuntimeError, match="is not open"):
        asyncio.run(connection._reopen(None))


def test_a_connection_is_opened_once_at_a_time(connection: Any) -> None:
    connection._begin()
    try:
        with pytest.raises(RuntimeError, match="is open"):
            connection._begin()
    finally:
        connection._let_go()
