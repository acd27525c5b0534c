"""The broker's farms from the gateway's notices: the newest of each farm counts, and names are harmless."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from ansible.module_utils.ib_gateway.api.farms import Farm, Farms


def broken(*notices: Tuple[int, str]) -> List[Farm]:
    farms = Farms()
    for code, text in notices:
        assert farms.take(code, text)
    return list(farms.broken)


MARKET = "Market data farm connection is %s"
HISTORY = "HMDS data farm connection is %s"


@pytest.mark.parametrize(
    ("code", "serves"), [(2103, "market data"), (2105, "historical data"), (2157, "contract data")]
)
def test_each_kind_of_farm_can_be_broken(code: int, serves: str) -> None:
    assert broken((code, "connection is broken:hfarm.nj")) == [(serves, "hfarm.nj", code)]


@pytest.mark.parametrize("back", [(2104, MARKET % "OK:usfarm"), (2119, "Market data farm is connecting:usfarm")])
def test_the_newest_notice_of_a_farm_counts(back: Tuple[int, str]) -> None:
    gone = (2103, MARKET % "broken:usfarm")
    assert broken(gone, back) == []
    assert broken(back, gone) == [("market data", "usfarm", 2103)]
    assert broken(gone, back, gone) == [("market data", "usfarm", 2103)]


def test_an_inactive_farm_is_not_broken() -> None:
    inactive = "inactive but should be available upon demand."
    assert broken((2103, MARKET % "broken:usfarm.nj"), (2108, MARKET % inactive + "usfarm.nj")) == []
    assert broken((2105, HISTORY % "broken:ushmds"), (2107, HISTORY % inactive + "ushmds")) == []


def test_farms_of_one_kind_or_one_name_are_told_apart() -> None:
    told = broken(
        (2103, MARKET % "broken:usfarm"),
        (2103, MARKET % "broken:cashfarm"),
        (2105, HISTORY % "broken:usfarm"),
        (2106, HISTORY % "OK:usfarm"),
    )
    assert [each.name for each in told] == ["cashfarm", "usfarm"]


@pytest.mark.parametrize(
    "text", ["", "is broken", "broken:", "broken:two words", "broken:\x1b[31m", "broken:" + "x" * 41, "broken:<b>"]
)
def test_a_name_that_is_missing_or_not_harmless_is_left_out(text: str) -> None:
    assert broken((2103, text)) == [("market data", "", 2103)]


def test_a_name_in_the_shape_of_an_account_is_masked() -> None:
    assert "U1234567" not in repr(broken((2103, "broken:U1234567")))


def test_other_notices_are_about_no_farm() -> None:
    assert not Farms().take(1100, "lost:usfarm")


def test_so_many_farms_are_kept_and_no_more() -> None:
    assert len(broken(*((2103, "broken:farm%d" % number) for number in range(1000)))) == 200
