"""How much a stranger may say: what is larger, deeper or no JSON is refused before anything else reads it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional


class Most(NamedTuple):
    """values: in all, keys among them; depth: of lists and dicts; text: characters of one text; texts: of all."""

    values: int
    depth: int
    text: int
    texts: int


#: Fifty times what a host with a thousand connections has to say.
MOST_OF_A_HOST = Most(values=500_000, depth=24, text=100_000, texts=16_000_000)
#: Several thousand such hosts; a host lies five deep in the document.
MOST_OF_A_FLEET = Most(values=50_000_000, depth=32, text=100_000, texts=1_000_000_000)
#: Cookies of sockets take 64 bits; no number that we return is larger.
_MOST_NUMBER = 1 << 64


def excess(found: Any, most: Most) -> str:
    """What is too much about a value, or no JSON; empty when nothing is. Never recurses."""
    left, values, texts = [(found, 0)], 0, 0
    while left:
        each, depth = left.pop()
        values += 1
        if isinstance(each, str):
            texts += len(each)
        wrong = _wrong(each, depth, most)
        more = len(each) if isinstance(each, (Mapping, list, tuple)) else 0
        if not wrong and values + len(left) + more > most.values:
            wrong = "more than %d values" % most.values
        if not wrong and texts > most.texts:
            wrong = "more than %d characters" % most.texts
        if wrong:
            return wrong
        if isinstance(each, Mapping):
            left.extend((one, depth + 1) for pair in each.items() for one in pair)
        elif isinstance(each, (list, tuple)):
            left.extend((one, depth + 1) for one in each)
    return ""


def _wrong(each: Any, depth: int, most: Most) -> Optional[str]:
    """What is wrong with one value, without what is in it."""
    if depth > most.depth:
        return "lists and dicts more than %d deep" % most.depth
    if isinstance(each, str):
        return "a text of %d characters" % len(each) if len(each) > most.text else None
    if each is None or isinstance(each, bool):
        return None
    if isinstance(each, (int, float)):
        return None if abs(each) <= _MOST_NUMBER and not math.isnan(each) else "a number that is none of ours"
    if isinstance(each, Mapping):
        keyed = len(each) > most.values or all(isinstance(key, str) for key in each)
        return None if keyed else "a dict with a key that is no text"
    return None if isinstance(each, (list, tuple)) else "something that is no JSON"
