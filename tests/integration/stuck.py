"""Processes that wait in the kernel where no signal reaches them, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from integration.desk import until

#: Who makes a child by vfork waits in the kernel until that has ended or runs a program: here it is another thread than
#: the first, as with a JVM. The child sleeps by the C library's own function and ends by itself.
_VFORK = """
import ctypes, signal, sys, threading, time
library, size = ctypes.CDLL(None), 65536
stack = ctypes.create_string_buffer(size)
library.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
def wait():
    top = (ctypes.addressof(stack) + size) & ~15
    library.clone(ctypes.cast(library.sleep, ctypes.c_void_p), top, 0x4000 | signal.SIGCHLD, {seconds})
    print("goes on", flush=True)
threading.Thread(target=wait, daemon=True).start()
time.sleep(60)
"""


def in_the_kernel(pid: int) -> bool:
    """Whether a thread of a process is in state D, by the kernel's own word."""
    return any(
        each.read_text().rpartition(")")[2].split()[0] == "D" for each in Path(f"/proc/{pid}/task").glob("*/stat")
    )


@contextlib.contextmanager
def waiting_script(seconds: int = 30) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """A process one of whose threads waits in the kernel, and what lets it go on."""
    with subprocess.Popen(
        [sys.executable, "-c", _VFORK.format(seconds=seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        children: list[psutil.Process] = []

        def let_go() -> None:
            for each in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()

        try:
            until(lambda: in_the_kernel(process.pid))
            children.extend(psutil.Process(process.pid).children())
            yield process, let_go
        finally:
            let_go()
            process.kill()


@contextlib.contextmanager
def freezable(folder: Path, size: str = "16M") -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A file system of its own on a folder, what freezes it and what thaws it. Raises OSError where there can be none.

    It is thawed and gone with the test, whatever became of that: a frozen one would hold whoever writes to it.
    """
    image = folder.with_name(folder.name + ".img")
    with image.open("wb") as file:
        file.truncate(int(size[:-1]) << 20)
    frozen = False

    def tell(*words: str) -> None:
        if subprocess.run([*words, str(folder)], capture_output=True, check=False).returncode:
            raise OSError(f"{words[0]} does not work here")

    def freeze() -> None:
        nonlocal frozen
        tell("fsfreeze", "--freeze")
        frozen = True

    def thaw() -> None:
        nonlocal frozen
        tell("fsfreeze", "--unfreeze")
        frozen = False

    if subprocess.run(["mkfs.ext4", "-q", str(image)], capture_output=True, check=False).returncode:
        raise OSError("mkfs.ext4 does not work here")
    tell("mount", "-o", "loop", str(image))
    try:
        yield freeze, thaw
    finally:
        if frozen:
            thaw()
        deadline = time.monotonic() + 10
        while subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
                break
            time.sleep(0.1)
