"""What an audit costs grows with the size of the scripts, and a file that reaches a limit is named."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from typing import List

import pytest
from ansible.module_utils.ib_audit.analysis import effort as limits
from ansible.module_utils.ib_audit.analysis import flow, scopes
from ansible.module_utils.ib_audit.analysis.effort import Effort
from ansible.module_utils.ib_audit.reading.model import Script, Source
from ansible.module_utils.ib_audit.rules import problems
from ansible.module_utils.ib_audit.rules.audit import audit
from ansible.module_utils.ib_audit.rules.ignores import Ignore, comments
from hypothesis import given, settings
from hypothesis import strategies as st

HEAD = "from ib_insync import IB, util\nimport os, time\nib = IB()\nx0 = x1 = x2 = x3 = x4 = ib\n"
NAMES = ["x%d" % number for number in range(5)]
name = st.sampled_from(NAMES)
expression = st.recursive(
    name | st.sampled_from(["IB()", "ib", "15", "os.getenv('A', '4002')", "self"]),
    lambda inner: st.one_of(
        inner.map("%s.connect('', 4002, clientId=7)".__mod__),
        inner.map("%s.a".__mod__),
        st.tuples(inner, inner).map("f(%s, %s)".__mod__),
        st.tuples(inner, inner).map("(%s or %s)".__mod__),
        st.tuples(inner, inner).map("{'a': %s}['a'] + %s".__mod__),
        st.tuples(inner, inner).map("[%s, %s][0]".__mod__),
    ),
    max_leaves=5,
)
assignment = st.tuples(name, expression).map("%s = %s".__mod__)
statement = st.one_of(
    assignment,
    assignment,
    st.tuples(name, expression).map("%s.a = %s".__mod__),
    expression,
    st.tuples(name, expression).map("for %s in [%s]: pass".__mod__),
    st.tuples(name, assignment).map("while %s.isConnected(): %s".__mod__),
    st.tuples(expression, assignment).map("try: %s\nexcept OSError: %s".__mod__),
    name.map("%s.updateEvent += f".__mod__),
)


def indented(lines: List[str]) -> str:
    return "".join("    " + each.replace("\n", "\n    ") + "\n" for each in lines)


block = st.lists(statement, min_size=1, max_size=6)
program = st.tuples(block, block, block, block).map(
    lambda parts: (
        HEAD
        + "def f(x0, x1=7):\n%s    return x0\n" % indented(parts[0])
        + "async def g(x2):\n%s" % indented(parts[1])
        + "class A(IB):\n    def go(self, x3=ib):\n%s" % indented(indented(parts[2]).splitlines())
        + "\n".join(parts[3])
        + "\nf(A(), x1)\ng(f)\nA().go(x2)\n"
    )
)


class Counted(Effort):
    """Counts all steps."""

    steps = 0

    def step(self) -> None:
        """Counts one."""
        self.steps += 1
        super().step()


def cost(text: str) -> Counted:
    """What the audit of a text costs."""
    counted = Counted()
    audit([Source("/a.py", text.encode())], (), None, counted)
    assert counted.given_up == {}
    return counted


@settings(max_examples=120, deadline=None)
@given(program)
def test_a_program_costs_a_bounded_number_of_steps_for_each_of_its_names(text: str) -> None:
    assert cost(text).steps <= 120 * len(text.split()) + 2000


@settings(max_examples=25, deadline=None)
@given(program)
def test_a_program_that_is_four_times_as_long_costs_about_four_times_as_much(text: str) -> None:
    def renamed(number: int) -> str:
        return re.sub(r"\b(x\d|f|g|A|ib)\b", lambda found: "%s_%d" % (found.group(), number), text)

    one = cost(text).steps
    assert cost("".join(renamed(number) for number in range(4))).steps <= 6 * one + 1000


RING = "def h%d(a):\n    return h%d(h%d(a))\n"
METHOD = "    def m%d(self):\n        self.a = self.a.m%d()\n"


@pytest.mark.parametrize(
    "text",
    [
        # a name that is assigned again and again, by way of itself
        HEAD + "".join("df = df.method%d(df)\n" % number for number in range(300)),
        HEAD + "".join("x%d = x%d.a\n" % (number % 5, (number * 7 + 1) % 5) for number in range(400)),
        # functions that call each other in all directions
        HEAD + "".join(RING % (n, n * 3 % 60, n * 5 % 60) for n in range(60)),
        # many calls of one function, many connects, many branches, a deep chain of attributes
        HEAD + "def h(a=1):\n    ib.connect('', 4002, a)\n" + "h(1)\n" * 800,
        HEAD + "ib.connect('', 4002, clientId=1)\n" * 800,
        HEAD + "if x0:\n    x1 = ib\n" + "elif x0:\n    x1 = x1.a\n" * 400,
        HEAD + "y = ib" + ".a" * 400 + "\ny.connect('', 4002, 1)\n",
        HEAD + "class A:\n" + "".join(METHOD % (n, n - 1) for n in range(150)),
    ],
)
def test_what_is_long_and_full_of_circles_is_audited_within_the_limits(text: str) -> None:
    assert cost(text).steps < 60 * len(text.split()) + 50 * text.count(".") + 5000


@pytest.mark.parametrize(
    "text",
    [
        "while True:\n" + "    t = threading.Thread(target=f)\n    t.start()\n" * 200,
        "async def main():\n" + "    input()\n" * 200 + "asyncio.run(main())\n",
        "def go():\n" + "    t = ib.reqMktData(1)\n    print(t.last)\n" * 200 + "go()\n",
        "ib.connect('', 4002, 1)\nasync def life():\n    yield\n" + "    ib.disconnect()\n" * 200,
    ],
)
def test_no_rule_reads_a_loop_or_a_function_again_for_each_of_its_calls(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited = [0]

    def counting(visit: Callable[[ast.AST], Iterator[ast.AST]]) -> Callable[[ast.AST], Iterator[ast.AST]]:
        def counted(node: ast.AST) -> Iterator[ast.AST]:
            for each in visit(node):
                visited[0] += 1
                yield each

        return counted

    monkeypatch.setattr(flow, "below", counting(flow.below))
    monkeypatch.setattr(ast, "walk", counting(ast.walk))
    script = "import asyncio, threading\n" + HEAD + text
    cost(script)
    assert visited[0] < 100 * script.count("\n")


def test_a_file_that_reaches_its_limit_is_named_and_all_others_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_EACH_FILE", 60)
    monkeypatch.setattr(limits, "_EACH_NODE", 0)
    long = HEAD + "ib.connect('', 4002, clientId=1)\n" * 99
    short = b"from ib_insync import IB\nIB().connect('', 4002, clientId=7)\n"
    found = audit([Source("/long.py", long.encode()), Source("/short.py", short)])
    assert [each.file for each in found.problems if each.code == "file_too_complex"] == ["/long.py"]
    assert "hardcoded_client_id" in {each.code for each in found.problems if each.file == "/short.py"}
    assert found.files == 2


def test_a_file_with_more_names_than_a_person_writes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "MOST_NODES", 1000)
    many = b"import ib_insync\nx = [" + b"a," * 1000 + b"]\n"
    found = audit([Source("/many.py", many), Source("/short.py", b"import ib_insync\n")])
    assert [(each.file, each.code) for each in found.problems] == [("/many.py", "file_too_complex")]


def test_when_the_time_of_a_host_is_over_what_is_left_is_named() -> None:
    now = iter(range(10**9))
    effort = Effort(5.0, lambda: 0.0, 3.0, lambda: float(next(now)))
    sources = [Source("/%d.py" % number, b"import ib_insync\n") for number in range(9)]
    found = audit(sources, (), None, effort)
    named = {each.file for each in found.problems if each.code == "file_too_complex"}
    assert named and found.files == 9 and "/0.py" not in named


def test_a_file_that_takes_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_CLOCK_EVERY", 1)
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    found = audit(
        [Source("/slow.py", (HEAD + "ib.connect('', 4002, clientId=1)\n").encode())], (), None, Effort(1.0, clock)
    )
    (problem,) = [each for each in found.problems if each.code == "file_too_complex"]
    assert "more than 1 s" in problem.summary


def calls(text: str) -> int:
    """How many functions, and turns of generators, the audit of a text takes."""
    taken = [0]

    def count(_frame: object, event: str, _argument: object) -> None:
        taken[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        audit([Source("/a.py", text.encode())], ())
    finally:
        sys.setprofile(None)
    return taken[0]


@pytest.mark.parametrize(
    "lines",
    [
        "ib.connect('', 4002, clientId=1)\n",
        "while True:\n    ib.connect('', 4002, clientId=1)\n",
        "def f():\n    ib.connect('', 4002, clientId=1)\n",
        "try:\n    ib.connect('', 4002, clientId=1)\nexcept Exception:\n    pass\n",
        "ib.connect('', 4002, clientId=1)\nib.disconnect()\n",
        "ib.reqMktData(1)\nib.sleep(1)\n",
        "ib = IB()\nib.connect('', 4002, clientId=1)\n",
    ],
)
def test_four_times_as_many_uses_of_one_name_take_about_four_times_the_work(lines: str) -> None:
    assert calls(HEAD + lines * 200) <= 4.8 * calls(HEAD + lines * 50)


def test_a_script_s_lines_are_split_once_however_much_is_found_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read: List[str] = []

    def counted(script: Script) -> List[Ignore]:
        read.append(script.path)
        return comments(script)

    monkeypatch.setattr(problems, "comments", counted)
    found = audit([Source("/a.py", (HEAD + "ib.connect('', 4002, clientId=1)\n" * 20).encode())], ())
    assert len(found.problems) >= 20
    assert read == ["/a.py"]


def test_what_may_be_shown_of_a_line_is_made_once_however_many_problems_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[str] = []
    whole = problems.snippet

    def counted(line: str) -> str:
        made.append(line)
        return whole(line)

    monkeypatch.setattr(problems, "snippet", counted)
    calls = ", ".join("ib.connect('', 4002, clientId=%d)" % number for number in range(50))
    found = audit([Source("/srv/a.py", ("from ib_insync import IB\nib = IB()\nx = [%s]\n" % calls).encode())]).problems
    assert len(found) > 100 and len(made) == 1
    assert {each.column for each in found if each.code == "hardcoded_client_id"} >= {calls.index("clientId=0") + 15}
