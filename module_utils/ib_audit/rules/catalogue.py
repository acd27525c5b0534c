"""Every problem code: how bad it is, what it is about, what to do. docs/client-rules.md has an example for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

from ..reading.model import ERROR, NOTE, WARNING


@dataclass(frozen=True)
class Rule:
    """What a code means. severity: the usual one; a rule may say another for a case that is better or worse.

    shows_line: whether the line it is about may be shown; not where that calls a stranger's service or program, whose
    addresses and arguments are as good as passwords.
    """

    code: str
    severity: str
    title: str
    remedy: str
    shows_line: bool = True


_KIT = "with the kit: `with ib_connect.connect(PROFILE) as ib:`"

_RULES: Tuple[Rule, ...] = (
    Rule(
        "loop_in_function",
        ERROR,
        "The event loop is patched in a function",
        'Call it once, under `if __name__ == "__main__":`, or not at all: a script needs it only in a notebook.',
    ),
    Rule(
        "loop_started_twice",
        ERROR,
        "The event loop is patched more than once",
        "Keep one call and remove the others.",
    ),
    Rule(
        "loop_at_import",
        ERROR,
        "The event loop is patched when the module is imported",
        'Move it under `if __name__ == "__main__":`, so that importing the module does not change its importer.',
    ),
    Rule(
        "sync_connect_in_coroutine",
        ERROR,
        "A blocking connect in a coroutine",
        "Use `await ib.connectAsync(...)`, or %s in a coroutine `async with ib_connect.connect_async(PROFILE) as ib:`."
        % "with the kit",
    ),
    Rule(
        "sync_request_in_coroutine",
        ERROR,
        "A blocking request in a coroutine",
        "Await the method of the same name with Async at its end, such as `await ib.reqHistoricalDataAsync(...)`.",
    ),
    Rule(
        "sync_request_in_handler",
        ERROR,
        "A blocking request in an event handler",
        "Make the handler a coroutine and await the method with Async at its end.",
    ),
    Rule(
        "connect_not_awaited",
        NOTE,
        "connectAsync() without await",
        "Write `await ib.connectAsync(...)`.",
    ),
    Rule(
        "connection_in_other_loop",
        NOTE,
        "A connection used in another event loop or thread",
        "Connect where it is used: `await ib.connectAsync(...)` in the coroutine that asyncio.run() runs.",
    ),
    Rule(
        "hardcoded_client_id",
        WARNING,
        "A client id that is written down",
        "Take an id that no other process holds: `ib_connect.client_id()`, or connect %s." % _KIT,
    ),
    Rule(
        "shared_client_id",
        ERROR,
        "Scripts of one host share a client id",
        "Give each an id of its own: `ib_connect.client_id()` returns one that no other process of the host holds.",
    ),
    Rule(
        "random_client_id",
        WARNING,
        "A client id by chance",
        "Take an id that is held while it is used: `ib_connect.client_id()`; chance only makes a collision rarer.",
    ),
    Rule(
        "client_ids_in_turn",
        WARNING,
        "Client ids are tried one after another",
        "Take an id that nobody holds, `ib_connect.client_id()`, and find out who holds the one that is wanted.",
    ),
    Rule(
        "port_contradicts_mode",
        NOTE,
        "A port, and something that says the other trading mode",
        "Say which gateway is meant: correct the port or what contradicts it, or connect by profile %s." % _KIT,
    ),
    Rule(
        "live_port_in_turn",
        ERROR,
        "Live and paper ports are tried in turn",
        "Name the one gateway that is meant, by profile %s." % _KIT,
    ),
    Rule(
        "mixed_ports",
        WARNING,
        "Live and paper ports are mixed over the scripts of one host",
        "Say for each script which gateway is meant, by profile: %s." % _KIT,
    ),
    Rule(
        "undeclared_port",
        NOTE,
        "A port that the inventory does not declare",
        "Find out which gateway is meant, and declare it in ib_gateways if it belongs to this host.",
    ),
    Rule(
        "remote_host",
        NOTE,
        "Another machine's address is written down",
        "Take it from the environment or a profile: addresses change, and the script does not say whose gateway it is.",
    ),
    Rule(
        "connect_without_timeout",
        NOTE,
        "A connect without a timeout of its own",
        "Say how long the script may wait: `timeout=20`.",
    ),
    Rule(
        "connect_without_error_handling",
        WARNING,
        "A connect whose failure nobody handles",
        "Catch `OSError` and `asyncio.TimeoutError` around it, log them and retry or leave; %s does." % _KIT,
    ),
    Rule(
        "connect_error_swallowed",
        NOTE,
        "A failed connect is ignored in silence",
        "Log the error, and retry or leave: without a connection every request that follows fails.",
    ),
    Rule(
        "retry_without_backoff",
        WARNING,
        "A retry loop that does not slow down",
        "Double the delay with each attempt, up to a limit, add a random part, and stop at a deadline.",
    ),
    Rule(
        "connect_each_turn",
        NOTE,
        "Each turn of a loop opens another connection",
        "Connect once before the loop, or close the connection at the end of each turn: `finally: ib.disconnect()`.",
    ),
    Rule(
        "request_before_ready",
        WARNING,
        "A request before the connection is ready",
        "Wait for nextValidId, with a limit: `if not app.ready.wait(20): raise SystemExit(1)`.",
    ),
    Rule(
        "wait_without_end",
        WARNING,
        "A wait for the connection without a limit",
        "Give the wait a limit and leave when it is over: `if not app.ready.wait(20): raise SystemExit(1)`.",
    ),
    Rule(
        "no_reconnect",
        WARNING,
        "Nothing connects again after the nightly restart",
        "Connect again on `ib.disconnectedEvent`, with a growing delay, or let a service manager restart the script.",
    ),
    Rule(
        "lost_subscriptions",
        NOTE,
        "A new connection without the old subscriptions",
        "Subscribe where the script connects, in one function that runs after each connect.",
    ),
    Rule(
        "no_disconnect",
        NOTE,
        "Nobody closes the connection on the way out",
        "Call `ib.disconnect()` in a `finally`, or connect %s: a connection left open holds the API slot." % _KIT,
    ),
    Rule(
        "blocking_sleep",
        WARNING,
        "A sleep that stops the event loop",
        "Use `await asyncio.sleep(...)` in a coroutine; let a handler return and a timer do the rest.",
    ),
    Rule(
        "blocking_call",
        WARNING,
        "A call that stops the event loop",
        "Run it in a thread, `await asyncio.to_thread(...)`, or use a library for asyncio.",
        shows_line=False,
    ),
    Rule(
        "connection_not_logged",
        NOTE,
        "The connection is not logged",
        "Log host, port and client id when connecting, or set up logging at level INFO: the library then does.",
    ),
    Rule(
        "ignore_unusable",
        NOTE,
        "An ignore comment that has no effect",
        "Write `# ib-audit: ignore[code] reason`, with codes of this list and a reason.",
    ),
    Rule("file_unreadable", WARNING, "A file that cannot be read", "Audit as an account that may read it."),
    Rule("file_too_large", WARNING, "A file that is too large", "Exclude it, or raise max_size."),
    Rule("file_not_python", NOTE, "A file that is no Python", "Exclude it, or give the script it stands for."),
    Rule("file_python2", WARNING, "A file in Python 2", "Port it to Python 3: no client library runs on Python 2."),
    Rule(
        "file_not_parsed",
        WARNING,
        "A file that this host's Python cannot parse",
        "Correct the syntax, or audit with the interpreter that runs the script.",
    ),
    Rule(
        "file_too_complex",
        WARNING,
        "A file whose audit was stopped",
        "Split the file, or exclude it; the other files were audited.",
    ),
    Rule("path_without_files", NOTE, "A path at which there is no script", "Correct the path, or remove it."),
)

RULES: Dict[str, Rule] = {rule.code: rule for rule in _RULES}
#: Codes that say that a file was not audited.
NOT_AUDITED = tuple(code for code in RULES if code.startswith(("file_", "path_")))
