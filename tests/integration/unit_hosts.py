"""A host with a systemd of its own whose programs are this machine's: a container of podman that runs others."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from integration.containers import LABEL, Container, configuration, podman
from integration.desk import until

#: What a quadlet makes of its [Container] section, by podman 4.4 and newer, whose generator is not in every Debian.
_UNIT = """[Unit]
SourcePath=/etc/containers/systemd/{name}.container
RequiresMountsFor=%t/containers
[Service]
Environment=PODMAN_SYSTEMD_UNIT=%n
KillMode=mixed
ExecStartPre=-rm -f %t/%N.cid
ExecStop=/usr/bin/podman rm -f -i --cidfile=%t/%N.cid
ExecStopPost=-/usr/bin/podman rm -f -i --cidfile=%t/%N.cid
Delegate=yes
Type=notify
NotifyAccess=all
SyslogIdentifier=%N
ExecStart=/usr/bin/podman run --name=systemd-%N --cidfile=%t/%N.cid --replace --rm --log-driver passthrough \\
  --cgroups=split --sdnotify=conmon -d {run}
"""
_CGROUPS = Path("/sys/fs/cgroup")
_COPIED = (
    "passwd",
    "group",
    "nsswitch.conf",
    "ld.so.cache",
    "alternatives",
    "dbus-1",
    "pam.d",
    "security",
    "containers",
)


class UnitHost:
    """The host; it ends with the stack, and what runs on it as well."""

    def __init__(self, folder: Path, stack: ExitStack, *shared: Path) -> None:
        """shared: folders that it sees under the same path."""
        self.name = "ib-test-%s" % secrets.token_hex(4)
        self.root = folder / self.name
        for name in ("usr", "proc", "sys", "dev", "tmp", "run", "var/lib", "var/log", "etc/systemd/system"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to("usr/" + name)
        for name in _COPIED:
            source = Path("/etc", name)
            if source.is_dir():
                shutil.copytree(source, self.root / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, self.root / "etc" / name)
        (self.root / "etc/machine-id").touch()
        (self.root / "etc/containers").mkdir(exist_ok=True)
        configuration(self.root / "etc/containers")
        stack.callback(podman, "rm", "--force", "--time", "0", self.name, check=False)
        podman(
            *("run", "--detach", "--name", self.name, "--label", f"{LABEL}={os.getpid()}", "--network", "none"),
            *("--privileged", "--systemd=always", *_cgroups(), "--volume", "/usr:/usr:ro"),
            *(word for path in (*shared, *_pythons()) for word in ("--volume", f"{path}:{path}:rw")),
            *("--rootfs", str(self.root), "/lib/systemd/systemd"),
        )
        until(lambda: self.says("systemctl", "is-system-running") in ("running", "degraded"), 30)

    def says(self, *command: str) -> str:
        """What a command on it prints."""
        done = subprocess.run(
            ["podman", "exec", self.name, *command], capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout.strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Writes a file on it."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def unit(self, name: str, text: str) -> None:
        """Has a unit of these lines."""
        self.write(f"/etc/systemd/system/{name}.service", text)

    def quadlet(self, name: str, image: Container) -> None:
        """Has a unit that carries a container, and starts it."""
        run = " ".join(map(shlex.quote, image.made_of()))
        (self.root / f"etc/systemd/system/{name}.service").write_text(_UNIT.format(name=name, run=run))
        self.says("systemctl", "daemon-reload")
        self.says("systemctl", "start", f"{name}.service")

    def carried(self, name: str) -> str:
        """The id of the container that a unit carries now; empty without one."""
        return self.says("podman", "ps", "--quiet", "--no-trunc", "--filter", f"name=systemd-{name}")


def _pythons() -> set[Path]:
    """Where the Python of the tests lies, which has the library for a real session."""
    return {Path(sys.base_prefix), Path(sys.prefix).resolve()} - {Path("/usr")}


def _cgroups() -> list[str]:
    """Where control groups are of the first version, the hierarchies under the same names as on this machine.

    They lie below a folder of the host's own, because systemd makes that one read-only.
    """
    if (_CGROUPS / "cgroup.controllers").exists():
        return []
    own = [each for each in sorted(_CGROUPS.iterdir()) if each.is_mount() and not each.is_symlink()]
    return [
        *("--mount", f"type=tmpfs,destination={_CGROUPS}"),
        *(word for path in own for word in ("--volume", f"{path}:{path}:rw")),
    ]
