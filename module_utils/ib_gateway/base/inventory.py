"""Turns `ib_gateways` entries of an inventory into GatewaySpecs, or into problems a person can mend. Pure.

One parser for the preflight on the controller and for every module on a host, so that both accept the same.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .spec import GATEWAY_PORTS, TRADING_MODES, GatewaySpec

REMEDIATIONS = ("auto", "plan_only")

#: The argument spec of one entry, for modules that take entries: types, defaults, choices.
ENTRY_OPTIONS: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "trading_mode": {"type": "str", "required": True, "choices": list(TRADING_MODES)},
    "port": {"type": "int"},
    "user": {"type": "str"},
    "config_dir": {"type": "str"},
    "service": {"type": "str"},
    "start_command": {"type": "list", "elements": "str"},
    "start_timeout": {"type": "int", "default": 120},
    "max_api_clients": {"type": "int", "default": 1},
    "client_patterns": {"type": "list", "elements": "str", "default": []},
    "protected_clients": {"type": "list", "elements": "str", "default": []},
    "remediation": {"type": "str", "default": "auto", "choices": list(REMEDIATIONS)},
    "allow_kill": {"type": "bool", "default": False},
    "allow_restart_with_clients": {"type": "bool", "default": False},
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: What a template or -e makes of true and false.
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
#: What no pattern may be found in: it would name every process, or every script of a language.
_TOO_WIDE = ("", "\x01", "init", "bash", "python3", "/usr/bin/python3")


class _Reader:
    """Reads one entry key by key; what is wrong is collected with the place where it stands."""

    def __init__(self, where: str, raw: Mapping[str, Any]) -> None:
        self._where = where
        self._raw = raw
        self.problems: List[str] = []

    def _problem(self, key: str, text: str) -> None:
        self.problems.append("%s, key %s: %s" % (self._where, key, text))

    def _get(self, key: str) -> Any:
        value = self._raw.get(key)
        return ENTRY_OPTIONS[key].get("default") if value is None else value

    def text(self, key: str) -> Optional[str]:
        value = self._get(key)
        if value is None:
            if ENTRY_OPTIONS[key].get("required"):
                self._problem(key, "is missing; every entry needs it")
            return None
        if not isinstance(value, str) or not value:
            self._problem(key, "%r is not a text; give a non-empty string" % (value,))
            return None
        choices = ENTRY_OPTIONS[key].get("choices")
        if choices and value not in choices:
            self._problem(key, "%r is not known; use %s" % (value, " or ".join(choices)))
            return None
        return str(value)

    def number(self, key: str, low: int, high: int) -> Optional[int]:
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)  # what a template or -e made of a number
        if isinstance(value, bool) or not isinstance(value, int):
            self._problem(key, "%r is not a whole number" % (value,))
            return None
        if not low <= value <= high:
            self._problem(key, "%d is out of range; use %d to %d" % (value, low, high))
            return None
        return int(value)

    def flag(self, key: str) -> bool:
        value = self._get(key)
        if isinstance(value, str):
            value = _FLAGS.get(value.lower(), value)
        if not isinstance(value, bool):
            self._problem(key, "%r is neither true nor false" % (value,))
            return False
        return value

    def texts(self, key: str) -> Tuple[str, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            self._problem(key, "is not a list; give a list of strings")
            return ()
        if not all(isinstance(item, str) and item for item in value):
            self._problem(key, "holds something that is not a non-empty string")
            return ()
        return tuple(str(item) for item in value)

    def patterns(self, key: str) -> Tuple[str, ...]:
        found = []
        for pattern in self.texts(key):
            try:
                compiled = re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                self._problem(key, "%r is not a regular expression: %s" % (pattern[:100], error))
                continue
            wide = next((text for text in _TOO_WIDE if compiled.search(text)), None)
            if wide is not None and key == "client_patterns":
                self._problem(key, "%r would match every %s; name the script" % (pattern, _scope(wide)))
                continue
            found.append(pattern)
        return tuple(found)

    def unknown(self) -> None:
        for key in self._raw:
            if key not in ENTRY_OPTIONS:
                self._problem(str(key), "is not known; known are %s" % ", ".join(sorted(ENTRY_OPTIONS)))


def _parse_entry(where: str, raw: Mapping[str, Any]) -> Tuple[Optional[GatewaySpec], List[str]]:
    reader = _Reader(where, raw)
    reader.unknown()
    name, mode = reader.text("name"), reader.text("trading_mode")
    if name is not None and not _NAME.fullmatch(name):
        reader.problems.append("%s, key name: %r; use letters, digits, dots, dashes and underscores" % (where, name))
    port = reader.number("port", 1, 65535)
    config_dir = reader.text("config_dir")
    if config_dir is not None and not config_dir.startswith("/"):
        reader.problems.append("%s, key config_dir: %r is not an absolute path" % (where, config_dir))
    fields: Dict[str, Any] = {
        "user": reader.text("user"),
        "config_dir": config_dir,
        "service": reader.text("service"),
        "start_command": reader.texts("start_command"),
        "start_timeout": reader.number("start_timeout", 1, 3600),
        "max_api_clients": reader.number("max_api_clients", 1, 32),
        "client_patterns": reader.patterns("client_patterns"),
        "protected_clients": reader.patterns("protected_clients"),
        "remediation": reader.text("remediation"),
        "allow_kill": reader.flag("allow_kill"),
        "allow_restart_with_clients": reader.flag("allow_restart_with_clients"),
    }
    if reader.problems or name is None or mode is None:
        return None, reader.problems
    return GatewaySpec(name=name, trading_mode=mode, port=port or GATEWAY_PORTS[mode], **fields), []


def parse(raw: Any, host: str = "") -> Tuple[List[GatewaySpec], List[str]]:
    """(the entries as GatewaySpecs, problems: one line each, naming host, entry and key).

    raw: the value of `ib_gateways`. With any problem the specs are not to be used.
    """
    place = "host %s: ib_gateways" % host if host else "ib_gateways"
    if not isinstance(raw, (list, tuple)):
        return [], ["%s: is %s; give a list with one entry for each gateway" % (place, _kind(raw))]
    if not raw:
        return [], ["%s: is empty; declare at least one gateway, or take the host out of trading_hosts" % place]
    specs: List[GatewaySpec] = []
    problems: List[str] = []
    for index, entry in enumerate(raw):
        where = "%s[%d]" % (place, index)
        if not isinstance(entry, Mapping):
            problems.append("%s: is %s; give a dictionary" % (where, _kind(entry)))
            continue
        if isinstance(entry.get("name"), str):
            where += " (%s)" % entry["name"]
        spec, found = _parse_entry(where, entry)
        problems.extend(found)
        if spec:
            specs.append(spec)
    problems.extend(_conflicts(place, specs))
    return specs, problems


def _kind(value: Any) -> str:
    return "missing" if value is None else "a " + type(value).__name__


def _scope(wide: str) -> str:
    return "script of an interpreter" if "python" in wide or "sh" in wide else "process"


def _conflicts(place: str, specs: Sequence[GatewaySpec]) -> List[str]:
    problems = []
    for index, one in enumerate(specs):
        for other in specs[index + 1 :]:
            if one.name == other.name:
                problems.append(
                    "%s: two entries are named %r, key name; names are unique on a host" % (place, one.name)
                )
            elif one.port == other.port:
                problems.append(
                    "%s: entries %s and %s both have port %d, key port; one port serves one gateway"
                    % (place, one.name, other.name, one.port)
                )
            elif one.unit is not None and one.unit == other.unit:
                problems.append(
                    "%s: entries %s and %s both have unit %s, key service; restarting one would restart the other"
                    % (place, one.name, other.name, one.unit)
                )
            elif _overlap(one, other):
                problems.append(
                    "%s: entries %s and %s would match the same process; "
                    "tell them apart by different values of key user or key config_dir" % (place, one.name, other.name)
                )
    return problems


def _folder(path: str) -> str:
    return posixpath.normpath(path)


def _overlap(one: GatewaySpec, other: GatewaySpec) -> bool:
    """Whether a gateway that does not listen could be either's. Entries of different modes are told apart by port and
    mode; what still could be both is never touched."""
    return (
        one.trading_mode == other.trading_mode
        and (one.user is None or other.user is None or one.user == other.user)
        and (one.config_dir is None or other.config_dir is None or _folder(one.config_dir) == _folder(other.config_dir))
    )
