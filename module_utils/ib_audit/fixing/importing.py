"""Where `import ib_connect` goes in a script: at the top, in its section, in the order that import sorters keep. Pure.

Sections are told apart by blank lines, as sorters write them: __future__, the standard library, other packages, and the
modules beside the script.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple, Union

import libcst as cst

from ..reading.model import KIT, LIBRARIES

_IMPORT = "import %s" % KIT
Span = Tuple[int, int]
Statement = Union[cst.SimpleStatementLine, cst.BaseCompoundStatement]


def with_import(module: cst.Module, own: Sequence[str], beside: bool) -> cst.Module:
    """The module with an import of the kit, unless it has one. own, beside: as in `rewriting.rewrite`."""
    body = list(module.body)
    if any(_imports_kit(node) for node in body):
        return module
    start = _after_future(body)
    sections = _sections(body, start)
    if not sections:
        return module.with_changes(body=_alone(body, start))
    wanted = _of_own(body, sections, own) if beside else _of_library(body, sections)
    if wanted is not None:
        return module.with_changes(body=_sorted_in(body, wanted))
    end = sections[-1][1]
    relative = _is_relative(body[sections[-1][0]])
    return module.with_changes(body=_section_before(body, sections[-1][0]) if relative else _section_after(body, end))


def _after_future(body: Sequence[cst.CSTNode]) -> int:
    """The place after the docstring and the imports from __future__."""
    place = 1 if body and _is_docstring(body[0]) else 0
    while place < len(body) and _module_of(body[place]) == "__future__":
        place += 1
    return place


def _sections(body: Sequence[cst.CSTNode], start: int) -> List[Span]:
    """The sections of the imports at the top, each from where to where."""
    found: List[Span] = []
    place = start
    while place < len(body) and _is_import(body[place]):
        if not found or _has_blank_line(body[place]):
            found.append((place, place + 1))
        else:
            found[-1] = (found[-1][0], place + 1)
        place += 1
    return found


def _of_library(body: Sequence[cst.CSTNode], sections: Sequence[Span]) -> Optional[Span]:
    """The section of the client library: that of packages which are installed."""
    for first, end in sections:
        if any(_module_of(node).partition(".")[0] in LIBRARIES for node in body[first:end]):
            return first, end
    return None


def _of_own(body: Sequence[cst.CSTNode], sections: Sequence[Span], own: Sequence[str]) -> Optional[Span]:
    """The section that holds nothing but modules from beside the script."""
    for first, end in sections:
        nodes = body[first:end]
        if all(_module_of(node) in own for node in nodes) and not any(map(_is_relative, nodes)):
            return first, end
    return None


def _sorted_in(body: List[Statement], section: Span) -> List[Statement]:
    """The import at its place in a section: `import x` before `from x import y`, each by name."""
    first, end = section
    place = end
    for index in range(first, end):
        if _is_from(body[index]) or _module_of(body[index]).lower() > KIT:
            place = index
            break
    added = _statement([])
    if place == first:
        # The blank lines before the section stay before it; comments stay with the statement they are about.
        lines = list(getattr(body[first], "leading_lines", ()))
        blank = [line for line in lines if line.comment is None]
        if len(blank) == len(lines):
            added = _statement(blank)
            body[first] = body[first].with_changes(leading_lines=[])
        else:
            place = first + 1
    return [*body[:place], added, *body[place:]]


def _section_after(body: List[Statement], end: int) -> List[Statement]:
    return [*body[:end], _statement([cst.EmptyLine(indent=False)]), *_spaced(body[end:])]


def _section_before(body: List[Statement], start: int) -> List[Statement]:
    lines = [line for line in getattr(body[start], "leading_lines", ()) if line.comment is None]
    after = body[start] if lines else _blank_before(body[start], 1)
    return [*body[:start], _statement(lines), after, *body[start + 1 :]]


def _alone(body: List[Statement], start: int) -> List[Statement]:
    """The import as the only one at the top."""
    lines = [cst.EmptyLine(indent=False)] if start else []
    return [*body[:start], _statement(lines), *_spaced(body[start:])]


def _spaced(rest: List[Statement]) -> List[Statement]:
    """What follows imports, with the blank lines before it that belong there."""
    if not rest:
        return rest
    wanted = 2 if isinstance(rest[0], (cst.FunctionDef, cst.ClassDef)) else 1
    return [_blank_before(rest[0], wanted), *rest[1:]]


def _blank_before(node: Statement, wanted: int) -> Statement:
    lines = list(getattr(node, "leading_lines", ()))
    blank = 0
    while blank < len(lines) and lines[blank].comment is None:
        blank += 1
    missing = [cst.EmptyLine(indent=False)] * max(wanted - blank, 0)
    return node.with_changes(leading_lines=[*missing, *lines])


def _statement(lines: Sequence[cst.EmptyLine]) -> cst.SimpleStatementLine:
    parsed = cst.ensure_type(cst.parse_statement(_IMPORT), cst.SimpleStatementLine)
    return parsed.with_changes(leading_lines=list(lines))


# --- what a statement is ---------------------------------------------------------------------------------------------


def _is_docstring(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and all(
        isinstance(each, cst.Expr) and isinstance(each.value, (cst.SimpleString, cst.ConcatenatedString))
        for each in node.body
    )


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and all(
        isinstance(each, (cst.Import, cst.ImportFrom)) for each in node.body
    )


def _is_from(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.ImportFrom)


def _is_relative(node: cst.CSTNode) -> bool:
    return (
        isinstance(node, cst.SimpleStatementLine)
        and isinstance(node.body[0], cst.ImportFrom)
        and bool(node.body[0].relative)
    )


def _module_of(node: cst.CSTNode) -> str:
    """The module that a statement imports, or the first of several."""
    if not _is_import(node):
        return ""
    first = cst.ensure_type(node, cst.SimpleStatementLine).body[0]
    name = first.module if isinstance(first, cst.ImportFrom) else cst.ensure_type(first, cst.Import).names[0].name
    return cst.Module([]).code_for_node(name) if name is not None else ""


def _has_blank_line(node: cst.CSTNode) -> bool:
    return any(line.comment is None for line in getattr(node, "leading_lines", ()))


def _imports_kit(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.SimpleStatementLine):
        return False
    return any(
        isinstance(each, cst.Import) and any(alias.evaluated_name == KIT and not alias.asname for alias in each.names)
        for each in node.body
    )
