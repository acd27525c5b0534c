"""Scripts that are rewritten, and what becomes of them: for the tests of the rewrite, and for runs before and after."""

from __future__ import annotations

import textwrap
from typing import Dict, List, NamedTuple


class Rewritten(NamedTuple):
    """A script that is rewritten. beside: the texts of the modules beside it, by name."""

    text: str
    beside: Dict[str, str]


#: What stands around each of them.
HEAD = '"""A bot."""\nimport %srandom, time\nfrom ib_insync import IB  # the library\n'
END = "\nprint(random.__name__, time.__name__)\n"

CLIENT_IDS = [
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
        "ID = 15  # mine\nIB().connect('h', 4001, clientId=ID)",
        "ID = ib_connect.client_id()  # mine\nIB().connect('h', 4001, clientId=ID)",
    ),
    (
        "def go():\n    number = 15\n    IB().connect('h', 4001, number)\ngo()",
        "def go():\n    number = ib_connect.client_id()\n    IB().connect('h', 4001, number)\ngo()",
    ),
    (
        "from typing import Final\nID: Final[int] = 15\nib = IB()\nib.connect('h', 4001, clientId=ID)\n"
        "print(ib.client.clientId)",
        "from typing import Final\nID: Final[int] = ib_connect.client_id()\nib = IB()\n"
        "ib.connect('h', 4001, clientId=ID)\nprint(ib.client.clientId)",
    ),
    (
        "import logging\nID = 15\nIB().connect('h', 4001, clientId=ID)\nlogging.info(f'as {ID}')",
        "import logging\nID = ib_connect.client_id()\nIB().connect('h', 4001, clientId=ID)\nlogging.info(f'as {ID}')",
    ),
]
#: The event loop is patched where the script begins, or once instead of twice.
LOOPS = [
    "from ib_insync import IB, util\n\n\ndef main():\n    util.startLoop()\n    IB().connect('h', 4001, 15)\n"
    "\n\nif __name__ == '__main__':\n    main()\n",
    "from ib_insync import IB, util\n\nif __name__ == '__main__':\n    util.startLoop()\n    util.startLoop()\n"
    "    IB().connect('h', 4001, 15)\n",
]
#: Scripts whose connection stays among them; each lacks its first line, the import of IB.
STAYS = [
    "import abc\nclass A(IB, abc.ABC):\n    pass\nA().connect('h', 4001, 15)\n",
    "ib = IB()\nif ib and not ib.isConnected():\n    ib.connect('h', 4001, 15)\nprint(ib)\n",
    "class A:\n    def __init__(self, ib):\n        self.ib = ib\nib = IB()\nib.connect('h', 4001, 15)\n"
    "A(ib).ib.positions()\n",
    "def own():\n    return IB()\nib = own()\nib.connect('h', 4001, 15)\n",
    "import threading\ndef work(ib):\n    ib.run()\nib = IB()\nib.connect('h', 4001, 15)\n"
    "threading.Thread(target=work, args=(ib,)).start()\n",
    "ib = IB()\nib.connect('h', 4001, 15)\nib.pendingTickersEvent += print\n",
]


#: Scripts with a port, host, account or mode that stays what it is; each lacks its first line, the import of IB.
MONEY = [
    "LIVE_PORT = 4002\nIB().connect('127.0.0.1', LIVE_PORT, 15)\n",
    "PAPER_PORT = 4001\nIB().connect('127.0.0.1', PAPER_PORT, 15)\n",
    "TRADING_MODE = 'live'\nIB().connect('127.0.0.1', 7497, 15, account='DU1234567')\n",
    "IB().connect('10.0.0.9', 4002, 15)\n",
]
#: An app of the official library that hears of something: of its orders, of which it then is the owner, or of others.
OFFICIAL = (
    "import threading\nfrom ibapi.client import EClient\nfrom ibapi.wrapper import EWrapper\n"
    "class A(EWrapper, EClient):\n"
    "    def __init__(self):\n        EClient.__init__(self, self)\n        self.ready = threading.Event()\n"
    "    def managedAccounts(self, accountsList):\n        self.ready.set()\n"
    "    def %s(self, *given):\n        print(given)\n"
    "a = A()\na.connect('h', 4001, 15)\nthreading.Thread(target=a.run, daemon=True).start()\n"
    "if not a.ready.wait(20):\n    raise SystemExit(1)\na.disconnect()\n"
)
#: A call that becomes too long for its line.
LONG_HEAD = "from ib_insync import IB\n\n\ndef main():\n    ib = IB()\n    "
LONG = LONG_HEAD + "ib.connect('127.0.0.1', 4001, clientId=15, timeout=20, readonly=True)\n\n\nmain()\n"
#: A script that uses a module beside it.
CALLS_DESK = "from ib_insync import IB\nimport desk\nib = IB()\nib.connect('h', 4001, 15)\ndesk.trade(ib)"
READS = "def trade(ib):\n    print(ib.positions())\n"
HAS_KIT = (
    "from __future__ import annotations\nimport ib_connect\nfrom ib_insync import IB\nIB().connect('h', 4001, 15)\n"
)
#: A script with a text that is shown to nobody.
TELLS = "from ib_insync import IB\npassword = 'two words'\nIB().connect('h', 4001, 15)\n"
LINE_ENDS = "from ib_insync import IB\r\nIB().connect('h', 4001, 15)\r\n"
COMMENTED_LOOP = textwrap.dedent(
    """\
    from ib_insync import IB, util

    def main():
        '''Runs.'''
        # notebooks need this
        util.startLoop()  # really
        print(IB())

    if __name__ == "__main__":
        # start
        main()
    """
)
TWO_STARTS = "from ib_insync import util\nif __name__ == '__main__':\n    util.startLoop()\n    util.startLoop()%s\n"


def whole(text: str, kit: bool = False) -> str:
    """A script around a text. kit: whether it imports the kit."""
    return HEAD % ("ib_connect\nimport " if kit else "") + text + END


def everything() -> List[Rewritten]:
    """All of them. What a unit test expects to be rewritten is among these, so that it is also run before and after."""
    head = "from ib_insync import IB\n"
    texts = [
        *(whole(before) for before, _after in CLIENT_IDS),
        *LOOPS,
        *(head + text for text in (*STAYS, *MONEY)),
        *(OFFICIAL % "position", LONG, HAS_KIT, TELLS, LINE_ENDS, COMMENTED_LOOP),
        *(TWO_STARTS % comment for comment in ("", "  # why")),
    ]
    return [*(Rewritten(text, {}) for text in texts), Rewritten(CALLS_DESK, {"desk": READS})]
