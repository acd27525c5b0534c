"""Containers of a real engine with simulated gateways in them, in the shape of the images that people run.

No image has to be had: a container's root folder is empty but for links into /usr, which is this machine's own. Its
entry script starts what those images do: a gateway for each mode, socat in front of it, and waits.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway.lifecycle.accounts import PATH
from simulator.launch import SimulatedGateway, free_port

from integration.container_accounts import Account
from integration.desk import PROJECT, alive, until

#: A container is known by this label, whose text is the pid of the test run that it belongs to.
LABEL = "ib-gateway-test"
#: Debian's packages, which `make integration` installs as root.
_PROGRAMS = ("podman", "runc", "socat", "iptables", "ip", "slirp4netns", "newuidmap", "systemctl", "bash", "strace")
_LIFETIME = 300
_RELAYED = {"live": (4001, 4003), "paper": (4002, 4004)}


def _missing() -> str:
    if os.geteuid() != 0:
        return "needs root to run containers that others cannot see into"
    lacking = [each for each in _PROGRAMS if shutil.which(each, path=PATH) is None]
    return "%s not installed" % ", ".join(lacking) if lacking else ""


def engine_needed() -> None:
    """Skips a test where no container can be run, with the reason; where everything has to be there, fails it."""
    if _missing() and os.environ.get("CI") == "true":
        pytest.fail(_missing())
    if _missing():
        pytest.skip(_missing())


def configuration(folder: Path) -> Path:
    """A configuration with which podman runs in hybrid cgroups and where limits may not rise, as the lab has it."""
    path = folder / "containers.conf"
    path.write_text(
        '[containers]\ndefault_ulimits = ["nofile=10000:10000", "nproc=10000:10000"]\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\n'
    )
    return path


def podman(*arguments: str, check: bool = True) -> str:
    """What podman says."""
    return ask("podman", *arguments, check=check)


def ask(engine: str, *arguments: str, check: bool = True, prefix: Sequence[str] = ()) -> str:
    """What an engine says. prefix: what makes the command another account's."""
    done = subprocess.run(
        [*prefix, shutil.which(engine, path=PATH) or engine, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd="/",
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def remove_leftovers() -> None:
    """Removes what test runs have left that were killed."""
    shown = json.loads(podman("ps", "--all", "--filter", f"label={LABEL}", "--format", "json") or "[]")
    for each in shown:
        if not psutil.pid_exists(int(each["Labels"][LABEL])):
            podman("rm", "--force", "--time", "0", each["Id"], check=False)


class Container:
    """One container with gateways in it.

    modes: of its gateways. relays: whether socat stands in front of each. network: of the engine's networks, or host.
    uid: the account that all of it runs as inside; first_uid: the host's number of root inside. public: whether other
    accounts than root have to read what it is made of. account: whose engine it is, where that is not root. Published
    are the ports that `ports` gives by mode.
    """

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        modes: tuple[str, ...] = ("live",),
        relays: bool = True,
        network: str = "podman",
        published: bool = True,
        engine: str = "podman",
        uid: int = 0,
        first_uid: int = 0,
        public: bool = False,
        account: Account | None = None,
        image: bool = False,
        **gateway: Any,
    ) -> None:
        self.folder, self._stack = folder, stack
        self.engine = engine
        self.name = "ib-test-%s" % secrets.token_hex(4)
        self.modes = modes
        self.ports = {mode: free_port() for mode in modes}
        self._relays, self._network, self._published = relays, network, published
        self._gateway, self._uid = gateway, uid
        self._root_is, self._public = account.uid if account else first_uid, public
        self._account = account
        self._imported = image or engine != "podman"
        if public:
            self._gateway["python"] = "/usr/bin/python3"
        #: What its entry script does before it starts anything.
        self.before = "true"
        folder.mkdir(parents=True)
        self._root()
        stack.callback(self.ask, "rm", "--force", self.name, check=False)

    def ask(self, *arguments: str, check: bool = True) -> str:
        """What its engine says."""
        return ask(self.engine, *arguments, check=check, prefix=self._account.prefix if self._account else ())

    def _root(self) -> None:
        root = self.folder / "root"
        for name in ("usr", "proc", "sys", "dev", "etc", "tmp", "run", "var"):
            (root / name).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/usr", name).exists():
                (root / name).symlink_to("usr/" + name)

    @functools.cached_property
    def gateways(self) -> dict[str, SimulatedGateway]:
        """By mode, what runs inside."""
        return {
            mode: SimulatedGateway(
                self.folder / mode,
                port=self.inside(mode)[0],
                mode=mode,
                launcher="ibc",
                exit_with=None,
                lifetime=_LIFETIME,
                **self._gateway,
            )
            for mode in self.modes
        }

    def inside(self, mode: str) -> tuple[int, int]:
        """(the gateway's port, the relay's) inside; on the host's network the gateway has the entry's own."""
        return (self.ports[mode], 0) if self._network == "host" else _RELAYED[mode]

    def script(self) -> Path:
        """Its entry script: gateways, relays, and a wait."""
        lines = ["#!/bin/bash", "trap 'exit 143' TERM", self.before]
        for mode, gateway in self.gateways.items():
            gateway.folder.mkdir(parents=True, exist_ok=True)
            command = " ".join(map(shlex.quote, gateway.command()))
            lines.append(f"(cd {shlex.quote(str(gateway.working_dir))} && exec {command}) &")
            port, relay = self.inside(mode)
            if self._relays and relay:
                lines.append(f"socat TCP-LISTEN:{relay},fork,reuseaddr TCP:127.0.0.1:{port} &")
        path = self.folder / "entry.sh"
        path.write_text("\n".join([*lines, f"sleep {2 * _LIFETIME} &", "wait $!", ""]))
        path.chmod(0o755)
        return path

    @staticmethod
    def _give(uid: int, folder: Path) -> None:
        for each in (folder, *folder.rglob("*")) if uid else ():
            os.chown(each, uid, uid, follow_symlinks=False)

    def _programs(self) -> dict[str, str]:
        """Where what it runs is on the host, and inside."""
        if self._public:
            simulator = PROJECT / "tests" / "simulator"
            copy = shutil.copytree(simulator, self.folder / "simulator", ignore=shutil.ignore_patterns("__pycache__"))
            return {"/usr": "/usr", str(copy): str(simulator)}
        own = {"/usr", str(PROJECT), sys.base_prefix, os.path.realpath(sys.prefix)}
        return {each: each for each in sorted(own)}

    def _image(self) -> str:
        """An image of its root folder; docker takes no folder."""
        archive = shutil.make_archive(str(self.folder / "image"), "tar", self.folder / "root")
        self.ask("import", archive, self.name)
        self._stack.callback(self.ask, "rmi", "--force", self.name, check=False)
        self._stack.callback(self.ask, "rm", "--force", self.name, check=False)
        return self.name

    def run(self, *options: str) -> Container:
        """Starts it, and waits until its gateways listen."""
        self.start(*options)
        self.until_up()
        return self

    def start(self, *options: str) -> None:
        """Starts it."""
        self.ask(
            *("run", "--detach", "--name", self.name, "--label", f"{LABEL}={os.getpid()}", "--network", self._network),
            *("--user", str(self._uid), "--stop-timeout", "2", *options, *self.made_of()),
        )

    def made_of(self) -> list[str]:
        """The ports that are published, the folders that it sees, its image and what that runs."""
        found: list[str] = []
        for mode in self.modes if self._published and self._network != "host" else ():
            port, relay = self.inside(mode)
            found += ["--publish", f"127.0.0.1:{self.ports[mode]}:{relay if self._relays else port}"]
        script = self.script()
        self._give(self._root_is, self.folder / "root")
        for gateway in self.gateways.values():
            self._give(self._root_is + self._uid, gateway.folder)
        found += ["--volume", f"{self.folder}:{self.folder}:rw"]
        for source, path in self._programs().items():
            found += ["--volume", f"{source}:{path}:ro"]
        root = [self._image()] if self._imported else ["--rootfs", str(self.folder / "root")]
        return [*found, *root, "bash", str(script)]

    def until_up(self) -> None:
        """Waits until all of its gateways serve."""
        for gateway in self.gateways.values():
            until(functools.partial(self.listening, gateway.port), 30)

    def listening(self, port: int) -> list[int]:
        """The pids of this container that listen on a port inside, by psutil."""
        found = []
        for pid in self.pids():
            try:
                rows = _table(pid)
            except OSError:
                continue
            inodes = {inode for local, inode in rows if local == port}
            if inodes & _sockets(pid):
                found.append(pid)
        return found

    @property
    def pid(self) -> int:
        """The host's number of its first process; 0 where it does not run, or is not there."""
        return int(self.ask("container", "inspect", "--format", "{{.State.Pid}}", self.name, check=False).strip() or 0)

    def shown(self) -> dict[str, Any]:
        """What the engine says of it."""
        found: dict[str, Any] = json.loads(self.ask("container", "inspect", self.name))[0]
        return found

    @property
    def started_at(self) -> str:
        """When the engine has started it last."""
        return str(self.shown()["State"]["StartedAt"])

    def pids(self) -> list[int]:
        """All of its processes, as the host numbers them."""
        first = self.pid
        if not first:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [first, *(each.pid for each in psutil.Process(first).children(recursive=True))]
        return []

    def java(self, mode: str = "live") -> int:
        """The pid of a gateway in it."""
        wanted = "-DjtsConfigDir=%s" % self.gateways[mode].config_dir
        return next(pid for pid in self.pids() if wanted in psutil.Process(pid).cmdline())

    def socat(self) -> int:
        """The pid of its relay."""
        return next(pid for pid in self.pids() if psutil.Process(pid).name() == "socat")

    def end(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends one of its processes."""
        assert pid in self.pids() and pid != self.pid
        os.kill(pid, how)
        until(lambda: not alive(pid))

    def unpublish(self) -> None:
        """Takes the engine's translation of its live port out of the host's firewall, as a reload of that does."""
        rules = subprocess.run(["iptables-save", "-t", "nat"], capture_output=True, text=True, check=True).stdout
        own = [
            line for line in rules.splitlines() if line.startswith("-A") and f"--dport {self.ports['live']} " in line
        ]
        assert own
        for line in own:
            subprocess.run(["iptables", "-t", "nat", "-D", *shlex.split(line)[1:]], check=True)

    def entry(self, mode: str = "live", **changes: Any) -> dict[str, Any]:
        """The inventory entry of one of its gateways."""
        return {
            "name": mode,
            "trading_mode": mode,
            "port": self.ports[mode],
            "container": {"engine": self.engine, "name": self.name},
            **({"user": self._account.name} if self._account else {}),
            "start_timeout": 30,
            **changes,
        }


def public_folder(stack: ExitStack) -> Path:
    """A folder that every account may enter, as those of a test are not; it goes with the stack."""
    folder = Path(tempfile.mkdtemp(prefix="ib-public-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


@contextlib.contextmanager
def network(driver: str) -> Iterator[str]:
    """A network of the engine on an interface that leads nowhere."""
    name = "ib-%s" % secrets.token_hex(4)
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        podman("network", "create", "--driver", driver, "--opt", f"parent={name}", "--subnet", "10.231.9.0/24", name)
        yield name
    finally:
        podman("network", "rm", "--force", "--time", "0", name, check=False)
        subprocess.run(["ip", "link", "delete", name], check=True)


Make = Callable[..., Container]


def _table(pid: int) -> list[tuple[int, int]]:
    """(port, inode) of what listens in a process's network namespace."""
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.append((int(fields[1].rpartition(":")[2], 16), int(fields[9])))
    return found


def _sockets(pid: int) -> set[int]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    return found
