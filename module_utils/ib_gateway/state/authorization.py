"""What the controller hands to every module that acts: who acts, on which plans, within which limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Mapping, Optional, cast

from .lease import HOLDER
from .limits import Rules
from .records import clean

#: The option `authorization` of every acting module. Optional there: without it nothing is journalled.
AUTHORIZATION_OPTION: Dict[str, Any] = {
    "type": "dict",
    "aliases": ["warrant"],
    "options": {
        "run": {"type": "str", "required": True},
        "by": {"type": "str", "required": True},
        "holder": {"type": "str", "default": ""},
        "state_dir": {"type": "str", "default": ""},
        "blocked_reason": {"type": "str", "default": "", "aliases": ["forbidden"]},
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
class PlanFingerprint:
    """What a plan was made from: the evidence's digest, and when, on this boot's CLOCK_BOOTTIME in seconds."""

    digest: str
    boot_id: str
    made_at: float


@dataclass(frozen=True)
class Authorization:
    """Who acts, on which plans, within which limits. plans: by gateway. max_age: seconds a plan may be old.

    run and by: cleaned, as the journal has them. holder: the run's own process, as holder.py has it. blocked_reason:
    why nothing may be done at all; '' for no reason.
    """

    run: str
    by: str
    state_dir: str = ""
    holder: str = ""
    blocked_reason: str = ""
    max_age: float = 60.0
    plans: Mapping[str, PlanFingerprint] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def from_params(cls, params: Optional[Mapping[str, Any]]) -> Optional[Authorization]:
        """The authorization in a module's parameter `authorization`; None when the option was left out. Never raises.

        An authorization with a value that cannot be right (a limit below 0, no run) blocks everything, and says why.
        """
        if params is None:
            return None
        limits = params.get("limits") or {}
        rules = Rules(
            **{key: limits[key] for key in ("repairs_per_hour", "restarts_per_hour", "backoff") if key in limits}
        )
        plans = {
            each["gateway"]: PlanFingerprint(each["digest"], each["boot_id"], float(each["made_at"]))
            for each in params.get("plans") or []
        }
        authorization = cls(
            run=clean(params["run"], 64),
            by=clean(params["by"]),
            state_dir=params.get("state_dir") or "",
            holder=clean(params.get("holder") or "", HOLDER),
            blocked_reason=clean(params.get("blocked_reason") or "", 300),
            max_age=float(params.get("max_age", cls.max_age)),
            plans=plans,
            rules=rules,
        )
        problem = _problem(authorization)
        return replace(authorization, blocked_reason=problem) if problem else authorization

    @classmethod
    def required(cls, params: Mapping[str, Any]) -> Authorization:
        """The authorization of a module whose option `authorization` is required."""
        return cast(Authorization, cls.from_params(params["authorization"]))


def _problem(authorization: Authorization) -> str:
    """Which value of an authorization cannot be right, in words; '' when all can. NaN never can."""
    rules = authorization.rules
    numbers = {
        "max_age": authorization.max_age,
        "limits.repairs_per_hour": rules.repairs_per_hour,
        "limits.restarts_per_hour": rules.restarts_per_hour,
        "limits.backoff": rules.backoff,
    }
    for name, value in numbers.items():
        if not 0 <= value < 1e9:
            return "the option authorization.%s is %s; give a number from 0 on" % (name, value)
    if not authorization.run:
        return "the option authorization.run is empty; give each run a name of its own"
    return ""
