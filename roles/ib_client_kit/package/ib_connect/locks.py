"""Locks on files: who holds one is written in it, and the kernel frees it when its process dies."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import ClassVar, NamedTuple, Optional

try:
    import fcntl
except ImportError:  # no such locks on this system: no leases and no queue, ids by the clock
    fcntl = None  # type: ignore[assignment]


def locks_work() -> bool:
    """Whether this system has such locks."""
    return fcntl is not None


class Holder(NamedTuple):
    """A process that holds a lock: its script and for how many seconds it has."""

    pid: int
    script: str
    age: float

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.script}, for {self.age:.0f} s)"


class Lock:
    """An advisory lock on a file that says who holds it; the kernel releases it when the process dies."""

    held: ClassVar[set[Lock]] = set()

    def __init__(self, path: str, handle: int, owner: Optional[object]) -> None:
        self.path, self.owner, self._handle, self._locked = path, owner, handle, False
        self.held.add(self)

    @classmethod
    def take(cls, path: str, owner: Optional[object] = None) -> Optional[Lock]:
        """The lock, or None while another holds it. Raises OSError where there can be no such file."""
        while True:
            try:
                # Known to its owner before it is locked: a KeyboardInterrupt may come between any two steps.
                lock = cls(path, open_lock_file(path), owner)
            except PermissionError:  # another account's, of a folder with stricter permissions
                return None
            try:
                fcntl.flock(lock._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have removed the file between our opening and our locking of it.
                if os.path.samestat(os.fstat(lock._handle), os.stat(path)):
                    lock._locked = True
                    with contextlib.suppress(OSError):  # a full disk: locked all the same
                        about = {"pid": os.getpid(), "script": script_name(), "since": time.time()}
                        os.ftruncate(lock._handle, 0)
                        os.pwrite(lock._handle, json.dumps(about).encode(), 0)
                    return lock
            except BlockingIOError:
                lock.release()
                return None
            except FileNotFoundError:
                pass
            lock.release()

    def rename(self, path: str) -> None:
        os.rename(self.path, path)
        self.path = path

    def release(self) -> None:
        if self in self.held:
            self.held.discard(self)
            if self._locked:
                with contextlib.suppress(OSError):  # a file of another account stays; its lock goes
                    os.unlink(self.path)
            os.close(self._handle)

    @classmethod
    def release_all(cls, owner: object) -> None:
        for lock in [each for each in list(cls.held) if each.owner is owner]:
            lock.release()

    @classmethod
    def forget_all(cls) -> None:
        """In a forked child: the locks are the parent's, and must not outlive it through a copy of ours."""
        for lock in cls.held:
            os.close(lock._handle)
        cls.held.clear()


def open_lock_file(path: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        # Never O_CREAT on a file that is there: kernels refuse it in sticky folders when another account made it.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            with contextlib.suppress(OSError):  # who may use the folder may use its locks
                os.fchmod(handle, os.stat(os.path.dirname(path)).st_mode & 0o666)
            return handle


def script_name() -> str:
    return os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "interactive"


def read_holder(path: str) -> Optional[Holder]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(path, encoding="utf-8") as file:
        about = json.load(file)
        return Holder(int(about["pid"]), str(about["script"]), max(0.0, time.time() - float(about["since"])))
    return None
