"""Everything the modules of this project share; see docs/architecture.md for who imports whom.

On a host this package lies in the archive that Ansible has sent for one call, and is compiled for that call alone. Two
things make that cheaper, by a quarter of what a ping costs (docs/performance.md).
"""

import gc
import sys
import zipimport


class _Finder(zipimport.zipimporter):
    """Finds a file of this package by its name. zipimport compiles it for that, and once more to load it."""

    def get_filename(self, fullname: str) -> str:
        """Where a module of this package is."""
        return "%s/%s%s.py" % (self.archive, self.prefix, fullname.rpartition(".")[2])


if isinstance(__spec__.loader, zipimport.zipimporter):
    sys.path_importer_cache[__path__[0]] = _Finder(__path__[0])
    # What Ansible has loaded stays as long as the call; it need not be searched for garbage meanwhile and at the end.
    gc.freeze()
