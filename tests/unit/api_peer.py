"""Small API servers in threads: what each of a test's clients meets is a script."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any, Callable, List

from unit.api_frames import ACCOUNTS, HELLO, ORDER_ID, SYNCED, TIME, notice, proto_frame, raw_frame

PATIENCE = 30.0  # seconds a script waits for its client


class Line:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self.connection = connection
        self.over = over
        self.heard: List[bytes] = []

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        data = b""
        while len(data) < count:
            chunk = self.connection.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def frame(self) -> bytes:
        """The payload of the next frame, kept in `heard`."""
        self.heard.append(self.read(int.from_bytes(self.read(4), "big")))
        return self.heard[-1]

    def greet(self) -> None:
        """Take the hello and give the server version."""
        assert self.read(4) == b"API\0"
        self.frame()
        self.say(HELLO)

    def open(self) -> None:
        """All up to startApi."""
        self.greet()
        self.frame()

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)

    def listen(self) -> None:
        """Keep each frame until the client ends its side."""
        with contextlib.suppress(EOFError):
            while True:
                self.frame()

    def until_closed(self) -> None:
        """Read until the client ends its side; a reset raises."""
        while self.connection.recv(4096):
            pass

    def reset(self) -> None:
        """Close so that the client gets a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[Line], None]


class Peer:
    """A server whose n-th client meets the n-th script; the last script serves the rest.

    `over` is set when the test is done, for scripts that would go on for ever. `errors` is what scripts raised.
    """

    def __init__(self, *scripts: Script, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._scripts = scripts
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.over = threading.Event()
        self.lines: List[Line] = []
        self.errors: List[BaseException] = []
        self._threads: List[threading.Thread] = []

    def __enter__(self) -> Peer:
        self._start(self._accept)
        return self

    def __exit__(self, *_reason: Any) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            line = Line(connection, self.over)
            self.lines.append(line)
            self._start(self._serve, line, self._scripts[min(len(self.lines), len(self._scripts)) - 1])

    def _serve(self, line: Line, script: Script) -> None:
        with line.connection:
            try:
                script(line)
            except (OSError, EOFError) as error:
                self.errors.append(error)


def serve(line: Line) -> None:
    line.open()
    line.say(ACCOUNTS + ORDER_ID + notice(2104))
    line.frame()
    line.say(TIME)
    line.until_closed()


def serve_in_full(line: Line) -> None:
    """Answers all that IB.connect asks for, after the time."""
    line.open()
    line.say(ACCOUNTS + ORDER_ID)
    line.frame()
    line.say(TIME)
    for _ in SYNCED:
        line.frame()
    line.say(b"".join(SYNCED))
    line.listen()


def answer_all_but_the_time(line: Line) -> None:
    line.open()
    line.say(ACCOUNTS + ORDER_ID)
    for _ in range(1 + len(SYNCED)):
        line.frame()
    line.say(b"".join(SYNCED))
    line.listen()


def tell_only_the_time(line: Line) -> None:
    line.open()
    line.say(ACCOUNTS + ORDER_ID)
    line.frame()
    line.say(TIME)
    line.listen()


def close_on_the_id(line: Line) -> None:
    """What one release does where the client id is in use."""
    line.open()


def insist_on(version: int) -> Script:
    """A server that speaks a version from 213 on and nothing older, whatever the client offers."""

    def script(line: Line) -> None:
        assert line.read(4) == b"API\0"
        line.frame()
        line.say(raw_frame(str(version), "now"))
        line.frame()
        line.say(proto_frame(15, (1, "DU1234567,")) + proto_frame(9, (1, 1)))
        line.frame()
        line.say(proto_frame(49, (1, 1_745_600_000)))
        line.listen()

    return script


def close_unless_offered(version: int, then: Script) -> Script:
    """A server that closes on a client that does not offer its version."""

    def script(line: Line) -> None:
        assert line.read(4) == b"API\0"
        highest = int(line.frame().rpartition(b".")[2])
        if highest >= version:
            then(line)

    return script


def version_and(data: bytes) -> Script:
    """Says this in answer to the hello."""

    def script(line: Line) -> None:
        line.read(4)
        line.frame()
        line.say(data)
        line.until_closed()

    return script


def refuse_id(line: Line) -> None:
    line.open()
    line.say(notice(326, "client id is already in use"))
    line.until_closed()


def stay_silent(line: Line) -> None:
    line.until_closed()


def trickle(line: Line) -> None:
    for byte in HELLO:
        line.say(bytes([byte]))
        if line.over.wait(1.0):
            return


def trickle_after_the_version(line: Line) -> None:
    line.open()
    line.say((1 << 20).to_bytes(4, "big"))
    while not line.over.wait(0.02):
        line.say(b"x")


def flood(line: Line) -> None:
    line.open()
    while not line.over.is_set():
        line.say(notice(2104) * 1000)


def flood_with_slow_texts(line: Line) -> None:
    line.open()
    while not line.over.is_set():
        line.say(notice(2103, "pass." * 120) * 100)


def hang_up_at_once(line: Line) -> None:
    line.read(4)


def hang_up_after_the_version(line: Line) -> None:
    line.open()


def hang_up_when_ready(line: Line) -> None:
    line.open()
    line.say(ACCOUNTS + ORDER_ID)
    line.frame()


def reset_after_the_version(line: Line) -> None:
    line.open()
    line.reset()


def stall(line: Line) -> None:
    line.open()
    line.until_closed()


def keep_no_time(line: Line) -> None:
    line.open()
    line.say(ORDER_ID + ACCOUNTS)
    line.until_closed()


def say(data: bytes) -> Script:
    def script(line: Line) -> None:
        line.say(data)
        line.until_closed()

    return script


def ready_and(extra: bytes) -> Script:
    def script(line: Line) -> None:
        line.open()
        line.say(ACCOUNTS + ORDER_ID + extra)
        line.frame()
        line.say(TIME)
        line.until_closed()

    return script
