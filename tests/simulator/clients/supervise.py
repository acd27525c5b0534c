"""A program that keeps others running as supervisord does: started as `supervisord -n -c FILE`.

Each program leads a process group of its own and is started again when it ends. SIGTERM ends them all, and so do the
end of --exit-with's process and of --lifetime's seconds.
"""

import argparse
import configparser
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from typing import List

POLL_INTERVAL = 0.05  # seconds
PATIENCE = 2.0  # seconds between SIGTERM and SIGKILL


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Keep programs running.")
    parser.add_argument("-n", action="store_true", help="stay in the foreground, as it always does")
    parser.add_argument("-c", required=True, metavar="FILE", help="an INI file with [program:NAME] command=...")
    parser.add_argument(
        "--gap", type=float, default=0.0, help="seconds between the end of a program and its next start"
    )
    parser.add_argument("--lifetime", type=float, default=300.0, help="seconds after which it ends by itself")
    parser.add_argument("--exit-with", type=int, metavar="PID", help="end when this process does")
    return parser.parse_args()


def read_commands(path: str) -> List[List[str]]:
    """The argv of each program."""
    parser = configparser.ConfigParser()
    parser.read(path, encoding="utf-8")
    return [shlex.split(parser[name]["command"]) for name in parser.sections() if name.startswith("program:")]


class Kept:
    """One program that is kept running."""

    def __init__(self, argv: List[str], gap: float) -> None:
        self.argv, self.gap, self.due = argv, gap, 0.0
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, preexec_fn=os.setpgrp)

    def keep(self) -> None:
        """Start it again once it has been gone for the gap."""
        if self.process.poll() is None:
            return
        self.due = self.due or time.monotonic() + self.gap
        if time.monotonic() >= self.due:
            self.process, self.due = self._start(), 0.0

    def end(self) -> None:
        """SIGTERM, and SIGKILL for who does not listen."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()


def owner_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def main() -> int:
    args = parse_arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    until = time.monotonic() + args.lifetime
    programs = [Kept(argv, args.gap) for argv in read_commands(args.c)]
    while not stop.wait(POLL_INTERVAL) and time.monotonic() < until:
        if args.exit_with is not None and not owner_alive(args.exit_with):
            break
        for program in programs:
            program.keep()
    for program in programs:
        program.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
