"""A plan's steps on their way through Ansible: as dicts out of a look, back into the module that takes them. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .actions import BY_NAME, ORDER
from .plan import Step
from .redaction import redact_argv

#: The option `steps` of every module that acts. What a target has to have depends on the action, see read().
STEPS_OPTION: Dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "action": {"type": "str"},
        "gateway": {"type": "str", "required": True},
        "target": {"type": "dict", "required": True},
        "reason": {"type": "str", "default": ""},
        "disruption": {"type": "str", "default": ""},
        "finding": {"type": "str", "default": ""},
        "only_if_persists": {"type": "bool", "default": False},
        "costs": {"type": "str", "default": ""},
    },
}
_NAMES = {int: "a whole number", str: "a text", bool: "true or false"}


def as_dict(step: Step) -> Dict[str, Any]:
    """A step as ib_gateway_health returns it."""
    return {
        "action": step.action,
        "gateway": step.gateway,
        "target": dict(step.target),
        "reason": step.reason,
        "disruption": BY_NAME[step.action].disruption,
        "finding": step.finding,
        "only_if_persists": step.only_if_persists,
        "costs": step.costs,
    }


def in_order(steps: Sequence[Step]) -> List[Step]:
    """Steps, least disruptive first."""
    return sorted(steps, key=lambda step: ORDER.index(step.action))


def read(raw: Sequence[Mapping[str, Any]], actions: Sequence[str]) -> Tuple[List[Step], List[str]]:
    """(the steps of an option `steps`, what is wrong with it in words). actions: those that the module does.

    A step without an action has the module's, where it does only one.
    """
    steps: List[Step] = []
    problems: List[str] = []
    for number, each in enumerate(raw):
        where = "steps[%d]" % number
        action = each.get("action") or (actions[0] if len(actions) == 1 else "")
        if action not in actions:
            problems.append("%s.action is %r; this module does %s" % (where, action, " and ".join(actions)))
            continue
        problems += wrong(each["target"], BY_NAME[action].needs, where + ".target")
        more = (str(each.get("reason") or ""), str(each.get("finding") or ""), bool(each.get("only_if_persists")))
        steps.append(Step(action, str(each["gateway"]), each["target"], *more, str(each.get("costs") or "")))
    return steps, problems


def wrong(value: Any, needs: Any, where: str) -> List[str]:
    """In what a value is not as an action needs it."""
    if isinstance(needs, Mapping):
        return _wrong_keys(value, needs, where)
    if isinstance(needs, list):
        if not isinstance(value, list):
            return ["%s is not a list" % where]
        return [
            found for number, each in enumerate(value) for found in wrong(each, needs[0], "%s[%d]" % (where, number))
        ]
    if not isinstance(value, needs) or (needs is int and isinstance(value, bool)):
        return ["%s is not %s" % (where, _NAMES[needs])]
    return []


def _wrong_keys(value: Any, needs: Mapping[str, Any], where: str) -> List[str]:
    if not isinstance(value, Mapping):
        return ["%s is not a dictionary" % where]
    found = []
    for key, kind in needs.items():
        name, optional = key.rstrip("?"), key.endswith("?")
        if value.get(name) is None:
            found += [] if optional else ["%s.%s is missing" % (where, name)]
        else:
            found += wrong(value[name], kind, "%s.%s" % (where, name))
    return found


def brief(target: Any, needs: Any) -> Any:
    """Of a target what its action knows, for an outcome: nothing else, and no command line unredacted."""
    if isinstance(needs, list):
        return [brief(each, needs[0]) for each in target]
    if not isinstance(needs, Mapping):
        return target
    found = {}
    for key, kind in needs.items():
        name = key.rstrip("?")
        if name in _FOR_PROOF_ONLY or target.get(name) is None:
            continue
        found[name] = list(redact_argv(target[name])) if name == "command" else brief(target[name], kind)
    return found


#: Of a process or a listener: what the module compares, and nobody reads.
_FOR_PROOF_ONLY = ("role", "argv_digest", "allow_kill", "inode")
