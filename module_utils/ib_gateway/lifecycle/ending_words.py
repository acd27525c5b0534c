"""How a command is told that would end another gateway: where it stands, and as much of it as may be shown."""

from __future__ import annotations

import re
from typing import Sequence

from ..base.command_line import run_of
from ..base.redaction import HIDDEN, mask_text, redact_argv, without_controls
from ..base.short_command import short
from ..base.words import program_name
from ..observe.ended_by_start import Ending

#: What many such patterns are made of, and nobody's secret.
_KNOWN = frozenset(
    (
        *("java", "javaw", "gwclient", "ibgateway", "ibcgateway", "ibcalpha", "ibcstart", "ibc"),
        *("gateway", "jts", "tws", "ib", "ibg", "xvfb"),
    )
)
_BRACKETS = re.compile(r"[\[\]]")
_SIGNS = re.compile(r"[\^$.*|\\/]+")
_SWITCH = re.compile(r"^-[a-zA-Z0-9]{1,5}$")
_PROGRAMS = ("pkill", "killall", "pgrep", "pidof", "grep")
_LEAST = 4


def told_command(found: Ending) -> str:
    """The command and its place: `pkill -f java` in line 3 of /opt/ibc/start.sh."""
    whom = " ".join(found.process.command)
    shown = list(redact_argv(found.words))
    # What stands before the program is for another one, as a password for sshpass.
    program = run_of(found.words).program
    known = program is not None and program_name(found.words[program:]) in _PROGRAMS
    for place, word in enumerate(found.words) if known else ():
        harmless = _SWITCH.match(word) or _is_known(word) or (len(word) >= _LEAST and word in whom)
        if place > (program or 0) and harmless and HIDDEN in shown[place]:
            shown[place] = word
    told = "`%s`" % short(shown)
    if found.script is not None and found.line:
        told += " in line %d of %s" % (found.line, mask_text(without_controls(found.script)))
    return told


def told_end(found: Ending) -> str:
    """What it does, to be followed by whom."""
    return "finds, for a kill near it," if found.finds else "ends"


def _is_known(word: str) -> bool:
    """Whether a pattern has nothing in it but names that everybody knows."""
    pieces: Sequence[str] = [each for each in _SIGNS.split(_BRACKETS.sub("", word.lower())) if each]
    return bool(pieces) and all(each in _KNOWN for each in pieces)
