"""The gateways that do not run and that one run would start: whom of them the start of another one would end.

Each start is asked again right before it is done, when the gateways that came before are there to be seen. What is told
here lets a plan and check mode say the same before.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..base.classify import gateway_kind
from ..base.host import Process
from ..base.plan import Entry
from ..base.redaction import redact_argv
from ..base.spec import TWS
from .base import StartCheck

#: Main classes of a gateway that nothing is known of but its entry: as its own launcher starts it, and as IBC does.
_CLASSES = ("install4j.ibgateway.GWClient", "ibcalpha.ibc.IbcGateway")
_CLASSES_OF_TWS = ("install4j.jclient.LoginFrame", "ibcalpha.ibc.IbcTws")


def ends_to_come(entries: Sequence[Entry], checks: Sequence[StartCheck]) -> List[Mapping[str, str]]:
    """For each entry, in their order: by the name of another one that does not run, the command that ends its gateway
    once that has come. Reads the scripts that starts run."""
    told: List[Dict[str, str]] = [{} for _entry in entries]
    expected = [() if entry.processes else to_come(entry, check) for entry, check in zip(entries, checks)]
    for place, check in enumerate(checks):
        others = [each for at, those in enumerate(expected) if at != place for each in those]
        if not others or _first(check, others) is None:
            continue
        for at, those in enumerate(expected):
            found = _first(check, those) if at != place and those else None
            if found is not None:
                told[place][entries[at].spec.name] = found
    return [MappingProxyType(each) for each in told]


def to_come(entry: Entry, check: StartCheck) -> Tuple[Process, ...]:
    """What a start of an entry brings, as far as it is known before: the command line that it runs, where that is a
    gateway's own; else what its launcher's and IBC's would have of it. A start that stops nothing has none. Pure."""
    starts = [each for each in check.runs if not each.stop]
    lines = [command for each in starts for command in each.commands if gateway_kind(command) is not None]
    uid = next((each.uid for each in starts if each.uid is not None), None)
    return tuple(_process(entry, line, uid) for line in lines or _assumed(entry))


def _assumed(entry: Entry) -> List[Tuple[str, ...]]:
    spec = entry.spec
    folder = ("-DjtsConfigDir=%s" % spec.config_dir,) if spec.config_dir else ()
    native, by_ibc = _CLASSES_OF_TWS if spec.product == TWS else _CLASSES
    ini = "%s/config.ini" % (spec.config_dir or "")
    return [
        ("java", *folder, native, *([spec.config_dir] if spec.config_dir else [])),
        ("java", *folder, by_ibc, ini, spec.trading_mode),
    ]


def _process(entry: Entry, argv: Sequence[str], uid: Optional[int]) -> Process:
    unit, user_unit = entry.spec.unit, entry.spec.user_unit
    return Process(
        pid=0,
        started_ticks=0,
        boot_id="",
        ppid=0,
        user=entry.spec.user or "",
        age=0.0,
        started_at=0.0,
        argv=tuple(argv),
        command=redact_argv(argv),
        argv_digest="",
        unit=unit,
        user_unit=user_unit,
        uid=uid,
    )


def _first(check: StartCheck, others: Sequence[Process]) -> Optional[str]:
    """The first command of a start that ends one of the others, redacted; None where none is known to."""
    from ..observe.ended_by_start import ended_by_start

    for runs in check.runs:
        found = ended_by_start(runs.commands, runs.uid, others, runs.folder) if runs.uid is not None else None
        if found is not None:
            from .ending_words import told_command

            return told_command(found)
    return None
