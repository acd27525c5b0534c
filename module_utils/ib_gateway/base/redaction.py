"""Takes secrets out of what may be shown: an allow-list for command lines, account numbers masked in every text.

Pure functions over strings. Of a command line only what is known to be harmless is shown: the program, the script,
listed options, and values of listed options that look as they should. A list of what is secret always misses one.
"""

from __future__ import annotations

import re
from typing import Dict, List, Match, Optional, Sequence, Tuple

from .command_line import is_interpreter, run_of
from .java_line import MAIN_CLASSES, java_line
from .words import basename, is_java

#: Stands for one argument, or for an option's value.
HIDDEN = "***"

# Patterns are texts: `re` compiles one when it is first used and keeps it, and most command lines need few of them.

# --- texts -----------------------------------------------------------------------------------------------------------

_WORD = r"\S+"
# An advisor's number may end in an A, which stands for all of its accounts. In lower case a number has to stand alone,
# since hashes and names hold such signs too.
ACCOUNT = (
    r"(?<![A-Z0-9])(D[A-Z]{1,2}|[UFI])(-?\d{4,})(?!\d)"
    r"|(?<![A-Za-z0-9])([dD][a-zA-Z]{1,2}|[uUfFiI])(-?\d{5,})(?=[aA]?(?![A-Za-z0-9]))"
)
# Control characters of both sets, line and paragraph separators, and those that turn the direction of writing.
CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def without_controls(text: str) -> str:
    """The text with a blank in the place of each control character; none of them can be printed."""
    return text if text.isprintable() else re.sub(CONTROL, " ", text)


def masked(found: Match[str]) -> str:
    """An account number that ACCOUNT has found, with its letters and last two digits."""
    letters = found.group(1) or found.group(3)
    digits = found.group(2) or found.group(4)
    return letters + "*" * (len(digits) - 2) + digits[-2:]


def mask_text(text: str) -> str:
    """The text with every account number masked and credentials in URLs hidden."""
    text = re.sub(ACCOUNT, masked, text)
    return re.sub(_WORD, _without_credentials, text) if "://" in text else text


def _without_credentials(found: Match[str]) -> str:
    """A word without what stands between :// and its last @, since a password may hold any sign.

    Each is looked for once: a pattern would begin anew at every :// of a hostile word.
    """
    word = found.group(0)
    scheme, at = word.find("://"), word.rfind("@")
    return word[: scheme + 3] + HIDDEN + word[at:] if 0 <= scheme < at - 3 else word


# --- command lines: what may be shown --------------------------------------------------------------------------------

_ADDRESS = r"^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}\]?)$"
_PORT = r"^\d{1,5}$"
_CLIENT_ID = r"^\d{1,6}$"
_AMOUNT = r"^\d{1,6}(?:\.\d{1,6})?(?:ms|[smhd])?$"
_MODE = r"(?i)^(?:live|paper)$"
_LEVEL = r"(?i)^(?:debug|info|warning|warn|error|critical)$"
_LIBRARY = r"^(?:ib_insync|ib_async|ibapi|socket)$"
_FOLLOW_UP = r"^(?:exit|restart)$"
_YES_NO = r"(?i)^(?:yes|no|true|false|on|off|0|1)$"
#: A file or folder as launchers are told of it; no blanks, nothing that an address or an assignment needs.
_PATH = r"^(?:~?/|\./|\.\./|[A-Za-z]:[\\/])[\w./\\+~-]*$"
_INI = r"^[\w./\\:~ +-]*\.ini\w*$"
_NAME_OR_PATH = r"^(?:[A-Za-z]:)?[\w./\\+~-]+:?$"
#: What only a file that an interpreter runs is called.
_SCRIPT_NAME = r"^[\w./\\: +~-]+\.(?:py|pyz|pyc|js|mjs|cjs|ts|sh|bash|R|r|rb|pl|php|jl|jar)$"
#: Programs whose installation folder may have blanks in its name.
_KNOWN_PROGRAM = r"^(?:/|[A-Za-z]:\\)[\w ./\\+~()-]*[/\\](?:JavaApplicationStub|javaw?(?:\.exe)?|\w+\.exe)$"

#: Options by their names without dashes, and what their value has to look like to be shown; None: it never is.
_OPTIONS: Dict[str, Optional[str]] = {
    **dict.fromkeys(("host", "ip", "ib-host", "tws-host", "gateway-host"), _ADDRESS),
    **dict.fromkeys(("port", "api-port", "ib-port", "tws-port", "gateway-port"), _PORT),
    **dict.fromkeys(("client-id", "clientid", "client_id", "clientId", "ib-client-id", "cid"), _CLIENT_ID),
    **dict.fromkeys(
        ("timeout", "interval", "delay", "retries", "retry", "sleep", "lifetime", "every", "hold"), _AMOUNT
    ),
    **dict.fromkeys(("mode", "trading-mode", "trading_mode", "tradingmode"), _MODE),
    **dict.fromkeys(("log-level", "loglevel", "log_level"), _LEVEL),
    "library": _LIBRARY,
    "on2fatimeout": _FOLLOW_UP,
    **dict.fromkeys(("tws-path", "tws-settings-path", "ibc-path", "ibc-ini", "java-path"), _PATH),
    # Names that people look for, and values that are theirs alone.
    **dict.fromkeys(("user", "username", "login", "pw", "pwd", "password", "passphrase", "fix-user", "fix-pw")),
    **dict.fromkeys(
        ("token", "secret", "api-key", "apikey", "api-secret", "access-key", "auth", "header", "pin", "otp")
    ),
    **dict.fromkeys(("account", "accounts", "symbol", "symbols", "config", "conf", "strategy", "name", "env", "data")),
    **dict.fromkeys(("file", "log", "log-file", "output", "input", "db", "database", "url", "webhook", "proxy", "tag")),
    # Switches.
    **dict.fromkeys(("live", "paper", "gateway", "tws", "inline", "verbose", "debug", "quiet", "dry-run", "dryrun")),
    **dict.fromkeys(
        ("force", "daemon", "once", "loop", "test", "help", "version", "foreground", "nodaemon", "readonly")
    ),
    **dict.fromkeys(
        ("server", "classpath", "cp", "jar", "module", "class-path", "module-path", "add-modules", "splash")
    ),
    **dict.fromkeys(("add-opens", "add-exports", "add-reads", "auto-servernum", "no-capture-output", "pid", "run")),
}
#: System properties of a JVM that recognition reads, or that tell one installation from another.
_PROPERTIES: Dict[str, Optional[str]] = {
    **dict.fromkeys(("jtsConfigDir", "installDir", "exe4j.moduleName", "vmOptionsPath", "java.library.path"), _PATH),
    **dict.fromkeys(("exe4j.isInstall4j", "java.awt.headless", "java.net.preferIPv4Stack"), _YES_NO),
    "install4jType": "^standalone$",
    "channel": "^(?:latest|stable|beta)$",
    **dict.fromkeys(("restart", "ibcsessionid", "jxBrowserKey", "installer.uuid", "IbPassword", "IbLoginId")),
    **dict.fromkeys(("FIXPassword", "FIXLoginId", "twslaunch.autoupdate.serviceImpl", "productName")),
}
_JVM_SIZE = r"^-X(?:mx|ms|mn|ss)\d{1,8}[kKmMgG]?$"
_JVM_SWITCH = (
    r"^-XX:(?:[+-]Use(?:G1|Serial|Parallel|ConcMarkSweep|Z|Shenandoah)GC|(?:MaxGCPauseMillis|ParallelGCThreads|"
    r"ConcGCThreads|InitiatingHeapOccupancyPercent|MaxRAMPercentage)=\d{1,6}|Max(?:Perm|Metaspace)Size=\d{1,8}[kKmMgG]?)$"
)
_PLACEHOLDERS = ("${installer:jtsConfigDir}", "${installer:cmdLineArgs}")
_PLAIN_WORDS = ("live", "paper", "--", "-", "run", "restarter", "launch", HIDDEN, "-" + HIDDEN, "--" + HIDDEN)
_SHORT_OPTION = r"^-[A-Za-z]$"
#: Python's and the shells' switches, in one word.
_SWITCHES = r"^-(?:[uBEIsSOvx]{1,3}|l?c|i)$"
_OPTION = r"^(--?)([A-Za-z][A-Za-z0-9_-]{0,29})$"


def redact_argv(argv: Sequence[str], limit: int = 4096) -> Tuple[str, ...]:
    """The argument list as it may be shown: one element for each, each cut to `limit` characters.

    Shown are the program, after wrappers too, and the script or module it runs; a known main class and IBC's ini file;
    listed options, and their values where they look as they should. Everything else is ***, an option with its
    dashes. Account numbers are masked. Redacting twice shows nothing more, and may show less: a word that was hidden no
    longer tells what the next one is.
    """
    shown = _Shown(argv)
    # Cut before and after: patterns are slow on a megabyte, and an account may stand where it is cut.
    return tuple(
        word if word == HIDDEN else mask_text(without_controls(word[: limit + 64]))[:limit] for word in shown.words()
    )


class _Shown:
    """One command line, and what of it may be shown."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._run = run_of(argv)
        line = java_line(argv)
        self._main = (
            line.main if line is not None and line.main is not None and argv[line.main] in MAIN_CLASSES else None
        )
        self._programs = {0, *self._run.wrappers}
        inner = [line.java] if line is not None else []
        inner += [self._run.program] if self._run.program is not None else []
        self._programs |= {index for index in inner if self._is_program(index)}

    def _is_program(self, index: int) -> bool:
        """Whether a word after a wrapper is surely a program's name, and not the value of an option of the wrapper."""
        word, before = self._argv[index], self._argv[index - 1]
        known = is_java(word) or is_interpreter(basename(word)) or re.match(_SCRIPT_NAME, word)
        return bool(known) or (word.startswith("/") and not before.startswith("-"))

    def _is_script(self, index: int) -> bool:
        """Whether a word is surely the script's name: after an option that is not known it may be that one's value."""
        word, before = self._argv[index], self._argv[index - 1]
        if re.search("://|[=@]", word):  # an address or an assignment, which a wrapper that is not known was given
            return False
        plain = not before.startswith("-") or before in ("--", "-jar") or bool(re.match(_SWITCHES, before))
        return plain or self._run.module is not None or bool(re.match(_SCRIPT_NAME, word))

    def words(self) -> List[str]:
        found: List[str] = []
        kind: Optional[str] = None
        for index, word in enumerate(self._argv):
            fits = kind is not None and bool(re.match(kind, word))
            kind = None
            if index in self._programs:
                found.append(_program(word))
            elif fits or self._is_known(index):
                found.append(word)
            else:
                shown, kind = _argument(word)
                found.append(shown)
        return found

    def _is_known(self, index: int) -> bool:
        """Whether it is shown for what it is: the main class, IBC's settings file, the script or module."""
        return index == self._main or self._is_ini(index) or (index == self._run.script and self._is_script(index))

    def _is_ini(self, index: int) -> bool:
        """Whether it is the settings file that IBC is given first."""
        if self._main is None or index != self._main + 1 or MAIN_CLASSES[self._argv[self._main]][1] == "native":
            return False
        return bool(re.match(_INI, self._argv[index]))


def _program(word: str) -> str:
    """The program's path; of a title that a process gives itself the first word."""
    if re.match(_NAME_OR_PATH, word) or re.match(_KNOWN_PROGRAM, word) or word in ("", HIDDEN):
        return word
    name, _blank, _rest = word.partition(" ")
    return "%s %s" % (name, HIDDEN) if re.match(_NAME_OR_PATH, name) else HIDDEN


def _argument(word: str) -> Tuple[str, Optional[str]]:
    """(the word as it may be shown; what the next word has to look like to be shown as this option's value)."""
    if word in _PLAIN_WORDS or word in _PLACEHOLDERS or re.match(_MODE, word) or re.match(_SWITCHES, word):
        return word, None
    if not word.startswith("-"):
        return (HIDDEN if word else ""), None
    jvm = word.startswith("-X") and (re.match(_JVM_SIZE, word) or re.match(_JVM_SWITCH, word))
    if jvm or re.match(_SHORT_OPTION, word):
        return word, None
    name, equals, value = word.partition("=")
    if name.startswith("-D") and name[2:] in _PROPERTIES:
        kind = _PROPERTIES[name[2:]]
    else:
        option = re.match(_OPTION, name)
        if option is None or option.group(2) not in _OPTIONS:
            return ("--" if word.startswith("--") else "-") + HIDDEN, None
        kind = _OPTIONS[option.group(2)]
        if not equals:
            return word, kind
    fits = not value or value in _PLACEHOLDERS or (kind is not None and re.match(kind, value))
    return (word if fits else name + equals + HIDDEN), None
