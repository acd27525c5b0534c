"""What is done about a kind of trouble, by the plans of the gateways that have it, and what else they have. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...ib_gateway.base.actions import BY_NAME, WAIT, describe
from ...ib_gateway.base.findings import CATALOGUE, INFO
from .wording import plain, sentence

Gateway = Mapping[str, Any]
#: More reasons or findings than this of one gateway are counted: its host's part of the page has them all.
_MOST = 3
#: What a repair does where several gateways are meant, by the action's name.
_OF_SEVERAL = {
    "wait": "wait",
    "drop_connection": "cut connections",
    "stop_client": "stop scripts",
    "stop_gateway": "stop surplus gateways",
}


def done_about(code: str, ones: Sequence[Gateway]) -> str:
    """What the plans of these gateways do about their verdict, or why they do nothing; one sentence or two."""
    if len(ones) == 1:
        return _of_one(code, ones[0])
    planned = [each for each in ones if each["plan"]["steps"]]
    kept = [each for each in ones if not each["plan"]["steps"] and each["plan"]["withheld"]]
    if not planned:
        return "Nothing is done on them; why not stands with each." if kept else _nothing(code)
    orders = {tuple(dict.fromkeys(step["action"] for step in each["plan"]["steps"])) for each in planned}
    steps = ", then ".join(_several(name) for name in next(iter(orders))) if len(orders) == 1 else "take several steps"
    whom = "each" if len(planned) == len(ones) else str(len(planned))
    told = "On %s of them a repair would %s." % (whom, steps)
    only = sum(each["remediation"] == "plan_only" for each in planned)
    if only:
        many = "All of them say" if only == len(planned) else "%d of them %s" % (only, "says" if only == 1 else "say")
        told += " %s plan_only, and there no run does it." % many
    if len(planned) < len(ones):
        told += " On the rest nothing is done."
    return told + " Steps and reasons stand with each."


def _several(name: str) -> str:
    action = BY_NAME.get(name)
    return _OF_SEVERAL.get(name) or "%s the gateway" % (action.infinitive if action else plain(name))


def _of_one(code: str, gateway: Gateway) -> str:
    plan = gateway["plan"]
    steps = [
        "%s%s" % ("if that does not help, " if each["only_if_persists"] else "", describe(each))
        for each in plan["steps"]
    ]
    withheld = list(dict.fromkeys(plan["withheld"]))
    if steps:
        only = gateway["remediation"] == "plan_only" and any(each["action"] != WAIT for each in plan["steps"])
        told = "A repair would %s." % _listed(steps, "; then ", "step")
        return told + (" The entry says plan_only: no run does it." if only else "")
    return "Nothing is done. %s" % sentence(_listed(withheld, "; ", "reason")) if withheld else _nothing(code)


def _listed(told: Sequence[str], between: str, noun: str) -> str:
    more = len(told) - _MOST
    counted = "%sand %d more %s%s" % (between, more, noun, "s" if more > 1 else "") if more > 0 else ""
    return between.join(told[:_MOST]) + counted


def _nothing(code: str) -> str:
    """Where a plan has neither a step nor a reason against one: the usual words, as far as they promise nothing."""
    usual = CATALOGUE[code].done if code in CATALOGUE else ""
    return usual if usual.startswith(("Nothing ", "No ")) else "Nothing is planned."


def also(code: str, gateway: Gateway) -> list[Mapping[str, Any]]:
    """The findings of a gateway that count beside that of its verdict."""
    return [each for each in gateway["findings"] if each["code"] != code and each["severity"] != INFO]


def also_told(code: str, ones: Sequence[Gateway]) -> list[tuple[str, str]]:
    """(what, its code) for everything else that was found on these gateways, the worst first as they have it."""
    found = [also(code, gateway) for gateway in ones]
    if len(ones) == 1:
        told = [(sentence(each["summary"]), str(each["code"])) for each in found[0]]
        more = len(told) - _MOST
        return told[:_MOST] + ([("And %d more." % more, "")] if more > 0 else [])
    counts = Counter(name for each in found for name in {str(one["code"]) for one in each})
    return [("On %d of them: %s." % (count, plain(name)), name) for name, count in counts.most_common(_MOST)]
