"""What a process was given on its command line for an option that its script declares. Pure."""

from __future__ import annotations

import ast
from typing import List, Optional, Sequence

from .project import Project
from .scopes import IMPORT, Table


def given(project: Project, table: Table, node: ast.AST, argv: Sequence[str], script: str) -> Optional[int]:
    """The number that a command line gives for an expression such as int(args.client_id) or sys.argv[1].

    argv: the whole command line; script: its script's path. None where it gives none, or cannot be told.
    """
    words = _own_words(argv, script)
    for each in ast.walk(node):
        if isinstance(each, ast.Subscript) and "sys.argv" in project.dotted(table, each.value):
            index = getattr(each.slice, "value", None)
            index = getattr(index, "value", index)  # before Python 3.9 the number is one level deeper
            if isinstance(index, int) and 0 < index <= len(words):
                return _number(words[index - 1])
        if isinstance(each, (ast.Attribute, ast.Name)):
            name = each.attr if isinstance(each, ast.Attribute) else each.id
            for one in [table, *project.neighbours(table)]:
                flags = _flags(one, name)
                number = _value(words, flags) if flags else None
                if number is not None:
                    return number
    return None


def follow(table: Table, node: ast.AST) -> List[ast.AST]:
    """An expression, and what the names in it are assigned here, some steps far."""
    found: List[ast.AST] = [node]
    for current in found:
        for each in ast.walk(current):
            if isinstance(each, ast.Name):
                for binding in table.lookup(each.id, each):
                    if binding.kind != IMPORT and binding.expression is not None and binding.expression not in found:
                        found.append(binding.expression)
        if len(found) > 20:
            break
    return found


def _own_words(argv: Sequence[str], script: str) -> List[str]:
    """The words after the script's own name, or after `-m module`."""
    name = script.rpartition("/")[2]
    for index, word in enumerate(argv):
        if index and (word.rpartition("/")[2] == name or (argv[index - 1] == "-m" and not word.startswith("-"))):
            return list(argv[index + 1 :])
    return list(argv[2:])


def _flags(table: Table, name: str) -> List[str]:
    """The flags of the option that is kept under a name."""
    for call in table.calls:
        if getattr(call.func, "attr", "") not in ("add_argument", "option"):
            continue
        flags = [str(each.value) for each in call.args if isinstance(each, ast.Constant)]
        dest = next((getattr(each.value, "value", "") for each in call.keywords if each.arg == "dest"), "")
        long = next((flag for flag in flags if flag.startswith("--")), flags[0] if flags else "")
        if name == (dest or long.lstrip("-").replace("-", "_")):
            return [flag for flag in flags if flag.startswith("-")]
    return []


def _value(words: Sequence[str], flags: Sequence[str]) -> Optional[int]:
    found = None
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in flags:
            found = _number(value if equals else next(iter(words[index + 1 : index + 2]), ""))
    return found


def _number(text: str) -> Optional[int]:
    return int(text) if text.isdigit() and len(text) < 12 else None
