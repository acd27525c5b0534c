"""The account that a gateway runs as: who it is, what this run may do in its name, what it may open and run."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Callable, Dict, FrozenSet, Iterator, NamedTuple, Optional, Sequence

#: For an account's programs; what a login shell would add to it is not known.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: An account of which systemd keeps a file here has its own systemd without any login.
_LINGER = "/var/lib/systemd/linger"
#: The extended attribute in which Linux keeps an access control list.
_ACL = "system.posix_acl_access"
#: Has libnss_systemd leave out the accounts of DynamicUser=, for which it asks pid 1 and waits up to 45 s each time.
_WITHOUT_DYNAMIC = "SYSTEMD_NSS_DYNAMIC_BYPASS"


class Account(NamedTuple):
    """One account of this host. groups: all that it is a member of."""

    name: str
    uid: int
    gid: int
    groups: FrozenSet[int]
    home: str
    shell: str

    @property
    def runtime_dir(self) -> str:
        """Where its systemd and its session keep their sockets."""
        return "/run/user/%d" % self.uid

    def environment(self) -> Dict[str, str]:
        """A login's environment and nothing of this run's."""
        found = {
            "HOME": self.home,
            "USER": self.name,
            "LOGNAME": self.name,
            "SHELL": self.shell or "/bin/sh",
            "PATH": PATH,
            "LANG": "C.UTF-8",
        }
        if os.path.isdir(self.runtime_dir):
            found["XDG_RUNTIME_DIR"] = self.runtime_dir
        return found


def lingers(account: Account) -> bool:
    """Whether its own systemd outlives its last login."""
    return os.path.exists(os.path.join(_LINGER, account.name))


def account_of(user: Optional[str]) -> Optional[Account]:
    """The account of this name, without one that of this run; None where this host does not have it."""
    import pwd

    try:
        found = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError:
        return None
    try:
        with _without_dynamic_accounts():
            groups = frozenset(os.getgrouplist(found.pw_name, found.pw_gid))
    except OSError:
        groups = frozenset((found.pw_gid,))
    return Account(found.pw_name, found.pw_uid, found.pw_gid, groups, found.pw_dir, found.pw_shell)


@contextlib.contextmanager
def _without_dynamic_accounts() -> Iterator[None]:
    """Nobody is a member of such an account's group, and a pid 1 that hangs must not hold up a look."""
    before = os.environ.get(_WITHOUT_DYNAMIC)
    os.environ[_WITHOUT_DYNAMIC] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WITHOUT_DYNAMIC]
        else:
            os.environ[_WITHOUT_DYNAMIC] = before


def with_groups(account: Account, names: Sequence[str]) -> Account:
    """The account with these groups as well, by name or number. One that this host does not have is none."""
    found = {_number_of(name) for name in names} - {None}
    return account._replace(groups=account.groups.union(each for each in found if each is not None))


def is_group(name: str) -> bool:
    """Whether this host has the group, by name or number."""
    return _number_of(name) is not None


def _number_of(group: str) -> Optional[int]:
    import grp

    if group.isdecimal():
        return int(group)
    try:
        with _without_dynamic_accounts():
            return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def may_become(account: Account) -> bool:
    """Whether this run may start something as the account."""
    return os.geteuid() in (0, account.uid)


def account_by(uid: int) -> Optional[Account]:
    """The account with this number, where this run may ask its systemd; None else."""
    import pwd

    try:
        found = account_of(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return None
    return found if found is not None and may_become(found) else None


def become(account: Account) -> Optional[Callable[[], None]]:
    """What a new process does first to become the account; None where it is it already."""
    if os.geteuid() == account.uid:
        return None

    def change() -> None:
        os.initgroups(account.name, account.gid)
        os.setgid(account.gid)
        os.setuid(account.uid)

    return change


def cannot_enter(path: str, account: Account) -> Optional[str]:
    """Why the account cannot work in a folder, as the end of a sentence about it; None where it can."""
    obstacle = _cannot_reach(path, account)
    if obstacle:
        return obstacle
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        return "is not a folder"
    return None if _allows(path, found, account, 1) else "is closed to account %s" % account.name


def cannot_run(path: str, account: Account) -> Optional[str]:
    """Why the account cannot run a program, as the end of a sentence about it; None where it can."""
    obstacle = _cannot_reach(path, account)
    if obstacle:
        return obstacle
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        return "is not a program but %s" % ("a folder" if stat.S_ISDIR(found.st_mode) else "something else")
    if not found.st_mode & 0o111 or not _allows(path, found, account, 1):
        return "may not be executed by account %s: its mode is %s" % (account.name, stat.filemode(found.st_mode))
    if os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 8):
        return "lies on a filesystem that is mounted noexec"
    return None


def cannot_read(path: str, account: Account) -> Optional[str]:
    """Why the account cannot read a file, as the end of a sentence about it; None where it can."""
    obstacle = _cannot_reach(path, account)
    if obstacle:
        return obstacle
    return None if _allows(path, os.stat(path), account, 4) else "may not be read by account %s" % account.name


def _cannot_reach(path: str, account: Account) -> Optional[str]:
    """Whether a path leads somewhere, and whether each folder on the way lets the account through."""
    try:
        real = os.path.realpath(path)
        if not os.path.lexists(real):
            return "does not exist"
        folder = os.path.dirname(real)
        while True:
            if not _allows(folder, os.stat(folder), account, 1):
                return "lies in %s, which is closed to account %s" % (folder, account.name)
            if folder == "/":
                return None
            folder = os.path.dirname(folder)
    except OSError as error:
        return "cannot be looked at: %s" % error.strerror


def _allows(path: str, found: os.stat_result, account: Account, wanted: int) -> bool:
    """Whether the mode gives the account what it wants (4 read, 2 write, 1 execute or enter).

    An access control list may give more than the mode shows, so a file that has one is taken to allow it.
    """
    if account.uid == 0:
        return True
    if found.st_uid == account.uid:
        given = found.st_mode >> 6
    elif found.st_gid == account.gid or found.st_gid in account.groups:
        given = found.st_mode >> 3
    else:
        given = found.st_mode
    return bool(given & wanted) or _has_acl(path)


def _has_acl(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _ACL))
    except (OSError, AttributeError):
        return False
