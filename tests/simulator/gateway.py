"""A simulated IB Gateway: it looks like one to the kernel and speaks like one on the API port.

Started through a symlink named `java`:

    DIR/jre/bin/java /path/gateway.py -DjtsConfigDir=DIR ibgateway.GWClient --port=4001 --fault=one-slot

It uses the standard library only, runs on Python 3.8 and later, and never outlives `--lifetime` seconds. options.py
lists what it can show.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from typing import Any, Dict, List

if not __package__:
    # Run as a script: name the folder as this module's package, so that its neighbours import by relative name from
    # wherever the folder was put.
    sys.path[0], __package__ = os.path.split(os.path.dirname(os.path.abspath(__file__)))

from . import restarter
from .life import Life
from .options import BadOption, Options, parse

HEADLESS = """\
Exception in thread "main" java.awt.HeadlessException:
No X11 DISPLAY variable was set, but this program performed an operation which requires it."""


def look_like_a_jvm() -> None:
    """A JVM never has a single thread, and who looks for gateways may rely on that."""
    threading.Thread(target=threading.Event().wait, name="VM Thread", daemon=True).start()


def write_ready_file(path: str, state: Dict[str, Any]) -> None:
    """Say that this process is up, whole or not at all."""
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(state, file)
    os.replace(draft, path)


async def run(options: Options) -> int:
    """Live one gateway's life and return its exit code; raises OSError when a port or file cannot be had."""
    life = Life(options)
    life.arrange_end()
    await life.open_helpers()
    await life.log_in()
    if life.ended.is_set():
        return life.exit_code
    life.open_port()
    if options.ready_file:
        write_ready_file(options.ready_file, life.state)
    if options.event_after is not None:
        asyncio.get_running_loop().call_later(options.event_after, life.happen)
    await life.ended.wait()
    life.close_port()
    if life.restart and options.restarter_gap is not None:
        restarter.hand_over(options, life.restart)
    return life.exit_code


def main(argv: List[str]) -> int:
    """Exit code 0 after a life that was ended from outside, 1 for a crash, 2 for an option that cannot be used."""
    look_like_a_jvm()
    if restarter.ORDER in os.environ:
        return restarter.serve()
    try:
        options = parse(argv)
        if options.needs_display and not os.environ.get("DISPLAY"):
            print(HEADLESS, file=sys.stderr)
            return 1
        if options.under_ibc and options.config_dir and os.path.isdir(options.config_dir):
            os.chdir(options.config_dir)  # where ibcstart.sh runs it; a plain start command would not
        return asyncio.run(run(options))
    except BadOption as error:
        print(f"gateway.py: {error}", file=sys.stderr)
    except OSError as error:
        print(f"gateway.py: --port or --bind or another port or file: {error.strerror}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
