"""What IBC's command server is asked for: a new process that keeps the login, the link to the broker anew. Pure.

Only of a gateway that has logged in, and only where the server was found to be that gateway's own. Whatever is not
proven leaves the plan as it would be without a command server.
"""

from __future__ import annotations

from typing import List

from ..base import findings
from ..base.actions import RECONNECT, SOFT_RESTART
from ..base.command_server import RESTARTS_WITHIN
from ..base.host import Process
from ..base.plan import Diagnosis, Entry, Step
from . import targets


def steps(entry: Entry, process: Process, code: str, persists: bool) -> List[Step]:
    """The restart that keeps the login; nothing where it could not work, or nothing proves that it could.

    It takes IBC's own loop, which starts the next process with the token of this one, and a login that the broker has
    not ended since. A login that is under way is never interrupted.
    """
    server = entry.command_server(process)
    if server is None or not server.loop or server.login_due or not _logged_in(entry, process):
        return []
    reason = "IBC brings a new gateway process with the login kept, which ends %s" % code
    target = {**targets.to_command(entry, process, server, RESTARTS_WITHIN), "own_time": server.own_time}
    return [Step(SOFT_RESTART, entry.spec.name, target, reason, code, persists)]


def reconnect(entry: Entry, process: Process, code: str) -> List[Step]:
    """The link to the broker made anew; nothing where this host has no way to the broker, or nothing proves it."""
    server = entry.command_server(process)
    if server is None or not server.route or not _logged_in(entry, process):
        return []
    reason = "this host's network is fine, so the gateway may hang on a link that is gone"
    target = targets.to_command(entry, process, server)
    return [Step(RECONNECT, entry.spec.name, target, reason, code, only_if_persists=True)]


def who_is_needed(entry: Entry, process: Process) -> str:
    """What a restart needs from a person, in words that follow its reason; empty where nothing tells."""
    server = entry.command_server(process)
    if server is None or not server.loop or not server.login_due:
        return ""
    return (
        "; a person has to give the second factor, because the broker ends all logins on Sunday at 01:00 New York, and "
        "this one is from before"
    )


def in_reset_window(diagnosis: Diagnosis) -> bool:
    """Whether the link to the broker is down while the broker resets its servers."""
    return any(
        each.code == findings.UPSTREAM_DOWN.code and each.evidence.get("reset_window") for each in diagnosis.findings
    )


def _logged_in(entry: Entry, process: Process) -> bool:
    """Whether its login has completed in this life: the port opens only then. One that is stopped answers nothing."""
    served = process in entry.owners() or entry.has_served(process)
    return served and not process.frozen
