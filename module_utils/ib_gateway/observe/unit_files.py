"""Which systemd units of a host start a gateway, by their files: also where none of them runs, or systemd gave up.

The files are read, because systemd can tell a unit's command line only one by one. Units of accounts are read of this
run's own account and, as root, of those whose systemd runs without a login.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..base.classify import gateway_kind, mode_word
from ..base.command_line import is_shell
from ..base.launchers import launcher_of
from ..base.proposal import UnitFile
from ..base.spec import SYSTEM_SCOPE, USER_SCOPE

#: Where administrators and packages put units, the first one wins as it does for systemd.
_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_OF_ACCOUNT = ".config/systemd/user"
_OF_ACCOUNTS = "/etc/systemd/user"
_LINGER = "/var/lib/systemd/linger"
_MOST_BYTES = 1 << 16
_MOST_UNITS = 2000
_SETTING = re.compile(r"^\s*(User|ExecStart|WorkingDirectory)\s*=\s*(.*?)\s*$")
#: What only tells systemd how to run a command.
_EXEC_PREFIX = "@-:+!|"
#: A file without one of these starts no gateway, and is not taken apart.
_MARKS = re.compile(r"(?i)gateway|tws|ibc|install4j|GWClient|LoginFrame")


class _Place(NamedTuple):
    """Folders with units of one systemd. account: whose it is; None for the system's."""

    folders: Tuple[str, ...]
    account: Optional[str] = None


def unit_files() -> Tuple[UnitFile, ...]:
    """Every unit whose command line starts a gateway; what may not be read is left out."""
    found: List[UnitFile] = []
    for place in _places():
        wanted = _wanted(place.folders)
        for name, path in list(_files(place.folders, wanted).items())[:_MOST_UNITS]:
            unit = parse(name, _text(path), place.account, name in wanted)
            if unit is not None:
                found.append(unit)
    return tuple(sorted(found))


def parse(name: str, text: str, account: Optional[str], wanted: bool = False) -> Optional[UnitFile]:
    """The unit that a file of this name describes; None where it starts no gateway. Pure.

    account: whose systemd it is of; None for the system's, where the file says as whom it runs.
    """
    if not _MARKS.search(text) and not _MARKS.search(name):
        return None
    values: Dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        match = _SETTING.match(line)
        if match and (match.group(2) or match.group(1) != "ExecStart"):
            values.setdefault(match.group(1), _filled(match.group(2), name))
    argv = _argv(values.get("ExecStart", ""))
    kind, launcher = gateway_kind(argv), launcher_of(argv) if argv else None
    if kind is None and (launcher is None or launcher.kind != "launcher" or is_shell(launcher.name)):
        return None
    words = [mode for mode in map(mode_word, argv) if mode]
    folder = kind.config_dir if kind else launcher.config_dir if launcher else None
    return UnitFile(
        name=name,
        scope=SYSTEM_SCOPE if account is None else USER_SCOPE,
        account=account or values.get("User") or "root",
        product=kind.product if kind else launcher.product if launcher else None,
        trading_mode=(kind.trading_mode if kind else launcher.trading_mode if launcher else None)
        or (words[0] if len(set(words)) == 1 else None),
        config_dir=folder if folder and folder.startswith("/") else None,
        wanted=wanted,
    )


def _filled(value: str, name: str) -> str:
    """A value with the instance of its unit in it: of ibgateway@live.service that is live."""
    instance = name.rpartition(".")[0].partition("@")[2]
    return value.replace("%i", instance).replace("%I", instance) if "@" in name else value


def _argv(command: str) -> Sequence[str]:
    try:
        return shlex.split(command.lstrip(_EXEC_PREFIX))
    except ValueError:
        return ()


def _places() -> Iterator[_Place]:
    yield _Place(_FOLDERS)
    for name in _accounts():
        try:
            home = pwd.getpwnam(name).pw_dir
        except KeyError:
            continue
        yield _Place((os.path.join(home, _OF_ACCOUNT), _OF_ACCOUNTS), name)


def _accounts() -> List[str]:
    try:
        lingering = set(os.listdir(_LINGER)) if os.geteuid() == 0 else set()
    except OSError:
        lingering = set()
    try:
        own = {pwd.getpwuid(os.geteuid()).pw_name}
    except KeyError:
        own = set()
    return sorted(lingering | own)


def _wanted(folders: Sequence[str]) -> Dict[str, str]:
    """By name, the units that systemd starts with one of its targets, and where the link to each is."""
    found: Dict[str, str] = {}
    for folder in folders:
        for inner in _names(folder):
            if inner.endswith((".wants", ".requires")):
                for name in _names(os.path.join(folder, inner)):
                    found.setdefault(name, os.path.join(folder, inner, name))
    return found


def _files(folders: Sequence[str], wanted: Dict[str, str]) -> Dict[str, str]:
    """By name, the file of each service; instances of a template only where systemd starts them."""
    found: Dict[str, str] = {}
    for folder in folders:
        for name in _names(folder):
            if name.endswith(".service") and not name.endswith("@.service"):
                found.setdefault(name, os.path.join(folder, name))
    for name, path in wanted.items():
        if name.endswith(".service"):
            found.setdefault(name, path)
    return found


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # also what is masked
        return ""
    try:
        return os.read(descriptor, _MOST_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
