"""Starting a helper program and ending it: by its handle only, and never without a bound."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, TypeVar

READY_WITHIN = 15.0  # seconds; a Python start takes 0.2 on an idle core
END_WITHIN = 3.0  # seconds a program gets after SIGTERM
POLL_INTERVAL = 0.01  # seconds

MARK = "SIMULATED_BY"  # the environment variable by which a program's children are known

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
    _mark: str = field(default="", init=False, repr=False, compare=False)

    def command(self) -> List[str]:
        """The argv to start."""
        raise NotImplementedError

    @property
    def program(self) -> Optional[str]:
        """The file to run, where argv[0] is only a name."""
        return None

    @property
    def environment(self) -> Dict[str, str]:
        """What it is started with."""
        return dict(os.environ)

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
        self._mark = f"{MARK}={os.getpid()}.{secrets.token_hex(8)}"
        name, _, value = self._mark.partition("=")
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                argv,
                executable=self.program,
                cwd=self.working_dir,
                env={**self.environment, name: value},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
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
            if self.is_own(state):
                return state
            if self.has_failed():
                raise RuntimeError(f"{self.name} ended with {self._started().returncode}: {self.log_text()}")
            time.sleep(POLL_INTERVAL)
        raise RuntimeError(f"{self.name} was not ready after {timeout} s: {self.log_text()}")

    def has_failed(self) -> bool:
        """Whether it can not become ready any more."""
        return self._started().poll() is not None

    def is_own(self, state: Dict[str, Any]) -> bool:
        """Whether a ready file is from this very start: a second program of the same name may have left its own."""
        return state.get("pid") == self.pid

    def ready_state(self) -> Dict[str, Any]:
        """What the ready file says now; nothing when there is none."""
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
        """End it: SIGTERM, after `timeout` seconds SIGKILL, and whatever it started and left behind.

        Returns the exit code, None if it never started.
        """
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        self._end_family()
        return code

    def _end_family(self) -> None:
        """SIGKILL to every process that was started with this program's mark, until there is none."""
        deadline = time.monotonic() + END_WITHIN
        while (family := marked(self._mark)) and time.monotonic() < deadline:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill(self) -> int:
        """End it at once by SIGKILL, as a crash would."""
        self._started().kill()
        return self._started().wait()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def marked(mark: str) -> List[int]:
    """The running processes that have this variable in the environment they were started with, but not this one."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in (each / "environ").read_bytes().split(b"\0"):
                    found.append(int(each.name))
    return found


def python_home(python: str = sys.executable) -> Dict[str, str]:
    """The environment in which an interpreter finds its library whatever argv[0] says.

    CPython looks for its library beside the program that argv[0] names, found by PATH: as "socat" it looks beside
    /usr/bin/socat, where another Python's library may be.
    """
    return {"PYTHONHOME": os.path.dirname(os.path.dirname(os.path.realpath(python)))}


def own_python() -> str:
    """The interpreter behind any virtual environment: programs of the standard library need no more."""
    return os.path.realpath(sys.executable)
