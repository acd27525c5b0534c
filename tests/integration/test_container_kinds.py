"""Containers as desks keep them: compose services, units, restart policies, health checks, addresses of their own."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import psutil

from integration.container_accounts import account
from integration.container_looks import actions, codes, first, look, repaired, without_container
from integration.containers import Make, network, podman, public_folder
from integration.desk import until


def test_a_compose_service_is_found_by_its_labels_and_started_by_its_engine(container: Make) -> None:
    project = container().name
    inside = container().run(*labels(project, "live"))
    once = container()
    entry = inside.entry(container={"engine": "podman", "compose_project": project, "compose_service": "live"})
    assert first(look(entry))["status"] == "healthy"
    once.run(*labels(project, "live", "--label", "com.docker.compose.oneoff=True"))
    assert first(look(entry))["status"] == "healthy"
    podman("stop", inside.name)
    found = look(entry)
    assert actions(first(found)) == ["start"]
    assert first(repaired(found, entry)["health"])["status"] == "healthy"
    assert inside.shown()["State"]["Running"]


def test_a_compose_service_with_two_containers_is_told_and_neither_is_touched(container: Make) -> None:
    project = container().name
    both = [container().run(*labels(project, "live")) for _each in range(2)]
    entry = both[0].entry(container={"engine": "podman", "compose_project": project, "compose_service": "live"})
    for each in both:
        podman("stop", each.name)
    gateway = first(look(entry))
    assert actions(gateway) == []
    assert "several containers of compose service live" in str(gateway)
    missing = {"engine": "podman", "compose_project": project, "compose_service": "paper"}
    gateway = first(look({**entry, "container": missing}))
    assert codes(gateway) == {"gateway_not_running"} and actions(gateway) == []
    assert "podman has no container of compose service paper in project" in gateway["plan"]["withheld"][0]


def test_a_container_that_its_engine_restarts_again_and_again_is_waited_for_and_never_touched(container: Make) -> None:
    image = container()
    broken = image.folder / "broken"
    broken.touch()
    image.before = f"while [ -e {broken} ]; do sleep 0.5; exit 3; done"
    image.start("--restart=always")
    seen = set()
    entry = image.entry(start_timeout=60)
    until(lambda: image.shown()["RestartCount"] > 3, 30)
    for _each in range(12):
        gateway = first(look(entry))
        seen |= codes(gateway)
        assert set(actions(gateway)) <= {"wait"}, (gateway["findings"], gateway["plan"])
    assert seen & {"gateway_starting", "gateway_coming_up", "crash_loop"}
    broken.unlink()
    image.until_up()
    assert first(look(entry))["status"] == "healthy"


def test_a_container_s_own_health_check_is_told_beside_what_was_found_and_decides_nothing(container: Make) -> None:
    image = container().run("--health-cmd", "false", "--health-retries", "1", "--health-interval", "disable")
    podman("healthcheck", "run", image.name, check=False)
    assert image.shown()["State"]["Health"]["Status"] == "unhealthy"
    assert first(look(image.entry()))["status"] == "healthy"
    image.end(image.socat())
    finding = first(look(image.entry()))["findings"][0]
    assert finding["code"] == "container_link_down" and finding["evidence"]["container_health"] == "unhealthy"


def test_a_gateway_in_a_container_with_users_of_its_own_is_judged_and_restarted(container: Make) -> None:
    image = container(public=True, first_uid=100_000, settings={"event": "hang"}).run("--uidmap", "0:100000:65536")
    java = image.java()
    assert psutil.Process(java).uids().real == 100_000
    entry = image.entry()
    assert first(look(entry))["status"] == "healthy"
    unnamed = without_container(image)
    assert first(look(unnamed))["status"] == "healthy"
    os.kill(java, signal.SIGUSR1)
    until(lambda: "handshake_silent" in codes(first(look(entry, probe="always"))))
    found = look(entry, probe="always")
    assert first(repaired(found, entry)["health"])["status"] == "healthy" and image.java() != java


def test_a_container_of_an_ordinary_account_is_judged_as_root_and_restarted_by_the_account_s_own_engine(
    container: Make,
) -> None:
    with ExitStack() as stack:
        owner = stack.enter_context(account(public_folder(stack) / "home"))
        image = container(public=True, account=owner, network="slirp4netns", settings={"event": "hang"})
        stack.callback(image.ask, "rm", "--force", "--time", "0", image.name, check=False)
        image.run()
        entry = image.entry()
        java = image.java()
        assert psutil.Process(java).uids().real == owner.uid
        gateway = first(look(entry))
        assert (gateway["status"], gateway["findings"], gateway["api"]["ok"]) == ("healthy", [], True)
        os.kill(java, signal.SIGUSR1)
        until(lambda: "handshake_silent" in codes(first(look(entry, probe="always"))))
        after = repaired(look(entry, probe="always"), entry)
        assert first(after["health"])["status"] == "healthy" and image.java() != java
        assert psutil.Process(image.java()).uids().real == owner.uid
        image.ask("stop", image.name)
        found = look(entry)
        assert actions(first(found)) == ["start"]
        assert first(repaired(found, entry)["health"])["status"] == "healthy"


def test_a_container_with_an_address_of_its_own_in_the_network_is_judged_from_inside(container: Make) -> None:
    with network("macvlan") as name:
        image = container(network=name, relays=False, published=False).run()
        entry = image.entry(port=4001)
        gateway = first(look(entry))
        assert (gateway["status"], gateway["api"]["ok"]) == ("healthy", True), gateway["findings"]
        image.end(image.java())
        again = {**entry, "start_timeout": 1}
        until(lambda: codes(first(look(again))) == {"gateway_not_running"})
        found = look(again)
        assert first(repaired(found, entry)["health"])["status"] == "healthy"


def labels(project: str, service: str, *more: str) -> tuple[str, ...]:
    """What compose gives to a service's container."""
    return (
        *("--label", f"com.docker.compose.project={project}", "--label", f"com.docker.compose.service={service}"),
        *more,
    )
