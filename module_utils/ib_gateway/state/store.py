"""A host's repair state, open for one piece of work: lock, lease and journal together, and who writes in them."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any, Optional, Type

from . import journal, lease, pause
from .journal import Journal, JournalUnusable
from .lease import Lease
from .records import Moment
from .state_folder import Folder

#: Seconds to wait for a lock that others hold for a blink only: another run that is about to be told "held".
PATIENCE = 1.0


class Busy(Exception):
    """Another run holds the lock; the text says who and since when."""


class StateStore:
    """The repair state of one host; use as a context manager. Entering raises JournalUnusable or Busy.

    write: takes the lock for as long as the store is open, and makes the folder when there is none. Without it nothing
    at all is written or made, and the repair state is read as it stands.
    """

    journal: Journal
    lease: Optional[Lease]

    def __init__(self, state_dir: str, run: str, by: str, write: bool, patience: float = PATIENCE) -> None:
        self._state_dir = state_dir
        self._run = run
        self._by = by
        self._write = write
        self._patience = patience
        self._lock: Optional[int] = None
        self.folder: Optional[Folder] = None

    def __enter__(self) -> StateStore:
        self.folder = Folder.open(self._state_dir, create=self._write)
        try:
            self._read()
        except BaseException:
            self._close()
            raise
        return self

    def _read(self) -> None:
        self.journal, self.lease = Journal(journal.ABSENT), None
        if self.folder is None:
            return
        if self._write:
            self._lock = self.folder.lock(journal.LOCK, self._patience)
            if self._lock is None:
                with contextlib.suppress(JournalUnusable):
                    self.lease = lease.read(self.folder)
                raise Busy(lease.held_text(self.lease))
        self.lease = lease.read(self.folder)
        self.journal = journal.read(self.folder)

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self.folder is not None:
            self.folder.close()
            self.folder = None

    def now(self) -> Moment:
        """Now, on the host's clocks."""
        return journal.moment()

    def add(self, kind: str, **more: Any) -> int:
        """Writes one record, on disk when it returns; its number. Raises JournalUnusable.

        Does nothing, and returns 0, where nothing is to be written.
        """
        if not self._write or self.folder is None:
            return 0
        self.journal = journal.append(self.folder, self.journal, self.now(), kind, self._run, self._by, **more)
        return self.journal.last

    def paused(self) -> Optional[str]:
        """The pause on this host as a reason not to act; None when there is none."""
        if self.folder is None:
            return None
        found = pause.read(os.path.join(self.folder.path, pause.FILE), self.now().at)
        return found.text if found else None

    def held_by_another(self) -> Optional[str]:
        """Who else has a lease that stands, as a reason not to act; None when nobody has."""
        now = self.now()
        if self.lease is None or self.lease.run == self._run or lease.void(self.lease, now):
            return None
        return lease.held_text(self.lease) + lease.ends_text(self.lease, now)

    def is_mine(self) -> bool:
        """Whether the lease is this run's, of this boot. Its seconds do not matter as long as nobody else took it."""
        return self.lease is not None and self.lease.run == self._run and self.lease.boot_id == self.now().boot_id

    def take_lease(self, seconds: float, holder: str = "") -> None:
        """Makes the lease this run's, or renews it when it is. holder: the run's process. Raises JournalUnusable."""
        if not self._write or self.folder is None:
            return
        if self.is_mine() and self.lease is not None:
            self.lease = lease.renew(self.folder, self.lease, self.now())
        else:
            self.lease = lease.take(self.folder, self._run, self._by, self.now(), seconds, holder)

    def release_lease(self) -> None:
        """Gives this run's lease back; another's is left alone. Raises JournalUnusable."""
        if self._write and self.folder is not None and self.is_mine():
            lease.release(self.folder)
            self.lease = None
