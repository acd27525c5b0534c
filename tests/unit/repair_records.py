"""A host's repair state for tests: runs that begin, act and end in it, and system calls that fail on demand."""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from ansible.module_utils.ib_gateway.state import journal, repair_state, state_folder
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.authorization import Authorization
from ansible.module_utils.ib_gateway.state.journal import Journal
from ansible.module_utils.ib_gateway.state.records import Moment, Record
from ansible.module_utils.ib_gateway.state.state_folder import Folder

BOOT = "3aa250c3-0501-45c0-8532-3d93b932d0cb"
DIGEST = "d" * 64


def params(state_dir: Path, run: str = "r1", **more: Any) -> Dict[str, Any]:
    """A value of the option `authorization` with fresh plans for live and paper."""
    now = journal.moment()
    plans = [
        {"gateway": name, "digest": DIGEST, "boot_id": now.boot_id, "made_at": now.boottime}
        for name in ("live", "paper")
    ]
    found = {"run": run, "by": "alice@control pid 7", "state_dir": str(state_dir), "plans": plans}
    return {**found, "limits": {"repairs_per_hour": 100, "restarts_per_hour": 100, "backoff": 0.0}, **more}


def authorization(state_dir: Path, run: str = "r1", **more: Any) -> Authorization:
    """An authorization that allows everything."""
    found = Authorization.from_params(params(state_dir, run, **more))
    assert found is not None
    return found


def begin(state_dir: Path, run: str = "r1", gateways: Any = ("live",), **more: Any) -> Dict[str, Any]:
    """What beginning a repair returns."""
    return repair_state.begin(authorization(state_dir, run, **more), list(gateways), 900.0, False)


def act(state_dir: Path, run: str = "r1", action: str = "stop_client", gateway: str = "live") -> int:
    """One act with its outcome; the intent's number."""
    with AdmissionCheck(authorization(state_dir, run), False) as check:
        assert check.admit(action, gateway, DIGEST) is None
        token = check.intend(action, gateway, {"pid": 815})
        assert check.outcome(token, "done", "ended") is None
    return token


def end(state_dir: Path, run: str = "r1", **healthy: bool) -> Dict[str, Any]:
    """What ending a repair returns; healthy: by gateway."""
    results = [{"gateway": name, "healthy": each, "summary": "as seen"} for name, each in healthy.items()]
    return repair_state.end(authorization(state_dir, run), results, False)


def failed_repair(state_dir: Path, run: str = "r1", gateway: str = "live") -> None:
    """A whole repair that did not succeed."""
    assert begin(state_dir, run, [gateway])["begun"]
    act(state_dir, run, gateway=gateway)
    assert end(state_dir, run, **{gateway: False})["unsuccessful"] == [gateway]


def read(state_dir: Path) -> Journal:
    """The journal in a folder."""
    folder = Folder.open(str(state_dir))
    assert folder is not None
    with folder:
        return journal.read(folder)


def kinds(state_dir: Path) -> List[str]:
    """The kinds of all records, in order."""
    return [each.kind for each in read(state_dir).records]


def record(n: int, kind: str, ago: float = 0.0, boot_id: str = BOOT, **more: Any) -> Record:
    """A record some seconds before NOW."""
    values: Dict[str, Any] = {"run": "r1", "by": "alice", "gateway": "live", **more}
    return Record(n, kind, NOW.at - ago, boot_id, NOW.boottime - ago, **values)


def signed(body: str) -> bytes:
    """A line with a right checksum, whatever it says."""
    data = body.encode("utf-8", "surrogatepass")
    return data[:-1] + b',"crc":"%08x"}' % zlib.crc32(data)


NOW = Moment(1_795_363_200.0, BOOT, 50_000.0)


class Crash(BaseException):
    """The process is gone: nothing that follows is done, as little as after a power cut."""


class StoppingCalls:
    """System calls that stop for ever at the k-th one: before it, after it, or amid it (for a write); None: never.

    fsync is only counted: it would cost most of a test's time.
    """

    NAMES = ("open", "mkdir", "write", "ftruncate", "fsync", "rename", "unlink")

    def __init__(self, k: Optional[int] = None, where: str = "before") -> None:
        self._left = k
        self._where = where
        self._gone = False
        self.log: List[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self.NAMES:
            raise AttributeError(name)
        return lambda *arguments, **named: self._call(name, *arguments, **named)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        if self._gone:
            raise Crash
        real: Callable[..., Any] = getattr(os, name) if name != "fsync" else lambda *_: None
        self.log.append(name)
        if self._left is None or len(self.log) != self._left:
            return real(*arguments, **named)
        self._gone = True
        if name == "write" and self._where == "amid":
            real(arguments[0], arguments[1][: len(arguments[1]) // 2])
        elif self._where == "after":
            real(*arguments, **named)
        raise Crash


class FailingCalls:
    """System calls of which some fail: every write after half of its bytes, or what a test names."""

    def __init__(self, number: int, *names: str) -> None:
        self._number = number
        self._names = names

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(os, name)
        return self._failing(name, real) if name in self._names else real

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **_named: Any) -> Any:
            if name == "write" and len(arguments[1]) > 1:
                return real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(self._number, os.strerror(self._number))

        return call


FULL = (errno.ENOSPC, "write")


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the books of a test are; not there yet. Nothing waits for the disk."""
    monkeypatch.setattr(state_folder, "calls", StoppingCalls())
    return tmp_path / "state"


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Puts other system calls in place."""
    yield lambda calls: monkeypatch.setattr(state_folder, "calls", calls)
