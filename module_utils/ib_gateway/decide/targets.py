"""The targets of a plan's steps: the process, connection or gateway that a step is about, and its shape. Pure.

Every target carries `gateway`, the name of the entry it is about, so that what acts can be judged by gateway.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from ..base.actions import RESTART, STOP_CLIENT, STOP_GATEWAY
from ..base.command_server import CommandServer
from ..base.host import ApiConnection, Client, Process
from ..base.plan import Entry, Step

#: How a restart is done: by the unit or the container that carries the gateway, or by ending it and starting anew.
BY_UNIT, BY_CONTAINER, BY_IDENTITY = "unit", "container", "identity"


def identity(process: Process, role: str) -> Dict[str, Any]:
    """What identifies a process for ever, what it must still be, and what tells a person who it is."""
    return {
        "pid": process.pid,
        "started_ticks": process.started_ticks,
        "boot_id": process.boot_id,
        "role": role,
        "argv_digest": process.argv_digest,
        "user": process.user,
        "command": list(process.command),
    }


def to_end(entry: Entry, process: Process, role: str) -> Dict[str, Any]:
    """A process that is to end: through its unit where it has one of its own, because that would start it again.

    Not where the unit carries anybody else of this entry: stopping it would end them as well. Nor where a look at the
    unit has shown that it would not be stopped.
    """
    known = [*entry.processes, *(client.process for client in entry.clients if client.process)]
    alone = all(other.pid == process.pid or other.any_unit != process.any_unit for other in known)
    server = entry.command_server(process)
    known_unit = entry.own_units.get(process.pid)
    spared = known_unit is not None and not known_unit.stopped
    stopped = process.unit_is_own and alone and not spared
    unit, uid = process.any_unit
    return {
        **identity(process, role),
        "gateway": entry.spec.name,
        "unit": unit if stopped else None,
        **({"unit_uid": uid} if stopped and uid is not None else {}),
        "allow_kill": entry.spec.allow_kill,
        **({"command_server": server.where.as_target()} if server else {}),
    }


def ended_by(step: Step) -> Optional[Mapping[str, Any]]:
    """The process that a step ends by itself, so that its own unit may be stopped for it; None where it ends none, or
    leaves that to what carries the gateway."""
    if step.action in (STOP_CLIENT, STOP_GATEWAY):
        return step.target
    through_carrier = step.action == RESTART and step.target["by"] in (BY_UNIT, BY_CONTAINER)
    return None if step.action != RESTART or through_carrier else step.target.get("process")


def to_resume(entry: Entry, process: Process) -> Dict[str, Any]:
    """A gateway that is to go on."""
    return {**identity(process, "gateway"), "gateway": entry.spec.name}


def to_command(entry: Entry, process: Process, server: CommandServer, timeout: Optional[int] = None) -> Dict[str, Any]:
    """A gateway that is told something by IBC's command server. timeout: seconds until what it is told has come."""
    target = {
        "gateway": entry.spec.name,
        "port": entry.spec.port,
        "process": identity(process, "gateway"),
        "command_server": server.where.as_target(),
    }
    return target if timeout is None else {**target, "timeout": timeout}


def of_connection(
    entry: Entry, connection: ApiConnection, gateway: Process, holders: Sequence[Client]
) -> Dict[str, Any]:
    """An API connection by both ends, the kernel's cookie for the gateway's end, and all the processes that hold it.

    remote_host: only where nobody on this host holds the client's end, so that TCP alone can tell that it has gone.
    """
    elsewhere = connection.remote_host if not holders else None
    return {
        "gateway": entry.spec.name,
        "port": connection.port,
        "client": connection.client,
        "client_port": connection.client_port,
        "server": connection.server,
        "cookie": connection.cookie,
        "gateway_process": identity(gateway, "gateway"),
        "client_processes": [identity(each.process, "client") for each in holders if each.process],
        **({"remote_host": elsewhere} if elsewhere else {}),
    }


def to_wait_for(entry: Entry, what: str, seconds: Optional[int] = None) -> Dict[str, Any]:
    """What is waited for: listener or upstream.

    seconds: how long at most; None for those that the youngest gateway may still need to start.
    """
    target: Dict[str, Any] = {"gateway": entry.spec.name, "for": what, "port": entry.spec.port}
    if what == "listener":
        youngest = min((process.age for process in entry.processes), default=entry.unit_age or 0.0)
        left = entry.spec.start_timeout - youngest if youngest < entry.spec.start_timeout else entry.spec.start_timeout
        target["timeout"] = seconds or max(1, int(left) + 1)
    return target


def to_start(entry: Entry) -> Dict[str, Any]:
    """How an entry is started: its unit where it has one, its port, the seconds until that has to listen."""
    spec = entry.spec
    target: Dict[str, Any] = {"gateway": spec.name, "port": spec.port, "timeout": spec.start_timeout}
    if spec.service:
        target["service"] = spec.service
    if spec.container:
        target["container"] = spec.container.title
    return target


def to_restart(entry: Entry, process: Optional[Process]) -> Dict[str, Any]:
    """How an entry is restarted, and the process that has to end for it; None for a unit that is up without one.

    by: unit where the process belongs to the entry's unit, or nothing but that unit is there; container where the entry
    names one; else identity. beside: pids of gateways of other entries that end as well, because they are as broken.
    """
    if entry.spec.container is not None:
        found = {**to_start(entry), "by": BY_CONTAINER, "beside": sorted(each.pid for each in entry.also_broken())}
        return found if process is None else {**found, "process": to_end(entry, process, "gateway")}
    of_unit = entry.spec.any_unit is not None and (process is None or entry.in_unit(process))
    target = {**to_start(entry), "by": BY_UNIT if of_unit else BY_IDENTITY}
    if process is not None:
        target["process"] = to_end(entry, process, "gateway")
    return target
