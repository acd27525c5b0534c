"""Tells from a command line what a process is: a gateway, a relay, a script. Pure.

Exact on purpose. A path that contains `ibgateway`, a log viewer, an editor or an X server with its authority file in
the gateway's folder is not a gateway: only a JVM whose main class is one of the known ones is, however it was started.
"""

from __future__ import annotations

import re
from typing import List, Optional, Pattern, Sequence, Tuple

from .command_line import is_interpreter, is_shell, run_of
from .host import GatewayKind
from .record import Record
from .spec import GATEWAY, LIVE, PAPER, TWS
from .words import basename, is_java, program_name

# Main class: (product, launcher).
MAIN_CLASSES = {
    "install4j.ibgateway.GWClient": (GATEWAY, "native"),
    "ibgateway.GWClient": (GATEWAY, "native"),
    "ibcalpha.ibc.IbcGateway": (GATEWAY, "ibc"),
    "ibcontroller.IBGatewayController": (GATEWAY, "ibcontroller"),
    "ibautomater.IBAutomater": (GATEWAY, "ibautomater"),
    "install4j.jclient.LoginFrame": (TWS, "native"),
    "jclient.LoginFrame": (TWS, "native"),
    "ibcalpha.ibc.IbcTws": (TWS, "ibc"),
    "ibcontroller.IBController": (TWS, "ibcontroller"),
}
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

# --- the JVM ---------------------------------------------------------------------------------------------------------

#: Java's own options that take the next word.
_VALUED = frozenset(
    (
        *("-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules"),
        *("--add-opens", "--add-exports", "--add-reads", "--limit-modules", "--patch-module", "--source"),
        "--enable-native-access",
    )
)
CLASS_PATH = ("-cp", "-classpath", "--class-path")
_CLASS_NAME = re.compile(r"^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*$")
#: What runs another system's programs, or a program through its loader: the program's path is among its arguments.
_EMULATOR = r"^(?:rosetta|box64|box86|qemu-(?:x86_64|i386|aarch64)(?:-static)?|FEX\w*|ld-[\w.-]+\.so[.\d]*)$"


class JavaLine(Record):
    """A JVM's command line, taken apart. main: the index of its main class, None where there is none.

    options: the words before it; a value stands after its option.
    """

    argv: Tuple[str, ...]
    java: int
    main: Optional[int]

    @property
    def options(self) -> Tuple[str, ...]:
        """The words between the program and its main class."""
        return self.argv[self.java + 1 : self.main]

    @property
    def arguments(self) -> Tuple[str, ...]:
        """The words after the main class."""
        return self.argv[self.main + 1 :] if self.main is not None else ()

    def property(self, name: str) -> Optional[str]:
        """The value of the system property; of two of one name Java takes the last. None without it."""
        start = "-D%s=" % name
        return next((word[len(start) :] for word in reversed(self.options) if word.startswith(start)), None)

    def class_path(self) -> List[str]:
        """The elements of the class path, as they are written."""
        found = ""
        words = self.options
        for word, following in zip(words, words[1:]):
            if word in CLASS_PATH:
                found = following
        glued = [word for word in words if word.startswith("--class-path=")]
        found = glued[-1].partition("=")[2] if glued else found
        return re.split(r";|:(?![\\/])" if "\\" in found else ":", found) if found else []


def java_line(argv: Sequence[str], exe: Optional[str] = None) -> Optional[JavaLine]:
    """The command line of a JVM: by its program's name, an emulator's argument, its executable, or by its form.

    exe: what /proc/PID/exe points to, where it could be read. None for what is no JVM.
    """
    if not argv:
        return None
    java = _java_index(argv, exe)
    return JavaLine(tuple(argv), java, _main_index(argv, java)) if java is not None else None


def _java_index(argv: Sequence[str], exe: Optional[str]) -> Optional[int]:
    if is_java(argv[0]):
        return 0
    if re.match(_EMULATOR, basename(argv[0])):
        found = next((index for index, word in enumerate(argv[1:8], start=1) if is_java(word)), None)
        # With binfmt's flag P the emulator gets the path and then the program's own argv[0].
        return found + 1 if found is not None and is_java("".join(argv[found + 1 : found + 2])) else found
    if exe is not None:
        return 0 if is_java(_without_mark(exe)) else None
    # A JVM under another name (exec -a): nobody else takes a class path and then a gateway's main class.
    main = _main_index(argv, 0)
    if main is not None and argv[main] in MAIN_CLASSES and any(word in CLASS_PATH for word in argv[1:main]):
        return 0
    return None


def _without_mark(exe: str) -> str:
    """A path without the kernel's mark for a file that was replaced, as a JVM's is after an update."""
    return exe[: -len(" (deleted)")] if exe.endswith(" (deleted)") else exe


def _main_index(argv: Sequence[str], java: int) -> Optional[int]:
    """Where the main class stands. What is no option comes first: words after it are the program's, not Java's."""
    value_follows = False
    for index in range(java + 1, len(argv)):
        word = argv[index]
        if value_follows:
            value_follows = False
        elif word == "-jar":
            return None
        elif word in ("-m", "--module"):
            return index + 1 if index + 1 < len(argv) else None
        elif _CLASS_NAME.match(word) and not word.endswith(".py"):
            return index
        else:
            value_follows = word in _VALUED
    return None


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
        executable=None if exe is None else is_java(_without_mark(exe)) or bool(re.match(_EMULATOR, _base(exe))),
    )


def _base(exe: str) -> str:
    return basename(_without_mark(exe))


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


def config_dir(line: JavaLine, launcher: Optional[str]) -> Optional[str]:
    """The settings folder by -DjtsConfigDir=; None where argv does not say.

    install4j leaves ${installer:jtsConfigDir} in argv and fills it in later: from -V if that is given, else from the
    installation's response.varfile. Before 9.5 the folder was the native gateway's first argument.
    """
    said = line.property("jtsConfigDir")
    if said is None and launcher == "native":
        first = next(iter(line.arguments), "")
        return first if re.match(r"[~]?/|[A-Za-z]:\\", first) else None
    if said is not None and is_placeholder(said):
        start = "-VjtsConfigDir="
        said = next((word[len(start) :] for word in reversed(line.arguments) if word.startswith(start)), "")
    return said if said and not is_placeholder(said) else None


def is_placeholder(value: str) -> bool:
    """Whether a value holds a variable that nobody has filled in, such as ${installer:jtsConfigDir}."""
    return "${" in value


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
