"""Rewrites: what is mended and how, what is left and why, and that a second run finds nothing to do."""

from __future__ import annotations

import textwrap

import pytest
from ansible.module_utils.ib_audit.fixing import repair
from ansible.module_utils.ib_audit.reading.model import Source
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.audited import PATH, spec
from unit.rewritten import (
    CALLS_DESK,
    CLIENT_IDS,
    COMMENTED_LOOP,
    HAS_KIT,
    LINE_ENDS,
    LONG,
    LONG_HEAD,
    MONEY,
    OFFICIAL,
    READS,
    STAYS,
    TELLS,
    TWO_STARTS,
    Rewritten,
    everything,
    whole,
)

pytest.importorskip("libcst", reason="LibCST is not installed: rewrites cannot be tested")
BOTH = (spec("live", client_patterns=("bot\\.py",)), spec("paper"))
GUARD = 'if __name__ == "__main__":\n    main()\n'


def mended(text: str, specs: object = BOTH, kit: bool = True, path: str = PATH, **named: str) -> repair.Outcome:
    sources = [Source(path, textwrap.dedent(text).encode())]
    sources += [Source("/srv/trading/%s.py" % name, each.encode()) for name, each in named.items()]
    return repair.mend(sources, specs, lambda _path: None, repair.FIXABLE, kit)  # type: ignore[arg-type]


def after(text: str, specs: object = BOTH, **named: str) -> str:
    """The text after a rewrite, after which there is nothing left to rewrite. It is one of those that are run."""
    assert Rewritten(text, named) in everything()
    outcome = mended(text, specs, **named)  # type: ignore[arg-type]
    assert len(outcome.changes) == 1, outcome.left
    found = outcome.changes[0].after.decode()
    assert mended(found, specs, **named).changes == ()  # type: ignore[arg-type]
    return found


def reasons(text: str, **options: object) -> str:
    """Why a text is left as it is."""
    outcome = mended(text, **options)  # type: ignore[arg-type]
    assert outcome.changes == () and outcome.fixed == ()
    return " / ".join(each.reason for each in outcome.left)


# --- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", MONEY)
@pytest.mark.parametrize("specs", [(), (spec("live"),), (spec("paper"),), BOTH])
def test_no_port_host_account_or_mode_is_ever_rewritten(text: str, specs: object) -> None:
    text = "from ib_insync import IB\n" + text
    found = after(text, specs=specs)
    assert found == "import ib_connect\n" + text.replace(" 15", " ib_connect.client_id()")


# --- client ids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "expected"), CLIENT_IDS)
def test_a_client_id_comes_from_the_kit(before: str, expected: str) -> None:
    assert after(whole(before)) == whole(expected, kit=True)


GO = "def go():\n    IB().connect('h', 4001, 15)\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import sys\nID = 15 if sys.argv else int(input())\nIB().connect('h', 4001, ID)", "also come from elsewhere"),
        ("import os\nIB().connect('h', 4001, int(os.getenv('ID', '15')))", "also come from elsewhere"),
        ("import sys\nIB().connect('h', 4001, 15 if sys.argv else 16)", "one of several"),
        ("IB().connect('h', 4001, 0)", "entered by hand"),
        ("def go(client_id=15):\n    IB().connect('h', 4001, client_id)\ngo()", "callers may give"),
        ("ARGS = {'clientId': 15}\nIB().connect('h', 4001, **ARGS)", "may be given by others"),
        ("ib_connect = 1\nIB().connect('h', 4001, 15)", "means something else"),
        ("ID = 15\nIB().connect('h', 4001, ID)\nORDER = ID * 1000", "read elsewhere"),
        ("ID = 15\nif ID:\n    ID = 16\nIB().connect('h', 4001, ID)", "one of several"),
        ("class A:\n    number = 15\nIB().connect('h', 4001, A.number)", "kept in an object"),
        ("import random\nIB().connect('h', 4001, random.randint(1, 99))", "import would be left"),
        ("IB().connect('h', 4001, 15)\nprint('connected as client 15')", "tells the number"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nassert ib.client.clientId == 15", "read from the client, at line 4"),
        ("from typing import Literal\nID: Literal[15] = 15\nIB().connect('h', 4001, ID)", "annotation says more"),
        # the gateway keeps orders for the id that made them
        ("ib = IB()\nib.connect('h', 4001, 15)\nib.placeOrder(1, 2)", "must stay the same"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nfor t in ib.openTrades():\n    ib.cancelOrder(t.order)", "must stay"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nprint(ib.fills())", "must stay the same"),
        ("ib = IB()\nib.connect('h', 4001, 15)\ngetattr(ib, 'placeOrder')(1, 2)", "must stay the same"),
        ("import desk\nib = IB()\nib.connect('h', 4001, 15)\ndesk.trade(ib)", "handed to trade()"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nib.orderStatusEvent += print", "hears of its orders"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nib.execDetailsEvent.connect(print)", "must stay the same"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nib.client.send(3, 1)", "must stay the same"),
        # what cannot be followed may place orders
        ("ib = IB()\nib.connect('h', 4001, 15)\ngetattr(ib, input())()", "only known when it runs"),
        ("ib = IB()\nib.connect('h', 4001, 15)\nexec(open('more.py').read())", "exec() is used for"),
        ("import desk\nib = IB()\nib.connect('h', 4001, 15)\ndesk.go(globals())", "globals() is used for"),
        ("import desk\nib = IB()\nib.connect('h', 4001, 15)\ndesk.ib = ib", "kept where it cannot be followed"),
        ("import desk\nib = IB()\nib.connect('h', 4001, 15)\ndesk.go([ib])", "kept where it cannot be followed"),
        ("import desk\nib = IB()\nib.connect('h', 4001, 15)\ndesk.go(lambda: ib)", "kept where it cannot be"),
        ("import desk\nib = IB()\nib.connect('h', 4001, 15)\ndef it():\n    return ib\ndesk.go(it)", "returned by a"),
        ("import desk\nclass A(IB, desk.Orders):\n    pass\nA().connect('h', 4001, 15)", "a base that is not among"),
        # one lease for the life of a process
        ("while True:\n    IB().connect('h', 4001, 15)", "more than once"),
        ("[IB().connect('h', 4001, 15) for _ in range(3)]", "more than once"),
        (GO + "go()\ngo()", "more than once"),
        (GO + "while True:\n    go()", "more than once"),
        (GO + "IB().disconnectedEvent += go\ngo()", "more than once"),
        (GO + "import threading\nthreading.Thread(target=go).start()", "more than once"),
        ("import desk\n@desk.again\n" + GO + "go()", "more than once"),
        (GO, "cannot be seen"),
        # apps that a server imports
        ("from flask import Flask\napp = Flask(__name__)\nIB().connect('h', 4001, 15)", "a server may import"),
        ("import uvicorn\nIB().connect('h', 4001, 15)", "a server may import"),
        ("IB().connect(%r, 4001, 15)" % ("x" * 75), "too long"),
    ],
)
def test_a_client_id_that_cannot_be_replaced_safely_is_left(text: str, why: str) -> None:
    assert why in reasons("from ib_insync import IB\n" + text)


@pytest.mark.parametrize("text", STAYS)
def test_a_connection_that_stays_among_the_scripts_may_have_another_id(text: str) -> None:
    text = "from ib_insync import IB\n" + text
    assert after(text) == "import ib_connect\n" + text.replace(" 15", " ib_connect.client_id()")


def test_an_app_of_the_official_library_that_hears_of_its_orders_keeps_its_id() -> None:
    assert "hears of its orders" in reasons(OFFICIAL % "orderStatus")
    assert "ib_connect.client_id()" in after(OFFICIAL % "position")


def test_a_line_that_would_become_too_long_is_wrapped() -> None:
    wrapped = "ib.connect(\n        '127.0.0.1',\n        4001,\n        clientId=ib_connect.client_id(),\n"
    wrapped += "        timeout=20,\n        readonly=True,\n    )\n\n\nmain()\n"
    assert after(LONG) == "import ib_connect\n" + LONG_HEAD + wrapped


def test_without_the_kit_no_client_id_is_rewritten() -> None:
    text = "from ib_insync import IB\nIB().connect('h', 4001, 15)"
    assert "no ib_connect.py is beside the script" in reasons(text, kit=False)
    assert mended(text, kit=False, ib_connect="def client_id():\n    return 1\n").changes


def test_a_script_that_another_one_imports_or_whose_number_another_one_holds_is_left() -> None:
    text = "from ib_insync import IB\nIB().connect('h', 4001, 15)"
    assert "imports this one" in reasons(text, other="import bot\n")
    text = "from ib_insync import IB\nfrom settings import ID\nIB().connect('h', 4001, ID)"
    assert "not audited itself" in reasons(text, settings="ID = 15\n") or reasons(text, settings="ID = 15\n")


def test_a_script_whose_module_places_orders_keeps_its_id() -> None:
    assert "must stay the same" in reasons(CALLS_DESK, desk="def trade(ib):\n    ib.placeOrder(1, 2)\n")
    assert "ib_connect.client_id()" in after(CALLS_DESK, desk=READS)


def test_an_import_of_the_kit_that_is_there_is_not_repeated() -> None:
    assert after(HAS_KIT).count("import ib_connect") == 1


# --- the event loop --------------------------------------------------------------------------------------------------


def test_a_loop_goes_from_a_function_to_the_main_guard_with_its_comments() -> None:
    assert after(COMMENTED_LOOP) == textwrap.dedent(
        """\
        from ib_insync import IB, util

        def main():
            '''Runs.'''
            print(IB())

        if __name__ == "__main__":
            # notebooks need this
            util.startLoop()  # really
            # start
            main()
        """
    )


def test_of_two_starts_in_a_row_one_goes_and_what_a_person_wrote_beside_it_stays() -> None:
    assert after(TWO_STARTS % "") == TWO_STARTS.replace("    util.startLoop()%s\n", "")
    assert after(TWO_STARTS % "  # why") == TWO_STARTS.replace("util.startLoop()%s", "pass  # why")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def main():\n    util.startLoop()\nmain()\n", "no main guard"),
        ("def main(x=1):\n    if x:\n        util.startLoop()\n" + GUARD, "condition"),
        ("def main():\n    x = util.startLoop()\n" + GUARD, "larger statement"),
        ("def main():\n    from ib_insync import util as u\n    u.startLoop()\n" + GUARD, "only known in the function"),
        ("def main():\n    util.startLoop(); print(1)\n" + GUARD, "could not be found again"),
        ("def main():\n    util.startLoop()\nif __name__ == '__main__': main()\n", "on its own line"),
        ("def main():\n    print(1)\n    util.startLoop()\n" + GUARD, "does something before it"),
        (
            "def main():\n    util.startLoop()\nif __name__ == '__main__':\n    print(1)\n    main()\n",
            "not the first thing",
        ),
        ("def main():\n    util.startLoop()\n" + GUARD + "    main()\n", "not the first thing"),
        ("def main():\n    util.startLoop()\ndef other():\n    util.startLoop()\n" + GUARD, "patched elsewhere"),
        (
            "class A:\n    def main(self):\n        util.startLoop()\nif __name__ == '__main__':\n    A().main()\n",
            "not the",
        ),
        ("util.startLoop()\ndef main():\n    pass\n" + GUARD, "may rely on it"),
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
    text = LINE_ENDS.encode()
    outcome = repair.mend([Source(PATH, text)], BOTH, lambda _path: None, repair.FIXABLE, True)
    assert outcome.changes[0].after.count(b"\r\n") == 3 == outcome.changes[0].after.count(b"\n")
    for data in (b"\xef\xbb\xbf" + text, b"# coding: latin-1\n# \xe4\n" + text):
        outcome = repair.mend([Source(PATH, data)], BOTH, lambda _path: None, repair.FIXABLE, True)
        assert outcome.changes == () and outcome.left


def test_a_diff_shows_no_password() -> None:
    outcome = mended(TELLS)
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
