"""Everything the modules of this project share; see docs/architecture.md for who imports whom.

On a host this package lies in the archive that Ansible has sent for one call, and is compiled for that call alone. Two
things make that cheaper, by a quarter of what a ping costs (docs/performance.md).
"""

import gc
import sys
import zipimport

#: Its sub-packages; each imports only those before it. docs/architecture.md says which.
PACKAGES = ("base", "observe", "api", "decide", "state", "lifecycle", "module", "act")


class _Finder(zipimport.zipimporter):
    """Finds a file of this package by its name. zipimport compiles it for that, and once more to load it."""

    def get_filename(self, fullname: str) -> str:
        """Where a module or sub-package of this package is."""
        name = fullname.rpartition(".")[2]
        inside = "/__init__" if fullname == "%s.%s" % (__name__, name) and name in PACKAGES else ""
        return "%s/%s%s%s.py" % (self.archive, self.prefix, name, inside)


if isinstance(__spec__.loader, zipimport.zipimporter):
    for _folder in ("", *PACKAGES):
        _path = "%s/%s" % (__path__[0], _folder) if _folder else __path__[0]
        sys.path_importer_cache[_path] = _Finder(_path)
    # What Ansible has loaded stays as long as the call; it need not be searched for garbage meanwhile and at the end.
    gc.freeze()
