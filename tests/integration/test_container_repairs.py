"""Whole repairs of gateways in containers: the playbooks, a real engine, several containers on one host.

Each state stands beside others, since what is done for one must not touch the next. Podman's own records of when a
container was started are the witness of who was restarted, and how often.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from integration.containers import Container, Make, podman
from integration.desk import Desk, Run, local, until
from integration.modules import run_module


def host(*entries: dict[str, Any]) -> dict[str, Any]:
    """An inventory of one host with these entries."""
    return {"trading_hosts": {"hosts": {"desk": local(ib_gateways=list(entries))}}}


def told(run: Run, when: str = "before") -> dict[str, tuple[str, list[str]]]:
    """(status, codes) by gateway, as a run has reported them."""
    return {
        each["name"]: (each["status"], sorted(finding["code"] for finding in each["findings"]))
        for each in run.host()[when]["gateways"]
    }


def planned(run: Run) -> dict[str, list[str]]:
    """The actions of each gateway's plan."""
    return {
        each["name"]: [step["action"] for step in each["plan"]["steps"]] for each in run.host()["before"]["gateways"]
    }


def starts(*containers: Container) -> list[int]:
    """How often the engine has started each of them."""
    return [len(_starts(each)) for each in containers]


def _starts(container: Container) -> list[str]:
    """The engine's own lines; each engine has its own way to say that no more are waited for."""
    ended = ["--stream=false"] if container.engine == "podman" else ["--until", "0s"]
    asked = ("events", "--since", "1h", *ended, "--filter", "event=start", "--filter", f"container={container.name}")
    return container.ask(*asked).splitlines()


def wedge(container: Container) -> None:
    """Has its gateway take no word any more, and proves that."""
    os.kill(container.java(), signal.SIGUSR1)
    entry = container.entry()
    until(lambda: "handshake_silent" in _codes(run_module("ib_gateway_health", gateways=[entry], probe_timeout=1)))


def _codes(found: dict[str, Any]) -> set[str]:
    return {finding["code"] for each in found["gateways"] for finding in each["findings"]}


def test_each_broken_container_beside_others_is_repaired_by_its_engine_once_and_the_others_are_left_alone(
    container: Make, desk: Desk
) -> None:
    well, stopped, cut, unpublished = [container().run() for _each in range(4)]
    wedged = container(settings={"event": "hang"}).run()
    foreign = container().run()  # somebody else's: no entry names it
    entries = [
        each.entry(name=name, start_timeout=60)
        for name, each in (
            ("well", well),
            ("stopped", stopped),
            ("relay", cut),
            ("port", unpublished),
            ("wedged", wedged),
        )
    ]
    healthy = desk.play("playbooks/health_sweep.yml", inventory=host(*entries))
    assert healthy.rc == 0 and healthy.recap()["changed"] == 0, healthy.output

    podman("stop", stopped.name)
    cut.end(cut.socat())
    unpublished.unpublish()
    wedge(wedged)
    broken = (stopped, cut, unpublished, wedged)
    sweep = desk.play("playbooks/health_sweep.yml", inventory=host(*entries))
    assert sweep.rc != 0 and sweep.recap()["changed"] == 0, sweep.output
    assert told(sweep) == {
        "well": ("healthy", []),
        "stopped": ("unhealthy", ["gateway_not_running"]),
        "relay": ("unhealthy", ["container_link_down"]),
        "port": ("unhealthy", ["container_link_down"]),
        "wedged": ("unhealthy", ["handshake_silent"]),
    }
    assert planned(sweep) == {
        "well": [],
        "stopped": ["start"],
        "relay": ["restart"],
        "port": ["restart"],
        "wedged": ["restart"],
    }
    assert starts(*broken) == [1, 1, 1, 1]

    repair = desk.play("remediate.yml", inventory=host(*entries))
    assert repair.rc == 0 and repair.recap()["changed"] > 0, repair.output
    assert told(repair, "after") == {each["name"]: ("healthy", []) for each in entries}
    assert starts(*broken, well, foreign) == [2, 2, 2, 2, 1, 1]

    again = desk.play("remediate.yml", inventory=host(*entries))
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
    assert starts(*broken, well, foreign) == [2, 2, 2, 2, 1, 1]


def test_gateways_that_have_ended_in_live_containers_are_brought_back_and_one_container_of_two_is_restarted_once(
    container: Make, desk: Desk
) -> None:
    dead, both, well = container().run(), container(modes=("live", "paper")).run(), container().run()
    entries = [
        dead.entry(name="dead", start_timeout=20),
        both.entry("live", name="both-live", start_timeout=20),
        both.entry("paper", name="both-paper", start_timeout=20),
        well.entry(name="well", start_timeout=20),
    ]
    for each, mode in ((dead, "live"), (both, "live"), (both, "paper")):
        each.end(each.java(mode))
    # Until then a container without a gateway may still be bringing one.
    until(lambda: _codes(run_module("ib_gateway_health", gateways=entries)) == {"gateway_not_running"}, 40)
    repair = desk.play("remediate.yml", inventory=host(*entries))
    assert repair.rc == 0, repair.output
    assert told(repair) == {
        **{name: ("unhealthy", ["gateway_not_running"]) for name in ("dead", "both-live", "both-paper")},
        "well": ("healthy", []),
    }
    assert planned(repair)["both-live"] == ["wait", "restart"]
    assert starts(dead, both, well) == [2, 2, 1]
    again = desk.play("remediate.yml", inventory=host(*entries))
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
    assert starts(dead, both, well) == [2, 2, 1]


def test_a_broken_gateway_in_a_container_of_somebody_else_is_told_and_left_alone_through_the_playbooks(
    container: Make, desk: Desk
) -> None:
    inside = container(settings={"event": "hang"}).run()
    wedge(inside)
    entry = inside.entry(config_dir=str(inside.gateways["live"].config_dir), start_command=["/bin/false"])
    del entry["container"]
    java = inside.java()
    for _each in range(2):
        run = desk.play("remediate.yml", inventory=host(entry))
        assert run.rc != 0 and run.recap()["changed"] == 0, run.output
        assert told(run, "before")["live"] == ("unhealthy", ["handshake_silent"])
        assert "does not say which container" in run.output
    assert starts(inside) == [1] and inside.java() == java
