"""A script with the usual faults, and what mending makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

LIVE = {"name": "live", "trading_mode": "live"}
BOT = """\
from ib_insync import IB, util

LIVE_PORT = 4002  # since May


def main():
    util.startLoop()
    ib = IB()
    ib.connect("127.0.0.1", LIVE_PORT, clientId=15)


if __name__ == "__main__":
    main()
"""
MENDED = """\
from ib_insync import IB, util

import ib_connect

LIVE_PORT = 4002  # since May


def main():
    ib = IB()
    ib.connect("127.0.0.1", LIVE_PORT, clientId=ib_connect.client_id())


if __name__ == "__main__":
    util.startLoop()
    main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "live_bot.py").write_text(BOT)
    return tmp_path / "scripts"


@pytest.fixture
def fixable(folder: Path) -> Iterator[Path]:
    pytest.importorskip("libcst", reason="LibCST is not installed: rewrites cannot be tested")
    (folder / "ib_connect.py").write_text("def client_id():\n    return 1\n")
    (folder / "live_bot.py").chmod(0o750)
    yield folder / "live_bot.py"
