"""What IBC adds to a gateway: its log, and its command server.

The log's lines and the server's answers are IBC's own words, since who reads them must know them from the real ones.
"""

import asyncio
import contextlib
import sys
import time
from typing import Callable, NamedTuple, Optional, TextIO

from .options import Options

EXIT_INTERVAL = 60  # seconds; IBC's default for a login that does not go on after the second factor


class IbcLog:
    """IBC's log: nothing is written where no file was named."""

    def __init__(self, path: Optional[str]) -> None:
        self._file: Optional[TextIO] = None
        if path is not None:
            # Kept open, as a redirected standard output is.
            self._file = sys.stdout if path == "-" else open(path, "a", encoding="utf-8")  # noqa: SIM115

    def write(self, text: str) -> None:
        """One line, with the time in IBC's form."""
        if self._file:
            now = time.time()
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
            self._file.write(f"{stamp}:{int(now * 1000) % 1000:03} IBC: {text}\n")
            self._file.flush()


class Obeyed(NamedTuple):
    """What the process does when a command is obeyed."""

    stop: Callable[[], None]
    restart: Callable[[], None]
    reconnect: Callable[[], None]


class CommandServer:
    """IBC's command server: a line is a command. `obeyed` has what STOP, RESTART and RECONNECT do."""

    def __init__(self, options: Options, log: IbcLog, obeyed: Obeyed) -> None:
        self._mode, self._log = options.restart_command, log
        self._obeyed = obeyed
        self._gateway = options.main_class.endswith(("IbcGateway", "GWClient"))
        self._fix = self._gateway and "no-listener" in options.faults
        self._restarting = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the client leaves or a command ends it."""
        with contextlib.suppress(ConnectionError):
            while True:
                line = (await reader.readline()).decode(errors="replace")
                if not line:
                    break
                command = line.strip().upper()
                if not command:
                    continue
                self._log.write(f"CommandServer received command: {command}")
                if self._obey(command, lambda text: writer.write(text.encode() + b"\n")):
                    break
            await writer.drain()
        writer.close()

    def _obey(self, command: str, reply: Callable[[str], None]) -> bool:
        """Whether the connection ends with this command."""
        if command == "EXIT":
            reply("OK Goodbye")
            return True
        if command == "STOP":
            reply("OK Shutting down: STOP command")
            self._obeyed.stop()
            return True
        if command == "RESTART":
            return self._obey_restart(reply)
        refused = self._fix or command not in ("RECONNECTDATA", "RECONNECTACCOUNT", "ENABLEAPI")
        if command == "ENABLEAPI" and self._gateway:
            reply("ERROR ENABLEAPI is not valid for the IB Gateway")
        elif refused and command.startswith("RECONNECT"):
            reply(f"ERROR {command} is not valid for the FIX Gateway")
        else:
            reply("ERROR Command invalid" if refused else "OK ")
            if not refused and command.startswith("RECONNECT"):
                self._obeyed.reconnect()
        return False

    def _obey_restart(self, reply: Callable[[str], None]) -> bool:
        if self._mode == "silent":
            return False
        if self._fix:
            reply("ERROR RESTART is not valid for the FIX Gateway")
            return False
        if self._mode == "refused" or self._restarting:
            reply("ERROR RESTART already in progress")
            return True
        self._restarting = True
        at = time.strftime("%I:%M %p", time.localtime(time.time() + 60))
        self._log.write(f"Setting auto-restart time to {at}")
        reply("OK RESTART in progress")
        reply(f"OK RESTART at {at}")
        if self._mode == "works":
            self._obeyed.restart()
        return True
