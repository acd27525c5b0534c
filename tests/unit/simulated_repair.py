"""One run of remediate.yml against a simulated host: the roles' order in Python, the modules' own work for each task.

A run is a generator that stops after each task, so that a test can let other things happen between any two of them.
"""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, Iterator, List, Mapping, NoReturn, Optional, Sequence

from ansible.module_utils.ib_fleet.run import escalation
from ansible.module_utils.ib_gateway.base.actions import BY_NAME
from ansible.module_utils.ib_gateway.module.runner import GatewayModule
from ansible.module_utils.ib_gateway.state import repair_state, repair_status
from ansible.module_utils.ib_gateway.state.authorization import AUTHORIZATION_OPTION, Authorization
from unit.simulated_host import SimHost
from unit.simulated_parts import PORTS, Killed

filters = importlib.import_module("ib_gateway").FilterModule().filters()
HEALTH = importlib.import_module("ib_gateway_health")
Row = Dict[str, Any]


class GaveUp(Exception):
    """A module failed; the message is what it said."""


class Module(GatewayModule):
    """A module without Ansible around it: options in, warnings kept, failures raised."""

    def __init__(self, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.params = filled(arguments, options)
        self.check_mode = self._diff = False
        self.warnings: List[str] = []
        entries = options.get("gateways") or ()
        self.start_commands = {each["name"]: tuple(each.get("start_command") or ()) for each in entries}
        self.start_environments = {}

    def warn(self, warning: str) -> None:
        """Keeps it."""
        self.warnings.append(warning)

    def fail_json(self, msg: str, **_more: Any) -> NoReturn:
        """Ends the module's work."""
        raise GaveUp(msg)


def filled(arguments: Mapping[str, Any], options: Optional[Mapping[str, Any]]) -> Any:
    """Options as Ansible hands them to a module: what is missing is there, what is not known is refused."""
    if options is None:
        return None
    assert set(options) <= set(arguments), sorted(set(options) - set(arguments))
    found: Row = {}
    for name, spec in arguments.items():
        value = options.get(name, spec.get("default"))
        assert value is not None or not spec.get("required"), name
        if "options" in spec and value is not None:
            inner = spec["options"]
            value = [filled(inner, each) for each in value] if spec["type"] == "list" else filled(inner, value)
        found[name] = value
    return found


class Run:
    """One run. entries: the inventory's. forbids: what forbids everything on the controller, read before each task.

    frozen: why the storm brake holds everybody. alive: whether its tool has not been killed. phase: the task it is at.
    """

    def __init__(
        self,
        host: SimHost,
        entries: Sequence[Row],
        state_dir: str,
        name: str,
        forbids: Callable[[], str] = str,
        frozen: str = "",
    ) -> None:
        self.host, self.entries, self.state_dir, self.name = host, list(entries), state_dir, name
        self.forbids, self.frozen = forbids, frozen
        self.alive, self.phase, self.step = True, "", ""
        self.health: Row = {}
        self.proof: Row = {}
        self.begun: Row = {}
        self.ended: Row = {}
        self.steps: List[Row] = []
        self.results: List[Row] = []
        #: Called after each look of this run, when its plan is made.
        self.looked: Callable[[Run], None] = lambda _run: None
        self._tasks = self._remediate()

    def go_on(self) -> bool:
        """The next task; whether there was one. A run that is killed in it ends for good."""
        before = self.host.handles()
        try:
            next(self._tasks)
        except StopIteration:
            return False
        except Killed:
            self.alive = False
            self.host.revive(before)
            return False
        return True

    def finish(self) -> Run:
        """All tasks that are left."""
        while self.go_on():
            pass
        return self

    # --- the tasks ---

    def _remediate(self) -> Iterator[None]:
        looked = self.host.clock
        self._look()
        yield
        repaired = bool(escalation.steps(self.health))
        if repaired:
            if self.host.clock - looked > 30:
                self._look()
                yield
            try:
                yield from self._repair()
            except GaveUp:
                yield  # the role's rescue: the proof judges what this leaves
        self.phase = "prove"
        acted = repaired and bool(self.begun.get("begun"))
        self.proof = self._look(**({"looks": 3, "soak": 10.0} if acted else {}))
        yield
        if repaired or repair_status.read_status(self.state_dir)["latched"]:
            self.phase = "end"
            if not repaired:
                repair_state.begin(self.authorization(), [], 300.0, False)
                yield
            self.ended = repair_state.end(self.authorization(), filters["ib_results"](self.proof), False)
        self.phase = "over"

    def _repair(self) -> Iterator[None]:
        self.phase = "begin"
        names = filters["ib_step_names"](escalation.steps(self.health))
        seconds = filters["ib_lease_seconds"](self.entries, 30.0)
        self.begun = repair_state.begin(self.authorization(), names, seconds, False)
        yield
        now = filters["ib_next_step"](self.health, None, self.begun["refused"])
        while self.begun["begun"] and now["action"]:
            self.phase, self.steps = now["action"], now["steps"]
            if now["action"] == "wait":
                self._wait(max(each["target"].get("timeout", 30) for each in self.steps))
                yield
                result = {"health": self._look(known_served=escalation.known_served(self.health))}
            else:
                result = self._act(importlib.import_module(BY_NAME[now["action"]].module))
            yield
            now = filters["ib_next_step"](result, now)

    def _wait(self, seconds: float) -> None:
        """ib_gateway_wait: looks whether somebody listens, and touches nothing."""
        self.host.touch()
        self.host.pass_time(seconds)

    def authorization_option(self) -> Row:
        """What every acting module is handed."""
        return {
            "run": self.name,
            "by": "alice@control pid %s" % self.name,
            "state_dir": self.state_dir,
            "blocked_reason": "; ".join(filter(None, (self.frozen, self.forbids()))),
            "plans": filters["ib_plan_marks"](self.health),
            "limits": {},
        }

    def authorization(self) -> Authorization:
        """The same, as a module has it."""
        found = Authorization.from_params(filled(AUTHORIZATION_OPTION["options"], self.authorization_option()))
        assert found is not None
        return found

    def _act(self, module: Any) -> Row:
        """What step.yml does for an action that touches something."""
        given = {
            "gateways": self.entries,
            "authorization": self.authorization_option(),
            "then_look": {"known_served": escalation.known_served(self.health)},
            "steps": self.steps,
        }
        result = self._work(module, given)
        self.results.append({"action": self.phase, **result})
        if result["health"]:
            self.health = result["health"]
            self.looked(self)
        return result

    def _look(self, **options: Any) -> Row:
        self.health = self._work(HEALTH, {"gateways": self.entries, **options})
        self.looked(self)
        return self.health

    def _work(self, module: Any, options: Row) -> Row:
        """What run() and main() of a module come to, without their printing."""
        try:
            found: Row = {"changed": False, **module.work(Module(module.ARGUMENTS, options))}
        except OSError as error:
            raise GaveUp(str(error)) from None
        return found


def entry(name: str = "live", **more: Any) -> Row:
    """An entry of an inventory."""
    return {
        "name": name,
        "trading_mode": "live" if name == "live" else "paper",
        "port": PORTS[name],
        "user": "trader",
        "config_dir": "/srv/" + name,
        "start_timeout": 5,
        "max_api_clients": 1,
        "start_command": ["/opt/ibc/start-" + name],
        **more,
    }
