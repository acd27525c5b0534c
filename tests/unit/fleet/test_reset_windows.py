"""The broker's reset windows: in the zone they are announced in, across midnight and across daylight saving."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict

import pytest
from ansible.module_utils.ib_fleet.run.reset_windows import LOGIN_RESET, current, latest
from hypothesis import given, settings
from hypothesis import strategies as st

NIGHT = {"name": "night", "zone": "America/New_York", "start": "00:15", "end": "01:45"}
WEEKEND = {"name": "weekend", "zone": "America/New_York", "start": "23:00", "end": "03:00", "days": ["fri"]}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-01-14T00:14:59-05:00", False),
        ("2026-01-14T00:15:00-05:00", True),
        ("2026-01-14T01:44:59-05:00", True),
        ("2026-01-14T01:45:00-05:00", False),
        ("2026-07-14T00:15:00-04:00", True),  # summer: an hour earlier in UTC
        ("2026-07-14T00:15:00-05:00", True),
        ("2026-07-14T01:45:00-05:00", False),
    ],
)
def test_a_window_is_in_its_own_zone_in_winter_and_in_summer(moment: str, inside: bool) -> None:
    assert bool(current([NIGHT], at(moment))) == inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-01-16T22:59:00-05:00", False),  # Friday
        ("2026-01-16T23:00:00-05:00", True),
        ("2026-01-17T02:59:00-05:00", True),
        ("2026-01-17T03:00:00-05:00", False),
        ("2026-01-17T23:30:00-05:00", False),  # Saturday night is no Friday night
    ],
)
def test_a_window_that_ends_after_midnight_belongs_to_the_day_it_starts_on(moment: str, inside: bool) -> None:
    assert bool(current([WEEKEND], at(moment))) == inside


def test_the_window_is_told_with_its_end_in_utc() -> None:
    assert current([WEEKEND, NIGHT], at("2026-01-14T00:30:00-05:00")) == "night until 2026-01-14T06:45:00Z"


def test_without_windows_there_is_none() -> None:
    assert current([], at("2026-01-14T00:30:00-05:00")) == ""


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"zone": "New York"}, "zone"),
        ({"zone": None}, "zone"),
        ({"start": "24:00"}, "start"),
        ({"end": "1:45"}, "end"),
        ({"days": ["friday"]}, "days"),
        ({"day": ["fri"]}, "day"),
        ({"name": ""}, "name"),
    ],
)
def test_a_window_that_is_none_is_named_with_its_key(change: Dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=f"key {key}"):
        current([{**NIGHT, **change}], 0)


@settings(deadline=None)
@given(st.integers(0, 4_000_000_000))
def test_every_moment_of_every_night_is_judged(seconds: int) -> None:
    told = current([NIGHT], seconds)
    assert told == "" or told.startswith("night until ")


def test_a_window_is_called_what_it_is_in_the_message() -> None:
    with pytest.raises(ValueError, match="blackout lunch, key zone: 'Mars' is not an IANA time zone"):
        current([{"name": "lunch", "zone": "Mars", "start": "12:00", "end": "13:00"}], 0.0, "blackout")


def test_a_wrong_window_is_told_at_every_hour_also_while_another_one_holds() -> None:
    now = at("2026-01-14T01:00:00-05:00")
    assert current([NIGHT], now)
    with pytest.raises(ValueError, match="reset window lunch"):
        current([NIGHT, {"name": "lunch", "zone": "UTC", "start": "noon", "end": "13:00"}], now)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("2026-01-11T06:00:00+00:00", "2026-01-11T06:00:00+00:00"),
        ("2026-01-11T05:59:59+00:00", "2026-01-04T06:00:00+00:00"),
        ("2026-01-17T12:00:00+00:00", "2026-01-11T06:00:00+00:00"),
        ("2026-07-12T05:00:00+00:00", "2026-07-12T05:00:00+00:00"),
        # The night in which the clock shows 01:00 twice.
        ("2026-11-01T05:30:00+00:00", "2026-11-01T05:00:00+00:00"),
        ("2026-11-01T06:30:00+00:00", "2026-11-01T06:00:00+00:00"),
    ],
)
def test_what_happens_each_week_has_last_happened_in_its_own_zone(now: str, found: str) -> None:
    moment = latest(LOGIN_RESET, datetime.fromisoformat(now).timestamp())
    assert moment == datetime.fromisoformat(found).timestamp()
