"""Gets past wrappers and interpreters in a command line, to the program and the script that run. Pure.

Loaded for command lines that do not begin with a JVM.
"""

from __future__ import annotations

import functools
import re
from typing import Dict, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from .words import Run, basename, is_java, jar


class _Options(NamedTuple):
    """How to get past a program's options.

    valued: short options that take a value; long_valued: long ones that take the next word; ends: short options after
    which no command and no script follows; skip: positional words before the command; verb: the subcommand that
    runs something. runs_script: what follows is a Python script, not a program. module: the short option that names a
    module. assigns: whether NAME=value may stand before the command.
    """

    valued: str = ""
    long_valued: Tuple[str, ...] = ()
    ends: str = ""
    skip: int = 0
    verb: str = ""
    runs_script: bool = False
    module: str = ""
    assigns: bool = False


_UV_VALUED = (
    *("--with", "--with-editable", "--with-requirements", "--python", "--project", "--directory", "--env-file"),
    *("--extra", "--group", "--only-group", "--no-group", "--package", "--index", "--index-url", "--config-file"),
    *("--extra-index-url", "--find-links", "--cache-dir", "--color", "--refresh-package", "--upgrade-package"),
)
_WRAPPERS: Dict[str, _Options] = {
    "env": _Options("uCS", ("--unset", "--chdir", "--split-string"), assigns=True),
    "nohup": _Options(),
    "setsid": _Options(),
    "exec": _Options("a"),
    "command": _Options(),
    "time": _Options("fo", ("--format", "--output")),
    "nice": _Options("n", ("--adjustment",)),
    "ionice": _Options("cn", ("--class", "--classdata"), ends="pPu"),
    "chrt": _Options("TPD", ends="p", skip=1),
    "taskset": _Options(ends="p", skip=1),
    "numactl": _Options("CNmipl", ("--cpunodebind", "--membind", "--physcpubind", "--interleave", "--preferred")),
    "prlimit": _Options("p", ends="p"),
    "timeout": _Options("ks", ("--kill-after", "--signal"), skip=1),
    "stdbuf": _Options("ioe", ("--input", "--output", "--error")),
    "unbuffer": _Options(),
    "catchsegv": _Options(),
    "xvfb-run": _Options(
        "efnpsw", ("--error-file", "--auth-file", "--server-num", "--xauth-protocol", "--server-args", "--wait")
    ),
    "dbus-run-session": _Options("", ("--config-file", "--dbus-daemon")),
    "sudo": _Options(
        "ughpCrtTDRU",
        ("--user", "--group", "--host", "--prompt", "--close-from", "--role", "--type", "--chdir", "--chroot"),
        ends="lveKk",
        assigns=True,
    ),
    "doas": _Options("uC"),
    "gosu": _Options(skip=1),
    "su-exec": _Options(skip=1),
    "runuser": _Options("ugGcsTw", ("--user", "--group", "--supp-group", "--shell"), ends="c"),
    "setpriv": _Options("", ("--reuid", "--regid", "--groups", "--pdeathsig", "--securebits", "--inh-caps")),
    "chpst": _Options("uUbmdotplrcefn/"),
    "tini": _Options("pe"),
    "tini-static": _Options("pe"),
    "docker-init": _Options("pe"),
    "dumb-init": _Options("r", ("--rewrite",)),
    "catatonit": _Options(),
    "flock": _Options("wEc", ("--wait", "--timeout", "--conflict-exit-code"), ends="c", skip=1),
    "strace": _Options("oespPuabIOSEX"),
    "ltrace": _Options("oesplnuaADF"),
    "systemd-run": _Options(
        "tupHM", ("--unit", "--property", "--slice", "--uid", "--gid", "--setenv", "--description")
    ),
    "systemd-inhibit": _Options("", ("--what", "--who", "--why", "--mode")),
    "systemd-cat": _Options("tp", ("--identifier", "--priority")),
    "caffeinate": _Options("tw"),
    "proxychains": _Options("f"),
    "proxychains4": _Options("f"),
    "torsocks": _Options(),
    "uv": _Options("pc", _UV_VALUED, verb="run", module="m"),
    "poetry": _Options("CP", ("--directory", "--project"), verb="run"),
    "pipenv": _Options("", ("--python",), verb="run"),
    "pdm": _Options("pc", ("--project", "--config"), verb="run"),
    "hatch": _Options("ep", ("--env", "--project", "--data-dir", "--cache-dir", "--config"), verb="run"),
    "rye": _Options("", ("--pyproject",), verb="run"),
    "pixi": _Options("e", ("--environment", "--manifest-path"), verb="run"),
    "conda": _Options("np", ("--name", "--prefix", "--cwd"), verb="run"),
    "mamba": _Options("np", ("--name", "--prefix", "--cwd"), verb="run"),
    "micromamba": _Options("npr", ("--name", "--prefix", "--cwd", "--root-prefix"), verb="run"),
    "coverage": _Options("", ("--rcfile", "--source", "--omit", "--include"), verb="run", runs_script=True, module="m"),
    "ddtrace-run": _Options(),
    "opentelemetry-instrument": _Options(),
}
#: Python modules that run the script they are given: `python -m pdb bot.py`.
_RUNNING_MODULES: Dict[str, _Options] = {
    "coverage": _WRAPPERS["coverage"],
    "pdb": _Options("c", ("--command",), runs_script=True, module="m"),
    "cProfile": _Options("os", runs_script=True, module="m"),
    "profile": _Options("os", runs_script=True, module="m"),
    "debugpy": _Options("", ("--listen", "--connect", "--log-to"), runs_script=True, module="m"),
}
_PYTHON = _Options("WX", ("--check-hash-based-pycs", "--jit"), ends="c", module="m")
SHELL = _Options("oO", ("--rcfile", "--init-file"), ends="cs")
#: Programs that run a script, by their name without its version.
_INTERPRETERS: Tuple[Tuple[str, _Options], ...] = (
    (r"python|pypy|ipython|pythonw", _PYTHON),
    (r"node|nodejs", _Options("rC", ("--require", "--import", "--loader", "--conditions"), ends="ep")),
    (r"Rscript", _Options(ends="e")),
    (r"ruby", _Options("IrCE", ends="e")),
    (r"perl", _Options("I", ends="eE")),
    (r"php", _Options("cdz", ends="rBRE")),
    (r"julia", _Options("CHJLpt", ("--project", "--threads"), ends="eE")),
    (r"(?:ba|da|k|z|a|fi)?sh", SHELL),
)
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
#: With `--eval` and the like a program is in the command line itself.
_LONG_ENDS = ("--eval", "--print", "--command", "--version", "--help")
_MOST_WRAPPERS = 16


@functools.lru_cache(maxsize=None)
def _interpreters() -> Tuple[Tuple[Pattern[str], _Options], ...]:
    return tuple((re.compile(r"^(?:%s)[0-9.]*t?(?:-dbg)?$" % names), options) for names, options in _INTERPRETERS)


def interpreter(name: str) -> Optional[_Options]:
    """How an interpreter of this base name takes its options; None for what is no interpreter."""
    return next((options for pattern, options in _interpreters() if pattern.match(name)), None)


def run_of(argv: Sequence[str]) -> Run:
    """command_line.run_of() for every command line."""
    wrappers: List[int] = []
    at = 0
    after_wrapper = False
    while at < len(argv) and len(wrappers) < _MOST_WRAPPERS:
        name = basename(argv[at]).lstrip("-")
        options = _WRAPPERS.get(name)
        if options is not None:
            wrappers.append(at)
            command = _after(argv, at, options)
            if command is None or command[1] or options.runs_script:
                return Run(at, command[0] if command else None, _module_name(argv, command), tuple(wrappers))
            at, after_wrapper = command[0], True
            continue
        if is_java(argv[at]):
            return Run(at, jar(argv, at), None, tuple(wrappers))
        known = interpreter(name)
        if known is None:
            script = at if after_wrapper and argv[at].endswith(".py") else None
            return Run(at, script, None, tuple(wrappers))
        found = _after(argv, at, known)
        if found is None:
            return Run(at, None, None, tuple(wrappers))
        inner = _inner(argv, found)
        if inner is None:
            return Run(at, found[0], _module_name(argv, found), tuple(wrappers))
        if inner.runs_script:  # a profiler or a debugger: what it was given is what runs
            given = _after(argv, found[0], inner)
            script_of_it = given if given is not None else found
            return Run(at, script_of_it[0], _module_name(argv, script_of_it), tuple(wrappers))
        at, after_wrapper = found[0], True
    return Run(None, None, None, tuple(wrappers))


def _module_name(argv: Sequence[str], found: Optional[Tuple[int, bool]]) -> Optional[str]:
    if found is None or not found[1]:
        return None
    word = argv[found[0]]
    return word.partition("m")[2] if word.startswith("-") else word


def _inner(argv: Sequence[str], found: Tuple[int, bool]) -> Optional[_Options]:
    """The options of a script that only runs another one, such as poetry's; None for every other script."""
    index, is_module = found
    name = basename(argv[index])
    return _RUNNING_MODULES.get(_module_name(argv, found) or "") if is_module else _WRAPPERS.get(name)


def _after(argv: Sequence[str], program: int, options: _Options) -> Optional[Tuple[int, bool]]:
    """(where the command or script after a program's options stands, whether it is a module); None without one."""
    index = _past_options(argv, program + 1, options)
    if options.verb:
        if index is None or argv[index] != options.verb:
            return None
        index = _past_options(argv, index + 1, options)
    for _each in range(options.skip):
        index = _past_options(argv, index + 1, options) if index is not None else None
    if index is None or not argv[index].startswith("-"):
        return None if index is None else (index, False)
    step, module = _step(argv[index], options)
    found = index + step - 1
    return (found, True) if module and found < len(argv) else None


def _past_options(argv: Sequence[str], start: int, options: _Options) -> Optional[int]:
    """Where the first word stands that is no option, or an option that names a module; None where nothing runs."""
    index = start
    while index < len(argv):
        word = argv[index]
        if word == "--":
            return index + 1 if index + 1 < len(argv) and not argv[index + 1].startswith("-") else None
        if word[:1] != "-" and not (word[:1] == "+" and options is SHELL):
            if not (options.assigns and _ASSIGNMENT.match(word)):
                return index
            index += 1
            continue
        step, module = _step(word, options)
        if module:
            return index
        if step == 0:
            return None
        index += step
    return None


def _step(word: str, options: _Options) -> Tuple[int, bool]:
    """(how many words an option takes with its value, 0 where nothing runs after it; whether it names a module)."""
    if word.startswith("--"):
        if word == "--module" and options.module:
            return 2, True
        return (0 if word in _LONG_ENDS else 2 if word in options.long_valued else 1), False
    if word == "-":
        return 0, False
    if word[0] == "+":
        return 2, False
    return _short(word, options)


def _short(word: str, options: _Options) -> Tuple[int, bool]:
    """_step() for a cluster of short options."""
    for position, letter in enumerate(word[1:], start=1):
        last = position == len(word) - 1
        if letter in options.ends:
            return 0, False
        if options.module and letter == options.module:
            return (2 if last else 1), True
        if letter in options.valued:
            return (2 if last else 1), False
        if not letter.isalpha():
            break
    return 1, False
