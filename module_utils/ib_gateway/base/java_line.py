"""A JVM's command line, taken apart: what is Java's own, which word is the main class, what stands after it. Pure."""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from .record import Record
from .spec import GATEWAY, TWS
from .words import basename, is_java

# Main class: (product, launcher).
MAIN_CLASSES = {
    "install4j.ibgateway.GWClient": (GATEWAY, "native"),
    "ibgateway.GWClient": (GATEWAY, "native"),
    "ibcalpha.ibc.IbcGateway": (GATEWAY, "ibc"),
    "ibcontroller.IBGatewayController": (GATEWAY, "ibcontroller"),
    "ibautomater.IBAutomater": (GATEWAY, "ibautomater"),
    "install4j.jclient.LoginFrame": (TWS, "native"),
    "jclient.LoginFrame": (TWS, "native"),
    "ibcalpha.ibc.IbcTws": (TWS, "ibc"),
    "ibcontroller.IBController": (TWS, "ibcontroller"),
}

#: Java's own options that take the next word.
_VALUED = frozenset(
    (
        *("-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules"),
        *("--add-opens", "--add-exports", "--add-reads", "--limit-modules", "--patch-module", "--source"),
        "--enable-native-access",
    )
)
CLASS_PATH = ("-cp", "-classpath", "--class-path")
_CLASS_NAME = re.compile(r"^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*$")
#: What runs another system's programs, or a program through its loader: the program's path is among its arguments.
EMULATOR = r"^(?:rosetta|box64|box86|qemu-(?:x86_64|i386|aarch64)(?:-static)?|FEX\w*|ld-[\w.-]+\.so[.\d]*)$"


class JavaLine(Record):
    """A JVM's command line, taken apart. main: the index of its main class, None where there is none.

    options: the words before it; a value stands after its option.
    """

    argv: Tuple[str, ...]
    java: int
    main: Optional[int]

    @property
    def options(self) -> Tuple[str, ...]:
        """The words between the program and its main class."""
        return self.argv[self.java + 1 : self.main]

    @property
    def arguments(self) -> Tuple[str, ...]:
        """The words after the main class."""
        return self.argv[self.main + 1 :] if self.main is not None else ()

    def property(self, name: str) -> Optional[str]:
        """The value of the system property; of two of one name Java takes the last. None without it."""
        start = "-D%s=" % name
        return next((word[len(start) :] for word in reversed(self.options) if word.startswith(start)), None)

    def class_path(self) -> List[str]:
        """The elements of the class path, as they are written."""
        found = ""
        words = self.options
        for word, following in zip(words, words[1:]):
            if word in CLASS_PATH:
                found = following
        glued = [word for word in words if word.startswith("--class-path=")]
        found = glued[-1].partition("=")[2] if glued else found
        return re.split(r";|:(?![\\/])" if "\\" in found else ":", found) if found else []


def java_line(argv: Sequence[str], exe: Optional[str] = None) -> Optional[JavaLine]:
    """The command line of a JVM: by its program's name, an emulator's argument, its executable, or by its form.

    exe: what /proc/PID/exe points to, where it could be read. None for what is no JVM.
    """
    if not argv:
        return None
    java = _java_index(argv, exe)
    return JavaLine(tuple(argv), java, _main_index(argv, java)) if java is not None else None


def _java_index(argv: Sequence[str], exe: Optional[str]) -> Optional[int]:
    if is_java(argv[0]):
        return 0
    if re.match(EMULATOR, basename(argv[0])):
        found = next((index for index, word in enumerate(argv[1:8], start=1) if is_java(word)), None)
        # With binfmt's flag P the emulator gets the path and then the program's own argv[0].
        return found + 1 if found is not None and is_java("".join(argv[found + 1 : found + 2])) else found
    if exe is not None:
        return 0 if is_java(without_mark(exe)) else None
    # A JVM under another name (exec -a): nobody else takes a class path and then a gateway's main class.
    main = _main_index(argv, 0)
    if main is not None and argv[main] in MAIN_CLASSES and any(word in CLASS_PATH for word in argv[1:main]):
        return 0
    return None


def without_mark(exe: str) -> str:
    """A path without the kernel's mark for a file that was replaced, as a JVM's is after an update."""
    return exe[: -len(" (deleted)")] if exe.endswith(" (deleted)") else exe


def _main_index(argv: Sequence[str], java: int) -> Optional[int]:
    """Where the main class stands. What is no option comes first: words after it are the program's, not Java's."""
    value_follows = False
    for index in range(java + 1, len(argv)):
        word = argv[index]
        if value_follows:
            value_follows = False
        elif word == "-jar":
            return None
        elif word in ("-m", "--module"):
            return index + 1 if index + 1 < len(argv) else None
        elif _CLASS_NAME.match(word) and not word.endswith(".py"):
            return index
        else:
            value_follows = word in _VALUED
    return None


def config_dir(line: JavaLine, launcher: Optional[str]) -> Optional[str]:
    """The settings folder by -DjtsConfigDir=; None where argv does not say.

    install4j leaves ${installer:jtsConfigDir} in argv and fills it in later: from -V if that is given, else from the
    installation's response.varfile. Before 9.5 the folder was the native gateway's first argument.
    """
    said = line.property("jtsConfigDir")
    if said is None and launcher == "native":
        first = next(iter(line.arguments), "")
        return first if re.match(r"[~]?/|[A-Za-z]:\\", first) else None
    if said is not None and is_placeholder(said):
        start = "-VjtsConfigDir="
        said = next((word[len(start) :] for word in reversed(line.arguments) if word.startswith(start)), "")
    return said if said and not is_placeholder(said) else None


def is_placeholder(value: str) -> bool:
    """Whether a value holds a variable that nobody has filled in, such as ${installer:jtsConfigDir}."""
    return "${" in value
