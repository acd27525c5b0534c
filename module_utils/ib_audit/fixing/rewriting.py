"""Carries edits out on a script's text with LibCST, which keeps comments and formatting. Pure.

The only file that needs LibCST; it is imported when something is to be rewritten, and not before.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple, Union

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from .edit import ARGUMENT, MOVE, REMOVE, REPLACE, Edit
from .importing import with_import

Span = Tuple[Tuple[int, int], Tuple[int, int]]


def rewrite(data: bytes, edits: Sequence[Edit], own: Sequence[str] = (), beside: bool = False) -> Optional[bytes]:
    """The script with its edits; None where LibCST cannot read it or does not find every place.

    own: the modules it imports from beside it; beside: whether the kit is one of these.
    """
    try:
        module = cst.parse_module(data)
    except (cst.ParserSyntaxError, RecursionError, UnicodeError):
        return None
    rewriter = _Rewriter(edits)
    try:
        changed = MetadataWrapper(module, unsafe_skip_copy=True).visit(rewriter)
    except RecursionError:
        return None
    if rewriter.missing():
        return None
    if any(edit.action in (REPLACE, ARGUMENT) for edit in edits):
        changed = with_import(changed, own, beside)
    return changed.bytes


class _Rewriter(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, edits: Sequence[Edit]) -> None:
        super().__init__()
        self._edits: Dict[Tuple[str, Span], Edit] = {(edit.action, (edit.start, edit.end)): edit for edit in edits}
        self._wraps = {edit.wrap for edit in edits if edit.wrap}
        self._done: Set[Tuple[str, Span]] = set()
        self._moved: List[cst.SimpleStatementLine] = []
        self._moves = any(edit.action == MOVE for edit in edits)
        self._inserted = False

    def missing(self) -> bool:
        """Whether an edit found no place."""
        return set(self._edits) != self._done or (self._moves and not self._inserted)

    def _place(self, node: cst.CSTNode) -> Span:
        place: Any = self.get_metadata(PositionProvider, node)
        return (place.start.line, place.start.column), (place.end.line, place.end.column)

    def _edit(self, action: str, node: cst.CSTNode) -> Optional[Edit]:
        key = (action, self._place(node))
        edit = self._edits.get(key)
        if edit is not None:
            self._done.add(key)
        return edit

    def leave_Integer(self, original_node: cst.Integer, updated_node: cst.Integer) -> cst.BaseExpression:
        """A number in whose place another expression comes."""
        return self._replaced(original_node, updated_node)

    def _replaced(self, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        edit = self._edit(REPLACE, original)
        return cst.parse_expression(edit.text) if edit else updated

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """A name in whose place another expression comes."""
        return self._replaced(original_node, updated_node)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        """Likewise for an attribute."""
        return self._replaced(original_node, updated_node)

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        """Likewise for a sum."""
        return self._replaced(original_node, updated_node)

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        """Likewise for a negative number."""
        return self._replaced(original_node, updated_node)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A call in whose place another one comes, or that gets one more argument."""
        edit = self._edit(ARGUMENT, original_node)
        changed = self._replaced(original_node, updated_node)
        if edit is not None:
            call = cst.ensure_type(cst.parse_expression("f(%s)" % edit.text), cst.Call)
            changed = updated_node.with_changes(args=[*_open_ended(updated_node.args), call.args[0]])
        return (
            _wrapped(changed)
            if isinstance(changed, cst.Call) and self._place(original_node) in self._wraps
            else changed
        )

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Union[cst.BaseStatement, cst.RemovalSentinel]:
        """A statement that goes away, or to the main guard."""
        if len(original_node.body) != 1:
            return updated_node
        statement = original_node.body[0]
        if self._edit(MOVE, statement) is not None:
            self._moved.append(updated_node)
            return cst.RemoveFromParent()
        if self._edit(REMOVE, statement) is None:
            return updated_node
        if any(line.comment for line in updated_node.leading_lines) or updated_node.trailing_whitespace.comment:
            return updated_node.with_changes(body=[cst.Pass()])  # what a person wrote beside it stays
        return cst.RemoveFromParent()

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """A block that has lost its only statement."""
        only_text = updated_node.body and all(_is_docstring(each) for each in updated_node.body)
        if updated_node.body or len(original_node.body) == len(updated_node.body) or only_text:
            return updated_node
        return updated_node.with_changes(body=[cst.SimpleStatementLine(body=[cst.Pass()])])

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:  # noqa: ARG002
        """The main guard gets what was taken out elsewhere."""
        if not self._moves:
            return updated_node
        body = list(updated_node.body)
        for index, node in enumerate(body):
            if isinstance(node, cst.If) and _is_guard(node) and isinstance(node.body, cst.IndentedBlock):
                moved = [_without_blank_lines(each) for each in self._moved]
                block = node.body.with_changes(body=[*moved, *node.body.body])
                body[index] = node.with_changes(body=block)
                self._inserted = True
                break
        return updated_node.with_changes(body=body)


def _wrapped(call: cst.Call) -> cst.Call:
    """A call with a line for each argument and a comma after the last one."""

    def line(indent: str) -> cst.ParenthesizedWhitespace:
        return cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(indent))

    args = [each.with_changes(comma=cst.Comma(whitespace_after=line("    "))) for each in call.args[:-1]]
    args.append(
        call.args[-1].with_changes(
            comma=cst.Comma(whitespace_after=line("")), whitespace_after_arg=cst.SimpleWhitespace("")
        )
    )
    return call.with_changes(whitespace_before_args=line("    "), args=args)


def _open_ended(args: Sequence[cst.Arg]) -> List[cst.Arg]:
    """Arguments after which another one may come: keywords have to follow what is given by place."""
    found = list(args)
    if found and isinstance(found[-1].comma, cst.MaybeSentinel):
        found[-1] = found[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
    return found


def _is_docstring(node: cst.BaseStatement) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and all(
        isinstance(each, cst.Expr) and isinstance(each.value, cst.SimpleString) for each in node.body
    )


def _is_guard(node: cst.If) -> bool:
    text = cst.Module([]).code_for_node(node.test)
    return "__name__" in text and "__main__" in text


def _without_blank_lines(node: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
    return node.with_changes(leading_lines=[line for line in node.leading_lines if line.comment])
