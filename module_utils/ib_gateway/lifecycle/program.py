"""What a command would run: whether its program is there and may be run, and whether it has a display to start on.

A gateway is a Swing program: without a display it ends at once with HeadlessException. Who brings a display is read
from the words of the command and from the text of its script; what neither tells stays unknown.
"""

from __future__ import annotations

import os
import re
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..base.redaction import redact_argv
from .accounts import PATH, Account, cannot_read, cannot_run

#: Whether a command has a display of its own, needs to be given one, or does not tell.
BRINGS, NEEDS, UNKNOWN = "brings", "needs", "unknown"

#: A longer file is a binary, or nothing that a person wrote to start a gateway.
_SCRIPT_LIMIT = 65536
_SHELL = re.compile(r"(?:ba|da|k|z)?sh")
_INTERPRETER = re.compile(r"(?:python|pypy)[0-9.]*|perl|ruby")
#: Programs whose first word that is no option or assignment is the program they run.
_PREFIXES = ("env", "nohup", "setsid")
_BRINGS = re.compile(
    r"(?<![$\w{])DISPLAY=[^\s;&|]|\$\{DISPLAY:?[-=]|\b(?:xvfb(?:-run)?|\w*vnc\w*|xorg|xephyr|xpra|xinit|startx|weston|cage)\b",
    re.IGNORECASE,
)
#: Who knows what else happens in a script that reads another file, or has somebody else start the gateway.
_ELSEWHERE = re.compile(
    r"^[ \t]*(?:\.|source)\s"
    r"|\b(?:docker|podman|nerdctl|systemctl|machinectl|supervisorctl|ssh|tmux|screen|sudo|su|runuser|pm2)\b",
    re.MULTILINE,
)
#: What runs a command as another account, or has somebody else run it.
_CHANGES = re.compile(
    r"\b(?:systemd-run|start-stop-daemon|setpriv|gosu|su-exec|chpst|setuidgid|s6-setuidgid|daemonize)\b"
    r"|(?:^|[\s/])(?:service|invoke-rc\.d|rc-service|initctl|s6-rc|sv)[ \t]+[\w@.-]+[ \t]+[\w@.-]+"
)
_NEEDS = re.compile(r"\$\{?DISPLAY\b|\bxterm\b|\bibcstart\.sh|\bdisplaybannerandlaunch\.sh")
_JAVA = re.compile(r"(?<![\w./$}-])(?:/[\w./-]+/)?java(?![\w./-])")
#: What a Java that is one has beside its bin folder; a link or a wrapper of that name may be anything.
_LIBRARIES = ("lib/libjli.so", "lib/jli/libjli.so", "lib/amd64/jli/libjli.so", "lib/aarch64/jli/libjli.so")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


class Program(NamedTuple):
    """The program of a command. name: as it may be shown; obstacle: why it cannot be run; display: as above."""

    name: str
    obstacle: Optional[str] = None
    display: str = UNKNOWN


def examine(argv: Sequence[str], folder: str, account: Account, environment: Mapping[str, str]) -> Program:
    """Looks at the program of a command as the account would run it.

    folder: where it is run; environment: what it is given. A script that its interpreter is told to run counts too.
    """
    path = _find(argv[0], folder, environment)
    name = _name(argv[0], path)
    if name is None:
        return Program("(not shown)", "is more than one word and no file; each word needs an item of its own")
    if path is None:
        return Program(name, "is in none of the folders %s" % environment.get("PATH", ""))
    obstacle = cannot_run(path, account) or _interpreter_obstacle(path)
    if obstacle:
        return Program(name, obstacle)
    base = os.path.basename(argv[0])
    if base in _PREFIXES:
        inner, given = _behind(argv)
        if any(word.startswith("DISPLAY=") for word in given):
            return Program(name, None, BRINGS)
        return examine(inner, folder, account, environment) if inner else Program(name)
    if _SHELL.fullmatch(base) or _INTERPRETER.fullmatch(base):
        return _script(argv, base, name, folder, account)
    return Program(name, None, _display(argv, path))


def hands_on(argv: Sequence[str], folder: str) -> bool:
    """Whether a command, or the script that it runs, has another account or somebody else start the gateway."""
    words = [each for each in argv if not each.startswith("-")]
    texts = [" ".join(argv), *filter(None, (_text(os.path.join(folder, each)) for each in words[:3] if "/" in each))]
    return any(_ELSEWHERE.search(text) or _CHANGES.search(text) for text in map(_without_comments, texts))


def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text)


def _name(word: str, path: Optional[str]) -> Optional[str]:
    """A program's path or name as it may be shown; None for what is neither a file nor one word."""
    if not word or (re.search(r"[\s=]", word) and not (path and os.path.lexists(path))):
        return None
    return redact_argv([word])[0]


def _find(word: str, folder: str, environment: Mapping[str, str]) -> Optional[str]:
    if "/" in word:
        return os.path.join(folder, word)
    places = [os.path.join(each, word) for each in environment.get("PATH", "").split(":") if each]
    return next((each for each in places if os.path.isfile(each)), None)


def _behind(argv: Sequence[str]) -> Tuple[List[str], List[str]]:
    """(the command that a prefix such as env runs, the assignments before it); nothing where it has options."""
    index = 1
    while index < len(argv) and "=" in argv[index] and not argv[index].startswith("-"):
        index += 1
    command = list(argv[index:])
    return ([] if command and command[0].startswith("-") else command), list(argv[1:index])


def _script(argv: Sequence[str], base: str, name: str, folder: str, account: Account) -> Program:
    """A shell's or an interpreter's script: a file that has to be there, or the text behind -c."""
    words = list(argv[1:])
    if words[:1] and re.fullmatch(r"-[a-z]*c", words[0]) and len(words) > 1:
        return Program(name, None, _display_of_script(words[1]) if _SHELL.fullmatch(base) else UNKNOWN)
    if not words or words[0].startswith("-"):
        return Program(name)
    path = os.path.join(folder, words[0])
    shown = _name(words[0], path)
    obstacle = cannot_read(path, account)
    if obstacle:
        return Program(shown or "(not shown)", obstacle)
    text = _text(path) if _SHELL.fullmatch(base) else None
    return Program(shown or name, None, _display_of_script(text))


def _display(argv: Sequence[str], path: str) -> str:
    """By the words of the command, then by the program itself."""
    if _BRINGS.search(os.path.basename(argv[0])):
        return BRINGS
    real = os.path.realpath(path)
    return NEEDS if _is_java(real) else _display_of_script(_text(real))


def _is_java(real: str) -> bool:
    home = os.path.dirname(os.path.dirname(real))
    return os.path.basename(real) == "java" and any(os.path.exists(os.path.join(home, each)) for each in _LIBRARIES)


def _display_of_script(text: Optional[str]) -> str:
    """By the text of a script, and by whether a java that it starts is one."""
    found = display_in(text) if text is not None else UNKNOWN
    if text is None or found != UNKNOWN or _ELSEWHERE.search(text):
        return found
    paths = [_find(word, "/", {"PATH": PATH}) for word in _JAVA.findall(_COMMENT.sub("", text))]
    return NEEDS if any(path and _is_java(os.path.realpath(path)) for path in paths) else UNKNOWN


def display_in(text: str) -> str:
    """What the text of a shell script tells of the display its programs have. Pure."""
    text = _COMMENT.sub("", text)
    if _BRINGS.search(text):
        return BRINGS
    if _ELSEWHERE.search(text):
        return UNKNOWN
    return NEEDS if _NEEDS.search(text) else UNKNOWN


def _text(path: str) -> Optional[str]:
    """A small text file that a shell runs; None for anything else."""
    head = _head(path, _SCRIPT_LIMIT + 1)
    if not head or len(head) > _SCRIPT_LIMIT or b"\0" in head:
        return None
    first = head.partition(b"\n")[0]
    if first.startswith(b"#!") and not re.search(rb"sh\b", first):
        return None
    return head.decode("utf-8", "replace")


def _interpreter_obstacle(path: str) -> Optional[str]:
    """Why the kernel would not run a script: without a first line that names an interpreter, or with a wrong one."""
    first = _head(path, 256).partition(b"\n")[0]
    if not first.startswith(b"#!"):
        return None
    word = (first[2:].strip(b" \t").split(None, 1) or [b""])[0].decode("utf-8", "replace")
    if first.endswith(b"\r"):
        return "has Windows line ends, so that its interpreter %s is not found" % word.rstrip("\r")
    if word and not os.path.exists(word):
        return "names the interpreter %s, which does not exist" % word
    return None


def _head(path: str, most: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, most)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
