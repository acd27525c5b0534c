"""A worker counts as the script for which it works, and what brings a gateway is nobody's surplus client."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import WORKER_OF_UNKNOWN, Keeper, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Plan
from unit.facts import (
    ALIEN,
    UNIT,
    Fact,
    connection,
    gateway,
    judged,
    listener,
    planned,
    plans,
    process,
    script,
    snapshot,
    spec,
)

OURS = gateway(unit=UNIT)
PARENT, WORKER, IDLE, VIEWER = 801, 802, 803, 804
LINE = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=4, pipe_handle=6)"
GUARDED = {"protected_clients": ("router",)}


def worker(pid: int, name: str, of: int = PARENT, **more: Any) -> Process:
    argv = ("python3", name) if of else ()
    return process(pid, "python3", "-c", LINE, ppid=of or 1, worker_of=of, script_argv=argv, **more)


def held(*facts: Fact) -> Snapshot:
    return snapshot(OURS, listener(), *facts)


def stopped(plan: Plan) -> List[int]:
    return [each.target["pid"] for each in plan.steps if each.action == "stop_client"]


def cut(plan: Plan) -> List[int]:
    return [each.target["cookie"] for each in plan.steps if each.action == "drop_connection"]


WORKING = connection(WORKER, cookie=7, sent=5000, received=500)
VIEWING: Tuple[Fact, ...] = (script(VIEWER, "viewer.py"), connection(VIEWER, cookie=9, sent=5000, received=500))


def test_of_a_protected_script_a_worker_s_session_is_never_the_one_too_many() -> None:
    look = held(script(PARENT, "router.py"), worker(WORKER, "router.py", age=9.0), WORKING, *VIEWING)
    assert cut(planned(look, spec())) == [7], "the newest, where nobody is protected"
    assert cut(planned(look, spec(**GUARDED))) == [9]


@pytest.mark.parametrize(("of", "why"), [(PARENT, "pid 802"), (WORKER_OF_UNKNOWN, "which protected_clients may name")])
def test_a_worker_s_session_keeps_a_restart_away_where_its_script_is_protected_or_may_be(of: int, why: str) -> None:
    served = OURS._replace(served_before=True)
    look = snapshot(served, worker(WORKER, "router.py", of), WORKING)
    guarded = planned(look, spec(**GUARDED))
    assert guarded.steps == () and why in " ".join(guarded.withheld)
    assert "restart" in [each.action for each in planned(look, spec()).steps]


def test_a_worker_whose_script_is_not_known_is_neither_cut_nor_stopped_where_somebody_is_protected() -> None:
    look = held(worker(WORKER, "", WORKER_OF_UNKNOWN, age=9.0), WORKING, *VIEWING)
    plan = planned(look, spec(**GUARDED))
    assert (cut(plan), stopped(plan)) == ([], [])
    assert "which protected_clients may name" in " ".join(plan.withheld)
    assert cut(planned(look, spec())) == [7]


def test_a_named_script_ends_with_all_its_workers_and_before_them_so_that_it_starts_none_anew() -> None:
    look = held(
        worker(WORKER, "cleanup.py"), WORKING, script(PARENT, "cleanup.py"), worker(IDLE, "cleanup.py"), *VIEWING
    )
    plan = planned(look, spec(client_patterns=("cleanup",), max_api_clients=None))
    assert stopped(plan) == [PARENT, WORKER, IDLE] and cut(plan) == []
    assert planned(look, spec(client_patterns=("spawn_main",), max_api_clients=None)).steps == ()


def test_a_script_is_left_with_its_idle_workers_while_one_of_them_works_elsewhere() -> None:
    facts: Tuple[Fact, ...] = (script(PARENT, "cleanup.py"), worker(IDLE, "cleanup.py"), worker(WORKER, "cleanup.py"))
    one = spec(client_patterns=("cleanup",), max_api_clients=None)
    assert stopped(planned(held(*facts), one)) == [PARENT, WORKER, IDLE]
    assert stopped(planned(held(*facts)._replace(away=frozenset({WORKER})), one)) == []
    beside = (gateway(ALIEN, "/srv/paper"), listener(4002, ALIEN), connection(WORKER, server=ALIEN, port=4002))
    assert stopped(planned(held(*facts, *beside), one)) == []


def test_a_worker_of_what_runs_as_the_first_process_is_left_alone_as_that_is() -> None:
    look = held(worker(WORKER, "cleanup.py", of=1), WORKING)
    assert planned(look, spec(client_patterns=("cleanup",), max_api_clients=None)).steps == ()


# --- what brings a gateway -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connected", [False, True], ids=["idle", "connected"])
def test_what_brings_a_gateway_of_this_host_is_no_competing_script_whatever_a_pattern_says(connected: bool) -> None:
    loop = process(PARENT, "/bin/bash", "/opt/gatewaystart_paper.sh")
    facts: Tuple[Fact, ...] = (loop, connection(PARENT, cookie=7)) if connected else (loop,)
    live = spec(client_patterns=("gateway",), max_api_clients=None)
    paper = spec(name="paper", trading_mode="paper", port=4002, config_dir="/srv/paper", service=None)
    keeper = Keeper(PARENT, "trader", "gatewaystart_paper.sh", 9.0, trading_mode="paper")
    look = held(*facts)
    assert stopped(plans([live, paper], look)[0]) == [PARENT]
    kept = look._replace(keepers=(keeper,))
    assert plans([live, paper], kept)[0].steps == ()
    assert "competing_clients" not in judged(kept, live).codes
    assert cut(planned(kept, live._replace(max_api_clients=0))) == []
