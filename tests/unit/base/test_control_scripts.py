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
        (None, True),
    ],
)
def test_what_another_word_would_run_is_left_out(given: Optional[Sequence[str]], ends: bool) -> None:
    assert ("pkill" in part_run(CONTROL, given)) is ends
    assert "cd /opt" in part_run(CONTROL, given)


def test_words_that_only_the_shell_knows_may_be_any() -> None:
    assert "pkill" in part_run(CONTROL, [], more=True)
    assert "pkill" not in part_run(CONTROL, ["start"], more=True)


#: Scripts that end others by a call with `start`, however much it looks as if they did so for another word alone.
ENDS = (
    'case "$1" in start) x ;& stop) pkill java ;; esac',
    'case "$1" in start) x ;;& st*) pkill java ;; esac',
    'case "$1" in start) x ;;\nstop) pkill java ;;',
    'case "$2" in start) x ;; *) pkill java ;; esac',
    'case "$MODE" in start) x ;; stop) pkill java ;; esac',
    'case "$?" in 0) x ;; 1) pkill java ;; esac',
    'stop() {\n pkill java\n}\neval "$2$MODE"',
    "stop() { pkill java; }\neval stop",
    "eval 'stop() { pkill java; }'\nstop",
    "stop() {\n pkill java\n",
    "stop() {\n pkill java\n}\ntrap stop EXIT\n",
    "stop() { pkill java; }\ntrap 'rm -f x; stop' INT TERM\n",
    "trap 'pkill java' EXIT",
    'trap "pkill java; rm $LOCK" 0 2 15',
    'start() {\n pkill java\n}\n"$1"\n',
    'start() { pkill java; }\n"$@"\n',
    "start() { pkill java; }\n$*\n",
    "do_stop() { pkill java; }\ndo_$MODE",
    'run() { "$@"; }\nstop() { pkill java; }\nrun stop',
    "stop() { pkill java; }\nWHAT=stop\n$WHAT",
    "stop() { pkill java; }\ncommand_not_found_handle() { stop; }\nnosuch",
    "stop() { pkill java; }\nexport -f stop\nbash -c stop",
    "stop() { pkill java; }\nfalse || stop &\nwait",
    "stop() { pkill java; }\necho x | while read -r each; do stop; done",
    "stop() { pkill java; }\nX=$(stop)",
    "stop() { pkill java; }\nX=`stop`",
    "stop() { pkill java; }\n: ${X:=$(stop)}",
    "stop() { pkill java; }\ncat <<END\n$(stop)\nEND\n",
    "bash <<'END'\npkill java\nEND\n",
    "cat <<END\ndon't\nEND\npkill java\n",
    "# it's\npkill java\n",
    "# on\\\npkill java\n",
    "[ $# -gt 0 ] && pkill java",
    'case "${2:-stop}" in start) x ;; stop) pkill java ;; esac',
    'case "${1#st}" in art) pkill java ;; esac',
    'case "${1^^}" in START) pkill java ;; esac',
    'ctl() {\n  case "$1" in start) x ;; stop) pkill java ;; esac\n}\nctl stop\nctl "$1"\n',
    'ctl() { case "$1" in start) x ;; stop) pkill java ;; esac; }\nctl stop\nctl "$1"\n',
    'function ctl {\n  case "$1" in start) x ;; stop) pkill java ;; esac\n}\nctl stop\n',
    'while [ $# -gt 0 ]; do\ncase "$1" in start) x ;; "") pkill java ;; esac\nshift\n[ $# -gt 0 ] || break\ndone\n',
    'while getopts ":ks" each; do case $each in k) pkill java ;; esac; done',
    'for each in "$@" stop; do\ncase "$each" in start) x ;; stop) pkill java ;; esac\ndone\n',
    'shift\ncase "$1" in start) x ;; *) pkill java ;; esac\n',
    'set -- stop\ncase "$1" in start) x ;; stop) pkill java ;; esac\n',
    'set stop\n[ "$1" = stop ] && pkill java',
    'set -eu -- stop\n[ "$1" = stop ] && pkill java',
    'set -o pipefail stop\n[ "$1" = stop ] && pkill java',
    'eval set -- stop\n[ "$1" = stop ] && pkill java',
    'MODE=$1\nMODE=stop\nif [ "$MODE" = stop ]; then pkill java; fi',
    'MODE=start\n[ -f /etc/ib ] && MODE=stop\nif [ "$MODE" = stop ]; then pkill java; fi',
    'MODE=start\nread MODE </etc/ib\nif [ "$MODE" = stop ]; then pkill java; fi',
    'MODE=start\n. /etc/ib\nif [ "$MODE" = stop ]; then pkill java; fi',
    'MODE=start\nprintf -v MODE stop\nif [ "$MODE" = stop ]; then pkill java; fi',
    "readonly MODE=stop\nMODE=start\n[ $MODE = stop ] && pkill java",
    "f() { local MODE=start; }\nMODE=stop\nf\n[ $MODE = stop ] && pkill java",
    'for each in 1 2; do [ "$MODE" = stop ] && pkill java; MODE=stop; done',
    "(exit 0)\npkill java",
    "exit 0 | true\npkill java",
    "[ -f /run/x ] || exit 0\npkill java",
    "exec >/tmp/log\npkill java",
    "exec $NOTHING\npkill java",
    "return 0\npkill java",
    "f() { return; }\nf\npkill java",
    "shopt -s nocasematch\n[[ $1 == STOP ]] || pkill java\n[[ $1 == START ]] && pkill java",
    "alias true=false\ntrue || pkill java",
    "test() { return 1; }\ntest 1 = 1 || pkill java",
    '[ "$1" = start ] >/nonexistent/file || pkill java',
    '[ "$1" = start ] &>/dev/null && pkill java',
    "IFS=t\n[ $1 = start ] || pkill java",
    'case "$1" in\r\n start) x ;;\r\n stop) pkill java ;;\r\nesac\r\n',
    '[ "$1" = stop ] && exit\n[ "$1" = start ] && pkill java',
    'if [ "$1" = stop ]; then exit; elif [ "$2" ]; then exit; else pkill java; fi',
    'if [ "$1" = stop -o "$1" = start ]; then pkill java; fi',
    "[[ $1 == stop || $1 == st* ]] && pkill java",
    "until [ $# -gt 0 ] && pkill java; do :; done",
    "select each in a; do pkill java; done",
    "coproc pkill java",
    "pgrep java >/tmp/pids; kill $(cat /tmp/pids) # pkill",
    "kill $(pgrep java) # pkill",
)


@pytest.mark.parametrize("text", ENDS)
def test_what_a_start_may_reach_is_left_as_it_is(text: str) -> None:
    for bash in (True, False):
        left = part_run(text, ["start"], bash=bash)
        assert "pkill" in left and ("pgrep" in left) is ("pgrep" in text)


#: Scripts that start theirs when they are told to start, or nothing at all.
STARTS = (
    'if [ "$1" = stop ]; then pkill java; else x; fi',
    'if [ "$1" = stop ]; then pkill java; exit; fi\nx',
    'if test "x$1" = xstop\nthen\n  pkill java\nfi',
    '[ "$1" = stop ] && { pkill java; exit; }\nx',
    '[ "$1" != stop ] || pkill java',
    'if [ "$1" = stop -o "$1" = kill ]; then pkill java; fi',
    'if [ "$1" = start ]; then x; elif [ "$1" = stopall ]; then pkill java; fi',
    'if [ "$1" = start ]; then x; exit 0; fi\npkill java',
    "[ $# -gt 1 ] && pkill java",
    'if [ -n "$2" ]; then pkill java; fi',
    "case $# in 2) pkill java ;; *) x ;; esac",
    "ACTION=${1:-start}\ncase $ACTION in stop) pkill java ;; start) x ;; esac",
    'case "${1:-start}" in stop) pkill java ;; start) x ;; esac',
    'case "$1" in start) x; case "$?" in 0|1) y ;; esac ;; stop) pkill java ;; esac',
    'case "$1" in (start) x ;; (stop|restart) pkill java ;; esac',
    'stop() { pkill java; }\nmain() { case "$1" in stop) stop ;; *) x ;; esac; }\nmain "$@"',
    'stop() { pkill java; }\n. /lib/lsb/init-functions\ncase "$1" in stop) stop ;; *) x ;; esac',
    "stop() { pkill java; }\nx",
    'usage() { echo "usage: start|stop"; }\nstop() { pkill java; }\n[ -z "$1" ] && usage\nx',
    'exec x "$@"\npkill java',
)


@pytest.mark.parametrize("text", STARTS)
def test_what_a_start_surely_cannot_reach_is_left_out(text: str) -> None:
    assert "pkill" not in part_run(text, ["start"], sourced=lambda _line: "")


@pytest.mark.parametrize(
    "text",
    [
        "[[ $1 == stop ]] && pkill java",
        '[[ "$1" = "stop" || -n "$2" ]] && { pkill java; exit; }',
        "(( $# > 1 )) && pkill java",
        '[ "$1" == stop ] && pkill java',
        'case "${1,,}" in stop) pkill java ;; start) x ;; esac',
    ],
)
def test_what_bash_alone_has_counts_where_the_shell_is_one(text: str) -> None:
    assert "pkill" not in part_run(text, ["start"], bash=True)


@pytest.mark.parametrize(
    "text", ['[[ "$1" == start ]] || pkill java', '[ "$1" == start ] || pkill java', "(( $# == 1 )) || pkill java"]
)
def test_what_bash_alone_has_fails_in_another_shell(text: str) -> None:
    assert "pkill" not in part_run(text, ["start"], bash=True)
    assert "pkill" in part_run(text, ["start"], bash=False)


LOOKS = (
    "if pgrep -f java >/dev/null; then echo running; exit 0; fi",
    "pgrep -f java > /dev/null 2>&1 && exit",
    "N=$(pgrep -fc java)",
    "ps -ef | grep -q '[j]ava' && echo",
    "if ps aux | grep -v grep | grep java >/dev/null; then exit; fi",
    "COUNT=$(ps -ef | grep java | grep -v grep | wc -l)",
    "pgrep -fc java >/tmp/count",
)
FINDS = (
    "pgrep -f java",
    "pgrep -f java >/tmp/pids",
    "pgrep -f java >&2",
    "pgrep -f java 2>/dev/null",
    "ps -ef | grep java | tee /tmp/pids | grep -q x",
    "ps -ef | grep java | awk '{system(\"kill \" $2)}' | wc -l",
    "ps -ef | grep java | xargs kill | grep -q x",
    "pgrep -u c java",
    "ps -ef | grep -m c java",
    "ps -ef | grep -e -q java",
    "pgrep -f $(pgrep java) >/dev/null",
    "grep() { cat; }\nps -ef | grep -q java",
)


@pytest.mark.parametrize("text", LOOKS)
def test_what_only_looks_and_tells_nobody_whom_it_has_found_is_left_out(text: str) -> None:
    assert "java" not in part_run(text, None) or ">/tmp/count" in text


@pytest.mark.parametrize("text", FINDS)
def test_what_is_found_and_may_go_to_somebody_is_left_as_it_is(text: str) -> None:
    assert "java" in part_run(text, None)


def test_a_text_takes_time_in_proportion_to_its_length() -> None:
    for text in ("f() {\n" * 3000, 'case "$1" in\n' * 1200, "a() { x\n" * 2500, "(" * 16000, "f ()\n" * 3000):
        began = time.process_time()
        part_run(text, ["start"])
        assert time.process_time() - began < 3
