"""Takes secrets out of what may be shown: passwords in argv, account numbers anywhere.

Pure functions over strings. When in doubt a value is hidden: a hidden harmless word costs a moment, a shown password
costs an account.
"""

from __future__ import annotations

import re
from typing import List, Match, Sequence, Tuple

from .classify import MAIN_CLASSES

HIDDEN = "********"

# Words that mark the value beside them as secret, in option names, -D properties and environment assignments.
_SECRET_WORD = r"(?:pw|pwd|pass|passwd|password|passphrase|secret|token|credential|api[-_.]?key|auth)"  # noqa: S105 - names, no secret
_USER_WORD = r"(?:user|username|userid|login|ib[-_.]?user)"
_NAME = re.compile(
    r"^-{0,2}D?(?:[\w.-]*[-_.])?(?:%s|%s)(?:[-_.]?(?:id|name|code|key))?$" % (_SECRET_WORD, _USER_WORD), re.IGNORECASE
)
#: IBC's own spelling runs words together: IbPassword, FIXPassword, IbLoginId.
_CAMEL_NAME = re.compile(
    r"^-{0,2}D?(?:ib|fix|tws|gw)[-_.]?(?:%s|loginid|%s)$" % (_SECRET_WORD, _USER_WORD), re.IGNORECASE
)
_WORD = re.compile(r"\S+")
_ACCOUNT = re.compile(r"(?<![A-Z0-9])(D[A-Z]{1,2}|[UFI])(\d{4,9})(?!\d)")
# Only the end of a name is looked for, and its tail is bounded: a stranger's text must not cost quadratic time.
_INLINE_SECRET = re.compile(
    r"""(?i)(%s[\w.-]{0,40}(?:\s{0,4}[=:]\s{0,4}|\s{1,4}))("[^"]*"|'[^']*'|\S+)""" % _SECRET_WORD
)
# Control characters of both sets, line and paragraph separators, and those that turn the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# After its main class IBC takes config.ini [user password [fix user, fix password]] [live|paper], by position; what
# other launchers put there is theirs to know, and hidden.
_IBC_PLAIN = ("live", "paper", "null")
_LONG_OPTION = re.compile(r"^-(?:-[a-z][a-z-]*|D[\w.]+)=")


def mask_account(account: str) -> str:
    """An account number with its letters and last two digits: DU1234567 becomes DU*****67. Anything else unchanged."""
    found = _ACCOUNT.match(account)
    if not found or found.end() != len(account):
        return account
    letters, digits = found.groups()
    return letters + "*" * (len(digits) - 2) + digits[-2:]


def mask_text(text: str) -> str:
    """The text with every account number masked and credentials in URLs hidden."""
    text = _ACCOUNT.sub(lambda found: mask_account(found.group(0)), text)
    return _WORD.sub(_without_credentials, text) if "://" in text else text


def _without_credentials(found: Match[str]) -> str:
    """A word without what stands between :// and its last @, since a password may hold any sign.

    Each is looked for once: a pattern would begin anew at every :// of a hostile word.
    """
    word = found.group(0)
    scheme, at = word.find("://"), word.rfind("@")
    return word[: scheme + 3] + HIDDEN + word[at:] if 0 <= scheme < at - 3 else word


def plain_text(text: str, limit: int = 300) -> str:
    """A stranger's text made fit for one line of output: control characters out, secrets hidden, cut to `limit`."""
    text = _CONTROL.sub(" ", text)
    text = _INLINE_SECRET.sub(lambda found: found.group(1) + HIDDEN, text)
    return mask_text(text)[:limit]


def _is_secret_name(name: str) -> bool:
    return bool(_NAME.match(name) or _CAMEL_NAME.match(name))


def _first_hidden_position(argv: Sequence[str]) -> int:
    """From which element on bare words may be credentials; past the end for everything that is no gateway."""
    for index, word in enumerate(argv):
        if word in MAIN_CLASSES:
            _product, launcher = MAIN_CLASSES[word]
            return index + 1 if launcher == "native" else index + 2
    return len(argv)


def _is_plain_after_ini(word: str) -> bool:
    return word in _IBC_PLAIN or bool(_LONG_OPTION.match(word))


def _split(argv: Sequence[str]) -> List[Tuple[str, str]]:
    """For each element its (shown part, secret part); the secret part is empty where nothing is to hide."""
    parts: List[Tuple[str, str]] = []
    hidden_from = _first_hidden_position(argv)
    next_is_secret = False
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if next_is_secret:
            parts.append(("", word))
            next_is_secret = False
            continue
        next_is_secret = False
        if equals and _is_secret_name(name):
            parts.append((name + "=", value))
        elif index >= hidden_from and not _is_plain_after_ini(word):
            parts.append(("", word))
        else:
            next_is_secret = not equals and word.startswith("-") and not word.startswith("-D") and _is_secret_name(word)
            parts.append((word, ""))
    return parts


def redact_argv(argv: Sequence[str], limit: int = 4096) -> Tuple[str, ...]:
    """The argument list as it may be shown: one element for each, secrets hidden, each cut to `limit` characters.

    Hidden are the values of options and properties that are named like a credential, what IBC takes by position
    after its ini file, and credentials in URLs; account numbers are masked, control characters become spaces.
    """
    return tuple(
        mask_text(_CONTROL.sub(" ", _hide_inline(shown)))[:limit] + (HIDDEN if secret else "")
        for shown, secret in _split(argv)
    )


def _hide_inline(word: str) -> str:
    """Secrets inside one element, as in sh -c 'start --pw=x' or in a URL's query: hidden where a name marks them."""
    word = _INLINE_SECRET.sub(lambda found: found.group(1) + HIDDEN, word)
    tokens = word.split()
    if len(tokens) < 2:
        return word
    parts = _split(tokens)
    return " ".join(shown + (HIDDEN if secret else "") for shown, secret in parts) if any(p[1] for p in parts) else word


def short(command: Sequence[str], limit: int = 100) -> str:
    """A redacted command line that fits a line of output: of a gateway what makes it one, of paths the last part."""
    line = " ".join(command)
    if len(line) > limit:
        main_class = next((word for word in command if word in MAIN_CLASSES), None)
        names = [word.rpartition("/")[2] if word.startswith("/") else word for word in command]
        line = "%s ... %s" % (names[0], main_class) if main_class else " ".join(names)
    return line if len(line) <= limit else line[: limit - 3] + "..."
