"""A trading script under ib_insync's Watchdog: PORT PID COMMAND... The gateway PID is taken for one it has started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any, List, Optional

import ib_insync


class Controller:
    """What the Watchdog drives: starts a gateway by a command and ends the one it has started."""

    def __init__(self, pid: int, command: List[str]) -> None:
        self._pid: Optional[int] = pid
        self._command = command

    async def startAsync(self) -> None:
        """Starts one, unless one runs."""
        if self._pid is None:
            quiet = subprocess.DEVNULL
            self._pid = subprocess.Popen(self._command, stdin=quiet, stdout=quiet, stderr=quiet).pid

    async def terminateAsync(self) -> None:
        """Ends it."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGTERM)
            self._pid = None


def main() -> None:
    """The command line."""
    port, pid, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    library: Any = ib_insync  # which has no types for these
    # A second for a start, which is more than one takes here; everything else as the library has it.
    watchdog = library.Watchdog(Controller(pid, command), library.IB(), port=port, clientId=7, appStartupTime=1)
    watchdog.start()
    asyncio.get_event_loop().run_forever()


if __name__ == "__main__":
    main()
