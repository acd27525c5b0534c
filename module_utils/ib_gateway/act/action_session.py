"""What every module that acts shares: its authorization, a fresh look before it acts, and a record around each act.

Without an authorization everything is admitted and nothing is written down; the proofs of identity hold all the same.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type

from ansible.module_utils.ib_gateway.state.authorization import Authorization

from ...ib_fleet.document.escalation import short
from ..base.plan import Entry
from ..base.redaction import redact_argv
from ..base.spec import GatewaySpec
from ..decide import fingerprint
from ..decide.assign import entries_of
from ..module.look import look_for
from ..module.runner import GATEWAYS_OPTION, GatewayModule
from ..state.admission import AdmissionCheck
from ..state.journal import JournalUnusable
from .stop_process import Refused, Target

#: The `gateways` option of modules that need the entries only under an authorization.
OPTIONAL_GATEWAYS: Dict[str, Any] = {key: value for key, value in GATEWAYS_OPTION.items() if key != "required"}
#: Without the entries nobody can tell whether the host is still as the plan saw it, nor what came of an act.
REQUIRED_BY = {"authorization": ["gateways"], "then_look": ["gateways"]}

# What became of an act, in the words of the journal.
DONE, REFUSED, FAILED, UNSURE = "done", "refused", "failed", "unknown"


class Act:
    """One act that was announced and has not ended yet. token: the check's."""

    def __init__(self, token: int) -> None:
        self.token = token


class Acts:
    """A module's acts, in a `with`: what is still open when it is left in an error is written down as failed."""

    def __init__(self, module: GatewayModule) -> None:
        self._module = module
        authorization = Authorization.from_params(module.params["authorization"])
        self._under_authorization = authorization is not None
        self._check = AdmissionCheck(authorization, module.check_mode)
        self._specs: List[GatewaySpec] = module.specs() if module.params["gateways"] is not None else []
        self._open: List[Act] = []
        self._digests: Mapping[str, str] = {}
        #: What the authorization did not allow: {gateway, action, reason}.
        self.withheld: List[Dict[str, str]] = []

    def __enter__(self) -> Acts:
        self._check.__enter__()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Closes what is open, and lets go of the check."""
        why = "the module ended before it was done (%s: %s)" % (kind.__name__.lstrip("_"), error) if kind else ""
        for act in list(self._open):
            self.end(act, FAILED if kind else UNSURE, why)
        self._check.__exit__(kind, error, trace)

    @property
    def specs(self) -> List[GatewaySpec]:
        """The entries of the option `gateways`; empty where it was left out."""
        return self._specs

    @property
    def under_authorization(self) -> bool:
        """Whether an authorization was given."""
        return self._under_authorization

    def look(self) -> Dict[str, Entry]:
        """The entries beside what is on the host now, by name. Raises OSError."""
        return {entry.spec.name: entry for entry in entries_of(self._specs, look_for(self._specs))[0]}

    def admit(self, action: str, names: Sequence[str]) -> List[str]:
        """Those of these gateways on which the action may be taken; the others are withheld, each with its reason.

        To be called before the first act of the module, because its own acts change the evidence.
        """
        wanted = list(dict.fromkeys(names))
        if not self._under_authorization or not wanted:
            return wanted
        if not self._digests:
            self._digests = fingerprint.digests(list(self.look().values()))
        return [name for name in wanted if self._admitted(action, name, self._digests.get(name))]

    def still(self, action: str, entry: Entry) -> bool:
        """Whether an admitted gateway may still be acted on, now that others have been: its evidence is the same."""
        name = entry.spec.name
        now = fingerprint.digest(entry)
        return not self._under_authorization or now == self._digests.get(name) or self._admitted(action, name, now)

    def _admitted(self, action: str, name: str, digest: Optional[str]) -> bool:
        reason = self._check.admit(action, name, digest)
        if reason is not None:
            self.withheld.append({"gateway": name, "action": action, "reason": reason})
        return reason is None

    def begin(self, action: str, gateway: Optional[str], summary: Mapping[str, Any]) -> Act:
        """Writes down that an act is about to be done. Raises Refused when that cannot be: it must not be done then.

        summary: whom it meets, without secrets: numbers, names, a redacted command line.
        """
        try:
            act = Act(self._check.intend(action, gateway or "", summary) if self._under_authorization else 0)
        except JournalUnusable as error:
            raise Refused("nothing is done that cannot be written down: %s" % error) from None
        self._open.append(act)
        return act

    def end(self, act: Act, result: str, detail: str) -> None:
        """Writes down what became of an act."""
        self._open.remove(act)
        trouble = self._check.outcome(act.token, result, detail) if self._under_authorization else None
        if trouble:
            self._module.warn("what was done could not be written down: %s" % trouble)


def summary_of(target: Target, command: Sequence[str] = ()) -> Dict[str, Any]:
    """A process in a journal: numbers, its unit, its redacted command line in short."""
    found: Dict[str, Any] = {"pid": target.pid, "started_ticks": target.started_ticks, "unit": target.unit}
    if command:
        found["command"] = short(redact_argv(command))
    return found
