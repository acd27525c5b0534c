"""The alert rules and the dashboard's questions by Prometheus' own tool: what it takes, and when rules fire."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Optional

import pytest
import yaml
from unit.fleet.test_monitoring import DASHBOARD, RULES
from unit.module_runs import PROJECT

#: Where `make integration` puts it.
PROMTOOL: Optional[str] = shutil.which("promtool", path=f"{PROJECT / '.ansible' / 'bin'}:{os.environ['PATH']}")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here (Debian: prometheus)")

TEST = """
rule_files: [%s]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'ib_gateway_status{host="a", gateway="live", mode="live", status="unhealthy"}', values: '1x20'}
      - {series: 'ib_gateway_verdict{host="a", gateway="live", mode="live", verdict="not_listening"}', values: '1x20'}
      - {series: 'ib_gateway_status{host="b", gateway="live", mode="live", status="unhealthy"}', values: '0x20'}
      - {series: 'ib_gateway_repairs_total{host="b", gateway="live", mode="live", action="restart", result="failed"}',
         values: '_x5 1x20'}
      - {series: 'ib_fleet_declared_hosts{instance="c"}', values: '3x20'}
      - {series: 'ib_fleet_hosts{instance="c", status="healthy"}', values: '1x20'}
      - {series: 'ib_fleet_hosts{instance="c", status="unhealthy"}', values: '1x20'}
      - {series: 'ib_fleet_report_time_seconds{instance="c"}', values: '0x90'}
    alert_rule_test:
      - eval_time: 4m
        alertname: IbGatewayUnhealthy
        exp_alerts: []
      - eval_time: 10m
        alertname: IbGatewayUnhealthy
        exp_alerts:
          - exp_labels: {severity: critical, host: a, gateway: live, mode: live, status: unhealthy}
            exp_annotations:
              summary: 'Gateway live on a is unhealthy: not_listening'
              description: >-
                Scripts cannot work with it. To see what a repair would do:
                run the playbook remediate with --limit a --check --diff
      - eval_time: 8m
        alertname: IbGatewayRepairFailed
        exp_alerts:
          - exp_labels: {severity: warning, host: b, gateway: live, mode: live, action: restart, result: failed}
            exp_annotations:
              summary: 'A step to repair live on b ended as failed'
              description: 'The step was restart. The report says what was done, and why it failed.'
      - eval_time: 15m
        alertname: IbFleetHostMissing
        exp_alerts:
          - exp_labels: {severity: warning, instance: c}
            exp_annotations:
              summary: 'Hosts are declared that the report does not have'
              description: 'The run that made the report ended with their names.'
      - eval_time: 59m
        alertname: IbGatewayReportOld
        exp_alerts: []
      - eval_time: 61m
        alertname: IbGatewayReportOld
        exp_alerts:
          - exp_labels: {severity: critical, instance: c}
            exp_annotations:
              summary: 'The report on the gateways is 1h 1m 0s old'
              description: 'No sweep ends any more, so that no other alert can be trusted.'
"""


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run([PROMTOOL, *words], capture_output=True, text=True, timeout=60, check=False)


def test_promtool_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "test.yml").write_text(TEST % RULES)
    for words in (("check", "rules", str(RULES)), ("test", "rules", str(tmp_path / "test.yml"))):
        done = promtool(*words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_every_question_of_the_dashboard(tmp_path: Path) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    # What stands for a span in a dashboard; what stands for a name is a text, to Prometheus.
    spans = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
    for name, span in spans.items():
        asked = [each.replace(name, span) for each in asked]
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(asked)]
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0 and f"{len(asked)} rules found" in done.stdout and len(asked) > 8, (
        done.stdout + done.stderr
    )
    path.write_text(path.read_text().replace(asked[0], "sum("))
    assert promtool("check", "rules", str(path)).returncode != 0
