"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.base.host import Keeper
from ansible.module_utils.ib_gateway.observe import keepers

from integration.audited_scripts import fixable, folder
from integration.containers import (
    Container,
    Make,
    configuration,
    engine_needed,
    public_folder,
    remove_leftovers,
)
from integration.desk import PROJECT, Desk
from integration.pages import browser, show
from integration.unit_hosts import UnitHost

__all__ = ["browser", "container", "desk", "fixable", "folder", "show"]

#: What the files are called whose tests start containers, or fetch from an index what is not there yet.
_MACHINE = ("test_container", "test_docker", "test_inside_containers", "test_without_pidfd", "test_oldest_core")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A trading desk that leaves nothing behind, however the test ends."""
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes containers that are removed when the test ends, however it ends."""
    engine_needed()
    monkeypatch.setenv("CONTAINERS_CONF", str(configuration(tmp_path)))
    remove_leftovers()
    everybody = keepers.keepers
    with ExitStack() as stack:
        made: list[Container] = []

        def own(*arguments: Any) -> tuple[Keeper, ...]:
            """A launcher in a container of a test that runs beside this one is nobody's here."""
            inside = {pid for each in made for pid in each.pids()}
            return tuple(each for each in everybody(*arguments) if each.pid in inside)

        monkeypatch.setattr(keepers, "keepers", own)

        def make(**options: Any) -> Container:
            folder = public_folder(stack) if options.get("public") else tmp_path
            made.append(Container(folder / f"container{len(made)}", stack, **options))
            return made[-1]

        yield make


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UnitHost]:
    """A host with a systemd of its own that sees the test's folder."""
    request.getfixturevalue("container")  # podman works here, and what an earlier run has left is gone
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))
    with ExitStack() as stack:
        yield UnitHost(public_folder(stack), stack, tmp_path, PROJECT / "tests/simulator")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
        if item.path.stem.startswith(_MACHINE):
            item.add_marker(pytest.mark.machine)
