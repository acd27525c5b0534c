"""Which parents of a gateway may bring the next one, though nothing names them as a keeper. Pure.

A compiled loop, an admin's own wrapper, a bot that runs IBC: none of them says in its command line what it is for. What
it was seen to carry is the evidence. It is then waited for, and nothing is started before it has had its time.
"""

from __future__ import annotations

from typing import Optional, Sequence

from .command_line import is_shell, run_of
from .launchers import MULTIPLEXERS, SUPERVISOR, TERMINALS, Launcher, repeats
from .redaction import redact_argv
from .words import basename, program_name

#: Are the parents of whatever somebody starts by hand, by a click, or in a container, and bring none of it back.
_EVERYBODY_S = frozenset(
    (
        *("init", "systemd", "launchd", "login", "sshd", "sshd-session", "dropbear", "mosh-server", "getty"),
        *("agetty", "cron", "crond", "anacron", "atd", "fcron", "at", "inetd", "xinetd", "start-stop-daemon"),
        *("conmon", "containerd", "containerd-shim", "containerd-shim-runc-v2", "dockerd", "runc", "crun", "podman"),
        *(
            "gnome-shell",
            "gnome-session",
            "gnome-session-binary",
            "gdm-x-session",
            "plasmashell",
            "kwin_x11",
            "krunner",
        ),
        *(
            "xfce4-session",
            "xfdesktop",
            "xfce4-panel",
            "xfwm4",
            "openbox",
            "fluxbox",
            "icewm",
            "i3",
            "lxsession",
            "xinit",
        ),
        *("lxsession", "lxpanel", "pcmanfm", "mate-session", "mate-panel", "cinnamon", "cinnamon-session", "gdb"),
        "xrdp-sesman",
        *TERMINALS,
        *MULTIPLEXERS,
    )
)


def unnamed_keeper(argv: Sequence[str], text: Optional[str] = None) -> Optional[Launcher]:
    """What a parent of a gateway may be to it, where launcher_of() tells nothing.

    text: of the script that it runs, where that could be read. None for a shell that somebody types into and for what
    is everybody's parent: nobody above it is a keeper either. A wrapper such as sudo or timeout ends with what it runs,
    so that it starts nothing again.
    """
    run = run_of(argv)
    if run.program is None:
        return None
    words = argv[run.program :]
    name, title = program_name(words), basename(words[0].partition(" ")[0]).rstrip(":")
    if run.wrappers:
        return Launcher(SUPERVISOR, program_name(argv), again=False)
    if name.lower() in _EVERYBODY_S or title.lower() in _EVERYBODY_S:
        return None
    shell = is_shell(name)
    if text is None and shell and run.script is None:
        text = _given(words)
        if text is None:
            return None
    script = run.module if run.module is not None else argv[run.script] if run.script is not None else name
    again = True if text is None else repeats(text, shell)
    return Launcher(SUPERVISOR, redact_argv([basename(script)])[0] or "its parent", again=again)


def _given(words: Sequence[str]) -> Optional[str]:
    """The commands that a shell was given in its command line; None for one that waits for somebody's."""
    marks = (place for place, word in enumerate(words) if word[:1] == "-" and word[:2] != "--" and "c" in word)
    mark = next(marks, None)
    return words[mark + 1] if mark is not None and mark + 1 < len(words) else None
