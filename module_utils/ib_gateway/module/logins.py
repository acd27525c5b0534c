"""Joins an entry with the state of its login: the log of its gateway, or of what keeps it, and what the tables show."""

from __future__ import annotations

from typing import Optional, Tuple

from ..base.host import Keeper, Process, Snapshot
from ..base.ibc_words import LoginLog
from ..base.plan import Entry
from ..decide.login import LoginFacts, state_of
from ..observe import ibc_log

#: Scripts of IBC, which end when their loop does; an xterm only shows one of them.
_IBC_SCRIPTS = ("ibcstart.sh", "displaybannerandlaunch.sh", "gatewaystart.sh", "xterm")


def with_login(entry: Entry, snapshot: Snapshot) -> Entry:
    """The entry with the state of its login, for one that does not own its port.

    Several gateways of one entry may write to one log; then nothing is asked.
    """
    if len(entry.processes) == 1 and not entry.elsewhere:
        process = entry.processes[0]
        return entry._replace(login=state_of(_of_gateway(process, snapshot), _facts(entry, process, snapshot)))
    absent = not (entry.processes or entry.elsewhere or entry.ambiguous or entry.unplaced or entry.claimants)
    if absent and entry.keepers:
        log, keeper = _of_keepers(entry, snapshot)
        facts = LoginFacts(
            now=snapshot.taken_at,
            started_at=None if keeper is None else snapshot.taken_at - keeper.age,
            launcher_alive=True,
            only_scripts=all(each.name.lower() in _IBC_SCRIPTS for each in entry.keepers),
            start_timeout=entry.spec.start_timeout,
        )
        return entry._replace(login=state_of(log, facts))
    return entry


def _facts(entry: Entry, process: Process, snapshot: Snapshot) -> LoginFacts:
    return LoginFacts(
        now=snapshot.taken_at,
        pid=process.pid,
        age=process.age,
        started_at=process.started_at,
        launcher_alive=bool(entry.keepers),
        served_before=entry.has_served(process),
        unanswered=process.unanswered,
        start_timeout=entry.spec.start_timeout,
    )


def _of_gateway(process: Process, snapshot: Snapshot) -> Optional[LoginLog]:
    """Its own output; else that of the keeper which carries it."""
    carrying = [each for each in snapshot.keepers if process.pid in each.gateways and not each.supervises]
    others = _others(snapshot, process.pid, *(each.pid for each in carrying))
    for pid in (process.pid, *(each.pid for each in carrying)):
        found = ibc_log.read(pid, process.started_at, others)
        if found is not None:
            return found
    return None


def _of_keepers(entry: Entry, snapshot: Snapshot) -> Tuple[Optional[LoginLog], Optional[Keeper]]:
    others = _others(snapshot, *(each.pid for each in entry.keepers))
    for keeper in entry.keepers:
        if not keeper.supervises:
            found = ibc_log.read(keeper.pid, snapshot.taken_at - keeper.age, others)
            if found is not None:
                return found, keeper
    return None, None


def _others(snapshot: Snapshot, *own: int) -> Tuple[int, ...]:
    """The other gateways and what keeps them: what one of them writes to as well tells nothing of this one."""
    gateways = [each.pid for each in snapshot.processes.values() if each.gateway]
    keepers = [each.pid for each in snapshot.keepers if not each.supervises]
    return tuple(pid for pid in (*gateways, *keepers) if pid not in own)
