"""Turns `ib_gateways` entries of an inventory into GatewaySpecs, or into problems a person can mend. Pure.

One parser for the preflight on the controller and for every module on a host, so that both accept the same.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .keys import KEYS
from .spec import DEFAULT_PORTS, USER_SCOPE, Container, GatewaySpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: What a template or -e makes of true and false.
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
#: What no pattern may be found in: it would name every process, or every script of a language.
_TOO_WIDE = ("", "\x01", "init", "bash", "python3", "/usr/bin/python3")
#: The keys that say how a gateway is started; an entry has one of them at most.
_STARTERS = ("service", "start_command", "container")

#: From this ratio on (0 to 1, by difflib) a key is taken for a mistyped other one.
_RESEMBLES = 0.75

#: A row of the table, and what it makes of a value.
Row = Mapping[str, Any]


class _Reader:
    """Reads one entry, or one key's dictionary, by a table; collects what is wrong with the place where it stands."""

    def __init__(self, where: str, raw: Mapping[Any, Any], rows: Mapping[str, Row], above: str = "") -> None:
        self._where = where
        self._raw = raw
        self._rows = rows
        self._above = above
        self.problems: List[str] = []

    def problem(self, key: str, text: str) -> None:
        self.problems.append("%s, key %s%s: %s" % (self._where, self._above, key, text))

    def read(self) -> Dict[str, Any]:
        """The value of each key of the table: its default where it is left out or empty, None where it is wrong."""
        for key in self._raw:
            if key not in self._rows:
                self.problem(str(key), "is not known; %s" % _known_instead(str(key), self._rows))
        return {key: self._value(key, row) for key, row in self._rows.items()}

    def _value(self, key: str, row: Row) -> Any:
        value = self._raw.get(key)
        if value is None:
            value = row.get("default")
        if value is None:
            if row.get("required"):
                self.problem(key, "is missing; every %s needs it" % (self._above[:-1] or "entry"))
            return () if row["type"] == "list" else None
        return _READERS[row["type"]](self, key, value, row)

    def text(self, key: str, value: Any, row: Row) -> Optional[str]:
        if not isinstance(value, str) or not value:
            self.problem(key, "%r is not a text; give a non-empty string" % (value,))
            return None
        choices = row.get("choices")
        if choices and value not in choices:
            self.problem(key, "%r is not known; use %s" % (value, " or ".join(choices)))
            return None
        return str(value) if self._fits(key, value, row) else None

    def number(self, key: str, value: Any, row: Row) -> Optional[int]:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)  # what a template or -e made of a number
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(key, "%r is not a whole number" % (value,))
            return None
        low, high = row["bounds"]
        if not low <= value <= high:
            self.problem(key, "%d is out of range; use %d to %d" % (value, low, high))
            return None
        return int(value)

    def flag(self, key: str, value: Any, _row: Row) -> bool:
        if isinstance(value, str):
            value = _FLAGS.get(value.lower(), value)
        if not isinstance(value, bool):
            self.problem(key, "%r is neither true nor false" % (value,))
            return False
        return value

    def texts(self, key: str, value: Any, row: Row) -> Tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            self.problem(key, "is not a list; give a list of strings")
            return ()
        if not all(isinstance(item, str) and item for item in value):
            self.problem(key, "holds something that is not a non-empty string")
            return ()
        return tuple(str(item) for item in value if self._fits(key, item, row))

    def dictionary(self, key: str, value: Any, row: Row) -> Any:
        """The values of its sub-keys where the table knows these; else the (name, text) pairs, ordered."""
        if not isinstance(value, Mapping):
            self.problem(
                key, "is not a dictionary; give %s" % (" and ".join(row.get("options", ())) or "names and texts")
            )
            return None
        if "options" in row:
            inner = _Reader(self._where, value, row["options"], key + ".")
            found = inner.read()
            self.problems.extend(inner.problems)
            return found
        good = [self._fits(key, (at, *pair), row) for at, pair in enumerate(value.items(), 1)]
        return tuple(sorted((str(name), str(text)) for name, text in value.items())) if all(good) else ()

    def _fits(self, key: str, value: Any, row: Row) -> bool:
        wrong = FORMS[row["form"]](value) if "form" in row else None
        if wrong:
            self.problem(key, wrong)
        return not wrong


def _known_instead(key: str, known: Mapping[str, Row]) -> str:
    """What a person may have meant by a key that is not known: the one that it resembles, else all there are."""
    import difflib  # costs a look its time, and only a mistyped inventory needs it

    parts = [each for each in known if key in each.split("_")]  # mode of trading_mode
    near = difflib.get_close_matches(key, known, 1, _RESEMBLES) or (parts if len(parts) == 1 else [])
    return "did you mean %s?" % near[0] if near else "known are %s" % ", ".join(sorted(known))


_READERS: Dict[str, Callable[[_Reader, str, Any, Row], Any]] = {
    "str": _Reader.text,
    "int": _Reader.number,
    "bool": _Reader.flag,
    "list": _Reader.texts,
    "dict": _Reader.dictionary,
}


def _name(value: str) -> Optional[str]:
    return None if _NAME.fullmatch(value) else "%r; use letters, digits, dots, dashes and underscores" % value


def _container_name(value: str) -> Optional[str]:
    if _NAME.fullmatch(value):
        return None
    return "%r is not a container's name; use letters, digits, dots, dashes and underscores" % value


def _absolute(value: str) -> Optional[str]:
    return None if value.startswith("/") else "%r is not an absolute path; begin it with /" % value


def _anything(_value: str) -> Optional[str]:
    return None


def is_variable(name: Any) -> bool:
    """Whether this can be the name of an environment variable that every shell takes."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def _variable(value: Tuple[int, Any, Any]) -> Optional[str]:
    """One variable: (its number, name, text). None is quoted: what is no name may be a secret at a wrong place."""
    at, name, text = value
    if not is_variable(name):
        return "name number %d is not one of an environment; use letters, digits and underscores, no digit first" % at
    if not isinstance(text, str) or "\0" in text:
        return "%s is not a text; put its value in quotes" % name
    return None


def _pattern(value: str) -> Optional[str]:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        return "%r is not a regular expression: %s" % (value[:100], error)
    return None


def _narrow_pattern(value: str) -> Optional[str]:
    wrong = _pattern(value)
    if wrong:
        return wrong
    wide = next((text for text in _TOO_WIDE if re.search(value, text)), None)
    return None if wide is None else "%r would match every %s; name the script" % (value, _scope(wide))


#: What is wrong with a value that must have a form of the table, in words; None when nothing is.
FORMS: Dict[str, Callable[[Any], Optional[str]]] = {
    "name": _name,
    "container name": _container_name,
    "absolute path": _absolute,
    "texts": _anything,
    "environment": _variable,
    "regular expressions": _pattern,
    "narrow regular expressions": _narrow_pattern,
}


def _parse_entry(where: str, raw: Mapping[str, Any]) -> Tuple[Optional[GatewaySpec], List[str]]:
    reader = _Reader(where, raw, KEYS)
    fields = reader.read()
    _check_start(reader, raw, fields)
    if reader.problems:
        return None, reader.problems
    if fields["port"] is None:
        fields["port"] = DEFAULT_PORTS[fields["product"]][fields["trading_mode"]]
    if fields["container"] is not None:
        fields["container"] = Container(**fields["container"])
    if fields["ibc_command_port"] == fields["port"]:
        reader.problem("ibc_command_port", "%d is key port as well; IBC listens on a port of its own" % fields["port"])
    return (None if reader.problems else GatewaySpec(**fields)), reader.problems


def _check_start(reader: _Reader, raw: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Whether the keys that say how the gateway is started fit each other."""
    given = [key for key in _STARTERS if raw.get(key)]
    for key in given[1:]:
        reader.problem(key, "key %s says already how the gateway is started; leave one of the two out" % given[0])
    _check_container(reader, fields["container"])
    if fields["start_environment"] and "start_command" not in given:
        reader.problem(
            "start_environment", "is for key start_command, which the entry has not; add that or leave it out"
        )
    if fields["service_scope"] == USER_SCOPE:
        for key, why in (("service", "the unit"), ("user", "the account whose unit it is")):
            if not raw.get(key):
                reader.problem("service_scope", "user needs key %s too: %s; add it" % (key, why))


def _check_container(reader: _Reader, container: Optional[Mapping[str, Optional[str]]]) -> None:
    """Whether a container is told by its name or by its compose service, and by one of them only."""
    if not container or reader.problems:
        return
    compose = [key for key in ("compose_project", "compose_service") if container[key]]
    if container["name"] and compose:
        reader.problem("container", "name says already which it is; leave %s out" % " and ".join(compose))
    elif not container["name"] and len(compose) < 2:
        reader.problem("container", "does not say which; give name, or compose_project and compose_service")


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
    if len(specs) > 1:
        from .conflicts import conflicts  # most hosts have one gateway

        problems.extend(conflicts(specs, place))
    return specs, problems


def _kind(value: Any) -> str:
    return "missing" if value is None else "a " + type(value).__name__


def _scope(wide: str) -> str:
    return "script of an interpreter" if "python" in wide or "sh" in wide else "process"
