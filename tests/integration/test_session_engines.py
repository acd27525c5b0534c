"""The three engines against the simulated gateway: a plain socket, ib_insync and ib_async see the same thing."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.api import handshake, session, wire
from ansible.module_utils.ib_gateway.api.client_ids import PROBE_IDS
from ansible.module_utils.ib_gateway.base.probe import FULL, QUICK, STAGES, Probe
from simulator.launch import HeldSession, SimulatedGateway
from simulator.options import FAULTS, QUIRKS

pytestmark = pytest.mark.integration

LONG = 30.0  # seconds: what can be certain early is, long before this
SHORT = 1.5  # seconds: for what shows only by being waited for
BOUND = 10.0  # seconds: what proves that a probe kept its time, on a machine however busy

Gateways = Callable[..., SimulatedGateway]


class Engine(NamedTuple):
    """One way to open a session, and the name that its probes carry."""

    name: str
    library: Optional[str]

    def probe(self, port: int, timeout: float = LONG, client_id: Optional[int] = None, depth: str = QUICK) -> Probe:
        """A probe that proves, with a wide margin, that it kept its time."""
        options: Dict[str, Any] = {"client_id": client_id, "timeout": timeout, "depth": depth}
        began = time.monotonic()
        if self.library is None:
            found = handshake.probe("127.0.0.1", port, **options)
        else:
            found = session.probe("127.0.0.1", port, library=self.library, **options)
        assert time.monotonic() - began < BOUND
        assert found.engine == self.name
        return found


ENGINES = [Engine("socket", None), Engine("ib_insync", "ib_insync"), Engine("ib_async", "ib_async")]
LIBRARY_ENGINES = ENGINES[1:]


class Seen(NamedTuple):
    """What every engine must say about a fault; `code` is the error's."""

    outcome: str
    stage: str
    ok: bool = False
    code: Optional[int] = None
    timeout: float = LONG


GOOD = Seen("ready", "current_time", ok=True)

#: For a client that finds the fault as it is, and for one that comes while another holds a session.
ALONE: Dict[str, Seen] = {
    "one-slot": GOOD,
    "stall": Seen("stalled", "start_api", timeout=SHORT),
    "silent": Seen("silent", "server_version", timeout=SHORT),
    "drop-after-hello": Seen("dropped", "start_api"),
    "never-accept": Seen("silent", "server_version", timeout=SHORT),
    "close-listener-on-second": GOOD,
    "no-listener": Seen("refused", "tcp"),
    "id-in-use": Seen("id_in_use", "start_api", code=326),
    "upstream-lost": Seen("ready", "current_time", code=1100),
    "ignore-sigterm": GOOD,
    "no-close": GOOD,
    "garbage": Seen("dropped", "server_version"),
    "huge-prefix": Seen("dropped", "server_version"),
    "trickle": Seen("silent", "server_version", timeout=SHORT),
    "stop-accepting": GOOD,
    "close-on-used-id": GOOD,
    "disclaimer": Seen("dropped", "start_api", code=10141),
    "no-order-id": Seen("incomplete", "start_api", timeout=SHORT),
    "silent-after-ready": Seen("unanswered", "sync", timeout=SHORT),
    "farms-broken": GOOD,
}
BESIDE_ANOTHER: Dict[str, Seen] = {
    "one-slot": Seen("stalled", "start_api", timeout=SHORT),
    "close-listener-on-second": Seen("stalled", "start_api", timeout=SHORT),
    "stop-accepting": Seen("silent", "server_version", timeout=SHORT),
    "no-close": GOOD,
}


@pytest.fixture()
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    """Starts gateways and ends them the hard way, which no fault withstands."""
    with contextlib.ExitStack() as stack:

        def start(*faults: str, **options: Any) -> SimulatedGateway:
            gateway = SimulatedGateway(tmp_path, faults=faults, **options).start()
            stack.callback(gateway.kill)
            return gateway

        yield start


def assert_seen(found: Probe, expected: Seen) -> None:
    code = found.error["code"] if found.error else None
    assert Seen(found.outcome, found.stage, found.ok, code, expected.timeout) == expected
    assert (found.error is None) == found.ok
    passed = STAGES[: STAGES.index(found.stage) + (found.outcome == "ready")]
    told = tuple(stage for stage in passed if stage != "current_time" or found.outcome == "ready")
    assert tuple(sorted(found.timings_ms, key=STAGES.index)) == told


def test_every_fault_of_the_simulator_is_held_against_the_engines() -> None:
    assert set(ALONE) == set(FAULTS)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("fault", sorted(ALONE))
def test_every_engine_sees_the_same_of_every_fault(engine: Engine, fault: str, gateways: Gateways) -> None:
    expected = ALONE[fault]
    assert_seen(engine.probe(gateways(fault).port, expected.timeout), expected)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("fault", sorted(BESIDE_ANOTHER))
def test_every_engine_sees_the_same_beside_another_client(
    engine: Engine, fault: str, gateways: Gateways, tmp_path: Path
) -> None:
    expected = BESIDE_ANOTHER[fault]
    port = gateways(fault).port
    with HeldSession(tmp_path, port=port):
        assert_seen(engine.probe(port, expected.timeout), expected)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_reads_a_good_gateway_in_full(engine: Engine, gateways: Gateways) -> None:
    found = engine.probe(gateways(mode="live", accounts=("U1234567", "U7654321")).port, client_id=17)
    assert found == Probe(
        outcome="ready",
        stage="current_time",
        ok=True,
        engine=engine.name,
        server_version=176,
        accounts=("U*****67", "U*****21"),
        trading_mode="live",
        client_id=17,
        timings_ms=found.timings_ms,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_leaves_its_slot_free_for_the_next(engine: Engine, gateways: Gateways) -> None:
    port = gateways("one-slot").port
    assert [engine.probe(port, client_id=17).ok for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_takes_another_id_where_its_own_stays_taken(engine: Engine, gateways: Gateways) -> None:
    port = gateways("no-close").port
    assert [engine.probe(port).client_id for _ in range(3)] == list(PROBE_IDS[:3])


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_refuses_client_id_zero(engine: Engine) -> None:
    with pytest.raises(ValueError, match="orders entered by hand"):
        engine.probe(4001, client_id=0)


@pytest.mark.parametrize("engine", LIBRARY_ENGINES, ids=lambda engine: engine.name)
def test_a_server_version_that_the_library_does_not_take_is_named(engine: Engine, gateways: Gateways) -> None:
    found = engine.probe(gateways(server_version=150).port)
    assert (found.outcome, found.stage, found.server_version) == ("unsupported", "start_api", 150)
    assert found.error is not None
    assert found.error["message"].startswith(f"speaks server version 150, {engine.name} 157 to ")


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("accounts", [("U1234567",), ("F7654321", "U1234567", "U7654321")])
def test_every_engine_reads_what_scripts_read_and_leaves_nothing_behind(
    engine: Engine, accounts: Tuple[str, ...], gateways: Gateways
) -> None:
    port = gateways("one-slot", mode="live", accounts=accounts).port
    for _ in range(2):
        found = engine.probe(port, client_id=17, depth=FULL)
        assert (found.outcome, found.stage, found.ok, found.error) == ("ready", "sync", True, None)
        assert tuple(found.timings_ms) == STAGES
        assert set(found.sync) == {"positions", "open_orders", "completed_orders", "account_updates", "executions"}
        assert None not in found.sync.values()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_no_engine_takes_an_opened_session_for_one_that_serves(engine: Engine, gateways: Gateways) -> None:
    found = engine.probe(gateways("silent-after-ready").port, SHORT, depth=FULL)
    assert (found.outcome, found.stage, found.ok) == ("unanswered", "sync", False)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_names_the_farms_that_are_broken(engine: Engine, gateways: Gateways) -> None:
    found = engine.probe(gateways("farms-broken").port)
    assert found.ok and found.notices == ()
    assert sorted((farm["name"], farm["code"]) for farm in found.farms) == [
        ("secdefil", 2157),
        ("usfarm", 2103),
        ("ushmds", 2105),
    ]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("quirk", [*QUIRKS, ""])
def test_no_engine_falls_over_what_healthy_gateways_do(engine: Engine, quirk: str, gateways: Gateways) -> None:
    found = engine.probe(gateways(quirks=[quirk] if quirk else []).port, depth=FULL)
    assert (found.outcome, found.stage, found.ok) == ("ready", "sync", True)


@pytest.mark.parametrize("depth", [QUICK, FULL])
@pytest.mark.parametrize("version", [100, 149, 150, 176, 194, 200, 201, 203, 206, 207, 212, 213, 226])
def test_the_socket_engine_speaks_every_version(
    version: int, depth: str, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "hello", lambda _offered: b"API\0" + wire.prefixed(b"v%d..%d" % (version, version)))
    found = ENGINES[0].probe(gateways("farms-broken", server_version=300).port, depth=depth)
    assert (found.ok, found.server_version, found.accounts, len(found.farms)) == (True, version, ("DU*****67",), 3)
    assert None not in found.sync.values()


@pytest.mark.parametrize("engine", LIBRARY_ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("fault", ["one-slot", "id-in-use", "drop-after-hello", "no-listener"])
def test_the_libraries_write_nothing_and_leave_logging_as_it_was(
    engine: Engine, fault: str, gateways: Gateways, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port = gateways(fault).port
    loggers = [logging.getLogger(name) for name in (engine.name, "eventkit", "asyncio")]
    own = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(own)
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    engine.probe(port)
    assert [(logger.handlers, logger.propagate) for logger in loggers] == before
    for logger in loggers:
        logger.removeHandler(own)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize("engine", LIBRARY_ENGINES, ids=lambda engine: engine.name)
def test_a_session_can_be_opened_from_within_a_running_loop(engine: Engine, gateways: Gateways) -> None:
    port = gateways().port

    async def script() -> Probe:
        return engine.probe(port)

    assert asyncio.run(script()).ok


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("fault", ["one-slot", "stall", "never-accept", "no-listener", "id-in-use", "garbage"])
def test_no_engine_leaves_a_descriptor_or_a_connection(engine: Engine, fault: str, gateways: Gateways) -> None:
    port = gateways(fault).port
    engine.probe(port, timeout=0.3)  # the imports open files of their own
    before = set(os.listdir("/proc/self/fd"))
    engine.probe(port, timeout=0.3)
    assert set(os.listdir("/proc/self/fd")) == before


def test_without_a_library_it_is_said_how_to_add_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert session.available() is None
    with pytest.raises(session.SessionUnavailable, match=r"pip install ib_insync==0\.9\.86") as caught:
        session.probe("127.0.0.1", 4001)
    assert sys.executable in str(caught.value)
    assert session.how_to_add() == str(caught.value)


def test_where_the_interpreter_is_the_system_s_own_the_way_needs_no_pip_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    told = session.how_to_add()
    assert "playbooks/install_host_runtime.yml" in told and "python3 -m venv /opt/ib-session" in told
    assert f"{sys.executable} -m pip" not in told


def test_ib_insync_is_preferred_and_ib_async_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert session.available() == "ib_insync"
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ib_insync" else real(name))
    assert session.available() == "ib_async"
    with pytest.raises(session.SessionUnavailable, match="ib_insync is not installed"):
        session.probe("127.0.0.1", 4001, library="ib_insync")


def test_a_library_that_cannot_be_imported_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def fail(name: str) -> Any:
        if name.partition(".")[0] == "ib_insync":
            raise ImportError("numpy is broken")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    session._client_class.cache_clear()
    with pytest.raises(session.SessionUnavailable, match=r"cannot be imported \(numpy is broken\)"):
        session.probe("127.0.0.1", 4001, library="ib_insync")


def test_a_library_that_is_no_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="ibapi"):
        session.probe("127.0.0.1", 4001, library="ibapi")
