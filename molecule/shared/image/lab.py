"""Sets a fault up on a lab host, and judges afterwards what became of it.

    lab.py stage < steps.json      starts what the steps name, one after the other, and remembers it
    lab.py judge < expected.json   looks with ps, ss, systemctl and a session of its own; prints what is not as expected

Shares no code with the project: this is what the project is measured by. Needs root, Python 3.9 and the standard
library. molecule/README.md lists the steps and what can be expected.
"""

import json
import os
import pwd
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

HERE = Path(__file__).resolve().parent
STATE = Path("/run/lab")
STAGED = STATE / "staged.json"
#: The main class of a native launch.
NATIVE = "install4j.ibgateway.GWClient"
SERVER = "/opt/ibgateway"
DATA = "/srv/ibgateway"
RUNTIME = "/opt/ib-host-runtime/bin/python"
OWNER = "trader"
READY_WITHIN = 20.0  # seconds
ACCOUNTS = {"live": "U1234567", "paper": "DU1234567"}
PORTS = {"live": 4001, "paper": 4002}
#: What changes on a host by itself, or because somebody logs in.
RESTLESS = ("/proc", "/sys", "/dev", "/run", "/var/log", "/var/lib/systemd")

Thing = Dict[str, Any]


# --- setting up ------------------------------------------------------------------------------------------------------


class Stage:
    """Starts one thing after the other and knows them by name."""

    def __init__(self) -> None:
        self.things: Dict[str, Thing] = {}

    def unit(self, name: str, options: str = "", before: int = 0, wait: bool = True) -> None:
        """Starts a gateway's unit; its options and the wait before it hold for this start only."""
        ready = STATE / f"{name}.ready"
        environment = STATE / f"{name}.env"
        environment.write_text(f'OPTIONS="--ready-file={ready} {options}"\nBEFORE={before}\n')
        run("systemctl", "start", *([] if wait else ["--no-block"]), f"{name}.service")
        if wait:
            until(ready.exists, f"unit {name} is up")
        elif not before:
            until(lambda: properties(name)["MainPID"] != "0", f"unit {name} runs")
        else:
            until(lambda: properties(name)["ActiveState"] == "activating", f"unit {name} begins")
            time.sleep(1)  # until ExecStartPre has been given its environment
        environment.unlink()
        found = properties(name)
        pid = int(found["MainPID"])
        self.things[name] = {"unit": name, "invocation": found["InvocationID"], "pid": pid, "args": args_of(pid)}

    def user_unit(self, name: str, options: str = "") -> None:
        """Starts the unit as one of the gateways' account's own systemd, which lingers; its options hold for once."""
        run("loginctl", "enable-linger", OWNER)
        home = Path(pwd.getpwnam(OWNER).pw_dir, ".config/systemd/user")
        home.mkdir(parents=True, exist_ok=True)
        text = Path(f"/etc/systemd/system/{name}.service").read_text()
        (home / f"{name}.service").write_text(text.replace(f"User={OWNER}\n", ""))
        for folder in (home, *list(home.parents)[:2]):
            os.chown(folder, pwd.getpwnam(OWNER).pw_uid, pwd.getpwnam(OWNER).pw_gid)
        ready, environment = STATE / f"{name}.ready", STATE / f"{name}.env"
        environment.write_text(f'OPTIONS="--ready-file={ready} {options}"\n')
        until(lambda: os.path.exists(f"/run/user/{pwd.getpwnam(OWNER).pw_uid}/systemd/private"), "its systemd runs")
        run(*systemctl(OWNER), "daemon-reload")
        run(*systemctl(OWNER), "start", f"{name}.service")
        until(ready.exists, f"unit {name} is up")
        environment.unlink()
        found = properties(name, OWNER)
        pid = int(found["MainPID"])
        thing = {"unit": name, "owner": OWNER, "invocation": found["InvocationID"], "pid": pid, "args": args_of(pid)}
        self.things[name] = thing

    def file(self, path: str, text: str = "", mode: str = "0644", link: Optional[str] = None) -> None:
        """Puts a file, or a link to another one, in the place of whatever is there."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if link is not None:
            place.symlink_to(link)
            return
        place.write_text(text)
        place.chmod(int(mode, 8))

    def run(self, argv: List[str], brings: Optional[Dict[str, str]] = None, opens: Optional[int] = None) -> None:
        """Runs a command; brings: by name, what stands in the command line of a process that runs because of it.

        opens: the port that such a process opens.
        """
        run(*argv)
        if opens is not None:
            until(lambda: listeners(opens), f"port {opens} is open")
        for name, part in (brings or {}).items():
            until(lambda part=part: pids_with(part), f"{name} runs")  # type: ignore[misc]
            self._remember(name, pids_with(part)[0])

    def end(self, name: str) -> None:
        """Kills something that was started; it must stay gone."""
        os.kill(self.things.pop(name)["pid"], 9)

    def gateway(
        self, name: str, options: str = "", folder: str = "live", inside: Optional[str] = None, main: str = NATIVE
    ) -> None:
        """Starts a gateway that no unit starts, or one that is left over in the unit of another service.

        main: its main class with that one's own arguments; a native launch does not say its trading mode.
        """
        ready = STATE / f"{name}.ready"
        argv = [f"{SERVER}/jre/bin/java", f"{SERVER}/simulator/gateway.py", f"-DjtsConfigDir={DATA}/{folder}"]
        argv += [*main.split(), "--port=4001", f"--accounts={ACCOUNTS['live']}", "--lifetime=7200"]
        argv += [f"--ready-file={ready}", *options.split()]
        if inside is None:
            start(argv)
        else:
            # As cron leaves it behind: its parent has ended, the service goes on.
            line = f"({' '.join(argv)} </dev/null >/dev/null 2>&1 &); exec sleep 7200"
            run("systemd-run", "--quiet", f"--unit={inside}", f"--uid={OWNER}", "/bin/sh", "-c", line)
            pid = int(properties(inside)["MainPID"])
            self.things[inside] = {"pid": pid, "args": "sleep 7200"}
        until(ready.exists, f"gateway {name} is up")
        self._remember(name, int(json.loads(ready.read_text())["pid"]))

    def script(self, name: str, port: int = 4001, client_id: int = 15) -> None:
        """Starts a trading script that holds a session and has this name in its argv."""
        path = Path(f"{DATA}/scripts/{name}.py")
        path.symlink_to(f"{SERVER}/clients/hold_session.py")
        ready = STATE / f"{name}.ready"
        options = [f"--port={port}", f"--client-id={client_id}", "--lifetime=7200", f"--ready-file={ready}"]
        process = start([RUNTIME, str(path), *options])
        until(ready.exists, f"script {name} has its session")
        self._remember(name, process.pid)

    def knock(self, name: str, port: int = 4001) -> None:
        """Starts a program that connects and never says anything."""
        code = f"import socket, time; s = socket.create_connection(('127.0.0.1', {port})); time.sleep(7200)"
        process = start(["/usr/bin/python3", "-c", code])
        until(lambda: connected(process.pid, port), f"{name} is connected")
        self._remember(name, process.pid)

    def listener(self, name: str, port: int = 4001) -> None:
        """Starts a program that is no gateway and listens on a port."""
        code = f"import socket, time; s = socket.create_server(('', {port})); time.sleep(7200)"
        process = start(["/usr/bin/python3", "-c", code])
        until(lambda: listeners(port) == [process.pid], f"{name} listens")
        self._remember(name, process.pid)

    def bystander(self, name: str, argv: List[str], program: Optional[str] = None) -> None:
        """Starts any other program; `program` is what is run where argv's first word says something else."""
        process = start(argv, program)
        until(lambda: args_of(process.pid) == " ".join(argv), f"{name} runs")
        self._remember(name, process.pid)

    def attempt(self, connects: bool, port: int = 4001, client_id: int = 15) -> None:
        """A script tries to connect, and it goes as expected, or the stage is not what it was meant to be."""
        answer = session(port, client_id, timeout=1.5)
        if answer["connected"] != connects:
            raise SystemExit(f"a session on port {port} was expected to {'work' if connects else 'fail'}: {answer}")

    def age(self, seconds: float) -> None:
        """Waits until everything is this old."""
        time.sleep(seconds)

    def _remember(self, name: str, pid: int) -> None:
        self.things[name] = {"pid": pid, "args": args_of(pid)}


def stage(steps: List[Dict[str, Any]]) -> None:
    """Does the steps, and remembers what was started and what the disk is like."""
    owner = pwd.getpwnam(OWNER)
    STATE.mkdir()
    os.chown(STATE, owner.pw_uid, owner.pw_gid)
    scene = Stage()
    for step in steps:
        getattr(scene, step.pop("do"))(**step)
    STAGED.write_text(json.dumps({"things": scene.things, "disk": disk()}))


def start(argv: List[str], program: Optional[str] = None) -> "subprocess.Popen[bytes]":
    """Starts a program as the gateways' account, in a session of its own, so that it outlives this run."""
    log = os.open(STATE / "programs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    return subprocess.Popen(
        argv,
        executable=program,
        user=OWNER,
        group=OWNER,
        extra_groups=[],
        cwd=DATA,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def until(condition: Callable[[], object], what: str) -> None:
    """Returns as soon as the condition holds."""
    deadline = time.monotonic() + READY_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            log = STATE / "programs.log"
            raise SystemExit(f"not within {READY_WITHIN} s: {what}. {log.read_text() if log.exists() else ''}")
        time.sleep(0.02)


# --- judging ---------------------------------------------------------------------------------------------------------


def judge(expected: Dict[str, Any]) -> List[str]:
    """What is not as expected, in words; empty when all is well.

    expected: gone (names of staged things that must have ended; all others must live), serves (the inventory entries
    whose gateways must serve), sessions (whether to open them here), untouched (whether the disk must be as it was),
    cut and holds (names of scripts that must live without a session, and with the one they had).
    """
    staged = json.loads(STAGED.read_text())
    gone = set(expected["gone"])
    problems = [f"the scenario expects {name} to be gone, and never staged it" for name in gone - set(staged["things"])]
    own_units = {unit_of(entry) for entry in expected["serves"]}
    for name, thing in staged["things"].items():
        problems += fate(name, thing, name in gone, own_units)
    for entry in expected["serves"]:
        problems += service(entry, expected["sessions"])
    problems += census(staged["things"], gone, [port_of(entry) for entry in expected["serves"]])
    for entry in expected["serves"]:
        for name in (*expected["cut"], *expected["holds"]):
            if connected(staged["things"][name]["pid"], port_of(entry)) == (name in expected["cut"]):
                problems.append(f"{name} {'still has' if name in expected['cut'] else 'has lost'} its session")
    if expected["untouched"]:
        now = disk()
        changed = sorted(path for path in {*now, *staged["disk"]} if now.get(path) != staged["disk"].get(path))
        problems += [f"{path} was changed" for path in changed]
    return problems


def fate(name: str, thing: Thing, gone: bool, own_units: "set[str]") -> List[str]:
    """Whether a staged thing has ended, or lives on as the same process and the same run of its unit."""
    problems = []
    alive = bool(thing["pid"]) and args_of(thing["pid"]) == thing["args"]
    if alive and gone:
        problems.append(f"{name} (pid {thing['pid']}) still runs")
    if thing["pid"] and not alive and not gone:
        problems.append(f"{name} (pid {thing['pid']}) has ended")
    if "unit" in thing:
        now = properties(thing["unit"], thing.get("owner"))
        same = now["InvocationID"] == thing["invocation"]
        if not gone and not (same and now["ActiveState"] == "active" and now["NRestarts"] == "0"):
            problems.append(f"unit {name} was touched: {now}")
        if gone and name in own_units and (same or now["ActiveState"] != "active"):
            problems.append(f"unit {name} was not restarted: {now}")
        if gone and name not in own_units and now["ActiveState"] != "inactive":
            problems.append(f"unit {name} did not stay stopped: {now}")
    return problems


def unit_of(entry: Dict[str, Any]) -> str:
    """The unit of an inventory entry, without its suffix."""
    return str(entry["service"]).rpartition(".service")[0]


def port_of(entry: Dict[str, Any]) -> int:
    """The port of an inventory entry."""
    return int(entry.get("port") or PORTS[entry["trading_mode"]])


def service(entry: Dict[str, Any], open_session: bool) -> List[str]:
    """Whether exactly the unit's own process listens on an entry's port, and serves it."""
    port, holders = port_of(entry), listeners(port_of(entry))
    if entry.get("service") is None:
        return own_group(entry, holders)
    unit = properties(unit_of(entry), OWNER if entry.get("service_scope") == "user" else None)
    # A oneshot unit has no main process once its command has ended; what it started is in its control group.
    own = [int(unit["MainPID"])] if unit["MainPID"] != "0" else [pid for pid in holders if in_unit(pid, unit_of(entry))]
    if len(holders) != 1 or holders != own:
        return [f"port {port} is held by {holders}, not by the process of {unit_of(entry)}: {unit}"]
    owner, line = table()[holders[0]]
    if owner != OWNER or not line.startswith(f"{SERVER}/jre/bin/java "):
        return [f"port {port} is held by {owner}'s {line}"]
    if not open_session:
        return []
    answer = session(port, client_id=7001, timeout=4)
    if not answer["connected"] or answer["accounts"] != [ACCOUNTS[entry["trading_mode"]]]:
        return [f"no session of the right account on port {port}: {answer}"]
    return []


def in_unit(pid: int, unit: str) -> bool:
    """Whether a process is in the control group of a unit of the system."""
    groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return any(line.endswith(f"/system.slice/{unit}.service") for line in groups)


def own_group(entry: Dict[str, Any], holders: List[int]) -> List[str]:
    """Whether a gateway that a start_command has brought up lives in no login's and no service's control group."""
    groups = [Path(f"/proc/{pid}/cgroup").read_text() for pid in holders]
    if len(groups) != 1 or f"/system.slice/ib-gateway-{entry['name']}-" not in groups[0]:
        return [f"port {port_of(entry)} is held by {holders}, not by one in a control group of its own: {groups}"]
    return []


def census(things: Dict[str, Thing], gone: "set[str]", ports: List[int]) -> List[str]:
    """Whether there is no gateway but those that serve and those that were to be left alone."""
    wanted = {pid for port in ports for pid in listeners(port)}
    wanted |= {thing["pid"] for name, thing in things.items() if name not in gone and is_gateway(thing["args"])}
    found = {pid for pid, (_owner, line) in table().items() if is_gateway(line)}
    return [f"gateways {sorted(found)} run, {sorted(wanted)} were to"] if found != wanted else []


def is_gateway(line: str) -> bool:
    """Whether a command line is a gateway's of this lab."""
    return f"/bin/java {SERVER}/simulator/gateway.py " in line


# --- looking ---------------------------------------------------------------------------------------------------------


def run(*argv: str) -> str:
    """A command's output; ends this program when the command fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def table() -> "Dict[int, tuple[str, str]]":
    """By pid: account and command line, as ps shows them; no zombies."""
    found = {}
    for line in run("ps", "-ww", "-eo", "pid=,stat=,user:32=,args=").splitlines():
        pid, state, owner, command = line.split(None, 3)
        if "Z" not in state:
            found[int(pid)] = (owner, command)
    return found


def args_of(pid: int) -> str:
    """A process's command line as ps shows it; empty when there is none."""
    return table().get(pid, ("", ""))[1]


def listeners(port: int) -> List[int]:
    """The pids that listen on a port, as ss shows them."""
    rows = run("ss", "-H", "-ltnp", f"sport = :{port}")
    return sorted({int(pid) for pid in re.findall(r"pid=(\d+)", rows)})


def connected(pid: int, port: int) -> bool:
    """Whether a process has a connection to a port, as ss shows it."""
    return f"pid={pid}," in run("ss", "-H", "-tnp", "state", "established", f"dport = :{port}")


def pids_with(part: str) -> List[int]:
    """The processes with this text in their command line, this program left out."""
    return [pid for pid, (_owner, line) in sorted(table().items()) if part in line and pid != os.getpid()]


def systemctl(owner: Optional[str]) -> List[str]:
    """The words that ask the system's systemd, or an account's own."""
    if owner is None:
        return ["systemctl"]
    runtime = f"XDG_RUNTIME_DIR=/run/user/{pwd.getpwnam(owner).pw_uid}"
    return ["runuser", "-u", owner, "--", "env", runtime, "systemctl", "--user"]


def properties(unit: str, owner: Optional[str] = None) -> Dict[str, str]:
    """What systemctl says of a unit; owner: whose own systemd has it."""
    names = "--property=ActiveState,InvocationID,MainPID,NRestarts"
    return dict(line.split("=", 1) for line in run(*systemctl(owner), "show", names, f"{unit}.service").splitlines())


def session(port: int, client_id: int, timeout: float) -> Dict[str, Any]:
    """What a script gets that connects through ib_insync."""
    options = [f"--port={port}", f"--client-id={client_id}", f"--timeout={timeout}"]
    answer: Dict[str, Any] = json.loads(run(RUNTIME, str(HERE / "session.py"), *options))
    return answer


def disk() -> Dict[str, List[int]]:
    """Size, mode, owner and time of change of every file and folder that does not change by itself."""
    found = {}
    device = os.lstat("/").st_dev
    for folder, names, files in os.walk("/"):
        names[:] = [name for name in names if os.path.join(folder, name) not in RESTLESS]
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if status.st_dev == device and not stat.S_ISSOCK(status.st_mode):
                size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
                found[path] = [size, status.st_mode, status.st_uid, status.st_mtime_ns]
    return found


def main() -> None:
    order = json.load(sys.stdin)
    if sys.argv[1:] == ["stage"]:
        stage(order)
    elif sys.argv[1:] == ["judge"]:
        print(json.dumps({"problems": judge(order), "address": run("hostname", "-I").split()[0]}))
    else:
        raise SystemExit("usage: lab.py stage|judge")


if __name__ == "__main__":
    main()
