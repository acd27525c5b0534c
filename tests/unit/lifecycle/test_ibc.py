"""What IBC's command server answers, in all its shapes, and what comes of each."""

from __future__ import annotations

import socket
import threading
from typing import Iterator, List

import pytest
from ansible.module_utils.ib_gateway.base.command_server import ServerAddress
from ansible.module_utils.ib_gateway.lifecycle import ibc


class Server:
    """Answers one connection with a text, and remembers what it was sent."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where = ServerAddress(self._listener.getsockname()[1], "127.0.0.1", 1)
        self.sent: List[bytes] = []
        self._thread = threading.Thread(target=lambda: None)

    def answer(self, text: bytes, close: bool = True) -> Server:
        def serve() -> None:
            connection, _ = self._listener.accept()
            with connection:
                self.sent.append(connection.recv(100))
                if self.sent[-1]:
                    connection.sendall(text)
                if not close:
                    connection.recv(1)

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        return self

    def finish(self) -> None:
        """Waits until the connection is over."""
        self._thread.join(5)

    def close(self) -> None:
        self._listener.close()
        if self._thread.is_alive():
            self.finish()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def ask(server: Server, command: str = "RESTART", seconds: float = 5.0) -> str:
    return ibc.ask(server.where, command, seconds, lambda: None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"OK RESTART in progress\nOK RESTART at 10:42 AM\n", "RESTART at 10:42 AM"),
        (b"OK Restart in progress\n", "Restart in progress"),
        (b"IBC> INFO IBC Command Server\r\nIBC> OK RESTART in progress\r\n", "RESTART in progress"),
    ],
)
def test_the_last_ok_is_the_answer(server: Server, text: bytes, found: str) -> None:
    assert ask(server.answer(text)) == found and server.sent == [b"RESTART\n"]


def test_a_command_that_leaves_the_connection_open_is_answered_at_its_first_line(server: Server) -> None:
    assert ask(server.answer(b"OK \n", close=False), "RECONNECTDATA") == ""


@pytest.mark.parametrize(
    "text",
    [b"ERROR RESTART already in progress\n", b"OK RESTART in progress\nERROR no\n", b"ERROR RESTART is not valid\n"],
)
def test_an_error_is_a_refusal_in_ibc_s_words(server: Server, text: bytes) -> None:
    with pytest.raises(ibc.CommandFailed, match="IBC refused RESTART") as caught:
        ask(server.answer(text))
    assert caught.value.sent


@pytest.mark.parametrize("text", [b"", b"hello\n", b"OKAY\n", b"OK RESTART", b"x" * 9000])
def test_what_is_no_answer_is_none(server: Server, text: bytes) -> None:
    with pytest.raises(ibc.CommandFailed) as caught:
        ask(server.answer(text))
    assert caught.value.sent


def test_silence_ends_in_time(server: Server) -> None:
    with pytest.raises(ibc.CommandFailed, match=r"did not answer STOP within 0.2 s"):
        ask(server.answer(b"", close=False), "STOP", 0.2)


def test_nothing_is_sent_where_the_proof_fails_once_the_connection_is_made(server: Server) -> None:
    def fails() -> None:
        raise ibc.CommandFailed("somebody else")

    server.answer(b"OK\n")
    with pytest.raises(ibc.CommandFailed, match="somebody else"):
        ibc.ask(server.where, "STOP", 5.0, fails)
    server.finish()
    assert server.sent == [b""]


def test_nobody_who_listens_is_told_without_a_command(server: Server) -> None:
    server.close()
    with pytest.raises(ibc.CommandFailed, match="no connection") as caught:
        ask(server)
    assert not caught.value.sent
