"""What keeps a gateway running: IBC's scripts, a home-made loop, a program like supervisord.

Each is a real process with the gateway as its child, and starts the next one when that ends. All of them end with the
process that started them, after their lifetime, and when `stop` is called.
"""

import os
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from .launch import CLIENTS, SimulatedGateway
from .options import MAIN_CLASSES
from .program import POLL_INTERVAL, READY_WITHIN, Program
from .shapes import PASSWORD_CANARY, USER_CANARY

# The loop of IBC's ibcstart.sh, with its exit codes and its words. 88 and 87 are IBC's 1112 and 1111 in a byte.
IBCSTART = """\
#!/bin/bash
settings={settings}
session={session}
on2fatimeout={on2fatimeout}
restart=
while :; do
    {java} $restart {arguments} &
    child=$!
    trap 'kill -TERM $child' TERM INT
    wait $child
    code=$?
    if kill -0 $child 2>/dev/null; then wait $child; code=$?; fi
    trap - TERM INT
    echo "IBC returned exit status $code"
    token=$(find "$settings" -mindepth 2 -maxdepth 2 -name autorestart | head -n 1)
    if [ $code -eq 88 ]; then
        :
    elif [ -e "$settings/COLDRESTART$session" ]; then
        rm "$settings/COLDRESTART$session"
        restart=
        echo "IBC will cold-restart shortly"
    elif [ -n "$token" ]; then
        restart="-Drestart=$(basename "$(dirname "$token")")"
        if [ -e "$settings/PAUSE$session" ]; then
            rm "$settings/PAUSE$session"
            echo "IBC is paused"
            break
        fi
    elif [ $code -ne 87 ] || [ "$on2fatimeout" != restart ]; then
        break
    fi
    {bound}
    echo "IBC will restart shortly"
    sleep {gap}
done
exit $code
"""
BANNER = """\
#!/bin/bash
trap 'kill -TERM $child' TERM INT
{ibcstart} >> {log} 2>&1 &
child=$!
wait $child
code=$?
if kill -0 $child 2>/dev/null; then wait $child; code=$?; fi
exit $code
"""
LOOP = """\
#!/bin/bash
while :; do
    {java} {arguments}
    {bound}
    sleep {gap}
done
"""
SUPERVISORD = """\
[supervisord]
nodaemon=true

[program:gateway]
command={command}
autorestart=true
"""
# Nothing that is started here goes on without the process that started it.
BOUND = "kill -0 {owner} 2>/dev/null && [ $SECONDS -lt {lifetime} ] || exit 0"


@dataclass
class KeptGateway(Program):
    """A gateway and what keeps it: `keeper` is one of KEEPERS, `gap` the seconds between two lives.

    `environment_changes` are variables for all of them; None takes one away.
    """

    name: str = "keeper"
    gateway: SimulatedGateway = field(default_factory=lambda: SimulatedGateway(Path()))
    keeper: str = "ibcstart"
    gap: float = 0.0
    on2fatimeout: str = "exit"
    lifetime: float = 300.0
    environment_changes: Mapping[str, Optional[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder).absolute()

    def command(self) -> List[str]:
        """The keeper's argv; its script is on disk when this returns."""
        self.ready_file.unlink(missing_ok=True)
        return KEEPERS[self.keeper](self)

    @property
    def working_dir(self) -> Path:
        """The gateway's: whoever is started here inherits it."""
        return self.gateway.working_dir

    @property
    def environment(self) -> Dict[str, str]:
        """The gateway's, with the changes."""
        changed: Dict[str, Optional[str]] = {**self.gateway.environment, **self.environment_changes}
        return {name: value for name, value in changed.items() if value is not None}

    @property
    def ready_file(self) -> Path:
        """The gateway's."""
        return self.gateway.ready_file

    @property
    def ibc_log(self) -> Path:
        """Where ibcstart.sh and the gateway below it write."""
        return self.folder / "ibc" / "logs" / f"ibc-3.23.0_GATEWAY-1045_{time.strftime('%A')}.txt"

    def is_own(self, state: Dict[str, Any]) -> bool:
        """Any life of the gateway: the file was taken away before the start."""
        return "pid" in state

    @property
    def gateway_pid(self) -> int:
        """The newest JVM that was ready."""
        return int(self.ready_state()["pid"])

    def next_pid(self, after: int, timeout: float = READY_WITHIN) -> int:
        """Wait until another JVM than `after` is ready, and return its process id."""
        deadline = time.monotonic() + timeout
        while (pid := int(self.ready_state().get("pid", after))) == after:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no gateway came after {after}: {self.log_text()}")
            time.sleep(POLL_INTERVAL)
        return pid

    # The kinds of keepers.

    def ibcstart(self) -> List[str]:
        """displaybannerandlaunch.sh, below it ibcstart.sh, below that the gateway, as IBC starts them."""
        scripts = self.folder / "ibc" / "scripts"
        self.ibc_log.parent.mkdir(parents=True, exist_ok=True)
        ibcstart = self._write(scripts / "ibcstart.sh", IBCSTART)
        options = {
            "tws-path": self.gateway.install_dir.parent,
            "tws-settings-path": self.gateway.config_dir,
            "ibc-path": self.folder / "ibc",
            "ibc-ini": self.gateway.config_dir / "config.ini",
            "user": USER_CANARY,
            "pw": PASSWORD_CANARY,
            "mode": self.gateway.mode,
            "on2fatimeout": self.on2fatimeout,
        }
        arguments = ["1045", "-g", *(f"--{name}={value}" for name, value in options.items())]
        line = shlex.join([str(ibcstart), *arguments])
        banner = self._write(
            scripts / "displaybannerandlaunch.sh", BANNER, ibcstart=line, log=shlex.quote(str(self.ibc_log))
        )
        return ["/bin/bash", str(banner)]

    def loop(self) -> List[str]:
        """A script with `while :; do java ...; sleep N; done`."""
        return ["/bin/bash", str(self._write(self.folder / "run_gateway.sh", LOOP))]

    def supervisord(self) -> List[str]:
        """A program like supervisord, and its argv; the gateway leads a process group of its own below it."""
        configuration = self.folder / "supervisord.conf"
        configuration.parent.mkdir(parents=True, exist_ok=True)
        command = shlex.join(self.gateway.command())
        configuration.write_text(SUPERVISORD.format(command=command.replace("%", "%%")), encoding="utf-8")
        return supervisord(self.folder, configuration, self.gap, self.lifetime)

    def _write(self, path: Path, text: str, **more: str) -> Path:
        argv = self.gateway.command()
        main = next(place for place, word in enumerate(argv) if word in MAIN_CLASSES)
        java = shlex.join(argv[:main])
        if self.gateway.argv0:
            java = f"exec -a {java.replace(shlex.quote(argv[0]), f'{argv[0]} {self.gateway.program}', 1)}"
            java = f"( {java}"
        values = {
            "java": java,
            "arguments": shlex.join(argv[main:]) + (" )" if self.gateway.argv0 else ""),
            "settings": shlex.quote(str(self.gateway.config_dir)),
            "session": str(self.gateway.port),
            "on2fatimeout": self.on2fatimeout,
            "gap": str(self.gap),
            "bound": BOUND.format(owner=os.getpid(), lifetime=int(self.lifetime)),
            **more,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**values), encoding="utf-8")
        path.chmod(0o755)
        return path


KEEPERS: Dict[str, Callable[[KeptGateway], List[str]]] = {
    "ibcstart": KeptGateway.ibcstart,
    "loop": KeptGateway.loop,
    "supervisord": KeptGateway.supervisord,
}


def supervisord(folder: Path, configuration: Path, gap: float = 0.0, lifetime: float = 300.0) -> List[str]:
    """The argv of a program like supervisord; who it keeps stands in the configuration."""
    program = folder / "bin" / "supervisord"
    program.parent.mkdir(parents=True, exist_ok=True)
    if not program.exists():
        program.symlink_to(CLIENTS / "supervise.py")
    own = [f"--gap={gap}", f"--lifetime={lifetime}", f"--exit-with={os.getpid()}"]
    return [sys.executable, str(program), "-n", "-c", str(configuration), *own]
