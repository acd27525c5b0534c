"""Right before a signal: whoever may be stopped is told nothing, and one that has ended is known to have ended."""

from __future__ import annotations

import subprocess
from typing import Iterator

import pytest
from ansible.module_utils.ib_gateway.act import held_process
from ansible.module_utils.ib_gateway.act.held_process import Gone, Refused, Target
from ansible.module_utils.ib_gateway.observe import processes


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def named(process: subprocess.Popen[bytes]) -> Target:
    identity = held_process.identity_of(process.pid)
    assert identity is not None
    return Target(process.pid, *identity)


@pytest.mark.parametrize("answer", [PermissionError("denied"), "no control group\n"], ids=["closed", "unknown form"])
def test_one_whose_control_group_cannot_be_read_is_told_nothing(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, answer: str | Exception
) -> None:
    target = named(child)
    held_process.prove_going(target)

    def read(_pid: int, name: str) -> str:
        assert name == "cgroup"
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(processes, "read_text", read)
    with pytest.raises(Refused, match="control group that cannot be read, so that nobody knows whether it is frozen"):
        held_process.prove_going(target)


def test_one_that_ends_while_its_control_group_is_read_has_ended(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = named(child)

    def read(pid: int, name: str) -> str:
        child.kill()
        child.wait()
        raise ProcessLookupError(pid, name)

    monkeypatch.setattr(processes, "read_text", read)
    with pytest.raises(Gone):
        held_process.prove_going(target)
