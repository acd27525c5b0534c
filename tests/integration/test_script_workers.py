"""Scripts whose session is in a worker of multiprocessing, on real processes: a worker counts as its script."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.act import drop_connection
from simulator.launch import CLIENTS, HeldSession

from integration.desk import Desk, alive, until
from integration.modules import run_module
from integration.repair import Repair

#: Holds its session in a worker, and stays while that does.
SCRIPT = """
import multiprocessing, runpy, sys
def work(words):
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
if __name__ == "__main__":
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(sys.argv[2:],))
    worker.start()
    worker.join()
"""


def with_worker(desk: Desk, name: str, how: str, client_id: int) -> tuple[int, int]:
    """(the script's pid, its worker's), once the worker has its session."""
    folder = desk.folder / name
    folder.mkdir()
    path, ready = folder / f"{name}.py", folder / "ready.json"
    path.write_text(SCRIPT, encoding="utf-8")
    session = HeldSession(folder, port=desk.port, client_id=client_id, script=CLIENTS / "hold_session.py")
    words = [word for word in session.command()[1:] if not word.startswith("--ready-file")]
    script = desk.bystander(sys.executable, str(path), how, *words, f"--ready-file={ready}")
    until(ready.exists, 30)
    return script.pid, json.loads(ready.read_text())["pid"]


def pattern(desk: Desk, name: str) -> list[str]:
    return [re.escape(str(desk.folder)) + rf"/{name}/{name}\.py"]


@pytest.mark.skipif(not drop_connection._capabilities() >> 12 & 1, reason="needs the right to cut connections")
@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_the_worker_of_a_protected_script_keeps_its_session_where_one_is_too_many(desk: Desk, how: str) -> None:
    desk.gateway()
    viewer = desk.script(client_id=15)
    _script, worker = with_worker(desk, "order_router", how, 16)
    unguarded = Repair(desk, desk.entry(max_api_clients=1)).targets("drop_connection")
    assert [each["pid"] for each in unguarded[0]["client_processes"]] == [worker], "the newest, where nobody is"
    guarded = Repair(desk, desk.entry(max_api_clients=1, protected_clients=pattern(desk, "order_router")))
    assert [each["pid"] for each in guarded.targets("drop_connection")[0]["client_processes"]] == [viewer.pid]


@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_a_script_that_a_pattern_names_ends_with_its_worker_and_the_gateway_is_free(desk: Desk, how: str) -> None:
    gateway = desk.gateway()
    script, worker = with_worker(desk, "cleanup_positions", how, 16)
    repair = Repair(desk, desk.entry(client_patterns=pattern(desk, "cleanup_positions"), max_api_clients=None))
    targets = repair.targets("stop_client")
    assert targets[0]["pid"] == script and worker in [each["pid"] for each in targets]
    found: dict[str, Any] = run_module("ib_process_stop", processes=targets, grace_period=10)
    assert found["refused"] == []
    assert not alive(script) and not alive(worker) and alive(gateway.pid)
    until(lambda: not repair.look()["gateways"][0]["clients"])  # the gateway has closed its side as well
    (after,) = repair.look()["gateways"]
    assert (after["plan"]["steps"], after["clients"]) == ([], [])
