"""The folder on a host that holds the repair state, and the only way its files are read and written.

A folder or file that is a symlink, that another account owns or that others may write to is refused, because what
stands in it decides whether a gateway may be touched. Files are replaced whole (temporary file, fsync, rename, fsync of
the folder) or appended to with fsync. Whatever fails, the text says what, where and how to mend it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import time
from types import TracebackType
from typing import List, NoReturn, Optional, Type, Union

from ..base.plain_text import plain_text

#: What can be said of a host's repair state: there is none yet, it can be used, it cannot.
ABSENT, OK, UNUSABLE = "absent", "ok", "unusable"

SYSTEM_FOLDER = "/var/lib/ib-gateway-repair"
USER_FOLDER = ".local/state/ib-gateway-repair"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
#: To pass through a folder that may not be listed.
_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_REMEDY = {
    errno.ENOSPC: "free some space on its file system",
    errno.EDQUOT: "free some of the account's quota",
    errno.EROFS: "mount its file system writable, or give another state_dir",
    errno.EACCES: "run with become, or as the account that owns it",
    errno.EPERM: "run with become, or as the account that owns it",
}
#: How a person gets a host out of what a repair cannot mend itself, and the files that this mends.
RESET = (
    "nothing is done on this host until a person sets it aside: "
    "ansible-playbook playbooks/release.yml -e ib_repair_reset_journal=true"
)
RESETTABLE = ("journal.jsonl", "lease.json")


#: As many as the kernel follows.
_MOST_LINKS = 40


class JournalUnusable(Exception):
    """The repair state cannot be read or written, so nothing may be done. Says what, where and how to mend it."""


class Calls:
    """The system calls that change something. Tests put their own in place, to stop between any two of them."""

    open = staticmethod(os.open)
    mkdir = staticmethod(os.mkdir)
    write = staticmethod(os.write)
    ftruncate = staticmethod(os.ftruncate)
    fsync = staticmethod(os.fsync)
    rename = staticmethod(os.rename)
    unlink = staticmethod(os.unlink)


calls = Calls()


def default_folder() -> str:
    """Where the repair state is when nothing else is said. Raises JournalUnusable for an account without a home."""
    if os.geteuid() == 0:
        return SYSTEM_FOLDER
    import pwd  # not on every system this file can be imported on

    try:
        return posixpath.join(pwd.getpwuid(os.geteuid()).pw_dir, USER_FOLDER)
    except KeyError:
        raise JournalUnusable(
            "uid %d has no account on this host, so it has no folder for the journal; give state_dir" % os.geteuid()
        ) from None


def _failed(path: str, what: str, error: Exception) -> NoReturn:
    number = getattr(error, "errno", None) or 0
    said = getattr(error, "strerror", None) or "it is no path"
    remedy = _REMEDY.get(number, "mend this on the host, or give another state_dir")
    raise JournalUnusable("%s cannot be %s: %s; %s, then run again" % (plain_text(path), what, said, remedy)) from None


def _check(path: str, found: os.stat_result) -> None:
    """Raises JournalUnusable for what another account owns or may write to."""
    path = plain_text(path)
    if found.st_uid not in (0, os.geteuid()):
        raise JournalUnusable(
            "%s belongs to another account (uid %d), so it is not trusted; give it to the account that repairs "
            "(chown), or give another state_dir" % (path, found.st_uid)
        )
    if found.st_mode & 0o022:
        raise JournalUnusable(
            "%s may be written by other accounts, so it is not trusted; take that away (chmod go-w)" % path
        )


def _kind(mode: int) -> str:
    for test, name in ((stat.S_ISLNK, "a symlink"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO")):
        if test(mode):
            return name
    return "a file" if stat.S_ISREG(mode) else "a device or socket"


def _remedy(name: str) -> str:
    return RESET if name in RESETTABLE else "remove it, then run again"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[calls.write(descriptor, data) :]


class Folder:
    """The state folder, held open: what is done happens in this very folder, whatever becomes of its path."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: str, create: bool = False) -> Optional[Folder]:
        """The folder at an absolute path ('' for the default); None where there is none. Raises JournalUnusable."""
        path = posixpath.normpath(path or default_folder())
        if not path.startswith("/") or path.strip("/") == "":
            raise JournalUnusable("state_dir %s is not an absolute path of a folder of its own" % plain_text(path))
        try:
            descriptor = _walk(path, create)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                kind = _kind(os.lstat(path).st_mode)
                if kind != "a folder":
                    raise JournalUnusable(
                        "%s is %s, not a folder; remove it, or give another state_dir" % (plain_text(path), kind)
                    ) from None
            _failed(path, "made" if create else "opened", error)
        try:
            _check(path, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def close(self) -> None:
        """Lets go of the folder."""
        os.close(self._descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def where(self, name: str) -> str:
        """A file's path, fit to be shown."""
        return plain_text(posixpath.join(self.path, name))

    def exists(self, name: str) -> bool:
        """Whether something has that name, of whatever kind."""
        try:
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            _failed(self.where(name), "looked for", error)
        return True

    def _open(self, name: str, flags: int) -> int:
        """A regular file of ours. Raises FileNotFoundError or JournalUnusable."""
        try:
            descriptor = calls.open(name, flags, 0o600, dir_fd=self._descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            self._refuse_kind(name)
            _failed(self.where(name), "opened", error)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self._refuse_kind(name)
            _check(self.where(name), found)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse_kind(self, name: str) -> None:
        with contextlib.suppress(OSError):
            mode = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise JournalUnusable(
                    "%s is %s, not a regular file, so it is not trusted; %s"
                    % (self.where(name), _kind(mode), _remedy(name))
                )

    def read(self, name: str, most: int) -> Optional[bytes]:
        """A file's bytes; None where there is none. Raises JournalUnusable, also for more than `most` bytes."""
        try:
            descriptor = self._open(name, _READ)
        except FileNotFoundError:
            return None
        parts: List[bytes] = []
        left = most + 1
        try:
            while left > 0:
                part = os.read(descriptor, min(left, 1 << 18))
                if not part:
                    return b"".join(parts)
                parts.append(part)
                left -= len(part)
        except OSError as error:
            _failed(self.where(name), "read", error)
        finally:
            os.close(descriptor)
        raise JournalUnusable(
            "%s has more than %d bytes, so it is not ours; %s" % (self.where(name), most, _remedy(name))
        )

    def replace(self, name: str, data: bytes, mark: str = "") -> None:
        """Puts a whole file in place, on disk when it returns; before that the old one stands. Raises JournalUnusable.

        mark: makes the temporary file's name unique, for files that are written without the lock.
        """
        temporary = ".%s%s.new" % (name, mark)
        descriptor = -1
        try:
            with contextlib.suppress(FileNotFoundError):
                calls.unlink(temporary, dir_fd=self._descriptor)  # what a run that died has left
            descriptor = calls.open(temporary, _WRITE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._descriptor)
            os.fchmod(descriptor, 0o600)
            _write_all(descriptor, data)
            calls.fsync(descriptor)
            calls.rename(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            calls.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                calls.unlink(temporary, dir_fd=self._descriptor)
            _failed(self.where(name), "written", error)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def append(self, name: str, data: bytes, good: int, size: int) -> None:
        """Puts data after the first `good` of the file's `size` bytes, on disk when it returns. Raises JournalUnusable.

        The rest, a torn write of a run that died, is cut off. What fails leaves the file as it was, or torn.
        """
        try:
            descriptor = self._open(name, _WRITE | os.O_APPEND)
        except FileNotFoundError:
            raise JournalUnusable("%s has gone while it was in use; run again" % self.where(name)) from None
        try:
            if os.fstat(descriptor).st_size != size:
                raise JournalUnusable("%s was changed by another hand meanwhile; run again" % self.where(name))
            if size != good:
                calls.ftruncate(descriptor, good)
            try:
                _write_all(descriptor, data)
                calls.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    calls.ftruncate(descriptor, good)
                raise
        except OSError as error:
            _failed(self.where(name), "written", error)
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> bool:
        """Removes a file; whether there was one. Raises JournalUnusable."""
        try:
            calls.unlink(name, dir_fd=self._descriptor)
            calls.fsync(self._descriptor)
        except FileNotFoundError:
            return False
        except OSError as error:
            _failed(self.where(name), "removed", error)
        return True

    def rename(self, name: str, other: str) -> None:
        """Gives something, of whatever kind, another name. Raises JournalUnusable."""
        try:
            calls.rename(name, other, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            calls.fsync(self._descriptor)
        except OSError as error:
            _failed(self.where(name), "set aside", error)

    def lock(self, name: str, patience: float) -> Optional[int]:
        """A descriptor that holds the lock until it is closed; None when another has it for `patience` seconds more."""
        import fcntl  # not on every system this file can be imported on

        deadline = time.monotonic() + patience
        while True:
            try:
                descriptor = self._open(name, _WRITE | os.O_CREAT)
            except FileNotFoundError as error:
                _failed(self.path, "used", error)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine, there = os.fstat(descriptor), os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
                if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                    os.fchmod(descriptor, 0o600)
                    return descriptor
            except (BlockingIOError, FileNotFoundError):
                pass  # held by another, or removed by a person meanwhile
            except OSError as error:
                os.close(descriptor)
                _failed(self.where(name), "locked", error)
            os.close(descriptor)
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)


def _walk(path: str, create: bool) -> int:
    """A descriptor of a folder, reached name by name from the root, and never through what another account can swap.

    create: makes what is missing, each for its owner alone and on disk. Raises OSError, and JournalUnusable where an
    account that is neither root nor this one could put another folder in place.
    """
    names = path.strip("/").split("/")[::-1]
    here, at, links = os.open("/", _WAY), "/", 0
    try:
        while names:
            name = names.pop()
            _check_way(at, os.fstat(here))
            below = _enter(here, name, create, _WAY if names else _READ | os.O_DIRECTORY)
            if isinstance(below, int):
                os.close(here)
                here, at = below, posixpath.join(at, name)
                continue
            links += 1
            if not names or links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            names += [each for each in below.split("/")[::-1] if each not in ("", ".")]
            if below.startswith("/"):
                os.close(here)
                here, at = os.open("/", _WAY), "/"
    except BaseException:
        os.close(here)
        raise
    return here


def _enter(here: int, name: str, create: bool, flags: int) -> Union[int, str]:
    """A descriptor of the folder of that name, made where it is missing; where it is a link of ours, its target."""
    try:
        return os.open(name, flags, dir_fd=here)
    except FileNotFoundError:
        if not create:
            raise
    except OSError:
        found = os.stat(name, dir_fd=here, follow_symlinks=False)
        # Such as /var/lib on another disk. Nobody else could have replaced it, as _check_way has seen.
        if stat.S_ISLNK(found.st_mode) and found.st_uid in (0, os.geteuid()):
            return os.readlink(name, dir_fd=here)
        raise
    umask = os.umask(0o077)
    try:
        with contextlib.suppress(FileExistsError):
            calls.mkdir(name, 0o700, dir_fd=here)
    finally:
        os.umask(umask)
    above = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
    try:
        calls.fsync(above)
    finally:
        os.close(above)
    return os.open(name, flags, dir_fd=here)


def _check_way(at: str, found: os.stat_result) -> None:
    """Raises JournalUnusable for a folder on the way in which another account could put another one in place.

    In one like /tmp, which anybody may write to, nobody can replace what is root's or this account's. What another
    account has put there first is not ours, and is refused when it is entered.
    """
    mine = found.st_uid in (0, os.geteuid())
    # The group of an account other than root is mostly its own alone, and its folders are often writable for it.
    others = 0o022 if os.geteuid() == 0 else 0o002
    if not mine or (found.st_mode & others and not found.st_mode & stat.S_ISVTX):
        raise JournalUnusable(
            "%s, in which the state_dir lies, may be changed by other accounts, so it is not trusted; take that away "
            "(chown, chmod go-w), or give another state_dir" % plain_text(at)
        )
