"""Starting a helper program and ending it: by its handle only, and never without a bound."""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, TypeVar

READY_WITHIN = 15.0  # seconds; a Python start takes 0.2 on an idle core
END_WITHIN = 3.0  # seconds a program gets after SIGTERM
POLL_INTERVAL = 0.01  # seconds

Self = TypeVar("Self", bound="Program")


@dataclass
class Program:
    """A program that says in a JSON file when it is ready; as a context manager it is started and ended.

    `folder` holds its ready file and its log, named after `name`. It runs in a session of its own, so that a
    terminal's Ctrl-C does not reach it before the test that owns it has ended it.
    """

    folder: Path
    name: str = "program"
    process: Optional["subprocess.Popen[bytes]"] = field(default=None, init=False, repr=False, compare=False)

    def command(self) -> List[str]:
        """The argv to start."""
        raise NotImplementedError

    @property
    def working_dir(self) -> Path:
        """Where it runs."""
        return self.folder

    @property
    def ready_file(self) -> Path:
        """The file the program writes when it is ready, at once and as a whole."""
        return self.folder.absolute() / f"{self.name}.ready"

    @property
    def log_file(self) -> Path:
        """Where its standard output and standard error go."""
        return self.folder.absolute() / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The started process's id."""
        return self._started().pid

    def _started(self) -> "subprocess.Popen[bytes]":
        if self.process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.process

    def start(self: Self, wait: bool = True) -> Self:
        """Start it; with `wait` return when it is ready, and leave nothing behind when it does not get there."""
        if self.process is not None:
            raise RuntimeError(f"{self.name} was started before")
        argv = self.command()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=self.working_dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.stop()
                raise
        return self

    def wait_ready(self, timeout: float = READY_WITHIN) -> Dict[str, Any]:
        """Wait for the ready file of this very process and return what it says."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            state = self.ready_state()
            if state.get("pid") == self.pid:
                return state
            if self._started().poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self._started().returncode}: {self.log_text()}")
            time.sleep(POLL_INTERVAL)
        raise RuntimeError(f"{self.name} was not ready after {timeout} s: {self.log_text()}")

    def ready_state(self) -> Dict[str, Any]:
        """What the ready file says now; nothing when there is none."""
        # A second program of the same name may have left its file; the pid in it tells.
        with contextlib.suppress(FileNotFoundError):
            state: Dict[str, Any] = json.loads(self.ready_file.read_text(encoding="utf-8"))
            return state
        return {}

    def log_text(self) -> str:
        """What the program wrote so far."""
        return self.log_file.read_text(encoding="utf-8", errors="backslashreplace").strip()

    def wait(self, timeout: float = END_WITHIN) -> int:
        """Wait until it has ended by itself or by someone else; return its exit code, -N for signal N."""
        return self._started().wait(timeout)

    def stop(self, timeout: float = END_WITHIN) -> Optional[int]:
        """End it: SIGTERM, after `timeout` seconds SIGKILL. Returns the exit code, None if it never started."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def kill(self) -> int:
        """End it at once by SIGKILL, as a crash would."""
        self._started().kill()
        return self._started().wait()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def python_home(python: str = sys.executable) -> Dict[str, str]:
    """The environment in which an interpreter finds its library whatever argv[0] says.

    CPython looks for its library beside the program that argv[0] names, found by PATH: as "socat" it looks beside
    /usr/bin/socat, where another Python's library may be.
    """
    return {"PYTHONHOME": os.path.dirname(os.path.dirname(os.path.realpath(python)))}


def own_python() -> str:
    """The interpreter behind any virtual environment: programs of the standard library need no more."""
    return os.path.realpath(sys.executable)
