"""Tells from a command line what a process is: a gateway, a relay, a script. Pure.

Exact on purpose. A path that contains `ibgateway`, a log viewer, an editor or an X server with its authority file in
the gateway's folder is not a gateway: only a JVM whose main class is one of the known ones is, however it was started.
"""

from __future__ import annotations

import re
from typing import List, Optional, Pattern, Sequence

from .command_line import is_interpreter, is_shell, run_of
from .host import GatewayKind
from .java_line import EMULATOR, MAIN_CLASSES, config_dir, java_line, without_mark
from .spec import LIVE, PAPER
from .words import basename, is_java, program_name

#: Relays of container engines: they hold a port of the host, also while nothing is behind it.
CONTAINER_PROXIES = ("docker-proxy", "conmon", "rootlessport", "rootlesskit", "slirp4netns", "pasta")
#: Hand on between a connection and whatever they were given, or only listen for one that comes.
PIPES = ("nc", "ncat", "netcat", "nc.openbsd", "nc.traditional")
_RELAYS = (
    *CONTAINER_PROXIES,
    "socat",
    "haproxy",
    "nginx",
    "ssh",
    *("sshd", "sshd-session", "dropbear"),
    *("stunnel", "stunnel4", "ghostunnel", "sslh", "envoy", "traefik", "caddy", "rinetd", "redir", "gost"),
    "systemd-socket-proxyd",
    # Hand on over pipes, or over connections that they have made themselves: their sockets do not tell.
    *PIPES,
    *(
        "frpc",
        "cloudflared",
        "ngrok",
        "chisel",
        "rathole",
        "wstunnel",
        "websockify",
        "tailscaled",
        "wireguard-go",
        "openvpn",
        "gvproxy",
        "vpnkit",
        "passt",
    ),
)
DISPLAYS = ("Xvfb", "Xvnc", "Xtigervnc", "x11vnc", "fluxbox", "openbox", "matchbox-window-manager")
_LAUNCHERS = (
    *("xvfb-run", "sudo", "su", "runuser", "setpriv", "tini", "dumb-init", "nice", "ionice", "env", "timeout"),
    # What a gateway without a screen is given for one.
    *DISPLAYS,
)

# --- gateways --------------------------------------------------------------------------------------------------------


def gateway_kind(argv: Sequence[str], exe: Optional[str] = None) -> Optional[GatewayKind]:
    """What kind of gateway a process is; None for everything else.

    exe: what /proc/PID/exe points to, where it could be read. It finds a JVM under another name, and its `executable`
    tells whether the process is a JVM at all. What runs a gateway's program in a way that is not known says so in
    `unsupported`: it must not be touched.
    """
    line = java_line(argv, exe)
    if line is None:
        from .unusual_launches import without_java

        return without_java(argv, exe)
    if line.main is None:
        return None
    name = argv[line.main].rpartition("/")[2]  # -m names a module before its class
    if name not in MAIN_CLASSES:
        from .unusual_launches import own_main_class

        return own_main_class(line, name)
    product, launcher = MAIN_CLASSES[name]
    arguments = line.arguments
    return GatewayKind(
        product=product,
        launcher=launcher,
        main_class=name,
        config_dir=config_dir(line, launcher),
        trading_mode=_trading_mode(launcher, arguments),
        ini=next(iter(arguments), None) if launcher in ("ibc", "ibcontroller") else None,
        restarted=line.property("restart") is not None,
        fix_login=launcher == "ibc" and len(_positional(arguments)) in (5, 6),
        executable=None if exe is None else is_java(without_mark(exe)) or bool(re.match(EMULATOR, _base(exe))),
    )


def _base(exe: str) -> str:
    return basename(without_mark(exe))


def may_be_gateway(raw: bytes) -> bool:
    """Whether a raw command line is worth asking gateway_kind: cheap, never wrong about one that it rejects."""
    if any(mark in raw for mark in _MARKS):
        return True
    return b"\\" in raw and any(mark in raw.lower() for mark in _WINDOWS_MARKS)


_MARKS = (
    *(b"GWClient", b"LoginFrame", b"ibcalpha.ibc.", b"ibcontroller.", b"ibautomater."),
    *(b"jts4launch", b"twslaunch", b"/jars/", b"JavaApplicationStub"),
)
_WINDOWS_MARKS = (b"\\ibgateway.exe", b"\\tws.exe")


_MODE_OPTION = re.compile(r"^--?(?:trading-?)?mode(?:=(.*))?$", re.IGNORECASE)


def mode_word(word: str) -> Optional[str]:
    """live or paper, if the word is one of them in any case; else None."""
    return word.lower() if word.lower() in (LIVE, PAPER) else None


_OPTION = re.compile(r"^-(?:-[a-z][\w-]*|[VD][\w.]+)=")


def _positional(arguments: Sequence[str]) -> List[str]:
    """What is no option; a password may begin with a dash."""
    return [word for word in arguments if not _OPTION.match(word)]


def _trading_mode(launcher: str, arguments: Sequence[str]) -> Optional[str]:
    """What the arguments say: IBC's last positional word, or --mode; None where that is two things, or nothing.

    IBC takes ini [[fix user, fix password] user, password] [mode]: of three or five words the last is a password.
    """
    found = {mode for mode in map(mode_word, option_values(arguments, _MODE_OPTION)) if mode}
    words = _positional(arguments)
    ends_in_password = {"ibc": (3, 5), "ibcontroller": (3,)}
    by_position = launcher in ends_in_password and len(words) not in ends_in_password[launcher]
    if by_position and len(words) > 1:
        found |= {mode for mode in [mode_word(words[-1])] if mode}
    return found.pop() if len(found) == 1 else None


def option_values(words: Sequence[str], option: Pattern[str]) -> List[str]:
    """The values of an option, glued with `=` (group 1 of the pattern) or in the next word."""
    found = []
    for index, word in enumerate(words):
        match = option.match(word)
        if match:
            glued = match.group(1)
            found.append(glued if glued is not None else "".join(words[index + 1 : index + 2]))
    return found


# --- everything else -------------------------------------------------------------------------------------------------


def relay_name(argv: Sequence[str]) -> Optional[str]:
    """The relay a process is, by its program's name (socat, docker-proxy, ...); None for everything else.

    What a process does to connections tells as well whether it is a relay, but not of all.
    """
    # Some set a title of their own, such as `nginx: worker process`.
    name = basename(argv[0].partition(" ")[0]).rstrip(":") if argv else ""
    return name if name in _RELAYS else None


def is_launcher(argv: Sequence[str]) -> bool:
    """Whether a process only starts another one, as the shells and wrappers between a unit and its gateway do."""
    program = program_name(argv)
    return is_shell(program) or program in _LAUNCHERS


def matches_client(pattern: Pattern[str], argv: Sequence[str]) -> bool:
    """Whether a pattern names this process as a script that uses the API although it holds no connection now.

    Searched is the script that an interpreter runs (its path, or `-m module`), else the program's own path: not what
    either is told about, so that an editor, a linter, a test run or a backup of the script stays a bystander.
    """
    run = run_of(argv)
    if run.script is not None:
        return bool(pattern.search("-m " + run.module if run.module is not None else argv[run.script]))
    if run.program is None or is_interpreter(basename(argv[run.program]).lstrip("-")):
        return False
    return bool(pattern.search(argv[run.program]))


def matches_any(patterns: Sequence[Pattern[str]], argv: Sequence[str]) -> bool:
    """Whether any pattern is found anywhere in the command line: the wide net, for what must be protected."""
    line = " ".join(argv)
    return any(pattern.search(line) for pattern in patterns)
