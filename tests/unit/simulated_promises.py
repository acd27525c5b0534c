"""The promises of docs/safety.md, checked against a simulated host's own truth at the moment of each act.

Nothing here asks the code under test what it thinks: journal, lease and pause file are read as bytes, evidence, limits
and health come from the host itself.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple
from unittest import mock

from ansible.module_utils.ib_gateway.state import admission
from unit.simulated_host import SimHost
from unit.simulated_parts import INIT, OWN, SimProcess, SimSession
from unit.simulated_repair import Row, Run
from unit.simulated_truth import NAMED, PROTECTED, Truth, concluded, latches, open_intents, paused, truth

MAX_AGE, HOUR = 60.0, 3600.0


class Meant(NamedTuple):
    """One intent: when it was on disk, and how the clocks stood."""

    clock: float
    boots: int
    set_clocks: int
    run: str
    gateway: str
    action: str


class Promises:
    """Watches every act on a host. broken: what was not kept, in words; it has to stay empty."""

    def __init__(self, host: SimHost, entries: List[Row], state_dir: str) -> None:
        self.host, self.state_dir = host, Path(state_dir)
        self.entries = {each["name"]: each for each in entries}
        self.broken: List[str] = []
        self.meant: List[Meant] = []
        self.latched: Set[str] = set()
        self.books, self.set_clocks = "ok", 0
        self.acts = 0
        self._run: Optional[Run] = None
        self._forbidden = ""
        self._plans: Dict[str, Tuple[float, int, Dict[str, Truth]]] = {}
        self._seen: Dict[str, Truth] = {}
        self._proof: Dict[str, List[Dict[str, Truth]]] = {}
        #: Since when each look of a run has seen a gateway of an entry, and nobody on its port.
        self._closed: Dict[Tuple[str, str], float] = {}
        self._dropped: Set[Tuple[str, int, int]] = set()
        self._order: List[str] = []
        self._over: List[Run] = []
        host.witness, host.seen = self._acted, self._looked

    # --- running ---

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The check's yes and its intents are heard of."""
        admit, intend = admission.AdmissionCheck.admit, admission.AdmissionCheck.intend

        def admitting(
            check: Any, action: str, gateway: str, digest: Optional[str], foretold: bool = False
        ) -> Optional[str]:
            reason = admit(check, action, gateway, digest, foretold)
            if reason is None:
                self._admitted(gateway)
            return reason

        def intending(check: Any, action: str, gateway: str, target: Any) -> int:
            token = intend(check, action, gateway, target)
            self._intended(gateway, action)
            return token

        with mock.patch.object(admission.AdmissionCheck, "admit", admitting), mock.patch.object(
            admission.AdmissionCheck, "intend", intending
        ):
            yield

    def go_on(self, run: Run) -> bool:
        """A run's next task, watched."""
        outer, self._run = self._run, run
        outer_forbidden, self._forbidden = self._forbidden, run.frozen or run.forbids()
        run.looked = self._planned
        errors, before = self.host.disk_errors, self._open(run)
        more = run.go_on()
        if run.alive and errors == self.host.disk_errors and self.books == "ok":
            left = self._open(run) - before
            self._hold("every act has an outcome", not left, run.phase, left, run.results[-1:])
        if (not run.alive or (run.phase == "over" and run.ended)) and run not in self._over:
            self._over.append(run)
            self._ended(run)
        if outer is None and self.books == "ok":  # a run that is in its end just now has not been heard yet
            lost = self.latched - latches(self.state_dir)
            self._hold("a latch stays on record", not lost, lost)
        self._run, self._forbidden = outer, outer_forbidden
        return more

    def _open(self, run: Run) -> Set[int]:
        """The numbers of a run's intents without an outcome; none where the journal cannot be read."""
        return {each["n"] for each in open_intents(self.state_dir, run.name)} if self.books == "ok" else set()

    def forget(self) -> None:
        """A person has set the books aside: what they held is not known any more, and that is allowed."""
        self.books = "ok"
        self.meant.clear()
        self.latched.clear()

    def _hold(self, promise: str, kept: bool, *evidence: Any) -> None:
        if not kept:
            self.broken.append("%s: %s" % (promise, evidence))

    # --- the truth ---

    def _looked(self) -> None:
        self._seen = {name: truth(self.host, self.entries[name]) for name in self.entries}
        if self._run is not None and self._run.phase == "prove":
            self._proof.setdefault(self._run.name, []).append(self._seen)
        for name, seen in self._seen.items():
            key = (self._run.name if self._run is not None else "", name)
            since = self._closed.pop(key, self.host.clock)
            if seen.gateways and not seen.owners:
                self._closed[key] = since

    def _planned(self, run: Run) -> None:
        self._plans[run.name] = (self.host.clock, self.host.boots, self._seen)

    # --- the check ---

    def _admitted(self, gateway: str) -> None:
        run = self._run
        assert run is not None
        at, boots, truths = self._plans[run.name]
        self._hold("a plan expires", self.host.clock - at <= MAX_AGE + 0.1, self.host.clock - at)
        self._hold("a plan is of this boot", boots == self.host.boots)
        self._hold("the evidence is the plan's", self._seen[gateway][:3] == truths[gateway][:3], truths, self._seen)
        self._hold("a stop button is honoured", not paused(self.state_dir, self.host.wall))
        self._hold("what is forbidden is not done", not self._forbidden, self._forbidden)
        self._hold("a latched gateway is left alone", gateway not in self.latched, gateway)
        self._hold("without its books a host is only observed", self.books == "ok", self.books)
        # A gateway too many may end beside it: what waits for the link is the one that serves the port.
        serving = truths[gateway].owners if truths[gateway].upstream else ()
        targets = [each["target"].get("process") or each["target"] for each in run.steps]
        stopped = [each["pid"] for each in targets if each.get("pid") in serving]
        self._hold("the broker's link comes back by itself", not stopped, gateway, stopped)
        self._hold("plan_only is plan only", self.entries[gateway].get("remediation") != "plan_only", gateway)
        holders = [one for each in run.steps for one in each["target"].get("client_processes", ())]
        self._dropped.update((run.name, each["pid"], each["started_ticks"]) for each in holders)

    def _intended(self, gateway: str, action: str) -> None:
        run = self._run
        assert run is not None
        now = Meant(self.host.clock, self.host.boots, self.set_clocks, run.name, gateway, action)
        recent = [
            each
            for each in self.meant
            if each.gateway == gateway
            and now.clock - each.clock < HOUR - 2
            and (each.boots == now.boots or each.set_clocks == now.set_clocks)
        ]
        if action == "restart":
            restarts = [each for each in recent if each.action == action]
            self._hold("two restarts within the hour", len(restarts) < 2, restarts)
            self._hold("one restart in a run", run.name not in {each.run for each in restarts}, restarts)
        earlier = list(dict.fromkeys(each.run for each in recent))
        if run.name not in earlier and earlier:
            self._hold("three repairs within the hour", len(earlier) < 3, earlier)
            last = min(each.clock for each in recent if each.run == earlier[-1])
            wait = 60.0 * 2 ** (len(earlier) - 1)
            self._hold("repairs are kept apart", now.clock - last >= wait - 2, now.clock - last, wait)
        self.meant.append(now)

    # --- acts ---

    def _acted(self, what: str, whom: Any, how: Any) -> None:
        run = self._run
        if run is None:
            self.broken.append("an act without a run: %s %s" % (what, whom))
            return
        self.acts += 1
        steps = self._steps(run, what, whom)
        self._hold("only what was named", bool(steps), what, whom, run.steps)
        open_now = [(each["gateway"], each["action"]) for each in open_intents(self.state_dir, run.name)]
        announced = [each for each in steps if (each["gateway"], each["action"]) in open_now]
        self._hold("the intent is on disk first", bool(announced), what, whom, run.phase, open_now)
        if not announced:
            return
        step = announced[-1]
        self._hold("an act is of the action that the run is at", step["action"] == run.phase, step["action"], run.phase)
        lease = json.loads((self.state_dir / "lease.json").read_text())
        self._hold("the host is this run's", lease["run"] == run.name, lease, run.name)
        if run.name not in self._order:
            self._order.append(run.name)
        self._hold("one repair at a time", self._order[-1] == run.name, self._order, run.name)
        # Once its process has been ended, what is started in its place is no end of one any more.
        if step["finding"] == "not_listening" and what != "spawn" and how != "start":
            since = self._closed.get((run.name, step["gateway"]), self.host.clock)
            self._hold("a closed port is seen so for half a minute", self.host.clock - since >= 29, step, since)
        checks: Dict[str, Callable[[Run, Row, Any, Any], None]] = {"signal": self._signalled, "drop": self._cut}
        checks.get(what, self._brought)(run, step, whom, how)
        if (what, how) == ("signal", 9):
            allowed = any(self.entries[each["gateway"]].get("allow_kill") for each in announced)
            self._hold("killed only where that is allowed", allowed, whom, announced)
        if run.phase == "restart":
            self._restarted(run, step)

    def _steps(self, run: Run, what: str, whom: Any) -> List[Row]:
        """The steps of the current plan that name this very process, connection or unit."""
        return [each for each in run.steps if self._means(each, what, whom)]

    def _means(self, step: Row, what: str, whom: Any) -> bool:
        target, entry = step["target"], self.entries[step["gateway"]]
        if what == "drop":
            return bool(target.get("cookie") == whom.cookie)
        if what == "signal":
            return _is_named(target.get("process") or target, whom, self.host.boot_id)
        if what == "spawn":
            return bool(whom == step["gateway"] and not entry.get("service"))
        return bool(whom == (target.get("unit") if step["action"].startswith("stop") else entry.get("service")))

    def _signalled(self, run: Run, step: Row, one: SimProcess, number: int) -> None:
        target = step["target"].get("process") or step["target"]
        entry = self.entries[step["gateway"]]
        self._hold("no pidfd, no signal", self.host.pidfd)
        self._hold("it is still the same program", list(one.argv) == target["command"], one.argv, target["command"])
        self._hold("asked before it is killed", number == 15 or 15 in one.signals, one.signals)
        self._touchable(one, step)
        if step["action"] != "stop_client":
            declared = one.is_gateway and one.folder == entry["config_dir"]
            self._hold("only the entry's own gateways", declared, one)
            return
        self._hold("a client is no gateway", not one.is_gateway, one)
        sessions = [each for each in self.host.sessions if each.client is one and each.state == "ESTABLISHED"]
        listening = [each for each in sessions if self.host.listening(each.server) and each.port == entry["port"]]
        if listening and NAMED not in " ".join(one.argv) and step["finding"] != "not_listening":
            tried = (run.name, one.pid, one.ticks) in self._dropped
            self._hold("its connection is cut before a client is signalled", tried, one, step, self._seen)

    def _touchable(self, one: SimProcess, step: Row) -> None:
        """Never touched, whatever a plan says."""
        self._hold("the run itself and pid 1", one.pid != INIT and one.pid not in self.host.ancestors(OWN), one)
        self._hold("protected clients", PROTECTED not in " ".join(one.argv), one)
        self._hold("relays", "socat" not in one.argv[0], one)
        self._hold("other accounts' gateways", not one.is_gateway or one.user == "trader", one, step)

    def _cut(self, run: Run, step: Row, session: SimSession, _how: Any) -> None:
        target = step["target"]
        ends = (session.port, session.client_port)
        self._hold("the connection's ends", ends == (target["port"], target["client_port"]), session, target)
        holders = [each["pid"] for each in target["client_processes"]]
        self._hold("the connection's holder", session.client is not None and [session.client.pid] == holders, session)
        if session.client is not None:
            self._touchable(session.client, step)
        self._hold(
            "only a declared gateway's end",
            session.server.folder == self.entries[step["gateway"]]["config_dir"],
            session,
            run.steps,
        )

    def _brought(self, run: Run, step: Row, whom: str, verb: Optional[str]) -> None:
        """A spawn or systemctl: nobody runs, or is in the unit, whom the plan did not mean to end."""
        named = {(step["target"].get("process") or step["target"]).get("pid")}
        if verb == "stop":  # several of an entry's gateways may be stopped on one rung, one of them by this unit
            named = {each["target"]["pid"] for each in run.steps if each["target"].get("unit") == whom}
        if verb in ("stop", "restart"):
            members = {each.pid for each in self.host.members(whom)}
            self._hold("a unit is stopped for its own process alone", members <= named, members, step)
        if verb != "stop":
            port = self.entries[step["gateway"]]["port"]
            own = self.host.gateways(step["gateway"])
            alive = {each.pid for each in own if not (self.host.listening(each) and each.port != port)}
            self._hold("nothing is started beside a gateway", alive <= named, alive, step)

    def _restarted(self, run: Run, step: Row) -> None:
        """What the last look before it saw of the clients."""
        seen, entry = self._seen[step["gateway"]], self.entries[step["gateway"]]
        planned = self._plans[run.name][2][step["gateway"]]
        # An attempt at a session that began since the plan is no evidence against it; a session is.
        self._hold(
            "a protected client keeps its gateway", not (planned.protected or seen.protected_works), planned, seen
        )
        listens = any(port == entry["port"] for _pid, _ticks, port in seen.gateways)
        spared = listens and seen.working and not entry.get("allow_restart_with_clients")
        self._hold("live clients keep their gateway", not spared, seen, step)

    # --- the end ---

    def _ended(self, run: Run) -> None:
        """What counts is on record: a run that was killed in its end has lifted or latched what it wrote by then."""
        acted, well, failed = concluded(self.state_dir, run.name) if self.books == "ok" else (set(), set(), set())
        if run.ended:
            told = set(run.ended["succeeded"]) | set(run.ended["lifted"]), set(run.ended["unsuccessful"])
            self._hold("an end is on record as it is told", told == (well, failed), told, well, failed)
        looks = self._proof.get(run.name, [])
        for name in well & acted:
            proven = len(looks) >= 3 and all(each[name].serves for each in looks)
            same = len({each[name].gateways for each in looks}) == 1
            self._hold("repaired is proven", proven and same, name, looks)
        for name in well - acted:
            self._hold("a latch is lifted by a healthy look", bool(looks) and looks[-1][name].serves, name, looks)
        self.latched.update(failed)
        self.latched.difference_update(well)


def _is_named(target: Row, one: SimProcess, boot_id: str) -> bool:
    return (target.get("pid"), target.get("started_ticks"), target.get("boot_id")) == (one.pid, one.ticks, boot_id)
