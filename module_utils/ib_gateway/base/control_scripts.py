"""What of a control script one call of it runs: `ibc.sh start`, and not what it has for stop. Pure.

Only where that is certain from its text; everything else is left as it is. What is left stands where it stood.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from .shell_commands import Sourced
from .shell_looks import only_look
from .shell_tree import Case, Command, Function, Group, If, Loop, Pipeline, Unclear
from .shell_walk import Walk

_NOT_LINE = re.compile(r"[^\n]")
#: Do nothing but hold or not.
_CONDITIONS = ("[", "[[", "test", ":", "true", "false")


def _none(_line: int) -> Optional[str]:
    return None


def part_run(
    text: str, given: Optional[Sequence[str]], more: bool = False, sourced: Sourced = _none, bash: bool = False
) -> str:
    """The text with blanks in the place of commands that this call cannot reach, and of those that only look who runs.

    given: the words that the script is given, None where they are not known; more: whether there may be others behind
    them. sourced: gives the text of a file that it runs as its own in a line. bash: whether its shell surely is one.
    """
    try:
        walk = Walk(text, given, more, sourced, bash)
    except (Unclear, RecursionError):
        return text
    signs = list(text)
    for start, end, left in _unused(walk, bash):
        signs[start:end] = _NOT_LINE.sub(" ", text[start:end])
        if left and start < end and signs[start] != "\n":
            signs[start] = left
    return "".join(signs)


def _unused(walk: Walk, bash: bool) -> Iterator[Tuple[int, int, str]]:
    """(where a part begins that is not run or ends nobody, where it ends, what separates the commands around it)."""
    for command in walk.grammar.commands:
        if id(command) not in walk.reached:
            yield command.start, command.end, ""
            yield from ((start, end, "") for start, end in command.spans)
    for node in _all(walk.tree):
        ways = walk.ways.get(id(node), {None})
        (way,) = ways if len(ways) == 1 else (None,)
        if isinstance(node, (If, Case)) and way is not None and _is_plain(node):
            place = node.start
            for start, end in (node.inside[way],) if way >= 0 else ():
                yield place, start, ";"
                place = end
            yield place, node.end, ";"
    for node in _all(walk.tree):
        if isinstance(node, Pipeline) and only_look(node, bash):
            yield node.start, node.end, ""


def _is_plain(node: Any) -> bool:
    """Whether what decides a choice does nothing but that."""
    if isinstance(node, Case):
        return not node.redirects and "$(" not in node.word.raw and "`" not in node.word.raw
    conditions = [each for condition, _body in node.branches for each in condition or ()]
    return not node.redirects and all(
        isinstance(command, Command)
        and bool(command.words)
        and (command.kind == "[[" or command.words[0].raw in _CONDITIONS)
        and not any("$(" in word.raw or "`" in word.raw for word in command.words)
        for each in conditions
        for _sign, pipeline in each.pipelines
        for command in pipeline.commands
    )


def _all(tree: Sequence[Any]) -> Iterator[Any]:
    """Every node below these lists, the substitutions in words as well."""
    left: List[Any] = list(tree)
    while left:
        node = left.pop()
        yield node
        left += _below(node)


def _below(node: Any) -> List[Any]:
    if isinstance(node, Command):
        return [one for word in node.words for part in word.parts for one in part.body or ()]
    if isinstance(node, Pipeline):
        return list(node.commands)
    if isinstance(node, If):
        return [one for condition, body in node.branches for one in (*(condition or ()), *body)]
    if isinstance(node, Case):
        return [one for _patterns, body, _sign in node.branches for one in body]
    if isinstance(node, Loop):
        inner = [one for word in node.words for part in word.parts for one in part.body or ()]
        return [*inner, *node.condition, *node.body]
    if isinstance(node, Group):
        return list(node.body)
    if isinstance(node, Function):
        return [node.body]
    return [pipeline for _sign, pipeline in getattr(node, "pipelines", ())]
