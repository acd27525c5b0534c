"""Each reason for which a container could not be started again: its gateway hangs, and is left as it is."""

from __future__ import annotations

import pytest

from integration.containers import Make, podman
from integration.desk import Desk
from integration.test_container_repairs import host, wedge


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("its unit is gone", "systemd"),
        ("paused", "podman unpause"),
        ("no such container", "has no container"),
        ("its engine cannot be asked", "docker"),
    ],
)
def test_a_container_that_could_not_be_started_again_is_left_as_it_is(
    container: Make, desk: Desk, reason: str, told: str
) -> None:
    """A run in check mode says the same as one in earnest, and both fail."""
    label = ["--label=PODMAN_SYSTEMD_UNIT=gone.service"] if told == "systemd" else []
    inside = container(settings={"event": "hang"}).run(*label)
    entry, began, java = inside.entry(start_timeout=1), inside.started_at, inside.java()
    wedge(inside)
    if reason == "paused":
        podman("pause", inside.name)
    elif reason == "no such container":
        entry["container"] = {"engine": "podman", "name": inside.name + "-old"}
    elif reason == "its engine cannot be asked":
        entry["container"] = {"engine": "docker", "name": inside.name}
    try:
        runs = [desk.play("remediate.yml", *options, inventory=host(entry)) for options in (["--check"], [])]
        assert (inside.started_at, inside.java()) == (began, java)
    finally:
        if reason == "paused":
            podman("unpause", inside.name)
    for run in runs:
        (gateway,) = run.host()["before"]["gateways"]
        said = " ".join([*gateway["plan"]["withheld"], *(each["summary"] for each in gateway["findings"])])
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        assert told in said and not [each for each in gateway["plan"]["steps"] if each["action"] != "wait"], gateway
