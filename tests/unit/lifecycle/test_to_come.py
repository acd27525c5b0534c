"""What another entry's start would end of gateways that have not come yet, by what is known of these before."""

from __future__ import annotations

from typing import Mapping, Sequence

import pytest
from ansible.module_utils.ib_gateway.base.plan import Entry
from ansible.module_utils.ib_gateway.lifecycle.base import Runs, StartCheck
from ansible.module_utils.ib_gateway.lifecycle.to_come import ends_to_come
from unit.facts import entry, gateway, snapshot, spec


def down(name: str, running: bool = False) -> Entry:
    one = spec(name=name, config_dir="/srv/%s" % name)
    found = entry(one, snapshot())
    return found._replace(processes=(gateway(),)) if running else found


def starts(*words: str, uid: int = 0) -> StartCheck:
    return StartCheck(runs=(Runs((words,), uid, "/"),))


def told(first: StartCheck, second: Sequence[str], running: bool = False, uid: int = 1000) -> Mapping[str, str]:
    """Whom of the two the second's start would end. uid: of the first one's account."""
    checks = [first._replace(runs=tuple(each._replace(uid=uid) for each in first.runs)), starts(*second)]
    return ends_to_come([down("live", running), down("paper")], checks)[1]


@pytest.mark.parametrize("pattern", ["GWClient", "java", "/srv/live", "IbcGateway.*live"])
def test_of_a_gateway_that_a_script_starts_its_folder_and_its_usual_classes_are_expected(pattern: str) -> None:
    found = told(starts("/opt/start-live"), ("pkill", "-f", pattern))
    assert list(found) == ["live"] and found["live"].startswith("`pkill -f ")


@pytest.mark.parametrize("command", [("pkill", "-f", "/srv/paper"), ("pkill", "-f", "Xvfb"), ("/bin/true",)])
def test_a_start_that_looks_for_its_own_or_for_nobody_is_in_conflict_with_none(command: Sequence[str]) -> None:
    assert told(starts("/opt/start-live"), command) == {}


def test_a_start_that_is_a_gateway_s_own_command_line_is_known_by_that() -> None:
    line = ("/opt/j2re/bin/java", "-Dlabel=mine", "ibgateway.GWClient", "/srv/live")
    assert told(starts(*line), ("pkill", "-f", "label=mine")) == {"live": "`pkill -f ***`"}
    assert told(starts(*line), ("pkill", "-f", "IbcGateway")) == {}


def test_one_that_runs_is_not_to_come_and_another_account_s_is_not_ended() -> None:
    assert told(starts("/opt/start-live"), ("pkill", "-f", "GWClient"), running=True) == {}
    second = starts("pkill", "-f", "GWClient", uid=2000)
    assert ends_to_come([down("live"), down("paper")], [starts("/opt/start-live", uid=1000), second])[1] == {}
