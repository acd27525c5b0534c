"""Loops over live and paper ports that only try which gateway answers, and those that go on to use what they found."""

from __future__ import annotations

import textwrap

import pytest
from unit.audited import problems

LOOP = """\
for port in (7497, 7496):
    try:
        ib.connect("", port)
        print(port)
{success}
    except OSError:
        print("nothing at", port)
"""


def loops(success: str, after: str = "") -> int:
    """How often live_port_in_turn is said of the loop, which is in a function."""
    loop = LOOP.format(success=textwrap.indent(textwrap.dedent(success).strip("\n"), 8 * " "))
    text = "from ib_insync import IB\nib = IB()\ndef go():\n" + textwrap.indent(loop + after, 4 * " ")
    return len(problems("live_port_in_turn", text))


@pytest.mark.parametrize(
    "success",
    [
        "ib.disconnect()\nbreak",
        "ib.disconnect()\nreturn",
        "ib.disconnect()\nreturn True",
        "ib.disconnect()\nsys.exit(0)",
        "ib.disconnect()\nraise SystemExit(0)",
        "if ib.isConnected():\n    ib.disconnect()\nbreak",
        "if ib.isConnected():\n    print(ib.managedAccounts())\n    ib.disconnect()\n    break",
        "log.info('port %d', port)\nib.disconnect()\nbreak",
    ],
)
def test_a_loop_that_closes_what_it_opened_uses_no_account(success: str) -> None:
    assert loops(success) == 0


@pytest.mark.parametrize(
    "success",
    [
        "break",
        "return True",
        "return ib",
        "ib.disconnect()\nreturn port",
        "ib.disconnect()\nreturn ib.positions()",
        "answers = port\nib.disconnect()\nbreak",
        "open_ports.append(port)\nib.disconnect()\nbreak",
        "ib.reqGlobalCancel()\nib.disconnect()\nbreak",
        "other.disconnect()\nbreak",
        "if not ib.isConnected():\n    ib.disconnect()\nbreak",
        "if quick:\n    ib.disconnect()\n    break\nreturn ib",
    ],
)
def test_a_loop_that_keeps_the_connection_or_the_port_is_found(success: str) -> None:
    assert loops(success) == 1


def test_the_port_that_answered_may_be_used_behind_the_loop() -> None:
    assert loops("ib.disconnect()\nbreak", after="use(port)\n") == 1


def test_a_failed_try_that_closes_its_connection_is_no_check() -> None:
    assert loops("for _ in range(20):\n    if ib.isConnected():\n        return True\nib.disconnect()") == 1


def test_a_finally_closes_what_the_try_is_left_with() -> None:
    text = """\
        from ib_insync import IB
        ib = IB()
        for port in (7497, 7496):
            try:
                ib.connect("", port)
                print(port)
                break
            except OSError:
                continue
            finally:
                ib.disconnect()
    """
    assert problems("live_port_in_turn", text) == []
    assert len(problems("live_port_in_turn", text.replace("ib.disconnect()", "print(1)"))) == 1
