"""A connection to an Interactive Brokers gateway that behaves. One file; Python 3.8 or newer; ib_insync or ib_async.

    import ib_connect

    with ib_connect.connect("live") as ib:
        ib.reqMktData(contract)

    async with ib_connect.connect_async("paper") as ib:
        await ib.qualifyContractsAsync(contract)

The name is a profile of /etc/ib-connect/profiles.json (environment: IB_CONNECT_PROFILES), which the role ib_client_kit
writes. `ib` is the library's own IB object. Around it this file takes a client id that no other process of the host
holds, a place in the queue for the gateway's API slot, retries with backoff within one deadline, and disconnects on
every way out. What goes wrong is a ConnectError that names stage and cause. It logs to the logger `ib_connect` and
never prints.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import itertools
import json
import logging
import os
import random
import re
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import warnings
from types import FrameType, ModuleType
from typing import Any, ClassVar, Coroutine, Iterator, NamedTuple, NoReturn, Optional, TypeVar, Union

try:
    import fcntl
except ImportError:  # no such locks on this system: no leases and no queue, ids by the clock
    fcntl = None  # type: ignore[assignment]

__all__ = ["AsyncConnection", "ClientIdInUse", "ConnectError", "Connection", "Dropped", "Holder", "LibraryMissing"]
__all__ += ["LiveNotSaid", "LoopRunning", "Profile", "ProfileError", "Refused", "Silent", "SlotBusy", "Stalled"]
__all__ += ["WrongMode", "client_id", "connect", "connect_async", "find_profile", "load_library", "load_profiles"]

LIBRARIES = ("ib_insync", "ib_async")
PROFILES_FILE, PROFILES_VARIABLE = "/etc/ib-connect/profiles.json", "IB_CONNECT_PROFILES"
LOCK_FOLDER, LOCKS_VARIABLE = "/run/ib-connect", "IB_CONNECT_LOCKS"
#: Leased ids: none that scripts write down, that the clock's formula gives (100 to 10998) or that probes use.
FIRST_ID, LEASABLE_IDS = 20_000, 10_000
#: Seconds: the longest pause before the second attempt, and before any; each is drawn between zero and its longest.
BACKOFF_FIRST, BACKOFF_LONGEST = 0.5, 15.0
#: Seconds: an attempt with less time than this would prove nothing.
SHORTEST_ATTEMPT = 0.5
#: Seconds that a gateway may take to close its end after ours, before the slot goes to the next script.
FAREWELL = 0.25

log = logging.getLogger("ib_connect")
_T = TypeVar("_T")
_Path = Union[str, "os.PathLike[str]"]

# --- what can go wrong -----------------------------------------------------------------------------------------------


class ConnectError(ConnectionError):
    """No session. stage: where it ended; cause: why, one fixed word; detail: the evidence in a sentence.

    attempts and elapsed (seconds) say what was tried; server_version is set from the stage start_api on.
    """

    cause, stage, retry = "failed", "setup", False

    def __init__(self, detail: str, stage: Optional[str] = None) -> None:
        super().__init__(detail)
        self.detail, self.stage = detail, stage or self.stage
        self.where = ""
        self.attempts, self.elapsed = 0, 0.0
        self.server_version: Optional[int] = None

    def __str__(self) -> str:
        tried = f" (attempts: {self.attempts}, {self.elapsed:.1f} s)" if self.attempts else ""
        return f"{self.where}{self.cause} at stage {self.stage}: {self.detail}{tried}"


class ProfileError(ConnectError):
    """The profile is missing or wrong; the text names file, profile and key."""

    cause, stage = "profile", "profile"


class LiveNotSaid(ProfileError):
    """The profile is live, and the call does not say so."""

    cause = "live_not_said"


class LibraryMissing(ConnectError):
    """Neither ib_insync nor ib_async can be imported."""

    cause = "library_missing"


class LoopRunning(ConnectError, RuntimeError):
    """The synchronous connect() was called inside a running event loop."""

    cause = "loop_running"


class SlotBusy(ConnectError):
    """Other scripts held the API slot for as long as this one could wait; holders: who."""

    cause, stage = "slot_busy", "slot"

    def __init__(self, detail: str, holders: tuple[Holder, ...] = ()) -> None:
        super().__init__(detail)
        self.holders = holders


class Refused(ConnectError):
    """No TCP connection."""

    cause, stage, retry = "refused", "tcp", True


class Silent(ConnectError):
    """Connected, but no server version came."""

    cause, stage, retry = "silent", "server_version", True


class Stalled(ConnectError):
    """The server version came, the session did not: what a bare library shows as `TimeoutError()`."""

    cause, stage, retry = "stalled", "start_api", True


class Dropped(ConnectError):
    """The gateway closed the connection, or sent what is not its protocol."""

    cause, stage, retry = "dropped", "server_version", True


class ClientIdInUse(ConnectError):
    """Error 326, or an asked-for id that another process of this host leases."""

    cause, stage, retry = "id_in_use", "start_api", True


class WrongMode(ConnectError):
    """The login's accounts are paper where the profile is live, or live where it is paper."""

    cause, stage = "wrong_trading_mode", "ready"


# --- profiles --------------------------------------------------------------------------------------------------------


class Profile(NamedTuple):
    """One gateway as scripts see it; mode is live or paper."""

    name: str
    host: str
    port: int
    mode: str
    max_api_clients: int = 1


_RANGES = {"port": (1, 65535), "max_api_clients": (1, 32)}


def load_profiles(path: Optional[_Path] = None) -> dict[str, Profile]:
    """The profiles of a file by name. path: IB_CONNECT_PROFILES or /etc/ib-connect/profiles.json where None."""
    return _read_profiles(path)[0]


def find_profile(name: str, live: Optional[bool] = None, path: Optional[_Path] = None) -> Profile:
    """The profile of this name; for `live` and `paper` also the only one of that mode. Holds `live` against it.

    A live profile must be asked for as live: by a name with the word live in it (live, desk1-live), or by live=True.
    live=False refuses it whatever its name. A name or a `live` that contradicts the profile's mode is refused.
    """
    profiles, _locks, file = _read_profiles(path)
    found = [profiles[name]] if name in profiles else [each for each in profiles.values() if each.mode == name]
    if len(found) != 1:
        known = ", ".join(f"{each.name} ({each.mode})" for each in profiles.values()) or "none"
        raise ProfileError(f"{file}: no profile {name!r}, or several of that mode; profiles: {known}")
    said = {"live", "paper"}.intersection(re.split(r"[^a-z0-9]+", name.lower()))
    if (len(said) == 1 and found[0].mode not in said) or (live and found[0].mode != "live"):
        raise ProfileError(
            f"{file}, profile {found[0].name}, key mode: is {found[0].mode}, but the call says otherwise"
        )
    if found[0].mode == "live" and not (live or (live is None and said == {"live"})):
        why = "live=False was given" if live is False else "say so: connect(%r, live=True)" % name
        raise LiveNotSaid(f"{file}, profile {found[0].name}: trades live; {why}")
    return found[0]


def _read_profiles(path: Optional[_Path]) -> tuple[dict[str, Profile], Optional[str], str]:
    """The profiles, the lock folder that the file names, and the file's path."""
    file = os.fspath(path or os.environ.get(PROFILES_VARIABLE) or PROFILES_FILE)
    try:
        with open(file, encoding="utf-8") as stream:
            raw = json.load(stream)
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ProfileError(f"{file}: is not JSON: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("profiles"), dict):
        raise ProfileError(f"{file}, key profiles: must be an object with one entry for each profile")
    locks = raw.get("lock_dir")
    if locks is not None and not (isinstance(locks, str) and os.path.isabs(locks)):
        raise ProfileError(f"{file}, key lock_dir: must be an absolute path")
    return {name: _profile(file, name, each) for name, each in raw["profiles"].items()}, locks, file


def _profile(file: str, name: str, raw: Any) -> Profile:
    where = f"{file}, profile {name}"
    if not isinstance(raw, dict):
        raise ProfileError(f"{where}: must be an object with the keys {', '.join(Profile._fields[1:])}")
    values = {"host": "127.0.0.1", "max_api_clients": 1, **raw}
    for key in sorted(set(values).symmetric_difference(Profile._fields[1:])):
        raise ProfileError(f"{where}, key {key}: is {'not known' if key in values else 'missing'}")
    if not isinstance(values["host"], str) or not values["host"]:
        raise ProfileError(f"{where}, key host: must be a host name or address")
    if values["mode"] not in ("live", "paper"):
        raise ProfileError(f"{where}, key mode: must be live or paper")
    for key, (low, high) in _RANGES.items():
        if type(values[key]) is not int or not low <= values[key] <= high:
            raise ProfileError(f"{where}, key {key}: must be a whole number from {low} to {high}")
    return Profile(name, **values)


# --- locks: client ids and the queue for the slot --------------------------------------------------------------------


class Holder(NamedTuple):
    """A process that holds a lock: its script and for how many seconds it has."""

    pid: int
    script: str
    age: float

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.script}, for {self.age:.0f} s)"


class _Lock:
    """An advisory lock on a file that says who holds it; the kernel releases it when the process dies."""

    held: ClassVar[set[_Lock]] = set()

    def __init__(self, path: str, handle: int, owner: Optional[_Base]) -> None:
        self.path, self.owner, self._handle, self._locked = path, owner, handle, False
        self.held.add(self)

    @classmethod
    def take(cls, path: str, owner: Optional[_Base] = None) -> Optional[_Lock]:
        """The lock, or None while another holds it. Raises OSError where there can be no such file."""
        while True:
            try:
                # Known to its owner before it is locked: a KeyboardInterrupt may come between any two steps.
                lock = cls(path, _open(path), owner)
            except PermissionError:  # another account's, of a folder with stricter permissions
                return None
            try:
                fcntl.flock(lock._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have removed the file between our opening and our locking of it.
                if os.path.samestat(os.fstat(lock._handle), os.stat(path)):
                    lock._locked = True
                    with contextlib.suppress(OSError):  # a full disk: locked all the same
                        about = {"pid": os.getpid(), "script": _script(), "since": time.time()}
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
    def release_all(cls, owner: _Base) -> None:
        for lock in [each for each in list(cls.held) if each.owner is owner]:
            lock.release()

    @classmethod
    def forget_all(cls) -> None:
        """In a forked child: the locks are the parent's, and must not outlive it through a copy of ours."""
        for lock in cls.held:
            os.close(lock._handle)
        cls.held.clear()


def _open(path: str) -> int:
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


def _script() -> str:
    return os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "interactive"


def _holder(path: str) -> Optional[Holder]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(path, encoding="utf-8") as file:
        about = json.load(file)
        return Holder(int(about["pid"]), str(about["script"]), max(0.0, time.time() - float(about["since"])))
    return None


def _lock_folder(given: Optional[_Path], from_file: Optional[str]) -> Optional[str]:
    """The folder for locks; None, with a warning, where there is none that can be used."""
    asked = given or os.environ.get(LOCKS_VARIABLE)
    first = os.fspath(asked or from_file or LOCK_FOLDER)
    if fcntl and _usable(first):
        return os.path.abspath(first)
    own = None if asked else _own_folder()
    if own and _usable(own):
        return own
    log.warning("no lock folder (%s): client ids come from the clock and may collide; nothing queues", first)
    return None


def _usable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _own_folder() -> Optional[str]:
    """A folder of this account alone, for hosts without a shared one."""
    if fcntl is None:
        return None
    folder = os.path.join(tempfile.gettempdir(), f"ib-connect-{os.getuid()}")
    with contextlib.suppress(OSError):
        os.mkdir(folder, 0o700)
    with contextlib.suppress(OSError):
        found = os.lstat(folder)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return folder
    return None


def client_id(locks: Optional[_Path] = None) -> int:
    """A client id that no other process of this host holds, until this one ends; never 0.

    For scripts that keep their own connect call. Where no lock folder can be used it comes from the clock.
    """
    from_file = None
    with contextlib.suppress(ProfileError):
        from_file = _read_profiles(None)[1]
    return _lease(_lock_folder(locks, from_file))[0]


def _lease(
    folder: Optional[str], wanted: Optional[int] = None, owner: Optional[_Base] = None
) -> tuple[int, Optional[_Lock]]:
    """A client id and its lock; without a folder there is no lock."""
    if folder is None:
        return wanted or int(time.time() % 10000) + random.randint(100, 999), None  # noqa: S311 - no secret
    # From the pid on: a log's client id leads to its process, and an id just given back, which the gateway may still
    # remember, is not the next one's.
    offered = (FIRST_ID + (os.getpid() + turn) % LEASABLE_IDS for turn in range(LEASABLE_IDS))
    for number in [wanted] if wanted else offered:
        lock = _Lock.take(os.path.join(folder, f"id-{number}"), owner)
        if lock:
            return number, lock
    holder = _holder(os.path.join(folder, f"id-{wanted}"))
    raise ClientIdInUse(f"client id {wanted} is leased by {holder}" if wanted else "every id is leased", "lease")


class _Queue:
    """Who waits for the slots of one gateway, in order of arrival, by ticket files."""

    _numbers = itertools.count()

    def __init__(self, folder: str, profile: Profile, owner: Optional[_Base] = None) -> None:
        local = profile.host.lower() in ("localhost", "::1")
        gateway = "%s-%d" % (re.sub(r"[^\w.]", "_", "127.0.0.1" if local else profile.host.lower()), profile.port)
        self._folder, self._owner = folder, owner
        self._slots = [os.path.join(folder, f"slot-{gateway}-{n}") for n in range(profile.max_api_clients)]
        self._tickets = f"queue-{gateway}-"

    async def slot(self, until: float) -> _Lock:
        """A slot's lock, at the latest at `until` on the monotonic clock; SlotBusy names its holders after that."""
        if until <= time.monotonic():
            return self._free_slot() or self._busy()
        name = f"{self._tickets}{time.monotonic_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        ticket = _Lock.take(os.path.join(self._folder, "." + name), self._owner)  # its name only once locked
        assert ticket, name
        try:
            ticket.rename(os.path.join(self._folder, name))
            told = False
            while True:
                ahead = self._ahead(name)
                slot = self._free_slot() if ahead < len(self._slots) else None
                if slot or time.monotonic() >= until:
                    return slot or self._busy()
                if not told:
                    told = True
                    log.info("waits for an API slot held by %s", ", ".join(map(str, self._holders())) or "another")
                pause = min(0.25, 0.02 * (1 + ahead) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                await asyncio.sleep(max(0.0, min(pause, until - time.monotonic())))
        finally:
            ticket.release()

    def _free_slot(self) -> Optional[_Lock]:
        return next(filter(None, (_Lock.take(path, self._owner) for path in self._slots)), None)

    def _ahead(self, name: str) -> int:
        """How many waited before; counted up to the number of slots, from the nearest. Clears what the dead left."""
        count = 0
        before = (each for each in os.listdir(self._folder) if each.startswith(self._tickets) and each < name)
        for each in sorted(before, reverse=True):
            path = os.path.join(self._folder, each)
            left = _Lock.take(path, self._owner) if os.path.exists(path) else None
            if left:
                left.release()
            elif os.path.exists(path):
                count += 1
            if count >= len(self._slots):
                break
        return count

    def _holders(self) -> list[Holder]:
        return [holder for holder in map(_holder, self._slots) if holder]

    def _busy(self) -> NoReturn:
        holders = tuple(self._holders())
        many = f"{len(self._slots)} API slot(s) taken by "
        raise SlotBusy(many + (", ".join(map(str, holders)) or "others who wait"), holders)


# --- the library and its event loop ----------------------------------------------------------------------------------


def load_library(name: Optional[str] = None) -> ModuleType:
    """ib_insync or ib_async: the one named, else one that is imported already, else the one that is installed.

    Gives the thread an event loop first if it has none: from Python 3.14 on the libraries cannot be imported without.
    """
    _prepare_loop()
    problems = []
    for each in [name] if name else sorted(LIBRARIES, key=lambda library: library not in sys.modules):
        try:
            module = importlib.import_module(each)
        except ImportError as error:
            problems.append(str(error))
        else:
            logging.getLogger(f"{each}.client").addFilter(_not_misleading)
            return module
    raise LibraryMissing(f"{'; '.join(problems)}: pip install ib_async for {sys.executable}")


def _prepare_loop() -> tuple[asyncio.AbstractEventLoop, bool]:
    """This thread's event loop, and whether it had to be made; one that is there is left as it is."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop(), False
    with contextlib.suppress(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and 3.13 warn where they make one
        loop = asyncio.get_event_loop()
        if not loop.is_closed():
            return loop, False
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop, True


def _blocking_loop() -> tuple[asyncio.AbstractEventLoop, bool]:
    """_prepare_loop() for calls that block: a running loop is refused, but a notebook's, which is made nestable once.

    nest_asyncio rewires asyncio for the whole process, so nothing else ever applies it.
    """
    loop, made = _prepare_loop()
    if loop.is_running() and not _nested(loop):
        if not _in_notebook():
            raise LoopRunning("connect() blocks the running event loop; use: async with connect_async(...) as ib")
        importlib.import_module("nest_asyncio").apply(loop)
    return loop, made


def _nested(loop: asyncio.AbstractEventLoop) -> bool:
    return hasattr(loop, "_nest_patched")


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


# --- one attempt -----------------------------------------------------------------------------------------------------


def _mask(account: str) -> str:
    """DU1234567 as DU*****67."""
    letters = len(account) - len(account.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return account[:letters] + "*" * max(0, len(account) - letters - 2) + account[letters:][-2:]


class _Watch:
    """Reads along with the library while it connects: which stage it reached, and what ended it."""

    def __init__(self, ib: Any, profile: Profile, library: str) -> None:
        self._ib, self._profile, self._library = ib, profile, library
        self.stage = "tcp"
        self.error: Optional[ConnectError] = None
        self.timings: dict[str, float] = {}
        self.version: Optional[int] = None
        self.accounts: list[str] = []
        self.ready, self.over = asyncio.Event(), asyncio.Event()
        self._head, self._mark, self.notice = b"", time.monotonic(), 0

    @contextlib.contextmanager
    def hooked(self) -> Iterator[None]:
        """With the library's connection telling this watch what it sees, always after the library itself."""
        client = self._ib.client
        link, start = client.conn.connectAsync, client.connectAsync

        async def connect_tcp(host: str, port: int) -> None:
            await link(host, port)
            if client.conn.transport.get_extra_info("sockname") == client.conn.transport.get_extra_info("peername"):
                raise ConnectionRefusedError(111, "no listener; TCP connected to itself")
            self.passed("tcp", "server_version")

        async def connect_api(host: str, port: int, number: int, _timeout: Any = None) -> None:
            await start(host, port, number, 0)  # without the library's own timeout, which names no stage

        client.conn.connectAsync, client.connectAsync = connect_tcp, connect_api
        client.conn.hasData += self._on_data
        client.conn.disconnected += self._on_end
        self._ib.errorEvent += self._on_error
        try:
            yield
        finally:
            self._ib.errorEvent -= self._on_error
            client.conn.disconnected -= self._on_end
            client.conn.hasData -= self._on_data
            del client.conn.connectAsync, client.connectAsync

    def passed(self, stage: str, following: str) -> None:
        now = time.monotonic()
        self.timings[stage], self._mark, self.stage = now - self._mark, now, following

    def fail(self, error: ConnectError) -> None:
        if self.error is None:
            if self.notice:
                error.detail += f"; before that the gateway sent code {self.notice}"
            error.server_version, self.error = self.version, error
            self.ready.set()
            self.over.set()

    def _on_data(self, data: bytes) -> None:
        if self.version is None:
            self._on_hello(data)
        client = self._ib.client
        if self.stage == "start_api" and client.isReady():
            self.accounts = list(client.getAccounts())
            modes = {{"D": "paper", "U": "live", "F": "live", "I": "live"}.get(each[:1]) for each in self.accounts}
            self.passed("start_api", "synchronize")
            if modes & ({"live", "paper"} - {self._profile.mode}):
                shown = ", ".join(map(_mask, self.accounts))
                self.fail(WrongMode(f"the profile is {self._profile.mode}, the accounts are not: {shown}"))
            self.ready.set()

    def _on_hello(self, data: bytes) -> None:
        """The first frame: four bytes of length, then the server version and the connection time, NUL-terminated."""
        self._head += data[:1024]
        size = int.from_bytes(self._head[:4], "big")
        fields = self._head[4 : 4 + size].split(b"\0")
        if len(self._head) >= 4 and (size > 1000 or (len(self._head) >= 4 + size and not fields[0].isdigit())):
            self.fail(Dropped("the answer is not the API protocol"))
        elif 4 < 4 + size <= len(self._head):
            self.version = int(fields[0])
            self.passed("server_version", "start_api")
            if not self._ib.client.isConnected():
                self.fail(Dropped(f"{self._library} does not take server version {self.version}", "start_api"))
                self.error.retry = False  # type: ignore[union-attr]

    def _on_error(self, request: int, code: int, *_more: Any) -> None:
        if code == 326:
            self.fail(ClientIdInUse(f"client id {self._ib.client.clientId} is in use (error 326)"))
        elif request == -1 and not 2104 <= code <= 2108 and code not in (2158, 2159):
            self.notice = code

    def _on_end(self, message: str) -> None:
        came = f"after server version {self.version}" if self.version else "before a server version came"
        self.fail(Dropped(f"the gateway closed the connection {came}{message and f' ({message})'}", self.stage))

    def verdict(self, problem: Optional[BaseException], seconds: float) -> ConnectError:
        """What to raise for an attempt that came to nothing within these seconds, or with this exception."""
        if self.error is None:
            self.fail(self._cause(problem, seconds))
        assert self.error
        return self.error

    def _cause(self, problem: Optional[BaseException], seconds: float) -> ConnectError:
        if self.stage == "tcp":
            known = isinstance(problem, OSError) and problem.errno is not None
            return Refused(f"no connection: {problem}" if known else f"no connection within {seconds:.1f} s")
        if problem is not None and not isinstance(problem, (asyncio.TimeoutError, OSError)):
            error = ConnectError(f"{self._library} failed: {problem!r}", self.stage)
            error.__cause__ = problem
            return error
        if self.version is None:
            return Silent(f"connected, but no server version came within {seconds:.1f} s")
        missing = (
            "nextValidId and managedAccounts" if self.stage == "start_api" else "the answers to the first requests"
        )
        return Stalled(f"server version {self.version} came, {missing} did not within {seconds:.1f} s", self.stage)


def _not_misleading(record: logging.LogRecord) -> bool:
    """Drops what the library says about an attempt that failed: the ConnectError says it, and says it right."""
    return not record.getMessage().startswith(
        ("API connection failed", "Make sure", "Peer closed connection. clientId")
    )


async def _first(waited: asyncio.Future[Any], event: asyncio.Event, seconds: float) -> None:
    """Waits until the one is done or the other set, or the seconds are over."""
    setting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waited, setting}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()


# --- connections -----------------------------------------------------------------------------------------------------


class _Base:
    """What both kinds of connection share."""

    def __init__(
        self,
        profile: str,
        *,
        live: Optional[bool] = None,
        readonly: bool = False,
        timeout: float = 60.0,
        wait: Optional[float] = None,
        attempt_timeout: float = 10.0,
        client_id: Optional[int] = None,
        account: str = "",
        library: Optional[str] = None,
        profiles: Optional[_Path] = None,
        locks: Optional[_Path] = None,
    ) -> None:
        if client_id is not None and not 0 < client_id < 2**31:
            raise ValueError(f"client_id {client_id}: give 1 to 2147483647, or none; 0 takes over orders made by hand")
        if not (timeout > 0 and attempt_timeout > 0):
            raise ValueError("timeout and attempt_timeout are seconds above 0")
        self.profile = find_profile(profile, live, profiles)
        self.ib: Any = None
        self.client_id = 0
        self.server_version: Optional[int] = None
        self.timings: dict[str, float] = {}
        self._timeout, self._wait, self._attempt_timeout = timeout, wait, attempt_timeout
        self._wanted, self._library = client_id, library
        self._options = {"readonly": readonly, "account": account}
        self._locks, self._profiles = locks, profiles

    def __repr__(self) -> str:
        state = f"client {self.client_id}" if self in _connections else "closed"
        return f"<{type(self).__name__} {self._where} {state}>"

    @property
    def _where(self) -> str:
        return f"{self.profile.name} ({self.profile.host} port {self.profile.port})"

    def _begin(self) -> None:
        """What comes before the clock starts."""
        if self in _connections:
            raise RuntimeError(f"{self!r} is open")
        self._module = load_library(self._library)
        self._folder = _lock_folder(self._locks, _read_profiles(self._profiles)[1])
        _connections.add(self)
        _take_signals()

    async def _open(self) -> Any:
        began = time.monotonic()
        deadline = _deadline(began, self._timeout)
        try:
            self._take_id()
            if self._folder:
                until = deadline if self._wait is None else min(deadline, began + self._wait)
                await _Queue(self._folder, self.profile, self).slot(until)
            self.timings = {"slot": time.monotonic() - began}
            self.ib = self._module.IB()
            await self._establish(began, deadline)
        except ConnectError as error:
            error.where = error.where or f"{self._where}: "
            error.elapsed = time.monotonic() - began
            self._let_go()
            raise
        except BaseException as error:
            self._let_go()
            if isinstance(error, OSError):
                raise ConnectError(f"the lock folder {self._folder} fails: {error}") from error
            raise
        return self.ib

    async def _reopen(self, timeout: Optional[float]) -> Any:
        if self not in _connections:
            raise RuntimeError(f"{self!r} is not open")
        if not self.ib.isConnected():
            began = time.monotonic()
            await self._establish(began, _deadline(began, timeout or self._timeout))
        return self.ib

    def _take_id(self) -> None:
        # An id that the gateway refused stays leased, so that no neighbour runs into it.
        self.client_id = _lease(self._folder, self._wanted, self)[0]

    async def _establish(self, began: float, deadline: float) -> None:
        """Attempts until there is a session, or until there is no time for one more."""
        for attempt in itertools.count(1):
            try:
                watch = await self._attempt(max(SHORTEST_ATTEMPT / 2, deadline - time.monotonic()))
                break
            except ConnectError as error:
                room = deadline - time.monotonic() - SHORTEST_ATTEMPT
                error.where, error.attempts, error.elapsed = f"{self._where}: ", attempt, time.monotonic() - began
                if not error.retry or room <= 0:
                    raise
                pause = min(room, _backoff(attempt))
                log.warning("%s; again in %.1f s", error, pause)
                if isinstance(error, ClientIdInUse) and self._wanted is None:
                    self._take_id()
            await asyncio.sleep(pause)
        self.server_version = watch.version
        self.timings = {"slot": self.timings["slot"], **watch.timings}
        log.info(
            "connected to %s, %s, as client %d, server version %s, accounts %s, attempts: %d; seconds: %s",
            *(self._where, self.profile.mode, self.client_id, watch.version, ", ".join(map(_mask, watch.accounts))),
            *(attempt, ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in self.timings.items())),
        )

    async def _attempt(self, seconds: float) -> _Watch:
        """One session within these seconds, or a ConnectError that says how far it came."""
        watch, began = _Watch(self.ib, self.profile, self._module.__name__), time.monotonic()
        handshake = min(seconds, self._attempt_timeout)
        arguments = {"clientId": self.client_id, "timeout": max(1.0, min(handshake, seconds / 3)), **self._options}
        with watch.hooked():
            opening = asyncio.ensure_future(self.ib.connectAsync(self.profile.host, self.profile.port, **arguments))
            try:
                await _first(opening, watch.ready, handshake)
                if watch.ready.is_set():
                    await _first(opening, watch.over, began + seconds - time.monotonic())
                problem = opening.exception() if opening.done() else asyncio.TimeoutError()
                if problem or watch.error:
                    raise watch.verdict(problem, time.monotonic() - began)
            except BaseException:
                await self._abandon(opening)
                raise
        watch.passed("synchronize", "done")
        if watch.notice:
            log.warning("%s: connected, and the gateway sent code %d meanwhile", self._where, watch.notice)
        return watch

    async def _abandon(self, opening: asyncio.Future[Any]) -> None:
        """Ends an attempt so that nothing of it reaches into the next."""
        transport = self.ib.client.conn.transport
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        with contextlib.suppress(Exception):
            self.ib.client.disconnect()
        if transport is not None:
            transport.abort()
        for _turn in range(10):
            if self.ib.client.conn.transport is not None:
                await asyncio.sleep(0)

    def _part(self) -> Optional[socket.socket]:
        """Says goodbye to the gateway; gives a handle on the socket, on which the gateway's goodbye will come."""
        handle, transport = None, self.ib.client.conn.transport if self.ib is not None else None
        if transport is not None:
            with contextlib.suppress(Exception):
                handle = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            try:
                self.ib.disconnect()
            except Exception as error:  # such as a loop that the script has closed
                log.debug("%s: disconnect: %r", self._where, error)
        log.info("disconnected from %s, client %d", self._where, self.client_id)
        return handle

    def _let_go(self) -> None:
        _connections.discard(self)
        _Lock.release_all(self)
        _give_signals_back()

    def _close_at_exit(self) -> None:
        try:
            handle = self._part()
            if handle:
                with handle, contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_WR)
                    handle.settimeout(FAREWELL)
                    while handle.recv(65536):
                        pass
        finally:
            self._let_go()


class Connection(_Base):
    """A session for blocking code; as a context manager, or by open() and close() in the same thread.

    profile: its name; see find_profile() for `live`. timeout: seconds for all of it: queue, attempts, pauses. wait:
    seconds of them to queue for the API slot; 0 fails at once. attempt_timeout: seconds for one handshake. readonly,
    account: the library's own options. client_id: only for a script that must find its earlier orders again; leased
    like any other. library: ib_insync or ib_async. profiles, locks: other paths than the host's.

    After it is open: `ib`, `client_id`, `server_version`, and `timings`, in seconds by stage.
    """

    _loop: asyncio.AbstractEventLoop
    _loop_is_ours = False

    def open(self) -> Any:
        """Gives the library's IB object, connected and synchronized; raises a ConnectError otherwise."""
        self._loop, made = _blocking_loop()
        self._loop_is_ours = made and threading.current_thread() is not threading.main_thread()
        try:
            self._begin()
            return self._run(self._open())
        except BaseException:
            self._drop_loop()
            raise

    def reopen(self, timeout: Optional[float] = None) -> Any:
        """The same IB object with a session again, if the gateway has ended it: same client id, same slot.

        Subscriptions are the script's to make anew.
        """
        return self._run(self._reopen(timeout))

    def close(self) -> None:
        """Disconnects and gives everything back; without effect on what is closed."""
        if self not in _connections:
            return
        try:
            handle = self._part()
            if handle and (self._loop.is_closed() or (self._loop.is_running() and not _nested(self._loop))):
                handle.close()
            elif handle:
                self._run(_farewell(handle))
        finally:
            self._let_go()
            self._drop_loop()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # a signal's exception came from outside of it
                task.cancel()
                self._loop.run_until_complete(asyncio.wait({task}))
            if not task.cancelled():
                task.exception()
            raise

    def _drop_loop(self) -> None:
        if self._loop_is_ours:
            self._loop_is_ours = False
            self._loop.close()
            asyncio.set_event_loop(None)

    def __enter__(self) -> Any:
        return self.open()

    def __exit__(self, *_error: object) -> None:
        self.close()


class AsyncConnection(_Base):
    """Connection for coroutines: `async with`, or await open(), reopen() and close()."""

    async def open(self) -> Any:
        """Gives the library's IB object, connected and synchronized; raises a ConnectError otherwise."""
        self._begin()
        return await self._open()

    async def reopen(self, timeout: Optional[float] = None) -> Any:
        """The same IB object with a session again; see Connection.reopen()."""
        return await self._reopen(timeout)

    async def close(self) -> None:
        """Disconnects and gives everything back; without effect on what is closed."""
        if self in _connections:
            try:
                handle = self._part()
                if handle:
                    await _farewell(handle)
            finally:
                self._let_go()

    async def __aenter__(self) -> Any:
        return await self.open()

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


connect = Connection
connect_async = AsyncConnection


def _deadline(began: float, timeout: float) -> float:
    """When to stop trying, so that the error comes within the timeout: a tenth of it, at most 1 s, is the way out's."""
    return began + timeout - min(1.0, 0.1 * timeout)


def _backoff(attempt: int) -> float:
    """The pause after this attempt, the first is 1: drawn from zero to a bound that doubles, so that scripts spread."""
    return random.uniform(0, min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** min(attempt - 1, 16)))  # noqa: S311 - no secret


async def _farewell(handle: socket.socket) -> None:
    """Waits a moment for the gateway to close its end: by then it has freed the slot."""

    async def drain() -> None:
        while await asyncio.get_running_loop().sock_recv(handle, 65536):
            pass

    with handle, contextlib.suppress(OSError, asyncio.TimeoutError):
        handle.setblocking(False)
        await asyncio.wait_for(drain(), FAREWELL)


# --- the ways out: signals, exit, fork -------------------------------------------------------------------------------

_connections: set[_Base] = set()
_ENDING = ("SIGTERM", "SIGHUP")


def _take_signals() -> None:
    """Has the signals that would end the process at once disconnect first.

    A handler of the script's own stays, and decides; SIGINT raises KeyboardInterrupt anyway. Main thread only.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in _ENDING if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def _give_signals_back() -> None:
    if not _connections and threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in _ENDING if hasattr(signal, name)):
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: Optional[FrameType]) -> None:
    # An exception instead would be lost in a script's bare `except:`, and in any destructor that it happens to hit.
    _close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@atexit.register
def _close_all() -> None:
    for connection in list(_connections):
        with contextlib.suppress(Exception):
            connection._close_at_exit()


def _forget_all() -> None:
    """In a forked child: sessions and locks are the parent's, and nothing the child does may end them."""
    if _connections:
        asyncio.set_event_loop(asyncio.new_event_loop())  # the inherited one shares its selector with the parent's
    for connection in _connections:
        if connection.ib is not None:
            connection.ib.client.connState, connection.ib.client.conn.transport = 0, None
    _connections.clear()
    _Lock.forget_all()
    _give_signals_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
