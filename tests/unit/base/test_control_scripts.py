"""A control script is read for the word that it is given: what it does for stop says nothing of a start."""

from __future__ import annotations

import time
from typing import Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.base.control_scripts import part_run

CONTROL = """#!/bin/sh
stop() {
  pkill -f IbcGateway
}
start() { exec /opt/ibc/gatewaystart.sh; }
cd /opt
case "$1" in
  start)
    start ;;
  stop|kill) stop ;;
  restart)
    stop
    start
    ;;
  *) echo "no such word" ;;
esac
"""


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        (["start"], False),
        (["start", "stop"], True),  # a word that names a function may be one to call
        (["stop"], True),
        (["kill"], True),
        (["restart"], True),
        (["status"], False),
        ([], False),
        (["$MODE"], True),
        (None, True),
    ],
)
def test_what_another_word_would_run_is_left_out(given: Optional[Sequence[str]], ends: bool) -> None:
    assert ("pkill" in part_run(CONTROL, given)) is ends
    assert "cd /opt" in part_run(CONTROL, given)


@pytest.mark.parametrize(
    "text",
    [
        'case "$1" in start) x ;& stop) pkill java ;; esac',
        'case "$1" in start) case $2 in a) x ;; esac ;; stop) pkill java ;; esac',
        'case "$1" in start) x ;;\nstop) pkill java ;;',
        'case "$2" in start) x ;; stop) pkill java ;; esac',
        'eval "$1"\nstop() {\n pkill java\n}\n',
        "stop() {\n pkill java\n",
        "stop() {\n pkill java\n}\ntrap stop EXIT\n",
        '"$1"\nstart() {\n pkill java\n}\n',
        'case "${1:-stop}" in start) x ;; stop) pkill java ;; esac',
        'ctl() {\n  case "$1" in start) x ;; stop) pkill java ;; esac\n}\nctl stop\nctl "$1"\n',
        'ctl() { case "$1" in start) x ;; stop) pkill java ;; esac; }\nctl stop\nctl "$1"\n',
        'while [ $# -gt 0 ]; do\ncase "$1" in start) x ;; --clean) pkill java ;; esac\nshift\ndone\n',
        'ctl() {\n  {\n    echo\n  }\n  case "$1" in start) x ;; stop) pkill java ;; esac\n}\nctl stop\n',
        'ctl() {\n  {\n    echo\n  }\ncase "$1" in start) x ;; stop) pkill java ;; esac\n}\nctl stop\n',
        'function ctl {\n  case "$1" in start) x ;; stop) pkill java ;; esac\n}\nctl stop\n',
        'shift\ncase "$1" in start) x ;; live) pkill java ;; esac\n',
        'set -- stop\ncase "$1" in start) x ;; stop) pkill java ;; esac\n',
        'set stop\ncase "$1" in start) x ;; stop) pkill java ;; esac\n',
        'for one in a b; do\ncase "$1" in start) x ;; stop) pkill java ;; esac\ndone\n',
    ],
)
def test_what_is_not_plain_is_left_as_it_is(text: str) -> None:
    given = [] if ":-stop" in text else ["start"]
    assert "pkill" in part_run(text, given)


def test_a_text_takes_time_in_proportion_to_its_length() -> None:
    for text in ("f() {\n" * 3000, 'case "$1" in\n' * 1200, "a() { x\n" * 2500, "(" * 16000, "f ()\n" * 3000):
        began = time.process_time()
        part_run(text, ["start"])
        assert time.process_time() - began < 3
