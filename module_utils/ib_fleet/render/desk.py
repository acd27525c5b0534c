"""What the doctor says of each host: how its gateways are, on what evidence, and who is in the way. Pure.

The facts are those that ib_desk_info returns. A sentence stands here once for a gateway, and names process, account and
time, so that a person can look at the same thing with other tools.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional

from ...ib_gateway.base import findings
from ...ib_gateway.base.actions import describe
from ...ib_gateway.base.short_command import short
from ...ib_gateway.base.spec import DEFAULT_PORTS, USER_SCOPE
from .layout import Line
from .wording import with_codes

_COMMAND = 70
#: By status, what it means for who wants to trade.
_STATES = {
    "healthy": "works",
    "degraded": "needs attention",
    "unhealthy": "does not work",
    "unknown": "cannot be judged",
}
_LAUNCHERS = {"ibc": "started by IBC", "native": "started without IBC", "ibcontroller": "started by IBController"}
_PRODUCTS = {"gateway": "gateway", "tws": "TWS"}
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
        yield from _gateway(gateway, host.desk)
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
    return "looked at as %s at %s" % (whom, _clock(_seconds(health["taken_at"])))


# --- one gateway -----------------------------------------------------------------------------------------------------


def _gateway(gateway: Mapping[str, Any], desk: Mapping[str, Any]) -> Iterator[Line]:
    state, status = _STATES[gateway["status"]], gateway["status"]
    # How it is stands first, where no long folder can push it into the next line.
    yield Line("%s %s (%s)" % (gateway["name"], state, _known_as(gateway, desk)), 1, tone=status, word=state)
    told = [each for each in gateway["findings"] if each["severity"] != findings.INFO]
    if told:
        title = "Why not" if status == findings.UNKNOWN else "What is wrong"
        yield from _section(title, with_codes(told))
    else:
        yield from _section("How that is known", [gateway["summary"]])
    if status == findings.UNKNOWN:
        yield from _section("What can be seen all the same", list(_seen(gateway, desk)))
    yield from _section("Almost this gateway", list(_differing(gateway, desk)))
    yield from _section("Also", with_codes(each for each in gateway["findings"] if each not in told))
    at = _seconds(desk["health"]["taken_at"])
    yield from _section(*_clients(gateway, at))
    yield from _section("Waiting for it", list(_waiting(gateway, desk, at)))
    if status != "healthy":
        yield from _section("What runs", list(_processes(gateway, desk, at)))
        yield from _section("What a repair would do, in this order", list(_steps(gateway)))
    if status not in ("healthy", findings.UNKNOWN):
        yield from _section("What a repair leaves alone, and why", gateway["plan"]["withheld"])


def _section(title: str, told: Sequence[str]) -> Iterator[Line]:
    if told:
        yield Line(title, 2)
        yield from (Line(each, 3, "- ") for each in dict.fromkeys(told))


def _known_as(gateway: Mapping[str, Any], desk: Mapping[str, Any]) -> str:
    """What a person knows a gateway by: account, folder, port. Its name is what the sentences about it use."""
    proposal = next((each for each in desk["proposals"] if each["entry"]["name"] == gateway["name"]), None)
    port = "API port %d%s" % (gateway["port"], _of_other_mode(proposal["entry"]) if proposal else "")
    if proposal is None:
        return "of the inventory, %s" % port
    entry, guessed = proposal["entry"], proposal["guessed"]
    what = _PRODUCTS[entry.get("product", "gateway")]
    of = " of %s" % entry["user"] if entry.get("user") else ""
    where = " in %s" % entry["config_dir"] if entry.get("config_dir") else ""
    port = "API port not known, %d is the usual one" % gateway["port"] if "port" in guessed else port
    mode = "live or paper is not known, " if "trading_mode" in guessed else ""
    return "%s%s%s, %s%s" % (what, of, where, mode, port)


def _of_other_mode(entry: Mapping[str, Any]) -> str:
    """That a gateway serves the port on which scripts expect the other trading mode: real money, mostly unmeant."""
    for mode, port in DEFAULT_PORTS[entry.get("product", "gateway")].items():
        if port == entry["port"] and mode != entry["trading_mode"]:
            return ", the usual one of %s" % mode
    return ""


def _seen(gateway: Mapping[str, Any], desk: Mapping[str, Any]) -> Iterator[str]:
    """Of a gateway that cannot be judged, what needs no rights: how many run, and whether its port is open."""
    running = len(gateway["processes"])
    if running > 1:
        yield "%d gateway processes run for %s, one is wanted" % (running, gateway["name"])
    if not gateway["listeners"]:
        others = sorted({each["port"] for each in desk["listeners"]})
        more = "; open API ports: %s" % ", ".join(map(str, others)) if others else ""
        yield "nothing listens on port %d%s" % (gateway["port"], more)


def _differing(gateway: Mapping[str, Any], desk: Mapping[str, Any]) -> Iterator[str]:
    """Gateways that a key of the inventory keeps from being this one: mostly it is written wrong."""
    for each in desk["differing"]:
        if each["gateway"] == gateway["name"]:
            told = [
                "key %s: it has %s, the inventory says %s" % (one["key"], one["has"], one["says"])
                for one in each["keys"]
            ]
            yield "gateway pid %d runs and differs in %s" % (each["pid"], " and in ".join(told))


def _clients(gateway: Mapping[str, Any], at: float) -> tuple[str, list[str]]:
    """Who is connected: for information, or as who may be in the way of a gateway that is known not to work."""
    connected = [each for each in gateway["clients"] if each["connected"] or each["matches_pattern"]]
    alone = sum(bool(each["connected"]) for each in connected) == 1
    told = ["%s %s" % (_who(each, at), _holds(each, alone)) for each in connected]
    if gateway["status"] == "healthy":
        return "Connected now", told or ["nobody"]
    return "Connected now" if gateway["status"] == findings.UNKNOWN else "In the way", told


def _who(client: Mapping[str, Any], at: float) -> str:
    if client["pid"] is None:
        return "a client on %s" % client["remote_host"] if client["remote_host"] else "a client that cannot be seen"
    kind = "relay" if client["is_relay"] else "script"
    command = short(client["argv"] or (), _COMMAND)
    since = ", running since %s," % _since(at, client["age"]) if client["age"] is not None else ""
    return "%s pid %d of %s (%s)%s" % (kind, client["pid"], client["user"], command, since)


def _holds(client: Mapping[str, Any], alone: bool) -> str:
    if not client["connected"]:
        return "holds no connection, and the inventory names it as competing"
    if not client["accepted"]:
        return "waits for its connection to port %d to be accepted" % client["port"]
    if client["state"] == "CLOSE_WAIT":
        return "has gone, and the gateway still holds its connection"
    what = "holds the only API connection" if alone else "holds an API connection"
    used = "" if client["working"] else ", on which no session has come about"
    quiet = ""
    if client["idle"] is not None and client["idle"] >= 60:
        quiet = ", silent for %s" % _span(client["idle"])
    return what + used + quiet


def _waiting(gateway: Mapping[str, Any], desk: Mapping[str, Any], at: float) -> Iterator[str]:
    """Scripts without a connection that name this gateway's port, or none of the others'."""
    ports = {each["port"] for each in desk["health"]["gateways"]}
    heard = {each["port"] for one in desk["health"]["gateways"] for each in one["listeners"]}
    only = len(ports) == 1
    for script in desk["scripts"]:
        stray = not set(script["ports"]) & ports
        if gateway["port"] not in script["ports"] and not (stray and only):
            continue
        where = "it names no API port"
        if script["ports"]:
            port = gateway["port"] if gateway["port"] in script["ports"] else script["ports"][0]
            where = "it names port %d%s" % (port, "" if port in heard else ", on which nothing listens")
        yield "script pid %d of %s (%s), running since %s, uses %s and has no connection; %s" % (
            script["pid"],
            script["user"],
            short(script["command"], _COMMAND),
            _since(at, script["age"]),
            script["library"],
            where,
        )


def _processes(gateway: Mapping[str, Any], desk: Mapping[str, Any], at: float) -> Iterator[str]:
    for each in gateway["processes"]:
        ports = each.get("listening")
        heard = "its ports cannot be seen"
        if ports is not None:
            heard = "listens on %s" % ", ".join(map(str, ports)) if ports else "listens nowhere"
        how = _LAUNCHERS.get(each.get("launcher") or "", "started in a way of its own")
        unit = ", unit %s" % each["unit"] if each.get("unit") else ""
        yield "gateway pid %d of %s, %s%s, running since %s, %s" % (
            each["pid"],
            each["user"],
            how,
            unit,
            _since(at, each.get("age")),
            heard,
        )
    pids = {each["pid"] for each in gateway["processes"]}
    for each in desk["starters"]:
        if pids & set(each["gateways"]):
            yield "%s pid %d of %s, which keeps it and may start the next one" % (
                each["name"],
                each["pid"],
                each["user"],
            )


def _steps(gateway: Mapping[str, Any]) -> Iterator[str]:
    for step in gateway["plan"]["steps"]:
        condition = "if that does not help, " if step["only_if_persists"] else ""
        costs = "; cost: %s" % step["costs"] if step.get("costs") else ""
        yield "%s%s: %s%s" % (condition, describe(step), step["reason"], costs)


# --- the rest of a host ----------------------------------------------------------------------------------------------


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
    yield from _section("What could start one, and does not", [_unit(each) for each in units])
    at = _seconds(desk["health"]["taken_at"])
    told = [
        "script pid %d of %s (%s), running since %s, uses %s%s"
        % (
            each["pid"],
            each["user"],
            short(each["command"], _COMMAND),
            _since(at, each["age"]),
            each["library"],
            " and names port %s" % ", ".join(map(str, each["ports"])) if each["ports"] else "",
        )
        for each in scripts
    ]
    yield from _section("Scripts that run here and find no gateway", told)
    ways = ["if the gateway runs on another machine, look there: %s" % again.giving("-i HOST,")]
    if not desk["health"]["visibility"]["privileged"]:
        ways.insert(0, "if it belongs to another account, look as root")
    yield from _section("Where it could still be", ways)


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
        "%s pid %d of %s: %s" % (_PRODUCTS.get(each["product"], "gateway"), each["pid"], each["user"], each["why"])
        for each in desk["left"]
    ]
    taken = ["port %d: %s" % (each["port"], _listener(each)) for each in desk["listeners"]]
    if left or taken:
        yield Line("")
    yield from _section_at("Seen and left alone", left)
    yield from _section_at("API ports that something else has", taken)


def _section_at(title: str, told: Sequence[str]) -> Iterator[Line]:
    yield from (line._replace(depth=line.depth - 1) for line in _section(title, told))


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


# --- times -----------------------------------------------------------------------------------------------------------


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M UTC")


def _since(at: float, age: Optional[float]) -> str:
    """When something began, and how long ago: 28 Nov 03:12 UTC (33 h)."""
    if age is None:
        return "a time that cannot be seen"
    began = datetime.fromtimestamp(at - age, timezone.utc)
    return "%s UTC (%s)" % (began.strftime("%d %b %H:%M").lstrip("0"), _span(age))


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds
