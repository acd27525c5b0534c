"""Scripts that are rewritten, and what becomes of them: for the tests of the rewrite, and for runs before and after."""

from __future__ import annotations

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


def whole(text: str, kit: bool = False) -> str:
    """A script around a text. kit: whether it imports the kit."""
    return HEAD % ("ib_connect\nimport " if kit else "") + text + END
