"""Imports put off until they are needed.

importlib.util.LazyLoader does not serve: before Python 3.12 an import statement already counts as use.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType
from typing import Any, Iterator


class _Deferred(ModuleType):
    """Stands for a module of this name; the module itself is imported when something of it is used."""

    def __getattr__(self, attribute: str) -> Any:
        _withdraw(self)
        return getattr(importlib.import_module(self.__name__), attribute)


@contextlib.contextmanager
def deferred(name: str) -> Iterator[None]:
    """What is imported meanwhile and imports this module itself gets it when it uses it, or an ImportError then.

    name: of a module on the top level. Does nothing where it is loaded already; leaves nothing behind for others who
    import it later.
    """
    if name in sys.modules:
        yield
        return
    stand_in = sys.modules[name] = _Deferred(name)
    try:
        yield
    finally:
        _withdraw(stand_in)


def _withdraw(stand_in: _Deferred) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
