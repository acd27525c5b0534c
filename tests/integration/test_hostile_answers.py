"""A host in a stranger's hands answers what it likes: it is unknown, and the other hosts of the run are served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.desk import Desk, Run, local

NOT_OURS = "this host's answer is not one of ours"
LOOK: dict[str, Any] = {"changed": False, "status": "healthy", "taken_at": "2026-11-22T09:00:00Z", "reset_window": ""}


def deep(levels: int) -> Any:
    found: Any = "end"
    for _ in range(levels):
        found = [found]
    return found


#: By what the host does, the text it answers every module with.
ANSWERS = {
    "five": json.dumps({**LOOK, "gateways": 5}),
    "nan": json.dumps({**LOOK, "gateways": [], "elapsed_ms": float("nan")}),
    "words": json.dumps({**LOOK, "gateways": [{"name": ["live"], "status": {"healthy": 1}}]}),
    "deep": json.dumps({**LOOK, "gateways": [], "undeclared": deep(400)}),
    "deeper": '{"gateways": %s1%s}' % ("[" * 100_000, "]" * 100_000),
    "long": json.dumps({**LOOK, "gateways": [], "visibility": {"complete": True, "missing": ["x" * 3_000_000]}}),
    "stats": json.dumps({**LOOK, "gateways": 5, "ansible_stats": 5, "diff": 5, "warnings": 5, "deprecations": 5}),
    "facts": json.dumps({**LOOK, "gateways": 5, "ansible_facts": {"ib_report_dir": "/nowhere", "ib_gateways": 5}}),
    "message": json.dumps({"failed": True, "msg": {"a": ["list"]}}),
    "nothing": "",
}


def stranger(folder: Path, name: str, answer: str) -> str:
    """A program that answers every module with the same; it stands for the Python of a host in a stranger's hands."""
    (folder / name).write_text(answer)
    program = folder / (name + ".sh")
    program.write_text("#!/bin/sh\ncat >/dev/null </dev/null\ncat '%s'\n" % (folder / name))
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("playbook", ["playbooks/health_sweep.yml", "remediate.yml"])
def test_hosts_that_answer_what_they_like_hurt_only_themselves(desk: Desk, playbook: str) -> None:
    desk.gateway()
    # The strange hosts come first by name, as what runs once for all runs on the first.
    hosts = {
        "a_" + name: {
            **local(ib_gateways=[desk.entry()]),
            "ansible_python_interpreter": stranger(desk.folder, name, told),
        }
        for name, told in ANSWERS.items()
    }
    hosts["z_fine"] = local(ib_gateways=[desk.entry()])
    run = desk.play(playbook, inventory={"trading_hosts": {"hosts": hosts}})
    require_only_they_suffer(run)
    assert "healthy" in run.host("z_fine")["status"]
    assert run.recap("z_fine")["failed"] == 0
    assert not Path("/nowhere").exists()


def require_only_they_suffer(run: Run) -> None:
    """All are in the report, those that answered what they like as unknown with the reason."""
    assert run.report, run.output[-4000:]
    assert "not whole" not in run.output
    for name in ANSWERS:
        found = run.host("a_" + name)
        assert found["status"] == "unknown" and found["done"] == [], found
        if name not in ("message", "nothing", "deeper"):
            assert NOT_OURS in found["reason"]


def test_a_host_that_lies_in_the_midst_of_a_repair_is_unknown_and_the_other_is_repaired(desk: Desk) -> None:
    """It plays along until its repair begins, and answers junk from then on."""
    real = json.dumps(str(local()["ansible_python_interpreter"]))
    liar = desk.folder / "liar.sh"
    mark = desk.folder / "looked"
    liar.write_text(
        "#!/bin/sh\nif [ -e %s ]; then echo '%s'; else touch %s; exec %s \"$@\"; fi\n"
        % (mark, ANSWERS["deep"], mark, real)
    )
    liar.chmod(0o755)
    other = Desk(desk.folder / "other", desk._stack)
    hosts = {
        "a_liar": {**local(ib_gateways=[desk.entry()]), "ansible_python_interpreter": str(liar)},
        "z_broken": local(ib_gateways=[other.entry()]),
    }
    run = desk.play("remediate.yml", inventory={"trading_hosts": {"hosts": hosts}})
    assert run.host("a_liar")["status"] == "unknown" and NOT_OURS in run.host("a_liar")["reason"]
    assert run.host("z_broken")["status"] == "healthy", run.output[-4000:]
