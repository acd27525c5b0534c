"""The simulated gateway's command line: what a JVM's argv looks like, plus `--name=value` options of its own.

`OPTIONS`, `FAULTS`, `QUIRKS` and `EVENTS` are the whole of what can be staged, a line of meaning each.
"""

import shlex
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from . import values
from .values import Convert

MAIN_CLASSES = (
    "install4j.ibgateway.GWClient",
    "ibgateway.GWClient",
    "ibcalpha.ibc.IbcGateway",
    "ibcalpha.ibc.IbcTws",
    "install4j.jclient.LoginFrame",
    "jclient.LoginFrame",
    "ibcontroller.IBGatewayController",
)

FAULTS = {
    "one-slot": "one session at a time: the same as --slots=1",
    "stall": "server version, then silence for everyone",
    "silent": "accepts, never says anything",
    "drop-after-hello": "server version, then closes",
    "never-accept": "listens, never accepts",
    "stop-accepting": "never accepts again once a client holds a session: the accept queue grows, that session works",
    "close-listener-on-second": "a second client beside a session closes the listener for good and is stalled itself",
    "no-listener": "runs, never listens",
    "id-in-use": "every startApi gets error 326",
    "close-on-used-id": "a client id in use is closed without a word",
    "disclaimer": "every startApi gets error 10141, then the connection closes",
    "no-order-id": "accounts, notices and answers, but no nextValidId",
    "silent-after-ready": "the whole opening of a session, then no answer to anything",
    "farms-broken": "full session, with 2103, 2105 and 2157 instead of the good farm notices",
    "upstream-lost": "full session, then --upstream-code instead of the farm notices",
    "ignore-sigterm": "SIGTERM does nothing",
    "no-close": "never closes its end when a client goes: CLOSE_WAIT, and the slot and client id stay taken",
    "garbage": "random bytes in place of the server version",
    "huge-prefix": "a length prefix of 4 GB in place of the server version",
    "trickle": "everything is sent at one byte a second",
}

QUIRKS = {
    "early-frames": "three notices before the server version",
    "long-first-frame": "a server version frame of more than 256 bytes",
    "strange-zone": "a time zone in bytes that are no UTF-8",
    "replayed-orders": "twenty orders of another client before nextValidId, as a master client gets them",
}

EVENTS = {
    "auto-restart": "leaves the token of an automatic restart and ends with 0",
    "cold-restart": "IBC's login failed: it asks for a cold restart and ends with 0",
    "login-timeout": "the second factor led to no login: ends with IBC's 1111, which is 87 in a byte",
    "crash": "ends with 1, without a word to anyone",
    "displaced": "another login took the session: the port closes for good, the process stays",
    "second-factor": "the second factor that a login waits for is confirmed",
    "login-again": "the port closes, and opens again after --login-again seconds",
    "port-toggled": "the port closes and its sessions go on; it opens again when the event happens again",
    "link-lost": "1100 to every session, and instead of the farm notices from then on",
    "link-back": "1102 to every session",
    "hang": "accepts, and says nothing to anyone any more",
    "log-line": "writes a line to IBC's log, by which a frozen file system holds the whole process",
}

# Launchers pass credentials and the mode this way. They are accepted, so that tests can plant them, and not used.
IGNORED = ("user", "pw", "fix-user", "fix-pw", "mode")

# What IBC's RESTART command comes to.
RESTARTS = ("works", "refused", "never", "silent")

OPTIONS: Dict[str, Tuple[Convert, str]] = {
    "port": (values.whole(0, 65535), "the API port, 0 for any free one"),
    "bind": (values.text, "the address the API port is on; without it every one, dual-stack"),
    "accounts": (values.texts, "the account names, with commas"),
    "server-version": (values.whole(100, 300), "the highest server version it speaks"),
    "slots": (values.whole(1, 1000), "how many clients hold a session at once"),
    "upstream-code": (values.whole(1, 99999), "what the fault upstream-lost says"),
    "fault": (values.one_of(FAULTS), "one of FAULTS; may be given several times"),
    "quirk": (values.one_of(QUIRKS), "one of QUIRKS; may be given several times"),
    "listen-after": (values.seconds, "seconds a start takes until the port opens, the second factor apart"),
    "answer-after": (values.seconds, "seconds until a client that has said hello gets the server version"),
    "second-factor": (values.seconds, "seconds until the second factor is confirmed; not asked for with -Drestart="),
    "second-factor-limit": (values.seconds, "seconds after which an unconfirmed second factor is asked for again"),
    "token-expired": (values.yes, "yes: the second factor is asked for with -Drestart= as well"),
    "existing-session": (values.whole(1, 6), "the login meets another session; 1 to 6 is IBC's number of the case"),
    "needs-display": (values.yes, "yes: ends at once with 1 and a HeadlessException where DISPLAY is not set"),
    "ibc-log": (values.text, "the file that gets IBC's log lines; - is standard output"),
    "event": (values.one_of(EVENTS), "what SIGUSR1 makes happen: one of EVENTS"),
    "event-after": (values.seconds, "seconds after the port opened at which the event happens by itself"),
    "login-again": (values.seconds, "seconds the port stays closed at the event login-again"),
    "restarter-gap": (values.seconds, "install4j's restarter starts the next process so many seconds after the end"),
    "command-port": (values.whole(0, 65535), "IBC's command server listens here, on the API port's address"),
    "restart-command": (values.one_of(RESTARTS), "what RESTART comes to: works, refused, never (OK only), silent"),
    "reconnect-helps": (values.yes, "yes: RECONNECTACCOUNT and RECONNECTDATA bring a lost link to the broker back"),
    "restart-delay": (values.seconds, "seconds from RESTART's OK to the end of this process"),
    "also-listen": (values.whole(0, 65535), "another port, like JMX's: it accepts and says nothing; several times"),
    "broker": (values.address, "HOST:PORT of a broker it keeps connecting to"),
    "exit-with": (values.whole(1, 2**31 - 1), "the process it does not outlive"),
    "lifetime": (values.seconds, "seconds after which it ends in any case"),
    "ready-file": (values.text, "written when it is up: pid, port, whether it listens, command_port, also"),
}
# What Java properties tell the gateway.
PROPERTIES = {"-DjtsConfigDir": "config_dir", "-Drestart": "restart", "-Dibcsessionid": "session"}
SEVERAL = {"fault": "faults", "quirk": "quirks", "also-listen": "also_listen"}
OPTIONS_FILE = "-Dsimulator.options="  # more of these options, one a line, kept out of argv


class BadOption(ValueError):
    """An option that cannot be used; the text names it and never repeats a value."""


@dataclass(frozen=True)
class Options:
    """One gateway's settings; ports are TCP port numbers, times are seconds. OPTIONS has the meanings."""

    main_class: str
    config_dir: Optional[str] = None
    restart: Optional[str] = None
    session: str = ""
    port: int = 4001
    bind: Optional[str] = None
    accounts: Tuple[str, ...] = ("DU1234567",)
    server_version: int = 176
    slots: int = 32
    upstream_code: int = 1100
    faults: FrozenSet[str] = frozenset()
    quirks: FrozenSet[str] = frozenset()
    listen_after: float = 0.0
    answer_after: float = 0.0
    second_factor: float = 0.0
    second_factor_limit: float = 180.0
    token_expired: bool = False
    existing_session: Optional[int] = None
    needs_display: bool = False
    ibc_log: Optional[str] = None
    event: Optional[str] = None
    event_after: Optional[float] = None
    login_again: float = 2.0
    restarter_gap: Optional[float] = None
    command_port: Optional[int] = None
    restart_command: str = "works"
    reconnect_helps: bool = True
    restart_delay: float = 1.0
    also_listen: FrozenSet[int] = frozenset()
    broker: Optional[Tuple[str, int]] = None
    exit_with: Optional[int] = None
    lifetime: float = 900.0
    ready_file: Optional[str] = None

    @property
    def session_limit(self) -> int:
        """How many clients hold a full session at once."""
        return 1 if "one-slot" in self.faults else self.slots

    @property
    def under_ibc(self) -> bool:
        """Whether IBC started it, which makes the settings directory its working directory."""
        return self.main_class.startswith("ibcalpha.")


def parse(argv: Sequence[str]) -> Options:
    """Read what follows `java`, or the script's path, in argv. Raises BadOption.

    `-D` properties may stand anywhere, and the last of a name counts. Other JVM switches and every positional element
    but the main class are passed over: IBC puts its ini file, user, password and mode there.
    """
    found: Dict[str, Any] = {}
    several: Dict[str, List[Any]] = {name: [] for name in SEVERAL.values()}
    for item in _with_options_file(argv):
        if item.startswith("--add-"):
            continue  # Java's own: --add-opens, --add-exports
        if item.startswith("--"):
            name, value = _own_option(item)
            if name in SEVERAL:
                several[SEVERAL[name]].append(value)
            elif name not in IGNORED:
                found[name.replace("-", "_")] = value
        elif item.partition("=")[0] in PROPERTIES:
            name, _, value = item.partition("=")
            found[PROPERTIES[name]] = value
        elif item in MAIN_CLASSES:
            found["main_class"] = item
    if "main_class" not in found:
        raise BadOption("the main class is missing: one of " + ", ".join(MAIN_CLASSES))
    found.update((name, frozenset(given)) for name, given in several.items())
    return Options(**found)


def _with_options_file(argv: Sequence[str]) -> Iterable[str]:
    for item in argv:
        yield item
        if item.startswith(OPTIONS_FILE):
            try:
                with open(item[len(OPTIONS_FILE) :], encoding="utf-8") as file:
                    yield from shlex.split(file.read())
            except OSError as error:
                raise BadOption(f"{OPTIONS_FILE}: {error.strerror}") from None


def _own_option(item: str) -> Tuple[str, Any]:
    name, equals, text = item[2:].partition("=")
    if name in IGNORED:
        return name, None
    if name not in OPTIONS:
        raise BadOption(f"--{name}: no such option")
    if not equals:
        raise BadOption(f"--{name}: give the value as --{name}=value")
    try:
        return name, OPTIONS[name][0](text)
    except ValueError as error:
        # int() and float() repeat the text they could not read; the rules of values.py do not.
        reason = str(error) if str(error).startswith("must") else "must be a number"
        raise BadOption(f"--{name}: {reason}") from None
