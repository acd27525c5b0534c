"""Whom a start script ends before it starts its own gateway: known from its text, never guessed."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path
from typing import List, Optional

import pytest
from ansible.module_utils.ib_gateway.lifecycle.unit_commands import runs_of
from ansible.module_utils.ib_gateway.observe.ended_by_start import ended_by_start
from unit.facts import SECOND, gateway

PAPER = gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")._replace(uid=os.getuid())


def met_by(text: str, folder: Path, other: object = PAPER) -> Optional[str]:
    """The command of a start script with this text that ends another gateway; None without one."""
    script = folder / "gatewaystart.sh"
    script.write_text("#!/bin/bash\n%s\nexec /opt/ibc/ibcstart.sh 1037\n" % text, encoding="utf-8")
    found = ended_by_start([("/bin/bash", str(script))], os.getuid(), [other])  # type: ignore[list-item]  # a Process
    assert found is None or found.process is other
    return " ".join(found.words) if found else None


@pytest.mark.parametrize(
    "command",
    [
        "pkill -f IbcGateway",
        "pkill -9f ibcalpha.ibc",
        "pkill -KILL --full 'ibcalpha[.]ibc'",
        "pkill java",
        "killall java",
        "killall -q -9 java",
        "sudo pkill -u trader -x java",
        "if pgrep -f IbcGateway; then pkill -f IbcGateway; fi",
        "/usr/bin/pkill -f IbcGateway || true",
        "pkill -f IbcGateway >/dev/null 2>&1",
        "pkill -f 'Xvfb|ibcalpha.*Gateway'",
        "kill $(pgrep -f IbcGateway)",
        'kill -TERM "$(pgrep -f IbcGateway)"',
        "kill -9 `pgrep -f IbcGateway`",
        "pgrep -f IbcGateway | xargs -r kill -9",
        "ps aux | grep [I]bcGateway | grep -v grep | awk '{print $2}' | xargs kill",
        "kill $(ps aux | grep \"[I]bcGateway\" | awk '{print $2}')",
        'PID=$(pgrep -f IbcGateway)\nif [ -n "$PID" ]; then kill $PID; fi',
        'for pid in $(pidof java); do kill "$pid"; done',
        "pk\\\nill -f Ibc\\\nGateway",
        "[ $# -eq 0 ] && pkill -f IbcGateway",
        "NAME=${0##*/}; pkill -f IbcGateway",
        "# begins here \\\npkill -f IbcGateway",
        "cat <<END\ndon't\nEND\npkill -f IbcGateway",
        "cat <<END >/tmp/x\nIt's\nEND\nstop() { pkill -f IbcGateway; }\ntrap stop EXIT",
        "eval 'pkill -f IbcGateway'",
        'PATTERN=IbcGateway; eval "pkill -f $PATTERN"',
        "trap 'pkill -f IbcGateway' EXIT TERM",
        "alias clean='pkill -f IbcGateway'; clean",
        "CLEAN='pkill -f IbcGateway'; $CLEAN",
        "CLEAN='pkill -f'; ${CLEAN} IbcGateway",
        "coproc pkill -f IbcGateway",
        "pkill --inverse -f jtsConfigDir=/srv/ibgateway/live",
        "pgrep -v -f jtsConfigDir=/srv/ibgateway/live | xargs kill",
        "pkill -P 1 java",
        "pkill -P $$ -P 1 java",
        "pkill -P $PPID java",
        "su - trader -c 'pkill -f IbcGateway'",
        "sh -c '[ -z \"$1\" ] || pkill -f IbcGateway' sh x",
        'case "$1" in stop) exit ;; esac\npkill -f IbcGateway',
        'case "$1" in start) PATTERN=x ;; "") PATTERN=IbcGateway ;; esac\npkill -f "$PATTERN"',
        'if [ $# -eq 0 ]; then PATTERN=IbcGateway; fi\npkill -f "$PATTERN"',
        'set -- stop\n[ "$1" = stop ] && pkill -f IbcGateway',
        '[ -n "$1" ] || set -- stop\ncase "$1" in stop) pkill -f IbcGateway ;; esac',
        "ACTION=${1:-restart}\ncase $ACTION in restart) pkill -f IbcGateway ;; esac",
        'restart() { "$0" stop; }\n[ "$1" = stop ] && pkill -f IbcGateway\n[ "$1" = stop ] || restart',
        '[ "$1" = stop ] && { pkill -f IbcGateway; exit; }\nexec "$0" stop',
        '[ "$1" = stop ] && { pkill -f IbcGateway; exit; }\nnohup /bin/bash "$0" stop &',
        '[ "$2" = stop ] && { pkill -f IbcGateway; exit; }\n[ $# -eq 0 ] && "$0" x $NO stop',
        '[ "$1" = stop ] && { pkill -f IbcGateway; exit; }\n[ $# -eq 0 ] && "$0" "$WHAT"',
        "if pgrep -f IbcGateway >/dev/null; then kill $(pgrep -f IbcGateway); fi",
        "if pgrep -f IbcGateway >/dev/null; then killall java; fi",
    ],
)
def test_what_makes_room_for_its_own_gateway_and_meets_another_one_is_told(command: str, tmp_path: Path) -> None:
    assert met_by(command, tmp_path) is not None


@pytest.mark.parametrize(
    "command",
    [
        "pkill -f jtsConfigDir=/srv/ibgateway/live",
        "pkill -f $CONFIG",
        "pkill -f `cat /run/ib.pattern`",
        "pkill -0 -f IbcGateway",
        "pkill Xvfb",
        "pkill -x IbcGateway",
        "killall jav",
        "pgrep -f IbcGateway",
        "if pgrep -f IbcGateway >/dev/null; then exit 0; fi; trap 'kill $!' TERM",
        "PID=$(pgrep -f IbcGateway); kill -0 $PID && exit 0",
        "kill $(pgrep -f jtsConfigDir=/srv/ibgateway/live)",
        "kill $(cat /run/live.pid)",
        "grep IbcGateway /opt/ibc/log.txt; kill $OLD",
        "pkill -f jtsConfigDir=/srv/ibgateway/live > /dev/null",
        "# pkill -f IbcGateway",
        "echo 'pkill -f IbcGateway'",
        "pkill",
        "pkill -f '['",
        "pkill -P $$ java",
        "pkill --parent $$ -f IbcGateway",
        "if pgrep -f java >/dev/null; then echo running; exit 0; fi; [ -f ib.pid ] && kill $(cat ib.pid)",
        'N=$(pgrep -fc IbcGateway); echo $N; kill "$(cat /opt/ib/pid)"',
        "ps -ef | grep -q '[I]bcGateway' && echo; kill $(cat pid)",
        "pgrep -f java >/dev/null && logger up; lsof -t -i:6713 | xargs -r kill",
        'PID=$(cat pid); pgrep -f java &>/dev/null; kill "$PID"',
        '[ "$1" = stop ] && { pkill -f IbcGateway; exit; }',
        "[[ $1 == stop ]] && pkill -f IbcGateway",
        'stop() {\n  pkill -f IbcGateway\n}\nif [ "$1" = stop ]; then stop; else echo; fi',
        "stop() { pkill -f IbcGateway; }\nACTION=${1:-start}\ncase $ACTION in stop) stop ;; start) echo ;; esac",
        'case "${1,,}" in stop) pkill -f IbcGateway ;; *) echo ;; esac',
        'if [ "$1" = status ]; then "$0" stop; elif [ "$1" = stop ]; then pkill -f IbcGateway; fi',
    ],
)
def test_what_meets_another_program_or_only_the_shell_can_know_is_nobody_s_end(command: str, tmp_path: Path) -> None:
    assert met_by(command, tmp_path) is None


def test_an_ordinary_account_ends_none_of_another_account_s_gateways(tmp_path: Path) -> None:
    other = PAPER._replace(uid=os.getuid() + 1)
    script = tmp_path / "start.sh"
    script.write_text("pkill -f IbcGateway\n", encoding="utf-8")
    assert ended_by_start([(str(script),)], os.getuid() + 2, [other]) is None
    assert ended_by_start([(str(script),)], 0, [other]) is not None or os.getuid() != 0


def test_the_command_itself_may_be_a_shell_s_text() -> None:
    command = ("/bin/sh", "-c", "pkill -f IbcGateway; exec /opt/ibc/gatewaystart.sh")
    assert ended_by_start([command], os.getuid(), [PAPER]) is not None


def test_so_may_what_a_unit_runs_before_its_program() -> None:
    shown = {
        "ExecStartPre": "{ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f IbcGateway ; ignore_errors=yes ; pid=0 }",
        "ExecStart": "{ path=/bin/sh ; argv[]=/bin/sh -c killall java; exec /opt/start.sh ; ignore_errors=no ; pid=0 }",
    }
    (runs,) = runs_of(shown, None, stops=True)
    before, start = runs.commands
    assert (runs.uid, runs.folder, runs.stop) == (0, "/", False)
    assert before == ("/usr/bin/pkill", "-f", "IbcGateway")
    assert start == ("/bin/sh", "-c", "killall java; exec /opt/start.sh")
    for each in (before, start):
        found = ended_by_start([("/bin/true",), each], 0, [PAPER])
        assert found is not None and found.process is PAPER
    assert runs_of({**shown, "RootDirectory": "/srv/root"}, None, stops=True) == (), "its files are others than here"


def test_what_a_stop_of_the_unit_runs_counts_where_it_is_stopped_and_as_root_where_its_file_says_so() -> None:
    line = "{ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f IbcGateway ; %s ; pid=0 }"
    shown = {
        "User": "nobody",
        "ExecStop": line % "ignore_errors=no",
        "ExecStopPost": line.replace("-f", "-x") % "ignore_errors=no",
        "ExecStopPostEx": line.replace("-f", "-x") % "flags=privileged ignore-failure",
    }
    assert runs_of(shown, None, stops=False) == ()
    own, root = runs_of(shown, None, stops=True)
    assert (own.stop, own.commands) == (True, (("/usr/bin/pkill", "-f", "IbcGateway"),)) and own.uid not in (0, None)
    assert (root.uid, root.commands) == (0, (("/usr/bin/pkill", "-x", "IbcGateway"),))


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("systemctl stop router", True),
        ("/usr/bin/systemctl --no-block restart feed.service router.service", True),
        ("systemctl kill 'rout*'", True),
        ("service router stop", True),
        ("systemctl start router", False),
        ("systemctl --user stop router", False),
        ("systemctl stop router.timer", False),
        ("systemctl stop $UNIT", False),
        ("systemctl stop other", False),
    ],
)
def test_who_lives_in_a_unit_that_a_start_stops_ends_by_it(command: str, ends: bool) -> None:
    bot = PAPER._replace(gateway=None, unit="router.service")
    found = ended_by_start([("/bin/sh", "-c", command)], 0, [bot])
    assert (found is not None) is ends


@pytest.mark.parametrize("pattern", ["(a+)+b", ".*.*.*b", "(.*)*", "a{1,9999}b", "(?:a|a)*b", "[" + "a" * 4000 + "]"])
def test_a_pattern_that_would_take_for_ever_is_not_tried(pattern: str, tmp_path: Path) -> None:
    endless = PAPER._replace(argv=("java", "a" * 100_000))
    assert met_by("pkill -f '%s'" % pattern, tmp_path, endless) is None


@pytest.mark.parametrize(
    ("words", "ends"), [(["start"], False), (["stop"], True), (["restart"], True), (["start && ./ib.sh stop"], True)]
)
def test_a_control_script_is_read_for_the_word_that_it_is_given(tmp_path: Path, words: List[str], ends: bool) -> None:
    control = tmp_path / "ib.sh"
    control.write_text(
        'stop() {\n  pkill -f IbcGateway\n}\ncase "$1" in\n  start) exec /opt/start.sh ;;\n  stop) stop ;;\n'
        "  restart) stop; exec /opt/start.sh ;;\nesac\n"
    )
    command = ["/bin/sh", "-c", "./ib.sh " + words[0]] if " " in words[0] else ["/bin/sh", str(control), *words]
    found = ended_by_start([command], os.getuid(), [PAPER], str(tmp_path))
    assert (found is not None) is ends


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("pkill -u %s -f IbcGateway", True),
        ("pkill -u nobody -f IbcGateway", False),
        ("pkill -U 65534 java", False),
        ("pkill -u no-such-account -f IbcGateway", True),
        ("pkill -u $WHO -f IbcGateway", True),
    ],
)
def test_a_command_that_names_accounts_ends_nobody_of_another_one(command: str, ends: bool) -> None:
    own = pwd.getpwuid(os.getuid()).pw_name
    text = command % own if "%s" in command else command
    assert (ended_by_start([("/bin/sh", "-c", text)], 0, [PAPER]) is not None) is ends


@pytest.mark.parametrize(
    ("greps", "ends"),
    [
        ("grep java | grep /srv/ibgateway/live | grep -v grep", False),
        ("grep java | grep /srv/ibgateway/paper | grep -v grep", True),
        ("grep java | grep -v grep", True),
        ("grep java | grep $OWN", True),
    ],
)
def test_greps_behind_the_first_narrow_whom_a_kill_is_given(greps: str, ends: bool) -> None:
    text = "ps -ef | %s | awk '{print $2}' | xargs kill" % greps
    assert (ended_by_start([("/bin/sh", "-c", text)], 0, [PAPER]) is not None) is ends


SKELETON = """#!/bin/sh
### BEGIN INIT INFO
# Provides: ibgateway
### END INIT INFO
PATH=/sbin:/usr/sbin:/bin:/usr/bin
DESC="IB's gateway"
NAME=ibgateway
DAEMON=/opt/ibc/gatewaystart.sh
PIDFILE=/var/run/$NAME.pid
SCRIPTNAME=/etc/init.d/$NAME
[ -x "$DAEMON" ] || exit 0
[ -r %(folder)s/default ] && . %(folder)s/default
. /lib/init/vars.sh
. /lib/lsb/init-functions
do_start()
{
    start-stop-daemon --start --quiet --pidfile $PIDFILE --exec $DAEMON --test > /dev/null || return 1
    start-stop-daemon --start --quiet --pidfile $PIDFILE --exec $DAEMON -- $DAEMON_ARGS || return 2
}
do_stop()
{
    start-stop-daemon --stop --quiet --retry=TERM/30/KILL/5 --pidfile $PIDFILE --name $NAME
    RETVAL="$?"
    [ "$RETVAL" = 2 ] && return 2
    pkill -f IbcGateway
    rm -f $PIDFILE
    return "$RETVAL"
}
case "$1" in
  start)
    [ "$VERBOSE" != no ] && log_daemon_msg "Starting $DESC" "$NAME"
    do_start
    case "$?" in
        0|1) [ "$VERBOSE" != no ] && log_end_msg 0 ;;
        2) [ "$VERBOSE" != no ] && log_end_msg 1 ;;
    esac
    ;;
  stop)
    do_stop
    case "$?" in
        0|1) [ "$VERBOSE" != no ] && log_end_msg 0 ;;
    esac
    ;;
  restart|force-reload)
    do_stop
    do_start
    ;;
  *)
    echo "Usage: $SCRIPTNAME {start|stop|restart|force-reload}" >&2
    exit 3
    ;;
esac
:
"""


@pytest.mark.parametrize(
    ("word", "default", "ends"),
    [
        ("start", "DAEMON_ARGS=-inline\n", False),
        ("start", "[ -t 1 ] && VERBOSE=yes\nnice_of() { echo 5; }\n", False),
        ("start", "set -- stop\n", True),
        ("start", "shift; set -- restart\n", True),
        ("start", "do_stop\n", True),
        ("start", "trap do_stop EXIT\n", True),
        ("start", "$HOOK\n", True),
        ("start", "do_start() { do_stop; }\n", True),  # which of two is called is not asked
        ("stop", "", True),
        ("restart", "", True),
        ("status", "", False),
    ],
)
def test_the_common_init_script_ends_nobody_by_its_start(tmp_path: Path, word: str, default: str, ends: bool) -> None:
    (tmp_path / "default").write_text(default)
    (tmp_path / "ib").write_text(SKELETON % {"folder": tmp_path})
    found = ended_by_start([(str(tmp_path / "ib"), word)], os.getuid(), [PAPER], "/")
    assert (found is not None) is ends
    if found is not None:
        assert (found.script, found.line) == (str(tmp_path / "ib"), SKELETON[: SKELETON.index("pkill")].count("\n") + 1)


@pytest.mark.parametrize(
    ("library", "ends"),
    [
        ("log() { echo; }\n", False),
        (None, False),
        ("set -- stop\n", True),
        ("pkill -f IbcGateway\n", True),
        ("main() { stop; }\nmain\n", True),
        ("if true; then 'x\n", True),
    ],
)
@pytest.mark.parametrize("way", [". %s/lib.sh", 'source "$(dirname "$0")/lib.sh"', 'HERE=%s\n. "$HERE/lib.sh"'])
def test_a_file_that_a_control_script_sources_is_read_for_what_it_does_to_its_words(
    tmp_path: Path, way: str, library: Optional[str], ends: bool
) -> None:
    if library is not None:
        (tmp_path / "lib.sh").write_text(library)
    way = way % tmp_path if "%s" in way else way
    text = 'stop() { pkill -f IbcGateway; }\n%s\ncase "$1" in stop) stop ;; *) echo ;; esac\n' % way
    (tmp_path / "ib.sh").write_text("#!/bin/bash\n" + text)
    found = ended_by_start([(str(tmp_path / "ib.sh"), "start")], os.getuid(), [PAPER], "/")
    assert (found is not None) is ends


def test_a_script_that_calls_itself_in_many_ways_is_read_a_bounded_number_of_times(tmp_path: Path) -> None:
    text = "".join('"$0" %d\n' % each for each in range(900)) + '[ "$1" = 700 ] && pkill -f IbcGateway\n'
    (tmp_path / "ib.sh").write_text("#!/bin/sh\n" + text)
    began = time.process_time()
    assert ended_by_start([(str(tmp_path / "ib.sh"), "start")], os.getuid(), [PAPER], "/") is not None
    assert time.process_time() - began < 5


#: A control script, the library beside it and the words that it is given: each ends the other gateway.
WAYS = (
    (". ./lib.sh stop", 'case "$1" in stop) {kill} ;; esac', "start"),
    ("stop_all() {{ {kill}; }}\n. ./lib.sh\nrun stop", 'run() {{ "$1"_all; }}', "start"),
    ("stop() {{ {kill}; }}\n. ./lib.sh\ndispatch stop", 'dispatch() {{ "$@"; }}', "start"),
    ('. ./lib.sh\ncase "$1" in live) {kill} ;; esac', "shift", "start live"),
    ('f() {{ . ./lib.sh; }}\nf\n[ "$MODE" = stop ] && {kill}', "MODE=stop", "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\n. ./lib.sh', '"$0" stop', "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\n"$(dirname "$0")/ib.sh" stop', "", "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\nsu trader -c "$0 stop"', "", "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\nflock ./ib.sh "$0" stop', "", "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\nstart-stop-daemon --start --exec "$0" -- stop', "", "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\n[ "$1" = start ] && "$0" st?p', "", "start"),
    ('[ "$1" = stop ] && {{ {kill}; exit; }}\n[ "$1" = start ] && "$0" $NO stop', "", "start"),
    ('case "${{1:-stop}}" in stop) {kill} ;; esac', "", ""),
    ('case "$1" in stop) {kill} ;; esac', "", "$ACTION"),
    ('while getopts "sk" o; do :; done\nshift $((OPTIND - 1))\n[ "$1" = kill ] && {kill}', "", "-k kill"),
    ("for each; do case $each in --clean) {kill} ;; esac; done", "", "start --clean"),
    ('go() {{ for each in "$@"; do [ "$each" = x ] && {kill}; done; }}\ngo start x', "", "start"),
    ('case "$1" in\r\nstart) x ;;\r\nstop) {kill} ;;\r\nesac\r', "", "start"),
    ('until [ "$1" = stop ]; do set -- stop; done\n[ "$1" = stop ] && {kill}', "", "start"),
    ("stop() {{ :; }}\n[ -f /etc/passwd ] && stop() {{ {kill}; }}\nstop", "", "start"),
)


@pytest.mark.parametrize(("text", "library", "words"), WAYS)
def test_a_control_script_that_comes_to_end_others_by_a_detour_is_told(
    text: str, library: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "lib.sh").write_text(library.format(kill="pkill -f IbcGateway") + "\n")
    (tmp_path / "ib.sh").write_text("#!/bin/bash\n" + text.format(kill="pkill -f IbcGateway") + "\n", newline="")
    found = ended_by_start([(str(tmp_path / "ib.sh"), *words.split())], os.getuid(), [PAPER], str(tmp_path))
    assert found is not None
