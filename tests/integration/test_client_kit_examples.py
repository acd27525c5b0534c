"""The shortest examples of docs/client-kit.md, as they are written there, on a gateway that restarts in the night."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from simulator.program import Program
from unit.client_kit import KIT, profile, write_profiles
from unit.module_runs import PROJECT

from integration.desk import until
from integration.kit_desk import KitHost

GUIDE = (PROJECT / "docs" / "client-kit.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## Shortest use\n(.*?)^## ", GUIDE, re.MULTILINE | re.DOTALL)
EXAMPLES = re.findall(r"```python\n(.*?)```", SECTION.group(1), re.DOTALL) if SECTION else []
OLDER_IBAPI = Path(sys.prefix) / "ibapi-oldest"


def stays(text: str) -> bool:
    """Whether an example goes on until it is ended."""
    return "reqMktData" in text


def variants(long_running: bool) -> list[object]:
    """Each example with each library that it is true of."""
    found: list[object] = []
    for number, text in enumerate(EXAMPLES):
        if stays(text) == long_running:
            names = ("ibapi", "ibapi-oldest") if "ibapi" in text else ("ib_async", "ib_insync")
            found += [pytest.param(text, each, id=f"{number}-{each}") for each in names]
    return found


@dataclass
class Example(Program):
    """A script with an example's text, in a host's environment."""

    name: str = "example"
    text: str = ""
    library: str = ""

    def command(self) -> list[str]:
        script = self.folder / "example.py"
        text = self.text.replace("ib_async", self.library) if self.library.startswith("ib_") else self.text
        # Without an import of its own the kit takes a library that is imported already.
        script.write_text(
            f"import {self.library}\n{text}" if "import ib_" in text and self.library == "ib_insync" else text
        )
        folders = [str(KIT), *([str(OLDER_IBAPI)] if self.library == "ibapi-oldest" else [])]
        host = self.folder.parent
        environment = [f"PYTHONPATH={':'.join(folders)}", f"IB_CONNECT_LOCKS={host / 'locks'}", "PYTHONUNBUFFERED=1"]
        environment.append(f"IB_CONNECT_PROFILES={host / 'profiles.json'}")
        return ["/usr/bin/env", "--default-signal=HUP,INT", *environment, sys.executable, str(script)]

    def lines(self) -> list[str]:
        """What it has printed."""
        return [each for each in self.log_text().splitlines() if "101.25" in each]

    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._started().poll() is not None


@pytest.fixture
def host(tmp_path: Path) -> Iterator[KitHost]:
    """A host with a paper gateway's profile."""
    with ExitStack() as stack:
        host = KitHost(tmp_path, stack)
        host.profiles = write_profiles(tmp_path, paper=profile(host.port, "paper"))
        yield host


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], Example]]:
    with ExitStack() as stack:

        def begin(text: str, library: str) -> Example:
            folder = tmp_path / "example"
            folder.mkdir()
            example = Example(folder, text=text, library=library)
            stack.callback(example.stop, timeout=0.5)
            return example.start(wait=False)

        yield begin


def test_there_is_an_example_for_each_way_of_use() -> None:
    assert [stays(text) for text in EXAMPLES] == [False, False, True, True, True, False, True]


@pytest.mark.parametrize(("text", "library"), variants(long_running=False))
def test_a_short_example_runs_as_it_is_written(
    host: KitHost, start: Callable[[str, str], Example], text: str, library: str
) -> None:
    host.gateway(mode="paper")
    example = start(text, library)
    assert example.wait(30) == 0, example.log_text()
    assert re.search(r"^(\d{10}|20\d\d-\d\d-\d\d .*)$", example.log_text(), re.MULTILINE), example.log_text()
    assert host.held() == []


@pytest.mark.parametrize(("text", "library"), variants(long_running=True))
def test_a_long_running_example_goes_on_after_the_nightly_restart(
    host: KitHost, start: Callable[[str, str], Example], text: str, library: str
) -> None:
    gateway = host.gateway(mode="paper")
    example = start(text, library)
    until(lambda: example.lines() or example.ended(), 30)
    assert example.lines(), example.log_text()
    gateway.stop()
    seen = len(example.lines())
    until(lambda: example.ended() or "again in" in example.log_text(), 30)  # the gap
    assert not example.ended(), example.log_text()
    host.gateway(mode="paper")
    until(lambda: len(example.lines()) > seen or example.ended(), 60)
    assert len(example.lines()) > seen, example.log_text()
    os.kill(example.pid, signal.SIGTERM)
    assert example.wait(10) == -signal.SIGTERM
    assert host.held() == []
