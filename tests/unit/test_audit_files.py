"""What cannot be audited is said and harms nothing; ignore comments; secrets; any text at all."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest
from ansible.module_utils.ib_audit.reading import files
from ansible.module_utils.ib_audit.reading.model import SEVERITIES, Source, as_dict
from ansible.module_utils.ib_audit.rules.audit import audit
from ansible.module_utils.ib_audit.rules.catalogue import RULES
from ansible.module_utils.ib_audit.rules.problems import snippet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.audited import audited, codes, problems, spec

CONNECT = "from ib_insync import IB\nIB().connect('h', 4001, clientId=15)"


def verdict(data: bytes, path: str = "/srv/x.py") -> set[str]:
    return {each.code for each in audit([Source(path, data)]).problems}


@pytest.mark.parametrize(
    ("data", "path", "code"),
    [
        (b"print 'hello'\n", "/x.py", "file_python2"),
        (b"try:\n    pass\nexcept OSError, e:\n    pass\n", "/x.py", "file_python2"),
        (b"#!/usr/bin/python2\nx = `1`\n", "/x", "file_python2"),
        (b"raise ValueError, 'x'\n", "/x.py", "file_python2"),
        (b"def f(:\n", "/x.py", "file_not_parsed"),
        (b"x = 1\n" * 3 + b"y = (\n", "/x.py", "file_not_parsed"),
        (b"MZ\0\0\1\2", "/x.py", "file_not_python"),
        (b"# -*- coding: utf-8 -*-\nx = '\xff'\n", "/x.py", "file_not_python"),
        (b"# -*- coding: nonsense -*-\nx = 1\n", "/x.py", "file_not_python"),
        (b"dear all,\nthe print is bad\n", "/notes.txt", "file_not_python"),
        (b"(" * 5000, "/x.py", "file_not_parsed"),
        (b"-" * 200000 + b"1", "/x.py", "file_not_parsed"),
    ],
)
def test_what_is_no_python_3_is_said_and_not_fatal(data: bytes, path: str, code: str) -> None:
    assert verdict(data, path) == {code}


@pytest.mark.parametrize(
    "data", [b"", b"\xef\xbb\xbfx = 1\n", b"# coding: latin-1\nx = '\xe4'\n", b"x = 1\r\ny = 2\r\n"]
)
def test_ordinary_files_without_a_client_have_no_problems(data: bytes) -> None:
    assert verdict(data) == set()


def test_a_deep_expression_does_not_end_the_audit_of_the_others() -> None:
    deep = ("x = " + "+".join(["1"] * 3000) + "\n" + CONNECT).encode()
    found = audit([Source("/a.py", deep), Source("/b.py", CONNECT.encode())])
    assert "hardcoded_client_id" in {each.code for each in found.problems if each.file == "/b.py"}


def test_scripts_that_import_each_other_s_names_in_a_circle_end() -> None:
    circle = "from %s import *\nfrom %s import x, IB, f\nIB().connect(x, f(), clientId=x)\nimport ib_insync\n"
    assert codes(one=circle % ("two", "two"), two=circle % ("one", "one")) <= set(RULES)


# --- ignore comments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "from ib_insync import IB\n"
        "IB().connect('h', 4001, clientId=15)  # ib-audit: ignore[hardcoded_client_id] desk 3",
        "from ib_insync import IB\n# ib-audit: ignore[hardcoded_client_id] desk 3\n"
        "IB().connect('h', 4001, clientId=15)",
        "from ib_insync import IB\nIB().connect(\n    'h',\n"
        "    clientId=15,  # ib-audit: ignore[hardcoded_client_id] x\n)",
        "from ib_insync import IB\nIB().connect(  #ib-audit:ignore[no_disconnect, hardcoded_client_id] x\n"
        "    'h',\n  clientId=15)",
        "from ib_insync import IB\nID = 15  # ib-audit: ignore[hardcoded_client_id] x\nIB().connect('h', clientId=ID)",
        "from ib_insync import IB\nID = 15\nIB().connect('h', clientId=ID)  # ib-audit: ignore[hardcoded_client_id] x",
        "from ib_insync import IB\ndef go(a, client_id=15):  # ib-audit: ignore[hardcoded_client_id] x\n"
        "    IB().connect('h', clientId=client_id)\ngo(1)",
    ],
)
def test_an_ignore_comment_takes_its_problem_out_and_only_that(text: str) -> None:
    found = audited(text)
    assert "hardcoded_client_id" not in {each.code for each in found.problems}
    assert found.ignored >= 1 and "connection_not_logged" in {each.code for each in found.problems}


@pytest.mark.parametrize(
    ("comment", "why"),
    [
        ("# ib-audit: ignore[hardcoded_client_id]", "no reason"),
        ("# ib-audit: ignore", "names no code"),
        ("# ib-audit: ignore[] because", "names no code"),
        ("# ib-audit: ignore[hardcoded_id] because", "hardcoded_id is no code"),
    ],
)
def test_a_comment_without_code_or_reason_has_no_effect_and_is_said(comment: str, why: str) -> None:
    text = CONNECT + "  " + comment
    assert "hardcoded_client_id" in codes(text)
    (found,) = problems("ignore_unusable", text)
    assert why in found.summary and found.line == 2


def test_an_ignore_comment_elsewhere_or_in_a_text_changes_nothing() -> None:
    assert "hardcoded_client_id" in codes("# ib-audit: ignore[hardcoded_client_id] x\nimport os\n" + CONNECT)
    assert "hardcoded_client_id" in codes(
        "t = '# ib-audit: ignore[hardcoded_client_id] x'; " + CONNECT.replace("\n", "; ")
    )


# --- what may be shown -----------------------------------------------------------------------------------------------


def test_a_snippet_shows_no_password_and_no_account_number() -> None:
    text = "from ib_insync import IB\nIB().connect('h', 4001, clientId=15, account='U7654321'); password = 'two words'"
    shown = json.dumps([as_dict(each) for each in audited(text).problems])
    assert "7654321" not in shown and "words" not in shown and "clientId=15" in shown


@pytest.mark.parametrize(
    "secret",
    [
        "password = f'two words'",
        "password = os.environ.get('P', 'two words')",
        "api_key: str = (b'two words')",
        "get(url, auth=('bob', 'two words'))",
        "password = 'two words",
    ],
)
def test_behind_a_secrets_name_no_text_is_shown(secret: str) -> None:
    shown = snippet("ib.connect(clientId=15); " + secret)
    assert "words" not in shown and "clientId=15" in shown


@pytest.mark.parametrize(
    "call",
    [
        "requests.post('https://chat.example/bot123:hunter2/send')",
        "requests.get('https://data.example/?key=hunter2', auth=('bob', 'hunter2'))",
        "subprocess.run(['mysql', '-phunter2'])",
    ],
)
def test_a_line_that_calls_a_strangers_service_is_not_shown(call: str) -> None:
    text = (
        "import requests, subprocess\nfrom ib_insync import IB\nib = IB()\n\n\nasync def main():\n"
        "    await ib.connectAsync('h', 4001, clientId=15)\n    %s\n" % call
    )
    (found,) = problems("blocking_call", text)
    assert (found.line, found.snippet) == (8, "") and "hunter2" not in json.dumps(as_dict(found))


def test_a_snippet_is_one_bounded_line() -> None:
    (found,) = problems(
        "hardcoded_client_id", "from ib_insync import IB\nIB().connect('%s', 4001, clientId=15)" % ("x" * 5000)
    )
    assert len(found.snippet) <= 160


def test_columns_count_characters() -> None:
    (found,) = problems("hardcoded_client_id", "from ib_insync import IB\nIB().connect('ä', 4001, clientId=15)")
    assert found.column == len("IB().connect('ä', 4001, clientId=") + 1


# --- any text --------------------------------------------------------------------------------------------------------

_VOCABULARY = """
ib IB util connect connectAsync startLoop clientId port 4001 15 = == ( ) [ ] { } : , . + - * ** -> lambda yield def
class async await with as try except finally if else while for in return import from ib_insync self @ NEWLINE NEWLINE
None True f'{x}' 'text' del global nonlocal raise pass break := match case print exec `
"""
_WORDS = st.sampled_from([word.replace("NEWLINE", "\n") for word in _VOCABULARY.split()])
_LINES = st.lists(
    st.sampled_from(
        [
            "from ib_insync import *",
            "import ib_insync as i",
            "x = y",
            "y = x",
            "ib = IB()",
            "ib = ib.connect(x, y, clientId=x)",
            "class A(A): x = A.x",
            "class B(A, IB):\n  def f(self, a=y): self.x = a; self.connect(*a, **self.x)",
            "def f(x=y): return f(x)",
            "async def g(): await g(); ib.connect()",
            "g = f = lambda x: g(x)",
            "x = {'x': x}['x']",
            "x, (y, *z) = y, (z, x)",
            "while x:\n  try: ib.connect(clientId=f(x))\n  except: time.sleep(x)",
            "global x",
            "ib.errorEvent += f",
            "for x in x: x = B(x).x",
            "if __name__ == '__main__': util.startLoop()",
        ]
    ),
    max_size=12,
).map("\n".join)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
)
def test_no_bytes_make_the_audit_fail(data: bytes) -> None:
    _holds(audit([Source("/srv/x.py", data)], [spec("live")]))


@settings(max_examples=300, deadline=None)
@given(st.one_of(_LINES, st.lists(_WORDS, max_size=60).map(" ".join)), _LINES)
def test_no_program_makes_the_audit_fail_or_run_for_ever(one: str, other: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _holds(audit([Source("/srv/x.py", one.encode()), Source("/srv/y.py", other.encode())], [spec("live")]))


def _holds(found: object) -> None:
    for each in found.problems:  # type: ignore[attr-defined]
        assert each.code in RULES and each.severity in SEVERITIES and each.remedy
        json.dumps(as_dict(each)).encode()


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_every_code_is_documented_with_a_bad_and_a_good_example() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "client-rules.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `?(\w+)`?\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(RULES)
    for code, section in sections.items():
        if not code.startswith(("file_", "path_")):
            assert "Bad" in section and "Good" in section and section.count("```python") >= 2, code


def test_the_bad_examples_have_their_problem_and_the_good_ones_do_not() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "client-rules.md").read_text(encoding="utf-8")
    for code, section in re.findall(r"^### `?(\w+)`?\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        blocks = re.findall(r"(Bad|Good)[^\n]*:\n\n((?:```python\n.*?```\n*)+)", section, re.DOTALL)
        for kind, block in blocks:
            scripts = re.findall(r"```python\n(.*?)```", block, re.DOTALL)
            assert (code in codes(*scripts, specs=[spec("live")])) is (kind == "Bad"), (code, kind)


# --- the disk --------------------------------------------------------------------------------------------------------


def test_a_folder_is_searched_and_what_is_no_script_of_a_person_is_left_out(tmp_path: Path) -> None:
    for name in (
        "a.py",
        "sub/b.pyw",
        ".hidden/c.py",
        "venv/lib/d.py",
        "__pycache__/e.py",
        "notes.txt",
        "tool",
        "other",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/usr/bin/env python3\n" if name == "tool" else "x = 1\n")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    names = [Path(each.path).relative_to(tmp_path).as_posix() for each in files.gather([str(tmp_path)], [], 1000)]
    assert names == ["a.py", "sub/b.pyw", "tool"]


def test_globs_and_exclusions_and_a_file_named_twice(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "old/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    paths = [str(tmp_path / "*.py"), str(tmp_path / "a.py"), str(tmp_path)]
    found = files.gather(paths, [str(tmp_path / "old"), "*/b.py"], 1000)
    assert [Path(each.path).name for each in found] == ["a.py"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    import os

    (tmp_path / "big.py").write_text("x" * 2000)
    os.mkfifo(tmp_path / "pipe.py")
    found = {Path(each.path).name: each.unreadable for each in files.gather([str(tmp_path)], [], 1000)}
    assert found["big.py"] and found["big.py"][0] == "file_too_large"
    assert found["pipe.py"] and found["pipe.py"][0] == "file_not_python"
    gone, none = files.gather([str(tmp_path / "gone.py"), str(tmp_path / "*.none")], [], 1000)
    assert gone.unreadable and none.unreadable
    assert {gone.unreadable[0], none.unreadable[0]} == {"file_unreadable", "path_without_files"}


@pytest.mark.parametrize(
    ("argv", "script"),
    [
        (["python3", "bot.py", "--live"], "/home/t/bot.py"),
        (["/usr/bin/python3.11", "-u", "-W", "ignore", "/srv/bot.py"], "/srv/bot.py"),
        (["python3", "-c", "print(1)"], None),
        (["python3"], None),
        (["python3", "-"], None),
        (["vim", "bot.py"], None),
        (["java", "x"], None),
        ([], None),
    ],
)
def test_the_script_of_a_process_is_read_from_its_command_line(argv: list[str], script: str) -> None:
    assert files.script_of(argv, "/home/t") == script


def test_a_module_that_is_run_is_found_below_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "bot.py").write_text("")
    assert files.script_of(["python3", "-m", "desk.bot"], str(tmp_path)) == str(tmp_path / "desk" / "bot.py")
    assert files.script_of(["python3", "-m", "json.tool"], str(tmp_path)) is None
