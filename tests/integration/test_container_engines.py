"""What holds on each engine, through the playbooks: podman and docker, root's and an account's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from integration.container_accounts import ROOTLESS_DOCKER, account
from integration.container_looks import codes, look, without_container
from integration.containers import Container, Make, public_folder
from integration.desk import Desk, alive, until
from integration.test_container_repairs import host, planned, starts, told
from integration.test_docker import NEEDED, Docker, docker

__all__ = ["docker"]

Kept = Callable[..., Container]


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Makes containers of one of the engines, on the host that a playbook run then looks at."""
    if request.param == "docker":
        daemon: Docker = request.getfixturevalue("docker")
        with daemon.as_this_host():
            yield daemon.make
        return
    container: Make = request.getfixturevalue("container")
    if request.param == "podman":
        yield container
        return
    with ExitStack() as stack:
        owner = stack.enter_context(account(public_folder(stack) / "home"))

        network, engine = "slirp4netns", "podman"
        if request.param == "an account's docker":
            stack.enter_context(owner.docker())
            network, engine = "bridge", "docker"

        def make(**options: object) -> Container:
            return container(public=True, account=owner, network=network, engine=engine, **options)

        yield make


ROOTLESS = pytest.mark.skipif(
    not os.path.exists(ROOTLESS_DOCKER) or shutil.which("rootlesskit") is None,
    reason="needs docker.io and rootlesskit, which nothing here installs",
)
ENGINES = [
    "podman",
    "an account's podman",
    pytest.param("docker", marks=NEEDED),
    pytest.param("an account's docker", marks=ROOTLESS),
]


@pytest.mark.timeout(400)  # four runs, and the time that a container without a gateway has to bring one
@pytest.mark.parametrize("kept", ENGINES, indirect=True)
def test_of_two_gateways_in_a_container_one_that_serves_keeps_it_and_two_that_have_ended_are_brought_back_at_once(
    kept: Kept, desk: Desk
) -> None:
    """Neither the session of a script on the one that serves nor another container is touched."""
    both, well = kept(modes=("live", "paper")).run(), kept().run()
    script = desk.script(port=both.ports["paper"])
    entries = [
        *(both.entry(mode, name=f"both-{mode}", start_timeout=20) for mode in both.modes),
        well.entry(name="well", start_timeout=20),
    ]
    both.end(both.java("live"))
    until(lambda: [codes(each) for each in look(*entries)["gateways"]] == [{"gateway_not_running"}, set(), set()], 40)
    paper = both.java("paper")
    for options in (["--check"], []):
        run = desk.play("remediate.yml", *options, inventory=host(*entries))
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        assert told(run) == {
            "both-live": ("unhealthy", ["gateway_not_running"]),
            "both-paper": ("healthy", []),
            "well": ("healthy", []),
        }
        live, beside, _well = run.host()["before"]["gateways"]
        assert set(planned(run)["both-live"]) <= {"wait"}
        assert f"also carries pid {paper}" in " ".join(live["plan"]["withheld"])
        assert [(each["pid"], each["working"]) for each in beside["clients"]] == [(script.pid, True)]
    assert (starts(both, well), both.java("paper"), alive(script.pid)) == ([1, 1], paper, True)

    script.stop()
    both.end(paper)
    until(lambda: codes(look(*entries)["gateways"][1]) == {"gateway_not_running"}, 40)
    repair = desk.play("remediate.yml", inventory=host(*entries))
    assert repair.rc == 0, repair.output
    assert planned(repair) == {"both-live": ["wait", "restart"], "both-paper": ["wait", "restart"], "well": []}
    assert told(repair, "after") == {each["name"]: ("healthy", []) for each in entries}
    again = desk.play("remediate.yml", inventory=host(*entries))
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
    assert starts(both, well) == [2, 1]


@pytest.mark.parametrize("kept", ENGINES, indirect=True)
def test_which_of_several_containers_has_the_port_of_an_entry_is_told_without_its_container(
    kept: Kept, desk: Desk
) -> None:
    """It is judged, and left alone when it is broken."""
    broken, well = kept().run(), kept().run()
    entries = [
        without_container(each, name=name, start_timeout=1, user=None)
        for name, each in (("broken", broken), ("well", well))
    ]
    found = look(*entries)["gateways"]
    assert [(each["status"], [one["pid"] for one in each["processes"]]) for each in found] == [
        ("healthy", [broken.java()]),
        ("healthy", [well.java()]),
    ]
    broken.end(broken.java())
    until(lambda: "container_link_down" in codes(look(*entries)["gateways"][0]))
    run = desk.play("remediate.yml", inventory=host(*entries))
    assert run.rc == 2 and run.recap()["changed"] == 0, run.output
    found = told(run)
    # Who starts gateways elsewhere on this machine may be told beside it.
    assert "container_link_down" in found["broken"][1] and found["well"] == ("healthy", [])
    assert starts(broken, well) == [1, 1]
