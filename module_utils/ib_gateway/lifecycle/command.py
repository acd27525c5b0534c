"""A gateway that its entry's start_command starts: as its account, with its environment, detached from this run."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..base.host import Process
from ..base.spec import GatewaySpec
from ..observe.processes import Users
from . import detach, environment, output, program
from .accounts import Account, account_of, cannot_enter, may_become
from .base import Asked, CannotStart, IsUp, Lifecycle, Patience, Runs, StartCheck, Started
from .contradictions import contradiction

#: A command that fails at once is worth saying so; one that still runs after this many seconds has been started.
_SETTLE = 1.0
_POLL_INTERVAL = 0.1


class CommandFacts(NamedTuple):
    """What speaks for and against a start_command. user: the account it is to run as; run_as: that of this run.

    program: None where it was not looked at. folder_obstacle: why it cannot be run where it is to be. display_given:
    whether it gets a DISPLAY. ran_without: whether the gateway that runs now has none, so that none is needed.
    ends_with_login: whether systemd would end it when this run logs out. contradiction: what its command line says
    otherwise than the entry. of: whose the gateway is, where the entry does not say so and this run is root's; as
    _whose() has it. lost: what only the gateway that runs has and could not be kept for the next one, and why.
    no_scope: why it cannot have a scope of its own.
    """

    user: str
    run_as: str = "root"
    account_exists: bool = True
    may_become: bool = True
    program: Optional[program.Program] = None
    folder_obstacle: Optional[str] = None
    display_given: bool = False
    ran_without: bool = False
    ends_with_login: bool = False
    contradiction: Optional[str] = None
    of: str = ""
    lost: Optional[str] = None
    no_scope: Optional[str] = None


def blocker(facts: CommandFacts) -> Optional[str]:
    """Why the start_command must fail, with the cure; None where nothing speaks against it. Pure."""
    if not facts.account_exists:
        return "this host has no account %s to start it as: correct the entry's user" % facts.user
    if not facts.may_become:
        return "only root can start it as %s, and this run is as %s: run with become" % (facts.user, facts.run_as)
    if facts.of:
        return facts.of
    found = facts.program
    if found is not None and found.obstacle:
        return "start_command cannot be run: its program %s %s" % (found.name, found.obstacle)
    if facts.contradiction:
        return "start_command would start another gateway than the entry's: it says %s" % facts.contradiction
    if facts.folder_obstacle:
        return "its config_dir %s, and start_command runs there: mend the folder" % facts.folder_obstacle
    if found is not None and found.display == program.NEEDS and not (facts.display_given or facts.ran_without):
        return (
            "start_command would start a gateway without a display, and it would end at once with HeadlessException: "
            "give DISPLAY in the entry's start_environment, or start it through xvfb-run"
        )
    if facts.ends_with_login:
        return "it would end when %s logs out (KillUserProcesses=yes): loginctl enable-linger %s" % (
            facts.user,
            facts.user,
        )
    return facts.lost or facts.no_scope


class Command(Lifecycle):
    """A start_command."""

    @classmethod
    def start_checks(cls, asked: Sequence[Asked]) -> List[StartCheck]:
        answers: Dict[Optional[str], Optional[str]] = {}

        def no_scope(account: Account) -> Optional[str]:
            """Asked once for each account, and only where all else is well."""
            if account.name not in answers:
                answers[account.name] = detach.cannot_detach(account)
            return answers[account.name]

        return [_start_check(one, no_scope) for one in asked]

    def only_in(self, pid: int) -> Tuple[str, ...]:
        account = account_of(self.spec.user)
        if account is None:
            return ()
        given = environment.environment_for(self.spec, account, pid)
        found = program.examine(self.spec.start_command, folder_of(self.spec, account), account, given)
        return environment.only_there(self.spec, account, pid, found.display == program.BRINGS)

    def start(self, patience: Patience) -> Started:
        """Starts the command. Raises CannotStart also when it fails within a second, unless its gateway serves."""
        account = account_of(self.spec.user)
        if account is None:
            raise CannotStart("this host has no account %s" % self.spec.user)
        if not may_become(account):
            raise CannotStart("only root can start a process as %s: run with become" % account.name)
        of = _whose(self.spec, None, account)
        if of:
            raise CannotStart(of)
        given = environment.environment_for(self.spec, account, None)
        descriptor, log = output.open_log(self.spec.name, account)
        try:
            process = detach.start(
                self.spec.name, self.spec.start_command, account, folder_of(self.spec, account), given, descriptor
            )
        except OSError as error:
            raise CannotStart("start_command cannot be run: %s" % error.strerror) from None
        except subprocess.SubprocessError:
            raise CannotStart("start_command cannot be run as %s" % account.name) from None
        except detach.NoScope as error:
            raise CannotStart("start_command was not run: %s" % error) from None
        finally:
            os.close(descriptor)
        status = _settled(process, patience.is_up)
        if status:
            raise CannotStart(
                "start_command ended at once with status %d; what it said is in %s, and %s may read it"
                % (status, log, account.name)
            )
        return Started(process.pid, log)

    def describe(self) -> str:
        return "its start_command"

    def by_hand(self) -> str:
        """Any word after the program may be a secret, so these are counted and not told."""
        program_, *words = self.spec.start_command or ("",)
        if not os.path.isfile(program_):
            return "the start_command of entry %s" % self.spec.name
        more = " ... (and the other %d words of the entry's start_command)" % len(words) if words else ""
        account = account_of(self.spec.user)
        become = "runuser -u %s -- " % account.name if account and account.uid != os.geteuid() else ""
        given, where = self._given(account) if account else ("", "")
        return "%s%s%s%s%s" % (become, given, shlex.quote(program_), more, where)

    def _given(self, account: Account) -> Tuple[str, str]:
        """(the variables that a person has to give it, with their texts left out; where these are to be found)."""
        own = [name for name, _text in self.spec.start_environment]
        kept = [name for name in environment.only_kept(self.spec, account) if name not in own]
        told = ["%s from the entry's start_environment" % ", ".join(own)] if own else []
        told += ["%s from %s" % (", ".join(kept), environment.path_of(self.spec.name))] if kept else []
        words = " ".join("%s=..." % name for name in (*own, *kept))
        return ("env %s " % words, " (%s)" % "; ".join(told)) if words else ("", "")

    @property
    def log(self) -> str:
        account = account_of(self.spec.user)
        return output.path_of(self.spec.name, account) if account else ""


def folder_of(spec: GatewaySpec, account: Account) -> str:
    """Where a start_command is run: the entry's config_dir, else the account's home."""
    return next((path for path in (spec.config_dir, account.home) if path and os.path.isdir(path)), "/")


def _start_check(one: Asked, no_scope: Callable[[Account], Optional[str]]) -> StartCheck:
    account = account_of(one.spec.user)
    if account is None:
        return StartCheck(blocker(_facts(one)))
    facts = _facts(one)
    if blocker(facts) is None:
        facts = facts._replace(no_scope=no_scope(account))
    runs = Runs((tuple(one.spec.start_command or ()),), account.uid, folder_of(one.spec, account))
    return StartCheck(blocker(facts), runs=(runs,))


def _facts(one: Asked) -> CommandFacts:
    spec = one.spec
    account, this = account_of(spec.user), account_of(None)
    run_as = this.name if this else str(os.geteuid())
    if account is None:
        return CommandFacts(spec.user or run_as, run_as, account_exists=False)
    if not may_become(account):
        return CommandFacts(account.name, run_as, may_become=False)
    folder = folder_of(spec, account)
    obstacle = cannot_enter(folder, account) if folder == spec.config_dir else None
    if spec.config_dir and folder != spec.config_dir and one.process and one.process.folder_id is None:
        # The gateway that runs goes on without it; the next one would begin without its settings.
        folder, obstacle = spec.config_dir, cannot_enter(spec.config_dir, account)
    pid = one.process.pid if one.process else None
    given = environment.environment_for(spec, account, pid)
    found = program.examine(spec.start_command, folder, account, given)
    return CommandFacts(
        account.name,
        run_as,
        program=found,
        folder_obstacle="%s %s" % (folder, obstacle) if obstacle else None,
        display_given="DISPLAY" in given,
        ends_with_login=detach.ends_with_login(account),
        contradiction=contradiction(spec, spec.start_command or (), folder),
        of=_whose(spec, one.process, account),
        ran_without=_runs_without_display(environment.known(spec.name, account, pid)),
        lost=_lost(spec, account, pid, found) if pid is not None else None,
    )


def _whose(spec: GatewaySpec, running: Optional[Process], account: Account) -> str:
    """Why this run, which is root's, would start the gateway of an entry without user as another account than its own;
    empty where nothing tells, and where the command changes the account or has somebody else start it."""
    if spec.user is not None or os.geteuid() != 0 or (running is not None and running.user == "root"):
        return ""  # the next one is started as the one that runs
    try:
        owner = os.stat(spec.config_dir).st_uid if spec.config_dir else 0
    except OSError:
        owner = 0
    name = running.user if running is not None else Users().name(owner) if owner else ""
    if not name or program.hands_on(spec.start_command, folder_of(spec, account)):
        return ""
    what = "the one that runs is" if running is not None else "its config_dir is"
    known = account_of(name) is not None
    cure = "give the entry user: %s" % name if known else "give the entry user, the account whose gateway it is"
    return "this run is root's and would start it as root, and %s of account %s: %s" % (what, name, cure)


def _lost(spec: GatewaySpec, account: Account, pid: int, found: program.Program) -> Optional[str]:
    """What the next gateway would start without, and why; None where all that it needs can be kept."""
    names = environment.only_there(spec, account, pid, found.display == program.BRINGS)
    why = environment.cannot_keep() if names else None
    return environment.would_lose(names, why) if why else None


def _runs_without_display(known: Optional[Mapping[str, str]]) -> bool:
    return known is not None and "DISPLAY" not in known


def _settled(process: subprocess.Popen[bytes], is_up: IsUp) -> Optional[int]:
    """How the command ended within a second; None when it has not, or when its gateway serves before that."""
    until = time.monotonic() + _SETTLE
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_INTERVAL)
        with contextlib.suppress(OSError):  # what cannot be seen does not make a command that runs a failed one
            if is_up():
                return None
    return None
