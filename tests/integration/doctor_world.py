"""A host of its own for the doctor, who looks at all of a host: this file is run in namespaces of its own.

doctor_world.py SCENARIO     prints what came of it as a line of JSON
"""

from __future__ import annotations

import contextlib
import encodings.ascii  # noqa: F401 - who has lost his rights cannot load it any more
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "library")]

import ansible.module_utils  # noqa: E402 - needs the path above

ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.ib_fleet.document.desk_inventory import Found, text  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.render import desk as telling  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.render.layout import laid_out  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.run import answers  # noqa: E402 - likewise

# Who has lost his rights may not be able to read them any more.
from ansible.module_utils.ib_gateway.lifecycle import systemctl, unit_facts  # noqa: E402, F401 - likewise
from ansible.module_utils.ib_gateway.module import command_servers, logins  # noqa: E402, F401 - likewise
from ansible.module_utils.ib_gateway.observe import api_scripts, keepers, origins, unit_files  # noqa: E402, F401
from simulator.launch import SimulatedGateway, connect_once, free_port  # noqa: E402 - likewise

from integration.desk import Desk, halt, until  # noqa: E402 - likewise
from integration.modules import run_module, run_module_as  # noqa: E402 - likewise

#: A script that waits for a gateway and holds no connection.
WAITER = """\
import time
import sys
if False:
    import ib_insync
while True:
    time.sleep(60)
"""


def looked(**options: Any) -> dict[str, Any]:
    """What the module finds, and what the doctor says of it."""
    return said(run_module("ib_desk_info", probe_timeout=1.0, **options))


def said(found: dict[str, Any]) -> dict[str, Any]:
    """A module's answer through the one gate, with the doctor's words for it."""
    assert "health" in found, found
    answer = answers.checked(found, "desk")
    assert "health" in answer, answer
    host = telling.Host("localhost", answer, here=True)
    return {"desk": answer, "said": "\n".join(laid_out(telling.host_lines(host), 1000))}


def judged(desk: Desk, **entry: Any) -> dict[str, Any]:
    """What a sweep with an inventory says of the same desk."""
    declared = [desk.entry(start_timeout=1, max_api_clients=None, **entry)]
    found = run_module("ib_gateway_health", gateways=declared, probe_timeout=1.0)
    return dict(found["gateways"][0])


# --- scenarios -------------------------------------------------------------------------------------------------------


def nothing(desk: Desk) -> dict[str, Any]:
    file = desk.folder / "desk.yml"
    asked = playbook("playbooks/doctor.yml", "-e", _json(ib_write_inventory=str(file)))
    return {**looked(), "asked": asked, "file": str(file), "exists": file.exists()}


def healthy(desk: Desk) -> dict[str, Any]:
    gateway, script = desk.gateway(), desk.script()
    return {**looked(), "gateway": gateway.pid, "script": script.pid, "port": desk.port}


def read_only(desk: Desk) -> dict[str, Any]:
    """Nothing can be written anywhere while the doctor looks."""
    desk.gateway("stall")
    for path in ("/", "/tmp", "/run", "/var/log", "/var/lib", str(desk.folder)):  # noqa: S108 - what is to be closed
        subprocess.run(["mount", "--bind", path, path], check=False, capture_output=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=False, capture_output=True)
    with contextlib.suppress(OSError):
        (desk.folder / "written").touch()
        raise AssertionError("the folder can still be written")
    return looked(start_timeout=1)


def faults(desk: Desk) -> dict[str, Any]:
    """By fault: what the doctor says without an inventory, and what a sweep with one does."""
    found = {}
    for fault in (
        *("stall", "silent", "drop-after-hello", "never-accept", "no-listener", "id-in-use", "disclaimer"),
        *("no-order-id", "silent-after-ready", "farms-broken", "upstream-lost", "garbage"),
    ):
        with _broken(desk, fault):
            doctor = _doctor(desk)
            if fault != "never-accept":
                found[fault] = {**doctor, "oracle": _verdict(judged(desk))}
        if fault == "never-accept":  # the first look's own handshake would wait in its queue
            with _broken(desk, fault):
                found[fault] = {**doctor, "oracle": _verdict(judged(desk))}
    gateway = desk.gateway(launcher="ibc")
    halt(gateway.pid)
    found["frozen"] = {**_doctor(desk), "oracle": _verdict(judged(desk))}
    os.kill(gateway.pid, signal.SIGCONT)
    return found


@contextlib.contextmanager
def _broken(desk: Desk, fault: str) -> Iterator[None]:
    gateway = desk.prepared(fault, launcher="ibc")
    gateway.start()
    _until_older(gateway.pid, 1.5)
    yield
    gateway.stop(timeout=0.5)


def _doctor(desk: Desk) -> dict[str, Any]:
    found = looked(start_timeout=1, ports=[desk.port])
    return {"doctor": [_verdict(each) for each in found["desk"]["health"]["gateways"]], "said": found["said"]}


def _verdict(gateway: dict[str, Any]) -> list[Any]:
    return [gateway["verdict"], sorted(each["code"] for each in gateway["findings"])]


def _until_older(pid: int, seconds: float) -> None:
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    until(lambda: float(Path("/proc/uptime").read_text().split()[0]) - started > seconds)


def second_factor(desk: Desk) -> dict[str, Any]:
    log = desk.folder / "ibc.log"
    settings = {"ibc-log": str(log), "second-factor": 200, "second-factor-limit": 0.2}
    started = desk.bystander(*desk.prepared(launcher="ibc", settings=settings).command())
    until(lambda: log.exists() and log.read_text().count("Second Factor Authentication initiated") > 1)
    return {**looked(start_timeout=1), "gateway": started.pid}


def other_port(desk: Desk) -> dict[str, Any]:
    """A script waits on a port where nothing listens; the gateway serves another one."""
    desk.gateway(launcher="ibc")
    waiter = desk.folder / "bot.py"
    waiter.write_text(WAITER)
    process = desk.bystander(sys.executable, str(waiter), "--port=4002")
    until(lambda: b"bot.py" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
    return {**looked(), "script": process.pid, "port": desk.port}


def live_on_the_paper_port(desk: Desk) -> dict[str, Any]:
    """A gateway that says no mode serves live accounts on the port that usually is paper's."""
    desk.gateway(launcher="native", port=4002)
    return looked()


def beside(desk: Desk) -> dict[str, Any]:
    """Live and paper of one account, a TWS without an API port, and a gateway for FIX."""
    desk.gateway(launcher="ibc-java", mode="live")
    paper = free_port()
    desk.gateway(launcher="ibc-java", mode="paper", port=paper)
    desk.gateway("no-listener", launcher="installed-tws", config_dir=desk.folder / "tws")
    desk.gateway(launcher="ibc-fix", config_dir=desk.folder / "fix")
    return {**looked(), "ports": [desk.port, paper]}


def ordinary_user(desk: Desk) -> dict[str, Any]:
    """Somebody without rights looks at the gateway of another account."""
    gateway = desk.gateway(launcher="ibc")
    desk.script()
    return {**_as_nobody(), "gateway": gateway.pid}


def ordinary_user_at_the_incident(desk: Desk) -> dict[str, Any]:
    for launcher in ("ibc", "native", "ibc"):
        desk.gateway("no-listener", launcher=launcher)
    return _as_nobody()


def _as_nobody() -> dict[str, Any]:
    looked()  # who has lost his rights may not be able to load the interpreter's files any more

    def drop() -> None:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)

    return said(run_module_as(drop, "ib_desk_info", probe_timeout=1.0))


def wrong_keys(desk: Desk) -> dict[str, Any]:
    """An inventory with the wrong folder, and one with the wrong account."""
    gateway = desk.gateway(launcher="ibc")
    entry = desk.entry(max_api_clients=None)
    folder = run_module("ib_gateway_health", gateways=[{**entry, "config_dir": "/srv/elsewhere", "port": 4001}])
    account = run_module("ib_gateway_health", gateways=[{**entry, "user": "nobody", "port": 4001}])
    return {
        "gateway": gateway.pid,
        "folder": folder["gateways"][0],
        "user": account["gateways"][0],
        "doctor": looked(gateways=[{**entry, "config_dir": "/srv/elsewhere", "port": 4001}])["said"],
        "config_dir": str(desk.config_dir),
    }


def round_trip(desk: Desk) -> dict[str, Any]:
    """What is proposed, judged by a sweep: the same verdicts."""
    paper = desk.folder / "paper"
    gateways = [desk.gateway("stall", launcher="ibc"), desk.gateway(mode="paper", port=free_port(), config_dir=paper)]
    first = looked(start_timeout=1)["desk"]
    entries = [each["entry"] for each in first["proposals"]]
    second = run_module("ib_gateway_health", gateways=entries, probe_timeout=1.0)
    return {
        "doctor": {each["name"]: each["verdict"] for each in first["health"]["gateways"]},
        "sweep": {each["name"]: each["verdict"] for each in second["gateways"]},
        "pids": sorted(each.pid for each in gateways),
        "proposed": sorted(pid for each in first["proposals"] for pid in each["pids"]),
        "inventory": text([Found("desk", {}, first["proposals"])], "now"),
    }


def seed(desk: Desk) -> dict[str, Any]:
    """The incident, from the question to its repair: two commands to the answer, two edits, one repair."""
    served: SimulatedGateway = desk.gateway("close-listener-on-second", launcher="ibc")
    silent = [desk.gateway("no-listener"), desk.gateway("no-listener", launcher="ibc")]
    script = desk.script()
    assert not connect_once(desk.port, client_id=15, timeout=1).connected
    _until_older(silent[-1].pid, 3)
    inventory = desk.folder / "desk.yml"
    asked = playbook("playbooks/doctor.yml", "-e", _json(ib_gateway_diagnose_start_timeout=3))
    wrote = playbook(
        "playbooks/doctor.yml", "-e", _json(ib_gateway_diagnose_start_timeout=3, ib_write_inventory=str(inventory))
    )
    written = inventory.read_text()
    again = playbook("playbooks/doctor.yml", "-e", _json(ib_write_inventory=str(inventory)))
    edited = written.replace("remediation: plan_only", "remediation: auto").replace(
        "# start_command: [/opt/ibc/gatewaystart.sh, -inline]",
        "start_command: %s" % json.dumps(desk.prepared().command()),
    )
    inventory.write_text(edited)
    settings = _json(**{**desk.settings, "ib_report_dir": str(desk.folder / "reports")})
    swept = playbook("playbooks/health_sweep.yml", "-i", str(inventory), "-e", settings)
    repaired = playbook("remediate.yml", "-i", str(inventory), "-e", settings)
    return {
        "asked": asked,
        "wrote": wrote,
        "written": written,
        "again": again,
        "unchanged": inventory.read_text() == edited,
        "swept": swept,
        "repaired": repaired,
        "gateways": [served.pid, *(each.pid for each in silent)],
        "script": script.pid,
        "port": desk.port,
        "edits": sum(one != other for one, other in zip(written.splitlines(), edited.splitlines())),
        "connects": connect_once(desk.port, client_id=15, timeout=4).connected,
        "state": (desk.folder / "state").exists(),
    }


def not_written(desk: Desk) -> dict[str, Any]:
    """The doctor with a file that cannot be written, and in check mode."""
    desk.gateway(launcher="ibc")
    file = desk.folder / "desk.yml"
    nowhere, checked = (_json(ib_write_inventory=str(each)) for each in (desk.folder / "none" / "desk.yml", file))
    return {
        "nowhere": playbook("playbooks/doctor.yml", "-e", nowhere),
        "checked": playbook("playbooks/doctor.yml", "--check", "-e", checked),
        "file": str(file),
        "exists": file.exists(),
    }


def with_scripts(desk: Desk) -> dict[str, Any]:
    """The doctor that is asked for the scripts as well, beside one that is not."""
    desk.gateway(launcher="ibc")
    script = desk.script()
    asked = _json(ib_doctor_scripts=True, ib_gateway_diagnose_start_timeout=3)
    return {
        "plain": playbook("playbooks/doctor.yml"),
        "asked": playbook("playbooks/doctor.yml", "-e", asked),
        "script": script.pid,
        "port": desk.port,
    }


def elsewhere(desk: Desk) -> dict[str, Any]:
    """Each playbook started in another folder, where no ansible.cfg is read."""
    desk.gateway(launcher="ibc")
    inventory = {"trading_hosts": {"hosts": {"desk": {**_LOCAL, "ib_gateways": [desk.entry(max_api_clients=None)]}}}}
    path = desk.folder / "inventory.json"
    path.write_text(json.dumps(inventory))
    options = ("-i", str(path), "-e", _json(**{**desk.settings, "ib_report_dir": str(desk.folder / "reports")}))
    return {
        "doctor": playbook("playbooks/doctor.yml", here="/"),
        "sweep": playbook("playbooks/health_sweep.yml", *options, here="/"),
        "remediate": playbook("remediate.yml", *options, here="/"),
        "audit": playbook("playbooks/audit_clients.yml", *options, here="/"),
    }


_LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def playbook(name: str, *options: str, here: str = str(PROJECT)) -> dict[str, Any]:
    """A run as a user starts it: {rc, output}."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(PROJECT / name), *options]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "100"}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=150, check=False)
    return {"rc": done.returncode, "output": done.stdout + done.stderr}


def _json(**variables: Any) -> str:
    return json.dumps(variables)


SCENARIOS: dict[str, Callable[[Desk], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        *(nothing, healthy, read_only, faults, second_factor, other_port, beside, wrong_keys, round_trip),
        *(ordinary_user, ordinary_user_at_the_incident, seed, elsewhere, with_scripts, not_written),
        live_on_the_paper_port,
    )
}
#: Played by an account without rights, whose gateways and scripts those of the scenario are.
OF_AN_ACCOUNT = {"seed_of_an_account": seed}
_NOBODY = 65534


def _become_an_account() -> None:
    """From here on this is an account without rights. What it needs of the disk is there for it, in this world only."""
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), PROJECT]
    closed = {above for each in needed for above in each.parents if not above.stat().st_mode & 0o001}
    aside = Path(tempfile.mkdtemp())
    for number, path in enumerate(needed):
        (aside / str(number)).mkdir()
        subprocess.run(["mount", "--bind", path, aside / str(number)], check=True)
    for folder in sorted(closed, key=lambda each: len(each.parts))[:1]:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    for number, path in enumerate(needed):
        if closed & set(path.parents):
            path.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", aside / str(number), path], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/mnt"], check=True)
    os.environ.update(TMPDIR="/mnt", HOME="/mnt")
    tempfile.tempdir = None
    os.chdir("/")
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


@contextlib.contextmanager
def _desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        Path(folder).chmod(0o755)
        yield Desk(Path(folder), stack)


def main() -> None:
    """Plays one scenario."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if sys.argv[1] in OF_AN_ACCOUNT:
        _become_an_account()
    with _desk() as desk:
        found = {**SCENARIOS, **OF_AN_ACCOUNT}[sys.argv[1]](desk)
        print(json.dumps(found))
        if sys.argv[1] == "read_only":
            sys.stdout.flush()
            os._exit(0)  # its folder cannot be removed from in here; whoever runs this does it


if __name__ == "__main__":
    main()
