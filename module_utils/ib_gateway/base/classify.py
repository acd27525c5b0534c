"""Tells from a command line what a process is: a gateway, a relay, a script. Pure.

Exact on purpose. A path that contains `ibgateway`, a log viewer, an editor or an X server with its authority file in
the gateway's folder is not a gateway: only a java whose main class is one of the known ones is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Optional, Pattern, Sequence

from .host import GatewayKind
from .spec import LIVE, PAPER

# Main class: (product, launcher).
MAIN_CLASSES = {
    "install4j.ibgateway.GWClient": ("gateway", "native"),
    "ibgateway.GWClient": ("gateway", "native"),
    "ibcalpha.ibc.IbcGateway": ("gateway", "ibc"),
    "ibcontroller.IBGatewayController": ("gateway", "ibcontroller"),
    "install4j.jclient.LoginFrame": ("tws", "native"),
    "jclient.LoginFrame": ("tws", "native"),
    "ibcalpha.ibc.IbcTws": ("tws", "ibc"),
    "ibcontroller.IBController": ("tws", "ibcontroller"),
}
_CONFIG_DIR = "-DjtsConfigDir="
_JAVA = ("java", "java.exe", "javaw.exe")
_RELAYS = (
    "socat",
    "docker-proxy",
    "rootlessport",
    "slirp4netns",
    "pasta",
    "haproxy",
    "nginx",
    "ssh",
    "sshd",
    "stunnel",
)
_CLASS_NAME = re.compile(r"^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+$")
_JAVA_OPTIONS_WITH_VALUE = (
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
)
_LAUNCHERS = (
    *("xvfb-run", "sudo", "su", "runuser", "setpriv", "tini", "dumb-init", "nice", "ionice", "env", "timeout"),
    # What a gateway without a screen is given for one.
    *("Xvfb", "Xvnc", "Xtigervnc", "x11vnc", "fluxbox", "openbox", "matchbox-window-manager"),
)
_SCRIPT_INTERPRETER = re.compile(r"^(?:python|pypy)[0-9.]*$|^(?:node|Rscript|ruby|perl)$")
_SHELL = re.compile(r"^(?:ba|da|k|z)?sh$")


def _basename(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def gateway_kind(argv: Sequence[str]) -> Optional[GatewayKind]:
    """What kind of gateway this command line starts; None for everything else.

    The trading mode is read from IBC's last positional word or a `--mode=` option; native launches do not say it.
    """
    if not argv or _basename(argv[0]) not in _JAVA:
        return None
    found = _main_class(argv)
    if found is None:
        return None
    product, launcher = MAIN_CLASSES[argv[found]]
    config_dir = next((w[len(_CONFIG_DIR) :] for w in argv[1:] if w.startswith(_CONFIG_DIR)), None)
    modes = {word.rpartition("=")[2] for word in argv[found + 1 :] if word in _MODE_WORDS}
    return GatewayKind(
        product=product,
        launcher=launcher,
        main_class=argv[found],
        config_dir=config_dir or None,
        trading_mode=modes.pop() if len(modes) == 1 else None,
    )


def _main_class(argv: Sequence[str]) -> Optional[int]:
    """Where the main class stands, if it is a gateway's. Another program's class before it makes it an argument."""
    value_follows = False
    for index, word in enumerate(argv[1:], start=1):
        if value_follows:
            value_follows = False
        elif word in MAIN_CLASSES:
            return index
        elif word == "-jar" or (_CLASS_NAME.match(word) and not word.endswith(".py")):
            return None
        else:
            value_follows = word in _JAVA_OPTIONS_WITH_VALUE
    return None


_MODE_WORDS = tuple(prefix + mode for mode in (LIVE, PAPER) for prefix in ("", "--mode="))


def relay_name(argv: Sequence[str]) -> Optional[str]:
    """The relay a process is, by its program's name (socat, docker-proxy, ...); None for everything else."""
    # Some set a title of their own, such as `nginx: worker process`.
    name = _basename(argv[0].partition(" ")[0]).rstrip(":") if argv else ""
    return name if name in _RELAYS else None


def is_launcher(argv: Sequence[str]) -> bool:
    """Whether a process only starts another one, as the shells and wrappers between a unit and its gateway do."""
    program = _basename(argv[0]).lstrip("-") if argv else ""
    return bool(_SHELL.match(program)) or program in _LAUNCHERS


def matches_client(pattern: Pattern[str], argv: Sequence[str]) -> bool:
    """Whether a pattern names this process as a script that uses the API although it holds no connection now.

    For a script run by an interpreter the whole command line counts; for a shell only the script it runs; for any
    other program only the program itself, so that an editor or a pager opened on the script stays a bystander.
    """
    if not argv:
        return False
    program = _basename(argv[0])
    if _SCRIPT_INTERPRETER.match(program):
        return bool(pattern.search(" ".join(argv)))
    if _SHELL.match(program):
        return len(argv) > 1 and not argv[1].startswith("-") and bool(pattern.search(argv[1]))
    return bool(pattern.search(argv[0]))


def matches_any(patterns: Sequence[Pattern[str]], argv: Sequence[str]) -> bool:
    """Whether any pattern is found anywhere in the command line: the wide net, for what must be protected."""
    line = " ".join(argv)
    return any(pattern.search(line) for pattern in patterns)


def argv_digest(command: Sequence[str]) -> str:
    """Sixteen hex digits over a redacted command line: the same program with the same words has the same digest."""
    return hashlib.sha256("\0".join(command).encode("utf-8", "backslashreplace")).hexdigest()[:16]
