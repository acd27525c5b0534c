"""What every module that acts shares: the steps it takes, their admission, a record around each act, the outcomes.

Without an authorization everything is admitted and nothing is recorded; the proofs of identity hold all the same.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Type

from ..base.actions import STOP_CLIENT
from ..base.host import Process
from ..base.outcome import DONE, FAILED, REFUSED, UNSURE, WOULD, Outcome
from ..base.plan import Entry, Step
from ..base.redaction import redact_argv
from ..base.short_command import short
from ..base.spec import GatewaySpec
from ..decide import fingerprint
from ..decide.assign import entries_of
from ..lifecycle import places
from ..module.look import look_for
from ..module.runner import GATEWAYS_OPTION, GatewayModule
from ..module.steps import outcome_of
from ..state.admission import AdmissionCheck
from ..state.authorization import Authorization
from ..state.journal import JournalUnusable
from .held_process import Refused, Target

#: The `gateways` option of modules that need the entries only under an authorization.
OPTIONAL_GATEWAYS: Dict[str, Any] = {key: value for key, value in GATEWAYS_OPTION.items() if key != "required"}
#: Without the entries nobody can tell whether the host is still as the plan saw it, nor what came of an act.
REQUIRED_BY = {"authorization": ["gateways"], "then_look": ["gateways"]}

#: Records that a step is about to be taken: what it meets, without secrets (numbers, names, a redacted command line).
#: Raises Refused when that cannot be recorded: then the step must not be taken.
Announce = Callable[[Mapping[str, Any]], None]


class ActionSession:
    """A module's acts, in a `with`: what is still open when it is left in an error is recorded as failed.

    outcomes: what became of the steps, in the order in which that was known.
    """

    def __init__(self, module: GatewayModule) -> None:
        self._module = module
        authorization = Authorization.from_params(module.params["authorization"])
        self._authorized = authorization is not None
        self._admission = AdmissionCheck(authorization, module.check_mode)
        places.use(authorization.state_dir if authorization else "")
        self._specs: List[GatewaySpec] = module.specs() if module.params["gateways"] is not None else []
        self._open: List[int] = []
        self._digests: Mapping[str, str] = {}
        #: By entry, as of the look before the first step: who works on another gateway.
        self._busy: Dict[str, FrozenSet[int]] = {}
        self.outcomes: List[Outcome] = []

    def __enter__(self) -> ActionSession:
        self._admission.__enter__()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Closes what is open, and the admission check."""
        why = "the module ended before it was done (%s: %s)" % (kind.__name__.lstrip("_"), error) if kind else ""
        for token in list(self._open):
            self.end(token, FAILED if kind else UNSURE, why)
        self._admission.__exit__(kind, error, trace)

    @property
    def specs(self) -> List[GatewaySpec]:
        """The entries of the option `gateways`; empty where it was left out."""
        return self._specs

    @property
    def authorized(self) -> bool:
        """Whether an authorization was given."""
        return self._authorized

    def look(self) -> Dict[str, Entry]:
        """The entries beside what is on the host now, by name. Raises OSError."""
        return {entry.spec.name: entry for entry in entries_of(self._specs, look_for(self._specs))[0]}

    @property
    def guarded(self) -> List[str]:
        """What protected_clients of any entry name."""
        return [pattern for spec in self._specs for pattern in spec.protected_clients]

    def processes(self) -> Mapping[int, Process]:
        """Who runs on the host now, by pid, as ends_others() has to know it. Raises OSError."""
        from ..lifecycle.ends_others import with_guarded  # of use to what starts gateways alone

        return with_guarded(look_for(self._specs).processes, self.guarded)

    def staying(self) -> List[Process]:
        """The scripts that nothing may end which is done now: who is at work on a gateway of an entry, and whom
        protected_clients names. Raises OSError."""
        from ..lifecycle import ends_others

        return ends_others.staying(self.look().values(), self.guarded)

    # --- admission ---

    def admit(self, steps: Sequence[Step]) -> List[Step]:
        """Those of the steps that may be taken; the others have their outcome: refused, not admitted.

        To be called before the module does anything, because its own acts change the evidence.
        """
        if not self._authorized or not steps:
            return list(steps)
        if not self._digests:
            entries = self.look()
            self._digests = fingerprint.digests(list(entries.values()))
            self._busy = {name: entry.busy_elsewhere for name, entry in entries.items()}
        wanted = dict.fromkeys((step.action, step.gateway) for step in steps)
        at_once = {(step.action, step.gateway) for step in steps if not self._foretold(step)}
        reasons = {
            each: self._admission.admit(*each, self._digests.get(each[1]), each not in at_once) for each in wanted
        }
        return [
            step for step in steps if self._admitted(step, reasons[step.action, step.gateway] or self._works_now(step))
        ]

    def _works_now(self, step: Step) -> Optional[str]:
        """Why a script is not stopped: it has come to work on another gateway since the plan was made."""
        works = step.action == STOP_CLIENT and step.target.get("pid") in self._busy.get(step.gateway, ())
        return "it works on another gateway as well since the plan was made; look again" if works else None

    def still(self, step: Step, entry: Entry) -> bool:
        """Whether an admitted step may still be taken, now that others have been: the evidence is the same."""
        now = fingerprint.digest(entry)
        if not self._authorized or self._foretold(step) or now == self._digests.get(step.gateway):
            return True
        return self._admitted(step, self._admission.admit(step.action, step.gateway, now))

    def _foretold(self, step: Step) -> bool:
        """Whether it is told in check mode what would be done if the steps before, which nobody takes, did not help.

        Their fault goes on meanwhile, as with scripts that push each other out, so the evidence need not stay the same.
        """
        return self._module.check_mode and step.only_if_persists

    def _admitted(self, step: Step, reason: Optional[str]) -> bool:
        if reason is not None:
            self.add(step, REFUSED, reason, admitted=False)
        return reason is None

    # --- records ---

    def take(self, step: Step, do: Callable[[Announce], Outcome]) -> Outcome:
        """Takes one step; it is recorded before, and when it is done. do: does it, and announces that right before."""
        begun: List[int] = []
        outcome = do(lambda summary: begun.append(self.begin(step.action, step.gateway, summary)))
        for token in begun:
            self.end(token, outcome.in_the_journal, outcome.reason)
        self.outcomes.append(outcome)
        return outcome

    def begin(self, action: str, gateway: str, summary: Mapping[str, Any]) -> int:
        """Records that an act is about to be done; the token for its end. Raises Refused when that cannot be."""
        try:
            token = self._admission.intend(action, gateway, summary) if self._authorized else 0
        except JournalUnusable as error:
            raise Refused("nothing is done that cannot be recorded: %s" % error) from None
        self._open.append(token)
        return token

    def end(self, token: int, result: str, detail: str) -> None:
        """Records what became of an act."""
        self._open.remove(token)
        failure = self._admission.outcome(token, result, detail) if self._authorized else None
        if failure:
            self._module.warn("what was done could not be recorded: %s" % failure)

    # --- outcomes ---

    def add(self, step: Step, result: str, reason: str, **more: Any) -> Outcome:
        """Adds the outcome of a step that was not taken through take()."""
        self.outcomes.append(outcome_of(step, result, reason, **more))
        return self.outcomes[-1]

    def returned(self, changed: Optional[bool] = None) -> Dict[str, Any]:
        """What every acting module returns. changed: whether anything was, where the outcomes alone do not tell."""
        acted = any(each.result in (DONE, WOULD) for each in self.outcomes)
        return {
            "changed": acted if changed is None else changed,
            "outcomes": [each.as_dict() for each in self.outcomes],
            "withheld": [
                {"gateway": each.gateway, "action": each.action, "reason": each.reason}
                for each in {(one.action, one.gateway): one for one in self.outcomes if not one.admitted}.values()
            ],
        }


def summary_of(target: Target, command: Sequence[str] = ()) -> Dict[str, Any]:
    """A process in a journal: numbers, its unit, its redacted command line in short."""
    found: Dict[str, Any] = {"pid": target.pid, "started_ticks": target.started_ticks, "unit": target.unit}
    if command:
        found["command"] = short(redact_argv(command))
    return found


def summary_of_process(plan: Mapping[str, Any]) -> Dict[str, Any]:
    """The same of a process as a plan names it."""
    return summary_of(Target.named(plan), plan.get("command") or ())


def steps_of_entries(module: GatewayModule, session: ActionSession, steps: Sequence[Step]) -> List[Step]:
    """The steps; ends the module when one is about an entry that the option `gateways` does not have."""
    names = [spec.name for spec in session.specs]
    for step in steps:
        if step.gateway not in names:
            module.give_up("the option steps names %r, and no entry of gateways has that name" % step.gateway)
    return list(steps)
