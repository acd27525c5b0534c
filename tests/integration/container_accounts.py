"""An ordinary account of this machine whose engine runs containers without root, made for one test."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from integration.desk import until

ROOTLESS_DOCKER = "/usr/share/docker.io/contrib/dockerd-rootless.sh"
#: Two of these at once fail on each other's locks; tests run side by side.
_ALONE = ("flock", "/etc/login.defs")
_PREFIX = "ibtest"
_CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=10000:10000"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""


@dataclass(frozen=True)
class Account:
    """An account that has logged in."""

    name: str
    uid: int
    home: Path

    @property
    def prefix(self) -> list[str]:
        """What makes a command the account's own."""
        runtime = f"XDG_RUNTIME_DIR=/run/user/{self.uid}"
        who = ("setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups")
        told = [runtime, f"DOCKER_HOST=unix://{self.docker_socket}"]
        return [*who, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"HOME={self.home}", *told]

    @property
    def docker_socket(self) -> Path:
        """Where its own docker listens, where one runs."""
        return Path(f"/run/user/{self.uid}/docker.sock")

    @contextlib.contextmanager
    def docker(self) -> Iterator[None]:
        """Runs a docker of its own, as Debian's docker.io starts one without root."""
        with (self.home / "docker.log").open("wb") as log:
            daemon = subprocess.Popen(
                [*self.prefix, ROOTLESS_DOCKER, "--storage-driver", "vfs"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            answers = [*self.prefix, "docker", "info"]
            until(lambda: subprocess.run(answers, capture_output=True, check=False).returncode == 0, 60)
            yield
        finally:
            daemon.terminate()
            daemon.wait(30)


@contextlib.contextmanager
def account(home: Path) -> Iterator[Account]:
    """Adds an account with a home there, and takes it away with all of its processes. home: must not exist."""
    _remove_leftovers()
    name = f"{_PREFIX}{os.getpid()}"
    subprocess.run([*_ALONE, "useradd", "--create-home", "--home-dir", str(home), "--no-log-init", name], check=True)
    try:
        found = Account(name, pwd.getpwnam(name).pw_uid, home)
        settings = home / ".config" / "containers" / "containers.conf"
        settings.parent.mkdir(parents=True)
        settings.write_text(_CONFIGURATION)
        for each in (settings, *list(settings.parents)[:2]):
            os.chown(each, found.uid, found.uid)
        runtime = Path(f"/run/user/{found.uid}")
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(runtime, found.uid, found.uid)
        yield found
    finally:
        _remove(name)


def _remove_leftovers() -> None:
    """Takes away the accounts of test runs that were killed."""
    for each in pwd.getpwall():
        pid = each.pw_name.removeprefix(_PREFIX)
        if pid != each.pw_name and pid.isdigit() and not psutil.pid_exists(int(pid)):
            _remove(each.pw_name)


def _remove(name: str) -> None:
    uid = pwd.getpwnam(name).pw_uid
    subordinate = _subordinate(name)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.uids().real == uid or process.uids().real in subordinate:
                process.send_signal(signal.SIGKILL)
                process.wait(10)
    shutil.rmtree(f"/run/user/{uid}", ignore_errors=True)
    subprocess.run([*_ALONE, "userdel", "--remove", name], check=True, capture_output=True)


def _subordinate(name: str) -> range:
    """The user numbers that only the account's containers have."""
    rows = [line.split(":") for line in Path("/etc/subuid").read_text().splitlines()]
    first, count = next(((int(row[1]), int(row[2])) for row in rows if row[0] == name), (0, 0))
    return range(first, first + count)
