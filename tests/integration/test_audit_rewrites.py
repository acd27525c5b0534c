"""What a rewrite makes of a script does the same: the same requests, orders and account at a simulated gateway."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

import pytest
from ansible.module_utils.ib_audit.fixing import repair
from ansible.module_utils.ib_audit.reading.model import Source
from simulator.launch import SimulatedGateway
from unit.audited import spec
from unit.rewritten import Rewritten, everything

from integration.audited_scripts import BOT

pytest.importorskip("libcst", reason="LibCST is not installed: rewrites cannot be tested")
PROJECT = Path(__file__).resolve().parents[2]
CASES = PROJECT / "tests" / "unit" / "audit_cases"
KIT = PROJECT / "roles" / "ib_client_kit" / "files" / "ib_connect.py"
START_API = "71"
#: How long a script may take.
_SECONDS = 60


class Run(NamedTuple):
    """What a script did: its requests, the id it connected with, how it ended and what it said."""

    requests: List[Tuple[str, ...]]
    client_id: str
    code: int
    said: str


class Tap:
    """Stands between a script and the gateway, and keeps what the script sends."""

    def __init__(self, port: int) -> None:
        self._gateway = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent = b""
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            gateway = socket.create_connection(("127.0.0.1", self._gateway))
            for one, other, keep in ((client, gateway, True), (gateway, client, False)):
                thread = threading.Thread(target=self._pump, args=(one, other, keep), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, one: socket.socket, other: socket.socket, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = one.recv(65536)
                if not data:
                    break
                if keep:
                    self.sent += data
                # What the other end no longer reads is dropped; that this end is over is still waited for.
                with contextlib.suppress(OSError):
                    other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Ends it, and waits until everything has been read and the gateway has closed: it then knows of no session."""
        self._listener.close()
        for thread in self._threads[1:]:
            thread.join(5)

    def frames(self) -> List[Tuple[str, ...]]:
        """What was sent, frame by frame, each as its fields."""
        found, rest = [], self.sent[4:] if self.sent.startswith(b"API\0") else self.sent
        while len(rest) >= 4:
            (length,) = struct.unpack(">I", rest[:4])
            found.append(tuple(rest[4 : 4 + length].decode("utf-8", "replace").split("\0")))
            rest = rest[4 + length :]
        return found


def run(script: Rewritten, folder: Path, gateway: SimulatedGateway) -> Run:
    """Runs a script beside the kit and its modules."""
    folder.mkdir()
    shutil.copy(KIT, folder / "ib_connect.py")
    for name, module in script.beside.items():
        (folder / (name + ".py")).write_text(module)
    (folder / "pandas.py").write_text("")
    tap = Tap(gateway.port)
    text = re.sub(r"'h'", "'127.0.0.1'", re.sub(r"\b(4001|4002|7497)\b", str(tap.port), script.text))
    text = re.sub(r"\b(?!127\.)\d+\.\d+\.\d+\.\d+\b", "127.0.0.1", text)  # a script's own gateway is elsewhere
    text = re.sub(r"\.connect\(\)", ".connect(port=%d)" % tap.port, text)
    text = text.replace(".connect(clientId=ib", ".connect(port=%d, clientId=ib" % tap.port)
    text = text.replace("'127.0.0.1', clientId", "'127.0.0.1', %d, clientId" % tap.port)
    (folder / "bot.py").write_bytes(text.encode())
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
    try:
        done = subprocess.run(
            [sys.executable, "bot.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS
        )
    finally:
        tap.close()
    frames = tap.frames()
    started = next((frame for frame in frames if frame[0] == START_API), ("", "", ""))
    requests = [frame if frame[0] != START_API else (*frame[:2], "ID", *frame[3:]) for frame in frames]
    said = (done.stdout + done.stderr).replace(str(folder), "FOLDER").replace(str(tap.port), "PORT")
    return Run(requests, started[2], done.returncode, said)


def cases() -> List[Rewritten]:
    """The scripts of the cases that are rewritten, and those that the tests of rewrites hold.

    Not among them: the scripts that a property test puts together, which are made of parts of these and need not be
    scripts that run.
    """
    texts = [Rewritten(path.read_text(encoding="utf-8"), {}) for path in sorted(CASES.glob("*/*.txt"))]
    return [each for each in [*texts, Rewritten(BOT, {})] if rewritten(each)] + everything()


def rewritten(script: Rewritten) -> str:
    """What becomes of a script; the empty text where it is left."""
    sources = [Source("/srv/trading/bot.py", script.text.encode())]
    sources += [Source("/srv/trading/%s.py" % name, module.encode()) for name, module in script.beside.items()]
    outcome = repair.mend(sources, (spec("live"), spec("paper")), lambda _path: None, repair.FIXABLE, True)
    return outcome.changes[0].after.decode() if outcome.changes else ""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedGateway]:
    """One for all scripts, which run one after the other."""
    folder = tmp_path_factory.mktemp("gateway")
    with SimulatedGateway(folder, bind="127.0.0.1", lifetime=1200) as running:
        yield running


def test_enough_scripts_are_rewritten_to_prove_something() -> None:
    assert len(cases()) >= 30


@pytest.mark.integration
@pytest.mark.parametrize("script", cases(), ids=lambda script: repr(script.text[:30]))
def test_a_rewritten_script_sends_the_same_requests_with_another_id(
    script: Rewritten, tmp_path: Path, gateway: SimulatedGateway
) -> None:
    text = rewritten(script)
    assert text
    before = run(script, tmp_path / "before", gateway)
    after = run(script._replace(text=text), tmp_path / "after", gateway)
    assert after.requests == before.requests
    assert after.code == before.code, after.said
    # One of the cases reads bars with pandas, which stands in as an empty module: it fails there, after its requests.
    assert before.code == int("import pandas" in script.text), before.said
    if "connect(" in script.text.replace("ib_connect", ""):
        assert before.client_id
    if "client_id()" in text:
        assert after.client_id not in ("", before.client_id)
