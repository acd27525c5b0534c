"""`make matrix`: every ansible-core that the project promises to work with, each in an environment of its own.

    python -m collection.matrix [CORE ...]

Of each core, with a Python that it runs on and that is to be had here: the syntax of all playbooks, an inventory that
the preflight refuses, and a sweep of this machine, out of the checkout and out of the installed collection. The
environments are kept in .ansible/matrix. A core for which there is no Python here is named, and no failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collection import build, sanity, shipped

KEPT = build.PROJECT / ".ansible" / "matrix"
#: What Ansible says when a callback, a plugin or a setting does not fit it, and when something is about to be removed.
_COMPLAINTS = ("[WARNING]", "[DEPRECATION WARNING]", "Traceback")
_SECONDS = 300


def pythons(core: str) -> Iterator[Path]:
    """The interpreters here that a core runs on, newest first."""
    for version in reversed(sanity.LINES[core][0]):
        installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        named = shutil.which(f"python{version}", path=f"/usr/bin:/usr/local/bin:{os.environ.get('PATH', '')}")
        for each in [*installed, *([Path(named)] if named else [])]:
            if subprocess.run([each, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
                yield each
                break


def prepared(core: str, python: Path) -> Path:
    """The programs of an environment with this core and the controller's libraries, made where it is not there yet.

    Raises CalledProcessError where it cannot be made, as without a package index.
    """
    wanted = build.libraries((build.PROJECT / "requirements.txt").read_text("utf-8"))
    folder = KEPT / f"{core}-{python.name}"
    note = folder / "wanted.txt"
    if not note.exists() or note.read_text("utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
        listed = folder / "requirements.txt"
        listed.write_text(wanted, encoding="utf-8")
        pip: list[str | Path] = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"ansible-core=={core}.*", "-r", listed], check=True, capture_output=True, text=True)
        note.write_text(wanted, encoding="utf-8")
    return folder / "bin"


def problems(programs: Path, collections: Path) -> list[str]:
    """What does not work with the core of these programs. collections: a folder that has the collection installed."""
    told = build.galaxy()
    own = f"{told['namespace']}.{told['name']}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkout = {**shipped.environment(folder), "ANSIBLE_CONFIG": str(build.PROJECT / "ansible.cfg")}
        playbooks = sorted((build.PROJECT / "playbooks").glob("*.yml"))
        return [
            *_syntax(programs, [str(each) for each in playbooks], checkout, folder),
            *_runs(programs, str(build.PROJECT / "playbooks/health_sweep.yml"), checkout, folder),
            *_syntax(programs, [f"{own}.{each.stem}" for each in playbooks], shipped.environment(collections), folder),
            *_runs(programs, f"{own}.health_sweep", shipped.environment(collections), folder),
        ]


def _syntax(programs: Path, playbooks: list[str], environment: dict[str, str], folder: Path) -> Iterator[str]:
    done = _play(programs, playbooks, environment, _inventory(folder, {}), "--syntax-check")
    yield from _complaints("--syntax-check", done, wanted=0)


def _runs(programs: Path, playbook: str, environment: dict[str, str], folder: Path) -> Iterator[str]:
    """A sweep that finds no gateway, and one that the preflight does not let begin."""
    reports = folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    given = ("-e", json.dumps({"ib_report_dir": str(reports), "ib_sweep_fail_on": "never"}))
    done = _play(programs, [playbook], environment, _inventory(folder, {}), *given)
    yield from _complaints(playbook, done, wanted=0)
    page = reports / "index.html"
    if not page.exists():
        yield f"{playbook} wrote no report"
    refused = _play(programs, [playbook], environment, _inventory(folder, {"prot": 4001}), *given)
    if refused.returncode != 2 or "prot" not in refused.stdout + refused.stderr:
        yield f"{playbook}: an unknown key ended with {refused.returncode}: {refused.stdout[-500:]}"


def _inventory(folder: Path, more: dict[str, Any]) -> Path:
    """One host that is this machine, whose one gateway does not run."""
    entry = {"name": "live", "trading_mode": "live", "config_dir": str(folder / "jts"), **more}
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "ib_gateways": [entry],
    }
    path = folder / "inventory.json"
    path.write_text(json.dumps({"trading_hosts": {"hosts": {"desk": host}}}), encoding="utf-8")
    return path


def _play(
    programs: Path, playbooks: list[str], environment: dict[str, str], inventory: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [programs / "ansible-playbook", *playbooks, "-i", inventory, *options],
        cwd="/",
        env={**environment, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def _complaints(what: str, done: subprocess.CompletedProcess[str], wanted: int) -> Iterator[str]:
    if done.returncode != wanted:
        yield f"{what} ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}"
    for line in done.stderr.splitlines():
        if line.startswith(_COMPLAINTS):
            yield f"{what}: {line}"


def main(arguments: list[str]) -> int:
    """Tells of each core whether everything works. Returns the exit code."""
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shipped.install(build.archive(build.write(folder / "built"), folder), folder / "collections")
        for core in arguments or list(sanity.LINES):
            python = next(pythons(core), None)
            if python is None:
                print(f"{core}: none of Python {', '.join(sanity.LINES[core][0])} is here", flush=True)
                continue
            found = problems(prepared(core, python), folder / "collections")
            print(f"{core} with {python.name}: {'works' if not found else 'does not work'}", flush=True)
            for each in found:
                print(f"  {each}", flush=True)
            failed = failed or bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
