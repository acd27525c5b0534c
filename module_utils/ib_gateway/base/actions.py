"""The registry of actions: all that is known of each thing a repair may do, in one declaration each.

Plans, modules, the role and the report take order, words and needs from here. A new action is a declaration in ACTIONS,
a rule in decide/gateway_steps.py that plans it, and the module that does it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Tuple

from .outcome import ALREADY, DONE, FAILED, REFUSED, UNSURE, WOULD
from .short_command import short

WAIT = "wait"
RESUME = "resume"
RECONNECT = "reconnect"
DROP_CONNECTION = "drop_connection"
STOP_CLIENT = "stop_client"
STOP_GATEWAY = "stop_gateway"
SOFT_RESTART = "soft_restart"
START = "start"
RESTART = "restart"

# What an action needs from the target of its step: key to type. A key with ? may be missing or null; [x] is a list.
_SERVER: Mapping[str, Any] = {"port": int, "address": str, "inode": int}
_PROCESS: Mapping[str, Any] = {
    "pid": int,
    "started_ticks": int,
    "boot_id": str,
    "role?": str,
    "argv_digest?": str,
    "unit?": str,
    "allow_kill?": bool,
    "user?": str,
    "command?": [str],
    "command_server?": _SERVER,
}
_CONNECTION: Mapping[str, Any] = {
    "port": int,
    "client": str,
    "client_port": int,
    "server": str,
    "cookie?": int,
    "gateway_process": _PROCESS,
    "client_processes": [_PROCESS],
    "remote_host?": str,
}
_ENTRY: Mapping[str, Any] = {"port?": int, "timeout?": int, "service?": str, "container?": str}
_RESTART: Mapping[str, Any] = {**_ENTRY, "by": str, "process?": _PROCESS, "beside?": [int]}
_COMMANDED: Mapping[str, Any] = {
    "port": int,
    "process": _PROCESS,
    "command_server": _SERVER,
    "timeout?": int,
    "own_time?": bool,
}
_AWAITED: Mapping[str, Any] = {"for": str, "port?": int, "timeout?": int}

#: In words: whom a step meets, by the entry's name and the step's or the outcome's target.
Whom = Callable[[str, Mapping[str, Any]], str]


def _process(_gateway: str, target: Mapping[str, Any]) -> str:
    command = short(target.get("command") or ())
    of = " of %s" % target["user"] if target.get("user") else ""
    return "pid %d%s%s" % (target["pid"], of, " (%s)" % command if command else "")


def _connection(gateway: str, target: Mapping[str, Any]) -> str:
    holders = " and ".join(_process(gateway, each) for each in target["client_processes"])
    return "%s to port %d" % (holders or "%s:%d" % (target["client"], target["client_port"]), target["port"])


def _entry(gateway: str, target: Mapping[str, Any]) -> str:
    unit = "unit %s" % target["service"] if target.get("service") else None
    return "%s by %s" % (gateway, unit or target.get("container") or "its start_command")


def _by_command(target: Mapping[str, Any]) -> str:
    return "by IBC's command server on port %d" % target["command_server"]["port"]


def _commanded(gateway: str, target: Mapping[str, Any]) -> str:
    return "%s (pid %d) %s" % (gateway, target["process"]["pid"], _by_command(target))


def _reconnected(gateway: str, target: Mapping[str, Any]) -> str:
    return "%s (pid %d) to the broker %s" % (gateway, target["process"]["pid"], _by_command(target))


def _awaited(gateway: str, target: Mapping[str, Any]) -> str:
    if target["for"] == "upstream":
        return "the broker's link"
    return "port %d to open" % target["port"] if target.get("port") else "%s to listen" % gateway


class Action(NamedTuple):
    """One thing a repair may do.

    module: the Ansible module that does it. It takes the steps, gateways and then_look, and of what the role has to
    say those options that are named here. disruption: what it costs, in the words a person reads before. infinitive and
    past: what is done, as a verb that is followed by whom it meets. needs: see above. most_times: how often a run may
    take it. restarts: whether it ends the gateway's process for a new one; the limits count all of these together.
    """

    name: str
    module: str
    options: Tuple[str, ...]
    disruption: str
    infinitive: str
    past: str
    whom: Whom
    needs: Mapping[str, Any]
    most_times: int = 1
    restarts: bool = False


#: Least disruptive first. The order is the one in which a repair escalates.
ACTIONS: Tuple[Action, ...] = (
    Action(
        WAIT,
        "ib_gateway_wait",
        ("upstream_wait",),
        "none",
        "wait for",
        "waited for",
        _awaited,
        _AWAITED,
    ),
    Action(
        RESUME,
        "ib_gateway_resume",
        ("authorization",),
        "nothing is ended: a gateway that a signal has stopped goes on, with its login and its sessions as they are",
        "resume",
        "resumed",
        _process,
        _PROCESS,
    ),
    Action(
        RECONNECT,
        "ib_gateway_reconnect",
        ("authorization",),
        "the gateway makes its link to the broker anew; API sessions stay open, and no login is needed",
        "reconnect",
        "reconnected",
        _reconnected,
        _COMMANDED,
    ),
    Action(
        DROP_CONNECTION,
        "ib_connection_drop",
        ("authorization",),
        "one API session ends; the script that held it goes on",
        "cut the connection of",
        "cut the connection of",
        _connection,
        _CONNECTION,
        # A script that connects while the first connections are cut has its own cut in a second round; nobody is
        # stopped whose connection was not cut first.
        most_times=2,
    ),
    Action(
        STOP_CLIENT,
        "ib_process_stop",
        ("authorization", "grace_period"),
        "one script loses its API session",
        "stop script",
        "stopped script",
        _process,
        _PROCESS,
    ),
    Action(
        SOFT_RESTART,
        "ib_gateway_soft_restart",
        ("authorization",),
        "every API session of this gateway ends for up to 3 minutes; the login is kept, without a second factor",
        "soft-restart",
        "soft-restarted",
        _commanded,
        _COMMANDED,
        restarts=True,
    ),
    Action(
        STOP_GATEWAY,
        "ib_process_stop",
        ("authorization", "grace_period"),
        "a gateway process ends; the one that is kept goes on",
        "stop gateway",
        "stopped gateway",
        _process,
        _PROCESS,
    ),
    Action(
        START,
        "ib_gateway_start",
        ("authorization", "assume_stopped"),
        "a login, with a second factor on most accounts",
        "start",
        "started",
        _entry,
        _ENTRY,
    ),
    Action(
        RESTART,
        "ib_gateway_restart",
        ("authorization", "grace_period", "assume_stopped"),
        "every API session of this gateway ends; a login, with a second factor on most accounts",
        "restart",
        "restarted",
        _entry,
        _RESTART,
        restarts=True,
    ),
)
BY_NAME: Dict[str, Action] = {action.name: action for action in ACTIONS}
#: The names, least disruptive first.
ORDER: Tuple[str, ...] = tuple(BY_NAME)
#: Those that end a gateway's process for a new one.
RESTARTS: Tuple[str, ...] = tuple(action.name for action in ACTIONS if action.restarts)


def modules_of(names: Iterable[str]) -> List[str]:
    """The modules that do these actions, each once, in the order in which a repair sends them."""
    wanted = set(names)
    return list(dict.fromkeys(action.module for action in ACTIONS if action.name in wanted))


# --- in words --------------------------------------------------------------------------------------------------------


def describe(step: Mapping[str, Any]) -> str:
    """A step as a plan shows it: what is done, and to whom."""
    action = BY_NAME.get(step["action"])
    if action is None:  # of another version of this project
        return "%s %s" % (step["action"].replace("_", " "), step["gateway"])
    return "%s %s" % (action.infinitive, _whom(action, step))


def _whom(action: Action, told: Mapping[str, Any]) -> str:
    """Whom a step or an outcome meets; the entry alone where its target is not as this version makes one."""
    try:
        return action.whom(told["gateway"], told["target"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return str(told["gateway"])


#: Why a wait is over that has not brought what it was for.
IN_VAIN = "it did not open in that time"
#: How a line about an outcome begins.
_BEGINS = {
    DONE: "done",
    ALREADY: "not needed",
    REFUSED: "refused",
    FAILED: "failed",
    UNSURE: "not known whether done",
}


def tell(outcome: Mapping[str, Any]) -> str:
    """An outcome as a report shows it. In check mode a line says `would`, and no other line does."""
    if outcome["result"] == WOULD:
        return "would %s" % describe(outcome)
    action = BY_NAME.get(outcome["action"])
    if outcome["result"] == DONE and action is not None:
        past = "waited in vain for" if outcome.get("reason") == IN_VAIN else action.past
        return "done: %s %s" % (past, _whom(action, outcome))
    return "%s: %s: %s" % (_BEGINS[outcome["result"]], describe(outcome), outcome["reason"])
