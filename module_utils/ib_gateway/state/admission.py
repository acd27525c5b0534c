"""The one place that decides whether a gateway may be acted on, and the check that every acting module passes.

The check is asked before each action, writes down that the action is meant before it is done, and what became of it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Mapping, NamedTuple, Optional, Set, Tuple, Type

from ..base.actions import RESTARTS
from .authorization import Authorization, PlanFingerprint
from .journal import ABSENT, JournalUnusable
from .limits import latch_text, latched, verdict
from .records import DEFER, INTENT, OUTCOME, REFUSE, RESULTS, UNKNOWN, clean, is_gateway_name
from .store import Busy, StateStore


class Blocked(NamedTuple):
    """Why a gateway may not be acted on. passes: whether that ends by itself, so that a later run may act."""

    reason: str
    passes: bool

    @property
    def kind(self) -> str:
        """The record of it in the journal."""
        return DEFER if self.passes else REFUSE


def host_blocked(store: StateStore, authorization: Authorization) -> Optional[Blocked]:
    """Why nothing may be done on a host at all: another run, what the controller says, a pause."""
    reason = store.held_by_another() or authorization.blocked_reason or store.paused()
    return Blocked(reason, True) if reason else None


def gateway_blocked(
    store: StateStore, authorization: Authorization, gateway: str, action: str, evidence_changed: Optional[str] = None
) -> Optional[Blocked]:
    """Why an action on a gateway may not be taken on a host that is not blocked: its plan, circuit breaker or limits.

    action: empty for a repair that is about to begin. evidence_changed: why its plan does not hold any more, if so.
    """
    if not is_gateway_name(gateway):
        return Blocked("%s is no name of a gateway" % (clean(gateway, 60) or "nothing"), False)
    latch = latched(store.journal.records).get(gateway)
    refused = evidence_changed or (latch_text(latch) if latch else None)
    if refused:
        return Blocked(refused, False)
    deferred = verdict(store.journal.records, gateway, action, authorization.run, store.now(), authorization.rules)
    return Blocked(deferred, True) if deferred else None


def plan_outdated(
    store: StateStore, plan: Optional[PlanFingerprint], max_age: float, digest_now: Optional[str]
) -> Optional[str]:
    """Why a plan is not to be followed any more; None when it is."""
    now = store.now()
    if plan is None:
        return "the run has no plan for it"
    if not plan.boot_id or plan.boot_id != now.boot_id:
        return "the host has been restarted since the plan was made"
    passed = now.boottime - plan.made_at
    if not -1.0 <= passed <= max_age:
        return "the plan is %.0f s old, %g s are allowed; look again" % (passed, max_age)
    if not digest_now or plan.digest != digest_now:
        return "the evidence has changed since the plan was made; look again"
    return None


def observe_only(unusable: Exception) -> str:
    """The reason why nothing is done on a host whose journal of repairs cannot be used."""
    return "observe only: %s" % unusable


_NOT_OPEN = "the admission check is not open: use it in a with statement"


class AdmissionCheck:
    """Admits each action that an authorization allows; use as a context manager, around everything a module does.

    Holds the host's lock from beginning to end, proves that the lease is this run's and renews it. What keeps it from
    that is no error: admit() then refuses everything with that reason. Without an authorization it lets everything pass
    and writes nothing. In check mode it checks, and writes nothing.
    """

    def __init__(self, authorization: Optional[Authorization], check_mode: bool) -> None:
        self._authorization = authorization
        self._check_mode = check_mode
        self._store: Optional[StateStore] = None
        self._blocked = ""
        self._admitted: Set[Tuple[str, str]] = set()

    def __enter__(self) -> AdmissionCheck:
        authorization = self._authorization
        if authorization is None:
            return self
        store = StateStore(authorization.state_dir, authorization.run, authorization.by, write=not self._check_mode)
        try:
            store.__enter__()
        except Busy as busy:
            self._blocked = str(busy)
            return self
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)
            return self
        self._store = store
        try:
            self._prove_lease(store)
        except BaseException:
            store.__exit__(None, None, None)
            raise
        return self

    def _prove_lease(self, store: StateStore) -> None:
        self._blocked = store.held_by_another() or ""
        if self._blocked or self._check_mode:
            return
        if not store.is_mine() or store.journal.state == ABSENT:
            self._blocked = (
                "this run has not begun a repair of this host, or its lease was given back or taken over since"
            )
            return
        try:
            store.take_lease(0.0)
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Lets go of the lock. An act that was meant and has no outcome by then reads as unknown."""
        if self._store is not None:
            self._store.__exit__(kind, error, trace)
            self._store = None

    def admit(self, action: str, gateway: str, digest_now: Optional[str], foretold: bool = False) -> Optional[str]:
        """Why this act must not be done now; None when it may. Never raises; journals a refusal.

        digest_now: of the evidence as it is now (evidence.digest of a fresh look), read before the first act of this
        module: a module's own acts change the evidence. None when it could not be made. foretold: in check mode, for
        what would be done after other acts: nobody knows what the evidence would be by then, so it is not compared.
        """
        authorization, store = self._authorization, self._store
        if authorization is None:
            return None
        self._admitted.discard((action, gateway))
        if self._blocked or store is None:
            return self._blocked or _NOT_OPEN
        blocked = host_blocked(store, authorization) if is_gateway_name(gateway) else None
        if blocked is None:
            plan = authorization.plans.get(gateway)
            if foretold and self._check_mode and plan is not None:
                digest_now = plan.digest
            outdated = plan_outdated(store, plan, authorization.max_age, digest_now)
            blocked = gateway_blocked(store, authorization, gateway, action, outdated)
        if blocked is None:
            self._admitted.add((action, gateway))
            return None
        if is_gateway_name(gateway):
            try:
                store.add(blocked.kind, gateway=gateway, action=action, reason=blocked.reason)
            except JournalUnusable as unusable:
                self._blocked = observe_only(unusable)
        return blocked.reason

    def intend(self, action: str, gateway: str, target: Mapping[str, Any]) -> int:
        """Writes down that an admitted act is about to be done; on disk when it returns. The token for outcome().

        target: whom it meets, in a few words and numbers. Raises journal.JournalUnusable: then nothing may be done.
        One admission serves several targets, but for a restart. In check mode and without an authorization nothing is
        written.
        """
        if self._authorization is None:
            return 0
        if self._blocked or self._store is None:
            raise JournalUnusable(self._blocked or _NOT_OPEN)
        if (action, gateway) not in self._admitted:
            raise JournalUnusable("%s of %s was not admitted" % (clean(action, 60), clean(gateway, 60)))
        if action in RESTARTS:
            self._admitted.discard((action, gateway))
        try:
            return self._store.add(INTENT, gateway=gateway, action=action, target=target)
        except JournalUnusable as unusable:
            self._blocked = observe_only(unusable)
            raise

    def outcome(self, token: int, result: str, detail: str = "") -> Optional[str]:
        """Writes down what became of an act: result is done, refused, failed or unknown. Never raises.

        Returns None, or why it could not be written: the act then reads as unknown, and the check admits no more.
        """
        if not token or self._store is None:
            return None
        intent = next((each for each in self._store.journal.records if each.n == token and each.kind == INTENT), None)
        if intent is None:
            return "no intent has the number %d" % token
        try:
            self._store.add(
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
