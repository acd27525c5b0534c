"""A cron table: what each of its lines runs, and when that is due next. Pure.

Read is what Debian's cron, cronie and busybox's crond agree on. A line that one of them takes otherwise, or whose time
nothing here tells (another time zone, a random minute, @reboot), is left out.
"""

# Annotations are evaluated here: NamedTuple would compile each one that is only text.
import re
import time
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

#: Seconds within which a line's next start is waited for: `*/5` is what people write who want a gateway kept up.
WAITED_FOR = 300
#: And that are waited on after it: cron starts its jobs within the minute's first seconds, and a script may look first.
AFTER_START = 30
_MOST_LINES = 1000
#: Cron itself takes commands of 1000 characters.
_MOST_LENGTH = 4096
_MINUTE = 60

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Lowest and highest value of each field, and the names that stand for numbers in it.
_FIELDS: Tuple[Tuple[int, int, Dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 7, {name: number for number, name in enumerate(_WEEKDAYS)}),
)
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_NUMBER = re.compile(r"[0-9]{1,3}")
_SETTING = re.compile(r"\s*([\"']?)([A-Za-z_]\w*)\1\s*=")
#: The minus tells some crons not to log.
_LINE = re.compile(r"[ \t]*-?(@[A-Za-z_]+|[0-9*][0-9*,/-]*(?:[ \t]+[0-9A-Za-z*][0-9A-Za-z*,/-]*){4})[ \t]+(\S.*)")
_ACCOUNT = re.compile(r"(\S+)[ \t]+(\S.*)")
#: What follows an unescaped percent sign is the command's input.
_INPUT = re.compile(r"(?<!\\)%.*")


class Schedule(NamedTuple):
    """When a line is due, by the numbers that each field allows; weekdays from 0, which is Sunday.

    any_day, any_weekday: whether the field begins with a star. Where neither does, one of the two days is enough.
    """

    minutes: FrozenSet[int]
    hours: FrozenSet[int]
    days: FrozenSet[int]
    months: FrozenSet[int]
    weekdays: FrozenSet[int]
    any_day: bool = False
    any_weekday: bool = False

    @property
    def every_hour(self) -> bool:
        """Whether it is due in every hour of every day, so that no time zone matters."""
        return len(self.hours) == 24 and len(self.months) == 12 and len(self.days) == 31 and len(self.weekdays) == 7

    def on_day(self, moment: time.struct_time) -> bool:
        """Whether it is due on a day."""
        day, weekday = moment.tm_mday in self.days, (moment.tm_wday + 1) % 7 in self.weekdays
        one = (day and weekday) if self.any_day or self.any_weekday else (day or weekday)
        return one and moment.tm_mon in self.months


class Line(NamedTuple):
    """A line of a table. number: of the line, from 1; times: its fields as they stand there; account: of a system's
    table the one that it names, else None."""

    number: int
    times: str
    schedule: Schedule
    account: Optional[str]
    command: str


class CronStart(NamedTuple):
    """The line that starts an entry's gateway next. table: its file, or the command that shows it.

    command: of the line's commands the one that starts a gateway, redacted. within: seconds from the look until then.
    """

    table: str
    number: int
    times: str
    command: str
    within: float

    @property
    def soon(self) -> bool:
        """Whether it is waited for."""
        return self.within <= WAITED_FOR

    @property
    def seconds(self) -> int:
        """Until shortly after it."""
        return int(self.within) + 1 + AFTER_START

    @property
    def label(self) -> str:
        """The line, for a person."""
        return "line %d of %s (`%s %s`)" % (self.number, self.table, self.times, self.command)


def parse_table(text: str, names_account: bool) -> Tuple[Line, ...]:
    """The lines of a table that are due at some time. names_account: whether its sixth field names an account."""
    found: List[Line] = []
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], 1):
        setting = _SETTING.match(line)
        if setting:
            if setting.group(2) == "CRON_TZ":
                break  # times of another zone from here on
            continue
        match = _LINE.match(line) if len(line) <= _MOST_LENGTH else None
        schedule = parse_schedule(match.group(1)) if match else None
        if match is None or schedule is None:
            continue
        account: Optional[str] = None
        command = match.group(2)
        if names_account:
            parts = _ACCOUNT.match(command)
            if parts is None:
                continue
            account, command = parts.groups()
        command = _INPUT.sub("", command).replace("\\%", "%").strip()
        found.append(Line(number, " ".join(match.group(1).split()), schedule, account, command))
    return tuple(found)


def parse_schedule(text: str) -> Optional[Schedule]:
    """The schedule of five fields, or of a nickname; None for what is neither, and for @reboot, which is never due."""
    fields = _NICKNAMES.get(text.lower(), text).split()
    if len(fields) != len(_FIELDS):
        return None
    try:
        minutes, hours, days, months, weekdays = map(_values, fields, _FIELDS)
    except ValueError:
        return None
    any_day, any_weekday = fields[2].startswith("*"), fields[4].startswith("*")
    return Schedule(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), any_day, any_weekday)


def _values(text: str, field: Tuple[int, int, Dict[str, int]]) -> FrozenSet[int]:
    """The numbers that a field allows. Raises ValueError for what is none."""
    lowest, highest, names = field
    found: List[int] = []
    for part in text.split(","):
        span, slash, step = part.partition("/")
        begin, dash, end = span.partition("-")
        if span == "*":
            first, last = lowest, highest
        else:
            first = _number(begin, names)
            # Without a range a step counts up to the end of the field, where it is taken at all.
            last = _number(end, names) if dash else highest if slash else first
        by = _number(step, {}) if slash else 1
        if by < 1 or not lowest <= first <= last <= highest:
            raise ValueError(part)
        found.extend(range(first, last + 1, by))
    return frozenset(found)


def _number(text: str, names: Dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def next_due(
    schedule: Schedule, now: float, within: float, local: Callable[[float], time.struct_time] = time.localtime
) -> Optional[float]:
    """When a schedule is due next after a moment, both in seconds since the epoch; None where not within these seconds.

    local: the host's local time at a moment.
    """
    moment = (int(now) // _MINUTE + 1) * _MINUTE
    while moment <= now + within:
        clock = local(moment)
        if clock.tm_hour not in schedule.hours or not schedule.on_day(clock):
            moment += (60 - clock.tm_min) * _MINUTE  # clocks are changed at full hours
        elif clock.tm_min not in schedule.minutes:
            moment += _MINUTE
        else:
            return float(moment)
    return None
