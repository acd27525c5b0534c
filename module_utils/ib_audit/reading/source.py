"""Bytes become a Script, or the reason why they are none. Pure; never runs or imports what it reads."""

from __future__ import annotations

import ast
import io
import posixpath
import re
import sys
import tokenize
import warnings
from typing import Optional, Tuple, Union, cast

from .model import Script, Source
from .notebooks import code, is_notebook

_SHEBANG = re.compile(rb"^#!.*\b(?:python|pypy)[0-9.]*")
_SHEBANG_2 = re.compile(rb"^#!.*\bpython2")
#: What only Python 2 accepts. Looked for in files that do not parse, never in others.
_PYTHON_2 = re.compile(
    r"""^[ \t]*print\s+(?:["'%\w]|>>)          # print as a statement
      | ^[ \t]*print\s*$
      | ^[ \t]*except\s+[\w.()\s,]+?\s*,\s*\w+\s*:   # except Error, e:
      | ^[ \t]*raise\s+[\w.]+\s*,\s*\S         # raise Error, "text"
      | ^[ \t]*exec\s+["'\w]
      | \w\s*<>\s*\w
      | ^[ \t]*def\s+\w+\([^)]*\(\s*\w+\s*,    # def f(a, (b, c)):
    """,
    re.MULTILINE | re.VERBOSE,
)
_LONGEST_LINE = 2000

Verdict = Union[Script, Tuple[str, str]]


def is_python(path: str, data: bytes) -> bool:
    """Whether a file claims to be Python, by its name or its first line."""
    return posixpath.splitext(path)[1] in (".py", ".pyw", ".ipynb") or bool(_SHEBANG.match(data[:200]))


def parse(source: Source) -> Verdict:
    """The script, or (problem code, reason)."""
    if source.unreadable:
        return source.unreadable
    if b"\0" in source.data:
        return "file_not_python", "it is a binary file"
    notebook = is_notebook(source.path)
    text = code(source.data) if notebook else decoded(source.data)
    if text is None:
        return "file_not_python", "its bytes are no %s" % (
            "notebook" if notebook else "text in the encoding it declares"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _tree(text, notebook)
    except (SyntaxError, ValueError) as error:
        return _why_not(source, text, error)
    except (RecursionError, MemoryError):
        return "file_not_parsed", "it is nested too deeply"
    return Script(source.path, text, tree, source.command, source.context, source.processes, notebook)


def _tree(text: str, notebook: bool) -> ast.Module:
    if not notebook:
        return ast.parse(text)
    # In a cell `await` may stand outside of a coroutine.
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return cast("ast.Module", compile(text, "<notebook>", "exec", flags))


def decoded(data: bytes) -> Optional[str]:
    """The text of a Python file by its own coding line, its byte order mark left out; None where it is no text."""
    try:
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None


def _why_not(source: Source, text: str, error: Exception) -> Tuple[str, str]:
    if not is_python(source.path, source.data):
        return "file_not_python", "it is no Python file"
    if _SHEBANG_2.match(source.data[:200]) or _python_2(text):
        return "file_python2", "it is written in Python 2"
    line = getattr(error, "lineno", None)
    return "file_not_parsed", "Python %d.%d of this host cannot parse it%s: %s" % (
        sys.version_info[0],
        sys.version_info[1],
        " at line %d" % line if line else "",
        getattr(error, "msg", None) or error,
    )


def _python_2(text: str) -> bool:
    """Line by line, and only lines of a sane length: a stranger's text must not cost quadratic time."""
    return any(_PYTHON_2.search(line) for line in text.splitlines()[:5000] if len(line) <= _LONGEST_LINE)
