"""How tests and the demo start a simulated gateway, and the trading scripts that use it."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from .program import POLL_INTERVAL, READY_WITHIN, Program, own_python

HERE = Path(__file__).resolve().parent
GATEWAY = HERE / "gateway.py"
CLIENTS = HERE / "clients"

DEFAULT_MAIN_CLASS = {"native": "install4j.ibgateway.GWClient", "ibc": "ibcalpha.ibc.IbcGateway"}
DEFAULT_ACCOUNT = {"paper": "DU1234567", "live": "U1234567"}

# What must never appear in anything the project prints; IBC puts both into the gateway's argv.
USER_CANARY = "canary-user"
PASSWORD_CANARY = "canary-password"  # noqa: S105 - no secret, it stands where IBC has one

_GIVEN_OUT: Set[int] = set()  # ports that this process named and that may not be in use yet


def free_port() -> int:
    """A TCP port nobody listens on.

    It lies below the range the kernel takes client ports from: a connection to a closed port in that range can
    connect to itself, and some client may hold the port by the time a gateway wants it.
    """
    while True:
        port = 20000 + secrets.randbelow(12000)
        if port in _GIVEN_OUT:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            _GIVEN_OUT.add(port)
            return port


@dataclass
class SimulatedGateway(Program):
    """One simulated gateway.

    `folder` gets `jre/bin/java`, a symlink to `python`, and unless `config_dir` says otherwise `jts`, the settings
    directory. `launcher` is "native" or "ibc", `mode` "paper" or "live"; `main_class` and `accounts` follow from
    them. `faults` are names from options.py. `exit_with` is the process the gateway shall not outlive, None for
    no such process; `lifetime` in seconds bounds it in any case. `extra` is appended to the argv.

    When it was ended by someone else, only `wait` or `stop` clears the zombie it leaves to the process that
    started it.
    """

    name: str = "gateway"
    port: int = field(default_factory=free_port)
    faults: Sequence[str] = ()
    quirks: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    launcher: str = "native"
    mode: str = "paper"
    main_class: Optional[str] = None
    accounts: Optional[Sequence[str]] = None
    server_version: int = 176
    slots: int = 32
    upstream_code: int = 1100
    listen_after: float = 0.0
    bind: Optional[str] = None
    config_dir: Path = Path()
    lifetime: float = 900.0
    exit_with: Optional[int] = field(default_factory=os.getpid)
    python: str = field(default_factory=own_python)
    extra: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.folder = Path(self.folder).absolute()
        self.config_dir = (self.folder / "jts" if self.config_dir == Path() else Path(self.config_dir)).absolute()

    def command(self, **changes: Any) -> List[str]:
        """The argv, ready for an inventory's `start_command`; what it needs on disk is there when this returns.

        `changes` are fields with other values: `gateway.command(faults=())` starts the same gateway in good health.
        """
        return replace(self, **changes)._command()

    def _command(self) -> List[str]:
        java = self._prepare()
        return [str(java), str(GATEWAY), *self._launcher_arguments(), *self._own_options(), *self.extra]

    @property
    def working_dir(self) -> Path:
        """The settings directory, as IBC has it."""
        return self.config_dir

    def happen(self) -> None:
        """Make the event of `settings` happen now."""
        os.kill(self.gateway_pid, signal.SIGUSR1)

    def until_open(self, timeout: float = READY_WITHIN) -> None:
        """Wait until something listens on the port."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection((self.bind or "127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_INTERVAL)

    @property
    def gateway_pid(self) -> int:
        """The JVM's process id, also under a keeper; the newest one's that was ready."""
        state = self.ready_state()
        return int(state["pid"]) if state else self.pid

    def _prepare(self) -> Path:
        java = self.folder / "jre" / "bin" / "java"
        java.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            java.symlink_to(self.python)
        self.config_dir.mkdir(parents=True, exist_ok=True)
        if self.launcher == "ibc":
            (self.config_dir / "config.ini").write_text(f"TradingMode={self.mode}\n", encoding="utf-8")
        return java

    def _launcher_arguments(self) -> List[str]:
        main_class = self.main_class or DEFAULT_MAIN_CLASS[self.launcher]
        if self.launcher != "ibc":
            return [f"-DjtsConfigDir={self.config_dir}", main_class]
        ini_file = str(self.config_dir / "config.ini")
        return [
            f"-DjtsConfigDir={self.config_dir}",
            f"-Dibcsessionid={self.port}",
            main_class,
            ini_file,
            USER_CANARY,
            PASSWORD_CANARY,
            self.mode,
        ]

    def _own_options(self) -> List[str]:
        accounts = self.accounts or (DEFAULT_ACCOUNT[self.mode],)
        options = {
            "port": self.port,
            "accounts": ",".join(accounts),
            "server-version": self.server_version,
            "slots": self.slots,
            "upstream-code": self.upstream_code,
            "listen-after": self.listen_after,
            "bind": self.bind,
            "exit-with": self.exit_with,
            "lifetime": self.lifetime,
            "ready-file": self.ready_file,
        }
        given = [f"--{name}={value}" for name, value in {**options, **self.settings}.items() if value is not None]
        given += [f"--fault={fault}" for fault in self.faults]
        return given + [f"--quirk={quirk}" for quirk in self.quirks]


@dataclass
class HeldSession(Program):
    """A trading script that connects and keeps its session until it is ended."""

    name: str = "holder"
    port: int = 0  # to be given: no default may ever reach a real gateway
    client_id: int = 1
    library: str = "ib_insync"
    host: str = "127.0.0.1"
    timeout: float = 5.0
    lifetime: float = 300.0
    exit_with: Optional[int] = field(default_factory=os.getpid)
    python: str = sys.executable
    script: Path = CLIENTS / "hold_session.py"  # or a link to it with a name of its own
    extra: Sequence[str] = ()

    def command(self) -> List[str]:
        """The argv of the script; `extra` is appended and not used by it."""
        options = {
            "host": self.host,
            "port": self.port,
            "client-id": self.client_id,
            "library": self.library,
            "timeout": self.timeout,
            "lifetime": self.lifetime,
            "exit-with": self.exit_with,
            "ready-file": self.ready_file,
        }
        given = [f"--{name}={value}" for name, value in options.items() if value is not None]
        return [self.python, str(self.script), *given, *self.extra]


@dataclass(frozen=True)
class ConnectOutcome:
    """How one run of clients/connect_once.py ended: its JSON line as fields, and the library's log."""

    connected: bool
    server_version: Optional[int]
    accounts: List[str]
    error: Optional[str]
    returncode: int
    log: str


def connect_once(
    port: int, client_id: int = 1, library: str = "ib_insync", timeout: float = 4.0, python: str = sys.executable
) -> ConnectOutcome:
    """Connect as a trading script does, in a process of its own; `timeout` in seconds is the library's."""
    argv = [python, str(CLIENTS / "connect_once.py"), f"--port={port}", f"--client-id={client_id}"]
    argv += [f"--library={library}", f"--timeout={timeout}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout * 4 + 20, check=False)
    if not done.stdout:
        raise RuntimeError(f"connect_once.py ended with {done.returncode}: {done.stderr.strip()}")
    outcome: Dict[str, Any] = json.loads(done.stdout)
    return ConnectOutcome(returncode=done.returncode, log=done.stderr, **outcome)
