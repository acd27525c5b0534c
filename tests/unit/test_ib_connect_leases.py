"""Client ids and slots under locks: who gets what, who is named, and what the dead leave behind."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from unit.client_kit import ib_connect, lock_folder

PROFILE = ib_connect.Profile("live", "127.0.0.1", 4001, "live", 1)


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test is a script at /desk/bot.py; no lock of it reaches the next."""
    monkeypatch.setattr(sys, "argv", ["/desk/bot.py"])
    yield
    for lock in list(ib_connect.Lock.held):
        lock.release()


def take_slot(locks: Path, seconds: float = 0, profile: Any = PROFILE) -> Any:
    return asyncio.run(ib_connect.Queue(str(locks), profile).slot(time.monotonic() + seconds))


def names(locks: Path) -> List[str]:
    return sorted(path.name for path in locks.iterdir())


# --- client ids ------------------------------------------------------------------------------------------------------


def test_every_call_gets_an_id_of_its_own_and_none_is_zero(tmp_path: Path) -> None:
    ids = [ib_connect.client_id(lock_folder(tmp_path)) for _ in range(50)]
    assert len(set(ids)) == 50 and min(ids) >= ib_connect.FIRST_ID > 10_998


def test_threads_of_one_process_get_different_ids(tmp_path: Path) -> None:
    locks, ids = lock_folder(tmp_path), []
    threads = [threading.Thread(target=lambda: ids.append(ib_connect.client_id(locks))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 20


def test_an_id_that_is_given_back_leaves_no_file_and_can_be_leased_again(tmp_path: Path) -> None:
    folder = str(lock_folder(tmp_path))
    number, lease = ib_connect.lease(folder, 77)
    assert names(tmp_path / "locks") == ["id-77"]
    lease.release()
    lease.release()
    assert names(tmp_path / "locks") == []
    assert ib_connect.lease(folder, 77)[0] == number == 77


def test_an_asked_for_id_that_is_held_is_refused_with_its_holder(tmp_path: Path) -> None:
    folder = str(lock_folder(tmp_path))
    ib_connect.lease(folder, 77)
    with pytest.raises(
        ib_connect.ClientIdInUse, match=rf"client id 77 is leased by pid {os.getpid()} \(/desk/bot\.py, for 0 s"
    ):
        ib_connect.lease(folder, 77)


def test_the_file_of_a_dead_holder_is_no_lease(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    (locks / "id-77").write_text('{"pid": 1, "script": "gone.py", "since": 0}', encoding="utf-8")
    assert ib_connect.lease(str(locks), 77)[0] == 77


def test_lock_files_are_as_open_as_their_folder(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    for folder_mode, file_mode in ((0o1777, 0o666), (0o2770, 0o660), (0o700, 0o600)):
        locks.chmod(folder_mode)
        _number, lease = ib_connect.lease(str(locks))
        assert stat.S_IMODE(os.stat(lease.path).st_mode) == file_mode
        lease.release()


def test_a_symbolic_link_in_the_lock_folder_is_not_followed(tmp_path: Path) -> None:
    locks, victim = lock_folder(tmp_path), tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (locks / "id-77").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        ib_connect.lease(str(locks), 77)
    assert victim.read_text(encoding="utf-8") == "mine"


def test_a_forked_child_neither_keeps_nor_frees_its_parent_s_lease(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    _number, lease = ib_connect.lease(str(locks), 77)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        held = len(ib_connect.Lock.held)
        taken = ib_connect.Lock.take(str(locks / "id-77")) is not None
        os.write(writing, b"%d %d" % (held, taken))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"0 0"
    os.close(reading)
    os.close(writing)
    lease.release()
    assert ib_connect.lease(str(locks), 77)[0] == 77


# --- without a lock folder -------------------------------------------------------------------------------------------


def test_without_a_lock_folder_the_id_is_by_the_documented_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_745_604_321.9)
    ids = {ib_connect.client_id(tmp_path / "none") for _ in range(50)}
    assert all(4321 + 100 <= number <= 4321 + 999 for number in ids) and len(ids) > 1
    assert "no lock folder" in caplog.text and str(tmp_path / "none") in caplog.text


def test_where_the_system_has_no_such_locks_the_formula_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ib_connect, "fcntl", None)
    assert 100 <= ib_connect.client_id(lock_folder(tmp_path)) <= 10_998
    assert names(tmp_path / "locks") == []


def test_the_environment_names_the_folder_and_an_argument_comes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = lock_folder(tmp_path)
    monkeypatch.setenv("IB_CONNECT_LOCKS", str(locks))
    ib_connect.client_id()
    assert len(names(locks)) == 1
    (tmp_path / "other").mkdir()
    ib_connect.client_id(tmp_path / "other")
    assert len(names(locks)) == len(names(tmp_path / "other")) == 1


def test_without_the_host_s_folder_each_account_has_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IB_CONNECT_LOCKS", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = tmp_path / f"ib-connect-{os.getuid()}"
    assert ib_connect.lock_folder(None, str(tmp_path / "none")) == str(own)
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    own.chmod(0o777)  # somebody else could have put anything into it
    assert ib_connect.lock_folder(None, str(tmp_path / "none")) is None


# --- the queue for the slot ------------------------------------------------------------------------------------------


def test_a_free_slot_is_taken_at_once_and_leaves_only_its_own_lock(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    slot = take_slot(locks, 5)
    assert names(locks) == ["slot-127.0.0.1-4001-0"]
    slot.release()
    assert names(locks) == []


def test_without_waiting_a_taken_slot_is_refused_with_pid_script_and_age(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    take_slot(locks)
    with pytest.raises(ib_connect.SlotBusy, match=rf"pid {os.getpid()} \(/desk/bot\.py, for 0 s\)") as caught:
        take_slot(locks)
    assert [holder.pid for holder in caught.value.holders] == [os.getpid()]
    assert (caught.value.stage, caught.value.cause) == ("slot", "slot_busy")


def test_waiting_for_a_taken_slot_ends_at_its_deadline_and_leaves_no_ticket(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    take_slot(locks)
    began = time.monotonic()
    with pytest.raises(ib_connect.SlotBusy):
        take_slot(locks, 0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert names(locks) == ["slot-127.0.0.1-4001-0"]


def test_a_gateway_has_as_many_slots_as_its_profile_says(tmp_path: Path) -> None:
    locks, three = lock_folder(tmp_path), PROFILE._replace(max_api_clients=3)
    for _ in range(3):
        take_slot(locks, profile=three)
    with pytest.raises(ib_connect.SlotBusy, match=r"3 API slot\(s\)"):
        take_slot(locks, profile=three)


def test_each_gateway_has_slots_of_its_own_and_loopback_has_one_name(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    take_slot(locks)
    take_slot(locks, profile=PROFILE._replace(port=4002))
    for same in ("localhost", "LOCALHOST", "::1"):
        with pytest.raises(ib_connect.SlotBusy):
            take_slot(locks, profile=PROFILE._replace(host=same))


def test_those_who_wait_are_served_in_order_of_arrival(tmp_path: Path) -> None:
    locks, served = lock_folder(tmp_path), []

    async def wait(number: int) -> None:
        slot = await ib_connect.Queue(str(locks), PROFILE).slot(time.monotonic() + 30)
        served.append(number)
        slot.release()

    async def desk() -> None:
        first = await ib_connect.Queue(str(locks), PROFILE).slot(0)
        waiting = []
        for number in range(8):
            waiting.append(asyncio.ensure_future(wait(number)))
            while len([name for name in names(locks) if name.startswith("queue-")]) <= number:
                await asyncio.sleep(0)
        first.release()
        await asyncio.gather(*waiting)

    asyncio.run(desk())
    assert served == list(range(8))


def test_the_ticket_of_a_dead_script_holds_nobody_up_and_is_cleared(tmp_path: Path) -> None:
    locks = lock_folder(tmp_path)
    (locks / f"queue-127.0.0.1-4001-{0:020d}-1-0").touch()
    take_slot(locks, 5)
    assert names(locks) == ["slot-127.0.0.1-4001-0"]


def test_a_holder_is_told_as_pid_script_and_age() -> None:
    assert re.fullmatch(r"pid 7 \(/srv/a\.py, for 12 s\)", str(ib_connect.Holder(7, "/srv/a.py", 12.3)))
