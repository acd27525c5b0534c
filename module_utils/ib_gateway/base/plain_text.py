"""Makes a stranger's text, or an account number, fit to be shown: secrets hidden, no control characters. Pure."""

from __future__ import annotations

import re

from .redaction import ACCOUNT, HIDDEN, mask_text, masked, without_controls

_SECRET_WORD = r"(?:pw|pwd|pass|passwd|password|passphrase|secret|token|credential|api[-_.]?key|auth|bearer)"  # noqa: S105 - names, no secret
# Only the end of a name is looked for, and its tail is bounded: a stranger's text must not cost quadratic time.
_INLINE_SECRET = (
    r"""(?i)(%s[\w.-]{0,40}["']?(?:\s{0,4}[=:]\s{0,4}(?:bearer\s{1,4}|basic\s{1,4})?|\s{1,4}))("[^"]*"|'[^']*'|\S+)"""
    % _SECRET_WORD
)


def mask_account(account: str) -> str:
    """An account number with its letters and last two digits: DU1234567 becomes DU*****67. Anything else unchanged."""
    found = re.match(ACCOUNT, account)
    return masked(found) if found and found.end() == len(account) else account


def plain_text(text: str, limit: int = 300) -> str:
    """A stranger's text made fit for one line of output: control characters out, secrets hidden, cut to `limit`."""
    text = re.sub(_INLINE_SECRET, lambda found: found.group(1) + HIDDEN, without_controls(text))
    return mask_text(text)[:limit]
