"""What systemd, and the file of a unit, tell of whether a start of the unit can succeed.

The judgement is pure; below it stands what reads the facts: one call to systemctl, and a look at account, program,
folder and environment files that the unit names.
"""

from __future__ import annotations

import os
import re
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ..base.plain_text import plain_text
from ..base.unit import UnitState
from . import program, systemctl
from .accounts import PATH, Account, account_of, cannot_enter, is_group, with_groups
from .unit_commands import ELSEWHERE, as_root_of

#: Asks one systemd about several units: what systemctl shows of each, in their order.
Show = Callable[[Sequence[str]], List[Dict[str, str]]]

_PATH_OF_EXEC = re.compile(r"\{ path=(.*?) ; argv\[\]=(.*?) ; ignore_errors=")


class UnitFacts(NamedTuple):
    """What speaks for and against the start of a unit. state: None where systemd does not answer; silence: why not.

    whose: of whom the unit is, for a person. may_manage: whether this run may start units there. elsewhere: what to
    correct where another systemd of this host has a unit of that name. obstacle: what its file names and cannot be
    used. without_display: whether it starts what needs a display, and gives it none. losing: whether a gateway runs,
    which would be ended first.
    """

    unit: str
    state: Optional[UnitState]
    whose: str = "the system's"
    silence: str = ""
    may_manage: bool = True
    elsewhere: str = ""
    obstacle: Optional[str] = None
    without_display: bool = False
    losing: bool = False


def blocker(facts: UnitFacts) -> Optional[str]:
    """Why a start of the unit must fail, with the cure; None where nothing speaks against it. Pure."""
    if not facts.may_manage:
        return "this run is not root and may not start %s: run with become" % facts.unit
    if facts.state is None:
        return "systemd cannot be asked about %s: %s" % (facts.unit, facts.silence)
    return _unloaded(facts, facts.state) or _busy(facts.state) or _unusable(facts)


def _unloaded(facts: UnitFacts, state: UnitState) -> Optional[str]:
    """Why systemd has nothing that it could start."""
    unit, user = facts.unit, "--user " if state.account else ""
    by_whom = " as %s" % state.account if state.account else ""
    if state.load == "not-found":
        cure = facts.elsewhere or "correct the entry's service, or install the unit"
        return "%s systemd knows no unit %s: %s" % (facts.whose, unit, cure)
    if state.load == "masked":
        return "%s is masked, so that nothing can start it: systemctl %sunmask %s%s" % (unit, user, unit, by_whom)
    if state.load != "loaded":
        why = state.load_error or state.load
        text = "systemd cannot load %s (%s): mend its file, then systemctl %sdaemon-reload%s"
        return text % (unit, why, user, by_whom)
    if state.host_action:
        what = "all that %s's systemd carries" % state.account if state.account else "the whole host"
        text = "systemd would act on %s where %s ends or does not start (%s): restart it by hand"
        return text % (what, unit, state.host_action)
    if not state.may_be_started:
        return "%s may not be started by hand (RefuseManualStart=): name the unit that starts it" % unit
    return None


def _busy(state: UnitState) -> Optional[str]:
    """Why systemd is at it already."""
    if state.comes_back:
        return "systemd is about to start %s again by itself: wait for it" % state.name
    if state.active == "deactivating":
        return "%s is being stopped by somebody: wait until it has stopped" % state.name
    return None


def _unusable(facts: UnitFacts) -> Optional[str]:
    """Why what the unit's file names cannot start a gateway."""
    if facts.obstacle:
        return "%s cannot start: %s" % (facts.unit, facts.obstacle)
    if facts.without_display:
        return (
            "%s would start a gateway without a display, and it would end at once with HeadlessException: "
            "give it Environment=DISPLAY=, or start it through xvfb-run" % facts.unit
        )
    return None


# --- reading ---------------------------------------------------------------------------------------------------------


def show_each(units: Sequence[str], show: Show) -> Dict[str, Dict[str, str]]:
    """By unit, what systemd says of it; {"error": why} where it says nothing.

    Where it refuses to speak of one of them, as of a name that is none, the others are asked alone; where it does not
    answer in time, nobody is asked again.
    """
    names = list(dict.fromkeys(units))
    try:
        return dict(zip(names, show(names)))
    except systemctl.UnitError as error:
        if len(names) == 1 or error.pending:
            return {name: {"error": str(error)} for name in names}
    return {name: show_each([name], show)[name] for name in names}


def state_of(unit: str, shown: Mapping[str, str], account: Optional[str]) -> Optional[UnitState]:
    """A unit's state, from what systemctl shows of it; None where it shows nothing. Pure."""
    if "error" in shown:
        return None
    return UnitState(
        name=unit,
        load=shown.get("LoadState", "loaded"),
        active=shown.get("ActiveState", "inactive"),
        sub=shown.get("SubState", ""),
        result=shown.get("Result", "success"),
        kind=shown.get("Type", ""),
        remains_after_exit=shown.get("RemainAfterExit") == "yes",
        may_be_started=shown.get("CanStart", "yes") != "no",
        load_error=plain_text(shown.get("LoadError", "").partition(" ")[2].strip('"')),
        exit_status=_number(shown.get("ExecMainStatus", "")),
        restarts=_number(shown.get("NRestarts", "")),
        start_limit=_number(shown.get("StartLimitBurst", "")),
        account=account,
        kills_after=kills_after(shown),
        leaves_behind=shown.get("KillMode") in _LEAVING,
        host_action=next(("%s=%s" % (each, shown[each]) for each in _HOST_ACTIONS if _acts(shown, each)), ""),
        skipped=_was_skipped(shown),
        ended_ago=_ended_ago(shown.get("InactiveEnterTimestampMonotonic", "")),
    )


def _was_skipped(shown: Mapping[str, str]) -> bool:
    """Whether a condition has kept systemd from the last start. It also says no of a unit that it never asked about."""
    asked = shown.get("ConditionTimestampMonotonic", "1") not in ("", "0")
    return (asked and shown.get("ConditionResult") == "no") or shown.get("Result") == "exec-condition"


_SIGKILL = "9"
#: With these, a stop of a unit does not end all that lives in it.
_LEAVING = ("process", "none")
#: What systemd can do to the whole host where a unit ends, fails, or is started too often.
_HOST_ACTIONS = ("FailureAction", "SuccessAction", "StartLimitAction", "JobTimeoutAction")


def _acts(shown: Mapping[str, str], key: str) -> bool:
    return shown.get(key, "none") not in ("", "none")


#: Seconds by the words in which systemctl tells spans of time.
_SPANS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "month": 2629800,
    "y": 31557600,
}


def kills_after(shown: Mapping[str, str]) -> Optional[float]:
    """Seconds after which systemd kills what a stop of the unit has not ended; None where it never does. Pure."""
    if shown.get("KillMode") != "none" and _SIGKILL in (shown.get("KillSignal"), shown.get("RestartKillSignal")):
        return 0.0
    span = re.findall(r"([0-9.]+)(us|ms|s|min|h|d|w|month|y)\b", shown.get("TimeoutStopUSec", ""))
    if shown.get("SendSIGKILL") != "yes" or not span or shown.get("KillMode") in _LEAVING:
        return None
    return sum(float(count) * _SPANS[word] for count, word in span)


def _ended_ago(microseconds: str) -> Optional[float]:
    """Seconds since a unit ended, by systemd's clock. 0 stands for none that it knows of: it forgets units at rest."""
    return time.monotonic() - int(microseconds) / 1e6 if microseconds.isdecimal() else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def trouble_of(shown: Mapping[str, str], account: Optional[Account]) -> Optional[str]:
    """What a unit's file names and cannot be used; None where all of it can, or cannot be looked at from here.

    What was there when the gateway that runs was started may be gone, as after an upgrade. account: whose systemd it
    is; None for the system's.
    """
    if any(shown.get(each) for each in ELSEWHERE) or shown.get("DynamicUser") == "yes":
        return None
    user = shown.get("User", "")
    runs_as = account or account_of(user or "root")
    if runs_as is None:
        return None if user.isdecimal() else "this host has no account %s (User=)" % user
    for setting in ("Group", "SupplementaryGroups"):
        unknown = next((each for each in shown.get(setting, "").split() if not is_group(each)), None)
        if unknown:
            return "this host has no group %s (%s=)" % (unknown, setting)
    from . import unit_places  # a host whose gateways are started by commands does not need it

    runs_as = with_groups(runs_as, (shown.get("Group", "") + " " + shown.get("SupplementaryGroups", "")).split())
    return (
        _missing_environment(shown)
        or _unusable_folder(shown, runs_as)
        or _unusable_program(shown, runs_as)
        or unit_places.gone(shown)
    )


def _missing_environment(shown: Mapping[str, str]) -> Optional[str]:
    for line in shown.get("EnvironmentFiles", "").splitlines():
        path, _, ignored = line.partition(" (ignore_errors=")
        if ignored.startswith("no") and not re.search(r"[*?\[]", path) and not os.path.exists(path):
            return "its EnvironmentFile= %s does not exist" % path
    return None


def _unusable_folder(shown: Mapping[str, str], account: Account) -> Optional[str]:
    folder = shown.get("WorkingDirectory", "")
    obstacle = cannot_enter(folder, account) if folder.startswith("/") else None
    return "its WorkingDirectory= %s %s" % (folder, obstacle) if obstacle else None


def _unusable_program(shown: Mapping[str, str], account: Account) -> Optional[str]:
    needed = [line for line in shown.get("ExecStartPre", "").splitlines() if " ; ignore_errors=no" in line]
    as_root = as_root_of(shown, ("ExecStartPre", "ExecStart"))
    root = account_of("root") or account
    for path, argv in _PATH_OF_EXEC.findall("\n".join([*needed, shown.get("ExecStart", "")])):
        # systemd looks a bare name up in folders of its own, unless the file names others.
        if path.startswith("/") or not shown.get("ExecSearchPath"):
            found = program.examine([path], "/", root if argv in as_root else account, {"PATH": PATH})
            if found.obstacle:
                return "its program %s %s" % (found.name, found.obstacle)
    return None


def lacks_display(shown: Mapping[str, str], account: Optional[Account]) -> bool:
    """Whether a unit starts a program that needs a display and is given none."""
    if (
        "DISPLAY=" in shown.get("Environment", "")
        or shown.get("EnvironmentFiles")
        or "DISPLAY" in shown.get("PassEnvironment", "")
    ):
        return False
    who = account or account_of(shown.get("User") or "root")
    paths = [path for path, _argv in _PATH_OF_EXEC.findall(shown.get("ExecStart", "")) if path.startswith("/")]
    if who is None or len(paths) != 1 or re.search(r"\bDISPLAY=", shown.get("ExecStart", "")):
        return False
    return program.examine(paths, "/", who, {"PATH": PATH}).display == program.NEEDS
