"""Which units systemd stops or starts as well where one is started or stopped: what their files tie together. Pure.

shown: what systemctl shows of a unit, by systemd's names.
"""

from __future__ import annotations

from typing import List, Mapping, Sequence

#: The units that systemd stops when one ends, however that came: by a signal to its process as well.
_BY_ITS_END = ("BoundBy", "PropagatesStopTo")
#: Those that it stops as well, or restarts, where it is told to stop or to restart that one.
_BY_COMMAND = ("RequiredBy", "RequisiteOf", "ConsistsOf")
#: Those that it stops where it is told to start that one: either of the two files may say so.
_BY_START = ("Conflicts", "ConflictedBy")
#: Those that it starts when that one has ended. A JVM that was told to end ends with status 143, which is a failure.
AFTER_IT = ("OnFailure", "OnSuccess")
#: Those that it starts as well where it is told to start that one, or when that has ended. Requisite= starts nothing.
_PULLED_IN = ("Requires", "BindsTo", "Wants", "Upholds", *AFTER_IT)
#: Those without which it does not start that one.
_REQUIRED = ("Requires", "BindsTo", "Requisite")
PROPERTIES = (*_BY_ITS_END, *_BY_COMMAND, *_BY_START, *_PULLED_IN, "Requisite")

#: Nearly every unit is in conflict with these, so that it ends when the host goes down. Nobody lives in them.
_AT_SHUTDOWN = ("shutdown.target", "umount.target")
#: Nearly every unit pulls in some of these. They are systemd's own, and stop nobody's unit.
_OWN = (
    *("sysinit.target", "basic.target", "network.target", "network-online.target", "local-fs.target"),
    *("remote-fs.target", "time-sync.target", "dbus.socket"),
)
#: Kinds of units that run no program and stop none.
_NO_PROGRAMS = (".slice", ".mount", ".automount", ".swap", ".device")


def by_its_end(shown: Mapping[str, str]) -> List[str]:
    """The units that go down with it, however it ended."""
    return _named(shown, _BY_ITS_END)


def by_command(shown: Mapping[str, str]) -> List[str]:
    """The units that go down with it only where systemd is told to stop or restart it."""
    return _named(shown, _BY_COMMAND)


def by_start(shown: Mapping[str, str]) -> List[str]:
    """The units that systemd stops where it is told to start it."""
    return [name for name in _named(shown, _BY_START) if name not in _AT_SHUTDOWN]


def pulled_in(shown: Mapping[str, str]) -> List[str]:
    """The units that systemd starts as well where it is told to start it, or when it has ended; those left out that
    stop nobody's."""
    return [name for name in _named(shown, _PULLED_IN) if name not in _OWN and not name.endswith(_NO_PROGRAMS)]


def required(shown: Mapping[str, str]) -> List[str]:
    """The units without which systemd does not start it, its own ones left out."""
    names = dict.fromkeys(_named(shown, _REQUIRED))
    return [name for name in names if name not in _OWN and not name.endswith(_NO_PROGRAMS)]


def must_be_up(shown: Mapping[str, str]) -> List[str]:
    """Those of required() that systemd does not start with it."""
    return [name for name in _named(shown, ("Requisite",)) if name in required(shown)]


def any_of(shown: Mapping[str, str]) -> bool:
    """Whether anything is tied to it at all."""
    return bool(by_its_end(shown) or by_command(shown) or by_start(shown) or pulled_in(shown))


def _named(shown: Mapping[str, str], properties: Sequence[str]) -> List[str]:
    return [name for each in properties for name in shown.get(each, "").split()]
