"""Which commands of a shell's text a call of it can reach. Pure.

A branch is left out only where its condition is known not to hold; where nobody knows it, what is done and what is not
are both gone through, and what the two do not agree on is unknown behind them. What is not understood ends the walk.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from .shell_commands import PIECE, TAKEN, Commands, Frame, Sourced, Way
from .shell_known import Known, matches, merged
from .shell_tests import opposite
from .shell_tree import AndOr, Case, Command, Function, Group, If, Loop, Pipeline, Redirect, Unclear


class Walk(Commands):
    """ways: by the id of a choice, the branches that are certain, None among them where one was not."""

    def __init__(self, text: str, given: Optional[Sequence[str]], more: bool, sourced: Sourced, bash: bool) -> None:
        super().__init__(text, given, sourced, bash)
        self.ways: Dict[int, Set[Optional[int]]] = {}
        self._list(self.tree, Known(given or (), more or given is None, self._splits))
        self._run_perhaps()

    def _run_perhaps(self) -> None:
        done: Set[int] = set()
        while True:
            names = set(self._functions) if self._any else self._perhaps & set(self._functions)
            left = [each for name in names for each in self._functions[name] if id(each) not in done]
            if not left:
                return
            for each in left:
                done.add(id(each))
                self._frames = [Frame(False), Frame(True)]
                self._command(each.body, Known((), True, self._splits))

    # --- lists --------------------------------------------------------------------------------------------------------

    def _list(self, items: Sequence[AndOr], known: Optional[Known]) -> Way:
        status: Optional[bool] = True
        for each in items:
            if known is None:
                break
            status, known = self._and_or(each, known)
        return status, known

    def _and_or(self, node: AndOr, known: Known) -> Way:
        if node.background:
            self._chain(node, known.copy())
            return None, known
        return self._chain(node, known)

    def _chain(self, node: AndOr, start: Known) -> Way:
        status: Optional[bool] = None
        known: Optional[Known] = start
        for sign, pipeline in node.pipelines:
            if known is None:
                break
            wanted = sign != "||"
            if not sign or status is wanted:
                status, known = self._pipeline(pipeline, known)
            elif status is None:
                status, after = self._pipeline(pipeline, known.copy())
                known = merged((known, after))
                status = status if after is not None and status is (not wanted) else None if after else not wanted
        return status, known

    def _pipeline(self, node: Pipeline, known: Known) -> Way:
        if len(node.commands) == 1:
            status, after = self._command(node.commands[0], known)
            status = opposite(status) if node.negated else status
            self._took(node, None if status is None else int(status))
            return status, after
        for each in node.commands[:-1]:
            self._command(each, known.copy())
        # Some shells run the last one themselves.
        return None, merged((known, self._command(node.commands[-1], known.copy())[1]))

    def _took(self, node: Any, way: Optional[int]) -> None:
        self.ways.setdefault(id(node), set()).add(way)

    # --- commands -----------------------------------------------------------------------------------------------------

    def _command(self, node: Any, known: Known) -> Way:
        self._spend(1 + len(known.values) // 8)
        redirects: Sequence[Redirect] = getattr(node, "redirects", ())
        for each in redirects:
            self._inner(each.target, known)
        if not all(map(_succeeds, redirects)):
            return None, merged((known, self._kind(node, known.copy())[1]))
        return self._kind(node, known)

    def _kind(self, node: Any, known: Known) -> Way:
        if isinstance(node, Command):
            return self._one(node, known)
        if isinstance(node, Function):
            if node.name in TAKEN or (node.keyword and not self._bash):
                raise Unclear("a function in the place of a command")
            found = self._functions.setdefault(node.name, [])
            if not any(each is node for each in found):
                found.append(node)
            if node.name == "command_not_found_handle":
                self._perhaps.add(node.name)
            return True, known
        if isinstance(node, Group):
            if not node.apart:
                return self._list(node.body, known)
            self._list(node.body, known.copy())
            return None, known
        kinds: Dict[type, Callable[[Any, Known], Way]] = {If: self._if, Case: self._case, Loop: self._loop}
        return kinds[type(node)](node, known)

    def _if(self, node: If, known: Known) -> Way:
        left: List[Optional[Known]] = []
        before: Optional[Known] = known
        way: Optional[int] = -1
        for place, (condition, body) in enumerate(node.branches):
            status: Optional[bool] = True
            if condition is not None:
                status, before = self._list(condition, before)
            if before is None:
                way = None
                break
            if status is False:
                continue
            left.append(self._list(body, before if status else before.copy())[1])
            way = place if status and way == -1 else None
            if status:
                before = None
                break
        self._took(node, way)
        return None, merged((*left, before))

    def _case(self, node: Case, known: Known) -> Way:
        value = known.value(node.word)
        self._inner(node.word, known)
        if any(sign != ";;" for _patterns, _body, sign in node.branches):
            self._took(node, None)
            for _patterns, body, _sign in node.branches:
                known = merged((known, self._list(body, known.copy())[1])) or known
            return None, known
        left: List[Optional[Known]] = []
        before: Optional[Known] = known
        way: Optional[int] = -1
        for place, (patterns, body, _sign) in enumerate(node.branches):
            self._spend(len(patterns))
            for each in patterns:
                self._inner(each, known)
            fits = [matches(value, known.pattern(each)) for each in patterns]
            fit = True if True in fits else None if None in fits else False
            if fit is False or before is None:
                continue
            left.append(self._list(body, before if fit else before.copy())[1])
            way = place if fit and way == -1 else None
            before = None if fit else before
        self._took(node, way)
        return None, merged((*left, before))

    def _loop(self, node: Loop, known: Known) -> Way:
        for word in node.words:
            self._inner(word, known)
            if not word.parts:  # for ((..))
                self._perhaps.update(PIECE.findall(word.raw))
                known.values.clear()
        start, broken = known, []  # type: Known, List[Known]
        leaves: Optional[Known] = known
        self._frames[-1].loops.append(broken)
        for each in range(4):
            if each == 3:
                start.forget()
            known = start.copy()
            known.values.pop(node.name, None)
            status, ready = self._list(node.condition, known) if node.condition else (None, known)
            leaves = ready and ready.copy()
            goes = status is not (node.kind == "until") if node.condition and status is not None else True
            after = self._list(node.body, ready)[1] if goes and ready is not None else None
            again = merged((start, after, *broken)) or start
            if each and again.same(start):
                break
            start = again
        self._frames[-1].loops.pop()
        return None, merged((start, leaves, *broken))


def _succeeds(redirect: Redirect) -> bool:
    """Whether a redirection surely does, and is none to every shell that has an & in it."""
    sure = redirect.sign.startswith("<<") or re.match(r"^(?:/dev/null|-|\d)$", redirect.target.raw) is not None
    return sure and not redirect.sign.startswith("&")
