"""What every module that takes steps shares: reading them, and saying what became of one."""

from __future__ import annotations

from typing import Any, List

from ..base.actions import BY_NAME
from ..base.outcome import Outcome
from ..base.plan import Step
from ..base.spec import GatewaySpec
from ..base.steps import brief, read
from .runner import Module


def steps_of(module: Module, *actions: str) -> List[Step]:
    """The option `steps`, empty where it was left out; ends the module when one is not of its actions or incomplete."""
    steps, problems = read(module.params["steps"] or (), actions)
    if problems:
        module.give_up("the option steps cannot be used: %s" % "; ".join(problems), problems=problems)
    return steps


def of_entry(step: Step, spec: GatewaySpec) -> Step:
    """A step with what starts its entry, as the entry has it."""
    container = {"container": spec.container.title} if spec.container else {}
    return step._replace(target={**step.target, "service": spec.service, "port": spec.port, **container})


def outcome_of(step: Step, result: str, reason: str, **more: Any) -> Outcome:
    """The outcome of a step; its target is what a person or a later step needs of the step's own."""
    return Outcome(step.action, step.gateway, brief(step.target, BY_NAME[step.action].needs), result, reason, **more)
