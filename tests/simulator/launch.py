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

from . import jre
from .program import POLL_INTERVAL, READY_WITHIN, Program, own_python
from .shapes import PASSWORD_CANARY as PASSWORD_CANARY  # for the tests that look for it
from .shapes import SHAPES, Launch, Shape
from .shapes import USER_CANARY as USER_CANARY

HERE = Path(__file__).resolve().parent
GATEWAY = HERE / "gateway.py"
CLIENTS = HERE / "clients"

DEFAULT_ACCOUNT = {"paper": "DU1234567", "live": "U1234567"}

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

    `folder` gets `jre/bin/java`, and unless `config_dir` says otherwise `jts`, the settings directory. `launcher` is
    one of shapes.SHAPES, `mode` "paper" or "live"; `main_class` and `accounts` follow from them. `faults` and `quirks`
    are names from options.py, `settings` any other of its options. `exit_with` is the process the gateway shall not
    outlive, None for no such process; `lifetime` in seconds bounds it in any case. `extra` is appended to the argv.

    `mode_word` is how the mode stands in argv (None: the shape's way), `mode_in_ini` whether IBC's config.ini says it
    as well. `argv0` renames the process as `exec -a` does; its /proc/PID/exe then says java. `jvm_first` and
    `jvm_last` are further arguments for the JVM, before and behind the shape's own.

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
    mode_word: Optional[str] = None
    mode_in_ini: bool = True
    argv0: Optional[str] = None
    jvm_first: Sequence[str] = ()
    jvm_last: Sequence[str] = ()
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
        options = [*self._own_options(), *self.extra]
        if self.shape.exact:
            return [self.argv0 or str(java), *self._launch().argv(options)]
        return [self.argv0 or str(java), str(GATEWAY), *self._launch().short_argv(), *options]

    @property
    def shape(self) -> Shape:
        """The way it is launched."""
        return SHAPES[self.launcher]

    @property
    def install_dir(self) -> Path:
        """Where the program is installed."""
        return self.folder / "ibgateway"

    @property
    def working_dir(self) -> Path:
        """The settings directory, as IBC has it; install4j's launcher runs in the installation."""
        return self.config_dir if self.shape.ibc or not self.shape.exact else self.install_dir

    @property
    def program(self) -> Optional[str]:
        """The file to run where argv[0] is only a name."""
        return str(self.folder / "jre" / "bin" / "java") if self.argv0 else None

    @property
    def environment(self) -> Dict[str, str]:
        """This process's own, and what a renamed Python needs."""
        renamed = jre.environment(self.folder / "jre", self.python) if self.argv0 else {}
        return {**super().environment, **renamed}

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
        """The newest JVM's process id that was ready, also under a keeper."""
        state = self.ready_state()
        return int(state["pid"]) if state else self.pid

    def _prepare(self) -> Path:
        java = jre.make(self.folder / "jre", self.python, own_file=self.argv0 is not None)
        self.config_dir.mkdir(parents=True, exist_ok=True)
        if self.shape.ibc:
            mode = f"TradingMode={self.mode}\n" if self.mode_in_ini else ""
            (self.config_dir / "config.ini").write_text(mode, encoding="utf-8")
        return java

    def _launch(self) -> Launch:
        by_default = self.mode if self.shape.ibc else ""
        return Launch(
            shape=self.shape,
            install_dir=self.install_dir,
            config_dir=self.config_dir,
            main_class=self.main_class or self.shape.main_class,
            mode_word=by_default if self.mode_word is None else self.mode_word,
            session=str(self.port),
            jvm_first=self.jvm_first,
            jvm_last=self.jvm_last,
        )

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
        faults = [*self.faults, *([] if self.shape.api else ["no-listener"])]
        given += [f"--fault={fault}" for fault in faults]
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
