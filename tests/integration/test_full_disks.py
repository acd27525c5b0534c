"""A gateway is not ended where the next one would find no room to write, as on a full partition of its log."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

import pytest
from simulator.launch import SimulatedGateway

from integration.desk import Desk, alive
from integration.test_repair_limits import remediate


@pytest.fixture
def logging_apart(desk: Desk) -> Iterator[SimulatedGateway]:
    """A gateway that only a restart helps; its log is on a small file system of its own, its settings are elsewhere."""
    gateway = desk.prepared("drop-after-hello")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(gateway.folder)], check=False)
    if os.geteuid() or mounted.returncode:
        pytest.skip("a disk of its own cannot be mounted here")
    try:
        yield gateway.start()
    finally:
        gateway.stop(timeout=0.5)
        subprocess.run(["umount", "--lazy", str(gateway.folder)], check=True)


@pytest.mark.root
def test_a_gateway_whose_log_has_no_room_is_left_until_there_is_room_and_restarted_then(
    desk: Desk, logging_apart: SimulatedGateway
) -> None:
    old, filler = logging_apart, logging_apart.folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    promised = remediate(desk, "--check")
    run = remediate(desk)
    for told in (promised, run):
        words = " ".join(told.output.split())
        assert told.rc == 2 and "is full" in words and "make room there" in words, told.output
    assert alive(old.pid) and desk.java() == [old.pid]
    filler.unlink()
    assert remediate(desk).rc == 0
    assert not alive(old.pid) and len(desk.listening()) == 1
