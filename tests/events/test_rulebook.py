"""The rulebook under a real ansible-rulebook: posted events, a real desk, and what must not be believed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from integration.desk import PROJECT, Desk, local, until
from simulator.launch import free_port

sys.path.insert(0, str(PROJECT))

from collection import build, shipped

TOKEN = "the-right-token"  # noqa: S105 - a test's
#: Seconds for a repair that an event begins: ansible-rulebook, ansible-runner and a whole run.
_REPAIRED = 180.0


pytestmark = pytest.mark.timeout(500)


class Rulebook:
    """One that runs. log: what it has said; port: where it is posted to.

    collections: a folder that has the collection, of which rulebook and playbook are then taken by their names; without
    one they are the checkout's files.
    """

    def __init__(self, folder: Path, inventory: dict[str, Any], collections: Path | None = None) -> None:
        self.port, self.log = free_port(), folder / "rulebook.log"
        (folder / "inventory.json").write_text(json.dumps(inventory))
        rulebook = str(PROJECT / "extensions" / "eda" / "rulebooks" / "remediate.yml")
        playbook = str(PROJECT / "playbooks" / "remediate_named.yml")
        environment = dict(os.environ)
        if collections:
            rulebook, playbook = "trading_ops.ib_gateway.remediate", "trading_ops.ib_gateway.remediate_named"
            environment = shipped.environment(collections)
        told = {"ib_event_port": self.port, "ib_event_token": TOKEN, "ib_event_playbook": playbook}
        (folder / "vars.json").write_text(json.dumps(told))
        self.process = subprocess.Popen(
            [
                *(os.environ["IB_RULEBOOK_PROGRAM"], "--rulebook", rulebook),
                *("--inventory", str(folder / "inventory.json"), "--vars", str(folder / "vars.json"), "--print-events"),
            ],
            cwd=folder,
            env={**environment, "ANSIBLE_NOCOLOR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        until(self._listens, 60)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.told()
        try:
            return self.post({}, token="") == 401
        except OSError:
            return False

    def told(self) -> str:
        return self.log.read_text(errors="replace")

    def post(self, body: Any, token: str = TOKEN) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/endpoint",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - it is the address above
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    def recaps(self, host: str) -> int:
        """How many runs have ended well that were about a host."""
        return len(re.findall(rf"^{host} +: ok=.* failed=0 ", self.told(), re.MULTILINE))


def alerts(*hosts: Any, name: str = "IbGatewayUnhealthy", status: str = "firing") -> dict[str, Any]:
    """What Alertmanager posts."""
    return {
        "status": status,
        "alerts": [
            {"status": status, "labels": {"alertname": name, "host": host, "gateway": "live"}} for host in hosts
        ],
    }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A trading desk that leaves nothing behind, however the test ends."""
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


Begin = Callable[..., Rulebook]


@pytest.fixture
def rulebook(desk: Desk) -> Iterator[Begin]:
    """Starts one about two names of this desk; it is ended when the test ends."""
    begun: list[Rulebook] = []

    def begin(collections: Path | None = None) -> Rulebook:
        hosts = {name: local(ib_gateways=[desk.entry()], ib_repair_state_dir=str(desk.folder / name)) for name in "ab"}
        settings = {**desk.settings, "ib_report_dir": str(desk.folder / "reports")}
        settings.pop("ib_repair_state_dir")
        begun.append(Rulebook(desk.folder, {"trading_hosts": {"hosts": hosts, "vars": settings}}, collections))
        return begun[0]

    yield begin
    for each in begun:
        each.process.terminate()
        each.process.wait(20)


def test_a_posted_alert_repairs_the_host_that_it_names_and_no_other(
    desk: Desk,
    rulebook: Begin,
) -> None:
    stalled = desk.gateway("stall")
    running = rulebook()
    assert running.post(alerts("a"), token="wrong") == 401  # noqa: S106 - not that one
    for nobody in (
        alerts("all"),  # a group's name, which the playbook refuses
        alerts("a,b"),
        alerts("*"),
        alerts(["a", "b"]),
        alerts("a", name="IbGatewayDegraded"),
        alerts("a", status="resolved"),
        {"alerts": [{"status": "firing", "labels": {"alertname": "IbGatewayUnhealthy"}}]},
        {"alerts": "none"},
        {"odd": 1},
    ):
        running.post(nobody)
    until(lambda: "Nothing was done: this run is about a, b" in " ".join(running.told().split()), _REPAIRED)
    assert running.post(alerts("a")) == 200
    written = desk.folder / "reports" / "fleet.json"
    until(written.exists, _REPAIRED)
    assert stalled.pid not in desk.java() and len(desk.java()) == 1
    report = json.loads(written.read_text())
    assert [each["name"] for each in report["hosts"]] == ["a"] and report["hosts"][0]["status"] == "healthy"


def test_an_alert_that_is_posted_again_while_it_lasts_begins_one_repair(
    desk: Desk,
    rulebook: Begin,
) -> None:
    desk.gateway()
    running = rulebook()
    for _ in range(5):
        running.post(alerts("a"))
    until(lambda: running.recaps("a"), _REPAIRED)
    running.post(alerts("a"))
    running.post(alerts("b"))
    until(lambda: running.recaps("b"), _REPAIRED)
    assert running.recaps("a") == 1


def test_the_installed_collection_s_rulebook_repairs_with_the_collection_s_playbook(
    desk: Desk,
    rulebook: Begin,
    tmp_path: Path,
) -> None:
    archive = build.archive(build.write(tmp_path / "built"), tmp_path)
    shipped.install(archive, tmp_path / "collections")
    stalled = desk.gateway("stall")
    running = rulebook(tmp_path / "collections")
    assert running.post(alerts("a")) == 200
    written = desk.folder / "reports" / "fleet.json"
    until(written.exists, _REPAIRED)
    report = json.loads(written.read_text())
    assert [(each["name"], each["status"]) for each in report["hosts"]] == [("a", "healthy")], running.told()
    assert stalled.pid not in desk.java() and len(desk.java()) == 1
