"""Imports this project's packages out of a table in memory.

Under mitogen's strategy this file is sent to the host with that table behind it, in place of each file by itself:
ib_fleet/run/mitogen.py makes it. Nothing is written on the host, and only what a call really imports is compiled there.
"""

import base64
import sys
import zlib
from importlib.machinery import ModuleSpec
from typing import Any, Dict, Optional, Tuple

#: By a module's full name: where its file is on the controller, whether it is a package, its source, packed.
Files = Dict[str, Tuple[str, bool, str]]


def packed(source: bytes) -> str:
    """A source as it stands in the table."""
    return base64.b64encode(zlib.compress(source)).decode("ascii")


class Importer:
    """What Python asks for the modules of a table, and for no others."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:  # noqa: ARG002
        """Where a module comes from; None where it is not in the table."""
        if name not in self._files:
            return None
        origin, is_package, _ = self._files[name]
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True  # tracebacks name the file
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Leaves that to Python."""

    def exec_module(self, module: Any) -> None:
        """Runs its source."""
        name = module.__name__
        code = compile(self._source(name), self._files[name][0], "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - this is what importing is

    def get_source(self, name: str) -> str:
        """Its text, for the lines of a traceback."""
        return self._source(name).decode()

    def _source(self, name: str) -> bytes:
        return zlib.decompress(base64.b64decode(self._files[name][2]))


def install(files: Files) -> None:
    """Has Python ask for the modules of this table before it looks anywhere else."""
    sys.meta_path.insert(0, Importer(files))
