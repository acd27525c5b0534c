"""The incident the project was made for, staged with real processes and ended by one run of remediate.yml."""

from __future__ import annotations

import sys

from simulator.launch import connect_once, free_port

from integration.desk import Desk, alive

SHARED_CLIENT_ID = 15


def test_one_run_ends_the_incident_and_the_second_run_changes_nothing(desk: Desk) -> None:
    serving = desk.gateway("close-listener-on-second", launcher="ibc")
    older, oldest = desk.gateway("no-listener"), desk.gateway("no-listener", launcher="ibc")
    cleanup = desk.script(client_id=SHARED_CLIENT_ID)
    log = desk.folder / "ibgateway.log"
    log.touch()
    tail = desk.bystander("tail", "-f", str(log))
    other_java = desk.bystander("java", "-c", "import time; time.sleep(300)", executable=sys.executable)
    other_account = desk.gateway(config_dir=desk.folder / "other", port=free_port())

    before = connect_once(desk.port, client_id=SHARED_CLIENT_ID, timeout=1.5)
    assert not before.connected
    assert "Connected" in before.log
    assert "Logged on to server version 176" in before.log
    assert "API connection failed: TimeoutError()" in before.log
    assert desk.listening() == []

    first = desk.play("remediate.yml")

    assert first.rc == 0, first.output
    assert first.codes() >= {"duplicate_gateways", "not_listening"}
    assert not any(alive(pid) for pid in (serving.pid, older.pid, oldest.pid))
    assert not alive(cleanup.pid)
    assert len(desk.listening()) == 1
    assert desk.java() == desk.listening()
    assert first.host()["status"] == "healthy"
    assert first.host()["after"]["gateways"][0]["api"]["engine"] == "ib_insync"
    assert alive(tail.pid) and alive(other_java.pid) and alive(other_account.pid)

    after = connect_once(desk.port, client_id=SHARED_CLIENT_ID, timeout=4)
    assert after.connected
    assert after.server_version == 176

    repaired_by = desk.listening()
    second = desk.play("remediate.yml")
    assert second.rc == 0, second.output
    assert second.recap()["changed"] == 0
    assert second.host()["done"] == []
    assert desk.listening() == repaired_by
