"""Looks closer where a port is not served or something is wrong: what brings gateways, who may not be ended, whether
a start can succeed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Dict, List, Sequence, Tuple

from ..base.findings import GATEWAY_COMING_UP, GATEWAY_NOT_RUNNING
from ..base.host import Keeper, Snapshot
from ..base.plan import Diagnosis, Entry
from ..base.spec import GatewaySpec
from ..decide.assign import entries_of
from ..decide.diagnosis import diagnose

if TYPE_CHECKING:
    from ..observe.start_commands import StartCommands

#: What an entry has whose gateway is missing.
_MISSING = {GATEWAY_NOT_RUNNING.code, GATEWAY_COMING_UP.code}


def keepers_of(found: Snapshot, specs: Sequence[GatewaySpec]) -> Tuple[Keeper, ...]:
    """What brings gateways, on a system that can be asked."""
    if not sys.platform.startswith("linux"):
        return ()
    from ..observe.keepers import keepers

    gateways = [process.pid for process in found.processes.values() if process.gateway]
    return keepers(gateways, _ended([spec.name for spec in specs if spec.startable]), _commands(specs))


def _commands(specs: Sequence[GatewaySpec]) -> StartCommands:
    """By entry, its start_command and where that would be run."""
    by_command = [spec for spec in specs if spec.start_method == "command"]
    if not by_command:
        return {}
    from ..lifecycle.accounts import account_of
    from ..lifecycle.command import folder_of
    from ..observe.start_commands import StartCommand

    found = {}
    for spec in by_command:
        account = account_of(spec.user)
        if account is not None:
            found[spec.name] = StartCommand(spec.start_command, folder_of(spec, account))
    return found


def _ended(names: Sequence[str]) -> Dict[str, Tuple[Tuple[int, int], ...]]:
    """By entry, what its gateway ran below when a repair ended that."""
    if not names:
        return {}
    from ..lifecycle.environment import parents_of_ended  # only a gateway that can be started was ended by a repair

    return {name: parents_of_ended(name) for name in names}


def told_apart(
    specs: Sequence[GatewaySpec], snapshot: Snapshot, found: List[Diagnosis], reset_window: str
) -> Tuple[Snapshot, List[Diagnosis]]:
    """The same with relays before API ports, and what carries a gateway, told apart from scripts: nobody may end
    them."""
    if not any(each.entry.clients for each in found) or not sys.platform.startswith("linux"):
        return snapshot, found
    from ..observe.relays import with_relays

    told = _with_carriers(with_relays(snapshot))
    if told is snapshot:
        return snapshot, found
    clients = {entry.spec.name: entry.clients for entry in entries_of(specs, told)[0]}
    entries = [each.entry._replace(clients=clients[each.entry.spec.name]) for each in found]
    return told, [diagnose(entry, told, each.probe, reset_window) for entry, each in zip(entries, found)]


def _with_carriers(snapshot: Snapshot) -> Snapshot:
    """The same with what a gateway runs below: a bot that started it, as ib_insync's Watchdog does."""
    from ..observe.processes import ancestors

    above = {pid for each in snapshot.processes.values() if each.gateway for pid in ancestors(each.pid) - {1}}
    found = {pid: each for pid, each in snapshot.processes.items() if pid in above and not each.gateway}
    if not found:
        return snapshot
    told = {pid: each._replace(carries=True) for pid, each in found.items()}
    return snapshot._replace(processes={**snapshot.processes, **told})


def with_starts(found: List[Diagnosis], snapshot: Snapshot, reset_window: str, login_reset: float) -> List[Diagnosis]:
    """The diagnoses; where something is wrong, made anew with what their units say and whether a start can succeed.

    reset_window, login_reset: as look.Hints has them.
    """
    unsure = not snapshot.visibility.privileged
    if not any(each.codes and (unsure or each.entry.spec.startable) for each in found):
        return found
    from ..lifecycle.start_check import foresee

    told = foresee(found, snapshot)
    kept = snapshot.keepers or keepers_of(snapshot, [each.entry.spec for each in found])
    told = [_looked_at(each, kept, snapshot) for each in told]
    if sys.platform.startswith("linux"):
        from .command_servers import with_command_servers

        told = with_command_servers(told, login_reset)
    return [diagnose(each.entry, snapshot, each.probe, reset_window) for each in told]


def _looked_at(found: Diagnosis, kept: Sequence[Keeper], snapshot: Snapshot) -> Diagnosis:
    """The diagnosis, whose entry knows what brings its gateway, when the last one lived, and where it runs."""
    entry = _carried(found.entry, kept)
    entry = _with_last_life(entry, found, snapshot)
    entry = _with_cron(entry, found, snapshot)
    return found._replace(entry=_with_contained(entry, found))


def with_waits(found: List[Diagnosis], snapshot: Snapshot, reset_window: str) -> List[Diagnosis]:
    """The diagnoses, with whether those whom a plan would signal wait in the kernel, where no signal reaches them."""
    if not any(each.codes for each in found) or not sys.platform.startswith("linux"):
        return found
    from .reachable import with_waits as asked

    return asked(found, snapshot, reset_window)


def _carried(entry: Entry, kept: Sequence[Keeper]) -> Entry:
    pids = {process.pid for process in entry.processes}
    return entry._replace(carriers=tuple(each for each in kept if each.gateways & pids))


def _with_contained(entry: Entry, found: Diagnosis) -> Entry:
    """The entry; of one with something wrong, with which of its gateways live in a process namespace of their own."""
    if not found.codes or not sys.platform.startswith("linux"):
        return entry
    from ..observe.processes import pid_inside

    below = frozenset(process.pid for process in entry.processes if pid_inside(process.pid) is not None)
    return entry._replace(contained=below) if below else entry


def _with_last_life(entry: Entry, found: Diagnosis, snapshot: Snapshot) -> Entry:
    """The entry; of one whose gateway is missing, with when one last wrote to its settings folder."""
    if not found.codes & _MISSING or not sys.platform.startswith("linux"):
        return entry
    from ..observe.signs_of_life import last_written, settings_folder

    entry = entry._replace(keepers_hidden=not snapshot.visibility.processes)
    folder = settings_folder(entry.spec)
    written = last_written(folder) if folder else None
    if folder is None or written is None:
        return entry
    shared = any(
        each.gateway and (each.folder == folder or (each.folder is None and entry.spec.user in (None, each.user)))
        for each in snapshot.processes.values()
    )
    return entry._replace(written_ago=snapshot.taken_at - written, folder_shared=shared)


def _with_cron(entry: Entry, found: Diagnosis, snapshot: Snapshot) -> Entry:
    """The entry; of one whose gateway is missing and could be started, with the line of a cron table that starts it."""
    spec = entry.spec
    apart = not spec.startable or spec.container is not None
    if apart or not found.codes & _MISSING or not sys.platform.startswith("linux"):
        return entry
    from ..observe.crontabs import next_start

    folder = snapshot.folders.get(spec.config_dir or "")
    account = spec.user or (folder and folder.owner) or snapshot.visibility.user
    return entry._replace(cron=next_start(spec, account, snapshot.taken_at, snapshot.visibility.processes))
