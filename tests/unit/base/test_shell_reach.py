"""What real shells run of made up scripts is never left out of what a call of them is read for."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import List, Set

import pytest
from ansible.module_utils.ib_gateway.base.control_scripts import part_run
from ansible.module_utils.ib_gateway.base.shell_text import marked, simple_commands, unmarked

NAMES = ("stop", "start", "run")
WORDS = ("start", "stop", "-x", "a b", "")
VALUES = (
    *('"$1"', "$1", '"$2"', '"${1:-stop}"', "${1-start}", '"$X"', "$X", '"${X:-start}"', '"${1,,}"', '"${1^^}"'),
    *('"${1#st}"', '"${1%op}"', '"$*"', '"$@"', '"$#"', "stop", '"${2:+stop}"', '"$?"', '"$(echo stop)"', '"${!1}"'),
)
LITERALS = ("stop", "start", '"stop"', "''", "st*", "?top", "[Ss]top", "'st*'", "$X", '"$1"', "STOP", "op", "0", "1")
SIMPLE = (
    *("X=stop", "X=start", 'X="$1"', "X=$X$1", "X=", "X=$(echo stop)", "X+=op", "export X=stop", "unset X"),
    *("local X=stop 2>/dev/null", "readonly X=stop", "read X <<END\nstop\nEND", "echo stop | read X", ": ${X:=stop}"),
    *("shift", "shift 2", "set -- stop", "set -- start x", "set stop", "set --", 'set -- "$@" stop', "set -- $X"),
    *("set -e", "set -euo pipefail stop", "exit", "exit 1", "return", "return 1", "break", "continue", "exec true"),
    *("exec $NONE", "exec >&2", 'eval "$1"', "eval stop", "eval X=stop", "eval set -- stop", "trap stop EXIT"),
    *("trap - EXIT", "stop", "start", "run stop", 'run "$@"', 'stop "$1"', '"$1"', "$X", '"$@"', "command stop"),
    *("cat <<END\ndon't\n$(stop)\nEND", "X=stop start", "true # it's", "echo ${0##*/} $# # don't", "unset -f stop"),
    *("printf -v X stop", "((X=1))", "declare X=stop", "stop &", "wait", "getopts s X", "X=(stop start)"),
)
#: Functions that call each other in shells of their own would go on to fill the host with these.
_NOT_DEEP = 'N=$((N + 1)); [ "$N" -gt 6 ] && exit'


class Script:
    """Makes up a script, in which each command that leaves a mark has its own."""

    def __init__(self, seed: int) -> None:
        self.one = random.Random(seed)  # noqa: S311  # the same scripts each time
        self.marks = 0
        depth = self.one.choice((1, 2, 3))
        functions = [
            "%s() {\n%s\n%s\n}" % (name, _NOT_DEEP, self.some(depth - 1)) for name in NAMES if self.one.random() < 0.5
        ]
        self.text = "\n".join([*functions, self.some(depth, 3)]) + "\n"
        self.given = [self.one.choice(WORDS) for _each in range(self.one.randrange(3))]

    def mark(self) -> str:
        self.marks += 1
        return "echo M%d_" % self.marks

    def some(self, depth: int, count: int = 0) -> str:
        return "\n".join(self.command(depth) for _each in range(count or self.one.choice((1, 2))))

    def grouped(self, depth: int) -> str:
        return "{ %s\n}" % self.some(depth)

    def test(self) -> str:
        value, literal, count = self.one.choice(VALUES), self.one.choice(LITERALS), self.one.randrange(3)
        other = "%s = %s" % (self.one.choice(VALUES), self.one.choice(LITERALS))
        return self.one.choice(
            (
                *(
                    "[ %s = %s ]" % (value, literal),
                    "[ %s != %s ]" % (value, literal),
                    "[ %s == %s ]" % (value, literal),
                ),
                *("test %s = %s" % (value, literal), "[ ! %s = %s ]" % (value, literal), "[ -n %s ]" % value),
                *("[ $# -gt %d ]" % count, "[ $# -eq %d ]" % count, "[ $# -lt %d ]" % count, "[ -z %s ]" % value),
                *("[ %s = %s -o %s ]" % (value, literal, other), "[ %s = %s -a %s ]" % (value, literal, other)),
                *("[[ %s == %s ]]" % (value, literal), "[[ %s != %s && %s ]]" % (value, literal, other)),
                *("[[ ! %s = %s || %s ]]" % (value, literal, other), "[[ %s =~ ^st ]]" % value, "[[ -z %s ]]" % value),
                *("(( $# == %d ))" % count, "(($#))", "true", "false", "! true", "[ -e /tmp ]", self.one.choice(NAMES)),
            )
        )

    def branch(self, depth: int) -> str:
        labels = self.one.choice(("stop", "start|run", "*", "'st*'", "[Ss]top", '"$X"', "0|1", "st*", "-*", "$1"))
        return "%s) %s\n%s" % (labels, self.some(depth), self.one.choices((";;", ";&", ";;&"), (9, 1, 1))[0])

    def command(self, depth: int) -> str:
        if depth <= 0 or self.one.random() < 0.3:
            marked_ones = (self.mark(), "eval '%s'" % self.mark(), "trap '%s' EXIT" % self.mark())
            return self.one.choice(marked_ones if self.one.random() < 0.4 else SIMPLE)
        kind = self.one.randrange(12)
        if kind < 2:
            other = "elif %s; then %s\nelse %s" % (self.test(), self.some(depth - 1), self.some(depth - 1))
            return "if %s\nthen\n%s\n%s\nfi" % (self.test(), self.some(depth - 1), other if kind else "")
        if kind < 5:
            branches = "\n".join(self.branch(depth - 1) for _each in range(self.one.randrange(1, 4)))
            return "case %s in\n%s\nesac" % (self.one.choice(VALUES), branches)
        if kind < 7:
            then = "&& %s ||" % self.grouped(depth - 1) if kind == 5 else self.one.choice(("&&", "||"))
            return "%s %s %s" % (self.test(), then, self.grouped(depth - 1))
        if kind == 7:
            behind = ("", " >/dev/null", " >/nonexistent/x", " &>/dev/null", " | cat", " &")
            return self.grouped(depth - 1) + self.one.choice(behind)
        form = {
            8: self.one.choice(("( %s\n)", "echo $( %s\n)")),
            9: "for X in " + self.one.choice(("a b", '"$@"', "stop")) + "; do %s\ndone",
            10: "while [ $# -gt 0 ]; do %s\nshift || break\ndone",
            11: self.one.choice(NAMES) + "() {\n" + _NOT_DEEP + "\n%s\n}",
        }
        return form[kind] % self.some(depth - 1)


def output_of(command: List[str], folder: Path) -> str:
    """What a script has written; of one that goes on for ever what it has by then. It is ended, and all it began."""
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'ulimit -t 1; exec "$0" "$@"', *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin"},
            cwd=folder,
            start_new_session=True,
        )
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return output.read_bytes()[: 1 << 20].decode()


def left_in(text: str) -> Set[str]:
    commands: List[str] = [" ".join(map(unmarked, each)) for each in simple_commands(marked(text))]
    return {found for each in commands for found in re.findall(r"M\d+_", each)}


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_what_a_real_shell_runs_of_a_script_is_left_in_it(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip("needs %s" % shell)
    less = 0
    for seed in range(250):
        script = Script(seed)
        (tmp_path / "one.sh").write_text(script.text)
        ran = set(re.findall(r"M\d+_", output_of([program, str(tmp_path / "one.sh"), *script.given], tmp_path)))
        left = part_run(script.text, script.given, bash=shell == "bash")
        less += left != script.text
        assert ran <= left_in(left), (seed, script.given, script.text, left)
    assert less > 50


#: Texts of 16 kB that take whoever goes through them long.
LONG = {
    "loops in loops": ("for a in x; do " * 7 + "A=1\n" + "done; " * 7 + "\n") * 150,
    "calls of calls": "".join("f%d() { f%d; f%d; }\n" % (n, n + 1, n + 1) for n in range(11)) + "f11() { A=1; }\nf0\n",
    "values": "".join("A%d=1\n" % n for n in range(1000)) + "[ $x ] && y\n" * 500,
    "a long word": "A=%s\n" % ("a" * 250) + "for a in x; do " * 6 + "echo %s\n" % ("$A" * 7000) + "done;" * 6,
    "patterns": "for a in x; do " * 4 + "case $1 in %s) x;; esac\n" % ("a*b*c|" * 2500 + "x") + "done; " * 4,
    "choices": "if [ $x ]; then A=$A; fi\n" * 600,
    "texts": "f() { eval 'g; g'; }; g() { eval f; }\n" + "f\n" * 5000,
    "heredocs": "cat <<E\nE\n" * 1700,
    "what is open": "".join(("$(", "A=(", "{ ", "${", '"$(') * 1200),
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_script_that_was_written_to_take_long_takes_no_seconds(text: str) -> None:
    began = time.process_time()
    part_run(text[: 1 << 14], ["start"])
    assert time.process_time() - began < 2
