"""What a lab host is like, by ps, ss, systemctl and a session of a script's library. Needs root."""

import json
import os
import pwd
import re
import stat
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

HERE = Path(__file__).resolve().parent
SERVER = "/opt/ibgateway"
RUNTIME = "/opt/ib-host-runtime/bin/python"
#: What changes on a host by itself, or because somebody logs in.
RESTLESS = ("/proc", "/sys", "/dev", "/run", "/var/log", "/var/lib/systemd")


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


def remote_clients(port: int) -> List[str]:
    """The addresses of other hosts that are connected to a port, as ss shows them."""
    rows = run("ss", "-H", "-tn", "state", "established", f"sport = :{port}").splitlines()
    hosts = [row.split()[-1].rpartition(":")[0].strip("[]").replace("::ffff:", "") for row in rows]
    return sorted(host for host in hosts if host not in ("127.0.0.1", "::1"))


def unanswered(port: int) -> bool:
    """Whether a connection to a port has sent the same data again at least six times in a row, as ss shows it."""
    rows = run("ss", "-H", "-tni", "state", "established", f"sport = :{port}")
    return any(int(count) > 5 for count in re.findall(r"backoff:([0-9]+)", rows))


def pids_with(part: str) -> List[int]:
    """The processes with this text in their command line, this program left out."""
    return [pid for pid, (_owner, line) in sorted(table().items()) if part in line and pid != os.getpid()]


def is_gateway(line: str) -> bool:
    """Whether a command line is a gateway's of this lab."""
    return "/bin/java " in line and line.split()[1:2] == [f"{SERVER}/simulator/gateway.py"]


def gateways() -> List[int]:
    """The gateways that run."""
    return [pid for pid, (_owner, line) in sorted(table().items()) if is_gateway(line)]


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
