"""The connection kit on a host: real scripts, real sockets, both libraries, and gateways that misbehave."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import HeldSession, SimulatedGateway
from simulator.options import FAULTS
from unit.client_kit import ib_connect, lock_folder, profile, write_profiles

from integration.desk import until
from integration.ibapi_app import App
from integration.kit_desk import LIBRARIES, KitHost

SOON = 10.0  # seconds: "at once", on a machine however busy
DEADLINE = 6.0  # seconds for a connect that is to fail

both_libraries = pytest.mark.parametrize("library", LIBRARIES)
all_libraries = pytest.mark.parametrize("library", [*LIBRARIES, "ibapi"])

#: What each fault comes to for a script that is alone; None: it connects.
NAMED: dict[str, tuple[str, str] | None] = {
    "one-slot": None,
    "stall": ("Stalled", "start_api"),
    "silent": ("Silent", "server_version"),
    "drop-after-hello": ("Dropped", "start_api"),
    "never-accept": ("Silent", "server_version"),
    "close-listener-on-second": None,
    "no-listener": ("Refused", "tcp"),
    "id-in-use": ("ClientIdInUse", "start_api"),
    "upstream-lost": None,
    "ignore-sigterm": None,
    "no-close": None,
    "garbage": ("Dropped", "server_version"),
    "huge-prefix": ("Dropped", "server_version"),
    "trickle": ("Silent", "server_version"),
    "stop-accepting": None,
    "close-on-used-id": None,
    "disclaimer": ("Stalled", "start_api"),
    "no-order-id": ("Stalled", "start_api"),
    "silent-after-ready": ("Stalled", "synchronize"),
    "farms-broken": None,
}
#: What ibapi cannot tell apart: it waits for the rest of what is no message at all.
NAMED_WITH_IBAPI = {**NAMED, "garbage": ("Silent", "server_version"), "huge-prefix": ("Silent", "server_version")}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[KitHost]:
    """A host that leaves nothing behind."""
    with ExitStack() as stack:
        yield KitHost(tmp_path, stack)


# --- many scripts ----------------------------------------------------------------------------------------------------


@all_libraries
def test_fifty_scripts_at_once_get_fifty_ids_and_pass_through_one_slot(host: KitHost, library: str) -> None:
    host.gateway("one-slot")
    crowd = host.script("crowd", wait=False, library=library, crowd=50, timeout=90)
    state = crowd.wait_ready(timeout=120)
    assert [each["error"] for each in state["told"] if "error" in each] == [], crowd.log_text()
    assert len({each["id"] for each in state["told"]}) == 50
    stays = sorted((each["since"], each["until"]) for each in state["told"])
    assert all(left <= came for (_, left), (came, _) in zip(stays, stays[1:]))  # never two at a time
    assert host.held() == []


def test_several_slots_are_all_used_and_no_more(host: KitHost) -> None:
    host.set_profile(max_api_clients=2)
    host.gateway()
    holders = [host.script("hold"), host.script("hold")]
    with pytest.raises(ib_connect.SlotBusy) as caught:
        host.connection(wait=0).open()
    assert {holder.pid for holder in caught.value.holders} == {holder.pid for holder in holders}


def test_a_script_that_does_not_wait_is_told_pid_script_and_age_of_the_holder(host: KitHost) -> None:
    host.gateway()
    holder = host.script("hold")
    with pytest.raises(ib_connect.SlotBusy) as caught:
        host.connection(wait=0).open()
    (found,) = caught.value.holders
    assert found.pid == holder.pid and found.script.endswith("kit_script.py") and 0 <= found.age < 60
    assert f"pid {holder.pid} (" in str(caught.value) and "live (127.0.0.1 port" in str(caught.value)


# --- the ways out ----------------------------------------------------------------------------------------------------


@all_libraries
def test_a_killed_holder_s_id_and_slot_are_free_at_once(host: KitHost, library: str) -> None:
    host.gateway("one-slot")
    holder = host.script("hold", library=library)
    held = holder.wait_ready()["client_id"]
    with pytest.raises(ib_connect.ClientIdInUse, match=f"leased by pid {holder.pid}"):
        host.connection(client_id=held).open()
    holder.kill()
    began = time.monotonic()
    with host.connection(wait=0, client_id=held) as ib:
        assert ib.isConnected()
    assert time.monotonic() - began < SOON
    assert host.held() == []


def test_a_script_in_the_queue_gets_the_slot_of_a_killed_holder(host: KitHost) -> None:
    host.gateway("one-slot")
    holder = host.script("hold")
    waiting = host.script("hold", wait=False)
    until(lambda: any(name.startswith("queue-") for name in host.held()))
    holder.kill()
    assert waiting.wait_ready(SOON)["pid"] == waiting.pid


@all_libraries
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_disconnects_and_gives_everything_back(host: KitHost, library: str, number: signal.Signals) -> None:
    host.gateway("one-slot")
    holder = host.script("hold", library=library)
    os.kill(holder.pid, number)
    assert holder.wait(SOON) == -number
    assert "disconnected from live" in holder.log_text()
    assert host.held() == []


@both_libraries
def test_an_exception_disconnects_and_gives_everything_back(host: KitHost, library: str) -> None:
    host.gateway("one-slot")
    for _ in range(3):  # the same id again: the gateway has forgotten it
        with pytest.raises(ZeroDivisionError), host.connection(library=library) as ib:
            assert host.held() != [] and 1 / (1 - ib.isConnected())
        assert not ib.isConnected() and host.held() == []


# --- gateways --------------------------------------------------------------------------------------------------------


@both_libraries
def test_a_gateway_restart_in_the_middle_of_a_session_is_survived(host: KitHost, library: str) -> None:
    first = host.gateway()
    script = host.script("survive", library=library)
    first.kill()
    host.gateway()
    assert script.wait(30) == 0, script.log_text()
    assert script.result() == {"same": True, "works": True, "kept": True, "events": ["connected"]}


def test_a_gateway_that_starts_while_a_script_tries_is_reached(host: KitHost) -> None:
    script = host.script("hold", wait=False)
    until(lambda: "again in" in script.log_text())
    host.gateway()
    script.wait_ready(30)


def test_every_fault_of_the_simulator_is_held_against_the_kit() -> None:
    assert set(NAMED) == set(FAULTS)


@all_libraries
def test_every_fault_gives_its_named_error_within_the_deadline(tmp_path: Path, library: str) -> None:
    if library != "ibapi":
        ib_connect.load_library(library)
    locks = lock_folder(tmp_path)

    async def seen(fault: str, port: int) -> Any:
        folder = tmp_path / fault
        file = write_profiles(folder, live=profile(port))
        client = {"app": App()} if library == "ibapi" else {"library": library}
        options = {"profiles": file, "locks": locks, "timeout": DEADLINE, "attempt_timeout": 2, **client}
        began = time.monotonic()
        try:
            async with ib_connect.connect_async("live", **options) as ib:
                if library != "ibapi":
                    await ib.reqCurrentTimeAsync()
        except ib_connect.ConnectError as error:
            assert time.monotonic() - began < DEADLINE, fault
            assert 0 < error.elapsed < DEADLINE and error.attempts > 0, fault
            return type(error).__name__, error.stage
        return None

    async def all_of_them(ports: dict[str, int]) -> dict[str, Any]:
        return dict(zip(ports, await asyncio.gather(*(seen(fault, port) for fault, port in ports.items()))))

    with ExitStack() as stack:
        gateways = {}
        for fault in FAULTS:
            (tmp_path / fault).mkdir()
            gateways[fault] = SimulatedGateway(tmp_path / fault, faults=[fault], mode="live").start(wait=False)
            stack.callback(gateways[fault].kill)
        for gateway in gateways.values():
            gateway.wait_ready()
        found = asyncio.run(all_of_them({fault: gateway.port for fault, gateway in gateways.items()}))
    named = dict(NAMED_WITH_IBAPI if library == "ibapi" else NAMED)
    # The last attempt ends when the gateway closes, or at the deadline: whichever comes first is told.
    assert found.pop("disclaimer") in (named.pop("disclaimer"), ("Dropped", "start_api"))
    assert found == named
    assert list(locks.iterdir()) == []


@both_libraries
def test_a_slot_that_another_program_holds_shows_as_stalled(host: KitHost, library: str) -> None:
    host.gateway("one-slot")
    with HeldSession(host.folder, port=host.port), pytest.raises(ib_connect.Stalled, match="server version 176 came"):
        host.connection(library=library, timeout=3).open()


@both_libraries
def test_a_paper_login_on_a_live_profile_is_refused_early(host: KitHost, library: str) -> None:
    host.gateway(mode="paper")
    began = time.monotonic()
    with pytest.raises(ib_connect.WrongMode, match=r"DU\*+67"):
        host.connection(library=library, timeout=120).open()
    assert time.monotonic() - began < SOON
    assert host.held() == []


@both_libraries
def test_a_gateway_that_never_closes_costs_another_id_and_no_error(host: KitHost, library: str) -> None:
    host.gateway("no-close")
    ids = set()
    for _ in range(2):
        connection = host.connection(library=library)
        with connection as ib:
            assert ib.isConnected()
            ids.add(connection.client_id)
    assert len(ids) == 2


# --- surroundings ----------------------------------------------------------------------------------------------------


@both_libraries
def test_threads_connect_beside_each_other(host: KitHost, library: str) -> None:
    host.set_profile(max_api_clients=4)
    host.gateway()
    told: list[Any] = []

    def work() -> None:
        connection = host.connection(library=library)
        with connection as ib:
            told.append((connection.client_id, bool(ib.reqCurrentTime())))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(works for _, works in told) and len(told) == 4 and host.held() == []


@both_libraries
def test_what_is_logged_names_the_session_and_masks_the_account(
    host: KitHost, library: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO", logger="ib_connect")
    host.gateway(accounts=("U1234567", "U7654321"))
    connection = host.connection(library=library, readonly=True)
    with connection:
        pass
    (line,) = [each.getMessage() for each in caplog.records if "connected to live" in each.getMessage()]
    for words in (f"127.0.0.1 port {host.port}", f"client {connection.client_id}", "server version 176", "U*****67"):
        assert words in line
    assert all(stage in line for stage in ("slot", "tcp", "server_version", "start_api", "synchronize"))
    assert not any("1234567" in each.getMessage() for each in caplog.records if each.name == "ib_connect")
    assert capfd.readouterr().out == ""


def test_a_forked_child_that_ends_does_not_end_its_parent_s_session(host: KitHost) -> None:
    host.gateway()
    with host.connection() as ib:
        child = os.fork()
        if child == 0:
            ib.disconnect()
            ib_connect.close_all()
            os._exit(0)
        os.waitpid(child, 0)
        assert ib.reqCurrentTime() and ib.isConnected()
