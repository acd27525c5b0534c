"""A bare API client for tests: it shows byte by byte what a library would hide behind a TimeoutError."""

import contextlib
import socket
import struct
from typing import List, Optional

from .protocol import PREAMBLE, START_API, Field, FrameReader, frame, prefixed, split_fields

PATIENCE = 3.0  # seconds any one answer may take
SILENCE = 0.3  # seconds without a byte that count as silence; an answer takes a millisecond

MANAGED_ACCOUNTS, NEXT_VALID_ID, ERROR = "15", "9", "4"


class Wire:
    """One TCP connection to a gateway on loopback, blocking, each wait bounded by `PATIENCE`."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), PATIENCE)
        self._reader = FrameReader()
        self._frames: List[List[str]] = []

    def hello(self, versions: str = "v100..176") -> None:
        """Announce the versions understood."""
        self._socket.sendall(PREAMBLE + prefixed(versions.encode()))

    def send(self, *fields: Field) -> None:
        """Send one request."""
        self._socket.sendall(frame(*fields))

    def start_api(self, client_id: int) -> None:
        """Ask for a session."""
        self.send(START_API, 2, client_id, "")

    def receive(self) -> Optional[List[str]]:
        """The next frame's fields; None when the gateway has closed."""
        while not self._frames:
            data = self.receive_bytes()
            if not data:
                return None
            self._frames = [split_fields(payload) for payload in self._reader.feed(data)]
        return self._frames.pop(0)

    def receive_bytes(self) -> bytes:
        """The next bytes as they come; empty when the gateway has closed, by reset or not."""
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""

    def receive_until(self, message_id: str) -> List[str]:
        """The next frame with this message id; those before it are dropped."""
        while True:
            fields = self.receive()
            if fields is None:
                raise ConnectionError(f"closed before message {message_id}")
            if fields[0] == message_id:
                return fields

    def log_on(self, client_id: int, versions: str = "v100..176") -> str:
        """Go all the way to a ready session; return the server version."""
        self.hello(versions)
        version = self.receive()
        if version is None:
            raise ConnectionError("closed after hello")
        self.start_api(client_id)
        self.receive_until(NEXT_VALID_ID)
        return version[0]

    def is_alive(self) -> bool:
        """Whether the session still answers reqCurrentTime."""
        self.send(49, 1)
        return len(self.receive_until("49")) == 3

    def is_silent(self) -> bool:
        """Whether the gateway keeps the connection and says nothing for a while."""
        if self._frames:
            return False
        self._socket.settimeout(SILENCE)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except socket.timeout:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False

    def reset(self) -> None:
        """Leave by RST, as a process does that dies with unread data."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Leave in good order."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
