"""Reads scripts: the only file of this package that touches the disk. Nothing is run, imported or written."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import posixpath
import re
import stat
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from .model import Source
from .source import is_python

#: More files than this are a mistake in the paths, such as a whole disk.
MOST_FILES = 5000
_SKIPPED = ("__pycache__", "site-packages", "dist-packages", "node_modules")
_INTERPRETER = re.compile(r"^(?:python|pypy)[0-9.]*$")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


class TooManyFiles(ValueError):
    """The paths name more files than a person can mean."""


def gather(paths: Iterable[str], exclude: Sequence[str], max_size: int) -> List[Source]:
    """The files that paths, folders and globs name, each once, in order. exclude: globs on the whole path."""
    found: Dict[Tuple[int, int], Source] = {}
    unreadable: List[Source] = []
    for path in paths:
        named = 0
        for name in _named(path):
            named += 1
            if _excluded(name, exclude):
                continue
            source, identity = read(name, max_size)
            if identity is None:
                unreadable.append(source)
            else:
                found.setdefault(identity, source)
            if len(found) + len(unreadable) > MOST_FILES:
                raise TooManyFiles("%s names more than %d files; name a smaller folder" % (path, MOST_FILES))
        if not named:
            unreadable.append(Source(path, unreadable=("path_without_files", "no Python file is at %s" % path)))
    return sorted([*found.values(), *unreadable], key=lambda source: source.path)


def _named(path: str) -> Iterator[str]:
    full = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(full):
        yield from _in_folder(full)
    elif glob.has_magic(full) and not os.path.lexists(full):
        for name in sorted(glob.iglob(full, recursive=True)):
            yield from _in_folder(name) if os.path.isdir(name) and not full.endswith("**") else [name]
    else:
        yield full


def _in_folder(folder: str) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            path = os.path.join(root, name)
            if not name.startswith(".") and (_is_script_name(name) or _has_shebang(path)):
                yield path


def _is_script_name(name: str) -> bool:
    return os.path.splitext(name)[1] in (".py", ".pyw", ".ipynb")


def _has_shebang(path: str) -> bool:
    """Whether a file without an extension starts like a Python script."""
    if "." in os.path.basename(path):
        return False
    source, identity = read(path, 200, cut=True)
    return identity is not None and is_python(path, source.data)


def _excluded(path: str, exclude: Sequence[str]) -> bool:
    return any(
        fnmatch.fnmatch(path, pattern) or path == pattern.rstrip("/") or _below(path, pattern) for pattern in exclude
    )


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def read(path: str, max_size: int, cut: bool = False) -> Tuple[Source, Optional[Tuple[int, int]]]:
    """(the file as a Source, which file it is or None where it was not read). cut: the beginning is enough."""
    try:
        # Not blocking: what looks like a script may be a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return Source(path, unreadable=("file_unreadable", _reason(error))), None
    try:
        about = os.fstat(handle)
        identity = (about.st_dev, about.st_ino)
        if not stat.S_ISREG(about.st_mode):
            return Source(path, unreadable=("file_not_python", "it is no regular file")), None
        if about.st_size > max_size and not cut:
            size = "it has %d bytes, more than the %d that are read" % (about.st_size, max_size)
            return Source(path, unreadable=("file_too_large", size)), identity
        return Source(path, _content(handle, max_size)), identity
    except OSError as error:
        return Source(path, unreadable=("file_unreadable", _reason(error))), None
    finally:
        os.close(handle)


def _content(handle: int, size: int) -> bytes:
    found: List[bytes] = []
    missing = size
    while missing > 0:
        part = os.read(handle, missing)
        if not part:
            break
        found.append(part)
        missing -= len(part)
    return b"".join(found)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOENT:
        return "there is no such file"
    return "it cannot be opened: %s" % (getattr(error, "strerror", None) or error)


class Companions:
    """Gives the files that scripts import, for the audit to follow names into."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._absent: Set[str] = set()

    def __call__(self, path: str) -> Optional[Source]:
        """The file at a path; None where there is none that can be read."""
        if path in self._absent or not os.path.isfile(path):
            self._absent.add(path)
            return None
        source, identity = read(path, self._max_size)
        return source if identity is not None and source.unreadable is None else None


# --- the scripts of processes ----------------------------------------------------------------------------------------


def script_of(argv: Sequence[str], cwd: Optional[str]) -> Optional[str]:
    """The path of the script a Python process runs; None for other programs, -c, and what cannot be placed."""
    if not argv or not _INTERPRETER.match(posixpath.basename(argv[0])):
        return None
    words = list(argv[1:])
    while words and words[0].startswith("-") and words[0] != "-":
        option = words.pop(0)
        if option == "-m" or (option.startswith("-m") and not option.startswith("--")):
            return _module(option[2:] or (words[0] if words else ""), cwd)
        if option == "-c" or (option.startswith("-c") and not option.startswith("--")):
            return None
        if option in _WITH_VALUE and words:
            words.pop(0)
    if not words or words[0] == "-":
        return None
    return _placed(words[0], cwd)


def _module(name: str, cwd: Optional[str]) -> Optional[str]:
    """The file of `python -m name`, where it is below the working directory."""
    if not name or cwd is None:
        return None
    base = posixpath.join(cwd, *name.split("."))
    return next((path for path in (base + ".py", posixpath.join(base, "__main__.py")) if os.path.isfile(path)), None)


def _placed(path: str, cwd: Optional[str]) -> Optional[str]:
    if posixpath.isabs(path):
        return posixpath.normpath(path)
    return posixpath.normpath(posixpath.join(cwd, path)) if cwd else None
