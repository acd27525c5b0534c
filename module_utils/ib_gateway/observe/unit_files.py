"""Which systemd units of a host start a gateway, by their files: also where none of them runs, or systemd gave up.

The files are read, because systemd can tell a unit's command line only one by one. Units of accounts are read of this
run's own account and, as root, of those whose systemd runs without a login. A unit that runs a shell's script is known
by that script's text; where the text may not be read or does not tell, and the names are a gateway's, the unit is in
doubt.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import stat
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..base.classify import gateway_kind, mode_word
from ..base.command_line import is_shell, run_of
from ..base.launchers import LAUNCHER, Launcher, is_ibc_script, launcher_of, runs_unknown, started_by
from ..base.proposal import UnitFile
from ..base.redaction import redact_argv
from ..base.spec import SYSTEM_SCOPE, USER_SCOPE
from ..base.words import program_name

#: Where administrators and packages put units, the first one wins as it does for systemd.
_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_OF_ACCOUNT = ".config/systemd/user"
_OF_ACCOUNTS = "/etc/systemd/user"
_LINGER = "/var/lib/systemd/linger"
_MOST_BYTES = 1 << 16
_MOST_SCRIPT = 1 << 14
_MOST_UNITS = 2000
_SETTING = re.compile(r"^\s*(User|ExecStart|WorkingDirectory)\s*=\s*(.*?)\s*$")
#: What only tells systemd how to run a command.
_EXEC_PREFIX = "@-:+!|"
#: A unit without one of these starts no gateway itself; a script that it runs may.
_MARKS = re.compile(r"(?i)gateway|tws|ibc|install4j|GWClient|LoginFrame|\bibg")
#: A unit or script of such a name is about a gateway, whatever it does there.
_ABOUT_GATEWAY = re.compile(r"(?i)ib[-_]?gate?way|(?<![a-z])(?:ib[-_]?gw?|ibc|tws)(?![a-z])")
_SCRIPT_FOR_SHELL = re.compile(r"^#!\s*\S*/(?:env\s+(?:-S\s+)?)?(\S+)")
#: Programs of the system itself, which start a gateway only where their arguments say so.
_OF_SYSTEM = re.compile(r"^/(?:usr/)?(?:s?bin|lib(?:exec)?)/")
#: The text of a script as its unit's account would run it, by its path and that account; None where it is not read.
ReadScript = Callable[[str, str], Optional[str]]


class _Place(NamedTuple):
    """Folders with units of one systemd. account: whose it is; None for the system's."""

    folders: Tuple[str, ...]
    account: Optional[str] = None


class _Told(NamedTuple):
    """What a shell's text starts; else in doubt, why it is not known whether it starts a gateway, empty where not."""

    starts: Sequence[Launcher]
    doubt: str


def unit_files() -> Tuple[UnitFile, ...]:
    """Every unit whose command line starts a gateway; what may not be read is left out."""
    found: List[UnitFile] = []
    for place in _places():
        wanted = _wanted(place.folders)
        for name, path in list(_files(place.folders, wanted).items())[:_MOST_UNITS]:
            unit = parse(name, _text(path), place.account, name in wanted, _script)
            if unit is not None:
                found.append(unit)
    return tuple(sorted(found))


def parse(
    name: str, text: str, account: Optional[str], wanted: bool = False, read: ReadScript = lambda _path, _account: None
) -> Optional[UnitFile]:
    """The unit that a file of this name describes; None where it starts no gateway. Pure but for `read`.

    account: whose systemd it is of; None for the system's, where the file says as whom it runs.
    """
    values: Dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        match = _SETTING.match(line)
        if match and (match.group(2) or match.group(1) != "ExecStart"):
            values.setdefault(match.group(1), _filled(match.group(2), name))
    runs_as = account or values.get("User") or "root"
    argv = _argv(values.get("ExecStart", ""))
    unit = UnitFile(name, SYSTEM_SCOPE if account is None else USER_SCOPE, runs_as, wanted=wanted)
    if not (_MARKS.search(text) or _MARKS.search(name) or _script_path(argv)):
        return None
    kind = gateway_kind(argv)
    if kind is not None:
        return _with(unit, argv, [Launcher(LAUNCHER, "java", kind.product, kind.trading_mode, kind.config_dir)])
    launcher = launcher_of(argv)
    named = [launcher] if launcher is not None and launcher.kind == LAUNCHER and not is_shell(launcher.name) else []
    if named and _inline(argv) is None and (named[0].again is not None or is_ibc_script(named[0].name)):
        return _with(unit, argv, named)
    told = _by_text(argv, runs_as, read)
    starts = named if told is None else told.starts
    if starts:
        return _with(unit, argv, starts)
    about = told is not None and told.doubt and _ABOUT_GATEWAY.search(" ".join((name, _script_path(argv) or "")))
    return unit._replace(doubt=told.doubt) if told is not None and about else None


def _with(unit: UnitFile, argv: Sequence[str], starts: Sequence[Launcher]) -> UnitFile:
    """The unit with what all that it starts have in common; of a live and a paper gateway that is no mode."""
    words = {mode for mode in map(mode_word, argv) if mode}
    modes = {each.trading_mode for each in starts}
    folders = {each.config_dir for each in starts if each.config_dir and each.config_dir.startswith("/")}
    products = {each.product for each in starts}
    mode = next(iter(modes)) if len(modes) == 1 else None
    return unit._replace(
        product=next(iter(products)) if len(products) == 1 else None,
        trading_mode=mode or (next(iter(words)) if len(words) == 1 and len(modes) == 1 else None),
        config_dir=next(iter(folders)) if len(folders) == 1 else None,
    )


def _inline(argv: Sequence[str]) -> Optional[str]:
    """The text that a shell is given with -c; None without one."""
    run = run_of(argv)
    words = argv[run.program :] if run.program is not None else ()
    if run.script is not None or not is_shell(program_name(words)):
        return None
    mark = next((place for place, word in enumerate(words) if re.match(r"^-[a-z]*c[a-z]*$", word)), None)
    return "".join(words[mark + 1 : mark + 2]) if mark is not None else None


def _script_path(argv: Sequence[str]) -> Optional[str]:
    """The path of the script that a shell runs, or of a program that may be one; None for what is neither."""
    run = run_of(argv)
    if run.program is None:
        return None
    if run.script is not None:
        return argv[run.script] if is_shell(program_name(argv[run.program :])) else None
    program = argv[run.program]
    return program if program.startswith("/") and not _OF_SYSTEM.match(program) else None


def _by_text(argv: Sequence[str], account: str, read: ReadScript) -> Optional[_Told]:
    """What a shell's text tells; None where the unit runs none."""
    inline = _inline(argv)
    if inline is not None:
        return _told("its shell command", inline)
    path = _script_path(argv)
    if path is None:
        return None
    shown = redact_argv([path])[0]
    text = read(path, account) if path.startswith("/") else None
    if text is None:
        return _Told((), "%s could not be read" % shown)
    first = _SCRIPT_FOR_SHELL.match(text)
    by_shell = run_of(argv).script is not None or (first is not None and is_shell(program_name([first.group(1)])))
    return _told(shown, text) if by_shell else None


def _told(what: str, text: str) -> _Told:
    return _Told(started_by(text), "%s runs programs whose names tell nothing" % what if runs_unknown(text) else "")


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
        descriptor = _opened(path)
    except OSError:  # also what is masked
        return ""
    try:
        return os.read(descriptor, _MOST_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _script(path: str, account: str) -> Optional[str]:
    """The text of a small regular file that this account or root owns; a program's that is no text is empty."""
    try:
        descriptor = _opened(path)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, pwd.getpwnam(account).pw_uid):
            return None
        raw = os.read(descriptor, _MOST_SCRIPT)
        return "" if b"\0" in raw else raw.decode("utf-8", "backslashreplace")
    except (OSError, KeyError):
        return None
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
