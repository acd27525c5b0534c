"""Rewrites: what is mended and how, what is left and why, and that a second run finds nothing to do."""

from __future__ import annotations

import textwrap

import pytest
from ansible.module_utils.ib_audit.fixing import repair
from ansible.module_utils.ib_audit.reading.model import Source
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.audited import PATH, spec

pytest.importorskip("libcst", reason="LibCST is not installed: rewrites cannot be tested")
BOTH = (spec("live", client_patterns=("bot\\.py",)), spec("paper"))
GUARD = 'if __name__ == "__main__":\n    main()\n'


def mended(text: str, specs: object = BOTH, kit: bool = True, path: str = PATH, **named: str) -> repair.Outcome:
    sources = [Source(path, textwrap.dedent(text).encode())]
    sources += [Source("/srv/trading/%s.py" % name, each.encode()) for name, each in named.items()]
    return repair.mend(sources, specs, lambda _path: None, repair.FIXABLE, kit)  # type: ignore[arg-type]


def after(text: str, **options: object) -> str:
    """The text after a rewrite, after which there is nothing left to rewrite."""
    outcome = mended(text, **options)  # type: ignore[arg-type]
    assert len(outcome.changes) == 1, outcome.left
    found = outcome.changes[0].after.decode()
    assert mended(found, **options).changes == ()  # type: ignore[arg-type]
    return found


def reasons(text: str, **options: object) -> str:
    """Why a text is left as it is."""
    outcome = mended(text, **options)  # type: ignore[arg-type]
    assert outcome.changes == () and outcome.fixed == ()
    return " / ".join(each.reason for each in outcome.left)


# --- ports -----------------------------------------------------------------------------------------------------------


def test_a_port_is_replaced_where_it_is_written_and_nothing_else_is_touched() -> None:
    text = "from ib_insync import IB\nPORT  =  4002   # since May\n"
    text += "IB().connect( 'h' if 0 else '127.0.0.1', PORT, int(input()) )\n"
    assert after(text) == text.replace("4002", "4001")


def test_a_default_argument_s_port_is_replaced() -> None:
    text = "from ib_insync import IB\ndef go(port=4002, ä=1):\n    IB().connect('127.0.0.1', port, int(input()))\n"
    assert after(text) == text.replace("4002", "4001")


@pytest.mark.parametrize(
    ("text", "specs", "why"),
    [
        ("PORT = 4000 + 2\nIB().connect('127.0.0.1', PORT, int(input()))", BOTH, "no plain number"),
        ("LIVE_PORT = 4002\nIB().connect('127.0.0.1', LIVE_PORT, int(input()))", (), "does not declare exactly one"),
        ("IB().connect('127.0.0.1', 4002, int(input()))", (spec("live"),), "before it may trade live"),
    ],
)
def test_a_port_that_is_computed_or_whose_right_value_is_not_certain_is_left(
    text: str, specs: object, why: str
) -> None:
    assert why in reasons("from ib_insync import IB\n" + text, specs=specs)


def test_towards_paper_the_inventory_s_only_mode_is_enough() -> None:
    text = "from ib_insync import IB\nIB().connect('127.0.0.1', 4001, int(input()))\n"
    assert after(text, specs=(spec("paper"),)) == text.replace("4001", "4002")


# --- client ids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("IB().connect('h', 4001, 15)", "IB().connect('h', 4001, ib_connect.client_id())"),
        (
            "IB().connect('h', clientId = 15, timeout=3)",
            "IB().connect('h', clientId = ib_connect.client_id(), timeout=3)",
        ),
        ("IB().connect('h', 4001)", "IB().connect('h', 4001, clientId=ib_connect.client_id())"),
        ("IB().connect()", "IB().connect(clientId=ib_connect.client_id())"),
        ("IB().connect('h', 4001, -1)", "IB().connect('h', 4001, ib_connect.client_id())"),
        (
            "IB().connect('h', 4001, int(time.time() % 1000) + random.randint(1, 9))",
            "IB().connect('h', 4001, ib_connect.client_id())",
        ),
        (
            "ID = 15\nIB().connect('h', 4001, clientId=ID)\nprint(ID)",
            "ID = ib_connect.client_id()\nIB().connect('h', 4001, clientId=ID)\nprint(ID)",
        ),
        (
            "ID = 15\nIB().connect('h', 4001, clientId=ID)",
            "ID = 15\nIB().connect('h', 4001, clientId=ib_connect.client_id())",
        ),
        (
            "def go(client_id=15):\n    IB().connect('h', 4001, client_id)",
            "def go(client_id=15):\n    IB().connect('h', 4001, ib_connect.client_id())",
        ),
    ],
)
def test_a_client_id_comes_from_the_kit(before: str, expected: str) -> None:
    head = '"""A bot."""\nimport random, time\nfrom ib_insync import IB  # the library\n'
    assert after(head + before + "\n") == head + "import ib_connect\n" + expected + "\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import sys\nID = 15 if sys.argv else int(input())\nIB().connect('h', 4001, ID)", "also come from elsewhere"),
        ("def go(client_id=15):\n    IB().connect('h', 4001, client_id)\n    print(client_id)", "read elsewhere"),
        ("ARGS = {'clientId': 15}\nIB().connect('h', 4001, **ARGS)", "not given in the call itself"),
        ("ib_connect = 1\nIB().connect('h', 4001, 15)", "means something else"),
    ],
)
def test_a_client_id_that_cannot_be_replaced_safely_is_left(text: str, why: str) -> None:
    assert why in reasons("from ib_insync import IB\n" + text)


def test_without_the_kit_no_client_id_is_rewritten() -> None:
    text = "from ib_insync import IB\nIB().connect('h', 4001, 15)"
    assert "no ib_connect.py is beside the script" in reasons(text, kit=False)
    assert mended(text, kit=False, ib_connect="def client_id():\n    return 1\n").changes


def test_an_import_of_the_kit_that_is_there_is_not_repeated() -> None:
    text = (
        "from __future__ import annotations\nimport ib_connect\nfrom ib_insync import IB\nIB().connect('h', 4001, 15)\n"
    )
    assert after(text).count("import ib_connect") == 1


# --- the event loop --------------------------------------------------------------------------------------------------


def test_a_loop_goes_from_a_method_to_the_main_guard_with_its_comments() -> None:
    text = """\
    from ib_insync import IB, util

    def main():
        ib = IB()

        # notebooks need this
        util.startLoop()  # really
        print(ib)

    if __name__ == "__main__":
        # start
        main()
    """
    assert after(text) == textwrap.dedent(
        """\
        from ib_insync import IB, util

        def main():
            ib = IB()
            print(ib)

        if __name__ == "__main__":
            # notebooks need this
            util.startLoop()  # really
            # start
            main()
        """
    )


def test_of_several_starts_one_is_kept_and_an_empty_body_stays_a_body() -> None:
    text = (
        "from ib_insync import util\ndef main():\n    util.startLoop()\ndef other():\n    util.startLoop()  # why\n"
        + GUARD
    )
    found = after(text)
    assert found.count("startLoop") == 1 and "pass  # why" in found and "def main():\n    pass\n" in found


def test_a_start_that_the_guard_has_is_kept_and_others_go() -> None:
    text = "from ib_insync import util\ndef main():\n    print(1)\n    util.startLoop()\n"
    text += 'if __name__ == "__main__":\n    util.startLoop()\n    main()\n'
    assert after(text) == text.replace("    print(1)\n    util.startLoop()\n", "    print(1)\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def main():\n    util.startLoop()\nmain()\n", "no main guard"),
        ("def main(x=1):\n    if x:\n        util.startLoop()\n" + GUARD, "condition"),
        ("def main():\n    x = util.startLoop()\n" + GUARD, "larger statement"),
        ("def main():\n    from ib_insync import util as u\n    u.startLoop()\n" + GUARD, "only known in the function"),
        ("def main():\n    util.startLoop(); print(1)\n" + GUARD, "could not be found again"),
        ("def main():\n    util.startLoop()\nif __name__ == '__main__': main()\n", "on its own line"),
    ],
)
def test_a_start_that_cannot_be_moved_safely_is_left(text: str, why: str) -> None:
    assert why in reasons("from ib_insync import util\n" + text)


def test_a_start_in_a_script_that_another_one_imports_is_left() -> None:
    text = "from ib_insync import util\ndef main():\n    util.startLoop()\n" + GUARD
    assert "imports this one" in reasons(text, other="import bot\n")


# --- everything ------------------------------------------------------------------------------------------------------


def test_an_ignored_problem_is_not_rewritten() -> None:
    text = "from ib_insync import IB\nIB().connect('h', 4001, 15)  # ib-audit: ignore[hardcoded_client_id] reserved"
    assert mended(text).changes == ()


def test_line_ends_stay_and_a_file_with_a_byte_order_mark_or_another_encoding_is_left() -> None:
    text = b"from ib_insync import IB\r\nIB().connect('h', 4001, 15)\r\n"
    outcome = repair.mend([Source(PATH, text)], BOTH, lambda _path: None, repair.FIXABLE, True)
    assert outcome.changes[0].after.count(b"\r\n") == 3 == outcome.changes[0].after.count(b"\n")
    for data in (b"\xef\xbb\xbf" + text, b"# coding: latin-1\n# \xe4\n" + text):
        outcome = repair.mend([Source(PATH, data)], BOTH, lambda _path: None, repair.FIXABLE, True)
        assert outcome.changes == () and outcome.left


def test_a_diff_shows_no_password() -> None:
    outcome = mended("from ib_insync import IB\npassword = 'two words'\nIB().connect('h', 4001, 15)\n")
    assert "+import ib_connect" in outcome.diffs()[0]["prepared"]
    assert "words" not in outcome.diffs()[0]["prepared"]


_PARTS = st.sampled_from(
    [
        "from ib_insync import IB, util\n",
        "PORT = 4002\n",
        "ID = 15  # mine\n",
        "def main(port=4002, client_id=15):\n    util.startLoop()\n    IB().connect('127.0.0.1', port, client_id)\n",
        "class A:\n    def go(self):\n        util.startLoop()\n",
        "IB().connect('127.0.0.1', PORT, ID)\n",
        "print(ID)\n",
        "# a comment\n\n",
        "IB().connect()\n",
        GUARD,
        'if __name__ == "__main__":\n    util.startLoop()\n    util.startLoop()\n',
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PARTS, max_size=8).map("".join))
def test_whatever_is_rewritten_parses_keeps_its_comments_and_has_nothing_left_to_rewrite(text: str) -> None:
    text = "from ib_insync import IB, util\n" + text
    outcome = mended(text)
    for change in outcome.changes:
        found = change.after.decode()
        assert found.count("#") == text.count("#")
        assert mended(found).changes == ()
        assert not {each.code for each in outcome.after.problems} - {each.code for each in mended(found).after.problems}


def test_the_missing_library_is_named_with_the_way_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "libcst", None)
    monkeypatch.delitem(sys.modules, "ansible.module_utils.ib_audit.fixing.rewriting", raising=False)
    from ansible.module_utils.ib_audit import fixing

    monkeypatch.delattr(fixing, "rewriting", raising=False)
    with pytest.raises(repair.LibraryMissing, match="pip install libcst"):
        mended("from ib_insync import IB\nIB().connect('h', 4001, 15)\n")
