"""What became of one step: one shape, from the module that took it to the report."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

#: It was done; in check mode it would be; it was so already; it was not begun; it was begun and failed; nobody knows.
DONE, WOULD, ALREADY, REFUSED, FAILED, UNSURE = "done", "would", "already", "refused", "failed", "unknown"


class Outcome(NamedTuple):
    """What became of one step. target: whom it met, as far as a person or a later step needs it; without secrets.

    admitted: False where the authorization did not allow it; then result is refused, and nothing was touched. signals:
    their names, in the order sent. unit: the systemd unit that did it. ended: the pid of the process that has ended.
    pid: of the process that was started.
    """

    action: str
    gateway: str
    target: Mapping[str, Any]
    result: str
    reason: str
    admitted: bool = True
    signals: Tuple[str, ...] = ()
    unit: Optional[str] = None
    ended: Optional[int] = None
    pid: Optional[int] = None

    def as_dict(self) -> Dict[str, Any]:
        """The same as modules return it."""
        return {**self._asdict(), "target": dict(self.target), "signals": list(self.signals)}

    @property
    def in_the_journal(self) -> str:
        """The word for it in the journal, which knows nothing of check mode."""
        return DONE if self.result in (WOULD, ALREADY) else self.result
