"""A crowd: processes that hold open files, and connections, and do nothing else. They end with whoever started them.

    python -m bench.crowd PROCESSES FILES CONNECTIONS UID

says `ready` when all of them are there, and ends them when its standard input ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import List, Optional

PROJECT = Path(__file__).resolve().parent.parent
NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_PAIRS_EACH = 200  # connections of one process, both ends


@contextlib.contextmanager
def crowd(processes: int, files: int = 20, connections: int = 0) -> Iterator[None]:
    """Processes with so many open files each, and so many loopback connections besides, whose two ends both count.

    Root starts them under another account than its own, as other people's programs are.
    """
    uid = NOBODY if os.geteuid() == 0 else os.getuid()
    argv = [sys.executable, "-m", "bench.crowd", *map(str, (processes, files, connections, uid))]
    with subprocess.Popen(argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdin and leader.stdout
        try:
            if leader.stdout.readline() != "ready\n":
                raise RuntimeError("the crowd did not gather; see its error above")
            yield
        finally:
            leader.stdin.close()
            leader.wait()


def _gather(processes: int, files: int, connections: int, uid: int, found: List[int]) -> None:
    """Forks them, and adds their pids to what was found."""
    libc = ctypes.CDLL(None)
    leader = os.getpid()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024) if connections else None
    while len(found) < processes or connections > 0:
        mine = min(connections, _PAIRS_EACH)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                if os.geteuid() == 0 and uid:
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # only now: another account takes it back
                if os.getppid() == leader:
                    _live(files, mine, listener, writing)
            finally:
                os._exit(1)
        os.close(writing)
        found.append(pid)
        with os.fdopen(reading) as said:
            if said.read() != "ready":
                raise RuntimeError("one of the crowd ended")
        connections -= mine


def _live(files: int, connections: int, listener: Optional[socket.socket], ready: int) -> None:
    """One of them: a third of its files are sockets."""
    kept: List[object] = []
    for _ in range(connections // 2):
        assert listener
        one = socket.socket()
        one.connect(listener.getsockname())
        kept += [one, listener.accept()]
    for number in range(max(0, files - 4)):  # standard input, output and error, and the one that says ready
        kept.append(socket.socket() if number % 3 == 0 else os.open("/dev/null", os.O_RDONLY))
    os.write(ready, b"ready")
    os.dup2(0, ready)  # closes it for the leader, and keeps the number of open files
    while True:
        signal.pause()


def main() -> None:
    """Gathers the crowd, waits for the end of the input, ends it."""
    processes, files, connections, uid = map(int, sys.argv[1:5])
    found: List[int] = []
    try:
        _gather(processes, files, connections, uid, found)
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        for pid in found:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
