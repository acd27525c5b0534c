"""Rules about sleeping where the event loop must go on."""

from __future__ import annotations

import ast
from typing import Dict, Iterator, List, Set, Tuple

from ..analysis import flow
from ..analysis.connections import client_classes
from ..analysis.scopes import FUNCTIONS, Table
from ..reading.model import Found
from .case import Case, found, where

_SLEEPS = frozenset(
    ["time.sleep"]
    + ["%s.%s" % (name, sleep) for name in ("ib_insync", "ib_async") for sleep in ("util.sleep", "IB.sleep")]
)
#: Methods of the client that run the loop until something happens: like a sleep, they cannot be nested.
_RUNNING = ("sleep", "waitOnUpdate", "waitUntil")
#: What the official library calls on its reading thread; while one of them sleeps nothing is read.
# fmt: off
_CALLBACKS = frozenset(
    (
        "nextValidId", "managedAccounts", "error", "connectAck", "connectionClosed", "tickPrice", "tickSize",
        "tickString", "tickGeneric", "orderStatus", "openOrder", "openOrderEnd", "execDetails",
        "execDetailsEnd", "updateAccountValue", "updatePortfolio", "accountDownloadEnd", "position",
        "positionEnd", "historicalData", "historicalDataEnd", "historicalDataUpdate", "realtimeBar",
        "contractDetails", "contractDetailsEnd", "accountSummary", "accountSummaryEnd", "currentTime",
        "updateMktDepth", "tickByTickAllLast", "tickByTickBidAsk", "pnl", "pnlSingle", "commissionReport",
    )
)
# fmt: on


def blocking_sleep(case: Case, table: Table) -> Iterator[Found]:
    """A blocking sleep in a coroutine or an event handler, or in a plain function that one of them calls."""
    if not case.project.libraries(table) and not case.of(table):
        return
    for node, what in _running(case, table):
        body = node.body if isinstance(node.body, list) else [node.body]
        for statement in body:
            for home, call, first in flow.reachable(case.project, table, statement):
                outer = home.function(call)
                if not _sleeps(case, home, call) or (call is not first and isinstance(outer, ast.AsyncFunctionDef)):
                    continue
                summary = "%s sleeps, and nothing else is received meanwhile" % what
                if call is not first:
                    summary += "; the sleep is at %s" % where(home, call)
                yield found("blocking_sleep", table, first, summary)


Runner = Tuple["ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda", str]


def _running(case: Case, table: Table) -> List[Runner]:
    """The functions of a script that the event loop runs, each with what it is."""
    runners: Dict[ast.AST, Runner] = {}
    for node in [scope.node for scope in table.scopes()]:
        if isinstance(node, ast.AsyncFunctionDef):
            runners[node] = (node, "coroutine %s" % node.name)
        elif isinstance(node, ast.ClassDef) and case.project.bases(table, node) & {"ibapi.wrapper.EWrapper"}:
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name in _CALLBACKS:
                    runners[each] = (each, "callback %s" % each.name)
    for handler in _handlers(table):
        for home, node in _functions(case, table, handler):
            if home is table and isinstance(node, FUNCTIONS) and node not in runners:
                runners[node] = (node, "event handler %s" % getattr(node, "name", "(a lambda)"))
    return list(runners.values())


def _handlers(table: Table) -> Iterator[ast.expr]:
    """What is registered for events: ib.orderStatusEvent += handler, ib.orderStatusEvent.connect(handler)."""
    for node in ast.walk(table.script.tree):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and _is_event(node.target):
            yield node.value
    for call in table.calls:
        function = call.func
        if (
            isinstance(function, ast.Attribute)
            and function.attr == "connect"
            and call.args
            and _is_event(function.value)
        ):
            yield call.args[0]


def _is_event(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and (node.attr.endswith("Event") or node.attr == "updateEvent")


def _functions(case: Case, table: Table, node: ast.expr) -> Set[Tuple[Table, ast.AST]]:
    if isinstance(node, ast.Lambda):
        return {(table, node)}
    return {(each.table, each.node) for each in case.project.things(table, node) if each.table and each.node}


def _sleeps(case: Case, table: Table, call: ast.Call) -> bool:
    if case.project.dotted(table, call.func) & _SLEEPS:
        return True
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _RUNNING:
        return False
    return bool(client_classes(case.project, table, function.value))


RULES = (blocking_sleep,)
