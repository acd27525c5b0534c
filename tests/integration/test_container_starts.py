"""Each reason for which a container could not be started again: its gateway hangs, and is left as it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.lifecycle.accounts import PATH

from integration.containers import Container, Make, podman
from integration.desk import Desk, until
from integration.test_container_repairs import host, wedge


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("its unit is gone", "systemd"),
        ("paused", "podman unpause"),
        ("no such container", "has no container"),
        ("its engine cannot be asked", "docker"),
        ("being stopped", "is being stopped by somebody: wait until it has stopped"),
        ("a folder of it is gone", "of this host at each start, which does not exist: bring it back"),
        ("what it shares is not up", ", which is exited: start that first, or make it anew"),
        ("its end removes it", "is removed as soon as it ends (--rm), with all that is in it: restart it by hand"),
    ],
)
def test_a_container_that_could_not_be_started_again_is_left_as_it_is(
    container: Make, desk: Desk, reason: str, told: str
) -> None:
    """A run in check mode says the same as one in earnest, and both fail."""
    inside = container(settings={"event": "hang"})
    inside.before = "trap '' TERM"
    mounted, other = inside.folder / "mounted", container()
    mounted.mkdir()
    options = {
        "its unit is gone": ["--label=PODMAN_SYSTEMD_UNIT=gone.service"],
        "a folder of it is gone": [f"--volume={mounted}:/mounted"],
        "its end removes it": ["--rm"],
        "what it shares is not up": [f"--ipc=container:{other.name}"],
    }
    if reason == "what it shares is not up":
        other.run()
    inside.run(*options.get(reason, []))
    mounted.rmdir()
    if reason == "what it shares is not up":
        podman("kill", other.name)
    entry, began, java = inside.entry(start_timeout=1), inside.started_at, inside.java()
    wedge(inside)
    if reason == "paused":
        podman("pause", inside.name)
    elif reason == "no such container":
        entry["container"] = {"engine": "podman", "name": inside.name + "-old"}
    elif reason == "its engine cannot be asked":
        entry["container"] = {"engine": "docker", "name": inside.name}
    elif reason == "being stopped":
        desk.bystander(str(shutil.which("podman", path=PATH)), "stop", "--time", "300", inside.name)
        until(lambda: inside.shown()["State"]["Status"] == "stopping")
    try:
        runs = [desk.play("remediate.yml", *check, inventory=host(entry)) for check in (["--check"], [])]
        assert (inside.started_at, inside.java()) == (began, java)
    finally:
        if reason == "paused":
            podman("unpause", inside.name)
    for run in runs:
        (gateway,) = run.host()["before"]["gateways"]
        said = " ".join([*gateway["plan"]["withheld"], *(each["summary"] for each in gateway["findings"])])
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        assert told in said and not [each for each in gateway["plan"]["steps"] if each["action"] != "wait"], gateway


def test_a_container_whose_removal_was_broken_off_is_not_started_and_how_to_go_on_is_told(
    container: Make, desk: Desk
) -> None:
    """Podman lists it as removing, and does not describe it any more."""
    inside, well = container(image=True).run(), container().run()
    removal_broken_off(inside)
    entries = inside.entry(start_timeout=1), well.entry(name="well")
    for options in (["--check"], [], []):
        run = desk.play("remediate.yml", *options, inventory=host(*entries))
        gateway, other = run.host()["before"]["gateways"]
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        assert [each["code"] for each in gateway["findings"]] == ["gateway_not_running"], gateway
        assert [each for each in gateway["plan"]["steps"] if each["action"] != "wait"] == []
        assert f"`podman rm --force {inside.name}`" in " ".join(gateway["plan"]["withheld"])
        assert other["status"] == "healthy"
    assert listed(inside) == "removing"


def removal_broken_off(inside: Container) -> None:
    """Kills an engine at the moment at which it removes the first of a container's files."""
    podman("stop", "--time", "0", inside.name)
    files = Path(inside.shown()["GraphDriver"]["Data"]["UpperDir"], "files")
    files.mkdir()
    (files / "first").touch()
    at_the_first = ("-f", "-qq", "-o", os.devnull, "-P", str(files), "-e", "inject=unlinkat:signal=KILL")
    removal = [str(shutil.which("podman", path=PATH)), "rm", inside.name]
    done = subprocess.run(["strace", *at_the_first, *removal], capture_output=True, timeout=60, check=False)
    assert (done.returncode, listed(inside)) == (-signal.SIGKILL, "removing"), done.stderr


def listed(inside: Container) -> str:
    """The state that podman lists a container in."""
    return podman("ps", "--all", "--filter", f"name=^{inside.name}$", "--format", "{{.State}}").strip().lower()
