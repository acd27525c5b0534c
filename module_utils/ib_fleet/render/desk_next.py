"""What the doctor says at the end: how all hosts are, in one line, and what to type next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..document import desk_inventory
from ..document.next_commands import ALLOW
from ..document.text import counted
from .desk import COMING, Host
from .layout import Line
from .wording import EXPLAINED

#: The file in examples.
_FILE = "desk.yml"
#: By status, from worst to best, how one gateway is and how several are.
_STATES = {
    "unhealthy": ("does not work", "do not work"),
    "unknown": ("cannot be judged", "cannot be judged"),
    "degraded": ("needs attention", "need attention"),
    "healthy": ("works", "work"),
}
#: Keys without which a repair cannot be finished, or goes by a guess.
_NEEDED = ("start_command", "port", "trading_mode")


class Commands(NamedTuple):
    """The commands of this run's user, as they work where this run was started. written: the inventory that this run
    has written, empty for none; options: what a next command takes over; passwords: those of them that say where
    passwords come from, which what was written cannot hold; made: whether make started this run."""

    doctor: str
    remediate: str
    sweep: str
    options: str = ""
    written: str = ""
    made: bool = False
    local: bool = True
    passwords: str = ""

    def by_written(self) -> str:
        """The options of a command that goes by what was written."""
        return ("-i %s %s" % (self.written, self.passwords)).rstrip()


def summary(hosts: Sequence[Host]) -> Line:
    """How all of it is."""
    gateways = [each for host in hosts if host.desk for each in host.desk["health"]["gateways"]]
    lost = sum(host.desk is None for host in hosts)
    counts = [(_count(gateways, status), words) for status, words in _STATES.items()]
    parts = ["%d %s" % (number, one if number == 1 else more) for number, (one, more) in counts if number]
    found = "%s on %s%s" % (
        counted(len(gateways), "gateway"),
        counted(len(hosts), "host"),
        ": %s" % ", ".join(parts) if parts else "",
    )
    tone = next((status for status in _STATES if _count(gateways, status)), "unknown")
    return Line(found + ("; %s could not be looked at" % counted(lost, "host") if lost else ""), tone=tone)


def _count(gateways: Sequence[Mapping[str, Any]], status: str) -> int:
    return sum(each["status"] == status for each in gateways)


def next_lines(hosts: Sequence[Host], commands: Commands) -> Iterator[Line]:
    """What to type next, in the order in which it helps."""
    seen = [host for host in hosts if host.desk is not None]
    gateways = [each for host in seen if host.desk for each in host.desk["health"]["gateways"]]
    broken = [each for each in gateways if each["status"] in ("unhealthy", "degraded")]
    if any(each["findings"] for each in gateways):
        yield Line(EXPLAINED)
    steps = list(_steps(seen, gateways, broken, commands))
    if steps:
        yield Line("")
        yield Line("Next", tone="title")
    for number, (text, command) in enumerate(steps, start=1):
        yield Line(text, 1, "%d. " % number)
        if command:
            yield Line(command, 3, whole=True)


def _steps(
    hosts: Sequence[Host],
    gateways: Sequence[Mapping[str, Any]],
    broken: Sequence[Mapping[str, Any]],
    commands: Commands,
) -> Iterator[tuple[str, str]]:
    if _blind(hosts, gateways):
        yield "Look again as root, who sees every process and socket:", _as_root(commands)
        if not commands.written and all(each["status"] == "unknown" for each in gateways):
            return  # an inventory of what could not be seen would be one of guesses
    waiting = [each for each in broken if each["verdict"] in COMING]
    if waiting and len(waiting) == len(broken):
        yield "Wait for the login, confirm its second factor if one is asked for, and look again:", _again(commands)
        if commands.written:
            yield from _to_put_in(hosts, (), commands)
        return
    if commands.written:
        yield from _after_writing(hosts, broken, commands)
    elif _proposals(hosts):
        why = "To have it repaired, write down what was found" if broken else "To watch it from now on, write it down"
        yield "%s as an inventory:" % why, _writing(commands)
    elif broken:
        yield "See what a repair would do, without doing it:", _repair(commands, " --check --diff")


def _after_writing(
    hosts: Sequence[Host], broken: Sequence[Mapping[str, Any]], commands: Commands
) -> Iterator[tuple[str, str]]:
    yield from _to_put_in(hosts, broken, commands)
    if all(desk_inventory.refusal(each) for each in _proposals(hosts)):
        return  # the file has comments alone, and a run by it would find no host
    if not broken:
        yield "Look by this inventory from now on:", "%s %s" % (commands.sweep, commands.by_written())
        return
    yield "See what a repair would do, without doing it:", _repair(commands, " --check --diff")
    yield "Repair it, and have it proven:", _repair(commands, "")


def _to_put_in(
    hosts: Sequence[Host], broken: Sequence[Mapping[str, Any]], commands: Commands
) -> Iterator[tuple[str, str]]:
    """What a person adds to the file that was written; nothing where it has all."""
    proposals = _proposals(hosts)
    left_out = sum(bool(desk_inventory.refusal(each)) for each in proposals)
    missing = [
        note["key"]
        for each in proposals
        if not desk_inventory.refusal(each)
        for note in each["notes"]
        if note["key"] in each["guessed"] or (broken and note["key"] in _NEEDED and note["key"] not in each["entry"])
    ]
    edits = ["%s in the entry that may be repaired" % ALLOW] if broken else []
    if missing:
        edits.append("put in what its comments ask for: %s" % ", ".join(dict.fromkeys(missing)))
    if left_out:
        told = "put in %s that %s left out, for the reasons in its comments"
        edits.append(told % (counted(left_out, "gateway"), "was" if left_out == 1 else "were"))
    if edits:
        yield "Open %s; %s." % (commands.written, "; ".join(edits)), ""


def _proposals(hosts: Sequence[Host]) -> list[Mapping[str, Any]]:
    return [each for host in hosts for each in (host.desk or {}).get("proposals", ())]


def _repair(commands: Commands, more: str) -> str:
    options = commands.by_written() if commands.written else commands.options
    return "%s %s%s" % (commands.remediate, options, more)


def _blind(hosts: Sequence[Host], gateways: Sequence[Mapping[str, Any]]) -> bool:
    unprivileged = [host for host in hosts if host.desk and not host.desk["health"]["visibility"]["privileged"]]
    unsure = any(each["status"] == "unknown" for each in gateways) or not gateways
    return bool(unprivileged) and unsure


def _as_root(commands: Commands) -> str:
    if commands.local:
        return "sudo make doctor" if commands.made else "sudo %s" % commands.doctor
    return "%s %s -b -K" % (commands.doctor, commands.options)


def _again(commands: Commands) -> str:
    return "make doctor" if commands.made else ("%s %s" % (commands.doctor, commands.options)).rstrip()


def _writing(commands: Commands) -> str:
    if commands.made:
        return "make doctor WRITE=%s" % _FILE
    return ("%s %s" % (commands.doctor, commands.options)).rstrip() + " -e ib_write_inventory=%s" % _FILE
