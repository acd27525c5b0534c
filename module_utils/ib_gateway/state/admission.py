"""What the controller hands to every module that acts, and the guard that holds a host to it.

The guard is asked before each act, writes down that the act is meant before it is done, and what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Set, Tuple, Type

from ..base.plan import RESTART
from .journal import ABSENT, JournalUnusable
from .limits import Rules, latch_text, latched, verdict
from .records import (
    DEFER,
    INTENT,
    OUTCOME,
    REFUSE,
    RESULTS,
    UNKNOWN,
    clean,
    is_gateway_name,
)
from .store import Busy, Ledger

#: The option `warrant` of every acting module. Optional there: without it nothing is journalled.
WARRANT_OPTION: Dict[str, Any] = {
    "type": "dict",
    "options": {
        "run": {"type": "str", "required": True},
        "by": {"type": "str", "required": True},
        "state_dir": {"type": "str", "default": ""},
        "forbidden": {"type": "str", "default": ""},
        "max_age": {"type": "float", "default": 60.0},
        "plans": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "gateway": {"type": "str", "required": True},
                "digest": {"type": "str", "required": True},
                "boot_id": {"type": "str", "required": True},
                "made_at": {"type": "float", "required": True},
            },
        },
        "limits": {
            "type": "dict",
            "options": {
                "repairs_per_hour": {"type": "int", "default": 3},
                "restarts_per_hour": {"type": "int", "default": 2},
                "backoff": {"type": "float", "default": 60.0},
            },
        },
    },
}


@dataclass(frozen=True)
class PlanSeal:
    """What a plan was made from: the evidence's digest, and when, on this boot's CLOCK_BOOTTIME in seconds."""

    digest: str
    boot_id: str
    made_at: float


@dataclass(frozen=True)
class Warrant:
    """Who acts, on which plans, within which limits. plans: by gateway. max_age: seconds a plan may be old.

    run and by: cleaned, as the journal has them. forbidden: why nothing may be done at all; '' for no reason.
    """

    run: str
    by: str
    state_dir: str = ""
    forbidden: str = ""
    max_age: float = 60.0
    plans: Mapping[str, PlanSeal] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def from_params(cls, params: Optional[Mapping[str, Any]]) -> Optional[Warrant]:
        """The warrant in a module's parameter `warrant`; None when the option was left out. Never raises.

        A warrant with a value that cannot be right (a limit below 0, no run) forbids everything, and says why.
        """
        if params is None:
            return None
        limits = params.get("limits") or {}
        rules = Rules(
            **{key: limits[key] for key in ("repairs_per_hour", "restarts_per_hour", "backoff") if key in limits}
        )
        plans = {
            each["gateway"]: PlanSeal(each["digest"], each["boot_id"], float(each["made_at"]))
            for each in params.get("plans") or []
        }
        warrant = cls(
            run=clean(params["run"], 64),
            by=clean(params["by"]),
            state_dir=params.get("state_dir") or "",
            forbidden=clean(params.get("forbidden") or "", 300),
            max_age=float(params.get("max_age", cls.max_age)),
            plans=plans,
            rules=rules,
        )
        problem = _problem(warrant)
        return replace(warrant, forbidden=problem) if problem else warrant

    @classmethod
    def required(cls, params: Mapping[str, Any]) -> Warrant:
        """The warrant of a module whose option `warrant` is required."""
        warrant = cls.from_params(params["warrant"])
        assert warrant is not None
        return warrant


def _problem(warrant: Warrant) -> str:
    """Which value of a warrant cannot be right, in words; '' when all can. NaN never can."""
    rules = warrant.rules
    numbers = {
        "max_age": warrant.max_age,
        "limits.repairs_per_hour": rules.repairs_per_hour,
        "limits.restarts_per_hour": rules.restarts_per_hour,
        "limits.backoff": rules.backoff,
    }
    for name, value in numbers.items():
        if not 0 <= value < 1e9:
            return "the option warrant.%s is %s; give a number from 0 on" % (name, value)
    if not warrant.run:
        return "the option warrant.run is empty; give each run a name of its own"
    return ""


class Guard:
    """Stands between a warrant and each act; use as a context manager, around everything a module does.

    Holds the host's lock from beginning to end, proves that the lease is this run's and renews it. What keeps it from
    that is no error: admit() then refuses everything with that reason. Without a warrant it lets everything pass and
    writes nothing. In check mode it checks, and writes nothing.
    """

    def __init__(self, warrant: Optional[Warrant], check_mode: bool) -> None:
        self._warrant = warrant
        self._check_mode = check_mode
        self._ledger: Optional[Ledger] = None
        self._blocked = ""
        self._admitted: Set[Tuple[str, str]] = set()

    def __enter__(self) -> Guard:
        warrant = self._warrant
        if warrant is None:
            return self
        ledger = Ledger(warrant.state_dir, warrant.run, warrant.by, write=not self._check_mode)
        try:
            ledger.__enter__()
        except Busy as busy:
            self._blocked = str(busy)
            return self
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)
            return self
        self._ledger = ledger
        try:
            self._prove_lease(ledger)
        except BaseException:
            ledger.__exit__(None, None, None)
            raise
        return self

    def _prove_lease(self, ledger: Ledger) -> None:
        self._blocked = ledger.held_by_another() or ""
        if self._blocked or self._check_mode:
            return
        if not ledger.is_mine() or ledger.journal.state == ABSENT:
            self._blocked = (
                "this run has not begun a repair of this host, or its lease was given back or taken over since"
            )
            return
        try:
            ledger.take_lease(0.0)
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Lets go of the lock. An act that was meant and has no outcome by then reads as unknown."""
        if self._ledger is not None:
            self._ledger.__exit__(kind, error, trace)
            self._ledger = None

    def admit(self, action: str, gateway: str, digest_now: Optional[str]) -> Optional[str]:
        """Why this act must not be done now; None when it may. Never raises; journals a refusal.

        digest_now: of the evidence as it is now (evidence.digest of a fresh look), read before the first act of this
        module: a module's own acts change the evidence. None when it could not be made.
        """
        warrant, ledger = self._warrant, self._ledger
        if warrant is None:
            return None
        if self._blocked or ledger is None:
            return self._blocked or "the guard is not on its post"
        if not is_gateway_name(gateway):
            return "%s is no name of a gateway" % (clean(gateway, 60) or "nothing")
        later = warrant.forbidden or ledger.paused()
        never = None
        if not later:
            latch = latched(ledger.journal.records).get(gateway)
            never = _outdated(warrant, gateway, digest_now, ledger) or (latch_text(latch) if latch else None)
        if not later and not never:
            later = verdict(ledger.journal.records, gateway, action, warrant.run, ledger.now(), warrant.rules)
        reason = later or never
        if reason is None:
            self._admitted.add((action, gateway))
            return None
        self._admitted.discard((action, gateway))
        try:
            ledger.add(DEFER if later else REFUSE, gateway=gateway, action=action, reason=reason)
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)
        return reason

    def intend(self, action: str, gateway: str, target: Mapping[str, Any]) -> int:
        """Writes down that an admitted act is about to be done; on disk when it returns. The token for outcome().

        target: whom it meets, in a few words and numbers. Raises journal.JournalUnusable: then nothing may be done.
        One admission serves several targets, but for a restart. In check mode and without a warrant nothing is written.
        """
        if self._warrant is None:
            return 0
        if self._blocked or self._ledger is None:
            raise JournalUnusable(self._blocked or "the guard is not on its post")
        if (action, gateway) not in self._admitted:
            raise JournalUnusable("%s of %s was not admitted by the guard" % (clean(action, 60), clean(gateway, 60)))
        if action == RESTART:
            self._admitted.discard((action, gateway))
        try:
            return self._ledger.add(INTENT, gateway=gateway, action=action, target=target)
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)
            raise

    def outcome(self, token: int, result: str, detail: str = "") -> Optional[str]:
        """Writes down what became of an act: result is done, refused, failed or unknown. Never raises.

        Returns None, or why it could not be written: the act then reads as unknown, and the guard admits no more.
        """
        if not token or self._ledger is None:
            return None
        intent = next((each for each in self._ledger.journal.records if each.n == token and each.kind == INTENT), None)
        if intent is None:
            return "no intent has the number %d" % token
        try:
            self._ledger.add(
                OUTCOME,
                gateway=intent.gateway,
                action=intent.action,
                intent=token,
                result=result if result in RESULTS else UNKNOWN,
                reason=detail,
            )
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)
            return str(unusable)
        return None


def observe_only(unusable: Exception) -> str:
    """The reason why nothing is done on a host whose books cannot be used."""
    return "observe only: %s" % unusable


def _outdated(warrant: Warrant, gateway: str, digest_now: Optional[str], ledger: Ledger) -> Optional[str]:
    """Why the plan for a gateway is not to be followed any more; None when it is."""
    plan, now = warrant.plans.get(gateway), ledger.now()
    if plan is None:
        return "the run has no plan for it"
    if not plan.boot_id or plan.boot_id != now.boot_id:
        return "the host has been restarted since the plan was made"
    passed = now.boottime - plan.made_at
    if not -1.0 <= passed <= warrant.max_age:
        return "the plan is %.0f s old, %g s are allowed; look again" % (passed, warrant.max_age)
    if not digest_now or plan.digest != digest_now:
        return "the evidence has changed since the plan was made; look again"
    return None
