"""The simulated gateway's command line: what a JVM's argv looks like, plus `--name=value` options of its own."""

import math
from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, Optional, Sequence, Tuple

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
    "close-listener-on-second": "a second client beside a session closes the listener for good and is stalled itself",
    "no-listener": "runs, never listens",
    "id-in-use": "every startApi gets error 326",
    "upstream-lost": "full session, then --upstream-code instead of the farm notices",
    "ignore-sigterm": "SIGTERM does nothing",
    "no-close": "never closes its end when a client goes: CLOSE_WAIT, and the slot and client id stay taken",
    "garbage": "random bytes in place of the server version",
    "huge-prefix": "a length prefix of 4 GB in place of the server version",
    "trickle": "everything is sent at one byte a second",
}

# Launchers pass credentials this way. They are accepted, so that tests can plant them, and not used.
IGNORED = ("user", "pw", "fix-user", "fix-pw")


class BadOption(ValueError):
    """An option that cannot be used; the text names it and never repeats a value."""


@dataclass(frozen=True)
class Options:
    """One gateway's settings; ports are TCP port numbers, times are seconds."""

    main_class: str
    config_dir: Optional[str] = None
    port: int = 4001
    accounts: Tuple[str, ...] = ("DU1234567",)
    server_version: int = 176
    slots: int = 32
    upstream_code: int = 1100
    listen_after: float = 0.0
    bind: Optional[str] = None
    exit_with: Optional[int] = None
    lifetime: float = 900.0
    ready_file: Optional[str] = None
    faults: FrozenSet[str] = frozenset()

    @property
    def session_limit(self) -> int:
        """How many clients hold a full session at once."""
        return 1 if "one-slot" in self.faults else self.slots

    @property
    def under_ibc(self) -> bool:
        """Whether IBC started it, which makes the settings directory its working directory."""
        return self.main_class.startswith("ibcalpha.")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"must be {low} to {high}")
        return number

    return convert


def _seconds(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("must be a number of seconds")
    return number


def _text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _accounts(text: str) -> Tuple[str, ...]:
    return tuple(_text(name.strip()) for name in text.rstrip(",").split(","))


def _fault(text: str) -> str:
    if text not in FAULTS:
        raise ValueError("must be one of " + ", ".join(FAULTS))
    return text


_CONVERTERS: Dict[str, Callable[[str], Any]] = {
    "port": _whole(0, 65535),
    "accounts": _accounts,
    "server-version": _whole(100, 200),
    "slots": _whole(1, 1000),
    "upstream-code": _whole(1, 99999),
    "listen-after": _seconds,
    "bind": _text,
    "exit-with": _whole(1, 2**31 - 1),
    "lifetime": _seconds,
    "ready-file": _text,
    "fault": _fault,
}


def parse(argv: Sequence[str]) -> Options:
    """Read what follows the script's path in argv.

    `-D` properties may stand anywhere. Other JVM switches and every positional element but the main class are
    passed over: IBC puts its ini file, user, password and mode there.
    """
    values: Dict[str, Any] = {}
    faults = set()
    for item in argv:
        if item.startswith("--"):
            name, value = _own_option(item)
            if name == "fault":
                faults.add(value)
            elif name not in IGNORED:
                values[name.replace("-", "_")] = value
        elif item.startswith("-DjtsConfigDir="):
            values["config_dir"] = item.partition("=")[2]
        elif item in MAIN_CLASSES:
            values["main_class"] = item
    if "main_class" not in values:
        raise BadOption("the main class is missing: one of " + ", ".join(MAIN_CLASSES))
    return Options(faults=frozenset(faults), **values)


def _own_option(item: str) -> Tuple[str, Any]:
    name, equals, text = item[2:].partition("=")
    if name in IGNORED:
        return name, None
    if name not in _CONVERTERS:
        raise BadOption(f"--{name}: no such option")
    if not equals:
        raise BadOption(f"--{name}: give the value as --{name}=value")
    try:
        return name, _CONVERTERS[name](text)
    except ValueError as error:
        # int() and float() repeat the text they could not read; the rules above do not.
        reason = str(error) if str(error).startswith("must") else "must be a number"
        raise BadOption(f"--{name}: {reason}") from None
