"""What brings a gateway, or brings it back: start scripts, loops, supervisors, restarters that run on this host.

Read only where a gateway is missing. Between two lives of a gateway, as in its nightly restart, nothing but its keeper
shows that it is about to come back.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Dict, FrozenSet, Iterable, Mapping, Optional, Sequence, Tuple

from ..base.classify import gateway_kind
from ..base.command_line import is_shell, run_of
from ..base.host import STOPPED_STATES, Keeper
from ..base.launchers import IBC_LOOP, MULTIPLEXERS, SUPERVISOR, TERMINALS, Launcher, launcher_of, repeats
from ..base.redaction import redact_argv
from ..base.words import program_name
from . import processes
from .named_files import keeper_by_files, named_by_script
from .parents import SOURCES, above, script_run_by, text_of, unnamed

if TYPE_CHECKING:
    from .start_commands import StartCommands

#: Start what is due, whenever that is; that they are alive says nothing about a gateway. Nor do windows: what runs in
#: one is a process of its own.
_NO_KEEPERS = (
    *("cron", "crond", "anacron", "atd", "fcron", "launchd", "systemd --user", "autossh", "start-stop-daemon"),
    *TERMINALS,
    *MULTIPLEXERS,
)
#: This project's alerts. A script that posts them, or asks whether they fire, runs no gateway.
_ALERT = r"(?-i:IbGateway(?:Unhealthy|Degraded|NeedsSecondFactor|LoginStopped|Repair|Flaps|Handshake|Report))"
#: What the text of a script that runs a gateway mentions.
_ABOUT_GATEWAY = re.compile(
    r"(?i)(?!%s)ibgateway|ibcstart|gatewaystart|twsstart|IbcGateway|IbcTws|GWClient|\bibc\b" % _ALERT
)
#: What the text of a script in another language has as well if it runs a program, so that a bot is no keeper.
_RUNS_PROGRAMS = re.compile(
    r"\b(?:subprocess|Popen|os\.(?:system|spawn\w*|posix_spawn\w*)|exec[lv]p?e?|child_process|pexpect|system)\b"
    r"|(?<![.\w])exec\b"
)
#: And what it runs: the program itself, not only a gateway that is talked to.
_GATEWAY_PROGRAM = re.compile(r"(?i)ibcstart|gatewaystart|twsstart|IbcGateway|IbcTws|GWClient|ibgateway1?[\"']")
#: A script that has its library start IBC, and what has that started again and again.
_BY_LIBRARY = re.compile(r"(?s)\bib_(?:insync|async)\b.*\bIB(?:C|Controller)\s*\(")
_WATCHDOG = re.compile(r"\bWatchdog\s*\(")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
#: In the command line of every Ansible module: another run's start of a gateway is no keeper of one.
_MODULE = b"AnsiballZ_"
#: Scripts whose text is read in one look; a desk has a handful.
_MOST_TEXTS = 200


#: By entry, [pid, started_ticks] of the processes above its gateway when a repair ended that.
Parents = Mapping[str, Iterable[Tuple[int, int]]]


def keepers(
    gateways: Iterable[int], ended: Optional[Parents] = None, commands: Optional[StartCommands] = None
) -> Tuple[Keeper, ...]:
    """Every process that may bring a gateway. gateways: pids of those that run; ended: what carried others before;
    commands: what starts those of the entries."""
    gateways = tuple(gateways)
    own_run = processes.ancestors(os.getpid())
    carried: Dict[int, set] = {}  # type: ignore[type-arg]  # pids
    for gateway in gateways:
        for pid in processes.ancestors(gateway) - {1}:
            carried.setdefault(pid, set()).add(gateway)
    last_of = _last_of(ended or {})
    started = {pid for gateway in gateways for pid, _ticks in above(gateway)}
    users, uptime, texts = processes.Users(), processes.uptime(), 0
    found = []
    for pid, raw in processes.scan(processes.pids()):
        argv = processes.parse_cmdline(raw)
        if pid == 1 or pid in own_run or _MODULE in raw:
            continue
        launcher = launcher_of(argv, None)
        if (launcher is None or launcher.again is None) and texts < _MOST_TEXTS:
            script = script_run_by(argv)
            texts += script is not None
            launcher = _by_text(pid, launcher, script, argv)
        names = last_of.get(pid, {})
        starts = _starts(pid, argv, commands) if commands else frozenset()
        named = launcher is not None
        if launcher is None and (pid in started or names or starts):
            launcher = unnamed(pid, argv)
        if launcher is None and script_run_by(argv) is None and gateway_kind(argv) is None:
            launcher, named = keeper_by_files(pid, argv), True
        if launcher is None or not launcher.keeps or launcher.name in _NO_KEEPERS:
            continue
        stat, uid = processes.read_stat(pid), processes.read_real_uid(pid)
        if stat is None or uid is None or stat.state in "ZX":
            continue
        found.append(
            Keeper(
                pid=pid,
                user=users.name(uid),
                name=launcher.name,
                age=max(0.0, uptime - stat.started_ticks / _TICKS),
                trading_mode=launcher.trading_mode,
                unit=processes.read_unit(pid),
                gateways=frozenset(carried.get(pid, ())),
                supervises=launcher.kind == SUPERVISOR,
                product=launcher.product,
                again=launcher.again is not False,
                last_of=frozenset(name for name, ticks in names.items() if ticks == stat.started_ticks),
                unnamed=not named,
                stopped=stat.state in STOPPED_STATES,
                apart=_apart(pid),
                starts=starts,
            )
        )
    return tuple(sorted(found, key=lambda each: each.pid))


def _apart(pid: int) -> bool:
    """Whether a process has both pids and ports of its own, as what runs in a container does that is not on the host's
    network. One whose namespaces may not be read is not known to be."""
    spaces = [(each("self"), each(str(pid))) for each in (processes.pid_namespace, processes.network_namespace)]
    return all(own is not None and its is not None and own != its for own, its in spaces)


def _starts(pid: int, argv: Sequence[str], commands: StartCommands) -> FrozenSet[str]:
    from .start_commands import started_by  # many hosts start their gateways by units alone

    return started_by(pid, argv, commands)


def _last_of(ended: Parents) -> Dict[int, Dict[str, int]]:
    """By pid, the entries whose gateway it carried, each with the start of the process that did."""
    found: Dict[int, Dict[str, int]] = {}
    for name, parents in ended.items():
        for pid, started_ticks in parents:
            found.setdefault(pid, {})[name] = started_ticks
    return found


def is_looped(gateway: int, found: Sequence[Keeper]) -> bool:
    """Whether IBC's own start script is the keeper that carries a gateway."""
    return any(each.name.lower() == IBC_LOOP and gateway in each.gateways for each in found)


def _runs_its_arguments(argv: Sequence[str]) -> bool:
    """Whether the arguments of a script are the command of a gateway, as in `forever.sh java ... GWClient`."""
    script = run_of(argv).script
    words = argv[script + 1 :] if script is not None else ()
    return bool(words) and gateway_kind(words) is not None


def _by_text(pid: int, known: Optional[Launcher], script: Optional[str], argv: Sequence[str]) -> Optional[Launcher]:
    """What the text of a home-made script adds: one of any name is a launcher if it runs a gateway.

    known: what its command line tells. Where the text cannot be read, it may well start the next gateway.
    """
    text = text_of(pid, script) if script else None
    if text is None or script is None:
        return known
    shell = is_shell(program_name(argv[run_of(argv).program or 0 :]))
    names_gateway = _runs_its_arguments(argv) or (_ABOUT_GATEWAY.search(text) if shell else runs_gateway(text))
    if known is None and not names_gateway:
        return _by_named_files(pid, script, text, argv) if shell or _RUNS_PROGRAMS.search(text) else None
    # What takes its commands from another file may take a loop from there as well.
    again = repeats(text, shell) or (not names_gateway and SOURCES.search(text) is not None)
    again = again or (not shell and _WATCHDOG.search(text) is not None)
    if known is not None:
        return known._replace(again=again)
    return Launcher("launcher", redact_argv([os.path.basename(script)])[0], again=again)


def _by_named_files(pid: int, script: str, text: str, argv: Sequence[str]) -> Optional[Launcher]:
    """A script that runs programs again and again, and is given a file, or names one, that names a gateway's."""
    at, again = run_of(argv).script, repeats(text, is_shell(program_name(argv[run_of(argv).program or 0 :])))
    if at is None or not again or not named_by_script(pid, script, text, argv[at + 1 :]):
        return None
    return Launcher(SUPERVISOR, redact_argv([os.path.basename(script)])[0])


def runs_gateway(text: str) -> bool:
    """Whether a script that no shell runs starts a gateway, itself or by its library."""
    return bool((_RUNS_PROGRAMS.search(text) and _GATEWAY_PROGRAM.search(text)) or _BY_LIBRARY.search(text))
