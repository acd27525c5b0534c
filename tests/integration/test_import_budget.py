"""What a module loads and what is sent for it: compiled anew on every host at every call, so it is kept small.

A module's imports may shrink unnoticed; when they grow, this fails, and the list here is where the reason goes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import SimulatedGateway

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT))

from bench.modules import module_rows, payload  # noqa: E402 - needs the path above
from bench.run import UNUSUAL  # noqa: E402 - likewise

MODULES = sorted(path.stem for path in (PROJECT / "library").glob("*.py"))
#: Each costs more than a whole look, or belongs to a library that the hosts need not have.
NEVER = {
    "psutil",
    "asyncio",
    "ib_insync",
    "ib_async",
    "eventkit",
    "numpy",
    "sqlite3",
    "ssl",
    "multiprocessing",
    "pydoc",
}
#: The standard library beyond what AnsibleModule has loaded anyway: nothing, but for these.
STANDARD = {"ib_client_audit": {"difflib", "glob", "heapq", "_heapq"}}  # shows changes, finds scripts

#: keys has the inventory's keys, findings the catalogue; record is what all shapes are made of.
_BASE = (
    "base.classify base.command_line base.findings base.host base.inventory base.java_line base.keys base.plan "
    "base.probe base.record base.redaction base.spec base.words"
)
#: Which gateway is whose, and by which of its ports.
ASSIGN = "decide.assign decide.claims decide.ports"
SHARED = f"{_BASE} decide.fingerprint module.result module.runner"
#: What a plan with steps takes.
STEPS = "base.actions base.command_line base.outcome base.short_command base.steps"
#: localhost and settings: what a look has to know of the address that scripts use, and of whose a settings folder is.
RULES = f"{ASSIGN} decide.context decide.diagnosis module.look observe.localhost observe.settings observe.snapshot"
#: What modules that look may load of the project: tables and rules, nothing that opens a session or acts.
LOOKS = {
    "ib_gateway_health": f"{SHARED} {RULES} module.assess lifecycle.places",
    "ib_gateway_info": f"{SHARED} {ASSIGN} observe.snapshot",
    "ib_client_info": f"{_BASE} base.short_command decide.clients module.api_result module.runner observe.snapshot",
    "ib_listener_info": f"{SHARED} observe.snapshot",
    "ib_gateway_wait": f"{SHARED} {RULES} {STEPS} module.assess module.steps module.then_look module.waiting",
    "ib_api_probe": (
        f"{_BASE} base.plain_text base.short_command module.api_result module.runner api.client_ids api.dialogue "
        "api.farms api.handshake api.lazy_import api.messages api.protobuf api.requests api.session api.sync api.wire"
    ),
}
#: What reads this system; loaded when the look begins.
READERS = (
    "base.process_digest observe.addresses observe.freezer observe.holders observe.host_key observe.linux "
    "observe.process_table observe.processes observe.sockets"
)
#: Where a gateway does not listen: rules of its own tell of it, the log of IBC how its login goes, and what is about to
#: bring it is searched for.
DOWN = (
    "base.ibc_words base.installation base.launchers base.login base.parents base.shell_text decide.evidence "
    "decide.login decide.not_serving decide.rules_api decide.rules_unserved decide.rules_waiting module.closer "
    "module.logins observe.ibc_log observe.keepers observe.named_files observe.owned_text observe.parents "
    "observe.started_files"
)
#: Where it may be started: whether that can succeed is found out before anything is stopped.
STARTS = (
    "lifecycle.accounts lifecycle.base lifecycle.command lifecycle.contradictions lifecycle.detach "
    "lifecycle.ends_others lifecycle.environment lifecycle.unit_text "
    "lifecycle.lifecycles lifecycle.members lifecycle.start_check lifecycle.output lifecycle.program "
    "lifecycle.systemctl lifecycle.unit lifecycle.unit_commands lifecycle.unit_conditions lifecycle.unit_facts "
    "lifecycle.unit_ties lifecycle.user_unit base.plain_text base.unit base.unusual_launches "
    "module.command_servers observe.command_port observe.process_handles observe.signs_of_life observe.way_out "
    "base.crontab observe.crontabs observe.script_runs observe.shell_state observe.start_scripts base.same_command "
    "observe.start_commands"
)

#: What each step of a plan costs, which gateway is one too many, the step that keeps the login, and whom a plan would
#: signal.
PLANS = "base.command_server decide.costs decide.soft_restart decide.surplus module.reachable"

_LOADED = """
import json, sys
sys.path[:0] = {path!r}
import ansible.module_utils
ansible.module_utils.__path__.append({utils!r})
import ansible.module_utils.basic, ansible.module_utils.testing, zipimport  # the last loads the other two on a host
before = set(sys.modules)
import {module}
{run}
json.dump(sorted(set(sys.modules) - before - {{{module!r}}}), sys.stdout)
"""
_RUN = """
import contextlib, io
with ansible.module_utils.testing.patch_module_args({options!r}), contextlib.suppress(SystemExit), \
        contextlib.redirect_stdout(io.StringIO()) as printed:
    {module}.main()
assert not json.loads(printed.getvalue()).get("failed"), printed.getvalue()
"""


_SESSION = """
import sys
import ansible.module_utils
ansible.module_utils.__path__.append({utils!r})
from ansible.module_utils.ib_gateway.api import session
found = session.probe("127.0.0.1", {port}, timeout=10, library={library!r})
loaded = [name for name in sys.modules if name.partition(".")[0] == "numpy" or name in ({library!r}, "urllib.request")]
# Who imports it afterwards has the real one, and so has the library once it uses it.
import numpy
from eventkit.ops import array
print(found.engine, found.ok, loaded or "none", "loaded" if numpy.arange(1).size else "", array.np.arange(1).size)
"""


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(module: str, **options: object) -> set[str]:
    """What a fresh interpreter loads for a module beyond AnsibleModule: when imported, or with options when run."""
    run = _RUN.format(options={**options, "_ansible_remote_tmp": "/tmp"}, module=module) if options else ""  # noqa: S108 - not used
    path, utils = [str(PROJECT / "library")], str(PROJECT / "module_utils")
    code = _LOADED.format(path=path, utils=utils, module=module, run=run)
    return set(json.loads(run_python(code)))


def own(names: set[str]) -> set[str]:
    """The project's files among them, each as PACKAGE.FILE."""
    prefix = "ansible.module_utils.ib_gateway."
    return {name[len(prefix) :] for name in names if name.startswith(prefix) and name.count(".") == 4}


def foreign(names: set[str]) -> set[str]:
    """What does not belong to the project, to Ansible, or to the interpreter itself."""
    built_in = sys.builtin_module_names
    return {name for name in names if not name.startswith(("ansible.", "ib_")) and name not in built_in}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_nothing_beyond_what_ansible_has_loaded(module: str) -> None:
    names = loaded(module)
    assert foreign(names) <= STANDARD.get(module, set())
    assert not {name.partition(".")[0] for name in names} & NEVER


@pytest.mark.parametrize("module", sorted(LOOKS))
def test_a_module_that_looks_loads_no_more_of_the_project_than_it_did(module: str) -> None:
    assert own(loaded(module)) <= set(LOOKS[module].split())


#: An account's name is looked up in a module of its own.
ACCOUNTS = {"pwd", "encodings.idna", "stringprep", "unicodedata"}


def test_a_passive_look_at_a_gateway_that_is_well_loads_nothing_that_plans_opens_a_session_or_keeps_books(
    tmp_path: Path,
) -> None:
    with SimulatedGateway(tmp_path) as well:
        entry = {"name": "paper", "trading_mode": "paper", "port": well.port, "config_dir": str(well.config_dir)}
        names = loaded("ib_gateway_health", gateways=[entry], probe="never")
    assert own(names) <= {*LOOKS["ib_gateway_health"].split(), *READERS.split()}
    assert foreign(names) <= ACCOUNTS


@pytest.mark.parametrize("library", ["ib_insync", "ib_async"])
def test_a_session_does_without_the_numpy_and_the_http_that_its_library_imports(library: str, tmp_path: Path) -> None:
    assert run_python(f"import {library}, sys; print({{'numpy', 'urllib.request'}} <= set(sys.modules))") == "True\n"
    with SimulatedGateway(tmp_path) as well:
        told = run_python(_SESSION.format(utils=str(PROJECT / "module_utils"), port=well.port, library=library))
    assert told.split() == [library, "True", "none", "loaded", "1"]


def test_a_look_at_a_host_without_books_loads_only_what_finds_that_out(tmp_path: Path) -> None:
    entry = {"name": "live", "trading_mode": "live", "user": "root", "config_dir": "/nonexistent"}
    look = {"gateways": [entry], "probe": "never"}
    more = own(loaded("ib_gateway_health", **look, state_dir=str(tmp_path / "none"))) - own(
        loaded("ib_gateway_health", **look)
    )
    assert more == {"base.plain_text", "state.repair_status", "state.state_folder"}


@pytest.mark.parametrize(("start", "more"), [(None, ""), (["/usr/bin/true"], STARTS)])
def test_a_passive_look_at_a_gateway_that_is_down_loads_what_plans_and_no_more(
    start: list[str] | None, more: str
) -> None:
    entry: dict[str, Any] = {"name": "live", "trading_mode": "live", "user": "root", "config_dir": "/nonexistent"}
    entry.update({"start_command": start} if start else {})
    names = loaded("ib_gateway_health", gateways=[entry], probe="never")
    # Wrappers are told apart where another process of this machine has to be looked at.
    assert own(names) - {*LOOKS["ib_gateway_health"].split(), *READERS.split(), "base.wrappers"} == {
        "decide.differing",
        "decide.eviction",
        "decide.gateway_steps",
        "decide.planning",
        "decide.refusals",
        "decide.state_plans",
        "decide.targets",
        *PLANS.split(),
        *STEPS.split(),
        *DOWN.split(),
        *more.split(),
    } - set(_BASE.split())
    assert foreign(names) <= ACCOUNTS | {"calendar"}  # the log's times are UTC


def test_what_a_passive_look_loads_defines_no_dataclass() -> None:
    """Each one compiles its own methods anew at every call: half a millisecond, as much as a whole file."""
    found = []
    for name in [*LOOKS["ib_gateway_health"].split(), *READERS.split()]:
        source = (PROJECT / "module_utils/ib_gateway" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        found += re.findall(r"^@dataclass(?!_transform).*\nclass (\w+)", source, re.MULTILINE)
    assert not found


def test_the_limit_of_a_session_s_time_is_the_one_of_the_session_s_own_module() -> None:
    from ansible.module_utils.ib_gateway.api import client_ids
    from ansible.module_utils.ib_gateway.module import assess

    assert assess.LONGEST_SESSION == client_ids.MAX_TIMEOUT


def test_what_is_sent_for_a_look_is_at_most_four_point_two_times_what_is_sent_for_a_ping(tmp_path: Path) -> None:
    """Ansible sends what a module may import, too: the API's messages, IBC's log, what a start takes, containers,
    cron's tables, the units of those that a plan ends, what the scripts of a start run and what of them it reaches."""
    entry = {"name": "live", "trading_mode": "live", "user": "root"}
    ours = payload("ib_gateway_health", {"gateways": [entry], "probe": "never"}, tmp_path / "ours")
    ping = payload("ansible.builtin.ping", {}, tmp_path / "ping")
    assert ours.stat().st_size <= 4.2 * ping.stat().st_size


def test_a_look_as_a_module_takes_less_than_one_and_a_half_times_the_cpu_of_a_ping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in UNUSUAL:
        monkeypatch.delenv(variable, raising=False)
    cost = module_rows()[0]
    assert cost.ratio is not None and cost.ratio < 1.5, cost
