"""What a cron table's lines run, and when: read by hand, and beside a minute-by-minute count."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Callable, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.crontab import CronStart, next_due, parse_schedule, parse_table
from hypothesis import given, settings
from hypothesis import strategies as st
from zoneinfo import ZoneInfo

#: Sunday, 1 March 2026, 08:03:30 UTC.
NOW = datetime(2026, 3, 1, 8, 3, 30, tzinfo=timezone.utc).timestamp()
YEAR = 366 * 86400.0


def clock(zone: str) -> Callable[[float], time.struct_time]:
    """The local time of a zone."""
    return lambda moment: datetime.fromtimestamp(moment, ZoneInfo(zone)).timetuple()


UTC = clock("UTC")


def due(times: str, within: float = YEAR) -> Optional[str]:
    """When a schedule is due next after NOW."""
    schedule = parse_schedule(times)
    assert schedule is not None, times
    moment = next_due(schedule, NOW, within, UTC)
    return None if moment is None else time.strftime("%m-%d %H:%M:%S", UTC(moment))


@pytest.mark.parametrize(
    ("times", "when"),
    [
        ("* * * * *", "03-01 08:04:00"),
        ("*/5 * * * *", "03-01 08:05:00"),
        ("3 8 * * *", "03-02 08:03:00"),  # this minute has begun
        ("1-59/2 8-17 * * *", "03-01 08:05:00"),
        ("0,30 9 * * *", "03-01 09:00:00"),
        ("10/20 * * * *", "03-01 08:10:00"),
        ("0 9 * * mon-fri", "03-02 09:00:00"),
        ("0 9 * * MON,wed", "03-02 09:00:00"),
        ("0 9 * * 7", "03-01 09:00:00"),
        ("0 9 * * 0", "03-01 09:00:00"),
        ("0 9 * * 5-7", "03-01 09:00:00"),
        ("0 0 1 jan *", None),
        ("0 0 29 2 *", None),
        ("30 17 13 * 5", "03-06 17:30:00"),  # the 13th, and every Friday
        ("30 17 */2 * 5", "03-13 17:30:00"),  # a Friday that is the 1st, 3rd, 5th ...
        ("@hourly", "03-01 09:00:00"),
        ("@daily", "03-02 00:00:00"),
        ("@Midnight", "03-02 00:00:00"),
        ("@weekly", "03-08 00:00:00"),
        ("@monthly", "04-01 00:00:00"),
    ],
)
def test_a_schedule_is_due_next_when_cron_says(times: str, when: Optional[str]) -> None:
    assert due(times, 300 * 86400.0) == when


def test_what_is_due_at_the_end_of_the_time_counts_and_what_comes_later_does_not() -> None:
    assert due("5 8 * * *", 90.0) == "03-01 08:05:00"
    assert due("5 8 * * *", 89.0) is None


@pytest.mark.parametrize(
    "times",
    [
        *(
            "@reboot",
            "@every_minute",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
        ),
        *(
            "5-1 * * * *",
            "* * * *",
            "* * * * * *",
            "a * * * *",
            "1,,2 * * * *",
            "1- * * * *",
            "*5 * * * *",
            "-1 * * * *",
        ),
        *("* * * foo *", "0~59 * * * *", "1/2/3 * * * *", "٣ * * * *", "mon * * * *", ""),
    ],
)
def test_what_is_no_schedule_or_never_due_is_none(times: str) -> None:
    assert parse_schedule(times) is None


# --- beside a count of every minute ----------------------------------------------------------------------------------

_FIELDS: Tuple[Tuple[int, int], ...] = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


@st.composite
def _part(draw: st.DrawFn, lowest: int, highest: int) -> Tuple[str, List[int]]:
    """(one part of a field, what it allows)"""
    step = draw(st.integers(1, highest + 2))
    kind = draw(st.sampled_from(["star", "star step", "one", "range", "range step"]))
    first = draw(st.integers(lowest, highest))
    last = draw(st.integers(first, highest))
    return {
        "star": ("*", list(range(lowest, highest + 1))),
        "star step": ("*/%d" % step, [each for each in range(lowest, highest + 1) if (each - lowest) % step == 0]),
        "one": (str(first), [first]),
        "range": ("%d-%d" % (first, last), list(range(first, last + 1))),
        "range step": (
            "%d-%d/%d" % (first, last, step),
            [each for each in range(first, last + 1) if (each - first) % step == 0],
        ),
    }[kind]


@st.composite
def _schedules(draw: st.DrawFn) -> Tuple[str, List[List[int]]]:
    fields = [draw(st.lists(_part(*bounds), min_size=1, max_size=3)) for bounds in _FIELDS]
    text = " ".join(",".join(part for part, _allowed in field) for field in fields)
    return text, [[each for _part, allowed in field for each in allowed] for field in fields]


def _is_due(text: str, allowed: List[List[int]], moment: time.struct_time) -> bool:
    minutes, hours, days, months, weekdays = allowed
    fields = text.split()
    day = moment.tm_mday in days
    weekday = any((each + 6) % 7 == moment.tm_wday for each in weekdays)
    on_day = (day and weekday) if "*" in (fields[2][0], fields[4][0]) else (day or weekday)
    return moment.tm_min in minutes and moment.tm_hour in hours and moment.tm_mon in months and on_day


@settings(deadline=None, max_examples=150)
@given(
    drawn=_schedules(),
    zone=st.sampled_from(_ZONES),
    # Two days about any moment of two years, and often the nights in which clocks are changed.
    now=st.one_of(
        st.floats(1.75e9, 1.81e9),
        st.sampled_from([1772956800.0, 1793505600.0, 1775314800.0, 1791036000.0]).flatmap(
            lambda change: st.floats(change - 50000, change + 10000)
        ),
    ),
)
def test_the_next_time_is_the_first_minute_that_all_fields_allow(
    drawn: Tuple[str, List[List[int]]], zone: str, now: float
) -> None:
    text, allowed = drawn
    local, within = clock(zone), 2 * 86400.0
    schedule = parse_schedule(text)
    assert schedule is not None
    first = int(now) // 60 * 60 + 60
    every = (moment for moment in range(first, int(now + within) + 1, 60) if _is_due(text, allowed, local(moment)))
    assert next_due(schedule, now, within, local) == next(every, None)


# --- tables ----------------------------------------------------------------------------------------------------------

TABLE = """\
# m h  dom mon dow   command
SHELL=/bin/bash
"PATH" = /usr/bin
MAILTO=desk@example.org

*/5 * * * *\tflock -n /tmp/gw.lock /home/t/start.sh
  -0 9 * * 1-5   /home/t/day.sh --date=$(date +\\%F) % input of the command
@reboot /home/t/start.sh
@hourly /home/t/hourly.sh
#*/5 * * * * /home/t/off.sh
61 * * * * /home/t/never.sh
nonsense
"""


def test_a_table_s_lines_are_told_with_number_times_and_command() -> None:
    assert [(each.number, each.times, each.account, each.command) for each in parse_table(TABLE, False)] == [
        (6, "*/5 * * * *", None, "flock -n /tmp/gw.lock /home/t/start.sh"),
        (7, "0 9 * * 1-5", None, "/home/t/day.sh --date=$(date +%F)"),
        (9, "@hourly", None, "/home/t/hourly.sh"),
    ]


def test_a_system_s_table_names_the_account_of_each_line() -> None:
    text = "*/5 * * * * trader /home/t/start.sh live\n*/5 * * * * trader\n@daily root /opt/x\n"
    assert [(each.account, each.command) for each in parse_table(text, True)] == [
        ("trader", "/home/t/start.sh live"),
        ("root", "/opt/x"),
    ]


def test_lines_in_another_time_zone_are_left_out() -> None:
    text = "0 8 * * * first\nCRON_TZ=America/New_York\n0 8 * * * second\n"
    assert [each.command for each in parse_table(text, False)] == ["first"]


def test_a_table_of_any_length_is_read_to_a_bound() -> None:
    assert len(parse_table("* * * * * x\n" * 5000, False)) == 1000
    assert parse_table("* * * * * %s\n" % ("x" * 5000), False) == ()


@pytest.mark.parametrize(("within", "soon", "seconds"), [(1.5, True, 32), (300.0, True, 331), (300.1, False, 331)])
def test_a_start_is_waited_for_until_shortly_after_it_if_it_comes_within_five_minutes(
    within: float, soon: bool, seconds: int
) -> None:
    start = CronStart("/etc/cron.d/gw", 3, "*/5 * * * *", "/home/t/start.sh", within)
    assert (start.soon, start.seconds) == (soon, seconds)
    assert start.label == "line 3 of /etc/cron.d/gw (`*/5 * * * * /home/t/start.sh`)"
