"""Whom else the commands would end that a start of an entry's gateway runs, or a stop before it."""

from __future__ import annotations

import re
import sys
from typing import Iterable, List, Mapping, Optional, Pattern, Sequence

from ..base.classify import matches_any
from ..base.host import Process
from ..base.plan import Entry
from ..base.short_command import short
from .base import StartCheck


def ends_others(
    entry: Entry, start_check: StartCheck, processes: Mapping[int, Process], guarded: Sequence[str]
) -> Optional[str]:
    """Why a start of the entry, or a stop before it, would cost another gateway its life, or a script that is protected
    or works on another gateway; None where it is not known to.

    processes: as with_guarded() gives them; guarded: what protected_clients of any entry name.
    """
    if not start_check.runs:
        return None
    patterns = [re.compile(pattern) for pattern in guarded]
    own = {each.pid for each in entry.processes}
    worth = {pid: _worth(each, entry, patterns) for pid, each in processes.items() if pid not in own}
    others = [processes[pid] for pid, what in worth.items() if what]
    if not others:
        return None
    from ..observe.ended_by_start import ended_by_start
    from .orders import asks

    for runs in start_check.runs:
        if runs.uid is None:
            continue
        found = ended_by_start(runs.commands, runs.uid, others, runs.folder, asks())
        if found is not None:
            from .ending_words import told_command, told_end

            whom = found.process
            text = "what %s it runs %s, which %s %s pid %d (%s) as well: have it name its own gateway alone"
            how = "stops" if runs.stop else "starts"
            return text % (how, told_command(found), told_end(found), worth[whom.pid], whom.pid, short(whom.command))
    return None


def staying(entries: Iterable[Entry], guarded: Sequence[str]) -> List[Process]:
    """The scripts that nothing may end which is done for any of the entries: who has a session on a gateway of one, and
    whom protected_clients names, connected or not. guarded: as with_guarded() has it."""
    clients = [each for entry in entries for each in entry.clients]
    at_work = {each.process.pid: each.process for each in clients if each.process and (each.working or each.protected)}
    return list(with_guarded(at_work, guarded).values())


def with_guarded(processes: Mapping[int, Process], guarded: Sequence[str]) -> Mapping[int, Process]:
    """What a look has described, and whom protected_clients names, connected or not: it describes those alone that have
    to do with an API. Reads every command line of the host."""
    if not guarded or not sys.platform.startswith("linux"):
        return processes
    from ..observe.linux import whose_words

    return {**whose_words([re.compile(pattern) for pattern in guarded]), **processes}


def _worth(process: Process, entry: Entry, patterns: Sequence[Pattern[str]]) -> str:
    """What a process is that nobody may end beside the entry's gateway; empty for any other."""
    if process.gateway is not None:
        return "gateway"
    if matches_any(patterns, process.command):
        return "the protected"
    return "a script at work on another gateway," if process.pid in entry.busy_elsewhere else ""
