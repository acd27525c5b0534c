"""install4j's restarter: it outlives a gateway that restarts itself, and starts the next one after a gap."""

import json
import os
import subprocess
import time
from typing import List

from .life import alive
from .options import MAIN_CLASSES, Options

ORDER = "SIMULATED_RESTART"  # the environment variable that makes a process the restarter
MAIN_CLASS = "com.install4j.runtime.launcher.UnixLauncher"
POLL_INTERVAL = 0.05  # seconds


def own_argv() -> List[str]:
    """This process's argv as the kernel has it: Python's own lacks what the interpreter took for itself."""
    with open("/proc/self/cmdline", "rb") as file:
        return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]


def hand_over(options: Options, token: str) -> None:
    """Start the restarter, detached; the caller ends right after."""
    argv = [word for word in own_argv() if not word.startswith("-Drestart=")]
    main = next(place for place, word in enumerate(argv) if word in MAIN_CLASSES)
    following = [*argv[:main], f"-Drestart={token}", *argv[main:]]
    leading = argv[1:2] if argv[1].endswith(".py") else ["-cp", "/opt/ibgateway/.install4j/i4jruntime.jar"]
    order = {"gap": options.restarter_gap, "exit_with": options.exit_with, "argv": following}
    _start([argv[0], *leading, MAIN_CLASS, "launch", "restarter"], {ORDER: json.dumps(order)})


def serve() -> int:
    """Be the restarter: wait for the gap, start the next gateway, end."""
    order = json.loads(os.environ.pop(ORDER))
    until = time.monotonic() + order["gap"]
    while time.monotonic() < until:
        if order["exit_with"] is not None and not alive(order["exit_with"]):
            return 0
        time.sleep(POLL_INTERVAL)
    _start(order["argv"], {})
    return 0


def _start(argv: List[str], more: "dict[str, str]") -> None:
    program = argv[0] if os.path.exists(argv[0]) else os.readlink("/proc/self/exe")
    subprocess.Popen(argv, executable=program, env={**os.environ, **more}, stdin=subprocess.DEVNULL)
