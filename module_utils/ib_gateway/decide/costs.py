"""What a step costs, in one sentence: whose sessions end, whether a login is needed, how long nobody has one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, cast

from ..base.actions import (
    DROP_CONNECTION,
    RECONNECT,
    RESTART,
    RESUME,
    SOFT_RESTART,
    START,
    STOP_CLIENT,
    STOP_GATEWAY,
    WAIT,
)
from ..base.command_server import DAILY_RESTART_MOVES, RESTARTS_WITHIN
from ..base.host import ApiConnection, Client
from ..base.plan import Entry, Step
from ..base.short_command import short
from .evidence import lost, span
from .targets import BY_CONTAINER, BY_IDENTITY, BY_UNIT

if TYPE_CHECKING:  # most looks know of no unit
    from ..base.unit import UnitMember

#: So many are named one by one.
_NAMED = 6
#: Characters of a command line; the line of the step has more of it.
_SHORT = 48
_NO_LOGIN = "no login"
_ITS_LOGIN = "the login that it has or is making is lost"
_IN_UNIT = "what else lives in its %s ends as well: %s"
_BOUND = "what lives in units that go down with its %s ends as well, and may stay down: %s"
_BY_START = "what lives in units that a start of its %s stops ends as well: %s"


def cost(entry: Entry, step: Step) -> str:
    """What a step costs; empty for one that costs nothing. Sessions are counted as the look saw them."""
    return _COSTS[step.action](entry, step.target)


def _nothing(_entry: Entry, _target: Mapping[str, Any]) -> str:
    return ""


def _of_resume(_entry: Entry, _target: Mapping[str, Any]) -> str:
    return "ends no session; scripts may find that theirs have run out meanwhile; %s" % _NO_LOGIN


def _of_cut(entry: Entry, target: Mapping[str, Any]) -> str:
    ends = (target["client"], target["client_port"])
    holders = [each for each in _on(entry) if (_made(each).client, _made(each).client_port) == ends]
    if any(lost(each) for each in holders):
        return "ends the session of %s, which has stopped answering; %s" % (_several(_names(holders)), _NO_LOGIN)
    goes_on = "the script goes on; " if any(each.process for each in holders) else ""
    if not any(each.working for each in holders):
        return "ends no working session: %s has none on it; %s%s" % (_several(_names(holders)), goes_on, _NO_LOGIN)
    return "%s; %s%s" % (_sessions(holders), goes_on, _NO_LOGIN)


def _of_stopped_client(entry: Entry, target: Mapping[str, Any]) -> str:
    own = [each for each in entry.clients if each.process and each.process.pid == target["pid"]]
    working = {each.connection for each in own if each.working}
    name = _several(_names(own)) or "pid %d" % target["pid"]
    its = "and its %s%s" % (_counted(len(working)), _in_use(own)) if working else "which has no working session"
    parts = ["ends the script %s%s %s" % (name, "" if working else ",", its)]
    return "; ".join([*parts, *_own_unit(entry, target), *_kill(target), _NO_LOGIN])


def _in_use(clients: Sequence[Client]) -> str:
    """When its working sessions were last of use, as far as the system tells; empty without any."""
    used = [_made(each).idle for each in clients if each.working]
    latest = min((each for each in used if each is not None), default=None)
    return "" if latest is None else " (data last passed %s ago)" % span(latest)


def _of_stopped_gateway(entry: Entry, target: Mapping[str, Any]) -> str:
    parts = [_sessions(_served_by(entry, target["pid"]))]
    # What keeps the only gateway brings the next one, and that logs in; what keeps a surplus one is another matter.
    kept = len(entry.processes) == 1 and any(target["pid"] in each.gateways and each.again for each in entry.carriers)
    fresh = any(each.pid == target["pid"] and not entry.has_served(each) for each in entry.processes)
    login = _login(entry) if kept else _ITS_LOGIN if fresh else _NO_LOGIN
    return "; ".join([*parts, *_own_unit(entry, target), *_kill(target), login])


def _of_start(entry: Entry, _target: Mapping[str, Any]) -> str:
    return "; ".join(["ends no session", *_also_ends(entry, BY_UNIT, entry.ends_with_start()), _login(entry)])


def _of_restart(entry: Entry, target: Mapping[str, Any]) -> str:
    process = target.get("process")
    served = _served_by(entry, process["pid"]) if process else []
    ending = _killed_by_systemd(entry, process) if process and target["by"] == BY_UNIT else _kill(process or {})
    if process and target["by"] == BY_IDENTITY:
        ending = [*_own_unit(entry, process), *ending]
    if target["by"] == BY_CONTAINER and entry.way is not None and entry.way.state is not None:
        state = entry.way.state
        ending = ["%s kills what of it has not ended after %g s" % (state.engine, state.stop_timeout)]
    through_unit = target["by"] in (BY_UNIT, BY_CONTAINER)
    others = entry.ends_with_unit() if through_unit else entry.ends_with_start()
    also = _also_ends(entry, target["by"] if through_unit else BY_UNIT, others, served)
    return "; ".join([_sessions(served), *also, *ending, _login(entry)])


def _of_reconnect(_entry: Entry, _target: Mapping[str, Any]) -> str:
    return "ends no session; scripts are told that the broker's link is lost and back; %s" % _NO_LOGIN


def _of_soft_restart(entry: Entry, target: Mapping[str, Any]) -> str:
    told = "%s; %s, and no second factor; no session can be had for up to %d s" % (
        _sessions(_served_by(entry, target["process"]["pid"])),
        _NO_LOGIN,
        RESTARTS_WITHIN + entry.spec.start_timeout,
    )
    moves = DAILY_RESTART_MOVES[target["own_time"]]
    return "; ".join([told, moves % "the minute of this one"] if moves else [told])


def _login(entry: Entry) -> str:
    """What a new gateway process costs, however the old one ended."""
    return "a login, and a second factor is to be expected; no session can be had for up to %d s" % (
        entry.spec.start_timeout
    )


def _own_unit(entry: Entry, process: Mapping[str, Any]) -> List[str]:
    """What becomes of the unit that exists for a process which is to end, where it has one."""
    unit = entry.own_units.get(process["pid"])
    if unit is None:
        return []
    from .own_units import told

    return told(unit, _several([_member(each) for each in unit.members]))


def _kill(target: Mapping[str, Any]) -> List[str]:
    return ["it is killed if it does not end when asked (allow_kill)"] if target.get("allow_kill") else []


def _killed_by_systemd(entry: Entry, process: Mapping[str, Any]) -> List[str]:
    """systemd kills what does not end when its unit is restarted; without allow_kill it is not restarted before.

    The unit of a container has the engine end that, which kills what has not ended, whatever allow_kill says.
    """
    seconds = entry.unit_state.kills_after if entry.unit_state else None
    if seconds is None:
        return []
    if process.get("pid") in entry.contained:
        return ["its engine kills what of its container has not ended in time"]
    if not process.get("allow_kill"):
        return ["it is not restarted if it does not end when asked (allow_kill is off)"]
    return ["systemd kills what of %s has not ended after %g s (TimeoutStopSec=)" % (entry.spec.any_unit, seconds)]


def _also_ends(entry: Entry, carrier: str, members: Sequence[UnitMember], served: Sequence[Client] = ()) -> List[str]:
    """Who else ends with the unit that restarts or starts the gateway, and has not been named for its session."""
    known = {each.pid for each in entry.processes} | {each.process.pid for each in served if each.process}
    by_text: Dict[str, List[str]] = {}
    for each in sorted(members, key=lambda member: (member.by_start, bool(member.unit))):
        if each.pid not in known:
            text = _BY_START if each.by_start else _BOUND if each.unit else _IN_UNIT
            by_text.setdefault(text, []).append(_member(each))
    return [text % (carrier, _several(names)) for text, names in by_text.items()]


def _member(each: UnitMember) -> str:
    return "pid %d (%s) of %s%s" % (each.pid, short(each.command, _SHORT), each.user, each.where)


# --- sessions --------------------------------------------------------------------------------------------------------


def _on(entry: Entry) -> List[Client]:
    return [each for each in entry.clients if each.connection is not None]


def _made(client: Client) -> ApiConnection:
    return cast(ApiConnection, client.connection)


def _served_by(entry: Entry, pid: int) -> List[Client]:
    return [each for each in _on(entry) if pid in _made(each).gateway_pids]


def _sessions(clients: Sequence[Client]) -> str:
    """How many working sessions of whom end; several processes may hold one."""
    working = [each for each in clients if each.working]
    count = len({each.connection for each in working})
    return "ends %s%s" % (_counted(count), ": " + _several(_names(working)) if count else "")


def _counted(count: int) -> str:
    return {0: "no working session", 1: "1 working session"}.get(count, "%d working sessions" % count)


def _names(clients: Sequence[Client]) -> List[str]:
    """Each once: a script by pid, command and account, another host by its address."""
    return list(dict.fromkeys(_name(each) for each in clients))


def _name(client: Client) -> str:
    process, connection = client.process, client.connection
    if process is not None:
        behind = " and whoever uses this relay" if client.relay else ""
        return "pid %d (%s) of %s%s" % (process.pid, short(process.command, _SHORT), process.user, behind)
    if connection is not None and connection.remote_host:
        return "a client on %s" % connection.remote_host
    return "a client that cannot be seen"


def _several(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (" and %d more" % more if more > 0 else "")


_COSTS: Dict[str, Callable[[Entry, Mapping[str, Any]], str]] = {
    WAIT: _nothing,
    RESUME: _of_resume,
    RECONNECT: _of_reconnect,
    DROP_CONNECTION: _of_cut,
    STOP_CLIENT: _of_stopped_client,
    SOFT_RESTART: _of_soft_restart,
    STOP_GATEWAY: _of_stopped_gateway,
    START: _of_start,
    RESTART: _of_restart,
}
