"""Tells what keeps a gateway alive, or would start one: IBC's scripts, loops, supervisors, restarters. Pure.

While one of them is alive, a gateway that is gone may come back by itself, and a second one beside it costs its owner
a login. Where its command line says which gateway it starts, that is told too.
"""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple

from .classify import DISPLAYS, gateway_kind, is_launcher, mode_word, relay_name
from .command_line import is_shell, run_of
from .java_line import is_placeholder, java_line
from .redaction import redact_argv
from .shell_text import LOOPS, commands, leads, simple_commands
from .spec import GATEWAY, TWS
from .words import basename, is_java, program_name

LAUNCHER, RESTARTER, SUPERVISOR, DISPLAY = "launcher", "restarter", "supervisor", "display"
#: What role_of can say besides.
RELAY, OTHER = "relay", "other"


class Launcher(NamedTuple):
    """A process that starts, keeps or brings back a gateway.

    kind: launcher (starts one, and mostly waits for it), restarter (install4j's, during an auto-restart), supervisor
    (keeps programs alive; which ones its command line may not say), display (gives a gateway a screen, keeps nothing).
    name: the script or program, or `shell loop`. The others say what it would start, None where argv does not tell.
    again: whether it starts the next gateway when one has ended; None where only the text of its script tells.
    """

    kind: str
    name: str
    product: Optional[str] = None
    trading_mode: Optional[str] = None
    config_dir: Optional[str] = None
    ini: Optional[str] = None
    again: Optional[bool] = True

    @property
    def keeps(self) -> bool:
        """Whether a gateway that is gone may come back through it."""
        return self.kind != DISPLAY


#: IBC's and IBController's own scripts, of every system.
_IBC_SCRIPT = re.compile(
    r"^(?:ibcstart|displaybannerandlaunch|gatewaystart\w*|twsstart\w*|startgateway|starttws|startibc"
    r"|ibcontroller\w*start|ibcontrollerstart\w*)\.(?:sh|bat)$",
    re.IGNORECASE,
)
#: The installation's own start script, which becomes the JVM.
_INSTALLED = re.compile(r"^(?:ibgateway1?|tws)$")
#: A home-made script is told by its name only: it is about a gateway, and about running one.
_ABOUT_GATEWAY = re.compile(r"(?i)(?:^|[^a-z])(?:ib[-_]?gate?way|ib[-_]?gw|ibc|gateway|tws)(?![a-z])|ibgateway")
_ABOUT_RUNNING = re.compile(r"(?i)start|run|launch|loop|keep|watch|guard|superv|controll?|entrypoint|daemon|auto")
_SUPERVISORS = (
    *("supervisord", "pm2", "cron", "crond", "anacron", "atd", "fcron", "runsvdir", "runsv", "s6-svscan", "supervise"),
    *("s6-supervise", "svscan", "circusd", "monit", "god", "immortal", "launchd", "start-stop-daemon", "autossh"),
)
TERMINALS = ("xterm", "uxterm", "rxvt", "urxvt", "konsole", "gnome-terminal", "lxterminal", "xfce4-terminal", "st")
MULTIPLEXERS = ("tmux", "screen", "byobu")
#: Its loop starts the next gateway with -Drestart=; others bring it back without its login.
IBC_LOOP = "ibcstart.sh"
_COMMENT = re.compile(r"(?m)^[ \t]*(?:#|//).*$")
#: A loop, a script that becomes itself again, a handler for the end of a child.
_REPEATS_IN_SHELL = re.compile(
    r"(?m)(?:^|[;&|(){}!]|\b(?:do|then|else)\s)[ \t]*(?:while|until|for)\s"
    r"|\bexec\b.*\$\{?(?:0|BASH_SOURCE)\b|^[ \t]*[\"']?\$\{?0\b|\btrap\b.*\b(?:SIG)?CHLD\b"
)
_REPEATS = re.compile(
    r"(?i)\b(?:while|for|foreach|until|loop|forever|every|schedule\w*|setInterval|setTimeout|repeat|retry|exec\w*)\b"
)
#: Run what stands somewhere else.
_TAKES_TEXT = (".", "source", "eval")
_OWN_PROGRAM = re.compile(r"^(?!/(?:usr/)?s?bin/)\S*/")
_MOST_TEXT = 8192
_MOST_WORDS = 64
#: Are given the name of a script to show it, to search or to copy it.
_READERS = frozenset(
    (
        *(
            "vi",
            "vim",
            "nvim",
            "view",
            "nano",
            "emacs",
            "emacsclient",
            "joe",
            "mcedit",
            "micro",
            "kate",
            "gedit",
            "code",
        ),
        *("less", "more", "most", "cat", "head", "tail", "grep", "rg", "watch", "diff", "meld", "mc", "inotifywait"),
        *("rsync", "scp", "sftp", "cp", "mv", "tar", "git", "lsof", "fuser", "gdb", "ssh"),
    )
)
_DEPTH = 3


def launcher_of(argv: Sequence[str], exe: Optional[str] = None) -> Optional[Launcher]:
    """What a process launches or keeps alive; None for everything else, a gateway itself among it.

    exe: what /proc/PID/exe points to, where it could be read.
    """
    if not argv or gateway_kind(argv, exe) is not None:
        return None
    return _launcher(argv, _DEPTH)


def role_of(argv: Sequence[str], exe: Optional[str] = None) -> str:
    """gateway, launcher, restarter, supervisor, relay or other: what a process is to a gateway."""
    if gateway_kind(argv, exe) is not None:
        return GATEWAY
    if relay_name(argv) is not None:
        return RELAY
    found = launcher_of(argv, exe)
    if found is not None:
        return LAUNCHER if found.kind == DISPLAY else found.kind
    return LAUNCHER if is_launcher(argv) and not is_shell(program_name(argv)) else OTHER


def _launcher(argv: Sequence[str], depth: int) -> Optional[Launcher]:
    run = run_of(argv)
    if depth <= 0 or run.program is None:
        return None
    words = argv[run.program :]
    name = program_name(words)
    if run.wrappers and gateway_kind(words) is not None:  # a wrapper that stays, such as timeout or xvfb-run
        return _of_gateway(words, basename(argv[run.wrappers[0]]))
    for find in (_by_java, _by_title, _by_terminal):
        found = find(words, name, depth)
        if found is not None:
            return found
    if run.script is not None:
        script = run.module if run.module is not None else argv[run.script]
        return _by_script(script, argv[run.script + 1 :], is_shell(name))
    if is_shell(name):
        return _by_shell_text(words, depth)
    return _by_script(words[0], words[1:], runs_in_shell=True) or _by_arguments(words, name, depth)


def _by_arguments(words: Sequence[str], name: str, depth: int) -> Optional[Launcher]:
    """A program that nobody knows, and whose arguments are a gateway's command: it may run that again and again."""
    if name in _READERS:
        return None
    begins = (place for place, word in enumerate(words[1:_MOST_WORDS], 1) if _begins_gateway(word))
    start = next(begins, None)
    found = _starting(words[start:], depth - 1) if start is not None else None
    return found and found._replace(kind=SUPERVISOR, name=redact_argv([name])[0], again=True)


def _begins_gateway(word: str) -> bool:
    return is_java(word) or _IBC_SCRIPT.match(basename(word)) is not None


def _of_gateway(argv: Sequence[str], name: str) -> Optional[Launcher]:
    kind = gateway_kind(argv)
    if kind is None:
        return None
    return Launcher(LAUNCHER, name, kind.product, kind.trading_mode, kind.config_dir, kind.ini, again=False)


def _by_java(words: Sequence[str], _name: str, _depth: int) -> Optional[Launcher]:
    """install4j's own launcher stands for the gateway while it restarts or updates it."""
    line = java_line(words)
    main = line.argv[line.main] if line is not None and line.main is not None else ""
    if main.startswith("com.install4j.") and line is not None:
        return Launcher(RESTARTER, "install4j " + ("restarter" if "restarter" in line.arguments else "launcher"))
    return None


def _by_title(words: Sequence[str], name: str, _depth: int) -> Optional[Launcher]:
    """What is known by its program's name, or by the title it gives itself."""
    title = basename(words[0].partition(" ")[0]).rstrip(":")
    if name in DISPLAYS:
        return Launcher(DISPLAY, name)
    if name == "systemd" and "--user" in words:
        return Launcher(SUPERVISOR, "systemd --user")
    for known in (name, title):
        if known.lower() in _SUPERVISORS:
            return Launcher(SUPERVISOR, known.lower())
    return None


def _by_terminal(words: Sequence[str], name: str, depth: int) -> Optional[Launcher]:
    """A terminal or multiplexer counts for the command it was given."""
    if name in TERMINALS:
        marks = [index for index, word in enumerate(words) if word in ("-e", "-x", "--")]
        starts = [index + 1 for index in marks[:1]]
    elif name.lower() in MULTIPLEXERS:
        starts = list(range(1, min(len(words), 16)))
    else:
        return None
    for start in starts:
        command = words[start:]
        if len(command) == 1 and " " in command[0]:
            command = next(commands(command[0]), ("", []))[1]
        found = _starting(command, depth - 1)
        if found is not None:
            return found._replace(kind=LAUNCHER, name=name.lower())
    return None


def _starting(command: Sequence[str], depth: int) -> Optional[Launcher]:
    """What a command starts: a gateway itself, or something that starts or keeps one."""
    if not command or depth <= 0:
        return None
    if gateway_kind(command) is not None:
        return _of_gateway(command, "java")
    found = _launcher(command, depth)
    return found if found is not None and found.kind == LAUNCHER else None


def _by_shell_text(words: Sequence[str], depth: int) -> Optional[Launcher]:
    """`bash -c '...'`: a launcher if one of the text's commands starts a gateway."""
    mark = next((i for i, word in enumerate(words) if re.match(r"^-[a-z]*c[a-z]*$", word)), None)
    text = "".join(words[mark + 1 : mark + 2])[:_MOST_TEXT] if mark is not None else ""
    return next(_started(text, depth - 1), None)


def start_of(command: Sequence[str]) -> Optional[Launcher]:
    """What a command starts a gateway by; None where it starts none. Of a home-made script only its name tells that."""
    return _starting(command, _DEPTH)


def started_by(text: str) -> Tuple[Launcher, ...]:
    """What starts a gateway in a shell's text, in the order in which it stands there."""
    return tuple(_started(text, _DEPTH - 1))


def is_ibc_script(name: str) -> bool:
    """Whether a base name is that of one of IBC's own scripts, or IBController's."""
    return _IBC_SCRIPT.match(name) is not None


def runs_unknown(text: str) -> bool:
    """Whether a shell's text runs what its words do not name: a variable, or a program of a folder of its own."""
    for words in simple_commands(text):
        at = run_of(words).program
        if at is not None and (words[at] in _TAKES_TEXT or "$" in words[at] or _OWN_PROGRAM.match(words[at])):
            return True
    return False


def _started(text: str, depth: int) -> Iterator[Launcher]:
    loops = False
    for _signs, command in commands(text):
        while command and leads(command[0]):
            loops = loops or command[0] in LOOPS
            command = command[1:]
        found = _starting(command, depth)
        if found is not None:
            yield found._replace(name="shell loop", again=True) if loops else found._replace(again=repeats(text))


def _by_script(script: str, arguments: Sequence[str], runs_in_shell: bool) -> Optional[Launcher]:
    """By the script's name: IBC's own, the installation's, or a home-made one that says what it is for."""
    name = basename(script)
    if name.lower() in _SUPERVISORS:
        return Launcher(SUPERVISOR, name.lower())
    if runs_in_shell and _IBC_SCRIPT.match(name):
        return _ibc_script(name, arguments)
    if runs_in_shell and _INSTALLED.match(name) and "/" in script:
        return Launcher(LAUNCHER, name, GATEWAY if name.startswith("ibgateway") else TWS, again=False)
    if _ABOUT_GATEWAY.search(name) and (_ABOUT_RUNNING.search(name) or (runs_in_shell and name.endswith(".sh"))):
        product = TWS if re.search(r"(?i)tws", name) else GATEWAY
        mode = next((mode for mode in map(mode_word, arguments) if mode), None)
        shown = redact_argv([name])[0]
        if runs_in_shell:
            return Launcher(LAUNCHER, shown, product, mode, again=None)
        return Launcher(SUPERVISOR, shown, product, mode)
    return None


def _ibc_script(name: str, arguments: Sequence[str]) -> Launcher:
    values = {}
    for word in arguments:
        option, equals, value = word.partition("=")
        if equals and value and not is_placeholder(value):
            values[option.lstrip("-/").lower()] = value
    flags = {word.lower() for word in arguments}
    if re.match("(?i)ibcstart|startibc", name):
        product: Optional[str] = GATEWAY if flags & {"-g", "--gateway", "/gateway", "/g"} else TWS
    elif re.search("(?i)gateway", name):
        product = GATEWAY
    else:
        product = TWS if re.search("(?i)tws", name) else None
    return Launcher(
        kind=LAUNCHER,
        name=name,
        product=product,
        trading_mode=mode_word(values.get("mode", "")),
        config_dir=values.get("tws-settings-path") or values.get("tws-path"),
        ini=values.get("ibc-ini"),
        again=True if name.lower() == IBC_LOOP else None,
    )


def repeats(text: str, shell: bool = True) -> bool:
    """Whether the text of a script has what could start a gateway a second time: a loop, or a start of itself.

    What a loop is about is not told from it, so that a gateway is rather waited for than started twice.
    """
    code = _COMMENT.sub("", text)
    return bool(_REPEATS_IN_SHELL.search(code) if shell else _REPEATS.search(code))
