"""One repair of a desk, step by step as the roles do it: a plan, an authorization, a journal to read afterwards."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.observe import processes

from integration.desk import Desk, until
from integration.modules import run_module


class Repair:
    """Looks, and hands modules what the plan names, under an authorization of its own run."""

    def __init__(self, desk: Desk, *entries: dict[str, Any], run: str = "run-1") -> None:
        self.desk = desk
        self.entries = list(entries) or [desk.entry()]
        self.state_dir = desk.folder / "state"
        self.run = run
        self.look()

    def look(self) -> dict[str, Any]:
        """A fresh look; the plans of the authorization are its plans from now on."""
        self.health = run_module(
            "ib_gateway_health", gateways=self.entries, probe="never", known_served=self.desk.known_served
        )
        assert "gateways" in self.health, self.health
        return self.health

    def steps(self, action: str) -> list[dict[str, Any]]:
        """The steps of the newest plan that take this action."""
        return [step for each in self.health["gateways"] for step in each["plan"]["steps"] if step["action"] == action]

    def targets(self, action: str) -> list[dict[str, Any]]:
        """Whom those steps mean."""
        return [step["target"] for step in self.steps(action)]

    @property
    def authorization(self) -> dict[str, Any]:
        """What the controller would hand to an acting module."""
        plans = [
            {
                "gateway": each["name"],
                "digest": each["plan"]["digest"],
                "boot_id": each["plan"]["made_at"]["boot_id"],
                "made_at": each["plan"]["made_at"]["boottime"],
            }
            for each in self.health["gateways"]
        ]
        return {"run": self.run, "by": "test", "state_dir": str(self.state_dir), "plans": plans}

    def begin(self) -> Repair:
        """Takes the host's lease."""
        names = [each["name"] for each in self.entries]
        found = run_module("ib_repair_begin", authorization=self.authorization, gateways=names)
        assert found["begun"], found
        return self

    def act(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """Runs an acting module under the authorization."""
        return run_module(module, check, gateways=self.entries, authorization=self.authorization, **options)

    def journal(self) -> list[dict[str, Any]]:
        """The records of what was meant and what became of it, in their order."""
        lines = (self.state_dir / "journal.jsonl").read_text().splitlines()
        return [each for each in map(json.loads, lines) if each["kind"] in ("intent", "outcome", "refuse", "defer")]

    def told(self) -> list[tuple[str, ...]]:
        """The journal in short: (kind, action, result) of each record."""
        return [tuple(each[key] for key in ("kind", "action", "result") if each.get(key)) for each in self.journal()]


UNIT = "ibgateway.service"


#: What systemctl shows of a unit that kills what has not ended a minute and a half after it was told to stop.
KILLS = ("LoadState=loaded", "ActiveState=active", "SubState=running", "SendSIGKILL=yes", "TimeoutStopUSec=1min 30s")


def systemctl(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    main_pid: int,
    does: str,
    *others: int,
    shows: tuple[str, ...] = ("LoadState=loaded",),
) -> Path:
    """A systemctl that knows one unit with this main process, notes what it is told, and then `does` as a shell would.

    In `does` the verb is $verb. shows: what it shows of the unit. Returns the file with the notes.
    """
    program, notes = folder / "systemctl", folder / "told"
    told = (*shows, f"MainPID={main_pid}")
    notes.touch()
    program.write_text(
        f"""#!/bin/sh
echo "$*" >> {notes}
for verb in "$@"; do case "$verb" in
  show) case "$*" in *=MainPID*) echo {main_pid};; *) printf '%s\\n' {" ".join(map(shlex.quote, told))};; esac; exit;;
  start|stop|restart) break;;
esac; done
{does}
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    read_unit = processes.read_unit
    known = (main_pid, *others)
    monkeypatch.setattr(processes, "read_unit", lambda pid: UNIT if pid in known else read_unit(pid))
    return notes


def verbs(notes: Path) -> list[str]:
    """What a systemctl was told to do to its unit."""
    words = [line.split() for line in notes.read_text().splitlines()]
    return [word for line in words for word in line if word in ("start", "stop", "restart")]


def past_its_start(pid: int) -> None:
    """Waits until a process is a second old, so that with a start_timeout of 1 it is not taken for one that starts."""
    stat = processes.read_stat(pid)
    assert stat is not None
    until(lambda: processes.uptime() > 1.1 + stat.started_ticks / os.sysconf("SC_CLK_TCK"))
