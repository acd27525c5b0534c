"""A connection to an Interactive Brokers gateway that behaves: for ib_insync, ib_async and the official ibapi.

    import ib_connect

    with ib_connect.connect("live") as ib:
        print(ib.positions())

    async with ib_connect.connect_async("paper") as ib:
        await ib.qualifyContractsAsync(contract)

    with ib_connect.connect("paper", app=App()) as app:  # ibapi: App is the script's EClient
        app.reqCurrentTime()

    connection = ib_connect.connect("live")
    with connection as ib:
        ib.reqMktData(contract).updateEvent += trade
        connection.run()  # for as long as the script runs, whatever the gateway does

The name is a profile of /etc/ib-connect/profiles.json (environment: IB_CONNECT_PROFILES), which the role ib_client_kit
writes. Around the library's own object the kit takes a client id that no other process of the host holds, a place in
the queue for the gateway's API slot, retries with backoff within one deadline, and disconnects on every way out. What
goes wrong is a ConnectError that names stage and cause. It logs to the logger `ib_connect` and never prints.
"""

# Made by package/assemble.py from the modules in package/ib_connect: make changes there.

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import importlib
import inspect
import itertools
import json
import logging
import math
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
from abc import ABC, abstractmethod
from logging import INFO, WARNING
from types import FrameType, ModuleType
from typing import (
    Any,
    Callable,
    ClassVar,
    Coroutine,
    Iterator,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    TypeVar,
    Union,
)

__all__ = ["AsyncConnection", "ClientIdInUse", "ConnectError", "Connection", "Dropped", "Holder", "LibraryMissing"]
__all__ += ["LiveNotSaid", "LoopRunning", "Profile", "ProfileError", "Refused", "Silent", "SlotBusy", "Stalled"]
__all__ += ["WrongMode", "client_id", "connect", "connect_async", "find_profile", "load_library", "load_profiles"]


# --- common ----------------------------------------------------------------------------------------------------------
# What every part uses.

log = logging.getLogger("ib_connect")
PathName = Union[str, "os.PathLike[str]"]


# --- locks -----------------------------------------------------------------------------------------------------------
# Locks on files: who holds one is written in it, and the kernel frees it when its process dies.

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


# --- subscriptions ---------------------------------------------------------------------------------------------------
# What a script has subscribed: noted while it asks, so that it can be asked for again in the next session.

#: Requests whose answers go on until they are cancelled, and what cancels them. The names are the same in all
#: libraries; the first argument is the request's number.
NUMBERED = {
    "reqAccountSummary": "cancelAccountSummary",
    "reqAccountUpdatesMulti": "cancelAccountUpdatesMulti",
    "reqHistoricalData": "cancelHistoricalData",
    "reqMktData": "cancelMktData",
    "reqMktDepth": "cancelMktDepth",
    "reqPnL": "cancelPnL",
    "reqPnLSingle": "cancelPnLSingle",
    "reqPositionsMulti": "cancelPositionsMulti",
    "reqRealTimeBars": "cancelRealTimeBars",
    "reqScannerSubscription": "cancelScannerSubscription",
    "reqTickByTickData": "cancelTickByTickData",
    "subscribeToGroupEvents": "unsubscribeFromGroupEvents",
}
#: Those without a number, and what cancels them.
UNNUMBERED = {
    "reqAccountUpdates": None,
    "reqMarketDataType": None,
    "reqNewsBulletins": "cancelNewsBulletins",
    "reqPositions": "cancelPositions",
}
#: What the libraries on asyncio ask for in each connect by themselves.
SYNCHRONIZED = {"reqAccountUpdates", "reqAccountUpdatesMulti", "reqPositions"}


class Subscription:
    """One request that goes on; stale: it was made in a session that is over."""

    def __init__(self, name: str, number: Optional[int], arguments: dict[str, Any]) -> None:
        self.name, self.number, self.arguments, self.stale = name, number, arguments, False

    def same(self, other: Subscription) -> bool:
        """Whether both ask for the same, whatever their numbers."""
        return self.name == other.name and self.arguments == other.arguments


class Subscriptions:
    """The subscriptions of one client object, whose request methods it overlays.

    numbers_are_the_script_s: with ibapi, a script knows its answers by the numbers that it gave, so they stay. With
    the libraries on asyncio each session has numbers of its own.
    """

    def __init__(self, client: Any, numbers_are_the_script_s: bool) -> None:
        self.client, self.own_numbers = client, numbers_are_the_script_s
        self.connecting = False
        self.ordered = False  # an order was placed, under the client id of today
        self._kept: list[Subscription] = []
        self._changing = threading.Lock()  # with ibapi, the script's threads and the session's
        self._plain: dict[str, Callable[..., Any]] = {}
        for name in (*NUMBERED, *UNNUMBERED):
            self._overlay(name, self._asked)
        for name in filter(None, (*NUMBERED.values(), *UNNUMBERED.values())):
            self._overlay(name, self._cancelled)
        self._overlay("placeOrder", self._placed)

    def _overlay(self, name: str, note: Callable[[str, dict[str, Any]], None]) -> None:
        plain = getattr(self.client, name, None)
        if plain is None:
            return
        signature = inspect.signature(plain)

        @functools.wraps(plain)
        def overlaid(*given: Any, **named: Any) -> Any:
            result = plain(*given, **named)
            note(name, dict(signature.bind(*given, **named).arguments))
            return result

        self._plain[name] = plain
        setattr(self.client, name, overlaid)

    def _placed(self, _name: str, _arguments: dict[str, Any]) -> None:
        self.ordered = True

    def _asked(self, name: str, arguments: dict[str, Any]) -> None:
        if self.connecting and not self.own_numbers and name in SYNCHRONIZED:
            return
        if arguments.get("snapshot") or arguments.get("regulatorySnapshot"):
            return
        if name == "reqHistoricalData" and not arguments.get("keepUpToDate"):
            return
        number = arguments.pop(next(iter(arguments))) if name in NUMBERED else None
        new = Subscription(name, number, arguments)
        goes_on = [new] if name != "reqAccountUpdates" or arguments.get("subscribe") else []
        with self._changing:
            self._kept = [each for each in self._kept if not self._replaced(each, new)] + goes_on

    def _replaced(self, old: Subscription, new: Subscription) -> bool:
        """Whether the new request stands for the old one: what a script subscribes again itself, nobody else does."""
        if old.name != new.name:
            return False
        if new.number is None:
            return new.name != "reqAccountUpdates" or old.arguments.get("acctCode") == new.arguments.get("acctCode")
        return old.number == new.number if self.own_numbers else old.stale and old.same(new)

    def _cancelled(self, name: str, arguments: dict[str, Any]) -> None:
        number = next(iter(arguments.values()), None)
        requests = {request for request, cancel in {**NUMBERED, **UNNUMBERED}.items() if cancel == name}
        with self._changing:
            self._kept = [each for each in self._kept if each.name not in requests or each.number != number]

    def end_of_session(self) -> None:
        """That no answer to what was asked so far will come any more."""
        for each in self._kept:
            each.stale = True

    def stale(self) -> Iterator[Subscription]:
        """What is to be asked for again, settings first; each is current once it was taken and asked for."""
        for each in sorted(self._kept, key=lambda kept: kept.name != "reqMarketDataType"):
            if each.stale:
                yield each

    def ask(self, each: Subscription, number: Optional[int]) -> None:
        """Makes the request again, under this number."""
        values = list(each.arguments.values())
        self._plain[each.name](*([] if number is None else [number]), *values)
        each.number, each.stale = number, False

    def cancel(self, each: Subscription) -> None:
        """Cancels the request, and keeps it for later."""
        name = NUMBERED.get(each.name)
        if name and each.number is not None:
            depth = [each.arguments["isSmartDepth"]] if each.name == "reqMktDepth" else []
            self._plain[name](each.number, *depth)

    def forget_stale(self) -> None:
        """That nobody is to ask again for what has not been asked for again."""
        with self._changing:
            self._kept = [each for each in self._kept if not each.stale]

    def forget_all(self) -> None:
        """That the script has begun anew, with an id that has placed no order yet."""
        with self._changing:
            self._kept, self.ordered = [], False


# --- errors ----------------------------------------------------------------------------------------------------------
# What can go wrong: one exception for each cause, and the stage at which it showed.


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


# --- loops -----------------------------------------------------------------------------------------------------------
# The library that is installed, and the event loop of the thread: made only where there is none.

LIBRARIES = ("ib_insync", "ib_async")


def load_library(name: Optional[str] = None) -> ModuleType:
    """ib_insync or ib_async: the one named, else one that is imported already, else the one that is installed.

    Gives the thread an event loop first if it has none: from Python 3.14 on the libraries cannot be imported without.
    """
    prepare_loop()
    problems = []
    for each in [name] if name else sorted(LIBRARIES, key=lambda library: library not in sys.modules):
        try:
            module = importlib.import_module(each)
        except ImportError as error:
            problems.append(str(error))
        else:
            logging.getLogger(f"{each}.client").addFilter(not_misleading)
            return module
    raise LibraryMissing(f"{'; '.join(problems)}: pip install ib_async for {sys.executable}; for ibapi, give app")


def prepare_loop() -> tuple[asyncio.AbstractEventLoop, bool]:
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


def blocking_loop() -> tuple[asyncio.AbstractEventLoop, bool]:
    """prepare_loop() for calls that block: a running loop is refused, but a notebook's, which is made nestable once.

    nest_asyncio rewires asyncio for the whole process, so nothing else ever applies it.
    """
    loop, made = prepare_loop()
    if loop.is_running() and not nested(loop):
        if not in_notebook():
            raise LoopRunning("connect() blocks the running event loop; use: async with connect_async(...) as ib")
        importlib.import_module("nest_asyncio").apply(loop)
    return loop, made


def nested(loop: asyncio.AbstractEventLoop) -> bool:
    return hasattr(loop, "_nest_patched")


def in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def not_misleading(record: logging.LogRecord) -> bool:
    """Drops what the library says about an attempt that failed: the ConnectError says it, and says it right."""
    return not record.getMessage().startswith(
        ("API connection failed", "Make sure", "Peer closed connection. clientId")
    )


# --- profiles --------------------------------------------------------------------------------------------------------
# Profiles: the gateways of the host as scripts name them, and the rule that live must be said.

PROFILES_FILE, PROFILES_VARIABLE = "/etc/ib-connect/profiles.json", "IB_CONNECT_PROFILES"
#: Below the account's configuration folder, for who installs the package on a host without the role.
OWN_PROFILES_FILE = ("ib-connect", "profiles.json")


class Profile(NamedTuple):
    """One gateway as scripts see it; mode is live or paper."""

    name: str
    host: str
    port: int
    mode: str
    max_api_clients: int = 1


RANGES = {"port": (1, 65535), "max_api_clients": (1, 32)}


def load_profiles(path: Optional[PathName] = None) -> dict[str, Profile]:
    """The profiles of a file by name. path: where None, IB_CONNECT_PROFILES, the host's or the account's own."""
    return read_profiles(path)[0]


def find_profile(name: str, live: Optional[bool] = None, path: Optional[PathName] = None) -> Profile:
    """The profile of this name; for `live` and `paper` also the only one of that mode. Holds `live` against it.

    A live profile must be asked for as live: by a name with the word live in it (live, desk1-live), or by live=True.
    live=False refuses it whatever its name. A name or a `live` that contradicts the profile's mode is refused.
    """
    profiles, _locks, file = read_profiles(path)
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


def read_profiles(path: Optional[PathName]) -> tuple[dict[str, Profile], Optional[str], str]:
    """The profiles, the lock folder that the file names, and the file's path."""
    file = os.fspath(path or os.environ.get(PROFILES_VARIABLE) or _default_file())
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
    return {name: parse_profile(file, name, each) for name, each in raw["profiles"].items()}, locks, file


def _default_file() -> str:
    """The host's file; where there is none, the account's own, if that is there."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    own = os.path.join(configuration, *OWN_PROFILES_FILE)
    return own if not os.path.exists(PROFILES_FILE) and os.path.exists(own) else PROFILES_FILE


def parse_profile(file: str, name: str, raw: Any) -> Profile:
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
    for key, (low, high) in RANGES.items():
        if type(values[key]) is not int or not low <= values[key] <= high:
            raise ProfileError(f"{where}, key {key}: must be a whole number from {low} to {high}")
    return Profile(name, **values)


# --- leases ----------------------------------------------------------------------------------------------------------
# Client ids that no other process of the host holds, and the folder where that is agreed.

LOCK_FOLDER, LOCKS_VARIABLE = "/run/ib-connect", "IB_CONNECT_LOCKS"
#: Leased ids: none that scripts write down, that the clock's formula gives (100 to 10998) or that probes use.
FIRST_ID, LEASABLE_IDS = 20_000, 10_000


def lock_folder(given: Optional[PathName], from_file: Optional[str]) -> Optional[str]:
    """The folder for locks; None, with a warning, where there is none that can be used."""
    asked = given or os.environ.get(LOCKS_VARIABLE)
    first = os.fspath(asked or from_file or LOCK_FOLDER)
    if locks_work() and usable(first):
        return os.path.abspath(first)
    own = None if asked else own_folder()
    if own and usable(own):
        return own
    log.warning("no lock folder (%s): client ids come from the clock and may collide; nothing queues", first)
    return None


def usable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def own_folder() -> Optional[str]:
    """A folder of this account alone, for hosts without a shared one."""
    if not locks_work():
        return None
    folder = os.path.join(tempfile.gettempdir(), f"ib-connect-{os.getuid()}")
    with contextlib.suppress(OSError):
        os.mkdir(folder, 0o700)
    with contextlib.suppress(OSError):
        found = os.lstat(folder)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return folder
    return None


def client_id(locks: Optional[PathName] = None) -> int:
    """A client id that no other process of this host holds, until this one ends; never 0.

    For scripts that keep their own connect call. Where no lock folder can be used it comes from the clock.
    """
    from_file = None
    with contextlib.suppress(ProfileError):
        from_file = read_profiles(None)[1]
    return lease(lock_folder(locks, from_file))[0]


def lease(
    folder: Optional[str], wanted: Optional[int] = None, owner: Optional[object] = None
) -> tuple[int, Optional[Lock]]:
    """A client id and its lock; without a folder there is no lock."""
    if folder is None:
        return wanted or int(time.time() % 10000) + random.randint(100, 999), None  # noqa: S311 - no secret
    # From the pid on: a log's client id leads to its process, and an id just given back, which the gateway may still
    # remember, is not the next one's.
    offered = (FIRST_ID + (os.getpid() + turn) % LEASABLE_IDS for turn in range(LEASABLE_IDS))
    for number in [wanted] if wanted else offered:
        lock = Lock.take(os.path.join(folder, f"id-{number}"), owner)
        if lock:
            return number, lock
    holder = read_holder(os.path.join(folder, f"id-{wanted}"))
    raise ClientIdInUse(f"client id {wanted} is leased by {holder}" if wanted else "every id is leased", "lease")


# --- slots -----------------------------------------------------------------------------------------------------------
# The queue for the API slots of a gateway, in order of arrival.


class Queue:
    """Who waits for the slots of one gateway, in order of arrival, by ticket files."""

    _numbers = itertools.count()

    def __init__(self, folder: str, profile: Profile, owner: Optional[object] = None) -> None:
        local = profile.host.lower() in ("localhost", "::1")
        gateway = "%s-%d" % (re.sub(r"[^\w.]", "_", "127.0.0.1" if local else profile.host.lower()), profile.port)
        self._folder, self._owner = folder, owner
        self._slots = [os.path.join(folder, f"slot-{gateway}-{n}") for n in range(profile.max_api_clients)]
        self._tickets = f"queue-{gateway}-"

    async def slot(self, until: float) -> Lock:
        """A slot's lock, at the latest at `until` on the monotonic clock; SlotBusy names its holders after that."""
        if until <= time.monotonic():
            return self._free_slot() or self._busy()
        name = f"{self._tickets}{time.monotonic_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        ticket = Lock.take(os.path.join(self._folder, "." + name), self._owner)  # its name only once locked
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

    def _free_slot(self) -> Optional[Lock]:
        return next(filter(None, (Lock.take(path, self._owner) for path in self._slots)), None)

    def _ahead(self, name: str) -> int:
        """How many waited before; counted up to the number of slots, from the nearest. Clears what the dead left."""
        count = 0
        before = (each for each in os.listdir(self._folder) if each.startswith(self._tickets) and each < name)
        for each in sorted(before, reverse=True):
            path = os.path.join(self._folder, each)
            left = Lock.take(path, self._owner) if os.path.exists(path) else None
            if left:
                left.release()
            elif os.path.exists(path):
                count += 1
            if count >= len(self._slots):
                break
        return count

    def _holders(self) -> list[Holder]:
        return [holder for holder in map(read_holder, self._slots) if holder]

    def _busy(self) -> NoReturn:
        holders = tuple(self._holders())
        many = f"{len(self._slots)} API slot(s) taken by "
        raise SlotBusy(many + (", ".join(map(str, holders)) or "others who wait"), holders)


# --- watch -----------------------------------------------------------------------------------------------------------
# One attempt to connect, watched: which stage it reached, what ended it, and what that is called.

#: The first letter of an account number: the mode it belongs to. Others are not judged.
ACCOUNT_MODES = {"D": "paper", "U": "live", "F": "live", "I": "live"}
#: Codes without a request that mean nothing bad: data farms that are connected or idle.
HARMLESS = {*range(2104, 2109), 2158, 2159}
#: Codes that no gateway sends: what ibapi says itself about a connection that it could not make.
LIBRARY_S_OWN = range(501, 600)


def mask(account: str) -> str:
    """DU1234567 as DU*****67."""
    letters = len(account) - len(account.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return account[:letters] + "*" * max(0, len(account) - letters - 2) + account[letters:][-2:]


def wrong_mode(profile: Profile, accounts: Sequence[str]) -> Optional[WrongMode]:
    """The error for accounts of the other mode than the profile's."""
    modes = {ACCOUNT_MODES.get(each[:1]) for each in accounts}
    if not modes & ({"live", "paper"} - {profile.mode}):
        return None
    return WrongMode(f"the profile is {profile.mode}, the accounts are not: {', '.join(map(mask, accounts))}")


class Watch:
    """What is known of an attempt. Used in one event loop; `ready` is set with the accounts, `over` with an error."""

    def __init__(self, profile: Profile, library: str, client_id: int) -> None:
        self.profile, self.library, self.client_id = profile, library, client_id
        self.stage = "tcp"
        self.error: Optional[ConnectError] = None
        self.timings: dict[str, float] = {}
        self.version: Optional[int] = None
        self.accounts: list[str] = []
        self.ready, self.over = asyncio.Event(), asyncio.Event()
        self.notice, self._mark = 0, time.monotonic()

    def passed(self, stage: str, following: str) -> None:
        """That a stage is done, and which is next."""
        now = time.monotonic()
        self.timings[stage], self._mark, self.stage = now - self._mark, now, following

    def greeted(self, version: int) -> None:
        """That the server version came."""
        self.version = version
        self.passed("server_version", "start_api")

    def started(self, accounts: Sequence[str]) -> None:
        """That accounts and order id came."""
        self.accounts = list(accounts)
        self.passed("start_api", "synchronize")
        wrong = wrong_mode(self.profile, accounts)
        if wrong:
            self.fail(wrong)
        self.ready.set()

    def told(self, request: int, code: int) -> None:
        """That the gateway sent a code; request is -1 where it means the connection."""
        if code == 326:
            self.fail(ClientIdInUse(f"client id {self.client_id} is in use (error 326)"))
        elif request == -1 and code not in HARMLESS:
            self.notice = code

    def closed(self, message: str = "") -> None:
        """That the gateway closed the connection."""
        self.fail(self.hung_up(message))

    def hung_up(self, message: str = "") -> Dropped:
        """The error for a connection that the gateway closed."""
        came = f"after server version {self.version}" if self.version else "before a server version came"
        return Dropped(f"the gateway closed the connection {came}{message and f' ({message})'}", self.stage)

    def fail(self, error: ConnectError) -> None:
        """That the attempt is over; the first error counts."""
        if self.error is None:
            if self.notice:
                error.detail += f"; before that the gateway sent code {self.notice}"
            error.server_version, self.error = self.version, error
            self.ready.set()
            self.over.set()

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
            error = ConnectError(f"{self.library} failed: {problem!r}", self.stage)
            error.__cause__ = problem
            return error
        if self.version is None:
            return Silent(f"connected, but no server version came within {seconds:.1f} s")
        missing = (
            "nextValidId and managedAccounts" if self.stage == "start_api" else "the answers to the first requests"
        )
        return Stalled(f"server version {self.version} came, {missing} did not within {seconds:.1f} s", self.stage)


async def first(waited: asyncio.Future[Any], event: asyncio.Event, seconds: float) -> None:
    """Waits until the one is done or the other set, or the seconds are over."""
    setting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waited, setting}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()


# --- session ---------------------------------------------------------------------------------------------------------
# What a session can do, whichever library it is of, and how it is noticed that one has ended.

#: Seconds that a gateway may take to tell the time, before a session that has fallen silent is given up.
PATIENCE = 15.0
#: The gateway has its server again, and has forgotten what was subscribed.
DATA_LOST = 1101


class Session(ABC):
    """One library's client object: it connects, is watched, and gets its subscriptions back."""

    def __init__(self, client: Any, library: str, profile: Profile, subscriptions: Subscriptions) -> None:
        self.client, self.library, self.profile, self.subscriptions = client, library, profile, subscriptions
        self.kept = False  # by run() or sleep(): then lost data is asked for again too
        self.renewing = False  # the session that is being made is to get the subscriptions of the one before
        self.left = False  # the script has disconnected itself
        self.failure: Optional[BaseException] = None  # what a callback of the script raised, and so ended the session
        self.sessions = 0  # how many there have been
        self.gone = asyncio.Event()
        self._count, self._heard, self._asked = 0, time.monotonic(), False

    @abstractmethod
    async def attempt(self, client_id: int, seconds: float, handshake: float, options: dict[str, Any]) -> Watch:
        """One session within these seconds, `handshake` of them until it is ready; else a ConnectError."""

    @abstractmethod
    def connected(self) -> bool:
        """Whether there is a session."""

    @abstractmethod
    def received(self) -> int:
        """A number that grows with what the gateway says."""

    @abstractmethod
    def ask(self) -> None:
        """Asks the gateway for the time: the cheapest question."""

    @abstractmethod
    def renew(self) -> None:
        """Subscribes again what was subscribed before and the script has not subscribed again itself."""

    @abstractmethod
    async def drop(self) -> None:
        """Ends what is left of a session that answers nothing any more."""

    @abstractmethod
    def part(self) -> Optional[socket.socket]:
        """Says goodbye to the gateway; gives a handle on the socket, on which the gateway's goodbye will come."""

    @abstractmethod
    def forget(self) -> None:
        """In a forked child: nothing that it does may end its parent's session."""

    def start_anew(self) -> None:
        """Forgets what was subscribed before and is not subscribed now."""
        self.subscriptions.forget_stale()

    def begun(self) -> None:
        """That there is a session now."""
        self.left = False
        self.sessions += 1
        self.gone.clear()
        self._count, self._heard, self._asked = 0, time.monotonic(), False

    async def lost(self, heartbeat: float, seconds: Optional[float]) -> Optional[str]:
        """Waits for the end of the session, for so many seconds at most; gives why it has ended, None if it has not.

        heartbeat: seconds of silence after which the gateway is asked for the time; 0 never asks.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            await asyncio.sleep(0)
            if not self.connected():
                return "the session has ended"
            self.gone.clear()  # of a session before
            now = time.monotonic()
            if self.received() != self._count:
                self._count, self._heard, self._asked = self.received(), now, False
            due = self._heard + heartbeat if heartbeat else None
            if due is not None and now >= due:
                if self._asked:
                    return "the gateway answers nothing any more"
                self._ask_once(now + PATIENCE - heartbeat)
                continue
            waits = [each - now for each in (due, end) if each is not None]
            try:
                await asyncio.wait_for(self.gone.wait(), max(0.0, min(waits)) if waits else None)
            except asyncio.TimeoutError:
                if end is not None and time.monotonic() >= end:
                    return None

    def _ask_once(self, heard: float) -> None:
        self._asked, self._heard = True, heard
        with contextlib.suppress(ConnectionError):  # the next look finds that
            self.ask()


# --- exits -----------------------------------------------------------------------------------------------------------
# The ways out: signals, the end of the process, forks.

ENDING_SIGNALS = ("SIGTERM", "SIGHUP")


class Closing:
    """What the ways out need of a connection."""

    _session: Optional[Session] = None

    def _close_at_exit(self) -> None:
        raise NotImplementedError


#: The connections of this process that are open, or being opened.
open_connections: set[Closing] = set()


def take_signals() -> None:
    """Has the signals that would end the process at once disconnect first.

    A handler of the script's own stays, and decides; SIGINT raises KeyboardInterrupt anyway. Main thread only.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end_by_signal)


def give_signals_back() -> None:
    """Restores the signals' defaults when no connection is open any more."""
    if not open_connections and threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is end_by_signal:
                signal.signal(number, signal.SIG_DFL)


def end_by_signal(number: int, _frame: Optional[FrameType]) -> None:
    """Disconnects, and lets the signal do what it always does."""
    # An exception instead would be lost in a script's bare `except:`, and in any destructor that it happens to hit.
    close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@atexit.register
def close_all() -> None:
    """Closes what is open, whatever state the process is in."""
    for connection in list(open_connections):
        with contextlib.suppress(Exception):
            connection._close_at_exit()


def forget_all() -> None:
    """In a forked child: sessions and locks are the parent's, and nothing the child does may end them."""
    if open_connections:
        asyncio.set_event_loop(asyncio.new_event_loop())  # the inherited one shares its selector with the parent's
    for connection in open_connections:
        if connection._session is not None:
            connection._session.forget()
    open_connections.clear()
    Lock.forget_all()
    give_signals_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_all)


# --- on_asyncio ------------------------------------------------------------------------------------------------------
# Sessions of ib_insync and ib_async: the library connects, and what it sees is read along.

#: The libraries' tables from a request's number to what its answers go into, and the reverse.
FROM_NUMBER = ("reqId2Ticker", "reqId2Subscriber", "reqId2PnL", "reqId2PnlSingle", "_reqId2Contract")
TO_NUMBER = ("pnlKey2ReqId", "pnlSingleKey2ReqId")
TABLES = (*FROM_NUMBER, *TO_NUMBER, "tickers", "ticker2ReqId")


class AsyncioSession(Session):
    """A session of either library; `client` is its IB object. To be made inside the event loop that it will live in."""

    def __init__(self, module: ModuleType, profile: Profile) -> None:
        ib = module.IB()
        super().__init__(ib, module.__name__, profile, Subscriptions(ib.client, numbers_are_the_script_s=False))
        self._loop = asyncio.get_event_loop()
        self._tables: dict[str, Any] = {}
        self._ours = False  # this file is what disconnects
        self._disconnect, ib.client.disconnect = ib.client.disconnect, self._on_disconnect
        self._end_events, ib.wrapper.setEventsDone = ib.wrapper.setEventsDone, self._on_events_done
        ib.client.conn.disconnected += self._on_end
        ib.errorEvent += self._on_code

    # --- connecting ---

    async def attempt(self, client_id: int, seconds: float, handshake: float, options: dict[str, Any]) -> Watch:
        """See Session."""
        watch, began = WireWatch(self.client, self.profile, self.library, client_id), time.monotonic()
        handshake = min(seconds, handshake)
        arguments = {"clientId": client_id, "timeout": max(1.0, min(handshake, seconds / 3)), **options}
        self.subscriptions.connecting = True
        try:
            with watch.hooked():
                address = (self.profile.host, self.profile.port)
                opening = asyncio.ensure_future(self.client.connectAsync(*address, **arguments))
                try:
                    await first(opening, watch.ready, handshake)
                    if watch.ready.is_set():
                        await first(opening, watch.over, began + seconds - time.monotonic())
                    problem = opening.exception() if opening.done() else asyncio.TimeoutError()
                    if not problem and time.monotonic() - began > arguments["timeout"]:
                        problem = await self._no_answer(handshake)
                    if problem or watch.error:
                        raise watch.verdict(problem, time.monotonic() - began)
                except BaseException:
                    await self._abandon(opening)
                    raise
        finally:
            self.subscriptions.connecting = False
        watch.passed("synchronize", "done")
        self.begun()
        return watch

    async def _no_answer(self, seconds: float) -> Optional[BaseException]:
        """Asks for the time, where requests of the library may have timed out: ib_async only logs that they did."""
        try:
            await asyncio.wait_for(self.client.reqCurrentTimeAsync(), seconds)
        except (asyncio.TimeoutError, ConnectionError) as error:
            return error
        return None

    async def drop(self) -> None:
        """See Session."""
        self.subscriptions.end_of_session()
        if self.client.client.conn.transport is not None:
            await self._abandon(None)

    async def _abandon(self, opening: Optional[asyncio.Future[Any]]) -> None:
        """Ends an attempt or a session so that nothing of it reaches into the next."""
        transport = self.client.client.conn.transport
        self._ours = True
        try:
            if opening:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            with contextlib.suppress(Exception):
                self.client.client.disconnect()
            if transport is not None:
                transport.abort()
            for _turn in range(10):
                if self.client.client.conn.transport is not None:
                    await asyncio.sleep(0)
        finally:
            self._ours = False

    # --- while it stands ---

    def connected(self) -> bool:
        """See Session."""
        return bool(self.client.isConnected())

    def received(self) -> int:
        """See Session."""
        return int(self.client.client.connectionStats().numBytesRecv) if self.connected() else 0

    def ask(self) -> None:
        """See Session."""
        self.client.client.reqCurrentTime()

    def _on_disconnect(self) -> None:
        self.left = self.left or (not self._ours and self.client.client.isReady())
        self._disconnect()

    def _on_events_done(self) -> None:
        """The library ends every event with its session; those of what will be subscribed again are to go on."""
        wrapper = self.client.wrapper
        tickers, subscribers = wrapper.tickers, wrapper.reqId2Subscriber
        if self.kept and not self.left:
            wrapper.tickers, wrapper.reqId2Subscriber = {}, {}
        self._end_events()
        wrapper.tickers, wrapper.reqId2Subscriber = tickers, subscribers

    def _on_end(self, _message: str) -> None:
        self.gone.set()

    def _on_code(self, _request: int, code: int, *_more: Any) -> None:
        if code == DATA_LOST and self.kept and self.connected():
            # In the next turn of the loop: a script's own handler comes first, and what it subscribes counts.
            self.subscriptions.end_of_session()
            self._loop.call_soon(self._renew_lost_data)

    def _renew_lost_data(self) -> None:
        if self.connected():
            for each in self.subscriptions.stale():
                self.subscriptions.cancel(each)
            self.renew()

    # --- subscriptions ---

    def renew(self) -> None:
        """See Session. The objects that a script holds are those that are fed again."""
        again = list(self.subscriptions.stale())
        for each in again:
            number = None
            if each.number is not None:
                number = self.client.client.getReqId()
                self._move(each, number)
            self.subscriptions.ask(each, number)
        self.start_anew()
        log.info("subscriptions made again: %d", len(again))

    def start_anew(self) -> None:
        """See Session."""
        super().start_anew()
        # The library makes new tables when a session ends and leaves these as they were.
        self._tables = {name: getattr(self.client.wrapper, name) for name in TABLES}

    def _move(self, each: Subscription, number: int) -> None:
        """Has the answers to this number go to where the answers to the old one went."""
        wrapper, before, old = self.client.wrapper, self._tables, each.number
        for name in FROM_NUMBER:
            target = before[name].pop(old, None)
            if target is not None:
                getattr(wrapper, name)[number] = target
        for name in TO_NUMBER:
            for key in [key for key, held in before[name].items() if held == old]:
                getattr(wrapper, name)[key] = number
        ticker, live = wrapper.reqId2Ticker.get(number), wrapper.reqId2Subscriber.get(number)
        if ticker is not None:
            self._move_ticker(ticker, old, number)
        if hasattr(live, "reqId"):
            live.reqId = number
        if each.name == "reqHistoricalData" and live is not None:
            self._refill(live, number)

    def _move_ticker(self, ticker: Any, old: Optional[int], number: int) -> None:
        wrapper, before = self.client.wrapper, self._tables
        for key in [key for key, held in before["tickers"].items() if held is ticker]:
            wrapper.tickers[key] = ticker
        for kind, numbers in list(before["ticker2ReqId"].items()):
            if numbers.get(ticker) == old:
                wrapper.ticker2ReqId[kind][ticker] = number

    def _refill(self, bars: Any, number: int) -> None:
        """Has the bars replaced by those that the new request begins with: among them are the ones that were missed."""

        def take(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None and done.result():
                bars[:] = done.result()

        self.client.wrapper.startReq(number, bars.contract).add_done_callback(take)

    # --- its end ---

    def part(self) -> Optional[socket.socket]:
        """See Session."""
        self.kept = False
        for table in ("tickers", "reqId2Subscriber"):
            for each in self._tables.get(table, {}).values():
                each.updateEvent.set_done()  # nobody is to wait for more of it
        handle, transport = None, self.client.client.conn.transport
        if transport is not None:
            with contextlib.suppress(Exception):
                handle = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            try:
                self.client.disconnect()
            except Exception as error:  # such as a loop that the script has closed
                log.debug("disconnect: %r", error)
        return handle

    def forget(self) -> None:
        """See Session."""
        self.client.client.connState, self.client.client.conn.transport = 0, None


class WireWatch(Watch):
    """Reads along with the library while it connects."""

    def __init__(self, ib: Any, profile: Profile, library: str, client_id: int) -> None:
        super().__init__(profile, library, client_id)
        self._ib, self._head = ib, b""

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
        client.conn.disconnected += self.closed
        self._ib.errorEvent += self._on_error
        try:
            yield
        finally:
            self._ib.errorEvent -= self._on_error
            client.conn.disconnected -= self.closed
            client.conn.hasData -= self._on_data
            del client.conn.connectAsync, client.connectAsync

    def _on_data(self, data: bytes) -> None:
        if self.version is None:
            self._on_hello(data)
        client = self._ib.client
        if self.stage == "start_api" and client.isReady():
            self.started(client.getAccounts())

    def _on_hello(self, data: bytes) -> None:
        """The first frame: four bytes of length, then the server version and the connection time, NUL-terminated."""
        self._head += data[:1024]
        size = int.from_bytes(self._head[:4], "big")
        fields = self._head[4 : 4 + size].split(b"\0")
        if len(self._head) >= 4 and (size > 1000 or (len(self._head) >= 4 + size and not fields[0].isdigit())):
            self.fail(Dropped("the answer is not the API protocol"))
        elif 4 < 4 + size <= len(self._head):
            self.greeted(int(fields[0]))
            if not self._ib.client.isConnected():
                self.fail(Dropped(f"{self.library} does not take server version {self.version}", "start_api"))
                self.error.retry = False  # type: ignore[union-attr]

    def _on_error(self, request: int, code: int, *_more: Any) -> None:
        self.told(request, code)


# --- on_ibapi --------------------------------------------------------------------------------------------------------
# Sessions of the official ibapi: a script's EClient connects and is served in a thread of its own.

#: Seconds for a thread to end after its connection has.
THREAD_ENDS_WITHIN = 5.0
#: EClient's connState.
CONNECTING, CONNECTED = 1, 2
#: What EClient.reset() clears although the script has set it.
SETTINGS = ("connectOptions", "connectionOptions", "optCapab")


class IbapiSession(Session):
    """A session of an EClient; `client` is the script's object. To be made inside the event loop that waits for it.

    connect() of the library neither raises nor ends when the gateway is silent, and run() must go on for anything to
    arrive: both happen in one thread here. The script's callbacks run in that thread.
    """

    def __init__(self, app: Any, profile: Profile) -> None:
        super().__init__(app, "ibapi", profile, Subscriptions(app, numbers_are_the_script_s=True))
        app.ib_connect_session = self
        self._loop = asyncio.get_event_loop()
        self._watch: Optional[Watch] = None
        self._ended: Optional[asyncio.Future[Optional[BaseException]]] = None
        self._thread: Optional[threading.Thread] = None
        self._accounts: Optional[list[str]] = None
        self._order_id: Optional[int] = None
        self._next_valid_id: Callable[..., None] = app.wrapper.nextValidId
        self._messages, self._questions = 0, 0
        self._alive = asyncio.Event()  # it has told the time, so it answers
        self._begun = False  # nextValidId has been passed on, so the script takes this for its session
        self._deciding = threading.Lock()  # whether it is one: the waiting thread may be giving it up
        self._settings = {name: getattr(app, name) for name in SETTINGS if getattr(app, name, None)}
        self._overlay(app, "setConnState", self._on_state)
        self._overlay(app, "msgLoopRec", self._on_message)
        self._overlay(app, "disconnect", self._on_disconnect)
        self._overlay(app.wrapper, "managedAccounts", self._on_accounts)
        self._overlay(app.wrapper, "nextValidId", self._on_order_id)
        self._overlay(app.wrapper, "currentTime", self._on_time)
        self._overlay(app.wrapper, "error", self._on_error)
        self._overlay(app, "run", self._on_run)

    @staticmethod
    def is_on(app: Any) -> bool:
        """Whether the object has a session, of the kit or of the script's own making."""
        return bool(app.isConnected())

    @classmethod
    def of(cls, app: Any, profile: Profile) -> IbapiSession:
        """The session of this object: one that was closed is used again, since its methods are laid over already."""
        session = getattr(app, "ib_connect_session", None)
        if not isinstance(session, cls):
            return cls(app, profile)
        session.profile, session.gone, session._loop = profile, asyncio.Event(), asyncio.get_event_loop()
        session.kept, session.renewing = False, False
        session.subscriptions.forget_all()
        return session

    @staticmethod
    def _overlay(target: Any, name: str, instead: Callable[..., None]) -> None:
        plain = getattr(target, name)
        setattr(target, name, lambda *given, **named: instead(plain, *given, **named))

    # --- connecting ---

    async def attempt(self, client_id: int, seconds: float, handshake: float, options: dict[str, Any]) -> Watch:
        """See Session; there are no options."""
        del options  # the libraries on asyncio have some
        if self._ended is not None and not self._ended.done():
            error = ConnectError("a callback of the script has not returned from the session before", "setup")
            error.retry = True
            raise error
        watch, began = Watch(self.profile, self.library, client_id), time.monotonic()
        ended: asyncio.Future[Optional[BaseException]] = self._loop.create_future()
        self._watch, self._ended, self._accounts, self._order_id, self.failure = watch, ended, None, None, None
        self._questions, self._alive, self._begun = 0, asyncio.Event(), False
        for name, value in self._settings.items():
            setattr(self.client, name, value)
        # Its threads are daemons like itself: ibapi's reader would otherwise keep a script from ending.
        self._thread = threading.Thread(target=self._live, args=(client_id, ended), name="ib_connect", daemon=True)
        self._thread.start()
        try:
            ends = began + min(seconds, handshake)
            await first(ended, watch.ready, ends - time.monotonic())
            if watch.ready.is_set() and not watch.error:
                await first(ended, self._alive, ends - time.monotonic())
            if not self._decide():
                raise self._verdict(watch, time.monotonic() - began)
        except BaseException:
            self._decide()
            await self.drop()
            raise
        watch.passed("synchronize", "done")
        self.begun()
        return watch

    def _decide(self) -> bool:
        """Whether the script has its session; from here on it cannot get this one any more."""
        with self._deciding:
            self._watch = None
            return self._begun

    def _verdict(self, watch: Watch, seconds: float) -> ConnectError:
        ended = self._ended
        problem = ended.result() if ended is not None and ended.done() else None
        if problem is not None and watch.stage == "server_version":
            watch.fail(Dropped("the answer is not the API protocol"))
        elif problem is None and ended is not None and ended.done():
            watch.fail(Refused("no connection") if watch.stage == "tcp" else watch.hung_up())
        return watch.verdict(problem, seconds)

    def _live(self, client_id: int, ended: asyncio.Future[Optional[BaseException]]) -> None:
        """The thread: from connect() to the end of the session."""
        problem: Optional[BaseException] = None
        try:
            self.client.connect(self.profile.host, self.profile.port, client_id)
            if self.client.isConnected():
                self.client.run()
        except Exception as error:
            problem = self.failure = error
            with contextlib.suppress(Exception):
                self.client.disconnect()  # which the library leaves out
            if self._accounts is not None:
                log.exception("a callback of the script failed, which has ended its session")
        finally:
            self._tell(self._on_thread_end, ended, problem)

    def _on_thread_end(self, ended: asyncio.Future[Optional[BaseException]], problem: Optional[BaseException]) -> None:
        if not ended.done():
            ended.set_result(problem)
        if ended is self._ended:
            self.gone.set()

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Has it done in the loop's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what, *arguments)

    async def drop(self) -> None:
        """See Session."""
        self.subscriptions.end_of_session()
        ended = self._ended
        if ended is None or ended.done():
            return
        connection = self.client.conn
        if connection is not None and connection.socket is not None:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(asyncio.TimeoutError):  # a callback that goes on; the next attempt finds that
            await asyncio.wait_for(asyncio.shield(ended), THREAD_ENDS_WITHIN)

    # --- what the thread sees ---

    def _on_state(self, plain: Callable[[int], None], state: int) -> None:
        plain(state)
        watch, connection = self._watch, self.client.conn
        if watch is None or connection is None or connection.socket is None:
            return
        if state == CONNECTING:
            with contextlib.suppress(OSError):
                peer, own = connection.socket.getpeername(), connection.socket.getsockname()
                if peer == own:
                    self._tell(watch.fail, Refused("no listener; TCP connected to itself"))
                self._tell(watch.passed, "tcp", "server_version")
        elif state == CONNECTED:
            self._tell(watch.greeted, self.client.serverVersion())

    def _on_accounts(self, plain: Callable[[str], None], accountsList: str) -> None:
        self._accounts, watch = [each for each in accountsList.split(",") if each], self._watch
        if not self._begun and wrong_mode(self.profile, self._accounts):
            if watch is not None:
                self._tell(watch.started, self._accounts)
            return
        plain(accountsList)
        if self._order_id is not None and watch is not None:
            self._started(watch)

    def _on_order_id(self, plain: Callable[[int], None], orderId: int) -> None:
        if self._begun:
            plain(orderId)
            return
        self._order_id, self._next_valid_id, watch = orderId, plain, self._watch
        if watch is not None and self._accounts is not None and not wrong_mode(self.profile, self._accounts):
            self._started(watch)

    def _started(self, watch: Watch) -> None:
        self._tell(watch.started, self._accounts)
        self.ask()

    def _on_time(self, plain: Callable[[int], None], time: int) -> None:
        if not self._questions:
            plain(time)
            return
        self._questions -= 1  # the kit's own: the script has not asked
        # Scripts begin to trade in nextValidId, so it waits until here: the accounts are of the right mode, and the
        # gateway answers.
        with self._deciding:
            if self._watch is None or self._order_id is None:
                return
            order_id, self._order_id, self._begun = self._order_id, None, True
        self._tell(self._alive.set)
        self._next_valid_id(order_id)
        # Only now, since what the script has subscribed itself is not to be subscribed a second time.
        if self.renewing:
            self._subscribe_again()

    def _on_error(self, plain: Callable[..., None], *given: Any, **named: Any) -> None:
        # (request, code, text, ...) or, since version 10.33, (request, time, code, text, ...)
        numbers = [each for each in given[:3] if isinstance(each, int)]
        if len(numbers) > 1:
            request, code = numbers[0], numbers[-1]
            if self._watch is not None:
                if request == -1 and code in LIBRARY_S_OWN:
                    return  # its words about an attempt are a guess; the ConnectError has the evidence
                self._tell(self._watch.told, request, code)
            elif code == DATA_LOST and self.kept:
                self.subscriptions.end_of_session()
        plain(*given, **named)
        if len(numbers) > 1 and numbers[-1] == DATA_LOST and self.kept and self._watch is None:
            for each in self.subscriptions.stale():
                self.subscriptions.cancel(each)
            self._subscribe_again()

    def _on_message(self, plain: Callable[[], None]) -> None:
        self._messages += 1
        plain()

    def _on_run(self, plain: Callable[[], None]) -> None:
        if threading.current_thread() is self._thread or not self.connected():
            plain()
        elif self._thread is not None:
            self._thread.join()  # a script that calls run() as it used to: the messages are handled already

    def _on_disconnect(self, plain: Callable[[], None]) -> None:
        # The library calls it too, when its run() ends; that is no word of the script's.
        caller = sys._getframe(2).f_globals.get("__name__")
        open_still = self.client.conn is not None and self.client.conn.isConnected()
        self.left = self.left or (open_still and caller not in ("ibapi.client", __name__))
        plain()

    # --- while it stands ---

    def connected(self) -> bool:
        """See Session."""
        return bool(self.client.isConnected())

    def received(self) -> int:
        """See Session."""
        return self._messages

    def ask(self) -> None:
        """See Session."""
        self._questions += 1
        # The library's own, whatever the script has made of it.
        sys.modules["ibapi.client"].EClient.reqCurrentTime(self.client)

    def renew(self) -> None:
        """See Session. The session's thread does it, as soon as the script's nextValidId has returned."""

    def _subscribe_again(self) -> None:
        """The numbers that the script gave stay."""
        again = list(self.subscriptions.stale())
        for each in again:
            self.subscriptions.ask(each, each.number)
        log.info("subscriptions made again: %d", len(again))

    # --- its end ---

    def part(self) -> Optional[socket.socket]:
        """See Session. May be called by a signal's handler, in the middle of anything that the library does."""
        handle, connection = None, self.client.conn
        if connection is not None and connection.socket is not None:
            with contextlib.suppress(OSError):
                handle = socket.socket(fileno=os.dup(connection.socket.fileno()))
                handle.shutdown(socket.SHUT_WR)
            if not connection.lock.locked():  # else this thread may be the one that holds it
                self.client.disconnect()
        return handle

    def forget(self) -> None:
        """See Session."""
        self.client.connState, self.client.conn = 0, None


# --- base ------------------------------------------------------------------------------------------------------------
# What every connection does: an id, a slot, attempts within one deadline, a session that is kept, a way out.

#: Seconds: the longest pause before the second attempt, and before any; each is drawn between zero and its longest.
BACKOFF_FIRST, BACKOFF_LONGEST = 0.5, 15.0
#: Seconds: an attempt with less time than this would prove nothing.
SHORTEST_ATTEMPT = 0.5
#: Seconds that a gateway may take to close its end after ours, before the slot goes to the next script.
FAREWELL = 0.25


class Base(Closing):
    """What both kinds of connection share."""

    def __init__(
        self,
        profile: str,
        *,
        live: Optional[bool] = None,
        app: Any = None,
        readonly: bool = False,
        timeout: float = 60.0,
        wait: Optional[float] = None,
        attempt_timeout: float = 10.0,
        outage: Optional[float] = None,
        heartbeat: float = 60.0,
        client_id: Optional[int] = None,
        account: str = "",
        library: Optional[str] = None,
        profiles: Optional[PathName] = None,
        locks: Optional[PathName] = None,
    ) -> None:
        if client_id is not None and not 0 < client_id < 2**31:
            raise ValueError(f"client_id {client_id}: give 1 to 2147483647, or none; 0 takes over orders made by hand")
        if not (timeout > 0 and attempt_timeout > 0):
            raise ValueError("timeout and attempt_timeout are seconds above 0")
        if heartbeat < 0 or (outage is not None and outage <= 0):
            raise ValueError("heartbeat is seconds, or 0 for none; outage is seconds above 0, or None for any")
        if library not in (None, *LIBRARIES):
            raise ValueError(
                f"library {library!r}: give ib_insync or ib_async; for ibapi, give app: the EClient object"
            )
        if app is not None and (isinstance(app, type) or getattr(app, "wrapper", None) is None):
            raise ValueError("app: give an object, not a class, whose __init__ calls EClient.__init__(self, self)")
        if app is not None and (readonly or account or library):
            raise ValueError("readonly, account and library are for ib_insync and ib_async: leave them out beside app")
        self.profile = find_profile(profile, live, profiles)
        self.ib: Any = None
        self.client_id = 0
        self.server_version: Optional[int] = None
        self.timings: dict[str, float] = {}
        self._timeout, self._wait, self._attempt_timeout = timeout, wait, attempt_timeout
        self._outage, self._heartbeat = outage, heartbeat
        self._wanted, self._library, self._app = client_id, library, app
        self._options = {"readonly": readonly, "account": account}
        self._locks, self._profiles = locks, profiles

    def __repr__(self) -> str:
        state = f"client {self.client_id}" if self in open_connections else "closed"
        return f"<{type(self).__name__} {self._where} {state}>"

    @property
    def _where(self) -> str:
        return f"{self.profile.name} ({self.profile.host} port {self.profile.port})"

    # --- opening ---

    def _begin(self) -> None:
        """What comes before the clock starts."""
        if self in open_connections:
            raise RuntimeError(f"{self!r} is open")
        if self._app is not None and IbapiSession.is_on(self._app):
            raise RuntimeError("the app is connected already: give each connection an EClient object of its own")
        self._module = None if self._app is not None else load_library(self._library)
        self._folder = lock_folder(self._locks, read_profiles(self._profiles)[1])
        open_connections.add(self)
        take_signals()

    async def _open(self) -> Any:
        began = time.monotonic()
        deadline = deadline_of(began, self._timeout)
        try:
            self._take_id()
            if self._folder:
                until = deadline if self._wait is None else min(deadline, began + self._wait)
                await Queue(self._folder, self.profile, self).slot(until)
            self.timings = {"slot": time.monotonic() - began}
            self._connecting = asyncio.Lock()
            session = self._session = self._new_session()
            self.ib = session.client
            await self._establish(session, began, deadline)
            session.start_anew()
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

    def _new_session(self) -> Session:
        if self._module is not None:
            return AsyncioSession(self._module, self.profile)
        return IbapiSession.of(self._app, self.profile)

    def _take_id(self) -> None:
        # An id that the gateway refused stays leased, so that no neighbour runs into it.
        self.client_id = lease(self._folder, self._wanted, self)[0]

    async def _establish(self, session: Session, began: float, deadline: float) -> None:
        """Attempts until there is a session, or until there is no time for one more."""
        for attempt in itertools.count(1):
            try:
                watch = await self._attempt(session, max(SHORTEST_ATTEMPT / 2, deadline - time.monotonic()))
                break
            except ConnectError as error:
                room = deadline - time.monotonic() - SHORTEST_ATTEMPT
                error.where, error.attempts, error.elapsed = f"{self._where}: ", attempt, time.monotonic() - began
                if not error.retry or room <= 0:
                    raise
                pause = min(room, backoff(attempt))
                # A weekend has thousands of attempts: after the first ten only each power of two is worth a warning.
                loud = attempt <= 10 or not attempt & (attempt - 1)
                log.log(WARNING if loud else INFO, "%s; again in %.1f s", error, pause)
                if isinstance(error, ClientIdInUse) and self._wanted is None:
                    self._take_other_id(session)
            await asyncio.sleep(pause)
        self.server_version = watch.version
        self.timings = {"slot": self.timings["slot"], **watch.timings}
        log.info(
            "connected to %s, %s, as client %d, server version %s, accounts %s, attempts: %d; seconds: %s",
            *(self._where, self.profile.mode, self.client_id, watch.version, ", ".join(map(mask, watch.accounts))),
            *(attempt, ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in self.timings.items())),
        )

    def _take_other_id(self, session: Session) -> None:
        # An order belongs to the id that placed it: under another one the script could not cancel it any more.
        if not session.subscriptions.ordered:
            self._take_id()

    async def _attempt(self, session: Session, seconds: float) -> Watch:
        watch = await session.attempt(self.client_id, seconds, self._attempt_timeout, self._options)
        if watch.notice:
            log.warning("%s: connected, and the gateway sent code %d meanwhile", self._where, watch.notice)
        return watch

    # --- while it is open ---

    async def _reopen(self, timeout: Optional[float]) -> Any:
        session = self._must_be_open()
        async with self._connecting:
            if not session.connected():
                began = time.monotonic()
                await self._connect_again(session, began, deadline_of(began, timeout or self._timeout), renewing=False)
                session.start_anew()
        return self.ib

    async def _stay(self, seconds: Optional[float] = None) -> None:
        """For so many seconds, or until the script disconnects: each session that ends is followed by another."""
        session = self._must_be_open()
        session.kept = True
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left, sessions = None if end is None else max(0.0, end - time.monotonic()), session.sessions
            why = await session.lost(self._heartbeat, left)
            if why is None:
                return
            if session.left:
                await asyncio.sleep(left or 0.0)
                return
            async with self._connecting:
                if session.sessions == sessions:  # else another task of the script has done it meanwhile
                    log.warning("%s: %s; connects again", self._where, why)
                    began = time.monotonic()
                    ends = math.inf if self._outage is None else began + self._outage
                    await self._connect_again(session, began, ends, renewing=True)
                    session.renew()

    async def _connect_again(self, session: Session, began: float, deadline: float, renewing: bool) -> None:
        await session.drop()
        if session.failure is not None:
            raise session.failure
        session.renewing = renewing
        await self._establish(session, began, deadline)

    def _must_be_open(self) -> Session:
        if self not in open_connections or self._session is None:
            raise RuntimeError(f"{self!r} is not open")
        return self._session

    # --- closing ---

    def _part(self) -> Optional[socket.socket]:
        handle = self._session.part() if self._session is not None else None
        log.info("disconnected from %s, client %d", self._where, self.client_id)
        return handle

    def _let_go(self) -> None:
        open_connections.discard(self)
        Lock.release_all(self)
        give_signals_back()

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


def deadline_of(began: float, timeout: float) -> float:
    """When to stop trying, so that the error comes within the timeout: a tenth of it, at most 1 s, is the way out's."""
    return began + timeout - min(1.0, 0.1 * timeout)


def backoff(attempt: int) -> float:
    """The pause after this attempt, the first is 1: drawn from zero to a bound that doubles, so that scripts spread."""
    return random.uniform(0, min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** min(attempt - 1, 16)))  # noqa: S311 - no secret


async def farewell(handle: socket.socket) -> None:
    """Waits a moment for the gateway to close its end: by then it has freed the slot."""

    async def drain() -> None:
        while await asyncio.get_running_loop().sock_recv(handle, 65536):
            pass

    with handle, contextlib.suppress(OSError, asyncio.TimeoutError):
        handle.setblocking(False)
        await asyncio.wait_for(drain(), FAREWELL)


# --- connections -----------------------------------------------------------------------------------------------------
# The two kinds of connection: for blocking code and for coroutines.

T = TypeVar("T")


class Connection(Base):
    """A session for blocking code; as a context manager, or by open() and close() in the same thread.

    profile: its name; see find_profile() for `live`. app: with the official ibapi, the script's EClient; without, the
    session is one of ib_insync or ib_async. timeout: seconds for all of it: queue, attempts, pauses. wait: seconds of
    them to queue for the API slot; 0 fails at once. attempt_timeout: seconds for one handshake. outage: seconds that
    the gateway may be away in run() and sleep(); None for as long as it takes. heartbeat: seconds of silence after
    which they ask the gateway for the time; 0 never. readonly, account: the library's own options. client_id: only for
    a script that must find its earlier orders again; leased like any other. library: ib_insync or ib_async. profiles,
    locks: other paths than the host's.

    After it is open: `ib`, `client_id`, `server_version`, and `timings`, in seconds by stage.
    """

    _loop: asyncio.AbstractEventLoop
    _loop_is_ours = False

    def open(self) -> Any:
        """Gives the library's IB object, or the app, connected and synchronized; raises a ConnectError otherwise."""
        self._loop, made = blocking_loop()
        self._loop_is_ours = made and threading.current_thread() is not threading.main_thread()
        try:
            self._begin()
            return self._run(self._open())
        except BaseException:
            self._drop_loop()
            raise

    def run(self) -> None:
        """Keeps the session until the script disconnects or is ended; what was subscribed is subscribed again.

        Raises a ConnectError when the gateway is away for longer than `outage`, or has another login.
        """
        self._run(self._stay())

    def sleep(self, seconds: float) -> None:
        """Like ib.sleep(), and like run() meanwhile: it takes longer when the gateway is away."""
        self._run(self._stay(seconds))

    def reopen(self, timeout: Optional[float] = None) -> Any:
        """The same IB object with a session again, if the gateway has ended it: same client id, same slot.

        Subscriptions are the script's to make anew; run() and sleep() make them again themselves.
        """
        return self._run(self._reopen(timeout))

    def close(self) -> None:
        """Disconnects and gives everything back; without effect on what is closed."""
        if self not in open_connections:
            return
        try:
            handle = self._part()
            if handle and (self._loop.is_closed() or (self._loop.is_running() and not nested(self._loop))):
                handle.close()
            elif handle:
                self._run(farewell(handle))
        finally:
            self._let_go()
            self._drop_loop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
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


class AsyncConnection(Base):
    """Connection for coroutines: `async with`, or await open(), run(), sleep(), reopen() and close()."""

    async def open(self) -> Any:
        """Gives the library's IB object, or the app, connected and synchronized; raises a ConnectError otherwise."""
        self._begin()
        return await self._open()

    async def run(self) -> None:
        """Keeps the session until the script disconnects or this is cancelled; see Connection.run()."""
        await self._stay()

    async def sleep(self, seconds: float) -> None:
        """Like asyncio.sleep(), and like run() meanwhile; see Connection.sleep()."""
        await self._stay(seconds)

    async def reopen(self, timeout: Optional[float] = None) -> Any:
        """The same IB object with a session again; see Connection.reopen()."""
        return await self._reopen(timeout)

    async def close(self) -> None:
        """Disconnects and gives everything back; without effect on what is closed."""
        if self in open_connections:
            try:
                handle = self._part()
                if handle:
                    await farewell(handle)
            finally:
                self._let_go()

    async def __aenter__(self) -> Any:
        return await self.open()

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


connect = Connection
connect_async = AsyncConnection
