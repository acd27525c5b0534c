"""A host with the connection kit: a simulated gateway, its profiles, its locks, and scripts that use them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.launch import SimulatedGateway, free_port
from simulator.program import Program
from unit.client_kit import KIT, ib_connect, profile, write_profiles

SCRIPT = Path(__file__).resolve().parent / "kit_script.py"
LIBRARIES = ("ib_insync", "ib_async")


@dataclass
class KitScript(Program):
    """One of the scripts of kit_script.py, with the kit in its environment."""

    name: str = "script"
    what: str = "hold"
    options: dict[str, Any] = field(default_factory=dict)

    def command(self) -> list[str]:
        """The argv; the environment is set by `env`, since a trading host would set it the same way."""
        files = {"ready-file": self.ready_file, "result-file": self.result_file}
        given = [f"--{name}={value}" for name, value in {**files, **self.options}.items()]
        locks, profiles = self.folder.parent / "locks", self.folder.parent / "profiles.json"
        environment = [
            f"PYTHONPATH={KIT}:{SCRIPT.parent.parent}",
            f"IB_CONNECT_LOCKS={locks}",
            f"IB_CONNECT_PROFILES={profiles}",
        ]
        # nohup, and a shell's &, leave signals ignored, and who is started inherits that.
        as_in_a_terminal = "--default-signal=HUP,INT"
        return ["/usr/bin/env", as_in_a_terminal, *environment, sys.executable, str(SCRIPT), self.what, *given]

    @property
    def result_file(self) -> Path:
        """What it tells at its end."""
        return self.folder / f"{self.name}.result"

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.result_file.read_text(encoding="utf-8"))
        return found


class KitHost:
    """Everything it starts ends with it, however the test ends."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.port, self.locks = folder, free_port(), folder / "locks"
        self.locks.mkdir()
        self._stack, self._count = stack, 0
        self.set_profile()

    def set_profile(self, **changes: Any) -> None:
        """The profile `live`, of this host's port."""
        self.profiles = write_profiles(self.folder, live=profile(self.port, **changes))

    def gateway(self, *faults: str, **options: Any) -> SimulatedGateway:
        """Starts a gateway on this host's port; one after another is a restart."""
        settings = {"port": self.port, "mode": "live", "lifetime": 170, **options}
        gateway = SimulatedGateway(self._new_folder(), faults=faults, **settings)
        self._stack.callback(gateway.stop, timeout=0.5)
        return gateway.start()

    def script(self, what: str, wait: bool = True, **options: Any) -> KitScript:
        """Starts a script; with `wait` it has its session when this returns."""
        script = KitScript(self._new_folder(), what=what, options=options)
        self._stack.callback(script.stop, timeout=0.5)
        return script.start(wait)

    def connection(self, kind: Callable[..., Any] = ib_connect.connect, **options: Any) -> Any:
        """A connection of this process to this host's gateway."""
        return kind("live", **{"profiles": self.profiles, "locks": self.locks, "timeout": 30, **options})

    def held(self) -> list[str]:
        """The names of the locks that are there."""
        return sorted(os.listdir(self.locks))

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self.folder / f"{self._count}"
        folder.mkdir()
        return folder
