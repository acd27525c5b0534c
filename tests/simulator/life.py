"""One gateway's life: its login, its events, its end. gateway.py starts it."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import string
from dataclasses import replace
from typing import Any, Awaitable, Callable, Dict, List, Optional, Set

from . import listeners
from .desk import Desk
from .ibc import EXISTING_SESSION, EXIT_INTERVAL, THIS_ONE_ENDS, USER_DECIDES, CommandServer, IbcLog, Obeyed
from .options import Options

POLL_INTERVAL = 0.2  # seconds; only where the kernel or Python has no pidfd
LOGIN_TIMEOUT = 1111  # IBC's exit code
LINK_LOST, LINK_BACK = 1100, 1102
TOKEN_FILE = "autorestart"  # noqa: S105 - a file's name


class Life:
    """`ended` is set when the process shall end, with `exit_code`; `restart` names the token of an automatic restart.

    `state` is what the ready file says.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.log = IbcLog(options.ibc_log)
        self.desk = Desk(options)
        self.ended = asyncio.Event()
        self._confirmed = asyncio.Event()
        self.exit_code = 0
        self.restart: Optional[str] = None
        self.state: Dict[str, Any] = {"pid": os.getpid(), "port": options.port, "listening": False}
        self._tasks: Set[asyncio.Future[None]] = set()
        self._accepting: Optional[asyncio.Future[None]] = None
        self._unserved: Optional[socket.socket] = None  # listens as long as somebody refers to it

    def end(self, code: int = 0) -> None:
        """End the process with this exit code."""
        self.exit_code = code
        self.ended.set()

    async def open_helpers(self) -> None:
        """Everything but the API: the command server, other ports, the broker. Raises OSError."""
        if self.options.command_port is not None:
            listener = listeners.open_listener(self.options.bind, self.options.command_port)
            server = CommandServer(self.options, self.log, Obeyed(self.end, self._restart_soon, self._reconnect))
            await asyncio.start_server(server.serve, sock=listener)
            self.state["command_port"] = listener.getsockname()[1]
        also: List[int] = []
        for port in sorted(self.options.also_listen):
            listener = listeners.listen("127.0.0.1", port)
            also.append(listener.getsockname()[1])
            self._run(listeners.accept_strangers(listener))
        if also:
            self.state["also"] = also
        if self.options.broker:
            self._run(listeners.keep_broker(self.options.broker))

    async def log_in(self) -> None:
        """From the start to the moment the port opens; returns early when the process is to end."""
        self._use_token()
        if self.options.restart:
            self.log.write("Re-starting session")
        else:
            self.log.write("Starting session: will exit if login dialog is not displayed within 60 seconds")
        await self.wait(self.options.listen_after)
        if not self.options.restart or self.options.token_expired:
            await self._second_factor()
        if self.options.existing_session:
            await self._existing_session(self.options.existing_session)
        if not self.ended.is_set():
            self.log.write("Login has completed")

    async def _existing_session(self, scenario: int) -> None:
        self.log.write(f"{EXISTING_SESSION[scenario]} (scenario {scenario})")
        if scenario in USER_DECIDES:
            await self.ended.wait()
        elif scenario in THIS_ONE_ENDS:
            self.end()

    async def _second_factor(self) -> None:
        left, attempt = self.options.second_factor, 0
        while left > 0 and not self.ended.is_set():
            attempt += 1
            shown = min(left, self.options.second_factor_limit)
            self.log.write(f"Login attempt: {attempt}")
            self.log.write("Second Factor Authentication initiated")
            left -= shown
            if await self._is_confirmed(shown):
                left = 0
            if self.ended.is_set():
                return
            self.log.write(f"Duration since login: {int(shown)} seconds")
            if left > 0:
                self.log.write("Re-login after second factor authentication timeout in 5 second")
            else:
                self.log.write(f"If login has not completed, IBC will exit in {EXIT_INTERVAL} seconds")

    async def _is_confirmed(self, seconds: float) -> bool:
        """Whether the event second-factor has happened within so many seconds."""
        waiting = [asyncio.ensure_future(each.wait()) for each in (self._confirmed, self.ended)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        return self._confirmed.is_set()

    async def wait(self, seconds: float) -> None:
        """So many seconds, or until the process is to end."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    def open_port(self) -> None:
        """Listen and serve. Raises OSError."""
        if "no-listener" in self.options.faults:
            return
        listener = listeners.open_listener(self.options.bind, self.options.port)
        self.state.update(port=listener.getsockname()[1], listening=True)
        if "never-accept" in self.options.faults:
            self._unserved = listener
        else:
            self._accepting = asyncio.ensure_future(listeners.accept_clients(listener, self.desk))

    def close_port(self) -> None:
        """Close the port and every session."""
        self._stop_accepting()
        self.desk.close()

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting.cancel()
            self._accepting = None

    def _run(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Events.

    def happen(self) -> None:
        """Make the event of the options happen, now."""
        event = self.options.event
        handlers: Dict[str, Callable[[], None]] = {
            "auto-restart": self._auto_restart,
            "cold-restart": self._cold_restart,
            "login-timeout": self._login_timeout,
            "crash": lambda: os._exit(1),
            "displaced": self._displaced,
            "second-factor": self._confirmed.set,
            "login-again": lambda: self._run(self._login_again()),
            "port-toggled": self._toggle_port,
            "link-lost": lambda: self._link(LINK_LOST, {"upstream-lost"}),
            "link-back": lambda: self._link(LINK_BACK, set()),
            "hang": self._hang,
            "log-line": lambda: self.log.write("Click button: OK"),
        }
        if event:
            handlers[event]()

    def _cold_restart(self) -> None:
        self.log.write("Login error message:\nUnrecognized Username or Password")
        self.log.write("Cold restart in progress")
        if self.options.config_dir:
            name = f"COLDRESTART{self.options.session}"
            with open(os.path.join(self.options.config_dir, name), "w", encoding="utf-8"):
                pass
        self.end()

    def _login_timeout(self) -> None:
        self.log.write("IBC closing because login has not completed after Second Factor Authentication")
        self.log.write(f"Exiting after error with exit code={LOGIN_TIMEOUT}")
        self.end(LOGIN_TIMEOUT % 256)

    def _displaced(self) -> None:
        self.log.write(f"{EXISTING_SESSION[2]} (scenario 2)")
        self.close_port()

    async def _login_again(self) -> None:
        self.close_port()
        self.log.write("Re-login to session")
        await self.wait(self.options.login_again)
        if not self.ended.is_set():
            self.log.write("Login has completed")
            self._reopen_port()

    def _toggle_port(self) -> None:
        if self._accepting:
            self._stop_accepting()
        else:
            self._reopen_port()

    def _reopen_port(self) -> None:
        self.options = replace(self.options, port=self.state["port"])
        self.open_port()

    def _link(self, code: int, faults: Set[str]) -> None:
        """Tell every session, and let those that come hear the same."""
        kept = self.desk.options.faults - {"upstream-lost"}
        self.desk.options = replace(self.desk.options, faults=kept | faults, upstream_code=code)
        self.desk.tell(code)

    def _reconnect(self) -> None:
        if self.options.reconnect_helps and "upstream-lost" in self.desk.options.faults:
            self._link(LINK_BACK, set())

    def _hang(self) -> None:
        self.desk.options = replace(self.desk.options, faults=self.desk.options.faults | {"silent"})
        self.desk.mute()

    # Restarts.

    def _restart_soon(self) -> None:
        asyncio.get_running_loop().call_later(self.options.restart_delay, self._auto_restart)

    def _auto_restart(self) -> None:
        """Leave the token that spares the next process the second factor, and end."""
        self.restart = "".join(secrets.choice(string.ascii_lowercase[:16]) for _ in range(24))
        folder = self.options.config_dir
        if folder and os.path.isdir(folder):
            token = os.path.join(folder, self.restart)
            os.mkdir(token)
            with open(os.path.join(token, TOKEN_FILE), "w", encoding="utf-8"):
                pass
        self.end()

    def _use_token(self) -> None:
        if self.options.restart and self.options.config_dir:
            token = os.path.join(self.options.config_dir, self.options.restart)
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(token, TOKEN_FILE))
                os.rmdir(token)

    # Its end.

    def arrange_end(self) -> None:
        """Everything that ends this process: signals, the process it goes with, its lifetime."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            if number == signal.SIGTERM and "ignore-sigterm" in self.options.faults:
                signal.signal(number, signal.SIG_IGN)
            else:
                loop.add_signal_handler(number, self.end)
        loop.add_signal_handler(signal.SIGUSR1, self.happen)
        loop.call_later(self.options.lifetime, self.end)
        if self.options.exit_with is not None:
            self._end_with(self.options.exit_with)

    def _end_with(self, pid: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            # A pidfd becomes readable when its process ends.
            loop.add_reader(os.pidfd_open(pid), self.end)
        except (AttributeError, OSError):  # Python 3.8, an old kernel, or the process is gone, as the poll will find
            self._poll(pid)

    def _poll(self, pid: int) -> None:
        if alive(pid):
            asyncio.get_running_loop().call_later(POLL_INTERVAL, self._poll, pid)
        else:
            self.end()


def alive(pid: int) -> bool:
    """Whether a process runs, also another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
