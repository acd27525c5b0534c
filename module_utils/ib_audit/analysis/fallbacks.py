"""Values that count where nothing else is given: of the environment, command lines, settings and callers. Pure."""

from __future__ import annotations

import ast
from functools import partial
from typing import Dict, List, NamedTuple, Optional, Tuple

from .project import Argument, Project
from .scopes import Function, Table

ENVIRONMENT, COMMAND_LINE, SETTINGS, CALLER = "the environment", "the command line", "the configuration", "the caller"

_ENVIRONMENTS = frozenset(("os.getenv", "os.environ.get", "os.environ.setdefault", "environ.get"))
_FIELDS = frozenset(
    ("pydantic.Field", "dataclasses.field", "typer.Option", "typer.Argument", "attr.ib", "attr.attrib", "attrs.field")
)
_NO_OPTIONS: Dict[str, List[ast.expr]] = {}
_OPTIONS = frozenset(("click.option", "click.argument", "typer.Option"))
_GETTERS = ("get", "pop", "setdefault", "getint", "getfloat")
#: How many names these take: a section and a name, as configparser has it.
_NAMES_GIVEN = {"getint": 2, "getfloat": 2}
_KEYWORDS = ("default", "fallback")


class Fallback(NamedTuple):
    """What is used where `source` gives nothing; key: the name that is asked for there."""

    source: str
    key: str
    expression: Optional[ast.expr]


def of_call(project: Project, table: Table, call: ast.Call) -> Optional[Fallback]:
    """The fallback of a call that asks for a setting by its name; None for any other call."""
    names = project.dotted(table, call.func)
    keyword = next((each.value for each in call.keywords if each.arg in _KEYWORDS), None)
    if names & _FIELDS:
        source = COMMAND_LINE if any(name.startswith("typer.") for name in names) else ""
        return Fallback(source, "", keyword if keyword is not None or not call.args else call.args[0])
    key = _text(call.args[0]) if call.args else ""
    second = call.args[1] if len(call.args) > 1 else None
    if names & _ENVIRONMENTS:
        return Fallback(ENVIRONMENT, key, second if second is not None else keyword)
    if "builtins.getattr" in names and len(call.args) == 3:
        return Fallback(SETTINGS, _text(call.args[1]), call.args[2])
    if isinstance(call.func, ast.Attribute) and call.func.attr in _GETTERS and key:
        return Fallback(SETTINGS, key, keyword if keyword is not None else second)
    if key and keyword is not None and not project.called(table, call):
        return Fallback(SETTINGS, key, keyword)
    return None


def of_option(project: Project, table: Table, node: ast.Attribute) -> List[Argument]:
    """The defaults of the command line's option that an attribute such as args.client_id stands for."""
    found: List[Argument] = []
    for one in [table, *project.neighbours(table)]:
        options = project.questions.answer(("options", one.script.path), partial(_options, one), _NO_OPTIONS)
        found.extend(Argument(one, each) for each in options.get(node.attr, ()))
    return found


def _options(table: Table) -> Dict[str, List[ast.expr]]:
    """By destination: the defaults that add_argument() gives."""
    found: Dict[str, List[ast.expr]] = {}
    for call in table.calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if "default" in given:
            flags = [_text(each) for each in call.args]
            name = _text(given["dest"]) if "dest" in given else _destination(flags)
            found.setdefault(name, []).append(given["default"])
    return found


def of_parameter(project: Project, table: Table, function: Function, name: str) -> List[Argument]:
    """The default that a click option gives for a function's parameter."""
    found: List[Argument] = []
    for decorator in getattr(function, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and project.dotted(table, decorator.func) & _OPTIONS:
            flags = [_text(each) for each in decorator.args]
            default = next((each.value for each in decorator.keywords if each.arg == "default"), None)
            plain = [flag for flag in flags if flag and not flag.startswith("-")]
            if default is not None and name in (*plain, _destination(flags)):
                found.append(Argument(table, default))
    return found


def _destination(flags: List[str]) -> str:
    long = next((flag for flag in flags if flag.startswith("--")), flags[0] if flags else "")
    return long.lstrip("-").replace("-", "_")


def is_given(project: Project, table: Table, node: ast.expr) -> bool:
    """Whether an expression is an argument of the command line: sys.argv[1], int(sys.argv[1])."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    return isinstance(node, ast.Subscript) and "sys.argv" in project.dotted(table, node.value)


def keys(node: ast.AST) -> List[str]:
    """The names that lead to a value in nested settings: cfg["ib"]["port"], cfg.get("ib").get("port"), and the like."""
    found: List[str] = []
    while True:
        if isinstance(node, ast.Subscript):
            index = node.slice.value if isinstance(node.slice, ast.Index) else node.slice  # type: ignore[attr-defined]
            texts, node = [_text(index)], node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GETTERS:
            texts, node = [_text(each) for each in node.args[: _NAMES_GIVEN.get(node.func.attr, 1)]], node.func.value
        else:
            return found
        if not all(texts):
            return found
        found = [*texts, *found]


def is_settings(project: Project, table: Table, node: ast.ClassDef) -> bool:
    """Whether a class takes its fields from the environment, and its defaults only where that gives none."""
    return bool(project.bases(table, node) & {"pydantic_settings.BaseSettings", "pydantic.BaseSettings"})


def home_of(table: Table, node: ast.AST) -> Optional[Tuple[Table, ast.ClassDef]]:
    """The class in whose body a value is written."""
    scope = table.scope(node)
    return (table, scope.node) if isinstance(scope.node, ast.ClassDef) else None


def _text(node: ast.AST) -> str:
    value = getattr(node, "value", None)
    return value if isinstance(node, ast.Constant) and isinstance(value, str) else ""
