"""What a start runs, followed through its scripts: as far as the text tells, never further."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.observe.ended_by_start import ended_by_start
from ansible.module_utils.ib_gateway.observe.owned_text import owned_text
from ansible.module_utils.ib_gateway.observe.script_runs import Scripts
from ansible.module_utils.ib_gateway.observe.shell_state import Shell
from ansible.module_utils.ib_gateway.observe.start_scripts import Account, Search
from unit.facts import SECOND, gateway, spec

PAPER = gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")._replace(uid=os.getuid())
KILLS, STARTS = "pkill -f IbcGateway\n", "exec /opt/ibc/gatewaystart.sh -inline\n"


def written(folder: Path, **scripts: str) -> None:
    for name, text in scripts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".sh").write_text(text, encoding="utf-8")


def ended(command: Sequence[str], folder: Optional[Path] = None) -> Optional[str]:
    """The command that ends the other gateway, as it may be shown."""
    found = ended_by_start([tuple(command)], os.getuid(), [PAPER], str(folder) if folder else None)
    return " ".join(found.words) if found else None


def starts(command: str, home: Path) -> bool:
    return Search(spec(service=None), Account("trader", os.getuid(), str(home)), ()).command_in(command) is not None


#: How a script runs bin/next.sh.
WAYS = (
    "sh -c './bin/next.sh'",
    "exec ./bin/next.sh",
    "exec bash bin/next.sh live",
    ". ./bin/next.sh",
    "source bin/next.sh",
    "cd bin && ./next.sh",
    "(cd bin; exec ./next.sh)",
    "cd bin || exit 1\n./next.sh",
    "NEXT=bin/next.sh\nbash $NEXT",
    'ROOT=$PWD\nBIN="$ROOT/bin"; "${BIN}/next.sh" &',
    '"$(dirname "$0")/bin/next.sh"',
    "$(dirname $0)/bin/next.sh",
    "`dirname $0`/bin/next.sh",
    'nohup "${0%/*}/bin/next.sh" >/dev/null 2>&1 &',
    'cd "$(dirname "${BASH_SOURCE[0]}")" && exec bin/next.sh',
    'HERE="$(cd "$(dirname "$0")" >/dev/null && pwd)"\n$HERE/bin/next.sh',
    'SCRIPT=$(readlink -f "$0")\nHERE=$(dirname "$SCRIPT")\nexec "$HERE/bin/next.sh"',
    "if [ -x bin/next.sh ]; then bin/next.sh; fi",
    "run() { bin/next.sh; }\nrun",
)


@pytest.mark.parametrize("way", WAYS)
def test_a_script_that_a_script_runs_is_followed_for_whom_it_ends_and_for_what_it_starts(
    way: str, tmp_path: Path
) -> None:
    written(tmp_path, first=way + "\n", bin__next=KILLS)
    assert ended((str(tmp_path / "first.sh"),), tmp_path) == "pkill -f IbcGateway"
    assert not starts("cd %s && ./first.sh" % tmp_path, tmp_path)
    written(tmp_path, bin__next=STARTS)
    assert ended((str(tmp_path / "first.sh"),), tmp_path) is None
    assert starts("cd %s && ./first.sh" % tmp_path, tmp_path)


#: Whose path or folder only the shell knows.
UNKNOWN = (
    "cd $SOMEWHERE && ./bin/next.sh",
    "cd bin/elsewhere; popd; ./bin/next.sh",
    'cd "$(cat where)"; ./bin/next.sh',
    'BIN=$(cat where)bin; "$BIN/next.sh"',
    'if [ "$1" = x ]; then BIN=bin; else BIN=other; fi\n"$BIN/next.sh"',
    'for BIN in a b; do "$BIN/next.sh"; done',
    "BIN=bin; read -r BIN; $BIN/next.sh",
    'BIN=bin; eval "$MORE"; $BIN/next.sh',
    "BIN=bin; BIN+=ary; $BIN/next.sh",
    "BIN=(bin other); $BIN/next.sh",
    '[ -z "$1" ] || BIN=bin; $BIN/next.sh',
    "BIN=bin; . ./more.sh; $BIN/next.sh",
    "BIN=bin; sh -c '$BIN/next.sh'",
    "'$PWD/bin/next.sh'",
    "\\$PWD/bin/next.sh",
    "echo ./bin/next.sh",
    "cat <./bin/next.sh",
)


@pytest.mark.parametrize("way", UNKNOWN)
def test_what_only_the_shell_can_know_ends_nobody(way: str, tmp_path: Path) -> None:
    written(tmp_path, first=way + "\n", bin__next=KILLS, other__next="true\n")
    os.mkfifo(tmp_path / "more.sh")
    assert ended((str(tmp_path / "first.sh"),), tmp_path) is None


def test_without_a_known_folder_a_relative_path_is_nobody_s(tmp_path: Path) -> None:
    written(tmp_path, first="./bin/next.sh\n", bin__next=KILLS)
    assert ended((str(tmp_path / "first.sh"),)) is None
    written(tmp_path, first="cd %s\n./bin/next.sh\n" % tmp_path)
    assert ended((str(tmp_path / "first.sh"),)) is not None


@pytest.mark.parametrize(
    "text",
    [
        'PATTERN=IbcGateway\npkill -f "$PATTERN"',
        "PATTERN='ibcalpha.ibc.IbcGateway'; pkill -f ${PATTERN}",
        "readonly PATTERN=Xvfb\nPATTERN=IbcGateway\npkill -f $PATTERN",
        "NAME=ibcalpha.ibc; export PATTERN=$NAME.IbcGateway; bash -c 'pkill -f $PATTERN'",
        'PATTERN=IbcGateway; sh -c "pkill -f $PATTERN"',
        "PATTERN=IbcGateway sh -c 'pkill -f $PATTERN'",
        "set -a; PATTERN=IbcGateway; set +a; sh -c 'pkill -f $PATTERN'",
        'PATTERN=IbcGateway; PID="$(pgrep -f "$PATTERN")"; kill $PID',
        "PATTERN=IbcGateway; [ -r /nonexistent ] && . /nonexistent; pkill -f $PATTERN",
        "if true; then PATTERN=IbcGateway; pkill -f $PATTERN; fi",
        "PATTERN=IbcGateway; (PATTERN=Xvfb); pkill -f $PATTERN",
        'PATTERN=IbcGateway; if [ -n "$1" ]; then PATTERN=IbcGateway; fi; pkill -f $PATTERN',
        '. ./settings.sh; pkill -f "$PATTERN"',
        "source ./settings.sh; ./kill.sh",
    ],
)
def test_a_pattern_in_a_variable_that_the_script_gives_is_understood(text: str, tmp_path: Path) -> None:
    written(tmp_path, first=text + "\n", settings="export PATTERN=IbcGateway\n", kill='pkill -f "$PATTERN"\n')
    told = ended(("/bin/bash", "./first.sh"), tmp_path)
    assert told is not None
    assert ("$" in told) == ('bash -c "' not in text and 'sh -c "' not in text), "a value may not be for everybody"


@pytest.mark.parametrize(
    "text",
    [
        "PATTERN=IbcGateway; PATTERN=jtsConfigDir=/srv/ibgateway/live; pkill -f $PATTERN",
        'if live; then PATTERN=/live; else PATTERN=IbcGateway; fi; pkill -f "$PATTERN"',
        "PATTERN=IbcGateway; if live; then PATTERN=/live; fi; pkill -f $PATTERN",
        "PATTERN=IbcGateway; live && PATTERN=/live; pkill -f $PATTERN",
        "PATTERN=IbcGateway; while read -r PATTERN; do pkill -f $PATTERN; done",
        "PATTERN=IbcGateway; for PATTERN in a b; do pkill -f $PATTERN; done",
        "PATTERN=IbcGateway; sh -c 'pkill -f $PATTERN'",
        "PATTERN=IbcGateway; pkill -f '$PATTERN'",
        "PATTERN='IbcGateway x'; pkill -f $PATTERN",
        "PATTERN=`cat p`IbcGateway; pkill -f $PATTERN",
        "PATTERN=${1:-IbcGateway}; pkill -f $PATTERN",
        "PATTERN=; pkill -f $PATTERN",
        "pkill -f $PATTERN; PATTERN=IbcGateway",
        'PATTERN=IbcGateway; unset PATTERN; pkill -f "$PATTERN"',
        "if live; then PATTERN=IbcGateway; else pkill -f $PATTERN; fi",
        'case $1 in a) PATTERN=IbcGateway;; b) pkill -f "$PATTERN";; esac',
        '[ -n "$PATTERN" ] || . ./settings.sh; pkill -f $PATTERN',
        "if live; then PATTERN=IbcGateway; . ./broken.sh; fi; pkill -f $PATTERN",
    ],
)
def test_a_pattern_that_is_not_certain_ends_nobody(text: str, tmp_path: Path) -> None:
    written(tmp_path, first=text + "\n", settings="PATTERN=IbcGateway\n", broken="if true; then 'x\n")
    assert ended(("/bin/bash", "./first.sh"), tmp_path) is None


def test_a_script_behind_a_link_in_its_place_is_read_for_whom_it_ends_as_the_shell_would_run_it(tmp_path: Path) -> None:
    written(tmp_path, bin__real='"$(dirname "$(readlink -f "$0")")/next.sh"\n', bin__next=KILLS)
    (tmp_path / "link.sh").symlink_to(tmp_path / "bin" / "real.sh")
    assert ended((str(tmp_path / "link.sh"),)) is not None
    written(tmp_path, bin__real='"$(dirname "$0")/next.sh"\n')
    assert ended((str(tmp_path / "link.sh"),)) is None, "its folder is the link's, where there is none"


def test_a_script_of_another_language_is_no_shell_s_text(tmp_path: Path) -> None:
    written(tmp_path, first="#!/usr/bin/env python3\npkill -f IbcGateway\n")
    assert ended((str(tmp_path / "first.sh"),)) is None
    assert ended(("/usr/bin/python3", str(tmp_path / "first.sh"))) is None
    assert ended(("/opt/with-display", str(tmp_path / "first.sh"))) is None
    written(tmp_path, first="#!/bin/csh\npkill -f IbcGateway\n")
    assert ended(("/opt/with-display", str(tmp_path / "first.sh"))) is not None


def test_what_may_not_be_read_tells_nothing(tmp_path: Path) -> None:
    written(tmp_path, first="./next.sh\n. ./next.sh\n", long=KILLS + "#" * (1 << 14))
    for place in ("/dev/zero", tmp_path / "long.sh", tmp_path):
        (tmp_path / "next.sh").symlink_to(place)
        assert ended((str(tmp_path / "first.sh"),), tmp_path) is None
        (tmp_path / "next.sh").unlink()
    os.mkfifo(tmp_path / "next.sh")
    assert ended((str(tmp_path / "first.sh"),), tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
@pytest.mark.parametrize("way", ["./next.sh", ". ./next.sh", "sh next.sh"])
def test_a_script_that_another_account_put_there_is_not_followed(way: str, tmp_path: Path) -> None:
    written(tmp_path, first=way + "\n", next=KILLS)
    assert ended((str(tmp_path / "first.sh"),), tmp_path) is not None
    os.chown(tmp_path / "next.sh", 65534, 65534)
    assert ended((str(tmp_path / "first.sh"),), tmp_path) is None
    assert owned_text(str(tmp_path / "next.sh"), (0,), 1 << 10) is None
    assert owned_text(str(tmp_path / "next.sh"), (0, 65534), 1 << 10) == KILLS


def test_a_file_is_read_up_to_its_limit_and_not_beyond(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345\x00")
    path, own = str(tmp_path / "file"), (os.getuid(),)
    assert owned_text(path, own, 6) is None
    assert owned_text(path, own, 6, binary=True) == "12345\0"
    assert owned_text(path, own, 5, binary=True) is None
    (tmp_path / "link").symlink_to(path)
    assert owned_text(str(tmp_path / "link"), own, 6, binary=True) is None
    assert owned_text(str(tmp_path / "link"), own, 6, links=True, binary=True) is not None
    assert owned_text(path + "\0", own, 6) is None


def test_scripts_are_followed_to_a_bounded_depth_and_number(tmp_path: Path) -> None:
    for each in range(8):
        written(tmp_path, **{"s%d" % each: "./s%d.sh\n" % (each + 1)})
    written(tmp_path, s4=KILLS)
    assert ended(("./s0.sh",), tmp_path) is not None
    written(tmp_path, s4="./s5.sh\n", s8=KILLS)
    assert ended(("./s0.sh",), tmp_path) is None
    written(tmp_path, many="".join("./m%d.sh\n" % each for each in range(64)))
    written(tmp_path, **{"m%d" % each: "true\n" for each in range(63)}, m63=KILLS)
    assert ended(("./many.sh",), tmp_path) is None
    written(tmp_path, m5=KILLS)
    assert ended(("./many.sh",), tmp_path) is not None
    written(tmp_path, many="".join("./n%d.sh\n" % each for each in range(600)) + "./m5.sh\n")
    assert ended(("./many.sh",), tmp_path) is None


#: Texts of 16 kB that take a reader long which reads them more than once, or a pattern that goes back.
LONG: Dict[str, str] = {
    "blank lines": "\n" * 16000,
    "one value in another": "A=aaaaaaaaaaaaaaaa\n" + "A=$A$A\nB=$A$B\n" * 1000,
    "many values in a word": "A=%s\necho %s\n" % ("a" * 900, "$A" * 7000),
    "values run as texts": "A='%s'\n" % ("x; " * 300) + 'sh -c "$A"\n' * 1300,
    "shells in shells": "sh -c " * 2600,
    "blocks in blocks": "if " * 1300 + "".join("A%d=1;" % each for each in range(1000)) + "fi;" * 1300,
    "branches": "if x; then\n" + "A%d=1\n" * 5 % (1, 2, 3, 4, 5) + "else\n" * 3000 + "fi\n",
    "subshells": "(" * 16000,
    "substitutions": "$(" * 8000,
    "folders": "$(dirname " * 1600,
    "spaces in one": "$(dirname" + " " * 16000,
    "folders of folders": "cd " + "$(dirname " * 800 + "$0" + ")" * 800,
    "quotes": "\"'" * 8000,
    "escapes": '"' + "\\\\" * 8000,
    "names": "".join("A%d=1;" % each for each in range(1800)) + "eval x\n" * 300,
    "itself": '"$0"\n' * 3000,
    "its own settings": '. "$0"\n' * 2000,
    "scripts that are missing": "".join("./x%d\n" % each for each in range(2000)),
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_script_that_was_written_to_take_long_takes_no_seconds(text: str, tmp_path: Path) -> None:
    (tmp_path / "first.sh").write_text(text[: 1 << 14], encoding="utf-8")
    began = time.process_time()
    assert ended(("./first.sh",), tmp_path) is None
    assert not starts("cd %s; ./first.sh" % tmp_path, tmp_path)
    assert time.process_time() - began < 3


def words_of(text: str) -> List[List[str]]:
    shell = Shell("/srv", "/home/t", "/srv/start.sh")
    return [command.words for command in Scripts(()).commands(text, shell)]


def test_words_have_the_values_that_are_known_and_stay_as_they_are_written_otherwise() -> None:
    text = 'A=x\nrun $A \'$A\' \\$A "$A" ${A} $B ${A:-y} $(cat $A) "$(dirname $B)" $1\n'
    assert words_of(text)[1:3] == [
        ["run", "x", "$A", "$A", "x", "x", "$B", "${A:-y}", "$"],
        ["cat", "x"],
    ]
    assert words_of("A='x y'; run $A \"$A\"")[1] == ["run", "$A", "x y"]
    assert words_of("popd; run $PWD")[1] == ["run", "$PWD"]
    assert words_of('ls "$(dirname $B)/x" "$(dirname "$0")" ~/y $HOME')[0] == [
        *("ls", "$(dirname $B)/x", "/srv", "~/y", "/home/t")
    ]


def test_of_a_cron_line_the_variables_count_as_well_and_it_is_told_as_it_is_written(tmp_path: Path) -> None:
    written(tmp_path, live="TRADING_MODE=live\n", paper="TRADING_MODE=paper\n")
    search = Search(spec(service=None), Account("trader", os.getuid(), str(tmp_path)), ())
    line = "GW=/opt/ibc/gatewaystart.sh; . ./%s.sh; $GW -inline"
    assert search.command_in(line % "live") == ["$GW", "-inline"]
    assert search.command_in(line % "paper") is None


def test_a_path_that_no_system_has_is_nobody_s(tmp_path: Path) -> None:
    assert ended(("sh", "-c", "/\ud800/x.sh; ./\ud800; cd /\ud800 && ./x.sh"), tmp_path) is None
    assert ended(("/opt/with-display", "/\ud800/x.sh"), tmp_path) is None
