"""What a gateway's installation says beyond its command line: where it is, and what its files hold. Pure.

A native gateway's argv may hold `${installer:jtsConfigDir}`; the value is in `.install4j/response.varfile` of the
installation. Under IBC the mode, the kind of login and the command server's port may be in its ini file alone.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .classify import mode_word
from .java_line import is_placeholder, java_line

#: Below the folder that installation_folder() finds.
RESPONSE_FILE = ".install4j/response.varfile"
#: Longer files are not what they should be.
_MOST_TEXT = 1 << 16
_MAC_APP = re.compile(r"^(.*)/[^/]+\.app/Contents/")
_ABSOLUTE = re.compile(r"^(?:/|~/|[A-Za-z]:[\\/])")
_JAR = re.compile(
    r"^(.*)[\\/](?:\.install4j[\\/]i4jruntime\.jar|jars[\\/](?:\*|(?:jts4launch|twslaunch|total)-.*\.jar))$"
)
_SPLASH = re.compile(r"^-splash:(.*)[\\/]\.install4j[\\/][^\\/]+$")
#: Properties that name the installation's folder, and those that name a file in it.
_FOLDERS, _FILES = ("installDir",), ("exe4j.moduleName", "vmOptionsPath")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def installation_folder(argv: Sequence[str], exe: Optional[str] = None, cwd: Optional[str] = None) -> Optional[str]:
    """The folder in which a gateway process is installed; None where its command line does not say.

    exe: what /proc/PID/exe points to; cwd: its working directory, for a class path that is relative. The result is
    absolute (or begins with ~ as written), without a trailing slash. Nothing is looked up: it may not be there.
    """
    for path in _said(argv, exe):
        if path and not is_placeholder(path):
            if _ABSOLUTE.match(path):
                return _normal(path)
            if cwd and cwd.startswith("/"):
                return posixpath.normpath(posixpath.join(cwd, path))
    return None


def _said(argv: Sequence[str], exe: Optional[str]) -> Iterator[str]:
    """Every folder that is named, the surest first."""
    line = java_line(argv, exe)
    if line is None:
        for path in (argv[0] if argv else "", exe or ""):
            app = _MAC_APP.match(path)
            if app:
                yield app.group(1)
            elif path.lower().endswith(".exe"):
                yield ntpath.dirname(path)
        return
    for name in _FOLDERS:
        yield line.property(name) or ""
    for name in _FILES:
        yield _parent(line.property(name) or "")
    for found in map(_SPLASH.match, line.options):
        yield found.group(1) if found else ""
    for element in line.class_path():
        found = _JAR.match(element)
        yield found.group(1) if found else ""


def _parent(path: str) -> str:
    return ntpath.dirname(path) if "\\" in path else posixpath.dirname(path)


def _normal(path: str) -> str:
    return ntpath.normpath(path) if "\\" in path else posixpath.normpath(path)


class IbcSettings(NamedTuple):
    """What IBC's ini file says about the gateway it starts; None where it says nothing. It may hold passwords too.

    fix: whether it logs in to FIX, with or without the API. api_login: whether it names a user for the API.
    command_port: where its command server listens, None while that is off. auto_restart_time: what IBC sets the daily
    restart to at each start. api_port: on which port IBC has the gateway serve the API.
    """

    trading_mode: Optional[str] = None
    config_dir: Optional[str] = None
    fix: Optional[bool] = None
    api_login: Optional[bool] = None
    command_port: Optional[int] = None
    auto_restart_time: Optional[str] = None
    api_port: Optional[int] = None


def parse_ibc_ini(text: str) -> IbcSettings:
    """The settings in the text of IBC's config.ini. Of a name that is given twice the last counts, as in Java."""
    values = {name.lower(): value.strip() for name, value in parse_properties(text).items()}
    fix, user = values.get("fix", "").lower(), values.get("ibloginid")
    return IbcSettings(
        trading_mode=mode_word(values.get("tradingmode", "")),
        config_dir=values.get("ibdir") or None,
        fix={"yes": True, "true": True, "no": False, "false": False}.get(fix),
        api_login=bool(user) if user is not None else None,
        command_port=_port(values.get("commandserverport", "")),
        auto_restart_time=values.get("autorestarttime") or None,
        api_port=_port(values.get("overridetwsapiport", "")),
    )


def _port(value: str) -> Optional[int]:
    return int(value) if re.match(r"^\d{1,5}$", value) and 0 < int(value) < 65536 else None


def config_dir_in(text: str) -> Optional[str]:
    """The settings folder in the text of a response.varfile; None where it does not say."""
    value = parse_response_varfile(text).get("jtsConfigDir", "").strip()
    return value if value and not is_placeholder(value) else None


def parse_response_varfile(text: str) -> Dict[str, str]:
    """Name and value of each variable in the text of install4j's response.varfile; names lose their type ($Integer)."""
    return {name.partition("$")[0]: value for name, value in parse_properties(text).items()}


def parse_properties(text: str) -> Dict[str, str]:
    """Name and value of each line of a Java properties text: comments, continued lines and escapes as Java has them.

    Nothing in it is an error: what has no value has an empty one. Of a name that is given twice the last counts.
    """
    found: Dict[str, str] = {}
    for line in _logical_lines(text[:_MOST_TEXT]):
        name, end = _until(line, 0, "=: \t\f")
        while end < len(line) and line[end] in " \t\f":
            end += 1
        if end < len(line) and line[end] in "=:":
            end += 1
        while end < len(line) and line[end] in " \t\f":
            end += 1
        found[name] = _until(line, end, "")[0]
    return found


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without their comments, joined where one ends in an odd number of backslashes."""
    parts: List[str] = []
    for line in re.split("\r\n|\r|\n", text):
        line = line.lstrip(" \t\f")
        if not parts and (not line or line[0] in "#!"):
            continue
        continued = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        parts.append(line[:-1] if continued else line)
        if not continued:
            yield "".join(parts)
            parts = []
    if parts:
        yield "".join(parts)


def _until(line: str, start: int, ends: str) -> Tuple[str, int]:
    """(text from start to the first of these signs that is not escaped, with escapes resolved; where that is)."""
    found: List[str] = []
    at = start
    while at < len(line) and line[at] not in ends:
        if line[at] != "\\":
            found.append(line[at])
            at += 1
            continue
        sign = line[at + 1 : at + 2]
        digits = line[at + 2 : at + 6]
        if sign == "u" and re.match("^[0-9A-Fa-f]{4}$", digits):
            found.append(chr(int(digits, 16)))
            at += 6
        else:
            found.append(_ESCAPED.get(sign, sign))
            at += 2
    return "".join(found).encode("utf-8", "backslashreplace").decode("utf-8"), at
