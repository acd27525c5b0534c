"""The one gate for what hosts return: whatever reads a host's answer on the controller gets it from here.

A host may be in a stranger's hands. What its modules return is bounded and held against the schema of answers before
anything uses it. What does not fit becomes a failed answer of that host, which every reader takes for unknown; no other
host notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Dict, Optional

from ...ib_gateway.base.actions import ACTIONS
from ..document.bounds import MOST_OF_A_HOST, excess
from ..document.latest import contradicts_itself
from ..document.text import harmless, visible
from ..store import documents

NOT_OURS = "this host's answer is not one of ours"
#: By module, which part of the schema of answers its answer has to be. Of the others nothing is read but a message.
SORTS = {
    **{action.module: "act" for action in ACTIONS},
    "ib_gateway_health": "look",
    "ib_gateway_wait": "wait",
    "ib_repair_begin": "begin",
    "ib_repair_end": "end",
    "ib_client_audit": "audit",
    "ib_desk_info": "desk",
}
#: By the variable that holds it, which part of the schema an answer has to be.
REGISTERED = {
    "ib_gateway_diagnose_result": "look",
    "ib_gateway_verify_result": "look",
    "ib_gateway_repair_begin": "begin",
    "ib_gateway_repair_look": "look",
    "ib_gateway_repair_escalation": "escalation",
    "ib_gateway_repair_result": "act",
    "ib_gateway_repair_end": "end",
    "ib_client_audit_result": "audit",
    "ib_gateway_diagnose_desk": "desk",
}
#: What Ansible itself adds to an answer and shows to a person, and what it has to be.
_ANSIBLE_S: Mapping[str, Any] = {
    "changed": bool,
    "failed": bool,
    "skipped": bool,
    "unreachable": bool,
    "msg": str,
    "module_stdout": str,
    "module_stderr": str,
    "rc": int,
    "skip_reason": str,
    "invocation": Mapping,
    "diff": (Mapping, list),
}
#: What Ansible makes objects of its own of. No reader of an answer takes them.
_OBJECTS = ("warnings", "deprecations", "exception")
_MOST_MESSAGE = 4000
_INTERPRETER = "discovered_interpreter_"

Answer = Dict[str, Any]


def checked(answer: Any, sort: Optional[str]) -> Answer:
    """An answer of a host where it is one of ours, without what we did not ask for; a failed one where it is not.

    sort: which part of the schema of answers it has to be; None for modules of which nothing is read. An answer that
    says itself that it failed, was skipped or that its host was not reached needs no more than that.
    """
    try:
        return _checked(answer, sort)
    except Exception as error:  # whatever a host's data does here, it does it to that host alone
        return refused("reading it ended in %s" % type(error).__name__)


def _checked(answer: Any, sort: Optional[str]) -> Answer:
    if isinstance(answer, Mapping):
        answer = {key: value for key, value in answer.items() if key not in _OBJECTS}
    wrong = excess(answer, MOST_OF_A_HOST) or ("" if isinstance(answer, Mapping) else "it is no dict")
    wrong = wrong or next(("%s is no %s" % (key, _word(key)) for key in _ANSIBLE_S if not _fits(answer, key)), "")
    if wrong:
        return refused(wrong)
    kept = {key: _harmless(answer[key]) for key in _ANSIBLE_S if key in answer}
    if "msg" in kept:
        kept["msg"] = str(kept["msg"])[:_MOST_MESSAGE]
    if sort is None or answer.get("skipped") or answer.get("unreachable"):
        return kept
    if answer.get("failed"):
        return {**kept, **(_done(answer) if sort == "act" else {})}
    wrong = documents.first_problem(answer, documents.ANSWERS, sort)
    looks = [each for each in (answer if sort == "look" else None, answer.get("health")) if each and not wrong]
    if any(contradicts_itself(each) for each in looks):
        wrong = "its status is not that of its worst gateway"
    return refused(wrong) if wrong else {**kept, **{key: answer[key] for key in _asked(sort) if key in answer}}


def refused(why: str) -> Answer:
    """What stands for an answer that is not one of ours."""
    return {"failed": True, "changed": False, "msg": "%s: %s" % (NOT_OURS, visible(why))}


def _fits(answer: Mapping[str, Any], key: str) -> bool:
    return key not in answer or answer[key] is None or isinstance(answer[key], _ANSIBLE_S[key])


def _word(key: str) -> str:
    kind = _ANSIBLE_S[key]
    return {bool: "truth value", str: "text", int: "number", list: "list"}.get(kind, "dict")


def _asked(sort: str) -> Mapping[str, Any]:
    """The keys of a sort of answer."""
    found: Mapping[str, Any] = documents.schema(documents.ANSWERS)["$defs"][sort]["properties"]
    return found


def _done(answer: Mapping[str, Any]) -> Answer:
    """What a module that failed on the way says that it had done: each list that is one."""
    keys = [key for key in _asked("act") if key in answer]
    fits = "act/properties/%s"
    return {key: answer[key] for key in keys if not documents.first_problem(answer[key], documents.ANSWERS, fits % key)}


def of_ansible(found: Mapping[str, Any]) -> Answer:
    """What Ansible has put into a result itself, or made an object of; a module cannot give it in this form."""
    kept = {key: value for key, value in found.items() if str(key).startswith("_ansible_")}
    for key in ("warnings", "deprecations"):
        if isinstance(found.get(key), list):
            kept[key] = [_harmless(each) for each in found[key] if isinstance(each, str) or is_dataclass(each)]
    if is_dataclass(found.get("exception")):
        kept["exception"] = _harmless(found["exception"])
    facts = found.get("ansible_facts")  # which Python was found on the host, and nothing else
    if isinstance(facts, dict):
        kept["ansible_facts"] = {key: facts[key] for key in facts if str(key).startswith(_INTERPRETER)}
    return kept


def _harmless(value: Any) -> Any:
    """A text, or what Ansible has made of texts of a host: nothing in it moves the cursor of who reads it."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, tuple):
        return tuple(_harmless(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _harmless(getattr(value, each.name)) for each in fields(value)})
    return value


def registered(variables: Mapping[str, Any], name: str) -> Optional[Answer]:
    """What a role has registered on a host, checked; None where it registered nothing."""
    found = variables.get(name)
    return None if found is None else checked(found, REGISTERED[name])


def of(variables: Mapping[str, Any]) -> Dict[str, Answer]:
    """All that the roles have registered on a host, by the variable that holds it, checked."""
    found = {name: registered(variables, name) for name in REGISTERED if name in variables}
    return {name: answer for name, answer in found.items() if answer is not None}
