"""A start script that has a way to end every gateway of the host is run where its start surely does not take it, and is
not where it may. On a real systemd.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from integration.desk import Desk
from integration.test_container_units import inventory_of
from integration.test_unit_restarts import UnitGateway, serve, withheld
from integration.unit_hosts import UnitHost

#: What of a simulated gateway's command line every other one has as well.
_ALL = "DjtsConfigDir="
#: By name: the script, {start} is what starts its own gateway, and the word that the unit gives it.
STARTED = {
    "ifstop": ('if [ "$1" = stop ]; then pkill -f %s; exit; else {start}; fi' % _ALL, "start"),
    "skeleton": (
        "do_start() {\n[ -d /tmp ] || return 1\n}\ndo_stop() {\npkill -f %s\n}\n"
        'case "$1" in\nstart)\n  do_start\n  case "$?" in\n  0|1) {start} ;;\n  2) exit 1 ;;\n  esac ;;\n'
        "stop) do_stop ;;\nrestart) do_stop; do_start ;;\nesac" % _ALL,
        "start",
    ),
    "looks": (
        "ACTION=${1:-start}\n"
        "if pgrep -f there-is-none-with-this-word >/dev/null; then exit 0; fi\n"
        "N=$(pgrep -fc %s)\n[ -f /tmp/looks.pid ] && kill $(cat /tmp/looks.pid)\n"
        "case $ACTION in stop) pkill -f %s ;; start) {start} ;; esac" % (_ALL, _ALL),
        "",
    ),
}
WITHHELD = {
    "default": ('case "${1:-restart}" in restart) pkill -f %s; {start} ;; *) {start} ;; esac' % _ALL, ""),
    "itself": ('[ "$1" = stop ] && { pkill -f %s; exit; }\n"$0" stop\n{start}' % _ALL, "start"),
    "shifted": ('shift\ncase "$1" in live) pkill -f %s ;; esac\n{start}' % _ALL, "start live"),
    "traps": ("stop() { pkill -f %s; }\ntrap stop EXIT\n{start_here}" % _ALL, "start"),
    "hidden": ("echo ${0##*/}; pkill -f %s\n{start}" % _ALL, "start"),
}


class ScriptGateway(UnitGateway):
    """A gateway that a script starts, which its unit runs."""

    def __init__(self, host: UnitHost, folder: Path, name: str, script: str, word: str) -> None:
        super().__init__(host, folder, name)
        own = shlex.join(self._gateway.command())
        path = folder / name / "start.sh"
        text = script.replace("{start}", "exec " + own).replace("{start_here}", own)
        path.write_text("#!/bin/bash\n%s\n" % text, encoding="utf-8")
        path.chmod(0o755)
        unit = "[Service]\nWorkingDirectory=%s\nEnvironment=DISPLAY=:1\nExecStart=%s %s\n"
        host.unit(name, unit % (folder, path, word))


def remediate(desk: Desk, host: UnitHost, *gateways: UnitGateway, check: bool = False) -> Any:
    hosts = inventory_of(host, *(each.entry for each in gateways))
    return desk.play("remediate.yml", *(["--check"] if check else []), inventory=hosts)


def test_a_script_whose_start_does_not_take_the_way_that_ends_others_is_run(
    host: UnitHost, desk: Desk, tmp_path: Path
) -> None:
    paper = UnitGateway(host, tmp_path, "paper", mode="paper", settings={})
    hung = [ScriptGateway(host, tmp_path, name, *how) for name, how in STARTED.items()]
    serve(host, *hung, paper)
    before, old = paper.pids(), [each.pids() for each in hung]
    for each in hung:
        each.hang()
    run = remediate(desk, host, *hung, paper)
    assert run.rc == 0, run.output
    new = [each.pids() for each in hung]
    assert all(one and one != other for one, other in zip(new, old)) and paper.pids() == before
    again = remediate(desk, host, *hung, paper)
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
    assert [each.pids() for each in hung] == new and paper.pids() == before


@pytest.mark.parametrize("check", [True, False])
def test_a_script_whose_start_may_take_it_is_not(host: UnitHost, desk: Desk, tmp_path: Path, check: bool) -> None:
    paper = UnitGateway(host, tmp_path, "paper", mode="paper", settings={})
    hung = [ScriptGateway(host, tmp_path, name, *how) for name, how in WITHHELD.items()]
    # One after the other, since each ends those before it; what the last one leaves is what there is to lose.
    for each in hung:
        serve(host, each)
        host.says("systemctl", "stop", each.name)
    serve(host, paper)
    before = paper.pids()
    run = remediate(desk, host, *hung, paper, check=check)
    assert run.rc == 2 and run.recap()["changed"] == 0, run.output
    told = withheld(run)
    for each in hung:
        line = "`pkill -f %s` in line " % _ALL
        assert "what starts it runs " + line in told[each.name], told[each.name]
        assert "of %s/%s/start.sh, which ends gateway pid" % (tmp_path, each.name) in told[each.name]
    assert paper.pids() == before
