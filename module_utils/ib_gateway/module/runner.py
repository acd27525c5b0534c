"""What every module of this project shares: one run() with a deadline, reading options, keeping secrets out of logs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, NoReturn, Optional, Tuple, Type, TypeVar

from ansible.module_utils.basic import AnsibleModule

from ..base.inventory import is_variable, parse
from ..base.keys import ENTRY_OPTIONS
from ..base.redaction import HIDDEN
from ..base.spec import GatewaySpec

#: The `gateways` option of every module that takes entries.
GATEWAYS_OPTION: Dict[str, Any] = {"type": "list", "elements": "dict", "required": True, "options": ENTRY_OPTIONS}


class Module(AnsibleModule):  # type: ignore[misc]
    """A module that says clearly which of its options cannot be right."""

    def ports(self, option: str) -> List[int]:
        """A list of ports, empty when the option is left out; ends the module when one is out of range."""
        ports: List[int] = self.params[option] or []
        for port in ports:
            if not 1 <= port <= 65535:
                self.give_up("the option %s holds %d; ports go from 1 to 65535" % (option, port))
        return ports

    def patterns(self, option: str) -> List[str]:
        """A list of regular expressions; ends the module when one is not."""
        patterns: List[str] = self.params[option]
        for pattern in patterns:
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                self.give_up(
                    "the option %s holds %r, which is no regular expression: %s" % (option, pattern[:100], error)
                )
        return patterns

    def seconds(self, option: str, most: float, within: Optional[Mapping[str, Any]] = None) -> float:
        """A number of seconds above 0; ends the module when it is not one or too large.

        within: the options it is one of, where these are not the module's own.
        """
        value = float((self.params if within is None else within)[option])
        if not 0 < value <= most:
            self.give_up("the option %s is %g; give a number of seconds above 0, at most %g" % (option, value, most))
        return value

    def number(self, option: str, least: float, most: float) -> Any:
        """A number within bounds, as the option's type has it; ends the module when it is out of them."""
        value = self.params[option]
        if not least <= value <= most:
            self.give_up("the option %s is %g; give a number from %g to %g" % (option, value, least, most))
        return value

    def give_up(self, text: str, **more: Any) -> NoReturn:
        """Ends the module with a message that says what failed and what to do."""
        self.fail_json(msg=text, **more)
        raise AssertionError("fail_json does not return")


class GatewayModule(Module):
    """An AnsibleModule that takes the secrets of entries out of its parameters before anything can log or return them.

    A start_command may carry a password at any position, and a start_environment in any text, so both are kept aside:
    what is validated, written to the host's log and returned as `invocation` has the same number of hidden words, and
    the same names with hidden texts.
    """

    start_commands: Dict[str, Tuple[str, ...]]
    start_environments: Dict[str, Tuple[Tuple[str, str], ...]]

    def _load_params(self) -> None:
        super()._load_params()
        self.start_commands, self.start_environments = {}, {}
        entries = self.params.get("gateways")
        if isinstance(entries, list):
            self.params["gateways"] = [self._withhold(entry) for entry in entries]
        elif entries is not None:
            self.params["gateways"] = HIDDEN  # of the wrong form, so where its secrets stand is not known

    def _withhold(self, entry: Any) -> Any:
        """An entry without what may be secret of it, and without the values of keys that mean nothing here."""
        if not isinstance(entry, dict):
            return HIDDEN
        found = {key: value if key in ENTRY_OPTIONS else HIDDEN for key, value in entry.items()}
        command = entry.get("start_command")
        if command:
            words = command if isinstance(command, list) else [command]
            self.start_commands[str(entry.get("name"))] = tuple(str(word) for word in words)
            found["start_command"] = [HIDDEN] * len(words)
        environment = entry.get("start_environment")
        if isinstance(environment, dict):
            pairs = sorted((str(name), str(text)) for name, text in environment.items())
            self.start_environments[str(entry.get("name"))] = tuple(pairs)
            # What is no name may be a secret that stands at the wrong place.
            found["start_environment"] = {name if is_variable(name) else HIDDEN: HIDDEN for name, _text in pairs}
        elif environment is not None:
            found["start_environment"] = HIDDEN
        return found

    def specs(self) -> List[GatewaySpec]:
        """The entries of the `gateways` option; ends the module when they are not usable."""
        specs, problems = parse(self.params["gateways"])
        if problems:
            self.fail_json(msg="the option gateways cannot be used: " + "; ".join(problems), problems=problems)
        return specs

    def with_command(self, spec: GatewaySpec) -> GatewaySpec:
        """An entry with the words of its start_command and its environment: to be run, never to be shown."""
        return spec._replace(
            start_command=self.start_commands.get(spec.name, ()),
            start_environment=self.start_environments.get(spec.name, ()),
        )


AnyModule = TypeVar("AnyModule", bound=Module)
#: Seconds a call may take beside what it waits for on purpose: far above any look, far below a person's patience.
_PATIENCE = 60.0
#: Seconds after the deadline in which a call may still end by itself. The kernel may hold it in a read of a dead NFS
#: server, where no signal handler runs; then the whole process is ended.
_LAST_RESORT = 5.0
#: No option of any module asks for more; what is larger is refused by the module itself.
_LONGEST_WAIT = 86400.0


class _TimeIsUp(BaseException):
    """The call's deadline has passed. Not an Exception, so that nothing on the way takes it for an error of its own."""


def run(
    module: AnyModule,
    work: Callable[[AnyModule], Dict[str, Any]],
    waits: Callable[[Dict[str, Any]], float] = lambda _params: 0.0,
    reads: str = "this host's process or socket tables",
    expected: Tuple[Type[Exception], ...] = (),
) -> None:
    """Runs a module's work and returns its result; what cannot be read is a clear failure.

    waits: the seconds that the call, by its parameters, may wait on purpose. A minute beyond that it is given up, so
    that a host on which something hangs ends in a message instead of holding up the run. reads: what an OSError of the
    work is about, in words. expected: errors whose own text is the message.
    """
    limit = min(max(waits(module.params), 0.0), _LONGEST_WAIT) + _PATIENCE
    hung = (
        "not done within %g s: something hangs on this host, such as a disk, a mount or a process; look at it" % limit
    )
    try:
        with _last_resort(module, hung, limit + _LAST_RESORT), _deadline(limit):
            result = work(module)
    except _TimeIsUp:
        module.give_up(hung)
    except expected as error:
        module.give_up(str(error))
    except OSError as error:
        module.give_up("%s cannot be read: %s" % (reads, error))
    except ImportError as error:
        module.give_up("looking at this system needs a Python package that is missing: %s" % error)
    module.exit_json(**{"changed": False, **result})


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raises _TimeIsUp in what it surrounds when the time is up, and leaves the process's alarm as it was."""

    def give_up(_number: int, _frame: Any) -> None:
        raise _TimeIsUp

    handler = signal.signal(signal.SIGALRM, give_up)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


@contextlib.contextmanager
def _last_resort(module: Module, text: str, seconds: float) -> Iterator[None]:
    """Ends the process with a message from a second thread when what it surrounds is still there after so long."""
    over, ending = threading.Event(), threading.Lock()

    def end() -> None:
        if over.wait(seconds) or not ending.acquire(blocking=False):
            return
        try:
            module.fail_json(msg=text)
        finally:
            sys.stdout.flush()
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if not ending.acquire(blocking=False):
            time.sleep(seconds)  # the other thread is telling the message, and ends the process
