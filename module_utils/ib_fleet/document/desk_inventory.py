"""The inventory that the doctor proposes, as the text of its file. Pure.

What a host answers becomes part of a file that Ansible will read, and expand: nothing with the signs of a template is
written, and what the inventory's own check would refuse is not either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...ib_gateway.base import inventory
from ...ib_gateway.base.keys import KEYS
from .next_commands import ALLOW
from .text import visible

_GROUP = "trading_hosts"
#: Of a host's variables, what says how it is reached; never a password.
CONNECTION = (
    *("ansible_connection", "ansible_host", "ansible_port", "ansible_user", "ansible_become", "ansible_become_method"),
    *("ansible_become_user", "ansible_python_interpreter", "ansible_ssh_private_key_file", "ansible_ssh_common_args"),
)
#: A text that YAML takes for itself; everything else is quoted.
_PLAIN = re.compile(r"^[A-Za-z/_][A-Za-z0-9/_.@+-]*$")
_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_TEMPLATE = re.compile(r"\{[{%#]|[%#}]\}")
_WIDTH = 110

_HEAD = """\
---
# What was found at {when}, as an inventory. A repair only says what it would do. To have a gateway repaired,
# {allow} in its entry. README.md, "Inventory", has all keys; a script that
# must never be stopped belongs into protected_clients.
"""
#: By a key that nothing tells, what a person would write.
_EXAMPLES = {
    "start_command": ("start_command: [/opt/ibc/gatewaystart.sh, -inline]", "or, with systemd: service: NAME.service"),
    "config_dir": ("config_dir: /home/trader/Jts",),
}


class Found(NamedTuple):
    """One host. variables: how it is reached, as its inventory has it. proposals and declared: as ib_desk_info has the
    first, and the names of the entries that the host had already."""

    name: str
    variables: Mapping[str, Any]
    proposals: Sequence[Mapping[str, Any]] = ()
    declared: Sequence[str] = ()
    privileged: bool = True


def text(hosts: Iterable[Found], when: str) -> str:
    """The file. when: the time, as a person reads it."""
    lines = [*_HEAD.format(when=when, allow=ALLOW).splitlines(), "%s:" % _GROUP, "  hosts:"]
    for host in sorted(hosts, key=lambda each: each.name):
        lines.extend(_host(host))
    return "\n".join(lines) + "\n"


def _host(host: Found) -> Iterator[str]:
    usable = [each for each in host.proposals if not refusal(each)]
    if not usable:
        yield from _comment("%s: no gateway was found that an entry could describe" % host.name, 4)
        yield from _left_out(host, 4)
        return
    yield "    %s:" % _scalar(host.name)
    for key in CONNECTION:
        if key in host.variables and not _has_template(host.variables[key]):
            yield "      %s: %s" % (key, _scalar(host.variables[key]))
    if not host.privileged and "ansible_become" not in host.variables:
        yield from _comment("ansible_become: true is needed to see, and to repair, what other accounts run", 6)
    if host.declared:
        told = ", ".join(map(visible, host.declared))
        yield from _comment("the inventory that was used has these entries already: %s" % told, 6)
    yield from _left_out(host, 6)
    yield "      ib_gateways:"
    for each in usable:
        yield from _entry(each)


def _left_out(host: Found, indent: int) -> Iterator[str]:
    for each in host.proposals:
        why = refusal(each)
        if why:
            pids = ", ".join(map(str, each["pids"]))
            which = "%s%s" % (each["entry"]["name"], " (pid %s)" % pids if pids else "")
            yield from _comment("left out: %s, because its entry would be refused: %s" % (which, why), indent)


def _entry(proposal: Mapping[str, Any]) -> Iterator[str]:
    entry = proposal["entry"]
    notes = {str(each["key"]): str(each["text"]) for each in proposal["notes"]}
    sign = "- "
    for key in KEYS:
        if key not in entry:
            if key in notes:
                yield from _comment("%s: %s" % (key, notes[key]), 10)
                yield from (line for each in _EXAMPLES.get(key, ()) for line in _comment(each, 10))
            continue
        if key in notes:
            if sign == "  ":
                yield from _comment(notes[key], 10)
            else:
                yield from _comment(notes[key], 8)
        yield "        %s%s: %s" % (sign, key, _scalar(entry[key]))
        sign = "  "


def refusal(proposal: Mapping[str, Any]) -> str:
    """Why an entry cannot be written; empty where it can."""
    entry = proposal["entry"]
    templates = [str(key) for key, value in entry.items() if _has_template([key, value])]
    if templates:
        return "%s: the value has the signs of a template" % ", ".join(map(visible, templates))
    problems = inventory.parse([entry])[1]
    return visible(problems[0]) if problems else ""


def _has_template(value: Any) -> bool:
    return bool(_TEMPLATE.search(json.dumps(value, default=str)))


def _scalar(value: Any) -> str:
    """A value as YAML has it; what is JSON is YAML."""
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, default=str)


def _comment(said: str, indent: int) -> Iterator[str]:
    """A text as comment lines; nothing in it can end the line."""
    room, row = _WIDTH - indent, ""
    for word in visible(said).split(" "):
        if row and len(row) + len(word) + 3 > room:
            yield "%s# %s" % (" " * indent, row)
            row = ""
        row = "%s %s" % (row, word) if row else word
    yield "%s# %s" % (" " * indent, row)
