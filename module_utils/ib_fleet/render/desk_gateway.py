"""What the doctor says of one gateway: how it is, on what evidence, who uses it and who waits for it. Pure.

The facts are those that ib_desk_info returns. A sentence names process, account and time, so that a person can look at
the same thing with other tools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...ib_gateway.base import findings
from ...ib_gateway.base.actions import describe
from ...ib_gateway.base.short_command import short
from ...ib_gateway.base.spec import DEFAULT_PORTS
from .layout import Line
from .times import seconds, since, span
from .wording import with_codes

#: Characters that a command line may have in a sentence.
COMMAND = 70
#: By status, what it means for who wants to trade.
_STATES = {
    "healthy": "works",
    "degraded": "needs attention",
    "unhealthy": "does not work",
    "unknown": "cannot be judged",
}
_LAUNCHERS = {"ibc": "started by IBC", "native": "started without IBC", "ibcontroller": "started by IBController"}
PRODUCTS = {"gateway": "gateway", "tws": "TWS"}


def gateway_lines(gateway: Mapping[str, Any], desk: Mapping[str, Any]) -> Iterator[Line]:
    """All that is said of one gateway. desk: what was seen of its host."""
    state, status = _STATES[gateway["status"]], gateway["status"]
    # How it is stands first, where no long folder can push it into the next line.
    yield Line("%s %s (%s)" % (gateway["name"], state, _known_as(gateway, desk)), 1, tone=status, word=state)
    told = [each for each in gateway["findings"] if each["severity"] != findings.INFO]
    if told:
        title = "Why not" if status == findings.UNKNOWN else "What is wrong"
        yield from section(title, with_codes(told))
    else:
        yield from section("How that is known", [gateway["summary"]])
    if status == findings.UNKNOWN:
        yield from section("What can be seen all the same", list(_seen(gateway, desk)))
    yield from section("Almost this gateway", list(_differing(gateway, desk)))
    yield from section("Also", with_codes(each for each in gateway["findings"] if each not in told))
    at = seconds(desk["health"]["taken_at"])
    yield from section(*_clients(gateway, at))
    yield from section("Waiting for it", list(_waiting(gateway, desk, at)))
    if status != "healthy":
        yield from section("What runs", list(_processes(gateway, desk, at)))
        yield from section("What a repair would do, in this order", list(_steps(gateway)))
    if status not in ("healthy", findings.UNKNOWN):
        yield from section("What a repair leaves alone, and why", gateway["plan"]["withheld"])


def section(title: str, told: Sequence[str]) -> Iterator[Line]:
    """A title and what it stands over, each sentence once; nothing where nothing is told."""
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
    what = PRODUCTS[entry.get("product", "gateway")]
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
    command = short(client["argv"] or (), COMMAND)
    running = ", running since %s," % since(at, client["age"]) if client["age"] is not None else ""
    return "%s pid %d of %s (%s)%s" % (kind, client["pid"], client["user"], command, running)


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
        quiet = ", silent for %s" % span(client["idle"])
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
            short(script["command"], COMMAND),
            since(at, script["age"]),
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
            since(at, each.get("age")),
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
