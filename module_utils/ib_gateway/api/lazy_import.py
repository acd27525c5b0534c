"""Imports put off until they are needed: of a module that others import, and of a package of which one part is used.

importlib.util.LazyLoader does not serve: before Python 3.12 an import statement already counts as use.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Iterator


class _Deferred(ModuleType):
    """Stands for a module or package of this name, which itself is imported when something of it is used."""

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


def submodule(package: str, name: str) -> ModuleType:
    """package.name without what the package imports for its other parts; it is imported whole where it has to be.

    Leaves nothing behind: who imports the package later gets all of it, with modules of its own. So the caller keeps
    what it got. Raises ImportError as an import of the package would.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations is not None:
        before = set(sys.modules)
        stand_in = sys.modules[package] = _Deferred(package)
        stand_in.__spec__, stand_in.__path__ = spec, list(spec.submodule_search_locations)
        try:
            return importlib.import_module("%s.%s" % (package, name))
        except ImportError:
            pass  # something of the package itself is missed, or it is broken, which the whole import tells better
        finally:
            if sys.modules.get(package) is stand_in:
                for each in [each for each in set(sys.modules) - before if each.startswith(package + ".")]:
                    del sys.modules[each]
            _withdraw(stand_in)
    importlib.import_module(package)
    return importlib.import_module("%s.%s" % (package, name))


def _withdraw(stand_in: _Deferred) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
