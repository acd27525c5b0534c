"""A gateway of a unit that cannot be started again, or whose end would cost more than it, is left as it is.

On a real systemd, by a run in check mode and by one in earnest, for the same reason.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import SimulatedGateway, free_port

from integration.desk import Desk, gateways_in, until
from integration.test_container_units import inventory_of
from integration.unit_hosts import UnitHost

_UNIT = """[Unit]
{unit}
[Service]
WorkingDirectory={folder}
Environment=DISPLAY=:1
ExecStart={start}
{service}
"""


class UnitGateway:
    """A gateway that a unit carries, and that answers nobody any more once it is told to hang."""

    def __init__(self, host: UnitHost, folder: Path, name: str, unit: str = "", service: str = "", **more: Any) -> None:
        """unit, service: lines of the unit's sections; {gone} in them stands for a folder that is there for now."""
        self.host, self.name, self.gone = host, name, folder / name / "gone"
        self.gone.mkdir(parents=True)
        simulated = {"exit_with": None, "lifetime": 300, "settings": {"event": "hang"}, "python": "/usr/bin/python3"}
        self._gateway = SimulatedGateway(folder / name / "gateway", port=free_port(), **{**simulated, **more})
        command = [word.replace("$", "$$") for word in self._gateway.command()]
        self.start = shlex.join(command)
        lines = {"unit": unit.format(gone=self.gone), "service": service.format(gone=self.gone)}
        host.unit(name, _UNIT.format(folder=folder, start=self.start, **lines))

    @property
    def port(self) -> int:
        """The one it listens on."""
        return self._gateway.port

    @property
    def java(self) -> Path:
        """Its program."""
        return Path(self._gateway.command()[0])

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry in the inventory."""
        mode, folder = self._gateway.mode, str(self._gateway.config_dir)
        start = {"service": self.name, "start_timeout": 20}
        return {"name": self.name, "trading_mode": mode, "port": self.port, "config_dir": folder, **start}

    def pids(self) -> list[int]:
        """Its processes, as this machine numbers them."""
        return gateways_in(self._gateway.config_dir)

    def hang(self) -> None:
        """Has it answer nobody."""
        for pid in self.pids():
            os.kill(pid, signal.SIGUSR1)


def serve(host: UnitHost, *gateways: UnitGateway) -> None:
    """Starts their units, and waits until all of them listen."""
    host.says("systemctl", "daemon-reload")
    host.says("systemctl", "start", *(each.name for each in gateways))
    until(lambda: all(str(each.port) in host.says("ss", "-ltn") for each in gateways), 30)


def withheld(run: Any) -> dict[str, str]:
    """By gateway, what its plan withholds; nothing of it may be planned."""
    found = {}
    for each in run.host()["before"]["gateways"]:
        assert each["plan"]["steps"] == [], each
        found[each["name"]] = " ".join(each["plan"]["withheld"])
    return found


#: By name: lines of [Unit], lines of [Service], and what the plan has to say once {gone} is gone.
STATES = {
    "envfile": ("", "EnvironmentFile={gone}/env", "its EnvironmentFile= {gone}/env does not exist"),
    "condition": ("ConditionPathExists={gone}", "", "because ConditionPathExists={gone} does not hold now"),
    "assert": ("AssertPathIsDirectory={gone}", "", "because AssertPathIsDirectory={gone} does not hold now"),
    "decides": ("", "ExecCondition=/usr/bin/test -d {gone}", "the ExecCondition= of decides.service decides"),
    "folder": ("", "WorkingDirectory={gone}", "its WorkingDirectory= {gone} does not exist"),
    "before": ("", "ExecStartPre={gone}/env", "its program {gone}/env does not exist"),
    "required": ("Requires=broken.service", "", "it requires broken.service, which has failed"),
    "host": ("FailureAction=reboot", "", "systemd would act on the whole host where host.service ends"),
    "unstoppable": ("RefuseManualStop=yes", "", "unstoppable.service may not be stopped by hand"),
    "credential": ("", "LoadCredential=key:{gone}/env", "its LoadCredential= needs {gone}/env, which does not exist"),
    "output": ("", "StandardOutput=append:{gone}/log", "its StandardOutput= needs {gone}, which does not exist"),
    "writes": ("", "ReadWritePaths={gone}", "its ReadWritePaths= needs {gone}, which does not exist"),
    "binds": ("", "BindPaths={gone}:/mnt", "its BindPaths= needs {gone}, which does not exist"),
    "group": ("", "SupplementaryGroups=desk-group", "this host has no group desk-group (SupplementaryGroups=)"),
    "asks": ("Requisite=display.service", "", "it asks for display.service to be up already (Requisite=), and that is"),
    "forgotten": ("", "", "forgotten.service does not exist: bring that back"),
    "program": ("", "", "java does not exist"),
}


def test_a_gateway_is_not_ended_where_its_unit_could_not_bring_the_next_one_up(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    host.unit("broken", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/test -d /tmp\n")
    host.unit("display", "[Service]\nExecStart=/usr/bin/sleep 600\n")
    groups = host.root / "etc/group"
    groups.write_text(groups.read_text() + "desk-group:x:4343:\n")
    host.says("systemctl", "start", "display")
    desk.settings.update({"ib_gateway_diagnose_probe_timeout": 1, "ib_gateway_verify_probe_timeout": 1})
    gateways = [UnitGateway(host, tmp_path, name, unit, service) for name, (unit, service, _) in STATES.items()]
    for each in gateways:
        (each.gone / "env").write_text("#!/bin/sh\n")
        (each.gone / "env").chmod(0o755)
    serve(host, *gateways)
    before = {each.name: each.pids() for each in gateways}
    for each in gateways:
        shutil.rmtree(each.gone)
        each.hang()
    gateways[-1].java.unlink()
    host.unit("broken", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    host.says("systemctl", "daemon-reload")
    host.says("systemctl", "reload-or-restart", "--job-mode=ignore-dependencies", "broken")
    until(lambda: host.says("systemctl", "is-failed", "broken") == "failed")
    (host.root / "etc/systemd/system/forgotten.service").unlink()
    groups.write_text(groups.read_text().replace("desk-group:x:4343:\n", ""))
    host.says("systemctl", "kill", "--signal=KILL", "display")
    until(lambda: host.says("systemctl", "is-failed", "display") == "failed")
    for options in (["--check"], []):
        run = desk.play("remediate.yml", *options, inventory=inventory_of(host, *(each.entry for each in gateways)))
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        told = withheld(run)
        for each in gateways:
            assert STATES[each.name][2].format(gone=each.gone) in told[each.name], told[each.name]
        assert {each.name: each.pids() for each in gateways} == before


def test_a_unit_is_not_restarted_where_one_that_is_started_when_it_has_ended_stops_another_gateway_s(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    paper = UnitGateway(host, tmp_path, "paper", mode="paper", settings={})
    host.unit("panic", "[Unit]\nConflicts=paper.service\n[Service]\nExecStart=/bin/true\n")
    live = UnitGateway(host, tmp_path, "live", unit="OnFailure=panic.service")
    serve(host, live, paper)
    before = live.pids(), paper.pids()
    live.hang()
    for options in (["--check"], []):
        run = desk.play("remediate.yml", *options, inventory=inventory_of(host, live.entry, paper.entry))
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        assert "paper.service is stopped by a start of its unit live.service" in withheld(run)["live"]
        assert (live.pids(), paper.pids()) == before


@pytest.mark.parametrize("mode", ["process", "none"])
def test_a_gateway_that_a_stop_of_its_unit_does_not_end_is_ended_before_the_next_one_is_started(
    host: UnitHost, desk: Desk, tmp_path: Path, mode: str
) -> None:
    gateway = UnitGateway(host, tmp_path, "live", service=f"KillMode={mode}")
    serve(host, gateway)
    (old,) = gateway.pids()
    gateway.hang()
    entry = {**gateway.entry, "allow_kill": True}
    run = desk.play("remediate.yml", inventory=inventory_of(host, entry))
    assert run.rc == 0, run.output
    (new,) = gateway.pids()
    assert new != old and host.says("systemctl", "is-active", "live") == "active"
    again = desk.play("remediate.yml", inventory=inventory_of(host, entry))
    assert again.rc == 0 and again.recap()["changed"] == 0 and gateway.pids() == [new], again.output


def test_a_unit_is_not_restarted_where_what_it_runs_for_that_ends_another_gateway_s_or_a_protected_script(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    host.write("/opt/router.sh", "#!/bin/sh\nsleep 300\n", 0o755)
    host.unit("router", "[Service]\nExecStart=/bin/sh /opt/router.sh\n")
    paper = UnitGateway(host, tmp_path, "paper", mode="paper", settings={})
    mark = f"ExecStop=/usr/bin/pkill -f DjtsConfigDir={paper.entry['config_dir']}"
    stops = UnitGateway(host, tmp_path, "stops", service=mark)
    starts = UnitGateway(host, tmp_path, "starts", service="ExecStartPre=-/usr/bin/systemctl stop router.service")
    serve(host, stops, starts, paper)
    host.says("systemctl", "start", "router")
    before = [each.pids() for each in (stops, starts, paper)]
    for each in (stops, starts):
        each.hang()
    guarding = {**starts.entry, "protected_clients": ["router\\.sh"]}
    for options in (["--check"], []):
        hosts = inventory_of(host, stops.entry, guarding, paper.entry)
        run = desk.play("remediate.yml", *options, inventory=hosts)
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        told = withheld(run)
        assert "what stops it runs `" in told["stops"] and "pkill -f DjtsConfigDir=" in told["stops"]
        assert "which ends gateway pid" in told["stops"]
        assert "what starts it runs `" in told["starts"] and "systemctl " in told["starts"], told["starts"]
        assert "which ends the protected pid" in told["starts"]
        assert [each.pids() for each in (stops, starts, paper)] == before
        assert host.says("systemctl", "is-active", "router") == "active"


def test_a_gateway_whose_entry_names_its_unit_by_an_alias_is_restarted_by_that_unit(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    gateway = UnitGateway(host, tmp_path, "live")
    (host.root / "etc/systemd/system/other-name.service").symlink_to("live.service")
    serve(host, gateway)
    (old,) = gateway.pids()
    gateway.hang()
    hosts = inventory_of(host, {**gateway.entry, "service": "other-name", "allow_kill": True})
    checked = desk.play("remediate.yml", "--check", inventory=hosts)
    for step in checked.host()["before"]["gateways"][0]["plan"]["steps"]:
        assert step["target"].get("by") in (None, "unit") and "stays so" not in (step["costs"] or ""), step
    run = desk.play("remediate.yml", inventory=hosts)
    assert run.rc == 0 and "restarted live by unit other-name" in run.output, run.output
    (new,) = gateway.pids()
    assert new != old and host.says("systemctl", "is-active", "live") == "active"


def test_a_gateway_is_not_ended_where_its_unit_was_changed_and_would_bring_another_one_or_another_account_s(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    account, mode = (UnitGateway(host, tmp_path, name) for name in ("account", "mode"))
    serve(host, account, mode)
    before = account.pids(), mode.pids()
    paper = UnitGateway(host, tmp_path, "paper", mode="paper")
    host.write("/etc/systemd/system/account.service.d/next.conf", "[Service]\nUser=nobody\n")
    host.write("/etc/systemd/system/mode.service.d/next.conf", f"[Service]\nExecStart=\nExecStart={paper.start}\n")
    host.says("systemctl", "daemon-reload")
    for each in (account, mode):
        each.hang()
    for options in (["--check"], []):
        run = desk.play("remediate.yml", *options, inventory=inventory_of(host, account.entry, mode.entry))
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        told = withheld(run)
        assert "it would start it as account nobody (User=), and the one that runs is root's" in told["account"], told
        assert "would start another gateway than the entry's: it says config_dir" in told["mode"], told
        assert (account.pids(), mode.pids()) == before


#: By name: a line of [Service] that ends the job of that name, which runs and is protected.
_BY_ANOTHER_NAME = {
    "target": "ExecStartPre=-/usr/bin/systemctl stop jobs.target",
    "slice": "ExecStartPre=-/usr/bin/systemctl stop jobs.slice",
    "conflict": "ExecStartPre=-/usr/bin/systemctl start rival.service",
    "manager": "ExecStartPre=-/usr/bin/systemctl restart user@0.service",
    "file": "ExecStartPre=-/bin/sh -c 'kill $$(cat /opt/job-file.pid)'",
}


def test_a_unit_is_not_restarted_where_what_it_runs_ends_a_protected_script_by_another_name_than_its_own(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    desk.settings.update({"ib_gateway_diagnose_probe_timeout": 1, "ib_gateway_verify_probe_timeout": 1})
    tied = {"target": "[Unit]\nPartOf=jobs.target\n", "conflict": "", "file": "", "slice": ""}
    host.write("/etc/systemd/system/jobs.target", "[Unit]\nDescription=jobs\n")
    host.write(
        "/etc/systemd/system/rival.service", "[Unit]\nConflicts=job-conflict.service\n[Service]\nExecStart=/bin/true\n"
    )
    for name in _BY_ANOTHER_NAME:
        host.write(f"/opt/job-{name}.sh", "#!/bin/sh\nsleep 600\nexit\n", 0o755)
        where = "Slice=jobs.slice\n" if name == "slice" else ""
        text = f"{tied.get(name, '')}[Service]\n{where}ExecStart=/bin/sh /opt/job-{name}.sh\n"
        folder = "user" if name == "manager" else "system"
        host.write(f"/etc/systemd/{folder}/job-{name}.service", text)
    gateways = [UnitGateway(host, tmp_path, name, service=line) for name, line in _BY_ANOTHER_NAME.items()]
    host.says("systemctl", "start", "user@0.service", "jobs.target")
    serve(host, *gateways)
    user = ["env", "XDG_RUNTIME_DIR=/run/user/0", "systemctl", "--user"]
    host.says(*user, "start", "job-manager")
    host.says("systemctl", "start", *(f"job-{name}" for name in _BY_ANOTHER_NAME if name != "manager"))
    host.write("/opt/job-file.pid", host.says("systemctl", "show", "--property=MainPID", "--value", "job-file"))
    before = [each.pids() for each in gateways]
    for each in gateways:
        each.hang()
    entries = [{**each.entry, "protected_clients": ["/opt/job-"]} for each in gateways]
    for options in (["--check"], []):
        run = desk.play("remediate.yml", *options, inventory=inventory_of(host, *entries))
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        for name, told in withheld(run).items():
            assert "what starts it runs `" in told and f"/opt/job-{name}.sh" in told, told
        assert [each.pids() for each in gateways] == before
    assert host.says(*user, "is-active", "job-manager") == "active"
