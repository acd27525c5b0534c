"""Runs the molecule scenarios, a few at a time, whatever becomes of the others, and sums up.

    run.py test [SCENARIO ...]   all scenarios, or these; exit code 0 only when every one of them ran and held
    run.py deps                  installs Debian's packages for the lab and builds the host image
    run.py clean                 removes the containers, networks and images of this checkout

Where the lab cannot run, one line says why; that is a failure only where CI=true. A scenario's output goes to
.ansible/lab/SCENARIO.log. Molecule counts a playbook that is missing as a success and may skip an action without a
word, so the log is held to what the scenario's sequence promises.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import yaml

PROJECT = Path(__file__).resolve().parents[2]
SCENARIOS = PROJECT / "molecule"
SHARED = SCENARIOS / "shared"
CONFIG = PROJECT / ".config" / "molecule" / "config.yml"
WORK = PROJECT / ".ansible" / "lab"
BIN = Path(sys.executable).parent
#: Seconds; the slowest ones build another release's image first, or wait for a timer of a host.
SCENARIO_LIMIT = 900
#: Scenarios mostly wait, for hosts to come up and for time limits to pass; two of them keep two cores busy.
AT_ONCE = 2
TOLD_LINES = 25
PODMAN = ("podman", "--cgroup-manager=cgroupfs", "--runtime=runc")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_EXECUTED = re.compile(r"\[(?P<scenario>\S+) > (?P<action>\w+)\] Executed: (?P<how>.+)$", re.MULTILINE)
_FAILED_TASK = re.compile(r"(?:fatal|failed): \[|\[ERROR\]|FAILED: |NOT REACHED: ")
_MISSING = re.compile(r"\bmissing=[1-9]")


@dataclass(frozen=True)
class Result:
    """How a scenario went. why: what speaks against it; nothing where it held. skipped: why it did not run at all."""

    name: str
    seconds: float = 0.0
    why: Tuple[str, ...] = ()
    skipped: Optional[str] = None

    @property
    def line(self) -> str:
        """One line for a person."""
        if self.skipped:
            return f"{self.name:20} skipped: {self.skipped}"
        return f"{self.name:20} {'failed: ' + '; '.join(self.why) if self.why else 'ok':8} {self.seconds:.0f} s"


def scenarios() -> List[str]:
    """The names of all scenarios; the plain one first, since it says whether the lab works at all."""
    found = sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))
    return sorted(found, key=lambda name: name != "default")


def settings(scenario: str) -> Dict[str, Any]:
    """A scenario's configuration, as molecule merges it from the shared file and its own."""
    return _merged(_loaded(CONFIG), _loaded(SCENARIOS / scenario / "molecule.yml"))


def _loaded(path: Path) -> Dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _merged(below: Dict[str, Any], above: Dict[str, Any]) -> Dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        both[key] = _merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def sequence(scenario: str) -> List[str]:
    """The actions of a scenario's test, in their order."""
    return [str(action) for action in settings(scenario)["scenario"]["test_sequence"]]


def objections(scenario: str, actions: Sequence[str], returncode: int, log: str) -> Tuple[str, ...]:
    """What speaks against a run, read from molecule's exit code and its output."""
    text = _COLOUR.sub("", log)
    found = []
    ran = [(each["action"], each["how"].strip()) for each in _EXECUTED.finditer(text) if each["scenario"] == scenario]
    failed = [action for action, how in ran if how.startswith("Failed")]
    if returncode or failed:
        found.append(f"{failed[0] if failed else 'molecule'} failed ({returncode})")
    if _MISSING.search(text) or any("Missing" in how for _action, how in ran):
        found.append("a playbook is missing")
    if not found:
        done = [action for action, how in ran if how.startswith("Successful")]
        # Molecule ends with a list of the same lines, so each action is there twice.
        if done[: len(actions)] != list(actions):
            found.append(f"ran {', '.join(done) or 'nothing'} instead of {', '.join(actions)}")
        if text.count("PLAY RECAP") < len(actions):
            found.append("an action has no recap, and no recap means no idempotence check")
        if f"{scenario} was verified on " not in text:
            found.append("verify did not say that it was there")
    return tuple(found)


def telling(log: str) -> List[str]:
    """The lines of a log that say what went wrong: from the first failed task on, or the last ones."""
    lines = [line for line in _COLOUR.sub("", log).splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if _FAILED_TASK.match(line)), len(lines) - TOLD_LINES)
    return lines[max(0, first) :][:TOLD_LINES]


def why_not() -> Optional[str]:
    """Why the lab cannot run here; None where it can."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    if os.geteuid() != 0:
        return "it starts containers with systemd in them, and needs root for that"
    if not shutil.which("podman") and not shutil.which("apt-get"):
        return "there is no podman, and no apt-get to install it with"
    return None


def environment(scenario: str) -> Dict[str, str]:
    """What molecule and Ansible are started with; run folders of several checkouts are kept apart."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(WORK / scenario),
        "MOLECULE_SCENARIO_NAME": scenario,
    }


def logged(argv: Sequence[str], scenario: str) -> Tuple[int, str]:
    """Runs a command with its output in the scenario's log; gives its exit code and that output."""
    (WORK / scenario).mkdir(parents=True, exist_ok=True)
    path = WORK / f"{scenario}.log"
    with path.open("w", encoding="utf-8") as log:
        try:
            returncode = subprocess.run(
                argv,
                cwd=PROJECT,
                env=environment(scenario),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=SCENARIO_LIMIT,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            returncode = 124
    return returncode, path.read_text(encoding="utf-8", errors="backslashreplace")


def run_scenario(name: str) -> Result:
    """One scenario, from destroy to destroy."""
    release = _release(name)
    if release and not mirror_has(release):
        return Result(name, skipped=f"the package mirror has no {release}")
    began = time.monotonic()
    argv = [str(BIN / "molecule"), "--base-config", str(CONFIG), "test", "--no-command-borders", "-s", name]
    returncode, log = logged(argv, name)
    why = objections(name, sequence(name), returncode, log)
    if why:
        # In one piece, since another scenario may have something to say at the same time.
        print("\n".join([*telling(log), f"All of it: {(WORK / name).relative_to(PROJECT)}.log"]), flush=True)
    return Result(name, time.monotonic() - began, why)


def _release(scenario: str) -> Optional[str]:
    """The release a scenario asks for; None where it takes the usual one."""
    variables = _loaded(SCENARIOS / scenario / "inventory" / "hosts.yml")["trading_hosts"].get("vars") or {}
    return variables.get("lab_release")


def mirror_has(release: str) -> bool:
    """Whether this machine's own package mirror has a release; asked of the mirror, without a host name in here."""
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    mirrors = subprocess.run(wanted, capture_output=True, text=True, check=False).stdout.split()
    try:
        with urllib.request.urlopen(f"{mirrors[0]}dists/{release}/Release", timeout=30):  # noqa: S310 - apt's own URL
            return True
    except (IndexError, urllib.error.URLError):
        return False


def deps() -> bool:
    """Installs the lab's packages and builds the image most scenarios use; says what went wrong if it did."""
    argv = [str(BIN / "ansible-playbook"), "-i", str(SHARED / "inventory"), str(SHARED / "image.yml")]
    returncode, log = logged([*argv, "-e", json.dumps({"lab_releases": ["bookworm"]})], "images")
    if returncode:
        print("\n".join(telling(log)))
    return returncode == 0


def clean() -> None:
    """Removes what bears this checkout's prefix, and nothing else."""
    prefix = f"ib-lab-{hashlib.sha1(str(PROJECT).encode(), usedforsecurity=False).hexdigest()[:6]}"

    def podman(*argv: str) -> List[str]:
        return subprocess.run([*PODMAN, *argv], capture_output=True, text=True, check=False).stdout.split()

    for container in podman("ps", "--all", "--format", "{{.Names}}"):
        if container.startswith(f"{prefix}-"):
            podman("rm", "--force", "--time=0", container)
    for image in podman("images", "--format", "{{.Repository}}:{{.Tag}}"):
        if image.startswith(f"localhost/{prefix}-"):
            podman("rmi", image)
    for network in podman("network", "ls", "--format", "{{.Name}}"):
        if network.startswith(f"{prefix}-"):
            podman("network", "rm", network)
    shutil.rmtree(WORK, ignore_errors=True)


def test(names: Sequence[str]) -> int:
    """Runs scenarios and sums up; the exit code."""
    reason = why_not()
    if reason:
        print(f"The lab cannot run here: {reason}.")
        return 1 if os.environ.get("CI") == "true" else 0
    unknown = sorted(set(names) - set(scenarios()))
    if unknown:
        print(f"No such scenario: {', '.join(unknown)}. There are {', '.join(scenarios())}.")
        return 2
    began = time.monotonic()
    if not deps():
        print("The host image could not be built.")
        return 1
    results = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for running in as_completed([pool.submit(run_scenario, name) for name in names or scenarios()]):
            results.append(running.result())
            print(results[-1].line, flush=True)
    failed = [each.name for each in results if each.why]
    ran = [each for each in results if not each.skipped]
    told = f"{len(ran)} of {len(results)} scenarios ran, {len(failed)} failed"
    print(f"{told}{': ' + ', '.join(failed) if failed else ''}. {time.monotonic() - began:.0f} s")
    return 1 if failed or not ran else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Runs the molecule scenarios.")
    parser.add_argument("command", choices=["test", "deps", "clean"])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    given = parser.parse_args()
    if given.command == "test":
        return test(given.scenarios)
    if given.command == "deps":
        return 0 if deps() else 1
    clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
