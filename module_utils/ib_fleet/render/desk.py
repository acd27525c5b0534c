"""What the doctor says of each host: its gateways, what else was seen, and what was not. Pure.

The facts are those that ib_desk_info returns. What is said of one gateway is in desk_gateway.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from ...ib_gateway.base import findings
from ...ib_gateway.base.short_command import short
from ...ib_gateway.base.spec import USER_SCOPE
from .desk_gateway import COMMAND, PRODUCTS, gateway_lines, section
from .layout import Line
from .times import clock, seconds, since

#: Findings that mean the gateway is on its way.
COMING = (
    findings.GATEWAY_STARTING.code,
    findings.GATEWAY_COMING_UP.code,
    findings.LOGIN_PENDING.code,
)


class Host(NamedTuple):
    """One host of a run. desk: what ib_desk_info returned for it, checked; None where it was not looked at: problem
    says why then, and reached whether it answered at all. here: whether it is the machine of this run. scripts: what is
    said of the scripts that run, where they were read."""

    name: str
    desk: Optional[Mapping[str, Any]] = None
    reached: bool = True
    problem: str = ""
    here: bool = False
    scripts: Sequence[str] = ()


class Again(NamedTuple):
    """How this run is started once more. doctor: the command; options: what this run was given; made: whether make
    started it, which takes options as ARGS."""

    doctor: str = ""
    options: str = ""
    made: bool = False

    def adding(self, words: str) -> str:
        """The same run with more options."""
        return self.giving(("%s %s" % (self.options, words)).lstrip())

    def giving(self, words: str) -> str:
        """A run with these options only."""
        if self.made:
            return "make doctor ARGS=%s" % shlex.quote(words.replace("$", "$$"))
        return ("%s %s" % (self.doctor, words)).lstrip()


def urgency(host: Host) -> int:
    """Where a host stands among others, the one that needs a person most first."""
    if host.desk is None:
        return -1
    return -findings.SEVERITIES.index(host.desk["health"]["status"]) if host.desk["health"]["gateways"] else 0


def host_lines(host: Host, again: Again = Again()) -> Iterator[Line]:  # noqa: B008 - it cannot be changed
    """All that is said of one host. again: this run, for what helps where too little was seen."""
    if host.desk is None:
        word = "could not be looked at" if host.reached else "was not reached"
        yield Line("%s %s: %s" % (host.name, word, host.problem), tone="unreachable", word=word)
        for cure, command in cures(host, again):
            yield Line("%s:" % cure, 1)
            yield Line(command, 3, whole=True)
        return
    health = host.desk["health"]
    yield Line("%s, %s" % (_title(host), _looked(health)), tone="title")
    for gateway in health["gateways"]:
        yield Line("")
        yield from gateway_lines(gateway, host.desk)
    if not health["gateways"]:
        yield Line("")
        yield from _nothing(host, again)
    yield from _others(host.desk)
    if host.scripts:
        yield Line("")
        yield from _section_at("Scripts that run", host.scripts)
    yield from _blind(host)


def _title(host: Host) -> str:
    return "this machine (%s)" % host.name if host.here and host.name == "localhost" else host.name


def _looked(health: Mapping[str, Any]) -> str:
    sight = health["visibility"]
    whom = "root" if sight["privileged"] else "account %s, which is not root" % sight["looked_as"]
    return "looked at as %s at %s" % (whom, clock(seconds(health["taken_at"])))


def _nothing(host: Host, again: Again) -> Iterator[Line]:
    """Of a host on which nothing is found: that, and what could make a gateway visible."""
    desk = host.desk or {}
    left, scripts, units = desk.get("left", ()), desk.get("scripts", ()), desk.get("units", ())
    none = "No gateway runs here that scripts could use" if left else "No gateway runs here"
    yield Line(
        "%s: no IB Gateway, no TWS with an API port, and nothing%s is about to start one."
        % (none, " that is known" if any(each["doubt"] for each in units) else ""),
        1,
        tone="unknown",
        word=none,
    )
    yield from section("What could start one, and does not", [_unit(each) for each in units])
    at = seconds(desk["health"]["taken_at"])
    told = [
        "script pid %d of %s (%s), running since %s, uses %s%s"
        % (
            each["pid"],
            each["user"],
            short(each["command"], COMMAND),
            since(at, each["age"]),
            each["library"],
            " and names port %s" % ", ".join(map(str, each["ports"])) if each["ports"] else "",
        )
        for each in scripts
    ]
    yield from section("Scripts that run here and find no gateway", told)
    ways = ["if the gateway runs on another machine, look there: %s" % again.giving("-i HOST,")]
    if not desk["health"]["visibility"]["privileged"]:
        ways.insert(0, "if it belongs to another account, look as root")
    yield from section("Where it could still be", ways)


def _unit(unit: Mapping[str, Any]) -> str:
    """A systemd unit whose file starts a gateway that does not run, or may start one."""
    state = "it is %s, and " % unit["state"] if unit["state"] else "it is "
    mode = " %s" % unit["trading_mode"] if unit["trading_mode"] else ""
    whose = " of %s's own systemd" % unit["account"] if unit["scope"] == USER_SCOPE else ""
    starts, doubt = "starts the%s gateway" % mode, ""
    if unit["doubt"]:
        starts, doubt = "may start a gateway", "%s; " % unit["doubt"]
    return "systemd unit %s%s %s of %s: %s%s%sstarted at boot" % (
        unit["name"],
        whose,
        starts,
        unit["account"],
        doubt,
        state,
        "" if unit["wanted"] else "not ",
    )


def _others(desk: Mapping[str, Any]) -> Iterator[Line]:
    left = [
        "%s pid %d of %s: %s" % (PRODUCTS.get(each["product"], "gateway"), each["pid"], each["user"], each["why"])
        for each in desk["left"]
    ]
    taken = ["port %d: %s" % (each["port"], _listener(each)) for each in desk["listeners"]]
    if left or taken:
        yield Line("")
    yield from _section_at("Seen and left alone", left)
    yield from _section_at("API ports that something else has", taken)


def _section_at(title: str, told: Sequence[str]) -> Iterator[Line]:
    yield from (line._replace(depth=line.depth - 1) for line in section(title, told))


def _listener(each: Mapping[str, Any]) -> str:
    if not each["pids"]:
        return "a program of account %s, which only root can look at" % (each["user"] or "nobody knows")
    pids = ", ".join("pid %d" % pid for pid in each["pids"])
    where = "; its gateway is in a container, on another host or on another port"
    relay = ", a relay (%s)%s" % (each["relay"], where) if each["relay"] else ""
    return "%s of %s%s" % (pids, each["user"], relay)


def _blind(host: Host) -> Iterator[Line]:
    """What was not seen, and what root would add."""
    if host.desk is None or host.desk["health"]["visibility"]["privileged"]:
        return
    sight = host.desk["health"]["visibility"]
    yield Line("")
    said = " ".join(each["summary"] for gateway in host.desk["health"]["gateways"] for each in gateway["findings"])
    yield from _section_at("Not seen either", [each for each in sight["missing"] if each not in said])
    yield Line(
        "As root it would also be seen who is connected to gateways of other accounts, and who owns each port.", 1
    )


def cures(host: Host, again: Again) -> Iterator[tuple[str, str]]:
    """What helps where a host could not be looked at, by what Ansible said: in words, and as a command."""
    said = host.problem.lower()
    if "password" in said and ("sudo" in said or "become" in said):
        yield "Have the sudo password asked for", again.adding("--ask-become-pass")
    elif "python" in said or "interpreter" in said or "deserialization" in said:
        command = again.adding("-e ansible_python_interpreter=/usr/bin/python3")
        yield "Name a Python 3.8 or newer that is there", command
    elif not host.reached and host.here:
        yield "Look at this very machine without ssh", again.adding("-e ansible_connection=local")
    elif not host.reached:
        yield "Try what Ansible does", "ssh %s" % shlex.quote(host.name)
        yield "Go there as another account, and have its password asked for", again.adding("-u USER --ask-pass")
