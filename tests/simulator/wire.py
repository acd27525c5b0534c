"""A bare API client for tests: it shows byte by byte what a library would hide behind a TimeoutError."""

import contextlib
import socket
import struct
from typing import List, Optional

from .messages import ID_BYTES, PROTOBUF_ID, RAW_ID_VERSION
from .protobuf import Value, decode, encode
from .protocol import PREAMBLE, Field, FrameReader, frame, join_fields, prefixed, split_fields
from .requests import START_API

PATIENCE = 3.0  # seconds any one answer may take
SILENCE = 0.3  # seconds without a byte that count as silence; an answer takes a millisecond

MANAGED_ACCOUNTS, NEXT_VALID_ID, ERROR = "15", "9", "4"


class Wire:
    """One TCP connection to a gateway on loopback, blocking, each wait bounded by `PATIENCE`."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), PATIENCE)
        self._reader = FrameReader()
        self._payloads: List[bytes] = []
        self._version = 0

    def hello(self, versions: str = "v100..176") -> None:
        """Announce the versions understood."""
        self._socket.sendall(PREAMBLE + prefixed(versions.encode()))

    def send(self, number: Field, *fields: Field) -> None:
        """Send one request as text, with its id in the shape of the server version."""
        if self._version < RAW_ID_VERSION:
            self._socket.sendall(frame(number, *fields))
        else:
            self._socket.sendall(prefixed(int(number).to_bytes(ID_BYTES, "big") + join_fields(fields)))

    def send_protobuf(self, number: int, *fields: "tuple[int, Value]") -> None:
        """Send one request as protobuf: field numbers with their values."""
        self._socket.sendall(prefixed((number + PROTOBUF_ID).to_bytes(ID_BYTES, "big") + encode(fields)))

    def start_api(self, client_id: int) -> None:
        """Ask for a session."""
        self.send(START_API, 2, client_id, "")

    def receive(self) -> Optional[List[str]]:
        """The next frame's fields, its message id first; None when the gateway has closed.

        Of a protobuf message the fields are the values, in the order in which they came.
        """
        while not self._payloads:
            data = self.receive_bytes()
            if not data:
                return None
            self._payloads = self._reader.feed(data)
        return self._read(self._payloads.pop(0))

    def _read(self, payload: bytes) -> List[str]:
        if self._version >= RAW_ID_VERSION:
            number, body = int.from_bytes(payload[:ID_BYTES], "big"), payload[ID_BYTES:]
            if number > PROTOBUF_ID:
                return [str(number - PROTOBUF_ID), *decode(body).values()]
            return [str(number), *split_fields(body)]
        fields = split_fields(payload)
        if not self._version and len(fields) == 2:
            self._version = int(fields[0])
        return fields

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
        return len(self.receive_until("49")) > 1

    def is_silent(self) -> bool:
        """Whether the gateway keeps the connection and says nothing for a while."""
        if self._payloads:
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
