"""What brings a gateway is told from a script's text, in whatever language it is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest
from ansible.module_utils.ib_gateway.observe.keepers import keepers

READY = "import sys\nprint(flush=True)\nsys.stdin.read()\n"
KEEPER = READY + "import subprocess\nwhile True:\n    subprocess.call(['java', 'ibcalpha.ibc.IbcGateway'])\n"
BOT = READY + "import subprocess\n# connects to IB Gateway under ibc\nsubprocess.call(['date'])\n"
VIEWER = READY + "print('GWClient')\n"


@pytest.fixture
def started() -> Iterator[List[subprocess.Popen[bytes]]]:
    processes: List[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("text", "kept"), [(KEEPER, True), (BOT, False), (VIEWER, False)], ids=["keeper", "bot", "viewer"]
)
def test_a_script_in_python_keeps_a_gateway_if_it_runs_the_gateway_s_program(
    text: str, kept: bool, tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    script = tmp_path / "forever.py"
    script.write_text(text, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    assert (process.pid in {each.pid for each in keepers(())}) is kept
