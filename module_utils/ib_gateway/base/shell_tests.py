"""Whether a shell's condition holds: `[ ... ]`, `[[ ... ]]`, `(( ... ))`; None where only the shell can know. Pure."""

from __future__ import annotations

import re
from typing import Callable, List, Optional, Sequence

from .shell_known import Known, matches
from .shell_tree import OTHER, Command, Word

#: No zero before it, which not every comparison takes for the same.
_INTEGER = re.compile(r"^-?(?:0|[1-9]\d{0,8})$", re.ASCII)
_COUNTED = re.compile(r"^\s*(-?\d{1,9})\s*(?:(==|!=|<=|>=|<|>)\s*(-?\d{1,9})\s*)?$", re.ASCII)
_COUNT = re.compile(r"\$#|\$\{#\}")
_NUMBERS = {"-eq": "==", "-ne": "!=", "-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">="}
_SIGNS = ("=", "==", "!=", "-a", "-o", "!", "(", ")", "<", ">", "-n", "-z", *_NUMBERS)


def both(one: Optional[bool], other: Optional[bool]) -> Optional[bool]:
    return False if False in (one, other) else None if None in (one, other) else True


def opposite(one: Optional[bool]) -> Optional[bool]:
    return None if one is None else not one


def either(one: Optional[bool], other: Optional[bool]) -> Optional[bool]:
    return opposite(both(opposite(one), opposite(other)))


def numbers(one: str, sign: str, other: str) -> Optional[bool]:
    """A comparison of whole numbers."""
    if not _INTEGER.match(one) or not _INTEGER.match(other):
        return None
    first, second = int(one), int(other)
    return {
        **{"==": first == second, "!=": first != second, "<": first < second},
        **{">": first > second, "<=": first <= second, ">=": first >= second},
    }[sign]


def arithmetic(text: str, known: Known) -> Optional[bool]:
    """`(( $# > 0 ))`: counts are compared, and nothing else."""
    if known.more and _COUNT.search(text):
        return None
    found = _COUNTED.match(_COUNT.sub(str(len(known.words)), text))
    if found is None:
        return None
    one, sign, other = found.groups()
    return numbers(one, sign, other) if sign else int(one) != 0


def bracket(words: Sequence[Word], known: Known, bash: bool) -> Optional[bool]:
    """`[ ... ]` without its brackets. bash: whether it surely knows `==`."""
    values, more = known.expanded(words)
    # What a variable has in it may be read as a sign.
    if more or any(each in _SIGNS for each in values if each not in [word.raw for word in words]):
        return None
    if len([word for word in words if word.raw in _SIGNS]) != len([each for each in values if each in _SIGNS]):
        return None
    return _alternatives(values, lambda part: _compared(part, bash))


def _alternatives(values: List[str], compared: Callable[[List[str]], Optional[bool]]) -> Optional[bool]:
    """Parts that -o and -a, which binds more, put together."""
    for sign, together in (("-o", either), ("-a", both)):
        if sign in values and len(values) > 4:
            place = values.index(sign)
            one, other = _alternatives(values[:place], compared), _alternatives(values[place + 1 :], compared)
            return together(one, other)
    return compared(values)


def _compared(values: List[str], bash: bool) -> Optional[bool]:
    if len(values) > 1 and values[0] == "!":
        return opposite(_compared(values[1:], bash)) if len(values) > 2 else None
    if len(values) == 2 and values[0] in ("-n", "-z"):
        return (values[1] != "") is (values[0] == "-n")
    if len(values) == 1 and values[0] not in _SIGNS:
        return values[0] != ""
    if len(values) != 3 or values[0] in _SIGNS or values[2] in _SIGNS:
        return None
    one, sign, other = values
    if sign == "==":  # an error, and so false, where it is not known
        return (True if bash else None) if one == other else False
    if sign in ("=", "!="):
        return (one == other) is (sign == "=")
    return numbers(one, _NUMBERS[sign], other) if sign in _NUMBERS else None


def double_bracket(command: Command, known: Known) -> Optional[bool]:
    """`[[ ... ]]`: comparisons put together by && and ||, without brackets around some."""
    parts: List[List[Word]] = [[]]
    signs: List[str] = []
    for word in command.words:
        if word.parts and word.parts[0].kind == OTHER and word.raw in ("&&", "||"):
            signs.append(word.raw)
            parts.append([])
        elif word.parts and word.parts[0].kind == OTHER and len(word.raw) <= 2 and word.raw not in ("$'", "``"):
            return None
        else:
            parts[-1].append(word)
    values = [_in_double(each, known) for each in parts]
    found: Optional[bool] = False
    together: Optional[bool] = values[0]
    for sign, value in zip(signs, values[1:]):
        if sign == "&&":
            together = both(together, value)
        else:
            found, together = either(found, together), value
    return either(found, together)


def _in_double(words: Sequence[Word], known: Known) -> Optional[bool]:
    if len(words) > 1 and words[0].raw == "!":
        return opposite(_in_double(words[1:], known))
    if len(words) == 2 and words[0].raw in ("-n", "-z"):
        value = known.value(words[1])
        return None if value is None else (value != "") is (words[0].raw == "-n")
    if len(words) == 1:
        value = known.value(words[0])
        return None if value is None else value != ""
    if len(words) != 3:
        return None
    one, sign = known.value(words[0]), words[1].raw
    if sign in ("=", "==", "!="):
        found = matches(one, known.pattern(words[2])) if one is not None else None
        return found if sign != "!=" else opposite(found)
    other = known.value(words[2])
    return numbers(one, _NUMBERS[sign], other) if sign in _NUMBERS and one is not None and other is not None else None
