"""A command that would end another gateway is told so that its line is found, and no secret with it."""

from __future__ import annotations

from typing import Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.lifecycle.ending_words import told_command, told_end
from ansible.module_utils.ib_gateway.observe.ended_by_start import Ending
from unit.facts import SECOND, gateway

PAPER = gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")


def told(words: Sequence[str], script: Optional[str] = None, line: int = 0) -> str:
    return told_command(Ending(tuple(words), PAPER, script, line))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["pkill", "-9f", "java"], "pkill -9f java"),
        (["pkill", "-f", "[G]WClient"], "pkill -f [G]WClient"),
        (["pkill", "-f", "ibcalpha.*IbcGateway"], "pkill -f ibcalpha.*IbcGateway"),
        (["pkill", "-f", "jtsConfigDir=/srv/ibgateway/paper"], "pkill -f jtsConfigDir=/srv/ibgateway/paper"),
        (["pkill", "-f", "hunter2"], "pkill -f ***"),
        (["pkill", "-f", "java hunter2"], "pkill -f ***"),
        (["pkill", "-f", "$PATTERN"], "pkill -f ***"),
        (["sshpass", "-pjava", "pkill", "-f", "java"], "sshpass -*** *** -f ***"),
    ],
)
def test_a_pattern_is_shown_where_everybody_knows_it_or_the_other_s_own_command_line_shows_it(
    words: Sequence[str], shown: str
) -> None:
    assert told(words) == "`%s`" % shown


def test_the_script_and_the_line_are_named() -> None:
    assert told(["pkill", "-f", "x"], "/opt/ibc/start.sh", 12) == "`pkill -f ***` in line 12 of /opt/ibc/start.sh"
    assert "U1234567" not in told(["pkill"], "/home/U1234567/start.sh", 1)


def test_what_only_finds_is_not_said_to_end_anybody() -> None:
    assert told_end(Ending(("pgrep", "-f", "java"), PAPER, finds=True)) == "finds, for a kill near it,"
    assert told_end(Ending(("pkill", "-f", "java"), PAPER)) == "ends"
